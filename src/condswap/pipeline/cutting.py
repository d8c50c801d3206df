"""A face cut out of its frame and written: the picture, its mask, and what is needed to put it back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from condswap.data.doctor.measures import measure
from condswap.faces.blend import crop
from condswap.faces.find import Face
from condswap.faces.hulls import draw_hull, hull_of
from condswap.faces.saved import describe
from condswap.files import write_together
from condswap.pictures import encode_picture
from condswap.templates import Template

_VERSION = 1
_MEASURED_AT = 128  # pixels: the figure depends on it
_OF_FRAME = ("frame_size", "matrix")  # what is told by the others, and the frame


@dataclass(frozen=True, kw_only=True)
class Cut:
    """How faces are cut out.

    Args:
        template: where in the crop the face lies.
        size: the side of the crop, in pixels.
        least_sharp: faces that are less sharp, by the measure of `condswap doctor --size 128`, are left out.
    """

    template: Template
    size: int
    least_sharp: float = 0.0

    def describe(self, face: Face, origin: Mapping[str, Any]) -> dict[str, Any]:
        """Give what makes up a face's files, as JSON."""
        how = {"condswap": _VERSION, "template": self.template.config(), "image_size": self.size}
        return {**how, **origin, **describe(face)}


class Places:
    """Gives each face of a run a name of its own in its folder.

    A face that was written before has its name again, and what came from elsewhere keeps its own: a face of another file of
    the same name, or a person's own picture.
    """

    def __init__(self, cut: Cut) -> None:
        self._cut = cut
        self._used: set[Path] = set()

    def of(self, folder: Path, name: str, face: Face, origin: Mapping[str, Any]) -> tuple[Path, bool]:
        """Give the path of a face's files without their suffixes, and whether it was written before, as it would be now.

        Args:
            folder: of the person.
            name: that it has, if nothing else has it.
            face: the face.
            origin: the file and the frame that it is from, as JSON.
        """
        number, path = 0, folder / name
        there = _described(path)
        while path in self._used or not _is_free(there, origin):
            number += 1
            path = folder / f"{name}_{number}"
            there = _described(path)
        self._used.add(path)
        if there is None:
            return path, False
        return path, {key: there[key] for key in there if key not in _OF_FRAME} == self._cut.describe(face, origin)


def write_face(path: Path, frame: Tensor, face: Face, origin: Mapping[str, Any], *, cut: Cut) -> bool:
    """Write one face unless it is not sharp enough, and say whether it was written.

    Args:
        path: of its files, without their suffixes.
        frame: uint8 (3, h, w).
        face: in it.
        origin: the file and the frame that it is from, as JSON.
        cut: how it is cut out.

    Raises:
        DataError: the disk refuses.
    """
    matrix = cut.template.matrix(face.points, cut.size)
    image = crop(frame, matrix, cut.size)
    mask = draw_hull(hull_of(face, cut.template), matrix, cut.size)
    if cut.least_sharp > 0:
        pixels = torch.cat((image, mask))[None]
        if cut.size > _MEASURED_AT:
            pixels = F.interpolate(pixels, size=(_MEASURED_AT, _MEASURED_AT), mode="area")
        if float(measure((pixels * 255).round().to(torch.uint8))["sharp"]) < cut.least_sharp:
            return False
    described = cut.describe(face, origin)
    described["frame_size"] = [frame.shape[2], frame.shape[1]]
    described["matrix"] = [[round(value, 9) for value in row] for row in matrix.tolist()]
    write_together(
        {
            _beside(path, ".mask.png"): encode_picture(mask, "PNG"),
            _beside(path, ".jpg"): encode_picture(image, "JPEG", quality=95, subsampling=0),
            # Last: what has its JSON was written whole. Where only that is left, a person did not want the face.
            _beside(path, ".json"): (json.dumps(described) + "\n").encode(),
        }
    )
    return True


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f"{path.name}{suffix}")


def has_picture(path: Path) -> bool:
    """Say whether the picture of a face is there."""
    return _beside(path, ".jpg").exists()


def _described(path: Path) -> dict[str, Any] | None:
    """Give what the JSON of a face says; {} where there is a picture and no JSON of ours, and None where there is nothing."""
    file = _beside(path, ".json")
    if not file.exists():
        return {} if has_picture(path) else None
    try:
        described = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return described if isinstance(described, dict) else {}


def _is_free(there: Mapping[str, Any] | None, origin: Mapping[str, Any]) -> bool:
    """Say whether a face of this origin may have a name at which there is this."""
    return there is None or all(key in there and there[key] == value for key, value in origin.items())
