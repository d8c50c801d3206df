"""How near a swap is to the exact one, where the data know it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from condswap.cgan import CGAN
from condswap.data import ToyFaces
from condswap.losses import masked_mean, ssim


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

    Example:
        >>> model = CGAN.default(32, classes=["anna", "bob"])
        >>> swap_fidelity(model, ToyFaces(2, image_size=32, length=4, split="test")).swap < 0.9
        True
    """
    chosen = list(range(len(data)) if indices is None else indices)
    device = next(model.parameters()).device
    items = [data[index] for index in chosen]
    image = torch.stack([item["image"] for item in items]).to(device)
    mask = torch.stack([item["mask"] for item in items]).to(device)
    label = torch.tensor([item["label"] for item in items], device=device)
    to = (label + 1) % len(data.classes)
    truth = data.swap_truths(chosen, to.cpu()).to(device)
    truth_mask = torch.stack([data.swap_mask(index, int(one)) for index, one in zip(chosen, to, strict=True)]).to(device)
    both = mask * truth_mask
    training = model.training
    model.eval()
    try:
        own = model.generator(image, label, label, mask).image
        swap = model.generator(image, to, label, mask).image
    finally:
        model.train(training)
    change, went = (truth - image) * both, (swap - image) * both
    moved = (change * went).flatten(1).sum(1) / change.square().flatten(1).sum(1).clamp_min(1e-9)
    return Fidelity(
        reconstruction=float(masked_mean(ssim(own, image), mask)),
        swap=float(masked_mean(ssim(swap, truth), both)),
        unchanged=float(masked_mean(ssim(image, truth), both)),
        moved=float(moved.mean()),
    )
