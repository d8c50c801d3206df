"""The networks of DeepFaceLab's SAEHD as parts: what a model that was trained there opens as.

A DF model is one bottleneck for all people and a decoder for each (`per_class=True`); a LIAE model is a bottleneck that knows
who is to be shown (`per_class=True`), and one decoder for all. What the options change:

| option | encoder | bottleneck | decoder |
|---|---|---|---|
| u | `pixel_norm=True` | | |
| d | | `scale=1` | `interleaved=True` |
| t | `deep=True` | `upscale=False` | `stages=4` |
| c | `activation="x_cos_x"` | the same | the same |

They take and give RGB, where DeepFaceLab's take and give BGR.
"""

from collections.abc import Sequence

import torch
from torch import nn

from condswap.losses.functional import widen
from condswap.parts.layers import PerClass, check_counts, check_image, image_shape, rms_norm
from condswap.parts.saehd_layers import (
    OUTSIDE,
    ImageBranch,
    Inter,
    MaskBranch,
    Residual,
    activation_of,
    glorot,
)
from condswap.roles import Bottleneck, Decoder, Encoder, Face
from condswap.types import Features, Image, Label


class SAEHDEncoder(Encoder):
    """Four 5x5 convolutions of stride 2, or five and two residual blocks.

    Args:
        in_shape: (3, h, w); h and w multiples of 16, deep of 32.
        width: channels after the first convolution, DeepFaceLab's e_dims; they double up to eight times that.
        deep: halve the picture five times, with a residual block after the first and after the last.
        pixel_norm: divide the features of a picture by the root of the mean of all their squares.
        activation: "leaky_relu", or "x_cos_x", which tells large numbers apart by their rounding: keep to float32 with it.

    Raises:
        ShapeError: the sides do not divide; the message says which do.
        ConfigError: the width is no whole number from 1 up, or the activation is not known.

    Example:
        >>> SAEHDEncoder((3, 128, 128), width=32).out_shape
        (256, 8, 8)
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        *,
        width: int = 64,
        deep: bool = False,
        pixel_norm: bool = False,
        activation: str = "leaky_relu",
    ) -> None:
        super().__init__()
        check_counts("SAEHDEncoder", width=width)
        times = [1, 2, 4, 8, 8] if deep else [1, 2, 4, 8]
        self.in_shape = image_shape(in_shape, multiple=2 ** len(times), part="SAEHDEncoder")
        self.out_shape = (8 * width, *(side >> len(times) for side in self.in_shape[1:]))
        self.pixel_norm, self.act = pixel_norm, activation_of(activation, "SAEHDEncoder")
        widths = [self.in_shape[0], *(width * factor for factor in times)]
        self.convs = nn.ModuleList(
            nn.Conv2d(narrow, wide, 5, stride=2, padding=2) for narrow, wide in zip(widths, widths[1:], strict=False)
        )
        refined = (0, len(times) - 1) if deep else ()
        self.blocks = nn.ModuleList(
            Residual(wide, self.act) if stage in refined else nn.Identity() for stage, wide in enumerate(widths[1:])
        )
        glorot(self)

    def forward(self, image: Image) -> Features:
        """Encode images in [0, 1]."""
        check_image(image, self.in_shape, "SAEHDEncoder")
        features = image
        for conv, block in zip(self.convs, self.blocks, strict=True):
            features = block(self.act(conv(features), OUTSIDE))
        if not self.pixel_norm:
            return features
        return rms_norm(features.flatten(1), dim=1).view_as(features)


class SAEHDBottleneck(Bottleneck):
    """Two linear layers with nothing between them: one pair for all classes, as in DF, or one for each, as in LIAE.

    In LIAE the code has two halves, of which the class's own pair makes the first and the first class's pair the second,
    whoever is to be shown. So the first of two classes is DeepFaceLab's src, for whom its inter_AB makes both halves.

    Args:
        in_shape: (c, h, w) of the encoder's features.
        num_classes: how many classes there are.
        width: numbers between the layers; DeepFaceLab's ae_dims. As many channels come out, in LIAE four times as many.
        scale: how much larger the features that come out are, 1 or 2.
        upscale: end in a convolution that doubles the size, so that the linear layers make a quarter of the places.
        per_class: LIAE, whose decoder is one for all; False: DF, whose decoders are one a class.
        activation: after that convolution, "leaky_relu" or "x_cos_x".

    Raises:
        ShapeError: the sides of the features are odd and would have to be halved.
        ConfigError: a count is no whole number from 1 up, the scale is not known, or the activation is not.

    Example:
        >>> SAEHDBottleneck((256, 8, 8), num_classes=2, per_class=True).out_shape
        (1024, 16, 16)
    """

    blends = True

    def __init__(
        self,
        in_shape: Sequence[int],
        *,
        num_classes: int,
        width: int = 256,
        scale: int = 2,
        upscale: bool = True,
        per_class: bool = False,
        activation: str = "leaky_relu",
    ) -> None:
        super().__init__()
        check_counts("SAEHDBottleneck", num_classes=num_classes, width=width)
        self.in_shape = image_shape(in_shape, multiple=1, part="SAEHDBottleneck")
        self.num_classes, self.per_class = num_classes, per_class
        act = activation_of(activation, "SAEHDBottleneck")
        out_channels = 2 * width if per_class else width
        inters = [
            Inter(self.in_shape, width, out_channels, scale=scale, upscale=upscale, act=act, part="SAEHDBottleneck")
            for _ in range(num_classes if per_class else 1)
        ]
        self.inters = (PerClass if per_class else nn.ModuleList)(inters)
        channels, *sides = inters[0].out_shape
        self.out_shape = (2 * channels if per_class else channels, *sides)
        glorot(self)

    def forward(self, features: Features, label: Label, source: Label | None = None) -> Features:
        """Show the code as the class, in DF whoever is to be shown; the class seen is not used."""
        shared = self.inters[0](features)
        if not self.per_class:
            return shared
        if label.is_floating_point():
            halves = torch.stack([shared, *(own(features) for own in self.inters[1:])], dim=1)
            first = torch.einsum("b n c h w, b n -> b c h w", halves, label.to(halves.dtype))
        else:
            first = self.inters(features, label, {0: shared})
        return torch.cat([first, shared], dim=1)


class SAEHDDecoder(Decoder):
    """Upscales with a residual block each to a picture, and beside them upscales alone to its mask.

    Args:
        in_shape: (c, h, w) of the bottleneck's features.
        num_classes: how many classes there are.
        width: a quarter or half of the channels at the last size; DeepFaceLab's d_dims. They double towards the features, up
            to eight times that.
        mask_width: the same for the mask; DeepFaceLab's d_mask_dims.
        stages: how often the size is doubled before the heads.
        interleaved: double it once more, by four heads of which each paints every second pixel of every second row.
        per_class: a whole decoder for each class, as in DF; False: one for all, as in LIAE.
        activation: "leaky_relu" or "x_cos_x".

    Raises:
        ConfigError: a count is no whole number from 1 up, or the activation is not known.

    Example:
        >>> SAEHDDecoder((256, 8, 8), num_classes=2).out_shape
        (3, 128, 128)
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        *,
        num_classes: int,
        width: int = 64,
        mask_width: int = 22,
        stages: int = 3,
        interleaved: bool = True,
        per_class: bool = False,
        activation: str = "leaky_relu",
    ) -> None:
        super().__init__()
        check_counts("SAEHDDecoder", num_classes=num_classes, width=width, mask_width=mask_width, stages=stages)
        self.in_shape = image_shape(in_shape, multiple=1, part="SAEHDDecoder")
        times = stages + (1 if interleaved else 0)
        self.out_shape = (3, self.in_shape[1] << times, self.in_shape[2] << times)
        self.num_classes, self.per_class = num_classes, per_class
        self.blends = not per_class  # the mean of two people's pictures shows both, and nobody between them
        act = activation_of(activation, "SAEHDDecoder")
        bank = PerClass if per_class else nn.ModuleList
        count = num_classes if per_class else 1
        channels, last = self.in_shape[0], 1 if interleaved else 2
        self.images = bank(ImageBranch(channels, width, stages, interleaved=interleaved, act=act) for _ in range(count))
        self.masks = bank(MaskBranch(channels, mask_width, times, last=last, act=act) for _ in range(count))
        glorot(self)

    def forward(self, features: Features, label: Label) -> Face:
        """Show the features, by the decoder of the class where each has its own."""
        image, mask = (
            bank(features, label) if isinstance(bank, PerClass) else bank[0](features)
            for bank in (self.images, self.masks)
        )
        return Face(torch.sigmoid(widen(image)), torch.sigmoid(widen(mask)))
