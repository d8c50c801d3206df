"""What reads files of other people's making, each as a function of bytes that may raise condswap's own errors alone."""

import io
import json
import pickle
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch
from dfl_files import face, facts, jpeg, pak, png, png_face
from small_model import small
from tiny_models import Pictures, quick, tiny

from condswap import CGAN, CondswapError, DataError, Trainer
from condswap.data import PackedFaces, pack
from condswap.data.dfl_face import find_face
from condswap.data.dfl_pak import list_pak, read_packed
from condswap.decoding import decode_mask, decode_picture
from condswap.jpeg import content, segments
from condswap.provenance import Mark, mark_file, read_mark
from condswap.safe_pickle import loads


@cache
def folder() -> Path:
    """A folder in memory where there is one: files that are written a million times should not reach a disk."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))


def as_file(name: str, data: bytes) -> Path:
    path = folder() / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path


def jpeg_segments(data: bytes) -> None:
    file = io.BytesIO(data)
    for segment in segments(file):
        content(file, segment)


def pickled(data: bytes) -> None:
    loads(data)


def dfl_face(data: bytes) -> None:
    found = find_face(data)
    if found is not None:
        found.mask(image_size=16)


def dfl_pak(data: bytes) -> None:
    path = as_file("faceset.pak", data)
    for one in list_pak(path):
        read_packed(path, one)


def picture(data: bytes) -> None:
    for read in (decode_picture, decode_mask):
        try:
            read(data, image_size=16)
        except DataError:
            read(data)


def marks(data: bytes) -> None:
    path = as_file("marked", data)
    read_mark(path)
    mark_file(path, Mark())


def config(data: bytes) -> None:
    try:
        given = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(given, dict):
        with torch.device("meta"):
            CGAN.from_config(given)


def config_file(data: bytes) -> None:
    as_file("swapper/model.safetensors", weights())
    as_file("swapper/config.json", data)
    CGAN.from_pretrained(folder() / "swapper")


def packed(data: bytes) -> None:
    found = PackedFaces(as_file("faces.safetensors", data))
    found[0]
    found.split()


def state(data: bytes) -> None:
    as_file("state/state.safetensors", data)
    Trainer.load(folder() / "state", tiny(seed=3), device="cpu")


@cache
def saved() -> Path:
    """A swapper, as it is saved."""
    place = folder() / "saved"
    small().save_pretrained(place)
    return place


def weights() -> bytes:
    return (saved() / "model.safetensors").read_bytes()


@cache
def state_seed() -> bytes:
    trainer = Trainer(tiny(), quick(), device="cpu")
    trainer.fit(Pictures(), 1)
    trainer.save(folder() / "seed")
    return (folder() / "seed" / "state.safetensors").read_bytes()


@cache
def packed_seed() -> bytes:
    for number in range(3):
        place = folder() / "faces" / "ada"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.jpg").write_bytes(face(32))
    pack(folder() / "faces", folder() / "seed.safetensors", image_size=16)
    return (folder() / "seed.safetensors").read_bytes()


def pictures() -> list[bytes]:
    from PIL import Image

    found = [jpeg(32), jpeg(32, progressive=True), png(np.eye(16, dtype=np.uint8) * 255), face(32)]
    for mode, kind in (
        ("RGBA", "PNG"),
        ("P", "PNG"),
        ("I;16", "PNG"),
        ("RGB", "WEBP"),
        ("RGBA", "WEBP"),
        ("CMYK", "JPEG"),
    ):
        stream = io.BytesIO()
        Image.new(mode, (16, 16)).save(stream, kind)
        found.append(stream.getvalue())
    return found


def marked_files() -> list[bytes]:
    path, found = folder() / "to_mark", []
    # Of the pictures only a few: the pixels are not looked at.
    boxes = bytes.fromhex("00000010 66747970 69736f6d 00000000 00000009 6d646174 00")
    for data in (*pictures()[:3], *pictures()[-3:-1], boxes):
        path.write_bytes(data)
        mark_file(path, Mark())
        found.append(path.read_bytes())
    return found


def pickles() -> list[bytes]:
    mask = np.eye(9, dtype=np.uint8)
    return [pickle.dumps(facts(mask=mask), protocol) for protocol in (2, 3, 4)]


TARGETS: dict[str, tuple[Callable[[bytes], None], Callable[[], list[bytes]]]] = {
    "jpeg_segments": (jpeg_segments, lambda: [jpeg(16), face(16), jpeg(16, progressive=True)]),
    "pickle": (pickled, pickles),
    "dfl_face": (
        dfl_face,
        lambda: [
            png_face(pickle.dumps(facts(), 4), 16),
            face(16),
            face(16, mask=np.eye(9, dtype=np.uint8)),
            face(16, protocol=2),
        ],
    ),
    "dfl_pak": (
        dfl_pak,
        lambda: [pak({}), pak({"1.jpg": b"x"}), pak({"1.jpg": b"x", "2.jpg": b"yy"}, people={"1.jpg": "ada"})],
    ),
    "picture": (picture, pictures),
    "marks": (marks, marked_files),
    "config": (
        config,
        lambda: [
            json.dumps(small().config()).encode(),
            json.dumps(CGAN.default(32, classes=["a", "b"]).config()).encode(),
        ],
    ),
    "config_file": (config_file, lambda: [(saved() / "config.json").read_bytes()]),
    "packed": (packed, lambda: [packed_seed()]),
    "state": (state, lambda: [state_seed()]),
}


def run(name: str, data: bytes) -> bool:
    """Give one input to a target, and tell whether it was taken; whatever is not condswap's own error comes through."""
    try:
        TARGETS[name][0](data)
    except CondswapError:
        return False
    return True
