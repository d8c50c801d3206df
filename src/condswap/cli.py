"""The command line: argument parsing and nothing else."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import condswap
from condswap.errors import CondswapError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the result is the exit code: 0, 1 for bad input, 2 for a wrong argument, 130 for Ctrl-C."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        given.run(given)
    except CondswapError as error:
        sys.stderr.write(f"condswap: {' '.join(str(error).split())}\n")
        return 1
    except KeyboardInterrupt:
        words = {name: shlex.quote(str(value)) for name, value in vars(given).items()}
        sys.stderr.write(f"\ncondswap: stopped; {given.go_on.format(**words)}\n")
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="condswap", description="Label-conditioned face swapping.")
    parser.add_argument("--version", action="version", version=f"condswap {condswap.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    demo = commands.add_parser(
        "demo",
        help="make toy faces, train on them for two minutes, and show the swaps",
        description="Makes toy faces (no data needed), trains a small model on them in about two minutes on two CPU "
        "cores, and writes pictures of what it does, beside the exact swaps that the toy faces know.",
    )
    demo.add_argument("--out", type=Path, default=Path("demo"), help="for the pictures and the model (default: demo)")
    demo.add_argument("--steps", type=_count, default=2000, help="steps of training (default: 2000)")
    demo.add_argument("--seed", type=_seed, default=0, help="of the training (default: 0)")
    demo.add_argument("--resume", action="store_true", help="go on from where an interrupted demo stopped")
    demo.set_defaults(
        run=_demo,
        go_on="the model so far is in {out}/swapper; go on with `condswap demo --out {out} --steps {steps} --resume`",
    )
    _add_evaluate(commands)
    return parser


def _add_evaluate(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    evaluate = commands.add_parser(
        "evaluate",
        help="measure whether a model swaps, beside what its figures have to be held against",
        description="Measures a model on pictures that it was not trained on, and prints a report in Markdown, what is "
        "wrong first: whether the label is ignored, whom the swaps are taken for, and what they keep of the picture.",
    )
    evaluate.add_argument("model", metavar="MODEL", help="the folder of a saved model, or user/name on the Hub")
    evaluate.add_argument(
        "faces",
        metavar="FACES",
        help="held-back pictures, one folder a class; or the word toy: toy faces, whose exact swap is known",
    )
    evaluate.add_argument(
        "--known",
        metavar="FACES",
        help="other pictures of the same people, best those of the training: they say what each looks like",
    )
    evaluate.add_argument(
        "--identity",
        metavar="FILE",
        help="the network that says who is seen: an .onnx file, or user/name on the Hub (default: one trained on the spot)",
    )
    evaluate.add_argument("--earlier", metavar="MODEL", help="the same model at an earlier stage, to say what changed")
    evaluate.add_argument("--out", type=Path, metavar="FILE.md", help="write the report there, too")
    evaluate.add_argument("--json", type=Path, metavar="FILE", help="write all the figures there as JSON")
    evaluate.add_argument("--card", action="store_true", help="put the main figures into the card of MODEL, a folder")
    evaluate.add_argument("--limit", type=_count, default=512, help="pictures to look at, at most (default: 512)")
    evaluate.set_defaults(run=_evaluate, go_on="nothing was written; run the same command again")


def _evaluate(given: argparse.Namespace) -> None:
    from condswap.evaluation import command

    report = command.run(
        given.model,
        given.faces,
        known=given.known,
        identity=given.identity,
        earlier=given.earlier,
        out=given.out,
        as_json=given.json,
        card=given.card,
        limit=given.limit,
    )
    sys.stdout.write(report)


def _demo(given: argparse.Namespace) -> None:
    from condswap import demo

    made = demo.run(given.out, steps=given.steps, seed=given.seed, resume=given.resume)
    found = made.fidelity
    sys.stdout.write(
        f"On moments that were held back from training (SSIM inside the face, 1 = exact):\n"
        f"  swap            {found.swap:.3f}   (the picture unchanged would get {found.unchanged:.3f})\n"
        f"  reconstruction  {found.reconstruction:.3f}\n"
        f"  the swap went {found.moved:.0%} of the way from the person in the picture to the other\n"
        f"Look at   {made.swaps}   (rows: picture, reconstruction, swap, exact swap)\n"
        f"and at    {made.progress}\n"
        f'The model: CGAN.from_pretrained("{made.model}")\n'
    )


def _count(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return number


def _seed(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = -1
    if not 0 <= number < 2**63:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 2**63 - 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
