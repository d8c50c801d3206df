"""From a frame to the crop of a face and back, and what is done to crop and mask on the way.

A frame is (3, H, W), uint8 or float32 in [0, 1], also as the view of pixels that lie colour by colour. A matrix (2, 3)
takes a point of the frame to a point of the crop, both in pixels whose centres are whole numbers, as `cv2.warpAffine`
does; it is read on the CPU. Batches of crops are (b, 3, h, w), their masks (b, 1, h, w), all in [0, 1].
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from einops import rearrange
from torch import Tensor
from torch.nn.functional import pad

from condswap.errors import ConfigError, DataError, ShapeError
from condswap.faces.opencv import require_opencv
from condswap.faces.warp import affine, box, inverse, moved, sample, shrinking
from condswap.types import Image, Mask

_FAINTEST = 1 / 255  # of a mask: less does not show, and a sigmoid never quite reaches 0
_CLONED = 0.1  # of a mask: further out its softened edge shows the frame anyway


def mask_of(painted: Mask | None, hull: Mask | None, how: Literal["model", "landmarks", "both"] = "both") -> Mask:
    """Choose where a face is pasted: what the model painted, the hull of the landmarks, or the product of the two.

    What is fainter than 1/255 becomes 0. Raises `ConfigError` for another word, or where the mask it needs is None.

    >>> painted, hull = torch.tensor([1.0, 0.5, 0.001]), torch.tensor([1.0, 1.0, 0.0])
    >>> mask_of(painted, hull).tolist()
    [1.0, 0.5, 0.0]
    """
    needed = {"model": (painted,), "landmarks": (hull,), "both": (painted, hull)}.get(how)
    if needed is None:
        raise ConfigError(f'the mask is to be {how!r}; give "model", "landmarks" or "both"')
    masks = [mask for mask in needed if mask is not None]
    if len(masks) < len(needed):
        raise ConfigError(
            f'the mask "{how}" needs one that is None; give it or choose another of model, landmarks, both'
        )
    mask = masks[0] if len(masks) == 1 else masks[0] * masks[1]
    return torch.where(mask < _FAINTEST, 0.0, mask)


def erode(mask: Mask, pixels: int) -> Mask:
    """Move the edge of masks inwards by so many pixels in every direction, or outwards where `pixels` is negative.

    Each pixel becomes the least (the greatest) in the ellipse around it that `cv2.MORPH_ELLIPSE` gives for 2 pixels + 1;
    what would lie outside of the crop does not count.

    >>> mask = torch.ones(1, 1, 1, 5)
    >>> mask[..., 0] = 0.0
    >>> erode(mask, 2).flatten().tolist()
    [0.0, 0.0, 0.0, 1.0, 1.0]
    """
    if pixels < 0:
        return -erode(-mask, -pixels)
    height, width = mask.shape[-2:]
    stretch, reach, least = pad(mask, (pixels, pixels, pixels, pixels), value=math.inf), 0, mask
    # The ellipse from its outer rows to its middle: the least of ever wider stretches of a row, each made of the last.
    for up in range(pixels, -1, -1):
        half = round(math.sqrt(pixels**2 - up**2))
        while reach < half:
            ends = torch.minimum(stretch[..., :-2], stretch[..., 2:])
            stretch, reach = torch.minimum(ends, stretch[..., 1:-1]), reach + 1
        within = stretch[..., pixels - half : pixels - half + width]
        for start in (pixels - up, pixels + up):
            least = torch.minimum(least, within[..., start : start + height, :])
    return least


def feather(mask: Mask, pixels: int) -> Mask:
    """Soften the edge of masks inwards: 0 at the edge, about a half `pixels` further in, 1 at twice that.

    What was 0 stays 0, and so does the outermost ring of the crop: beyond it there is nothing to paste. The mask is
    eroded by `pixels` and blurred with a Gaussian of that reach.

    >>> feather(torch.ones(1, 1, 1, 9).expand(1, 1, 9, 9), 2)[0, 0, 4].gt(0).tolist()
    [False, True, True, True, True, True, True, True, False]
    """
    mask = pad(mask[..., 1:-1, 1:-1], (1, 1, 1, 1))
    if pixels < 1:
        return mask
    eroded = pad(erode(mask, pixels), (pixels, pixels, pixels, pixels))
    return torch.minimum(_gaussian(eroded, sigma=pixels / 2.5, reach=pixels), mask)


def sharpen(image: Image, amount: float, *, sigma: float = 1.0) -> Image:
    """Sharpen pictures by an unsharp mask: away from their blurred self by so many times the difference.

    The Gaussian of `sigma` pixels is cut at twice that. 0 changes nothing; 0.5 is plain to see.

    >>> edge = torch.tensor([0.25, 0.25, 0.75, 0.75]).expand(1, 3, 4, 4)
    >>> [round(value, 2) for value in sharpen(edge, 0.5, sigma=0.5)[0, 0, 1].tolist()]
    [0.25, 0.22, 0.78, 0.75]
    """
    reach = max(1, int(2 * sigma))
    around = pad(image, (reach, reach, reach, reach), mode="replicate")
    return (image + amount * (image - _gaussian(around, sigma=sigma, reach=reach))).clamp(0, 1)


def denoise(image: Image, strength: float) -> Image:
    """Smooth what differs from its surroundings by less than about `strength`, of a range of 1; edges stay.

    That is OpenCV's bilateral filter over 5 x 5 pixels. Raises `ConfigError` where OpenCV is missing.

    >>> grey = torch.full((1, 3, 8, 8), 0.5)
    >>> torch.allclose(denoise(grey, 0.1), grey)
    True
    """
    if strength <= 0:
        return image
    opencv = require_opencv("this")
    pixels = rearrange(image, "b c h w -> b h w c").float().cpu().contiguous().numpy()
    smooth = [torch.from_numpy(opencv.bilateralFilter(one, 5, strength, 2.0)) for one in pixels]
    return rearrange(torch.stack(smooth), "b h w c -> b c h w").to(image)


def seamless(picture: Image, face: Image, mask: Mask) -> Image:
    """Put faces into pictures of the same crop by their gradients, so that the colours are the picture's at the edge.

    Pérez, Gangnet, Blake: Poisson image editing, 2003, as OpenCV does it, in 8 bits. The edge is where the mask falls
    under 0.1: give the mask that is then pasted with. Outside of it comes back the picture, as all of it does where the
    mask is smaller than 4 pixels. Raises `ConfigError` where OpenCV is missing, `ShapeError` for other shapes.

    >>> mask = torch.zeros(1, 1, 16, 16)
    >>> mask[..., 4:12, 4:12] = 1.0
    >>> light, dark = torch.full((1, 3, 16, 16), 0.8), torch.full((1, 3, 16, 16), 0.2)
    >>> round(seamless(light, dark, mask)[0, 0, 8, 8].item(), 2)
    0.8
    """
    if picture.shape != face.shape or mask.shape != (len(face), 1, *face.shape[2:]):
        raise ShapeError(
            f"picture, face and mask are {tuple(picture.shape)}, {tuple(face.shape)} and {tuple(mask.shape)}; "
            "give two (b, 3, h, w) and the (b, 1, h, w) that goes with them"
        )
    opencv = require_opencv("this")
    cloned = mask > _CLONED
    below, above, inside = (
        rearrange((part.float().clamp(0, 1) * 255).round().byte(), "b c h w -> b h w c").cpu().contiguous().numpy()
        for part in (picture, face, cloned)
    )
    shown = []
    for under, over, area in zip(below, above, inside, strict=True):
        left, top, width, height = opencv.boundingRect(area)
        if min(width, height) >= 4:
            # Exactly the centre that OpenCV takes for the mask: any other would move the face.
            centre = (left + width // 2, top + height // 2)
            under = opencv.seamlessClone(over, under, area, centre, opencv.NORMAL_CLONE)
        shown.append(torch.from_numpy(under))
    pixels = rearrange(torch.stack(shown), "b h w c -> b c h w").to(picture) / 255
    return torch.where(cloned, pixels, picture)


def crop(
    frame: Tensor, matrix: Tensor | Sequence[Sequence[float]], size: int, *, outside: Literal["edge", "black"] = "edge"
) -> Tensor:
    """Cut a face out of a frame.

    Args:
        frame: (c, H, W), uint8 or float in [0, 1]; a mask (1, H, W) will do as well.
        matrix: (2, 3) from the frame to the crop.
        size: of the crop, in pixels.
        outside: what lies beyond the frame: its nearest pixel, or 0, which is for masks. A black wedge has an edge that
            no face has, and a network answers to it.

    Returns:
        (c, size, size), float32 in [0, 1]. Bicubic; where the crop has fewer pixels than the frame, each is an average.

    Raises:
        ShapeError: frame or matrix of another shape.
        DataError: a frame of another type, a matrix that cannot be undone.

    Example:
        >>> frame = torch.arange(16, dtype=torch.uint8).reshape(1, 4, 4).expand(3, 4, 4)
        >>> (crop(frame, [[1, 0, -1], [0, 1, -2]], 2)[0] * 255).round().int().tolist()
        [[9, 10], [13, 14]]
    """
    _check_frame(frame)
    beyond: Literal["border", "zeros"] = "border" if outside == "edge" else "zeros"
    return sample(frame, inverse(affine(matrix)), size, size, beyond=beyond)[0].clamp(0, 1)


def paste(frame: Tensor, face: Tensor, mask: Tensor, matrix: Tensor | Sequence[Sequence[float]]) -> Tensor:
    """Put the crop of a face back into the frame that it was cut from.

    Args:
        frame: (3, H, W), uint8 or float32 in [0, 1]. It stays as it is; what comes back is a copy.
        face: (3, s, s), float in [0, 1].
        mask: (1, s, s), float in [0, 1]: how much of the face is shown.
        matrix: (2, 3) from the frame to the crop, the one that it was cut out with.

    Returns:
        The frame with the face, of its type and layout. Where the mask does not reach it is bit for bit the frame. The
        face is resampled as `crop` does, times its mask, so that nothing from outside of the mask bleeds in.

    Raises:
        ShapeError: frame, face, mask or matrix of another shape.
        DataError: a frame of another type, a matrix that cannot be undone.

    Example:
        >>> frame, white = torch.zeros(3, 4, 4, dtype=torch.uint8), torch.ones(3, 2, 2)
        >>> paste(frame, white, white[:1], [[1, 0, -1], [0, 1, -2]])[0].tolist()
        [[0, 0, 0, 0], [0, 0, 0, 0], [0, 255, 255, 0], [0, 255, 255, 0]]
    """
    _check_frame(frame)
    if frame.shape[0] != 3 or face.ndim != 3 or face.shape[0] != 3 or mask.shape != (1, *face.shape[1:]):
        raise ShapeError(
            f"frame, face and mask are {tuple(frame.shape)}, {tuple(face.shape)} and {tuple(mask.shape)}; "
            "give (3, H, W), (3, s, s) and (1, s, s)"
        )
    to_crop, shown, seen = affine(matrix), frame.clone(), mask[0] >= _FAINTEST
    rows, columns = (seen.any(side).nonzero() for side in (1, 0))
    if not len(rows):
        return shown
    # The box of what the mask shows, as far out as it is softened by the resampling.
    reach = 2 * max(1.0, shrinking(to_crop))
    around = (int(columns[0]) - reach, int(rows[0]) - reach, int(columns[-1]) + reach, int(rows[-1]) + reach)
    left, top, right, bottom = box(inverse(to_crop), around)
    left, top = max(left, 0), max(top, 0)
    right, bottom = min(right, frame.shape[2]), min(bottom, frame.shape[1])
    if left >= right or top >= bottom:
        return shown
    layer = torch.cat((face.float().clamp(0, 1) * mask, mask.float()))
    layer = sample(layer, moved(to_crop, left, top), bottom - top, right - left, beyond="zeros")[0]
    # Divided by its own alpha before that is cut to 1: a cubic overshoots, in both by the same part.
    colour = (layer[:3] / layer[3:].clamp_min(_FAINTEST)).clamp(0, 1)
    alpha = torch.where(layer[3:] < _FAINTEST, 0.0, layer[3:]).clamp_max(1)
    region = shown[:, top:bottom, left:right]
    if frame.dtype == torch.uint8:
        region.copy_((region + alpha * (colour * 255 - region)).round())
    else:
        region.copy_(region + alpha * (colour - region))
    return shown


def _gaussian(image: Tensor, *, sigma: float, reach: int) -> Tensor:
    """Blur pictures (b, c, h, w), which lose `reach` pixels at every side."""
    place = torch.arange(-reach, reach + 1, device=image.device, dtype=torch.float32)
    kernel = (-place.square() / (2 * sigma**2)).exp()
    kernel = kernel / kernel.sum()
    # As products with matrices that have the kernel in every row: on a CPU five times as fast as long, thin convolutions.
    down, across = (_banded(kernel, side) for side in image.shape[2:])
    return down @ image.float() @ across.T


def _banded(kernel: Tensor, side: int) -> Tensor:
    """Give the matrix (side - k + 1, side) that has a kernel (k) in every row, one place further each."""
    count = side - len(kernel) + 1
    banded = kernel.new_zeros(count, side)
    rows = torch.arange(count, device=kernel.device)[:, None]
    banded[rows, rows + torch.arange(len(kernel), device=kernel.device)] = kernel
    return banded


def _check_frame(frame: Tensor) -> None:
    if frame.ndim != 3 or not frame.numel():
        raise ShapeError(f"the frame is {tuple(frame.shape)}; give (channels, height, width) of at least a pixel")
    if frame.dtype not in (torch.uint8, torch.float32):
        raise DataError(f"the frame is {frame.dtype}; give uint8, or float32 in [0, 1]")
