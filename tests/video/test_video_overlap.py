"""Running an iterator ahead in a thread."""

import gc
import threading
from collections.abc import Iterator

import pytest

from condswap.errors import ConfigError, DataError
from condswap.video import ahead


def threads() -> int:
    return sum(thread.name == "condswap-ahead" for thread in threading.enumerate())


def test_all_values_come_in_order() -> None:
    assert list(ahead(iter(range(1000)), size=3)) == list(range(1000))
    assert list(ahead([], size=1)) == []
    assert threads() == 0


def test_it_runs_ahead_but_only_so_far() -> None:
    made: list[int] = []
    third = threading.Event()

    def numbers() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            if number == 3:
                third.set()
            yield number

    values = ahead(numbers(), size=2)
    assert made == []
    assert next(values) == 0
    # The one given, two that wait, and one that waits to be put; nobody asked for more than the first.
    assert third.wait(30)
    assert made == [0, 1, 2, 3]
    values.close()
    assert len(made) <= 5


def test_the_work_is_done_in_another_thread() -> None:
    assert list(ahead(threading.get_ident() for _ in range(1))) != [threading.get_ident()]


def test_an_error_comes_after_the_values_before_it() -> None:
    def broken() -> Iterator[int]:
        yield 1
        yield 2
        raise DataError("the third is broken")

    got = []
    with pytest.raises(DataError, match="the third is broken"):
        for value in ahead(broken()):
            got.append(value)
    assert got == [1, 2]
    assert threads() == 0


@pytest.mark.parametrize("how", ["close", "forget", "raise"])
def test_ending_early_ends_the_thread_and_closes_the_source(how: str) -> None:
    closed: list[int] = []

    def endless() -> Iterator[int]:
        try:
            number = 0
            while True:
                yield number
                number += 1
        finally:
            closed.append(threading.get_ident())

    values = ahead(endless(), size=1)
    assert [next(values), next(values)] == [0, 1]
    assert threads() == 1
    if how == "close":
        values.close()
    elif how == "raise":
        with pytest.raises(KeyError):
            values.throw(KeyError("stop"))
    else:
        del values
        gc.collect()
    assert threads() == 0
    assert len(closed) == 1
    assert closed[0] != threading.get_ident()


def test_nothing_is_started_that_is_not_asked_for() -> None:
    values = ahead(iter(range(3)))
    assert threads() == 0
    values.close()


@pytest.mark.parametrize("size", [0, -1, 1.5, True])
def test_a_wrong_size_is_refused_at_once(size: object) -> None:
    with pytest.raises(ConfigError, match="values cannot wait; give a whole number from 1 on"):
        ahead([1], size=size)  # type: ignore[arg-type]
