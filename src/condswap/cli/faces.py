"""The commands that make and check what is trained on: `condswap extract`, `doctor` and `pack`."""

import argparse
from pathlib import Path

from condswap.cli.finding import add_finding, finder, template
from condswap.cli.kinds import count, names, share
from condswap.cli.outcome import Outcome, add_json, check_places, reasons, tell_left_out
from condswap.cli.parsing import Commands, examples


def add_extract(added: Commands) -> None:
    """Add `condswap extract`."""
    extract = added.add_parser(
        "extract",
        help="cut the faces of a person out of photos and videos, to train on",
        description="Finds faces in photos, videos and folders of them, and writes those of the person who is shown most to "
        "FACES/PERSON: NAME.jpg, its mask NAME.mask.png, and NAME.json, which says where it comes from and how to put it back. "
        "The same command again goes on with a run that was stopped.",
        epilog=examples(
            "extract anna.mp4 photos/ --out faces/anna",
            "extract party.mp4 --out faces/anna --identity face.onnx --everyone",
        ),
    )
    extract.add_argument("given", type=Path, nargs="+", metavar="IN", help="photos, videos, and folders of them")
    taken = extract.add_argument_group("what is taken")
    taken.add_argument(
        "--step",
        type=count,
        default=1,
        metavar="N",
        help="take every so many frames of a video (default: %(default)s, every frame)",
    )
    taken.add_argument(
        "--least-sharp",
        type=share,
        default=0,
        metavar="NUMBER",
        help="leave out faces less sharp than this, by the measure of `condswap doctor` at 128 pixels (default: %(default)s, "
        "none)",
    )
    taken.add_argument(
        "--identity",
        metavar="FILE",
        help="a network that says who is seen, to sort several people: an .onnx file, or user/name on the Hub "
        "(default: the main face of each shot)",
    )
    taken.add_argument(
        "--everyone",
        action="store_true",
        help="write the other people, too, to FACES/PERSON-2, FACES/PERSON-3 and so on",
    )
    add_finding(extract, "how the faces are cut out (default: condswap)")
    written = extract.add_argument_group("what is written")
    written.add_argument(
        "--out", type=Path, required=True, metavar="FACES/PERSON", help="the folder for the faces of this person"
    )
    written.add_argument(
        "--size",
        type=count,
        default=256,
        metavar="PIXELS",
        help="the side of the faces, in pixels (default: %(default)s)",
    )
    add_json(written)
    extract.set_defaults(run=_extract, go_on="give the same command again to go on")


def _extract(given: argparse.Namespace) -> Outcome:
    """Cut faces out of photos and videos."""
    from condswap.evaluation import load_identity
    from condswap.pipeline import extract
    from condswap.pipeline.sources import find_sources
    from condswap.templates import DEFAULT

    find_sources(given.given)  # a wrong name is found out before a network is fetched
    cut = template(given.template or DEFAULT)
    identity = load_identity(given.identity) if given.identity else None
    with finder(given, expression=True) as found:
        made = extract(
            given.given,
            given.out,
            finder=found,
            template=cut,
            image_size=given.size,
            step=given.step,
            least_sharp=given.least_sharp,
            identity=identity,
            everyone=given.everyone,
        )
    tell_left_out(made.unreadable)
    lines = [f"{count} faces in {folder}" for folder, count in made.faces.items()]
    lines += [f"{count} faces {reason} were left out" for reason, count in made.left_out.items() if count]
    lines.append(
        f"Look at them, then: condswap doctor {given.out.parent} and condswap train {given.out.parent} --out RUN\n"
    )
    return Outcome(
        words="\n".join(lines),
        facts={
            "faces": made.faces,
            "size": given.size,
            "faces_left_out": made.left_out,
            "left_out": reasons(made.unreadable),
        },
    )


def add_doctor(added: Commands) -> None:
    """Add `condswap doctor`."""
    doctor = added.add_parser(
        "doctor",
        help="find out what is wrong with a folder of faces before training on it",
        description="Looks through FACES for what makes a training fail or its swaps poor, and prints tables and sentences, "
        "the worst first: files that cannot be read, copies, blur, bad light, missing masks, pictures of somebody else, and "
        "poses and lights that one person has and another has not. Changes nothing. The exit status is 1 only where training "
        "cannot work.",
        epilog=examples("doctor faces/", "doctor faces/ --identity face.onnx --html page.html"),
    )
    doctor.add_argument("faces", type=Path, metavar="FACES", help="what `condswap train` takes")
    doctor.add_argument(
        "--size",
        type=count,
        default=64,
        metavar="PIXELS",
        help="the side of the pictures in training (default: %(default)s)",
    )
    doctor.add_argument("--classes", type=names, metavar="NAME,NAME", help="the people to look at (default: all)")
    doctor.add_argument(
        "--identity",
        metavar="FILE",
        help="a network that says who is seen, to find pictures of somebody else: an .onnx file, or user/name on the Hub",
    )
    written = doctor.add_argument_group("what is written")
    written.add_argument("--html", type=Path, metavar="FILE", help="write a page with the pictures to look at")
    written.add_argument("--png", type=Path, metavar="FILE", help="write one picture of the pictures to look at")
    add_json(written, "all of it")
    doctor.set_defaults(run=_doctor, go_on="nothing was changed; run the same command again")


def _doctor(given: argparse.Namespace) -> Outcome:
    """Look through faces; the status is 1 where training on them cannot work."""
    from condswap.data.doctor import examine
    from condswap.data.doctor.sheet import save_page, save_sheet
    from condswap.evaluation import load_identity

    check_places([given.html, given.png])
    found = examine(
        given.faces,
        image_size=given.size,
        classes=given.classes,
        identity=load_identity(given.identity) if given.identity else None,
    )
    if given.html:
        save_page(found, given.html)
    if given.png:
        save_sheet(found, given.png)
    return Outcome(words=found.to_text(), facts=found.to_dict(), status=0 if found.can_train else 1)


def add_pack(added: Commands) -> None:
    """Add `condswap pack`."""
    pack = added.add_parser(
        "pack",
        help="put many faces into one file that training reads fast",
        description="Decodes all faces of FACES once and writes their pixels to one file, for `condswap train FILE`: nothing "
        "is decoded again, and the file is mapped, not read, into memory. A picture takes 4 bytes a pixel.",
        epilog=examples("pack faces/ faces.safetensors --size 128", "train faces.safetensors --size 128 --out run/"),
    )
    pack.add_argument("faces", type=Path, metavar="FACES", help="what `condswap train` takes")
    pack.add_argument("file", type=Path, metavar="FILE.safetensors", help="the file to write")
    pack.add_argument(
        "--size", type=count, default=128, metavar="PIXELS", help="the side of the pictures (default: %(default)s)"
    )
    pack.add_argument(
        "--classes", type=names, metavar="NAME,NAME", help="the people to take, in this order (default: all)"
    )
    add_json(pack)
    pack.set_defaults(run=_pack, go_on="nothing was written; run the same command again")


def _pack(given: argparse.Namespace) -> Outcome:
    """Put faces into one file."""
    from condswap.data import PackedFaces, pack

    check_places([given.file])
    left_out = pack(given.faces, given.file, image_size=given.size, classes=given.classes)
    tell_left_out(left_out)
    data = PackedFaces(given.file)
    return Outcome(
        words=f"{len(data)} pictures of {', '.join(data.classes)} in {given.file}\n"
        f"Train on them: condswap train {given.file} --size {given.size} --out RUN\n",
        facts={
            "file": given.file,
            "bytes": given.file.stat().st_size,
            "pictures": len(data),
            "classes": data.classes,
            "size": data.image_size,
            "left_out": reasons(left_out),
        },
    )
