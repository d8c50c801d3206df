"""Fuzzing that is guided by coverage, with atheris: `make fuzz`; one target: `python tests/fuzz_guided.py pickle -runs=100000`.

An input that gives another error than condswap's own ends the run, and lies beside it as `crash-...`.
"""

import logging
import sys
import tempfile
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["condswap", "pickletools"]):
    import condswap.data.dfl_pak
    import condswap.data.packed
    import condswap.safe_pickle  # noqa: F401

from fuzz_targets import TARGETS, run


def main() -> None:
    """Fuzz one target from its seeds."""
    name, options = sys.argv[1], sys.argv[2:]
    warnings.simplefilter("ignore")
    logging.disable()
    corpus = Path(tempfile.mkdtemp())
    for number, seed in enumerate(TARGETS[name][1]()):
        (corpus / str(number)).write_bytes(seed)
    # libFuzzer's own bounds: a single input may take 2 GiB and 60 seconds.
    atheris.Setup(
        [sys.argv[0], "-rss_limit_mb=2048", "-timeout=60", *options, str(corpus)], lambda data: run(name, data) and None
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
