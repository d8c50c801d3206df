"""The reference script: two (or more) folders of faces in, previews on the way, a saved swapper and a report on it out.

    python examples/trump_biden.py FACES --out RUN --image-size 256 --steps 40000

FACES holds one folder a person, such as FACES/biden and FACES/trump, with aligned faces and their masks. The last 15 % of
every clip of each person, in the order of the names, are held back: the previews show them, the trainer watches their swaps,
and the report is on them. From 60 % of the run on a discriminator makes the pictures crisper. An interrupted run goes on when
the same command is given again. On a GPU it trains in bfloat16; `--smoke` runs all of it in a minute on a CPU. On several
GPUs: `torchrun --nproc-per-node 2 examples/trump_biden.py ...`, the rest of the line as it is; `--batch-size` counts the
pictures of all of them together.

Writes `RUN/previews/start.png`, `RUN/previews/end.png`, `RUN/state/state.safetensors`, `RUN/report.md` and
`RUN/swapper/config.json`, `RUN/swapper/model.safetensors`, `RUN/swapper/README.md`.
"""

import argparse
from pathlib import Path

import torch
from torch.utils.data import default_collate

from condswap import CGAN, FaceFolder, Objective, Trainer, TrainerConfig, every
from condswap.evaluation import evaluate
from condswap.pictures import save_grid
from condswap.pretrained import mark_of


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faces", type=Path, help="a folder with one folder of faces a person")
    parser.add_argument("--out", type=Path, required=True, help="folder for previews, state and swapper")
    parser.add_argument("--classes", nargs="+", help="which people, in which order (default: all)")
    parser.add_argument("--image-size", type=int, default=256, help="pixels (default: 256)")
    parser.add_argument("--bottleneck", choices=["cross_attention", "mlp"], default="cross_attention")
    parser.add_argument("--steps", type=int, default=40_000, help="of training, in all (default: 40000)")
    parser.add_argument("--batch-size", type=int, default=32, help="pictures a step (default: 32)")
    parser.add_argument(
        "--preview-every", type=int, default=1000, help="steps between previews and saves (default: 1000)"
    )
    parser.add_argument(
        "--identity", help="an ONNX network that says who is seen, for the report (default: one trained here)"
    )
    parser.add_argument("--device", help="cuda, mps or cpu (default: whichever there is)")
    parser.add_argument("--smoke", action="store_true", help="a tiny run that shows that everything works")
    given = parser.parse_args()
    if given.smoke:
        given.image_size, given.steps, given.batch_size, given.preview_every = 64, 12, 8, 6
    return given


def preview(model: CGAN, held_back: FaceFolder, path: Path) -> None:
    """Draw held-back frames of every person: picture, reconstruction, and the swap to the next person."""
    device = next(model.parameters()).device
    rows: dict[str, torch.Tensor] = {}
    for label, name in enumerate(held_back.classes):
        indices = [index for index, one in enumerate(held_back.labels) if one == label]
        chosen = [indices[place * (len(indices) - 1) // 7] for place in range(8)]
        batch = default_collate([held_back[index] for index in chosen])
        image, mask = batch["image"].to(device), batch["mask"].to(device)
        to = held_back.classes[(label + 1) % len(held_back.classes)]
        rows[name] = image.cpu()
        rows[f"{name} again"] = model.swap(image, name, source=name, mask=mask).cpu()
        rows[f"{name} as {to}"] = model.swap(image, to, source=name, mask=mask).cpu()
    save_grid(path, rows, mark=mark_of(model))  # it says that a model made it


def main() -> None:
    """Train, preview, save."""
    given = parse()
    data = FaceFolder(given.faces, image_size=given.image_size, classes=given.classes)
    train, held_back = data.split(held_back=0.15)
    torch.manual_seed(0)
    model = CGAN.default(given.image_size, classes=data.classes, bottleneck=given.bottleneck)
    model.objective = Objective.crisp()
    state, previews = given.out / "state", given.out / "previews"
    previews.mkdir(parents=True, exist_ok=True)
    if state.exists():
        trainer = Trainer.load(state, model, device=given.device)
    else:
        precision = "bfloat16" if torch.cuda.is_available() and given.device in (None, "cuda") else "float32"
        config = TrainerConfig(
            batch_size=given.batch_size,
            planned_steps=given.steps,
            adversarial_from=given.steps * 6 // 10,
            discriminator_learning_rate=1e-3,
            precision=precision,
        )
        trainer = Trainer(model, config, device=given.device)
    first = trainer.rank == 0  # of the processes that torchrun started, one writes and speaks
    if first:
        for path, reason in data.unreadable:
            print(f"left out {path}: {reason}")
        print(f"{len(train)} pictures of {', '.join(data.classes)} to train on, {len(held_back)} held back")
        print(f"training on {trainer.device} in {trainer.config.precision}, from step {trainer.step} on")
        if trainer.step == 0:
            preview(model, held_back, previews / "start.png")

    def keep(trainer: Trainer) -> None:
        trainer.save(state)
        trainer.model.save_pretrained(given.out / "swapper")
        preview(trainer.model, held_back, previews / f"step-{trainer.step:06d}.png")

    try:
        hook = every(given.preview_every, keep) if first else None
        trainer.fit(train, given.steps, hook=hook, held_back=held_back)
    except KeyboardInterrupt:
        trainer.save(state)
        trainer.wait()  # for the one that writes, which would be ended with the others
        raise SystemExit(f"stopped at step {trainer.step}; give the same command again to go on") from None
    if not first:
        return
    trainer.save(state)
    preview(model, held_back, previews / "end.png")
    report = evaluate(model, held_back, known=train, identity=given.identity)
    report.remember(model.history)  # into the model card
    (given.out / "report.md").write_text(report.to_markdown(), encoding="utf-8")
    model.save_pretrained(given.out / "swapper")
    print(report.verdict)
    print(f"the swapper: CGAN.from_pretrained('{given.out / 'swapper'}')")
    print(f"look at {previews / 'end.png'} and read {given.out / 'report.md'}")


if __name__ == "__main__":
    main()
