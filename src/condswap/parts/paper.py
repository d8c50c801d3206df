"""The parts of the student project that this library descends from, to compare with.

They follow "DeepFaceLab - CGANs in Pytorch" at any resolution R, with its convolutions padded so that R divides by 32,
PyTorch's own initialisation, and without its mask branch, which its training never used.
"""

import math
from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from condswap.errors import ConfigError, ShapeError
from condswap.losses.functional import widen
from condswap.parts.layers import ClassEmbedding, Upscale, check_counts, check_image, image_shape, rms_norm
from condswap.parts.stages import through
from condswap.roles import Bottleneck, Decoder, Encoder
from condswap.types import Features, Image, Label, Shape


class PaperEncoder(Encoder):
    """Four 5x5 convolutions of stride 2 with leaky ReLU of 0.1.

    Args:
        in_shape: (3, h, w); h and w multiples of 16.
        width: channels after the first convolution; they double.

    Example:
        >>> PaperEncoder((3, 512, 512)).out_shape
        (256, 32, 32)
    """

    def __init__(self, in_shape: Sequence[int], *, width: int = 32) -> None:
        super().__init__()
        check_counts("PaperEncoder", width=width)
        self.in_shape = image_shape(in_shape, multiple=16, part="PaperEncoder")
        widths = [self.in_shape[0], width, 2 * width, 4 * width, 8 * width]
        self.convs = nn.ModuleList(
            nn.Conv2d(narrow, wide, 5, stride=2, padding=2) for narrow, wide in zip(widths, widths[1:], strict=False)
        )
        self.out_shape = (8 * width, self.in_shape[1] // 16, self.in_shape[2] // 16)

    def forward(self, image: Image) -> Features:
        """Encode images in [0, 1]."""
        check_image(image, self.in_shape, "PaperEncoder")
        return through(self, self._stages, image)

    def _stages(self, image: Image) -> Features:
        features = image
        for conv in self.convs:
            features = F.leaky_relu(conv(features), 0.1, inplace=True)
        return features


class PaperMLPBottleneck(Bottleneck):
    """Two linear layers with nothing between them, over the normalised code and the embedding of the class.

    Args:
        in_shape: (c, h, w) of the encoder's features; h and w even.
        num_classes: how many classes there are.
        width: numbers between the layers, and channels of the features that come out.
        embedding: numbers in the embedding of a class.

    Example:
        >>> PaperMLPBottleneck((256, 4, 4), num_classes=2).out_shape
        (64, 4, 4)
    """

    blends = True

    def __init__(self, in_shape: Sequence[int], *, num_classes: int, width: int = 64, embedding: int = 1024) -> None:
        super().__init__()
        check_counts("PaperMLPBottleneck", num_classes=num_classes, width=width, embedding=embedding)
        self.in_shape, self.out_shape = _halved(in_shape, width, "PaperMLPBottleneck")
        self.num_classes = num_classes
        self.embedding = ClassEmbedding(num_classes, (embedding,))
        channels, height, width_ = self.in_shape
        self.squeeze = nn.Linear(channels * height * width_ + embedding, width)
        self.spread = nn.Linear(width, width * (height // 2) * (width_ // 2))
        self.upscale = Upscale(width, width)

    def forward(self, features: Features, label: Label, source: Label | None = None) -> Features:
        """Show the code as the class; the class seen is not used."""
        code = rms_norm(rearrange(features, "b c h w -> b (c h w)"), dim=1)
        code = self.spread(self.squeeze(torch.cat([code, self.embedding(label).to(code.dtype)], dim=1)))
        half = rearrange(code, "b (c h w) -> b c h w", h=self.out_shape[1] // 2, w=self.out_shape[2] // 2)
        return F.leaky_relu(self.upscale(half), 0.1)


class PaperAttentionBottleneck(Bottleneck):
    """Self-attention over the places of the code, then one linear layer over all of it and the embedding of the class.

    The class never enters the attention. At 512 pixels the linear layer alone has more than a billion weights.

    Args:
        in_shape: (c, h, w) of the encoder's features; h and w even.
        num_classes: how many classes there are.
        width: channels of the attention, and of the features that come out.
        heads: attention heads.
        embedding: numbers in the embedding of a class.
        dropout: on the positions, in training.

    Example:
        >>> PaperAttentionBottleneck((256, 4, 4), num_classes=2).out_shape
        (64, 4, 4)
    """

    blends = True
    code: Tensor

    def __init__(
        self,
        in_shape: Sequence[int],
        *,
        num_classes: int,
        width: int = 64,
        heads: int = 4,
        embedding: int = 5096,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        check_counts("PaperAttentionBottleneck", num_classes=num_classes, width=width, heads=heads, embedding=embedding)
        if width % heads:
            raise ConfigError(
                f"{heads} heads do not divide a width of {width}; use a width that is a multiple of {heads}"
            )
        self.in_shape, self.out_shape = _halved(in_shape, width, "PaperAttentionBottleneck")
        self.num_classes, self.heads = num_classes, heads
        self.embedding = ClassEmbedding(num_classes, (embedding,))
        channels, height, width_ = self.in_shape
        self.register_buffer("code", _sine_code(height * width_, channels), persistent=False)
        self.dropout = nn.Dropout(dropout)
        self.query, self.key, self.value = (nn.Linear(channels, width) for _ in range(3))
        self.out = nn.Linear(width, width)
        flat = height * width_ * width
        self.spread = nn.Linear(flat + embedding, width * (height // 2) * (width_ // 2))
        self.upscale = Upscale(width, width)

    def forward(self, features: Features, label: Label, source: Label | None = None) -> Features:
        """Show the code as the class; the class seen is not used."""
        tokens = rms_norm(
            self.dropout(rearrange(features, "b c h w -> b (h w) c") + self.code.to(features.dtype)), dim=-1
        )
        query, key, value = (
            rearrange(layer(tokens), "b n (heads d) -> b heads n d", heads=self.heads)
            for layer in (self.query, self.key, self.value)
        )
        found = self.out(rearrange(F.scaled_dot_product_attention(query, key, value), "b heads n d -> b n (heads d)"))
        flat = torch.cat([rearrange(found, "b n d -> b (n d)"), self.embedding(label).to(found.dtype)], dim=1)
        spread = rearrange(
            self.spread(flat), "b (c h w) -> b c h w", h=self.out_shape[1] // 2, w=self.out_shape[2] // 2
        )
        return F.leaky_relu(self.upscale(spread), 0.1)


class PaperDecoder(Decoder):
    """Three upscales with a residual block each, then four convolutions whose outputs are interleaved to pixels.

    Args:
        in_shape: (c, h, w) of the bottleneck's features.
        num_classes: how many classes there are; the decoder does not use the class.
        width: a quarter of the channels of half the picture's size; the paper's d.

    Example:
        >>> PaperDecoder((64, 4, 4), num_classes=2).out_shape
        (3, 64, 64)
    """

    blends = True

    def __init__(self, in_shape: Sequence[int], *, num_classes: int, width: int = 32) -> None:
        super().__init__()
        check_counts("PaperDecoder", num_classes=num_classes, width=width)
        self.in_shape = image_shape(in_shape, multiple=1, part="PaperDecoder")
        self.out_shape = (3, 16 * self.in_shape[1], 16 * self.in_shape[2])
        self.num_classes = num_classes
        widths = [self.in_shape[0], 8 * width, 4 * width, 2 * width]
        self.upscales = nn.ModuleList(Upscale(wide, narrow) for wide, narrow in zip(widths, widths[1:], strict=False))
        self.firsts = nn.ModuleList(nn.Conv2d(w, w, 3, padding=1) for w in widths[1:])
        self.seconds = nn.ModuleList(nn.Conv2d(w, w, 3, padding=1) for w in widths[1:])
        self.heads = nn.ModuleList(nn.Conv2d(2 * width, 3, k, padding=k // 2) for k in (1, 3, 3, 3))

    def forward(self, features: Features, label: Label) -> Image:
        """Show the features; the class is in them already."""
        # The last stage needs as much room as all before it, so it is recomputed first, and its room is then theirs.
        return torch.sigmoid(widen(through(self, self._last_stage, through(self, self._first_stages, features))))

    def _first_stages(self, features: Features) -> Features:
        for number in range(len(self.upscales) - 1):
            features = self._stage(number, features)
        return features

    def _last_stage(self, features: Features) -> Tensor:
        features = self._stage(len(self.upscales) - 1, features)
        quarters = torch.stack([head(features) for head in self.heads], dim=2)
        return rearrange(quarters, "b c (y x) h w -> b c (h y) (w x)", y=2)

    def _stage(self, number: int, features: Features) -> Features:
        features = F.leaky_relu(self.upscales[number](features), 0.1, inplace=True)
        more = self.seconds[number](F.leaky_relu(self.firsts[number](features), 0.2, inplace=True))
        return F.leaky_relu(features + more, 0.2, inplace=True)


def _halved(in_shape: Sequence[int], width: int, part: str) -> tuple[Shape, Shape]:
    """Check that the features can be rebuilt from half their size."""
    shape = image_shape(in_shape, multiple=1, part=part)
    if shape[1] % 2 or shape[2] % 2:
        raise ShapeError(
            f"{part} rebuilds the features from half their size, and {shape[1]} x {shape[2]} is not even: "
            "use pictures whose height and width are multiples of 32"
        )
    return shape, (width, *shape[1:])


def _sine_code(places: int, channels: int) -> Tensor:
    """Give the sine position code (places, channels) of Vaswani et al. 2017."""
    angle = torch.arange(places)[:, None] * torch.exp(torch.arange(0, channels, 2) * (-math.log(10000.0) / channels))
    return rearrange(torch.stack([angle.sin(), angle.cos()], dim=-1), "n c two -> n (c two)")[:, :channels]
