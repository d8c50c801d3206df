"""The mask of a face from its 68 landmarks: their convex hull, with the brows raised to take in the forehead."""

from collections.abc import Iterable

import torch
from torch import Tensor

_Point = tuple[int, int]
_ONE = 2**16  # the steps of a pixel in which OpenCV follows an edge


def hull_mask(landmarks: Tensor, *, height: int, width: int, brows: float = 1.0) -> Tensor:
    """Draw the convex hull of 68 landmarks as DeepFaceLab does, to the pixel.

    The landmarks are cut to whole pixels, and each point of the brows is moved away from the eye below it by half their
    distance, times `brows`. A pixel is inside if it lies between the outermost pixels of its row that a line around the
    hull touches; where halves are rounded, OpenCV's `fillConvexPoly` decides.

    Args:
        landmarks: (68, 2), x and y in pixels, in the order of the iBUG 300-W annotation; they may lie outside.
        height: of the mask, in pixels.
        width: of the mask, in pixels.
        brows: how far to raise the brows.

    Returns:
        uint8 (1, height, width), 255 inside and 0 outside.

    Example:
        >>> corners = torch.tensor([[1.0, 0.0], [3.0, 2.0], [1.0, 2.0]]).repeat(23, 1)[:68]
        >>> hull_mask(corners, height=3, width=4, brows=0.0)[0].div(255, rounding_mode="floor").tolist()
        [[0, 1, 0, 0], [0, 1, 1, 0], [0, 1, 1, 1]]
    """
    corners = torch.tensor(_convex_hull(raise_brows(landmarks, brows)))
    edges = torch.stack((corners, corners.roll(-1, 0)), 1)
    x, y = torch.cat((_lines(edges), _slopes(edges))).unbind(1)
    inside = (y >= 0) & (y < height)
    left = torch.full((height,), width).scatter_reduce(0, y[inside], x[inside], "amin")
    right = torch.full((height,), -1).scatter_reduce(0, y[inside], x[inside], "amax")
    column = torch.arange(width)
    return (((column >= left[:, None]) & (column <= right[:, None])).to(torch.uint8) * 255)[None]


def _sorted_by(edges: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Give the starts and the ends of edges (n, 2, 2) so that they go up along an axis."""
    first, last = edges.unbind(1)
    turned = (first[:, axis] > last[:, axis])[:, None]
    return torch.where(turned, last, first), torch.where(turned, first, last)


def _lines(edges: Tensor) -> Tensor:
    """Give the pixels of 8-connected lines from left to right, a half being rounded towards the start."""
    first, last = _sorted_by(edges, 0)
    way = last - first
    steps = way.abs().amax(1).clamp_min(1)[:, None, None]
    place = torch.minimum(torch.arange(int(steps.max()) + 1)[:, None], steps)
    moved = -((steps - 2 * place * way.abs()[:, None]) // (2 * steps))  # ceil(place * |way| / steps - 1/2)
    return (first[:, None] + way.sign()[:, None] * moved).flatten(0, 1)


def _slopes(edges: Tensor) -> Tensor:
    """Give where edges cross the rows, in steps of 1/65536 pixel, rounded to the nearest pixel."""
    top, bottom = _sorted_by(edges, 1)
    way = bottom - top
    rows = way[:, 1:].clamp_min(1)
    step = torch.div(2 * _ONE * way[:, :1] + rows, 2 * rows, rounding_mode="trunc")
    place = torch.minimum(torch.arange(int(rows.max()) + 1), way[:, 1:])
    x = (_ONE * top[:, :1] + place * step + _ONE // 2) // _ONE
    return torch.stack((x, top[:, 1:] + place), 2).flatten(0, 1)


def raise_brows(landmarks: Tensor, amount: float) -> list[_Point]:
    """Cut landmarks (68, 2) to whole pixels and raise the brows over the eyes by half their distance, times `amount`."""
    points = [(int(x), int(y)) for x, y in landmarks.tolist()]

    def between(one: _Point, other: _Point) -> _Point:
        return (one[0] + other[0]) // 2, (one[1] + other[1]) // 2

    # Below the outer end of a brow is the point a quarter of the way from the corner of the eye to the edge of the face.
    below = [between(points[36], between(points[36], points[0])), *points[36:40]]
    below += [*points[42:46], between(points[45], between(points[16], points[45]))]
    for number, (x, y) in zip(range(17, 27), below, strict=True):
        old_x, old_y = points[number]
        points[number] = int(old_x + 0.5 * amount * (old_x - x)), int(old_y + 0.5 * amount * (old_y - y))
    return points


def _convex_hull(points: Iterable[_Point]) -> list[_Point]:
    """Give the corners of the convex hull in turn (Andrew's monotone chain)."""
    ordered = sorted(set(points))
    if len(ordered) < 3:
        return ordered
    hull: list[_Point] = []
    for row in (ordered, ordered[::-1]):
        chain: list[_Point] = []
        for x, y in row:
            while len(chain) > 1:
                (ax, ay), (bx, by) = chain[-2:]
                if (bx - ax) * (y - ay) > (by - ay) * (x - ax):
                    break
                chain.pop()
            chain.append((x, y))
        hull += chain[:-1]
    return hull
