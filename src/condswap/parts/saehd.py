"""The networks of DeepFaceLab's SAEHD as parts: what a model that was trained there opens as.

A DF model is one `DFBottleneck` for all people and a decoder for each; a LIAE model is a `LIAEBottleneck`, which knows who is
to be shown, and one decoder for all. What its options change:

| option | encoder | bottleneck | decoder |
|---|---|---|---|
| u | `pixel_norm=True` | | |
| d | | `scale=1` | `interleaved=True` |
| t | `deep=True` | `upscale=False` | `stages=4` |
| c | `activation="x_cos_x"` | the same | the same |

They take and give RGB, where DeepFaceLab's take and give BGR.
"""

from collections.abc import Callable, Sequence

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from condswap.errors import ConfigError, ShapeError
from condswap.losses.functional import widen
from condswap.parts.layers import PerClass, Upscale, check_counts, check_image, image_shape, rms_norm
from condswap.roles import Bottleneck, Decoder, Encoder, Face
from condswap.types import Features, Image, Label

_Activation = Callable[[Tensor, float], Tensor]
_INSIDE = 0.2  # the slope in residual blocks; elsewhere it is 0.1
_OUTSIDE = 0.1


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
        self.pixel_norm, self.act = pixel_norm, _activation(activation, "SAEHDEncoder")
        widths = [self.in_shape[0], *(width * factor for factor in times)]
        self.convs = nn.ModuleList(
            nn.Conv2d(narrow, wide, 5, stride=2, padding=2) for narrow, wide in zip(widths, widths[1:], strict=False)
        )
        ends = {0: width, len(times) - 1: 8 * width} if deep else {}
        self.blocks = nn.ModuleDict({str(stage): _Residual(wide, self.act) for stage, wide in ends.items()})
        _glorot(self)

    def forward(self, image: Image) -> Features:
        """Encode images in [0, 1]."""
        check_image(image, self.in_shape, "SAEHDEncoder")
        features = image
        for stage, conv in enumerate(self.convs):
            features = self.act(conv(features), _OUTSIDE)
            if str(stage) in self.blocks:
                features = self.blocks[str(stage)](features)
        if not self.pixel_norm:
            return features
        return rms_norm(features.flatten(1), dim=1).view_as(features)


class DFBottleneck(Bottleneck):
    """Two linear layers with nothing between them, which know no class: the decoders do.

    Args:
        in_shape: (c, h, w) of the encoder's features.
        num_classes: how many classes there are.
        width: numbers between the layers, and channels of the features that come out; DeepFaceLab's ae_dims.
        scale: how much larger the features that come out are, 1 or 2.
        upscale: end in a convolution that doubles the size, so that the linear layers make a quarter of the places.
        activation: after that convolution, "leaky_relu" or "x_cos_x".

    Raises:
        ShapeError: the sides of the features are odd and would have to be halved.
        ConfigError: a count is no whole number from 1 up, the scale is not known, or the activation is not.

    Example:
        >>> DFBottleneck((256, 8, 8), num_classes=2).out_shape
        (256, 16, 16)
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
        activation: str = "leaky_relu",
    ) -> None:
        super().__init__()
        check_counts("DFBottleneck", num_classes=num_classes, width=width)
        self.in_shape = image_shape(in_shape, multiple=1, part="DFBottleneck")
        self.num_classes = num_classes
        act = _activation(activation, "DFBottleneck")
        self.inter = _Inter(self.in_shape, width, width, scale=scale, upscale=upscale, act=act, part="DFBottleneck")
        self.out_shape = self.inter.out_shape
        _glorot(self)

    def forward(self, features: Features, label: Label, source: Label | None = None) -> Features:
        """Pass the code on, whoever is to be shown."""
        shown: Features = self.inter(features)
        return shown


class LIAEBottleneck(Bottleneck):
    """Two halves of a code: one from layers of the class's own, one from those of the first class, whoever is to be shown.

    So the first of two classes is DeepFaceLab's src, for whom its inter_AB makes both halves, and the second its dst.

    Args:
        in_shape: (c, h, w) of the encoder's features.
        num_classes: how many classes there are.
        width: numbers between the linear layers, and a quarter of the channels that come out; DeepFaceLab's ae_dims.
        scale: how much larger the features that come out are, 1 or 2.
        upscale: end in a convolution that doubles the size, so that the linear layers make a quarter of the places.
        activation: after that convolution, "leaky_relu" or "x_cos_x".

    Raises:
        ShapeError: the sides of the features are odd and would have to be halved.
        ConfigError: a count is no whole number from 1 up, the scale is not known, or the activation is not.

    Example:
        >>> LIAEBottleneck((256, 8, 8), num_classes=2, width=64).out_shape
        (256, 16, 16)
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
        activation: str = "leaky_relu",
    ) -> None:
        super().__init__()
        check_counts("LIAEBottleneck", num_classes=num_classes, width=width)
        self.in_shape = image_shape(in_shape, multiple=1, part="LIAEBottleneck")
        self.num_classes = num_classes
        act = _activation(activation, "LIAEBottleneck")
        inters = [
            _Inter(self.in_shape, width, 2 * width, scale=scale, upscale=upscale, act=act, part="LIAEBottleneck")
            for _ in range(num_classes)
        ]
        self.inters = PerClass(inters)
        self.out_shape = (4 * width, *inters[0].out_shape[1:])
        _glorot(self)

    def forward(self, features: Features, label: Label, source: Label | None = None) -> Features:
        """Show the code as the class; the class seen is not used."""
        shared = self.inters[0](features)
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
        act = _activation(activation, "SAEHDDecoder")
        bank = PerClass if per_class else nn.ModuleList
        count = num_classes if per_class else 1
        channels, last = self.in_shape[0], 1 if interleaved else 2
        self.images = bank(
            _ImageBranch(channels, width, stages, interleaved=interleaved, act=act) for _ in range(count)
        )
        self.masks = bank(_MaskBranch(channels, mask_width, times, last=last, act=act) for _ in range(count))
        _glorot(self)

    def forward(self, features: Features, label: Label) -> Face:
        """Show the features, by the decoder of the class where each has its own."""
        image, mask = (
            bank(features, label) if isinstance(bank, PerClass) else bank[0](features)
            for bank in (self.images, self.masks)
        )
        return Face(torch.sigmoid(widen(image)), torch.sigmoid(widen(mask)))


class _Residual(nn.Module):
    """Two 3x3 convolutions, added to their input before the last activation."""

    def __init__(self, channels: int, act: _Activation) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.act = act

    def forward(self, features: Features) -> Features:
        inside = self.act(self.first(features), _INSIDE)
        return self.act(features + self.second(inside), _INSIDE)


class _Inter(nn.Module):
    """Two linear layers over all of the code, and an upscale where it is asked for."""

    def __init__(
        self,
        in_shape: tuple[int, ...],
        width: int,
        out_channels: int,
        *,
        scale: int,
        upscale: bool,
        act: _Activation,
        part: str,
    ) -> None:
        super().__init__()
        channels, height, width_ = in_shape
        if isinstance(scale, bool) or scale not in (1, 2):
            raise ConfigError(f"{part}.scale is {scale!r}; the features stay as large as they are (1) or double (2)")
        self.out_shape = (out_channels, scale * height, scale * width_)
        if upscale and (self.out_shape[1] % 2 or self.out_shape[2] % 2):
            raise ShapeError(
                f"{part} rebuilds the features from half their size, and {height} x {width_} is not even: use pictures "
                "whose height and width are multiples of 32, or scale=2 and a decoder that is not interleaved"
            )
        self.height, times = self.out_shape[1] >> upscale, 4 if upscale else 1
        self.squeeze = nn.Linear(channels * height * width_, width)
        self.spread = nn.Linear(width, out_channels * self.out_shape[1] * self.out_shape[2] // times)
        self.upscale = Upscale(out_channels, out_channels) if upscale else None
        self.act = act

    def forward(self, features: Features) -> Features:
        code = self.spread(self.squeeze(rearrange(features, "b c h w -> b (c h w)")))
        places = rearrange(code, "b (c h w) -> b c h w", c=self.out_shape[0], h=self.height)
        return places if self.upscale is None else self.act(self.upscale(places), _OUTSIDE)


class _ImageBranch(nn.Module):
    """Features (b, c, h, w) to red, green and blue, (b, 3, H, W), before the sigmoid."""

    def __init__(self, channels: int, width: int, stages: int, *, interleaved: bool, act: _Activation) -> None:
        super().__init__()
        widths = [channels, *_widths(width, stages, last=2)]
        self.upscales = nn.ModuleList(Upscale(wide, narrow) for wide, narrow in zip(widths, widths[1:], strict=False))
        self.blocks = nn.ModuleList(_Residual(wide, act) for wide in widths[1:])
        kernels = (1, 3, 3, 3) if interleaved else (1,)
        self.heads = nn.ModuleList(nn.Conv2d(widths[-1], 3, kernel, padding=kernel // 2) for kernel in kernels)
        self.act = act

    def forward(self, features: Features) -> Tensor:
        for upscale, block in zip(self.upscales, self.blocks, strict=True):
            features = block(self.act(upscale(features), _OUTSIDE))
        shown = [head(features) for head in self.heads]
        if len(shown) == 1:
            return shown[0]
        # Head n paints the pixel n of every two by two.
        return F.pixel_shuffle(rearrange(torch.stack(shown, dim=2), "b c n h w -> b (c n) h w"), 2)


class _MaskBranch(nn.Module):
    """Features (b, c, h, w) to the mask (b, 1, H, W), before the sigmoid."""

    def __init__(self, channels: int, width: int, stages: int, *, last: int, act: _Activation) -> None:
        super().__init__()
        widths = [channels, *_widths(width, stages, last=last)]
        self.upscales = nn.ModuleList(Upscale(wide, narrow) for wide, narrow in zip(widths, widths[1:], strict=False))
        self.head = nn.Conv2d(widths[-1], 1, 1)
        self.act = act

    def forward(self, features: Features) -> Tensor:
        for upscale in self.upscales:
            features = self.act(upscale(features), _OUTSIDE)
        shown: Tensor = self.head(features)
        return shown


def _widths(width: int, stages: int, *, last: int) -> list[int]:
    """Give the channels after each doubling: twice as many towards the features, up to eight times the width."""
    return [width * min(8, last * 2 ** (stages - 1 - stage)) for stage in range(stages)]


def _x_cos_x(x: Tensor, _: float) -> Tensor:
    return x * x.cos()


_ACTIVATIONS: dict[str, _Activation] = {"leaky_relu": F.leaky_relu, "x_cos_x": _x_cos_x}


def _activation(word: str, part: str) -> _Activation:
    if word not in _ACTIVATIONS:
        raise ConfigError(f"{part}.activation is {word!r}; known here: {', '.join(_ACTIVATIONS)}")
    return _ACTIVATIONS[word]


def _glorot(part: nn.Module) -> None:
    """Start a part as DeepFaceLab does: Glorot's uniform numbers, biases zero."""
    for module in part.modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and not module.weight.is_meta:
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
