"""Stages that work at the same time: an iterator that is run ahead in a thread."""

import contextlib
import threading
from collections.abc import Generator, Iterable, Iterator
from queue import Empty, Queue
from typing import TypeVar

from condswap.errors import ConfigError

Value = TypeVar("Value")


def ahead(values: Iterable[Value], size: int = 8) -> Generator[Value, None, None]:
    """Give the values of an iterable that a thread computes, at most `size` of them waiting.

    The thread starts with the first value that is asked for. What it raises is raised here, in its place. When this
    iterator is closed or forgotten, the thread ends after the value that it is at; a generator is closed by the thread.

    Args:
        values: what to run ahead; only the thread touches it from then on.
        size: how many values may wait; they and two more are in memory.

    Raises:
        ConfigError: the size is not a whole number from 1 on.

    Example:
        >>> list(ahead(number * number for number in range(4)))
        [0, 1, 4, 9]
    """
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise ConfigError(f"size={size!r} values cannot wait; give a whole number from 1 on")
    return _ahead(values, size)


def _ahead(values: Iterable[Value], size: int) -> Generator[Value, None, None]:
    queue: Queue[tuple[Value] | BaseException | None] = Queue(size)
    stopped = threading.Event()

    def work() -> None:
        last: BaseException | None = None
        iterator: Iterator[Value] = iter(())
        try:
            iterator = iter(values)
            for value in iterator:
                queue.put((value,))
                if stopped.is_set():
                    break
        except BaseException as error:  # KeyboardInterrupt too belongs to the one who asked
            last = error
        if not stopped.is_set():
            queue.put(last)
        close = getattr(iterator, "close", None)
        if close is not None:
            with contextlib.suppress(Exception):
                close()

    thread = threading.Thread(target=work, name="condswap-ahead", daemon=True)
    thread.start()
    try:
        while (got := queue.get()) is not None:
            if isinstance(got, BaseException):
                raise got
            yield got[0]
    finally:
        stopped.set()
        # After this the queue has room for the one value that the thread may still put before it sees that it is over.
        with contextlib.suppress(Empty):
            while True:
                queue.get_nowait()
        thread.join()
