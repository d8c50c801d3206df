"""Augmentation: one batch in, varied pictures out, on the batch's own device.

Light and geometry change for the input and the target alike, so the network learns to keep the picture's own; only the
warp is put on the input alone, so the network learns to undo it.
"""

import math
from dataclasses import dataclass, fields
from functools import partial
from numbers import Real
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate

from condswap import sharing
from condswap.errors import ConfigError, DataError, ShapeError
from condswap.types import Batch, Image, Label, Mask

_KNOTS = 5  # the warp is drawn at 5 x 5 points: the size of a nose or a cheek, where every pixel alone would be noise
_WIDTHS = {"flip": 1, "gamma": 1, "gain": 1, "colour": 3, "ramp": 2, "affine": 4, "warp": 2 * _KNOTS * _KNOTS}


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How strongly pictures are varied; 0 switches a change off. The defaults suit real footage.

    Every strength s is the largest change; each picture draws its own u, even in [-1, 1]. Raises `ConfigError` for a
    strength that is negative or not a finite number, or a flip above 1.

    flip: probability of a mirrored picture. gamma: x to the power e^(s u). gain: x times e^(s u). colour: each channel
    times its own e^(s u). ramp: light that falls off from left to right, 1 - s u to 1 + s u, and a third of that from
    top to bottom. affine: a turn by s u radians, a zoom by e^(s u), a shift by s u of the side. warp: a smooth
    displacement of the input alone by about s u of the side; above 0.1 it begins to fold.

    >>> Augmentation(flip=1.0).gamma
    0.125
    """

    flip: float = 0.5
    gamma: float = 0.125
    gain: float = 0.2
    colour: float = 0.05
    ramp: float = 0.4
    affine: float = 0.0
    warp: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is not a strength."""
        for field in fields(self):
            value: object = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value) or value < 0:
                raise ConfigError(f"Augmentation.{field.name} is {value!r}; give a finite number, 0 (off) or above")
        if self.flip > 1:
            raise ConfigError(f"Augmentation.flip is {self.flip!r}; it is a probability: give a number from 0 to 1")

    @classmethod
    def none(cls) -> "Augmentation":
        """Give the augmentation that changes nothing.

        >>> Augmentation.none().flip
        0.0
        """
        return cls(**{field.name: 0.0 for field in fields(cls)})


class Augmented(NamedTuple):
    """A batch after augmentation: the target (image, mask), its label, and what the encoder sees (input, input_mask).

    Without a warp `input is image` and `input_mask is mask`.
    """

    image: Image
    mask: Mask
    label: Label
    input: Image
    input_mask: Mask


def augment(batch: Batch, *, augmentation: Augmentation, generator: torch.Generator) -> Augmented:
    """Vary a batch.

    The pictures stay in [0, 1]. Chance comes from `generator`, of the CPU, so that every device sees the same: each
    call takes the same count of numbers a picture whatever the strengths, so a strength never changes what another one
    draws. With every strength 0 the tensors of the batch come back themselves. Raises `ShapeError` for shapes other
    than (b, 3, h, w) and (b, 1, h, w), `DataError` for pictures or masks that are not float32 or float64, `ConfigError`
    for another device's generator.

    >>> batch: Batch = {"image": torch.rand(2, 3, 8, 8), "mask": torch.ones(2, 1, 8, 8), "label": torch.tensor([0, 1])}
    >>> out = augment(batch, augmentation=Augmentation(warp=0.05), generator=torch.Generator().manual_seed(0))
    >>> out.input.shape, out.image is out.input
    (torch.Size([2, 3, 8, 8]), False)
    """
    image, mask = batch["image"], batch["mask"]
    _check(image, mask)
    chance = _draw(len(image), generator=generator, like=image)
    if augmentation.flip:
        mirrored = rearrange(chance["flip"] < augmentation.flip, "b 1 -> b 1 1 1")
        image = torch.where(mirrored, image.flip(-1), image)
        mask = torch.where(mirrored, mask.flip(-1), mask)
    even = {name: 2 * number - 1 for name, number in chance.items()}
    if augmentation.affine:
        turn, zoom, across, down = (augmentation.affine * even["affine"]).unbind(dim=1)
        shift = torch.stack((across, down), dim=1)
        image, mask = similarity(image, mask, angle=turn, scale=zoom.exp(), shift=shift)
    if augmentation.gamma:
        image = adjust_gamma(image, rearrange((augmentation.gamma * even["gamma"]).exp(), "b 1 -> b"))
    if augmentation.gain or augmentation.colour:
        factor = (augmentation.gain * even["gain"] + augmentation.colour * even["colour"]).exp()
        image = adjust_gain(image, factor)
    if augmentation.ramp:
        right, down = (augmentation.ramp * even["ramp"]).unbind(dim=1)
        image = light_ramp(image, torch.stack((right, down / 3), dim=1))
    if not augmentation.warp:
        return Augmented(image, mask, batch["label"], image, mask)
    knots = rearrange(augmentation.warp * even["warp"], "b (way y x) -> b way y x", way=2, y=_KNOTS)
    return Augmented(image, mask, batch["label"], *warp(image, mask, knots=knots))


def adjust_gamma(image: Image, exponent: Tensor) -> Image:
    """Raise each picture to its own power; `exponent` is (b). The result is in [0, 1], black stays black.

    >>> adjust_gamma(torch.full((1, 3, 1, 1), 0.5), torch.tensor([2.0])).amax().item()
    0.25
    """
    return image.clamp(0.0, 1.0).pow(rearrange(exponent, "b -> b 1 1 1"))  # a power of less than 0 would be NaN


def adjust_gain(image: Image, factor: Tensor) -> Image:
    """Multiply each channel by its own factor, (b, 3), and keep the result in [0, 1].

    >>> adjust_gain(torch.full((1, 3, 1, 1), 0.5), torch.tensor([[0.5, 1.0, 3.0]])).flatten().tolist()
    [0.25, 0.5, 1.0]
    """
    return (image * rearrange(factor, "b c -> b c 1 1")).clamp(0.0, 1.0)


def light_ramp(image: Image, slope: Tensor) -> Image:
    """Multiply each picture by 1 + slope . place, with place from -1 to 1 across and down, and keep it in [0, 1].

    `slope` is (b, 2): how much lighter the right edge is, and the bottom edge; each factor is taken at the pixel's
    middle.

    >>> light_ramp(torch.full((1, 3, 1, 2), 0.5), torch.tensor([[0.5, 0.0]]))[0, 0].tolist()
    [[0.375, 0.625]]
    """
    height, width = image.shape[-2:]
    across = torch.arange(1 - width, width, 2, device=image.device, dtype=image.dtype) / width
    down = torch.arange(1 - height, height, 2, device=image.device, dtype=image.dtype) / height
    right, bottom = rearrange(slope, "b way -> way b 1 1 1")
    light = 1 + right * across + bottom * rearrange(down, "h -> h 1")
    lit: Image = (image * light).clamp(0.0, 1.0)
    return lit


def similarity(image: Image, mask: Mask, *, angle: Tensor, scale: Tensor, shift: Tensor) -> tuple[Image, Mask]:
    """Turn, zoom and shift each picture with its mask, about the middle.

    `angle` (b) turns by so many radians, from the x axis (right) to the y axis (down); `scale` (b) above 1 enlarges;
    `shift` (b, 2) then moves right and down by that part of the width and height. Outside the picture its border is
    repeated; the mask is 0 there.

    >>> line, mask = torch.eye(4).expand(1, 3, 4, 4), torch.ones(1, 1, 4, 4)
    >>> half = torch.tensor([[0.5, 0.0]])
    >>> similarity(line, mask, angle=torch.zeros(1), scale=torch.ones(1), shift=half)[1][0, 0, 0].tolist()
    [0.0, 0.0, 1.0, 1.0]
    """
    height, width = image.shape[-2:]
    # grid_sample asks where a pixel comes from, so this is the inverse: shift back, turn back, shrink. Its coordinates
    # run from -1 to 1 on both axes, so a turn in pixels carries the ratio of the sides.
    cosine, sine = angle.cos() / scale, angle.sin() / scale
    right, down = (2 * shift).unbind(dim=1)
    over, under = sine * height / width, -sine * width / height
    inverse = torch.stack(
        (cosine, over, -cosine * right - over * down, under, cosine, -under * right - cosine * down), dim=1
    )
    grid = affine_grid(
        rearrange(inverse, "b (row column) -> b row column", row=2), [len(image), 1, height, width], align_corners=False
    )
    return _sample(image, mask, grid)


def warp(image: Image, mask: Mask, *, knots: Tensor) -> tuple[Image, Mask]:
    """Displace each picture with its mask by a smooth field through `knots`.

    `knots` is (b, 2, rows, columns), spread evenly from corner to corner: how far to the right and down the picture is
    looked up there, as a part of the width and height. Between them the field is bicubic. Outside the picture its
    border is repeated; the mask is 0 there.

    >>> picture, mask = torch.rand(1, 3, 8, 8), torch.ones(1, 1, 8, 8)
    >>> torch.allclose(warp(picture, mask, knots=torch.zeros(1, 2, 5, 5))[0], picture, atol=1e-5)
    True
    """
    field = interpolate(knots, size=image.shape[-2:], mode="bicubic", align_corners=True)
    still = torch.eye(2, 3, device=image.device, dtype=image.dtype).expand(len(image), 2, 3)
    grid = affine_grid(still, [len(image), 1, *image.shape[-2:]], align_corners=False)
    return _sample(image, mask, grid + rearrange(2 * field, "b way h w -> b h w way"))


def _sample(image: Image, mask: Mask, grid: Tensor) -> tuple[Image, Mask]:
    """Look a picture and its mask up at (b, h, w, 2), x and y from -1 to 1."""
    looked_up = grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)
    looked_up_mask = grid_sample(mask, grid.to(mask.dtype), mode="bilinear", padding_mode="zeros", align_corners=False)
    return looked_up.clamp(0.0, 1.0), looked_up_mask.clamp(0.0, 1.0)  # four weights round to a little more than 1


def _draw(count: int, *, generator: torch.Generator, like: Tensor) -> dict[str, Tensor]:
    """Draw the numbers of one batch by name, (b, n) each, even in [0, 1)."""
    if generator.device.type != "cpu":
        raise ConfigError(
            f"the generator is of the device {generator.device}; augmentation draws on the CPU, so that every device "
            "sees the same pictures: give torch.Generator().manual_seed(seed)"
        )
    draw = partial(torch.rand, generator=generator, dtype=torch.float32, device="cpu")
    drawn = sharing.drawn(count, lambda rows: draw(rows, sum(_WIDTHS.values())))
    drawn = drawn.to(device=like.device, dtype=like.dtype, non_blocking=True)  # one copy, and nobody waits for it
    return dict(zip(_WIDTHS, torch.split(drawn, list(_WIDTHS.values()), dim=1), strict=True))


def _check(image: Tensor, mask: Tensor) -> None:
    """Refuse a batch that is not pictures with masks."""
    if image.ndim != 4 or image.shape[1] != 3:
        raise ShapeError(
            f"the image is {tuple(image.shape)} but must be (b, 3, h, w), RGB; add or convert what is missing"
        )
    expected = (image.shape[0], 1, *image.shape[2:])
    if mask.shape != expected:
        raise ShapeError(
            f"the mask is {tuple(mask.shape)} but the image is {tuple(image.shape)}; the mask must be {expected}: "
            "one channel, one mask a picture, resized to the pictures"
        )
    for name, part in (("image", image), ("mask", mask)):
        if part.dtype not in (torch.float32, torch.float64):
            raise DataError(
                f"the {name} is {part.dtype}; augmentation takes float32 in [0, 1]: use {name}.float(), and "
                "divide by 255 what was 8 bits"
            )
