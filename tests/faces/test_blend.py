"""From the frame to the crop and back, against OpenCV and NumPy; DeepFaceLab's own merges are in test_merge.py."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from condswap.errors import ConfigError, DataError, ShapeError
from condswap.faces.blend import crop, denoise, erode, feather, mask_of, paste, seamless, sharpen

cv2 = pytest.importorskip("cv2")

FIXTURE = Path(__file__).resolve().parents[2] / ".." / "shared" / "fixtures" / "dfl" / "merge" / "color.npz"


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def waves(height: int, width: int) -> Tensor:
    """A smooth picture (3, h, w), other in every channel: a cubic meets it within a fraction of 1/255."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([0.5 + 0.4 * torch.sin(x / (7 + c) + c) * torch.cos(y / (9 - c)) for c in range(3)])


def turned(scale: float, degrees: float, x: float, y: float) -> list[list[float]]:
    """A similarity (2, 3)."""
    a, b = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    return [[a, -b, x], [b, a, y]]


def hwc(picture: Tensor) -> np.ndarray:
    return np.ascontiguousarray(picture.permute(1, 2, 0).numpy())


def disc(size: int, radius: float) -> Tensor:
    """The mask (1, s, s) of a disc in the middle, with an edge of a few pixels."""
    place = torch.arange(size) - (size - 1) / 2
    return ((radius - (place[:, None] ** 2 + place**2).sqrt()) / 4 + 0.5).clamp(0, 1)[None]


# The mask


def test_the_mask_is_the_models_the_landmarks_or_the_product() -> None:
    painted, hull = torch.tensor([0.5, 1.0, 0.003, 0.9]), torch.tensor([0.5, 0.0, 1.0, 1.0])
    assert torch.equal(mask_of(painted, None, "model"), torch.tensor([0.5, 1.0, 0.0, 0.9]))
    assert torch.equal(mask_of(painted, hull, "landmarks"), hull)
    assert torch.equal(mask_of(painted, hull), torch.tensor([0.25, 0.0, 0.0, 0.9]))
    with pytest.raises(ConfigError, match="'hull'"):
        mask_of(painted, hull, "hull")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="None"):
        mask_of(painted, None, "both")


@pytest.mark.parametrize("pixels", [-17, -4, -1, 0, 1, 2, 3, 8, 25])
def test_erosion_is_opencvs_to_the_pixel(pixels: int) -> None:
    masks = noise(2, 1, 40, 33)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(pixels) + 1,) * 2)
    change = cv2.erode if pixels > 0 else cv2.dilate
    expected = torch.stack([torch.from_numpy(change(mask[0].numpy(), kernel))[None] for mask in masks])
    assert torch.equal(erode(masks, pixels), expected)


@pytest.mark.parametrize("pixels", [1, 4, 10])
def test_a_feathered_edge_lies_inside_and_fades_out_at_the_border(pixels: int) -> None:
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., :50] = 1.0  # reaches the border above, below and on the left; its edge is at 50
    soft = feather(mask, pixels)
    assert not soft[mask == 0].any()
    assert not torch.cat((soft[..., 0, :], soft[..., -1, :], soft[..., :, 0], soft[..., :, -1]), -1).any()
    row = soft[0, 0, 32]
    middle = (row[49 - pixels] + row[50 - pixels]) / 2  # `pixels` inside the edge
    assert abs(middle.item() - 0.5) < 0.01
    assert row[49 - 2 * pixels].item() == pytest.approx(1)
    assert (row[25:50].diff() <= 0).all()


def test_feathering_is_opencvs_erosion_and_blur() -> None:
    mask = disc(48, 17)[None]
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (11, 11))
    eroded = cv2.erode(mask[0, 0].numpy(), kernel)
    expected = np.minimum(cv2.GaussianBlur(eroded, (11, 11), 2.0, borderType=cv2.BORDER_CONSTANT), mask[0, 0].numpy())
    assert np.abs(feather(mask, 5)[0, 0].numpy() - expected).max() < 1e-5


def test_a_mask_that_is_too_small_to_be_feathered_is_empty() -> None:
    assert not feather(torch.ones(1, 1, 9, 9), 20).any()
    assert not feather(torch.ones(1, 1, 1, 1), 2).any()
    assert feather(torch.ones(1, 1, 4, 4), 0).sum() == 4


# What is done to the face


def test_sharpening_is_the_unsharp_mask_of_opencv() -> None:
    picture = 0.3 + 0.4 * noise(2, 3, 24, 20)
    for sigma, side in ((1.0, 5), (2.4, 9)):
        shown = sharpen(picture, 0.7, sigma=sigma)
        for one, other in zip(picture, shown, strict=True):
            pixels = hwc(one)
            blurred = cv2.GaussianBlur(pixels, (side, side), sigma, borderType=cv2.BORDER_REPLICATE)
            assert np.abs(hwc(other) - (pixels + 0.7 * (pixels - blurred)).clip(0, 1)).max() < 1e-5
    assert torch.equal(sharpen(picture, 0.0), picture)
    assert sharpen(noise(1, 3, 1, 1), 0.5).shape == (1, 3, 1, 1)


@pytest.mark.skipif(not FIXTURE.is_file(), reason="there is no ../shared with DeepFaceLab's own pictures")
def test_deepfacelabs_gaussian_sharpening() -> None:
    arrays = np.load(FIXTURE)
    picture, expected = (torch.from_numpy(arrays[name]).permute(2, 0, 1)[None] for name in ("src", "sharpen_gauss"))
    # Its 3 pixels are 1/4, 1/2, 1/4, its amount of 20 counts half. At the border it mirrors, ours repeats.
    difference = sharpen(picture, 10, sigma=1 / math.sqrt(2 * math.log(2))) - expected.clamp(0, 1)
    assert difference[..., 1:-1, 1:-1].abs().max() < 1e-5


def test_noise_is_smoothed_and_an_edge_stays() -> None:
    edge = torch.full((2, 3, 32, 32), 0.2)
    edge[..., 16:] = 0.8
    noisy = edge + 0.02 * (noise(2, 3, 32, 32) - 0.5)
    shown = denoise(noisy, 0.1)
    assert (shown - edge).std() < 0.5 * (noisy - edge).std()
    assert (shown - edge).abs().max() < 0.02
    assert torch.equal(denoise(noisy, 0), noisy)


def test_a_cloned_face_has_its_own_detail_on_the_light_of_the_picture() -> None:
    mask = disc(48, 16)[None]
    detail = 0.1 * torch.sin(torch.arange(48) * 1.0) * disc(48, 12)
    picture = (0.3 + torch.arange(48) * 0.005).expand(1, 3, 48, 48)
    face = (0.7 + detail).expand(1, 3, 48, 48)
    shown = seamless(picture, face, mask)
    assert torch.equal(shown[(mask <= 0.1).expand(1, 3, -1, -1)], picture[(mask <= 0.1).expand(1, 3, -1, -1)])
    assert (shown - (picture + detail)).abs().max() < 10 / 255  # of 100 / 255 that the face is lighter


@pytest.mark.parametrize("box", [(0, 0), (8, 9), (8, 11), (8, 12), (0, 32)])
def test_cloning_bears_masks_that_are_empty_tiny_or_everything(box: tuple[int, int]) -> None:
    picture, mask = noise(2, 3, 32, 32), torch.zeros(2, 1, 32, 32)
    mask[0, 0, box[0] : box[1], 4:20] = 1.0
    shown = seamless(picture, noise(2, 3, 32, 32, seed=1), mask)
    assert torch.equal(shown[1], picture[1])
    assert torch.equal(shown[0][(mask[0] == 0).expand(3, -1, -1)], picture[0][(mask[0] == 0).expand(3, -1, -1)])


def test_what_needs_opencv_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    picture = noise(1, 3, 8, 8)
    for call in (lambda: denoise(picture, 0.1), lambda: seamless(picture, picture, picture[:, :1])):
        with pytest.raises(ConfigError, match=r'pip install "condswap\[video\]"'):
            call()


def test_cloning_refuses_shapes_that_do_not_fit() -> None:
    with pytest.raises(ShapeError, match=r"\(1, 3, 8, 8\), \(1, 3, 8, 9\)"):
        seamless(noise(1, 3, 8, 8), noise(1, 3, 8, 9), noise(1, 1, 8, 8))


# From the frame to the crop


@pytest.mark.parametrize(
    "matrix",
    [turned(1.0, 0, -5.25, -9.5), turned(1.3, 20, -12, -30), turned(1.7, -75, 10, 60), turned(1.2, 10, 20, 15)],
)
@pytest.mark.parametrize(("outside", "border"), [("edge", "BORDER_REPLICATE"), ("black", "BORDER_CONSTANT")])
def test_a_crop_is_what_opencv_warps(matrix: list[list[float]], outside: str, border: str) -> None:
    frame = waves(60, 90)
    expected = cv2.warpAffine(
        hwc(frame), np.array(matrix), (48, 48), flags=cv2.INTER_CUBIC, borderMode=getattr(cv2, border)
    )
    shown = crop(frame, torch.tensor(matrix), 48, outside=outside)  # type: ignore[arg-type]
    difference = np.abs(hwc(shown) - expected.clip(0, 1))
    # OpenCV rounds places to 1/32 pixel: on the ramp at the frame's end that is up to 1/64 of the step.
    assert difference.max() < (0.006 if outside == "edge" else 0.03)
    assert difference.mean() < 0.001


def test_a_frame_may_be_bytes_and_a_view_of_pixels() -> None:
    pixels = (waves(60, 90) * 255).round().byte()
    view = pixels.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    shown = crop(view, turned(0.7, 20, -5, -2), 32)
    assert torch.allclose(shown, crop(pixels.float() / 255, turned(0.7, 20, -5, -2), 32), atol=1e-6)


def test_a_crop_that_is_smaller_than_the_face_averages() -> None:
    frame = torch.zeros(3, 64, 64)
    frame[:, ::2, 1::2] = 1.0
    frame[:, 1::2, ::2] = 1.0  # a chess board of single pixels, grey from afar
    assert (crop(frame, turned(1 / 4, 0, -2, -2), 12) - 0.5).abs().max() < 0.02
    assert (crop(frame, turned(1 / 3.3, 31, 1, 1), 10)[:, 3:7, 3:7] - 0.5).abs().max() < 0.03
    smooth = waves(120, 120)
    small = crop(smooth, turned(1 / 2, 0, -0.25, -0.25), 60)  # every pixel in the middle of four
    assert (small - smooth.unfold(1, 2, 2).unfold(2, 2, 2).mean((3, 4)))[:, 2:-2, 2:-2].abs().max() < 0.01


def test_beyond_the_frame_lies_its_edge_or_nothing() -> None:
    frame = waves(20, 30)
    away = turned(1.0, 0, -1000, 0)  # the crop begins 1000 pixels to the right
    assert torch.allclose(crop(frame, away, 16), frame[:, :16, -1:].expand(3, 16, 16), atol=1e-6)
    assert not crop(frame, away, 16, outside="black").any()
    row = crop(torch.ones(1, 20, 30), turned(1.0, 0, 8, 0), 16, outside="black")[0, 5]
    assert torch.allclose(row, torch.tensor([0.0] * 8 + [1.0] * 8), atol=1e-5)
    pixel = crop(torch.full((3, 1, 1), 0.25), turned(3.0, 12, 0, 0), 4)
    assert torch.allclose(pixel, torch.full((3, 4, 4), 0.25))


# And back


def warped_by_opencv(frame: Tensor, face: Tensor, mask: Tensor, matrix: list[list[float]]) -> np.ndarray:
    size, flags = (frame.shape[2], frame.shape[1]), cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    colour = cv2.warpAffine(hwc(face), np.array(matrix), size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(hwc(mask), np.array(matrix), size, flags=flags).clip(0, 1)[..., None]
    return hwc(frame) * (1 - alpha) + colour.clip(0, 1) * alpha


@pytest.mark.parametrize(
    "matrix", [turned(0.6, 0, -3, -4), turned(0.9, 25, -5, -20), turned(0.5, 170, 60, 40), turned(0.4, -40, 15, 30)]
)
def test_a_pasted_face_is_what_opencv_warps_back(matrix: list[list[float]]) -> None:
    frame, face, mask = noise(3, 90, 120), waves(48, 48), disc(48, 18)
    difference = np.abs(hwc(paste(frame, face, mask, matrix)) - warped_by_opencv(frame, face, mask, matrix))
    assert difference.max() < 0.03  # at the mask's edge, where OpenCV rounds to 1/32 pixel and the order differs
    assert difference.mean() < 0.0005


@pytest.mark.parametrize("bytes_", [False, True])
@pytest.mark.parametrize("scale", [0.4, 1.0, 2.7])
def test_outside_of_the_mask_every_bit_stays(bytes_: bool, scale: float) -> None:
    frame = noise(3, 90, 120)
    frame = (frame * 255).byte().permute(1, 2, 0).contiguous().permute(2, 0, 1) if bytes_ else frame
    before = frame.clone()
    matrix = turned(scale, 15, 0, 0)
    matrix[0][2], matrix[1][2] = (  # the middle of the crop lies at (60, 45)
        23.5 - matrix[row][0] * 60 - matrix[row][1] * 45 for row in (0, 1)
    )
    shown = paste(frame, 1 - waves(48, 48), disc(48, 18), matrix)
    assert torch.equal(frame, before)
    assert shown.dtype == frame.dtype
    assert shown.stride() == frame.stride()
    y, x = torch.meshgrid(torch.arange(90) - 45, torch.arange(120) - 60, indexing="ij")
    away = (x**2 + y**2).sqrt()
    far = away > 20 / scale + 3  # the disc ends at 20 pixels of the crop
    assert torch.equal(shown[:, far], frame[:, far])
    assert (shown != frame)[:, away < 15 / scale - 2].float().mean() > 0.9


def test_a_face_goes_back_to_where_it_was_cut_out() -> None:
    frame = waves(90, 120)
    for scale, error in ((1.6, 0.006), (1.0, 0.004), (0.6, 0.02)):
        matrix = turned(scale, 20, 10, -10)
        assert (paste(frame, crop(frame, matrix, 64), disc(64, 28), matrix) - frame).abs().max() < error


def test_a_face_at_the_edge_of_the_frame_or_beyond_it() -> None:
    frame, face = torch.zeros(3, 20, 30), torch.ones(3, 8, 8)
    shown = paste(frame, face, face[:1], turned(1.0, 0, 4, 5))  # its corner is at (-4, -5)
    assert torch.equal(shown[:, :3, :4], face[:, :3, :4])
    assert shown.sum() == 3 * 3 * 4
    for x, y in ((100, 0), (-100, 0), (0, 100), (0, -100), (8, 0), (0, -20)):
        assert torch.equal(paste(frame, face, face[:1], turned(1.0, 0, x, y)), frame)


def test_a_face_that_becomes_smaller_is_averaged() -> None:
    face = torch.zeros(3, 64, 64)
    face[:, ::2, 1::2] = 1.0
    face[:, 1::2, ::2] = 1.0
    shown = paste(torch.zeros(3, 40, 40), face, torch.ones(1, 64, 64), turned(4.0, 30, -30, -80))
    assert (crop(shown, turned(4.0, 30, -30, -80), 64)[:, 16:48, 16:48] - 0.5).abs().max() < 0.03


def test_what_lies_outside_of_the_mask_does_not_bleed_in() -> None:
    face, mask = torch.ones(3, 32, 32), torch.zeros(1, 32, 32)
    face[:, 8:24, 8:24], mask[:, 8:24, 8:24] = 0.0, 1.0
    shown = paste(torch.zeros(3, 64, 64), face, mask, turned(0.77, 33, 5, -10))
    assert not shown.any()


def test_what_cannot_be_cropped_or_pasted_is_refused() -> None:
    frame, face = noise(3, 8, 8), noise(3, 4, 4)
    with pytest.raises(ShapeError, match=r"the matrix is \(3, 3\); give \(2, 3\)"):
        crop(frame, torch.eye(3), 4)
    for values in ([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0]], [[math.nan, 0.0, 0.0], [0.0, 1.0, 0.0]]):
        with pytest.raises(DataError, match="cannot be undone"):
            crop(frame, values, 4)
    with pytest.raises(ShapeError, match=r"the frame is \(8, 8\)"):
        crop(frame[0], turned(1, 0, 0, 0), 4)
    with pytest.raises(DataError, match="int64"):
        crop(frame.long(), turned(1, 0, 0, 0), 4)
    with pytest.raises(ShapeError, match=r"\(3, 4, 4\) and \(3, 4, 4\)"):
        paste(frame, face, face, turned(1, 0, 0, 0))
