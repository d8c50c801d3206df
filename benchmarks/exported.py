"""Frames a second of a live swap on this CPU: the model in PyTorch, and its exported files in onnxruntime, at batch 1.

    python benchmarks/exported.py --out runs/exported

Every way gets the same frames in turn, round after round, and the median of its rounds is printed (Markdown). "8 bits" is the
ONNX file quantised by onnxruntime's own static quantisation (convolutions and products, one scale a channel), and how
far its pictures are from the model's, on average. A DFM paints twice: the swap, and the mask of the face as it was.
"""

import argparse
import time
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from condswap import CGAN, PatchDiscriminator, ToyFaces
from condswap.deepfacelab.archi import Archi
from condswap.export.graphs import OnnxGraph

LIVE = 25  # frames a second


def saehd(size):
    """Build DeepFaceLab's own default, LIAE-UD, of this size."""
    parts = Archi.read("liae-ud").build(size, e=64, a=256, d=64, m=22)
    judge = PatchDiscriminator((3, size, size), num_classes=2)
    return CGAN(*parts, judge, classes=["anna", "bob"], masked_input=False)


MODELS = {
    "default": lambda size: CGAN.default(size, classes=["anna", "bob"]),
    "default, MLP": lambda size: CGAN.default(size, classes=["anna", "bob"], bottleneck="mlp"),
    "paper, MLP": lambda size: CGAN.paper(size, classes=["anna", "bob"]),
    "SAEHD liae-ud": saehd,
}


class Frames(CalibrationDataReader):
    """Frames that the ranges of the numbers are measured on."""

    def __init__(self, frames):
        """Take float32 (n, 3, h, w)."""
        self.left = [{"image": frame[None]} for frame in frames]

    def get_next(self):
        """Give the next one."""
        return self.left.pop() if self.left else None


def session(path, threads):
    """Open a file."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def ways(name, size, folder, threads):
    """Give the ways to swap a frame, as functions of nothing, and how far the 8 bits are off."""
    torch.manual_seed(0)
    model = MODELS[name](size).eval()
    data = ToyFaces(2, image_size=size)
    frames = torch.stack([data[index]["image"] for index in range(32)])
    stem = folder / f"{name.replace(', ', '-').replace(' ', '-')}-{size}"
    model.export_onnx(f"{stem}.onnx", to="bob")
    model.export_dfm(f"{stem}.dfm", to="bob")
    quant_pre_process(f"{stem}.onnx", f"{stem}.pre.onnx")
    quantize_static(
        f"{stem}.pre.onnx",
        f"{stem}.8bit.onnx",
        Frames(frames.numpy()),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["Conv", "MatMul", "Gemm"],
    )
    one = frames[:1]
    single, dfm, small = (session(f"{stem}{end}", threads) for end in (".onnx", ".dfm", ".8bit.onnx"))
    plain = OnnxGraph(model.generator, to="bob", source=None).eval()
    compiled = torch.compile(plain, dynamic=False)
    off = np.abs(small.run(None, {"image": one.numpy()})[0] - single.run(None, {"image": one.numpy()})[0]).mean()
    turned = np.ascontiguousarray(one.numpy().transpose(0, 2, 3, 1)[..., ::-1])
    found = {
        "PyTorch": lambda: plain(one),
        "compiled": lambda: compiled(one),
        "ONNX": lambda: single.run(None, {"image": one.numpy()}),
        "DFM": lambda: dfm.run(None, {"in_face:0": turned}),
        "8 bits": lambda: small.run(None, {"image": one.numpy()}),
    }
    return found, float(off), sum(weight.numel() for weight in model.generator.parameters())


@torch.no_grad()
def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=";".join(MODELS), help="with semicolons between")
    parser.add_argument("--sizes", default="128,224,256")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(given.threads)
    print(
        f"torch {torch.__version__}, onnxruntime {onnxruntime.__version__}, {given.threads} threads, frames a second\n"
    )
    print("| model | px | weights | PyTorch | compiled | ONNX | DFM | 8 bits (mean error) | live at 25 |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in given.models.split(";"):
        for size in map(int, given.sizes.split(",")):
            torch.compiler.reset()
            found, off, weights = ways(name, size, given.out, given.threads)
            times = {way: [] for way in found}
            for way in found.values():
                way()  # the first one compiles, or finds its memory
            for _ in range(given.rounds):
                for way, swap in found.items():
                    count, start = 0, time.perf_counter()
                    while count < 3 or time.perf_counter() - start < 0.5:
                        swap()
                        count += 1
                    times[way].append(count / (time.perf_counter() - start))
            rate = {way: median(all_of_it) for way, all_of_it in times.items()}
            live = ", ".join(way for way in ("ONNX", "DFM", "8 bits") if rate[way] >= LIVE) or "none"
            print(
                f"| {name} | {size} | {weights / 1e6:.1f} M | {rate['PyTorch']:.1f} | {rate['compiled']:.1f} "
                f"| {rate['ONNX']:.1f} | {rate['DFM']:.1f} | {rate['8 bits']:.1f} ({off:.4f}) | {live} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
