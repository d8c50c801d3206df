"""What an exported file computes, as modules that hold one target and take no labels."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from condswap.generator import AnyLabel, AnySource, Generator
from condswap.parts import PerClass
from condswap.roles import Face, Stranger
from condswap.templates import invert, transform
from condswap.types import Features, Image, Label, Mask

Known: TypeAlias = int | Tensor
"""A label that is known when a file is written: a class, or the weights of all, (1, n)."""


class OnnxGraph(nn.Module):
    """A picture (b, 3, h, w), RGB in [0, 1], to the picture as the target, as the decoder paints it, and its mask."""

    def __init__(self, generator: Generator, *, to: AnyLabel, source: AnySource | None) -> None:
        super().__init__()
        self.one = _Target(generator, to, source)

    def forward(self, image: Image) -> tuple[Image, Mask]:
        """Show the picture as the target."""
        face = self.one.show(self.one.generator.encode(image), self.one.target)
        return face.image.clamp(0, 1), face.mask.clamp(0, 1)


class DfmGraph(nn.Module):
    """A picture (b, h, w, 3), BGR in [0, 1], to the mask of its face, the face as the target, and the mask of that."""

    inwards: Tensor
    outwards: Tensor

    def __init__(
        self, generator: Generator, *, to: AnyLabel, source: AnySource | None, crop: Tensor | None = None
    ) -> None:
        """Take the similarity (2, 3) from the crops that come to those of the model, both of side 1; None for the same."""
        super().__init__()
        self.one = _Target(generator, to, source)
        self.crops = crop is not None
        if crop is not None:
            _, height, width = generator.encoder.in_shape
            self.register_buffer("inwards", _places(invert(crop), height, width))
            self.register_buffer("outwards", _places(crop, height, width))

    def forward(self, in_face: Tensor, morph_value: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Show the picture as the target, or by `morph_value` (1), 0 to 1, less of it."""
        image = rearrange(in_face.flip(-1), "b h w c -> b c h w")
        if self.crops:
            image = _fetched(image, self.inwards, beyond="border")
        features = self.one.generator.encode(image)
        seen, target = self.one.seen(features), self.one.target
        if morph_value is not None:
            start = self.one.weights(seen).to(morph_value.dtype)
            target = torch.lerp(start, self.one.weights(target).to(morph_value.dtype), morph_value)
        face = self.one.show(features, target)
        before = self.one.show(features, seen).mask
        outputs = (before, face.image.flip(1), face.mask)
        if self.crops:
            beyond = ("zeros", "border", "zeros")
            inside, shown, mask = (_fetched(one, self.outwards, way) for one, way in zip(outputs, beyond, strict=True))
            outputs = (inside, shown, mask)
        first, second, third = (rearrange(one.clamp(0, 1), "b c h w -> b h w c") for one in outputs)
        return first, second, third


def _places(matrix: Tensor, height: int, width: int) -> Tensor:
    """Give where each pixel is fetched from, (1, h, w, 2) from -1 to 1: a matrix takes it there, in shares of the sides."""
    y, x = ((torch.arange(side, dtype=torch.float64) + 0.5) / side for side in (height, width))
    shares = transform(matrix, torch.stack(torch.meshgrid(x, y, indexing="xy"), 2).flatten(0, 1))
    return rearrange(2 * shares - 1, "(h w) two -> 1 h w two", h=height).float()


def _fetched(image: Tensor, places: Tensor, beyond: str) -> Tensor:
    """Fetch pixels (b, c, h, w) from these places."""
    grid = places.expand(image.shape[0], -1, -1, -1)
    return functional.grid_sample(image, grid, mode="bilinear", padding_mode=beyond, align_corners=False)


class _Target(nn.Module):
    """A copy of a generator, in single precision on the CPU, that shows one target.

    A class is a plain number here: a graph can ask nothing of a tensor.
    """

    mean: Tensor
    square: Tensor

    def __init__(self, generator: Generator, to: AnyLabel, source: AnySource | None) -> None:
        super().__init__()
        self.generator = copy.deepcopy(generator).cpu().float().eval().requires_grad_(False)
        self.target = self._resolved(to)
        self.others = [number for number, share in enumerate(self.weights(self.target)[0].tolist()) if not share]
        known = None if source is None or isinstance(source, Stranger) else self._resolved(source)
        self.source: Known | None = known
        self.count = 0  # pictures that the stranger was measured on
        if isinstance(source, Stranger):
            self.generator.check_stranger(source)
            self.register_buffer("mean", source.mean.cpu().float())
            self.register_buffer("square", source.square.cpu().float())
            self.count = source.count

    def _resolved(self, label: AnyLabel) -> Known:
        found = self.generator.resolve(label, torch.zeros(1, *self.generator.encoder.in_shape))
        return found if found.is_floating_point() else int(found[0])

    def seen(self, features: Features) -> Known:
        """Tell whom the picture is of, to show it as that.

        It is the class that was given, or the model's guess. Where a model cannot guess it is all other classes alike, the
        other one of two; and the target itself where there is no other one, or several that cannot be blended.
        """
        if self.source is not None:
            return self.source
        blends = self.generator.bottleneck.blends and self.generator.decoder.blends
        guess = self.generator.bottleneck.guess(features) if blends else None
        if guess is not None:
            return guess
        if len(self.others) == 1:
            return self.others[0]
        if not blends or not self.others:
            return self.target
        share = torch.zeros(1, len(self.generator.classes))
        share[0, self.others] = 1 / len(self.others)
        return share

    def weights(self, label: Known) -> Label:
        """Give a label as weights of all classes, (b, n) or (1, n)."""
        if isinstance(label, Tensor):
            return label
        return functional.one_hot(torch.tensor([label]), len(self.generator.classes)).float()

    def show(self, features: Features, label: Known) -> Face:
        """Show features as a class or a blend."""
        with _only(self.generator, label):
            source: Label | Stranger | None = None
            if self.count:
                source = Stranger(self.mean, self.square, self.count)
            elif self.source is not None:
                source = _spread(self.source, features)
            return self.generator.show(features, _spread(label, features), source)


def _spread(label: Known, features: Features) -> Label:
    """Give a label a picture."""
    batch = features.shape[0]
    return label.expand(batch, -1) if isinstance(label, Tensor) else torch.full((batch,), label)


@contextmanager
def _only(generator: Generator, label: Known) -> Iterator[None]:
    """Let networks of one class each know which one is shown."""
    banks = [module for module in generator.modules() if isinstance(module, PerClass)]
    for bank in banks:
        bank.only = None if isinstance(label, Tensor) else label
    try:
        yield
    finally:
        for bank in banks:
            bank.only = None
