"""Discriminators."""

import math
from collections.abc import Sequence

import torch
from einops import rearrange, reduce
from torch import nn
from torch.nn import functional as F

from condswap.errors import ConfigError
from condswap.losses import gaussian_blur
from condswap.parts.layers import ClassEmbedding, check_counts, check_image, image_shape, initialise
from condswap.roles import Discriminator
from condswap.types import Image, Label, Logits


class PatchDiscriminator(Discriminator):
    """Judges every patch of a picture, given its class (Isola et al. 2017, projection of the class by Miyato and Koyama 2018).

    Args:
        in_shape: (3, h, w); h and w multiples of 2 ** stages.
        num_classes: how many classes there are.
        width: channels after the first convolution; they double up to eight times that.
        stages: how often the picture is halved.
        detail: sigma in pixels of the blurred picture that is subtracted first, so that what is left to judge is detail:
            edges, eyes and teeth, but neither colour nor light. 0 judges the whole picture.

    Raises:
        ShapeError: the sides do not divide; the message says which do.
        ConfigError: a count is no whole number from 1 up, or the detail is negative.

    Example:
        >>> import torch
        >>> PatchDiscriminator((3, 64, 64), num_classes=2)(torch.rand(5, 3, 64, 64), torch.tensor([0, 1, 0, 1, 1])).shape
        torch.Size([5, 1, 8, 8])
    """

    def __init__(
        self, in_shape: Sequence[int], *, num_classes: int, width: int = 16, stages: int = 3, detail: float = 0.0
    ) -> None:
        super().__init__()
        check_counts("PatchDiscriminator", num_classes=num_classes, width=width, stages=stages)
        if isinstance(detail, bool) or not isinstance(detail, int | float) or not 0 <= detail < math.inf:
            raise ConfigError(f"PatchDiscriminator.detail is {detail!r}; it is a number of pixels from 0 up")
        self.detail = detail
        self.in_shape = image_shape(in_shape, multiple=2**stages, part="PatchDiscriminator")
        self.num_classes = num_classes
        widths = [self.in_shape[0], *(width * min(2**stage, 8) for stage in range(stages))]
        self.convs = nn.ModuleList(
            nn.Conv2d(narrow, wide, 4, stride=2, padding=1) for narrow, wide in zip(widths, widths[1:], strict=False)
        )
        self.judge = nn.Conv2d(widths[-1], 1, 1)
        initialise(self)
        self.projection = ClassEmbedding(num_classes, (widths[-1],), std=widths[-1] ** -0.5)

    def forward(self, image: Image, label: Label) -> Logits:
        """Judge images (b, 3, h, w); the logits (b, 1, h', w') are one a patch."""
        check_image(image, self.in_shape, "PatchDiscriminator")
        # Detail is small: four times of it is about as large as a picture in [-1, 1].
        features = 4 * (image - gaussian_blur(image, sigma=self.detail)) if self.detail else 2 * image - 1
        for conv in self.convs:
            features = F.leaky_relu(conv(features), 0.1, inplace=True)
        claimed = rearrange(self.projection(label).to(features.dtype), "b c -> b c 1 1")
        return self.judge(features) + reduce(features * claimed, "b c h w -> b 1 h w", "sum")


class MLPDiscriminator(Discriminator):
    """Judges a picture as a whole from a flat map and a small embedding of the class: the paper's discriminator.

    Two 3x3 convolutions to 32 channels, each with leaky ReLU of 0.1 and a 2x2 max-pool, then three linear layers.

    Args:
        in_shape: (3, h, w); h and w multiples of 4.
        num_classes: how many classes there are.
        width: channels of the convolutions.
        embedding: numbers in the embedding of a class.

    Example:
        >>> import torch
        >>> MLPDiscriminator((3, 32, 32), num_classes=2)(torch.rand(5, 3, 32, 32), torch.tensor([0, 1, 0, 1, 1])).shape
        torch.Size([5, 1])
    """

    def __init__(self, in_shape: Sequence[int], *, num_classes: int, width: int = 32, embedding: int = 2) -> None:
        super().__init__()
        check_counts("MLPDiscriminator", num_classes=num_classes, width=width, embedding=embedding)
        self.in_shape = image_shape(in_shape, multiple=4, part="MLPDiscriminator")
        self.num_classes = num_classes
        channels, height, width_ = self.in_shape
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.embedding = ClassEmbedding(num_classes, (embedding,))
        flat = width * (height // 4) * (width_ // 4)
        self.layers = nn.ModuleList([nn.Linear(flat + embedding, 128), nn.Linear(128, 64), nn.Linear(64, 1)])

    def forward(self, image: Image, label: Label) -> Logits:
        """Judge images (b, 3, h, w); the logits are (b, 1)."""
        check_image(image, self.in_shape, "MLPDiscriminator")
        features = F.max_pool2d(F.leaky_relu(self.first(image), 0.1, inplace=True), 2)
        features = F.max_pool2d(F.leaky_relu(self.second(features), 0.1, inplace=True), 2)
        flat = torch.cat([rearrange(features, "b c h w -> b (c h w)"), self.embedding(label).to(features.dtype)], dim=1)
        for layer in self.layers[:-1]:
            flat = F.leaky_relu(layer(flat), 0.1)
        return self.layers[-1](flat)
