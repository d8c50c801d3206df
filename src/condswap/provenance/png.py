"""The XMP packet of a PNG: a chunk iTXt before the pixels."""

import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO

from condswap.errors import DataError
from condswap.provenance.pieces import LARGEST, MOST, Held, Piece, begins, cut_off, length, read

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KEYWORD = b"XML:com.adobe.xmp\0"
_PLAIN = b"\0\0\0\0"  # not compressed, by no method, in no language, under no translated keyword


def chunks(file: BinaryIO) -> Iterator[Piece]:
    """Go through the chunks up to the last one, IEND; only their heads are read.

    Raises:
        DataError: it is broken. The message is the reason alone.
    """
    position, size = len(SIGNATURE), length(file)
    for _ in range(MOST):
        file.seek(position)
        head = file.read(8)
        end = position + 12 + int.from_bytes(head[:4])
        if len(head) < 8 or end > size:
            break
        yield Piece(head[4:], position, position + 8, end)
        if head[4:] == b"IEND":
            return
        position = end
    raise cut_off()


def put(picture: bytes, packet: bytes) -> bytes:
    """Give a PNG with this XMP packet, in place of any other.

    Raises:
        DataError: the PNG is broken. The message is the reason alone.
    """
    file = BytesIO(picture)
    kept = [one for one in chunks(file) if not _is_xmp(file, one)]
    place = next((number for number, one in enumerate(kept) if one.name == b"IDAT"), None)
    if place is None:
        raise cut_off()
    pieces = [picture[one.start : one.end] for one in kept]
    body = b"iTXt" + _KEYWORD + _PLAIN + packet
    pieces.insert(place, (len(body) - 4).to_bytes(4) + body + zlib.crc32(body).to_bytes(4))
    return SIGNATURE + b"".join(pieces) + picture[kept[-1].end :]


def look(file: BinaryIO) -> Held:
    """Find the packet and a manifest.

    Raises:
        DataError: the PNG is broken. The message is the reason alone.
    """
    packet, manifest = None, False
    for one in chunks(file):
        if packet is None and _is_xmp(file, one):
            packet = _text(read(file, one.start + 4, one.end))
        manifest = manifest or one.name == b"caBX"
    return Held(packet, manifest)


def _is_xmp(file: BinaryIO, chunk: Piece) -> bool:
    return chunk.name == b"iTXt" and begins(file, chunk, _KEYWORD)


def _text(chunk: bytes) -> bytes:
    """Give the text of an iTXt chunk, from its name to its checksum."""
    body, checksum = chunk[:-4], chunk[-4:]
    if zlib.crc32(body).to_bytes(4) != checksum:
        raise DataError("the checksum of its XMP is wrong")
    rest = body[4 + len(_KEYWORD) :]
    fields = rest[2:].split(b"\0", 2)  # language, translated keyword, text
    if len(fields) < 3:
        raise cut_off()
    if rest[0] == 0:
        return fields[2]
    unpacking = zlib.decompressobj()
    try:
        text = unpacking.decompress(fields[2], LARGEST)
    except zlib.error as error:
        raise DataError(f"its XMP cannot be unpacked: {error}") from error
    if not unpacking.eof:
        raise DataError(f"its XMP is cut off, or unpacks to more than the {LARGEST} bytes that are read")
    return text
