"""How much the label matters: this family's known failure is silent, a fine reconstruction that ignores its label."""

from typing import NamedTuple

import torch
from torch import Tensor

from condswap.cgan import CGAN
from condswap.errors import DataError, ShapeError
from condswap.generator import evaluating
from condswap.types import Image, Label, Mask

IGNORED_WAY = 0.1
"""The part of the way to the other person below which a swap is none: what changes with the label is then a tint."""

IGNORED_BELOW = 0.1
"""The label sensitivity below which the label is as good as ignored.

A network that cannot use its label has 0. On toy faces and on real ones every run that swapped was above 0.4 from its 50th
step on; one that kept most of the person in the picture was at 0.18 to 0.28. An exact swap of toy faces has 0.69.
"""

_AT_ONCE = 16  # pictures; never more memory than a training step takes
_PAIRINGS = 16  # each picture is compared with so many others, so that many pictures do not cost their square
_LEAST_DIFFERENCE = 1e-3  # a quarter of a level of 8 bits: nearer than this no two pictures of people are


class Both(NamedTuple):
    """Pictures shown as their own class, and as the next one.

    Attributes:
        own: (b, 3, h, w).
        swap: (b, 3, h, w).
        to: the class of the swap, (b).
    """

    own: Image
    swap: Image
    to: Label


@torch.no_grad()
def show_both(model: CGAN, image: Image, label: Label, mask: Mask) -> Both:
    """Show pictures as their own class and as the next one, as the decoder paints them.

    The model is told who is in the picture and where; it is in evaluation mode meanwhile.

    Args:
        model: of two classes or more.
        image: (b, 3, h, w) in [0, 1].
        label: the class of the person in the picture, int64 (b).
        mask: (b, 1, h, w) in [0, 1].

    Raises:
        DataError: the model has one class, a label is none of its classes, or is a blend.
        ShapeError: the mask does not belong to the pictures.

    Example:
        >>> model = CGAN.default(32, classes=["anna", "bob"])
        >>> both = show_both(model, torch.rand(2, 3, 32, 32), torch.tensor([0, 1]), torch.ones(2, 1, 32, 32))
        >>> both.swap.shape, both.to
        (torch.Size([2, 3, 32, 32]), tensor([1, 0]))
    """
    generator, number = model.generator, len(model.classes)
    if number < 2:
        raise DataError(f"the model has the one class {model.classes[0]!r}; a label matters from two classes on")
    generator.check_mask(image, mask)
    label = generator.resolve(label, image)
    if label.is_floating_point():
        raise DataError("label is a blend of classes; give the class of the person in each picture, int64 (b)")
    to = (label + 1) % number
    shown: list[tuple[Tensor, Tensor]] = []
    with evaluating(model):
        parts = zip(*(one.split(_AT_ONCE) for one in (image, mask, label, to)), strict=True)
        for picture, where, source, other in parts:
            features = generator.encode(picture, where)
            own, swap = (generator.show(features, as_class, source).image for as_class in (source, other))
            shown.append((own.to(image.dtype), swap.to(image.dtype)))
    own, swap = (torch.cat(pictures) for pictures in zip(*shown, strict=True))
    return Both(own, swap, to)


def label_sensitivity(model: CGAN, image: Image, label: Label, mask: Mask) -> Tensor:
    """Measure how much of what tells people apart follows the label.

    Every picture is shown as its own class and as the next one. The mean absolute difference of the two inside the mask
    is divided by that of real pictures of different classes, inside both masks.

    Args:
        model: of two classes or more; told who is in the picture and where.
        image: (b, 3, h, w) in [0, 1], of two classes or more, best of each as many.
        label: the class of the person in the picture, int64 (b).
        mask: (b, 1, h, w) in [0, 1].

    Returns:
        (b), from 0: the label is ignored. An exact swap gives what two people in the same moment differ by, which is less
        than 1, because real pictures differ in light and pose, too. NaN for a picture with an empty mask.

    Raises:
        DataError: the model or the pictures have one class, or a label is none of the model's.
        ShapeError: the mask does not belong to the pictures.

    Example:
        >>> model = CGAN.default(32, classes=["anna", "bob"])
        >>> image, mask = torch.rand(4, 3, 32, 32), torch.ones(4, 1, 32, 32)
        >>> label_sensitivity(model, image, torch.tensor([0, 1, 0, 1]), mask).shape
        torch.Size([4])
    """
    both = show_both(model, image, label, mask)
    return label_changes(both, mask) / people_differ(image, label, mask)


def label_changes(both: Both, mask: Mask) -> Tensor:
    """Measure by how much the label changes what is shown: the mean absolute difference inside the mask.

    Args:
        both: what `show_both` gave.
        mask: (b, 1, h, w) in [0, 1].

    Returns:
        (b) in [0, 1]; NaN for a picture with an empty mask.

    Example:
        >>> own = torch.zeros(1, 3, 4, 4)
        >>> label_changes(Both(own, own + 0.5, torch.tensor([1])), torch.ones(1, 1, 4, 4))
        tensor([0.5000])
    """
    return _inside((both.own - both.swap).abs(), mask)


def people_differ(image: Image, label: Label, mask: Mask) -> Tensor:
    """Measure by how much pictures of different classes differ: the mean absolute difference inside both masks.

    Args:
        image: (b, 3, h, w) in [0, 1].
        label: int64 (b).
        mask: (b, 1, h, w) in [0, 1].

    Returns:
        A scalar in [0, 1]; at least 0.001, so that it can be divided by.

    Raises:
        DataError: they are all of one class, or no two of different classes have a place of the face in common.

    Example:
        >>> people_differ(torch.tensor([0.2, 0.7]).expand(3, 4, 4, 2).permute(3, 0, 1, 2), torch.tensor([0, 1]),
        ...               torch.ones(2, 1, 4, 4))
        tensor(0.5000)
    """
    order = torch.argsort(label, stable=True)  # in this order every shift pairs some of different classes
    image, label, mask = image[order], label[order], mask[order]
    half = len(label) // 2
    shifts = range(1, half + 1) if half <= _PAIRINGS else [half * n // _PAIRINGS for n in range(1, _PAIRINGS + 1)]
    found = []
    for shift in shifts:
        apart = (label != label.roll(shift)).nonzero().flatten()
        if 2 * shift == len(label):
            apart = apart[apart < shift]  # half way round every pair is met from both sides
        with_whom = (apart - shift) % len(label)
        found.append(_inside((image[apart] - image[with_whom]).abs(), mask[apart] * mask[with_whom]))
    difference = torch.cat(found).nanmean() if found else torch.tensor(float("nan"))
    if bool(difference.isnan()):
        raise DataError(
            f"{len(label)} pictures of the classes {sorted(set(label.tolist()))} have no two faces to compare; give "
            "pictures of two classes or more, with masks that are not empty"
        )
    return difference.clamp_min(_LEAST_DIFFERENCE)


def moved(picture: Image, shown: Image, truth: Image, mask: Mask) -> Tensor:
    """Measure how far a swap went from the picture to the exact swap.

    This is <shown - picture, truth - picture> / |truth - picture|^2 inside the mask.

    Args:
        picture: (b, 3, h, w).
        shown: what the model made of it, (b, 3, h, w).
        truth: the exact swap, (b, 3, h, w).
        mask: where both people have their face, (b, 1, h, w) in [0, 1].

    Returns:
        (b): 0 is the picture, 1 all the way, or past it. NaN where picture and truth do not differ inside the mask.

    Raises:
        ShapeError: the pictures or the mask have different shapes.

    Example:
        >>> picture, truth = torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4)
        >>> moved(picture, 0.25 * truth, truth, torch.ones(1, 1, 4, 4))
        tensor([0.2500])
    """
    if not picture.shape == shown.shape == truth.shape or mask.shape != (len(picture), 1, *picture.shape[2:]):
        raise ShapeError(
            f"the picture is {tuple(picture.shape)}, what is shown {tuple(shown.shape)}, the truth {tuple(truth.shape)} and "
            f"the mask {tuple(mask.shape)}; give all as (b, 3, h, w), and the mask as (b, 1, h, w)"
        )
    change, went = (truth - picture) * mask, (shown - picture) * mask
    return (change * went).flatten(1).sum(1) / change.square().flatten(1).sum(1)


class MeanFaces(NamedTuple):
    """The average face of every class.

    Attributes:
        image: each averaged where its pictures have their face, (n, 3, h, w).
        mask: the average mask, (n, 1, h, w); 0 for a class without pictures.
    """

    image: Image
    mask: Mask


def mean_faces(image: Image, label: Label, mask: Mask, *, classes: int) -> MeanFaces:
    """Average the faces of every class.

    Args:
        image: (b, 3, h, w), aligned.
        label: int64 (b).
        mask: (b, 1, h, w) in [0, 1].
        classes: how many there are.

    Example:
        >>> image = torch.tensor([0.25, 0.5, 0.75]).expand(3, 4, 4, 3).permute(3, 0, 1, 2)
        >>> means = mean_faces(image, torch.tensor([0, 1, 1]), torch.ones(3, 1, 4, 4), classes=2)
        >>> means.image.mean((1, 2, 3))
        tensor([0.2500, 0.6250])
    """
    images, masks = image.new_zeros(classes, *image.shape[1:]), mask.new_zeros(classes, *mask.shape[1:])
    images.index_add_(0, label, image * mask)
    masks.index_add_(0, label, mask)
    count = torch.bincount(label, minlength=classes).clamp_min(1)[:, None, None, None]
    return MeanFaces(images / masks.clamp_min(1e-6), masks / count)  # where no mask is, the weight is 0, too


def moved_to_mean(picture: Image, shown: Image, label: Label, to: Label, mask: Mask, means: MeanFaces) -> Tensor:
    """Measure how far a swap went along the way from one class's mean face to another's, where no exact swap is known.

    This is `moved` with the picture plus that way in the place of the exact swap, where both classes have their face. What
    few pictures have in common by chance, a pose or a light, lengthens the way: take the means of many.

    Args:
        picture: (b, 3, h, w), aligned.
        shown: what the model made of it, (b, 3, h, w).
        label: the class of the person in the picture, int64 (b).
        to: the class that is shown, int64 (b).
        mask: (b, 1, h, w) in [0, 1].
        means: of both classes.

    Returns:
        (b): 0 is the picture, about 1 all the way, on average over pictures. NaN where a class has no mean face.

    Example:
        >>> picture, mask = torch.tensor([0.0, 1.0]).expand(3, 4, 4, 2).permute(3, 0, 1, 2), torch.ones(2, 1, 4, 4)
        >>> label, to = torch.tensor([0, 1]), torch.tensor([1, 0])
        >>> means = mean_faces(picture, label, mask, classes=2)
        >>> moved_to_mean(picture, picture.lerp(1 - picture, 0.75), label, to, mask, means)
        tensor([0.7500, 0.7500])
    """
    way = means.image[to] - means.image[label]
    return moved(picture, shown, picture + way, mask * means.mask[to] * means.mask[label])


def _inside(values: Tensor, mask: Mask) -> Tensor:
    """Average (b, c, h, w) inside each picture's mask, (b); NaN where that is empty."""
    return (values * mask).flatten(1).sum(1) / (values.shape[1] * mask.flatten(1).sum(1))
