"""Faces packed for training: all the pixels in one file that is mapped into memory, so that nothing is decoded twice."""

import json
import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from condswap.data.faces import Face, Faces, common_template, read_faces
from condswap.data.layout import check_choice, check_known, lay_out
from condswap.decoding import require_pillow
from condswap.errors import ConfigError, DataError
from condswap.files import write_atomically
from condswap.templates import Template

SUFFIX = ".safetensors"
_FORMAT = 1
_KEY = "condswap.faces"
_LONGEST_STEP = -1.2345678901234567e-300  # of what a number can become in JSON

_TEMPLATE_ROOM = 4096  # bytes for a template, which is known when the pictures have been read


class PackedFaces(Faces):
    """The faces of a file that `pack` wrote, as a dataset.

    An item is as `FaceFolder` gives it, and `split`, `clips` and all else are the same. The file is mapped into memory and
    not read: opening takes a moment, whatever its size, and what is in memory of it is the system's to take back.

    Args:
        file: what `pack` wrote.
        classes: the ones to take, in their order; None takes all.

    Raises:
        DataError: the file is not there, not whole or none of ours, or has no such class.
        ConfigError: `classes` is no list of different names, or the file is newer than this library.

    Example:
        >>> import tempfile
        >>> from condswap.pictures import save_picture
        >>> with tempfile.TemporaryDirectory() as root:
        ...     (Path(root) / "faces" / "ada").mkdir(parents=True)
        ...     save_picture(torch.ones(3, 32, 32), Path(root) / "faces" / "ada" / "one.png")
        ...     _ = pack(Path(root) / "faces", Path(root) / "faces.safetensors", image_size=16)
        ...     data = PackedFaces(Path(root) / "faces.safetensors")
        >>> data.classes, len(data), tuple(data[0]["image"].shape)
        (('ada',), 1, (3, 16, 16))
    """

    unreadable: tuple[tuple[Path, str], ...] = ()
    """Nothing: what could not be read was left out when the file was packed."""

    def __init__(self, file: Path | str, *, classes: Sequence[str] | None = None) -> None:
        """Map the file."""
        self.file = Path(file)
        facts = self._map()
        self.image_size, known = self._pixels.shape[-1], facts["classes"]
        check_choice(classes)
        check_known(classes or (), known, self.file)
        self.classes = tuple(classes or known)
        places = {known.index(name): place for place, name in enumerate(self.classes)}
        template = None if facts.get("template") is None else Template.from_config(facts["template"])
        rows = zip(facts["paths"], facts["labels"], facts["masked"], facts["steps"], strict=True)
        faces = [
            Face(Path(path), places[label], masked, step, row, template=template)
            for row, (path, label, masked, step) in enumerate(rows)
            if label in places
        ]
        self._whole = sorted(faces, key=lambda face: face.label)
        self._hold(self._whole)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the pixels in their file: a worker process maps it itself."""
        return {name: value for name, value in vars(self).items() if name != "_pixels"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Map the file again."""
        vars(self).update(state)
        self._map()

    def _map(self) -> dict[str, Any]:
        """Map the pixels, and give what the file says of them, checked."""
        try:
            with safe_open(self.file, framework="pt") as opened:
                facts = json.loads((opened.metadata() or {}).get(_KEY, "null"))
                self._pixels = opened.get_tensor("pixels") if facts else torch.empty(0)
        except (SafetensorError, ValueError, RecursionError, OSError) as error:
            told = "it is not there" if not self.file.exists() else str(error)
            raise DataError(f"cannot use {self.file}: {told}; pack the faces again") from error
        if not isinstance(facts, dict) or not isinstance(facts.get("format"), int):
            raise DataError(f"{self.file} was not written by `condswap pack`; give a folder of faces, or pack one")
        if facts["format"] > _FORMAT:
            raise ConfigError(
                f"{self.file} has format {facts['format']} and this condswap reads up to {_FORMAT}; update condswap"
            )
        shape = self._pixels.shape
        fits = self._pixels.dtype == torch.uint8 and len(shape) == 4 and shape[1] == 4 and shape[2] == shape[3]
        if not fits or not _whole(facts, shape[0]):
            raise DataError(f"{self.file} contradicts itself; pack the faces again")
        return facts


def _whole(facts: dict[str, Any], count: int) -> bool:
    """Tell whether the facts are those of so many pictures."""
    kinds = {"paths": str, "labels": int, "masked": bool, "steps": float}
    for name, kind in kinds.items():
        values = facts.get(name)
        if not isinstance(values, list) or len(values) != count or not all(type(one) is kind for one in values):
            return False
    names = facts.get("classes")
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names) or len(set(names)) < len(names):
        return False
    return all(0 <= label < len(names) for label in facts["labels"]) and all(map(math.isfinite, facts["steps"]))


def pack(
    faces: Path | str, file: Path | str, *, image_size: int = 128, classes: Sequence[str] | None = None
) -> list[tuple[Path, str]]:
    """Write all the faces of a folder into one file for training, whole or not at all.

    A picture takes `4 * image_size ** 2` bytes: 100,000 of 128 pixels are 6.6 GB. The pictures are read once, and a few
    hundred are in memory at a time.

    Args:
        faces: what `FaceFolder` takes.
        file: to be written, `NAME.safetensors`.
        image_size: the side of the pictures.
        classes: the ones to take, in their order; None takes all.

    Returns:
        The files that were left out, each with the reason.

    Raises:
        DataError: there is nothing that can be used in the folder, or of a class, or the disk refuses.
        ConfigError: a wrong argument, or Pillow is missing.
    """
    root, file = Path(faces), Path(file)
    if file.suffix != SUFFIX:
        raise ConfigError(f"{file} is to be packed into; end its name in {SUFFIX}")
    if not isinstance(image_size, int) or isinstance(image_size, bool) or image_size < 1:
        raise ConfigError(f"image_size={image_size!r} is not a whole number from 1 on")
    require_pillow()
    names, pictures, refused = lay_out(root, classes)
    # The pixels come one by one, and the header, which says how many there are, at the end: into the room for the longest.
    longest = [Face(found.path, found.label, False, _LONGEST_STEP) for found in pictures]
    room = len(_header(names, longest, image_size)) // 8 * 8 + 8 + _TEMPLATE_ROOM

    def write(temporary: Path) -> None:
        kept: list[Face] = []
        with temporary.open("wb") as opened:
            opened.write(bytes(8 + room))
            for face, pixels in read_faces(pictures, image_size, refused=refused, title=f"packing {root}"):
                kept.append(face)
                opened.write(pixels.numpy().data)
            _refuse_empty(names, kept, refused)
            opened.seek(0)
            opened.write(struct.pack("<Q", room) + _header(names, kept, image_size).ljust(room))

    write_atomically(file, write)
    return sorted(refused)


def _refuse_empty(classes: Sequence[str], faces: Sequence[Face], refused: Sequence[tuple[Path, str]]) -> None:
    empty = sorted(set(range(len(classes))) - {face.label for face in faces})
    if empty:
        reasons = "".join(f"\n  {path}: {reason}" for path, reason in sorted(refused)[:3])
        raise DataError(
            f"class {', '.join(repr(classes[label]) for label in empty)} has no picture that can be used; add "
            f"pictures, or choose others with classes={reasons}"
        )


def _header(classes: Sequence[str], faces: Sequence[Face], size: int) -> bytes:
    """Give the header of a safetensors file with these pictures."""
    template = common_template(faces, classes)
    facts = {
        "format": _FORMAT,
        "classes": list(classes),
        "paths": [str(face.path) for face in faces],
        "labels": [face.label for face in faces],
        "masked": [face.masked for face in faces],
        "steps": [face.step for face in faces],
        "template": template and template.config(),
    }
    shape = [len(faces), 4, size, size]
    pixels = {"dtype": "U8", "shape": shape, "data_offsets": [0, math.prod(shape)]}
    return json.dumps({"__metadata__": {_KEY: json.dumps(facts)}, "pixels": pixels}).encode()
