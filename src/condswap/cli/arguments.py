"""What can be typed."""

import argparse
from pathlib import Path

import condswap
from condswap.cli import commands
from condswap.cli.footage import add_extract, add_swap
from condswap.cli.kinds import count, export_file, names, target, whole


def parser() -> argparse.ArgumentParser:
    """Build the parser; every command brings the function that runs it, and the words on how to go on after Ctrl-C."""
    program = argparse.ArgumentParser(prog="condswap", description="Label-conditioned face swapping.")
    program.add_argument("--version", action="version", version=f"condswap {condswap.__version__}")
    added = program.add_subparsers(metavar="COMMAND", required=True)
    demo = added.add_parser(
        "demo",
        help="make toy faces, train on them for two minutes, and show the swaps",
        description="Makes toy faces (no data needed), trains a small model on them in about two minutes on two CPU "
        "cores, and writes pictures of what it does, beside the exact swaps that the toy faces know.",
    )
    demo.add_argument("--out", type=Path, default=Path("demo"), help="for the pictures and the model (default: demo)")
    demo.add_argument("--steps", type=count, default=2000, help="steps of training (default: 2000)")
    demo.add_argument("--seed", type=whole, default=0, help="of the training (default: 0)")
    demo.add_argument("--resume", action="store_true", help="go on from where an interrupted demo stopped")
    demo.set_defaults(
        run=commands.demo,
        go_on="the model so far is in {out}/swapper; go on with `condswap demo --out {out} --steps {steps} --resume`",
    )
    add_extract(added)
    _add_doctor(added)
    _add_train(added)
    _add_pack(added)
    add_swap(added)
    _add_evaluate(added)
    _add_export(added)
    _add_import_dfl(added)
    _add_verify(added)
    return program


def _add_doctor(added: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    doctor = added.add_parser(
        "doctor",
        help="find out what is wrong with a folder of faces before training on it",
        description="Looks through FACES for files that cannot be read, copies, blur, bad light, missing masks, pictures of "
        "somebody else, and for poses and lights that one person has and another has not. Changes nothing. The exit status is "
        "1 only where training cannot work.",
    )
    doctor.add_argument("faces", type=Path, metavar="FACES", help="what `condswap train` takes")
    doctor.add_argument("--size", type=count, default=64, help="the side of the pictures in training (default: 64)")
    doctor.add_argument("--classes", type=names, metavar="NAME,NAME", help="the people to look at (default: all)")
    doctor.add_argument(
        "--identity",
        metavar="FILE",
        help="a network that says who is seen, to find pictures of somebody else: an .onnx file, or user/name on the Hub",
    )
    doctor.add_argument("--json", type=Path, metavar="FILE", help="write all of it there as JSON")
    doctor.add_argument("--html", type=Path, metavar="FILE", help="write a page with the pictures to look at")
    doctor.add_argument("--png", type=Path, metavar="FILE", help="write one picture of the pictures to look at")
    doctor.set_defaults(run=commands.doctor, go_on="nothing was changed; run the same command again")


def _add_train(added: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    train = added.add_parser(
        "train",
        help="train a swapper on your own faces",
        description="Trains one model for all the people in FACES, on pictures of their aligned faces, and writes to RUN the "
        "swapper, a picture of its swaps, a report on them and the state to go on from. The last 15 % of every clip are not "
        "trained on; the picture and the report are of them. The same command again goes on with a run that was stopped. "
        "Started by torchrun, several processes share the work.",
    )
    train.add_argument(
        "faces",
        type=Path,
        metavar="FACES",
        help="one folder of faces a person, a workspace of DeepFaceLab's, a faceset.pak, or what `condswap pack` wrote",
    )
    train.add_argument("--out", type=Path, required=True, metavar="RUN", help="the folder for all that is written")
    train.add_argument("--size", type=count, default=64, help="the side of the model's pictures (default: 64)")
    train.add_argument("--steps", type=count, default=4000, help="steps of training, in all (default: 4000)")
    train.add_argument("--batch-size", type=count, default=8, help="pictures a step (default: 8)")
    train.add_argument(
        "--classes", type=names, metavar="NAME,NAME", help="the people to take, in this order (default: all)"
    )
    train.add_argument("--bottleneck", choices=["cross_attention", "mlp"], default="cross_attention")
    train.add_argument(
        "--identity",
        metavar="FILE",
        help="the network that says who is seen, for the report: an .onnx file, or user/name on the Hub",
    )
    train.add_argument("--save-every", type=count, default=500, help="steps between two times of saving (default: 500)")
    train.add_argument("--device", help="cuda, mps or cpu (default: whichever there is)")
    train.add_argument(
        "--precision",
        choices=["float32", "bfloat16"],
        default="float32",
        help="bfloat16 is faster on a GPU, and on a CPU that computes with it (default: float32)",
    )
    train.add_argument(
        "--recompute", action="store_true", help="keep less in memory and compute it twice; for large pictures"
    )
    train.add_argument("--compile", action="store_true", help="compile the steps, which takes a minute or two at first")
    train.add_argument("--workers", type=whole, default=0, help="processes that read pictures (default: 0)")
    train.add_argument("--seed", type=whole, default=0, help="of everything random (default: 0)")
    train.set_defaults(
        run=commands.train, go_on="the swapper so far is in {out}/swapper; give the same command again to go on"
    )


def _add_pack(added: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    pack = added.add_parser(
        "pack",
        help="put many faces into one file that training reads fast",
        description="Decodes all faces of FACES once and writes their pixels to one file, for `condswap train FILE`: nothing "
        "is decoded again, and the file is mapped, not read, into memory. A picture takes 4 bytes a pixel.",
    )
    pack.add_argument("faces", type=Path, metavar="FACES", help="what `condswap train` takes")
    pack.add_argument("file", type=Path, metavar="FILE.safetensors", help="the file to write")
    pack.add_argument("--size", type=count, default=128, help="the side of the pictures (default: 128)")
    pack.add_argument(
        "--classes", type=names, metavar="NAME,NAME", help="the people to take, in this order (default: all)"
    )
    pack.set_defaults(run=commands.pack, go_on="nothing was written; run the same command again")


def _add_evaluate(added: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    evaluate = added.add_parser(
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
    evaluate.add_argument(
        "--landmarks",
        metavar="FILE",
        help="MediaPipe's face_landmarker.task, to measure what is kept of pose and expression: a file, or user/name/file.task "
        "on the Hub",
    )
    evaluate.add_argument("--earlier", metavar="MODEL", help="the same model at an earlier stage, to say what changed")
    evaluate.add_argument("--out", type=Path, metavar="FILE.md", help="write the report there, too")
    evaluate.add_argument("--json", type=Path, metavar="FILE", help="write all the figures there as JSON")
    evaluate.add_argument("--card", action="store_true", help="put the main figures into the card of MODEL, a folder")
    evaluate.add_argument("--limit", type=count, default=512, help="pictures to look at, at most (default: 512)")
    evaluate.set_defaults(run=commands.evaluate, go_on="nothing was written; run the same command again")


def _add_export(added: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    export = added.add_parser(
        "export",
        help="write a model as ONNX, or as DFM for live applications",
        description="Writes one target of a model to a file: OUT.onnx for anything that runs ONNX (input image, outputs "
        "swapped and mask), or OUT.dfm for DeepFaceLive, FaceFusion and VisoMaster. The file is held against the model before "
        "it is written.",
    )
    export.add_argument("model", metavar="MODEL", help="the folder of a saved model, or user/name on the Hub")
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
        "dfl_whole_face)",
    )
    export.set_defaults(run=commands.export, go_on="nothing was written; run the same command again")


def _add_import_dfl(added: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    import_dfl = added.add_parser(
        "import-dfl",
        help="open a model that was trained in DeepFaceLab",
        description="Reads a SAEHD model of DeepFaceLab's, DF or LIAE with any options, without running anything in its files, "
        "and saves it to OUT as a model like any other.",
    )
    import_dfl.add_argument("folder", type=Path, metavar="DIR", help="with NAME_SAEHD_encoder.npy and so on")
    import_dfl.add_argument("out", type=Path, metavar="OUT", help="the folder for the model")
    import_dfl.add_argument("--archi", help="the architecture, such as liae-ud (default: what data.dat says)")
    import_dfl.add_argument("--resolution", type=count, help="the side of the pictures (default: what data.dat says)")
    import_dfl.add_argument("--name", help="of the model, where there are several in DIR")
    import_dfl.add_argument(
        "--classes", type=names, metavar="NAME,NAME", help="what to call src and dst (default: src,dst)"
    )
    import_dfl.set_defaults(run=commands.import_dfl, go_on="nothing was written; run the same command again")


def _add_verify(added: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verify = added.add_parser(
        "verify",
        help="find out whether a file says that a model made what it shows",
        description="Reads the marks of a picture or a video: the IPTC digital source type in its XMP, and its C2PA manifest. "
        "The exit status is 0 where it says that it is synthetic and nothing in it is invalid, and 1 otherwise. That no mark "
        "is found says nothing: any file can lose its marks.",
    )
    verify.add_argument("file", type=Path, metavar="FILE", help="a JPEG, PNG, WebP, MP4 or MOV")
    verify.add_argument(
        "--trust",
        type=Path,
        metavar="CA.pem",
        help="certificates of those who may vouch for who signed a C2PA manifest",
    )
    verify.add_argument("--json", action="store_true", help="print all of it as JSON")
    verify.set_defaults(run=commands.verify, go_on="nothing was changed; run the same command again")
