"""The hull of landmarks, against DeepFaceLab's own masks and against polygons that were filled by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from condswap.data.hull import hull_mask, raise_brows

FIXTURES = Path(__file__).resolve().parents[2] / ".." / "shared" / "fixtures" / "dfl" / "dfljpg"


def points(*corners: tuple[float, float]) -> torch.Tensor:
    """68 landmarks at these corners, by turns."""
    return torch.tensor([corners[number % len(corners)] for number in range(68)], dtype=torch.float64)


def drawn(mask: torch.Tensor) -> list[str]:
    return ["".join(".#"[int(value > 0)] for value in row) for row in mask[0]]


def test_a_square_a_triangle_a_line_and_a_point() -> None:
    assert drawn(hull_mask(points((1, 1), (3, 1), (3, 2), (1, 2)), height=4, width=5, brows=0)) == [
        ".....",
        ".###.",
        ".###.",
        ".....",
    ]
    # From (0, 0) to (4, 2) the line goes through (0, 0), (1, 0), (2, 1), (3, 1), (4, 2), its halves to the start.
    assert drawn(hull_mask(points((0, 0), (4, 2), (0, 2)), height=3, width=5, brows=0)) == ["##...", "####.", "#####"]
    assert drawn(hull_mask(points((0, 0), (3, 3)), height=4, width=4, brows=0)) == ["#...", ".#..", "..#.", "...#"]
    assert drawn(hull_mask(points((2, 1)), height=3, width=4, brows=0)) == ["....", "..#.", "...."]


def test_landmarks_are_cut_to_whole_pixels() -> None:
    assert torch.equal(
        hull_mask(points((1.9, 1.9), (4.9, 1.0), (4.1, 3.7)), height=6, width=6, brows=0),
        hull_mask(points((1, 1), (4, 1), (4, 3)), height=6, width=6, brows=0),
    )


def test_what_lies_outside_of_the_picture_is_cut_off() -> None:
    assert drawn(hull_mask(points((-5, -5), (9, -5), (9, 1), (-5, 1)), height=3, width=4, brows=0)) == [
        "####",
        "####",
        "....",
    ]
    assert drawn(hull_mask(points((-9, -9), (-5, -9), (-5, -5)), height=2, width=2, brows=0)) == ["..", ".."]


def test_brows_go_up_by_half_of_their_way_from_the_eye() -> None:
    face = points((50, 50))
    face[19], face[37] = torch.tensor([40.0, 30.0]), torch.tensor([44.0, 42.0])
    face[17], face[36], face[0] = torch.tensor([20.0, 30.0]), torch.tensor([32.0, 40.0]), torch.tensor([12.0, 44.0])
    # 19 is over 37 of the same eye, one further in than the brow's outer end: its point below is the third, 37.
    raised = raise_brows(face, 1.0)
    assert raised[19] == (38, 24)
    # A quarter of the way from 36 (32, 40) to 0 (12, 44): (22, 42), and from there halfway back, (27, 41).
    assert raised[17] == (16, 24)
    assert raise_brows(face, 0.0)[17] == (20, 30)
    assert raise_brows(face, 2.0)[19] == (36, 18)


@pytest.mark.skipif(not FIXTURES.is_dir(), reason="there is no ../shared with DeepFaceLab's own masks")
@pytest.mark.parametrize("name", ["00001_0.jpg", "00002_0.jpg", "00003_0.jpg"])
def test_deepfacelabs_own_masks_to_the_pixel(name: str) -> None:
    known = json.loads((FIXTURES / "expected.json").read_text())[name]
    mask = np.load(FIXTURES / "expected.npz")[f"{name}|hull_mask"][..., 0]
    height, width, _ = known["shape"]
    marks = torch.tensor(known["landmarks"], dtype=torch.float64)
    ours = hull_mask(marks, height=height, width=width, brows=known["eyebrows_expand_mod"])
    assert np.array_equal(ours[0].numpy() / 255, mask)
