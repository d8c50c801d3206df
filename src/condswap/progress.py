"""A line that says how far a long job is: a bar on a terminal, plain lines elsewhere."""

import contextlib
import os
import shutil
import sys
import textwrap
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

_REDRAW_SECONDS = 0.1
_LINE_SECONDS = 10.0
_BAR_WIDTH = 20


class Progress:
    r"""How far a job of `total` steps is, told on stderr.

    On a terminal one line is redrawn, at most ten times a second; elsewhere (a log file, a pipe) a plain line comes at
    most every ten seconds, and one at the end. `start` is the step at which a resumed job begins, `delay` the seconds
    before anything is shown: a job that ends sooner stays silent. `clock` gives seconds and never goes back.

    A stream that is closed or cannot be written does not stop the job.

    >>> import io
    >>> stream = io.StringIO()
    >>> with Progress(2, title="reading", stream=stream, clock=lambda: 0.0) as progress:
    ...     progress.update(1)
    ...     progress.say("one cannot be read")
    ...     progress.update(2, "all good")
    >>> stream.getvalue().splitlines()
    ['one cannot be read', 'reading 100% 2/2  all good']
    """

    def __init__(
        self,
        total: int,
        *,
        title: str = "",
        start: int = 0,
        stream: TextIO | None = None,
        delay: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin to count; the time runs from here and again from `with`."""
        self.total, self.title, self.start, self.step = total, title, start, start
        self._stream: TextIO | None = sys.stderr if stream is None else stream  # stderr is None under pythonw
        self._delay, self._clock = delay, clock
        self._terminal = bool(self._stream and not self._stream.closed and self._stream.isatty())
        self._text: str | Callable[[], str] = ""
        self._drawn_text, self._drawn_step, self._drawn_width = "", -1, 0
        self._ended = False
        self._began = clock()
        self._next = self._began + max(delay, 0.0 if self._terminal else _LINE_SECONDS)

    def __enter__(self) -> Self:
        """Start the clock."""
        self._began = self._clock()
        self._next = self._began + max(self._delay, 0.0 if self._terminal else _LINE_SECONDS)
        return self

    def update(self, step: int, text: str | Callable[[], str] = "") -> None:
        """Say that `step` of `total` are done; a `text` that is a function is called only when a line is drawn."""
        self.step, self._text = step, text
        now = self._clock()
        if now >= self._next:
            self._draw(now, text() if callable(text) else text)
            self._next = now + (_REDRAW_SECONDS if self._terminal else _LINE_SECONDS)

    def say(self, text: str) -> None:
        """Write a line of its own: above the bar on a terminal, as it is elsewhere, and also after the job has ended."""
        line = " ".join(text.split())
        if not self._terminal:
            self._write(line + "\n")
            return
        line = textwrap.fill(line, max(self._columns() - 1, 20), break_on_hyphens=False)
        self._write("\r" + " " * self._drawn_width + "\r" + line + "\n")
        self._drawn_width = 0
        if self._drawn_step >= 0 and not self._ended:
            step = self._drawn_step
            self._draw(self._clock(), self._drawn_text)
            self._drawn_step = step  # the text is an old one: the last line of all is still to be drawn

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Draw the last state and end the line; after an exception the last text that was drawn stays."""
        now = self._clock()
        self._ended = True
        if self._drawn_step < 0 and now - self._began < self._delay:
            return
        if self._drawn_step != self.step:
            # After an exception the function is not called: it may wait for a device that has just failed.
            text = self._text if kind is None else self._drawn_text
            self._draw(now, text() if callable(text) else text)
        if self._terminal:
            self._write("\n")
            self._drawn_width = 0

    def _draw(self, now: float, text: str) -> None:
        self._drawn_text, self._drawn_step = text, self.step
        line = "  ".join(part for part in (self._position(), *self._speed(now), " ".join(text.split())) if part)
        if not self._terminal:
            self._write(line + "\n")
            return
        # One column stays free: a full line would wrap, and "\r" then goes back too little.
        line = line[: self._columns() - 1]
        self._write("\r" + line.ljust(self._drawn_width))
        self._drawn_width = len(line)

    def _position(self) -> str:
        fraction = min(max(self.step / self.total, 0.0), 1.0) if self.total > 0 else 1.0
        # Rounded down: 100% is for a job that is done.
        counted = f"{int(100 * fraction):3d}% {self.step}/{self.total}"
        if not self._terminal:
            return f"{self.title} {counted.strip()}".strip()
        wide = (getattr(self._stream, "encoding", None) or "").lower().startswith("utf")
        full, empty = ("━", "─") if wide else ("#", "-")
        filled = int(_BAR_WIDTH * fraction)
        return f"{self.title} {full * filled}{empty * (_BAR_WIDTH - filled)} {counted}".strip()

    def _speed(self, now: float) -> tuple[str, ...]:
        elapsed, done = now - self._began, self.step - self.start
        if elapsed <= 0 or done <= 0:
            return ()
        rate = done / elapsed
        speed = f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s each"
        left = max(self.total - self.step, 0) / rate
        return (speed, f"{_duration(left)} left") if left else (speed, f"{_duration(elapsed)} in all")

    def _columns(self) -> int:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            if self._stream is not None:
                return os.get_terminal_size(self._stream.fileno()).columns or 80
        return shutil.get_terminal_size().columns

    def _write(self, words: str) -> None:
        # A terminal that went away must not end a training of ten hours.
        with contextlib.suppress(OSError, ValueError):
            if self._stream is not None:
                self._stream.write(words)
                self._stream.flush()


def _duration(seconds: float) -> str:
    """Seconds as a person says them: 0:07, 12:30, 3:05:00."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def say(text: str) -> None:
    """Write lines of their own to stderr, beside no job at all; a stream that is closed stops nothing."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
