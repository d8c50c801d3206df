"""Swaps of real people, measured with an identity network beside the references that expose empty numbers.

    python benchmarks/real_swap.py FACES --identity mobilefacenet.onnx --image-size 64 --cpu-seconds 210 --out runs/64

FACES has one folder a person, of aligned 128 px faces in the order of their video. The last 15 % of every clip are held
back (a cut is where two neighbours differ by far more than neighbours do). The identity network sees composites: the swap
in the picture, inside its softened mask. The pictures are for looking: do not publish people who did not agree.
"""

import argparse
import copy
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import Subset, default_collate

from condswap import CGAN, FaceFolder, Trainer, TrainerConfig, every
from condswap.losses import blur_mask, masked_mean, ssim
from condswap.pictures import save_grid

WHOLE = 128  # the size at which composites are judged


class Identity:
    """An identity network of 112 px ImageNet-normalised faces, one picture at a time."""

    def __init__(self, path):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options)
        self.name = self.session.get_inputs()[0].name

    def __call__(self, image):
        """Give unit vectors (b, d) for aligned faces (b, 3, 128, 128)."""
        side = image.shape[-1]
        top, bottom, left, right = (round(part * side) for part in (0.078, 0.878, 0.100, 0.900))
        face = F.interpolate(image[..., top:bottom, left:right], size=(112, 112), mode="bilinear", antialias=True)
        mean, deviation = (
            torch.tensor(three)[:, None, None] for three in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        )
        vectors = [self.session.run(None, {self.name: one[None].numpy()})[0][0] for one in (face - mean) / deviation]
        return F.normalize(torch.from_numpy(np.stack(vectors)), dim=1)


def clips_of(data, label):
    """Split the pictures of a class into clips, as lists of indices."""
    indices = [index for index, one in enumerate(data.labels) if one == label]
    small = F.interpolate(torch.stack([data[index]["image"] for index in indices]), size=(32, 32), mode="area")
    cuts = ((small[1:] - small[:-1]).abs().mean((1, 2, 3)) > 0.1).nonzero().flatten() + 1
    edges = [0, *cuts.tolist(), len(indices)]
    return [indices[start:end] for start, end in zip(edges, edges[1:], strict=False)]


def gather(data, indices):
    """Give pictures, masks and labels of some indices."""
    batch = default_collate([data[index] for index in indices])
    return batch["image"], batch["mask"], batch["label"]


def paste(image, shown, mask):
    """Put a face into the whole picture, inside its softened mask."""
    shown = F.interpolate(shown, size=image.shape[2:], mode="bicubic", antialias=True).clamp(0, 1)
    return torch.lerp(image, shown, blur_mask(mask, fraction=0.04))


def scores(identity, composite, means, source, to):
    """Give retrieval, similarity to the target, to the person in the picture, and their difference (the leak gap)."""
    similar = identity(composite) @ means.T
    rows = torch.arange(len(to))
    own, other = similar[rows, to], similar[rows, source]
    return {
        "retrieval": float((similar.argmax(1) == to).float().mean()),
        "target": float(own.mean()),
        "picture": float(other.mean()),
        "gap": float((own - other).mean()),
    }


def average(rows):
    """Average rows of figures."""
    return {key: sum(row[key] for row in rows) / len(rows) for key in rows[0]}


@torch.no_grad()
def swap_in_parts(model, image, to, source, mask):
    """Give the raw swap, in parts that fit."""
    parts = [
        model.generator(*part).image for part in zip(*(one.split(64) for one in (image, to, source, mask)), strict=True)
    ]
    return torch.cat(parts)


def main() -> None:
    """Train, measure, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("faces", type=Path)
    parser.add_argument("--classes", default="biden,trump")
    parser.add_argument("--identity", required=True)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--cpu-seconds", type=float, default=210)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--model", default="cross_attention", help="cross_attention, mlp, or paper")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--objective", default="", help="fields of Objective, such as code_adversary=0.05")
    parser.add_argument("--trainer", default="", help="fields of TrainerConfig, such as unmasked=0.5")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    given.out.mkdir(parents=True, exist_ok=True)
    names = given.classes.split(",")
    size = given.image_size
    whole = FaceFolder(given.faces, image_size=WHOLE, classes=names)
    data = whole if size == WHOLE else FaceFolder(given.faces, image_size=size, classes=names)
    clips = [clips_of(whole, label) for label in range(len(names))]
    held = [[clip[-max(1, round(0.15 * len(clip))) :] for clip in person] for person in clips]
    held_flat = {index for person in held for clip in person for index in clip}
    kept = [index for index in range(len(data)) if index not in held_flat]
    train = Subset(data, kept)
    train.labels, train.classes = [data.labels[index] for index in kept], data.classes
    print(
        f"clips {[[len(clip) for clip in person] for person in clips]}, {len(kept)} to train on, {len(held_flat)} held back"
    )
    identity = Identity(given.identity)
    by_class = [[index for index in kept if data.labels[index] == label] for label in range(len(names))]
    means = F.normalize(torch.stack([identity(gather(whole, part[::2])[0]).mean(0) for part in by_class]), dim=1)
    mean_faces = torch.stack([gather(whole, part)[0].mean(0) for part in by_class])

    fields = {k: float(v) for k, v in (pair.split("=") for pair in given.objective.split(",") if pair)}
    torch.manual_seed(0)
    if given.model == "paper":
        model, config = CGAN.paper(size, classes=names), TrainerConfig.paper("mlp", learning_rate=5e-4)
        config = replace(config, batch_size=given.batch_size)
    else:
        model = CGAN.default(size, classes=names, bottleneck=given.model)
        model.objective = replace(model.objective, **fields)
        fields = {
            k: int(v) if v.isdigit() else float(v) for k, v in (p.split("=") for p in given.trainer.split(",") if p)
        }
        config = TrainerConfig(batch_size=given.batch_size, **fields)
    probe = Trainer(copy.deepcopy(model), config, device="cpu")
    probe.fit(train, 2)
    start = time.process_time()
    probe.fit(train, 7)
    steps = max(20, int(given.cpu_seconds / (time.process_time() - start) * 5))
    if given.model != "paper":
        config = replace(config, planned_steps=steps)

    def measure(label):
        rows, lines, references = [], [], {"picture unchanged": [], "real frame pasted": [], "mean face pasted": []}
        reconstruction = []
        for source, person in enumerate(held):
            for number, clip in enumerate(person):
                image, mask, _ = gather(data, clip)
                big, big_mask, _ = gather(whole, clip)
                seen = torch.full((len(clip),), source)
                own = swap_in_parts(model, image, seen, seen, mask)
                reconstruction.append(float(masked_mean(ssim(own, image), mask)))
                for to in range(len(names)):
                    if to == source:
                        continue
                    target = torch.full((len(clip),), to)
                    shown = paste(big, swap_in_parts(model, image, target, seen, mask), big_mask)
                    rows.append(scores(identity, shown, means, seen, target))
                    lines.append((f"{names[source]} clip {number + 1} -> {names[to]}", rows[-1]))
                    picked = [by_class[to][(37 * place) % len(by_class[to])] for place in range(len(clip))]
                    for name, face in (
                        ("picture unchanged", big),
                        ("real frame pasted", gather(whole, picked)[0]),
                        ("mean face pasted", mean_faces[to].expand_as(big)),
                    ):
                        references[name].append(scores(identity, paste(big, face, big_mask), means, seen, target))
        print(f"\n{label}; reconstruction SSIM inside the mask {sum(reconstruction) / len(reconstruction):.3f}")
        print("| | retrieval | target | picture | leak gap |\n|---|---|---|---|---|")
        for name, row in [
            *lines,
            ("all", average(rows)),
            *((name, average(part)) for name, part in references.items()),
        ]:
            print(
                f"| {name} | {row['retrieval']:.2f} | {row['target']:.2f} | {row['picture']:.2f} | {row['gap']:.2f} |",
                flush=True,
            )

    def draw(name):
        rows = {}
        for source, person in enumerate(held):
            chosen = [clip[place] for clip in person for place in (len(clip) // 4, 3 * len(clip) // 4)][:6]
            image, mask, label = gather(data, chosen)
            to = (label + 1) % len(names)
            with torch.no_grad():
                own = model.swap(image, label, source=label, mask=mask)
                raw = model.generator(image, to, label, mask).image
                shown = model.swap(image, to, source=label, mask=mask)
                alone = model.swap(image, to)
            target = gather(data, [by_class[int(one)][-1 - 17 * place] for place, one in enumerate(to)])[0]
            for key, value in (
                (f"{names[source]}", image),
                ("reconstruction", own),
                ("swap, raw", raw),
                ("swap", shown),
                ("swap, no mask", alone),
                (f"real {names[int(to[0])]}", target),
            ):
                rows[key + " " * source] = value
        save_grid(given.out / f"{name}.png", rows)

    trainer = Trainer(model, config, device="cpu")
    start = time.process_time()

    def note(trainer):
        measure(f"{size} px, {given.model}, step {trainer.step} of {steps}, {time.process_time() - start:.0f} CPU s")
        draw(f"step-{trainer.step:06d}")
        model.save_pretrained(given.out / "swapper")
        trainer.save(given.out / "state")

    trainer.fit(train, steps, hook=every(max(1, steps // 3), note))
    measure(f"{size} px, {given.model}, at the end: {steps} steps, {time.process_time() - start:.0f} CPU s")
    draw("end")
    model.save_pretrained(given.out / "swapper")


if __name__ == "__main__":
    main()
