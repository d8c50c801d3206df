"""Every example runs as a user runs it, and leaves the files that it promises.

An example promises files in its docstring: a line that begins with "Writes" and names them in backticks. If it knows
`--smoke` it is run with it, so that it is quick.
"""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from toy_folder import make_faces

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
# What an example needs on its command line; RUN and faces/ are names in the temporary folder that it is run in.
ARGUMENTS = {"trump_biden.py": ["faces", "--out", "RUN"]}


def promised_files(source: str) -> list[str]:
    docstring = ast.get_docstring(ast.parse(source)) or ""
    promises = re.findall(r"^Writes .*?(?=\n\n|\Z)", docstring, re.MULTILINE | re.DOTALL)
    return [name for promise in promises for name in re.findall(r"`([^`]+)`", promise)]


def test_there_are_examples():
    assert {"quickstart.py", "custom_encoder.py", "trump_biden.py"} <= {path.name for path in EXAMPLES.glob("*.py")}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_the_example_runs_and_writes_what_it_promises(path, tmp_path):
    source = path.read_text(encoding="utf-8")
    promised = promised_files(source)
    assert promised, f'{path.name}: its docstring has no line such as "Writes `swap.png` and `swapper/config.json`."'
    arguments = ARGUMENTS.get(path.name, [])
    if "faces" in arguments:
        make_faces(tmp_path / "faces")
    if '"--smoke"' in source:
        arguments = [*arguments, "--smoke"]
    done = subprocess.run(
        [sys.executable, str(path), *arguments],
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{path.name} {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
    there = sorted(file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*"))
    missing = [name for name in promised if not (tmp_path / name).exists()]
    assert missing == [], f"{path.name} promises {missing} and wrote {there}"


def test_promises_are_read_from_the_docstring():
    source = '"""An example.\n\nWrites `a.png` and\n`b/config.json`.\n\nNeeds `nothing`.\n"""\n'
    assert promised_files(source) == ["a.png", "b/config.json"]
