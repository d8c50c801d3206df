"""DeepFaceLab's SAEHD networks stated once more: blue first, channels last, weights by their own names, double precision.

Written from the description of the formats alone, so that our parts can be held against it where there are no pictures that
DeepFaceLab made. `folder` writes a model as DeepFaceLab saves one: pickled dicts of arrays.
"""

import pickle
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

Weights = dict[str, dict[str, np.ndarray]]
OPTIONS = ["".join(some) for count in range(5) for some in combinations("udtc", count)]
ARCHIS = [kind + (f"-{options}" if options else "") for kind in ("df", "liae") for options in OPTIONS]


def weights(archi: str, resolution: int, *, e=4, a=8, d=4, m=2, seed=0, scale=1.0) -> Weights:
    """Draw the weights of a model."""
    rng = np.random.default_rng(seed)
    kind, _, options = archi.partition("-")
    deep, halved = "t" in options, "d" in options

    def conv(name, size, narrow, wide):
        return {
            f"{name}/weight:0": rng.normal(0, scale / np.sqrt(size * size * narrow), (size, size, narrow, wide)),
            f"{name}/bias:0": rng.normal(0, 0.1 * scale, wide),
        }

    def dense(name, narrow, wide):
        return {
            f"{name}/weight:0": rng.normal(0, scale / np.sqrt(narrow), (narrow, wide)),
            f"{name}/bias:0": rng.normal(0, 0.1 * scale, wide),
        }

    def residual(name, width):
        return conv(f"{name}/conv1", 3, width, width) | conv(f"{name}/conv2", 3, width, width)

    if deep:
        widths = [3, e, 2 * e, 4 * e, 8 * e, 8 * e]
        encoder = {}
        for i in range(5):
            encoder |= conv(f"down{i + 1}/conv1", 5, widths[i], widths[i + 1])
        encoder |= residual("res1", e) | residual("res5", 8 * e)
    else:
        widths = [3, e, 2 * e, 4 * e, 8 * e]
        encoder = {}
        for i in range(4):
            encoder |= conv(f"down1/downs_{i}/conv1", 5, widths[i], widths[i + 1])
    flat = 8 * e * (resolution // (32 if deep else 16)) ** 2
    lowest = resolution // (32 if halved else 16)

    def inter(out):
        found = dense("dense1", flat, a) | dense("dense2", a, lowest * lowest * out)
        return found if deep else found | conv("upscale1/conv1", 3, out, 4 * out)

    def decoder(narrow):
        times = [8, 8, 4, 2] if deep else [8, 4, 2]
        found = {}
        for letter, width, more in (("", d, []), ("m", m, [1] if halved else [])):
            channels = narrow
            for i, factor in enumerate(times + more):
                found |= conv(f"upscale{letter}{i}/conv1", 3, channels, 4 * factor * width)
                channels = factor * width
                if not letter:
                    found |= residual(f"res{i}", channels)
            if letter:
                found |= conv("out_convm", 1, channels, 1)
        found |= conv("out_conv", 1, 2 * d, 3)
        for i in (1, 2, 3) if halved else ():
            found |= conv(f"out_conv{i}", 3, 2 * d, 3)
        return found

    if kind == "df":
        files = {"encoder": encoder, "inter": inter(a), "decoder_src": decoder(a), "decoder_dst": decoder(a)}
    else:
        files = {
            "encoder": encoder,
            "inter_AB": inter(2 * a),
            "inter_B": inter(2 * a),
            "decoder": decoder(4 * a),
        }
    return {file: {name: array.astype(np.float32) for name, array in named.items()} for file, named in files.items()}


def folder(
    path: Path,
    files: Weights,
    *,
    prefix: str = "new_SAEHD_",
    archi: str | None = None,
    resolution: int = 64,
    facts: dict[str, Any] | None = None,
) -> Path:
    """Write a model as DeepFaceLab does; with `archi`, also its data.dat."""
    path.mkdir(parents=True, exist_ok=True)
    for file, named in files.items():
        (path / f"{prefix}{file}.npy").write_bytes(pickle.dumps(named, 4))
    if archi is not None:
        options = {"resolution": np.int64(resolution), "archi": archi, "face_type": "wf", "lr_dropout": "n"}
        history = [[np.float64(0.5), 0.25], [0.4, 0.2]]
        preview = [[np.zeros((2, 8, 8, 3), np.float32)], [np.ones((2, 8, 8, 3), np.float32)]]
        said = {"iter": 2, "options": options, "loss_history": history, "sample_for_preview": preview}
        (path / f"{prefix}data.dat").write_bytes(pickle.dumps(said | (facts or {}), 4))
    return path


def run(archi: str, files: Weights, image: np.ndarray, who: str) -> tuple[np.ndarray, np.ndarray]:
    """Give picture (b, R, R, 3), blue first, and mask (b, R, R, 1) of "src" or "dst" for pictures of the same kind."""
    kind, _, options = archi.partition("-")
    deep, halved, cosine = "t" in options, "d" in options, "c" in options

    def act(x, slope):
        return x * torch.cos(x) if cosine else torch.where(x > 0, x, slope * x)

    def conv(x, named, name, stride=1):
        kernel = torch.from_numpy(named[f"{name}/weight:0"]).double().permute(3, 2, 0, 1)
        bias = torch.from_numpy(named[f"{name}/bias:0"]).double()
        x = F.pad(x, [kernel.shape[-1] // 2] * 4)
        return F.conv2d(x, kernel, stride=stride) + bias[:, None, None]

    def dense(x, named, name):
        weight, bias = (torch.from_numpy(named[f"{name}/{one}:0"]).double() for one in ("weight", "bias"))
        return x @ weight + bias

    def to_space(x):
        b, c, h, w = x.shape
        return x.view(b, 2, 2, c // 4, h, w).permute(0, 3, 4, 1, 5, 2).reshape(b, c // 4, 2 * h, 2 * w)

    def upscale(x, named, name):
        return to_space(act(conv(x, named, f"{name}/conv1"), 0.1))

    def residual(x, named, name):
        inner = act(conv(x, named, f"{name}/conv1"), 0.2)
        return act(x + conv(inner, named, f"{name}/conv2"), 0.2)

    x, encoder = torch.from_numpy(image).double().permute(0, 3, 1, 2), files["encoder"]
    for i in range(5 if deep else 4):
        x = act(conv(x, encoder, f"down{i + 1}/conv1" if deep else f"down1/downs_{i}/conv1", stride=2), 0.1)
        if deep and i in (0, 4):
            x = residual(x, encoder, f"res{i + 1}")
    code = x.reshape(len(x), -1)
    if "u" in options:
        code = code / torch.sqrt((code**2).mean(1, keepdim=True) + 1e-6)
    lowest = image.shape[1] // (32 if halved else 16)

    def inter(named):
        places = dense(dense(code, named, "dense1"), named, "dense2").reshape(len(code), -1, lowest, lowest)
        return places if deep else upscale(places, named, "upscale1")

    if kind == "df":
        features, decoder = inter(files["inter"]), files[f"decoder_{who}"]
    else:
        first = inter(files["inter_AB" if who == "src" else "inter_B"])
        features, decoder = torch.cat([first, inter(files["inter_AB"])], 1), files["decoder"]
    x = features
    for i in range(4 if deep else 3):
        x = residual(upscale(x, decoder, f"upscale{i}"), decoder, f"res{i}")
    if halved:
        x = to_space(
            torch.cat([conv(x, decoder, name) for name in ("out_conv", "out_conv1", "out_conv2", "out_conv3")], 1)
        )
    else:
        x = conv(x, decoder, "out_conv")
    mask = features
    for i in range(3 + deep + halved):
        mask = upscale(mask, decoder, f"upscalem{i}")
    mask = conv(mask, decoder, "out_convm")
    return tuple(torch.sigmoid(one).permute(0, 2, 3, 1).numpy() for one in (x, mask))
