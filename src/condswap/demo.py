"""The demo: toy faces, a short training, and a picture in which one face has become another."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import torch
from torch.utils.data import default_collate

from condswap.cgan import CGAN
from condswap.data import ToyFaces
from condswap.errors import ConfigError, DataError
from condswap.evaluation import Fidelity, swap_fidelity
from condswap.files import make_writable_folder
from condswap.pictures import save_curves, save_grid
from condswap.pretrained import mark_of
from condswap.training import Trainer, TrainerConfig, every
from condswap.training.distributed import launched
from condswap.training.interrupt import held_back


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


def run(out: Path, *, steps: int = 2000, seed: int = 0, resume: bool = False) -> Demo:
    """Train a small model on toy faces and show what it does.

    Args:
        out: the folder for the pictures and the model; made if it is not there.
        steps: of training; 2000 take about two minutes of two CPU cores.
        seed: of the training.
        resume: go on from where an interrupted demo stopped.

    Raises:
        ConfigError: Pillow or matplotlib is missing, or `steps` is more than the demo that is resumed was planned for.
        DataError: nothing can be written to `out`, or there is nothing to resume in it.
        KeyboardInterrupt: training was interrupted; the model so far and the state to resume from are in `out`.
    """
    if launched() > 1:
        raise ConfigError("the demo is small and runs in one process; start it without torchrun")
    _check_extras()
    make_writable_folder(out)
    if resume and not (out / "state").is_dir():
        raise DataError(f"there is no interrupted demo in {out}; give its folder, or leave --resume out to begin anew")
    data = ToyFaces(2, image_size=64, seed=0, length=1000)
    unseen = ToyFaces(2, image_size=64, seed=0, length=64, split="test")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = CGAN.default(64, classes=data.classes)
    config = TrainerConfig(seed=seed, batch_size=8, planned_steps=steps)
    trainer = Trainer.load(out / "state", model) if resume else Trainer(model, config)
    curves: dict[str, list[tuple[int, float]]] = {"reconstruction loss": [], "SSIM to the exact swap": []}

    def note(trainer: Trainer) -> None:
        fidelity = swap_fidelity(trainer.model, unseen, indices=range(16))
        curves["reconstruction loss"].append((trainer.step, trainer.metrics["g/reconstruction"]))
        curves["SSIM to the exact swap"].append((trainer.step, fidelity.swap))

    try:
        trainer.fit(data, steps, hook=every(max(1, steps // 20), note))
        made = Demo(
            fidelity=swap_fidelity(model, unseen),
            swaps=out / "swaps.png",
            progress=out / "progress.png",
            model=out / "swapper",
        )
        model.save_pretrained(made.model)
        save_grid(made.swaps, pictures(model, unseen), mark=mark_of(model))
        save_curves(made.progress, curves, title="condswap demo")
    except KeyboardInterrupt:
        with held_back():
            trainer.save(out / "state")
            model.save_pretrained(out / "swapper")
        raise
    return made


def pictures(model: CGAN, data: ToyFaces, *, count: int = 8) -> dict[str, torch.Tensor]:
    """Give the rows of the picture: picture, reconstruction, swap, exact swap, each (n, 3, h, w)."""
    chosen = list(range(count))
    batch = default_collate([data[index] for index in chosen])
    device = next(model.parameters()).device
    image, mask, label = (batch[key].to(device) for key in ("image", "mask", "label"))
    to = (label + 1) % len(data.classes)
    return {
        "picture": batch["image"],
        "reconstruction": model.swap(image, label, source=label, mask=mask).cpu(),
        "swap": model.swap(image, to, source=label, mask=mask).cpu(),
        "exact swap": data.swap_truths(chosen, to.cpu()),
    }


def _check_extras() -> None:
    """Find out before the training, not after it, that the pictures could not be drawn."""
    for name, module in (("Pillow", "PIL"), ("matplotlib", "matplotlib")):
        try:
            import_module(module)
        except ImportError as error:
            raise ConfigError(f'the demo draws what it did with {name}: pip install "condswap[demo]"') from error
