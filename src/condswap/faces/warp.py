"""Affine maps between the pixels of two pictures, and fetching one picture's pixels at the places of the other's."""

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate

from condswap.errors import DataError, ShapeError

Affine: TypeAlias = tuple[tuple[float, float, float], tuple[float, float, float]]


def affine(matrix: Tensor | Sequence[Sequence[float]]) -> Affine:
    """Read a matrix (2, 3)."""
    values = torch.as_tensor(matrix, dtype=torch.float64)
    if values.shape != (2, 3):
        raise ShapeError(f"the matrix is {tuple(values.shape)}; give (2, 3), from the frame to the crop")
    (a, b, c), (d, e, f) = values.tolist()
    if not math.isfinite(a + b + c + d + e + f) or abs(a * e - b * d) < 1e-12:
        raise DataError(f"the matrix {values.tolist()} cannot be undone; align the face again")
    return (a, b, c), (d, e, f)


def inverse(matrix: Affine) -> Affine:
    """Give the matrix that undoes another."""
    (a, b, c), (d, e, f) = matrix
    area = a * e - b * d
    return (e / area, -b / area, (b * f - c * e) / area), (-d / area, a / area, (c * d - a * f) / area)


def moved(matrix: Affine, left: int, top: int) -> Affine:
    """Give the matrix for points counted from (left, top)."""
    (a, b, c), (d, e, f) = matrix
    return (a, b, a * left + b * top + c), (d, e, d * left + e * top + f)


def shrinking(matrix: Affine) -> float:
    """Give how many pixels of the side that a matrix leads to make one of the side that it comes from."""
    (a, b, _), (d, e, _) = matrix
    return math.sqrt(abs(a * e - b * d))


def box(matrix: Affine, around: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
    """Give left, top, right, bottom (past the last) of the pixels that a matrix takes a rectangle to."""
    left, top, right, bottom = around
    corners = [(x, y) for x in (left, right) for y in (top, bottom)]
    (across, down) = ([a * x + b * y + c for x, y in corners] for a, b, c in matrix)
    return math.floor(min(across)), math.floor(min(down)), math.ceil(max(across)) + 1, math.ceil(max(down)) + 1


def sample(
    picture: Tensor, to_picture: Affine, height: int, width: int, *, beyond: Literal["border", "zeros"]
) -> Tensor:
    """Fetch (1, c, height, width) from a picture (c, H, W) at the places where a matrix takes the pixels."""
    (a, b, c), (d, e, f) = to_picture
    shrink = shrinking(to_picture)
    margin = math.ceil(2 * max(shrink, 1))  # the reach of the cubic
    left, top, right, bottom = box(to_picture, (0.0, 0.0, width - 1.0, height - 1.0))
    left = min(max(left - margin, 0), picture.shape[2] - 1)
    top = min(max(top - margin, 0), picture.shape[1] - 1)
    right = min(max(right + margin, left + 1), picture.shape[2])
    bottom = min(max(bottom + margin, top + 1), picture.shape[1])
    region = picture[None, :, top:bottom, left:right]
    region = region.float() / 255 if picture.dtype == torch.uint8 else region.float()
    rows, columns = bottom - top, right - left
    if shrink > 1:
        smaller = math.ceil(rows / shrink), math.ceil(columns / shrink)
        region = interpolate(region, size=smaller, mode="bicubic", antialias=True)
    # grid_sample counts from -1 to 1 over the outer edges of the region, however many pixels that has by now.
    x = torch.arange(width, device=picture.device, dtype=torch.float32)
    y = torch.arange(height, device=picture.device, dtype=torch.float32)[:, None]
    across = x * (2 * a / columns) + y * (2 * b / columns) + ((2 * (c - left) + 1) / columns - 1)
    down = x * (2 * d / rows) + y * (2 * e / rows) + ((2 * (f - top) + 1) / rows - 1)
    grid = torch.stack((across, down), -1)[None]
    return grid_sample(region, grid, mode="bicubic", padding_mode=beyond, align_corners=False)
