"""The numbers of a moment that a picture shows: each one can be seen, and what cannot be seen is not told."""

import pytest

from condswap.data.toy_people import SEEN, between, moment, people, seen
from condswap.data.toy_renderer import render
from condswap.data.toy_scene import scene

PEOPLE = people(0, 3)
PLAIN = moment(0, "train", 0) | {"yaw": 0.0, "pitch": 0.0, "open": 0.5, "blink": 0.0, "frown": 0.0, "smile": 0.2}


def difference(one, other):
    """The largest difference, in [0, 1], that any pixel of any of the people shows between two moments."""
    drawn = [render([scene(person, one) for person in PEOPLE], image_size=64) for one in (one, other)]
    return (drawn[0].float() - drawn[1].float()).abs().max().item() / 255


@pytest.mark.parametrize("name", SEEN)
def test_every_number_that_is_told_is_seen(name):
    # The light's hardness and warmth are the faintest: they change every pixel a little.
    assert difference(PLAIN | {name: 0.0}, PLAIN | {name: 0.6}) > 0.02
    assert seen(PLAIN | {name: 0.0}) != seen(PLAIN | {name: 0.6})


@pytest.mark.parametrize(
    ("name", "start", "end", "told"),
    [("open", -0.9, 0.0, 0), ("frown", -1.0, 0.0, 0), ("blink", -3.2, 0.0, 0), ("blink", 0.77, 1.0, 1)],
)
def test_numbers_that_look_the_same_are_told_the_same(name, start, end, told):
    one, other = PLAIN | {name: start}, PLAIN | {name: end}
    assert difference(one, other) == 0
    assert seen(one) == seen(other)
    assert seen(one)[SEEN.index(name)] == told


@pytest.mark.parametrize("name", ["gaze_x", "gaze_y"])
def test_shut_eyes_tell_no_gaze(name):
    left, right = ({name: value, "gaze_y" if name == "gaze_x" else "gaze_x": 0.5} for value in (-1.0, 1.0))
    assert difference(PLAIN | left, PLAIN | right) > 0.5
    assert difference(PLAIN | left | {"blink": 1.0}, PLAIN | right | {"blink": 1.0}) < 0.05
    assert seen(PLAIN | left | {"blink": 1.0}) == seen(PLAIN | right | {"blink": 1.0})
    assert seen(PLAIN | left | {"blink": 0.7}) != seen(PLAIN | right | {"blink": 0.7})


def test_on_the_way_between_two_moments_only_what_is_seen_moves():
    start, end = moment(0, "train", 0), moment(0, "train", 1)
    assert between(start, end, 0.0) == start
    there = between(start, end, 1.0)
    assert {name for name in start if there[name] == pytest.approx(end[name])} == set(SEEN)
    assert {name for name in start if there[name] == start[name]} == set(start) - set(SEEN)
    assert between(start, end, 0.25)["yaw"] == pytest.approx(0.75 * start["yaw"] + 0.25 * end["yaw"])
