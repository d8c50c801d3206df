"""What a second process gives, and what more of them would.

    python benchmarks/scaling.py --out scaling.json

Trains `CGAN.default` on toy faces in one process and in two, by turns, each process on one thread, over gloo; once with as
many pictures a step as one process has (strong), once with twice as many (weak). Counts what the processes tell each other in
a step: how often, and how many bytes. Then says, on paper, what more processes would give: a step takes as long as its
pictures do in one process, and longer by what is told: `calls * latency + 2 (n - 1) / n * bytes / bandwidth`, as of a ring in
which nothing is hidden behind the arithmetic. The gradients are as many bytes for any number of processes; the features that
statistics are taken of are so many for each picture of the whole batch. Prints tables in Markdown.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from measuring import Enough

from condswap import CGAN, ToyFaces, Trainer, TrainerConfig
from condswap.training import distributed

PACE = 5  # steps that do not count
# A ring of GPUs: how many there are, bytes a second and seconds a call. NVLink within one machine; InfiniBand of 400 Gbit/s
# a GPU between machines. Both are makers' figures, with a latency as is usual; nothing of it was measured here.
STEPS = (0.005, 0.02, 0.1)  # seconds that one may take on a GPU
RINGS = {8: (300e9, 20e-6), 64: (50e9, 50e-6)}


def work(batch_size: int, steps: int, out: Path) -> None:
    """Train as one of the processes, and let the first write what it took."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    told = {"calls": 0, "bytes": 0}
    add = distributed.add

    def counted(values: torch.Tensor) -> torch.Tensor:
        told["calls"] += 1
        told["bytes"] += values.numel() * values.element_size()
        return add(values)

    distributed.add = counted
    data = ToyFaces(2, image_size=64, length=64)
    for index in range(len(data)):
        data[index]
    trainer = Trainer(
        CGAN.default(64, classes=data.classes), TrainerConfig(batch_size=batch_size, watch=0), device="cpu"
    )
    times = []

    def hook(trainer: Trainer) -> None:
        times.append(time.perf_counter())
        if trainer.step == PACE:
            told.update(calls=0, bytes=0)
        if trainer.step == PACE + steps:
            raise Enough

    with contextlib.suppress(Enough):
        trainer.fit(data, 10**6, hook=hook)
    if trainer.rank == 0:
        each = {name: value / steps for name, value in told.items()}
        out.write_text(json.dumps({"seconds": (times[-1] - times[PACE - 1]) / steps, **each}))


def run(processes: int, batch_size: int, steps: int) -> dict[str, float]:
    """Train in so many processes."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.json"
        start = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes)] if processes > 1 else []
        words = [
            sys.executable,
            *start,
            __file__,
            "--worker",
            str(out),
            "--batch",
            str(batch_size),
            "--steps",
            str(steps),
        ]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run(words, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return json.loads(out.read_text())


def main() -> None:
    """Measure by turns, print the tables, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16, help="pictures a step of one process")
    parser.add_argument("--steps", type=int, default=40, help="of each turn")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--gpu-batch", type=int, default=32, help="pictures a step of one GPU, for the outlook")
    parser.add_argument("--out", type=Path, help="write the figures there as JSON")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        work(given.batch, given.steps, given.worker)
        return
    cases = {(1, given.batch): [], (2, given.batch): [], (2, 2 * given.batch): []}
    for _ in range(given.turns):
        for (processes, batch_size), found in cases.items():
            found.append(run(processes, batch_size, given.steps))
    rows = []
    for (processes, batch_size), found in cases.items():
        seconds = statistics.median(one["seconds"] for one in found)
        rows.append({"processes": processes, "batch": batch_size, "rate": batch_size / seconds, **found[0]})
    print(
        "| processes | pictures a step | pictures/s | times one | told a step | of bytes |\n|---|---|---|---|---|---|"
    )
    for row in rows:
        cells = [row["processes"], row["batch"], f"{row['rate']:.1f}", f"{row['rate'] / rows[0]['rate']:.2f}"]
        print("|", " | ".join(map(str, [*cells, f"{row['calls']:.0f} times", f"{row['bytes'] / 1e6:.2f} MB"])), "|")
    few, many = rows[1], rows[2]
    each = (many["bytes"] - few["bytes"]) / (many["batch"] - few["batch"])
    fixed = few["bytes"] - each * few["batch"]
    told = f"{fixed / 1e6:.2f} MB of gradients, {each / 1e3:.1f} kB a picture"
    print(f"\nOn paper, {given.gpu_batch} pictures a step and GPU, {told}\n")
    heads = ["GPUs", "ms told a step", *(f"steps of {1000 * one:.0f} ms" for one in STEPS)]
    print("|", " | ".join(heads), "|\n" + "|---" * len(heads) + "|")
    for gpus, (bandwidth, latency) in RINGS.items():
        size = fixed + each * gpus * given.gpu_batch
        extra = many["calls"] * latency + 2 * (gpus - 1) / gpus * size / bandwidth
        cells = [gpus, f"{1000 * extra:.2f}", *(f"{gpus * one / (one + extra):.1f} times one" for one in STEPS)]
        print("|", " | ".join(map(str, cells)), "|")
    if given.out:
        given.out.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
