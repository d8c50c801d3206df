"""What a release says of itself in more than one place agrees."""

import re
import tomllib
from pathlib import Path

import condswap

ROOT = Path(__file__).resolve().parents[1]


def test_the_citation_is_of_this_version():
    said = re.findall(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert said == [condswap.__version__.removesuffix(".dev0")]


def test_the_changelog_begins_with_this_version():
    sections = re.findall(r"^## \[(.+?)\] - (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    version, date = sections[0]
    assert version == condswap.__version__.removesuffix(".dev0")
    assert re.fullmatch(r"unreleased|\d{4}-\d{2}-\d{2}", date)
    assert all(re.fullmatch(r"\d{4}-\d{2}-\d{2}", date) for _, date in sections[1:])


def test_the_sdist_has_every_file_that_the_documentation_shows():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    held = project["tool"]["hatch"]["build"]["targets"]["sdist"]["only-include"]
    shown = {
        name
        for page in (ROOT / "docs").rglob("*.md")
        for name in re.findall(r'--8<-- "([^"]+)"', page.read_text(encoding="utf-8"))
    }
    assert {"README.md", "SECURITY.md"} <= shown
    assert [name for name in sorted(shown) if name.split("/")[0] not in held] == []
    assert [name for name in held if not (ROOT / name).exists()] == []
