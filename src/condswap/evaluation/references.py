"""What a swap is held against: the picture unchanged, a real picture of the target pasted, its mean face pasted.

A number of a swap alone says little. A picture that nobody swapped, and a blur that nobody would call a face, get numbers
too; and not even a real face of the target, in the hair and the light of somebody else, gets those of an untouched picture.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch.nn import functional as F

from condswap.losses import masked
from condswap.types import Image, Label, Mask


class References(NamedTuple):
    """Faces to hold against a swap, (b, 3, h, w) each, not yet pasted.

    unchanged: the picture itself: what a model shows that ignores its label. real: a known real picture of the target:
    the best that can be asked for. mean: the mean face of the target: a blur with the right identity, and no expression.
    """

    unchanged: Image
    real: Image
    mean: Image


def references(
    image: Image, to: Label, *, real: Mapping[int, Image], means: Mapping[int, Image], places: Sequence[int]
) -> References:
    """Give the three references of pictures that are to show the classes `to`.

    Args:
        image: (b, 3, h, w) in [0, 1].
        to: int64 (b).
        real: the known pictures of each class that is shown, (n, 3, h', w'); may be of another size than `image`.
        means: the mean face of each class that is shown, (3, h', w').
        places: a number for each picture, which chooses the real picture of its target; the same gives the same.

    Example:
        >>> real = {0: torch.zeros(2, 3, 8, 8), 1: torch.ones(3, 3, 8, 8)}
        >>> means = {label: pictures.mean(0) for label, pictures in real.items()}
        >>> made = references(torch.rand(1, 3, 8, 8), torch.tensor([1]), real=real, means=means, places=[7])
        >>> made.real.mean().item(), made.mean.mean().item()
        (1.0, 1.0)
    """
    size = (image.shape[2], image.shape[3])
    labels = to.tolist()
    chosen = [real[label][place % len(real[label])] for label, place in zip(labels, places, strict=True)]
    return References(
        unchanged=image,
        real=resized(torch.stack(chosen).to(image), size),
        mean=resized(torch.stack([means[label] for label in labels]).to(image), size),
    )


def pasted(picture: Image, face: Image, mask: Mask) -> Image:
    """Put a face into a picture, inside the picture's own softened mask.

    Args:
        picture: (b, 3, h, w) in [0, 1].
        face: (b, 3, h', w') in [0, 1]; resized to the picture.
        mask: where the face of the picture is, (b, 1, h, w) in [0, 1].

    Example:
        >>> mask = torch.zeros(1, 1, 32, 32)
        >>> mask[..., 16:] = 1.0
        >>> made = pasted(torch.zeros(1, 3, 32, 32), torch.ones(1, 3, 32, 32), mask)
        >>> made[0, 0, 0, 0].item(), made[0, 0, 0, 31].item()
        (0.0, 1.0)
    """
    size = (picture.shape[2], picture.shape[3])
    return masked.pasted(picture, resized(face.to(picture), size), mask)


def resized(image: Image, size: tuple[int, int]) -> Image:
    """Resize pictures to (height, width): every pixel the mean of what it covers when smaller, bicubic when larger.

    >>> resized(torch.ones(1, 3, 8, 8), (4, 4)).shape
    torch.Size([1, 3, 4, 4])
    """
    height, width = image.shape[2], image.shape[3]
    if (height, width) == size:
        return image
    if size[0] <= height and size[1] <= width:
        return F.interpolate(image, size=size, mode="area")
    return F.interpolate(image, size=size, mode="bicubic", antialias=True).clamp(0, 1)
