"""The doorway to many processes: the one file that knows torch.distributed. So far training runs in one process."""

import torch.distributed

from condswap.errors import ConfigError


def rank() -> int:
    """Give the number of this process, 0 where there is one.

    Raises:
        ConfigError: there are several, which training cannot use yet.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1:
        raise ConfigError(
            f"training runs in one process so far, and there are {torch.distributed.get_world_size()}; start it without torchrun"
        )
    return 0
