"""Batches without end, mixed evenly from the classes, that can start at any step."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from condswap.errors import DataError
from condswap.types import Batch


def derive(seed: int, *parts: object) -> int:
    """Derive the seed of one thing from the seed of all, so that no two things share their random numbers."""
    digest = hashlib.blake2b("/".join(map(str, (seed, *parts))).encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


class BalancedBatches:
    """The indices of every batch, from a given step on.

    Every batch has as many pictures of each class, up to rounding, in classes of at least four: where the batch is too small
    for all classes, they take turns. A class goes through all of its pictures in a new order each time. What a batch holds follows from the
    seed and the step alone.

    Example:
        >>> batches = iter(BalancedBatches([0, 0, 0, 1], batch_size=4, seed=0))
        >>> sorted(next(batches))[-2:]
        [3, 3]
    """

    def __init__(self, labels: Sequence[int], *, batch_size: int, seed: int, start: int = 0) -> None:
        members: dict[int, list[int]] = {}
        for index, label in enumerate(labels):
            members.setdefault(int(label), []).append(index)
        self.members = [torch.tensor(members[label]) for label in sorted(members)]
        self.batch_size, self.seed, self.start = batch_size, seed, start
        self.together = max(1, min(len(self.members), max(batch_size // 4, min(2, batch_size))))
        self._orders: dict[tuple[str, int, int], torch.Tensor] = {}

    def __iter__(self) -> Iterator[list[int]]:
        """Go on forever."""
        step = self.start
        while True:
            yield self.batch(step)
            step += 1

    def batch(self, step: int) -> list[int]:
        """Give the indices of one step."""
        each, more = divmod(self.batch_size, self.together)
        most = each + (more > 0)
        indices: list[int] = []
        for place in range(self.together):
            turn, position = divmod(step * self.together + place, len(self.members))
            one = int(self._order("classes", turn, len(self.members))[position])
            size = len(self.members[one])
            for draw in range(turn * most, turn * most + each + (place < more)):
                lap, position = divmod(draw, size)
                indices.append(int(self.members[one][self._order(f"class {one}", lap, size)[position]]))
        return indices

    def _order(self, what: str, lap: int, size: int) -> torch.Tensor:
        """Give the order of one lap; the one before may be asked for again by the next batch."""
        key = (what, lap, size)
        if key not in self._orders:
            self._orders = {old: order for old, order in self._orders.items() if old[0] != what or old[1] >= lap - 1}
            generator = torch.Generator().manual_seed(derive(self.seed, what, lap))
            self._orders[key] = torch.randperm(size, generator=generator)
        return self._orders[key]


def batches(data: Any, *, batch_size: int, seed: int, start: int, workers: int, pin: bool) -> Iterator[Batch]:
    """Give batches from the step `start` on, without end where the data can be gone through again.

    Args:
        data: a dataset of items, or an iterable of batches.
        batch_size: for a dataset of items.
        seed: for a dataset of items.
        start: the first step; an iterable of batches starts anew, wherever it was.
        workers: processes that read items.
        pin: keep the batches where a GPU can fetch them by itself.

    Raises:
        DataError: there is nothing in it, or it ends and cannot be gone through again.
    """
    if is_dataset(data):
        sampler = BalancedBatches(labels_of(data), batch_size=batch_size, seed=seed, start=start)
        yield from DataLoader(data, batch_sampler=sampler, num_workers=workers, pin_memory=pin)  # type: ignore[arg-type]
        return
    while True:
        count = 0
        for count, batch in enumerate(data, 1):  # noqa: B007
            yield batch
        if count == 0:
            raise DataError("the data ran out: an iterator gives its batches once; give a dataset, a list or a DataLoader")


def is_dataset(data: Any) -> bool:
    """Tell a dataset of items from an iterable of batches.

    Raises:
        DataError: it is neither, or is empty.
    """
    if isinstance(data, DataLoader) or not (hasattr(data, "__getitem__") and hasattr(data, "__len__")):
        if isinstance(data, Iterable):
            return False
        raise DataError(f"training takes a dataset of items or an iterable of batches, not {type(data).__name__}")
    if len(data) == 0:
        raise DataError("the dataset is empty; give it at least one picture of every class")
    item = data[0]
    if not isinstance(item, dict) or not {"image", "mask", "label"} <= set(item):
        raise DataError('an item or a batch is a dict {"image", "mask", "label"}; got ' + type(item).__name__)
    return bool(item["image"].ndim == 3)


def labels_of(data: Dataset[Any]) -> list[int]:
    """Give the labels of a dataset: its `labels` where it has them, else by reading every item once."""
    labels = getattr(data, "labels", None)
    if labels is None:
        labels = [data[index]["label"] for index in range(len(data))]  # type: ignore[arg-type]
    return [int(label) for label in labels]
