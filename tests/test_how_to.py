"""The pages on how to do things: their code runs."""

from pathlib import Path

import pytest
from test_readme import blocks, run_blocks

PAGES = sorted((Path(__file__).resolve().parents[1] / "docs" / "how-to").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_python_block_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    found = blocks(text, "python")
    assert len(found) == text.count("\n```python")
    run_blocks(found, tmp_path)
