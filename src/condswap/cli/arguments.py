"""What can be typed."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import condswap
from condswap.cli.completion import SHELLS, script
from condswap.cli.exchange import add_export, add_import_dfl
from condswap.cli.faces import add_doctor, add_extract, add_pack
from condswap.cli.learning import add_train
from condswap.cli.measuring import add_evaluate, add_verify
from condswap.cli.outcome import Outcome
from condswap.cli.page import add_app
from condswap.cli.parsing import Commands, Formatter, Parser, short_usage
from condswap.cli.swapping import add_swap
from condswap.cli.trying import add_demo

_GROUPS: Mapping[str, Sequence[Callable[[Commands], None]]] = {
    "try it": [add_demo],
    "faces": [add_extract, add_doctor, add_pack],
    "train": [add_train],
    "use": [add_swap, add_app],
    "measure": [add_evaluate, add_verify],
    "exchange models": [add_export, add_import_dfl],
}
_THE_USUAL_WAY = """\
from two videos to a swapped one:
  condswap extract anna.mp4 --out faces/anna    # and the same for bob
  condswap doctor faces/                        # what would spoil the training
  condswap train faces/ --out run/
  condswap swap run/swapper anna.mp4 --to bob --out swapped.mp4
  condswap verify swapped.mp4                   # marked as made by a model

`condswap COMMAND --help` says all about a command. The documentation of the project tells it at length: docs/tutorials to
begin with, docs/how-to for a task, docs/reference/command_line.md for every option.\
"""


def parser() -> argparse.ArgumentParser:
    """Build the parser; every command brings the function that runs it, and the words on how to go on after Ctrl-C."""
    program = Parser(
        prog="condswap",
        description="Swaps faces by one model that shows any of the people it was trained on.",
        epilog=_THE_USUAL_WAY,
        formatter_class=partial(Formatter, help_column=14),
    )
    added: Commands = program.add_subparsers(metavar="COMMAND", parser_class=Parser)
    for title, commands in _GROUPS.items():
        first = len(added._choices_actions)
        for add in commands:
            add(added)
        # argparse lists all commands under one title; it takes the lines of each of ours from here.
        program.add_argument_group(title)._group_actions.extend(added._choices_actions[first:])
    program._positionals._group_actions.clear()
    # The options come last, behind the commands.
    program._action_groups.append(program._action_groups.pop(program._action_groups.index(program._optionals)))
    program.add_argument("--version", action="version", version=f"condswap {condswap.__version__}")
    program.add_argument(
        "--print-completion",
        choices=SHELLS,
        help="print what makes this shell complete commands, options and files when TAB is pressed; bash reads it from "
        "~/.local/share/bash-completion/completions/condswap, zsh from a file _condswap in a folder of its $fpath",
    )
    program.set_defaults(run=lambda given: _without_command(program, given.print_completion), go_on="nothing was done")
    for command in added.choices.values():
        command.usage = short_usage(command)
    program.usage = "condswap COMMAND ..."
    return program


def _without_command(program: argparse.ArgumentParser, shell: str | None) -> Outcome | None:
    """Do what can be asked for without naming a command."""
    if shell is None:
        program.print_help(sys.stderr)
        program.exit(2)
    return Outcome(words=script(program, shell))
