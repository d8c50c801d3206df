"""The layers that the parts are made of."""

import math
from collections.abc import Sequence

import torch
from einops import rearrange, reduce
from torch import Tensor, nn
from torch.nn import functional as F

from condswap.component import Growing, is_shape
from condswap.errors import ConfigError, ShapeError
from condswap.types import Features, Image, Label, Shape

NORMALISATIONS = ("pooled", "positions", "none")


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


class ClassNorm(nn.Module, Growing):
    """Normalises the features of a picture by the statistics of the person seen in it.

    Every class has a mean and a variance of its features: in training those of its pictures in the batch (when there are
    `least` of them, else the running ones), afterwards the running ones. What is constant about a person leaves the
    features here, so that the class to show has to bring it back.

    `over="pooled"` keeps one mean and variance a channel; `"positions"` one a channel and position, which removes more
    but also maps the average pose and light of one person to those of the other.

    Without a source, as for a picture of whoever, the classes are mixed by how likely each makes the features.
    """

    mean: Tensor
    square: Tensor
    updates: Tensor
    met: Tensor

    def __init__(
        self,
        in_shape: Sequence[int],
        *,
        num_classes: int,
        over: str = "pooled",
        momentum: float = 0.05,
        eps: float = 1e-4,
        least: int = 4,
    ) -> None:
        super().__init__()
        if over not in ("pooled", "positions"):
            raise ConfigError(f"over is {over!r}; known here: pooled, positions")
        self.pooled, self.momentum, self.eps, self.least = over == "pooled", momentum, eps, least
        channels, height, width = in_shape
        places = 1 if self.pooled else height * width
        self.register_buffer("mean", torch.zeros(num_classes, channels, places))
        self.register_buffer("square", torch.ones(num_classes, channels, places))
        self.register_buffer("updates", torch.zeros(num_classes))
        self.register_buffer("met", torch.ones(num_classes))  # 0 for a class that was added and not trained since

    def forward(self, features: Features, source: Label | None) -> Features:
        """Normalise features (b, c, h, w) by the classes `source`, (b) or a blend (b, n), or by the likeliest for None."""
        places = rearrange(features.float(), "b c h w -> b c (h w)")
        first, second = (
            (reduce(places, "b c p -> b c 1", "mean"), reduce(places.square(), "b c p -> b c 1", "mean"))
            if self.pooled
            else (places, places.square())
        )
        if source is None:
            source = self._likeliest(first, second, places.shape[-1] if self.pooled else 1)
        if source.is_floating_point():
            mean, square = (
                torch.tensordot(source.float(), table.float(), dims=1) for table in (self.mean, self.square)
            )
        elif self.training:
            mean, square = self._batch(first, second, source)
        else:
            mean, square = self.mean[source].float(), self.square[source].float()
        variance = (square - mean.square()).clamp_min(0)
        normal = (places - mean) * torch.rsqrt(variance + self.eps)
        return rearrange(normal, "b c (h w) -> b c h w", h=features.shape[2]).to(features.dtype)

    def _batch(self, first: Tensor, second: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
        """Give the statistics of every picture's class, and move the running ones towards those of the batch."""
        running, running_square = (
            self.mean.float(),
            self.square.float(),
        )  # half a model's precision is too little to add up in
        zeros = torch.zeros_like(running)
        count = zeros.new_zeros(len(zeros)).index_add_(0, source, torch.ones_like(source, dtype=zeros.dtype))
        share = rearrange(count.clamp_min(1), "n -> n 1 1")
        mean, square = zeros.index_add(0, source, first) / share, zeros.index_add(0, source, second) / share
        with torch.no_grad():
            seen = count > 0
            rate = torch.where(seen, (1 / (self.updates.float() + 1)).clamp_min(self.momentum), 0)
            # a picture of NaN must not stay here for good
            finite = (mean.isfinite() & square.isfinite()).all(-1).all(-1)
            rate = rearrange(torch.where(finite, rate, 0), "n -> n 1 1")
            running = torch.where(rate > 0, running.lerp(mean, rate), running)
            running_square = torch.where(rate > 0, running_square.lerp(square, rate), running_square)
            self.mean.copy_(running)
            self.square.copy_(running_square)
            self.updates.add_(seen & finite)
            self.met.copy_(torch.where(seen & finite, 1, self.met))
        enough = rearrange(count >= self.least, "n -> n 1 1")
        mean, square = torch.where(enough, mean, running), torch.where(enough, square, running_square)
        return mean[source], square[source]

    def _likeliest(self, first: Tensor, second: Tensor, places: int) -> Tensor:
        """Weigh the classes by the likelihood of the features under each one's normal distribution, (b, n).

        Neighbouring features are not independent, so the log-likelihood is divided by the root of their number.
        """
        mean = self.mean.float()
        variance = (self.square.float() - mean.square()).clamp_min(0) + self.eps
        first, second = rearrange(first, "b c p -> b 1 c p"), rearrange(second, "b c p -> b 1 c p")
        distance = (second - 2 * first * mean + mean.square()) / variance + variance.log()
        likelihood = (
            -0.5 * reduce(distance, "b n c p -> b n", "sum") * places / math.sqrt(first.shape[1:].numel() * places)
        )
        return torch.softmax(likelihood.masked_fill(self.met == 0, -torch.inf), dim=1)

    def grow(self) -> None:
        """Add a class that starts with the mean statistics of the others, and is no guess for a picture before it is met."""
        self.mean = torch.cat([self.mean, self.mean.mean(0, keepdim=True)])
        self.square = torch.cat([self.square, self.square.mean(0, keepdim=True)])
        self.updates = torch.cat([self.updates, torch.zeros_like(self.updates[:1])])
        self.met = torch.cat([self.met, torch.zeros_like(self.met[:1])])


def code_norm(normalisation: str, in_shape: Shape, num_classes: int) -> ClassNorm | None:
    """Build the normalisation of the code by its word, None for "none"."""
    if normalisation not in NORMALISATIONS:
        raise ConfigError(f"normalisation is {normalisation!r}; known here: {', '.join(NORMALISATIONS)}")
    return None if normalisation == "none" else ClassNorm(in_shape, num_classes=num_classes, over=normalisation)


def rms_norm(x: Tensor, *, dim: int, eps: float = 1e-6) -> Tensor:
    """Divide by the root mean square along one dimension."""
    return x * torch.rsqrt(x.float().square().mean(dim, keepdim=True) + eps).to(x.dtype)


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
        if self.kind == "adain":
            features = F.instance_norm(features)
        scale, offset = rearrange(self.affine(embedding), "b (two c) -> two b c 1 1", two=2)
        return features * (1 + scale) + offset


class Upscale(nn.Module):
    """Doubles the size: a 3x3 convolution to four times the channels, which become two by two pixels."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 4 * out_channels, 3, padding=1)

    def forward(self, features: Features) -> Features:
        """Upscale (b, c, h, w) to (b, out, 2h, 2w), linearly."""
        return F.pixel_shuffle(self.conv(features), 2)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, each modulated by the class, added to their input."""

    def __init__(self, channels: int, *, embedding: int, modulation: str) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.first_modulation = Modulation(channels, embedding=embedding, kind=modulation)
        self.second_modulation = Modulation(channels, embedding=embedding, kind=modulation)

    def forward(self, features: Features, embedding: Tensor) -> Features:
        """Refine features (b, c, h, w) for the class of the embedding (b, e)."""
        inner = F.leaky_relu(self.first_modulation(self.first(features), embedding), 0.1)
        return F.leaky_relu(features + self.second_modulation(self.second(inner), embedding), 0.1)


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
                module.second.weight *= 0.3
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
    """Check the arguments of a part that count something: whole numbers from 1 up, and no more than 16 `stages`.

    Raises:
        ConfigError: with the argument and its value.
    """
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ConfigError(f"{part}.{name} is {count!r}; it is a whole number from 1 up")
    if counts.get("stages", 1) > 16:
        raise ConfigError(f"{part}.stages is more than 16, and after 16 halvings 65,536 pixels are one; use fewer")


def check_image(image: Image, in_shape: Shape, part: str) -> None:
    """Raise `ShapeError` when an image batch does not have the shape that a part was built for."""
    if image.ndim != 4 or tuple(image.shape[1:]) != in_shape:
        hint = "; add the batch dimension with image[None]" if tuple(image.shape) == in_shape else ""
        raise ShapeError(
            f"{part} was built for images (b, {', '.join(map(str, in_shape))}); got {tuple(image.shape)}{hint}"
        )
