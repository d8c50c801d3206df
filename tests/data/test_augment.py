"""Augmentation: what it changes, what it leaves, and that chance is the generator's alone."""

import math
from dataclasses import fields

import pytest
import torch
from torch import Tensor

from condswap.data.augment import (
    Augmentation,
    Augmented,
    adjust_gain,
    adjust_gamma,
    augment,
    light_ramp,
    similarity,
    warp,
)
from condswap.errors import ConfigError, DataError, ShapeError
from condswap.types import Batch

OFF = {"flip": 0.0, "gamma": 0.0, "gain": 0.0, "colour": 0.0, "ramp": 0.0, "affine": 0.0, "warp": 0.0}
ALL = Augmentation(affine=0.1, warp=0.05)


def only(**strengths: float) -> Augmentation:
    return Augmentation(**{**OFF, **strengths})


def make_batch(count: int = 4, size: int = 16, *, value: float | None = None) -> Batch:
    chance = torch.Generator().manual_seed(1)
    image = torch.rand(count, 3, size, size, generator=chance)
    mask = torch.rand(count, 1, size, size, generator=chance)
    return {
        "image": image if value is None else torch.full_like(image, value),
        "mask": mask,
        "label": torch.arange(count),
    }


def run(batch: Batch, augmentation: Augmentation, *, seed: int = 0) -> Augmented:
    return augment(batch, augmentation=augmentation, generator=torch.Generator().manual_seed(seed))


def mirrored(batch: Batch, out: Augmented) -> list[bool]:
    return [torch.equal(after, before.flip(-1)) for before, after in zip(batch["mask"], out.mask, strict=True)]


def same(first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_none_gives_the_batch_itself() -> None:
    batch = make_batch()
    out = run(batch, Augmentation.none())
    assert out.image is batch["image"]
    assert out.mask is batch["mask"]
    assert out.input is batch["image"]
    assert out.input_mask is batch["mask"]
    assert out.label is batch["label"]


def test_none_is_every_strength_zero() -> None:
    assert Augmentation.none() == Augmentation(**OFF)


def test_the_same_seed_gives_the_same_pictures() -> None:
    assert same(run(make_batch(), ALL, seed=3), run(make_batch(), ALL, seed=3))


def test_another_seed_gives_other_pictures() -> None:
    assert not torch.equal(run(make_batch(), ALL, seed=3).image, run(make_batch(), ALL, seed=4).image)


def test_a_generator_goes_on_from_batch_to_batch() -> None:
    generator = torch.Generator().manual_seed(0)
    first = augment(make_batch(), augmentation=ALL, generator=generator)
    second = augment(make_batch(), augmentation=ALL, generator=generator)
    assert not torch.equal(first.image, second.image)


def test_torchs_own_chance_is_neither_used_nor_moved() -> None:
    before = torch.get_rng_state()
    run(make_batch(), ALL)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("field", [field.name for field in fields(Augmentation)])
def test_every_call_takes_the_same_count_of_numbers(field) -> None:
    plain, varied = torch.Generator().manual_seed(0), torch.Generator().manual_seed(0)
    augment(make_batch(), augmentation=Augmentation.none(), generator=plain)
    augment(make_batch(), augmentation=only(**{field: 0.1}), generator=varied)
    assert torch.equal(plain.get_state(), varied.get_state())


def test_a_strength_does_not_change_what_another_draws() -> None:
    batch = make_batch(32)
    plain, bright = run(batch, only(flip=0.5)), run(batch, only(flip=0.5, gain=0.2, ramp=0.1))
    assert mirrored(batch, plain) == mirrored(batch, bright)
    assert len(set(mirrored(batch, plain))) == 2


def test_a_picture_does_not_depend_on_those_after_it_in_the_batch() -> None:
    batch = make_batch(6)
    part: Batch = {"image": batch["image"][:2], "mask": batch["mask"][:2], "label": batch["label"][:2]}
    torch.testing.assert_close(run(part, ALL).input, run(batch, ALL).input[:2])


def test_flip_mirrors_picture_and_mask_together() -> None:
    batch = make_batch()
    out = run(batch, only(flip=1.0))
    assert torch.equal(out.image, batch["image"].flip(-1))
    assert torch.equal(out.mask, batch["mask"].flip(-1))
    assert torch.equal(out.label, batch["label"])


def test_flip_chooses_each_picture_for_itself() -> None:
    batch = make_batch(200, size=4)
    out = run(batch, only(flip=0.25))
    flags = mirrored(batch, out)
    assert 25 <= sum(flags) <= 75  # 50 are expected, with a spread of 6
    for before, after, flag in zip(batch["image"], out.image, flags, strict=True):
        assert torch.equal(after, before.flip(-1) if flag else before)


@pytest.mark.parametrize("field", ["gamma", "gain", "colour", "ramp"])
def test_light_changes_pictures_and_leaves_masks(field) -> None:
    batch = make_batch()
    out = run(batch, only(**{field: 0.1}))
    assert not torch.equal(out.image, batch["image"])
    assert out.mask is batch["mask"]
    assert out.input is out.image
    assert out.input_mask is out.mask


def test_gain_is_one_factor_a_picture_within_its_strength() -> None:
    factor = run(make_batch(64, size=4, value=0.5), only(gain=0.2)).image / 0.5
    assert torch.equal(factor, factor[:, :1, :1, :1].expand_as(factor))
    logarithm = factor[:, 0, 0, 0].log()
    assert logarithm.abs().amax() <= 0.2 + 1e-6
    assert logarithm.amin() < -0.1
    assert logarithm.amax() > 0.1


def test_colour_is_one_factor_a_channel_within_its_strength() -> None:
    factor = run(make_batch(16, size=4, value=0.5), only(colour=0.2)).image / 0.5
    assert factor.log().abs().amax() <= 0.2 + 1e-6
    assert (factor.amax(dim=(2, 3)) == factor.amin(dim=(2, 3))).all()
    assert not torch.allclose(factor[:, 0], factor[:, 1], atol=1e-3)


def test_gamma_is_one_power_a_picture_within_its_strength() -> None:
    power = run(make_batch(64, size=4, value=0.5), only(gamma=0.3)).image.log() / math.log(0.5)
    assert power.log().abs().amax() <= 0.3 + 1e-5
    assert power.log().amin() < -0.15
    assert power.log().amax() > 0.15


def test_the_ramp_is_mostly_from_side_to_side_and_even_on_average() -> None:
    factor = run(make_batch(64, size=16, value=0.5), only(ramp=0.15)).image[:, 0] / 0.5
    torch.testing.assert_close(factor.mean(dim=(1, 2)), torch.ones(64), atol=1e-5, rtol=0)
    across = (factor[:, 0, -1] - factor[:, 0, 0]) / 2 * 16 / 15  # pixel middles stand half a pixel from the edges
    down = (factor[:, -1, 0] - factor[:, 0, 0]) / 2 * 16 / 15
    assert across.abs().amax() <= 0.15 + 1e-5
    assert across.amin() < -0.075
    assert across.amax() > 0.075
    assert 0.025 < down.abs().amax() <= 0.05 + 1e-5


def test_pictures_stay_in_range_and_black_and_white_stay_finite() -> None:
    batch = make_batch(8)
    batch["image"] = batch["image"].round()
    for strengths in (ALL, Augmentation(gamma=2.0, gain=2.0, colour=2.0, ramp=3.0, affine=1.0, warp=0.5)):
        for found in run(batch, strengths)[:2] + run(batch, strengths)[3:]:
            assert found.isfinite().all()
            assert found.amin() >= 0
            assert found.amax() <= 1


@pytest.mark.parametrize("size", [31, 33, 65])
def test_white_stays_white_and_no_more_when_it_is_moved(size) -> None:
    batch = make_batch(8, size, value=1.0)
    batch["mask"] = torch.ones_like(batch["mask"])
    out = run(batch, only(affine=0.1, warp=0.05))
    assert max(part.amax().item() for part in (out.image, out.mask, out.input, out.input_mask)) == 1.0
    torch.testing.assert_close(out.input, batch["image"], atol=1e-5, rtol=0)


def test_warp_leaves_the_target() -> None:
    batch = make_batch()
    out = run(batch, only(warp=0.05))
    assert torch.equal(out.image, batch["image"])
    assert torch.equal(out.mask, batch["mask"])
    assert not torch.equal(out.input, batch["image"])
    assert not torch.equal(out.input_mask, batch["mask"])


def test_warp_moves_picture_and_mask_together() -> None:
    batch = make_batch(size=32)
    batch["mask"] = torch.zeros_like(batch["mask"])
    batch["mask"][..., 12:20, 12:20] = 1.0  # far from the border, where mask and picture are treated alike
    batch["image"] = batch["mask"].expand(-1, 3, -1, -1)
    out = run(batch, only(warp=0.05))
    torch.testing.assert_close(out.input[:, :1], out.input_mask, atol=1e-6, rtol=0)


def test_affine_moves_input_target_and_mask_alike() -> None:
    batch = make_batch(size=32)
    batch["mask"] = torch.zeros_like(batch["mask"])
    batch["mask"][..., 12:20, 12:20] = 1.0
    batch["image"] = batch["mask"].expand(-1, 3, -1, -1)
    out = run(batch, only(affine=0.1))
    assert out.input is out.image
    assert out.input_mask is out.mask
    assert not torch.equal(out.mask, batch["mask"])
    torch.testing.assert_close(out.image[:, :1], out.mask, atol=1e-6, rtol=0)


def test_the_batch_that_came_in_is_not_written_to() -> None:
    batch = make_batch()
    image, mask = batch["image"].clone(), batch["mask"].clone()
    run(batch, ALL)
    assert torch.equal(batch["image"], image)
    assert torch.equal(batch["mask"], mask)


def test_float64_stays_float64() -> None:
    batch = make_batch()
    batch["image"], batch["mask"] = batch["image"].double(), batch["mask"].double()
    out = run(batch, ALL)
    assert {part.dtype for part in (out.image, out.mask, out.input, out.input_mask)} == {torch.float64}


def test_gain_multiplies() -> None:
    found = adjust_gain(torch.full((2, 3, 1, 1), 0.25), torch.tensor([[2.0, 1.0, 0.5], [8.0, 0.0, 4.0]]))
    assert found.flatten(1).tolist() == [[0.5, 0.25, 0.125], [1.0, 0.0, 1.0]]


def test_gamma_is_a_power() -> None:
    image = torch.tensor([0.0, 0.25, 1.0]).reshape(1, 3, 1, 1).expand(2, 3, 1, 1)
    found = adjust_gamma(image, torch.tensor([0.5, 2.0]))
    assert found.flatten(1).tolist() == [[0.0, 0.5, 1.0], [0.0, 0.0625, 1.0]]


def test_a_hair_below_black_does_not_become_nan() -> None:
    assert adjust_gamma(torch.full((1, 3, 1, 1), -1e-6), torch.tensor([0.9])).flatten().tolist() == [0.0, 0.0, 0.0]


def test_the_light_ramp_is_linear() -> None:
    found = light_ramp(torch.full((1, 3, 2, 4), 0.5), torch.tensor([[0.4, -0.2]]))
    across, down = torch.tensor([-0.75, -0.25, 0.25, 0.75]), torch.tensor([[-0.5], [0.5]])
    torch.testing.assert_close(found[0, 2], 0.5 * (1 + 0.4 * across - 0.2 * down))


def test_a_quarter_turn_goes_clockwise_as_seen() -> None:
    # The x axis turns into the y axis, which points down: what was above goes to the right.
    image = torch.zeros(1, 3, 3, 3)
    image[..., 0, 1] = 1.0
    found, _ = similarity(
        image, image[:, :1], angle=torch.tensor([math.pi / 2]), scale=torch.ones(1), shift=torch.zeros(1, 2)
    )
    expected = torch.zeros(3, 3)
    expected[1, 2] = 1.0
    torch.testing.assert_close(found[0, 0], expected, atol=1e-5, rtol=0)


def test_a_turn_of_a_wide_picture_keeps_lengths_in_pixels() -> None:
    image = torch.zeros(1, 3, 5, 9)
    image[..., 2, 6] = 1.0  # two pixels right of the middle
    found, mask = similarity(
        image, image[:, :1], angle=torch.tensor([math.pi / 2]), scale=torch.ones(1), shift=torch.zeros(1, 2)
    )
    expected = torch.zeros(5, 9)
    expected[4, 4] = 1.0  # two pixels below the middle
    torch.testing.assert_close(found[0, 0], expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(mask[0, 0], expected, atol=1e-5, rtol=0)


def test_a_scale_of_two_enlarges() -> None:
    image = torch.zeros(1, 3, 9, 9)
    image[..., 4, 6] = 1.0
    found, _ = similarity(image, image[:, :1], angle=torch.zeros(1), scale=torch.tensor([2.0]), shift=torch.zeros(1, 2))
    assert found[0, 0, 4, 8].item() == pytest.approx(1.0, abs=1e-5)  # twice as far from the middle
    assert found[0, 0, 4, 7].item() == pytest.approx(0.5, abs=1e-5)


def test_a_shift_goes_right_and_down_after_the_turn() -> None:
    image = torch.zeros(1, 3, 4, 4)
    image[..., 1, 1] = 1.0
    mask = torch.ones(1, 1, 4, 4)
    # Half a turn takes (1, 1) to (2, 2); then one pixel right, none down.
    found, moved = similarity(
        image, mask, angle=torch.tensor([math.pi]), scale=torch.ones(1), shift=torch.tensor([[0.25, 0.0]])
    )
    assert found[0, 0, 2, 3].item() == pytest.approx(1.0, abs=1e-5)
    torch.testing.assert_close(moved[0, 0, 0], torch.tensor([0.0, 1.0, 1.0, 1.0]), atol=1e-5, rtol=0)


def test_outside_the_picture_its_border_is_repeated() -> None:
    image = torch.tensor([0.2, 0.4, 0.6, 0.8]).expand(1, 3, 4, 4)
    found, mask = similarity(
        image, torch.ones(1, 1, 4, 4), angle=torch.zeros(1), scale=torch.ones(1), shift=torch.tensor([[0.5, 0.0]])
    )
    torch.testing.assert_close(found[0, 0, 0], torch.tensor([0.2, 0.2, 0.2, 0.4]), atol=1e-5, rtol=0)
    torch.testing.assert_close(mask[0, 0, 0], torch.tensor([0.0, 0.0, 1.0, 1.0]), atol=1e-5, rtol=0)


def test_an_even_displacement_looks_the_picture_up_that_far_away() -> None:
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    knots = torch.zeros(1, 2, 5, 5)
    knots[:, 0], knots[:, 1] = 0.25, 0.125  # two pixels right, one down
    found, mask = warp(image, torch.ones(1, 1, 8, 8), knots=knots)
    torch.testing.assert_close(found[..., :7, :6], image[..., 1:, 2:], atol=1e-5, rtol=0)
    assert mask[0, 0, 0, 7].item() == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("field", [field.name for field in fields(Augmentation)])
@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf, "0.1", None, True])
def test_what_is_not_a_strength_is_refused_by_name(field, value) -> None:
    with pytest.raises(ConfigError, match=f"Augmentation.{field} is "):
        Augmentation(**{field: value})


def test_a_probability_above_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="flip is 1.5"):
        Augmentation(flip=1.5)


@pytest.mark.parametrize(
    ("image", "mask", "message"),
    [
        ((2, 1, 4, 4), (2, 1, 4, 4), r"image is \(2, 1, 4, 4\)"),
        ((3, 4, 4), (1, 4, 4), r"image is \(3, 4, 4\)"),
        ((2, 3, 4, 4), (2, 3, 4, 4), r"mask must be \(2, 1, 4, 4\)"),
        ((2, 3, 4, 4), (2, 1, 8, 8), r"mask is \(2, 1, 8, 8\)"),
    ],
)
def test_a_batch_of_other_shapes_is_refused(image, mask, message) -> None:
    batch: Batch = {"image": torch.rand(image), "mask": torch.rand(mask), "label": torch.zeros(2, dtype=torch.int64)}
    with pytest.raises(ShapeError, match=message):
        run(batch, ALL)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16])
def test_a_batch_that_is_not_float32_is_refused(dtype) -> None:
    batch = make_batch()
    batch["image"] = batch["image"].to(dtype)
    with pytest.raises(DataError, match=str(dtype)):
        run(batch, ALL)
