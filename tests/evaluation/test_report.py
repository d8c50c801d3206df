"""A report: what it says of figures, and in which order."""

import json
import math
from dataclasses import replace

import pytest

from condswap import CGAN, DataError
from condswap.evaluation import Direction, Figure, Kept, Likeness, Nearness, Report
from condswap.evaluation.rows import NOTHING


def figure(value, count=50, *, apart=0.01):
    return Figure(value, value - apart, value + apart, count)


def seen(gap, *, retrieval=1.0, count=50):
    return Likeness(figure(retrieval, count), figure(0.7, count), figure(0.7 - gap, count), figure(gap, count))


def near(ssim, l1, moved=None):
    return Nearness(figure(ssim), figure(20.0), figure(l1), NOTHING if moved is None else figure(moved))


def direction(source, to, gap, *, clip=None, retrieval=1.0, real=0.4, count=50):
    return Direction(source, to, clip, seen(gap, retrieval=retrieval, count=count), unchanged=-0.6, real=real)


GOOD = Report(
    classes=("ann", "bob"),
    image_size=(128, 128),
    pictures=100,
    runs=40,
    swaps=100,
    judged_by="face.onnx",
    training={"steps": 2000, "seed": 0},
    reconstruction={"swap": near(0.9, 0.02), "mean face pasted": near(0.7, 0.06)},
    likeness={
        "swap": seen(0.35),
        "swap, told nothing": seen(0.34),
        "real picture pasted": seen(0.40),
        "mean face pasted": seen(0.38),
        "picture unchanged": seen(-0.60, retrieval=0.0),
        "real pictures of the target": seen(0.60),
    },
    directions=(
        direction("ann", "bob", 0.36, clip=1),
        direction("ann", "bob", 0.30, clip=2),
        direction("bob", "ann", 0.24, real=0.25),
    ),
    label_sensitivity=figure(0.6),
    light={"ramp": figure(0.8), "gain": figure(0.7)},
    seam={"swap": figure(0.05), "picture unchanged": figure(0.04)},
    flicker={"swap": figure(0.01), "picture unchanged": figure(0.01), "ratio": figure(1.0)},
    kept={"yaw": {"swap": Kept(figure(0.9), figure(0.95), figure(0.05)), "mean face pasted": Kept(*[figure(0.3)] * 3)}},
)
COPY = replace(
    GOOD,
    likeness={**GOOD.likeness, "swap": seen(-0.59, retrieval=0.0)},
    directions=(direction("ann", "bob", -0.59, retrieval=0.0), direction("bob", "ann", -0.6, retrieval=0.0)),
    label_sensitivity=figure(0.01),
)


def test_a_good_model_swaps_and_has_no_warnings():
    assert GOOD.verdict == (
        "It swaps. In 100 % of 100 swaps the person to show is the one that is seen; the leak gap is 0.35, where a real "
        "picture pasted gets 0.40."
    )
    assert GOOD.warnings == ()


def test_the_label_is_said_to_be_ignored_with_the_evidence():
    assert COPY.verdict.startswith("It does not swap: the label is ignored.")
    assert COPY.warnings[0] == (
        "THE LABEL IS IGNORED: shown as another person, a picture changes by 1 % of what pictures of two people differ by; "
        "the leak gap of the swaps is -0.59, that of the pictures themselves -0.60."
    )
    assert not [one for one in COPY.warnings if "LEAKS" in one]  # it has been said


@pytest.mark.parametrize(
    "change",
    [
        {"label_sensitivity": figure(0.09)},
        {"likeness": {**GOOD.likeness, "swap": seen(-0.51)}},
        {"exact": {"swap": near(0.5, 0.1, 0.09), "picture unchanged": near(0.5, 0.1, 0.0)}},
    ],
)
def test_each_sign_alone_is_enough_to_say_that_the_label_is_ignored(change):
    assert "THE LABEL IS IGNORED" in replace(GOOD, **change).warnings[0]


@pytest.mark.parametrize(
    "change",
    [
        {"label_sensitivity": figure(0.11)},
        {"likeness": {**GOOD.likeness, "swap": seen(-0.4)}},
        {"exact": {"swap": near(0.5, 0.1, 0.6)}},
        {"label_sensitivity": NOTHING},
    ],
)
def test_a_label_that_is_not_ignored_is_not_said_to_be(change):
    assert not [one for one in replace(GOOD, **change).warnings if "THE LABEL IS IGNORED" in one]


def test_one_face_a_person_is_said_to_ignore_the_picture():
    report = replace(GOOD, reconstruction={"swap": near(0.7, 0.058), "mean face pasted": near(0.7, 0.06)})
    assert report.verdict.startswith("It does not swap: whatever the picture, it shows one face a person.")
    assert report.warnings[0].startswith("THE PICTURE IS IGNORED: its reconstruction is 0.058 (L1) away")


def test_a_direction_with_half_the_possible_gap_leaks_and_is_named():
    report = replace(GOOD, directions=(*GOOD.directions, direction("bob", "ann", 0.19, clip=3)))
    assert report.verdict.startswith("It swaps, and it leaks")
    assert report.warnings == (
        "IT LEAKS: bob clip 3 to ann gets retrieval 1.00 and a leak gap of 0.19, where a real picture pasted gets 0.40.",
    )


def test_swaps_that_are_taken_for_somebody_else_leak():
    leaking = direction("bob", "ann", 0.3, retrieval=0.8)
    assert "IT LEAKS: bob to ann gets retrieval 0.80" in replace(GOOD, directions=(leaking,)).warnings[0]


def test_a_few_swaps_alone_are_no_leak():
    assert replace(GOOD, directions=(direction("bob", "ann", -0.5, retrieval=0.0, count=4),)).warnings == ()


def test_one_mistake_of_the_network_in_eight_is_no_leak():
    doubtful = direction("bob", "ann", 0.35, count=8)
    likeness = doubtful.likeness._replace(retrieval=Figure(0.875, 0.625, 1.0, 8))
    assert replace(GOOD, directions=(doubtful._replace(likeness=likeness),)).warnings == ()
    alone = doubtful.likeness._replace(retrieval=Figure(0.875, math.nan, math.nan, 8))  # one block has no interval
    assert "IT LEAKS" in replace(GOOD, directions=(doubtful._replace(likeness=alone),)).warnings[0]


def test_a_swap_nearer_to_the_picture_than_to_the_exact_one_leaks():
    report = replace(GOOD, exact={"swap": near(0.8, 0.1, 0.45), "picture unchanged": near(0.5, 0.2, 0.0)})
    assert report.warnings == ("IT LEAKS: the swap went 45 % of the way from the picture to the exact swap.",)


def test_many_leaking_directions_are_counted():
    leaking = tuple(direction("ann", "bob", gap / 100, clip=gap) for gap in range(1, 8))
    warning = replace(GOOD, directions=leaking).warnings[0]
    assert warning.count("gets retrieval") == 3
    assert "ann clip 1 to bob" in warning
    assert warning.endswith("so do 4 more of the 7 directions.")


def test_what_takes_no_model_and_is_nearer_is_named():
    exact = {
        "swap": near(0.51, 0.1, 0.7),
        "picture unchanged": near(0.52, 0.1, 0.0),
        "mean face pasted": near(0.4, 0.1, 0.8),
    }
    assert replace(GOOD, exact=exact).warnings == (
        "What takes no model comes nearer to the exact swap: the swap gets an SSIM of 0.510, the picture unchanged 0.520.",
    )


def test_what_is_followed_too_little_is_named():
    report = replace(GOOD, light={"ramp": figure(0.3), "gain": figure(0.5)})
    assert report.warnings == ("Less than half of a change in the picture is followed: ramp of light 0.30.",)


def test_a_seam_and_a_flicker_that_are_seen_are_told():
    report = replace(
        GOOD,
        seam={"swap": figure(0.12), "picture unchanged": figure(0.04)},
        flicker={**GOOD.flicker, "ratio": figure(2.5)},
    )
    assert report.warnings == (
        "The edge of the mask shows: the seam is 3.0 times that of the pictures themselves.",
        "It flickers: 2.5 times as much as the pictures themselves.",
    )


def test_what_makes_the_figures_doubtful_comes_after_what_is_wrong():
    report = replace(
        COPY,
        runs=6,
        notes=("The known pictures are those.",),
        likeness={**COPY.likeness, "real pictures of the target": seen(0.1, retrieval=0.7)},
    )
    assert [one.split()[0] for one in report.warnings] == ["THE", "Of", "The", "The"]
    assert "Of the real pictures 70 % are taken for the right person" in report.warnings[1]
    assert "come from 6 runs" in report.warnings[2]
    assert report.warnings[3] == "The known pictures are those."


def test_the_worst_is_that_with_the_least_share_of_what_a_real_picture_gets():
    # The third has the least gap, but a real picture gets hardly more there.
    assert GOOD.worst is not None
    assert GOOD.worst.name == "ann clip 2 to bob"
    assert [round(one.share, 2) for one in GOOD.directions] == [0.9, 0.75, 0.96]


def test_a_direction_in_which_nothing_is_possible_has_no_share():
    lost = direction("ann", "bob", -0.3, real=-0.1)
    assert math.isnan(lost.share)
    assert replace(GOOD, directions=(lost,)).worst is None
    assert replace(GOOD, directions=()).worst is None


# Markdown.


def test_the_markdown_begins_with_the_verdict_and_the_warnings():
    lines = COPY.to_markdown().splitlines()
    assert lines[0] == "# Does it swap?"
    assert lines[2].startswith("**It does not swap: the label is ignored.** In 0 % of 100 swaps")
    assert lines[4].startswith("- THE LABEL IS IGNORED")


def test_the_markdown_says_what_was_promised():
    text = GOOD.to_markdown()
    words = ("reconstruction", "swap", "retrieval", "similarity", "leak gap", "flicker", "seam", "label sensitivity")
    assert [word for word in words if word not in text] == []
    assert "100 pictures of ann, bob (128 x 128 pixels, 40 runs of neighbouring frames), 100 swaps" in text
    assert "2000 steps of training" in text
    assert "judged by face.onnx" in text
    assert text.endswith("\n")
    assert "nan" not in text


def test_figures_stand_beside_what_they_are_held_against():
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in GOOD.to_markdown().splitlines()]
    assert ["swap", "1.00", "0.70", "0.35", "0.35 [0.34, 0.36]"] in rows
    assert ["picture unchanged", "0.00", "0.70", "1.30", "-0.60 [-0.61, -0.59]"] in rows
    assert ["reconstruction, SSIM", "0.900 [0.890, 0.910]", "mean face: 0.700"] in rows
    assert ["seam", "0.050 [0.040, 0.060]", "the picture's own: 0.040"] in rows
    assert ["yaw", "0.90 [0.89, 0.91]", "0.95", "0.050", "0.30"] in rows
    assert ["ann clip 2 to bob", "50", "1.00", "0.70", "0.40", "0.30", "0.40"] in rows


def test_nothing_is_minus_nothing():
    text = replace(GOOD, likeness={**GOOD.likeness, "swap": seen(-0.001)}).to_markdown()
    assert "-0.00" not in text


def test_every_table_has_as_many_cells_in_each_line():
    count = None
    for line in GOOD.to_markdown().splitlines():
        if not line.startswith("|"):
            count = None
            continue
        count = count or line.count("|")
        assert line.count("|") == count


def test_the_worst_direction_stands_first_and_long_tables_are_cut():
    many = tuple(direction("ann", "bob", 0.21 + gap / 100, clip=gap) for gap in range(15))
    text = replace(GOOD, directions=many[::-1]).to_markdown()
    assert text.index("ann clip 0 to bob") < text.index("ann clip 1 to bob") < text.index("ann clip 11 to bob")
    assert "ann clip 12 to bob" not in text
    assert "3 more, none of them worse." in text


def test_it_fits_on_a_screen():
    assert len(GOOD.to_markdown().splitlines()) < 50


def test_no_name_breaks_a_table():
    text = replace(GOOD, directions=(direction("a|b", "<c>\n# d", 0.3),)).to_markdown()
    assert r"a\|b to &lt;c&gt; # d" in text
    assert "\n# d" not in text


def test_what_was_not_measured_is_left_out():
    bare = Report(classes=("ann",), image_size=(64, 64), pictures=30, runs=30, swaps=0, judged_by="nobody")
    text = bare.to_markdown()
    assert "|" not in text
    assert "nan" not in text
    assert "Nothing measured the pose and the expression" in text
    assert "Nothing measured" not in GOOD.to_markdown()


# What has changed since an earlier report.


def test_a_model_that_leaks_more_than_before_is_told_first():
    before = replace(GOOD, likeness={**GOOD.likeness, "swap": seen(0.45)}, training={"steps": 500})
    text = GOOD.to_markdown(earlier=before)
    assert text.splitlines()[4] == "- IT LEAKS MORE THAN BEFORE: leak gap fell from 0.45 to 0.35."
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert ["since the earlier model", "500 steps", "2000 steps"] in rows
    assert ["leak gap", "0.450", "0.350"] in rows
    assert ["reconstruction SSIM", "0.900", "0.900"] in rows


def test_a_small_change_is_no_warning():
    before = replace(GOOD, likeness={**GOOD.likeness, "swap": seen(0.37)})
    assert "LEAKS MORE" not in GOOD.to_markdown(earlier=before)


@pytest.mark.parametrize(
    "change", [{"classes": ("bob", "ann")}, {"pictures": 99}, {"image_size": (64, 64)}, {"judged_by": "another"}]
)
def test_reports_on_different_pictures_are_not_compared(change):
    with pytest.raises(DataError, match="measure both models with the same data"):
        GOOD.to_markdown(earlier=replace(GOOD, **change))


# JSON and the model card.


def test_a_dictionary_of_it_is_json_with_null_for_what_does_not_exist():
    read = json.loads(json.dumps(GOOD.to_dict(), allow_nan=False))
    assert read["likeness"]["swap"]["gap"] == {"value": 0.35, "low": 0.35 - 0.01, "high": 0.35 + 0.01, "count": 50}
    assert read["reconstruction"]["swap"]["moved"] == {"value": None, "low": None, "high": None, "count": 0}
    assert read["directions"][0]["source"] == "ann"
    assert (read["verdict"], read["warnings"], read["worst"]) == (GOOD.verdict, [], "ann clip 2 to bob")
    assert read["image_size"] == [128, 128]


def test_the_summary_is_words_and_numbers_that_a_model_can_remember():
    found = GOOD.summary()
    assert all(name.startswith("measured ") for name in found)
    assert all(isinstance(value, str | int | float) for value in found.values())
    assert found["measured verdict"] == GOOD.verdict
    assert found["measured leak gap"] == 0.35
    assert found["measured leak gap, real picture pasted"] == 0.4
    assert found["measured worst"] == "ann clip 2 to bob: leak gap 0.30"
    assert found["measured by"] == "face.onnx"
    assert COPY.summary()["measured warnings"] == " ".join(COPY.warnings)
    json.dumps(found, allow_nan=False)


def test_a_saved_model_shows_what_was_measured_and_forgets_an_earlier_measurement(tmp_path):
    model = CGAN.default(32, classes=["ann", "bob"])
    model.history = {"steps": 7}
    replace(GOOD, exact={"swap": near(0.7, 0.1, 0.8)}).remember(model.history)
    assert model.history["measured swap SSIM"] == 0.7
    GOOD.remember(model.history)
    assert "measured swap SSIM" not in model.history
    assert model.history["steps"] == 7
    model.save_pretrained(tmp_path)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "## Measured" in card
    assert "| leak gap | 0.35 |" in card
    assert CGAN.from_pretrained(tmp_path).history == model.history
