"""Decoders."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from condswap.errors import ConfigError
from condswap.losses.functional import widen
from condswap.parts.layers import (
    ClassEmbedding,
    Modulation,
    ResidualBlock,
    Upscale,
    check_counts,
    image_shape,
    initialise,
)
from condswap.parts.stages import through
from condswap.roles import Decoder, Face
from condswap.types import Features, Label


class ConvDecoder(Decoder):
    """Doubles the features up to a face, with an image head and a mask head.

    Args:
        in_shape: (c, h, w) of the bottleneck's features.
        num_classes: how many classes there are.
        width: channels at half the picture's size; they double towards the features, up to four times that.
        stages: how often the size is doubled; as many as the encoder halves.
        modulation: how the class acts on the features: "adain", "film" or "none"; see `Modulation`.
        embedding: numbers in the embedding of a class.
        depth: residual blocks at every size, a 3x3 convolution each; 16 at most.
        upscale_kernel: side of the convolutions that double the size, odd. 1 looks at one place and leaves its neighbours to
            the residual blocks.

    Raises:
        ConfigError: a number is no whole number from 1 up, the kernel is even, or the modulation is not known.

    Example:
        >>> ConvDecoder((64, 4, 4), num_classes=2).out_shape
        (3, 64, 64)
    """

    blends = True

    def __init__(
        self,
        in_shape: Sequence[int],
        *,
        num_classes: int,
        width: int = 32,
        stages: int = 4,
        modulation: str = "adain",
        embedding: int = 64,
        depth: int = 1,
        upscale_kernel: int = 1,
    ) -> None:
        super().__init__()
        check_counts(
            "ConvDecoder",
            num_classes=num_classes,
            width=width,
            stages=stages,
            embedding=embedding,
            depth=depth,
            upscale_kernel=upscale_kernel,
        )
        if upscale_kernel % 2 == 0:
            raise ConfigError(f"ConvDecoder.upscale_kernel is {upscale_kernel}; it has a middle, so give an odd number")
        self.in_shape = image_shape(in_shape, multiple=1, part="ConvDecoder")
        self.out_shape = (3, self.in_shape[1] << stages, self.in_shape[2] << stages)
        self.num_classes = num_classes
        self.embedding = ClassEmbedding(num_classes, (embedding,))
        widths = [self.in_shape[0], *(width * min(2 ** (stages - 2 - stage), 4) for stage in range(stages - 1))]
        pairs = list(zip(widths, widths[1:], strict=False))
        self.upscales = nn.ModuleList(Upscale(wide, narrow, kernel_size=upscale_kernel) for wide, narrow in pairs)
        self.modulations = nn.ModuleList(Modulation(w, embedding=embedding, kind=modulation) for w in widths[1:])
        self.blocks = nn.ModuleList(
            _Blocks(ResidualBlock(w, embedding=embedding, modulation=modulation) for _ in range(depth))
            for w in widths[1:]
        )
        self.heads = Upscale(widths[-1], 4, kernel_size=upscale_kernel)  # red, green, blue and the mask
        initialise(self)

    def forward(self, features: Features, label: Label) -> Face:
        """Show the features as the class."""
        embedding = self.embedding(label).to(features.dtype)
        # The last stage needs as much room as all before it, so it is recomputed first, and its room is then theirs.
        features = through(self, self._first_stages, features, embedding)
        shown = torch.sigmoid(widen(through(self, self._last_stage, features, embedding)))
        return Face(shown[:, :3], shown[:, 3:])

    def _first_stages(self, features: Features, embedding: Tensor) -> Features:
        for number in range(len(self.upscales) - 1):
            features = self._stage(number, features, embedding)
        return features

    def _last_stage(self, features: Features, embedding: Tensor) -> Tensor:
        for number in range(len(self.upscales))[-1:]:  # there is none where the heads alone double the size
            features = self._stage(number, features, embedding)
        return self.heads(features)

    def _stage(self, number: int, features: Features, embedding: Tensor) -> Features:
        features = self.modulations[number](self.upscales[number](features), embedding)
        return self.blocks[number](F.leaky_relu(features, 0.1, inplace=True), embedding)


class _Blocks(nn.ModuleList):
    """Residual blocks in a row, which all get the embedding of the class."""

    def forward(self, features: Features, embedding: Tensor) -> Features:
        for block in self:
            features = block(features, embedding)
        return features
