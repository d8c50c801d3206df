"""From a folder of faces to a swapper, its report and its pictures: what `condswap train` does."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.data import default_collate

from condswap.cgan import CGAN
from condswap.data import FaceFolder, PackedFaces
from condswap.data.faces import Faces
from condswap.data.packed import SUFFIX
from condswap.errors import ConfigError, DataError
from condswap.evaluation import Report, evaluate, load_identity
from condswap.files import make_writable_folder, write_atomically
from condswap.guiding import guided_model, guides_in
from condswap.pictures import save_grid
from condswap.pretrained import mark_of
from condswap.progress import say
from condswap.training import Trainer, TrainerConfig, distributed, every
from condswap.training.earlier import has_state
from condswap.training.interrupt import held_back as whole

_HELD_BACK = 0.15
_COLUMNS = 8
_PEOPLE = 4  # whom the pictures show each person as, at most


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a training made.

    Attributes:
        report: on the pictures that were held back.
        model: the folder of the swapper.
        swaps: a picture of rows: each person, reconstructed, and as the others.
        report_file: the report in Markdown.
        left_out: the files that could not be read, each with the reason.
    """

    report: Report
    model: Path
    swaps: Path
    report_file: Path
    left_out: Sequence[tuple[Path, str]]


def run(
    faces: Path,
    out: Path,
    *,
    image_size: int = 64,
    steps: int = 4000,
    batch_size: int = 8,
    classes: Sequence[str] | None = None,
    bottleneck: str = "cross_attention",
    identity: str | None = None,
    seed: int = 0,
    save_every: int = 500,
    device: str | None = None,
    precision: str = "float32",
    recompute: bool = False,
    compile: bool = False,
    workers: int = 0,
    guides: Path | None = None,
) -> Trained | None:
    """Train a swapper on a folder of faces, or go on with one that was stopped in `out`.

    The last 15 % of every clip are held back: the trainer watches their swaps, and the report and the pictures are of them.
    Processes that `torchrun` starts share every batch; the first writes and measures, the others give None.

    Args:
        faces: what `FaceFolder` takes, or a file that `pack` wrote.
        out: the folder for the state, the swapper, the pictures and the report; made if it is not there.
        image_size: the side of the model's pictures.
        steps: of training, in all.
        batch_size: pictures a step.
        classes: the people to take; None takes all.
        bottleneck: "cross_attention" or "mlp".
        identity: the network that says who is seen in the report, as `evaluate` takes it; None trains one.
        seed: of everything random.
        save_every: steps between two times that the state, the swapper and the pictures are written.
        device: None takes CUDA, MPS or the CPU, whichever there is.
        precision: "float32" or "bfloat16", as `TrainerConfig` takes it.
        recompute: keep less in memory, for more time, as `TrainerConfig` does.
        compile: compile the steps, as `TrainerConfig` does.
        workers: processes that read pictures for this one.
        guides: a folder with networks, as `guides_in` takes it, which guide the second half; None for no guides.

    Raises:
        DataError: the faces cannot be used, or nothing can be written to `out`.
        ConfigError: Pillow is missing, an argument is wrong, or `out` has the state of another model.
        KeyboardInterrupt: it was interrupted; the swapper so far and the state to go on from are in `out`.
    """
    load_identity(identity)  # a wrong one is found out before the training, not after it
    make_writable_folder(out)
    data = _open(faces, image_size, classes)
    first = distributed.rank() == 0
    if first:
        _tell_left_out(data)
    train, held = data.split(held_back=_HELD_BACK)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        assemble = CGAN.default if guides is None else guided_model
        model = assemble(image_size, classes=data.classes, bottleneck=bottleneck)
    guiding = None
    if guides is not None:
        if len(data.classes) < 2:
            raise ConfigError(f"guides look at swaps, and there is nobody but {data.classes[0]!r}; leave them out")
        say("getting to know the people, for the guides")
        guiding = guides_in(guides, train)
    guided_from = 0 if guides is None else max(1, steps // 2)  # when there are swaps to look at
    state, made = out / "state", _files(out)
    if has_state(state):
        trainer = Trainer.load(
            state, model, device=device, recompute=recompute, compile=compile, workers=workers, guides=guiding
        )
        _refuse_another_run(trainer, steps, batch_size, seed, precision, guided_from, out)
        if first:
            say(f"going on at step {trainer.step} of {steps}")
    else:
        config = TrainerConfig(
            seed=seed,
            batch_size=batch_size,
            planned_steps=steps,
            precision=precision,
            recompute=recompute,
            compile=compile,
            workers=workers,
            guided_from=guided_from,
        )
        trainer = Trainer(model, config, device=device, guides=guiding)

    def keep(trainer: Trainer) -> None:
        if trainer.step == steps:  # all of it is written at the end
            return
        with whole():
            try:
                _keep(trainer, state, out)
                _show(trainer.model, held, made["swaps"])
            except DataError as error:  # such as a full disk; the next time may be better, and so may the end
                say(f"{error}\ntraining goes on, and it is tried again after {save_every} steps")

    try:
        trainer.fit(train, steps, hook=every(save_every, keep) if first else None, held_back=held)
        if not first:
            return None
        _keep_at_last(trainer, state, out)
        _show(model, held, made["swaps"])
        report = evaluate(model, held, known=train, identity=identity)
        report.remember(model.history)
        write_atomically(made["report_file"], report.to_markdown().encode())
        model.save_pretrained(made["model"])
    except KeyboardInterrupt:
        with whole():
            if first:
                _keep_at_last(trainer, state, out)
            if trainer.step < steps:
                trainer.wait()  # where one process ends, torchrun ends the others, and one of these may be writing
        raise
    return Trained(report=report, left_out=data.unreadable, **made)


def _open(faces: Path, image_size: int, classes: Sequence[str] | None) -> FaceFolder | PackedFaces:
    if faces.suffix != SUFFIX:
        return FaceFolder(faces, image_size=image_size, classes=classes)
    data = PackedFaces(faces, classes=classes)
    if data.image_size != image_size:
        raise ConfigError(
            f"{faces} has pictures of {data.image_size} pixels and the model is to have {image_size}; give --size "
            f"{data.image_size}, or pack the faces again"
        )
    return data


def pictures(model: CGAN, data: Faces) -> dict[str, torch.Tensor]:
    """Give the rows of the picture: frames of every person, reconstructed, and as the others, each (n, 3, h, w)."""
    device = next(model.parameters()).device
    rows: dict[str, torch.Tensor] = {}
    people = data.classes[:_PEOPLE]
    for label, name in enumerate(people):
        indices = [index for index, one in enumerate(data.labels) if one == label]
        chosen = [indices[place * (len(indices) - 1) // max(1, _COLUMNS - 1)] for place in range(_COLUMNS)]
        batch = default_collate([data[index] for index in chosen])
        image, mask = batch["image"].to(device), batch["mask"].to(device)
        rows[name] = batch["image"]
        for to in (name, *(other for other in people if other != name)):
            rows[f"{name} as {to}"] = model.swap(image, to, source=name, mask=mask).cpu()
    return rows


def _show(model: CGAN, data: Faces, path: Path) -> None:
    """Write the picture, marked as what it is."""
    save_grid(path, pictures(model, data), mark=mark_of(model))


def _files(out: Path) -> dict[str, Path]:
    return {"model": out / "swapper", "swaps": out / "swaps.png", "report_file": out / "report.md"}


def _keep(trainer: Trainer, state: Path, out: Path) -> None:
    trainer.save(state)
    trainer.model.save_pretrained(_files(out)["model"])


def _keep_at_last(trainer: Trainer, state: Path, out: Path) -> None:
    """Keep what there is, and where the disk refuses say what is left."""
    try:
        _keep(trainer, state, out)
    except DataError as error:
        left = f"the last whole state is in {state}; give the same command again to go on from it"
        raise DataError(f"{error}; {left if has_state(state) else 'nothing of this run was kept'}") from error


def _refuse_another_run(
    trainer: Trainer, steps: int, batch_size: int, seed: int, precision: str, guided_from: int, out: Path
) -> None:
    """Refuse to go on with a run under other settings than it was begun with."""
    config = trainer.config
    wanted: dict[str, tuple[object, object]] = {
        "steps": (config.planned_steps, steps),
        "batch size": (config.batch_size, batch_size),
        "seed": (config.seed, seed),
        "precision": (config.precision, precision),
        "guides from step": (config.guided_from, guided_from),
    }
    told = [f"{name} {was}, not {now}" for name, (was, now) in wanted.items() if was != now]
    if told:
        raise ConfigError(f"the run in {out} was begun with {', '.join(told)}; go on as it was, or give another --out")


def _tell_left_out(data: FaceFolder | PackedFaces) -> None:
    """Say what is not trained on, and why."""
    shown = 10
    for path, reason in data.unreadable[:shown]:
        say(f"left out {path}: {reason}")
    if len(data.unreadable) > shown:
        say(f"... and {len(data.unreadable) - shown} more")
    if data.without_mask:
        say(f"{len(data.without_mask)} pictures have no mask: all of each is taken for the face")
