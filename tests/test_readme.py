"""The README does what it says: its code runs, its commands exist, its links lead somewhere, here and on the site.

The Python blocks run in their order, in one folder and with one set of names, as if somebody typed them in. An HTML
comment before a block says what the test has to know:

    <!-- test: needs faces/ -->      makes a folder faces/ of toy pictures with the classes biden and trump
    <!-- test: not run: WHY -->      the block is compiled and its imports are made, but it is not run

Training is cut short: `steps=2000` becomes `steps=2`.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from toy_folder import make_faces

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
FRONT_PAGE = ROOT / "docs" / "index.md"
BLOCK = re.compile(
    r"(?:^<!-- test: (?P<note>.*?) -->\n\s*)?^```(?P<language>\w+)[^\n]*\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
NOT_RUN = "not run: "


class Block(NamedTuple):
    language: str
    code: str
    note: str
    line: int


def blocks(text: str, language: str) -> list[Block]:
    found = [
        Block(match["language"], match["code"], match["note"] or "", text.count("\n", 0, match.start("code")) + 1)
        for match in BLOCK.finditer(text)
    ]
    return [block for block in found if block.language == language]


def shortened(code: str) -> str:
    """The same code with a thousandth of the training steps, at least one."""

    def fewer(match: re.Match[str]) -> str:
        return f"steps={max(1, int(match[1].replace('_', '')) // 1000)}"

    return re.sub(r"\bsteps=([\d_]+)", fewer, code)


def run_blocks(found: list[Block], folder: Path, names: dict[str, object] | None = None) -> dict[str, object]:
    names = {"__name__": "readme"} if names is None else names
    for block in found:
        if "needs faces/" in block.note and not (folder / "faces").exists():
            make_faces(folder / "faces")
        # Blank lines before the code make the line numbers of a traceback those of the README.
        code = "\n" * (block.line - 1) + shortened(block.code)
        if block.note.startswith(NOT_RUN):
            only_imports = [n for n in ast.parse(code).body if isinstance(n, ast.Import | ast.ImportFrom)]
            exec(compile(ast.Module(only_imports, []), "README.md", "exec"), names)
        else:
            exec(compile(code, "README.md", "exec"), names)
    return names


def reference_links(text: str) -> dict[str, str]:
    """The definitions `[name]: target` whose target is a file of ours."""
    found = re.findall(r"^\[([^\]]+)\]: +(\S+)", text, re.MULTILINE)
    return {name.lower(): target for name, target in found if not re.match(r"[a-z]+:|#", target)}


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", BLOCK.sub("", text))


def inline_links(text: str) -> list[str]:
    """The files of ours that are linked as `[text](file)` or by an HTML attribute."""
    text = without_code(text)
    found = re.findall(r"\]\(([^)\s]+)", text) + re.findall(r"""\b(?:src|href|srcset)=["']([^"'\s]+)""", text)
    return [target for target in found if not re.match(r"[a-z]+:|#", target)]


def commands(text: str, program: str) -> Iterator[list[str]]:
    """The words after `program` wherever a bash block calls it."""
    for block in blocks(text, "bash"):
        for line in block.code.replace("\\\n", " ").splitlines():
            for command in re.split(r"&&|\|\||[;|]", line.split(" #")[0]):
                words = command.removeprefix("$ ").split()
                while words and "=" in words[0]:
                    words = words[1:]  # NAME=value before the command
                if words[:3] == ["python", "-m", program]:
                    words = words[2:]
                if words[:1] == [program]:
                    yield words[1:]


@pytest.fixture(scope="module")
def readme() -> str:
    return README.read_text(encoding="utf-8")


def test_every_python_block_of_the_readme_runs(readme, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = blocks(readme, "python")
    assert len(found) == readme.count("\n```python"), "a block of the README is not recognised by this test"
    assert any(not block.note.startswith(NOT_RUN) for block in found)
    run_blocks(found, tmp_path)


def test_every_make_target_of_the_readme_exists(readme):
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    named = [word for words in commands(readme, "make") for word in words if "=" not in word]
    assert set(named) - set(targets) == set()


def help_of(command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    from condswap.cli import main

    monkeypatch.setattr(sys, "argv", ["condswap", *command, "--help"])
    with pytest.raises(SystemExit) as stopped:
        main()
    text = capsys.readouterr()
    assert stopped.value.code in (0, None), f"condswap {' '.join(command)}: {text.err}"
    return text.out


def test_the_readme_links_by_reference_so_that_the_site_can_link_elsewhere(readme):
    assert inline_links(readme) == [], (
        "write ![text][name] or [text][name], with [name]: path at the end of README.md and [name]: page at the end of "
        "docs/index.md: GitHub and the site look for the same file in different places"
    )


def test_every_link_of_the_readme_leads_to_a_file(readme):
    missing = [target for target in reference_links(readme).values() if not (ROOT / target.split("#")[0]).exists()]
    assert missing == []


def test_every_link_of_the_readme_leads_to_the_same_thing_on_the_site(readme):
    here, there = reference_links(readme), reference_links(FRONT_PAGE.read_text(encoding="utf-8"))
    assert sorted(here) == sorted(there), "README.md and docs/index.md define the same links, each for its own place"
    for name, target in there.items():
        page = (FRONT_PAGE.parent / target.split("#")[0]).resolve()
        assert page.is_file(), f"docs/index.md: [{name}] leads to {target}, which is not there"
        if page != (ROOT / here[name].split("#")[0]).resolve():
            # A file outside docs/ has a page there that shows it.
            shown = re.findall(r'^--8<-- "([^"]+)"', page.read_text(encoding="utf-8"), re.MULTILINE)
            assert any((ROOT / file).is_relative_to(ROOT / here[name].rstrip("/")) for file in shown), (
                f"[{name}] is {here[name]} in README.md and {target} on the site, which does not show it"
            )


def test_the_front_page_is_the_readme():
    assert '--8<-- "README.md"' in FRONT_PAGE.read_text(encoding="utf-8").splitlines()


SAMPLE = """# Sample

![faces][swaps] and [here](docs/a.md), `[not](a link)`

<!-- test: needs faces/ -->
```python
x = 1
trainer.fit(data, steps=2_000)
```

```python
y = x + 1
```

<!-- test: not run: needs the Hub -->
```python
import json
y = 1 / 0
```

```bash
$ FAST=1 make demo PYTHON=python3.13 && condswap train faces/ \\
    --out run  # or make tea
python -m condswap doctor faces/
```

[swaps]: docs/images/swaps.png
[hub]: https://huggingface.co
"""


def test_the_readers_of_this_file_read_right():
    assert [(b.note, b.line) for b in blocks(SAMPLE, "python")] == [
        ("needs faces/", 7),
        ("", 12),
        ("not run: needs the Hub", 17),
    ]
    assert shortened("fit(steps=2000, warm_steps=2000); fit(steps=4_000); fit(steps=3)") == (
        "fit(steps=2, warm_steps=2000); fit(steps=4); fit(steps=1)"
    )
    assert reference_links(SAMPLE) == {"swaps": "docs/images/swaps.png"}
    assert inline_links(SAMPLE) == ["docs/a.md"]
    assert list(commands(SAMPLE, "make")) == [["demo", "PYTHON=python3.13"]]
    assert list(commands(SAMPLE, "condswap")) == [["train", "faces/", "--out", "run"], ["doctor", "faces/"]]


def test_blocks_share_their_names_and_those_marked_are_not_run(tmp_path):
    found = blocks(SAMPLE.replace("trainer.fit(data, steps=2_000)", "").replace("needs faces/", "nothing"), "python")
    names = run_blocks(found, tmp_path)
    assert names["y"] == 2
    assert "json" in names


def test_a_block_that_fails_fails_the_test(tmp_path):
    with pytest.raises(NameError):
        run_blocks([Block("python", "undefined_name", "", 1)], tmp_path)
