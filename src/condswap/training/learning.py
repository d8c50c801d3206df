"""One more class for a model that is trained already, from a few pictures, while the others are guarded."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import default_collate

from condswap.cgan import CGAN
from condswap.data import find_clips
from condswap.errors import ConfigError, DataError
from condswap.generator import AnySource, Generator, misplaced
from condswap.losses import l1, masked_mean, ssim
from condswap.model_card import MEASURED
from condswap.training.checks import check_batch, check_steps
from condswap.training.config import TrainerConfig
from condswap.training.devices import choose_device
from condswap.training.loader import is_dataset, labels_of
from condswap.training.rehearsal import Joined, Rehearsal, paste
from condswap.training.trainer import Trainer
from condswap.types import Batch

_AT_ONCE = 32  # pictures that are shown at once
_ENOUGH = 128  # pictures to know a person by, to rehearse a class with, and to measure with


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What learning a class did to a model, measured inside the face.

    Attributes:
        pictures: how many of the new person were trained on.
        held_back: how many were held back; the figures are of these.
        reconstruction: SSIM of them, shown as the new class, with themselves.
        swap: SSIM with themselves when the model of before shows them as another class, and the new one shows that as the
            new class: a swap whose exact answer is known.
        unchanged: what a model would get there that leaves pictures as they are.
        drift: mean absolute change of what they are shown as for the other classes, 0 to 1, by what was learned.
        alike: SSIM of the same before and after.
        drift_of_others: mean absolute change of the others' own pictures shown as each other, where these were given.
        alike_of_others: SSIM of the same before and after.
    """

    pictures: int
    held_back: int
    reconstruction: float
    swap: float
    unchanged: float
    drift: float
    alike: float
    drift_of_others: float | None = None
    alike_of_others: float | None = None


def learn_class(
    model: CGAN,
    name: str,
    data: Any,
    *,
    others: Any | None = None,
    steps: int = 400,
    held_back: float = 0.15,
    config: TrainerConfig | None = None,
    device: str | torch.device | None = None,
) -> Learned:
    """Teach a trained model one more person from 50 to 200 pictures, in minutes.

    So that the other classes stay as they are, they are rehearsed (Robins 1995): before anything is learned, the model
    shows the new person's pictures as each of the others, and these are trained on beside the real ones. Where there are
    real pictures of the others, give them: they take the place of those that are made.

    Args:
        model: trained in place.
        name: of the class, which is added when the model does not have it yet.
        data: a dataset of pictures of that one person; the number of their label is not looked at.
        others: a dataset of pictures of the other classes, or some of them, with their numbers in the model.
        steps: of training.
        held_back: the share of the pictures that is only measured with, from the end of every clip.
        config: how to train; None for the default, with the learning rates planned for `steps`.
        device: None takes CUDA, MPS or the CPU, whichever there is.

    Raises:
        DataError: the pictures are of several people or too few, or the others have other numbers in the model.
        ShapeError: they have another size than the model's.
        ConfigError: the model has no other class or cannot grow, or a number is out of its range.
        TrainingError: a loss was no longer a number.

    Example:
        >>> from torch.utils.data import Subset
        >>> from condswap import ToyFaces
        >>> model, people = CGAN.default(32, classes=["anna", "bob"]), ToyFaces(3, image_size=32, length=24)
        >>> learned = learn_class(model, "carl", Subset(people, range(2, 24, 3)), steps=2, device="cpu")
        >>> model.classes, learned.pictures, learned.held_back
        (('anna', 'bob', 'carl'), 7, 1)
    """
    # Half the rate of training anew: what the others look like is in the same weights.
    settings = config or TrainerConfig(planned_steps=steps or None, watch=0, learning_rate=1e-3)
    check_steps(steps, planned=settings.planned_steps)
    label = model.classes.index(name) if name in model.classes else len(model.classes)
    rest = [number for number in range(len(model.classes)) if number != label]
    if not rest:
        raise ConfigError(f"{name!r} is the only class of this model; train it with Trainer(model).fit(...)")
    train, test = _split(data, held_back)
    old = [] if others is None else _labels(others, model, rest)
    model.to(choose_device(device))
    seen, unseen = (_read(model, data, dict.fromkeys(part, 0)) for part in (train, test))  # whatever their label
    known = _read(model, others, dict(enumerate(old)))
    before = copy.deepcopy(model.generator).eval()
    stranger = before.stranger(*(torch.cat([batch[key] for batch in seen]) for key in ("image", "mask")))
    made = Rehearsal(before, seen, stranger, to=[number for number in rest if number not in old])
    if label == len(model.classes):
        model.add_class(name)
    history = {
        key: value for key, value in model.history.items() if not key.startswith(MEASURED)
    }  # of the model of before
    pictures = Joined(
        (data, train, [label] * len(train)), (others, range(len(old)), old), (made, range(len(made)), made.labels)
    )
    Trainer(model, settings, device=device).fit(pictures, steps)
    model.history = {**history, f"steps to learn {name}": steps}
    reconstruction, swap, unchanged = _swaps(before, model.generator, unseen, stranger, label=label, to=rest)
    drift, alike = _drift(before, model.generator, unseen, told=(stranger, label), to=rest)
    of_others = _drift(before, model.generator, known, told=None, to=rest) if known else (None, None)
    return Learned(
        pictures=len(train),
        held_back=len(test),
        reconstruction=reconstruction,
        swap=swap,
        unchanged=unchanged,
        drift=drift,
        alike=alike,
        drift_of_others=of_others[0],
        alike_of_others=of_others[1],
    )


@torch.no_grad()
def _swaps(
    before: Generator, after: Generator, batches: Sequence[Batch], source: AnySource, *, label: int, to: Sequence[int]
) -> list[float]:
    """Measure reconstruction, swap and unchanged, as `Learned` has them."""
    rows = []
    for batch in batches:
        image, mask = batch["image"], batch["mask"]
        own = masked_mean(ssim(after(image, label, label, mask).image, image), mask)
        for number in to:
            shown, where = paste(image, mask, before(image, number, source, mask))
            back = after(shown, label, number, where).image
            figures = [own, *(masked_mean(ssim(one, image), mask * where) for one in (back, shown))]
            rows.append(torch.stack(figures).repeat(len(image), 1))
    return torch.cat(rows).mean(0).tolist()


@torch.no_grad()
def _drift(
    before: Generator,
    after: Generator,
    batches: Sequence[Batch],
    *,
    told: tuple[AnySource, AnySource] | None,
    to: Sequence[int],
) -> tuple[float, float]:
    """Measure the mean absolute change of outputs and their SSIM; `told` is who is in the picture, None for its label."""
    rows: list[Tensor] = []
    for batch in batches:
        image, mask = batch["image"], batch["mask"]
        sources = told or (batch["label"], batch["label"])
        for number in to:
            then, now = (one(image, number, who, mask).image for one, who in zip((before, after), sources, strict=True))
            figures = [masked_mean(one(now, then), mask) for one in (l1, ssim)]
            rows.append(torch.stack(figures).repeat(len(image), 1))
    drift, alike = torch.cat(rows).mean(0).tolist()
    return drift, alike


def _split(data: Any, share: float) -> tuple[list[int], list[int]]:
    """Split one person's pictures into those to train on and the end of every clip.

    Raises:
        DataError: they are no dataset, show several people, or are too few.
        ConfigError: the share is none.
    """
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
        raise ConfigError(f"held_back={share!r} is not a share between 0 and 1")
    if not is_dataset(data):
        raise DataError("a class is learned from a dataset of items, such as FaceFolder, and these are batches")
    people = sorted(set(labels_of(data)))
    if len(people) > 1:
        raise DataError(
            f"the pictures have the labels {people}, and one class is learned at a time; choose its pictures, such as "
            "FaceFolder(..., classes=['carl'])"
        )
    test: list[int] = []
    for _, indices in find_clips(data):
        test += indices[len(indices) - min(max(round(share * len(indices)), 1), len(indices) - 1) :]
    if not test:
        raise DataError("a class is learned from 50 to 200 pictures and this is one, of which none can be held back")
    return sorted(set(range(len(data))) - set(test)), test


def _labels(others: Any, model: CGAN, rest: Sequence[int]) -> list[int]:
    """Give the labels of the others' pictures.

    Raises:
        DataError: they are no dataset, or one of them has another number in the model, or none.
    """
    if not is_dataset(others):
        raise DataError("the others' pictures are a dataset of items, such as FaceFolder, and these are batches")
    labels, names = labels_of(others), list(getattr(others, "classes", ()))
    if misplaced(names, model.classes) or not set(labels) <= set(rest):
        wanted = [model.classes[number] for number in rest]
        raise DataError(
            f"the others' classes are {names or sorted(set(labels))} and they are {wanted} in the model; give them the "
            f"numbers that they have there, such as FaceFolder(..., classes={wanted})"
        )
    return labels


def _read(model: CGAN, data: Any, labels: Mapping[int, int]) -> list[Batch]:
    """Read pictures, {index: label}, in batches on the model's device: at most `_ENOUGH`, spread evenly.

    Raises:
        DataError, ShapeError: the model cannot take them.
    """
    device = next(model.parameters()).device
    chosen = list(labels)[:: max(1, -(-len(labels) // _ENOUGH))]
    batches = []
    for start in range(0, len(chosen), _AT_ONCE):
        indices = chosen[start : start + _AT_ONCE]
        batch = default_collate([{**data[index], "label": labels[index]} for index in indices])
        checked = check_batch(batch, image_shape=model.image_shape, classes=model.classes)
        batches.append(
            Batch(image=checked["image"].to(device), mask=checked["mask"].to(device), label=checked["label"].to(device))
        )
    return batches
