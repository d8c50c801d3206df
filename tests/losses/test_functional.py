"""The mathematics of the losses, against values worked out by hand and against scikit-image."""

import math
from pathlib import Path

import numpy
import pytest
import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from condswap import losses
from condswap.errors import ConfigError, DataError, ShapeError
from condswap.losses import functional


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def test_the_public_names_are_sorted_and_exist() -> None:
    assert losses.__all__ == sorted(losses.__all__)
    assert all(hasattr(losses, name) for name in losses.__all__)


def test_l1_is_the_absolute_difference_of_every_pixel() -> None:
    prediction, target = torch.tensor([[[[0.25, 1.0]]]]), torch.tensor([[[[0.75, 0.5]]]])
    assert functional.l1(prediction, target).tolist() == [[[[0.5, 0.5]]]]


def test_mse_is_the_squared_difference_of_every_pixel() -> None:
    prediction, target = torch.tensor([[[[0.25, 1.0]]]]), torch.tensor([[[[0.75, 0.0]]]])
    assert functional.mse(prediction, target).tolist() == [[[[0.25, 1.0]]]]


@pytest.mark.parametrize("loss", [functional.l1, functional.mse, functional.ssim, functional.dssim])
def test_half_precision_gives_float32_maps(loss) -> None:
    small = torch.full((1, 1, 4, 4), 1e-4, dtype=torch.float16)
    found = loss(small, torch.zeros_like(small))
    assert found.dtype == torch.float32
    assert found.amax() > 0  # 1e-8, the square, would be nothing in float16


@pytest.mark.parametrize("loss", [functional.l1, functional.mse, functional.ssim, functional.dssim])
def test_pictures_of_two_shapes_are_refused(loss) -> None:
    with pytest.raises(ShapeError, match=r"\(2, 3, 8, 8\).*\(2, 1, 8, 8\)"):
        loss(torch.rand(2, 3, 8, 8), torch.rand(2, 1, 8, 8))
    with pytest.raises(ShapeError, match="b, c, h, w"):
        loss(torch.rand(3, 8, 8), torch.rand(3, 8, 8))


@pytest.mark.parametrize("loss", [functional.l1, functional.mse, functional.ssim, functional.dssim])
def test_pictures_of_whole_numbers_are_refused(loss) -> None:
    picture = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    with pytest.raises(DataError, match="uint8"):
        loss(picture, picture)


@pytest.mark.parametrize("shape", [(24, 24), (17, 40)])
def test_ssim_equals_scikit_image_away_from_the_border(shape) -> None:
    target = noise(2, 3, *shape, seed=1, dtype=torch.float64)
    prediction = (0.7 * target + 0.3 * noise(2, 3, *shape, seed=2, dtype=torch.float64)).float()
    target = target.float()
    found = functional.ssim(prediction, target)
    for index in range(2):
        _, expected = structural_similarity(
            target[index].double().numpy(),
            prediction[index].double().numpy(),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1,
            channel_axis=0,
            full=True,
        )
        inside = numpy.s_[:, 5:-5, 5:-5]
        assert numpy.abs(found[index].numpy()[inside] - expected[inside]).max() < 1e-6


def test_ssim_knows_the_range_of_the_pictures() -> None:
    prediction, target = noise(1, 1, 16, 16, seed=1), noise(1, 1, 16, 16, seed=2)
    wide = functional.ssim(255 * prediction, 255 * target, data_range=255.0)
    torch.testing.assert_close(wide, functional.ssim(prediction, target), atol=1e-5, rtol=0)


def test_ssim_of_two_constant_pictures_is_the_luminance_term() -> None:
    a, b, c1 = 0.2, 0.6, 1e-4
    found = functional.ssim(torch.full((1, 1, 8, 8), a), torch.full((1, 1, 8, 8), b))
    expected = (2 * a * b + c1) / (a * a + b * b + c1)
    torch.testing.assert_close(found, torch.full((1, 1, 8, 8), expected), atol=1e-5, rtol=0)


def test_ssim_of_a_picture_with_itself_is_one() -> None:
    picture = noise(2, 3, 13, 9)
    torch.testing.assert_close(functional.ssim(picture, picture), torch.ones(2, 3, 13, 9), atol=1e-6, rtol=0)


def test_ssim_averages_over_the_part_of_the_window_inside_the_picture() -> None:
    # A window of 3 at the corner of a 2 x 2 picture holds all of it, with weights 1 and e = exp(-1/2) a side.
    x, y = torch.tensor([[0.1, 0.9], [0.4, 0.3]]).double(), torch.tensor([[0.2, 0.5], [0.8, 0.3]]).double()
    e = math.exp(-0.5)
    weight = torch.tensor([[1, e], [e, e * e]], dtype=torch.float64) / (1 + e) ** 2
    mean_x, mean_y = (weight * x).sum(), (weight * y).sum()
    spread = (weight * ((x - mean_x) ** 2 + (y - mean_y) ** 2)).sum()
    together = (weight * (x - mean_x) * (y - mean_y)).sum()
    expected = (2 * mean_x * mean_y + 1e-4) * (2 * together + 9e-4) / ((mean_x**2 + mean_y**2 + 1e-4) * (spread + 9e-4))
    found = functional.ssim(x[None, None], y[None, None], window_size=3, sigma=1.0)
    assert found[0, 0, 0, 0].item() == pytest.approx(expected.item(), abs=1e-12)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 2)])
def test_ssim_takes_pictures_smaller_than_its_window(shape) -> None:
    found = functional.ssim(noise(1, 3, *shape, seed=1), noise(1, 3, *shape, seed=2))
    assert found.shape == (1, 3, *shape)
    assert found.isfinite().all()


def test_ssim_has_the_gradient_of_its_values() -> None:
    prediction = noise(1, 2, 6, 5, seed=1, dtype=torch.float64).requires_grad_()
    target = noise(1, 2, 6, 5, seed=2, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(functional.ssim, (prediction, target))


def test_ssim_does_not_lose_digits_under_autocast() -> None:
    prediction, target = 0.9 + 0.02 * noise(1, 1, 16, 16, seed=1), 0.9 + 0.02 * noise(1, 1, 16, 16, seed=2)
    expected = functional.ssim(prediction.double(), target.double())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = functional.ssim(prediction, target)
        assert (prediction @ target).dtype == torch.bfloat16  # so autocast was on
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=0)


def test_ssim_trains_after_it_was_first_used_in_inference_mode() -> None:
    functional._band.cache_clear()
    with torch.inference_mode():
        functional.ssim(noise(1, 1, 7, 9), noise(1, 1, 7, 9))
    prediction = noise(1, 1, 7, 9).requires_grad_()
    functional.ssim(prediction, 1 - prediction.detach()).mean().backward()
    assert prediction.grad is not None
    assert prediction.grad.abs().sum() > 0


def test_dssim_is_half_of_what_ssim_lacks() -> None:
    prediction, target = noise(1, 3, 12, 12, seed=1), noise(1, 3, 12, 12, seed=2)
    expected = (1 - functional.ssim(prediction, target)) / 2
    assert torch.equal(functional.dssim(prediction, target), expected)
    assert expected.mean() > 0.1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"window_size": 10}, "window_size is 10"),
        ({"sigma": 0.0}, "sigma is 0.0"),
        ({"data_range": -1.0}, "data_range is -1.0"),
    ],
)
def test_an_impossible_window_is_refused(wrong, message) -> None:
    picture = torch.rand(1, 1, 4, 4)
    with pytest.raises(ConfigError, match=message):
        functional.ssim(picture, picture, **wrong)


def test_the_blur_of_a_point_is_the_gaussian() -> None:
    point = torch.zeros(1, 1, 9, 9)
    point[0, 0, 4, 4] = 1.0
    weights = [math.exp(-0.5 * (k / 0.8) ** 2) for k in (-1, 0, 1)]
    expected = torch.zeros(9, 9)
    for row in range(3):
        for column in range(3):
            expected[3 + row, 3 + column] = weights[row] * weights[column] / sum(weights) ** 2
    found = functional.gaussian_blur(point, sigma=0.8, kernel_size=3)
    torch.testing.assert_close(found[0, 0], expected, atol=1e-7, rtol=0)


def test_the_kernel_covers_three_sigma_unless_told() -> None:
    point = torch.zeros(1, 1, 1, 31)
    point[..., 15] = 1.0
    found = functional.gaussian_blur(point, sigma=2.0)
    assert (found > 0).sum() == 13  # 2 x 6 + 1


def test_a_constant_picture_stays_constant_when_blurred() -> None:
    picture = torch.full((2, 3, 11, 6), 0.3)
    torch.testing.assert_close(functional.gaussian_blur(picture, sigma=3.0), picture, atol=1e-6, rtol=0)


def test_a_blur_keeps_the_precision_of_its_picture() -> None:
    assert functional.gaussian_blur(torch.rand(1, 1, 4, 4).half(), sigma=1.0).dtype == torch.float16


def test_a_blur_that_cannot_be_is_refused() -> None:
    picture = torch.rand(1, 1, 4, 4)
    with pytest.raises(ConfigError, match="kernel_size is 4"):
        functional.gaussian_blur(picture, sigma=1.0, kernel_size=4)
    with pytest.raises(ConfigError, match="sigma is nan"):
        functional.gaussian_blur(picture, sigma=math.nan)
    with pytest.raises(ShapeError, match=r"\(4, 4\)"):
        functional.gaussian_blur(picture[0, 0], sigma=1.0)


@pytest.mark.parametrize(("height", "kernel"), [(512, 25), (128, 7), (64, 3), (8, 1)])
def test_a_mask_is_blurred_in_proportion_to_its_height(height, kernel) -> None:
    mask = torch.zeros(1, 1, height, 41)
    mask[..., 20] = 1.0
    found = functional.blur_mask(mask)
    assert (found[0, 0, 0] > 0).sum() == kernel
    sigma = height / 20
    ratio = math.exp(-0.5 / sigma**2) if kernel > 1 else 0.0
    assert (found[0, 0, 0, 21] / found[0, 0, 0, 20]).item() == pytest.approx(ratio, abs=1e-5)


def test_no_blur_gives_the_mask_itself() -> None:
    mask = torch.rand(1, 1, 8, 8)
    assert functional.blur_mask(mask, fraction=0.0) is mask


@pytest.mark.parametrize("size", [90, 128, 200])
def test_a_blurred_mask_stays_in_range(size) -> None:
    mask = torch.ones(1, 1, size, size)
    found = functional.blur_mask(mask, fraction=0.3)  # the sum of so many weights rounds to more than 1
    assert found.amax() <= 1
    torch.testing.assert_close(found, mask, atol=1e-5, rtol=0)


def test_a_negative_blur_is_refused() -> None:
    with pytest.raises(ConfigError, match="fraction is -0.1"):
        functional.blur_mask(torch.ones(1, 1, 8, 8), fraction=-0.1)


DFL = Path(__file__).resolve().parents[2] / ".." / "shared" / "fixtures" / "dfl" / "misc" / "losses.npz"
needs_dfl = pytest.mark.skipif(not DFL.is_file(), reason="there is no ../shared with what DeepFaceLab computed")


def made_there(name: str) -> Tensor:
    return torch.from_numpy(numpy.load(DFL)[name])


@needs_dfl
@pytest.mark.parametrize("window", [5, 11])
def test_dssim_is_deepfacelabs_where_the_window_lies_in_the_picture(window) -> None:
    for prediction, target, name in (("a", "b", "dssim_fs"), ("sa", "sb", "dssim_s_fs")):
        pair = (made_there(one).movedim(-1, 1) for one in (prediction, target))
        edge = window // 2
        inside = functional.dssim(*pair, window_size=window)[..., edge:-edge, edge:-edge]
        numpy.testing.assert_allclose(inside.mean((2, 3)), made_there(f"{name}{window}"), rtol=0, atol=1e-5)


@needs_dfl
@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0])
def test_a_blur_is_deepfacelabs_away_from_the_edge(sigma) -> None:
    side = max(3, int(4 * sigma)) // 2 * 2 + 1  # DeepFaceLab cuts its kernel there
    found = functional.gaussian_blur(made_there("a")[:1].movedim(-1, 1), sigma=sigma, kernel_size=side)
    wanted, edge = made_there(f"gaussian_blur_{sigma}").movedim(-1, 1), side // 2
    inside = (..., slice(edge, -edge), slice(edge, -edge))
    numpy.testing.assert_allclose(found[inside], wanted[inside], rtol=0, atol=1e-5)
