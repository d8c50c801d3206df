"""The trainer's one hook."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from condswap.errors import ConfigError

if TYPE_CHECKING:
    from condswap.training.trainer import Trainer

Hook: TypeAlias = Callable[["Trainer"], None]


def every(steps: int, call: Hook) -> Hook:
    """Make a hook that acts after every so many steps.

    Args:
        steps: from 1 up.
        call: gets the trainer.

    Raises:
        ConfigError: the number is below 1.

    Example:
        >>> hook = every(100, lambda trainer: trainer.save("run/state"))
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ConfigError(f"every({steps!r}, ...) would never come; give a whole number of steps from 1 up")

    def hook(trainer: Trainer) -> None:
        if trainer.step % steps == 0:
            call(trainer)

    return hook
