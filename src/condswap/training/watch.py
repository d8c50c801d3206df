"""The trainer watches the swap: a reconstruction can look fine while the label is ignored."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple, Self, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import default_collate

from condswap.cgan import CGAN
from condswap.data.clips import by_class
from condswap.errors import DataError, ShapeError
from condswap.losses.masked import pasted
from condswap.sensitivity import Both, label_changes, mean_faces, moved, moved_to_mean, people_differ, show_both
from condswap.training.checks import check_batch, check_classes
from condswap.training.loader import is_dataset, labels_of
from condswap.types import Batch, Image, Mask

Identity: TypeAlias = Callable[[Image], Tensor]

_PICTURES = 32
_CLASSES = 8  # of more classes the first so many, so that each has four pictures
_ENOUGH = 16  # pictures, whose mean faces tell a way; those of fewer tell their lights and poses


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What one look at the swap found.

    Attributes:
        step: after which the trainer looked.
        label_sensitivity: how much of what tells the classes apart follows the label; 0 is a label that is ignored. See
            `condswap.sensitivity.label_sensitivity`.
        moved: how far the swaps went: 0 is the picture, 1 all the way to the exact swap or, where the data know none, to
            the mean face of the other class. None where that cannot be told.
        gap: by how much the swaps are more like the class that they should show than like the person in the picture, as a
            difference of cosines; None without an identity network.
    """

    step: int
    label_sensitivity: float
    moved: float | None = None
    gap: float | None = None

    def config(self) -> dict[str, int | float | None]:
        """Give what was found as JSON."""
        return asdict(self)

    @classmethod
    def from_config(cls, config: object) -> Self:
        """Read what `config` gave.

        Raises:
            DataError: it is something else.
        """
        names = {one.name for one in fields(cls)}
        if (
            not isinstance(config, Mapping)
            or set(config) != names
            or type(config["step"]) is not int
            or not isinstance(config["label_sensitivity"], float)
            or not all(isinstance(config[name], float | None) for name in ("moved", "gap"))
        ):
            raise DataError(f"what the trainer watched is {config!r} and should be {sorted(names)}; was it edited?")
        return cls(**config)


class _Sample(NamedTuple):
    """The pictures that are looked at, what they differ by, and their exact swaps where these are known."""

    batch: Batch
    differ: Tensor
    truth: tuple[Image, Mask] | None


class Watch:
    """Looks at the swaps of the same few pictures again and again; nothing of the training changes by it.

    Args:
        model: whose swaps they are.
        data: what is trained on.
        labels: of the data; None for an iterable of batches: every look then takes pictures of the batch at hand.
        held_back: a dataset of items in place of `data`.
        identity: aligned faces (b, 3, h, w) to vectors (b, d), for `Watched.gap`.
        every: steps between two looks; 0 never looks.

    Raises:
        DataError: `held_back` does not suit the model, or has no two faces of different classes.
        ShapeError: its pictures have another size than the model's.

    Example:
        >>> from condswap import ToyFaces
        >>> model = CGAN.default(32, classes=["anna", "bob"])
        >>> data = ToyFaces(["anna", "bob"], image_size=32, length=4)
        >>> watch = Watch(model, data, data.labels, every=200)
        >>> watch.due(400), watch.look(model, step=400).step
        (True, 400)
    """

    def __init__(
        self,
        model: CGAN,
        data: Any,
        labels: Sequence[int] | None,
        *,
        every: int,
        held_back: Any | None = None,
        identity: Identity | None = None,
    ) -> None:
        self.every = every if held_back is not None or len(model.classes) > 1 else 0  # one class has nothing to swap to
        self.identity = identity
        self._data, self._labels = data, labels
        self._sample: _Sample | None = None
        if self.every and held_back is not None:
            if not is_dataset(held_back):
                raise DataError("held_back is an iterable of batches; give a dataset of items, such as a FaceFolder")
            check_classes(getattr(held_back, "classes", None), None, classes=model.classes)
            try:
                self._sample = _sample(held_back, labels_of(held_back), model)
            except DataError as error:
                raise DataError(f"held_back: {error}") from error

    def due(self, step: int) -> bool:
        """Tell whether to look after a step."""
        return self.every > 0 and step % self.every == 0

    @torch.no_grad()
    def look(self, model: CGAN, *, step: int, batch: Batch | None = None) -> Watched | None:
        """Look at the swaps of a model.

        Args:
            model: where its weights are, there the pictures are shown.
            step: to be noted.
            batch: the batch at hand, looked at when there are no other pictures.

        Returns:
            None when there is nothing to see: no two faces of different classes.
        """
        sample = self._sample or self._found(model, batch)
        if sample is None:
            return None
        device = next(model.parameters()).device
        image, mask, label = (sample.batch[key].to(device) for key in ("image", "mask", "label"))
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            both = show_both(model, image, label, mask)
            gap = None if self.identity is None else _gap(self.identity, image, label, mask, both)
        way = None
        if sample.truth is not None:
            truth, where = (one.to(device) for one in sample.truth)
            way = _number(moved(image, both.swap, truth, mask * where).nanmean())
        elif len(label) >= _ENOUGH:
            # Numbered anew, so that it costs nothing how many classes are not in the pictures.
            present, number = torch.cat([label, both.to]).unique(return_inverse=True)
            label, to = number.chunk(2)
            means = mean_faces(image, label, mask, classes=len(present))
            way = _number(moved_to_mean(image, both.swap, label, to, mask, means).nanmean())
        sensitivity = _number(label_changes(both, mask).nanmean() / sample.differ.to(device))
        return None if sensitivity is None else Watched(step=step, label_sensitivity=sensitivity, moved=way, gap=gap)

    def _found(self, model: CGAN, batch: Batch | None) -> _Sample | None:
        """Take a sample of what is trained on; None where it has no two faces of different classes."""
        with suppress(DataError, ShapeError):  # what is wrong with the data training says in better words
            if self._labels is not None:
                self._sample = _sample(self._data, self._labels, model)
                return self._sample
            return None if batch is None else _sample_of(batch)
        return None


def _spread(labels: Sequence[int]) -> list[int]:
    """Choose pictures that are spread over each class, of each as many: neighbours are often all but the same."""
    rows = list(by_class(labels).values())[:_CLASSES]
    each = [min(len(row), _PICTURES // len(rows)) for row in rows]
    return [row[place * len(row) // count] for row, count in zip(rows, each, strict=True) for place in range(count)]


def _sample(data: Any, labels: Sequence[int], model: CGAN) -> _Sample:
    """Take a sample of a dataset of items; DataError where it has no two faces of different classes."""
    with torch.random.fork_rng(devices=[]):  # a dataset may take from everybody's random numbers
        chosen = _spread(labels)
        items = [data[index] for index in chosen]
        batch = default_collate([{key: item[key] for key in ("image", "mask", "label")} for item in items])
        batch = check_batch(batch, image_shape=model.image_shape, classes=model.classes)
        truth = _truth(data, chosen, (batch["label"] + 1) % len(model.classes), classes=model.classes)
    return _Sample(batch, people_differ(batch["image"], batch["label"], batch["mask"]), truth)


def _sample_of(batch: Batch) -> _Sample:
    """Take a sample of a batch; DataError where it has no two faces of different classes."""
    chosen = torch.tensor(_spread(batch["label"].tolist()), device=batch["label"].device)
    image, mask, label = (batch[key][chosen] for key in ("image", "mask", "label"))
    return _Sample(Batch(image=image, mask=mask, label=label), people_differ(image, label, mask), None)


def _truth(data: Any, chosen: Sequence[int], to: Tensor, *, classes: Sequence[str]) -> tuple[Image, Mask] | None:
    """Give the exact swaps and their masks, where the data know them."""
    if not (hasattr(data, "swap_truths") and hasattr(data, "swap_mask")) or len(data.classes) != len(classes):
        return None
    masks = [data.swap_mask(index, int(one)) for index, one in zip(chosen, to, strict=True)]
    return data.swap_truths(chosen, to), torch.stack(masks)


def _gap(identity: Identity, image: Image, label: Tensor, mask: Mask, both: Both) -> float | None:
    """Compare the swaps in their pictures with the mean vectors of the two classes."""
    shown = pasted(image, both.swap, mask)
    real, made = (F.normalize(identity(faces).float().to(label.device), dim=1) for faces in (image, shown))
    means = {one: F.normalize(real[label == one].mean(0), dim=0) for one in sorted(set(label.tolist()))}
    found = [
        vector @ (means[to] - means[source])
        for vector, source, to in zip(made, label.tolist(), both.to.tolist(), strict=True)
        if to in means
    ]
    return _number(torch.stack(found).mean()) if found else None


def _number(value: Tensor) -> float | None:
    """Give a number, or None where there is none."""
    return float(value) if bool(value.isfinite()) else None
