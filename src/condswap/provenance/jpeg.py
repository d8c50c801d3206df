"""The XMP packet of a JPEG: a segment APP1 before the pixels."""

from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO

from condswap.errors import DataError
from condswap.jpeg import LARGEST, segments
from condswap.provenance.pieces import Held, Piece, begins, cut_off, read

_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_MORE_XMP = b"http://ns.adobe.com/xmp/extension/\0"  # what did not fit into the first segment
_EXIF = b"Exif\0"
_APP0, _APP1, _APP11 = b"\xe0", b"\xe1", b"\xeb"
_JUMBF = 64  # bytes at the start of a segment within which a manifest names itself


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
    if len(data) > LARGEST:
        raise DataError(
            f"an XMP packet of {len(packet)} bytes does not fit into a JPEG; it can have {LARGEST - len(_XMP)}"
        )
    file = BytesIO(picture)
    kept = [one for one in _pieces(file) if not (one.name == _APP1 and _is_xmp(file, one))]
    place = 0
    while kept[place].name == _APP0 or (kept[place].name == _APP1 and begins(file, kept[place], _EXIF)):
        place += 1
    pieces = [picture[one.start : one.end] for one in kept]
    pieces.insert(place, b"\xff" + _APP1 + (len(data) + 2).to_bytes(2) + data)
    return picture[:2] + b"".join(pieces) + picture[kept[-1].end :]


def look(file: BinaryIO) -> Held:
    """Find the packet and a manifest.

    Raises:
        DataError: the JPEG is broken. The message is the reason alone.
    """
    packet, manifest = None, False
    for one in _pieces(file):
        if one.name == _APP1 and packet is None and begins(file, one, _XMP):
            packet = read(file, one.body + len(_XMP), one.end)
        elif one.name == _APP11 and begins(file, one, b"JP"):
            manifest = manifest or b"c2pa" in read(file, one.body, min(one.body + _JUMBF, one.end))
    return Held(packet, manifest)


def _is_xmp(file: BinaryIO, segment: Piece) -> bool:
    return begins(file, segment, _XMP) or begins(file, segment, _MORE_XMP)


def _pieces(file: BinaryIO) -> Iterator[Piece]:
    """Go through the segments before the pixels; only their heads are read."""
    try:
        for one in segments(file):
            yield Piece(bytes((one.marker,)), one.start, min(one.start + 4, one.end), one.end)
    except DataError as error:
        raise cut_off() from error
