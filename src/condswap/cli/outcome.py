"""What came of a command: words for a person, facts for a program."""

import argparse
import contextlib
import json
import math
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from condswap.errors import DataError
from condswap.files import write_atomically
from condswap.progress import say

STDOUT = Path("-")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a command says at its end.

    Attributes:
        words: for a person.
        facts: for a program; paths, and numbers that do not exist, are made into what JSON holds.
        status: the exit status.
    """

    words: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    status: int = 0


def add_json(parser: argparse.ArgumentParser | argparse._ArgumentGroup, what: str = "what was made") -> None:
    """Add the option `--json`."""
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help=f"write {what} as JSON to FILE, or, for -, to standard output in place of the words",
    )


def check_places(paths: Iterable[Path | None], *, made: object = None) -> None:
    """Find out before the work, not after it, that a file could not be written.

    Args:
        paths: of the files; None and - are passed over.
        made: the folder that the command makes, if it makes one.

    Raises:
        DataError: one of them could not be written.
    """
    for path in paths:
        if path is None or path == STDOUT:
            continue
        if path.is_dir():
            raise DataError(f"{path} is a folder; give the name of a file in it")
        if path.exists() and not path.is_file():
            raise DataError(f"{path} is a device or a pipe, not a file; give the name of a file")
        if path.parent.is_dir():
            if not os.access(path.parent, os.W_OK | os.X_OK):
                raise DataError(f"{path} cannot be written; choose another folder, or allow writing in {path.parent}")
        elif path.parent != made:
            raise DataError(f"{path} cannot be written: there is no folder {path.parent}; make it first")


def tell(outcome: Outcome, file: Path | None) -> None:
    """Write the facts where they are wanted, and the words, unless the facts take their place.

    Raises:
        DataError: the facts or the words cannot be written.
    """
    words = outcome.words
    if file is not None:
        facts = json.dumps(_plain(outcome.facts), indent=2, allow_nan=False) + "\n"
        if file == STDOUT:
            words = facts
        else:
            write_atomically(file, facts.encode())
    write(words)


def write(words: str) -> None:
    """Write to standard output, and pass over a reader who has seen enough, as `head` does: the work itself is done.

    Raises:
        DataError: it cannot be written for another reason, such as a full disk.
    """
    if sys.stdout is None:  # it was closed from the beginning
        return
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        # A file may have a name that the terminal, or any text at all, has no letters for.
        sys.stdout.write(words.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
    except OSError as error:
        with contextlib.suppress(OSError, ValueError):  # or Python tries once more at its end, and complains
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            reason = error.strerror or type(error).__name__
            raise DataError(f"could not write to standard output: {reason}; send it to another place") from error


def _plain(value: Any) -> Any:
    """Give what JSON holds: a number that does not exist is null, a path its text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    return str(value) if isinstance(value, Path) else [_plain(one) for one in value]


def reasons(left_out: Iterable[tuple[Path, str]]) -> list[dict[str, Any]]:
    """Give what was left out, and why, as facts."""
    return [{"path": path, "reason": reason} for path, reason in left_out]


def tell_left_out(left_out: Iterable[tuple[Path, str]]) -> None:
    """Say what was left out, and why."""
    for path, reason in left_out:
        say(f"left out {path}: {reason}")
