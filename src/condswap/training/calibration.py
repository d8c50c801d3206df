"""Code statistics measured for the weights that are kept, rather than inherited from those that were trained."""

from collections.abc import Iterable

import torch

from condswap.generator import Generator
from condswap.parts import ClassNorm
from condswap.types import Batch


@torch.no_grad()
def calibrate(generator: Generator, batches: Iterable[Batch], *, device: torch.device) -> None:
    """Measure anew what the bottleneck knows about the features of every class.

    Averaged weights give other features than the weights that they average, so the statistics that were gathered in
    training do not quite fit them.

    Args:
        generator: in evaluation mode; only its `ClassNorm` layers are set, and they too are left in the mode they had.
        batches: a few batches of real pictures; a class that is in none of them keeps its statistics.
        device: where the generator is.
    """
    norms = [module for module in generator.modules() if isinstance(module, ClassNorm)]
    if not norms:
        return
    before = [(norm.training, norm.momentum) for norm in norms]
    for norm in norms:
        norm.train()
        norm.updates.zero_()
        norm.momentum = 0.0  # the mean of all batches
    try:
        for batch in batches:
            label = batch["label"].to(device)
            features = generator.encode(batch["image"].to(device), batch["mask"].to(device))
            generator.bottleneck(features, label, label)
    finally:
        for norm, (training, norm.momentum) in zip(norms, before, strict=True):
            norm.train(training)
