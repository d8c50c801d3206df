"""The mathematics of the losses: per-pixel maps, Gaussian blurs, adversarial numbers.

Every function takes tensors and returns tensors. Maps have the shape of their arguments and are at least float32,
whatever the precision that surrounds them; adversarial losses are scalars over logits of any shape.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from condswap.errors import ConfigError, DataError, ShapeError
from condswap.types import Image, Logits, Mask

_HALF = (torch.float16, torch.bfloat16)


def l1(prediction: Image, target: Image) -> Tensor:
    """Give the absolute difference of two pictures, pixel by pixel.

    Returns (b, c, h, w). Raises `ShapeError` where the shapes differ, `DataError` for pictures that are not float.

    >>> l1(torch.full((1, 1, 1, 2), 0.75), torch.full((1, 1, 1, 2), 0.25)).tolist()
    [[[[0.5, 0.5]]]]
    """
    prediction, target = _pair(prediction, target)
    return (prediction - target).abs()


def mse(prediction: Image, target: Image) -> Tensor:
    """Give the squared difference of two pictures, pixel by pixel.

    Returns (b, c, h, w). Raises `ShapeError` where the shapes differ, `DataError` for pictures that are not float.

    >>> mse(torch.full((1, 1, 1, 2), 0.75), torch.full((1, 1, 1, 2), 0.25)).tolist()
    [[[[0.25, 0.25]]]]
    """
    prediction, target = _pair(prediction, target)
    return (prediction - target).square()


def ssim(
    prediction: Image, target: Image, *, window_size: int = 11, sigma: float = 1.5, data_range: float = 1.0
) -> Tensor:
    """Give the structural similarity of two pictures around every pixel.

    Returns (b, c, h, w) in [-1, 1], 1 where the pictures agree. The window is a Gaussian of `sigma` pixels cut to
    `window_size` pixels; at the border the part of it inside the picture is renormalised, so pictures smaller than the
    window are fine. The sums run in float32 (float64 for float64 pictures) even under autocast: a variance is a small
    difference of large numbers. Raises `ShapeError`, `DataError` as `l1` does, `ConfigError` for an impossible window.

    Wang, Bovik, Sheikh, Simoncelli: Image quality assessment, from error visibility to structural similarity, 2004;
    K1 = 0.01, K2 = 0.03, population covariance.

    >>> ssim(torch.ones(1, 3, 4, 4), torch.ones(1, 3, 4, 4)).mean().item()
    1.0
    """
    check_window(window_size, sigma=sigma, data_range=data_range)
    prediction, target = _pair(prediction, target)
    with torch.autocast(prediction.device.type, enabled=False):
        # A variance does not change when the picture is shifted. Around zero its two terms are small, so their
        # difference keeps more digits; with the TF32 products that people switch on for a GPU that decides.
        centre_x, centre_y = (part.detach().mean(dim=(2, 3), keepdim=True) for part in (prediction, target))
        x, y = prediction - centre_x, target - centre_y
        # Apart, since a target has no gradient, so that two of the five fields need no backward pass.
        fields, others = torch.stack((x, x * x, x * y)), torch.stack((y, y * y))
        mean_x, mean_xx, mean_xy = _smooth(fields, window_size=window_size, sigma=sigma).unbind()
        mean_y, mean_yy = _smooth(others, window_size=window_size, sigma=sigma).unbind()
        variance = (mean_xx - mean_x * mean_x) + (mean_yy - mean_y * mean_y)
        covariance = mean_xy - mean_x * mean_y
        mean_x, mean_y = mean_x + centre_x, mean_y + centre_y
        c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
        luminance = (2 * mean_x * mean_y + c1) / (mean_x * mean_x + mean_y * mean_y + c1)
        return luminance * (2 * covariance + c2) / (variance + c2)


def dssim(
    prediction: Image, target: Image, *, window_size: int = 11, sigma: float = 1.5, data_range: float = 1.0
) -> Tensor:
    """Give the structural dissimilarity of two pictures around every pixel, (1 - ssim) / 2.

    Returns (b, c, h, w) in [0, 1]. Arguments and errors are those of `ssim`.

    >>> dssim(torch.ones(1, 3, 4, 4), torch.ones(1, 3, 4, 4)).mean().item()
    0.0
    """
    return (1 - ssim(prediction, target, window_size=window_size, sigma=sigma, data_range=data_range)) / 2


def gaussian_blur(image: Tensor, *, sigma: float, kernel_size: int | None = None) -> Tensor:
    """Blur every channel with a Gaussian of `sigma` pixels.

    Takes and returns (b, c, h, w) in the precision it was given. The kernel is `kernel_size` pixels long, odd; None
    covers 3 sigma to each side. Nothing is assumed outside the picture: at the border the part of the kernel inside it
    is renormalised, so a constant picture stays as it is. Raises `ShapeError` where there are not four dimensions,
    `DataError` for a picture that is not float, `ConfigError` for an impossible kernel.

    >>> gaussian_blur(torch.ones(1, 1, 5, 5), sigma=2.0).mean().item()
    1.0
    """
    if not math.isfinite(sigma) or sigma <= 0:
        raise ConfigError(f"sigma is {sigma!r}, the width of the Gaussian in pixels; give a number above 0")
    if kernel_size is None:
        kernel_size = 2 * math.ceil(3 * sigma) + 1
    check_window(kernel_size, sigma=sigma, name="kernel_size")
    values = _floating(image, name="image")
    if values.ndim != 4:
        raise ShapeError(
            f"the image is {tuple(values.shape)}; gaussian_blur takes (b, c, h, w): add the missing dimension"
        )
    with torch.autocast(values.device.type, enabled=False):
        return _smooth(values, window_size=kernel_size, sigma=sigma).to(image.dtype)


def blur_mask(mask: Mask, *, fraction: float = 0.05) -> Mask:
    """Soften the edge of a mask in proportion to the picture.

    Sigma is `fraction` of the height, the kernel is as many pixels long, made odd; 0 gives the mask itself back. The
    default is the paper's R / 20: 512 pixels have sigma 25.6 and a kernel of 25. Borders are those of `gaussian_blur`:
    a face cut by the border of the picture stays a face there. Raises `ConfigError` for a negative fraction, else as
    `gaussian_blur`.

    >>> blur_mask(torch.eye(20)[None, None], fraction=0.15).amax() < 1
    tensor(True)
    """
    check_fraction(fraction, name="fraction")
    if fraction == 0:
        return mask
    sigma = fraction * mask.shape[-2]
    blurred = gaussian_blur(mask, sigma=sigma, kernel_size=int(sigma) | 1)
    return blurred.clamp(0.0, 1.0)  # a sum of weights rounds to a little more than 1


def least_squares_discriminator(real: Logits, fake: Logits) -> Tensor:
    """Score a discriminator by its squared distance from 1 for real pictures, from 0 for fake ones.

    Returns the scalar half of mean (real - 1)^2 + mean fake^2. Mao et al.: Least squares generative adversarial
    networks, 2017, equation 9.

    >>> least_squares_discriminator(torch.tensor([3.0]), torch.tensor([2.0])).item()
    4.0
    """
    return 0.5 * ((widen(real) - 1).square().mean() + widen(fake).square().mean())


def least_squares_generator(fake: Logits) -> Tensor:
    """Score a generator by the squared distance of its pictures' logits from 1.

    Returns the scalar mean (fake - 1)^2, without the half of Mao et al. 2017, as the paper that this library descends
    from weighs it.

    >>> least_squares_generator(torch.tensor([3.0])).item()
    4.0
    """
    return (widen(fake) - 1).square().mean()


def hinge_discriminator(real: Logits, fake: Logits) -> Tensor:
    """Score a discriminator by how far logits are from the right side of a margin.

    Returns the scalar mean max(0, 1 - real) + mean max(0, 1 + fake). Lim and Ye: Geometric GAN, 2017.

    >>> hinge_discriminator(torch.tensor([0.5]), torch.tensor([-3.0])).item()
    0.5
    """
    return relu(1 - widen(real)).mean() + relu(1 + widen(fake)).mean()


def hinge_generator(fake: Logits) -> Tensor:
    """Score a generator by the logits of its pictures, negated.

    Returns the scalar -mean fake. Lim and Ye: Geometric GAN, 2017.

    >>> hinge_generator(torch.tensor([3.0])).item()
    -3.0
    """
    return -widen(fake).mean()


def non_saturating_discriminator(real: Logits, fake: Logits) -> Tensor:
    """Score a discriminator by the negated log probability of the truth.

    Returns the scalar mean softplus(-real) + mean softplus(fake). Goodfellow et al.: Generative adversarial nets, 2014,
    with the sigmoid folded into the logarithm.

    >>> round(non_saturating_discriminator(torch.zeros(2), torch.zeros(2)).item(), 4)
    1.3863
    """
    return softplus(-widen(real)).mean() + softplus(widen(fake)).mean()


def non_saturating_generator(fake: Logits) -> Tensor:
    """Score a generator by the negated log probability that its pictures are real.

    Returns the scalar mean softplus(-fake). Goodfellow et al.: Generative adversarial nets, 2014, section 3: its
    gradient does not vanish while the discriminator wins.

    >>> round(non_saturating_generator(torch.zeros(2)).item(), 4)
    0.6931
    """
    return softplus(-widen(fake)).mean()


def r1_penalty(logits: Logits, image: Image) -> Tensor:
    """Give the squared length of the discriminator's gradient at real pictures.

    Returns the scalar mean over the batch; the caller multiplies it by gamma / 2. It can be differentiated again.
    `logits` must have been computed from `image` after `image.requires_grad_()`, else `ConfigError`. Mescheder, Geiger,
    Nowozin: Which training methods for GANs do actually converge, 2018, equation 9.

    >>> image = torch.ones(2, 3, 1, 1, requires_grad=True)
    >>> r1_penalty((2 * image).sum(dim=(1, 2, 3)), image).item()
    12.0
    """
    if not image.requires_grad:
        raise ConfigError(
            f"r1_penalty differentiates by the image, and this one of {tuple(image.shape)} has requires_grad=False; "
            "call image = image.detach().requires_grad_() before the discriminator sees it"
        )
    gradient = None
    if logits.requires_grad:
        (gradient,) = torch.autograd.grad(logits.sum(), image, create_graph=True, allow_unused=True)
    if gradient is None:
        raise ConfigError(
            f"the logits of {tuple(logits.shape)} were not computed from the image given to r1_penalty; compute them "
            "from that very tensor, outside torch.no_grad()"
        )
    return widen(gradient).square().flatten(1).sum(dim=1).mean()


def check_window(window_size: int, *, sigma: float, data_range: float = 1.0, name: str = "window_size") -> None:
    """Refuse a Gaussian window that cannot be computed, with `ConfigError`.

    >>> check_window(11, sigma=1.5)
    """
    if window_size < 1 or window_size % 2 != 1:
        raise ConfigError(f"{name} is {window_size!r}; a window has a middle pixel, so give an odd number such as 11")
    if not math.isfinite(sigma) or sigma <= 0:
        raise ConfigError(f"sigma is {sigma!r}, the width of the Gaussian in pixels; give a number above 0")
    if not math.isfinite(data_range) or data_range <= 0:
        raise ConfigError(
            f"data_range is {data_range!r}, the distance from black to white; give 1.0 for pictures in [0, 1]"
        )


def check_fraction(fraction: float, *, name: str) -> None:
    """Refuse a blur that is not a fraction of the height, with `ConfigError`.

    >>> check_fraction(0.05, name="blur")
    """
    if not math.isfinite(fraction) or fraction < 0:
        raise ConfigError(f"{name} is {fraction!r}, a part of the picture's height; give 0 for none, or such as 0.05")


def _smooth(fields: Tensor, *, window_size: int, sigma: float) -> Tensor:
    """Average (..., h, w) under a Gaussian window, as two matrix products: on a CPU faster than a convolution."""
    height, width = fields.shape[-2:]
    band = _weights if torch.compiler.is_compiling() else _band  # a graph that is traced cannot look into the cache
    rows = band(height, window_size, sigma, fields.device, fields.dtype)
    columns = band(width, window_size, sigma, fields.device, fields.dtype)
    return rows @ (fields @ columns.T)


@lru_cache(maxsize=32)
def _band(size: int, window_size: int, sigma: float, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Give the (size, size) matrix whose row i holds the weights of the window around pixel i; each row sums to 1."""
    # The matrix outlives this call: one made inside inference mode could not take part in training afterwards.
    with torch.inference_mode(mode=False), torch.no_grad():
        return _weights(size, window_size, sigma, device, dtype)


def _weights(size: int, window_size: int, sigma: float, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Make that matrix."""
    exactly = torch.device("cpu") if device.type == "mps" else device  # which knows no float64
    place = torch.arange(size, dtype=torch.float64, device=exactly)
    distance = place[:, None] - place[None, :]
    weight = torch.exp(-0.5 * (distance / sigma).square())
    weight = torch.where(distance.abs() <= window_size // 2, weight, 0.0)
    weight = weight / weight.sum(dim=1, keepdim=True)
    return weight.to(dtype).to(device)


def _pair(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Check that two pictures can be compared, and give both at least float32."""
    if prediction.shape != target.shape or prediction.ndim != 4:
        raise ShapeError(
            f"the prediction is {tuple(prediction.shape)} but the target is {tuple(target.shape)}; a pixel loss "
            "compares two pictures of one shape (b, c, h, w): resize or slice one to the other"
        )
    return _floating(prediction, name="prediction"), _floating(target, name="target")


def _floating(image: Tensor, *, name: str) -> Tensor:
    """Refuse whole numbers, whose differences wrap around, and widen half precision."""
    if not image.is_floating_point():
        raise DataError(f"the {name} is {image.dtype}; a loss takes float pictures in [0, 1]: use {name}.float() / 255")
    return widen(image)


def widen(values: Tensor) -> Tensor:
    """Give half precision as float32: squares vanish and sums overflow in it."""
    return values.float() if values.dtype in _HALF else values
