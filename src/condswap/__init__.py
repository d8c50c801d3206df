"""Label-conditioned face swapping: one conditional GAN for N people."""

from condswap.cgan import CGAN
from condswap.component import Component
from condswap.data import Augmentation, FaceFolder, ToyFaces
from condswap.errors import CondswapError, ConfigError, DataError, HubError, ShapeError, TrainingError
from condswap.losses import MaskedLoss
from condswap.objective import Objective
from condswap.parts import (
    ConvDecoder,
    ConvEncoder,
    CrossAttentionBottleneck,
    MLPBottleneck,
    MLPDiscriminator,
    PatchDiscriminator,
)
from condswap.roles import Bottleneck, Decoder, Discriminator, Encoder, Face
from condswap.training import Trainer, TrainerConfig, every

__version__ = "0.1.0"

__all__ = [
    "CGAN",
    "Augmentation",
    "Bottleneck",
    "Component",
    "CondswapError",
    "ConfigError",
    "ConvDecoder",
    "ConvEncoder",
    "CrossAttentionBottleneck",
    "DataError",
    "Decoder",
    "Discriminator",
    "Encoder",
    "Face",
    "FaceFolder",
    "HubError",
    "MLPBottleneck",
    "MLPDiscriminator",
    "MaskedLoss",
    "Objective",
    "PatchDiscriminator",
    "ShapeError",
    "ToyFaces",
    "Trainer",
    "TrainerConfig",
    "TrainingError",
    "every",
]
