"""The commands that exchange models with other programs: `condswap export` and `import-dfl`."""

import argparse
from pathlib import Path

import torch

from condswap.cli.kinds import add_model, count, export_file, names, target
from condswap.cli.outcome import Outcome, add_json, check_places
from condswap.cli.parsing import Commands, examples

_OF_A_STRANGER = 64  # pictures that are looked at, about


def add_export(added: Commands) -> None:
    """Add `condswap export`."""
    export = added.add_parser(
        "export",
        help="write a model as ONNX, or as DFM for live applications",
        description="Writes one target of a model to a file: OUT.onnx for anything that runs ONNX (input image, outputs "
        "swapped and mask), or OUT.dfm for DeepFaceLive, FaceFusion and VisoMaster. The file is held against the model before "
        "it is written.",
        epilog=examples("export run/swapper --to bob bob.dfm", "export run/swapper --to bob=0.7,anna=0.3 both.onnx"),
    )
    add_model(export)
    export.add_argument(
        "--to", type=target, required=True, metavar="CLASS", help="whom to show, or a blend: anna=0.7,bob=0.3"
    )
    export.add_argument("file", type=export_file, metavar="OUT.onnx|OUT.dfm", help="the file to write")
    seen = export.add_mutually_exclusive_group()
    seen.add_argument(
        "--source", metavar="CLASS", help="who will be in the pictures (default: guessed in every picture)"
    )
    seen.add_argument(
        "--stranger",
        type=Path,
        metavar="FACES/PERSON",
        help="a folder of faces of who will be in the pictures, when that is none of the classes; what is typical of them "
        "goes into the file",
    )
    export.add_argument(
        "--morph",
        action="store_true",
        help="give OUT.dfm the input morph_value, from 0, the person in the picture, to 1, the target",
    )
    export.add_argument(
        "--crop",
        metavar="NAME",
        default="dfl_whole_face",
        help="how the application of OUT.dfm cuts faces out: dfl_whole_face, facefusion, deepfacelive, ... (default: "
        "%(default)s)",
    )
    add_json(export)
    export.set_defaults(run=_export, go_on="nothing was written; run the same command again")


def _export(given: argparse.Namespace) -> Outcome:
    """Write a model as ONNX or DFM."""
    from condswap.cgan import CGAN
    from condswap.data import FaceFolder
    from condswap.errors import ConfigError

    dfm = given.file.suffix == ".dfm"
    if given.morph and not dfm:
        raise ConfigError("--morph is an input of DFM files; give OUT.dfm, or export a blend: --to anna=0.7,bob=0.3")
    check_places([given.file])
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
    size = given.file.stat().st_size
    return Outcome(
        words=f"{given.file}, {size / 2**20:.1f} MiB, gives what the model gives\n",
        facts={"file": given.file, "bytes": size, "to": given.to, "size": model.image_shape[1]},
    )


def add_import_dfl(added: Commands) -> None:
    """Add `condswap import-dfl`."""
    import_dfl = added.add_parser(
        "import-dfl",
        help="open a model that was trained in DeepFaceLab",
        description="Reads a SAEHD model of DeepFaceLab's, DF or LIAE with any options, without running anything in its files, "
        "and saves it to OUT as a model like any other.",
        epilog=examples("import-dfl workspace/model swapper", "import-dfl workspace/model swapper --classes anna,bob"),
    )
    import_dfl.add_argument("folder", type=Path, metavar="DIR", help="the folder with NAME_SAEHD_encoder.npy and so on")
    import_dfl.add_argument("out", type=Path, metavar="OUT", help="the folder for the model")
    import_dfl.add_argument(
        "--archi", metavar="NAME", help="the architecture, such as liae-ud (default: what data.dat says)"
    )
    import_dfl.add_argument(
        "--resolution",
        type=count,
        metavar="PIXELS",
        help="the side of the pictures (default: what data.dat says, or the weights)",
    )
    import_dfl.add_argument("--name", metavar="NAME", help="of the model, where there are several in DIR")
    import_dfl.add_argument(
        "--classes",
        type=names,
        default="src,dst",
        metavar="NAME,NAME",
        help="what to call src and dst (default: %(default)s)",
    )
    add_json(import_dfl)
    import_dfl.set_defaults(run=_import_dfl, go_on="nothing was written; run the same command again")


def _import_dfl(given: argparse.Namespace) -> Outcome:
    """Open a model of DeepFaceLab's and save it as one of ours."""
    from condswap.deepfacelab import load_saehd

    model = load_saehd(
        given.folder, archi=given.archi, resolution=given.resolution, name=given.name, classes=given.classes
    )
    model.save_pretrained(given.out)
    said = ", ".join(f"{name}: {value}" for name, value in model.history.items())
    return Outcome(
        words=f"{said}; {model.image_shape[1]} px\n"
        f'The model: CGAN.from_pretrained("{given.out}"), whose swap to {model.classes[0]!r} is what DeepFaceLab merges\n',
        facts={
            "model": given.out,
            "classes": model.classes,
            "size": model.image_shape[1],
            "history": model.history,
        },
    )
