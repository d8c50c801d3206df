"""What DeepFaceLab wrote into the picture of an aligned face: the landmarks, where it was cut out, its mask."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor
from torch.nn import functional as F

from condswap.data.hull import hull_mask
from condswap.decoding import decode_mask
from condswap.errors import DataError
from condswap.jpeg import APP15, content, frame_size, segments
from condswap.safe_pickle import Array, loads

_LANDMARKS = 68
_FARTHEST = 16  # sides of the picture that a landmark may lie outside
_PNG, _CHUNK = b"\x89PNG\r\n\x1a\n", b"fcWp"


@dataclass(frozen=True, eq=False)
class Polygon:
    """An outline that somebody drew to teach a mask: what is in it is face, or (include=False) is not."""

    include: bool
    points: Tensor
    """(n, 2), x and y in pixels."""


@dataclass(frozen=True, eq=False)
class DflFace:
    """An aligned face of DeepFaceLab's.

    Attributes:
        face_type: how much of the head the crop shows, such as "whole_face".
        height: of the picture, in pixels.
        width: of the picture, in pixels.
        landmarks: float64 (68, 2), x and y in pixels of this picture; None where there are none.
        brows: by how much the mask that is made of the landmarks raises the brows.
        source: the name of the file that the face was cut from; None if unknown.
        source_box: left, top, right and bottom of the face there, in pixels.
        source_landmarks: float64 (68, 2), the landmarks there.
        matrix: float64 (2, 3), from the pixels there to those here.
        polygons: outlines that somebody drew.
        mask_file: the mask as the bytes of a PNG or JPEG, of any size; None where there is none.
        values: all that the file holds, under DeepFaceLab's own names.

    Example:
        A face as DeepFaceLab would have written it; of a file it is `DflFace.read("aligned/00001_0.jpg")`:

        >>> from condswap.jpeg import replace_segment
        >>> from condswap.pictures import encode_picture
        >>> from condswap.safe_pickle import dumps
        >>> said = dumps({"face_type": "whole_face", "landmarks": [[9.0 + number % 7, 8.0] for number in range(68)]})
        >>> file = replace_segment(encode_picture(torch.zeros(3, 32, 32), "JPEG"), APP15, said)
        >>> face = DflFace.read(file)
        >>> face.face_type, face.landmarks.shape, face.mask().shape
        ('whole_face', torch.Size([68, 2]), torch.Size([1, 32, 32]))
    """

    face_type: str
    height: int
    width: int
    landmarks: Tensor | None = field(default=None, repr=False)
    brows: float = 1.0
    source: str | None = None
    source_box: tuple[int, int, int, int] | None = None
    source_landmarks: Tensor | None = field(default=None, repr=False)
    matrix: Tensor | None = field(default=None, repr=False)
    polygons: tuple[Polygon, ...] = field(default=(), repr=False)
    mask_file: bytes | None = field(default=None, repr=False)
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, file: Path | str | bytes) -> "DflFace":
        """Read what a JPEG holds, or a PNG from before 2020.

        Raises:
            DataError: it cannot be read, or holds nothing of DeepFaceLab's.
        """
        name = "the picture" if isinstance(file, bytes) else str(file)
        try:
            face = find_face(file if isinstance(file, bytes) else Path(file))
        except DataError as error:
            raise DataError(f"cannot use {name}: {error}") from error
        if face is None:
            raise DataError(f"{name} has no data of DeepFaceLab's; give a face that DeepFaceLab cut out, as .jpg")
        return face

    def mask(self, *, image_size: int | None = None) -> Tensor | None:
        """Give the mask, uint8 (1, h, w): the one in the file, or else the hull of the landmarks; None without either.

        Args:
            image_size: the side to resize it to; None leaves the one in the file in its own size and draws the hull in that
                of the picture.

        Raises:
            DataError: the one in the file is broken. The message is the reason alone.
        """
        if self.mask_file is not None:
            try:
                return decode_mask(self.mask_file, image_size=image_size)
            except DataError as error:
                raise DataError(f"the mask inside it: {error}") from error
        if self.landmarks is None:
            return None
        hull = hull_mask(self.landmarks, height=self.height, width=self.width, brows=self.brows)
        if image_size is None:
            return hull
        size = (image_size, image_size)
        return F.interpolate(hull[None].float(), size=size, mode="bilinear", antialias=True)[0].round().to(torch.uint8)


def find_face(file: Path | bytes) -> DflFace | None:
    """Give what DeepFaceLab wrote into a JPEG or a PNG, or None if it wrote nothing.

    Raises:
        DataError: what is there cannot be used. The message is the reason alone.
    """
    if isinstance(file, bytes):
        return _find(BytesIO(file))
    try:
        with file.open("rb") as opened:
            return _find(opened)
    except OSError as error:
        raise DataError(error.strerror or str(error)) from error


def _find(file: BinaryIO) -> DflFace | None:
    payload, size = _in_png(file) if file.read(8) == _PNG else _in_jpeg(file)
    # Other programs use this segment, too; every pickle of DeepFaceLab's begins with its protocol.
    if payload is None or not payload.startswith(b"\x80"):
        return None
    try:
        values = loads(payload)
        if not isinstance(values, dict):
            raise DataError(f"a {type(values).__name__} and no dict")
        return face_of(values, *size)
    except DataError as error:
        raise DataError(f"what DeepFaceLab wrote into it: {error}") from error


def _in_jpeg(file: BinaryIO) -> tuple[bytes | None, tuple[int, int]]:
    """Give what a JPEG holds for DeepFaceLab, and its height and width."""
    payload, size = None, (0, 0)
    for segment in segments(file):
        size = frame_size(file, segment) or size
        if segment.marker == APP15 and payload is None:
            payload = content(file, segment)
    return payload, size


def _in_png(file: BinaryIO) -> tuple[bytes | None, tuple[int, int]]:
    """Give the same of a PNG, into which DeepFaceLab wrote until 2020."""
    size, position = (0, 0), len(_PNG)
    while True:
        file.seek(position)
        head = file.read(8)
        if len(head) < 8 or head[4:] == b"IEND":
            return None, size
        length = int.from_bytes(head[:4])
        if head[4:] == b"IHDR":
            ends = file.read(8)
            size = int.from_bytes(ends[4:]), int.from_bytes(ends[:4])
        if head[4:] == _CHUNK:
            data = file.read(length)
            if len(data) < length:
                raise DataError("it is cut off")
            return data, size
        position += 12 + length


def face_of(values: Mapping[str, Any], height: int, width: int) -> DflFace:
    """Make a face of DeepFaceLab's own dict, checking everything.

    Raises:
        DataError: something is not what it should be. The message is the reason alone.
    """
    if height < 1 or width < 1:
        raise DataError("the picture says no size")
    box = _optional(values, "source_rect", (4,))
    mask_name = "xseg_mask" if values.get("xseg_mask") is not None else "fanseg_mask"  # the second until 2020
    mask_file = values.get(mask_name)
    if mask_file is not None and not (isinstance(mask_file, Array) and mask_file.kind == "u1"):
        raise DataError(f"{mask_name} is not the bytes of a picture")
    return DflFace(
        _word(values, "face_type") or "full_face",
        height,
        width,
        _optional(values, "landmarks", (_LANDMARKS, 2), most=_FARTHEST * max(height, width)),
        _brows(values),
        _word(values, "source_filename"),
        None if box is None else tuple(map(int, box.tolist())),  # type: ignore[arg-type]
        _optional(values, "source_landmarks", (_LANDMARKS, 2)),
        _optional(values, "image_to_face_mat", (2, 3)),
        _polygons(values.get("seg_ie_polys") or values.get("ie_polys")),
        None if mask_file is None else mask_file.data,
        values,
    )


def _word(values: Mapping[str, Any], name: str) -> str | None:
    word = values.get(name)
    if word is not None and not isinstance(word, str):
        raise DataError(f"{name} is a {type(word).__name__} and no word")
    return word


def _brows(values: Mapping[str, Any]) -> float:
    amount = values.get("eyebrows_expand_mod")
    if amount is None:
        return 1.0
    if not isinstance(amount, int | float) or not -_FARTHEST <= amount <= _FARTHEST:
        raise DataError("eyebrows_expand_mod is not a small number")
    return float(amount)


def _optional(values: Mapping[str, Any], name: str, shape: Sequence[int], *, most: float = 1e9) -> Tensor | None:
    given = values.get(name)
    return None if given is None else _numbers(given, name, shape, most=most)


def _numbers(given: Any, name: str, shape: Sequence[int], *, most: float = 1e9) -> Tensor:
    """Give an array or a list of lists of numbers as float64."""
    fits = False
    if isinstance(given, Array):
        fits = given.shape == tuple(shape)
        numbers = given.tensor().double() if fits else torch.zeros(0)
    elif isinstance(given, list | tuple) and len(given) == shape[0]:
        rows = given if len(shape) > 1 else [given]
        fits = all(isinstance(row, list | tuple) and len(row) == shape[-1] for row in rows)
        fits = fits and all(isinstance(one, int | float) and abs(one) <= most for row in rows for one in row)
        numbers = torch.tensor(given, dtype=torch.float64) if fits else torch.zeros(0)
    if not fits:
        raise DataError(f"{name} is not {' x '.join(map(str, shape))} numbers, none of them larger than {most:g}")
    if not (numbers.abs() <= most).all():  # false for what is not a number, too
        raise DataError(f"{name} has a number that is larger than {most:g}")
    return numbers


def _polygons(given: Any) -> tuple[Polygon, ...]:
    """Read the outlines, as they are written now or, as pairs, once were."""
    listed = given.get("polys") if isinstance(given, dict) else given
    if listed is None:
        return ()
    if not isinstance(listed, list):
        raise DataError("seg_ie_polys is not a list of outlines")
    found = []
    for one in listed:
        match one:
            case {"type": kind, "pts": points} | [kind, points] if type(kind) is int and kind in (0, 1):
                corners = _corners(points)
            case _:
                corners = None
        if corners is None:
            raise DataError("seg_ie_polys has something that is no outline")
        if corners:
            found.append(Polygon(bool(kind), _numbers(points, "seg_ie_polys", (corners, 2))))
    return tuple(found)


def _corners(points: Any) -> int | None:
    """Count the corners of an outline; None if it is none."""
    if isinstance(points, list | tuple):
        return len(points)
    return points.shape[0] if isinstance(points, Array) and len(points.shape) == 2 else None
