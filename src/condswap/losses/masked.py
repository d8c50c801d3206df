"""A pixel loss inside a mask, as one number."""

import torch
from torch import Tensor, nn

from condswap.errors import ConfigError, ShapeError
from condswap.losses.functional import blur_mask, check_fraction
from condswap.losses.pixel import PixelLoss
from condswap.types import Image, Mask

# Far below one pixel of the faintest mask that a picture of 8 bits can hold, 1 / 255, so real masks never meet it.
_LEAST_AREA = 1e-6


def masked_mean(pixel_map: Tensor, mask: Mask) -> Tensor:
    """Average a map over each picture's mask, then over the pictures.

    Takes (b, c, h, w) and (b, 1, h, w) and returns a scalar, at least float32. The channels are averaged; each picture
    is divided by the sum of its own mask, so a small face counts as much as a large one. An empty mask gives 0. Raises
    `ShapeError` where the mask does not fit the map.

    >>> pixel_map = torch.tensor([[[[1.0, 5.0]]], [[[3.0, 3.0]]]])
    >>> mask = torch.tensor([[[[1.0, 0.0]]], [[[1.0, 1.0]]]])
    >>> masked_mean(pixel_map, mask).item()
    2.0
    """
    _check(pixel_map, mask)
    # Half precision cannot hold the sum of a picture's pixels.
    values, weight = (part.to(torch.promote_types(pixel_map.dtype, torch.float32)) for part in (pixel_map, mask))
    area = weight.sum(dim=(1, 2, 3)).clamp_min(_LEAST_AREA)  # a picture without a face adds nothing, not NaN
    total = (values.mean(dim=1, keepdim=True) * weight).sum(dim=(1, 2, 3))
    return (total / area).mean()


def pasted(picture: Image, face: Image, mask: Mask) -> Image:
    """Put a face into a picture of its size, inside the picture's own mask, whose edge is softened by 4 % of the height.

    This is the composite that identity networks and guides are shown.

    >>> mask = torch.zeros(1, 1, 32, 32)
    >>> mask[..., 16:] = 1.0
    >>> made = pasted(torch.zeros(1, 3, 32, 32), torch.ones(1, 3, 32, 32), mask)
    >>> made[0, 0, 0, 0].item(), made[0, 0, 0, 31].item()
    (0.0, 1.0)
    """
    return torch.lerp(picture, face.to(picture), blur_mask(mask, fraction=0.04).to(picture))


def alone(face: Image, mask: Mask) -> Image:
    """Put a face on grey, inside its mask, so that nothing but the face tells how it is turned.

    >>> alone(torch.ones(1, 3, 32, 32), torch.zeros(1, 1, 32, 32)).unique().item()
    0.5
    """
    return pasted(torch.full_like(face, 0.5), face, mask)


class MaskedLoss(nn.Module):
    """A pixel loss averaged over each picture's mask; the twin of `masked_mean`.

    `pixel_loss` maps (prediction, target) to (b, c, h, w); it may be a module or a function. `blur` softens the mask
    first, as a fraction of the height; see `blur_mask`. Raises `ConfigError` for a class in the place of an instance,
    or a negative blur.

    >>> from condswap.losses.functional import l1
    >>> picture, mask = torch.ones(2, 3, 8, 8), torch.ones(2, 1, 8, 8)
    >>> MaskedLoss(l1, blur=0.05)(picture, 0.5 * picture, mask).item()
    0.5
    """

    def __init__(self, pixel_loss: PixelLoss, *, blur: float = 0.0) -> None:
        """Keep the pixel loss."""
        super().__init__()
        if isinstance(pixel_loss, type) or not callable(pixel_loss):
            raise ConfigError(
                f"pixel_loss is {pixel_loss!r}; it must be callable with (prediction, target): give an instance such "
                "as L1(), or a function such as condswap.losses.l1"
            )
        check_fraction(blur, name="blur")
        self.pixel_loss = pixel_loss
        self.blur = blur

    def forward(self, prediction: Image, target: Image, mask: Mask) -> Tensor:
        """Give the loss as a scalar; `ShapeError` where prediction, target or mask do not fit each other."""
        if prediction.shape != target.shape:
            raise ShapeError(
                f"the prediction is {tuple(prediction.shape)} but the target is {tuple(target.shape)}; "
                "they must have one shape (b, c, h, w): resize or slice one to the other"
            )
        pixel_map = self.pixel_loss(prediction, target)
        _check(pixel_map, mask)
        if self.blur:
            mask = blur_mask(mask.to(torch.promote_types(pixel_map.dtype, torch.float32)), fraction=self.blur)
        return masked_mean(pixel_map, mask)

    def extra_repr(self) -> str:
        """Show the blur when the module is printed."""
        return f"blur={self.blur}"


def _check(pixel_map: Tensor, mask: Mask) -> None:
    """Refuse a map that is no map, and a mask that does not fit it."""
    if pixel_map.ndim != 4:
        raise ShapeError(
            f"the pixel map is {tuple(pixel_map.shape)} but must be (b, c, h, w); give a loss that does not average, "
            'such as condswap.losses.L1() or torch.nn.L1Loss(reduction="none")'
        )
    batch, _, height, width = pixel_map.shape
    if mask.shape != (batch, 1, height, width):
        raise ShapeError(
            f"the mask is {tuple(mask.shape)} but the pictures are {tuple(pixel_map.shape)}; the mask must be "
            f"{(batch, 1, height, width)}: one channel, one mask a picture, resized to the pictures"
        )
