"""Bottlenecks: where the person seen goes out and the class to show comes in."""

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import nn
from torch.nn import functional as F

from condswap.errors import ConfigError
from condswap.parts.class_norm import code_norm
from condswap.parts.layers import ClassEmbedding, Noise, check_counts, image_shape, initialise, normal, rms_norm
from condswap.roles import Bottleneck, Stranger
from condswap.types import Features, Label


class MLPBottleneck(Bottleneck):
    """Squeezes the code and the embedding of the class through one narrow layer.

    Args:
        in_shape: (c, h, w) of the encoder's features.
        num_classes: how many classes there are.
        width: numbers in the narrow layer.
        embedding: numbers in the embedding of a class.
        out_channels: channels of the features that come out; their size stays (h, w).
        normalisation: of the code by the class seen: "pooled", "positions" (for people who are filmed alike, above all for
            many) or "none"; see `ClassNorm`.
        noise: deviation of the noise that is added to the normalised code in training, where the code's own is 1. Codes of
            different people then overlap, so that the decoder shows a person also for the codes of others; too much of it
            costs expression. A code that is not normalised gets none.

    Example:
        >>> MLPBottleneck((16, 4, 4), num_classes=2).out_shape
        (64, 4, 4)
    """

    blends = strangers = True

    def __init__(
        self,
        in_shape: Sequence[int],
        *,
        num_classes: int,
        width: int = 128,
        embedding: int = 64,
        out_channels: int = 64,
        normalisation: str = "pooled",
        noise: float = 0.3,
    ) -> None:
        super().__init__()
        check_counts(
            "MLPBottleneck", num_classes=num_classes, width=width, embedding=embedding, out_channels=out_channels
        )
        self.in_shape = image_shape(in_shape, multiple=1, part="MLPBottleneck")
        self.out_shape = (out_channels, *self.in_shape[1:])
        self.num_classes = num_classes
        self.norm = code_norm(normalisation, self.in_shape, num_classes)
        self.noise = Noise(noise, part="MLPBottleneck")
        self.embedding = ClassEmbedding(num_classes, (embedding,))
        channels, height, width_ = self.in_shape
        self.squeeze = nn.Linear(channels * height * width_ + embedding, width)
        self.spread = nn.Linear(width, out_channels * height * width_)
        initialise(self)

    def guess(self, features: Features) -> Label | None:
        """Weigh the classes by how likely each makes the features, (b, n); None where the code is not normalised."""
        return None if self.norm is None else self.norm.guess(features)

    def forward(self, features: Features, label: Label, source: Label | Stranger | None = None) -> Features:
        """Show the code as the class."""
        code = features if self.norm is None else self.noise(self.norm(features, source))
        joined = torch.cat([rearrange(code, "b c h w -> b (c h w)"), self.embedding(label).to(code.dtype)], dim=1)
        spread = self.spread(F.leaky_relu(self.squeeze(joined), 0.1))
        return F.leaky_relu(rearrange(spread, "b (c h w) -> b c h w", h=self.out_shape[1], w=self.out_shape[2]), 0.1)


class CrossAttentionBottleneck(Bottleneck):
    """Lets every place of the picture query a bank of learned tokens of the class to show.

    The code is lifted to one token a place, which attends to the tokens of the class (Vaswani et al. 2017, with queries
    from the image and keys and values from the class). The picture decides where to look, the class what is found.

    Args:
        in_shape: (c, h, w) of the encoder's features.
        num_classes: how many classes there are.
        width: channels of a token, and of the features that come out; their size stays (h, w).
        tokens: how many tokens a class has.
        heads: attention heads; they divide the width.
        normalisation: of the code by the class seen: "pooled", "positions" (for people who are filmed alike, above all for
            many) or "none"; see `ClassNorm`.
        noise: deviation of the noise that is added to the normalised code in training, where the code's own is 1. Codes of
            different people then overlap, so that the decoder shows a person also for the codes of others; too much of it
            costs expression. A code that is not normalised gets none.

    Raises:
        ConfigError: the heads do not divide the width.

    Example:
        >>> CrossAttentionBottleneck((16, 4, 4), num_classes=2).out_shape
        (64, 4, 4)
    """

    blends = strangers = True

    def __init__(
        self,
        in_shape: Sequence[int],
        *,
        num_classes: int,
        width: int = 64,
        tokens: int = 8,
        heads: int = 4,
        normalisation: str = "pooled",
        noise: float = 0.3,
    ) -> None:
        super().__init__()
        check_counts("CrossAttentionBottleneck", num_classes=num_classes, width=width, tokens=tokens, heads=heads)
        if width % heads:
            raise ConfigError(
                f"{heads} heads do not divide a width of {width}; use a width that is a multiple of {heads}"
            )
        self.in_shape = image_shape(in_shape, multiple=1, part="CrossAttentionBottleneck")
        self.out_shape = (width, *self.in_shape[1:])
        self.num_classes, self.heads = num_classes, heads
        self.norm = code_norm(normalisation, self.in_shape, num_classes)
        self.noise = Noise(noise, part="CrossAttentionBottleneck")
        self.bank = ClassEmbedding(num_classes, (tokens, width))
        self.position = normal(self.in_shape[1] * self.in_shape[2], width, std=0.02)
        self.lift = nn.Linear(self.in_shape[0], width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.widen, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        initialise(self)

    def guess(self, features: Features) -> Label | None:
        """Weigh the classes by how likely each makes the features, (b, n); None where the code is not normalised."""
        return None if self.norm is None else self.norm.guess(features)

    def forward(self, features: Features, label: Label, source: Label | Stranger | None = None) -> Features:
        """Show the code as the class."""
        code = features if self.norm is None else self.noise(self.norm(features, source))
        tokens = self.lift(rearrange(code, "b c h w -> b (h w) c")) + self.position
        bank = self.bank(label).to(tokens.dtype)
        query, key, value = (
            rearrange(part, "b n (heads d) -> b heads n d", heads=self.heads)
            for part in (self.query(rms_norm(tokens, dim=-1)), self.key(bank), self.value(bank))
        )
        found = F.scaled_dot_product_attention(query, key, value)
        tokens = tokens + self.out(rearrange(found, "b heads n d -> b n (heads d)"))
        tokens = tokens + self.narrow(F.leaky_relu(self.widen(rms_norm(tokens, dim=-1)), 0.1))
        return rearrange(tokens, "b (h w) c -> b c h w", h=self.out_shape[1])
