"""Kills a run at random moments, resumes it, and compares what comes out with the run that was not killed, bit for bit.

    python benchmarks/kills.py --kills 100

The run is a small one that saves after every step, so that many of the kills come in the middle of a save: those leave an
unfinished file, by which they are counted. Prints a table (Markdown); exits 1 if a single tensor differs.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

from condswap import CGAN, ToyFaces, Trainer, TrainerConfig
from condswap.files import UNFINISHED
from condswap.training.earlier import FILE, has_state

STEPS = 40


def train(folder: Path) -> Trainer:
    """Begin or go on, and save after every step."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    data = ToyFaces(2, image_size=32, seed=0, length=32)
    model = CGAN.default(32, classes=data.classes)
    if has_state(folder):
        trainer = Trainer.load(folder, model, device="cpu")
    else:
        trainer = Trainer(model, TrainerConfig(batch_size=4, watch=0), device="cpu")
    trainer.fit(data, STEPS, hook=lambda trainer: trainer.save(folder))
    trainer.save(folder)
    return trainer


def killed(folder: Path, moment: float) -> str:
    """Run in a process of its own, kill it so many seconds after its first file, and say what it was doing."""
    process = subprocess.Popen([sys.executable, __file__, "--run", str(folder)], stderr=subprocess.DEVNULL)
    while process.poll() is None and not (folder.is_dir() and any(folder.iterdir())):
        time.sleep(0.0005)
    time.sleep(moment)
    process.send_signal(signal.SIGKILL)
    if process.wait() != -signal.SIGKILL:
        return "done before it could be killed"
    return "killed while saving" if any(folder.glob(f"{UNFINISHED}*")) else "killed between two saves"


def main() -> None:
    """Kill, resume, compare, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", type=Path, help="only train in this folder, to be killed")
    given = parser.parse_args()
    if given.run:
        train(given.run)
        return
    chance, counts = random.Random(given.seed), {}
    with tempfile.TemporaryDirectory() as root:
        begun = time.perf_counter()
        train(Path(root) / "whole")
        seconds = time.perf_counter() - begun
        whole = load_file(Path(root) / "whole" / FILE)
        number = 0
        while sum(same + differ for how, (same, differ) in counts.items() if how.startswith("killed")) < given.kills:
            folder = Path(root) / str(number)
            how = killed(folder, chance.uniform(0, 0.4 * seconds))
            train(folder)
            found = load_file(folder / FILE)
            equal = found.keys() == whole.keys() and all(torch.equal(found[name], whole[name]) for name in whole)
            same, differ = counts.get(how, (0, 0))
            counts[how] = (same + equal, differ + (not equal))
            number += 1
    print("| | resumed bit for bit | not |\n|---|---|---|")
    for how, (same, differ) in sorted(counts.items()):
        print(f"| {how} | {same} | {differ} |")
    sys.exit(any(differ for _, differ in counts.values()))


if __name__ == "__main__":
    main()
