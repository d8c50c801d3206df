"""The commands that measure: `condswap evaluate` and `verify`."""

import argparse
from pathlib import Path

from condswap.cli.kinds import add_model, count
from condswap.cli.outcome import STDOUT, Outcome, add_json, check_places
from condswap.cli.parsing import Commands, examples


def add_evaluate(added: Commands) -> None:
    """Add `condswap evaluate`."""
    evaluate = added.add_parser(
        "evaluate",
        help="measure whether a model swaps, beside what its figures have to be held against",
        description="Measures a model on pictures that it was not trained on, and prints a report in Markdown, what is "
        "wrong first: whether the label is ignored, whom the swaps are taken for, and what they keep of the picture. Folders "
        "of people whom the model does not know are passed over; with --known some of those it knows are enough.",
        epilog=examples(
            "evaluate demo/swapper toy",
            "evaluate run/swapper held_back/ --known faces/ --out report.md",
        ),
    )
    add_model(evaluate)
    evaluate.add_argument(
        "faces",
        metavar="FACES",
        help="held-back pictures, one folder a class; or the word toy: toy faces, whose exact swap is known (a folder of that "
        "name is ./toy)",
    )
    measured = evaluate.add_argument_group("what is measured")
    measured.add_argument(
        "--known",
        metavar="FACES",
        help="other pictures of the same people, best those of the training: they say what each looks like (default: FACES "
        "itself, with a warning)",
    )
    measured.add_argument(
        "--identity",
        metavar="FILE",
        help="the network that says who is seen: an .onnx file, or user/name on the Hub (default: a small one, trained on the "
        "spot)",
    )
    measured.add_argument(
        "--landmarks",
        metavar="FILE",
        help="MediaPipe's face_landmarker.task, to measure what is kept of pose and expression: a file, or user/name/file.task "
        "on the Hub",
    )
    measured.add_argument(
        "--earlier",
        metavar="MODEL",
        help="the same model at an earlier stage of its training, to say what changed: some leak more the longer they train",
    )
    measured.add_argument(
        "--limit",
        type=count,
        default=512,
        metavar="N",
        help="pictures to look at, at most, of FACES and of the known ones (default: %(default)s)",
    )
    written = evaluate.add_argument_group("what is written")
    written.add_argument("--out", type=Path, metavar="FILE.md", help="write the report there, too")
    add_json(written, "all the figures and their intervals")
    written.add_argument(
        "--card",
        action="store_true",
        help="put the main figures into the card of MODEL, which has to be a folder; the rest of the card stays",
    )
    evaluate.set_defaults(run=_evaluate, go_on="nothing was written; run the same command again")


def _evaluate(given: argparse.Namespace) -> Outcome:
    """Measure a model."""
    from condswap.evaluation import command

    check_places([given.out])
    report, text = command.run(
        given.model,
        given.faces,
        known=given.known,
        identity=given.identity,
        landmarks=given.landmarks,
        earlier=given.earlier,
        out=given.out,
        card=given.card,
        limit=given.limit,
    )
    return Outcome(words=text, facts=report.to_dict())


def add_verify(added: Commands) -> None:
    """Add `condswap verify`."""
    verify = added.add_parser(
        "verify",
        help="find out whether a file says that a model made what it shows",
        description="Reads the marks of a picture or a video: the IPTC digital source type in its XMP, and its C2PA manifest. "
        "The exit status is 0 where it says that it is synthetic and nothing in it is invalid, and 1 otherwise. That no mark "
        "is found says nothing: any file can lose its marks. A manifest is checked offline, and takes the package "
        '"condswap[c2pa]".',
        epilog=examples("verify swapped.mp4", "verify swapped.mp4 --trust ca.pem --json"),
    )
    verify.add_argument("file", type=Path, metavar="FILE", help="a JPEG, PNG, WebP, MP4 or MOV, of anyone's")
    verify.add_argument(
        "--trust",
        type=Path,
        metavar="FILE.pem",
        help="certificates of those who may vouch for who signed a C2PA manifest (default: nobody is trusted)",
    )
    verify.add_argument(
        "--json", action="store_const", const=STDOUT, help="print all of it as JSON, in place of the words"
    )
    verify.set_defaults(run=_verify, go_on="nothing was changed; run the same command again")


def _verify(given: argparse.Namespace) -> Outcome:
    """Read the marks of a file; the status is 0 where it says that it is synthetic and nothing is invalid."""
    from condswap.errors import DataError
    from condswap.provenance import verify

    if given.trust is not None and not given.trust.is_file():  # also where there is no manifest to hold it against
        raise DataError(f"there is no file {given.trust}; give certificates in PEM with --trust")
    found = verify(given.file, trust=given.trust)
    good = found.synthetic and not found.invalid
    return Outcome(words=found.to_text(), facts=found.to_dict(), status=0 if good else 1)
