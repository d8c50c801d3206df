"""The reference script: faces of two (or more) people in, previews on the way; a swapper, its report and its pictures out.

    python examples/trump_biden.py faces/ --out RUN                                         # faces/biden and faces/trump
    python examples/trump_biden.py workspace/ --out RUN --classes data_src data_dst         # of DeepFaceLab
    python examples/trump_biden.py one/data_src two/data_src --out RUN --classes biden trump

The faces are aligned and have masks. They lie in one folder with a folder for each person, in a workspace of DeepFaceLab's, or
in several places: then each is the folder of one person, with the faces in it, in `aligned` or in a `faceset.pak`.

The last 15 % of every clip of each person, in the order of the names, are held back: the previews show them, the trainer
watches their swaps, and the report is on them. From 60 % of the run on a discriminator makes the pictures crisper. On a GPU
that can, it trains in bfloat16. A run that was stopped goes on when the same command is given again. `--smoke` does all of it
in a minute on a CPU. On several GPUs: `torchrun --nproc-per-node 2 examples/trump_biden.py ...`, the rest as it is. With
`--guides` other networks look at the swaps from half of the run on; where they come from is in docs/how-to/guides.md.

Memory: a picture of a batch took 35 MiB at 256 pixels and 141 at 512, 96 of them with `recompute`, beside 0.5 GiB. That was
measured in bfloat16 on a CPU; for a GPU it is an estimate. By it the default batches take about 2 and 5 GiB, so they fit a card
of 24 GB many times. Larger ones that would take more than half of such a card are recomputed, which is a third slower.

To publish the swapper on the Hugging Face Hub, with the report in its card, say who agreed to be shown and under which licence:

    ... --push user/name --license cc-by-nc-4.0 --consent "Both people agreed in writing to be shown."

Writes `RUN/previews/start.png`, `RUN/state/state.safetensors`, `RUN/swaps.png`, `RUN/report.md` and
`RUN/swapper/config.json`, `RUN/swapper/model.safetensors`, `RUN/swapper/README.md`.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from torch.utils.data import default_collate

from condswap import CGAN, FaceFolder, Objective, Trainer, TrainerConfig, every
from condswap.errors import CondswapError, ConfigError, DataError
from condswap.evaluation import evaluate, load_identity
from condswap.guiding import guided_model, guides_in
from condswap.pictures import save_grid
from condswap.pretrained import mark_of
from condswap.training import Guide
from condswap.training.distributed import launched

MIB_OF_A_PICTURE = 141 / 512**2  # by pixel, in bfloat16 and without recompute
MIB_AT_MOST = 12_000  # half of a card of 24 GB; what else is on it, and how CUDA keeps its memory, is not known


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faces", type=Path, nargs="+", help="one folder of all people, or a folder for each")
    parser.add_argument("--out", type=Path, required=True, help="folder for previews, state, report and swapper")
    parser.add_argument(
        "--classes", nargs="+", help="one folder: whom to take of it, in which order; several: their names"
    )
    parser.add_argument("--image-size", type=int, default=256, help="pixels, such as 256 or 512 (default: 256)")
    parser.add_argument("--bottleneck", choices=["cross_attention", "mlp"], default="cross_attention")
    parser.add_argument("--steps", type=int, default=40_000, help="of training, in all (default: 40000)")
    parser.add_argument(
        "--batch-size", type=int, default=32, help="pictures a step, of all GPUs together (default: 32)"
    )
    parser.add_argument("--preview-every", type=int, default=1000, help="steps from preview to preview (default: 1000)")
    parser.add_argument("--workers", type=int, default=4, help="processes that read pictures (default: 4)")
    parser.add_argument(
        "--identity", help="an ONNX network that says who is seen, for the report (default: one trained here)"
    )
    parser.add_argument(
        "--guides", type=Path, metavar="FOLDER", help="with networks that guide the second half (docs/how-to/guides.md)"
    )
    parser.add_argument("--device", help="cuda, mps or cpu (default: whichever there is)")
    parser.add_argument("--smoke", action="store_true", help="a tiny run that shows that everything works")
    hub = parser.add_argument_group("to publish")
    hub.add_argument(
        "--push", metavar="USER/NAME", help="where on the Hub; log in with `hf auth login`, or set HF_TOKEN"
    )
    hub.add_argument("--consent", help="who agreed to be shown, and how")
    hub.add_argument("--license", help="such as cc-by-nc-4.0")
    hub.add_argument(
        "--private",
        action=argparse.BooleanOptionalAction,
        help="refuse a public repository, or make a public one (default: what is new is private)",
    )
    given = parser.parse_args()
    if given.push and not ((given.consent or "").strip() and (given.license or "").strip()):
        parser.error(
            "--push publishes a model that shows people, so it needs --consent, which says who agreed to be shown and how, "
            'and --license: --consent "Both people agreed in writing" --license cc-by-nc-4.0'
        )
    if len(given.faces) > 1 and given.classes and len(given.classes) != len(given.faces):
        parser.error(f"{len(given.faces)} folders of one person each need as many names, not {' '.join(given.classes)}")
    if given.smoke:
        given.image_size, given.steps, given.batch_size, given.preview_every, given.workers = 64, 12, 8, 6, 0
    return given


def read(folders: list[Path], classes: list[str] | None, image_size: int) -> FaceFolder:
    """Read the faces of all people."""
    if len(folders) == 1:
        return FaceFolder(folders[0], image_size=image_size, classes=classes)
    places = [path.parent if path.name == "aligned" else path for path in map(Path.resolve, folders)]
    names = classes or [place.name for place in places]
    if len(set(names)) < len(names):
        raise DataError(f"the people would be called {', '.join(names)}; say who they are: --classes biden trump")
    return FaceFolder(dict(zip(names, places, strict=True)), image_size=image_size)


def grid(model: CGAN, held_back: FaceFolder, path: Path) -> None:
    """Draw held-back frames of up to four people: the picture, and the person in it as everybody."""
    device = next(model.parameters()).device
    rows: dict[str, torch.Tensor] = {}
    people = held_back.classes[:4]
    for label, name in enumerate(people):
        indices = [index for index, one in enumerate(held_back.labels) if one == label]
        batch = default_collate([held_back[indices[place * (len(indices) - 1) // 7]] for place in range(8)])
        image, mask = batch["image"].to(device), batch["mask"].to(device)
        rows[name] = image.cpu()
        for to in people:
            rows[f"{name} as {to}"] = model.swap(image, to, source=name, mask=mask).cpu()
    save_grid(path, rows, mark=mark_of(model))  # it says that a model made it


def begin(given: argparse.Namespace, model: CGAN, guides: dict[str, Guide] | None = None) -> Trainer:
    """Make the trainer, or go on with the one that was stopped."""
    cuda = torch.cuda.is_available() and (given.device or "cuda").startswith("cuda")
    mib = given.batch_size / launched() * given.image_size**2 * MIB_OF_A_PICTURE
    config = TrainerConfig(
        batch_size=given.batch_size,
        planned_steps=given.steps,
        adversarial_from=given.steps * 6 // 10,
        guided_from=given.steps // 2 if guides else 0,
        discriminator_learning_rate=1e-3,
        precision="bfloat16" if cuda and torch.cuda.is_bf16_supported(including_emulation=False) else "float32",
        recompute=mib > MIB_AT_MOST,
        workers=given.workers,
    )
    state = given.out / "state"
    if not (state / "state.safetensors").exists():
        return Trainer(model, config, device=given.device, guides=guides)
    # These two change nothing of what is learned, so they may be others than before.
    trainer = Trainer.load(
        state, model, device=given.device, guides=guides, recompute=config.recompute, workers=config.workers
    )
    if trainer.config != config:
        was = ", ".join(f"{name} {value}" for name, value in trainer.config.summary().items())
        raise ConfigError(f"the run in {given.out} was begun with {was}; go on as it was begun, or give another --out")
    return trainer


def run(given: argparse.Namespace) -> None:
    """Train, preview, save, measure, publish."""
    load_identity(given.identity)  # a wrong one is found out before the training, not after it
    train, held_back = read(given.faces, given.classes, given.image_size).split(held_back=0.15)
    torch.manual_seed(0)
    guides = guides_in(given.guides, train) if given.guides else {}
    assemble = guided_model if guides else CGAN.default
    model = assemble(given.image_size, classes=train.classes, bottleneck=given.bottleneck)
    model.objective = replace(Objective.crisp(), code_adversary=model.objective.code_adversary)
    trainer = begin(given, model, guides)
    swapper, previews = given.out / "swapper", given.out / "previews"
    previews.mkdir(parents=True, exist_ok=True)
    first = trainer.rank == 0  # of the processes that torchrun started, one writes and speaks
    if first:
        for path, reason in train.unreadable:
            print(f"left out {path}: {reason}")
        print(f"{len(train)} pictures of {', '.join(train.classes)} to train on, {len(held_back)} held back")
        print(f"training on {trainer.device} in {trainer.config.precision}, from step {trainer.step} on")
        if trainer.step == 0:
            grid(model, held_back, previews / "start.png")

    def save(trainer: Trainer) -> None:
        trainer.save(given.out / "state")
        model.save_pretrained(swapper, consent=given.consent, license=given.license)

    def keep(trainer: Trainer) -> None:
        save(trainer)
        grid(model, held_back, previews / f"step-{trainer.step:06d}.png")

    try:
        hook = every(given.preview_every, keep) if first else None
        trainer.fit(train, given.steps, hook=hook, held_back=held_back)
    except KeyboardInterrupt:
        trainer.save(given.out / "state")
        trainer.wait()  # for the one that writes, which would be ended with the others
        raise SystemExit(f"stopped at step {trainer.step}; give the same command again to go on") from None
    if not first:
        return
    save(trainer)
    grid(model, held_back, given.out / "swaps.png")
    report = evaluate(model, held_back, known=train, identity=given.identity)
    report.remember(model.history)  # into the model card
    (given.out / "report.md").write_text(report.to_markdown(), encoding="utf-8")
    model.save_pretrained(swapper, consent=given.consent, license=given.license)
    print(report.verdict)
    print(f"the swapper: CGAN.from_pretrained('{swapper}')")
    print(f"look at {given.out / 'swaps.png'} and read {given.out / 'report.md'}")
    if given.push:
        told = {"consent": given.consent, "license": given.license, "private": given.private}
        print(f"published: {model.push_to_hub(given.push, **told)}")


def main() -> None:
    """Run, and say in a line what went wrong."""
    try:
        run(parse())
    except CondswapError as error:
        raise SystemExit(f"trump_biden.py: {error}") from error


if __name__ == "__main__":
    main()
