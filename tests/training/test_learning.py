"""Learning one more class: what is trained on, what is measured, and that the others stay."""

import copy

import pytest
import torch
from tiny_models import SIZE, Pictures, quick, tiny
from torch.utils.data import Subset

from condswap import CGAN, ConfigError, DataError, Face, ShapeError, ToyFaces, Trainer
from condswap.losses import masked_mean, ssim
from condswap.roles import Stranger
from condswap.training import Learned, learn_class, learning
from condswap.training.rehearsal import Joined, Rehearsal, paste


def of_carl(number=10, *, size=SIZE, label=0, classes=("carl",)):
    return Pictures([label] * number, size=size, classes=classes)


class Lazy:
    """In place of the trainer: notes what it is given, and does nothing."""

    given = None

    def __init__(self, model, config, *, device):
        model.eval()
        self.model, self.config = model, config

    def fit(self, data, steps):
        Lazy.given = self.config, data, steps
        self.model.history = {"steps": steps}


@pytest.fixture
def lazy(monkeypatch):
    monkeypatch.setattr(learning, "Trainer", Lazy)
    return Lazy


# What is trained on.


def test_the_model_has_the_class_and_the_pictures_are_split():
    model = tiny()
    learned = learn_class(model, "carl", of_carl(20), steps=1, config=quick(watch=0), device="cpu")
    assert model.classes == ("anna", "bob", "carl")
    assert (learned.pictures, learned.held_back) == (17, 3)
    assert not model.training


def test_new_pictures_are_trained_on_with_the_new_label_and_made_ones_with_those_of_the_others(lazy):
    carl, model = of_carl(20, label=1, classes=("zoe", "carl")), tiny()
    learn_class(model, "carl", carl, steps=7, held_back=0.25, device="cpu")
    config, data, steps = lazy.given
    assert steps == config.planned_steps == 7
    assert data.labels == [2] * 15 + [0] * 15 + [1] * 15
    assert [data[index]["label"] for index in range(len(data))] == data.labels
    assert all(torch.equal(data[index]["image"], carl.images[index]) for index in range(15))


def test_what_is_made_is_the_new_person_shown_as_the_others(lazy):
    carl, model = of_carl(4), tiny()
    before = copy.deepcopy(model.generator).eval()
    learn_class(model, "carl", carl, steps=1, device="cpu")
    _, data, _ = lazy.given
    source = before.stranger(carl.images[:3], carl.masks[:3])
    with torch.no_grad():
        face = before(carl.images[:3], "bob", source, carl.masks[:3])
    wanted = torch.lerp(carl.images[:3], face.image, face.mask)
    for index in range(3):
        item = data[6 + index]
        assert item["label"] == 1
        assert (item["image"] - wanted[index]).abs().max() <= 0.51 / 255
        assert (item["mask"] - face.mask[index]).abs().max() <= 0.51 / 255


def test_real_pictures_of_the_others_take_the_place_of_made_ones(lazy):
    others = Pictures([1] * 5)
    learn_class(tiny(), "carl", of_carl(8), others=others, steps=1, device="cpu")
    _, data, _ = lazy.given
    assert data.labels == [2] * 7 + [1] * 5 + [0] * 7
    assert torch.equal(data[7]["image"], others.images[0])


def test_of_many_pictures_a_spread_of_them_is_rehearsed(lazy, monkeypatch):
    monkeypatch.setattr(learning, "_ENOUGH", 5)
    carl = of_carl(20)
    learn_class(tiny(), "carl", carl, steps=1, device="cpu")
    _, data, _ = lazy.given
    assert data.labels == [2] * 17 + [0] * 5 + [1] * 5  # of 17, every fourth: 0, 4, 8, 12, 16
    assert carl.seen[12] == carl.seen[1] + 1


def test_a_class_that_was_added_is_learned_and_one_that_is_known_goes_on(lazy):
    model = tiny()
    model.add_class("carl")
    learn_class(model, "carl", of_carl(8), steps=1, device="cpu")
    assert model.classes == ("anna", "bob", "carl")
    learn_class(model, "anna", of_carl(8), steps=1, device="cpu")
    assert lazy.given[1].labels == [0] * 7 + [1] * 7 + [2] * 7


def test_the_account_of_the_training_stays_and_grows(lazy):
    model = tiny()
    model.history = {"steps": 2000}
    learn_class(model, "carl", of_carl(8), steps=3, device="cpu")
    assert model.history == {"steps": 2000, "steps to learn carl": 3}


def test_no_steps_are_allowed():
    assert isinstance(learn_class(tiny(), "carl", of_carl(8), steps=0, device="cpu"), Learned)


# What is made and joined.


def test_a_face_goes_where_its_own_mask_says():
    image, shown, mask = torch.zeros(1, 3, 1, 2), torch.ones(1, 3, 1, 2), torch.tensor([[[[0.25, 1.0]]]])
    out, where = paste(image, torch.zeros(1, 1, 1, 2), Face(shown, mask))
    assert torch.equal(out, mask.expand(1, 3, 1, 2))
    assert torch.equal(where, mask)


def test_a_face_without_a_mask_goes_where_the_picture_has_its_face():
    image, shown, mask = torch.zeros(1, 3, 1, 2), torch.ones(1, 3, 1, 2), torch.tensor([[[[0.25, 1.0]]]])
    out, where = paste(image, mask, Face(shown, torch.ones(1, 1, 1, 2)))
    assert torch.equal(out, mask.expand(1, 3, 1, 2))
    assert torch.equal(where, mask)


def test_nobody_to_rehearse_is_nothing():
    assert len(Rehearsal(tiny().generator, [], Stranger(*torch.zeros(2, 4, 4, 4), count=1), to=[])) == 0
    assert len(Joined()) == 0


# What is measured.


def test_what_nothing_was_learned_of_did_not_drift(lazy):
    model = tiny(normalisation="none")
    learned = learn_class(model, "carl", of_carl(10), others=Pictures(), steps=1, device="cpu")
    assert learned.drift == learned.drift_of_others == 0
    assert learned.alike == learned.alike_of_others == pytest.approx(1)


def test_without_pictures_of_the_others_nothing_is_said_of_them(lazy):
    learned = learn_class(tiny(), "carl", of_carl(10), steps=1, device="cpu")
    assert learned.drift_of_others is None
    assert learned.alike_of_others is None


def test_drift_is_the_mean_absolute_change_inside_the_face(monkeypatch):
    class Darker(Lazy):
        def fit(self, data, steps):
            with torch.no_grad():  # the last layer, before its sigmoid
                shown = self.model.generator.decoder
                monkeypatch.setattr(shown, "forward", lambda features, label: Face(*darkened(shown, features, label)))

    def darkened(decoder, features, label):
        face = type(decoder).forward(decoder, features, label)
        inside = torch.zeros_like(face.mask)
        inside[..., 2:-2, 3:-3] = 1  # as the mask of the pictures: what changes outside does not count
        return torch.where(inside > 0, face.image - 0.125, 0.0), face.mask

    monkeypatch.setattr(learning, "Trainer", Darker)
    model = tiny(normalisation="none")
    learned = learn_class(model, "carl", of_carl(10), others=Pictures(), steps=1, device="cpu")
    assert learned.drift == pytest.approx(0.125, abs=1e-5)
    assert learned.drift_of_others == pytest.approx(0.125, abs=1e-5)
    assert learned.alike < 1


def test_the_figures_are_of_the_pictures_held_back(lazy):
    model, carl = tiny(), of_carl(10)
    before = copy.deepcopy(model.generator).eval()
    learned = learn_class(model, "carl", carl, held_back=0.2, steps=1, device="cpu")
    image, mask = carl.images[8:], carl.masks[8:]
    source = before.stranger(carl.images[:8], carl.masks[:8])
    back, shown, drift = [], [], []
    with torch.no_grad():
        own = masked_mean(ssim(model.generator(image, 2, 2, mask).image, image), mask)
        for to in (0, 1):
            face = before(image, to, source, mask)
            swapped = torch.lerp(image, face.image, face.mask)
            again = model.generator(swapped, 2, to, face.mask).image
            back.append(masked_mean(ssim(again, image), mask * face.mask))
            shown.append(masked_mean(ssim(swapped, image), mask * face.mask))
            now = model.generator(image, to, 2, mask).image
            drift.append((((now - face.image).abs() * mask).sum((1, 2, 3)) / (3 * mask.sum((1, 2, 3)))).mean())
    assert learned.reconstruction == pytest.approx(float(own), abs=1e-5)
    assert learned.swap == pytest.approx(float(sum(back)) / 2, abs=1e-5)
    assert learned.unchanged == pytest.approx(float(sum(shown)) / 2, abs=1e-5)
    assert learned.drift == pytest.approx(float(sum(drift)) / 2, abs=1e-5)


# That the others stay.


def test_with_the_guard_the_others_drift_less_than_without():
    people = ToyFaces(3, image_size=SIZE, length=90)
    known = Subset(people, [index for index in range(60) if people.labels[index] < 2])
    carl = Subset(people, [index for index in range(90) if people.labels[index] == 2])
    model = tiny(people.classes[:2])
    Trainer(model, quick(batch_size=8, planned_steps=120, watch=0), device="cpu").fit(known, 120)
    other, before = copy.deepcopy(model), copy.deepcopy(model)
    settings = quick(batch_size=9, planned_steps=60, watch=0)
    learned = learn_class(model, "person-2", carl, steps=60, config=settings, device="cpu")
    other.add_class("person-2")
    batch = {key: torch.stack([item[key] for item in carl]) for key in ("image", "mask")}
    batch["label"] = torch.full((len(carl),), 2)
    Trainer(other, settings, device="cpu").fit([batch], 60)

    @torch.no_grad()
    def change(changed):
        then, now = (one.generator(batch["image"], 0, 0, batch["mask"]).image for one in (before, changed))
        return float(((now - then).abs() * batch["mask"]).sum() / batch["mask"].sum() / 3)

    assert change(model) < 0.9 * change(other)
    assert 0 < learned.drift < 0.2


# What is refused.


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        ({"data": Pictures()}, DataError, r"have the labels \[0, 1\], and one class is learned at a time"),
        ({"data": of_carl(1)}, DataError, "50 to 200 pictures and this is one"),
        ({"data": of_carl(0)}, DataError, "empty"),
        ({"data": [{"image": torch.rand(2, 3, SIZE, SIZE)}]}, DataError, "an item or a batch is"),
        ({"data": iter([])}, DataError, "learned from a dataset of items"),
        ({"data": of_carl(size=32)}, ShapeError, "the model takes images"),
        ({"held_back": 0}, ConfigError, "held_back=0 is not a share"),
        ({"held_back": 1.0}, ConfigError, "held_back=1.0 is not a share"),
        ({"steps": -1}, ConfigError, "steps is -1"),
        ({"steps": 5, "config": quick(planned_steps=4)}, ConfigError, "planned for 4"),
        ({"name": ""}, ConfigError, "names of the people"),
        (
            {"others": Pictures(classes=("bob", "anna"))},
            DataError,
            r"are \['bob', 'anna'\] and they are \['anna', 'bob'\]",
        ),
        ({"others": Pictures([0, 2])}, DataError, "give them the numbers"),
        ({"others": iter([])}, DataError, "a dataset of items"),
        ({"others": Pictures(size=32)}, ShapeError, "the model takes images"),
        ({"device": "abacus"}, ConfigError, "abacus"),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str) else "",
)
def test_what_cannot_be_learned_is_refused_and_the_model_is_as_it_was(arguments, error, told):
    model = tiny()
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(error, match=told):
        learn_class(model, **({"name": "carl", "data": of_carl(), "steps": 1} | arguments))
    assert model.classes == ("anna", "bob")
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())


def test_a_model_of_that_class_alone_has_nobody_to_guard():
    model = CGAN.default(16, classes=["carl"])
    with pytest.raises(ConfigError, match="'carl' is the only class of this model; train it with Trainer"):
        learn_class(model, "carl", of_carl())
