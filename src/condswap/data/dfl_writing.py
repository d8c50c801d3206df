"""Putting a mask or a picture back into a JPEG of DeepFaceLab's, where DeepFaceLab finds it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from condswap.data.dfl_face import DflFace
from condswap.errors import DataError, ShapeError
from condswap.files import write_atomically
from condswap.jpeg import APP15, replace_segment
from condswap.pictures import encode_picture
from condswap.safe_pickle import Array, dumps

_LARGEST_MASK = 50_000  # bytes of a PNG, above which DeepFaceLab takes a JPEG


def put_mask(path: Path | str, mask: Tensor) -> None:
    """Put a mask into a DeepFaceLab JPEG, where DeepFaceLab finds it; the pixels and all else stay as they are.

    Args:
        path: the file, which is written whole or not at all.
        mask: float (1, h, w) in [0, 1], 1 = face; h and w may differ from those of the picture.

    Raises:
        ShapeError: another shape.
        DataError: values that are out of range, a file that is not DeepFaceLab's, or a disk that refuses.
    """
    if mask.ndim != 3 or mask.shape[0] != 1:
        raise ShapeError(f"a mask is (1, h, w), not {tuple(mask.shape)}")
    face = DflFace.read(path)
    _write(Path(path), Path(path).read_bytes(), {**face.values, "xseg_mask": _packed(mask)})


def put_picture(path: Path | str, picture: Tensor) -> None:
    """Put a changed picture into a DeepFaceLab JPEG; the landmarks, the mask and all else that it holds stay.

    Args:
        path: the file, which is written whole or not at all.
        picture: float (3, h, w) RGB in [0, 1], of the size that the file has, since the landmarks are in its pixels.

    Raises:
        ShapeError: another shape than the file's.
        DataError: values that are out of range, a file that is not DeepFaceLab's, or a disk that refuses.
    """
    face = DflFace.read(path)
    if tuple(picture.shape) != (3, face.height, face.width):
        raise ShapeError(
            f"the picture is {tuple(picture.shape)} and {path} is {(3, face.height, face.width)}; resize it, since the "
            "landmarks in the file are in its pixels"
        )
    _write(Path(path), encode_picture(picture, "JPEG", quality=100, subsampling=0), face.values)


def _write(path: Path, picture: bytes, values: Mapping[str, Any]) -> None:
    try:
        whole = replace_segment(picture, APP15, dumps({key: one for key, one in values.items() if one is not None}))
    except DataError as error:
        raise DataError(f"could not write {path}: {error}; it is untouched") from error
    write_atomically(path, whole)


def _packed(mask: Tensor) -> Array:
    """Encode a mask as DeepFaceLab does: PNG where that is small, or else the best JPEG that is."""
    data = encode_picture(mask, "PNG", optimize=True)
    for quality in range(100, 0, -5):
        if len(data) <= _LARGEST_MASK:
            break
        data = encode_picture(mask, "JPEG", quality=quality)
    return Array("u1", (len(data), 1), data)
