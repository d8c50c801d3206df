"""The default recipe and the paper's on toy faces, in one run and the same CPU time, against the exact swap.

    python benchmarks/toy_swap.py --cpu-seconds 280 --out benchmarks/results/toy_swap

Prints a table (Markdown) and writes a grid of pictures for each model. The classifier that judges the identity is
trained on real renders of other moments than those it is asked about.
"""

import argparse
import copy
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import default_collate

from condswap import CGAN, ToyFaces, Trainer, TrainerConfig
from condswap.data import Augmentation
from condswap.losses import masked_mean, ssim
from condswap.pictures import save_grid


def stacked(data):
    """Give a dataset as one batch."""
    batch = default_collate([data[index] for index in range(len(data))])
    return batch["image"], batch["mask"], batch["label"]


def judge(data, *, steps=400):
    """Train a small classifier of the person on real renders, where that person and the next both have their face."""
    torch.manual_seed(1)
    image, mask, label = stacked(data)
    other = (label + torch.randint(1, len(data.classes), label.shape)) % len(data.classes)
    mask = mask * torch.stack(
        [data.swap_mask(index, int(one)) for index, one in enumerate(other)]
    )  # shape tells nothing
    net = nn.Sequential(
        nn.Conv2d(3, 24, 3, 2, 1), nn.ReLU(), nn.Conv2d(24, 48, 3, 2, 1), nn.ReLU(), nn.Conv2d(48, 64, 3, 2, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(1024, 64), nn.ReLU(), nn.Linear(64, len(data.classes)),
    )  # fmt: skip
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(steps):
        pick = torch.randint(len(image), (32,))
        loss = F.cross_entropy(net(image[pick] * mask[pick]), label[pick])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net.eval()


@torch.no_grad()
def measure(model, test, net):
    """Give reconstruction and swap figures on held-out moments, every picture to every other person."""
    image, mask, label = stacked(test)
    figures = {
        name: []
        for name in ("swap ssim", "blind ssim", "whole ssim", "copy ssim", "id", "blind id", "alpha", "truth id")
    }
    own = model.generator(image, label, label, mask).image
    figures["rec ssim"] = [float(masked_mean(ssim(own, image), mask))]
    indices = list(range(len(test)))
    for shift in range(1, len(test.classes)):
        to = (label + shift) % len(test.classes)
        truth = test.swap_truths(indices, to)
        both = mask * torch.stack([test.swap_mask(index, int(one)) for index, one in zip(indices, to, strict=True)])
        told = model.generator(image, to, label, mask).image  # told who is in the picture and where
        blind = model.generator(image, to, None, mask).image  # not told who
        whole = model.generator(image, to).image  # told nothing
        figures["swap ssim"].append(float(masked_mean(ssim(told, truth), both)))
        figures["blind ssim"].append(float(masked_mean(ssim(blind, truth), both)))
        figures["whole ssim"].append(float(masked_mean(ssim(whole, truth), both)))
        figures["copy ssim"].append(float(masked_mean(ssim(image, truth), both)))
        for name, shown in (("id", told), ("blind id", blind), ("truth id", truth)):
            figures[name].append(float((net(shown * both).argmax(1) == to).float().mean()))
        change, moved = (truth - image) * both, (told - image) * both
        alpha = (change * moved).flatten(1).sum(1) / change.square().flatten(1).sum(1)
        figures["alpha"].append(float(alpha.mean()))
    return {name: sum(values) / len(values) for name, values in figures.items()}


def train(model, data, config, *, cpu_seconds):
    """Train for so much CPU time; the length of the run is planned from a few timed steps of a copy."""
    probe = Trainer(copy.deepcopy(model), config, device="cpu")
    probe.fit(data, steps=3)
    start = time.process_time()
    probe.fit(data, steps=13)
    each = (time.process_time() - start) / 10
    steps = max(20, int(cpu_seconds / each))
    trainer = Trainer(model, replace(config, planned_steps=steps) if config.average else config, device="cpu")
    start = time.process_time()
    trainer.fit(data, steps)
    return trainer, steps, time.process_time() - start


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cpu-seconds", type=float, default=280)
    parser.add_argument("--classes", type=int, default=2)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--length", type=int, default=1000)
    parser.add_argument(
        "--models",
        default="cross_attention,mlp,paper 5e-4 16,paper 5e-4,paper 1e-5",
        help='a bottleneck of CGAN.default, or "paper", a learning rate and, if it is not the paper\'s 64, a batch size',
    )
    parser.add_argument("--augment", action="store_true")
    parser.add_argument("--objective", default="", help="fields of Objective, such as code_adversary=0.05,mask=0.2")
    parser.add_argument("--trainer", default="", help="fields of TrainerConfig, such as unmasked=0.5")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("toy_swap"))
    given = parser.parse_args()
    torch.manual_seed(given.seed)
    torch.set_num_threads(given.threads)
    given.out.mkdir(parents=True, exist_ok=True)
    data = ToyFaces(given.classes, image_size=given.image_size, seed=0, length=given.length)
    test = ToyFaces(given.classes, image_size=given.image_size, seed=0, length=96 * given.classes, split="test")
    net = judge(data)
    rows = []
    for name in given.models.split(","):
        torch.manual_seed(given.seed)
        if name.startswith("paper"):
            model = CGAN.paper(
                given.image_size, classes=test.classes, bottleneck="attention" if "attention" in name else "mlp"
            )
            _, rate, *batch_size = name.split()
            config = TrainerConfig.paper("mlp", learning_rate=float(rate), seed=given.seed)
            config = replace(config, batch_size=int(batch_size[0])) if batch_size else config
        else:
            model = CGAN.default(given.image_size, classes=test.classes, bottleneck=name)
            fields = dict(pair.split("=") for pair in given.objective.split(",") if pair)
            model.objective = replace(model.objective, **{k: float(v) for k, v in fields.items()})
            fields = {
                k: int(v) if v.isdigit() else float(v) for k, v in (p.split("=") for p in given.trainer.split(",") if p)
            }
            augmentation = Augmentation() if given.augment else Augmentation.none()
            config = TrainerConfig(**{"seed": given.seed, "augmentation": augmentation, **fields})
        trainer, steps, seconds = train(model, data, config, cpu_seconds=given.cpu_seconds)
        figures = measure(model, test, net)
        rows.append((name, steps, round(seconds), figures))
        print(rows[-1], flush=True)
        pick = list(range(0, 96, 13))
        image, mask, label = (part[pick] for part in stacked(test))
        to = (label + 1) % given.classes
        save_grid(
            given.out / f"{name.replace(' ', '-')}.png",
            {
                "picture": image,
                "reconstruction": model.swap(image, label, source=label, mask=mask),
                "swap, raw": model.generator(image, to, label, mask).image.detach(),
                "swap": model.swap(image, to, source=label, mask=mask),
                "swap, no mask": model.swap(image, to),
                "exact swap": test.swap_truths(pick, to),
            },
        )
    names = list(rows[0][3])
    print("\n| model | steps | CPU s | " + " | ".join(names) + " |\n|---|" + "---|" * (2 + len(names)))
    for name, steps, seconds, figures in rows:
        print(f"| {name} | {steps} | {seconds} | " + " | ".join(f"{figures[one]:.3f}" for one in names) + " |")


if __name__ == "__main__":
    main()
