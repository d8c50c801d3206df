"""Training: pure steps, and a trainer that is the order of them."""

from condswap.training.callbacks import Hook, every
from condswap.training.config import TrainerConfig
from condswap.training.ema import average_into
from condswap.training.guides import AttributeGuide, Guide, IdentityGuide, LightGuide, SwapBatch
from condswap.training.learning import Learned, learn_class
from condswap.training.steps import (
    CodeAdversary,
    Seen,
    Shown,
    back_translate,
    code_adversary_step,
    discriminator_step,
    generator_step,
    show,
)
from condswap.training.trainer import Trainer
from condswap.training.watch import Watched

__all__ = [
    "AttributeGuide",
    "CodeAdversary",
    "Guide",
    "Hook",
    "IdentityGuide",
    "Learned",
    "LightGuide",
    "Seen",
    "Shown",
    "SwapBatch",
    "Trainer",
    "TrainerConfig",
    "Watched",
    "average_into",
    "back_translate",
    "code_adversary_step",
    "discriminator_step",
    "every",
    "generator_step",
    "learn_class",
    "show",
]
