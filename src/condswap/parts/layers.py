"""The layers that the parts are made of."""

import copy
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from condswap import sharing
from condswap.component import Growing, is_number, is_shape
from condswap.errors import ConfigError, ShapeError
from condswap.losses.functional import widen
from condswap.types import Features, Image, Label, Shape


def normal(*shape: int, std: float) -> nn.Parameter:
    """Give a weight that starts with normal numbers around 0."""
    weight = torch.empty(shape)
    if not weight.is_meta:  # where there are no numbers, drawing them would only cost seconds of torch's own imports
        weight.normal_(0, std)
    return nn.Parameter(weight)


class ClassEmbedding(nn.Module, Growing):
    """A learned tensor for each class; soft labels (b, n) give the weighted mean.

    Example:
        >>> import torch
        >>> ClassEmbedding(2, (8,))(torch.tensor([0, 1, 1])).shape
        torch.Size([3, 8])
    """

    def __init__(self, num_classes: int, shape: Sequence[int], *, std: float = 1.0) -> None:
        super().__init__()
        self.weight = normal(num_classes, *shape, std=std)

    def forward(self, label: Label) -> Tensor:
        """Look the classes up, (b, *shape)."""
        if label.is_floating_point():
            return torch.tensordot(label.to(self.weight.dtype), self.weight, dims=1)
        return F.embedding(label, self.weight.flatten(1)).unflatten(1, self.weight.shape[1:])

    def grow(self) -> None:
        """Add a class that starts as the mean of the others."""
        weight = self.weight.detach()
        grown = torch.cat([weight, weight.mean(0, keepdim=True)])
        self.weight = nn.Parameter(grown, requires_grad=self.weight.requires_grad)


class PerClass(nn.ModuleList, Growing):
    """A network of its own for every class; a picture goes through that of its class.

    Which classes are there is asked of the labels, for which a GPU is waited for. A class that is added starts as a copy of
    the first.

    Attributes:
        only: the one class that is shown, whatever the labels say; None for the labels. An export sets it, since a graph can
            ask no labels.

    Example:
        >>> import torch
        >>> PerClass(nn.Linear(4, 2) for _ in range(3))(torch.rand(5, 4), torch.tensor([0, 2, 2, 1, 0])).shape
        torch.Size([5, 2])
    """

    only: int | None = None

    def forward(self, features: Features, label: Label, known: Mapping[int, Tensor] | None = None) -> Tensor:
        """Give what the network of each label (b), int64, makes of the features (b, ...).

        `known` are results for all the features that are there already, by class.
        """
        known = known or {}
        present = label.unique().tolist() if self.only is None else [self.only]
        if len(present) < 2:
            number = present[0] if present else 0
            whole: Tensor = known[number] if number in known else self[number](features)
            return whole
        rows = [(label == number).nonzero()[:, 0] for number in present]
        parts = [
            known[number][its] if number in known else self[number](features[its])
            for number, its in zip(present, rows, strict=True)
        ]
        return torch.cat(parts)[torch.cat(rows).argsort()]

    def grow(self) -> None:
        """Add a class that starts as a copy of the first."""
        self.append(copy.deepcopy(self[0]))


def rms_norm(x: Tensor, *, dim: int, eps: float = 1e-6) -> Tensor:
    """Divide by the root mean square along one dimension."""
    return x * torch.rsqrt(widen(x).square().mean(dim, keepdim=True) + eps).to(x.dtype)


class Noise(nn.Module):
    """Adds normal noise in training, and nothing afterwards.

    Args:
        deviation: of the noise, where the features have a deviation of 1.
        part: whose argument `noise` this is, for the error.

    Raises:
        ConfigError: the deviation is no finite number from 0 up.
    """

    def __init__(self, deviation: float, *, part: str) -> None:
        super().__init__()
        if not is_number(deviation) or deviation < 0:
            raise ConfigError(f"{part}.noise is {deviation!r}; it is a finite number from 0 up")
        self.deviation = deviation

    def forward(self, features: Features) -> Features:
        """Add the noise to features of any shape."""
        if not self.training or not self.deviation:
            return features
        draw = partial(torch.randn, dtype=features.dtype, device=features.device)
        noise = sharing.drawn(len(features), lambda count: draw(count, *features.shape[1:]))
        return features + self.deviation * noise


class Modulation(nn.Module):
    """Lets the class set the scale and offset of every channel.

    "adain" first normalises each channel of each picture (Huang and Belongie 2017), "film" does not (Perez et al. 2018),
    "none" leaves the features alone.
    """

    def __init__(self, channels: int, *, embedding: int, kind: str) -> None:
        super().__init__()
        if kind not in ("adain", "film", "none"):
            raise ConfigError(f"modulation is {kind!r}; known here: adain, film, none")
        self.kind = kind
        if kind != "none":
            self.affine = nn.Linear(embedding, 2 * channels)

    def forward(self, features: Features, embedding: Tensor) -> Features:
        """Modulate features (b, c, h, w) by the embedding (b, e) of the class."""
        if self.kind == "none":
            return features
        scale, offset = rearrange(self.affine(embedding), "b (two c) -> two b c 1 1", two=2)
        if self.kind == "adain":
            if self.training and len(features):
                return _adain(features, 1 + scale, offset)
            features = F.instance_norm(features)
        return features * (1 + scale) + offset


def _adain(features: Features, scale: Tensor, offset: Tensor) -> Features:
    """Do all of "adain" in one kernel: every channel of every picture is a group with a scale and offset of its own.

    It saves a twentieth of a training step. The number of groups depends on that of the pictures, so this is no graph for any
    number of them, which an export wants: hence not in evaluation.
    """
    pictures, channels, height, width = features.shape
    groups = rearrange(features, "b c h w -> 1 (b c) h w")
    scale, offset = (rearrange(one.to(features.dtype), "b c 1 1 -> (b c)") for one in (scale, offset))
    # It sums in float32 anyway; under autocast it would give that back, twice the memory of what comes after.
    with torch.autocast(features.device.type, enabled=False):
        shown = F.group_norm(groups, pictures * channels, scale, offset)
    return rearrange(shown, "1 (b c) h w -> b c h w", b=pictures, h=height, w=width)


class Upscale(nn.Module):
    """Doubles the size: a convolution to four times the channels, which become two by two pixels (Shi et al. 2016)."""

    def __init__(self, in_channels: int, out_channels: int, *, kernel_size: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 4 * out_channels, kernel_size, padding=kernel_size // 2)

    def forward(self, features: Features) -> Features:
        """Upscale (b, c, h, w) to (b, out, 2h, 2w), linearly."""
        return F.pixel_shuffle(self.conv(features), 2)


class ResidualBlock(nn.Module):
    """A 3x3 convolution, modulated by the class, added to its input."""

    def __init__(self, channels: int, *, embedding: int, modulation: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.modulation = Modulation(channels, embedding=embedding, kind=modulation)

    def forward(self, features: Features, embedding: Tensor) -> Features:
        """Refine features (b, c, h, w) for the class of the embedding (b, e)."""
        return F.leaky_relu(features + self.modulation(self.conv(features), embedding), 0.1, inplace=True)


def initialise(part: nn.Module) -> None:
    """Start a part so that its signal neither dies nor grows: Kaiming for leaky ReLU of 0.1, biases zero.

    Residual branches and modulations start small, so that at first every block is close to its input.
    """
    if any(weight.is_meta for weight in part.parameters()):  # there are no numbers to set
        return
    for module in part.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, a=0.1)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    with torch.no_grad():
        for module in part.modules():
            if isinstance(module, ResidualBlock):
                module.conv.weight *= 0.3
            elif isinstance(module, Modulation) and module.kind != "none":
                module.affine.weight *= 0.1


def image_shape(in_shape: Sequence[int], *, multiple: int, part: str) -> Shape:
    """Check an image shape (c, h, w) whose sides have to be multiples of `multiple`.

    Raises:
        ShapeError: it is not (c, h, w), or a side does not divide; the message says which sizes do.
    """
    shape = tuple(in_shape) if is_shape(in_shape) else ()
    if not shape:
        raise ShapeError(f"{part} needs a shape (channels, height, width) of whole numbers, not {in_shape!r}")
    if shape[1] % multiple or shape[2] % multiple:
        fits = [
            " x ".join(str(max(1, -(-size // multiple) if up else size // multiple) * multiple) for size in shape[1:])
            for up in (False, True)
        ]
        raise ShapeError(
            f"{part} halves the picture {multiple.bit_length() - 1} times, so height and width have to be multiples of "
            f"{multiple}; {shape[1]} x {shape[2]} is not: use {' or '.join(dict.fromkeys(fits))}"
        )
    return shape


def check_counts(part: str, **counts: int) -> None:
    """Check the arguments of a part that count something: whole numbers from 1 up, and no more than 16 `stages` and `depth`.

    A part is built as deep as its config says, and a config may come from anywhere.

    Raises:
        ConfigError: with the argument and its value.
    """
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ConfigError(f"{part}.{name} is {count!r}; it is a whole number from 1 up")
    if counts.get("stages", 1) > 16:
        raise ConfigError(f"{part}.stages is more than 16, and after 16 halvings 65,536 pixels are one; use fewer")
    if counts.get("depth", 1) > 16:
        raise ConfigError(f"{part}.depth is {counts['depth']}, and 16 is the most; use fewer")


def check_image(image: Image, in_shape: Shape, part: str) -> None:
    """Raise `ShapeError` when an image batch does not have the shape that a part was built for."""
    if image.ndim != 4 or tuple(image.shape[1:]) != in_shape:
        hint = "; add the batch dimension with image[None]" if tuple(image.shape) == in_shape else ""
        raise ShapeError(
            f"{part} was built for images (b, {', '.join(map(str, in_shape))}); got {tuple(image.shape)}{hint}"
        )
