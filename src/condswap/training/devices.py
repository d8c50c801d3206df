"""Where to train."""

import torch

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
    count = {"cuda": torch.cuda.device_count() if cuda else 0, "mps": int(mps)}.get(chosen.type, 1)
    if (chosen.index or 0) >= count:
        raise ConfigError(f"there is no {chosen} here; leave `device` out to take what there is, or give 'cpu'")
    return chosen
