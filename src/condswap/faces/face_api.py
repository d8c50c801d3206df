"""Two networks to guide a training with, read from the files of the npm package @vladmandic/face-api.

Its weights are plain numbers, eight bits each, beside a manifest in JSON: nothing is unpickled or run. The first network is
dlib's, a residual network of 29 layers that tells who is seen; the second finds 68 points of a face.
"""

import math
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from condswap.faces.plain_network import PlainNetwork
from condswap.types import Image

_MEAN = (122.782, 117.001, 104.298)  # of the channels, in 255ths, which both take off


class _FaceApi(PlainNetwork):
    """A network of the package: both look at the same box, of five the one in which people differ most."""

    package, inside = "@vladmandic/face-api@1.7.15", "package/model"
    box = (0.15, 0.95, 0.10, 0.90)

    @classmethod
    def _read(cls, folder: Path) -> dict[str, Tensor]:
        return super()._read(folder) | {"mean": torch.tensor(_MEAN).reshape(3, 1, 1) / 255}

    def _seen(self, faces: Image) -> Tensor:
        return self._cut(faces) - self.weights["mean"]


class FaceApiIdentity(_FaceApi):
    """Tells who is seen: aligned faces (b, 3, h, w) in [0, 1] to vectors (b, 128), through which gradients flow.

    Args:
        folder: where `face_recognition_model.bin` and its manifest are: `package/model` of the unpacked npm package.

    Raises:
        DataError: the files are not there, or are others.
    """

    manifest, numbers = "face_recognition_model-weights_manifest.json", "face_recognition_model.bin"
    size = 150

    def forward(self, faces: Image) -> Tensor:
        """Give the vectors."""
        x = self._seen(faces)
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

    manifest, numbers = "face_landmark_68_model-weights_manifest.json", "face_landmark_68_model.bin"
    size = 112

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
        x = self._seen(faces)
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
