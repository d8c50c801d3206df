"""`condswap swap`."""

import argparse
from pathlib import Path

from condswap.cli.finding import add_finding, finder, template
from condswap.cli.kinds import add_device, add_model, number, quality, share, target
from condswap.cli.outcome import Outcome, add_json, check_places, reasons, tell_left_out
from condswap.cli.parsing import Commands, examples
from condswap.progress import say
from condswap.video.parts import PRESETS

_SHOWN = 10  # files that are named, at most


def add_swap(added: Commands) -> None:
    """Add `condswap swap`."""
    swap = added.add_parser(
        "swap",
        help="swap the faces in a photo, a video or a folder of them",
        description="Finds the face in INPUT, shows it as CLASS, blends it back, and writes OUT, marked as what it is: a "
        "picture with a face that was made by a model. A video keeps its sound and its times. The same command again goes on "
        "where it was stopped.\n\n"
        "What of a folder has no face is copied as it is. A photo with its mask beside it, as `condswap extract` writes them, "
        "and what is of exactly the model's size are taken for aligned faces, and nothing is searched.",
        epilog=examples(
            "swap run/swapper clip.mp4 --to bob --out out.mp4 --preview sheet.png",
            "swap run/swapper clip.mp4 --to bob --out out.mp4",
            "swap run/swapper photos/ --to bob=0.7,anna=0.3 --out out/",
        ),
    )
    add_model(swap)
    swap.add_argument("given", type=Path, metavar="INPUT", help="a photo, a video, or a folder of them")
    _add_people(swap.add_argument_group("who"))
    add_finding(swap, "how the model's faces were cut out (default: what the model says, or else condswap)")
    _add_look(swap.add_argument_group("how it looks"))
    _add_written(swap.add_argument_group("what is written"))
    add_device(swap)
    swap.set_defaults(run=_swap, go_on="what is done of a video is kept; give the same command again to go on")


def _add_people(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--to", type=target, required=True, metavar="CLASS", help="whom to show, or a blend: anna=0.7,bob=0.3"
    )
    group.add_argument(
        "--source",
        metavar="CLASS",
        help="who is in the pictures, where that is a class of the model (default: got to know, or guessed)",
    )
    group.add_argument(
        "--only",
        default="largest",
        metavar="WHO",
        help="whose face: largest, left, centre, right, all, or a photo of the person, with --identity (default: "
        "%(default)s, which is the main person)",
    )
    group.add_argument(
        "--identity", metavar="FILE", help="a network that says who is seen: an .onnx file, or user/name on the Hub"
    )


def _add_look(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--colour",
        choices=["mean", "lab", "linear", "histogram", "none"],
        default="mean",
        help="how the colours follow the picture (default: %(default)s, its mean and deviation)",
    )
    group.add_argument(
        "--mask",
        choices=["both", "model", "landmarks"],
        default="both",
        help="what is pasted: where the model painted a face, inside the landmarks, or both (default: %(default)s)",
    )
    group.add_argument(
        "--erode",
        type=number,
        default=-0.02,
        metavar="SHARE",
        help="make the mask smaller by this share of the face, or larger below 0 (default: %(default)s)",
    )
    group.add_argument(
        "--feather",
        type=share,
        default=0.04,
        metavar="SHARE",
        help="fade its edge out over this share (default: %(default)s)",
    )
    group.add_argument(
        "--seamless", action="store_true", help="blend by gradients: the light of the picture, and no edge"
    )
    group.add_argument(
        "--sharpen",
        type=share,
        default=0,
        metavar="NUMBER",
        help="sharpen the face; 0.5 is plain to see (default: %(default)s)",
    )
    group.add_argument(
        "--denoise",
        type=share,
        default=0,
        metavar="NUMBER",
        help="smooth the face, of a range of 1 (default: %(default)s)",
    )
    group.add_argument(
        "--smooth",
        type=share,
        default=2,
        metavar="FRAMES",
        help="hold the face steady over so many frames (default: %(default)s)",
    )


def _add_written(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="OUT",
        help="the file to write: .jpg, .png or .webp, .mp4 or .mov; or a folder for a folder",
    )
    group.add_argument(
        "--preview",
        type=Path,
        metavar="FILE.png",
        help="write a sheet of a few moments, before and after, and stop there",
    )
    group.add_argument(
        "--sign-key", type=Path, metavar="FILE.pem", help="sign it, too: a C2PA manifest by this private key"
    )
    group.add_argument("--sign-certificate", type=Path, metavar="FILE.pem", help="the certificate of the key")
    group.add_argument(
        "--quality",
        type=quality,
        default=16,
        metavar="NUMBER",
        help="of a video, x264's crf: 0 is the best (default: %(default)s)",
    )
    group.add_argument(
        "--preset",
        choices=PRESETS,
        default="veryfast",
        metavar="NAME",
        help="of x264, from ultrafast to veryslow (default: %(default)s)",
    )
    add_json(group)


def _swap(given: argparse.Namespace) -> Outcome:
    """Swap the faces in photos and videos."""
    from condswap.cgan import CGAN
    from condswap.errors import ConfigError
    from condswap.evaluation import load_identity
    from condswap.pipeline import Look, Signature, Swapping
    from condswap.training.devices import choose_device

    if (given.sign_key is None) != (given.sign_certificate is None):
        raise ConfigError("a signature takes both --sign-key and --sign-certificate")
    check_places([given.preview])
    look = Look(
        mask=given.mask,
        erode=given.erode,
        feather=given.feather,
        colour=given.colour,
        seamless=given.seamless,
        sharpen=given.sharpen,
        denoise=given.denoise,
    )
    with Swapping(
        CGAN.from_pretrained(given.model, device=choose_device(given.device)),
        to=given.to,
        finder=lambda: finder(given),
        source=given.source,
        only=given.only,
        identity=load_identity(given.identity) if given.identity else None,
        look=look,
        template=template(given.template) if given.template else None,
        smooth=given.smooth,
        signature=Signature(key=given.sign_key, certificate=given.sign_certificate) if given.sign_key else None,
        preset=given.preset,
        quality=given.quality,
    ) as swapping:
        if given.preview:
            count = swapping.preview(given.given, given.out, given.preview)
            return Outcome(
                words=f"{count} moment{'s' * (count != 1)} in {given.preview}; without --preview all of it is swapped\n",
                facts={"preview": given.preview, "moments": count},
            )
        made = swapping.swap(given.given, given.out)
    tell_left_out(made.unreadable)
    for what in made.lacking:
        say(what)
    lines = []
    if made.untouched:
        lines.append(f"{len(made.untouched)} files without a face that was meant were copied as they are")
    lines += [f"{file}, marked as made by a model: condswap verify {file}" for file in made.files[:_SHOWN]]
    if len(made.files) > _SHOWN:
        lines.append(f"... and {len(made.files) - _SHOWN} more in {given.out}")
    return Outcome(
        words="\n".join([*lines, ""]),
        facts={
            "files": made.files,
            "untouched": made.untouched,
            "left_out": reasons(made.unreadable),
            "lacking": made.lacking,
        },
    )
