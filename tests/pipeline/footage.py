"""Pictures and videos of people who are squares, each of a colour, and what finds and knows them without any network."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from scenes import write_video

from condswap.faces.find import Face
from condswap.templates import DEFAULT, TEMPLATES

WIDTH, HEIGHT, SIDE = 160, 96, 40
ANNA, BOB, CARL = 0, 1, 2
"""The people: the channel in which each is bright."""


class Shown(NamedTuple):
    """Somebody in a frame."""

    who: int
    left: int
    top: int
    side: int = SIDE


def frame(*shown: Shown, width: int = WIDTH, height: int = HEIGHT, shade: int = 0) -> torch.Tensor:
    """A frame, uint8 (3, h, w): a dull ramp, and squares with a pattern that has no symmetry."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    picture = torch.stack([60 + (x * 50 // width), 70 + (y * 40 // height), 90 + 0 * x])
    picture = (picture + shade).clamp(0, 255)
    for one in shown:
        rows, columns = torch.meshgrid(torch.arange(one.side), torch.arange(one.side), indexing="ij")
        square = torch.zeros(3, one.side, one.side, dtype=torch.long)
        square[one.who] = 250
        square[(one.who + 1) % 3] = 80 * columns // one.side
        nose = (
            (columns > 0.55 * one.side)
            & (columns < 0.75 * one.side)
            & (rows > 0.3 * one.side)
            & (rows < 0.5 * one.side)
        )
        square[(one.who + 2) % 3] = torch.where(nose, 90, 0)
        top, left = max(one.top, 0), max(one.left, 0)
        part = square[:, top - one.top : height - one.top, left - one.left : width - one.left]
        picture[:, top : top + part.shape[1], left : left + part.shape[2]] = part
    return picture.to(torch.uint8)


def film(path: Path, frames: Sequence[torch.Tensor]) -> Path:
    """Write a silent video."""
    return write_video(path, list(frames), sound=False)


def walk(count: int = 12, who: int = ANNA, *, top: int = 30) -> list[torch.Tensor]:
    """Frames in which somebody walks two pixels a frame to the right."""
    return [frame(Shown(who, 20 + 2 * number, top)) for number in range(count)]


def photo(path: Path, picture: torch.Tensor, **options) -> Path:
    """Write a picture with Pillow."""
    Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy()).save(path, **options)
    return path


class SquareFinder:
    """Finds the squares that stand side by side, the largest first; its points fill a square as a face fills our crop.

    `stop_at` is the look at which Ctrl-C is pressed. `looks` counts them.
    """

    def __init__(self, *, stop_at: int | None = None, asked: str = "squares"):
        self.looks, self.stop_at, self.asked, self.closed = 0, stop_at, asked, False

    def find(self, picture: torch.Tensor) -> list[Face]:
        return self.refine(self.detect(picture), picture)

    def refine(self, faces: list[Face], picture: torch.Tensor) -> list[Face]:
        return faces

    def detect(self, picture: torch.Tensor) -> list[Face]:
        if self.looks == self.stop_at:
            raise KeyboardInterrupt
        self.looks += 1
        values = picture.int()
        bright = (values.amax(0) - values.amin(0)) > 110
        full = bright.sum(0) > 4
        starts = [x for x in range(len(full)) if full[x] and not (x and full[x - 1])]
        faces = []
        for left in starts:
            right = next((x for x in range(left, len(full)) if not full[x]), len(full))
            rows = bright[:, left:right].any(1).nonzero()
            if right - left < 8:
                continue
            top, side = int(rows[0]), right - left
            points = torch.tensor(TEMPLATES[DEFAULT].points, dtype=torch.float64) * side
            box = (float(left), float(top), float(right), float(top + side))
            faces.append(Face(points + torch.tensor((left, top)), box, 0.9))
        return sorted(faces, key=lambda face: -face.size)

    def config(self) -> dict[str, str]:
        return {"asked": self.asked}

    def close(self) -> None:
        self.closed = True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def identity(faces: torch.Tensor) -> torch.Tensor:
    """Know people by their colour: (b, 3, h, w) to vectors (b, 3), at right angles between people."""
    middle = faces[:, :, faces.shape[2] // 4 : -faces.shape[2] // 4, faces.shape[3] // 4 : -faces.shape[3] // 4].mean(
        (2, 3)
    )
    return (middle - middle.mean(1, keepdim=True)).clamp_min(0)


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a folder that are not hidden, and those in the folders in it."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def described(path: Path) -> dict:
    """The JSON of a face, by the path of any of its files."""
    return json.loads((path.parent / f"{path.name.split('.')[0]}.json").read_text())


def colour_of(path: Path) -> int:
    """Who is in the middle of a picture."""
    pixels = np.asarray(Image.open(path).convert("RGB"), dtype=float)
    side = pixels.shape[0]
    return int(pixels[side // 2 : side * 3 // 4, side // 4 : side // 2].mean((0, 1)).argmax())
