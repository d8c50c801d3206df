"""The doorway to many processes, which `torchrun` starts: the one file that knows torch.distributed."""

import atexit
import hashlib
import os
from collections.abc import Iterable, Sequence
from functools import partial

import torch
import torch.distributed
from torch import Tensor

from condswap.errors import ConfigError, TrainingError
from condswap.sharing import Share
from condswap.types import Batch


def launched() -> int:
    """Give the number of processes that train together, before or after they know of each other.

    Example:
        >>> launched()
        1
    """
    if torch.distributed.is_available():
        if torch.distributed.is_initialized():
            return torch.distributed.get_world_size()
        if torch.distributed.is_torchelastic_launched():
            return int(os.environ.get("WORLD_SIZE", "1"))
    return 1


def rank() -> int:
    """Give the number of this process, 0 for the one that writes and speaks.

    Example:
        >>> rank()
        0
    """
    if launched() == 1:
        return 0
    return torch.distributed.get_rank() if torch.distributed.is_initialized() else int(os.environ["RANK"])


def local_rank() -> int:
    """Give the number of this process on its machine, which is that of its GPU.

    Example:
        >>> local_rank()
        0
    """
    return int(os.environ.get("LOCAL_RANK", "0")) if launched() > 1 else 0


def join(device: torch.device) -> None:
    """Let the processes that `torchrun` started find each other: over NCCL on GPUs, else over Gloo.

    Where there is one process, or a group already, nothing happens.

    Args:
        device: of this process.

    Raises:
        TrainingError: they do not find each other.
    """
    if launched() == 1 or torch.distributed.is_initialized():
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    except (RuntimeError, ValueError) as error:
        raise TrainingError(f"the processes of this run do not find each other ({error}); start it anew") from error
    atexit.register(torch.distributed.destroy_process_group)


def share(count: int) -> Share | None:
    """Give the part of a batch of `count` pictures that this process takes; None for all of it.

    Raises:
        ConfigError: there are more processes than pictures.

    Example:
        >>> share(16) is None
        True
    """
    processes = launched()
    if processes == 1:
        return None
    if count < processes:
        raise ConfigError(
            f"a batch of {count} does not go round {processes} processes; give each a picture at least, or start fewer"
        )
    return Share(rank(), processes, count, add=add)


def part_of(batch: Batch, share: Share) -> Batch:
    """Give the part of a batch that is this process's own.

    Example:
        >>> batch = Batch(image=torch.rand(3, 3, 8, 8), mask=torch.ones(3, 1, 8, 8), label=torch.tensor([0, 1, 2]))
        >>> part_of(batch, Share(0, 2, 3, add=add))["label"]
        tensor([0, 2])
    """
    image, mask, label = (share.own(batch[key]) for key in ("image", "mask", "label"))
    return Batch(image=image, mask=mask, label=label)


def add(values: Tensor) -> Tensor:
    """Sum a tensor over all processes, in place, and give it back.

    Raises:
        TrainingError: another process was lost.
    """
    _ask(partial(torch.distributed.all_reduce, values))
    return values


def spread(tensors: Iterable[Tensor]) -> None:
    """Give all processes the tensors of the first.

    Raises:
        TrainingError: another process was lost.
    """
    if launched() > 1:
        for tensor in tensors:
            whole = tensor.detach().contiguous()
            _ask(partial(torch.distributed.broadcast, whole, src=0))
            tensor.detach().copy_(whole)


def wait(device: torch.device) -> None:
    """Wait until all processes have come here.

    Raises:
        TrainingError: another process was lost.

    Example:
        >>> wait(torch.device("cpu"))
    """
    if launched() > 1:
        add(torch.zeros((), device=device)).item()


def check_agreed(what: str, *values: object, device: torch.device) -> None:
    """Refuse processes that are not in the same run.

    Args:
        what: should be the same, for the error.
        values: what it is here; two are the same when they are written the same.
        device: of this process.

    Raises:
        ConfigError: it is something else in another process.
        TrainingError: another process was lost.

    Example:
        >>> check_agreed("seed", 0, device=torch.device("cpu"))
    """
    if launched() == 1:
        return
    digest = int.from_bytes(hashlib.blake2b(repr(values).encode(), digest_size=7).digest())
    ends = torch.tensor([digest, -digest], device=device)
    _ask(partial(torch.distributed.all_reduce, ends, op=torch.distributed.ReduceOp.MAX))
    if ends.sum().item():
        raise ConfigError(
            f"the processes of this run differ in their {what}; start all with the same command, and let all see the same "
            "files"
        )


def add_gradients(weights: Sequence[Tensor], numbers: Sequence[Tensor]) -> list[Tensor]:
    """Sum the gradients of weights over all processes, all of them at once.

    A weight without a gradient here gets that of the others; one that has none anywhere stays without.

    Args:
        weights: of a network, in the same order everywhere.
        numbers: scalars that are to be summed, too.

    Returns:
        The sums of the numbers.

    Raises:
        TrainingError: another process was lost.
    """
    device = weights[0].device
    present = torch.tensor([float(one.grad is not None) for one in weights]).to(device, non_blocking=True)
    parts = [torch.zeros_like(one) if one.grad is None else one.grad for one in weights]
    flat = [one.float().flatten() for one in parts]  # of a weight in half precision, too: sums need more
    told = [one.detach().float().reshape(1) for one in numbers]
    sizes = [len(one) for one in flat]
    joined = add(torch.cat([*flat, present, *told]))
    *sums, present, told_sums = joined.split([*sizes, len(weights), len(numbers)])
    for number, (weight, own, its) in enumerate(zip(weights, parts, sums, strict=True)):
        if weight.grad is None and not present[number].item():
            continue
        weight.grad = own.copy_(its.view_as(own))
    return list(told_sums.unbind())


def _ask(call: "partial[object]") -> None:
    """Call something that all processes take part in."""
    try:
        call()
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        raise TrainingError(
            f"another process of this run was lost, so this one ends, too ({reason}); start the same command again: it goes "
            "on from the last state that was saved"
        ) from error
