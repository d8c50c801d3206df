"""`condswap demo`."""

import argparse
from pathlib import Path

from condswap.cli.kinds import count, whole
from condswap.cli.outcome import Outcome, add_json
from condswap.cli.parsing import Commands, examples


def add_demo(added: Commands) -> None:
    """Add `condswap demo`."""
    demo = added.add_parser(
        "demo",
        help="make toy faces, train on them for two minutes, and show the swaps",
        description="Makes toy faces, so it needs no data, trains a small model on them in about two minutes on two CPU cores, "
        "and writes pictures of what it does, beside the exact swaps that the toy faces know.",
        epilog=examples("demo", "demo --out longer --steps 10000"),
    )
    demo.add_argument(
        "--out",
        type=Path,
        default=Path("demo"),
        metavar="FOLDER",
        help="the folder for the pictures and the model (default: %(default)s)",
    )
    demo.add_argument("--steps", type=count, default=2000, metavar="N", help="steps of training (default: %(default)s)")
    demo.add_argument("--seed", type=whole, default=0, metavar="N", help="of the training (default: %(default)s)")
    demo.add_argument("--resume", action="store_true", help="go on from where an interrupted demo stopped")
    add_json(demo)
    demo.set_defaults(
        run=_demo,
        go_on="the model so far is in {out}/swapper; go on with `condswap demo --out {out} --steps {steps} --resume`",
    )


def _demo(given: argparse.Namespace) -> Outcome:
    """Train on toy faces and show the swaps."""
    from condswap import demo

    made = demo.run(given.out, steps=given.steps, seed=given.seed, resume=given.resume)
    found = made.fidelity
    return Outcome(
        words=f"On moments that were held back from training (SSIM inside the face, 1 = exact):\n"
        f"  swap            {found.swap:.3f}   (the picture unchanged would get {found.unchanged:.3f})\n"
        f"  reconstruction  {found.reconstruction:.3f}\n"
        f"  the swap went {100 * found.moved:.0f} % of the way from the person in the picture to the other\n"
        f"Look at   {made.swaps}   (rows: picture, reconstruction, swap, exact swap)\n"
        f"and at    {made.progress}\n"
        f'The model: CGAN.from_pretrained("{made.model}")\n',
        facts={
            "model": made.model,
            "swaps": made.swaps,
            "progress": made.progress,
            "steps": given.steps,
            "seed": given.seed,
            "figures": vars(found),
        },
    )
