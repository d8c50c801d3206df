"""Steps that are compiled for the shapes that they meet."""

import shutil
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

from condswap.errors import ConfigError

Given = ParamSpec("Given")
Made = TypeVar("Made")


def compiler(wanted: bool, device: torch.device) -> Callable[[Callable[Given, Made]], Callable[Given, Made]]:
    """Give what compiles a step, or leaves it as it is.

    Args:
        wanted: whether to compile. The first call of a step then takes a minute or two; another one comes where something
            changes in it, such as the discriminator that begins to take part.
        device: that the step runs on.

    Raises:
        ConfigError: there is nothing to compile with.

    Example:
        >>> compiler(False, torch.device("cpu"))(abs) is abs
        True
    """
    if not wanted:
        return lambda step: step
    if device.type == "mps" or not any(map(shutil.which, ("c++", "g++", "clang++", "cl"))):
        raise ConfigError(
            f"TrainerConfig.compile needs a C++ compiler, and a CPU or CUDA to compile for, and this is {device.type}; "
            "install g++, or leave it at False"
        )
    return lambda step: torch.compile(step, dynamic=False)
