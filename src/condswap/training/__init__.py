"""Training: pure steps, and a trainer that is the order of them."""

from condswap.training.callbacks import Hook, every
from condswap.training.config import TrainerConfig
from condswap.training.steps import (
    CodeAdversary,
    Shown,
    code_adversary_step,
    discriminator_step,
    generator_step,
    show,
)
from condswap.training.trainer import Trainer

__all__ = [
    "CodeAdversary",
    "Hook",
    "Shown",
    "Trainer",
    "TrainerConfig",
    "code_adversary_step",
    "discriminator_step",
    "every",
    "generator_step",
    "show",
]
