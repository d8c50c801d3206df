"""Stages of a part whose features can be computed anew in the backward pass."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from condswap.roles import Decoder, Encoder


def through(part: Encoder | Decoder, stages: Callable[..., Tensor], *given: Tensor | int) -> Tensor:
    """Run stages of a part; where it is set to recompute, only what is given to them is kept for the backward pass.

    Args:
        part: whose `recompute` is asked.
        stages: what to run. It is run twice, so it draws no random numbers and counts nothing.
        given: its arguments.

    Example:
        >>> from condswap.parts import ConvEncoder
        >>> through(ConvEncoder((3, 32, 32)), torch.neg, torch.ones(2))
        tensor([-1., -1.])
    """
    if part.recompute and torch.is_grad_enabled():
        shown: Tensor = checkpoint(stages, *given, use_reentrant=False, preserve_rng_state=False)
        return shown
    return stages(*given)
