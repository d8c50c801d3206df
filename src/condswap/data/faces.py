"""What the datasets of face pictures have in common: items, batches, clips, and parts that are held back."""

import operator
from collections.abc import Iterator, Sequence
from copy import copy
from pathlib import Path
from typing import NamedTuple, Self

import torch
from torch import Tensor
from torch.utils.data import Dataset

from condswap.data.clips import Changes, Clip, join_stretches, thumbnail
from condswap.data.layout import Found
from condswap.data.reading import Decoded, decode, for_all
from condswap.errors import ConfigError, DataError
from condswap.templates import Template
from condswap.types import Batch, Item


class Face(NamedTuple):
    """One picture: its name, its class, if anything said where the face is, and how unlike its neighbour it is."""

    path: Path
    label: int
    masked: bool
    step: float
    """The mean difference of its thumbnail to that of the one before it in its class."""
    row: int = -1
    """Of its pixels among those at hand; -1 where they are decoded again each time."""
    found: Found | None = None
    template: Template | None = None
    """How it was cut out, where something says so."""


class Faces(Dataset[Item]):
    """Face pictures with their masks, in the order of their classes."""

    classes: tuple[str, ...]
    """The names of the classes; an item's label is its place in here."""
    image_size: int
    """The side of the pictures, in pixels."""
    paths: list[Path]
    """The file of each picture."""
    labels: list[int]
    """The label of each picture."""
    _pixels: Tensor
    _faces: list[Face]
    _whole: list[Face]

    def __len__(self) -> int:
        """Count the pictures."""
        return len(self._faces)

    def __getitem__(self, index: int) -> Item:
        """Give one picture; raises `IndexError` past the end, `DataError` when its file has become unreadable."""
        place = operator.index(index)
        if not -len(self) <= place < len(self):
            raise IndexError(f"there is no picture {place}; there are {len(self)}, from 0 to {len(self) - 1}")
        face = self._faces[place]
        values = self._pixels_of(face).float() / 255
        return {"image": values[:3], "mask": values[3:], "label": face.label}

    def batch(self, indices: Sequence[int]) -> Batch:
        """Give many pictures at once, which costs less than one by one.

        Raises:
            DataError: a file has become unreadable.
        """
        return as_batch(*self.stored(indices))

    def stored(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Give many pictures as they are kept, uint8 (b, 4, s, s), for `as_batch`, and their classes, int64 (b).

        A quarter of the bytes to move: whoever trains on another device makes numbers of them there.

        Raises:
            DataError: a file has become unreadable.
        """
        faces = [self._faces[index] for index in indices]
        if all(face.row >= 0 for face in faces):
            pixels = self._pixels[torch.tensor([face.row for face in faces])]
        else:
            pixels = torch.stack([self._pixels_of(face) for face in faces])
        return pixels, torch.tensor([face.label for face in faces])

    @property
    def template(self) -> Template | None:
        """The crop template of the pictures, as far as they say it; None where none does.

        Raises `DataError` where they were cut out by different ones.
        """
        return common_template(self._faces, self.classes)

    @property
    def without_mask(self) -> list[Path]:
        """The pictures whose mask is all ones because nothing says where the face is."""
        return [face.path for face in self._faces if not face.masked]

    def clips(self, *, cut: float = 0.1, least: int = 8) -> list[Clip]:
        """Split the pictures of every class into clips, as `condswap.data.find_clips` does; nothing is read again.

        A part of a `split` gives its pictures of each clip of the whole.
        """
        whole = self._whole
        found = join_stretches([one.label for one in whole], [one.step for one in whole], cut=cut, least=least)
        places = {face.path: place for place, face in enumerate(self._faces)}
        here = (
            Clip(label, tuple(places[whole[index].path] for index in indices if whole[index].path in places))
            for label, indices in found
        )
        return [clip for clip in here if clip.indices]

    def among(self, classes: Sequence[str]) -> Self:
        """Give the same pictures, with the labels that their people have among `classes`; the memory is shared.

        For new footage of some of a model's people: `FaceFolder("new/", classes=["bob"]).among(model.classes)`.

        Raises `DataError` where one of them is not among `classes`.
        """
        unknown = [name for name in self.classes if name not in classes]
        if unknown:
            raise DataError(f"{', '.join(map(repr, unknown))} is none of the classes {', '.join(map(repr, classes))}")
        labels = [list(classes).index(name) for name in self.classes]
        part = copy(self)
        part.classes = tuple(classes)
        part._whole = [face._replace(label=labels[face.label]) for face in self._whole]
        part._hold([face._replace(label=labels[face.label]) for face in self._faces])
        return part

    def split(self, *, held_back: float = 0.15) -> tuple[Self, Self]:
        """Give the pictures to train on, and the last `held_back` share of every clip to measure with.

        The end and not a random share: the names of frames run in time order, and a random share of a video would hold
        back near copies of what is trained on. The end of every clip and not of the class, which would hold back the last
        clip: a light and a place that were hardly trained on. A class of unrelated photos is one stretch. The clips are
        those of `clips()`, and both parts remember them. Nothing is read again and the memory is shared.

        Each clip keeps at least one picture in both, and a single one to train on; raises `DataError` for a class of which
        no clip has two.
        """
        if not 0 < held_back < 1:
            raise ConfigError(f"held_back={held_back!r} is not a share between 0 and 1")
        held: set[int] = set()
        for _, indices in self.clips():
            count = min(max(round(held_back * len(indices)), 1), len(indices) - 1)
            held.update(indices[len(indices) - count :])
        for label in sorted(set(range(len(self.classes))) - {self.labels[index] for index in held}):
            raise DataError(
                f"class {self.classes[label]!r} has no clip of at least 2 pictures to split, of {self.labels.count(label)} "
                "in all; add at least one more"
            )
        parts = copy(self), copy(self)
        parts[0]._hold([face for index, face in enumerate(self._faces) if index not in held])
        parts[1]._hold([face for index, face in enumerate(self._faces) if index in held])
        return parts

    def _pixels_of(self, face: Face) -> Tensor:
        """Give the pixels, uint8 (4, s, s), of a picture."""
        return self._pixels[face.row]

    def _hold(self, faces: list[Face]) -> None:
        self._faces = faces
        self.paths = [face.path for face in faces]
        self.labels = [face.label for face in faces]


def as_batch(pixels: Tensor, label: Tensor) -> Batch:
    """Make a batch of pictures of bytes, uint8 (b, 4, h, w): red, green, blue and the mask."""
    values = pixels.float().div_(255)
    return {"image": values[:, :3], "mask": values[:, 3:], "label": label}


def common_template(faces: Sequence[Face], classes: Sequence[str]) -> Template | None:
    """Give the one crop template that pictures name, or None.

    Raises:
        DataError: they name several.
    """
    named: dict[Template, Face] = {}
    for face in faces:
        if face.template is not None:
            named.setdefault(face.template, face)
    if len(named) > 1:
        told = "; ".join(f"{one.name} for {face.path.name} of {classes[face.label]}" for one, face in named.items())
        raise DataError(f"the faces were cut out by different templates ({told}); extract them again by one")
    return next(iter(named), None)


def read_faces(
    pictures: Sequence[Found], image_size: int, *, refused: list[tuple[Path, str]], title: str
) -> Iterator[tuple[Face, Tensor]]:
    """Read pictures in their order, with their pixels, uint8 (4, s, s); those that cannot be used go to `refused`."""

    def read(found: Found) -> tuple[Decoded, Tensor]:
        decoded = decode(found, image_size)
        return decoded, thumbnail(decoded.pixels[:3]) / 255

    changes = Changes()
    for found, result in for_all(pictures, read, title=title):
        if isinstance(result, DataError):
            refused.append((found.path, str(result)))
            continue
        decoded, small = result
        step = changes.to(small, found.label)
        yield (
            Face(found.path, found.label, decoded.masked, step, found=found, template=decoded.template),
            decoded.pixels,
        )
