"""What is measured on pictures: pure functions of tensors, one number a picture.

Pictures are (b, 3, h, w), RGB in [0, 1]; masks are (b, 1, h, w) in [0, 1], 1 where it is looked at. Where there is nothing
to measure, such as an empty mask, the number is NaN: whoever averages leaves it out.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from condswap.data.augment import adjust_gain, light_ramp
from condswap.errors import ShapeError
from condswap.losses import gaussian_blur, l1, mse, ssim
from condswap.types import Image, Mask

_BEST_PSNR = 100.0  # dB: what 8 bits cannot tell from equal
_SEAM_REACH = 0.03  # of the height: past the softened edge of a composite, short of the eyes and the hair
_RAMPS, _GAINS = (0.3, -0.3), (0.8, 1.25)  # strong enough to stand out of what the model varies by itself
_SHOWS_LIGHT = (0.05, 0.9)  # a pixel darker or lighter than this cannot show that the light has changed
_DARKEST = 0.02  # of the logarithms


def mean_inside(pixel_map: Tensor, mask: Mask) -> Tensor:
    """Average a map (b, c, h, w) over each picture's mask, (b); NaN where the mask is empty.

    Raises `ShapeError` where the mask does not fit.

    >>> mean_inside(torch.tensor([[[[1.0, 5.0]]]]), torch.tensor([[[[1.0, 0.0]]]])).tolist()
    [1.0]
    """
    _check(pixel_map, mask)
    weight = mask.float()
    return (pixel_map.float().mean(dim=1, keepdim=True) * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3))


def ssim_inside(prediction: Image, target: Image, mask: Mask) -> Tensor:
    """Give the structural similarity of pictures inside their masks, (b) in [-1, 1]; NaN where the mask is empty.

    Raises `ShapeError` where the three do not fit each other.

    >>> picture, mask = torch.ones(2, 3, 8, 8), torch.ones(2, 1, 8, 8)
    >>> ssim_inside(picture, picture, mask).tolist()
    [1.0, 1.0]
    """
    return mean_inside(ssim(prediction, target), mask)


def psnr_inside(prediction: Image, target: Image, mask: Mask) -> Tensor:
    """Give the peak signal-to-noise ratio inside the masks, (b) in dB, at most 100; NaN where the mask is empty.

    Raises `ShapeError` where the three do not fit each other.

    >>> picture, mask = torch.zeros(1, 3, 8, 8), torch.ones(1, 1, 8, 8)
    >>> round(psnr_inside(picture + 0.1, picture, mask).item(), 3)
    20.0
    """
    return (-10 * mean_inside(mse(prediction, target), mask).log10()).clamp(max=_BEST_PSNR)


def l1_inside(prediction: Image, target: Image, mask: Mask) -> Tensor:
    """Give the mean absolute difference inside the masks, (b) in [0, 1]; NaN where the mask is empty.

    Raises `ShapeError` where the three do not fit each other.

    >>> picture, mask = torch.zeros(1, 3, 8, 8), torch.ones(1, 1, 8, 8)
    >>> l1_inside(picture + 0.25, picture, mask).tolist()
    [0.25]
    """
    return mean_inside(l1(prediction, target), mask)


def seam(image: Image, mask: Mask) -> Tensor:
    """Give the step of colour across the edge of a mask, (b) in [0, 1]; NaN where the mask has no edge.

    At every place on the edge, the mean colour just inside is compared with the mean colour just outside, both under a
    Gaussian of 3 % of the height; the absolute differences are averaged along the edge. A face has a step of its own,
    at its jaw and hair line: read it beside the figure of the untouched picture. Raises `ShapeError` for other shapes.

    >>> left = torch.zeros(1, 1, 32, 32)
    >>> left[..., :16] = 1.0
    >>> seam(left.expand(1, 3, 32, 32) * 0.25 + 0.5, left).tolist()
    [0.25]
    """
    _check(image, mask)
    inside = (mask >= 0.5).float()
    sigma = _SEAM_REACH * image.shape[2]
    near_in, near_out = (gaussian_blur(part, sigma=sigma) for part in (inside, 1 - inside))
    colour_in, colour_out = (
        gaussian_blur(image.float() * part, sigma=sigma) / near.clamp_min(1e-6)
        for part, near in ((inside, near_in), (1 - inside, near_out))
    )
    return mean_inside((colour_in - colour_out).abs(), near_in * near_out)


def flicker(frames: Image, masks: Mask) -> Tensor:
    """Give how much every frame but the first and last differs from the middle of its neighbours, (t - 2) in [0, 1].

    That is the part of the change that is not steady: |f[t] - (f[t - 1] + f[t + 1]) / 2|, where all three masks have the
    face. Frames are (t, 3, h, w) in the order of time, masks (t, 1, h, w). NaN where the masks have nothing in common.
    Raises `ShapeError` for other shapes.

    >>> frames = torch.tensor([0.0, 0.5, 0.0]).reshape(3, 1, 1, 1).expand(3, 3, 4, 4)
    >>> flicker(frames, torch.ones(3, 1, 4, 4)).tolist()
    [0.5]
    """
    _check(frames, masks)
    common = torch.minimum(torch.minimum(masks[:-2], masks[1:-1]), masks[2:])
    return mean_inside((frames[1:-1] - (frames[:-2] + frames[2:]) / 2).abs(), common)


def slope_and_correlation(before: Tensor, after: Tensor, groups: Tensor) -> tuple[float, float]:
    """Give the slope of `after` on `before`, then their correlation, within groups.

    All are (n); `groups` says by whole numbers which values belong together, such as those of one clip: each group's
    mean is removed first, so what differs between clips counts for nothing. The slope is that of least squares, 1 where
    the whole of a change is followed. Pairs with a NaN are left out. NaN where a figure does not exist: the slope where
    `before` does not vary, the correlation where either does not. Raises `ShapeError` for other shapes.

    >>> before = torch.tensor([0.0, 1.0, 10.0, 11.0])
    >>> slope_and_correlation(before, torch.tensor([5.0, 5.5, 1.0, 1.5]), torch.tensor([0, 0, 1, 1]))
    (0.5, 1.0)
    """
    if before.ndim != 1 or before.shape != after.shape or before.shape != groups.shape:
        raise ShapeError(
            f"before, after and groups are {tuple(before.shape)}, {tuple(after.shape)} and {tuple(groups.shape)}; "
            "give one number of each a picture, (n)"
        )
    before, after = before.double().cpu(), after.double().cpu()
    known = ~(before.isnan() | after.isnan())
    _, group = groups.cpu()[known].unique(return_inverse=True)
    x, y = _centred(before[known], group), _centred(after[known], group)
    if not x.any():
        return math.nan, math.nan
    slope = float((x * y).sum() / x.square().sum())
    if not y.any():
        return slope, math.nan
    return slope, float((x * y).sum() / (x.square().sum() * y.square().sum()).sqrt())


class LightResponse(NamedTuple):
    """How much of a change of the picture's light reappears in the swap, (b) each: 1 all of it, 0 none.

    ramp: of light that falls off from left to right. gain: of more or less light everywhere.
    """

    ramp: Tensor
    gain: Tensor


def light_response(swap: Callable[[Image], Image], image: Image, mask: Mask) -> LightResponse:
    """Put a known light on pictures, swap them, and give how much of the light reappears.

    The lights are ramps from left to right of 0.3 both ways, and gains of 0.8 and 1.25.

    Args:
        swap: pictures to what the model shows for them, of the same shape. Not the composite: at the softened edge that
            has the picture's own light.
        image: the pictures, not augmented.
        mask: where the face is.

    Raises:
        ShapeError: the three do not fit each other.

    Example:
        >>> image, mask = 0.3 + 0.4 * torch.rand(2, 3, 8, 8), torch.ones(2, 1, 8, 8)
        >>> light_response(lambda lit: lit, image, mask).gain.tolist()
        [1.0, 1.0]
    """
    shown = swap(image)

    def answer(lit: Image, *, tilt: bool) -> Tensor:
        return reappearing(image, lit, shown, swap(lit), mask, tilt=tilt)

    ramps = [light_ramp(image, image.new_tensor([[slope, 0.0]]).expand(len(image), 2)) for slope in _RAMPS]
    gains = [adjust_gain(image, image.new_full((len(image), 3), factor)) for factor in _GAINS]
    return LightResponse(
        ramp=torch.stack([answer(lit, tilt=True) for lit in ramps]).mean(0),
        gain=torch.stack([answer(lit, tilt=False) for lit in gains]).mean(0),
    )


def reappearing(image: Image, lit: Image, shown: Image, shown_lit: Image, mask: Mask, *, tilt: bool) -> Tensor:
    """Give the part of a light put on pictures that is found in what is shown for them, (b).

    That is the least-squares coefficient of log(shown_lit / shown) on log(lit / image), of the luminance inside the mask,
    over the pixels where both `image` and `shown` have a luminance from 0.05 to 0.9. With `tilt` the mean of both
    logarithms is removed first, so that the level counts for nothing. NaN where no pixel shows the light.
    Raises `ShapeError` where the pictures do not fit each other.

    >>> image, mask = torch.full((1, 3, 4, 4), 0.4), torch.ones(1, 1, 4, 4)
    >>> round(reappearing(image, 2 * image, image, 2**0.5 * image, mask, tilt=False).item(), 4)
    0.5
    """
    for other in (lit, shown, shown_lit):
        if other.shape != image.shape:
            raise ShapeError(
                f"the picture is {tuple(image.shape)} but another is {tuple(other.shape)}; resize one to the other"
            )
    _check(image, mask)
    before, after, seen, answer = (_luminance(one) for one in (image, lit, shown, shown_lit))
    low, high = _SHOWS_LIGHT
    usable = (before > low) & (before < high) & (seen > low) & (seen < high)
    weight = mask.float() * usable
    x, y = (_log(after) - _log(before)), (_log(answer) - _log(seen))
    if tilt:
        x, y = (part - mean_inside(part, weight)[:, None, None, None] for part in (x, y))
    return (weight * x * y).sum((1, 2, 3)) / (weight * x * x).sum((1, 2, 3))


def _luminance(image: Image) -> Tensor:
    """Give (b, 1, h, w): the luma of ITU-R BT.601, for pictures as they are stored."""
    return (image.float() * image.new_tensor([0.299, 0.587, 0.114]).reshape(3, 1, 1)).sum(1, keepdim=True)


def _log(luminance: Tensor) -> Tensor:
    return luminance.clamp_min(_DARKEST).log()


def _centred(values: Tensor, group: Tensor) -> Tensor:
    """Remove the mean of each group; what is left of a constant group is 0, not the rounding of its mean."""
    count = int(group.max()) + 1 if len(group) else 0
    total = values.new_zeros(count).index_add(0, group, values)
    centred = values - (total / group.bincount(minlength=count))[group]
    return torch.where(centred.abs() <= 1e-9 * values.abs(), 0.0, centred)


def _check(pixel_map: Tensor, mask: Mask) -> None:
    """Refuse a mask that does not fit its pictures."""
    if pixel_map.ndim != 4 or mask.shape != (len(pixel_map), 1, *pixel_map.shape[2:]):
        raise ShapeError(
            f"the mask is {tuple(mask.shape)} and the pictures are {tuple(pixel_map.shape)}; needed are masks (b, 1, h, w) "
            "for pictures (b, c, h, w): one mask a picture, resized to it"
        )
