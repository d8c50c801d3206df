"""Writes reference/command_line.md from the parser: python docs/command_line.py.

A table of links and examples of JSON are all that is written by hand here. A link stands for words that a help text has; where
they are no longer there, the page is not written.
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any

from condswap.cli.arguments import parser
from condswap.cli.completion import commands

PAGE = Path(__file__).parent / "reference" / "command_line.md"

HEAD = """\
# Command line

<!-- Made by `make reference` from what `condswap COMMAND --help` says: change it there, or in docs/command_line.py. -->

`condswap COMMAND --help` says the same in a terminal. `python -m condswap` is the same program, and `condswap --version` says
which one it is.

| | command | what it does |
|---|---|---|
{groups}

What came of a command goes to standard output. How far it is goes to standard error, as a bar on a terminal and as a plain
line every ten seconds elsewhere, and so does what had to be left out: a pipe gets nothing but the result.

## Exit status

| status | when |
|---|---|
| 0 | it is done |
| 1 | the input is bad: one line names the thing and the cure; `condswap doctor` and `condswap verify`: the answer is no |
| 2 | an argument is wrong |
| 130, 143, 129 | it was stopped: by Ctrl-C, by a system that asks programs to end (SIGTERM), by a closed terminal (SIGHUP) |

What is stopped keeps the work done so far, and says [how to go on](../how-to/resume.md).

## JSON

With `--json FILE` a command also writes what came of it as one JSON object; with `--json -` the object is printed in place of
the words, as it is by `condswap verify --json`. The section of each command shows its object. The file is written whole or not
at all, and only where the command did its work. Paths are as they were given, and a number that does not exist is `null`. Keys
may be added; those that are there keep their meaning.

```bash
condswap verify swapped.mp4 --json
condswap train faces/ --out run/ --json run/train.json
condswap pack faces/ faces.safetensors --json -
```

## Completion

The TAB key completes commands, options, their choices and files. `pip install "condswap[completion]"` brings what writes the
script; afterwards the shell reads the script alone, so that nothing waits for Python.

```bash
mkdir -p ~/.local/share/bash-completion/completions
condswap --print-completion bash > ~/.local/share/bash-completion/completions/condswap
```

For zsh it is a file `_condswap` in a folder of `$fpath`, such as `~/.zfunc`, with `fpath+=~/.zfunc` before `compinit` in
`~/.zshrc`; for tcsh it is read by `source` in `~/.tcshrc`:

```bash
condswap --print-completion zsh > ~/.zfunc/_condswap
condswap --print-completion tcsh > ~/.condswap.tcsh
```
"""

# Words of a command's help, and where more is said about them.
LINKS: dict[str, dict[str, str]] = {
    "demo": {"trains a small model on them": "../tutorials/first_swap.md"},
    "extract": {
        "writes those of the person who is shown most": "../how-to/video.md#faces-to-train-on",
        "how the faces are cut out": "../how-to/video.md#one-crop-for-all",
        "goes on with a run that was stopped": "../how-to/resume.md",
    },
    "doctor": {"what makes a training fail or its swaps poor": "../how-to/faces.md#what-the-doctor-looks-for"},
    "train": {
        "Trains one model for all the people": "../tutorials/two_people.md",
        "a report on them": "../how-to/report.md",
        "goes on with a run that was stopped": "../how-to/resume.md",
        "several processes share the work": "../how-to/speed.md#several-processes",
        "the part that puts one person in the place of another": "../how-to/bottleneck.md",
        "faster on a GPU": "../how-to/speed.md#half-precision",
        "for large pictures": "../how-to/speed.md#large-pictures",
        "for long runs": "../how-to/speed.md#compiled-steps",
    },
    "pack": {},
    "swap": {
        "marked as what it is": "../how-to/mark.md",
        "A video keeps its sound and its times": "../how-to/video.md",
        "a C2PA manifest": "../how-to/mark.md#sign-it",
        "how the model's faces were cut out": "../how-to/video.md#one-crop-for-all",
    },
    "app": {"Opens a page in the browser": "../how-to/page.md"},
    "evaluate": {"prints a report": "../how-to/report.md", "write the report there": "evaluation.md"},
    "export": {
        "Writes one target of a model to a file": "../how-to/export.md",
        "how the application of OUT.dfm cuts faces out": "../how-to/video.md#one-crop-for-all",
    },
    "import-dfl": {"a SAEHD model of DeepFaceLab's": "../how-to/deepfacelab.md"},
    "verify": {"Reads the marks of a picture or a video": "../how-to/mark.md"},
}

_LEFT_OUT = [{"path": "faces/anna/0007.jpg", "reason": "not a JPEG, PNG or WebP picture, or its beginning is broken"}]
_FIGURES = {"swap": 0.912, "unchanged": 0.334, "reconstruction": 0.953, "moved": 0.87}
_REPORT = {"verdict": "It swaps.", "warnings": [], "pictures": 288}

# What `--json` gives, where it is not long; numbers are made up. A test holds the keys against what the commands give.
FACTS: dict[str, dict[str, Any]] = {
    "demo": {
        "model": "demo/swapper",
        "swaps": "demo/swaps.png",
        "progress": "demo/progress.png",
        "steps": 2000,
        "seed": 0,
        "figures": _FIGURES,
    },
    "extract": {
        "faces": {"faces/anna": 212, "faces/anna-2": 61},
        "size": 256,
        "faces_left_out": {"of other people": 0, "not sharp": 14},
        "left_out": [{"path": "photos/beach.jpg", "reason": "no face was found in it"}],
    },
    "pack": {
        "file": "faces.safetensors",
        "bytes": 39323052,
        "pictures": 600,
        "classes": ["anna", "bob"],
        "size": 128,
        "left_out": _LEFT_OUT,
    },
    "train": {
        "model": "run/swapper",
        "swaps": "run/swaps.png",
        "report_file": "run/report.md",
        "steps": 4000,
        "seed": 0,
        "left_out": _LEFT_OUT,
        "report": _REPORT,
    },
    "swap": {
        "files": ["out/one.jpg", "out/two.mp4"],
        "untouched": ["photos/tree.jpg"],
        "left_out": [],
        "lacking": [],
    },
    "export": {"file": "bob.dfm", "bytes": 20447232, "to": "bob", "size": 128},
    "import-dfl": {
        "model": "swapper",
        "classes": ["src", "dst"],
        "size": 224,
        "history": {"imported from": "DeepFaceLab SAEHD liae-ud", "steps": 310000},
    },
}
ABOUT_FACTS = {
    "train": "`report` has all the figures, as `condswap evaluate --json` writes them.",
    "swap": "`lacking` says what of a source its video lacks, such as subtitles. With `--preview` it is `preview`, the file, "
    "and `moments`, how many it shows.",
    "evaluate": "`--json` gives all that [Report](evaluation.md) has: each figure with its interval and its count.",
    "doctor": "`--json` gives `can_train`, the `people` with their counts, and the `findings` with their pictures.",
    "verify": "`--json` gives `synthetic`, `invalid`, and what the `xmp` and the `c2pa` manifest say, or `null`.",
}

# What is set as code: what is so already, options, names of files, models on the Hub, blends, names with _, and a few words.
TYPED = (
    r"`[^`]*`",
    r"--[a-z][\w-]*",
    r"[\w./-]*\.(?:onnx|dfm|png|jpg|webp|json|mp4|mov|md|task|dat|npy|pak|safetensors)\b",
    r"user/name[\w./]*",
    r"\w+=[\d.]+(?:,\w+=[\d.]+)*",
    r"\b[a-z]+(?:_[a-z]+)+\b",
    r"\./toy|\b(?:toy(?=:)|cuda|mps|cpu|torchrun|bfloat16|liae-ud|src,dst)\b|(?<!\S)-(?=[\s,])",
    r'"condswap\[c2pa\]"',
)


def page() -> str:
    """Give the page."""
    program = parser()
    parts = [HEAD.format(groups="\n".join(_groups(program)))]
    parts += [_section(name, command) for name, command in commands(program).choices.items()]
    return "\n".join(parts)


def _groups(program: argparse.ArgumentParser) -> list[str]:
    known = commands(program).choices
    rows = []
    for group in program._action_groups:
        named = [action for action in group._group_actions if action.dest in known]
        for action in named:
            title = f"**{group.title}**" if action is named[0] else ""
            rows.append(f"| {title} | [{action.dest}](#condswap-{action.dest}) | {action.help} |")
    return rows


def _section(name: str, command: argparse.ArgumentParser) -> str:
    lines = re.findall(r"^ +(condswap .*)$", command.epilog or "", re.MULTILINE)
    parts = ["\n".join(["```bash", *lines, "```"]), _marked(command.description or "", command)]
    parts.append("\n".join(["| argument or option | what it is | default |", "|---|---|---|", *_rows(command)]))
    if name in FACTS:
        parts.append("`--json` gives:" if name not in ABOUT_FACTS else f"`--json` gives this. {ABOUT_FACTS[name]}")
        parts.append(f"```json\n{json.dumps(FACTS[name], indent=2)}\n```")
    elif name in ABOUT_FACTS:
        parts.append(ABOUT_FACTS[name])
    text = "\n\n".join(parts)
    for words, target in LINKS[name].items():
        marked = _marked(words, command)
        if text.count(marked) != 1:
            raise SystemExit(f"condswap {name}: {marked!r} is there {text.count(marked)} times, and is to be a link")
        text = text.replace(marked, f"[{marked}]({target})")
    return f"## condswap {name}\n\n{text}\n"


def _rows(command: argparse.ArgumentParser) -> list[str]:
    rows = []
    for group in command._action_groups:
        actions = [action for action in group._group_actions if action.dest != "help"]
        if actions and group not in (command._positionals, command._optionals):
            rows.append(f"| **{group.title}** | | |")
        rows += [_row(action, command) for action in actions]
    return rows


def _row(action: argparse.Action, command: argparse.ArgumentParser) -> str:
    value = str(action.metavar or "") + ("..." if action.nargs == "+" else "")
    names = value.replace("|", "`, `") if not action.option_strings else f"{action.option_strings[-1]} {value}".strip()
    said = command._get_formatter()._expand_help(action)
    text, _, default = said.removesuffix(")").partition(" (default: ") if "(default: " in said else (said, "", "")
    if action.choices and not action.metavar:
        *first, last = (f"`{one}`" for one in action.choices)
        text = f"{', '.join(first)} or {last}; {text}"
    if action.required and action.option_strings:
        default = "*required*"
    given = str(action.default)
    if isinstance(action.default, str | Path) and default.startswith(given):
        default = f"`{given}`{default.removeprefix(given)}"
    return f"| `{names.replace('|', '`, `')}` | {_marked(text, command)} | {_marked(default, command)} |"


def _marked(text: str, command: argparse.ArgumentParser) -> str:
    """Set what is typed, and the names of files, as code."""
    words = {str(action.metavar) for action in command._actions if action.metavar and str(action.metavar).isupper()}
    names = "|".join(re.escape(word) for word in sorted(words | {"FACES/PERSON-2", "FACES/PERSON-3"}, reverse=True))
    typed = "|".join((*TYPED, rf"(?<![\w.`/])(?:{names})(?![\w/])"))
    return re.sub(typed, lambda found: f"`{found[0].strip('`')}`", text)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
