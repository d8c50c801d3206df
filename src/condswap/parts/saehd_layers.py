"""The layers that DeepFaceLab's networks are made of."""

from collections.abc import Callable
from typing import TypeAlias

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from condswap.errors import ConfigError, ShapeError
from condswap.parts.layers import Upscale
from condswap.types import Features

Activation: TypeAlias = Callable[[Tensor, float], Tensor]
_INSIDE = 0.2  # the slope in residual blocks
OUTSIDE = 0.1  # the slope of all activations but those


class Residual(nn.Module):
    """Two 3x3 convolutions, added to their input before the last activation."""

    def __init__(self, channels: int, act: Activation) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.act = act

    def forward(self, features: Features) -> Features:
        """Refine features (b, c, h, w)."""
        inside = self.act(self.first(features), _INSIDE)
        return self.act(features + self.second(inside), _INSIDE)


class Inter(nn.Module):
    """Two linear layers over all of the code, and an upscale where it is asked for."""

    def __init__(
        self,
        in_shape: tuple[int, ...],
        width: int,
        out_channels: int,
        *,
        scale: int,
        upscale: bool,
        act: Activation,
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
        """Squeeze features (b, c, h, w) through the narrow layer."""
        code = self.spread(self.squeeze(rearrange(features, "b c h w -> b (c h w)")))
        places = rearrange(code, "b (c h w) -> b c h w", c=self.out_shape[0], h=self.height)
        return places if self.upscale is None else self.act(self.upscale(places), OUTSIDE)


class ImageBranch(nn.Module):
    """Features (b, c, h, w) to red, green and blue, (b, 3, H, W), before the sigmoid."""

    def __init__(self, channels: int, width: int, stages: int, *, interleaved: bool, act: Activation) -> None:
        super().__init__()
        widths = [channels, *_widths(width, stages, last=2)]
        self.upscales = nn.ModuleList(Upscale(wide, narrow) for wide, narrow in zip(widths, widths[1:], strict=False))
        self.blocks = nn.ModuleList(Residual(wide, act) for wide in widths[1:])
        kernels = (1, 3, 3, 3) if interleaved else (1,)
        self.heads = nn.ModuleList(nn.Conv2d(widths[-1], 3, kernel, padding=kernel // 2) for kernel in kernels)
        self.act = act

    def forward(self, features: Features) -> Tensor:
        """Paint."""
        for upscale, block in zip(self.upscales, self.blocks, strict=True):
            features = block(self.act(upscale(features), OUTSIDE))
        shown = [head(features) for head in self.heads]
        if len(shown) == 1:
            return shown[0]
        # Head n paints the pixel n of every two by two.
        return F.pixel_shuffle(rearrange(torch.stack(shown, dim=2), "b c n h w -> b (c n) h w"), 2)


class MaskBranch(nn.Module):
    """Features (b, c, h, w) to the mask (b, 1, H, W), before the sigmoid."""

    def __init__(self, channels: int, width: int, stages: int, *, last: int, act: Activation) -> None:
        super().__init__()
        widths = [channels, *_widths(width, stages, last=last)]
        self.upscales = nn.ModuleList(Upscale(wide, narrow) for wide, narrow in zip(widths, widths[1:], strict=False))
        self.head = nn.Conv2d(widths[-1], 1, 1)
        self.act = act

    def forward(self, features: Features) -> Tensor:
        """Paint."""
        for upscale in self.upscales:
            features = self.act(upscale(features), OUTSIDE)
        shown: Tensor = self.head(features)
        return shown


def _widths(width: int, stages: int, *, last: int) -> list[int]:
    """Give the channels after each doubling: twice as many towards the features, up to eight times the width."""
    return [width * min(8, last * 2 ** (stages - 1 - stage)) for stage in range(stages)]


def _x_cos_x(x: Tensor, _: float) -> Tensor:
    return x * x.cos()


_ACTIVATIONS: dict[str, Activation] = {"leaky_relu": F.leaky_relu, "x_cos_x": _x_cos_x}


def activation_of(word: str, part: str) -> Activation:
    """Give the activation of a word: a function of numbers and of the slope where they are negative.

    Raises:
        ConfigError: the word is not known; `part` is named.
    """
    if word not in _ACTIVATIONS:
        raise ConfigError(f"{part}.activation is {word!r}; known here: {', '.join(_ACTIVATIONS)}")
    return _ACTIVATIONS[word]


def glorot(part: nn.Module) -> None:
    """Start a part as DeepFaceLab does: Glorot's uniform numbers, biases zero."""
    for module in part.modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and not module.weight.is_meta:
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
