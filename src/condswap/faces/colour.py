"""The colours of one picture given to another: each function makes `image` look as if lit and filmed as `reference` was.

Pictures are (b, 3, h, w), RGB in [0, 1], and so is what comes back. The colours are measured where `mask` (b, 1, h, w) is,
the same place in both pictures, and by its weight; None is everywhere. The whole of `image` is changed, also outside of
the mask. Where the mask is empty there is nothing to measure and `image` stays as it is.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from condswap.errors import ShapeError
from condswap.types import Image, Mask

_STRETCH = 2.0  # no deviation grows or shrinks by more: beyond it the noise of a flat picture would be all that is seen
_LEAST = 1e-6  # of a deviation: what is flatter is flat
_NOISE = 1 / 255**2  # of a variance: what 8 bits cannot tell from flat
_LEVELS = 2041  # eight to each step of 8 bits, exact for whole ones
_WHITE = (0.950456, 1.0, 1.088754)  # D65, two degrees
_TO_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
_KNEE = 6 / 29  # where the cube root of CIE Lab turns into a straight line


def match_mean(image: Image, reference: Image, mask: Mask | None = None) -> Image:
    """Match the mean and the deviation of each of the three channels, without leaving RGB.

    A deviation is at most doubled or halved; a flat picture gets the mean alone. Raises `ShapeError` where the shapes do
    not fit each other.

    >>> dark, light = torch.tensor([0.1, 0.3]), torch.tensor([0.5, 0.6])
    >>> shown = match_mean(dark.expand(1, 3, 4, 2), light.expand(1, 3, 4, 2))
    >>> [round(value, 3) for value in shown[0, 0, 0].tolist()]
    [0.5, 0.6]
    """
    weight = _weight(image, reference, mask)
    return _where(weight, _match_moments(image.float(), reference.float(), weight).clamp(0, 1), image)


def reinhard(image: Image, reference: Image, mask: Mask | None = None) -> Image:
    """Match the mean and the deviation of lightness and of both colour axes in CIE Lab.

    Reinhard, Ashikhmin, Gooch, Shirley: Color transfer between images, 2001, in Lab instead of their l-alpha-beta, which
    is DeepFaceLab's "rct". A deviation is at most doubled or halved. Raises `ShapeError` where the shapes do not fit.

    >>> dark, light = torch.full((1, 3, 4, 4), 0.2), torch.full((1, 3, 4, 4), 0.7)
    >>> torch.allclose(reinhard(dark, light), light, atol=1e-3)
    True
    """
    weight = _weight(image, reference, mask)
    lab = _match_moments(to_lab(image), to_lab(reference), weight)
    # Colours that no light has: lightness is 0 to 100, and no RGB comes near 127 on the other axes.
    limit = lab.new_tensor([100.0, 127.0, 127.0]).reshape(3, 1, 1)
    lab = torch.minimum(torch.maximum(lab, limit * lab.new_tensor([0.0, -1.0, -1.0]).reshape(3, 1, 1)), limit)
    return _where(weight, from_lab(lab), image)


def monge_kantorovich(image: Image, reference: Image, mask: Mask | None = None) -> Image:
    """Match the mean and the whole covariance of RGB by the linear map that moves the colours least.

    With the covariances A of the picture and B of the reference that is A^-1/2 (A^1/2 B A^1/2)^1/2 A^-1/2.
    Pitié, Kokaram: The linear Monge-Kantorovitch linear colour mapping for example-based colour transfer, 2007, which is
    DeepFaceLab's "mkl". Raises `ShapeError` where the shapes do not fit.

    >>> dark, light = torch.full((1, 3, 4, 4), 0.2), torch.full((1, 3, 4, 4), 0.7)
    >>> torch.allclose(monge_kantorovich(dark, light), light)
    True
    """

    def mapping(before: Tensor, after: Tensor) -> Tensor:
        root, inverse = _power(before, 0.5), _power(before, -0.5)
        return inverse @ _power(root @ after @ root, 0.5) @ inverse

    return _match_covariance(image, reference, mask, mapping)


def principal_components(image: Image, reference: Image, mask: Mask | None = None) -> Image:
    """Match the mean and the whole covariance of RGB by way of the principal components, B^1/2 A^-1/2.

    It differs from `monge_kantorovich` by a turn of the colours. Pitié, Kokaram, 2007, section 4, which is DeepFaceLab's
    "lct". Raises `ShapeError` where the shapes do not fit.

    >>> dark, light = torch.full((1, 3, 4, 4), 0.2), torch.full((1, 3, 4, 4), 0.7)
    >>> torch.allclose(principal_components(dark, light), light)
    True
    """
    return _match_covariance(image, reference, mask, lambda before, after: _power(after, 0.5) @ _power(before, -0.5))


def match_histogram(image: Image, reference: Image, mask: Mask | None = None) -> Image:
    """Match the whole distribution of each of the three channels: a value becomes the one of equal rank.

    The ranks are those of 2041 levels, eight to each step of 8 bits, so that a picture that was resampled keeps the values
    between the steps. Gonzalez, Woods: Digital Image Processing, section 3.3. Raises `ShapeError` where the shapes do not
    fit.

    >>> dark, light = torch.tensor([0.0, 0.2]), torch.tensor([0.6, 1.0])
    >>> match_histogram(dark.expand(1, 3, 4, 2), light.expand(1, 3, 4, 2))[0, 0, 0].tolist()
    [0.6000..., 1.0]
    """
    weight = _weight(image, reference, mask)
    (level, rank), (_, known) = (_ranks(picture, weight) for picture in (image, reference))
    # np.interp of the ranks among the levels that the reference has: one without pixels repeats the rank of the last.
    above = torch.searchsorted(known, rank).clamp_max(_LEVELS - 1)
    before = known.gather(2, (above - 1).clamp_min(0))
    below = torch.where((above > 0) & (before > 0), torch.searchsorted(known, before), above)
    low, high = known.gather(2, below), known.gather(2, above)
    part = torch.where(high > low, (rank - low) / (high - low).clamp_min(1e-12), 1.0).clamp(0, 1)
    shown = ((below + part * (above - below)) / (_LEVELS - 1)).gather(2, level)
    return _where(weight, shown.reshape(image.shape), image)


def to_lab(image: Image) -> Tensor:
    """Give CIE Lab under D65 of sRGB pictures, (b, 3, h, w): lightness from 0 to 100, then green to red, blue to yellow.

    >>> [round(value, 2) for value in to_lab(torch.tensor([1.0, 0.0, 0.0]).reshape(1, 3, 1, 1)).flatten().tolist()]
    [53.24, 80.09, 67.2]
    """
    stored = image.float().clamp(0, 1)
    light = torch.where(stored <= 0.04045, stored / 12.92, ((stored + 0.055) / 1.055) ** 2.4)
    to_xyz = light.new_tensor(_TO_XYZ) / light.new_tensor(_WHITE)[:, None]
    x, y, z = (to_xyz @ light.flatten(2)).reshape(image.shape).unbind(1)
    x, y, z = (
        torch.where(part > _KNEE**3, part.clamp_min(_KNEE**3) ** (1 / 3), part / (3 * _KNEE**2) + 4 / 29)
        for part in (x, y, z)
    )
    return torch.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), 1)


def from_lab(lab: Tensor) -> Image:
    """Give the sRGB pictures of CIE Lab under D65; what sRGB cannot show is cut off.

    >>> [round(value, 3) for value in from_lab(torch.tensor([50.0, 0.0, 0.0]).reshape(1, 3, 1, 1)).flatten().tolist()]
    [0.466, 0.466, 0.466]
    """
    lightness, red, yellow = lab.float().unbind(1)
    y = (lightness + 16) / 116
    xyz = torch.stack((y + red / 500, y, y - yellow / 200), 1)
    xyz = torch.where(xyz > _KNEE, xyz**3, 3 * _KNEE**2 * (xyz - 4 / 29))
    to_rgb = torch.linalg.inv(torch.tensor(_TO_XYZ, dtype=torch.float64)).to(xyz) * xyz.new_tensor(_WHITE)
    light = (to_rgb @ xyz.flatten(2)).reshape(lab.shape).clamp(0, 1)
    return torch.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def _weight(image: Image, reference: Image, mask: Mask | None) -> Tensor:
    """Give what each pixel counts, (b, 1, h w), where the shapes fit each other."""
    if image.ndim != 4 or image.shape[1] != 3 or image.shape != reference.shape:
        raise ShapeError(
            f"image and reference are {tuple(image.shape)} and {tuple(reference.shape)}; give two (b, 3, h, w)"
        )
    batch, _, height, width = image.shape
    if mask is None:
        return image.new_ones((batch, 1, height * width), dtype=torch.float32)
    if mask.shape != (batch, 1, height, width):
        raise ShapeError(f"the mask is {tuple(mask.shape)}; give ({batch}, 1, {height}, {width}) as the pictures are")
    return mask.float().flatten(2)


def _where(weight: Tensor, changed: Image, image: Image) -> Image:
    """Keep the pictures whose mask is empty."""
    return torch.where((weight.amax(2) > 0)[..., None, None], changed, image.float())


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """Average values (b, c, n) by weight (b, 1, n), (b, c, 1)."""
    return (values * weight).sum(2, keepdim=True) / weight.sum(2, keepdim=True).clamp_min(1e-6)


def _match_moments(values: Tensor, reference: Tensor, weight: Tensor) -> Tensor:
    """Give each channel of (b, 3, h, w) the mean and, within bounds, the deviation that it has in the reference."""
    own, other = (part.flatten(2) for part in (values, reference))
    own_mean, other_mean = _mean(own, weight), _mean(other, weight)
    own_spread, other_spread = (
        _mean((part - mean).square(), weight).sqrt() for part, mean in ((own, own_mean), (other, other_mean))
    )
    ratio = (other_spread / own_spread.clamp_min(_LEAST)).clamp(1 / _STRETCH, _STRETCH)
    ratio = torch.where(torch.minimum(own_spread, other_spread) < _LEAST, 1.0, ratio)
    return ((own - own_mean) * ratio + other_mean).reshape(values.shape)


def _match_covariance(
    image: Image, reference: Image, mask: Mask | None, mapping: Callable[[Tensor, Tensor], Tensor]
) -> Image:
    """Put colours through the linear map, (b, 3, 3), that `mapping` gives for the covariances of the two pictures."""
    weight = _weight(image, reference, mask)
    own, other = (picture.float().flatten(2) for picture in (image, reference))
    own_mean, other_mean = _mean(own, weight), _mean(other, weight)
    own = own - own_mean
    area = weight.sum(2, keepdim=True).clamp_min(1e-6)
    noise = _NOISE * torch.eye(3, device=image.device)  # a direction in which nothing varies is not blown up
    before, after = ((part * weight) @ part.mT / area + noise for part in (own, other - other_mean))
    shown = (mapping(before, after) @ own + other_mean).clamp(0, 1)
    return _where(weight, shown.reshape(image.shape), image)


def _power(matrix: Tensor, exponent: float) -> Tensor:
    """Raise symmetric, positive matrices to a power."""
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp_min(_NOISE**2)[..., None, :] ** exponent) @ vectors.mT


def _ranks(picture: Image, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Give the level of every pixel, (b, 3, n), and how much weight each level has up to it, (b, 3, levels)."""
    level = (picture.float().flatten(2).clamp(0, 1) * (_LEVELS - 1)).round().long()
    counts = weight.new_zeros((len(picture), 3, _LEVELS))
    return level, counts.scatter_add_(2, level, weight.expand(-1, 3, -1)).cumsum(2)
