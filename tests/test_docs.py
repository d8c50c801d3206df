"""Every page of the documentation does what it says: its code runs, and its commands exist.

A page's Python blocks run in their order, in one folder and with one set of names, as if somebody typed them in; the comments
that `test_readme.py` knows go for these, too. In the tutorials the lines that call condswap run as well, between them. Whether
links lead somewhere is for `make docs` to say, which builds the site and takes every broken one for an error.
"""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from test_readme import NOT_RUN, README, Block, blocks, commands, help_of, inline_links, reference_links, run_blocks
from toy_folder import make_faces

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
INCLUDED = '--8<-- "'  # a file that is shown, and that has a test of its own
PAGES = sorted(
    page
    for page in DOCS.rglob("*.md")
    if re.search(r"^```(python|bash)", page.read_text(encoding="utf-8"), re.MULTILINE)
)
TUTORIALS = [page for page in PAGES if page.parent.name == "tutorials"]
TRAINING = ("demo", "train")  # the commands that take --steps, and long without
# Words of ours that the site shows from the root of the repository: their links lead from there on GitHub.
AT_THE_ROOT = sorted(path for path in ROOT.glob("*.md") if path.name != "README.md")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def code_of(text: str, *languages: str) -> list[Block]:
    found = [block for language in languages for block in blocks(text, language)]
    return sorted((block for block in found if not block.code.startswith(INCLUDED)), key=lambda block: block.line)


def hurried(words: list[str]) -> list[str]:
    """The same command with a thousandth of the training steps, at least one."""
    if words[0] not in TRAINING:
        return words
    words = words if "--steps" in words else [*words, "--steps", "2000"]
    place = words.index("--steps") + 1
    return [*words[:place], str(max(1, int(words[place]) // 1000)), *words[place + 1 :]]


def run_commands(block: Block) -> None:
    from condswap.cli import main

    for line in commands(f"```bash\n{block.code}```\n", "condswap"):
        words = hurried(shlex.split(" ".join(line)))
        assert main(words) == 0, f"line {block.line}: condswap {shlex.join(words)}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_of_the_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    languages = ("python", "bash") if page in TUTORIALS else ("python",)
    names: dict[str, object] = {"__name__": page.stem}
    for block in code_of(text, *languages):
        if block.language == "python":
            run_blocks([block], tmp_path, names)
        elif not block.note.startswith(NOT_RUN):
            if "needs faces/" in block.note and not (tmp_path / "faces").exists():
                make_faces(tmp_path / "faces")
            run_commands(block)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_block_of_the_page_is_missed(page):
    text = page.read_text(encoding="utf-8")
    for language in ("python", "bash"):
        assert len(blocks(text, language)) == len(re.findall(rf"^\s*```{language}", text, re.MULTILINE)), language


@pytest.mark.parametrize("page", [README, *PAGES], ids=name_of)
def test_every_command_and_option_of_the_page_exists(page, monkeypatch, capsys):
    for words in commands(page.read_text(encoding="utf-8"), "condswap"):
        command = words[:1] if words and not words[0].startswith("-") else []
        known = help_of(command, monkeypatch, capsys)
        for option in [word.split("=")[0] for word in words if word.startswith("-")]:
            assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", known), f"{option} of: {' '.join(words)}"


@pytest.mark.parametrize("page", [*sorted(DOCS.rglob("*.md")), *ROOT.glob("*.md")], ids=name_of)
def test_every_extra_that_the_page_installs_exists(page):
    named = re.findall(r"condswap\[([\w,]+)\]", page.read_text(encoding="utf-8"))
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert {extra for names in named for extra in names.split(",")} <= set(extras)


@pytest.mark.parametrize("page", AT_THE_ROOT, ids=lambda path: path.name)
def test_every_link_of_a_page_at_the_root_leads_to_a_file(page):
    text = page.read_text(encoding="utf-8")
    targets = [*inline_links(text), *reference_links(text).values()]
    assert [target for target in targets if not (ROOT / target.split("#")[0]).exists()] == []


def test_a_command_is_hurried():
    assert hurried(["train", "faces/", "--steps", "4000", "--out", "run/"]) == [
        "train",
        "faces/",
        "--steps",
        "4",
        "--out",
        "run/",
    ]
    assert hurried(["demo"]) == ["demo", "--steps", "2"]
    assert hurried(["verify", "a.png"]) == ["verify", "a.png"]
