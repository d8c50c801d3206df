"""Looking at every picture and every swap once: numbers by picture, from which figures are made."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from condswap.cgan import CGAN
from condswap.evaluation.columns import Columns
from condswap.evaluation.identity import similarities
from condswap.evaluation.measures import light_response, seam
from condswap.evaluation.references import pasted, references, resized
from condswap.evaluation.rows import ALONE, EXACT, MEAN, PEOPLE, REAL, SWAP, UNCHANGED
from condswap.evaluation.sample import Picture, Sample, exact_swaps, knows_swaps
from condswap.evaluation.showing import show
from condswap.evaluation.witness import Known, Witness
from condswap.progress import Progress
from condswap.sensitivity import label_sensitivity
from condswap.types import Image, Label, Mask

_OTHERS = 3  # people that a picture becomes at most, by turns, so that the cost does not grow with their square
_STRIDE = 37  # real pictures are pasted in this order, far from that of a video


class Pair(NamedTuple):
    """One swap: the place of its picture among those chosen, the picture, and whom it is to show."""

    place: int
    picture: Picture
    to: int


def pairs_of(pictures: Sequence[Picture], present: Sequence[int]) -> list[Pair]:
    """Give every picture up to three others to become, so that within a class each gets its turn.

    >>> one = Picture(number=0, label=1, clip=None, block=0)
    >>> [pair.to for pair in pairs_of([one], [0, 1, 2])]
    [0, 2]
    """
    found = []
    turn: dict[int, int] = {}
    numbers = {label: number for number, label in enumerate(present)}
    others = len(present) - 1
    for place, picture in enumerate(pictures):
        own, start = numbers[picture.label], turn.get(picture.label, 0)
        steps = range(start, start + min(others, _OTHERS))
        turn[picture.label] = steps.stop
        chosen = sorted(present[step % others + (step % others >= own)] for step in steps)
        found += [Pair(place, picture, to) for to in chosen]
    return found


class Measuring:
    """All that is measured of a model picture by picture.

    Args:
        model: in evaluation mode.
        held: the pictures.
        witness: says who is seen.
        people: what is known of them.
    """

    def __init__(self, model: CGAN, held: Sample, witness: Witness, people: Known) -> None:
        self.model, self.held, self.witness, self.people = model, held, witness, people
        self.device = next(model.parameters()).device
        self.pairs = pairs_of(held.pictures, people.present)
        self.pictures, self.swaps = Columns(), Columns()
        self.measures: tuple[str, ...] = ()

    def look_at_all(self) -> None:
        """Fill the columns of the pictures, then those of the swaps."""
        similar = []
        done = 0
        with Progress(len(self.held) + len(self.pairs), title="measuring", delay=2.0) as progress:
            for part in self.held.parts():
                similar.append(self._look_at_pictures(part))
                done += len(part)
                progress.update(done)
            whole = torch.cat(similar)
            for start in range(0, len(self.pairs), self.held.at_once):
                swaps = self.pairs[start : start + self.held.at_once]
                self._look_at_swaps(swaps, whole[[one.place for one in swaps]])
                done += len(swaps)
                progress.update(done)

    def light(self, pairs: Sequence[Pair]) -> Columns:
        """Measure how much of a light put on pictures reappears in their swaps."""
        found = Columns()
        for start in range(0, len(pairs), self.held.at_once):
            part = pairs[start : start + self.held.at_once]
            image, mask, source = self._read([one.picture for one in part])
            to = torch.tensor([one.to for one in part], device=self.device)

            def swap(lit: Image, to: Label = to, source: Label = source, mask: Mask = mask) -> Image:
                return show(self.model, lit, to, source, mask)

            for name, values in light_response(swap, image, mask)._asdict().items():
                found.add(name, values=values)
        return found

    def label_sensitivity(self, pictures: Sequence[Picture]) -> Tensor:
        """Measure how much of what tells people apart follows the label, (n)."""
        image, mask, label = self._read(pictures)
        size = (self.model.image_shape[1], self.model.image_shape[2])
        return label_sensitivity(self.model, resized(image, size), label, resized(mask, size)).cpu()

    def _look_at_pictures(self, part: Sequence[Picture]) -> Tensor:
        """Measure what needs no swap; the result is how similar the pictures are to the people, (n, c)."""
        image, mask, label = self._read(part)
        means = torch.stack([self.people.faces[one.label] for one in part]).to(image)
        self.pictures.add_nearness(f"own {SWAP}", show(self.model, image, label, label, mask), image, mask)
        self.pictures.add_nearness(f"own {MEAN}", means, image, mask)
        similar = self._similar(image, mask)
        self.pictures.add_likeness(PEOPLE, similar, source=None, to=label.cpu(), present=self.people.present)
        found = self.witness.measures(image, mask)
        self.measures = tuple(found)
        for name, values in found.items():
            self.pictures.add("kept", name, values=values)
        return similar

    def _look_at_swaps(self, part: Sequence[Pair], similar: Tensor) -> None:
        """Measure swaps beside their references; `similar` is that of the pictures themselves, (n, c)."""
        image, mask, source = self._read([one.picture for one in part])
        to = torch.tensor([one.to for one in part], device=self.device)
        places = [one.place * _STRIDE for one in part]
        beside = references(image, to, real=self.people.real, means=self.people.faces, places=places)
        faces = {
            SWAP: show(self.model, image, to, source, mask),
            ALONE: show(self.model, image, to),
            REAL: beside.real,
            MEAN: beside.mean,
        }
        if knows_swaps(self.held.data):
            truth, truth_mask = exact_swaps(self.held.data, [one.picture.number for one in part], to.cpu())
            faces[EXACT] = truth.to(image)
            both = mask * truth_mask.to(mask)
            for name in (SWAP, ALONE, MEAN, UNCHANGED):
                self.swaps.add_nearness(f"exact {name}", faces.get(name, image), faces[EXACT], both, picture=image)
        composites = {name: pasted(image, face, mask) for name, face in faces.items()}
        seen = {UNCHANGED: similar} | {name: self._similar(one, mask) for name, one in composites.items()}
        for name, found in seen.items():
            self.swaps.add_likeness(name, found, source=source.cpu(), to=to.cpu(), present=self.people.present)
        for name, one in {SWAP: composites[SWAP], UNCHANGED: image}.items():
            self.swaps.add(name, "seam", values=seam(one, mask))
        for name in {SWAP, MEAN, EXACT} & set(composites):
            for measure, values in self.witness.measures(composites[name], mask).items():
                self.swaps.add("kept", name, measure, values=values)

    def _read(self, part: Sequence[Picture]) -> tuple[Image, Mask, Label]:
        image, mask = self.held.read([one.number for one in part])
        label = torch.tensor([one.label for one in part])
        return image.to(self.device), mask.to(self.device), label.to(self.device)

    def _similar(self, image: Image, mask: Mask) -> Tensor:
        """Give the cosines (n, c) of whole pictures to the people's means."""
        return similarities(self.witness.look(image, mask), self.people.means)
