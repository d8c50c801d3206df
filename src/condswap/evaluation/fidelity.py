"""How near a swap is to the exact one, where the data know it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import default_collate

from condswap.cgan import CGAN
from condswap.data import ToyFaces
from condswap.errors import DataError, ShapeError
from condswap.evaluation.measures import ssim_inside
from condswap.generator import evaluating, misplaced, quoted
from condswap.sensitivity import moved

_AT_ONCE = 64  # pictures


@dataclass(frozen=True, kw_only=True)
class Fidelity:
    """How near reconstructions and swaps are to the truth, inside the face.

    Attributes:
        reconstruction: SSIM of the pictures shown as their own class, against the pictures.
        swap: SSIM of the pictures shown as another class, against the exact swaps, where both people have their face.
        unchanged: what the picture itself would get in place of the swap: the figure of a model that ignores the label.
        moved: how far the swap went from the picture to the exact swap: 0 is the picture, 1 all the way.
    """

    reconstruction: float
    swap: float
    unchanged: float
    moved: float


@torch.no_grad()
def swap_fidelity(model: CGAN, data: ToyFaces, *, indices: Sequence[int] | None = None) -> Fidelity:
    """Measure a model on pictures whose exact swap is known.

    Every picture is shown as its own class and as the next one. The model is told who is in the picture and where.

    Args:
        model: with the classes of the data.
        data: pictures that it was not trained on.
        indices: which of them; None for all.

    Raises:
        DataError: there are no pictures, or the classes of the data are not those of the model.
        ShapeError: the pictures have another size than the model's.

    Example:
        >>> model = CGAN.default(32, classes=["anna", "bob"])
        >>> swap_fidelity(model, ToyFaces(2, image_size=32, length=4, split="test")).swap < 0.9
        True
    """
    chosen = list(range(len(data)) if indices is None else indices)
    if not chosen or misplaced(data.classes, model.classes) or len(data.classes) > len(model.classes):
        raise DataError(
            f"fidelity is measured on pictures of the model's classes: {len(chosen)} pictures of "
            f"{quoted(data.classes)} were given, and the model has {quoted(model.classes)}; give both "
            "the same classes in the same order"
        )
    if (3, data.image_size, data.image_size) != model.image_shape:
        raise ShapeError(
            f"the pictures are {data.image_size} x {data.image_size} and the model takes {model.image_shape[1]} x "
            f"{model.image_shape[2]}; make the data with image_size={model.image_shape[1]}"
        )
    with evaluating(model):
        parts = [_measure(model, data, chosen[start : start + _AT_ONCE]) for start in range(0, len(chosen), _AT_ONCE)]
    reconstruction, swap, unchanged, went = torch.cat(parts, dim=1).mean(1).tolist()
    return Fidelity(reconstruction=reconstruction, swap=swap, unchanged=unchanged, moved=went)


def _measure(model: CGAN, data: ToyFaces, chosen: Sequence[int]) -> Tensor:
    """Give the four figures of every picture, (4, n)."""
    device = next(model.parameters()).device
    batch = default_collate([data[index] for index in chosen])
    image, mask, label = (batch[key].to(device) for key in ("image", "mask", "label"))
    to = (label + 1) % len(data.classes)
    truth = data.swap_truths(chosen, to.cpu()).to(device)
    truth_mask = torch.stack([data.swap_mask(index, int(one)) for index, one in zip(chosen, to, strict=True)]).to(
        device
    )
    both = mask * truth_mask
    own = model.generator(image, label, label, mask).image
    swap = model.generator(image, to, label, mask).image
    figures = [
        ssim_inside(own, image, mask),
        ssim_inside(swap, truth, both),
        ssim_inside(image, truth, both),
        moved(image, swap, truth, both).where(to != label, 0.0),  # with one person there is nowhere to go
    ]
    return torch.stack(figures).cpu()
