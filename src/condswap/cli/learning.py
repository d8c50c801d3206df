"""`condswap train`."""

import argparse
from pathlib import Path

from condswap.cli.kinds import add_device, count, names, whole
from condswap.cli.outcome import Outcome, add_json, reasons
from condswap.cli.parsing import Commands, examples


def add_train(added: Commands) -> None:
    """Add `condswap train`."""
    train = added.add_parser(
        "train",
        help="train a swapper on your own faces",
        description="Trains one model for all the people in FACES, on pictures of their aligned faces, and writes to RUN the "
        "swapper, a picture of its swaps (swaps.png), a report on them (report.md) and the state to go on from. The last 15 % "
        "of every clip are not trained on; the picture and the report are of them.\n\n"
        "The same command again goes on with a run that was stopped. Learning rates fall towards the end, so the number of "
        "steps is said at the beginning. Started by torchrun, several processes share the work.",
        epilog=examples(
            "train faces/ --out run/", "train workspace/ --out run/ --size 128 --steps 20000 --batch-size 32"
        ),
    )
    train.add_argument(
        "faces",
        type=Path,
        metavar="FACES",
        help="one folder of faces a person, a workspace of DeepFaceLab's, a faceset.pak, or what `condswap pack` wrote",
    )
    _add_learned(train.add_argument_group("what it learns"))
    _add_speed(train.add_argument_group("how fast"))
    written = train.add_argument_group("what is written")
    written.add_argument("--out", type=Path, required=True, metavar="RUN", help="the folder for all that is written")
    written.add_argument(
        "--save-every",
        type=count,
        default=500,
        metavar="N",
        help="steps between two times of saving (default: %(default)s)",
    )
    written.add_argument(
        "--identity",
        metavar="FILE",
        help="the network that says who is seen, for the report: an .onnx file, or user/name on the Hub (default: a small "
        "one, trained on the spot)",
    )
    add_json(written)
    train.set_defaults(run=_train, go_on="the swapper so far is in {out}/swapper; give the same command again to go on")


def _add_learned(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--classes", type=names, metavar="NAME,NAME", help="the people to take, in this order (default: all)"
    )
    group.add_argument(
        "--size",
        type=count,
        default=64,
        metavar="PIXELS",
        help="the side of the model's pictures (default: %(default)s)",
    )
    group.add_argument(
        "--bottleneck",
        choices=["cross_attention", "mlp"],
        default="cross_attention",
        help="the part that puts one person in the place of another (default: %(default)s)",
    )
    group.add_argument(
        "--steps", type=count, default=4000, metavar="N", help="steps of training, in all (default: %(default)s)"
    )
    group.add_argument(
        "--batch-size", type=count, default=8, metavar="N", help="pictures a step (default: %(default)s)"
    )
    group.add_argument(
        "--guides",
        type=Path,
        metavar="FOLDER",
        help="networks that look at the swaps in the second half of the run, for more likeness and mouths that follow; "
        "docs/how-to/guides.md says how to fill the folder (default: none)",
    )
    group.add_argument("--seed", type=whole, default=0, metavar="N", help="of everything random (default: %(default)s)")


def _add_speed(group: argparse._ArgumentGroup) -> None:
    add_device(group)
    group.add_argument(
        "--precision",
        choices=["float32", "bfloat16"],
        default="float32",
        help="bfloat16 is faster on a GPU, and on a CPU that computes with it (default: %(default)s)",
    )
    group.add_argument(
        "--recompute", action="store_true", help="keep less in memory and compute it twice; for large pictures"
    )
    group.add_argument(
        "--compile", action="store_true", help="compile the steps, which takes a minute or two at first; for long runs"
    )
    group.add_argument(
        "--workers",
        type=whole,
        default=0,
        metavar="N",
        help="processes that read pictures (default: %(default)s)",
    )


def _train(given: argparse.Namespace) -> Outcome | None:
    """Train a swapper on faces; the first of several processes says what came of it."""
    from condswap import train

    made = train.run(
        given.faces,
        given.out,
        image_size=given.size,
        steps=given.steps,
        batch_size=given.batch_size,
        classes=given.classes,
        bottleneck=given.bottleneck,
        identity=given.identity,
        seed=given.seed,
        save_every=given.save_every,
        device=given.device,
        precision=given.precision,
        recompute=given.recompute,
        compile=given.compile,
        workers=given.workers,
        guides=given.guides,
    )
    if made is None:
        return None
    return Outcome(
        words=f"{made.report.verdict}\n"
        f"Look at   {made.swaps}\n"
        f"and read  {made.report_file}\n"
        f'The model: CGAN.from_pretrained("{made.model}")\n',
        facts={
            "model": made.model,
            "swaps": made.swaps,
            "report_file": made.report_file,
            "steps": given.steps,
            "seed": given.seed,
            "left_out": reasons(made.left_out),
            "report": made.report.to_dict(),
        },
    )
