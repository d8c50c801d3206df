"""The page as a person has it: `condswap app` in a process of its own, and Chromium to click on it."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# So that the browser itself asks nobody for anything, and runs as root and without a screen.
_QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


# Writes down every address that the process connects to, or asks the name server for, and then is `condswap`.
_WATCHED = """
import sys
asked = open("asked.txt", "w", buffering=1)
def note(event, given):
    if event == "socket.connect" and isinstance(given[1], tuple):
        asked.write(f"{given[1][0]}\\n")
    if event == "socket.getaddrinfo":
        asked.write(f"{given[0]}\\n")
sys.addaudithook(note)
from condswap.cli import main
sys.exit(main())
"""


class AppServer:
    """`condswap app` with these arguments, in the folder; it keeps its temporary files in `folder`/tmp.

    Attributes:
        url: of the page.
        status: how it ended; None while it runs.
        told: what it said on stderr, once it has ended.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder, self.temporary = folder, folder / "tmp"
        self.temporary.mkdir(exist_ok=True)
        self._errors = folder / "stderr.txt"
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-u", "-c", _WATCHED, "app", "--no-browser", "--device", "cpu", *arguments],
                cwd=folder,
                env={**os.environ, "TMPDIR": str(self.temporary)},
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self.status: int | None = None
        self.told = ""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        found = re.search(r"http://\S+", line)
        if found is None:
            self.stop()
        assert found is not None, f"it said {line!r} and {self.told!r}"
        self.url = found[0]

    def asked(self) -> set[str]:
        """Give the names and addresses of the machines that it asked something."""
        return set((self.folder / "asked.txt").read_text(encoding="utf-8").split())

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        if self.status is not None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self.status = self._process.wait(timeout=30)
        finally:
            self._process.kill()
            if self._process.stdout is not None:
                self._process.stdout.close()
        self.told = self._errors.read_text(encoding="utf-8")


@contextmanager
def chromium() -> Iterator["Browser"]:
    """Give Debian's Chromium, or another one that is installed, with nothing remembered."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=_QUIET)
        try:
            yield browser
        finally:
            browser.close()


def upload(page: "Page", picture: Path) -> None:
    """Give the page a picture, and wait until the server has it."""
    with page.expect_response(lambda answer: "/upload?" in answer.url):
        page.set_input_files("#picture input[type=file]", picture)
    page.wait_for_selector("#picture img")


def swap(page: "Page") -> None:
    """Press the button, and wait until the swap, or why there is none, is told."""
    page.evaluate("document.querySelector('#said .said')?.remove()")
    page.click("#swap")
    page.wait_for_selector("#said .said")


def choose(page: "Page", field: str, word: str) -> None:
    """Choose a word in a list."""
    page.click(f"#{field} input")
    page.click(f"ul[role=listbox] >> text={word}")
