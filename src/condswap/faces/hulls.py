"""Where in its crop a face is: the hull of its mesh, or the outline of a mean face."""

import torch
from torch import Tensor

from condswap.faces.find import Face
from condswap.templates import Template, invert, outline, transform

_FINE = 4  # bits below the pixel, in which OpenCV draws


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
    import cv2

    corners = transform(matrix, hull).clamp(-4 * size, 5 * size) * 2**_FINE
    canvas = torch.zeros(size, size, dtype=torch.uint8).numpy()
    cv2.fillConvexPoly(canvas, corners.round().int().numpy(), (255.0,), lineType=cv2.LINE_AA, shift=_FINE)
    return torch.from_numpy(canvas).float()[None] / 255
