"""Two networks to guide a training with, read from the files of the npm package @vladmandic/face-api.

Its weights are plain numbers, eight bits each, beside a manifest in JSON: nothing is unpickled or run. The first network is
dlib's, a residual network of 29 layers that tells who is seen; the second finds 68 points of a face.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from condswap.errors import DataError
from condswap.types import Image

_MEAN = (122.782, 117.001, 104.298)  # of the channels, in 255ths, which both take off
_KINDS = {"uint8": torch.uint8, "uint16": torch.uint16, "float32": torch.float32}
_PLAIN = {"dtype": "float32", "scale": 1.0, "min": 0.0}
# Top, bottom, left and right of an aligned face as shares of the sides: of five boxes the one in which people differ most.
_BOX = (0.15, 0.95, 0.10, 0.90)


class _FaceApi(nn.Module):
    """A network whose weights are in a folder; the names of weights have "/", so they are kept in a table."""

    mean: Tensor

    def __init__(self, folder: str | Path, name: str, *, size: int) -> None:
        super().__init__()
        self.size, self.weights = size, _read(Path(folder).expanduser(), name)
        self.register_buffer("mean", torch.tensor(_MEAN).reshape(3, 1, 1) / 255)
        with torch.no_grad():
            try:
                self(torch.zeros(1, 3, size, size))
            except (KeyError, RuntimeError) as error:
                raise DataError(
                    f"{folder} has other weights for {name} than this network takes ({error}); take the files of "
                    "@vladmandic/face-api 1.7"
                ) from error

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        self.weights = {name: fn(weight) for name, weight in self.weights.items()}
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]

    def _cut(self, faces: Image) -> Tensor:
        """Cut the box out of aligned faces and bring it to the network's scale."""
        height, width = faces.shape[2:]
        rows = slice(round(_BOX[0] * height), round(_BOX[1] * height))
        columns = slice(round(_BOX[2] * width), round(_BOX[3] * width))
        box = F.interpolate(faces[..., rows, columns], size=(self.size, self.size), mode="bilinear", antialias=True)
        return box - self.mean


class FaceApiIdentity(_FaceApi):
    """Tells who is seen: aligned faces (b, 3, h, w) in [0, 1] to vectors (b, 128), through which gradients flow.

    Args:
        folder: where `face_recognition_model.bin` and its manifest are: `package/model` of the unpacked npm package.

    Raises:
        DataError: the files are not there, or are others.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__(folder, "face_recognition_model", size=150)

    def forward(self, faces: Image) -> Tensor:
        """Give the vectors."""
        x = self._cut(faces)
        x = F.max_pool2d(self._convolved(x, "conv32_down", stride=2, padding=0), 3, 2)
        for width, plain in ((32, 3), (64, 3), (128, 2), (256, 2)):
            if width > 32:
                x = self._halved(x, f"conv{width}_down")
            for number in range(1, plain + 1):
                x = F.relu(self._pair(x, f"conv{width}_{number}") + x)
        vectors: Tensor = self._halved(x, "conv256_down_out").mean((2, 3)) @ self.weights["fc"]
        return vectors

    def _convolved(self, x: Tensor, name: str, *, stride: int = 1, padding: int = 1, relu: bool = True) -> Tensor:
        filters, bias, scale, offset = (
            self.weights[f"{name}/{part}"] for part in ("conv/filters", "conv/bias", "scale/weights", "scale/biases")
        )
        x = F.conv2d(x, filters, bias, stride, padding) * scale.reshape(-1, 1, 1) + offset.reshape(-1, 1, 1)
        return F.relu(x) if relu else x

    def _pair(self, x: Tensor, name: str, *, stride: int = 1, padding: int = 1) -> Tensor:
        first = self._convolved(x, f"{name}/conv1", stride=stride, padding=padding)
        return self._convolved(first, f"{name}/conv2", relu=False)

    def _halved(self, x: Tensor, name: str) -> Tensor:
        """Halve the sides; the way around is an average, with as many channels of zeros as there are more."""
        found, around = self._pair(x, name, stride=2, padding=0), F.avg_pool2d(x, 2, 2)
        side, more = max(found.shape[2], around.shape[2]), found.shape[1] - around.shape[1]
        found = F.pad(found, (0, side - found.shape[3], 0, side - found.shape[2]))
        around = F.pad(around, (0, side - around.shape[3], 0, side - around.shape[2], 0, more))
        return F.relu(found + around)


class FaceApiExpression(_FaceApi):
    """Measures aligned faces (b, 3, h, w) in [0, 1] by 68 points, through which gradients flow, for an `AttributeGuide`.

    - mouth: the gap between the lips, in shares of the box that is looked at.
    - turn: how far the tip of the nose is off the middle of the cheeks, over their distance.

    Args:
        folder: where `face_landmark_68_model.bin` and its manifest are: `package/model` of the unpacked npm package.

    Raises:
        DataError: the files are not there, or are others.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__(folder, "face_landmark_68_model", size=112)

    def forward(self, faces: Image) -> dict[str, Tensor]:
        """Give the measures by name, (b) each."""
        points = self.points(faces)
        left, right, nose = points[:, 2, 0], points[:, 14, 0], points[:, 30, 0]
        return {
            "mouth": (points[:, [67, 66, 65], 1] - points[:, [61, 62, 63], 1]).mean(1),
            "turn": (nose - (left + right) / 2) / (right - left).detach().clamp_min(0.1),
        }

    def points(self, faces: Image) -> Tensor:
        """Find the points, x and y as shares of the box, (b, 68, 2)."""
        x = self._cut(faces)
        for number in range(4):
            x = self._dense(x, f"dense{number}", first=number == 0)
        flat = F.avg_pool2d(x, 7, 2).permute(0, 2, 3, 1).flatten(1)
        return (flat @ self.weights["fc/weights"] + self.weights["fc/bias"]).reshape(-1, 68, 2)

    def _dense(self, x: Tensor, name: str, *, first: bool) -> Tensor:
        """Run four convolutions, each of which gets the sum of all before it."""
        if first:
            filters, bias = self.weights[f"{name}/conv0/filters"], self.weights[f"{name}/conv0/bias"]
            total = F.relu(F.conv2d(_padded(x, stride=2), filters, bias, 2))
        else:
            total = F.relu(self._separable(x, f"{name}/conv0", stride=2))
        for number in (1, 2, 3):
            total = total + self._separable(F.relu(total), f"{name}/conv{number}", stride=1)
        return F.relu(total)

    def _separable(self, x: Tensor, name: str, *, stride: int) -> Tensor:
        depth = self.weights[f"{name}/depthwise_filter"].transpose(0, 1)
        x = F.conv2d(_padded(x, stride=stride), depth, None, stride, groups=x.shape[1])
        return F.conv2d(x, self.weights[f"{name}/pointwise_filter"], self.weights[f"{name}/bias"])


def _padded(x: Tensor, *, stride: int) -> Tensor:
    """Pad for a 3x3 convolution as TensorFlow's "same" does: an odd row goes to the end."""
    total = max((math.ceil(x.shape[2] / stride) - 1) * stride + 3 - x.shape[2], 0)
    return F.pad(x, (total // 2, total - total // 2) * 2)


def _read(folder: Path, name: str) -> dict[str, Tensor]:
    """Read the weights of a network by name, those of convolutions as (out, in, h, w)."""
    manifest = folder / f"{name}-weights_manifest.json"
    if not manifest.is_file():
        raise DataError(
            f"there is no file {manifest}; give the folder package/model of the npm package @vladmandic/face-api: "
            "npm pack @vladmandic/face-api, and unpack it"
        )
    weights, at = {}, 0
    try:
        [part] = json.loads(manifest.read_text("utf-8"))
        raw = bytearray((folder / f"{name}.bin").read_bytes())
        for one in part["weights"]:
            packed = one.get("quantization", _PLAIN)
            kind, count = _KINDS[packed["dtype"]], math.prod(one["shape"])
            values = torch.frombuffer(raw, dtype=kind, count=count, offset=at).float() * packed["scale"] + packed["min"]
            at += count * kind.itemsize
            values = values.reshape(one["shape"])
            weights[one["name"]] = values.permute(3, 2, 0, 1).contiguous() if values.ndim == 4 else values
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise DataError(f"{manifest} and its .bin cannot be read ({error}); unpack the package again") from error
    return weights
