"""The evaluation of models made by hand, whose figures can be worked out; and of an exact swapper of toy faces."""

import json
import math

import pytest
import torch
from flat_faces import COLOURS, ByHand, FlatFaces, brightness, by_hand, colours, constant, copy, exact, shades
from small_model import small
from torch import nn

from condswap import CGAN, ConfigError, DataError, Decoder, Encoder, ShapeError, ToyFaces
from condswap.data import Clip
from condswap.evaluation import evaluate, frames, witness
from condswap.evaluation.sample import Sample
from condswap.roles import Bottleneck


@pytest.fixture(scope="module")
def held():
    return FlatFaces([[shades(12), shades(12, high=0.6)], [shades(12)]])


@pytest.fixture(scope="module")
def known():
    return FlatFaces([[shades(10)], [shades(10)]])


def measured(paint, held, known, **arguments):
    model = by_hand(paint)
    return evaluate(model, held, **{"known": known, "identity": colours, "attributes": brightness, **arguments})


@pytest.fixture(scope="module")
def perfect(held, known):
    return measured(exact, held, known)


def test_a_perfect_swap_is_taken_for_the_person_to_show(perfect):
    row = perfect.likeness["swap"]
    assert row.retrieval.value == 1
    assert row.target.value == pytest.approx(1, abs=1e-3)
    assert row.picture.value == pytest.approx(0, abs=1e-3)
    assert row.gap.value == pytest.approx(1, abs=1e-3)
    assert perfect.verdict.startswith("It swaps. In 100 % of 36 swaps")
    assert not [one for one in perfect.warnings if one.isupper() or "LABEL" in one or "LEAKS" in one]


def test_what_a_swap_is_held_against_has_its_own_figures(perfect):
    rows = perfect.likeness
    assert rows["picture unchanged"].gap.value == pytest.approx(-1, abs=1e-3)
    assert rows["picture unchanged"].retrieval.value == 0
    assert rows["real picture pasted"].gap.value == pytest.approx(1, abs=1e-3)
    assert rows["mean face pasted"].gap.value == pytest.approx(1, abs=1e-3)
    assert rows["real pictures of the target"].gap.value == pytest.approx(1, abs=1e-3)
    assert rows["real pictures of the target"].gap.count == 36


def test_every_clip_and_person_to_show_is_a_direction(perfect):
    assert [one.name for one in perfect.directions] == ["ann clip 1 to bob", "ann clip 2 to bob", "bob to ann"]
    assert [one.likeness.gap.count for one in perfect.directions] == [12, 12, 12]
    assert perfect.worst is not None
    assert perfect.worst.share == pytest.approx(1, abs=1e-3)
    assert perfect.runs == 6  # three clips of twelve, in runs of about ten


def test_a_perfect_swap_reconstructs_and_follows_the_light_and_the_moment(perfect):
    assert perfect.reconstruction["swap"].ssim.value == pytest.approx(1, abs=1e-4)
    assert perfect.reconstruction["swap"].l1.value == pytest.approx(0, abs=1e-6)
    assert perfect.reconstruction["mean face pasted"].l1.value > 0.01
    assert perfect.light["ramp"].value == pytest.approx(1, abs=1e-3)
    assert perfect.light["gain"].value == pytest.approx(1, abs=1e-3)
    kept = perfect.kept["brightness"]
    assert kept["swap"].slope.value == pytest.approx(1, abs=1e-3)
    assert kept["swap"].correlation.value == pytest.approx(1, abs=1e-3)
    assert kept["swap"].error.value == pytest.approx(0, abs=1e-3)
    assert kept["mean face pasted"].slope.value == pytest.approx(0, abs=1e-3)


def test_a_perfect_swap_is_as_steady_and_as_seamless_as_the_pictures(perfect):
    assert perfect.flicker["ratio"].value == pytest.approx(1, abs=1e-3)
    assert perfect.seam["swap"].value == pytest.approx(perfect.seam["picture unchanged"].value, rel=0.2)


def test_label_sensitivity_is_by_how_much_two_people_differ(perfect):
    # The faces of the two differ by 2/3 of their mean brightness; so does a face from its own swap.
    assert perfect.label_sensitivity.value == pytest.approx(1, abs=0.1)


class PassEncoder(Encoder):
    def __init__(self, in_shape):
        super().__init__()
        self.in_shape = self.out_shape = tuple(in_shape)
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, image):
        return self.gain * image


class PassBottleneck(Bottleneck):
    def __init__(self, in_shape, *, num_classes):
        super().__init__()
        self.in_shape = self.out_shape = tuple(in_shape)
        self.num_classes = num_classes

    def forward(self, features, label, source=None):
        return features


class PassDecoder(Decoder):
    def __init__(self, in_shape, *, num_classes):
        super().__init__()
        self.in_shape = self.out_shape = tuple(in_shape)
        self.num_classes = num_classes

    def forward(self, features, label):
        return features


def test_a_model_whose_parts_pass_the_picture_on_is_caught_ignoring_its_label(held, known):
    shape = (3, 32, 32)
    parts = (PassEncoder(shape), PassBottleneck(shape, num_classes=2), PassDecoder(shape, num_classes=2))
    model = CGAN(*parts, small().discriminator, classes=["ann", "bob"])
    report = evaluate(model, held, known=known, identity=colours)
    assert report.reconstruction["swap"].ssim.value == pytest.approx(1, abs=1e-4)
    assert report.label_sensitivity.value == 0
    assert report.likeness["swap"].gap.value == pytest.approx(-1, abs=1e-3)
    assert report.verdict.startswith("It does not swap: the label is ignored.")
    assert report.warnings[0].startswith("THE LABEL IS IGNORED: shown as another person, a picture changes by 0 %")
    text = report.to_markdown()
    assert text.startswith("# Does it swap?\n\n**It does not swap: the label is ignored.**")
    assert text.index("THE LABEL IS IGNORED") < text.index("| who is seen")


def test_a_model_that_shows_one_face_a_person_is_caught_ignoring_the_picture(held, known):
    report = measured(constant, held, known)
    assert report.likeness["swap"].gap.value == pytest.approx(1, abs=1e-3)  # which looks like success
    assert report.verdict.startswith("It does not swap: whatever the picture, it shows one face a person.")
    assert report.warnings[0].startswith("THE PICTURE IS IGNORED")
    assert report.kept["brightness"]["swap"].slope.value == pytest.approx(0, abs=1e-3)


def test_a_leak_in_one_clip_is_found_and_named(held, known):
    def leaky(image, label):
        middle = image[..., 14:18, 14:18].amax(1).mean((1, 2))
        frames = (middle > 0.61)[:, None, None, None]  # some frames of the brighter clips alone
        return torch.where(frames, image, exact(image, label))

    report = measured(leaky, held, known)
    assert report.worst is not None
    assert report.worst.likeness.retrieval.value < 0.9
    assert report.verdict.startswith("It swaps, and it leaks")
    assert report.warnings[0].startswith("IT LEAKS: ")
    assert "ann clip 1 to bob" in report.warnings[0]
    assert "ann clip 2 to bob" not in report.warnings[0]


def test_the_model_is_told_who_and_where_and_once_nothing(held, known):
    model = by_hand(exact)
    evaluate(model, held, known=known, identity=colours)
    told = [(source is None, mask is None) for _, source, mask in model.generator.calls]
    assert set(told) == {(False, False), (True, True)}
    for label, source, mask in model.generator.calls:
        if source is not None:
            assert mask.shape == (len(label), 1, 32, 32)


def test_a_model_that_needs_to_be_told_is_seen_to_need_it(held, known):
    model = by_hand(exact)

    class Needy(ByHand):
        def forward(self, image, label, source=None, mask=None):
            return super().forward(image, label if source is not None else 1 - label, source, mask)

    model.generator = Needy(exact, model)
    report = evaluate(model, held, known=known, identity=colours)
    assert report.likeness["swap"].gap.value == pytest.approx(1, abs=1e-3)
    assert report.likeness["swap, told nothing"].gap.value == pytest.approx(-1, abs=1e-3)


def test_pictures_larger_than_the_model_are_made_smaller_for_it(known):
    large = FlatFaces([[shades(12)], [shades(12)]], size=64)
    model = by_hand(exact)
    report = evaluate(model, large, known=known, identity=colours)
    assert report.image_size == (64, 64)
    assert report.likeness["swap"].gap.value == pytest.approx(1, abs=1e-3)
    for _, _, mask in model.generator.calls:
        assert mask is None or mask.shape[2:] == (32, 32)


def test_every_picture_becomes_three_others_at_most_and_all_get_their_turn():
    names = ("ann", "bob", "cat", "dan", "eve")
    colour = torch.rand(5, 3, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.2
    data = FlatFaces([[shades(8)]] * 3, classes=names[:3])
    data.labels = [number % 5 for number in range(len(data.labels))]
    data.classes = names
    data.found = []

    class Painted(FlatFaces):
        def __getitem__(self, index):
            mask = self.mask
            face = colour[self.labels[index]][:, None, None].expand(3, 32, 32)
            return {"image": face * mask, "mask": mask, "label": self.labels[index]}

    data.__class__ = Painted
    data.clips = None
    report = evaluate(by_hand(copy, classes=names), data, known=data, identity=colours)
    assert report.swaps == 3 * 24
    assert len(report.directions) == 20
    counts = [one.likeness.gap.count for one in report.directions]
    assert max(counts) - min(counts) <= 1


class Sparse(FlatFaces):
    """The same people under numbers far apart, among very many classes."""

    def __init__(self, clips):
        super().__init__(clips)
        self.classes = tuple(f"person {number}" for number in range(4096))
        self.people, self.labels = self.labels, [4000 * label + 7 for label in self.labels]
        self.found = [Clip(4000 * label + 7, indices) for label, indices in self.found]

    def __getitem__(self, index):
        face = self.shades[index] * COLOURS[self.people[index]][:, None, None]
        image = torch.lerp(torch.full_like(face, 0.5), face, self.mask)
        return {"image": image, "mask": self.mask, "label": self.labels[index]}


def test_two_of_four_thousand_classes_get_the_figures_of_two_classes(held, known, perfect):
    """What is not in the pictures costs no memory, and the report stays short."""
    people, others = (Sparse([[shades(12), shades(12, high=0.6)], [shades(12)]]), Sparse([[shades(10)], [shades(10)]]))
    model = by_hand(lambda image, label: exact(image, label // 4000), classes=people.classes)
    report = evaluate(model, people, known=others, identity=colours, attributes=brightness)
    assert report.likeness == perfect.likeness
    assert report.exact == perfect.exact
    assert report.reconstruction == perfect.reconstruction
    assert [one.name for one in report.directions] == [
        "person 7 clip 1 to person 4007", "person 7 clip 2 to person 4007", "person 4007 to person 7"
    ]  # fmt: skip
    assert len(report.to_markdown()) < len(perfect.to_markdown()) + 1000
    met = witness.get_to_know(
        witness.Witness(identity=colours, judge=None, name="colours"), Sample(others, model=model, limit=4, what="known"),
        classes=4096, size=(32, 32),
    )  # fmt: skip
    assert sorted(met.faces) == sorted(met.real) == [7, 4007]


def test_the_limit_holds_for_every_class_alike(held, known):
    report = measured(exact, held, known, limit=10)
    assert report.pictures == 10
    assert sorted({one.name.split()[0] for one in report.directions}) == ["ann", "bob"]
    assert report.likeness["swap"].gap.value == pytest.approx(1, abs=1e-3)


def test_without_known_pictures_the_report_says_that_the_references_get_too_much(held):
    report = measured(exact, held, None)
    assert "come from the very pictures that are measured" in report.warnings[-1]
    assert "trained on them" not in report.warnings[-1]


def test_photos_are_no_video_and_have_no_flicker(known):
    photos = FlatFaces([[[0.4, 0.9] * 8], [[0.9, 0.4] * 8]])
    photos.mask = torch.ones(1, 32, 32)  # so that a change of brightness is one of the whole picture
    report = measured(exact, photos, known)
    assert report.flicker == {}
    assert "flicker |" not in report.to_markdown()


def test_the_same_seed_gives_the_same_report_and_leaves_random_numbers_and_modes_alone(held, known):
    model = small(("ann", "bob")).train()
    before = torch.get_rng_state()
    reports = [evaluate(model, held, known=known, identity=colours, limit=8) for _ in range(2)]
    assert reports[0].to_dict() == reports[1].to_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training


def test_a_measure_that_finds_nothing_in_some_pictures_leaves_them_out(held, known):
    def sometimes(faces):
        found = colours(faces).sum(1)
        return {"brightness": torch.where(found > 0.5, found, math.nan)}

    kept = measured(exact, held, known, attributes=sometimes).kept["brightness"]["swap"]
    assert 0 < kept.slope.count < 36
    assert kept.slope.value == pytest.approx(1, abs=1e-2)


def test_one_class_of_held_back_pictures_can_be_swapped_to_those_that_are_known(known):
    report = measured(exact, FlatFaces([[shades(12)]], classes=("ann",)), known)
    assert [one.name for one in report.directions] == ["ann to bob"]
    assert report.label_sensitivity.count == 0  # how much people differ cannot be seen in pictures of one


@pytest.mark.parametrize(
    ("data", "known", "error", "words"),
    [
        ([], None, DataError, "data has no pictures"),
        (FlatFaces([[shades(8)], [shades(8)]], classes=("bob", "ann")), None, DataError, "classes=model.classes"),
        (FlatFaces([[shades(8)], [shades(8)]], size=16), None, ShapeError, "16 x 16 pixels and the model takes 32 x 32"),
        (FlatFaces([[shades(8)]], classes=("ann",)), None, DataError, "pictures of 'ann' alone"),
        (iter([]), None, DataError, "is a list_iterator; needed is a dataset"),
        (
            FlatFaces([[shades(8)], [shades(8)]]),
            FlatFaces([[shades(8)]], classes=("ann",)),
            DataError,
            "known has no pictures of 'bob'",
        ),
        (FlatFaces([[shades(8)], [shades(8)], [shades(8)]], classes=()), None, DataError, r"labels \[2\]"),
    ],
)  # fmt: skip
def test_pictures_that_do_not_fit_are_refused_with_the_cure(data, known, error, words):
    with pytest.raises(error, match=words):
        evaluate(by_hand(exact), data, known=known, identity=colours)


def test_pictures_of_other_proportions_are_refused(known):
    wide = [{"image": torch.rand(3, 32, 64), "mask": torch.ones(1, 32, 64), "label": label} for label in (0, 1)]
    with pytest.raises(ShapeError, match="same proportions"):
        evaluate(by_hand(exact), wide, known=known, identity=colours)


@pytest.mark.parametrize("limit", [0, -1, True, 2.5])
def test_a_limit_that_is_no_number_of_pictures_is_refused(limit, known):
    with pytest.raises(ConfigError, match="limit="):
        evaluate(by_hand(exact), known, identity=colours, limit=limit)


def test_a_measure_that_is_not_one_number_a_picture_is_refused(held, known):
    with pytest.raises(ShapeError, match="'turn' as .*give one number a picture"):
        measured(exact, held, known, attributes=lambda faces: {"turn": torch.zeros(3)})


# Toy faces, where the exact swap is known.


@pytest.fixture(scope="module")
def toys():
    return ToyFaces(2, image_size=32, length=16, split="test")


def looked_up(toys):
    """The exact swap of toy faces, found by the picture."""
    pictures = torch.stack([toys[index]["image"] for index in range(len(toys))])

    def paint(image, label):
        index = [int((pictures - one).abs().flatten(1).sum(1).argmin()) for one in image]
        return toys.swap_truths(index, label)

    return paint


@pytest.fixture(scope="module")
def exact_toys(toys):
    train = witness.train_judge
    with pytest.MonkeyPatch.context() as patch:  # a third of the steps is enough for two people of 32 pixels
        patch.setattr(witness, "train_judge", lambda *given, **named: train(*given, **named, steps=100))
        patch.setattr(frames, "_RUNS", 3)
        return evaluate(by_hand(looked_up(toys), classes=toys.classes), toys, known=toys.other_split(96))


def test_the_exact_swapper_of_toy_faces_gets_the_full_figures(exact_toys):
    row = exact_toys.exact["swap"]
    assert row.ssim.value == pytest.approx(1, abs=1e-4)
    assert row.l1.value == pytest.approx(0, abs=1e-6)
    assert row.psnr.value == pytest.approx(100, abs=1)
    assert row.moved.value == pytest.approx(1, abs=1e-4)
    assert row.moved.count == 16
    assert exact_toys.reconstruction["swap"].ssim.value == pytest.approx(1, abs=1e-4)


def test_beside_the_exact_swap_stand_the_picture_and_the_mean_face(exact_toys):
    rows = exact_toys.exact
    assert rows["picture unchanged"].moved.value == 0
    assert rows["picture unchanged"].ssim.value < 0.8
    assert rows["mean face pasted"].ssim.value < 0.8
    assert rows["swap, told nothing"].ssim.value == pytest.approx(1, abs=1e-4)


def test_the_judge_takes_exact_swaps_for_the_person_to_show_as_it_takes_real_pictures(exact_toys):
    swap, real = (exact_toys.likeness[name] for name in ("swap", "real picture pasted"))
    people = exact_toys.likeness["real pictures of the target"]
    assert people.retrieval.value > 0.9
    assert swap.retrieval.value > 0.9
    assert real.gap.value - 0.15 < swap.gap.value < people.gap.value + 0.15
    assert exact_toys.likeness["picture unchanged"].gap.value < 0
    assert exact_toys.verdict.startswith("It swaps.")
    assert exact_toys.judged_by == "a small network trained on the known pictures"


def test_toy_faces_say_what_is_kept_of_them(exact_toys):
    assert set(exact_toys.kept) == {"yaw", "pitch", "open", "smile", "light_side", "light_up"}
    assert exact_toys.kept["yaw"]["swap"].slope.value > 0.5
    assert exact_toys.kept["light_side"]["swap"].slope.value > 0.5


def test_toy_faces_have_no_clips_but_short_videos(exact_toys):
    assert [one.clip for one in exact_toys.directions] == [None, None]
    assert exact_toys.runs == 16
    assert exact_toys.flicker["picture unchanged"].count == 3 * 10  # of twelve frames, those between two others


def test_a_report_of_toy_faces_is_json(exact_toys):
    read = json.loads(json.dumps(exact_toys.to_dict(), allow_nan=False))
    assert read["exact"]["swap"]["moved"]["value"] == pytest.approx(1, abs=1e-4)
    assert read["reconstruction"]["swap"]["moved"]["value"] is None


def test_copied_toy_faces_have_not_moved(toys):
    report = evaluate(by_hand(copy, classes=toys.classes), toys, known=toys, identity=colours, attributes=brightness)
    assert report.exact["swap"].moved.value == 0
    assert "the swap went 0 % of the way from the picture to the exact swap" in report.warnings[0]
    assert report.warnings[0].startswith("THE LABEL IS IGNORED")


def test_the_other_split_of_toy_faces_is_what_the_people_are_known_by(toys, monkeypatch):
    asked = []
    split = ToyFaces.other_split
    monkeypatch.setattr(ToyFaces, "other_split", lambda data, length: asked.append(length) or split(data, length))
    report = evaluate(by_hand(copy, classes=toys.classes), toys, identity=colours, attributes=brightness, limit=8)
    assert asked == [8]
    assert not [one for one in report.warnings if "come from the very pictures" in one]


def test_the_colours_are_as_far_apart_as_these_tests_need():
    assert torch.equal(COLOURS @ COLOURS.T, torch.eye(3))
