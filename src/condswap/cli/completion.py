"""What a shell completes when TAB is pressed: a script that `shtab` writes once, so that nothing of ours runs then."""

import argparse
from pathlib import Path

from condswap.cli.kinds import export_file
from condswap.cli.parsing import Commands
from condswap.errors import ConfigError

SHELLS = ("bash", "zsh", "tcsh")
_FOLDERS = ("MODEL", "RUN", "DIR", "FACES/PERSON")
_FILES = ("FACES", "WHO")  # or folders


def script(program: argparse.ArgumentParser, shell: str) -> str:
    """Give the script for a shell.

    Raises:
        ConfigError: shtab is missing.
    """
    try:
        import shtab
    except ImportError as error:
        raise ConfigError('the script is written by shtab: pip install "condswap[completion]"') from error
    added = commands(program)
    added.help = "what to do"  # shtab passes over what has no help
    for parser in (program, *added.choices.values()):
        for action in parser._actions:
            if action.metavar in _FOLDERS:
                action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
            elif action.type in (Path, export_file) or action.metavar in _FILES or "FILE" in str(action.metavar):
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    return str(shtab.complete(program, shell=shell))


def commands(program: argparse.ArgumentParser) -> Commands:
    """Give the commands of a program."""
    return next(action for action in program._actions if isinstance(action, argparse._SubParsersAction))
