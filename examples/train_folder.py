"""From a folder of faces to a swapper and its report: what `condswap train` does, in the open, to copy from.

    python examples/train_folder.py faces/ --out run/

The folder holds one folder of aligned faces a person, such as faces/anna and faces/bob. A run that was stopped goes on when
the same command is given again.

Writes `run/swaps.png` (rows: a person, and that person as everybody), `run/report.md`, `run/state/state.safetensors` and
`run/swapper/config.json`, `run/swapper/model.safetensors`, `run/swapper/README.md`.
"""

import argparse
from pathlib import Path

import torch
from torch.utils.data import default_collate

from condswap import CGAN, FaceFolder, Trainer, TrainerConfig, every
from condswap.evaluation import evaluate
from condswap.pictures import save_grid
from condswap.pretrained import mark_of

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("faces", type=Path, help="a folder with one folder of faces a person")
parser.add_argument("--out", type=Path, required=True, help="folder for pictures, report, state and swapper")
parser.add_argument("--image-size", type=int, default=64, help="pixels (default: 64)")
parser.add_argument("--steps", type=int, default=4000, help="of training, in all (default: 4000)")
parser.add_argument("--smoke", action="store_true", help="a few steps only, to see that it runs")
given = parser.parse_args()
out, steps = given.out, 4 if given.smoke else given.steps
out.mkdir(parents=True, exist_ok=True)

# Neighbouring frames of a clip are near-copies, so what is held back is the end of every clip and not every seventh frame.
data = FaceFolder(given.faces, image_size=given.image_size)
train, held_back = data.split(held_back=0.15)
for path, reason in data.unreadable:
    print(f"left out {path}: {reason}")

torch.manual_seed(0)
model = CGAN.default(given.image_size, classes=data.classes)
if (out / "state" / "state.safetensors").exists():
    trainer = Trainer.load(out / "state", model)
else:
    trainer = Trainer(model, TrainerConfig(seed=0, batch_size=8, planned_steps=steps))

shown = {}  # held-back frames of everybody, spread over their clips
for label, name in enumerate(data.classes):
    indices = [index for index, one in enumerate(held_back.labels) if one == label]
    shown[name] = default_collate([held_back[indices[place * len(indices) // 8]] for place in range(8)])


def keep(trainer: Trainer) -> None:
    """Save the state to go on from, the swapper so far, and a picture of what it does."""
    trainer.save(out / "state")
    model.save_pretrained(out / "swapper")
    rows = {}
    for name, batch in shown.items():
        rows[name] = batch["image"]
        image, mask = batch["image"].to(trainer.device), batch["mask"].to(trainer.device)
        for to in data.classes:
            rows[f"{name} as {to}"] = model.swap(image, to, source=name, mask=mask).cpu()
    save_grid(out / "swaps.png", rows, mark=mark_of(model))  # it says that a model made it


# The trainer looks at the swaps of held-back pictures as it goes, and says so when they leak or the label is ignored.
trainer.fit(train, steps, hook=every(500, keep), held_back=held_back)
keep(trainer)

report = evaluate(model, held_back, known=train)
report.remember(model.history)  # for the model card
(out / "report.md").write_text(report.to_markdown(), encoding="utf-8")
model.save_pretrained(out / "swapper")
print(report.verdict)
print(f"look at {out / 'swaps.png'}, read {out / 'report.md'}; the swapper is in {out / 'swapper'}")
