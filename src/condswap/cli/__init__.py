"""The command line: argument parsing and nothing else."""

import contextlib
import shlex
import signal
import sys
from collections.abc import Sequence

from condswap.cli.arguments import parser
from condswap.errors import CondswapError
from condswap.training.distributed import rank
from condswap.training.interrupt import Ended, ended_like_ctrl_c


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the result is the exit code.

    0, 1 for bad input, 2 for a wrong argument, 130 for Ctrl-C, and 143 or 129 where the system asked for an end.
    """
    given = parser().parse_args(arguments)
    try:
        with ended_like_ctrl_c():
            return int(given.run(given) or 0)
    except CondswapError as error:
        sys.stderr.write(f"condswap: {' '.join(str(error).split())}\n")
        return 1
    except KeyboardInterrupt as stop:
        words = {name: shlex.quote(str(value)) for name, value in vars(given).items()}
        if rank() == 0:
            with contextlib.suppress(OSError):  # a terminal that was closed
                sys.stderr.write(f"\ncondswap: stopped; {given.go_on.format(**words)}\n")
        return 128 + (stop.number if isinstance(stop, Ended) else signal.SIGINT)
