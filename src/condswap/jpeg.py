"""The segments of a JPEG file: what stands before its pixels."""

from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO, NamedTuple

from condswap.errors import DataError

APP0, APP15 = 0xE0, 0xEF
LARGEST = 65_533  # bytes that a segment can hold: its length counts itself and has 16 bits
_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # these say how large the picture is
_ALONE = {0x01, *range(0xD0, 0xD8)}  # markers without a length
_MOST = 4096  # segments; a file has a dozen, and a photo with a long colour profile a hundred


class Segment(NamedTuple):
    """One segment: its marker's second byte, and where it lies in the file, with its marker."""

    marker: int
    start: int
    end: int


def segments(file: BinaryIO) -> Iterator[Segment]:
    """Go through the segments up to the pixels, or to the end of the picture; only their heads are read.

    Raises:
        DataError: it is no JPEG, or is broken there. The message is the reason alone.

    Example:
        >>> [segment.marker for segment in segments(BytesIO(bytes.fromhex("ffd8 ffef0003aa ffd9")))]
        [239, 217]
    """
    file.seek(0)
    if file.read(2) != bytes((0xFF, _START)):
        raise DataError("not a JPEG picture")
    position = 2
    for _ in range(_MOST):
        file.seek(position)
        head = file.read(4)
        if len(head) < 2 or head[0] != 0xFF:
            break
        marker = head[1]
        if marker == 0xFF:  # what fills the space before a marker
            position += 1
            continue
        if marker in _ALONE or marker == _END:
            length = 0
        elif len(head) < 4 or (length := int.from_bytes(head[2:])) < 2:
            break
        yield Segment(marker, position, position + 2 + length)
        if marker in (_SCAN, _END):
            return
        position += 2 + length
    raise DataError("its JPEG segments are broken")


def content(file: BinaryIO, segment: Segment) -> bytes:
    """Give what a segment holds.

    Raises:
        DataError: the file is cut off there.
    """
    file.seek(segment.start + 4)
    size = segment.end - segment.start - 4
    data = file.read(size)
    if len(data) < size:
        raise DataError("it is cut off")
    return data


def frame_size(file: BinaryIO, segment: Segment) -> tuple[int, int] | None:
    """Give the height and the width if this segment says them."""
    if segment.marker not in _FRAMES:
        return None
    data = content(file, segment)
    return int.from_bytes(data[1:3]), int.from_bytes(data[3:5])


def replace_segment(picture: bytes, marker: int, data: bytes) -> bytes:
    """Give a JPEG with this segment of the application's in place of those with the same marker, after all other such.

    Args:
        picture: the file.
        marker: of the segment, from 0xE0 to 0xEF.
        data: what it is to hold.

    Raises:
        DataError: it is no JPEG, or the data is too large for a segment.

    Example:
        >>> replace_segment(bytes.fromhex("ffd8 ffef0003aa ffd9"), 0xEF, b"new").hex(" ")
        'ff d8 ff ef 00 05 6e 65 77 ff d9'
    """
    if len(data) > LARGEST:
        raise DataError(f"{len(data)} bytes are more than the {LARGEST} that fit into a JPEG segment")
    found = list(segments(BytesIO(picture)))
    kept = [segment for segment in found if segment.marker != marker]
    before = [segment for segment in kept if APP0 <= segment.marker <= APP15]
    place = kept.index(before[-1]) + 1 if before else 0
    pieces = [picture[segment.start : segment.end] for segment in kept]
    pieces.insert(place, bytes((0xFF, marker)) + (len(data) + 2).to_bytes(2) + data)
    return picture[:2] + b"".join(pieces) + picture[found[-1].end :]
