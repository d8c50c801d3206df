"""The colours of one picture given to another, against scikit-image, OpenCV, NumPy and DeepFaceLab's own pictures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from condswap.errors import ShapeError
from condswap.faces.colour import (
    from_lab,
    match_histogram,
    match_mean,
    monge_kantorovich,
    principal_components,
    reinhard,
    to_lab,
)

FIXTURE = Path(__file__).resolve().parents[2] / ".." / "shared" / "fixtures" / "dfl" / "merge" / "color.npz"
MATCHES = [match_mean, reinhard, monge_kantorovich, principal_components, match_histogram]
needs_fixture = pytest.mark.skipif(
    not FIXTURE.is_file(), reason="there is no ../shared with DeepFaceLab's own pictures"
)


def noise(*shape: int, seed: int = 0, low: float = 0.0, high: float = 1.0) -> Tensor:
    return low + (high - low) * torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def fixture(*names: str) -> list[Tensor]:
    """Pictures of DeepFaceLab, (1, c, h, w); they are BGR there."""
    arrays = np.load(FIXTURE)
    return [torch.from_numpy(arrays[name][..., ::-1].copy()).permute(2, 0, 1)[None] for name in names]


def as_picture(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels).float().permute(2, 0, 1)[None]


def greatest(difference: Tensor) -> float:
    """The greatest difference in steps of 8 bits."""
    return difference.abs().max().item() * 255


def test_lab_is_that_of_scikit_image_and_of_opencv() -> None:
    cv2 = pytest.importorskip("cv2")
    color = pytest.importorskip("skimage.color")
    pixels = np.random.default_rng(0).random((64, 64, 3), dtype=np.float32)
    pixels[0, :8] = np.linspace(0, 0.05, 8)[:, None]  # where both curves are straight
    lab = to_lab(as_picture(pixels))[0].permute(1, 2, 0).numpy()
    assert np.abs(lab - color.rgb2lab(pixels)).max() < 0.01
    assert np.abs(lab - cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)).max() < 0.6  # it looks its curve up in a table


def test_lab_and_back_is_the_picture_and_what_srgb_cannot_show_is_cut_off() -> None:
    picture = torch.cat((noise(2, 3, 16, 16), torch.zeros(2, 3, 16, 1), torch.ones(2, 3, 16, 1)), 3)
    assert greatest(from_lab(to_lab(picture)) - picture) < 0.01
    beyond = from_lab(torch.tensor([[100.0, 120.0, 120.0], [0.0, -120.0, 50.0]]).reshape(2, 3, 1, 1))
    assert beyond.isfinite().all()
    assert beyond.min() >= 0
    assert beyond.max() <= 1


@pytest.mark.parametrize("match", MATCHES)
def test_the_colours_are_measured_inside_the_mask_only(match) -> None:
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., 3:12, 5:15] = 1
    image, reference = noise(1, 3, 16, 16, high=0.6), noise(1, 3, 16, 16, seed=1, low=0.3)
    other = torch.where(mask > 0, reference, noise(1, 3, 16, 16, seed=2))
    assert torch.allclose(match(image, reference, mask), match(image, other, mask), atol=1e-6)
    assert greatest(match(image, reference, mask) - match(image, reference)) > 1


@pytest.mark.parametrize("match", MATCHES)
def test_inside_the_mask_the_mean_becomes_that_of_the_reference(match) -> None:
    mask = noise(2, 1, 32, 32, seed=3)  # soft
    image, reference = noise(2, 3, 32, 32, low=0.2, high=0.5), noise(2, 3, 32, 32, seed=1, low=0.4, high=0.6)
    means = [
        np.average(picture.numpy(), axis=(2, 3), weights=mask.expand(-1, 3, -1, -1).numpy())
        for picture in (match(image, reference, mask), reference)
    ]
    assert np.abs(means[0] - means[1]).max() < (0.004 if match is reinhard else 0.001)  # Lab's mean is another one


@pytest.mark.parametrize("match", MATCHES)
def test_every_picture_of_a_batch_is_matched_by_itself(match) -> None:
    image, reference, mask = noise(3, 3, 8, 8, high=0.7), noise(3, 3, 8, 8, seed=1, low=0.2), noise(3, 1, 8, 8, seed=2)
    alone = [match(image[i : i + 1], reference[i : i + 1], mask[i : i + 1]) for i in range(3)]
    assert torch.allclose(match(image, reference, mask), torch.cat(alone), atol=1e-5)


@pytest.mark.parametrize("match", MATCHES)
def test_where_the_mask_is_empty_the_picture_stays(match) -> None:
    image, mask = noise(2, 3, 8, 8), torch.ones(2, 1, 8, 8)
    mask[0] = 0
    shown = match(image, noise(2, 3, 8, 8, seed=1, high=0.5), mask)
    assert torch.equal(shown[0], image[0])
    assert not torch.equal(shown[1], image[1])


@pytest.mark.parametrize("match", MATCHES)
def test_a_flat_picture_takes_the_mean_and_its_noise_is_not_blown_up(match) -> None:
    reference = noise(1, 3, 16, 16, low=0.3, high=0.5)
    flat = match(torch.full((1, 3, 16, 16), 0.7), reference)
    assert flat.isfinite().all()
    assert greatest(flat - flat[..., :1, :1]) < 0.01
    one = match(torch.full((1, 3, 1, 1), 0.7), torch.full((1, 3, 1, 1), 0.25))
    assert greatest(one - 0.25) < 0.1
    if match in (match_mean, reinhard):
        faint = match(0.7 + noise(1, 3, 16, 16, high=1 / 255), reference)
        assert faint.std() < 4 / 255


@pytest.mark.parametrize("match", MATCHES)
def test_a_picture_that_is_its_own_reference_stays(match) -> None:
    image = noise(1, 3, 16, 16)
    assert greatest(match(image, image, noise(1, 1, 16, 16, seed=1)) - image) < 0.6


@pytest.mark.parametrize("match", MATCHES)
def test_shapes_that_do_not_fit_are_refused(match) -> None:
    image = noise(2, 3, 8, 8)
    with pytest.raises(ShapeError, match="image and reference are"):
        match(image, image[:1])
    with pytest.raises(ShapeError, match=r"the mask is \(2, 8, 8\); give \(2, 1, 8, 8\)"):
        match(image, image, image[:, 0])
    with pytest.raises(ShapeError, match="give two"):
        match(image[0], image[0])


def test_the_mean_and_the_deviation_of_each_channel_by_hand() -> None:
    image = torch.tensor([0.2, 0.4, 0.9]).expand(1, 3, 1, 3)  # the last is outside: mean 0.3, deviation 0.1
    reference = torch.tensor([0.45, 0.75, 0.0]).expand(1, 3, 1, 3)  # mean 0.6, deviation 0.15
    mask = torch.tensor([1.0, 1.0, 0.0]).reshape(1, 1, 1, 3)
    assert torch.allclose(match_mean(image, reference, mask)[0, 0, 0], torch.tensor([0.45, 0.75, 1.0]))
    # A deviation of 0.1 would become 0.3, but is at most doubled: 0.6 - 0.2 and 0.6 + 0.2.
    wide = torch.tensor([0.3, 0.9, 0.0]).expand(1, 3, 1, 3)
    assert torch.allclose(match_mean(image, wide, mask)[0, 0, 0, :2], torch.tensor([0.4, 0.8]))


@pytest.mark.parametrize("match", [monge_kantorovich, principal_components])
def test_the_covariance_becomes_that_of_the_reference(match) -> None:
    image = noise(1, 3, 64, 64, low=0.3, high=0.7)
    mix = torch.tensor([[0.2, 0.05, 0.0], [0.05, 0.1, 0.08], [0.0, 0.08, 0.3]])
    reference = 0.5 + (mix @ (noise(1, 3, 64, 64, seed=1) - 0.5).flatten(2)).reshape(1, 3, 64, 64)
    shown = match(image, reference)
    assert torch.allclose(shown[0].flatten(1).cov(), reference[0].flatten(1).cov(), atol=3e-5)


def test_monge_kantorovich_moves_the_colours_least() -> None:
    image = noise(1, 3, 32, 32, high=0.5)
    reference = noise(1, 3, 32, 32, seed=1, low=0.3) * torch.tensor([1.0, 0.6, 0.8]).reshape(3, 1, 1)
    reference[:, 1] = (reference[:, 0] + reference[:, 1]) / 2
    moved = [(match(image, reference) - image).square().mean() for match in (monge_kantorovich, principal_components)]
    assert moved[0] <= moved[1]


def test_histograms_of_whole_levels_are_those_of_scikit_image() -> None:
    exposure = pytest.importorskip("skimage.exposure")
    random = np.random.default_rng(0)
    image = random.integers(0, 128, (64, 64, 3), dtype=np.uint8) * 2
    reference = random.integers(60, 200, (64, 64, 3), dtype=np.uint8)
    expected = exposure.match_histograms(image, reference, channel_axis=-1)  # it cuts to whole levels
    shown = match_histogram(as_picture(image / 255), as_picture(reference / 255))[0].permute(1, 2, 0).numpy() * 255
    assert np.array_equal(np.floor(shown + 1e-3), expected)


def test_a_histogram_is_measured_by_the_weight_of_the_mask() -> None:
    image = torch.tensor([0.0, 0.2, 0.4, 0.8]).expand(1, 3, 1, 4)
    reference = torch.tensor([0.1, 0.5, 0.9, 1.0]).expand(1, 3, 1, 4)
    mask = torch.tensor([1.0, 1.0, 1.0, 0.0]).reshape(1, 1, 1, 4)
    assert torch.allclose(
        match_histogram(image, reference, mask)[0, 0, 0, :3], torch.tensor([0.1, 0.5, 0.9]), atol=2e-3
    )


@needs_fixture
@pytest.mark.parametrize(
    ("match", "name", "tolerance"),
    [(reinhard, "rct", 1.0), (monge_kantorovich, "mkl", 0.02), (principal_components, "lct", 0.02)],
)
def test_deepfacelabs_colour_transfers(match, name: str, tolerance: float) -> None:
    image, reference, expected = fixture("src", "trg", name)
    assert greatest(match(image, reference) - expected) < tolerance


@needs_fixture
def test_deepfacelabs_masked_transfer_is_that_of_pictures_that_are_black_outside() -> None:
    image, reference, mask, expected = fixture("src", "trg", "mask", "rct_masked")
    inside = (mask >= 0.5).float()
    assert greatest((reinhard(image * inside, reference * inside) - expected) * inside) < 1
    # What is measured inside alone is another thing, and the sound one: there is no black in either face.
    assert greatest((reinhard(image, reference, inside) - expected) * inside) > 10


@needs_fixture
def test_deepfacelabs_histogram_is_that_of_the_lower_part_of_the_reference() -> None:
    image, reference, expected = fixture("src", "trg", "hist_238")
    places = torch.linspace(0, 238 / 255, reference.shape[2] * reference.shape[3])  # its threshold leaves out the rest
    darker = reference.flatten(2).quantile(places, dim=2).permute(1, 2, 0).reshape(reference.shape)
    assert greatest(match_histogram(image, darker) - expected) < 1.5
