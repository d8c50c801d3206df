"""A folder of face pictures, one folder a class, as a dataset."""

import operator
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from condswap.data.clips import Changes, Clip, join_stretches, thumbnail
from condswap.data.dfl_face import find_face
from condswap.data.dfl_pak import read_packed
from condswap.data.layout import SUFFIXES, Found, lay_out
from condswap.decoding import decode_mask, decode_picture, require_pillow
from condswap.errors import ConfigError, DataError
from condswap.progress import Progress
from condswap.types import Item

_SMALLEST = 16


class _Entry(NamedTuple):
    """One picture: where it is, if anything said where the face is, its cache row, the step from its neighbour."""

    found: Found
    masked: bool = False
    row: int = -1
    step: float = 0.0


class FaceFolder(Dataset[Item]):
    """The face pictures of `root/<class>/*.{jpg,jpeg,png,webp}` with their masks.

    An item is `{"image": float32 (3, s, s) RGB in [0, 1], "mask": float32 (1, s, s) in [0, 1], "label": int}`; items
    are in the order of their classes, then of their names. The mask of `name.jpg` is `name.mask.png` beside it, or else
    the picture's alpha channel, or else what DeepFaceLab wrote into it (the mask, or the hull of the landmarks), or else
    all ones: those pictures are listed in `without_mask`.

    Facesets of DeepFaceLab are read as they are: a workspace with `data_src/aligned` and `data_dst/aligned`, whose classes
    are then `data_dst` and `data_src`, or one folder a person; a folder may hold a `faceset.pak` in place of pictures, and
    `root` may be a pak, or hold one, that says who is who. The pickles inside are read by `condswap.safe_pickle`, which
    runs nothing. Links that lead out of `root` are not followed.

    Every file is read once here, so that a picture that cannot be used is known before training: it is left out and
    listed in `unreadable` as (path, reason). `classes` chooses and orders the folders; None takes all, sorted.
    `image_size` is the side of the squares. `cache` is how many bytes of decoded pictures stay in memory; the others
    are decoded again at each access. Folders in a class's folder are not entered.

    Raises `DataError` for a folder in which nothing can be used, a class without a usable picture and an unknown class,
    `ConfigError` for a wrong argument and when Pillow is missing.

    >>> import tempfile, torch
    >>> from condswap.pictures import save_picture
    >>> with tempfile.TemporaryDirectory() as root:
    ...     (Path(root) / "ada").mkdir()
    ...     save_picture(torch.ones(3, 32, 32), Path(root) / "ada" / "one.png")
    ...     data = FaceFolder(root, image_size=16)
    >>> data.classes, len(data), tuple(data[0]["image"].shape)
    (('ada',), 1, (3, 16, 16))
    """

    classes: tuple[str, ...]
    """The names of the classes; an item's label is its place in here."""
    image_size: int
    """The side of the pictures, in pixels."""
    unreadable: tuple[tuple[Path, str], ...]
    """The files that are left out, each with the reason."""
    paths: list[Path]
    """The file of each picture."""
    labels: list[int]
    """The label of each picture."""

    def __init__(
        self,
        root: Path | str,
        *,
        image_size: int = 64,
        classes: Sequence[str] | None = None,
        cache: int = 2**30,
    ) -> None:
        """Find the pictures and read each one once."""
        for name, value, least in (("image_size", image_size, _SMALLEST), ("cache", cache, 0)):
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ConfigError(f"{name}={value!r} is not a whole number from {least} on")
        require_pillow()
        self.root, self.image_size = Path(root), image_size
        self.classes, pictures, refused = lay_out(self.root, classes)
        entries = [_Entry(found) for found in pictures]
        rows = min(len(entries), cache // (4 * image_size**2))
        # One tensor for all: a worker process gets it as one piece of shared memory.
        self._pixels = torch.empty(rows, 4, image_size, image_size, dtype=torch.uint8)
        usable, unusable = self._read_all(entries)
        self._hold(usable)
        self._whole = usable
        self.unreadable = tuple(sorted(refused + unusable))
        self._refuse_empty_classes()

    def __len__(self) -> int:
        """Count the usable pictures."""
        return len(self._entries)

    def __getitem__(self, index: int) -> Item:
        """Give one picture; raises `IndexError` past the end, `DataError` when its file has become unreadable."""
        place = operator.index(index)
        if not -len(self) <= place < len(self):
            raise IndexError(f"there is no picture {place}; this folder has {len(self)}, from 0 to {len(self) - 1}")
        entry = self._entries[place]
        if entry.row >= 0:
            pixels = self._pixels[entry.row]
        else:
            try:
                pixels, _ = _decode(entry.found, self.image_size)
            except DataError as error:
                raise DataError(
                    f"cannot use {entry.found.path} any more: {error}; build the FaceFolder again"
                ) from error
        values = pixels.float() / 255
        return {"image": values[:3], "mask": values[3:], "label": entry.found.label}

    @property
    def without_mask(self) -> list[Path]:
        """The pictures whose mask is all ones because nothing says where the face is."""
        return [entry.found.path for entry in self._entries if not entry.masked]

    def clips(self, *, cut: float = 0.1, least: int = 8) -> list[Clip]:
        """Split the pictures of every class into clips, as `condswap.data.find_clips` does; nothing is read again.

        A part of a `split` gives its pictures of each clip of the whole folder.
        """
        whole = self._whole
        found = join_stretches([one.found.label for one in whole], [one.step for one in whole], cut=cut, least=least)
        places = {entry.found.path: place for place, entry in enumerate(self._entries)}
        here = (
            Clip(
                label, tuple(places[whole[index].found.path] for index in indices if whole[index].found.path in places)
            )
            for label, indices in found
        )
        return [clip for clip in here if clip.indices]

    def split(self, *, held_back: float = 0.15) -> tuple["FaceFolder", "FaceFolder"]:
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
        parts[0]._hold([entry for index, entry in enumerate(self._entries) if index not in held])
        parts[1]._hold([entry for index, entry in enumerate(self._entries) if index in held])
        return parts

    def _hold(self, entries: list[_Entry]) -> None:
        self._entries = entries
        self.paths = [entry.found.path for entry in entries]
        self.labels = [entry.found.label for entry in entries]

    def _read_all(self, entries: list[_Entry]) -> tuple[list[_Entry], list[tuple[Path, str]]]:
        """Decode every picture once, keeping the first ones as far as the memory goes."""

        def read(row: int) -> tuple[_Entry, Tensor] | str:
            try:
                pixels, masked = _decode(entries[row].found, self.image_size)
            except DataError as error:
                return str(error)
            small = thumbnail(pixels[:3]) / 255
            if row >= len(self._pixels):
                return entries[row]._replace(masked=masked), small
            self._pixels[row] = pixels
            return entries[row]._replace(masked=masked, row=row), small

        good: list[_Entry] = []
        bad: list[tuple[Path, str]] = []
        changes = Changes()
        # Pillow decodes outside the interpreter's lock, so threads are enough.
        pool = ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1))
        try:
            with Progress(len(entries), title=f"reading {self.root}", delay=2.0) as progress:
                for row, result in enumerate(pool.map(read, range(len(entries)))):
                    if isinstance(result, str):
                        bad.append((entries[row].found.path, result))
                    else:
                        entry, small = result
                        good.append(entry._replace(step=changes.to(small, entry.found.label)))
                    progress.update(row + 1, f"{len(bad)} unreadable" if bad else "")
        finally:
            pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for the rest of the folder
        return good, bad

    def _refuse_empty_classes(self) -> None:
        used = set(self.labels)
        empty = [name for label, name in enumerate(self.classes) if label not in used]
        if not empty:
            return
        told = [(path, reason) for path, reason in self.unreadable if {one.name for one in path.parents} & set(empty)]
        reasons = "".join(f"\n  {path}: {reason}" for path, reason in told[:3])
        more = f"\n  ... and {len(told) - 3} more" if len(told) > 3 else ""
        if len(empty) == len(self.classes):
            raise DataError(
                f"{self.root} has no picture that can be used ({', '.join(SUFFIXES)} in a folder per class: "
                f"{', '.join(empty)}); add pictures or mend these{reasons}{more}"
            )
        raise DataError(
            f"class {', '.join(map(repr, empty))} in {self.root} has no picture that can be used; add pictures "
            f"({', '.join(SUFFIXES)}), remove the folder, or choose others with classes={reasons}{more}"
        )


def _decode(found: Found, size: int) -> tuple[Tensor, bool]:
    """Give the pixels (4, size, size) uint8, RGB and mask, with whether anything said where the face is."""
    source = found.path if found.packed is None else read_packed(found.path.parent, found.packed)
    colours, alpha = decode_picture(source, image_size=size)
    masked = True
    if found.mask is not None:
        try:
            mask = decode_mask(found.mask, image_size=size)
        except DataError as error:
            raise DataError(f"its mask {found.mask.name}: {error}") from error
    elif alpha is not None:
        # An alpha that is opaque everywhere is how programs save a picture without one.
        mask, masked = alpha, bool((alpha < 255).any())
    else:
        face = find_face(source) if found.path.suffix.lower() in (".jpg", ".jpeg") else None
        inside = None if face is None else face.mask(image_size=size)
        mask, masked = (torch.full_like(colours[:1], 255), False) if inside is None else (inside, True)
    if not mask.any():
        raise DataError("its mask is empty: nothing is marked as face; draw it again or delete it")
    return torch.cat((colours, mask)), masked
