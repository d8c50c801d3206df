"""The XMP packet of a JPEG: a segment APP1 before the pixels."""

from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO

from condswap.errors import DataError
from condswap.provenance.pieces import MOST, Held, Piece, begins, cut_off, read

_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_MORE_XMP = b"http://ns.adobe.com/xmp/extension/\0"  # what did not fit into the first segment
_EXIF = b"Exif\0"
_APP0, _APP1, _APP11 = b"\xe0", b"\xe1", b"\xeb"
_ALONE = {0x01, *range(0xD0, 0xD8)}  # markers without a length
_END, _SCAN = 0xD9, 0xDA
_ROOM = 65_533  # bytes that a segment holds
_JUMBF = 64  # bytes at the start of a segment within which a manifest names itself


def segments(file: BinaryIO) -> Iterator[Piece]:
    """Go through the segments before the pixels; only their heads are read.

    Raises:
        DataError: it is broken there. The message is the reason alone.
    """
    position = 2
    for _ in range(MOST):
        file.seek(position)
        head = file.read(4)
        if len(head) < 2 or head[0] != 0xFF:
            break
        if head[1] == 0xFF:  # what fills the space before a marker
            position += 1
            continue
        size = 0 if head[1] in _ALONE else int.from_bytes(head[2:4])
        if head[1] in (_SCAN, _END):
            yield Piece(head[1:2], position, position, position)
            return
        if len(head) < 4 or (head[1] not in _ALONE and size < 2):
            break
        yield Piece(head[1:2], position, position + 4 if size else position + 2, position + 2 + size)
        position += 2 + size
    raise cut_off()


def put(picture: bytes, packet: bytes) -> bytes:
    """Give a JPEG with this XMP packet, in place of any other.

    Args:
        picture: the file.
        packet: of 65,504 bytes at most.

    Raises:
        DataError: the JPEG is broken, or the packet too large. The message is the reason alone.

    Example:
        >>> put(bytes.fromhex("ffd8 ffd9"), b"<x/>")[:10].hex(" ")
        'ff d8 ff e1 00 23 68 74 74 70'
    """
    data = _XMP + packet
    if len(data) > _ROOM:
        raise DataError(
            f"an XMP packet of {len(packet)} bytes does not fit into a JPEG; it can have {_ROOM - len(_XMP)}"
        )
    file = BytesIO(picture)
    kept = [one for one in segments(file) if not (one.name == _APP1 and _is_xmp(file, one))]
    place = 0
    while kept[place].name == _APP0 or (kept[place].name == _APP1 and begins(file, kept[place], _EXIF)):
        place += 1
    pieces = [picture[one.start : one.end] for one in kept]
    pieces.insert(place, b"\xff" + _APP1 + (len(data) + 2).to_bytes(2) + data)
    return picture[:2] + b"".join(pieces) + picture[kept[-1].start :]


def look(file: BinaryIO) -> Held:
    """Find the packet and a manifest.

    Raises:
        DataError: the JPEG is broken. The message is the reason alone.
    """
    packet, manifest = None, False
    for one in segments(file):
        if one.name == _APP1 and packet is None and begins(file, one, _XMP):
            packet = read(file, one.body + len(_XMP), one.end)
        elif one.name == _APP11 and begins(file, one, b"JP"):
            manifest = manifest or b"c2pa" in read(file, one.body, min(one.body + _JUMBF, one.end))
    return Held(packet, manifest)


def _is_xmp(file: BinaryIO, segment: Piece) -> bool:
    return begins(file, segment, _XMP) or begins(file, segment, _MORE_XMP)
