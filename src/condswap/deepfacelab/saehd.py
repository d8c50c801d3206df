"""Opening a SAEHD model: its files are read, held against the network that they should be, and put into ours."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from condswap.assembly import default_discriminator
from condswap.cgan import CGAN
from condswap.deepfacelab.archi import Archi
from condswap.deepfacelab.folder import ModelFolder, find_model
from condswap.deepfacelab.layers import BIAS, WEIGHT, Layer, layers, ours, their_shapes
from condswap.errors import ConfigError, DataError, ShapeError
from condswap.safe_pickle import Array
from condswap.templates import TEMPLATES

_Weights = Mapping[str, Mapping[str, Array]]
_CROPS = {"h": "dfl_half_face", "mf": "dfl_midfull_face", "f": "dfl_full_face", "wf": "dfl_whole_face"}
_MOST_NAMED = 200  # more than any network's file has weights


def load_saehd(
    folder: str | Path,
    *,
    archi: str | None = None,
    resolution: int | None = None,
    name: str | None = None,
    classes: Sequence[str] = ("src", "dst"),
) -> CGAN:
    """Open a model that was trained in DeepFaceLab.

    Nothing is unpickled: the files are read as data, and whatever else they ask for is refused. `model(image, "src")` is what
    DeepFaceLab merges, `model(image, "dst")` what it reconstructs of its dst, both RGB. The model can be trained on, saved
    and exported like any other; its discriminator is a new one.

    Args:
        folder: with the files NAME_SAEHD_encoder.npy and so on, and NAME_SAEHD_data.dat.
        archi: the architecture, such as "liae-ud"; None reads it from data.dat.
        resolution: the side of the pictures in pixels; None reads it from data.dat, or else tells it by the weights.
        name: of the model, where there are several in the folder.
        classes: what the two people are to be called, src first.

    Raises:
        DataError: a file is missing, broken or hostile, or weights are missing or too many: each is named.
        ShapeError: weights have other shapes than the network: each is named; or the network has no such resolution.
        ConfigError: the architecture is not known, or two names are not given.

    Example:
        >>> model = load_saehd("workspace/model")  # doctest: +SKIP
        >>> merged = model(frames, "src")  # doctest: +SKIP
    """
    if isinstance(classes, str) or len(classes) != 2:
        raise ConfigError(f"a SAEHD model has two people, src and dst; give two names, not {classes!r}")
    found = find_model(Path(folder).expanduser(), name)
    facts = found.facts() if archi is None or resolution is None else {}
    options = facts.get("options", {})
    network = _network(found, archi, options)
    wanted = layers(network)
    files = {file: found.weights(file) for file in network.files}
    _check_names(found, network, files, wanted)
    sizes = _sizes(network, files, wanted)
    side = options.get("resolution") if resolution is None else resolution
    if side is None:
        side = _side(found, network, files, sizes["e"])
    with torch.device("meta"):  # a file can state more than there is room for
        encoder, bottleneck, decoder = network.build(network.check_resolution(side), **sizes)
    parts = {"encoder": encoder, "bottleneck": bottleneck, "decoder": decoder}
    state = {f"{role}.{key}": weight for role, part in parts.items() for key, weight in part.state_dict().items()}
    _check_shapes(found, f"{network} of {side} pixels", files, wanted, state)
    discriminator = default_discriminator(decoder.out_shape, num_classes=2)
    model = CGAN(encoder, bottleneck, decoder, discriminator, classes=classes, masked_input=False)
    model.generator.load_state_dict(_state(found, files, wanted), assign=True)
    model.history = _history(network, facts)
    model.template = TEMPLATES.get(_CROPS.get(str(options.get("face_type")), ""))
    return model.eval()


def _network(found: ModelFolder, archi: str | None, options: Mapping[str, Any]) -> Archi:
    """Read what network it is, as given or as data.dat has it."""
    if archi is None and "archi" not in options:
        raise DataError(
            f"there is no {found.file('data.dat').name} in {found.path} that tells the architecture, and the weights do not "
            'tell all of it; give it, such as archi="liae-ud"'
        )
    network = Archi.read(options["archi"] if archi is None else archi)
    other = Archi.read("df" if network.liae else "liae")
    if not found.file(f"{network.files[1]}.npy").exists() and found.file(f"{other.files[1]}.npy").exists():
        raise DataError(
            f"{found.path} has {' and '.join(other.files[1:])}, which are of {other}, and the architecture is {network}; "
            "give the one that was trained"
        )
    return network


def _check_names(found: ModelFolder, network: Archi, files: _Weights, wanted: Sequence[Layer]) -> None:
    """Refuse files that lack a weight of the network, or have one more."""
    needed: dict[str, set[str]] = {file: set() for file in network.files}
    for layer in wanted:
        needed[layer.file] |= {f"{layer.theirs}/{WEIGHT}", f"{layer.theirs}/{BIAS}"}
    faults = []
    for file, names in needed.items():
        path = found.file(f"{file}.npy").name
        for what, which in (("lacks", names - set(files[file])), ("has, unknown to it,", set(files[file]) - names)):
            if which:
                more = f" and {len(which) - _MOST_NAMED} more" if len(which) > _MOST_NAMED else ""
                faults.append(f"{path} {what} {', '.join(map(_quoted, sorted(which)[:_MOST_NAMED]))}{more}")
    if faults:
        deep = f"down5/conv1/{WEIGHT}" in files["encoder"]
        interleaved = f"out_conv1/{WEIGHT}" in files[network.files[-1]]
        cure = "a file is of another model, or was cut off"
        if (deep, interleaved) != (network.deep, network.interleaved):
            looks = replace(network, deep=deep, interleaved=interleaved)
            cure = f"the weights look like those of {looks}: is that the architecture?"
        raise DataError(f"the weights in {found.path} are not those of {network}: {'; '.join(faults)}; {cure}")


def _sizes(network: Archi, files: _Weights, wanted: Sequence[Layer]) -> dict[str, int]:
    """Tell DeepFaceLab's four numbers from the shapes: what most of the weights that show a number say it is."""
    first, second = (layer.theirs for layer in wanted[:2])
    inter, decoder = network.files[1], network.files[-1]
    last = 3 if network.deep else 2
    mask, channels = (f"upscalem{last + 1}", 4) if network.interleaved else (f"upscalem{last}", 8)
    seen = {  # file, weight, axis of its shape, what one of the number makes there
        "e": [("encoder", f"{first}/{WEIGHT}", 3, 1), ("encoder", f"{first}/{BIAS}", 0, 1)],
        "a": [(inter, f"dense1/{WEIGHT}", 1, 1), (inter, f"dense1/{BIAS}", 0, 1), (inter, f"dense2/{WEIGHT}", 0, 1)],
        "d": [(decoder, f"res{last}/conv{one}/{BIAS}", 0, 2) for one in (1, 2)],
        "m": [(decoder, f"{mask}/conv1/{WEIGHT}", 3, channels), (decoder, f"{mask}/conv1/{BIAS}", 0, channels)],
    }
    seen["e"].append(("encoder", f"{second}/{WEIGHT}", 2, 1))
    seen["d"].append((decoder, f"out_conv/{WEIGHT}", 2, 2))
    seen["m"].append((decoder, f"out_convm/{WEIGHT}", 2, channels // 4))
    sizes = {}
    for number, places in seen.items():
        told = []
        for file, weight, axis, times in places:
            shape = files[file][weight].shape
            told.append(shape[axis] // times if axis < len(shape) else 0)
        sizes[number] = max(told, key=lambda one: (told.count(one), one))
    return sizes


def _side(found: ModelFolder, network: Archi, files: _Weights, e: int) -> int:
    """Tell the side of the pictures from the first linear layer, which has a row for each number of the code."""
    file, name = network.files[1], f"dense1/{WEIGHT}"
    shape = files[file][name].shape
    side = math.isqrt(shape[0] // (8 * e)) if shape and e else 0
    if not side or shape[0] != 8 * e * side**2:
        raise ShapeError(
            f"{found.file(file).name}.npy {name!r} is {shape}, which fits no square picture behind an encoder of width {e}; "
            "are all files of one model? Or give the resolution"
        )
    return side << network.halvings


def _check_shapes(
    found: ModelFolder, told: str, files: _Weights, wanted: Sequence[Layer], state: Mapping[str, Tensor]
) -> None:
    """Refuse weights that are no numbers of the kind that weights are, or of another shape than in the state."""
    faults = []
    for layer in wanted:
        for which, needed in their_shapes(layer, state).items():
            array = files[layer.file][f"{layer.theirs}/{which}"]
            if array.shape != needed or array.kind not in ("f2", "f4", "f8"):
                name = f"{found.file(layer.file).name}.npy {_quoted(f'{layer.theirs}/{which}')}"
                faults.append(f"{name} is {array.kind} {array.shape} and not f4 {needed}")
    if faults:
        raise ShapeError(
            f"the weights in {found.path} do not fit {told}: {'; '.join(faults)}; is the resolution right, and are all files "
            "of one model?"
        )


def _state(found: ModelFolder, files: dict[str, dict[str, Array]], wanted: Sequence[Layer]) -> dict[str, Tensor]:
    """Turn all weights into ours; the files are used up."""
    state: dict[str, Tensor] = {}
    broken = []
    for layer in wanted:
        names = [f"{layer.theirs}/{which}" for which in (WEIGHT, BIAS)]
        weight, bias = (files[layer.file].pop(name).tensor().float() for name in names)
        for name, tensor in zip(names, (weight, bias), strict=True):
            if not bool(tensor.isfinite().all()):
                broken.append(f"{found.file(layer.file).name}.npy {_quoted(name)}")
        state.update(ours(layer, weight, bias))
    if broken:
        raise DataError(
            f"weights in {found.path} are infinite or no numbers: {', '.join(broken)}; the training had broken down: take an "
            "earlier state from the folder's ..._autobackups"
        )
    return state


def _history(network: Archi, facts: Mapping[str, Any]) -> dict[str, str | int | float]:
    """Say on the model card where the model is from."""
    history: dict[str, str | int | float] = {"imported from": f"DeepFaceLab SAEHD {network}"}
    steps, face_type = facts.get("iter"), facts.get("options", {}).get("face_type")
    if isinstance(steps, int):
        history["steps in DeepFaceLab"] = steps
    if isinstance(face_type, str) and len(face_type) < 20:
        history["face type"] = face_type
    return history


def _quoted(name: str) -> str:
    return repr(name if len(name) <= 80 else name[:77] + "...")
