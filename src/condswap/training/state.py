"""The state of a run as one file: tensors and a few numbers in safetensors, written whole or not at all."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_tensors
from torch import Tensor
from torch.optim import Optimizer

from condswap.errors import ConfigError, DataError, ShapeError
from condswap.files import write_atomically

FORMAT = 1
FILE = "state.safetensors"


def write(folder: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write a state.

    Raises:
        DataError: the disk refuses; the state that was there before stays.
    """
    text = json.dumps({"format": FORMAT, **facts}, allow_nan=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder} cannot be made: {error.strerror}; give the path of a folder") from error
    data = save_tensors({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, {"condswap": text})
    write_atomically(folder / FILE, data)


def read(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a state.

    Raises:
        DataError: it is not there, is cut off, or is none of ours.
        ConfigError: it is newer than this library.
    """
    path = folder / FILE
    if not path.is_file():
        raise DataError(f"there is no {FILE} in {folder}; give the folder that trainer.save(...) wrote")
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {}).get("condswap", "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError, RecursionError, OSError) as error:
        raise DataError(f"{path} is not a whole state ({error}); go on from another state, or start the run anew") from error
    if not isinstance(facts, dict) or not isinstance(facts.get("format"), int):
        raise DataError(f"{path} is not the state of a run of condswap; was it written by another program?")
    if facts["format"] > FORMAT:
        raise ConfigError(f"{path} has format {facts['format']} and this condswap reads up to {FORMAT}; update condswap")
    return tensors, facts


def check(tensors: Mapping[str, Tensor], own: Mapping[str, Tensor], folder: Path) -> None:
    """Check that a state has the tensors that the trainer has, before any of them is taken.

    Raises:
        DataError: some are missing or in excess.
        ShapeError: one has another shape.
    """
    differing = sorted(set(tensors) ^ set(own))
    if differing:
        raise DataError(f"{folder / FILE} does not belong to this trainer: {', '.join(differing[:3])} is in one of them only")
    for name, tensor in own.items():
        if tensors[name].shape != tensor.shape:
            raise ShapeError(
                f"{folder / FILE}: {name} is {tuple(tensors[name].shape)} and this trainer's is {tuple(tensor.shape)}"
            )


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """Name the tensors that an optimizer keeps, "3.exp_avg" for its fourth weight."""
    kept = optimizer.state_dict()["state"]
    return {f"{index}.{key}": value for index, entry in kept.items() for key, value in entry.items()}


def restore_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give an optimizer the tensors that `optimizer_tensors` named."""
    kept: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        kept.setdefault(int(index), {})[key] = tensor.clone()
    optimizer.load_state_dict({"state": kept, "param_groups": optimizer.state_dict()["param_groups"]})
