"""One step down a gradient, which is not taken when the gradient is no number."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from condswap.errors import TrainingError
from condswap.training.config import TrainerConfig


def adam(network: nn.Module, config: TrainerConfig, *, of: str, device: torch.device) -> Adam:
    """Make the optimizer of a network.

    Args:
        network: on its device already.
        config: has the learning rates and betas.
        of: "generator", "discriminator" or "code", the adversary of the code.
        device: of the network.
    """
    rate = config.discriminator_learning_rate if of == "discriminator" else config.learning_rate
    betas = {"generator": config.betas, "discriminator": config.discriminator_betas}.get(of, (0.9, 0.999))
    return Adam(network.parameters(), rate, betas, fused=device.type in ("cuda", "cpu"))


def differentiate(
    network: nn.Module,
    loss: Tensor,
    *,
    clip: float | None,
    gathered: Callable[[Sequence[Tensor]], object] | None = None,
) -> Tensor:
    """Give the trainable weights of a network the gradient of a loss, and no other weight.

    Args:
        network: whose former gradients are dropped.
        loss: a scalar.
        clip: the largest norm that the gradient keeps; None leaves it as it is.
        gathered: called with the weights once they have their gradient and before its norm is taken.

    Returns:
        A scalar on the device: 1 when the gradient is no number, 0 otherwise.

    Example:
        >>> layer = nn.Linear(1, 1, bias=False)
        >>> differentiate(layer, 3 * layer.weight.sum(), clip=2.0)
        tensor(0.)
        >>> layer.weight.grad.round(decimals=3)
        tensor([[2.]])
    """
    weights = [one for one in network.parameters() if one.requires_grad]
    network.zero_grad()
    loss.backward(inputs=weights)
    if gathered is not None:
        gathered(weights)
    norm = nn.utils.get_total_norm([one.grad for one in weights if one.grad is not None])
    if clip is not None:
        nn.utils.clip_grads_with_norm_(weights, clip, norm)
    return (~torch.isfinite(norm)).float()


def descend(optimizer: Optimizer, rate: float, *, failed: Tensor) -> None:
    """Follow the gradients that the weights have.

    Args:
        optimizer: of the weights.
        rate: the learning rate of this step.
        failed: a scalar that is above 0 when nothing may move.
    """
    for group in optimizer.param_groups:
        group["lr"] = rate
    if optimizer.defaults["fused"]:
        optimizer.found_inf = failed  # type: ignore[attr-defined]  # a fused step reads it on the device: no sync
        optimizer.step()
    elif not failed.item():
        optimizer.step()


def check_failed(failed: Tensor, *, step: int, before: int) -> None:
    """Stop the run when a loss was no longer a number, and forget it.

    Args:
        failed: a scalar that is above 0 when one was; it is 0 afterwards.
        step: now.
        before: how many steps ago this was looked at last.

    Raises:
        TrainingError: one was.

    Example:
        >>> check_failed(torch.zeros(()), step=40, before=20)
    """
    if failed.item():
        failed.zero_()
        raise TrainingError(
            f"at step {step} or up to {before} before, a loss or its gradient was no longer a number; the weights are "
            "those of the last good step: save them and go on with a lower learning rate, or in float32"
        )
