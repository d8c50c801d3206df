"""Whether exported files run in an old onnxruntime, in two steps, since it needs an old Python.

    python benchmarks/old_runtime.py write FILES        # here: exports models, with pictures and what PyTorch gives for them
    python3.9 benchmarks/old_runtime.py read FILES      # there: numpy and onnxruntime==1.11.0 are all that it needs

Prints a table (Markdown) of how far the results are apart.
"""

import sys
from pathlib import Path

import numpy as np


def write(folder):
    """Export one model of each kind."""
    import torch

    from condswap import CGAN, PatchDiscriminator
    from condswap.deepfacelab.archi import Archi

    def saehd(archi, size):
        parts = Archi.read(archi).build(size, e=16, a=64, d=16, m=6)
        judge = PatchDiscriminator((3, size, size), num_classes=2)
        return CGAN(*parts, judge, classes=["anna", "bob"], masked_input=False)

    folder.mkdir(parents=True, exist_ok=True)
    for size in (64, 128):
        for name, model in (
            ("default", CGAN.default(size, classes=["anna", "bob", "carl"])),
            ("mlp", CGAN.default(size, classes=["anna", "bob"], bottleneck="mlp")),
            ("paper", CGAN.paper(size, classes=["anna", "bob"])),
            ("df-udt", saehd("df-udt", size)),
            ("liae-ud", saehd("liae-ud", size)),
        ):
            model.eval()
            image = torch.rand(3, 3, size, size)
            with torch.no_grad():
                face = model.generator(image, "bob")
            stem = f"{name}-{size}"
            model.export_onnx(folder / f"{stem}.onnx", to="bob")
            np.savez(folder / f"{stem}.onnx.npz", given=image.numpy(), wanted=face.image.numpy())
            model.export_dfm(folder / f"{stem}.dfm", to="bob", morph=model.generator.decoder.blends, source="anna")
            with torch.no_grad():
                face = model.generator(image, "bob", "anna")
            turned = [one.movedim(1, -1).flip(-1).numpy() for one in (image, face.image)]
            np.savez(folder / f"{stem}.dfm.npz", given=turned[0], wanted=turned[1])


def read(folder):
    """Run every file and compare."""
    import onnxruntime

    print(
        f"onnxruntime {onnxruntime.__version__}, Python {sys.version.split()[0]}\n\n| file | pictures | apart |\n|---|---|---|"
    )
    for stored in sorted(folder.glob("*.npz")):
        kept = np.load(stored)
        run = onnxruntime.InferenceSession(str(stored.with_suffix("")), providers=["CPUExecutionProvider"])
        for count in (1, len(kept["given"])):
            given = {run.get_inputs()[0].name: kept["given"][:count]}
            for one in run.get_inputs()[1:]:
                given[one.name] = np.ones(1, np.float32)
            shown = run.run(None, given)[1 if stored.stem.endswith(".dfm") else 0]
            apart = np.abs(shown - kept["wanted"][:count]).max()
            print(f"| {stored.stem} | {count} | {apart:.1e} |")
            if not apart <= 1e-5:
                sys.exit(f"{stored.stem} gives something else")


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[1]](Path(sys.argv[2]))
