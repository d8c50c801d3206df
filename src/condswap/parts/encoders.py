"""Encoders."""

from collections.abc import Sequence

from torch import nn
from torch.nn import functional as F

from condswap.parts.layers import check_counts, check_image, image_shape, initialise, rms_norm
from condswap.parts.stages import through
from condswap.roles import Encoder
from condswap.types import Features, Image


class ConvEncoder(Encoder):
    """Halves the picture with strided convolutions down to a narrow code.

    Args:
        in_shape: (3, h, w); h and w multiples of 2 ** stages.
        width: channels after the first convolution; they double up to eight times that.
        stages: how often the picture is halved.
        code_channels: channels of the code. A narrow code leaves less room for the identity to slip through.

    Raises:
        ShapeError: the sides do not divide; the message says which do.
        ConfigError: a width or the number of stages is no whole number from 1 up.

    Example:
        >>> ConvEncoder((3, 64, 64), width=16).out_shape
        (16, 4, 4)
    """

    def __init__(self, in_shape: Sequence[int], *, width: int = 32, stages: int = 4, code_channels: int = 16) -> None:
        super().__init__()
        check_counts("ConvEncoder", width=width, stages=stages, code_channels=code_channels)
        self.in_shape = image_shape(in_shape, multiple=2**stages, part="ConvEncoder")
        widths = [self.in_shape[0], *(width * min(2**stage, 8) for stage in range(stages))]
        self.convs = nn.ModuleList(
            nn.Conv2d(narrow, wide, 5, stride=2, padding=2) for narrow, wide in zip(widths, widths[1:], strict=False)
        )
        self.narrow = nn.Conv2d(widths[-1], code_channels, 1)
        self.out_shape = (code_channels, self.in_shape[1] >> stages, self.in_shape[2] >> stages)
        initialise(self)

    def forward(self, image: Image) -> Features:
        """Encode images in [0, 1] as features of unit scale."""
        check_image(image, self.in_shape, "ConvEncoder")
        return through(self, self._stages, image)

    def _stages(self, image: Image) -> Features:
        features = 2 * image - 1
        for conv in self.convs:
            features = F.leaky_relu(conv(features), 0.1, inplace=True)
        return self.narrow(rms_norm(features, dim=1))
