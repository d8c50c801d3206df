"""What can be typed after the commands that take photos and videos."""

import argparse
from pathlib import Path
from typing import TypeAlias

from condswap.cli import commands
from condswap.cli.kinds import count, share, target

_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_extract(added: _Commands) -> None:
    """Add `condswap extract`."""
    extract = added.add_parser(
        "extract",
        help="cut the faces of a person out of photos and videos, to train on",
        description="Finds faces in photos, videos and folders of them, and writes those of the person who is shown most to "
        "FACES/PERSON: NAME.jpg, its mask NAME.mask.png, and NAME.json, which says where it comes from and how to put it back. "
        "The same command again goes on with a run that was stopped.",
    )
    extract.add_argument("given", type=Path, nargs="+", metavar="IN", help="photos, videos, and folders of them")
    extract.add_argument(
        "--out", type=Path, required=True, metavar="FACES/PERSON", help="the folder for the faces of this person"
    )
    extract.add_argument("--size", type=count, default=256, help="the side of the faces, in pixels (default: 256)")
    extract.add_argument(
        "--step", type=count, default=1, help="take every so many frames of a video (default: 1, every frame)"
    )
    extract.add_argument(
        "--least-sharp",
        type=share,
        default=0.0,
        metavar="NUMBER",
        help="leave out faces less sharp than this, by the measure of `condswap doctor` at 128 pixels (default: 0, none)",
    )
    extract.add_argument(
        "--identity",
        metavar="FILE",
        help="a network that says who is seen, to sort several people: an .onnx file, or user/name on the Hub "
        "(default: the main face of each shot)",
    )
    extract.add_argument(
        "--everyone",
        action="store_true",
        help="write the other people, too, to FACES/PERSON-2, FACES/PERSON-3 and so on",
    )
    _add_finding(extract, "how the faces are cut out (default: condswap)")
    extract.set_defaults(run=commands.extract, go_on="give the same command again to go on")


def add_swap(added: _Commands) -> None:
    """Add `condswap swap`."""
    swap = added.add_parser(
        "swap",
        help="swap the faces in a photo, a video or a folder of them",
        description="Finds the face in INPUT, shows it as CLASS, blends it back, and writes OUT, marked as what it is: a "
        "picture with a face that was made by a model. A video keeps its sound. A photo with its mask beside it, as "
        "`condswap extract` writes them, and what is of exactly the model's size are taken for aligned faces. The same command "
        "again goes on where it was stopped.",
    )
    swap.add_argument("model", metavar="MODEL", help="the folder of a saved model, or user/name on the Hub")
    swap.add_argument("given", type=Path, metavar="INPUT", help="a photo, a video, or a folder of them")
    swap.add_argument(
        "--to", type=target, required=True, metavar="CLASS", help="whom to show, or a blend: anna=0.7,bob=0.3"
    )
    swap.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="OUT",
        help="the file to write: .jpg, .png or .webp, .mp4 or .mov; or a folder for a folder",
    )
    swap.add_argument(
        "--preview",
        type=Path,
        metavar="SHEET.png",
        help="write a sheet of a few moments, before and after, and stop there",
    )
    swap.add_argument("--source", metavar="CLASS", help="who is in the pictures, where that is a class of the model")
    swap.add_argument(
        "--only",
        default="largest",
        metavar="WHO",
        help="whose face: largest, left, centre, right, all, or a photo of the person, with --identity (default: largest, "
        "which is the main person)",
    )
    swap.add_argument(
        "--identity", metavar="FILE", help="a network that says who is seen: an .onnx file, or user/name on the Hub"
    )
    look = swap.add_argument_group("how it looks")
    look.add_argument(
        "--colour",
        choices=["mean", "lab", "linear", "histogram", "none"],
        default="mean",
        help="how the colours follow the picture (default: mean, its mean and deviation)",
    )
    look.add_argument(
        "--mask",
        choices=["both", "model", "landmarks"],
        default="both",
        help="what is pasted: where the model painted a face, inside the landmarks, or both (default: both)",
    )
    look.add_argument(
        "--erode",
        type=float,
        default=-0.02,
        metavar="SHARE",
        help="make the mask smaller by this share of the face, or larger below 0 (default: -0.02)",
    )
    look.add_argument(
        "--feather", type=share, default=0.04, metavar="SHARE", help="fade its edge out over this share (default: 0.04)"
    )
    look.add_argument(
        "--seamless", action="store_true", help="blend by gradients: the light of the picture, and no edge"
    )
    look.add_argument(
        "--sharpen", type=share, default=0.0, metavar="NUMBER", help="sharpen the face; 0.5 is plain to see"
    )
    look.add_argument("--denoise", type=share, default=0.0, metavar="NUMBER", help="smooth the face, of a range of 1")
    look.add_argument(
        "--smooth",
        type=share,
        default=2.0,
        metavar="FRAMES",
        help="hold the face steady over so many frames (default: 2)",
    )
    marks = swap.add_argument_group("what is written")
    marks.add_argument(
        "--sign-key", type=Path, metavar="KEY.pem", help="sign it, too: a C2PA manifest by this private key"
    )
    marks.add_argument("--sign-certificate", type=Path, metavar="CERTIFICATE.pem", help="the certificate of the key")
    marks.add_argument("--quality", type=share, default=16, help="of a video, x264's crf: 0 is the best (default: 16)")
    marks.add_argument("--preset", default="veryfast", help="of x264, from ultrafast to veryslow (default: veryfast)")
    swap.add_argument("--device", help="cuda, mps or cpu (default: whichever there is)")
    _add_finding(swap, "how the model's faces were cut out (default: what the model says, or else condswap)")
    swap.set_defaults(run=commands.swap, go_on="what is done of a video is kept; give the same command again to go on")


def _add_finding(parser: argparse.ArgumentParser, template: str) -> None:
    finding = parser.add_argument_group("how faces are found")
    finding.add_argument(
        "--detector",
        metavar="FILE",
        help="the weights of YuNet: an .onnx file, or user/name/file.onnx on the Hub (default: OpenCV's, from the Hub)",
    )
    finding.add_argument(
        "--landmarks",
        metavar="FILE",
        help="MediaPipe's face_landmarker.task, for exact masks: a file, or user/name/file.task on the Hub (default: five "
        "points, and the outline of a mean face)",
    )
    finding.add_argument(
        "--smallest", type=share, default=32, metavar="PIXELS", help="leave out smaller faces (default: 32)"
    )
    finding.add_argument("--template", metavar="NAME|FILE.json", help=template)
