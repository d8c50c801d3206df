"""Ctrl-C, and a system that wants its machine back: between two steps, never within one."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

# A terminal that was closed, and a machine that is being taken away; not every system has the first.
_ENDINGS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class Ended(KeyboardInterrupt):
    """The system asked the program to end; whoever keeps the work at Ctrl-C keeps it now, too."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def ended_like_ctrl_c() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise `Ended` in the block, as Ctrl-C raises `KeyboardInterrupt`.

    For programs, such as the command line: a library that was imported into one leaves its signals alone.

    Example:
        >>> try:
        ...     with ended_like_ctrl_c():
        ...         signal.raise_signal(signal.SIGTERM)
        ... except KeyboardInterrupt as stop:
        ...     str(stop)
        'SIGTERM'
    """

    def end(number: int, frame: FrameType | None) -> None:
        raise Ended(number)

    before = {number: signal.getsignal(number) for number in _ENDINGS}
    ours = [number for number in _ENDINGS if before[number] is signal.SIG_DFL]  # `nohup` ignores SIGHUP: let it
    if threading.current_thread() is not threading.main_thread():
        ours = []
    try:
        for number in ours:
            signal.signal(number, end)
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def held_back() -> Iterator[None]:
    """Hold back Ctrl-C, and the other signals that Python code handles, until the end of the block.

    So that a step is taken whole or not at all. A second signal does not wait. Signals reach the main thread alone, so in
    any other one there is nothing to do.

    Example:
        >>> with held_back():
        ...     signal.getsignal(signal.SIGINT) is signal.default_int_handler
        False
    """
    received: list[int] = []

    def receive(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            raise KeyboardInterrupt

    try:
        with _received_by(receive):
            yield
    finally:
        if received:
            signal.raise_signal(received[0])


@contextmanager
def noted() -> Iterator[list[int]]:
    """Note the signals that `held_back` holds back, however many, for a block that looks for them and ends itself.

    The block gets the list that they go to. Where it ends well, or in `KeyboardInterrupt`, the first of them then has its
    own effect; where it fails, that says more.

    Example:
        >>> try:
        ...     with noted() as received:
        ...         signal.raise_signal(signal.SIGINT)
        ...         received == [signal.SIGINT]
        ... except KeyboardInterrupt:
        ...     "stopped"
        True
        'stopped'
    """
    received: list[int] = []
    stopped = None
    with _received_by(lambda number, frame: received.append(number)):
        try:
            yield received
        except KeyboardInterrupt as stop:
            stopped = stop
    if received:
        signal.raise_signal(received[0])
    if stopped is not None:
        raise stopped


@contextmanager
def _received_by(receive: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Let a function have the signals."""
    with ExitStack() as stack:
        # What is ignored goes on being ignored, what ends the program at once goes on doing so, and what was set by code
        # that is not Python's (None) is not Python's to set.
        for number in (signal.SIGINT, *_ENDINGS) if threading.current_thread() is threading.main_thread() else ():
            before = signal.getsignal(number)
            if before is not None and (callable(before) or number == signal.SIGINT):
                signal.signal(number, receive)
                stack.callback(signal.signal, number, before)
        yield
