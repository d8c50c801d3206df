"""Who says who is seen in a picture, and how that face is turned, lit and moved."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from condswap.errors import DataError, ShapeError
from condswap.evaluation.identity import Identity, load_identity
from condswap.evaluation.judge import Judge, train_judge
from condswap.evaluation.references import resized
from condswap.evaluation.sample import Sample
from condswap.types import Image, Mask

Attributes = Callable[[Image], Mapping[str, Tensor]]

_REAL = 32  # known pictures of a person that are pasted by turns
_JUDGED = (64, 64)  # the size of the pictures that the judge learns from
_MOMENTS = ("yaw", "pitch", "open", "smile", "light_side", "light_up")  # what 64 pixels can show


class Known(NamedTuple):
    """What is known of the people.

    means: unit vectors (c, d), the means of what the witness sees in their pictures. present: the classes that there are
    pictures of. faces: the mean face of each of these, (3, h, w). real: some pictures of each of these, (n, 3, h, w).
    """

    means: Tensor
    faces: dict[int, Image]
    real: dict[int, Image]
    present: tuple[int, ...]


class Witness:
    """Sees who is shown in a picture, and measures what a swap must keep.

    Args:
        identity: gives vectors (b, d) for faces; None leaves it to the judge.
        judge: trained on real pictures; None where nothing needs it.
        attributes: gives named measures for faces; None leaves them to the judge, where it has learnt some.
        moments: what the judge's measures are called.
        name: what to call this witness.
    """

    def __init__(
        self,
        *,
        identity: Identity | None,
        judge: Judge | None,
        attributes: Attributes | None = None,
        moments: tuple[str, ...] = (),
        name: str,
    ) -> None:
        self._identity, self._judge, self._attributes, self._moments = identity, judge, attributes, moments
        self.name = name

    def look(self, faces: Image, mask: Mask) -> Tensor:
        """Give unit vectors (b, d), on the CPU, for whole pictures and the masks of their faces."""
        identity, seen = self._identity, faces
        if identity is None:
            identity, seen = self._judge_of_people, faces.cpu() * mask.cpu()
        return F.normalize(identity(seen).float().cpu(), dim=1)

    def measures(self, faces: Image, mask: Mask) -> dict[str, Tensor]:
        """Give named measures, (b) each, on the CPU, for whole pictures; none where nothing measures.

        Raises:
            ShapeError: a measure is not one number a picture.
        """
        if self._attributes is not None:
            given = {name: torch.as_tensor(values).float().cpu() for name, values in self._attributes(faces).items()}
            for name, values in given.items():
                if values.shape != (len(faces),):
                    raise ShapeError(
                        f"attributes gave {name!r} as {tuple(values.shape)} for {len(faces)} pictures; give one number a "
                        f"picture, ({len(faces)},), NaN where there is none"
                    )
            return given
        if self._judge is None or not self._moments:
            return {}
        found = self._judge.moments(faces.cpu() * mask.cpu())
        return dict(zip(self._moments, found.unbind(1), strict=True))

    def _judge_of_people(self, faces: Image) -> Tensor:
        if self._judge is None:
            raise DataError("nobody was given who says who is seen; give an identity network")
        return self._judge(faces)


def call_witness(
    given: str | Path | nn.Module | Identity | None, attributes: Attributes | None, known: Sample, *, seed: int
) -> Witness:
    """Load the identity network that was given, or train the judge on the known pictures; train it for moments, too."""
    identity = load_identity(given)
    moments = _moments(known) if attributes is None else None
    judge = _judge(known, moments, seed=seed) if identity is None or moments is not None else None
    name = "a small network trained on the known pictures" if identity is None else _called(given)
    names = _MOMENTS if moments is not None else ()
    return Witness(identity=identity, judge=judge, attributes=attributes, moments=names, name=name)


def get_to_know(witness: Witness, known: Sample, *, classes: int, size: tuple[int, int]) -> Known:
    """Look at the known pictures once: mean vectors, mean faces of `size` (height, width), and some to paste."""
    pictures: dict[int, list[Image]] = {label: [] for label in known.present}
    vectors, labels = [], []
    for part in known.parts():
        image, mask = known.read([one.number for one in part])
        label = torch.tensor([one.label for one in part])
        vectors.append(witness.look(image, mask))
        labels.append(label)
        for one, face in zip(part, resized(image, size), strict=True):
            pictures[one.label].append(face)
    seen, label = torch.cat(vectors), torch.cat(labels)
    means = torch.zeros(classes, seen.shape[1]).index_add_(0, label, seen)
    return Known(
        means=F.normalize(means, dim=1),
        faces={label: torch.stack(its).mean(0) for label, its in pictures.items()},
        real={label: torch.stack(its[:: -(-len(its) // _REAL)]) for label, its in pictures.items()},
        present=known.present,
    )


def _judge(known: Sample, moments: Tensor | None, *, seed: int) -> Judge:
    pictures, masks = [], []
    for part in known.parts():
        image, mask = known.read([one.number for one in part])
        pictures.append(resized(image, _JUDGED))
        masks.append(resized(mask, _JUDGED))
    labels = torch.tensor([one.label for one in known.pictures])
    with torch.enable_grad():
        return train_judge(
            torch.cat(pictures), torch.cat(masks), labels, classes=max(known.present) + 1, moments=moments, seed=seed
        )


def _moments(known: Sample) -> Tensor | None:
    """Give the pose, expression and light of the known pictures, (n, k), where their dataset knows them."""
    data = known.data
    names = getattr(data, "moment_names", ())
    if not callable(getattr(data, "moments", None)) or not set(_MOMENTS) <= set(names):
        return None
    found: Tensor = data.moments([one.number for one in known.pictures])
    return found[:, [names.index(name) for name in _MOMENTS]]


def _called(given: object) -> str:
    """Name an identity network in a report."""
    if isinstance(given, str | Path):
        return Path(given).name if Path(given).suffix == ".onnx" else str(given)
    return getattr(given, "__name__", type(given).__name__)
