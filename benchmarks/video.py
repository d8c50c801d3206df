"""What each stage of `condswap swap` costs on this machine, frame by frame, and how fast the whole is.

    python benchmarks/video.py VIDEO --detector FILE.onnx [--landmarks FILE.task] [--model FOLDER | --size 256]

Every stage is run alone on the same frames, three times in turn, and the fastest is printed: the machine is shared, and
what is slower was disturbed. "All cores" is the time that the cores spent on it, which counts where the stages overlap; set
OMP_WAIT_POLICY=passive, or cores that wait for PyTorch are counted as busy. The network is that of `CGAN.default` with fresh
weights unless a model is given.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from condswap import CGAN
from condswap.faces.blend import crop, erode, feather, mask_of, paste
from condswap.faces.colour import match_mean
from condswap.faces.find import FaceFinder
from condswap.faces.hulls import draw_hull, hull_of
from condswap.generator import evaluating
from condswap.pipeline import FaceSwapper, Swapping
from condswap.pipeline.search import thumbnail
from condswap.provenance import Mark, mark_file
from condswap.video import join, probe, read_frames, write_parts

_ROUNDS = 3


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--detector", required=True)
    parser.add_argument("--landmarks")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--frames", type=int, default=96)
    given = parser.parse_args()
    if given.model:
        model = CGAN.from_pretrained(given.model)
    else:
        torch.manual_seed(0)
        model = CGAN.default(given.size, classes=["anna", "bob"]).eval()
    info = probe(given.video)
    frames = list(read_frames(info, stop=given.frames))
    with FaceFinder(given.detector, landmarks=given.landmarks) as finder:
        found = [finder.find(frame.image)[:1] for frame in frames]
        table = stages(model, info, frames, found, finder, has_mesh=bool(given.landmarks))
    count = len(frames)
    print(f"{given.video.name}, {info.width} x {info.height}, {count} frames; model of {model.image_shape[1]} px;")
    print(f"{torch.get_num_threads()} threads")
    table["**all but the network**"] = tuple(
        sum(one[which] for name, one in table.items() if name != "network") for which in (0, 1)
    )
    network = table["network"]
    print("\n| stage | ms a frame | of the network's | ms of all cores | of the network's |\n|---|---|---|---|---|")
    for name, taken in table.items():
        cells = [f"{1000 * one / count:.1f} | {one / own:.0%}" for one, own in zip(taken, network, strict=True)]
        print(f"| {name} | {' | '.join(cells)} |")
    whole(model, given)


def stages(model, info, frames, found, finder, *, has_mesh) -> dict[str, tuple[float, float]]:
    """Give the seconds of each stage for all the frames: of the clock, and of all cores together."""
    swapper = FaceSwapper(model, to=model.classes[-1])
    size, template = swapper.size, swapper.template
    shown = [(frame.image, faces[0]) for frame, faces in zip(frames, found, strict=True) if faces]
    matrices = [template.matrix(face.points, size) for _, face in shown]
    cuts = [crop(image, matrix, size) for (image, _), matrix in zip(shown, matrices, strict=True)]
    hulls = [
        draw_hull(hull_of(face, template), matrix, size) for (_, face), matrix in zip(shown, matrices, strict=True)
    ]
    image, hull = torch.stack(cuts), torch.stack(hulls)
    with torch.no_grad(), evaluating(model):
        face = model.generator(image[:8], model.classes[-1], None, hull[:8])
    painted, mask = face.image.repeat(len(image) // 8 + 1, 1, 1, 1)[: len(image)], hull
    folder = Path(tempfile.mkdtemp())
    look = swapper.look

    def network() -> None:
        with torch.no_grad(), evaluating(model):
            for part, own in zip(image.split(8), hull.split(8), strict=True):
                model.generator(part, model.classes[-1], None, own)

    def blend() -> None:
        for part, own, new in zip(image.split(8), hull.split(8), painted.split(8), strict=True):
            region = mask_of(own, own, look.mask)
            feather(erode(region, round(look.erode * size)), round(look.feather * size))
            match_mean(new, part, region)

    def encode() -> None:
        for old in folder.glob("*"):
            old.unlink()
        parts.extend(write_parts(folder, frames, like=info, preset="veryfast", crf=16))

    def finish() -> None:
        join(parts[-1:], info, folder / "out.mp4")
        mark_file(folder / "out.mp4", Mark())

    parts: list[Path] = []
    work: dict[str, Callable[[], object]] = {
        "decode": lambda: [None for _ in read_frames(info, stop=len(frames))],
        "find (YuNet, and cuts)": lambda: [(finder.detect(frame.image), thumbnail(frame.image)) for frame in frames],
        "cut out, and draw the hull": lambda: [
            (crop(image, matrix, size), draw_hull(hull_of(face, template), matrix, size))
            for (image, face), matrix in zip(shown, matrices, strict=True)
        ],
        "network": network,
        "mask and colours": blend,
        "paste": lambda: [
            paste(image, new, own, matrix)
            for (image, _), new, own, matrix in zip(shown, painted, mask, matrices, strict=True)
        ],
        "encode": encode,
        "join and mark": finish,
    }
    if finder is not None:
        work["mesh (MediaPipe, of one face)"] = lambda: [finder.refine([face], image) for image, face in shown]
    best = dict.fromkeys(work, (float("inf"), float("inf")))
    for _ in range(_ROUNDS):
        for name, run in work.items():
            wall, processor = time.perf_counter(), time.process_time()
            run()
            taken = time.perf_counter() - wall, time.process_time() - processor
            best[name] = min(best[name], taken)
    return best


def whole(model: CGAN, given: argparse.Namespace) -> None:
    """Print how fast the command is, search and swap together."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        open_finder = lambda: FaceFinder(given.detector, landmarks=given.landmarks)  # noqa: E731
        with Swapping(model, to=model.classes[-1], finder=open_finder) as swapping:
            swapping.swap(given.video, Path(folder) / "out.mp4")
        seconds = time.perf_counter() - began
        count = probe(given.video).frame_count
    print(f"\nThe whole command: {count} frames in {seconds:.1f} s, {count / seconds:.1f} a second")


if __name__ == "__main__":
    main()
