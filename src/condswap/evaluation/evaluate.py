"""Measuring a model: its swaps beside what they have to be held against."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from condswap.cgan import CGAN
from condswap.errors import ConfigError, DataError
from condswap.evaluation.frames import measure_flicker
from condswap.evaluation.identity import Identity
from condswap.evaluation.intervals import Figure, bootstrap
from condswap.evaluation.measuring import Measuring
from condswap.evaluation.report import Report
from condswap.evaluation.rows import ALONE, EXACT, MEAN, NOTHING, PEOPLE, REAL, SWAP, UNCHANGED, Direction, Kept
from condswap.evaluation.sample import Sample, knows_swaps, spread
from condswap.evaluation.witness import Attributes, call_witness, get_to_know
from condswap.generator import evaluating, listed
from condswap.templates import agreed

_LIT = 64  # pictures that are lit anew, four times each
_LABELLED = 64  # pictures of which label sensitivity is measured, all against all


@torch.no_grad()
def evaluate(
    model: CGAN,
    data: Any,
    *,
    known: Any = None,
    identity: str | Path | nn.Module | Identity | None = None,
    attributes: Attributes | None = None,
    limit: int = 512,
    seed: int = 0,
) -> Report:
    """Measure a model on pictures that it was not trained on.

    Every picture is shown as its own class, and as up to three others. The model is told who is in the picture and where
    the face is; one row of the report says what it makes of pictures that it is told nothing about. Who is seen is judged
    from the swap put into the picture, inside its softened mask.

    Args:
        model: a swapper of two classes or more.
        data: held-back pictures: a dataset of items {"image": (3, h, w), "mask": (1, h, w), "label": int}, such as
            `FaceFolder` or `ToyFaces`, of the model's size or larger. Where it knows its exact swaps, as `ToyFaces` does, the
            swaps are held against them.
        known: other pictures of the same people, best those of the training: from them come the mean of each person, and
            the real faces that are pasted. None takes the other split of toy faces, else `data`, and the report says so.
        identity: who says who is seen: the path of an ONNX network, "user/name" on the Hub, a module, or a function, from
            faces (b, 3, h, w) to vectors (b, d). None trains a small network on the known pictures.
        attributes: a function from whole pictures (b, 3, h, w) to named measures, (b) each, NaN where there is none, such
            as the turn of the head: how far a swap keeps them is reported. None measures those that toy faces know.
        limit: how many pictures are looked at, at most, of `data` and of `known`; they are spread evenly.
        seed: of the resampling, and of the network that is trained here.

    Raises:
        DataError: there are no pictures, their classes are not the model's, or there is nobody to swap with.
        ShapeError: the pictures are smaller than the model's, or of other proportions.
        ConfigError: the limit is no number of pictures, or the identity network cannot be used.

    Example:
        >>> from condswap import ToyFaces
        >>> model = CGAN.default(32, classes=["anna", "bob"])
        >>> unseen = ToyFaces(["anna", "bob"], image_size=32, length=8, split="test")
        >>> colour = lambda faces: faces[..., 8:24, 8:24].mean((2, 3))  # in place of an identity network
        >>> report = evaluate(model, unseen, identity=colour, attributes=lambda faces: {"light": faces.mean((1, 2, 3))})
        >>> report.swaps, report.verdict.startswith("It does not swap")
        (8, True)
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise ConfigError(f"limit={limit!r} is not a number of pictures; give a whole number from 1 on")
    agreed(model.template, getattr(data, "template", None))
    held = Sample(data, model=model, limit=limit, what="data")
    notes: list[str] = []
    if known is None:
        known, notes = _other_pictures(data, trained=identity is None, limit=limit)
    other = Sample(known, model=model, limit=limit, what="known")
    _check_people(held, other, model)
    with evaluating(model):
        witness = call_witness(identity, attributes, other, seed=seed)
        people = get_to_know(witness, other, classes=len(model.classes), size=held.size)
        measuring = Measuring(model, held, witness, people)
        measuring.look_at_all()
        return _report(measuring, seed=seed, notes=tuple(notes))


def _other_pictures(data: Any, *, trained: bool, limit: int) -> tuple[Any, list[str]]:
    """Give pictures to know the people by, where none were given, and what is to be said about that."""
    if callable(getattr(data, "other_split", None)):
        return data.other_split(max(limit, len(data.classes))), []
    note = (
        "The people's means, and the real faces that are pasted, come from the very pictures that are measured: the "
        "references get too much. Give those of the training as known."
    )
    if trained:
        note += " The network that says who is seen was trained on them, too."
    return data, [note]


def _check_people(held: Sample, known: Sample, model: CGAN) -> None:
    """Refuse people of whom nothing is known, and people without anybody to swap with."""
    missing = [model.classes[label] for label in sorted(set(held.present) - set(known.present))]
    if missing:
        raise DataError(f"known has no pictures of {listed(map(repr, missing))}; give some of every person in data")
    if len(known.present) < 2:
        raise DataError(
            f"there are pictures of {model.classes[known.present[0]]!r} alone, and a swap is between two people; give "
            "pictures of two classes or more, as data or as known"
        )


def _report(measuring: Measuring, *, seed: int, notes: tuple[str, ...]) -> Report:
    """Make figures of the numbers."""
    held, model, pictures, swaps = measuring.held, measuring.model, measuring.pictures, measuring.swaps
    blocks = torch.tensor([one.block for one in held.pictures])
    swap_blocks = torch.tensor([one.picture.block for one in measuring.pairs])
    exact: tuple[str, ...] = (SWAP, ALONE, MEAN, UNCHANGED) if knows_swaps(held.data) else ()
    rows = (SWAP, ALONE, *((EXACT,) if exact else ()), REAL, MEAN, UNCHANGED)
    return Report(
        classes=model.classes,
        image_size=held.size,
        pictures=len(held),
        runs=len(blocks.unique()),
        swaps=len(measuring.pairs),
        judged_by=measuring.witness.name,
        training=dict(model.history),
        reconstruction={name: pictures.nearness(f"own {name}", blocks=blocks, seed=seed) for name in (SWAP, MEAN)},
        exact={name: swaps.nearness(f"exact {name}", blocks=swap_blocks, seed=seed) for name in exact},
        likeness={name: swaps.likeness(name, blocks=swap_blocks, seed=seed) for name in rows}
        | {PEOPLE: pictures.likeness(PEOPLE, blocks=blocks, seed=seed)},
        directions=_directions(measuring, swap_blocks, seed=seed),
        label_sensitivity=_label_sensitivity(measuring, seed=seed),
        light=_light(measuring, seed=seed),
        seam={name: swaps.figure(name, "seam", blocks=swap_blocks, seed=seed) for name in (SWAP, UNCHANGED)},
        flicker=measure_flicker(model, held, measuring.people.present, seed=seed),
        kept=_kept(measuring, swap_blocks, seed=seed),
        notes=notes,
    )


def _directions(measuring: Measuring, blocks: Tensor, *, seed: int) -> tuple[Direction, ...]:
    """Give the figures of every clip and person to show."""
    swaps, names = measuring.swaps, measuring.model.classes
    places: dict[tuple[int, int | None, int], list[int]] = {}
    for place, one in enumerate(measuring.pairs):
        places.setdefault((one.picture.label, one.picture.clip, one.to), []).append(place)
    found = []
    for (source, clip, to), its in places.items():
        where = torch.tensor(its)
        found.append(
            Direction(
                source=names[source],
                to=names[to],
                clip=clip,
                likeness=swaps.likeness(SWAP, blocks=blocks, where=where, seed=seed),
                unchanged=float(swaps[UNCHANGED, "gap"][where].mean()),
                real=float(swaps[REAL, "gap"][where].mean()),
            )
        )
    return tuple(found)


def _label_sensitivity(measuring: Measuring, *, seed: int) -> Figure:
    chosen = spread(measuring.held.pictures, _LABELLED)
    if len({one.label for one in chosen}) < 2:
        return NOTHING  # by how much two people differ cannot be seen in pictures of one
    return bootstrap(measuring.label_sensitivity(chosen), torch.tensor([one.block for one in chosen]), seed=seed)


def _light(measuring: Measuring, *, seed: int) -> dict[str, Figure]:
    chosen = spread(measuring.pairs, _LIT)
    found, blocks = measuring.light(chosen), torch.tensor([one.picture.block for one in chosen])
    return {name: found.figure(name, blocks=blocks, seed=seed) for name in ("ramp", "gain")}


def _kept(measuring: Measuring, blocks: Tensor, *, seed: int) -> dict[str, dict[str, Kept]]:
    """Give how far the measures of the pictures are found again in the swaps, and in what they are held against.

    A measure is followed within the swaps of one clip to one person: what it says of different people may differ.
    """
    keys = [(one.picture.label, one.picture.clip, one.to) for one in measuring.pairs]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    groups = torch.tensor([numbers[key] for key in keys])
    places = torch.tensor([one.place for one in measuring.pairs])
    return {
        name: {
            row: measuring.swaps.kept(
                measuring.pictures["kept", name][places], ("kept", row, name), groups=groups, blocks=blocks, seed=seed
            )
            for row in (SWAP, MEAN, EXACT)
            if ("kept", row, name) in measuring.swaps
        }
        for name in measuring.measures
    }
