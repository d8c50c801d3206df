"""How a model is asked for a face of pictures that may be larger than its own."""

from condswap.cgan import CGAN
from condswap.evaluation.references import resized
from condswap.types import Image, Label, Mask


def show(model: CGAN, image: Image, to: Label, source: Label | None = None, mask: Mask | None = None) -> Image:
    """Show pictures as the classes `to`, as the decoder paints them, at the size of the pictures.

    Args:
        model: in evaluation mode.
        image: (b, 3, h, w) in [0, 1]; made smaller for the model, and the answer larger again.
        to: int64 (b).
        source: the classes of the people in the pictures; None tells nothing.
        mask: where their faces are, (b, 1, h, w); None tells nothing.

    Returns:
        (b, 3, h, w) in [0, 1].
    """
    size = (model.image_shape[1], model.image_shape[2])
    small_mask = None if mask is None else resized(mask, size)
    face = model.generator(resized(image, size), to, source, small_mask).image
    return resized(face.to(image.dtype).clamp(0, 1), (image.shape[2], image.shape[3]))
