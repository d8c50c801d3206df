"""The command line, as a person meets it: exit codes, one line on stderr, no traceback."""

import os
import shlex
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import condswap
from condswap import demo
from condswap.cli import main
from condswap.errors import DataError
from condswap.evaluation import Fidelity

PROJECT = Path(__file__).resolve().parents[1]


def leave(arguments):
    """Run the command line and give its exit code, also where argparse leaves."""
    try:
        return main(arguments)
    except SystemExit as end:
        return end.code


@pytest.fixture
def calls(monkeypatch):
    """The demo, without the two minutes."""
    made = []

    def run(out, *, steps, seed, resume):
        made.append((out, steps, seed, resume))
        figures = Fidelity(reconstruction=0.9, swap=0.8125, unchanged=0.5, moved=0.75)
        return demo.Demo(
            fidelity=figures, swaps=out / "swaps.png", progress=out / "progress.png", model=out / "swapper"
        )

    monkeypatch.setattr(demo, "run", run)
    return made


def test_help_lists_the_commands(capsys):
    assert leave(["--help"]) == 0
    told = capsys.readouterr()
    assert "usage: condswap" in told.out
    assert "demo" in told.out
    assert told.err == ""


def test_help_of_a_command_names_its_options(capsys):
    assert leave(["demo", "--help"]) == 0
    told = capsys.readouterr().out
    assert [word for word in ("--out", "--steps", "--seed", "--resume", "2000") if word not in told] == []


def test_version_is_that_of_the_package(capsys):
    assert leave(["--version"]) == 0
    assert capsys.readouterr().out == f"condswap {condswap.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["demo", "--fly"], "--fly"),
        (["demo", "extra"], "extra"),
        (["demo", "--steps", "0"], "'0' is not a whole number from 1 up"),
        (["demo", "--steps", "-5"], "'-5' is not a whole number from 1 up"),
        (["demo", "--steps", "many"], "'many' is not a whole number from 1 up"),
        (["demo", "--steps", "1.5"], "'1.5' is not"),
        (["demo", "--steps"], "--steps"),
        (["demo", "--seed", "x"], "'x' is not"),
        (["demo", "--seed", "-1"], "'-1' is not"),
        (["demo", "--seed", str(2**70)], "is not a whole number from 0"),
    ],
)
def test_a_wrong_argument_exits_2_and_is_named(arguments, words, capsys, calls):
    assert leave(arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert words in told.err
    assert "Traceback" not in told.err
    assert calls == []


def test_the_arguments_reach_the_demo_and_the_figures_are_printed(capsys, calls):
    assert leave(["demo", "--out", "there", "--steps", "7", "--seed", "3", "--resume"]) == 0
    assert calls == [(Path("there"), 7, 3, True)]
    told = capsys.readouterr()
    for figure in ("0.812", "0.500", "0.900", "75%", "there/swaps.png", "there/progress.png", '"there/swapper"'):
        assert figure in told.out, told.out
    assert told.err == ""


def test_the_demo_has_defaults(calls):
    assert leave(["demo"]) == 0
    assert calls == [(Path("demo"), 2000, 0, False)]


def test_bad_input_exits_1_with_one_line(monkeypatch, capsys):
    def run(*args, **kwargs):
        raise DataError("the file\nis bad;   mend it")

    monkeypatch.setattr(demo, "run", run)
    assert leave(["demo"]) == 1
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "condswap: the file is bad; mend it\n")


def test_an_out_that_cannot_be_written_exits_1_with_one_line_before_any_work(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert leave(["demo", "--out", str(tmp_path / "file" / "demo")]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("condswap: ")
    assert told.err.count("\n") == 1
    assert str(tmp_path / "file") in told.err


def test_nothing_to_resume_exits_1_with_the_cure(tmp_path, capsys):
    assert leave(["demo", "--out", str(tmp_path), "--resume"]) == 1
    assert "leave --resume out" in capsys.readouterr().err


def test_ctrl_c_exits_130_and_says_how_to_go_on(monkeypatch, capsys):
    def run(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "run", run)
    assert leave(["demo", "--out", "my demo", "--steps", "9"]) == 130
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    assert "'my demo'/swapper" in told.err
    command = shlex.split(told.err.split("`")[1])
    assert command == ["condswap", "demo", "--out", "my demo", "--steps", "9", "--resume"]


def test_what_ctrl_c_recommends_is_a_command_that_resumes(calls):
    assert leave(["demo", "--out", "my demo", "--steps", "9", "--resume"]) == 0
    assert calls == [(Path("my demo"), 9, 0, True)]


def test_the_installed_command_is_this_one():
    scripts = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    module, name = scripts["condswap"].split(":")
    assert getattr(import_module(module), name) is main


def as_a_person(*arguments, folder):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "condswap", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_python_m_condswap_is_the_same_program(tmp_path):
    (tmp_path / "file").write_text("mine")
    done = as_a_person("demo", "--out", "file/demo", folder=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("condswap: file/demo cannot be made")
    assert done.stderr.count("\n") == 1
    wrong = as_a_person("fly", folder=tmp_path)
    assert wrong.returncode == 2
    assert "usage: condswap" in wrong.stderr
