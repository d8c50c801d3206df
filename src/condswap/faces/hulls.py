"""Where in its crop a face is: the hull of its mesh, or the outline of a mean face."""

import torch
from torch import Tensor

from condswap.faces.find import Face
from condswap.faces.opencv import require_opencv
from condswap.templates import Template, invert, outline, transform

_FINE = 4  # times as large a mask is drawn
_BITS = 4  # below the pixel, in which OpenCV counts then


def hull_of(face: Face, template: Template) -> Tensor:
    """Give the outline of a face in its picture, (n, 2): the hull of its mesh, or the mean face's where there is none."""
    if face.outline is not None:
        return face.outline
    return transform(invert(template.matrix(face.points, 1)), outline(template))


def draw_hull(hull: Tensor, matrix: Tensor, size: int) -> Tensor:
    """Draw the mask of a convex outline in a crop, (1, size, size), float32 in [0, 1], its edge smooth.

    Args:
        hull: (n, 2), in pixels of the picture.
        matrix: (2, 3), from the picture to the crop.
        size: the side of the crop, in pixels.
    """
    opencv = require_opencv("drawing the outline of a face")
    # Drawn large and averaged: what OpenCV itself draws smooth is most of a pixel too wide.
    corners = transform(matrix, hull).clamp(-4 * size, 5 * size) * _FINE + (_FINE - 1) / 2
    canvas = torch.zeros(size * _FINE, size * _FINE, dtype=torch.uint8).numpy()
    opencv.fillConvexPoly(canvas, (corners * 2**_BITS).round().int().numpy(), (255.0,), shift=_BITS)
    return torch.from_numpy(opencv.resize(canvas, (size, size), interpolation=opencv.INTER_AREA)).float()[None] / 255
