"""The command line: argument parsing and nothing else."""

import argparse
import shlex
import signal
from collections.abc import Sequence

from condswap.cli.arguments import parser
from condswap.cli.outcome import check_places, tell
from condswap.errors import CondswapError
from condswap.progress import say
from condswap.training.distributed import rank
from condswap.training.interrupt import Ended, ended_like_ctrl_c


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the result is the exit code.

    0, 1 for bad input, 2 for a wrong argument, 130 for Ctrl-C, and 143 or 129 where the system asked for an end.
    """
    try:
        return _run(parser().parse_args(arguments))
    except CondswapError as error:
        say(f"condswap: {' '.join(str(error).split())}")
        return 1


def _run(given: argparse.Namespace) -> int:
    try:
        with ended_like_ctrl_c():
            file = getattr(given, "json", None)
            check_places([file], made=getattr(given, "out", None))
            outcome = given.run(given)
            if outcome is None:  # such as one of several processes: the first says what came of it
                return 0
            tell(outcome, file)
            return outcome.status
    except KeyboardInterrupt as stop:
        words = {name: shlex.quote(str(value)) for name, value in vars(given).items()}
        if rank() == 0:
            say(f"\ncondswap: stopped; {given.go_on.format(**words)}")
        return 128 + (stop.number if isinstance(stop, Ended) else signal.SIGINT)
