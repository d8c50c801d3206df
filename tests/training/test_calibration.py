"""The statistics of the code, measured for the weights that are kept: against a mean worked out here."""

import pytest
import torch
from tiny_models import Pictures, batch_of, quick, tiny

from condswap import Objective, Trainer
from condswap.parts import ClassNorm
from condswap.training.calibration import calibrate

CPU = torch.device("cpu")


def norm_of(model):
    (norm,) = [module for module in model.modules() if isinstance(module, ClassNorm)]
    return norm


def expected_statistics(model, batches, label, *, pooled):
    """The mean over the batches of the mean and mean square of a class's features."""
    means, squares = [], []
    for batch in batches:
        chosen = batch["label"] == label
        if not chosen.any():
            continue
        seen = batch["image"] * batch["mask"] + 0.5 * (1 - batch["mask"])
        with torch.no_grad():
            features = model.generator.encoder(seen)[chosen].flatten(2).double()
        over = (0, 2) if pooled else (0,)
        means.append(features.mean(over))
        squares.append((features**2).mean(over))
    shape = (-1, 1) if pooled else means[0].shape
    return torch.stack(means).mean(0).reshape(shape), torch.stack(squares).mean(0).reshape(shape)


@pytest.mark.parametrize("over", ["pooled", "positions"])
def test_the_statistics_are_the_mean_over_the_batches(over):
    model, data = tiny(normalisation=over).eval(), Pictures((0, 1, 0, 0, 1, 0, 1, 1, 0, 0))
    norm = norm_of(model)
    with torch.no_grad():
        norm.mean.fill_(9.0), norm.square.fill_(99.0), norm.updates.fill_(1000)
    # Batches of unequal mixes: each counts alike, however many pictures of the class it has.
    # And thirty of them, because in training only the last twenty would.
    batches = [batch_of(data, chosen) for chosen in ([0, 1, 2, 3], [4, 6, 7, 5], [8, 9, 1, 4, 6])]
    batches = batches[:1] * 10 + batches[1:2] * 10 + batches[2:] * 10
    calibrate(model.generator, batches, device=CPU)
    for label in (0, 1):
        mean, square = expected_statistics(model, batches, label, pooled=over == "pooled")
        assert torch.allclose(norm.mean[label].double(), mean, atol=1e-5)
        assert torch.allclose(norm.square[label].double(), square, atol=1e-5)


def test_a_class_that_is_in_no_batch_keeps_its_statistics():
    model, data = tiny().eval(), Pictures((0, 0, 0, 0, 1))
    norm = norm_of(model)
    norm.mean[1], norm.square[1] = 9.0, 99.0
    calibrate(model.generator, [batch_of(data, range(4))], device=CPU)
    assert (norm.mean[1] == 9).all()
    assert (norm.square[1] == 99).all()
    assert not (norm.mean[0] == 9).any()


@pytest.mark.parametrize("mode", [True, False])
def test_modes_momenta_and_weights_stay(mode):
    model, data = tiny().train(mode), Pictures()
    norm = norm_of(model)
    norm.momentum = 0.125
    weights = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    calibrate(model.generator, [batch_of(data)], device=CPU)
    assert norm.momentum == 0.125
    assert all(module.training is mode for module in model.modules())
    assert all(torch.equal(weight, weights[name]) for name, weight in model.named_parameters())
    assert all(weight.grad is None for weight in model.parameters())


def test_modes_and_momenta_stay_when_a_batch_cannot_be_read():
    model = tiny().eval()

    def broken():
        yield batch_of(Pictures())
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        calibrate(model.generator, broken(), device=CPU)
    assert norm_of(model).momentum == 0.05
    assert not norm_of(model).training


def test_a_model_without_such_statistics_reads_no_batch():
    def never():
        raise AssertionError("a batch was read for nothing")
        yield

    calibrate(tiny(normalisation="none").generator, never(), device=CPU)


def test_fit_measures_the_averaged_weights_at_its_end():
    """After training the statistics are those of `trainer.model`, not those that were gathered on the way."""
    model, data = tiny(objective=Objective(adversarial=0)), Pictures()
    trainer = Trainer(model, quick(average=0.9, batch_size=12), device="cpu")
    on_the_way = {}
    trainer.fit(data, 3, hook=lambda given: on_the_way.update(mean=norm_of(given.model).mean.clone()))
    # A batch of 12 is all of the data, in whatever order, so every batch has the same statistics.
    mean, square = expected_statistics(model, [batch_of(data)], 0, pooled=True)
    assert torch.allclose(norm_of(model).mean[0].double(), mean, atol=1e-5)
    assert torch.allclose(norm_of(model).square[0].double(), square, atol=1e-5)
    assert not torch.allclose(on_the_way["mean"][0].double(), mean, atol=1e-4)
