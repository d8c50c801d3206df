"""The trainer watches the swap: what it sees, what it says, and that nothing of the training changes by it."""

import json
import random

import pytest
import torch
from label_models import deaf, painting
from safetensors.torch import load_file, save_file
from tiny_models import (
    EVERYTHING,
    SIZE,
    DropoutDiscriminator,
    Pictures,
    batch_of,
    differing,
    quick,
    state_of,
    tiny,
)
from torch import nn
from torch.utils.data import DataLoader

from condswap import CGAN, ConfigError, DataError, ShapeError, ToyFaces, Trainer, TrainerConfig
from condswap.sensitivity import label_sensitivity, mean_faces, moved, moved_to_mean, show_both
from condswap.training import verdict, watch
from condswap.training.state import checksum
from condswap.training.watch import Watch, Watched


def watched(data=None, steps=4, *, model=None, hook=None, held_back=None, identity=None, **changes):
    trainer = Trainer(model or tiny(), quick(**{"watch": 2, **changes}), device="cpu")
    trainer.fit(Pictures() if data is None else data, steps, hook=hook, held_back=held_back, identity=identity)
    return trainer


def look(model, data, **changes):
    return Watch(model, data, data.labels, every=1, **changes).look(model, step=7)


class Greys(Pictures):
    """Pictures of one grey a class."""

    def __init__(self, labels=(0, 1) * 8, levels=(0.25, 0.75), classes=("anna", "bob")):
        super().__init__(labels, classes=classes)
        self.images = torch.tensor([levels[label] for label in labels])[:, None, None, None].expand(-1, 3, SIZE, SIZE)


# What it sees


def test_a_model_that_ignores_its_label_is_seen_to():
    found = look(deaf(), Pictures())
    assert found.step == 7
    assert found.label_sensitivity == 0.0


def test_a_model_that_shows_the_other_person_is_seen_to():
    found = look(painting((0.25, 0.75)), Greys())
    assert found.label_sensitivity == pytest.approx(1.0)
    assert found.moved == pytest.approx(1.0)
    half = look(painting((0.375, 0.625)), Greys())  # anna goes from 0.25 to 0.625, which is 3/4 of the way
    assert half.label_sensitivity == pytest.approx(0.5)
    assert half.moved == pytest.approx(0.75)


def test_the_figures_are_those_of_the_sensitivity_module():
    model, data = tiny().eval(), Pictures((0, 1) * 16)
    batch = batch_of(data)
    found = look(model, data)
    swap, label = show_both(model, **batch).swap, batch["label"]
    assert found.label_sensitivity == pytest.approx(float(label_sensitivity(model, **batch).mean()), rel=1e-4)
    means = mean_faces(batch["image"], label, batch["mask"], classes=2)
    way = moved_to_mean(batch["image"], swap, label, 1 - label, batch["mask"], means)
    assert found.moved == pytest.approx(float(way.mean()), rel=1e-3)
    assert found.gap is None


def test_where_the_exact_swap_is_known_the_way_is_that_to_it():
    data = ToyFaces(["anna", "bob"], image_size=SIZE, length=32, split="test")
    model = tiny().eval()
    image, mask = (torch.stack([data[i][key] for i in range(32)]) for key in ("image", "mask"))
    label = torch.tensor(data.labels)
    truth = data.swap_truths(range(32), 1 - label)
    both = mask * torch.stack([data.swap_mask(i, 1 - data.labels[i]) for i in range(32)])
    swap = show_both(model, image, label, mask).swap
    assert look(model, data).moved == pytest.approx(float(moved(image, swap, truth, both).nanmean()), abs=1e-5)


def test_too_few_pictures_tell_no_way_to_the_mean():
    assert look(tiny(), Pictures((0, 1) * 4)).moved is None


def test_an_identity_network_tells_whom_the_swaps_are_like():
    """Its vector of a grey is (grey, 1 - grey) to unit length: the swaps of this model are the other class itself."""
    seen = []

    def identity(faces):
        seen.append(tuple(faces.shape))
        grey = faces.mean((1, 2, 3))
        return torch.stack([grey, 1 - grey], dim=1)

    data = Greys((0, 1) * 8, levels=(0.0, 1.0))
    data.masks = torch.ones_like(data.masks)
    assert look(painting((0.0, 1.0)), data, identity=identity).gap == pytest.approx(1.0, abs=1e-4)
    assert look(painting((0.5, 0.5)), data, identity=identity).gap == pytest.approx(0.0, abs=1e-4)
    assert set(seen) == {(16, 3, SIZE, SIZE)}


def test_the_pictures_are_spread_over_every_class_and_few():
    data = Pictures((0,) * 100 + (1,) * 300 + (2,) * 5, classes=("anna", "bob", "carl"))
    look(tiny(("anna", "bob", "carl")), data)
    read = [[i for i, times in enumerate(data.seen) if times and data.labels[i] == one] for one in range(3)]
    assert [len(one) for one in read] == [10, 10, 5]
    assert max(read[0]) >= 90
    assert max(read[1]) - min(read[1]) >= 250


def test_of_many_classes_some_stand_for_all():
    names = tuple(f"p{n}" for n in range(40))
    data = Pictures(tuple(range(40)) * 5, classes=names)
    look(tiny(names), data)
    assert sum(times > 0 for times in data.seen) == 32


def test_what_is_averaged_does_not_grow_with_the_classes_that_are_not_there(monkeypatch):
    """Eight of 300 classes are looked at, the last of which becomes the ninth; the others take no memory."""
    names = tuple(f"p{n}" for n in range(300))
    data, model = Pictures(tuple(range(300)) * 4, classes=names), tiny(names).eval()
    asked = []
    monkeypatch.setattr(
        watch, "mean_faces", lambda *given, classes: asked.append(classes) or mean_faces(*given, classes=classes)
    )
    found = look(model, data)
    assert asked == [9]
    batch = batch_of(data, [index for index, label in enumerate(data.labels) if label < 8])
    means = mean_faces(batch["image"], batch["label"], batch["mask"], classes=300)
    both = show_both(model, **batch)
    way = moved_to_mean(batch["image"], both.swap, batch["label"], both.to, batch["mask"], means)
    assert found.moved == pytest.approx(float(way.nanmean()), rel=1e-3)
    assert int(way.isnan().sum()) == 4  # of the pictures of the eighth class


def test_pictures_are_read_once():
    data = Pictures()
    trainer = watched(Pictures(), 8, held_back=data)
    assert [one.step for one in trainer.watched] == [2, 4, 6, 8]
    assert data.seen == [2] + [1] * 11  # the first one twice, to see that these are pictures


# When it looks


def test_it_looks_every_so_many_steps_and_at_the_end():
    assert [one.step for one in watched(steps=5).watched] == [2, 4, 5]
    assert [one.step for one in watched(steps=4).watched] == [2, 4]
    assert [one.step for one in watched(steps=3, watch=200).watched] == [3]
    assert watched(steps=5, watch=0).watched == []


def test_a_run_without_steps_does_not_look_again():
    trainer = watched(steps=4)
    trainer.fit(Pictures(), 4)
    assert [one.step for one in trainer.watched] == [2, 4]
    trainer.fit(Pictures(), 5)
    assert [one.step for one in trainer.watched] == [2, 4, 5]


def test_the_last_look_is_at_the_model_as_it_is_left():
    trainer, data = watched(), Pictures()
    assert trainer.watched[-1].label_sensitivity == look(trainer.model, data).label_sensitivity


def test_a_hook_finds_the_look_of_its_step():
    found = {}

    def note(trainer):
        found[trainer.step] = ([one.step for one in trainer.watched], trainer.model.history.get("label sensitivity"))

    trainer = watched(steps=5, hook=note)
    assert [steps for steps, _ in found.values()] == [[], [2], [2], [2, 4], [2, 4]]
    assert found[3][1] == round(trainer.watched[0].label_sensitivity, 3)


def test_batches_are_looked_at_as_they_come():
    data = Pictures()
    assert [one.step for one in watched([batch_of(data)]).watched] == [2, 4]
    assert [one.step for one in watched(DataLoader(data, batch_size=6)).watched] == [2, 4]
    assert [one.step for one in watched([batch_of(data)], held_back=data).watched] == [2, 4]


def test_batches_of_one_class_each_cannot_be_looked_at_and_it_says_so(capsys):
    data = Pictures()
    trainer = watched([batch_of(data, [0, 2]), batch_of(data, [1, 3])])
    assert trainer.watched == []
    assert "THE SWAP WAS NOT LOOKED AT" in capsys.readouterr().err
    assert "held_back" in verdict.said([], last=True)


def test_faces_without_masks_are_trained_on_and_not_looked_at():
    data = Pictures()
    data.masks = torch.zeros_like(data.masks)
    assert watched(data).watched == []


def test_one_class_has_nothing_to_swap_to(capsys):
    trainer = watched(Pictures((0,) * 8, classes=("anna",)), model=tiny(("anna",)))
    assert trainer.watched == []
    assert "SWAP" not in capsys.readouterr().err


@pytest.mark.parametrize("watch", [-1, 1.5, True, None])
def test_a_number_of_steps_that_is_none_is_refused(watch):
    with pytest.raises(ConfigError, match=r"TrainerConfig\.watch"):
        TrainerConfig(watch=watch)


# Held-back pictures


def refused(held_back, kind, *words, model=None):
    trainer = Trainer(model or tiny(), quick(), device="cpu")
    with pytest.raises(kind) as error:
        trainer.fit(Pictures(), 2, held_back=held_back)
    for word in words:
        assert word in str(error.value)
    assert trainer.step == 0


def test_held_back_pictures_that_do_not_suit_are_refused_before_the_first_step():
    refused(Pictures((0, 0, 0)), DataError, "held_back", "two classes or more")
    refused(Pictures(size=32), ShapeError, "(b, 3, 16, 16)", "32")
    refused(Pictures(classes=("bob", "anna")), DataError, "['bob', 'anna']")
    refused(Pictures((0, 1, 2)), DataError, "held_back", "from 0 to 2")
    refused(iter([batch_of(Pictures())]), DataError, "held_back", "dataset")
    refused([batch_of(Pictures())], DataError, "held_back", "dataset")
    refused(Pictures((0,) * 4, classes=("anna",)), DataError, "held_back", model=tiny())
    data = Pictures()
    data.images = 255 * data.images
    refused(data, DataError, "held_back", "divide by 255")


def test_held_back_pictures_are_not_trained_on(tmp_path):
    other = Pictures((1, 0) * 8)
    states = [state_of(watched(held_back=one), tmp_path / str(n)) for n, one in enumerate((None, other))]
    assert differing(*states) == []
    assert watched().watched != watched(held_back=other).watched


# Nothing of the training changes


class Restless(Pictures):
    """Takes from everybody's random numbers whenever a picture is read."""

    def __getitem__(self, index):
        torch.rand(3)
        return super().__getitem__(index)


MODELS = {
    "default": tiny,
    "everything": lambda: tiny(objective=EVERYTHING),
    "dropout": lambda: tiny(discriminator=DropoutDiscriminator),
}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_watching_changes_nothing_bit_for_bit(kind, precision, tmp_path):
    states = [
        state_of(watched(model=MODELS[kind](), watch=watch, precision=precision), tmp_path / str(watch))
        for watch in (0, 1)
    ]
    assert differing(*states) == []


def test_watching_leaves_modes_gradients_and_random_numbers_alone():
    model = tiny()
    model.generator.encoder.add_module("noise", nn.Dropout(0.5))
    model.generator.train()
    before, others = torch.get_rng_state(), random.getstate()
    modes = [module.training for module in model.modules()]
    data = Restless()
    watch = Watch(model, data, data.labels, every=1, identity=lambda faces: torch.rand(len(faces), 4))
    assert watch.look(model, step=1).gap is not None
    assert torch.equal(torch.get_rng_state(), before)
    assert random.getstate() == others
    assert [module.training for module in model.modules()] == modes
    assert all(weight.grad is None for weight in model.parameters())


# The state


def test_a_resumed_run_has_watched_what_the_uninterrupted_one_has(tmp_path):
    whole = watched(steps=6)
    first = Trainer(tiny(), quick(watch=2), device="cpu")
    with pytest.raises(KeyboardInterrupt):
        first.fit(Pictures(), 6, hook=lambda given: interrupt_at(given, 3))
    first.save(tmp_path)
    model = tiny(seed=7)
    second = Trainer.load(tmp_path, model, device="cpu")
    assert second.watched == first.watched != []
    assert model.history == first.model.history
    second.fit(Pictures(), 6)
    assert second.watched == whole.watched
    assert second.model.history == whole.model.history


def interrupt_at(trainer, step):
    if trainer.step == step:
        raise KeyboardInterrupt


def rewritten(folder, change):
    """A state with other facts."""
    from safetensors import safe_open

    path = folder / "state.safetensors"
    with safe_open(path, framework="pt") as file:
        facts = json.loads(file.metadata()["condswap"])
    change(facts)
    tensors, text = load_file(path), json.dumps(facts)
    save_file(tensors, path, {"condswap": text, "sha256": checksum(tensors, text)})
    return folder


@pytest.mark.parametrize(
    "edit",
    [
        3,
        [3],
        [{"step": 3}],
        [{"step": "3", "label_sensitivity": 0.1, "moved": None, "gap": None}],
        [{"step": 3, "label_sensitivity": None, "moved": None, "gap": None}],
        [{"step": 3, "label_sensitivity": 0.1, "moved": "far", "gap": None}],
        [{"step": 3, "label_sensitivity": 0.1, "moved": None, "gap": None, "more": 1}],
    ],
)
def test_an_edited_state_is_refused_and_the_model_stays(edit, tmp_path):
    watched().save(tmp_path)
    model = tiny(seed=3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(DataError, match="edited"):
        Trainer.load(rewritten(tmp_path, lambda facts: facts.update(watched=edit)), model, device="cpu")
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_what_was_watched_comes_back_from_json():
    for one in (Watched(step=3, label_sensitivity=0.5), Watched(step=4, label_sensitivity=0.0, moved=-0.1, gap=1.0)):
        assert Watched.from_config(json.loads(json.dumps(one.config()))) == one


# Loud


def test_an_ignored_label_is_said_while_it_runs_and_at_the_end(capsys, monkeypatch):
    monkeypatch.setattr(verdict, "_SETTLED", 1)
    lines = []
    trainer = watched(model=deaf(), steps=8, hook=lambda _: lines.append(capsys.readouterr().err))
    said = [number + 1 for number, text in enumerate(lines) if "THE LABEL IS IGNORED" in text]
    assert said == [2]  # when it was seen first, not with every look
    assert "THE LABEL IS IGNORED: at step 8" in capsys.readouterr().err
    assert trainer.model.history["label sensitivity"] == 0.0
    assert trainer.model.history["label"] == "ignored"


def test_the_card_of_a_model_that_ignores_its_label_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(verdict, "_SETTLED", 1)
    watched(model=painting((0.5, 0.5)), steps=2).model.save_pretrained(tmp_path)
    card = (tmp_path / "README.md").read_text()
    assert "| label sensitivity | 0.0 |" in card
    assert "| label | ignored |" in card


def test_a_run_ends_with_the_figures_of_its_last_look(capsys):
    trainer = watched(steps=4)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"The swap at step 4: label sensitivity {trainer.watched[-1].label_sensitivity:.2f}")


def test_a_run_that_never_looks_says_nothing_of_the_swap(capsys):
    watched(steps=2, watch=0)
    assert "swap" not in capsys.readouterr().err.lower()


def test_a_run_that_is_stopped_keeps_its_looks():
    trainer = Trainer(tiny(), quick(watch=2), device="cpu")
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(Pictures(), 6, hook=lambda given: interrupt_at(given, 3))
    assert [one.step for one in trainer.watched] == [2]
    assert "label sensitivity" in trainer.model.history


def test_the_default_model_learns_to_use_its_label():
    data = ToyFaces(2, image_size=32, seed=0, length=24)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = CGAN.default(32, classes=data.classes)
    trainer = Trainer(model, TrainerConfig(batch_size=8, warm_up=3), device="cpu")
    trainer.fit(data, 30)
    assert trainer.watched[-1].label_sensitivity > 0.3
    assert trainer.watched[-1].moved > 0.3
