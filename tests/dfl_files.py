"""Files as DeepFaceLab writes them, made with Python's own pickle: what is tested here never makes what it reads."""

import io
import pickle
import struct
import zlib
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow


class SampleType(IntEnum):
    FACE = 1


class FaceType(IntEnum):
    WHOLE_FACE = 4


# As their owner names them, so that pickle writes these names.
SampleType.__module__, FaceType.__module__ = "samplelib.Sample", "facelib.FaceType"


def landmarks(size: int = 64) -> list[list[float]]:
    """68 points of an upright face in a square picture."""
    rng = np.random.default_rng(0)
    jaw = [[size * (0.5 - 0.35 * np.cos(t)), size * (0.4 + 0.45 * np.sin(t))] for t in np.linspace(0, np.pi, 17)]
    brows = [[size * x, size * 0.35] for x in (0.2, 0.25, 0.3, 0.35, 0.4, 0.6, 0.65, 0.7, 0.75, 0.8)]
    rest = (size * rng.uniform(0.4, 0.6, (41, 2))).tolist()
    return [[float(x), float(y)] for x, y in [*jaw, *brows, *rest]]


def png(mask: np.ndarray) -> bytes:
    """Encode a grey picture."""
    stream = io.BytesIO()
    Pillow.fromarray(mask).save(stream, "PNG")
    return stream.getvalue()


def facts(size: int = 64, *, mask: np.ndarray | None = None) -> dict[str, Any]:
    """What DeepFaceLab writes into a face, with the types that it writes."""
    found: dict[str, Any] = {
        "face_type": "whole_face",
        "landmarks": landmarks(size),
        "source_filename": "00001.png",
        "source_rect": np.array([10, 20, 110, 140]),
        "source_landmarks": (np.array(landmarks(size)) * 2 + 5).tolist(),
        "image_to_face_mat": np.array([[0.5, 0.0, -2.5], [0.0, 0.5, -2.5]]),
        "seg_ie_polys": {"polys": [{"type": 1, "pts": np.array([[1, 2], [3, 4], [5, 1]], np.float32)}]},
    }
    if mask is not None:
        found["xseg_mask"] = np.frombuffer(png(mask), np.uint8).reshape(-1, 1).copy()
    return found


def jpeg(size: int = 64, *, colour: tuple[int, int, int] = (200, 120, 40), **settings: Any) -> bytes:
    """A JPEG without any data of DeepFaceLab's."""
    stream = io.BytesIO()
    Pillow.new("RGB", (size, size), colour).save(stream, "JPEG", **settings)
    return stream.getvalue()


def with_payload(picture: bytes, payload: bytes) -> bytes:
    """Put a payload into APP15, right behind the JFIF segment, which is 18 bytes long."""
    assert picture[2:4] == b"\xff\xe0"
    return picture[:20] + b"\xff\xef" + struct.pack(">H", len(payload) + 2) + payload + picture[20:]


def png_face(payload: bytes, size: int = 64) -> bytes:
    """An aligned face as it was until 2020: a PNG with a chunk of DeepFaceLab's own before its end."""
    stream = io.BytesIO()
    Pillow.new("RGB", (size, size), (200, 120, 40)).save(stream, "PNG")
    body, end = stream.getvalue()[:-12], stream.getvalue()[-12:]
    return (
        body
        + struct.pack(">I", len(payload))
        + b"fcWp"
        + payload
        + struct.pack(">I", zlib.crc32(b"fcWp" + payload))
        + end
    )


def face(size: int = 64, *, protocol: int = 4, mask: np.ndarray | None = None, **changes: Any) -> bytes:
    """An aligned face."""
    return with_payload(jpeg(size), pickle.dumps({**facts(size, mask=mask), **changes}, protocol))


def pak(faces: dict[str, bytes], *, people: dict[str, str] | None = None, **changes: Any) -> bytes:
    """A faceset.pak of these files."""
    rows = [
        {
            "sample_type": SampleType.FACE,
            "filename": name,
            "face_type": FaceType.WHOLE_FACE,
            "shape": (64, 64, 3),
            "landmarks": landmarks(),
            "seg_ie_polys": {"polys": []},
            "xseg_mask": None,
            "xseg_mask_compressed": np.zeros((9, 1), np.uint8),
            "eyebrows_expand_mod": 1.0,
            "source_filename": "00001.png",
            "person_name": (people or {}).get(name),
            **changes,
        }
        for name in faces
    ]
    index = _pickled(rows)
    head = struct.pack("<QQ", 1, len(index)) + index
    places = np.cumsum([0, *(len(data) for data in faces.values())]).tolist()
    places[-1] += len(head) + 8 * len(places)  # the end of the file, which is what DeepFaceLab writes there
    return head + struct.pack(f"<{len(places)}Q", *places) + b"".join(faces.values())


def _pickled(rows: list[dict[str, Any]]) -> bytes:
    """Pickle with the enumerations under the names that DeepFaceLab has for them."""
    import sys
    import types

    names = {"samplelib": None, "samplelib.Sample": SampleType, "facelib": None, "facelib.FaceType": FaceType}
    for name, kind in names.items():
        module = types.ModuleType(name)
        if kind is not None:
            setattr(module, kind.__name__, kind)
        sys.modules[name] = module
    try:
        return pickle.dumps(rows, 4)
    finally:
        for name in names:
            del sys.modules[name]


def write(path: Path, data: bytes) -> Path:
    """Write a file, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
