"""What the ways to blend a swap into a video do to its edge, its steadiness and its likeness.

    python benchmarks/looks.py SWAPPER VIDEO --to CLASS --detector FILE.onnx [--landmarks FILE.task]
        [--identity FILE.onnx --faces FACES] [--sheet SHEET.png]

Of the main person, over the first stretch of frames. The seam is the step of colour across the edge of the face, the flicker
the change between frames that is not steady, both inside the hull of the face as it was and beside the figures of the video
itself; the likeness is the cosine to the mean of the class's pictures in FACES, less that to the person in the video. `--sheet`
shows a few frames of every way.
"""

import argparse
from itertools import islice
from pathlib import Path

import torch
from torch.nn import functional as F

from condswap import CGAN, FaceFolder
from condswap.evaluation import load_identity
from condswap.evaluation.measures import flicker, seam
from condswap.faces import FaceFinder
from condswap.faces.blend import crop
from condswap.faces.hulls import draw_hull, hull_of
from condswap.faces.tracks import fill, follow, steady
from condswap.pictures import save_grid
from condswap.pipeline import FaceSwapper, Look, Wanted
from condswap.pipeline.choose import choose_by_place
from condswap.provenance import Mark
from condswap.templates import TEMPLATES
from condswap.video import probe, read_frames

LOOKS = {
    "colours as painted": Look(colour="none"),
    "mean (the default)": Look(),
    "Lab": Look(colour="lab"),
    "linear": Look(colour="linear"),
    "histogram": Look(colour="histogram"),
    "seamless": Look(colour="none", seamless=True),
    "mask not larger": Look(erode=0.0),
    "mask larger by .04": Look(erode=-0.04),
    "mask of the model": Look(mask="model"),
    "mask of the landmarks": Look(mask="landmarks"),
    "hard edge": Look(feather=0.01),
    "soft edge": Look(feather=0.08),
}
SIDE = 256  # pixels at which it is measured


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("video", type=Path)
    parser.add_argument("--to", required=True)
    parser.add_argument("--detector", required=True)
    parser.add_argument("--landmarks")
    parser.add_argument("--identity")
    parser.add_argument("--faces", type=Path)
    parser.add_argument("--frames", type=int, default=90)
    parser.add_argument("--sheet", type=Path)
    given = parser.parse_args()
    model, info = CGAN.from_pretrained(given.model), probe(given.video)
    frames = [frame.image for frame in islice(read_frames(info), given.frames)]
    with FaceFinder(given.detector, landmarks=given.landmarks) as finder:
        tracks = follow((number, finder.find(frame), False) for number, frame in enumerate(frames))
    track = max(choose_by_place(tracks, "largest", width=info.width), key=lambda one: len(one.frames))
    raw = fill(track)
    track = steady(raw, 2.0)
    frames = frames[track.frames[0] : track.frames[-1] + 1]
    template = TEMPLATES["condswap"]
    matrices = [template.matrix(face.points, SIDE) for face in track.faces]
    masks = torch.stack(
        [draw_hull(hull_of(face, template), matrix, SIDE) for face, matrix in zip(track.faces, matrices, strict=True)]
    )

    def cut(shown):
        return torch.stack([crop(frame, matrix, SIDE) for frame, matrix in zip(shown, matrices, strict=True)])

    picture = cut(frames)
    identity = load_identity(given.identity) if given.identity else None
    if identity is not None:
        faces = FaceFolder(given.faces, image_size=SIDE, classes=[given.to])
        looked = range(0, len(faces), max(1, len(faces) // 60))
        target = F.normalize(identity(torch.stack([faces[at]["image"] for at in looked])).mean(0), dim=0)
        own = F.normalize(identity(picture[::3]).mean(0), dim=0)

    def row(name, shown):
        pixels = cut(shown)
        like = ""
        if identity is not None:
            vectors = identity(pixels[::3])
            like = f" {float((vectors @ target).mean()):.2f} | {float((vectors @ (target - own)).mean()):.2f} |"
        steadiness = float(flicker(pixels, masks).nanmean() / flicker(picture, masks).nanmean())
        print(f"| {name} | {float(seam(pixels, masks).nanmean()):.3f} | {steadiness:.2f} |{like}", flush=True)
        return pixels

    print(f"{given.video.name} as {given.to}, {len(frames)} frames, model of {model.image_shape[1]} px\n")
    print(
        "| look | seam | flicker, times the video's |" + (" likeness | less that to who it was |" if identity else "")
    )
    print("|---|---|---|" + ("---|---|" if identity else ""))
    rows = {"picture": row("the video itself", frames)[:: max(1, len(frames) // 6)][:6]}
    for name, look in LOOKS.items():
        swapper = FaceSwapper(model, to=given.to, look=look)
        known = swapper.stranger([swapper.cut(*pair) for pair in list(zip(frames, track.faces, strict=True))[::3]])
        shown = swapper.swap(frames, [[Wanted(face, known)] for face in track.faces])
        rows[name] = row(name, shown)[:: max(1, len(frames) // 6)][:6]
    for name, sigma in (("points as found", 0.0), ("points smoothed over 4", 4.0)):
        swapper = FaceSwapper(model, to=given.to)
        faces = steady(raw, sigma).faces
        known = swapper.stranger([swapper.cut(*pair) for pair in list(zip(frames, faces, strict=True))[::3]])
        row(name, swapper.swap(frames, [[Wanted(face, known)] for face in faces]))
    if given.sheet:
        save_grid(given.sheet, rows, mark=Mark(), scale=1)


if __name__ == "__main__":
    main()
