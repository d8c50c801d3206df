"""Where to train, and how weights lie there."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from condswap.errors import ConfigError
from condswap.training.distributed import launched, local_rank


def choose_device(device: str | torch.device | None) -> torch.device:
    """Choose the device, and refuse one that is not there.

    Args:
        device: None takes CUDA, MPS or the CPU, whichever there is; "cuda" is the GPU of this process's own, where several
            train together.

    Raises:
        ConfigError: it is not there, or is no device at all.

    Example:
        >>> choose_device("cpu")
        device(type='cpu')
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if device is None:
        device = "cuda" if cuda else "mps" if mps else "cpu"
    if device == "cuda" and launched() > 1:
        device = f"cuda:{local_rank()}"
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ConfigError(f"device is {device!r}; give 'cpu', 'cuda', 'cuda:1', 'mps', or None") from error
    if chosen.type == "meta":
        raise ConfigError(
            "device is 'meta', on which nothing is computed; give 'cpu', 'cuda', 'cuda:1', 'mps', or None"
        )
    count = {"cuda": torch.cuda.device_count() if cuda else 0, "mps": int(mps)}.get(chosen.type, 1)
    if (chosen.index or 0) >= count:
        raise ConfigError(f"there is no {chosen} here; leave `device` out to take what there is, or give 'cpu'")
    return chosen


@contextmanager
def channels_last(model: nn.Module) -> Iterator[None]:
    """Lay weights out in memory as convolutions are faster with; afterwards they lie as those of a model that was loaded.

    Example:
        >>> convolution = nn.Conv2d(3, 8, 3)
        >>> with channels_last(convolution):
        ...     convolution.weight.stride()
        (27, 1, 9, 3)
        >>> convolution.weight.stride()
        (27, 9, 3, 1)
    """
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    try:
        yield
    finally:
        model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
