"""The demo: toy faces, a short training, and a picture in which one face has become another."""

from dataclasses import dataclass
from pathlib import Path

import torch

from condswap.cgan import CGAN
from condswap.data import Augmentation, ToyFaces
from condswap.evaluation import Fidelity, swap_fidelity
from condswap.pictures import save_curves, save_grid
from condswap.training import Trainer, TrainerConfig, every


@dataclass(frozen=True, kw_only=True)
class Demo:
    """What the demo made.

    Attributes:
        fidelity: measured on moments that the model was not trained on.
        swaps: a picture of rows: picture, reconstruction, swap, exact swap.
        progress: a picture of curves.
        model: the folder of the trained model.
    """

    fidelity: Fidelity
    swaps: Path
    progress: Path
    model: Path


def run(out: Path, *, steps: int = 800, seed: int = 0, resume: bool = False) -> Demo:
    """Train a small model on toy faces and show what it does.

    Args:
        out: the folder for the pictures and the model; made if it is not there.
        steps: of training; 800 take about two minutes of two CPU cores.
        seed: of the training.
        resume: go on from where an interrupted demo stopped.

    Raises:
        KeyboardInterrupt: training was interrupted; the model so far and the state to resume from are in `out`.
    """
    data = ToyFaces(2, image_size=64, seed=0, length=1000)
    held_back = ToyFaces(2, image_size=64, seed=0, length=64, split="test")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = CGAN.default(64, classes=data.classes)
    # Toy faces are lit and turned alike whoever they are, so they need no augmentation.
    config = TrainerConfig(seed=seed, planned_steps=steps, augmentation=Augmentation.none())
    trainer = Trainer.load(out / "state", model) if resume else Trainer(model, config)
    curves: dict[str, list[tuple[int, float]]] = {"reconstruction loss": [], "SSIM to the exact swap": []}

    def note(trainer: Trainer) -> None:
        fidelity = swap_fidelity(trainer.model, held_back, indices=range(16))
        curves["reconstruction loss"].append((trainer.step, trainer.metrics["g/reconstruction"]))
        curves["SSIM to the exact swap"].append((trainer.step, fidelity.swap))

    try:
        trainer.fit(data, steps, hook=every(max(1, steps // 20), note))
    except KeyboardInterrupt:
        trainer.save(out / "state")
        model.save_pretrained(out / "swapper")
        raise
    made = Demo(
        fidelity=swap_fidelity(model, held_back),
        swaps=out / "swaps.png",
        progress=out / "progress.png",
        model=out / "swapper",
    )
    model.save_pretrained(made.model)
    save_grid(made.swaps, pictures(model, held_back))
    save_curves(made.progress, curves, title="condswap demo")
    return made


def pictures(model: CGAN, data: ToyFaces, *, count: int = 8) -> dict[str, torch.Tensor]:
    """Give the rows of the picture: picture, reconstruction, swap, exact swap, each (n, 3, h, w)."""
    chosen = list(range(count))
    items = [data[index] for index in chosen]
    image = torch.stack([item["image"] for item in items])
    mask = torch.stack([item["mask"] for item in items])
    label = torch.tensor([item["label"] for item in items])
    to = (label + 1) % len(data.classes)
    device = next(model.parameters()).device
    told = {"source": label.to(device), "mask": mask.to(device)}
    return {
        "picture": image,
        "reconstruction": model.swap(image.to(device), label.to(device), **told).cpu(),
        "swap": model.swap(image.to(device), to.to(device), **told).cpu(),
        "exact swap": data.swap_truths(chosen, to),
    }
