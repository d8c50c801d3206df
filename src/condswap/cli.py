"""The command line: argument parsing and nothing else."""

import argparse
import contextlib
import json
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import condswap
from condswap.errors import CondswapError
from condswap.training.interrupt import Ended, ended_like_ctrl_c


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the result is the exit code.

    0, 1 for bad input, 2 for a wrong argument, 130 for Ctrl-C, and 143 or 129 where the system asked for an end.
    """
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        with ended_like_ctrl_c():
            return int(given.run(given) or 0)
    except CondswapError as error:
        sys.stderr.write(f"condswap: {' '.join(str(error).split())}\n")
        return 1
    except KeyboardInterrupt as stop:
        words = {name: shlex.quote(str(value)) for name, value in vars(given).items()}
        with contextlib.suppress(OSError):  # a terminal that was closed
            sys.stderr.write(f"\ncondswap: stopped; {given.go_on.format(**words)}\n")
        return 128 + (stop.number if isinstance(stop, Ended) else signal.SIGINT)


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
    _add_doctor(commands)
    _add_train(commands)
    _add_pack(commands)
    _add_evaluate(commands)
    return parser


def _add_doctor(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    doctor = commands.add_parser(
        "doctor",
        help="find out what is wrong with a folder of faces before training on it",
        description="Looks through FACES for files that cannot be read, copies, blur, bad light, missing masks, pictures of "
        "somebody else, and for poses and lights that one person has and another has not. Changes nothing. The exit status is "
        "1 only where training cannot work.",
    )
    doctor.add_argument("faces", type=Path, metavar="FACES", help="what `condswap train` takes")
    doctor.add_argument("--size", type=_count, default=64, help="the side of the pictures in training (default: 64)")
    doctor.add_argument("--classes", metavar="NAME,NAME", help="the people to look at (default: all)")
    doctor.add_argument(
        "--identity",
        metavar="FILE",
        help="a network that says who is seen, to find pictures of somebody else: an .onnx file, or user/name on the Hub",
    )
    doctor.add_argument("--json", type=Path, metavar="FILE", help="write all of it there as JSON")
    doctor.add_argument("--html", type=Path, metavar="FILE", help="write a page with the pictures to look at")
    doctor.add_argument("--png", type=Path, metavar="FILE", help="write one picture of the pictures to look at")
    doctor.set_defaults(run=_doctor, go_on="nothing was changed; run the same command again")


def _add_train(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    train = commands.add_parser(
        "train",
        help="train a swapper on your own faces",
        description="Trains one model for all the people in FACES, on pictures of their aligned faces, and writes to RUN the "
        "swapper, a picture of its swaps, a report on them and the state to go on from. The last 15 % of every clip are not "
        "trained on; the picture and the report are of them. The same command again goes on with a run that was stopped.",
    )
    train.add_argument(
        "faces",
        type=Path,
        metavar="FACES",
        help="one folder of faces a person, a workspace of DeepFaceLab's, a faceset.pak, or what `condswap pack` wrote",
    )
    train.add_argument("--out", type=Path, required=True, metavar="RUN", help="the folder for all that is written")
    train.add_argument("--size", type=_count, default=64, help="the side of the model's pictures (default: 64)")
    train.add_argument("--steps", type=_count, default=4000, help="steps of training, in all (default: 4000)")
    train.add_argument("--batch-size", type=_count, default=8, help="pictures a step (default: 8)")
    train.add_argument("--classes", metavar="NAME,NAME", help="the people to take, in this order (default: all)")
    train.add_argument("--bottleneck", choices=["cross_attention", "mlp"], default="cross_attention")
    train.add_argument(
        "--identity",
        metavar="FILE",
        help="the network that says who is seen, for the report: an .onnx file, or user/name on the Hub",
    )
    train.add_argument(
        "--save-every", type=_count, default=500, help="steps between two times of saving (default: 500)"
    )
    train.add_argument("--device", help="cuda, mps or cpu (default: whichever there is)")
    train.add_argument("--seed", type=_seed, default=0, help="of everything random (default: 0)")
    train.set_defaults(run=_train, go_on="the swapper so far is in {out}/swapper; give the same command again to go on")


def _add_pack(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    pack = commands.add_parser(
        "pack",
        help="put many faces into one file that training reads fast",
        description="Decodes all faces of FACES once and writes their pixels to one file, for `condswap train FILE`: nothing "
        "is decoded again, and the file is mapped, not read, into memory. A picture takes 4 bytes a pixel.",
    )
    pack.add_argument("faces", type=Path, metavar="FACES", help="what `condswap train` takes")
    pack.add_argument("file", type=Path, metavar="FILE.safetensors", help="the file to write")
    pack.add_argument("--size", type=_count, default=128, help="the side of the pictures (default: 128)")
    pack.add_argument("--classes", metavar="NAME,NAME", help="the people to take, in this order (default: all)")
    pack.set_defaults(run=_pack, go_on="nothing was written; run the same command again")


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


def _doctor(given: argparse.Namespace) -> int:
    from condswap.data.doctor import examine
    from condswap.data.doctor.sheet import save_page, save_sheet
    from condswap.evaluation import load_identity
    from condswap.files import write_atomically

    found = examine(
        given.faces,
        image_size=given.size,
        classes=_names(given.classes),
        identity=load_identity(given.identity) if given.identity else None,
    )
    sys.stdout.write(found.to_text())
    if given.json:
        write_atomically(given.json, (json.dumps(found.to_dict(), indent=2) + "\n").encode())
    if given.html:
        save_page(found, given.html)
    if given.png:
        save_sheet(found, given.png)
    return 0 if found.can_train else 1


def _train(given: argparse.Namespace) -> None:
    from condswap import train

    made = train.run(
        given.faces,
        given.out,
        image_size=given.size,
        steps=given.steps,
        batch_size=given.batch_size,
        classes=_names(given.classes),
        bottleneck=given.bottleneck,
        identity=given.identity,
        seed=given.seed,
        save_every=given.save_every,
        device=given.device,
    )
    sys.stdout.write(
        f"{made.report.verdict}\n"
        f"Look at   {made.swaps}\n"
        f"and read  {made.report_file}\n"
        f'The model: CGAN.from_pretrained("{made.model}")\n'
    )


def _pack(given: argparse.Namespace) -> None:
    from condswap.data import PackedFaces, pack

    left_out = pack(given.faces, given.file, image_size=given.size, classes=_names(given.classes))
    for path, reason in left_out:
        sys.stderr.write(f"left out {path}: {reason}\n")
    data = PackedFaces(given.file)
    sys.stdout.write(
        f"{len(data)} pictures of {', '.join(data.classes)} in {given.file}\n"
        f"Train on them: condswap train {given.file} --size {given.size} --out RUN\n"
    )


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


def _names(text: str | None) -> list[str] | None:
    return text.split(",") if text else None


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
