"""The running average of the weights."""

import torch
from torch import Tensor, nn


@torch.no_grad()
def average_into(target: nn.Module, source: nn.Module, *, decay: float) -> None:
    """Move the weights of a module towards those of another of the same build, and copy its buffers.

    Args:
        target: keeps `decay` of what it was.
        source: gives the rest.
        decay: from 0 (a copy) to 1 (nothing moves).
    """
    targets: list[Tensor] = list(target.parameters())
    sources: list[Tensor] = list(source.parameters())
    if decay == 0:
        torch._foreach_copy_(targets, sources)
    else:
        torch._foreach_lerp_(targets, sources, 1 - decay)
    copy_buffers(target, source)


@torch.no_grad()
def copy_buffers(target: nn.Module, source: nn.Module) -> None:
    """Copy the buffers of a module, such as running statistics, to another of the same build."""
    for kept, new in zip(target.buffers(), source.buffers(), strict=True):
        kept.copy_(new)
