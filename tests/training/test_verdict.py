"""What is said of the swaps that were looked at: nothing in vain, and nothing twice."""

import pytest

from condswap.training.verdict import figures, said, trouble
from condswap.training.watch import Watched


def looks(*found, every=200):
    """Looks from (label sensitivity, moved)."""
    return [
        Watched(step=every * (number + 1), label_sensitivity=sensitivity, moved=way)
        for number, (sensitivity, way) in enumerate(found)
    ]


GOOD = (0.6, 0.75)
DEAF = (0.02, 0.05)
LEAKING = (0.3, 0.3)
WILD = (2.6, 0.59)  # what was seen of swaps that had gone black


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], ""),
        ([GOOD], ""),
        ([GOOD, GOOD], ""),
        ([DEAF], "ignored"),
        ([(0.02, 0.9)], "ignored"),  # one face for both, near the other class
        ([(0.02, None)], "ignored"),
        ([(0.6, None)], ""),
        ([LEAKING], "leaking"),
        ([GOOD, LEAKING], "leaking"),
        ([GOOD, WILD], "broken"),
        ([(0.95, 0.9)], ""),
        ([LEAKING, GOOD], ""),
        ([(0.6, 0.9), (0.6, 0.7)], ""),  # looks differ by so much in a good run
        ([(0.6, 0.95), (0.6, 0.6)], "leaking"),  # it went farther before
        ([(0.6, 0.95), (0.6, None)], ""),
    ],
)
def test_troubles_have_a_name(found, expected):
    assert trouble(looks(*found)) == expected


def test_before_a_network_can_paint_nothing_is_wrong():
    assert trouble(looks(DEAF, every=50)) == ""
    assert said(looks(DEAF, every=50), last=False) == ""
    assert said(looks(DEAF, every=50), last=True).endswith("so early this says little.")


def test_a_good_run_is_told_at_its_end_alone():
    assert said(looks(GOOD, GOOD), last=False) == ""
    assert (
        said(looks(GOOD, GOOD), last=True)
        == "The swap at step 400: label sensitivity 0.60 (ignored: 0), moved 75 % of the way to the other class."
    )
    told = said([Watched(step=400, label_sensitivity=0.6, gap=0.312)], last=True)
    assert told == "The swap at step 400: label sensitivity 0.60 (ignored: 0), leak gap 0.31."


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (DEAF, "THE LABEL IS IGNORED: at step"),
        (WILD, "THE SWAP IS BROKEN: at step"),
        (LEAKING, "THE SWAP LEAKS: at step"),
    ],
)
def test_a_trouble_is_said_when_it_begins_and_at_the_end(bad, word):
    assert said(looks(bad), last=False).startswith(f"{word} 200")
    assert said(looks(GOOD, bad), last=False).startswith(f"{word} 400")
    assert said(looks(bad, bad), last=False) == ""
    assert said(looks(bad, bad), last=True).startswith(f"{word} 400")
    assert said(looks(bad, GOOD, bad), last=False).startswith(f"{word} 600")


def test_a_trouble_that_becomes_another_is_said_again():
    assert said(looks(LEAKING, DEAF), last=False).startswith("THE LABEL IS IGNORED")
    assert said(looks(DEAF, LEAKING), last=False).startswith("THE SWAP LEAKS")


def test_a_tint_is_no_swap():
    tinted = Watched(step=400, label_sensitivity=0.17, moved=0.03)
    assert trouble([tinted]) == "ignored"
    assert "by 17 % of what the classes differ by, and goes 3 % of the way to the other class" in said(
        [tinted], last=True
    )
    assert trouble([Watched(step=400, label_sensitivity=0.17, moved=0.11)]) == "leaking"


def test_a_warning_has_its_figures_and_a_cure():
    ignored, leaking = said(looks(DEAF), last=True), said(looks(GOOD, LEAKING), last=True)
    assert "2 % of what the classes differ by" in ignored
    assert "30 % of the way" in leaking
    assert "at step 200 they went 75 %" in leaking
    for text in (ignored, leaking):
        assert "code_adversary" in text
        assert "condswap evaluate" in text


def test_the_model_is_told_of_its_last_look():
    assert figures([]) == {}
    assert figures(looks(GOOD)) == {"label sensitivity": 0.6, "moved to the other class": 0.75}
    assert figures(looks(GOOD, DEAF))["label"] == "ignored"
    assert figures(looks(GOOD, WILD))["swap"] == "broken"
    assert figures(looks(GOOD, LEAKING))["swap"] == "leaks the person in the picture"
    assert figures([Watched(step=3, label_sensitivity=0.12345, gap=0.3)]) == {
        "label sensitivity": 0.123,
        "leak gap": 0.3,
    }
