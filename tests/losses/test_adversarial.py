"""The adversarial losses, against values worked out by hand."""

import math

import pytest
import torch

from condswap.errors import ConfigError
from condswap.losses import (
    AdversarialLoss,
    Hinge,
    LeastSquares,
    NonSaturating,
    adversarial_loss,
    functional,
    r1_penalty,
)

REAL, FAKE = torch.tensor([2.0, 0.0]), torch.tensor([-3.0, 1.0])
E = math.e

DISCRIMINATOR = [
    ("least_squares", 0.5 * ((1 + 1) / 2 + (9 + 1) / 2)),  # 3
    ("hinge", (0 + 1) / 2 + (0 + 2) / 2),  # 1.5
    (
        "non_saturating",
        (math.log(1 + E**-2) + math.log(2)) / 2 + (math.log(1 + E**-3) + math.log(1 + E)) / 2,
    ),
]
GENERATOR = [
    ("least_squares", (16 + 0) / 2),
    ("hinge", 1.0),
    ("non_saturating", (math.log(1 + E**3) + math.log(1 + E**-1)) / 2),
]


@pytest.mark.parametrize(("name", "expected"), DISCRIMINATOR)
def test_the_discriminators_loss_is_the_one_worked_out_by_hand(name, expected) -> None:
    assert adversarial_loss(name).discriminator(REAL, FAKE).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("name", "expected"), GENERATOR)
def test_the_generators_loss_is_the_one_worked_out_by_hand(name, expected) -> None:
    assert adversarial_loss(name).generator(FAKE).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", ["least_squares", "hinge", "non_saturating"])
def test_a_module_equals_its_functions(name) -> None:
    loss, real, fake = adversarial_loss(name), torch.randn(3, 1, 4, 4), torch.randn(3, 1, 4, 4)
    assert torch.equal(loss.discriminator(real, fake), getattr(functional, f"{name}_discriminator")(real, fake))
    assert torch.equal(loss.generator(fake), getattr(functional, f"{name}_generator")(fake))
    assert loss.generator(fake).shape == ()


@pytest.mark.parametrize("name", ["least_squares", "hinge", "non_saturating"])
def test_each_side_is_pushed_its_own_way(name) -> None:
    loss, real, fake = (
        adversarial_loss(name),
        torch.zeros(2, requires_grad=True),
        torch.full((2,), 0.5, requires_grad=True),
    )
    real_slope, fake_slope = torch.autograd.grad(loss.discriminator(real, fake), (real, fake))
    (generator_slope,) = torch.autograd.grad(loss.generator(fake), fake)
    assert (real_slope < 0).all()  # going down the slope raises the logits of real pictures
    assert (fake_slope > 0).all()
    assert (generator_slope < 0).all()


@pytest.mark.parametrize("name", ["least_squares", "non_saturating"])
def test_large_logits_of_half_precision_stay_finite(name) -> None:
    logits = torch.full((4,), 1000.0, dtype=torch.float16)
    found = adversarial_loss(name).discriminator(-logits, logits)
    assert found.dtype == torch.float32
    assert found.isfinite()


@pytest.mark.parametrize(
    ("name", "kind"), [("least_squares", LeastSquares), ("hinge", Hinge), ("non_saturating", NonSaturating)]
)
def test_a_word_builds_its_loss(name, kind) -> None:
    assert type(adversarial_loss(name)) is kind
    assert issubclass(kind, AdversarialLoss)


def test_an_unknown_word_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        ConfigError, match="'wasserstein'; the known ones are 'hinge', 'least_squares', 'non_saturating'"
    ):
        adversarial_loss("wasserstein")


def test_r1_is_the_mean_squared_length_of_the_gradient() -> None:
    # logit = 3 x0 + 4 x1 for the first picture, whose gradient has length 5; x0^2 for the second: 2 x0 = 1.
    image = torch.tensor([[0.1, 0.2], [0.5, 0.9]]).reshape(2, 1, 1, 2).requires_grad_()
    first, second = image[0].flatten(), image[1].flatten()
    logits = torch.stack((3 * first[0] + 4 * first[1], second[0] ** 2))
    assert r1_penalty(logits, image).item() == pytest.approx((25 + 1) / 2)


def test_r1_sums_the_patches_of_a_logit_map() -> None:
    image = torch.ones(2, 1, 2, 2, requires_grad=True)
    assert r1_penalty(image * 3, image).item() == 36.0  # four pixels of gradient 3


def test_r1_can_be_differentiated_again() -> None:
    weight = torch.tensor(3.0, requires_grad=True)
    image = torch.ones(2, 1, 1, 1, requires_grad=True)
    r1_penalty(weight * image, image).backward()
    assert weight.grad is not None
    assert weight.grad.item() == 6.0  # d w^2 / d w


def test_r1_refuses_an_image_that_needs_no_gradient() -> None:
    image = torch.ones(1, 3, 2, 2)
    with pytest.raises(ConfigError, match=r"requires_grad=False.*requires_grad_\(\)"):
        r1_penalty(image.sum(), image)


def test_r1_refuses_logits_of_another_image() -> None:
    image, other = torch.ones(1, 3, 2, 2, requires_grad=True), torch.ones(1, 3, 2, 2, requires_grad=True)
    with pytest.raises(ConfigError, match="not computed from the image"):
        r1_penalty(other.sum(), image)
    with torch.no_grad():
        logits = image.sum()
    with pytest.raises(ConfigError, match="not computed from the image"):
        r1_penalty(logits, image)
