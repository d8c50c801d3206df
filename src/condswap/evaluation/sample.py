"""Which pictures of a dataset are measured, and which of them are near-copies of each other."""

import operator
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import default_collate

from condswap.cgan import CGAN
from condswap.data import Clip, find_clips
from condswap.errors import DataError, ShapeError
from condswap.evaluation.intervals import blocks_of
from condswap.generator import check_range, listed, misplaced, quoted
from condswap.types import Batch, Image, Mask

_PIXELS_AT_ONCE = 64 * 128 * 128  # 64 pictures of 128 x 128: a few hundred MB while they are compared


class Picture(NamedTuple):
    """One picture: its number in the dataset, its class, its clip in the class (from 1; None: no clips), its block."""

    number: int
    label: int
    clip: int | None
    block: int


class Sample:
    """Pictures of a dataset, as even from its classes and from their time as can be.

    Args:
        data: any map-style dataset of items {"image": (3, h, w), "mask": (1, h, w), "label"}.
        model: the classes and the shape that the pictures have to fit.
        limit: how many pictures at most, one a class at least.
        what: what to call the data in an error.

    Raises:
        DataError: it is no such dataset, or empty, or of other classes than the model's.
        ShapeError: the pictures are smaller than the model's, or of other proportions.
    """

    def __init__(self, data: Any, *, model: CGAN, limit: int, what: str) -> None:
        self.data, self.what = data, what
        _check(data, model, what)
        # Toy faces are drawn one by one, each in a moment of its own: there is nothing to look for clips in.
        self.clips: list[Clip] = [] if knows_swaps(data) else find_clips(data)
        found = _from_clips(self.clips) if self.clips else _one_by_one(data)
        _check_labels({one.label for one in found}, model, what)
        # Neighbours that have nothing to do with each other are as good as any, and are drawn together faster.
        self.pictures = _evenly(found, limit, choose=spread if self.clips else _first)
        image, mask = self.read([self.pictures[0].number])
        self.size = _checked_size(image, mask, model, what)
        self.at_once = max(1, min(64, _PIXELS_AT_ONCE // (self.size[0] * self.size[1])))
        self.present = tuple(sorted({one.label for one in self.pictures}))

    def __len__(self) -> int:
        """Count the chosen pictures."""
        return len(self.pictures)

    def parts(self) -> Iterator[list[Picture]]:
        """Give the chosen pictures in parts that fit into memory."""
        for start in range(0, len(self), self.at_once):
            yield self.pictures[start : start + self.at_once]

    def read(self, indices: Sequence[int]) -> tuple[Image, Mask]:
        """Read pictures and masks by their places in the dataset.

        Raises:
            ShapeError: they are not all of one shape.
            DataError: they are not in [0, 1].
        """
        items = [self.data[index] for index in indices]
        try:
            batch: Batch = default_collate(items)
            image, mask = batch["image"], batch["mask"]
        except (RuntimeError, TypeError, KeyError) as error:
            raise ShapeError(
                f"the items of {self.what} cannot be laid in one batch ({error}); each is "
                '{"image": (3, h, w), "mask": (1, h, w), "label": int}, all of one size'
            ) from error
        check_range(image)
        check_range(mask, "masks")
        return image.float(), mask.float()


def spread(items: Sequence[Any], count: int) -> list[Any]:
    """Choose `count` of the items, as even as can be; all where there are no more.

    >>> spread([0, 1, 2, 3, 4, 5], 3)
    [0, 2, 4]
    """
    count = min(count, len(items))
    return [items[place * len(items) // count] for place in range(count)]


def knows_swaps(data: Any) -> bool:
    """Say whether a dataset knows its exact swaps, as `ToyFaces` does."""
    return all(callable(getattr(data, name, None)) for name in ("swap_truths", "swap_mask"))


def exact_swaps(data: Any, indices: Sequence[int], to: Tensor) -> tuple[Image, Mask]:
    """Give the exact swaps of pictures, and their masks."""
    masks = [data.swap_mask(index, int(one)) for index, one in zip(indices, to, strict=True)]
    return data.swap_truths(indices, to), torch.stack(masks)


def _one_by_one(data: Any) -> list[Picture]:
    """List pictures that have nothing to do with each other."""
    labels = getattr(data, "labels", None) or [data[index]["label"] for index in range(len(data))]
    return [Picture(index, operator.index(label), None, index) for index, label in enumerate(labels)]


def _from_clips(clips: Sequence[Clip]) -> list[Picture]:
    """List the pictures of clips; a class that is one clip has no numbers."""
    blocks = blocks_of([clip.indices for clip in clips])
    number = Counter(label for label, _ in clips)
    several = {label for label, count in number.items() if count > 1}
    seen = dict.fromkeys(number, 0)
    found = []
    for label, indices in clips:
        seen[label] += 1
        clip = seen[label] if label in several else None
        found += [Picture(index, label, clip, blocks[index]) for index in indices]
    return found


def _evenly(
    found: Sequence[Picture], limit: int, *, choose: Callable[[Sequence[Picture], int], list[Picture]]
) -> list[Picture]:
    """Choose as many pictures of each class."""
    members: dict[int, list[Picture]] = {}
    for one in found:
        members.setdefault(one.label, []).append(one)
    share = max(1, limit // len(members))
    return [one for label in sorted(members) for one in choose(members[label], share)]


def _first(items: Sequence[Picture], count: int) -> list[Picture]:
    return list(items[:count])


def _check(data: Any, model: CGAN, what: str) -> None:
    """Refuse what is no dataset, what is empty, and classes at other numbers than the model's."""
    if not callable(getattr(data, "__getitem__", None)) or not callable(getattr(data, "__len__", None)):
        raise DataError(
            f"{what} is a {type(data).__name__}; needed is a dataset with a length that gives items by number, such as "
            "FaceFolder or ToyFaces"
        )
    if not len(data):
        raise DataError(f"{what} has no pictures; give some that the model was not trained on")
    names = tuple(getattr(data, "classes", None) or ())
    if misplaced(names, model.classes) or len(names) > len(model.classes):
        raise DataError(
            f"{what} has the classes {quoted(names)} and the model {quoted(model.classes)}; give both "
            "the same classes in the same order, such as FaceFolder(..., classes=model.classes)"
        )


def _check_labels(labels: set[int], model: CGAN, what: str) -> None:
    wrong = sorted(label for label in labels if not 0 <= label < len(model.classes))
    if wrong:
        raise DataError(
            f"{what} has pictures with the labels [{listed(map(str, wrong))}], and the model knows 0 to "
            f"{len(model.classes) - 1}; give pictures of the model's classes"
        )


def _checked_size(image: Image, mask: Mask, model: CGAN, what: str) -> tuple[int, int]:
    """Give (height, width) of the pictures, if the model can be shown them."""
    height, width = image.shape[-2:]
    if image.shape != (1, 3, height, width) or mask.shape != (1, 1, height, width):
        raise ShapeError(
            f"{what} gives images {tuple(image.shape[1:])} with masks {tuple(mask.shape[1:])}; needed are (3, h, w) and "
            "(1, h, w)"
        )
    _, high, wide = model.image_shape
    if height < high or width < wide or height * wide != width * high:
        raise ShapeError(
            f"{what} gives pictures of {height} x {width} pixels and the model takes {high} x {wide}; give them at that size "
            "or larger, in the same proportions (height x width)"
        )
    return height, width
