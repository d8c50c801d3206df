"""What each command does: the call of the library, and the words about what came of it."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from condswap.faces.find import FaceFinder
    from condswap.templates import Template

_OF_A_STRANGER = 64  # pictures that are looked at, about


def doctor(given: argparse.Namespace) -> int:
    """Look through faces; the result is 1 where training on them cannot work."""
    from condswap.data.doctor import examine
    from condswap.data.doctor.sheet import save_page, save_sheet
    from condswap.evaluation import load_identity
    from condswap.files import write_atomically

    found = examine(
        given.faces,
        image_size=given.size,
        classes=given.classes,
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


def train(given: argparse.Namespace) -> None:
    """Train a swapper on faces."""
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
    )
    if made is None:  # the first of several processes says what came of it
        return
    sys.stdout.write(
        f"{made.report.verdict}\n"
        f"Look at   {made.swaps}\n"
        f"and read  {made.report_file}\n"
        f'The model: CGAN.from_pretrained("{made.model}")\n'
    )


def pack(given: argparse.Namespace) -> None:
    """Put faces into one file."""
    from condswap.data import PackedFaces, pack

    left_out = pack(given.faces, given.file, image_size=given.size, classes=given.classes)
    for path, reason in left_out:
        sys.stderr.write(f"left out {path}: {reason}\n")
    data = PackedFaces(given.file)
    sys.stdout.write(
        f"{len(data)} pictures of {', '.join(data.classes)} in {given.file}\n"
        f"Train on them: condswap train {given.file} --size {given.size} --out RUN\n"
    )


def evaluate(given: argparse.Namespace) -> None:
    """Measure a model."""
    from condswap.evaluation import command

    report = command.run(
        given.model,
        given.faces,
        known=given.known,
        identity=given.identity,
        landmarks=given.landmarks,
        earlier=given.earlier,
        out=given.out,
        as_json=given.json,
        card=given.card,
        limit=given.limit,
    )
    sys.stdout.write(report)


def demo(given: argparse.Namespace) -> None:
    """Train on toy faces and show the swaps."""
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


def export(given: argparse.Namespace) -> None:
    """Write a model as ONNX or DFM."""
    from condswap.cgan import CGAN
    from condswap.data import FaceFolder
    from condswap.errors import ConfigError

    dfm = given.file.suffix == ".dfm"
    if given.morph and not dfm:
        raise ConfigError("--morph is an input of DFM files; give OUT.dfm, or export a blend: --to anna=0.7,bob=0.3")
    model = CGAN.from_pretrained(given.model)
    source = given.source
    if given.stranger:
        person = given.stranger.resolve()
        faces = FaceFolder(person.parent, image_size=model.image_shape[1], classes=[person.name])
        every = max(1, len(faces) // _OF_A_STRANGER)
        source = model.stranger(torch.stack([faces[index]["image"] for index in range(0, len(faces), every)]))
    if dfm:
        model.export_dfm(given.file, to=given.to, source=source, morph=given.morph, crop=given.crop)
    else:
        model.export_onnx(given.file, to=given.to, source=source)
    sys.stdout.write(f"{given.file}, {given.file.stat().st_size / 2**20:.1f} MiB, gives what the model gives\n")


def import_dfl(given: argparse.Namespace) -> None:
    """Open a model of DeepFaceLab's and save it as one of ours."""
    from condswap.deepfacelab import load_saehd

    classes = given.classes or ["src", "dst"]
    model = load_saehd(given.folder, archi=given.archi, resolution=given.resolution, name=given.name, classes=classes)
    model.save_pretrained(given.out)
    said = ", ".join(f"{name}: {value}" for name, value in model.history.items())
    sys.stdout.write(
        f"{said}; {model.image_shape[1]} px\n"
        f'The model: CGAN.from_pretrained("{given.out}"), whose swap to {model.classes[0]!r} is what DeepFaceLab merges\n'
    )


def verify(given: argparse.Namespace) -> int:
    """Read the marks of a file; the result is 0 where it says that it is synthetic and nothing is invalid."""
    from condswap.provenance import verify

    found = verify(given.file, trust=given.trust)
    sys.stdout.write(json.dumps(found.to_dict(), indent=2) + "\n" if given.json else found.to_text())
    return 0 if found.synthetic and not found.invalid else 1


def extract(given: argparse.Namespace) -> None:
    """Cut faces out of photos and videos."""
    from condswap.evaluation import load_identity
    from condswap.pipeline import extract
    from condswap.templates import DEFAULT

    with _finder(given, expression=True) as finder:
        made = extract(
            given.given,
            given.out,
            finder=finder,
            template=_template(given.template or DEFAULT),
            image_size=given.size,
            step=given.step,
            least_sharp=given.least_sharp,
            identity=load_identity(given.identity) if given.identity else None,
            everyone=given.everyone,
        )
    _tell(made.unreadable)
    for folder, count in made.faces.items():
        sys.stdout.write(f"{count} faces in {folder}\n")
    for reason, count in made.left_out.items():
        if count:
            sys.stdout.write(f"{count} faces {reason} were left out\n")
    sys.stdout.write(
        f"Look at them, then: condswap doctor {given.out.parent} and condswap train {given.out.parent} --out RUN\n"
    )


def swap(given: argparse.Namespace) -> None:
    """Swap the faces in photos and videos."""
    from condswap.cgan import CGAN
    from condswap.errors import ConfigError
    from condswap.evaluation import load_identity
    from condswap.pipeline import Look, Signature, Swapping
    from condswap.training.devices import choose_device

    if (given.sign_key is None) != (given.sign_certificate is None):
        raise ConfigError("a signature takes both --sign-key and --sign-certificate")
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
        finder=lambda: _finder(given),
        source=given.source,
        only=given.only,
        identity=load_identity(given.identity) if given.identity else None,
        look=look,
        template=_template(given.template) if given.template else None,
        smooth=given.smooth,
        signature=Signature(key=given.sign_key, certificate=given.sign_certificate) if given.sign_key else None,
        preset=given.preset,
        quality=given.quality,
    ) as swapping:
        if given.preview:
            count = swapping.preview(given.given, given.out, given.preview)
            sys.stdout.write(f"{count} moments in {given.preview}; without --preview all of it is swapped\n")
            return
        made = swapping.swap(given.given, given.out)
    _tell(made.unreadable)
    for what in made.lacking:
        sys.stderr.write(f"{what}\n")
    if made.untouched:
        sys.stdout.write(f"{len(made.untouched)} files without a face that was meant were copied as they are\n")
    for file in made.files[:10]:
        sys.stdout.write(f"{file}, marked as made by a model: condswap verify {file}\n")
    if len(made.files) > 10:
        sys.stdout.write(f"... and {len(made.files) - 10} more in {given.out}\n")


def _finder(given: argparse.Namespace, *, expression: bool = False) -> "FaceFinder":
    from condswap.faces.find import DETECTOR, FaceFinder

    detector = given.detector or DETECTOR
    return FaceFinder(detector, landmarks=given.landmarks, expression=expression, smallest=given.smallest)


def _template(given: str) -> "Template":
    """Give the template of that name, or that a JSON file describes."""
    from condswap.errors import DataError
    from condswap.templates import Template

    if not given.endswith(".json"):
        return Template.from_config(given)
    try:
        return Template.from_config(json.loads(Path(given).read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"cannot use {given} as a crop template: {error}") from error


def _tell(unreadable: Sequence[tuple[Path, str]]) -> None:
    for path, reason in unreadable:
        sys.stderr.write(f"left out {path}: {reason}\n")
