"""From nothing to the paper's own swap fidelity: how much of its CPU time the default recipe needs.

    python benchmarks/from_nothing.py --cpu-seconds 1200 --seeds 0,1 --out from_nothing.json

Trains the paper's network (MLP bottleneck, the paper's losses, by the trainer, which is faster than the paper's own loop) on
two toy people of 64 pixels for so many CPU seconds, then `CGAN.default` for a tenth of them, with the length of its run
planned for that. The paper's learning rate of 1e-5 learns next to nothing in this time; it gets fifty times that, and batches
of 16, which do it good. Both see the same 1,000 pictures; the swap's SSIM is that to the exact swap, of 96 moments that are in
none of them. What measuring takes does not count; one thread, process time. Prints a table in Markdown.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import torch
from measuring import Enough

from condswap import CGAN, ToyFaces, Trainer, TrainerConfig
from condswap.evaluation import swap_fidelity

LOOKS = 10  # on the way
PACE = 20  # steps that tell how many there will be
SIDES = ("paper", "default")


def make(side: str, data: ToyFaces, seed: int, planned: int | None) -> Trainer:
    """Make what trains a side."""
    torch.manual_seed(seed)
    if side == "paper":
        config = replace(TrainerConfig.paper("mlp", learning_rate=5e-4, seed=seed), batch_size=16)
        model = CGAN.paper(64, classes=data.classes, bottleneck="mlp")
    else:
        model, config = CGAN.default(64, classes=data.classes), TrainerConfig(seed=seed, batch_size=8)
    return Trainer(model, replace(config, watch=0, planned_steps=planned), device="cpu")


def train(side: str, seconds: float, seed: int) -> list[dict]:
    """Train for so many CPU seconds, and give what was measured on the way."""
    data = ToyFaces(2, image_size=64, seed=0, length=1000)
    unseen = ToyFaces(2, image_size=64, seed=0, length=96, split="test")
    for index in range(len(data)):  # drawn and kept, so that drawing does not count
        data[index]
    unseen.swap_truths(range(len(unseen)), (torch.tensor(unseen.labels) + 1) % 2)
    planned = None
    if side == "default":
        pace = make(side, data, seed, None)
        pace.fit(data, 5)
        begun = time.process_time()
        pace.fit(data, 5 + PACE)
        planned = int(seconds / (time.process_time() - begun) * PACE)
    trainer, found, spent = make(side, data, seed, planned), [], [0.0, time.process_time()]

    def look(trainer: Trainer) -> None:
        spent[0] += time.process_time() - spent[1]
        over = spent[0] >= seconds or trainer.step == planned
        if over or spent[0] >= seconds * (len(found) + 1) / LOOKS:
            fidelity = swap_fidelity(trainer.model, unseen)
            found.append({"side": side, "seed": seed, "step": trainer.step, "cpu seconds": spent[0]})
            found[-1] |= {
                "swap": fidelity.swap,
                "reconstruction": fidelity.reconstruction,
                "unchanged": fidelity.unchanged,
            }
            if over:
                raise Enough
        spent[1] = time.process_time()

    try:
        trainer.fit(data, planned or 10**9, hook=look)
    except Enough:
        return found
    raise RuntimeError("the run ended before its time")


def main() -> None:
    """Train both sides for every seed, print the table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpu-seconds", type=float, default=1200.0, help="of the paper's network")
    parser.add_argument("--seeds", type=lambda text: [int(one) for one in text.split(",")], default=[0, 1])
    parser.add_argument("--out", type=Path, help="write the figures there as JSON")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    print("| seed | | steps | CPU s | swap SSIM | best on the way | reconstruction | unchanged | passes the paper at |")
    print("|---|---|---|---|---|---|---|---|---|")
    for seed in given.seeds:
        final = None
        for side, share in zip(SIDES, (1.0, 0.1), strict=True):
            found = train(side, share * given.cpu_seconds, seed)
            rows += found
            last, best = found[-1], max(one["swap"] for one in found)
            passed = next((one["cpu seconds"] for one in found if final is not None and one["swap"] >= final), None)
            final = best if final is None else final  # its best on the way, where training on made it worse
            cells = [
                seed,
                side,
                f"{last['step']:,}",
                f"{last['cpu seconds']:.0f}",
                f"{last['swap']:.3f}",
                f"{best:.3f}",
            ]
            cells += [f"{last['reconstruction']:.3f}", f"{last['unchanged']:.3f}"]
            print(
                "|", " | ".join(map(str, cells)), "|", "-" if passed is None else f"{passed:.0f} CPU s", "|", flush=True
            )
    if given.out:
        given.out.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
