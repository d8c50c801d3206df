"""Make the small swapper that the tests load and that a release gives to try: three drawn people, 64 pixels.

    python tests/swappers/train_toy.py

It is assembled from narrow parts, since the weights of `CGAN.default` weigh 2.7 MB. The faces are drawn by a program, so they
are nobody's and need nobody's consent. Training takes about ten minutes of one core.
"""

import argparse
from pathlib import Path

import torch
from torch.utils.data import default_collate

from condswap import (
    CGAN,
    ConvDecoder,
    ConvEncoder,
    CrossAttentionBottleneck,
    PatchDiscriminator,
    ToyFaces,
    Trainer,
    TrainerConfig,
)
from condswap.evaluation import evaluate, swap_fidelity
from condswap.pictures import save_grid
from condswap.pretrained import mark_of

CLASSES = ("ben", "anna", "cleo")
CONSENT = "The faces are drawn by a program and are those of nobody, so nobody had to agree."


def assemble() -> CGAN:
    """Build the model with fresh weights."""
    encoder = ConvEncoder((3, 64, 64), width=6)
    bottleneck = CrossAttentionBottleneck(encoder.out_shape, num_classes=len(CLASSES), width=32)
    decoder = ConvDecoder(bottleneck.out_shape, num_classes=len(CLASSES), width=16, embedding=16)
    discriminator = PatchDiscriminator(decoder.out_shape, num_classes=len(CLASSES), width=8, stages=2)
    return CGAN(encoder, bottleneck, decoder, discriminator, classes=CLASSES)


def pictures(split: str, length: int) -> ToyFaces:
    """Draw the people of this swapper."""
    return ToyFaces(CLASSES, image_size=64, seed=0, length=length, split=split)


def main() -> None:
    """Train, measure, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "toy", help="folder (default: toy, beside)")
    parser.add_argument("--steps", type=int, default=9000, help="of training (default: 9000)")
    parser.add_argument("--swaps", type=Path, help="draw what it does on pictures it has not seen to this file")
    given = parser.parse_args()

    torch.manual_seed(0)
    model = assemble()
    parts = (model.generator.encoder, model.generator.bottleneck, model.generator.decoder, model.discriminator)
    for part in parts:
        print(f"{type(part).__name__}: {sum(one.numel() for one in part.state_dict().values()):,} numbers")
    config = TrainerConfig(seed=0, batch_size=12, planned_steps=given.steps)
    Trainer(model, config, device="cpu").fit(pictures("train", 3000), given.steps)

    test = pictures("test", 96)
    print(swap_fidelity(model, test))
    report = evaluate(model, test)
    report.remember(model.history)
    model.save_pretrained(given.out, consent=CONSENT, license="mit")
    print(report.verdict, *report.warnings, sep="\n")
    if given.swaps is not None:
        batch = default_collate([test[index] for index in range(12)])
        image, mask, source = batch["image"], batch["mask"], batch["label"]
        rows = {"picture": image, "itself": model.swap(image, source, source=source, mask=mask)}
        for name in CLASSES:
            rows[f"as {name}"] = model.swap(image, name, source=source, mask=mask)
            rows[f"exact {name}"] = test.swap_truths(range(12), name)
        save_grid(given.swaps, rows, mark=mark_of(model))


if __name__ == "__main__":
    main()
