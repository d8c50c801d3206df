"""The XMP packet of a WebP: a chunk at its end, which a chunk VP8X at its start announces."""

from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO

from condswap.errors import DataError
from condswap.provenance.pieces import MOST, Held, Piece, cut_off, length, read

_XMP_FLAG, _ALPHA_FLAG = 0x04, 0x10
_START_OF_VP8 = b"\x9d\x01\x2a"
_START_OF_VP8L = b"\x2f"


def chunks(file: BinaryIO) -> Iterator[Piece]:
    """Go through the chunks; only their heads are read. A piece ends with the byte that makes its size even.

    Raises:
        DataError: it is broken. The message is the reason alone.
    """
    file.seek(4)
    end, position = 8 + int.from_bytes(file.read(4), "little"), 12
    if end > length(file) or end < position:
        raise cut_off()
    for _ in range(MOST):
        if position == end:
            return
        file.seek(position)
        head = file.read(8)
        size = int.from_bytes(head[4:], "little")
        if len(head) < 8 or position + 8 + size + size % 2 > end:
            break
        yield Piece(head[:4], position, position + 8, position + 8 + size + size % 2)
        position += 8 + size + size % 2
    raise cut_off()


def put(picture: bytes, packet: bytes) -> bytes:
    """Give a WebP with this XMP packet, in place of any other.

    Raises:
        DataError: the WebP is broken. The message is the reason alone.
    """
    kept = [one for one in chunks(BytesIO(picture)) if one.name != b"XMP "]
    if not kept:
        raise cut_off()
    pieces = [picture[one.start : one.end] for one in kept]
    if kept[0].name == b"VP8X":
        if len(pieces[0]) < 18:
            raise cut_off()
        pieces[0] = pieces[0][:8] + bytes((pieces[0][8] | _XMP_FLAG,)) + pieces[0][9:]
    else:
        pieces.insert(0, _announcement(kept[0].name, pieces[0][8:]))
    pieces.append(b"XMP " + len(packet).to_bytes(4, "little") + packet + bytes(len(packet) % 2))
    body = b"WEBP" + b"".join(pieces)
    after = picture[8 + int.from_bytes(picture[4:8], "little") :]
    return b"RIFF" + len(body).to_bytes(4, "little") + body + after


def look(file: BinaryIO) -> Held:
    """Find the packet and a manifest.

    Raises:
        DataError: the WebP is broken. The message is the reason alone.
    """
    packet, manifest = None, False
    for one in chunks(file):
        if one.name == b"XMP " and packet is None:
            file.seek(one.start + 4)
            packet = read(file, one.body, one.body + int.from_bytes(file.read(4), "little"))
        manifest = manifest or one.name == b"C2PA"
    return Held(packet, manifest)


def _announcement(name: bytes, data: bytes) -> bytes:
    """Give the chunk VP8X of a picture that is nothing but pixels: their size, and what else there is."""
    flags = _XMP_FLAG
    if name == b"VP8 " and data[3:6] == _START_OF_VP8 and len(data) >= 10:
        width, height = (int.from_bytes(data[place : place + 2], "little") & 0x3FFF for place in (6, 8))
    elif name == b"VP8L" and data[:1] == _START_OF_VP8L and len(data) >= 5:
        bits = int.from_bytes(data[1:5], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        flags |= _ALPHA_FLAG * (bits >> 28 & 1)
    else:
        raise cut_off()
    if not (width and height):
        raise DataError("it is broken: its picture has no pixels")
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"VP8X" + (10).to_bytes(4, "little") + bytes((flags, 0, 0, 0)) + size
