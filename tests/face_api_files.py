"""The files of the npm package @vladmandic/face-api in miniature: the right names and shapes, weights of our own."""

import json
from pathlib import Path

import torch

_RANDOM = torch.Generator().manual_seed(5)


def write_network(folder: Path, name: str, shapes: dict[str, tuple[int, ...]], values: dict[str, torch.Tensor]) -> None:
    """Write weights of eight bits, random ones where none are given."""
    weights, raw = [], b""
    for key, shape in shapes.items():
        value = values.get(key, 0.1 * torch.randn(shape, generator=_RANDOM)).expand(shape)
        low = float(value.min())
        scale = max(float(value.max()) - low, 1e-12) / 255
        raw += bytes(((value - low) / scale).round().to(torch.uint8).flatten().tolist())
        packed = {"dtype": "uint8", "scale": scale, "min": low}
        weights.append({"name": key, "shape": list(shape), "dtype": "float32", "quantization": packed})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.bin").write_bytes(raw)
    manifest = [{"weights": weights, "paths": [f"{name}.bin"]}]
    (folder / f"{name}-weights_manifest.json").write_text(json.dumps(manifest), "utf-8")


def recognition_shapes() -> dict[str, tuple[int, ...]]:
    """The weights of dlib's network: filters are (h, w, in, out)."""
    shapes = {}

    def convolution(name, side, taken, given):
        shapes[f"{name}/conv/filters"] = (side, side, taken, given)
        for part in ("conv/bias", "scale/weights", "scale/biases"):
            shapes[f"{name}/{part}"] = (given,)

    convolution("conv32_down", 7, 3, 32)
    taken = 32
    for width, plain in ((32, 3), (64, 3), (128, 2), (256, 2)):
        names = [f"conv{width}_down"] if width > 32 else []
        for name in [*names, *(f"conv{width}_{number}" for number in range(1, plain + 1))]:
            convolution(f"{name}/conv1", 3, taken, width)
            convolution(f"{name}/conv2", 3, width, width)
            taken = width
    convolution("conv256_down_out/conv1", 3, 256, 256)
    convolution("conv256_down_out/conv2", 3, 256, 256)
    return {**shapes, "fc": (256, 128)}


def landmark_shapes() -> dict[str, tuple[int, ...]]:
    """The weights of the network of 68 points."""
    shapes: dict[str, tuple[int, ...]] = {}
    taken = 3
    for number, given in enumerate((32, 64, 128, 256)):
        for place in range(4):
            name = f"dense{number}/conv{place}"
            if (number, place) == (0, 0):
                shapes |= {f"{name}/filters": (3, 3, 3, given), f"{name}/bias": (given,)}
            else:
                shapes |= {
                    f"{name}/depthwise_filter": (3, 3, taken, 1),
                    f"{name}/pointwise_filter": (1, 1, taken, given),
                    f"{name}/bias": (given,),
                }
            taken = given
    return {**shapes, "fc/weights": (256, 136), "fc/bias": (136,)}


def write_face_api(folder: Path, **values: torch.Tensor) -> Path:
    """Write both networks, and give the folder."""
    write_network(folder, "face_recognition_model", recognition_shapes(), values)
    write_network(folder, "face_landmark_68_model", landmark_shapes(), values)
    return folder
