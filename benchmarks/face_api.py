"""Two networks to guide a training with, which gradients flow through: who is seen, and where 68 points of the face are.

They are read from the weights of the npm package @vladmandic/face-api (MIT), numbers in plain files:

    npm pack @vladmandic/face-api && tar xzf vladmandic-face-api-*.tgz     # FOLDER is package/model

The first is the network of dlib (a ResNet of 29 layers, its weights in the public domain), 128 numbers a face.
"""

import json
import math
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_MEAN = (122.782, 117.001, 104.298)  # of the channels, in 255ths, which both take off
_KINDS = {"uint8": torch.uint8, "uint16": torch.uint16, "float32": torch.float32}
_BOX = (
    0.15,
    0.95,
    0.10,
    0.90,
)  # top, bottom, left and right of an aligned face: what tells people apart best and follows mouths


class _Network(nn.Module):
    """Keeps the weights of one network as buffers, and cuts faces as it takes them."""

    mean: Tensor

    def __init__(self, folder, name, *, size):
        super().__init__()
        self.size = size
        self.weights = _read(Path(folder), name)
        self.register_buffer("mean", torch.tensor(_MEAN).reshape(3, 1, 1))

    def _apply(self, fn, recurse=True):
        self.weights = {name: fn(weight) for name, weight in self.weights.items()}
        return super()._apply(fn, recurse)

    def cut(self, faces, *, deviation):
        height, width = faces.shape[2:]
        top, bottom, left, right = (
            round(share * side) for share, side in zip(_BOX, (height, height, width, width), strict=True)
        )
        box = F.interpolate(faces[..., top:bottom, left:right], size=self.size, mode="bilinear", antialias=True)
        return (255 * box - self.mean) / deviation


class FaceApiIdentity(_Network):
    """Who is seen: aligned faces (b, 3, h, w) to vectors (b, 128)."""

    def __init__(self, folder):
        super().__init__(folder, "face_recognition_model", size=(150, 150))

    def forward(self, faces):
        """Give the vectors."""
        x = F.max_pool2d(self._conv(self.cut(faces, deviation=256), "conv32_down", stride=2, padding=0), 3, 2)
        for width, plain in ((32, 3), (64, 3), (128, 2), (256, 2)):
            x = self._halved(x, f"conv{width}_down") if width > 32 else x
            for number in range(1, plain + 1):
                x = F.relu(self._pair(x, f"conv{width}_{number}") + x)
        return self._halved(x, "conv256_down_out").mean((2, 3)) @ self.weights["fc"]

    def _conv(self, x, name, *, stride=1, padding=1, relu=True):
        own = {
            key: self.weights[f"{name}/{key}"] for key in ("conv/filters", "conv/bias", "scale/weights", "scale/biases")
        }
        x = F.conv2d(x, own["conv/filters"], own["conv/bias"], stride, padding)
        x = x * own["scale/weights"].reshape(-1, 1, 1) + own["scale/biases"].reshape(-1, 1, 1)
        return F.relu(x) if relu else x

    def _pair(self, x, name, *, stride=1, padding=1):
        return self._conv(self._conv(x, f"{name}/conv1", stride=stride, padding=padding), f"{name}/conv2", relu=False)

    def _halved(self, x, name):
        """Halve the sides; the shortcut is an average, with as many channels of nothing as are missing."""
        found, short = self._pair(x, name, stride=2, padding=0), F.avg_pool2d(x, 2, 2)
        side = max(found.shape[2], short.shape[2])
        found = F.pad(found, (0, side - found.shape[3], 0, side - found.shape[2]))
        short = F.pad(short, (0, side - short.shape[3], 0, side - short.shape[2], 0, found.shape[1] - short.shape[1]))
        return F.relu(found + short)


class FaceApiPoints(_Network):
    """Where the face is: aligned faces (b, 3, h, w) to 68 points (b, 68, 2), as shares of the box that is looked at."""

    def __init__(self, folder):
        super().__init__(folder, "face_landmark_68_model", size=(112, 112))

    def forward(self, faces):
        """Give the points, x and y."""
        x = self.cut(faces, deviation=255)
        for number in range(4):
            x = self._dense(x, f"dense{number}", first=number == 0)
        flat = F.avg_pool2d(x, 7, 2).permute(0, 2, 3, 1).flatten(1)
        return (flat @ self.weights["fc/weights"] + self.weights["fc/bias"]).reshape(-1, 68, 2)

    def _dense(self, x, name, *, first):
        if first:
            filters, bias = self.weights[f"{name}/conv0/filters"], self.weights[f"{name}/conv0/bias"]
            x = F.relu(F.conv2d(_padded(x, stride=2), filters, bias, 2))
        else:
            x = F.relu(self._separable(x, f"{name}/conv0", stride=2))
        total = x
        for number in (1, 2, 3):
            x = self._separable(F.relu(total) if number > 1 else x, f"{name}/conv{number}", stride=1)
            total = total + x
        return F.relu(total)

    def _separable(self, x, name, *, stride):
        depth = self.weights[f"{name}/depthwise_filter"].transpose(0, 1)
        x = F.conv2d(_padded(x, stride=stride), depth, None, stride, 0, 1, x.shape[1])
        return F.conv2d(x, self.weights[f"{name}/pointwise_filter"], self.weights[f"{name}/bias"])


def mouth_and_turn(points):
    """Give the gap between the lips, and how far the nose is off the middle of the cheeks, over their distance."""
    left, right = points[:, 2, 0], points[:, 14, 0]
    return {
        "mouth": (points[:, [67, 66, 65], 1] - points[:, [61, 62, 63], 1]).mean(1),
        "turn": (points[:, 30, 0] - (left + right) / 2) / (right - left).detach().clamp_min(0.1),
    }


def _padded(x, *, stride):
    """Pad for a 3x3 convolution as TensorFlow's "same" does: what is odd goes to the end."""
    total = max((math.ceil(x.shape[2] / stride) - 1) * stride + 3 - x.shape[2], 0)
    return F.pad(x, (total // 2, total - total // 2) * 2)


def _read(folder, name):
    """Read the weights of a network: {name: tensor}, filters as (out, in, h, w)."""
    [part] = json.loads((folder / f"{name}-weights_manifest.json").read_text("utf-8"))
    raw, at, weights = bytearray((folder / part["paths"][0]).read_bytes()), 0, {}
    for one in part["weights"]:
        packed = one.get("quantization", {"dtype": "float32", "scale": 1.0, "min": 0.0})
        kind, count = _KINDS[packed["dtype"]], math.prod(one["shape"])
        values = torch.frombuffer(raw, dtype=kind, count=count, offset=at).float() * packed["scale"] + packed["min"]
        at += count * kind.itemsize
        values = values.reshape(one["shape"])
        weights[one["name"]] = values.permute(3, 2, 0, 1).contiguous() if values.ndim == 4 else values
    return weights
