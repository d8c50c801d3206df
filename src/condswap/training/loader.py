"""Batches without end, mixed evenly from the classes, that can start at any step."""

import hashlib
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from condswap.data.faces import Faces, as_batch
from condswap.errors import DataError
from condswap.types import Batch


def derive(seed: int, *parts: object) -> int:
    """Derive the seed of one thing from the seed of all, so that no two things share their random numbers."""
    digest = hashlib.blake2b("/".join(map(str, (seed, *parts))).encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


class BalancedBatches:
    """The indices of every batch, from a given step on.

    Every batch has as many pictures of each of its classes, up to rounding, and at least four where it can: where the
    batch is too small for all classes, they take turns. A class goes through all of its pictures, then again in a new
    order. What a batch holds follows from the seed and the step alone. With a `part` of (r, n) the indices are every n-th of
    them from the r-th on, so that n processes share a batch.

    Example:
        >>> batches = iter(BalancedBatches([0, 0, 0, 1], batch_size=4, seed=0))
        >>> sorted(next(batches))[-2:]
        [3, 3]
    """

    def __init__(
        self, labels: Sequence[int], *, batch_size: int, seed: int, start: int = 0, part: tuple[int, int] = (0, 1)
    ) -> None:
        label = torch.as_tensor(labels)
        self.sizes: list[int] = label.unique(return_counts=True)[1].tolist()
        self._members = label.argsort(stable=True)  # class after class, which begin at:
        self._begins = [0, *accumulate(self.sizes)]
        self.batch_size, self.seed, self.start, self.part = batch_size, seed, start, part
        self.together = max(1, min(len(self.sizes), max(batch_size // 4, min(2, batch_size))))
        # After a round of so many turns the last batch of a turn is full.
        self.turns = self.together // math.gcd(self.together, len(self.sizes))
        self._orders: dict[str, tuple[int, Tensor]] = {}
        self._round: tuple[int, list[int]] = (-1, [])

    def __iter__(self) -> Iterator[list[int]]:
        """Go on forever."""
        step = self.start
        first, every = self.part
        while True:
            yield self.batch(step)[first::every]
            step += 1

    def batch(self, step: int) -> list[int]:
        """Give the indices of one step."""
        each, more = divmod(self.batch_size, self.together)
        indices: list[int] = []
        for place in range(self.together):
            number = step * self.together + place
            one, turn = self._class(number), number // len(self.sizes)
            begin, size = self._begins[one], self.sizes[one]
            # Where it does not divide, one picture more, which comes again in the next turn: so none is left out.
            for draw in range(turn * each, turn * each + each + (place < more)):
                lap, position = divmod(draw, size)
                indices.append(int(self._members[begin + int(self._order(f"class {one}", lap, size)[position])]))
        return indices

    def _class(self, number: int) -> int:
        """Give the class that comes at this place of the endless row of classes, which no batch has twice."""
        lap, position = divmod(number, self.turns * len(self.sizes))
        if self._round[0] != lap:
            row: list[int] = []
            for turn in range(lap * self.turns, (lap + 1) * self.turns):
                begun = set(row[len(row) // self.together * self.together :])  # what the unfinished batch has already
                row += sorted(self._order("classes", turn, len(self.sizes)).tolist(), key=begun.__contains__)
            self._round = lap, row
        return self._round[1][position]

    def _order(self, what: str, lap: int, size: int) -> Tensor:
        """Give the order of one lap; the newest of each is kept, since no batch goes back behind the one before it."""
        known = self._orders.get(what)
        if known is None or known[0] != lap:
            generator = torch.Generator().manual_seed(derive(self.seed, what, lap))
            known = self._orders[what] = lap, torch.randperm(size, generator=generator)
        return known[1]


def batches(
    data: Any,
    *,
    labels: Sequence[int] | None,
    batch_size: int,
    seed: int,
    start: int,
    workers: int,
    device: torch.device,
    part: tuple[int, int] = (0, 1),
) -> Iterator[Batch]:
    """Give batches from the step `start` on, without end where the data can be gone through again.

    Args:
        data: a dataset of items, or an iterable of batches.
        labels: of the items; None for batches.
        batch_size: for a dataset of items.
        seed: for a dataset of items.
        start: the first step. A list of batches goes round and is entered there too; any other iterable starts anew.
        workers: processes that read items.
        device: the one that is trained on, where pictures that are kept as bytes are made numbers.
        part: (r, n) gives every n-th picture of a dataset's batches from the r-th on; batches that are given come whole.

    Raises:
        DataError: there is nothing in it, or it ends and cannot be gone through again.
    """
    if labels is not None:
        sampler = BalancedBatches(labels, batch_size=batch_size, seed=seed, start=start, part=part)
        chance = torch.Generator().manual_seed(seed)  # without it the loader takes from everybody's random numbers
        how: dict[str, Any] = {"num_workers": workers, "pin_memory": device.type == "cuda", "generator": chance}
        if isinstance(data, Faces):
            for pixels, label in DataLoader(_Asked(data.stored), sampler=sampler, batch_size=None, **how):
                yield as_batch(pixels.to(device, non_blocking=True), label)
        elif callable(getattr(data, "batch", None)):
            yield from DataLoader(_Asked(data.batch), sampler=sampler, batch_size=None, **how)
        else:
            yield from DataLoader(data, batch_sampler=sampler, **how)
        return
    if _has_numbers(data):
        for step in count(start):
            yield data[step % len(data)]
    while True:
        number = 0
        for number, batch in enumerate(data, 1):  # noqa: B007
            yield batch
        if number == 0:
            raise DataError(
                "the data ran out: an iterator gives its batches once; give a dataset, a list or a DataLoader"
            )


class _Asked(Dataset[Any]):
    """What is asked for whole batches, as the data of `condswap.data` can be for less than for item by item."""

    def __init__(self, read: Callable[[Any], Any]) -> None:
        self.read = read

    def __getitem__(self, indices: Any) -> Any:
        """Give the pictures of these indices."""
        return self.read(indices)


def is_dataset(data: Any) -> bool:
    """Tell a dataset of items from an iterable of batches.

    Raises:
        DataError: it is neither, or is empty.
    """
    if isinstance(data, str | Path | Mapping):
        what = "one batch alone: put it in a list" if isinstance(data, Mapping) else f"{str(data)!r}: try FaceFolder"
        raise DataError(f"training takes a dataset of items or an iterable of batches, and this is {what}")
    if not _has_numbers(data):
        if isinstance(data, Iterable):
            return False
        raise DataError(f"training takes a dataset of items or an iterable of batches, not {type(data).__name__}")
    if len(data) == 0:
        raise DataError("the dataset is empty; give it at least one picture of every class")
    item = data[0]
    if not isinstance(item, Mapping) or not {"image", "mask", "label"} <= set(item):
        raise DataError('an item or a batch is a dict {"image", "mask", "label"}; got ' + type(item).__name__)
    if not isinstance(item["image"], Tensor):
        raise DataError(f"an image is a tensor (3, h, w), float in [0, 1]; got {type(item['image']).__name__}")
    return item["image"].ndim == 3


def labels_of(data: Any) -> list[int]:
    """Give the labels of a dataset: its `labels` where it has them, else by reading every item once.

    Raises:
        DataError: one is no whole number, or there are not as many as pictures.
    """
    given = getattr(data, "labels", None)
    labels = []
    for number, label in enumerate((data[index]["label"] for index in range(len(data))) if given is None else given):
        try:
            labels.append(operator.index(label))
        except TypeError as error:
            raise DataError(f"picture {number} has the label {label!r}; it is the number of its class") from error
    if len(labels) != len(data):
        raise DataError(f"the dataset has {len(data)} pictures and {len(labels)} labels; it needs one for each")
    return labels


def _has_numbers(data: Any) -> bool:
    """Tell what is looked up by number from what is only gone through."""
    through = isinstance(data, DataLoader | IterableDataset)
    return not through and hasattr(data, "__getitem__") and hasattr(data, "__len__")
