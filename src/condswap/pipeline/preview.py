"""A sheet of moments, before and after."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from condswap.faces.blend import crop
from condswap.pictures import save_grid
from condswap.pipeline.swapper import Wanted
from condswap.provenance import Mark

_AROUND = 1.8  # of a face's size: what of the frame is shown
_SIDE = 256


class Moment(NamedTuple):
    """A frame before and after, and the faces that were swapped in it; none for a frame that is an aligned face."""

    caption: str
    before: Tensor
    after: Tensor
    wanted: Sequence[Wanted]


def save_sheet(path: Path, moments: Sequence[Moment], *, mark: Mark) -> None:
    """Write what is around the first face of each moment, before and after, as one picture."""
    rows = {
        "picture": torch.stack([_around(one.before, one.wanted) for one in moments]),
        "swap": torch.stack([_around(one.after, one.wanted) for one in moments]),
    }
    save_grid(path, rows, scale=1, captions=[one.caption for one in moments], mark=mark)


def _around(frame: Tensor, wanted: Sequence[Wanted]) -> Tensor:
    """Give what is around the first face that is swapped, (3, s, s) in [0, 1]; all of an aligned face."""
    if not wanted:
        half, (x, y) = max(frame.shape[1:]) / 2, (frame.shape[2] / 2, frame.shape[1] / 2)
    else:
        half, (x, y) = wanted[0].face.size * _AROUND / 2, wanted[0].face.middle
    scale = _SIDE / (2 * half)
    return crop(frame, [[scale, 0.0, scale * (half - x)], [0.0, scale, scale * (half - y)]], _SIDE)
