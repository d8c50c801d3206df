"""Swaps of people whom the model was not trained on, told about them in different ways.

    python benchmarks/strangers.py --out runs/strangers
    python benchmarks/strangers.py --faces FACES --identity mobilefacenet.onnx --out runs/strangers

Without FACES on toy faces, where the exact swap is known: four people are trained, the fifth and the sixth are the
strangers. With FACES, one folder of aligned 128 px faces a person in the order of their video, the last person of
`--people` is the stranger, and the last clip of everybody with more than one clip is left out of training: those are the
known people in new light. "Live" is what a DFM gives, which is given no mask. Prints tables (Markdown). The model is kept
in the folder and used again.
"""

import argparse
import time
from pathlib import Path

import torch
from torch.nn import functional as F
from torch.utils.data import Subset, default_collate

from condswap import CGAN, FaceFolder, ToyFaces, Trainer, TrainerConfig
from condswap.data import Augmentation, find_clips
from condswap.evaluation import load_identity
from condswap.evaluation.references import pasted
from condswap.export.graphs import DfmGraph
from condswap.losses import masked_mean, ssim

FRAMES = (1, 4, 32)  # of a stranger
DRAWS = 4  # other frames, for the smaller counts
WARM = torch.tensor([1.0, 0.82, 0.64])[:, None, None]  # what a lamp does to the colours


def gather(data, indices):
    """Give pictures, masks and labels of some indices."""
    batch = default_collate([data[index] for index in indices])
    return batch["image"], batch["mask"], batch["label"]


def average(rows):
    """Average rows of figures."""
    return {key: sum(row[key] for row in rows) / len(rows) for key in rows[0]}


def live(graph, image, big):
    """Do what a live application does with a DFM: no mask is known, and the smaller of the two that it gives is used."""
    before, shown, mask = (one.movedim(-1, 1) for one in graph(image.movedim(1, -1).flip(-1)))
    both = F.interpolate(torch.minimum(before, mask), size=big.shape[2:], mode="bilinear")
    return pasted(big, shown.flip(1), both)


def scores(identity, composite, means, source, to):
    """Give retrieval, similarity to the target, to the person in the picture, and their difference (the leak gap)."""
    similar = F.normalize(identity(composite), dim=1) @ means.T
    rows = torch.arange(len(to))
    own, other = similar[rows, to], similar[rows, source]
    return {
        "retrieval": float((similar.argmax(1) == to).float().mean()),
        "target": float(own.mean()),
        "picture": float(other.mean()),
        "gap": float((own - other).mean()),
    }


def trained(folder, data, size, *, steps, augmentation):
    """Load the model of a folder, or train it."""
    if (folder / "config.json").exists():
        return CGAN.from_pretrained(folder)
    torch.manual_seed(0)
    model = CGAN.default(size, classes=data.classes)
    start = time.process_time()
    with torch.enable_grad():
        Trainer(model, TrainerConfig(planned_steps=steps, augmentation=augmentation, watch=0), device="cpu").fit(
            data, steps
        )
    print(f"trained {steps} steps in {time.process_time() - start:.0f} CPU s")
    model.save_pretrained(folder)
    return model


def ways(model, frames, masks, own):
    """Give the ways to tell the model who is in the picture: a name, and the sources to average over."""
    yield "not told", [None]
    if own is not None:
        yield "their class", [own]
    for count in FRAMES:
        starts = range(0, DRAWS * 7, 7) if count < max(FRAMES) else [0]
        yield (
            f"stranger, {count} frame{'s'[: count > 1]}",
            [model.stranger(frames[start : start + count], masks[start : start + count]) for start in starts],
        )
    yield "a wrong class", [number for number in range(len(model.classes)) if number != own]


def table(title, rows):
    """Print rows of figures."""
    names = list(dict.fromkeys(name for _, row in rows for name in row))
    print(f"\n{title}\n\n| told | " + " | ".join(names) + " |\n|---|" + "---|" * len(names))
    for name, row in rows:
        print(f"| {name} | " + " | ".join(f"{row[one]:.3f}" if one in row else "" for one in names) + " |", flush=True)


@torch.no_grad()
def toy(given):
    """Measure against the exact swap."""
    people, size = 6, given.image_size
    known = ToyFaces(people - 2, image_size=size, seed=0, length=1000)
    model = trained(given.out / "toy", known, size, steps=given.steps, augmentation=Augmentation.none())
    test = ToyFaces(people, image_size=size, seed=0, length=32 * people, split="test")
    footage = ToyFaces(people, image_size=size, seed=0, length=64 * people)

    def measured(source, cases, tint):
        rows = []
        for image, mask, to, truth, both in cases:
            shown = model.generator(image * tint, to, source, mask).image
            change, moved = (truth * tint - image * tint) * both, (shown - image * tint) * both
            alpha = (change * moved).flatten(1).sum(1) / change.square().flatten(1).sum(1)
            rows.append(
                {"swap ssim": float(masked_mean(ssim(shown, truth * tint), both)), "moved": float(alpha.mean())}
            )
        return average(rows)

    found = {}
    for person in range(people):
        indices = [index for index, label in enumerate(test.labels) if label == person]
        image, mask, label = gather(test, indices)
        frames, masks, _ = gather(footage, [index for index, one in enumerate(footage.labels) if one == person])
        cases = []
        for to in range(people - 2):
            if to != person:
                both = mask * torch.stack([test.swap_mask(index, to) for index in indices])
                cases.append((image, mask, torch.full_like(label, to), test.swap_truths(indices, to), both))
        own = person if person < people - 2 else None
        lights = {f"person {person}": 1.0} if own is None else {"known people": 1.0, "in warm light": WARM}
        for title, tint in lights.items():
            for name, sources in ways(model, frames * tint, masks, own):
                figures = average([measured(source, cases, tint) for source in sources])
                found.setdefault(title, {}).setdefault(name, []).append(figures)
    for title, rows in found.items():
        table(title, [(name, average(figures)) for name, figures in rows.items()])


def real(given):
    """Measure with an identity network."""
    names, size = given.people.split(","), given.image_size
    whole = FaceFolder(given.faces, image_size=128, classes=names)
    data = FaceFolder(given.faces, image_size=size, classes=names)
    clips = [[list(one.indices) for one in find_clips(whole) if one.label == label] for label in range(len(names))]
    print(f"clips {[[len(clip) for clip in person] for person in clips]}")
    kept = [index for person in clips[:-1] for clip in person[: max(1, len(person) - 1)] for index in clip]
    train = Subset(data, kept)
    train.labels, train.classes = [data.labels[index] for index in kept], tuple(names[:-1])
    model = trained(given.out / "real", train, size, steps=given.steps, augmentation=Augmentation())
    identity = load_identity(given.identity)
    means = F.normalize(
        torch.stack([F.normalize(identity(gather(whole, sum(person, [])[::3])[0])).mean(0) for person in clips]), dim=1
    )
    for person, of_person in enumerate(clips):
        if person < len(names) - 1 and len(of_person) == 1:
            continue
        clip = of_person[-1]
        footage, tested = clip[: len(clip) // 2], clip[len(clip) // 2 :][:: max(1, len(clip) // 60)]
        image, mask, _ = gather(data, tested)
        big, big_mask, _ = gather(whole, tested)
        frames, masks, _ = gather(data, footage[:: max(1, len(footage) // 64)])
        own = person if person < len(names) - 1 else None
        rows = []
        for name, sources in ways(model, frames, masks, own):
            figures = []
            for source in sources:
                for to in range(len(names) - 1):
                    if to != person:
                        seen, target = (torch.full((len(tested),), one) for one in (person, to))
                        with torch.no_grad():
                            shown = model.generator(image, target, source, mask).image
                        figures.append(scores(identity, pasted(big, shown, big_mask), means, seen, target))
            rows.append((name, average(figures)))
        for name, source in (("live: not told", None), ("live: stranger, 32 frames", model.stranger(frames[:32]))):
            figures = []
            for to in range(len(names) - 1):
                if to != person:
                    seen, target = (torch.full((len(tested),), one) for one in (person, to))
                    with torch.no_grad():
                        composite = live(DfmGraph(model.generator, to=to, source=source), image, big)
                    figures.append(scores(identity, composite, means, seen, target))
            rows.append((name, average(figures)))
        table(f"{names[person]}, {'a stranger' if own is None else 'a known person in a new clip'}", rows)


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=Path)
    parser.add_argument("--people", default="biden,trump,d3_woman,d9_man", help="the last one is the stranger")
    parser.add_argument("--identity")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    real(given) if given.faces else toy(given)


if __name__ == "__main__":
    main()
