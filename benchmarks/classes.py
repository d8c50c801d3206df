"""What one class more costs: weights and time of a step, ours beside one decoder a person.

    python benchmarks/classes.py

64 px, batches of 16 toy faces; the best of four times six steps, both designs by turns. Prints a table in Markdown.
"""

import time
from dataclasses import replace

import torch
from recipe import VARIANTS, build

from condswap import ToyFaces, Trainer

DESIGNS = ("default", "one decoder a person")


def main() -> None:
    """Train for a few steps with more and more classes."""
    torch.set_num_threads(1)
    print("| classes | weights of ours | of one decoder a person | ms a step, ours | theirs |\n|---|---|---|---|---|")
    for count in (2, 4, 8, 16):
        data = ToyFaces(count, image_size=64, length=4 * count)
        trainers = []
        for design in DESIGNS:
            model, config = build(VARIANTS[design], size=64, classes=data.classes, seed=0, augment=False)
            trainers.append(Trainer(model, replace(config, batch_size=16, watch=0), device="cpu"))
            trainers[-1].fit(data, 3)
        best = [float("inf")] * len(DESIGNS)
        for _ in range(4):
            for number, trainer in enumerate(trainers):
                start = time.process_time()
                trainer.fit(data, trainer.step + 6)
                best[number] = min(best[number], (time.process_time() - start) / 6)
        weights = [sum(one.numel() for one in trainer.model.generator.parameters()) / 1e6 for trainer in trainers]
        shown = [f"{one:.3f} M" for one in weights] + [f"{1000 * one:.0f}" for one in best]
        print(f"| {count} | {' | '.join(shown)} |", flush=True)


if __name__ == "__main__":
    main()
