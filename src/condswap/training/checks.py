"""What the trainer refuses before it costs anything: data and batches that do not suit the model."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from condswap.errors import ConfigError, DataError, ShapeError
from condswap.generator import check_range, listed, misplaced, quoted
from condswap.types import Batch, Shape


def check_steps(steps: object, *, planned: int | None) -> None:
    """Refuse a number of steps that cannot be taken.

    Args:
        steps: what `fit` was asked for.
        planned: `TrainerConfig.planned_steps`.

    Raises:
        ConfigError: it is no whole number from 0 up, or there are more than were planned.

    Example:
        >>> check_steps(100, planned=100)
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 0:
        raise ConfigError(f"steps is {steps!r}; it is the whole number of steps to have been taken at the end")
    if planned is not None and steps > planned:
        raise ConfigError(
            f"steps is {steps} and this run was planned for {planned} (TrainerConfig.planned_steps), after which its "
            f"learning rates are 0; stop at {planned}, or give the model to a new Trainer"
        )


def check_grown(now: Sequence[str], then: Sequence[str]) -> None:
    """Refuse a model that was given a class since its trainer was made.

    Raises:
        ConfigError: it has others than then.

    Example:
        >>> check_grown(("anna", "bob"), ("anna", "bob"))
    """
    if tuple(now) != tuple(then):
        raise ConfigError(
            f"the model has the classes {quoted(now)} and this trainer was made for {quoted(then)}; make a new Trainer"
        )


def check_classes(names: Sequence[str] | None, labels: Sequence[int] | None, *, classes: Sequence[str]) -> None:
    """Refuse data whose classes are not those of the model.

    Args:
        names: of the data's classes, where it knows them. Other names than the model's are fine, in other places not.
        labels: of its pictures, where it knows them.
        classes: of the model.

    Raises:
        DataError: a class has another number, is too much, or has no pictures.

    Example:
        >>> check_classes(("anna", "bob"), [0, 1, 1], classes=("anna", "bob"))
    """
    wrong = [] if names is None else misplaced(names, classes)
    if names is not None and (wrong or len(names) > len(classes)):
        where = (
            f"{wrong[0]!r} is number {names.index(wrong[0])} there and {classes.index(wrong[0])} here; "
            if wrong
            else ""
        )
        raise DataError(
            f"the data's classes are {quoted(names)} and the model's {quoted(classes)}: {where}the numbers would not mean the "
            "same people; build one with the classes of the other, such as FaceFolder(..., classes=model.classes)"
        )
    if labels is not None:
        _check_labels(min(labels), max(labels), classes)
        present = set(labels)
        absent = [name for number, name in enumerate(classes) if number not in present]
        if absent:
            raise DataError(f"there are no pictures of {listed(absent)}; every class of the model needs some to train")


def check_batch(batch: Any, *, image_shape: Shape, classes: Sequence[str], values: bool = True) -> Batch:
    """Refuse a batch that the model cannot take.

    Args:
        batch: anything.
        image_shape: (3, h, w) of the model.
        classes: of the model.
        values: look at the values of the pictures and masks, too, for which a GPU has to be waited for.

    Returns:
        The batch as float32 and int64.

    Raises:
        DataError: it is no batch, a value is out of its range, or there is no such class.
        ShapeError: image, mask or label have another shape.

    Example:
        >>> batch = {"image": torch.rand(2, 3, 8, 8), "mask": torch.ones(2, 1, 8, 8), "label": [0, 1]}
        >>> check_batch(batch, image_shape=(3, 8, 8), classes=("anna", "bob"))["label"]
        tensor([0, 1])
    """
    if not isinstance(batch, Mapping) or not {"image", "mask", "label"} <= set(batch):
        raise DataError(
            'a batch is a dict {"image": (b, 3, h, w), "mask": (b, 1, h, w), "label": (b)}; got '
            + (f"one with {sorted(map(str, batch))}" if isinstance(batch, Mapping) else type(batch).__name__)
        )
    image, mask, label = batch["image"], batch["mask"], _as_label(batch["label"])
    for name, one in (("image", image), ("mask", mask)):
        if not isinstance(one, Tensor) or not one.is_floating_point():
            found = one.dtype if isinstance(one, Tensor) else type(one).__name__
            raise DataError(f"a batch's {name} is a float tensor in [0, 1] and this is {found}; divide 8 bits by 255")
    if tuple(image.shape) == image_shape:
        raise ShapeError(f"an iterable gives batches and this gives one picture {image_shape}; wrap it in a DataLoader")
    if image.ndim != 4 or tuple(image.shape[1:]) != image_shape:
        raise ShapeError(
            f"the model takes images (b, {', '.join(map(str, image_shape))}) and the data gives {tuple(image.shape)}; "
            f"give the data the size of the model, such as FaceFolder(..., image_size={image_shape[1]})"
        )
    if len(image) == 0:
        raise ShapeError(f"a batch has no pictures: its image is {tuple(image.shape)}; leave empty batches out")
    if tuple(mask.shape) != (len(image), 1, *image_shape[1:]) or tuple(label.shape) != (len(image),):
        raise ShapeError(
            f"{len(image)} images need masks {(len(image), 1, *image_shape[1:])} and labels ({len(image)},); "
            f"got {tuple(mask.shape)} and {tuple(label.shape)}"
        )
    if values:
        _check_values(image, "image")
        _check_values(mask, "mask")
    if values or label.device.type == "cpu":
        _check_labels(int(label.min()), int(label.max()), classes)
    return Batch(image=image.float(), mask=mask.float(), label=label.long())


def _as_label(label: Any) -> Tensor:
    try:
        numbers = torch.as_tensor(label)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"labels are the numbers of the classes, int64 (b), and these are {label!r}") from error
    if numbers.is_floating_point() or numbers.is_complex() or numbers.dtype == torch.bool:
        raise DataError(f"labels are the numbers of the classes, int64 (b), and these are {numbers.dtype}")
    return numbers


def _check_values(pictures: Tensor, name: str) -> None:
    """Refuse values outside [0, 1], and say which picture has them."""
    try:
        check_range(pictures)
    except DataError as error:
        for number, picture in enumerate(pictures):
            try:
                check_range(picture)
            except DataError as first:
                raise DataError(f"the {name} of picture {number} in the batch: {first}") from error


def _check_labels(least: int, most: int, classes: Sequence[str]) -> None:
    if not 0 <= least <= most < len(classes):
        raise DataError(
            f"the labels go from {least} to {most} and the model has {len(classes)} classes, 0 to {len(classes) - 1}"
        )
