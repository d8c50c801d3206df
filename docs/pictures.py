"""Makes the pictures of the documentation that show drawn faces, with their models, from nothing: `make pictures`.

    python docs/pictures.py                                 # all of them, in a quarter of an hour of two cores
    python docs/pictures.py many blend --models run/models  # these two; models are kept there, and taken from there

Needs `pip install "condswap[demo]"`. The seeds are fixed: on another machine the pictures differ by its rounding.
"""

import argparse
import tempfile
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

import torch
from PIL import Image as Pillow
from torch import Tensor
from torch.utils.data import default_collate

from condswap import (
    CGAN,
    ConvDecoder,
    ConvEncoder,
    CrossAttentionBottleneck,
    Objective,
    PatchDiscriminator,
    ToyFaces,
    Trainer,
    TrainerConfig,
    demo,
)
from condswap.files import write_atomically
from condswap.pictures import swap_grid, to_pillow
from condswap.pretrained import mark_of
from condswap.progress import say
from condswap.provenance import marked

IMAGES = Path(__file__).resolve().parent / "images"
SIZE = 64
PEOPLE = 8


def swaps(models: Path) -> None:
    """The first picture of the README: what `condswap demo` makes, of six moments, larger."""
    model = kept(models / "demo", trained_by_the_demo)
    write("swaps.png", demo.pictures(model, two_people("test"), count=6), model, scale=2)


def not_swapping(models: Path) -> None:
    """A model that learned to copy: good reconstructions, and swaps in which nothing was swapped."""
    model = kept(models / "copying", trained_to_copy)
    rows = demo.pictures(model, two_people("test"), count=6)
    del rows["exact swap"]
    write("not_swapping.png", rows, model, scale=2)


def many(models: Path) -> None:
    """One model, eight people: who they are, and three moments shown as each of them."""
    model = kept(models / "eight", trained_on_eight)
    data = eight_people("test")
    moments = (0, 33, 44)
    people = data.swap_truths([moments[0]] * PEOPLE, list(range(PEOPLE)))
    empty = swap_grid({"": people})[:, :1, :1].expand(1, 3, SIZE, SIZE)  # of the colour of the paper
    rows = {"who they are": torch.cat([empty, people])}
    rows |= {f"moment {n}": shown_as_everybody(model, data, one) for n, one in enumerate(moments, start=1)}
    write("many.png", rows, model, captions=["picture", *data.classes])


def blend(models: Path) -> None:
    """One face, walked from a person to another."""
    model = kept(models / "eight", trained_on_eight)
    data = eight_people("test")
    shares = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    rows = {}
    for index, start, end in ((33, "person-1", "person-4"), (0, "person-2", "person-5"), (11, "person-3", "person-6")):
        one = default_collate([data[index]])
        blends = [{start: 1 - share, end: share} for share in shares]
        walk = [model.swap(one["image"], to, source=one["label"], mask=one["mask"]) for to in blends]
        rows[f"{start} to {end}"] = torch.cat(walk)
    write("blend.png", rows, model, captions=[f"{share:.0%}" for share in shares])


PICTURES: Mapping[str, Callable[[Path], None]] = {one.__name__: one for one in (swaps, not_swapping, many, blend)}


def two_people(split: str) -> ToyFaces:
    """Those of `condswap demo`."""
    return ToyFaces(2, image_size=SIZE, seed=0, length=1000 if split == "train" else 64, split=split)


def eight_people(split: str) -> ToyFaces:
    """Eight people, 500 pictures of each to train on."""
    return ToyFaces(PEOPLE, image_size=SIZE, seed=0, length=4000 if split == "train" else 64, split=split)


def kept(folder: Path, trained: Callable[[Path], CGAN]) -> CGAN:
    """Take the model that is kept in a folder, or train it and keep it there."""
    if not folder.is_dir():
        say(f"training the model {folder.name}")
        trained(folder.with_suffix(".run")).save_pretrained(folder)
    return CGAN.from_pretrained(folder)


def trained_by_the_demo(folder: Path) -> CGAN:
    """The model of `condswap demo`."""
    return CGAN.from_pretrained(demo.run(folder).model)


def trained_to_copy(folder: Path) -> CGAN:
    """All that keeps the person out of the code is left away: the network of the first tutorial's failure."""
    torch.manual_seed(0)
    data = two_people("train")
    encoder = ConvEncoder((3, SIZE, SIZE), width=16, stages=2, code_channels=32)
    bottleneck = CrossAttentionBottleneck(encoder.out_shape, num_classes=2, normalisation="none")
    decoder = ConvDecoder(bottleneck.out_shape, num_classes=2, stages=2, modulation="none")
    judge = PatchDiscriminator(decoder.out_shape, num_classes=2)
    model = CGAN(encoder, bottleneck, decoder, judge, classes=data.classes, objective=Objective(code_adversary=0))
    Trainer(model, TrainerConfig(seed=0, batch_size=8, planned_steps=400)).fit(data, steps=400)
    return model


def trained_on_eight(folder: Path) -> CGAN:
    """One model for eight people, with the bottleneck that suits people who are filmed alike."""
    torch.manual_seed(0)
    data = eight_people("train")
    model = CGAN.default(SIZE, classes=data.classes, bottleneck="mlp")
    Trainer(model, TrainerConfig(seed=0, batch_size=8, planned_steps=6000)).fit(data, steps=6000)
    return model


def shown_as_everybody(model: CGAN, data: ToyFaces, index: int) -> Tensor:
    """Give a picture and the same shown as every class, (1 + n, 3, h, w)."""
    one = default_collate([data[index]])
    shown = [model.swap(one["image"], name, source=one["label"], mask=one["mask"]) for name in data.classes]
    return torch.cat([one["image"], *shown])


def write(name: str, rows: Mapping[str, Tensor], model: CGAN, **layout: object) -> None:
    """Write a grid with the mark of its model, in 256 colours: a third of the bytes, and nothing of it is seen."""
    picture, small = to_pillow(swap_grid(rows, **layout)), BytesIO()
    # MAXCOVERAGE keeps the small things that have a colour of their own, such as blue eyes, which MEDIANCUT drops.
    palette = picture.quantize(256, method=Pillow.Quantize.MAXCOVERAGE, kmeans=4)
    picture.quantize(palette=palette, dither=Pillow.Dither.FLOYDSTEINBERG).save(small, "PNG", optimize=True)
    write_atomically(IMAGES / name, marked(small.getvalue(), mark_of(model)))
    say(f"wrote {IMAGES / name}, {len(small.getvalue()) // 1000} kB")


def main() -> None:
    """Make the pictures that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PICTURES)}; all of them by default")
    parser.add_argument("--models", type=Path, help="the folder where models are kept; made anew by default")
    given = parser.parse_args()
    unknown = sorted(set(given.names) - set(PICTURES))
    if unknown:
        parser.error(f"there is no picture {', '.join(unknown)}; there are {', '.join(PICTURES)}")
    with tempfile.TemporaryDirectory() as temporary:
        for name in given.names or PICTURES:
            PICTURES[name](given.models or Path(temporary))


if __name__ == "__main__":
    main()
