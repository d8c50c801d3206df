"""The doorway to many processes: the one file that knows torch.distributed. So far training runs in one process."""

import os

import torch.distributed

from condswap.errors import ConfigError


def rank() -> int:
    """Give the number of this process, 0 where there is one.

    Raises:
        ConfigError: there are several, which training cannot use yet.
    """
    count = 1
    if torch.distributed.is_available():
        if torch.distributed.is_initialized():
            count = torch.distributed.get_world_size()
        elif torch.distributed.is_torchelastic_launched():  # each process would train, and save, the whole run
            count = int(os.environ.get("WORLD_SIZE", "1"))
    if count > 1:
        raise ConfigError(f"training runs in one process so far, and there are {count}; start it without torchrun")
    return 0
