"""The state of a run as one file: tensors and a few numbers in safetensors, written whole or not at all."""

import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_tensors
from torch import Tensor, nn
from torch.optim import Optimizer

from condswap.errors import ConfigError, DataError, ShapeError
from condswap.files import make_folder, write_atomically
from condswap.training.earlier import FILE, earlier, has_state, set_aside

FORMAT = 1
_ADAM = ("step", "exp_avg", "exp_avg_sq")  # what Adam keeps for each weight


def write(folder: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write a state, with a checksum, and keep those of before as `set_aside` does.

    Raises:
        DataError: the disk refuses; the state that was there before stays.
    """
    text = json.dumps({"format": FORMAT, **facts}, allow_nan=False)
    make_folder(folder)
    # Copies, because weights that a part has under two names are one tensor, which safetensors refuses.
    copies = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    data = save_tensors(copies, {"condswap": text, "sha256": checksum(copies, text)})
    with set_aside(folder):
        write_atomically(folder / FILE, data)


def checksum(tensors: Mapping[str, Tensor], text: str) -> str:
    """Give the SHA-256 of facts and tensors, names, kinds and shapes included."""
    found = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        found.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()


def read(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any], Path]:
    """Read the newest whole state of a folder, and give its file, too.

    Where the newest cannot be read and an earlier one can, a warning says so.

    Raises:
        DataError: none is there, or none is whole and ours.
        ConfigError: it is newer than this library.
    """
    if not has_state(folder):
        raise DataError(f"there is no {FILE} in {folder}; give the folder that trainer.save(...) wrote")
    older, broken = earlier(folder), []
    for path in (folder / FILE, *older):
        try:
            tensors, facts = _read(path)
        except DataError as error:
            broken.append(str(error))
            continue
        if broken:
            warnings.warn(f"{'; '.join(broken)}. Going on from {path}, step {facts['step']}", stacklevel=3)
        return tensors, facts, path
    raise DataError(broken[0] + (f"; nor can the {len(older)} earlier ones be read" if older else ""))


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read one file."""
    if not path.is_file():
        raise DataError(f"{path} is not there")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            text = metadata.get("condswap", "null")
            facts = json.loads(text)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError, RecursionError, OSError) as error:
        raise DataError(
            f"{path} is not a whole state ({error}); go on from another state, or start the run anew"
        ) from error
    if not isinstance(facts, dict) or not isinstance(facts.get("format"), int):
        raise DataError(f"{path} is not the state of a run of condswap; was it written by another program?")
    if facts["format"] > FORMAT:
        raise ConfigError(
            f"{path} has format {facts['format']} and this condswap reads up to {FORMAT}; update condswap"
        )
    if metadata.get("sha256") != checksum(tensors, text):
        raise DataError(f"{path} is not what was written (its checksum differs); go on from another state")
    facts["sha256"] = metadata["sha256"]
    step = facts.get("step")
    if type(step) is not int or step < 0 or not isinstance(facts.get("config"), dict) or "model" not in facts:
        raise DataError(f"{path} lacks the step, the settings or the model of its run; was it edited?")
    if not isinstance(facts.get("watched"), list):
        raise DataError(f"{path} has no list of what was watched; was it edited?")
    return tensors, facts


def check_model(kept: Any, own: Mapping[str, Any], folder: Path) -> None:
    """Check that a state is that of this assembly.

    Raises:
        ConfigError: it is another one; the message says where they differ.
    """
    if kept == own:
        return
    told = "; ".join(_differences(kept, own)) if isinstance(kept, dict) else "described in another way"
    raise ConfigError(
        f"{folder} is the state of another model: it was {told}; assemble it as it was, with the same size, bottleneck and "
        "guides, or take another folder"
    )


def check(
    tensors: Mapping[str, Tensor],
    modules: Mapping[str, nn.Module | None],
    optimized: Mapping[str, nn.Module | None],
    path: Path,
) -> None:
    """Check that a state has the tensors that a trainer takes, before any of them is taken.

    Args:
        tensors: of the state.
        modules: by the name that their tensors begin with.
        optimized: the modules by the name of their optimizer.
        path: the file of the state.

    Raises:
        DataError: some are missing or in excess, or are of another kind.
        ShapeError: one has another shape.
    """
    wanted: dict[str, Tensor] = {}
    for name, module in modules.items():
        if module is not None:
            wanted |= {f"{name}/{key}": tensor for key, tensor in module.state_dict().items()}
    for name, module in optimized.items():
        kept = under(tensors, f"optimizer/{name}/")
        for index, weight in enumerate([] if module is None else module.parameters()):
            if any(f"{index}.{key}" in kept for key in _ADAM):  # a weight that never had a gradient has none of them
                for key in _ADAM:
                    wanted[f"optimizer/{name}/{index}.{key}"] = torch.zeros(()) if key == "step" else weight
    differing = sorted(set(tensors) ^ set(wanted))
    if differing:
        raise DataError(f"{path} does not belong to this trainer: {', '.join(differing[:3])} is in one of them only")
    for name, tensor in wanted.items():
        if tensors[name].shape != tensor.shape:
            raise ShapeError(
                f"{path}: {name} is {tuple(tensors[name].shape)} and this trainer's is {tuple(tensor.shape)}"
            )
        if tensors[name].dtype != tensor.dtype:
            raise DataError(f"{path}: {name} is {tensors[name].dtype} and this trainer's is {tensor.dtype}")


def gather(modules: Mapping[str, nn.Module | None], optimizers: Mapping[str, Optimizer]) -> dict[str, Tensor]:
    """Name every tensor of a run.

    Args:
        modules: by the name that their tensors are to begin with.
        optimizers: by their name.
    """
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        if module is not None:
            tensors |= {f"{name}/{key}": tensor for key, tensor in module.state_dict().items()}
    for name, optimizer in optimizers.items():
        tensors |= {f"optimizer/{name}/{key}": tensor for key, tensor in optimizer_tensors(optimizer).items()}
    return tensors


def restore(
    tensors: Mapping[str, Tensor], modules: Mapping[str, nn.Module | None], optimizers: Mapping[str, Optimizer]
) -> None:
    """Give modules and optimizers the tensors that `gather` named, once `check` has passed them."""
    for name, module in modules.items():
        if module is not None:
            module.load_state_dict(under(tensors, f"{name}/"))
    for name, optimizer in optimizers.items():
        restore_optimizer(optimizer, under(tensors, f"optimizer/{name}/"))


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Give the tensors whose names begin so, without that beginning."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """Name the tensors that an optimizer keeps, "3.exp_avg" for its fourth weight."""
    kept = optimizer.state_dict()["state"]
    return {f"{index}.{key}": value for index, entry in kept.items() for key, value in entry.items()}


def restore_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give an optimizer the tensors that `optimizer_tensors` named, laid out in memory as its weights are."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    kept: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        like = tensor if key == "step" else weights[int(index)]
        kept.setdefault(int(index), {})[key] = torch.empty_like(like, dtype=tensor.dtype).copy_(tensor)
    optimizer.load_state_dict({"state": kept, "param_groups": optimizer.state_dict()["param_groups"]})


def _differences(kept: Mapping[str, Any], own: Mapping[str, Any]) -> Iterator[str]:
    """Say where two configs differ, as "encoder.width 32, not 16"."""
    for key in sorted({*kept, *own}):
        old, new = kept.get(key), own.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from (f"{key}.{told}" for told in _differences(old, new))
        elif old != new:
            yield f"{key} {old!r}, not {new!r}"
