"""A model small enough to be made in every test."""

from collections.abc import Sequence

import torch

from condswap import CGAN, ConvDecoder, ConvEncoder, CrossAttentionBottleneck, MLPBottleneck, PatchDiscriminator
from condswap.testing import fake_batch


def small(
    classes: Sequence[str] = ("anna", "bob"),
    *,
    size: tuple[int, int] = (32, 32),
    bottleneck: str = "cross_attention",
    seed: int = 0,
    **changes: object,
) -> CGAN:
    """Two stages, 8 channels; the same seed gives the same weights. In evaluation mode."""
    number = len(classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = ConvEncoder((3, *size), width=8, stages=2, code_channels=4)
        middle = (
            MLPBottleneck(encoder.out_shape, num_classes=number, width=8, embedding=8, out_channels=8)
            if bottleneck == "mlp"
            else CrossAttentionBottleneck(encoder.out_shape, num_classes=number, width=8, tokens=3, heads=2)
        )
        decoder = ConvDecoder(middle.out_shape, num_classes=number, width=8, stages=2, embedding=8)
        judge = PatchDiscriminator(decoder.out_shape, num_classes=number, width=8, stages=2)
        return CGAN(encoder, middle, decoder, judge, classes=classes, **changes).eval()  # type: ignore[arg-type]


def met(model: CGAN) -> CGAN:
    """The model after it has seen pictures of every class, as training leaves its statistics."""
    batch = fake_batch(model.image_shape, num_classes=len(model.classes), batch_size=4 * len(model.classes))
    batch["image"] *= (1 + batch["label"][:, None, None, None]) / len(model.classes)  # so that the classes differ
    with torch.no_grad():
        model.train().generator(batch["image"], batch["label"], batch["label"])
    return model.eval()


def pictures(number: int = 2, *, size: tuple[int, int] = (32, 32), seed: int = 1) -> torch.Tensor:
    return torch.rand(number, 3, *size, generator=torch.Generator().manual_seed(seed))
