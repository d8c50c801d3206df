"""Files that are broken in any way: no error but condswap's own, whatever is changed in a good one."""

import json

import pytest
import torch
from fuzz_targets import TARGETS, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_model import small

from condswap import CGAN, CondswapError

SETTINGS = settings(deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
SLOW = {"state", "config_file", "packed"}  # a model is made for each


@st.composite
def broken(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A good file with bytes changed, taken out, put in and cut off."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 6))):
        how = draw(st.sampled_from(["change", "cut", "insert", "remove", "double"]))
        place = draw(st.integers(0, max(0, len(data) - 1)))
        size = draw(st.integers(1, 16))
        if how == "change":
            data[place : place + 1] = draw(st.binary(min_size=1, max_size=1))
        elif how == "cut":
            del data[max(1, place) :]
        elif how == "insert":
            data[place:place] = draw(st.binary(min_size=1, max_size=16))
        elif how == "remove":
            del data[place : place + size]
        else:
            data[place:place] = data[place : place + size]
    return bytes(data)


@pytest.mark.parametrize("name", list(TARGETS))
def test_a_broken_file_gives_no_error_but_ours(name: str) -> None:
    seeds = TARGETS[name][1]()

    @settings(SETTINGS, max_examples=25 if name in SLOW else 200)
    @given(broken(seeds))
    def try_it(data: bytes) -> None:
        run(name, data)

    try_it()


@pytest.mark.parametrize("name", list(TARGETS))
def test_the_good_file_is_taken(name: str) -> None:
    for seed in TARGETS[name][1]():
        assert run(name, seed)


@pytest.mark.parametrize("name", sorted(set(TARGETS) - SLOW))
def test_noise_gives_no_error_but_ours(name: str) -> None:
    @settings(SETTINGS, max_examples=100)
    @given(st.binary(max_size=400))
    def try_it(data: bytes) -> None:
        run(name, data)

    try_it()


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.integers(0, 9)
    | st.floats(allow_nan=True)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=6,
)


def places(value: object, path: tuple = ()) -> list[tuple]:
    """Every place in a config."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, one in inside for place in places(one, (*path, key)))]


GOOD = json.loads(json.dumps(small().config()))


@settings(SETTINGS, max_examples=300)
@given(st.sampled_from(places(GOOD)[1:]), VALUES)
def test_any_value_anywhere_in_a_config_gives_a_model_or_our_error(place: tuple, value: object) -> None:
    config = json.loads(json.dumps(GOOD))
    inside = config
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = value
    try:
        with torch.device("meta"):
            CGAN.from_config(config)
    except CondswapError:
        pass
