"""How help reads, and what a misspelt word is answered with."""

import argparse
import difflib
import shutil
import sys
import textwrap
from collections.abc import Iterable
from typing import Any, NoReturn, TypeAlias

from condswap.cli.outcome import write

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

_WIDEST = 100  # longer lines are hard to read


class Formatter(argparse.HelpFormatter):
    """Fills paragraphs, and leaves lines that are indented as they are: examples."""

    def __init__(self, prog: str, *, help_column: int = 24) -> None:
        columns = shutil.get_terminal_size().columns - 2
        super().__init__(prog, max_help_position=help_column, width=min(max(columns, 40), _WIDEST))

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        parts = []
        for paragraph in text.split("\n\n"):
            lines = paragraph.splitlines()
            title, kept = (lines[:1], lines[1:]) if any(line.startswith(" ") for line in lines) else (lines, [])
            parts.append("\n".join([textwrap.fill(" ".join(title), width), *kept]))
        return textwrap.indent("\n\n".join(parts), indent)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)


class Parser(argparse.ArgumentParser):
    """Reads what was typed; what it does not know is answered with what is near."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**{"formatter_class": Formatter, **given})
        self._positionals.title = "arguments"

    def parse_known_args(self, args: Iterable[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Parse, and refuse what is unknown here, where the options of the command are known."""
        given, unknown = super().parse_known_args(args, namespace)
        if unknown:
            options = [word.partition("=")[0] for word in unknown if word.startswith("--")]
            hints = (near(option, self._option_string_actions) for option in options)
            self.error(f"unrecognized arguments: {' '.join(unknown)}{next(filter(None, hints), '')}")
        return given, unknown

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and where more is said."""
        self.print_usage(sys.stderr)
        self.exit(2, f"{self.prog}: error: {message}\nread on: {self.prog} --help\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        if file is None or file is sys.stderr:
            super()._print_message(message, sys.stderr)
        else:
            write(message)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = [str(one) for one in action.choices]
            words = f"invalid choice: {value!r}{near(str(value), known)}; choose from {', '.join(known)}"
            raise argparse.ArgumentError(action, words)


def near(word: str, known: Iterable[str]) -> str:
    """Ask whether a word that is known was meant; nothing where none is near.

    Example:
        >>> near("trian", ["train", "swap"])
        ' (did you mean train?)'
    """
    found = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {found[0]}?)" if found else ""


def examples(*lines: str) -> str:
    """Give the end of a command's help."""
    return "\n".join([f"example{'s' * (len(lines) > 1)}:", *(f"  condswap {line}" for line in lines)])


def short_usage(parser: argparse.ArgumentParser) -> str:
    """Give what has to be typed, and that there are options.

    Example:
        >>> parser = argparse.ArgumentParser(prog="condswap pack")
        >>> _ = parser.add_argument("faces", metavar="FACES")
        >>> _ = parser.add_argument("--out", metavar="FILE", required=True)
        >>> short_usage(parser)
        'condswap pack FACES --out FILE [options]'
    """
    words = [parser.prog]
    for action in parser._actions:
        name = str(action.metavar or action.dest)
        if not action.option_strings:
            words.append({"+": f"{name}...", "?": f"[{name}]"}.get(str(action.nargs), name))
        elif action.required:
            words.append(f"{action.option_strings[-1]} {name}")
    return " ".join([*words, "[options]"])
