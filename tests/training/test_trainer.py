"""The trainer: what it takes, what it refuses, and what the model is afterwards."""

import math
from functools import partial

import pytest
import torch
from tiny_models import EVERYTHING, OFF, SIZE, DropoutDiscriminator, Pictures, batch_of, differing, quick, tiny
from torch.utils.data import DataLoader, IterableDataset, Subset

from condswap import (
    CGAN,
    CondswapError,
    ConfigError,
    DataError,
    MaskedLoss,
    Objective,
    ShapeError,
    ToyFaces,
    Trainer,
    TrainerConfig,
)
from condswap.losses import L1


def trained(data=None, steps=2, *, model=None, hook=None, **changes):
    trainer = Trainer(model or tiny(), quick(**changes), device="cpu")
    trainer.fit(Pictures() if data is None else data, steps, hook=hook)
    return trainer


# What it gives


def test_steps_is_the_total():
    trainer = trained(steps=2)
    trainer.fit(Pictures(), steps=5)
    assert trainer.step == 5
    calls = []
    trainer.fit(Pictures(), steps=5, hook=calls.append)
    assert (trainer.step, calls) == (5, [])


def test_metrics_have_their_names_and_are_floats():
    trainer = Trainer(tiny(objective=EVERYTHING), quick(), device="cpu")
    assert trainer.metrics == {}
    trainer.fit(Pictures(), 1)
    assert set(trainer.metrics) == {"g/loss", "g/reconstruction", "g/mask", "g/adversarial", "g/swap", "g/code",
                                    "d/loss", "d/real", "d/fake", "d/r1", "c/loss", "c/accuracy"}  # fmt: skip
    assert all(type(value) is float and math.isfinite(value) for value in trainer.metrics.values())
    assert {"g/reconstruction", "d/loss"} <= set(trained().metrics)


def test_one_class_trains_without_an_adversary_of_the_code():
    trainer = trained(Pictures((0,) * 8, classes=("anna",)), model=tiny(("anna",), objective=EVERYTHING))
    assert not any(name.startswith("c/") or name in ("g/code", "g/swap") for name in trainer.metrics)


def test_the_model_is_trained_in_place_and_is_in_evaluation_mode_at_every_hook():
    model, modes = tiny(discriminator=DropoutDiscriminator).train(), []
    before = [weight.detach().clone() for weight in model.parameters()]
    trainer = trained(model=model, hook=lambda given: modes.append({one.training for one in given.model.modules()}))
    assert trainer.model is model
    assert modes == [{False}, {False}]
    assert not any(one.training for one in model.modules())
    assert all(not torch.equal(now, then) for now, then in zip(model.parameters(), before, strict=True))


def test_the_model_holds_the_running_average():
    """Worked out here from the weights that are trained; early on the decay is (1 + step) / (10 + step)."""
    model = tiny()
    expected = {name: weight.detach().clone() for name, weight in model.generator.named_parameters()}
    trainer = Trainer(model, quick(average=0.15), device="cpu")

    def follow(given):
        step = given.step - 1
        decay = min(0.15, (1 + step) / (10 + step))  # 0.1, then 0.15
        for name, weight in given._live.generator.named_parameters():
            expected[name] = decay * expected[name] + (1 - decay) * weight.detach()
            now = given.model.generator.get_parameter(name)
            assert torch.allclose(now, expected[name], atol=1e-6), (given.step, name)

    trainer.fit(Pictures(), 4, hook=follow)


def test_an_average_of_0_holds_the_last_weights():
    trainer = trained(average=0.0)
    live = dict(trainer._live.generator.named_parameters())
    assert differing(dict(trainer.model.generator.named_parameters()), live) == []


def test_the_first_step_of_adam_is_the_learning_rate():
    """Adam's first step moves every weight by the learning rate, whatever its gradient; warm-up makes it a third."""
    model = tiny()
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    trained(steps=1, model=model, average=0.0, learning_rate=0.3, discriminator_learning_rate=0.06)
    for part, rate in (("generator.encoder.convs.0.weight", 0.1), ("discriminator.convs.0.weight", 0.02)):
        moved = (model.get_parameter(part) - before[part]).abs()
        assert torch.allclose(moved, torch.full_like(moved, rate), rtol=1e-2), part


def test_gradients_are_clipped_for_generator_and_discriminator():
    def norms(clip):
        trainer = trained(steps=1, clip=clip)
        live = trainer._live
        return [
            float(torch.linalg.vector_norm(torch.cat([w.grad.flatten() for w in part.parameters()])))
            for part in (live.generator, live.discriminator, trainer._adversary)
        ]

    free, bound = norms(None), norms(0.01)
    assert min(free) > 0.02
    assert bound[:2] == pytest.approx([0.01, 0.01], rel=1e-3)
    assert bound[2] == pytest.approx(free[2], rel=1e-5)
    assert norms(1e6) == pytest.approx(free, rel=1e-5)


def test_no_gradient_of_one_network_reaches_another(monkeypatch):
    from condswap.training import trainer as module

    found, real = [], module.discriminator_step

    def watched(model, batch, shown):
        generator = [weight.grad.clone() for weight in model.generator.parameters()]
        found.append(("discriminator before its step", [w.grad for w in model.discriminator.parameters()]))
        found.append(("generator", generator))
        return real(model, batch, shown)

    monkeypatch.setattr(module, "discriminator_step", watched)
    trainer = trained(steps=1, model=tiny(objective=EVERYTHING))
    (_, judge), (_, generator) = found
    assert judge == [None] * len(judge)
    now = [weight.grad for weight in trainer._live.generator.parameters()]
    assert all(torch.equal(one, other) for one, other in zip(generator, now, strict=True))
    assert all(weight.grad is None for weight in trainer.model.generator.parameters())


def test_the_discriminator_waits_for_its_turn():
    names = []
    trained(
        steps=3, adversarial_from=2, hook=lambda given: names.append({"d/loss", "g/adversarial"} & set(given.metrics))
    )
    assert names == [set(), set(), {"d/loss", "g/adversarial"}]


def test_the_weight_of_the_adversary_rises():
    """The loss is its terms times their weights; ramp_up=3 gives the adversary a quarter, a half, and so on of 0.8."""
    objective, shares = Objective(code_adversary=0.8, adversarial=0, mask=0), []

    def note(given):
        metrics = given.metrics
        shares.append((metrics["g/loss"] - metrics["g/reconstruction"]) / metrics["g/code"])

    trained(steps=5, model=tiny(objective=objective), ramp_up=3, hook=note)
    assert shares == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8], abs=2e-3)


@pytest.mark.parametrize(("unmasked", "expected"), [(0.0, {False}), (1.0, {True}), (0.5, {False, True})])
def test_a_share_of_the_pictures_is_seen_whole(unmasked, expected, monkeypatch):
    from condswap.training import trainer as module

    whole, real = set(), module.show

    def watched(model, batch, *, seen):
        whole.update(bool((mask == 1).all()) for mask in seen.mask)
        return real(model, batch, seen=seen)

    monkeypatch.setattr(module, "show", watched)
    trained(steps=4, unmasked=unmasked)
    assert whole == expected


def test_after_the_ramp_a_share_of_the_pictures_is_seen_as_other_people(monkeypatch):
    from condswap.training import trainer as module

    others, real = [], module.show

    def watched(model, batch, *, seen):
        others.append(int((seen.source != batch["label"]).sum()))
        return real(model, batch, seen=seen)

    monkeypatch.setattr(module, "show", watched)
    trained(steps=4, back_translation=0.5, ramp_up=2, batch_size=4)
    trained(steps=4, ramp_up=2, batch_size=4, data=ToyFaces(2, image_size=SIZE, length=8), model=tiny(("x", "y")))
    one = Pictures((0,) * 8, classes=("anna",))
    trained(one, steps=2, back_translation=1.0, ramp_up=0, batch_size=4, model=tiny(("anna",)))
    assert others == [0, 0, 2, 2] + [0] * 4 + [0] * 2


def test_every_step_varies_the_pictures_anew(monkeypatch):
    from condswap.training import trainer as module

    targets, real = [], module.show

    def watched(model, batch, *, seen):
        targets.append(batch["image"])
        return real(model, batch, seen=seen)

    monkeypatch.setattr(module, "show", watched)
    given = [batch_of(Pictures())]
    trained(given, steps=3)
    assert not torch.equal(targets[0], given[0]["image"])
    assert not torch.equal(targets[0], targets[1])
    assert not torch.equal(targets[1], targets[2])
    targets.clear()
    trained(given, steps=1, augmentation=OFF)
    assert torch.equal(targets[0], given[0]["image"])


def test_a_frozen_part_stays_and_the_rest_learns():
    model = tiny()
    model.generator.encoder.requires_grad_(False)
    before = {name: weight.clone() for name, weight in model.generator.state_dict().items()}
    trained(model=model)
    for name, weight in model.generator.named_parameters():
        assert torch.equal(weight, before[name]) == name.startswith("encoder."), name


@pytest.mark.parametrize("objective", [None, EVERYTHING])
def test_bfloat16_trains_on_the_cpu(objective):
    trainer = trained(steps=2, model=tiny(objective=objective), precision="bfloat16")
    assert all(math.isfinite(value) for value in trainer.metrics.values())
    assert all(torch.isfinite(tensor).all() for tensor in trainer.model.state_dict().values())
    assert all(weight.dtype == torch.float32 for weight in trainer.model.parameters())


def test_bfloat16_is_at_work():
    losses = [trained(steps=1, precision=precision).metrics["g/loss"] for precision in ("float32", "bfloat16")]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


def test_a_masked_loss_of_ones_own_is_used():
    trainer = Trainer(tiny(), quick(), device="cpu", reconstruction=MaskedLoss(L1()))
    trainer.fit(Pictures(), 1)
    assert trainer.metrics["g/reconstruction"] < 1  # DSSIM and L1 of noise are twice that


def test_the_default_model_learns():
    data = ToyFaces(2, image_size=64, seed=0, length=24)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = CGAN.default(64, classes=data.classes)
    losses = []
    config = TrainerConfig(seed=0, batch_size=8, warm_up=3, augmentation=OFF)
    Trainer(model, config, device="cpu").fit(
        data, 30, hook=lambda given: losses.append(given.metrics["g/reconstruction"])
    )
    assert sum(losses[-5:]) / 5 < 0.6 * losses[0], losses


# What it takes


def test_a_list_of_batches_a_loader_and_streams_are_trained_on():
    data = Pictures()

    class Stream(IterableDataset):
        def __iter__(self):
            for start in (0, 4):
                yield batch_of(data, range(start, start + 4))

    for given in ([batch_of(data)], DataLoader(data, batch_size=3), Stream(), Subset(data, range(8)),
                  [data[i] for i in range(12)], (batch_of(data) for _ in range(3))):  # fmt: skip
        assert trained(given, 3).step == 3


def test_a_generator_that_ends_too_soon_is_an_error_and_the_work_is_kept():
    trainer = Trainer(tiny(), quick(), device="cpu")
    with pytest.raises(DataError, match="ran out"):
        trainer.fit((batch_of(Pictures()) for _ in range(3)), 5)
    assert trainer.step == 3


def test_labels_may_be_a_list_and_numbers_of_another_size():
    for label in ([0, 1], (1, 1), torch.tensor([0, 1], dtype=torch.int32), torch.tensor([1, 0], dtype=torch.uint8)):
        trained([{**batch_of(Pictures(), [0, 1]), "label": label}], 1)


def test_double_and_half_precision_pictures_are_taken():
    batch = batch_of(Pictures())
    for kind in (torch.float64, torch.float16):
        trained([{"image": batch["image"].to(kind), "mask": batch["mask"].to(kind), "label": batch["label"]}], 1)


def test_batches_of_one_picture_are_trained_on():
    assert trained([batch_of(Pictures(), [0]), batch_of(Pictures(), [1])], 3).step == 3
    assert trained(steps=3, batch_size=1).step == 3


def test_other_names_of_classes_are_fine():
    assert trained(Pictures(classes=("person-0", "person-1"))).step == 2


# What it refuses


def refused(data, kind, *words, model=None):
    model = model or tiny()
    trainer = Trainer(model, quick(), device="cpu")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(kind) as error:
        trainer.fit(data, 2)
    assert isinstance(error.value, CondswapError)
    for word in words:
        assert word in str(error.value), str(error.value)
    assert trainer.step == 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def with_image(change):
    batch = batch_of(Pictures())
    return [{**batch, "image": change(batch["image"])}]


def poisoned(image):
    image = image.clone()
    image[5, 1, 2, 3] = float("nan")
    return image


def test_a_picture_of_nan_is_named():
    refused(with_image(poisoned), DataError, "image of picture 5", "nan")


def test_a_mask_of_nan_is_named_as_a_mask():
    batch = batch_of(Pictures())
    batch["mask"][3, 0, 0, 0] = float("nan")
    refused([batch], DataError, "mask of picture 3", "nan")


def test_a_later_bad_batch_stops_the_run_at_its_step():
    trainer = Trainer(tiny(), quick(), device="cpu")
    with pytest.raises(DataError, match="picture 5"):
        trainer.fit([batch_of(Pictures()), *with_image(poisoned)], 5)
    assert trainer.step == 1


def test_pictures_of_0_to_255_are_refused_with_the_cure():
    refused(with_image(lambda image: 255 * image), DataError, "divide by 255")
    refused(with_image(lambda image: (255 * image).byte()), DataError, "uint8", "255")
    refused(with_image(lambda image: 2 * image - 1), DataError, "shift to [0, 1]")
    data = Pictures()
    data.images = data.images * 255
    refused(data, DataError, "divide by 255")


def test_a_mask_of_0_to_255_is_refused():
    batch = batch_of(Pictures())
    refused([{**batch, "mask": 255 * batch["mask"]}], DataError, "mask", "divide by 255")
    refused([{**batch, "mask": batch["mask"].bool()}], DataError, "mask", "bool")


def test_pictures_of_another_size_say_what_to_pass():
    refused(Pictures(size=32), ShapeError, "(b, 3, 16, 16)", "(4, 3, 32, 32)", "image_size=16")
    refused(with_image(lambda image: image[:, :1]), ShapeError, "(b, 3, 16, 16)", "(12, 1, 16, 16)")


def test_items_in_the_place_of_batches_are_refused_with_the_cure():
    refused(iter([Pictures()[0]]), ShapeError, "DataLoader")


def test_masks_and_labels_that_do_not_fit_are_refused():
    batch = batch_of(Pictures())
    refused([{**batch, "mask": batch["mask"][:, 0]}], ShapeError, "(12, 1, 16, 16)", "(12, 16, 16)")
    refused([{**batch, "mask": batch["mask"][:3]}], ShapeError, "(3, 1, 16, 16)")
    refused([{**batch, "label": batch["label"][:3]}], ShapeError, "(12,)", "(3,)")
    refused([{**batch, "label": batch["label"][:, None]}], ShapeError, "(12, 1)")
    refused([{name: tensor[:0] for name, tensor in batch.items()}], ShapeError, "no pictures")


@pytest.mark.parametrize(
    ("label", "words"),
    [
        (["anna"] * 12, "'anna'"),
        (torch.zeros(12), "float32"),
        (torch.zeros(12, dtype=torch.bool), "bool"),
        (None, "None"),
        ([0] * 11 + [2], "from 0 to 2 and the model has 2 classes"),
        ([0] * 11 + [-1], "from -1 to 0"),
    ],
)
def test_labels_that_are_none_are_refused(label, words):
    refused([{**batch_of(Pictures()), "label": label}], DataError, words)


def test_labels_of_a_dataset_are_checked_before_a_picture_is_read():
    data = Pictures((0, 1, 2, 3))
    data.classes = ("anna", "bob")
    refused(data, DataError, "from 0 to 3 and the model has 2 classes")
    assert sum(data.seen) <= 1


def test_a_class_without_pictures_is_named():
    refused(Pictures((0, 0, 0)), DataError, "no pictures of bob")
    refused(Pictures((1, 1)), DataError, "no pictures of anna")
    data = Pictures((0, 0, 0))
    refused([data[i] for i in range(3)], DataError, "no pictures of bob")


def test_classes_in_another_order_are_refused():
    refused(Pictures(classes=("bob", "anna")), DataError, "['bob', 'anna']", "['anna', 'bob']", "FaceFolder")
    refused(Pictures(classes=("carl", "anna")), DataError, "FaceFolder")
    refused(Pictures(classes=("anna", "bob", "carl")), DataError, "'carl'")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "empty"),
        ([1, 2], "dict"),
        (iter([1]), "got int"),
        (iter([{"image": 0}]), "one with ['image']"),
        (iter([]), "ran out"),
        (None, "NoneType"),
        ("faces/", "FaceFolder"),
    ],
)
def test_what_is_no_data_is_refused(data, words):
    refused(data, DataError, words)


def test_pictures_that_are_no_tensors_are_refused():
    batch = batch_of(Pictures())
    refused(iter([{**batch, "image": batch["image"].numpy()}]), DataError, "image", "ndarray")


@pytest.mark.parametrize("steps", [-1, 1.5, True, "10", None])
def test_steps_that_are_no_number_of_steps_are_refused(steps):
    with pytest.raises(ConfigError, match="steps is"):
        Trainer(tiny(), quick(), device="cpu").fit(Pictures(), steps)


def test_more_steps_than_were_planned_are_refused_because_nothing_would_be_learned():
    trainer = trained(steps=3, planned_steps=3)
    with pytest.raises(ConfigError, match="steps is 4.*planned for 3"):
        trainer.fit(Pictures(), 4)


def test_a_model_that_was_given_a_class_needs_a_new_trainer():
    model = tiny()
    trainer = trained(model=model)
    model.add_class("carl")
    data = Pictures((0, 1, 2) * 4, classes=("anna", "bob", "carl"))
    with pytest.raises(ConfigError, match="'carl'.*make a new Trainer"):
        trainer.fit(data, 4)
    assert trained(data, model=model).step == 2


def test_settings_that_are_none_are_refused():
    with pytest.raises(ConfigError, match="TrainerConfig"):
        Trainer(tiny(), {"seed": 0}, device="cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused_and_the_model_stays():
    model = tiny().train()
    for device in ("cuda", "cuda:3", torch.device("cuda")):
        with pytest.raises(ConfigError, match="no cuda.*leave `device` out"):
            Trainer(model, quick(), device=device)
    assert model.training


@pytest.mark.parametrize("device", ["gpu", "cuda:x", 3.5, "meta"])
def test_a_device_that_does_not_exist_is_refused(device):
    with pytest.raises(ConfigError, match="device is"):
        Trainer(tiny(), quick(), device=device)


def test_the_size_of_the_tiny_model_is_that_of_its_pictures():
    assert tiny().image_shape == (3, SIZE, SIZE)


def test_the_model_remembers_how_it_was_trained_and_its_card_says_so(tmp_path):
    trainer = trained(steps=3, batch_size=6, seed=5)
    model = trainer.model
    assert model.history == {
        "steps": 3,
        "batch size": 6,
        "learning rate": 2e-3,
        "average": 0.995,
        "precision": "float32",
        "seed": 5,
        "label sensitivity": round(trainer.watched[-1].label_sensitivity, 3),
    }
    model.save_pretrained(tmp_path)
    assert CGAN.from_pretrained(tmp_path).history == model.history
    card = (tmp_path / "README.md").read_text()
    assert "batch size" in card
    assert "not recorded" not in card


def test_a_model_that_was_loaded_with_its_state_remembers_it(tmp_path):
    trainer = trained(steps=2)
    trainer.save(tmp_path)
    model = tiny()
    assert model.history == {}
    Trainer.load(tmp_path, model, device="cpu")
    assert model.history == trainer.model.history


@pytest.mark.filterwarnings("ignore")  # PyTorch warns of its own doings
def test_compiled_steps_learn_what_plain_ones_do(monkeypatch):
    # Traced and run as they are: a real compiler takes a minute, and is not what is ours.
    traced = partial(torch.compile, backend="eager")
    calls = []
    monkeypatch.setattr(torch, "compile", lambda step, dynamic: calls.append(step) or traced(step, dynamic=dynamic))
    made = []
    for compiled in (False, True):
        trainer = Trainer(tiny(), quick(compile=compiled, back_translation=0.5), device="cpu")
        trainer.fit(Pictures(), 5)
        made.append(trainer)
    assert len(calls) == 4
    plain, compiled = made
    assert compiled.metrics == pytest.approx(plain.metrics, rel=1e-4)
    image = torch.rand(2, 3, SIZE, SIZE)
    torch.testing.assert_close(compiled.model.swap(image, "bob"), plain.model.swap(image, "bob"), atol=1e-4, rtol=0)


def test_a_gradient_penalty_is_not_compiled(monkeypatch):
    calls = []
    monkeypatch.setattr(torch, "compile", lambda step, dynamic: calls.append(step) or step)
    Trainer(tiny(objective=Objective(r1=1.0)), quick(compile=True), device="cpu").fit(Pictures(), 1)
    assert len(calls) == 3


def test_without_a_compiler_it_is_said_before_the_training(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ConfigError, match=r"needs a C\+\+ compiler"):
        Trainer(tiny(), quick(compile=True), device="cpu")
