"""What one class more costs, up to thousands: weights, time of a step, memory, config.json, and whether all get their turn.

    python benchmarks/classes.py --out classes.json

64 px, batches of 16 with adversary and discriminator, on one thread of a CPU; ours beside one decoder a person, which is left
out where it grows out of proportion. A few toy faces stand for everybody: neither time nor memory depends on what is seen.

- ms a step: process time from one step to the sixth after it, the best of several turns; all models by turns, in one process.
- peak memory: what making a trainer and taking five steps adds to the most that the process had taken before (ru_maxrss);
  a fresh process for each number of classes. It holds the weights, their average, their gradients and what Adam keeps.
- pictures a class: how many the sampler gives in 3,000 batches, to the class with the fewest and to that with the most.

Prints a table in Markdown.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch
from recipe import VARIANTS, build

from condswap import ToyFaces, Trainer
from condswap.training.loader import BalancedBatches

OURS, THEIRS = "default", "one decoder a person"
BATCH, STEPS, PICTURES = 16, 6, 4  # of a batch, of a turn, of a class
MOST_DECODERS = 16


class Crowd:
    """Any number of people, who are all played by the same few pictures in memory."""

    def __init__(self, count):
        faces = ToyFaces(2, image_size=64, length=8)
        self.items = [faces[index] for index in range(len(faces))]
        self.classes = [f"person {number}" for number in range(count)]
        self.labels = [number for number in range(count) for _ in range(PICTURES)]

    def __len__(self):
        """Count the pictures."""
        return len(self.labels)

    def __getitem__(self, index):
        """Give a picture under the label of its class."""
        return {**self.items[index % len(self.items)], "label": self.labels[index]}


def trainer_of(design, data):
    """Give a trainer that only trains: it looks at no swaps."""
    model, config = build(VARIANTS[design], size=64, classes=data.classes, seed=0, augment=False)
    return Trainer(model, replace(config, batch_size=BATCH, watch=0), device="cpu")


def time_of_a_step(trainer, data):
    """Give the process time of a step in milliseconds, without what a call of `fit` does once."""
    clock = []
    trainer.fit(data, trainer.step + STEPS + 1, hook=lambda _: clock.append(time.process_time()))
    return 1000 * (clock[-1] - clock[0]) / STEPS


def peak_memory(count):
    """Give what training adds to the memory of this process at its most, in MB."""
    data = Crowd(count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    trainer_of(OURS, data).fit(data, 5)
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kB elsewhere
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit / 1e6


def in_a_fresh_process(count):
    """Give `peak_memory` of a process that has done nothing else."""
    command = [sys.executable, __file__, "--memory-of", str(count)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def config_size(model):
    """Give the size of the model's config.json, in bytes and in lines."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        text = (Path(folder) / "config.json").read_bytes()
    return len(text), text.count(b"\n")


def spread(labels, batches=3000):
    """Give how many pictures the sampler gives to the class with the fewest, and to that with the most."""
    sampler = BalancedBatches(labels, batch_size=BATCH, seed=0)
    counts = Counter(labels[index] for batch in islice(sampler, batches) for index in batch)
    return min(counts[label] for label in set(labels)), max(counts.values())


def measure(counts, turns):
    """Give a row of figures for each number of classes."""
    memory = {count: in_a_fresh_process(count) for count in counts}  # first: a process inherits the peak of its parent
    crowds = {count: Crowd(count) for count in counts}
    trainers = {(count, OURS): trainer_of(OURS, crowds[count]) for count in counts}
    trainers |= {(count, THEIRS): trainer_of(THEIRS, crowds[count]) for count in counts if count <= MOST_DECODERS}
    best = {}
    for turn in range(turns + 1):
        for (count, design), trainer in trainers.items():
            taken = time_of_a_step(trainer, crowds[count])
            if turn:  # the first warms up
                best[count, design] = min(best.get((count, design), taken), taken)
    rows = []
    for count in counts:
        size, lines = config_size(trainers[count, OURS].model)
        fewest, most = spread(crowds[count].labels)
        row = {"classes": count, "peak memory in MB": memory[count]}
        row |= {"config.json in bytes": size, "config.json in lines": lines, "fewest": fewest, "most": most}
        for design in (OURS, THEIRS):
            trainer = trainers.get((count, design))
            row[f"weights, {design}"] = trainer and sum(one.numel() for one in trainer.model.generator.parameters())
            row[f"ms a step, {design}"] = best.get((count, design))
        rows.append(row)
    return rows


def main() -> None:
    """Measure with more and more classes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, nargs="+", default=[2, 16, 256, 4096])
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--out", type=Path, help="write the figures there as JSON")
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.memory_of:
        print(peak_memory(given.memory_of))
        return
    rows = measure(given.classes, given.turns)
    print(
        "| classes | weights of ours | of one decoder a person | ms a step, ours | theirs | peak memory, ours | config.json "
        "| pictures a class |\n|---|---|---|---|---|---|---|---|"
    )
    for row in rows:
        weights = [row[f"weights, {design}"] for design in (OURS, THEIRS)]
        times = [row[f"ms a step, {design}"] for design in (OURS, THEIRS)]
        cells = [f"{row['classes']:,}", *(f"{one / 1e6:.3f} M" if one else "-" for one in weights)]
        cells += [f"{one:.0f}" if one else "-" for one in times]
        cells += [f"{row['peak memory in MB']:.0f} MB"]
        cells += [f"{row['config.json in bytes'] / 1000:.1f} kB, {row['config.json in lines']} lines"]
        cells += [f"{row['fewest']:,} to {row['most']:,}"]
        print(f"| {' | '.join(cells)} |")
    if given.out:
        given.out.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
