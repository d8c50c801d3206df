"""What the command line says of itself: help, completion, what it asks of a misspelt word, and the page made of all that."""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from condswap.cli import main
from condswap.cli.arguments import parser
from condswap.cli.completion import commands

ROOT = Path(__file__).resolve().parents[1]
NAMES = list(commands(parser()).choices)


def leave(arguments):
    """Run the command line and give its exit code, also where argparse leaves."""
    try:
        return main(arguments)
    except SystemExit as end:
        return end.code


def help_of(words, columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert leave([*words, "--help"]) == 0
    return capsys.readouterr().out


def test_the_commands_are_grouped_by_what_one_does(monkeypatch, capsys):
    told = help_of([], 80, monkeypatch, capsys)
    found: dict[str, list[str]] = {}
    for line in told.split("\nfrom two videos")[0].splitlines():
        if line.endswith(":"):
            found[line[:-1]] = []
        elif match := re.match(r"  ([a-z][\w-]*)(?: |$)", line):
            found[list(found)[-1]].append(match[1])
    assert found == {
        "try it": ["demo"],
        "faces": ["extract", "doctor", "pack"],
        "train": ["train"],
        "use": ["swap", "app"],
        "measure": ["evaluate", "verify"],
        "exchange models": ["export", "import-dfl"],
        "options": [],
    }
    assert sorted(NAMES) == sorted(name for names in found.values() for name in names)


def test_the_usual_way_is_told_in_its_order(monkeypatch, capsys):
    told = help_of([], 80, monkeypatch, capsys).split("from two videos to a swapped one:")[1]
    assert re.findall(r"^  condswap (\w+)", told, re.MULTILINE) == ["extract", "doctor", "train", "swap", "verify"]


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("words", [[], *([name] for name in NAMES)], ids=lambda words: " ".join(words) or "condswap")
def test_help_fits_the_terminal(words, columns, monkeypatch, capsys):
    told = help_of(words, columns, monkeypatch, capsys)
    assert [line for line in told.splitlines() if len(line) > min(columns, 100)] == []
    assert told.startswith(f"usage: {' '.join(['condswap', *words])} ")


@pytest.mark.parametrize("words", [[], *([name] for name in NAMES)], ids=lambda words: " ".join(words) or "condswap")
def test_every_help_ends_with_examples_that_can_be_typed(words, monkeypatch, capsys):
    told = help_of(words, 80, monkeypatch, capsys)
    examples = re.findall(r"^  (condswap .*)$", told, re.MULTILINE)
    assert examples
    for example in examples:
        given = parser().parse_args(shlex.split(example, comments=True)[1:])
        assert callable(given.run), example
        assert given.go_on


@pytest.mark.parametrize("name", NAMES)
def test_every_default_is_told_and_is_that_of_the_parser(name):
    command = commands(parser()).choices[name]
    for action in command._actions:
        assert action.help, action.dest
        if action.default not in (None, False) and action.option_strings and action.dest != "help":
            assert "(default: %(default)s" in action.help, f"condswap {name} {action.option_strings[0]}"


# The page


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("command_line", ROOT / "docs" / "command_line.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_command_line_says(script):
    assert script.PAGE.read_text(encoding="utf-8") == script.page(), "run: make reference"


def test_the_page_names_every_option_once(script):
    sections = dict(re.findall(r"^## condswap ([\w-]+)\n(.*?)(?=^## |\Z)", script.page(), re.MULTILINE | re.DOTALL))
    assert list(sections) == NAMES
    for name, section in sections.items():
        known = [one for action in commands(parser()).choices[name]._actions for one in action.option_strings]
        assert sorted(re.findall(r"^\| `(--[a-z][\w-]*)", section, re.MULTILINE)) == sorted(
            one for one in known if one.startswith("--") and one != "--help"
        )


def test_a_link_whose_words_are_gone_is_not_lost_in_silence(script, monkeypatch):
    monkeypatch.setitem(script.LINKS, "demo", {"words that nobody wrote": "there.md"})
    with pytest.raises(SystemExit, match="condswap demo: 'words that nobody wrote' is there 0 times"):
        script.page()


# Misspelt


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian"], "invalid choice: 'trian' (did you mean train?); choose from demo, extract"),
        (["import"], "invalid choice: 'import' (did you mean import-dfl?)"),
        (["train", "faces", "--out", "run", "--stps", "3"], "unrecognized arguments: --stps 3 (did you mean --steps?)"),
        (["train", "faces", "--out", "run", "--batchsize=3"], "--batchsize=3 (did you mean --batch-size?)"),
        (["train", "faces", "--out", "run", "--precision", "bfloat"], "'bfloat' (did you mean bfloat16?)"),
        (["--versoin"], "--versoin (did you mean --version?)"),
        (["swap", "m", "i", "--to", "b", "--out", "o.mp4", "--preset", "fastest"], "'fastest' (did you mean faster?)"),
    ],
)
def test_a_misspelt_word_is_answered_with_the_near_one(arguments, words, capsys):
    assert leave(arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert words in told.err
    name = " ".join(["condswap", *arguments[:1]]) if arguments[0] in NAMES else "condswap"
    assert told.err.splitlines()[0].startswith(f"usage: {name} ")
    assert told.err.splitlines()[-1] == f"read on: {name} --help"


def test_what_is_near_to_nothing_is_answered_with_nothing(capsys):
    assert leave(["verify", "a.png", "--fly", "-x", "more"]) == 2
    assert "unrecognized arguments: --fly -x more\n" in capsys.readouterr().err


def test_no_command_at_all_is_answered_with_the_help(capsys):
    assert leave([]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "from two videos to a swapped one:" in told.err


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--to", "anna=0.5,anna=0.7", "names anna twice"),
        ("--erode", "nan", "'nan' is not a number"),
        ("--erode", "-inf", "'-inf' is not a number"),
        ("--feather", "nan", "'nan' is not a number from 0 up"),
        ("--quality", "52", "'52' is no quality of x264, from 0, the best, to 51"),
        ("--preset", "mad", "invalid choice: 'mad'"),
        ("--device", "meta", "'meta' is no device; give cpu, cuda, cuda:1 or mps"),
        ("--device", "cuda:x", "'cuda:x' is no device"),
    ],
)
def test_what_cannot_be_meant_is_told_before_any_work(option, value, words, capsys):
    given = ["swap", "nowhere", "in.png", "--to", "anna", "--out", "out.png", f"{option}={value}"]
    assert leave(given) == 2
    assert words in capsys.readouterr().err


# Completion


@pytest.fixture(scope="module")
def bash(tmp_path_factory):
    """Press TAB at the end of a line, in a real bash, and give what comes."""
    pytest.importorskip("shtab")
    if shutil.which("bash") is None:
        pytest.skip("there is no bash here")
    folder = tmp_path_factory.mktemp("tab")
    (folder / "faces").mkdir()
    (folder / "clip.mp4").touch()
    written = subprocess.run([sys.executable, "-m", "condswap", "--print-completion", "bash"], capture_output=True)
    assert written.returncode == 0, written.stderr
    (folder / "script").write_bytes(written.stdout)
    press = """
        source ./script
        function=$(complete -p condswap | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
        COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
        $function condswap "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
        printf '%s\\n' "${COMPREPLY[@]}"
    """

    def tab(line):
        words = line.split(" ")
        given = f"COMP_WORDS=({' '.join(map(shlex.quote, words))}); COMP_LINE={shlex.quote(line)}"
        # No Python on the way: pressing TAB imports nothing.
        done = subprocess.run(
            ["bash", "--norc", "-c", f"{given}; COMP_POINT={len(line)}\n{press}"],
            cwd=folder, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"}, timeout=60,
        )  # fmt: skip
        assert done.stderr == ""
        return done.stdout.split()

    return tab


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("condswap tr", ["train"]),
        ("condswap ", NAMES),
        ("condswap --pr", ["--print-completion"]),
        ("condswap --print-completion ", ["bash", "zsh", "tcsh"]),
        ("condswap train --pre", ["--precision"]),
        ("condswap train --precision b", ["bfloat16"]),
        ("condswap swap --colour h", ["histogram"]),
        ("condswap train fa", ["faces"]),
        ("condswap verify cl", ["clip.mp4"]),
        ("condswap verify clip.mp4 --trust cl", ["clip.mp4"]),
        ("condswap train faces --out cl", []),  # a folder is wanted
        ("condswap train faces --out fa", ["faces"]),
        ("condswap swap faces cl", ["clip.mp4"]),
    ],
)
def test_tab_in_bash(bash, line, found):
    assert bash(line) == found


@pytest.mark.parametrize(("shell", "first"), [("zsh", "#compdef condswap"), ("tcsh", "# AUTOMATICALLY GENERATED")])
def test_the_scripts_of_other_shells_are_written(shell, first, capsys):
    pytest.importorskip("shtab")
    assert leave(["--print-completion", shell]) == 0
    told = capsys.readouterr()
    assert first in told.out.splitlines()[0]
    assert "import-dfl" in told.out
    assert told.err == ""


def test_without_shtab_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert leave(["--print-completion", "bash"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert 'pip install "condswap[completion]"' in told.err
    assert told.err.count("\n") == 1


def test_the_help_of_a_reader_who_left_and_of_a_full_disk():
    environment = {**os.environ, "COLUMNS": "80"}
    command = [sys.executable, "-m", "condswap", "--help"]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, env=environment)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
    if Path("/dev/full").exists():
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment)
        assert done.returncode == 1
        assert done.stderr == (
            "condswap: could not write to standard output: No space left on device; send it to another place\n"
        )
