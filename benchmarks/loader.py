"""How many pictures a second the ways of reading faces give, on one core and on two.

    python benchmarks/loader.py --out loader.json

Draws toy faces, writes them as DeepFaceLab writes faces (JPEGs of 256 pixels with landmarks inside), and reads batches of
32, shuffled, at 128 and 256 pixels:

- packed: `PackedFaces`, pixels mapped from one file.
- in memory: `FaceFolder`, whose cache holds all of them.
- decoded: `FaceFolder` without a cache: each JPEG is decoded each time, and its mask drawn from its landmarks.
- Pillow alone: opened, resized, made a tensor and stacked, without any mask.
- byte by byte: as the project that this one descends from did it, a Python loop over the bytes of a file that looks for
  the segment with the landmarks, and Pillow for the pixels.

The sides take turns, so that a busy machine is busy for all. Prints a table (Markdown).
"""

import argparse
import json
import statistics
import tempfile
import time
from io import BytesIO
from pathlib import Path

import torch
from einops import rearrange
from PIL import Image as Pillow
from torch.utils.data import DataLoader, Dataset, default_collate

from condswap import FaceFolder, ToyFaces
from condswap.data import PackedFaces, pack
from condswap.jpeg import APP15, replace_segment
from condswap.safe_pickle import dumps
from condswap.training.loader import batches

BATCH = 32


def write_faces(root: Path, count: int) -> None:
    """Write toy faces as DeepFaceLab would, with 68 points around the mask for landmarks."""
    faces = ToyFaces(2, image_size=256, seed=0, length=64)
    angle = torch.linspace(0, 6.28, 68)
    points = torch.stack((128 + 70 * angle.cos(), 140 + 90 * angle.sin()), 1).tolist()
    payload = dumps({"face_type": "whole_face", "landmarks": points, "source_filename": "00001.png"})
    for name in faces.classes:
        (root / name).mkdir(parents=True)
    for index in range(count):
        item = faces[index % len(faces)]
        pixels = rearrange((item["image"] * 255).byte(), "c h w -> h w c").contiguous()
        stream = BytesIO()
        Pillow.frombytes("RGB", (256, 256), pixels.numpy().tobytes()).save(stream, "JPEG", quality=95)
        name = faces.classes[item["label"]]
        (root / name / f"{index:05}.jpg").write_bytes(replace_segment(stream.getvalue(), APP15, payload))


class ByPillow(Dataset):
    """What a person writes first: open, resize, to a tensor."""

    def __init__(self, paths: list[Path], size: int) -> None:
        self.paths, self.size = paths, size

    def __len__(self) -> int:
        """Count the pictures."""
        return len(self.paths)

    def __getitem__(self, index: int) -> dict:
        """Decode one."""
        with Pillow.open(self.paths[index]) as picture:
            picture = picture.convert("RGB").resize((self.size, self.size), Pillow.Resampling.LANCZOS)
        pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
        image = rearrange(pixels, "(h w c) -> c h w", h=self.size, w=self.size).float() / 255
        return {"image": image, "mask": torch.ones(1, self.size, self.size), "label": 0}


class ByteByByte(ByPillow):
    """The same after a loop over all bytes of the file, which looks for the segment with the landmarks."""

    def __getitem__(self, index: int) -> dict:
        """Look for the landmarks, then decode."""
        data = self.paths[index].read_bytes()
        found, place = b"", 0
        while place < len(data) - 1:
            if data[place] == 0xFF and data[place + 1] == APP15:
                length = data[place + 2] * 256 + data[place + 3]
                found = data[place + 4 : place + 2 + length]
                place += length
            place += 1
        if not found:
            raise ValueError("no landmarks")
        return super().__getitem__(index)


def rate(data: Dataset, cores: int, seconds: float) -> float:
    """Give pictures a second, from the moment that the first batch is there."""
    workers = 0 if cores == 1 else cores
    torch.set_num_threads(1)
    labels = getattr(data, "labels", None)
    if labels is not None:
        source = batches(
            data, labels=labels, batch_size=BATCH, seed=0, start=0, workers=workers, device=torch.device("cpu")
        )
    else:
        loader = DataLoader(data, BATCH, shuffle=True, num_workers=workers, collate_fn=default_collate, drop_last=True)
        source = (batch for _ in iter(int, 1) for batch in loader)
    for _ in range(1 + 2 * workers):
        next(source)
    begun, count = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        count += len(next(source)["image"])
    return count / (time.perf_counter() - begun)


def main() -> None:
    """Write faces, read them in all ways by turns, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="of pictures")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each turn")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write the figures there as JSON")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "faces"
        write_faces(root, given.count)
        for size in (128, 256):
            file = Path(folder) / f"{size}.safetensors"
            pack(root, file, image_size=size)
            paths = sorted(root.rglob("*.jpg"))
            ways = {
                "packed": PackedFaces(file),
                "in memory": FaceFolder(root, image_size=size),
                "decoded": FaceFolder(root, image_size=size, cache=0),
                "Pillow alone": ByPillow(paths, size),
                "byte by byte": ByteByByte(paths, size),
            }
            found = {(name, cores): [] for name in ways for cores in (1, 2)}
            for _ in range(given.turns):
                for name, cores in found:
                    found[name, cores].append(rate(ways[name], cores, given.seconds))
            for name in ways:
                one, two = (statistics.median(found[name, cores]) for cores in (1, 2))
                rows.append({"size": size, "way": name, "one core": one, "two cores": two})
    print("| pixels | way | pictures a second, one core | two |\n|---|---|---|---|")
    for row in rows:
        print(f"| {row['size']} | {row['way']} | {row['one core']:,.0f} | {row['two cores']:,.0f} |")
    if given.out:
        given.out.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
