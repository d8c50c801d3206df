"""DeepFaceLab's merges of one frame, put together again out of condswap's parts.

What is left between them: OpenCV of that time rounded places to 1/32 pixel, the prediction is known in 8 bits only, and
Lab came from a table. The same steps restated with OpenCV 5.1 are off by up to 4 to 6 of 255 too.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from condswap.data.hull import hull_mask
from condswap.faces.blend import crop, mask_of, paste, seamless
from condswap.faces.colour import match_histogram, reinhard

FOLDER = Path(__file__).resolve().parents[2] / ".." / "shared" / "fixtures" / "dfl" / "merge"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="there is no ../shared with DeepFaceLab's own merges")

SIZE = 64
SHIFT = 0.375  # its mask is enlarged four times about the corner of the pixel but placed about its centre


def load(name: str) -> dict[str, np.ndarray]:
    return dict(np.load(FOLDER / f"{name}.npz"))


def rgb(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels[..., ::-1])).permute(2, 0, 1)


def whole_face(landmarks: np.ndarray) -> np.ndarray:
    """Umeyama's similarity to the 33 points of the template, with a padding of 0.4 and 7 % more forehead."""
    template = load("align")["landmarks_2D_new"].astype(np.float64)
    points = np.concatenate((landmarks[17:49], landmarks[54:55]))
    source, target = points - points.mean(0), template - template.mean(0)
    left, values, right = np.linalg.svd(target.T @ source / len(points))
    sign = np.array([1.0, np.sign(np.linalg.det(left) * np.linalg.det(right))])
    turn = (values @ sign) / source.var(0).sum() * left @ np.diag(sign) @ right
    move = template.mean(0) - turn @ points.mean(0)
    scale = SIZE / (1 + 2 * np.sqrt(2) * 0.4)
    return np.c_[scale * turn, scale * (move - [0.5, 0.43]) + SIZE / 2]


def masks() -> dict[str, Tensor]:
    """The masks of its modes, by the mode's number."""
    known = load("merge_common")
    painted, own = (torch.from_numpy(known[name])[None, None] for name in ("prd_mask", "dst_mask"))
    height, width, _ = known["frame"].shape
    hull = hull_mask(torch.from_numpy(known["landmarks"]), height=height, width=width)
    hull = crop(hull, torch.from_numpy(whole_face(known["landmarks"])), SIZE, outside="black")[None]
    return {
        "1": mask_of(None, hull, "landmarks"),
        "2": mask_of(painted, None, "model"),
        "3": mask_of(None, own, "landmarks"),
        "4": mask_of(painted, own, "both"),
        "5": mask_of((painted + own).clamp(0, 1), None, "model"),
    }


def masked_reinhard(face: Tensor, here: Tensor, area: Tensor) -> Tensor:
    """It measures on pictures that are black outside."""
    return reinhard(face * area, here * area)


def masked_histogram(face: Tensor, here: Tensor, area: Tensor) -> Tensor:
    """It measures on pictures that are white outside, and leaves out what is lighter than 238 of 255 of the reference."""
    face = masked_reinhard(face, here, area) * area + 1 - area
    reference = (here * area + 1 - area).flatten(2)
    places = torch.linspace(0, 238 / 255, SIZE * SIZE)
    return match_histogram(face, reference.quantile(places, dim=2).permute(1, 2, 0).reshape(1, 3, SIZE, SIZE))


def merged(
    mask: Tensor, colours: Callable[[Tensor, Tensor, Tensor], Tensor], *, cloned: bool = False
) -> tuple[Tensor, Tensor]:
    """The frame with the predicted face, and the mask in the frame."""
    known = load("merge_common")
    frame, matrix = rgb(known["frame"]), whole_face(known["landmarks"])
    face = (rgb(load("merge_modes")["mode|raw-predict"])[None] + 0.5) / 255  # it was cut to 8 bits, not rounded
    here = crop(frame, torch.from_numpy(matrix), SIZE, outside="black")[None]
    enlarged = interpolate(mask, scale_factor=4, mode="bicubic").clamp(0, 1)
    area = (interpolate(enlarged, (SIZE, SIZE), mode="bicubic") > 1e-6).float()
    if cloned:
        face = seamless(here, face, mask)
    face = colours(face, here, area)[0]
    matrix[:, 2] -= SHIFT
    face = crop(face, [[1, 0, -SHIFT], [0, 1, -SHIFT]], SIZE)
    shown = paste(frame, face, mask[0], torch.from_numpy(matrix))
    black, white = torch.zeros(frame.shape), torch.ones(face.shape)
    return shown, paste(black, white, mask[0], torch.from_numpy(matrix))[:1]


def check(shown: Tensor, expected: np.ndarray, *, greatest: float, nearly_greatest: float, mean: float) -> None:
    """Check the greatest difference, the one that a thousandth of the values exceeds, and the mean, in 1/255."""
    difference = (shown.float() - rgb(expected).float()).abs().flatten()
    found = difference.max().item(), difference.quantile(0.999).item(), difference.mean().item()
    assert all(one <= most for one, most in zip(found, (greatest, nearly_greatest, mean), strict=True)), found


def test_the_matrix_is_deepfacelabs() -> None:
    known = load("align")
    assert np.abs(whole_face(known["landmarks"]) * 4 - known["mat|whole_face|1.0"]).max() < 1e-4


@pytest.mark.parametrize(
    ("mode", "greatest", "nearly_greatest"),
    [
        ("2", 12, 4),
        ("3", 10, 4),
        ("4", 8, 4),
        ("5", 12, 5),
        # The hull has a hard edge in the frame: DeepFaceLab picks single pixels of it, `crop` averages them.
        ("1", 40, 20),
    ],
)
def test_mask_modes_with_reinhards_colours(mode: str, greatest: float, nearly_greatest: float) -> None:
    expected = load("merge_mask_modes")
    shown, alpha = merged(masks()[mode], masked_reinhard)
    check(shown, expected[f"mask_mode|{mode}"], greatest=greatest, nearly_greatest=nearly_greatest, mean=0.3)
    mask = np.repeat(expected[f"mask_mode|{mode}|mask"], 3, 2)
    if mode != "1":
        check(alpha.expand(3, -1, -1) * 255, mask, greatest=11, nearly_greatest=3.5, mean=0.15)
    outside = torch.from_numpy(mask[..., 0] == 0) & (alpha[0] == 0)
    assert outside.sum() > 10_000
    assert torch.equal(shown[:, outside], rgb(load("merge_common")["frame"])[:, outside])


def test_histogram() -> None:
    shown, _ = merged(masks()["4"], masked_histogram)
    check(shown, load("merge_modes")["mode|hist-match"], greatest=6, nearly_greatest=4, mean=0.25)


def test_seamless() -> None:
    # DeepFaceLab clones in the frame, `seamless` is given the crop here; the same steps in the frame with OpenCV 5.1
    # differ by as much.
    shown, _ = merged(masks()["4"], masked_reinhard, cloned=True)
    check(shown, load("merge_modes")["mode|seamless"], greatest=24, nearly_greatest=16, mean=0.8)


def test_the_whole_square() -> None:
    known = load("merge_common")
    matrix = whole_face(known["landmarks"])
    face = (rgb(load("merge_modes")["mode|raw-predict"]) + 0.5) / 255
    shown = paste(rgb(known["frame"]), face, torch.ones(1, SIZE, SIZE), torch.from_numpy(matrix))
    y, x = np.mgrid[:120, :160]
    place = matrix[:, :2] @ np.stack((x, y)).reshape(2, -1) + matrix[:, 2:]
    inside = ((place > 3) & (place < SIZE - 4)).all(0).reshape(120, 160)
    difference = (shown.int() - rgb(load("merge_modes")["mode|raw-rgb"]).int()).abs()[:, inside]
    assert difference.max() <= 3
    assert difference.float().mean() < 0.6
