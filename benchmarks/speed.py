"""How fast the trainer and the swap are, beside the plain loop of the paper and beside what the machine can do at most.

    python benchmarks/speed.py --out speed.json
    python benchmarks/speed.py --device cuda --seconds 5 --workers 4 --out speed.json
    python benchmarks/speed.py --profile --networks default --sizes 256 --sides "recipe bfloat16"

Trains `CGAN.default` and `CGAN.paper(bottleneck="mlp")`, two classes each, on toy faces: drawn at 64 pixels, enlarged to the
size of the network, and written as JPEGs with PNG masks. The sides take turns in one run:

- plain: the loop of `plain.py`, which decodes these files at every step.
- float32, bfloat16: `Trainer` with the same network, the same losses and the paper's settings, on the same files, packed.
- recipe float32, recipe bfloat16: `Trainer` on `CGAN.default` with its own losses, augmentation and back-translation; the
  encoder sees swaps from the first step on (`ramp_up=0`), as it does for nearly all of a real run.

Only whole steps are timed: the first of every turn and two before all turns do not count. The figure is the median of the
turns. FLOPs are those of the convolutions and the matrix products that a side does, needed or not, by torch's own counter: the
trainer's windows are products with matrices of mostly zeros, nearly a fifth of the default network's count at 512 pixels. The
ceiling is the faster of a large matrix product and a large 3x3 convolution (channels last) in the precision of the side, the
best of the whole run. Memory is the peak within two steps, the weights of networks and optimizers included: of what CUDA
allocates, or on a CPU the growth of a fresh process (Linux only). Swaps are `swap(image, to, source=, mask=)` of a model that
was saved and loaded. A dash: not measured, as it takes too long or does not fit, or (bfloat16 of a swap) no faster. Prints
tables in Markdown.
"""

import argparse
import contextlib
import json
import math
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import torch
from measuring import Enough, Take, ceilings, describe, flops, now, rate, resident, steps, timed
from plain import PlainLoop
from torch.nn import functional as F
from torch.utils.data import default_collate

from condswap import CGAN, Objective, ToyFaces, Trainer, TrainerConfig
from condswap.data import PackedFaces, pack
from condswap.pictures import save_picture

CLASSES = ("person-0", "person-1")
SIDES = ("plain", "float32", "bfloat16", "recipe float32", "recipe bfloat16")
BATCH = {"cpu": {64: 16, 128: 16, 256: 8, 512: 4}, "cuda": {64: 256, 128: 128, 256: 64, 512: 32}}
MANY = 32  # pictures of the larger batch of a swap
LONGEST = 3.0  # seconds that it may take on a CPU


@contextlib.contextmanager
def faces(size: int, count: int = 64) -> Iterator[Path]:
    """Write toy faces to a folder for a while: `faces/CLASS/NUMBER.jpg` with masks, and `faces.safetensors`."""
    data = ToyFaces(CLASSES, image_size=64, length=count)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for index in range(count):
            item = data[index]
            stem = root / "faces" / CLASSES[item["label"]] / f"{index:04}"
            stem.parent.mkdir(parents=True, exist_ok=True)
            for picture, name in ((item["image"], f"{stem}.jpg"), (item["mask"], f"{stem}.mask.png")):
                large = F.interpolate(picture[None], size=(size, size), mode="bilinear", antialias=True)[0]
                save_picture(large.clamp(0, 1), Path(name))
        pack(root / "faces", root / "faces.safetensors", image_size=size)
        yield root


def build(network: str, size: int, *, paper_losses: bool) -> CGAN:
    """Assemble a network, with the same weights every time."""
    torch.manual_seed(0)
    if network == "paper":
        return CGAN.paper(size, classes=CLASSES, bottleneck="mlp")
    model = CGAN.default(size, classes=CLASSES)
    if not paper_losses:
        return model
    parts = model.generator.encoder, model.generator.bottleneck, model.generator.decoder, model.discriminator
    return CGAN(*parts, classes=CLASSES, objective=Objective.paper(), masked_input=False)


def make(side: str, network: str, size: int, root: Path, given: argparse.Namespace) -> Take:
    """Make what takes the steps of a side."""
    batch_size = batch_of(size, given)
    model = build(network, size, paper_losses="recipe" not in side)
    if side == "plain":
        pictures = sorted((root / "faces").rglob("*.jpg"), key=lambda path: path.name)  # the classes by turns
        paths = [(path, path.with_suffix(".mask.png"), CLASSES.index(path.parent.name)) for path in pictures]
        networks = model.generator, model.discriminator
        loop = PlainLoop(*networks, paths, size=size, batch_size=batch_size, device=given.device)

        def plain(enough: Callable[[], bool]) -> None:
            loop.step()
            while not enough():
                loop.step()

        return plain
    config = TrainerConfig(ramp_up=0) if "recipe" in side else TrainerConfig.paper("mlp")
    config = replace(config, batch_size=batch_size, precision=side.split()[-1], watch=0, workers=given.workers)
    config = replace(config, recompute=given.recompute, compile=given.compile)
    trainer = Trainer(model, config, device=given.device)
    data = PackedFaces(root / "faces.safetensors")

    def ours(enough: Callable[[], bool]) -> None:
        def hook(_: Trainer) -> None:
            if enough():
                raise Enough

        with contextlib.redirect_stderr(StringIO()), contextlib.suppress(Enough):  # no bar between the tables
            trainer.fit(data, trainer.step + 10**9, hook=hook)

    return ours


def memory_of(side: str, network: str, size: int, root: Path, given: argparse.Namespace) -> int | None:
    """Measure on a CPU, in a process of its own, the memory that two steps take."""
    if platform.system() != "Linux":
        return None
    words = [sys.executable, __file__, "--one", side, network, str(size), str(root), "--threads", str(given.threads)]
    words += ["--batch", str(batch_of(size, given)), *(["--recompute"] if given.recompute else [])]
    words += ["--compile"] if given.compile else []
    return int(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout)


def compare(network: str, size: int, given: argparse.Namespace) -> list[dict]:
    """Train by all sides in turn, and give a row of figures for each."""
    cuda, batch_size, takes, rows = given.device == "cuda", batch_of(size, given), {}, {}
    with faces(size) as root:
        for side in sides_of(network, given):
            rows[side] = {"network": network, "pixels": size, "batch": batch_size, "side": side, "turns": []}
            if cuda:
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
                before = torch.cuda.memory_allocated()
            with contextlib.suppress(torch.OutOfMemoryError):
                take = make(side, network, size, root, given)
                take(steps(1))
                rows[side]["flops"] = flops(take) / batch_size
                if cuda:
                    rows[side]["memory"] = torch.cuda.max_memory_allocated() - before
                takes[side] = take
            if not cuda:
                rows[side]["memory"] = memory_of(side, network, size, root, given)
        for _ in range(given.turns):
            for side, take in takes.items():
                with contextlib.suppress(torch.OutOfMemoryError):
                    rows[side]["turns"].append(batch_size * rate(take, given.seconds, given.device))
    return list(rows.values())


@torch.no_grad()
def swaps(network: str, size: int, given: argparse.Namespace) -> dict:
    """Time swaps: milliseconds of one picture, pictures a second of many."""
    device, row = given.device, {"network": network, "pixels": size}
    with tempfile.TemporaryDirectory() as folder:
        build(network, size, paper_losses=False).save_pretrained(folder)
        model = CGAN.from_pretrained(folder, device=device)
    data = ToyFaces(CLASSES, image_size=64, length=MANY)
    batch = default_collate([data[index] for index in range(MANY)])
    image, mask = (F.interpolate(batch[key], size=(size, size)).to(device) for key in ("image", "mask"))
    for count in (1, MANY):
        for precision in ("float32", "bfloat16"):
            if device == "cpu" and count > 1 and count * row[f"1 {precision}"] > LONGEST:
                row[f"{count} {precision}"] = None
                continue

            def swap(count: int = count) -> None:
                model.swap(image[:count], CLASSES[1], source=CLASSES[0], mask=mask[:count])

            with torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"):
                row[f"{count} {precision}"] = statistics.median(timed(swap, given.seconds / 2, device))
    return row


def profile(network: str, size: int, given: argparse.Namespace) -> None:
    """Print the operations that take the most time in three steps of each side."""
    cuda = given.device == "cuda"
    activity = torch.profiler.ProfilerActivity
    for side in sides_of(network, given):
        with faces(size) as root:
            take = make(side, network, size, root, given)
            take(steps(3))
            with torch.profiler.profile(activities=[activity.CPU, *([activity.CUDA] if cuda else [])]) as found:
                take(steps(3))
                now(given.device)
        print(f"\n{network}, {size} px, batches of {batch_of(size, given)}, {side}: three steps\n")
        sort_by = "self_device_time_total" if cuda else "self_cpu_time_total"
        print(found.key_averages().table(sort_by=sort_by, row_limit=25, max_name_column_width=60), flush=True)


def batch_of(size: int, given: argparse.Namespace) -> int:
    """Give the pictures of a step."""
    return given.batch or BATCH[given.device].get(size, 4)


def sides_of(network: str, given: argparse.Namespace) -> list[str]:
    """Give the sides that train a network: the recipe is that of the default one."""
    return [side for side in given.sides if network == "default" or "recipe" not in side]


def finish(rows: list[dict], most: dict[str, float]) -> None:
    """Put into the rows of the training what follows from what was measured."""
    medians = {(row["network"], row["pixels"], row["side"]): statistics.median(row["turns"] or [0]) for row in rows}
    for row in rows:
        network, size, side = key = row["network"], row["pixels"], row["side"]
        plain, flop = medians.get((network, size, "plain")), row.get("flops", 0) * medians[key]
        ceiling = max(
            one for name, one in most.items() if name.startswith(side.split()[-1].replace("plain", "float32"))
        )
        row |= {"rate": medians[key], "times plain": plain and medians[key] / plain}
        row |= {"flops a second": flop, "share of ceiling": flop / ceiling}


def print_tables(found: dict) -> None:
    """Print what was found in Markdown."""
    print("ceilings in GFLOP/s:", ", ".join(f"{name} {shown(one / 1e9, 0)}" for name, one in found["ceilings"].items()))
    settings = found["settings"]
    with_what = " with gradient checkpointing" if settings["recompute"] else ""
    with_what += " with compiled steps" if settings["compile"] else ""
    print(f"\nTraining{with_what}, pictures a second, median of {found['settings']['turns']} turns\n")
    print(
        "| network | pixels | batch | side | pictures/s | times plain | GFLOP a picture | GFLOP/s | of ceiling | MiB |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for row in found["training"]:
        cells = [row[name] for name in ("network", "pixels", "batch", "side")]
        cells += [shown(row["rate"]), shown(row["times plain"], 2), shown(row.get("flops", 0) / 1e9, 2)]
        cells += [shown(row["flops a second"] / 1e9, 0), shown(100 * row["share of ceiling"]) + " %"]
        print("|", " | ".join(map(str, cells)), "|", shown((row.get("memory") or 0) / 2**20, 0), "|")
    if found["swap"]:
        print(f"\nSwap\n\n| network | pixels | ms, one picture | in bfloat16 | pictures/s of {MANY} | in bfloat16 |")
        print("|---|---|---|---|---|---|")
    for row in found["swap"]:
        cells = [row["network"], row["pixels"]]
        for count in (1, MANY):
            whole, half = (row[f"{count} {precision}"] or math.inf for precision in ("float32", "bfloat16"))
            figures = whole, half if half < whole else math.inf
            cells += [shown(1000 * one if count == 1 else count / one) for one in figures]
        print("|", " | ".join(map(str, cells)), "|")


def shown(value: float | None, digits: int = 1) -> str:
    """Write a number down to so many digits behind the point, four significant ones at most; a dash for none."""
    if not value or math.isinf(value):
        return "-"
    return f"{value:,.{max(0, min(digits, 3 - math.floor(math.log10(value))))}f}"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 256, 512], help="of the pictures, in pixels")
    parser.add_argument("--networks", nargs="+", default=["default", "paper"], choices=("default", "paper"))
    parser.add_argument("--sides", nargs="+", default=SIDES, choices=SIDES)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--seconds", type=float, default=1.5, help="of each turn")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--batch", type=int, help="pictures a step, for all sizes")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of the CPU")
    parser.add_argument("--workers", type=int, default=0, help="processes that read pictures for the trainer")
    parser.add_argument("--recompute", action="store_true", help="gradient checkpointing, but of the plain loop")
    parser.add_argument("--compile", action="store_true", help="compile the steps, but of the plain loop")
    parser.add_argument("--profile", action="store_true", help="print where the time goes, and nothing else")
    parser.add_argument("--out", type=Path, help="write the figures there as JSON")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)  # SIDE NETWORK SIZE FOLDER: print the memory it takes
    return parser.parse_args()


def main() -> None:
    """Measure all, print the tables, write the figures."""
    given = arguments()
    torch.set_num_threads(given.threads)
    if given.one:
        side, network, size, root = given.one
        before = resident("VmRSS")
        make(side, network, int(size), Path(root), given)(steps(2))
        print(resident("VmHWM") - before)
        return
    found = {"machine": describe(given.device), "settings": {**vars(given), "out": str(given.out)}, "ceilings": {}}
    print(", ".join(f"{name} {value}" for name, value in found["machine"].items()), flush=True)
    pairs = [(network, size) for network in given.networks for size in given.sizes]
    if given.profile:
        for network, size in pairs:
            profile(network, size, given)
        return
    found["training"] = []
    for network, size in pairs:
        print(f"{network}, {size} pixels ...", file=sys.stderr)
        found["training"] += compare(network, size, given)
        # Anew beside every comparison: a machine that others use, too, is not free each time.
        found["ceilings"] = {
            name: max(one, found["ceilings"].get(name, 0)) for name, one in ceilings(given.device).items()
        }
    finish(found["training"], found["ceilings"])
    found["swap"] = (
        [] if given.recompute or given.compile else [swaps(network, size, given) for network, size in pairs]
    )  # it plays no part
    print_tables(found)
    if given.out:
        given.out.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
