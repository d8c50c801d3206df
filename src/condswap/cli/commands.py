"""What each command does: the call of the library, and the words about what came of it."""

import argparse
import json
import sys

import torch

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
    )
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
        model.export_dfm(given.file, to=given.to, source=source, morph=given.morph)
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
