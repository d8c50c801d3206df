"""The XMP packet of an MP4 or MOV: a box at the end of the file, so that nothing in it moves."""

from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from condswap.errors import DataError
from condswap.provenance.pieces import MOST, Held, Piece, cut_off, length, read

_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_BY_TYPE = b"uuid"
_FREE = b"free"  # the type of a box that everybody passes over
_STILL = {b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1"}  # pictures in the same boxes
_FIRST = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


def is_video(head: bytes) -> bool:
    """Say whether a file whose first 12 bytes these are is a video in boxes."""
    return head[4:8] in _FIRST and not (head[4:8] == b"ftyp" and head[8:12] in _STILL)


def boxes(file: BinaryIO | FileIO) -> Iterator[Piece]:
    """Go through the outermost boxes; only their heads are read. The name of a uuid box is its 16 bytes.

    Raises:
        DataError: it is broken. The message is the reason alone.
    """
    position, end = 0, length(file)
    for _ in range(MOST):
        if position == end:
            return
        file.seek(position)
        head = file.read(16)
        size, name, body = int.from_bytes(head[:4]), head[4:8], 8
        if size == 1:
            size, body = int.from_bytes(head[8:16]), 16
        elif size == 0:  # up to the end of the file
            size = end - position
        if name == _BY_TYPE:
            file.seek(position + body)
            name, body = file.read(16), body + 16
        if len(head) < min(body, 16) or size < body or position + size > end:
            break
        yield Piece(name, position, position + body, position + size)
        position += size
    raise cut_off()


def append(path: Path, packet: bytes) -> None:
    """Write this XMP packet to the end of a video, in place of any other; the rest of the file is not read.

    Raises:
        DataError: the video is broken, or the disk refuses; it was left as it was. The message is the reason alone.
    """
    try:
        # Without a buffer: one that could not be written would be tried again when the file is cut back, and closed.
        with path.open("r+b", buffering=0) as file:
            found = list(boxes(file))
            if not found:
                raise cut_off()
            _end_the_last(file, found[-1])
            end = found[-1].end
            try:
                _write(file, end, (24 + len(packet)).to_bytes(4) + _BY_TYPE + _XMP + packet)
            except BaseException:
                file.truncate(end)
                raise
            for one in found:
                if one.name == _XMP:
                    _write(file, one.start + 4, _FREE)
    except OSError as error:
        raise DataError(f"{error.strerror or error}; make room, or allow writing, and try again") from error


def look(file: BinaryIO) -> Held:
    """Find the packet and a manifest.

    Raises:
        DataError: the video is broken. The message is the reason alone.
    """
    packet, manifest = None, False
    for one in boxes(file):
        if one.name == _XMP and packet is None:
            packet = read(file, one.body, one.end)
        manifest = manifest or one.name == _C2PA
    return Held(packet, manifest)


def _end_the_last(file: FileIO, last: Piece) -> None:
    """Say how long a box is that went on to the end of the file: it no longer will."""
    file.seek(last.start)
    if int.from_bytes(file.read(4)) == 0:
        size = last.end - last.start
        if size >= 2**32:
            raise DataError("its last box has 4 GiB or more and no length; copy it with `ffmpeg -c copy` first")
        _write(file, last.start, size.to_bytes(4))


def _write(file: FileIO, place: int, data: bytes) -> None:
    """Write all of it: a disk that is nearly full takes a part at first."""
    file.seek(place)
    while data:
        data = data[file.write(data) :]
