"""What the formats have in common: a file is a row of pieces, each with a name and a size."""

import os
from io import FileIO
from typing import BinaryIO, NamedTuple

from condswap.errors import DataError

LARGEST = 2**24  # bytes of a packet that are read; those of cameras have a few thousand
MOST = 2**17  # pieces; a video in fragments has thousands


class Piece(NamedTuple):
    """One piece of a file: its name there, where it begins with its head and without, and where it ends."""

    name: bytes
    start: int
    body: int
    end: int


class Held(NamedTuple):
    """What a file holds about how it was made: the XMP packet, and whether there is a C2PA manifest."""

    packet: bytes | None
    manifest: bool


def length(file: BinaryIO | FileIO) -> int:
    """Give the number of bytes of a file."""
    return file.seek(0, os.SEEK_END)


def cut_off() -> DataError:
    """Give the error for a file that ends too early."""
    return DataError("it is broken, or it is cut off")


def read(file: BinaryIO, start: int, end: int) -> bytes:
    """Read from one place to another, all of it.

    Raises:
        DataError: there is less, or it is too much for a packet. The message is the reason alone.
    """
    if end - start > LARGEST:
        raise DataError(f"its XMP has {end - start} bytes, more than the {LARGEST} that are read")
    file.seek(start)
    data = file.read(max(0, end - start))
    if len(data) < end - start:
        raise cut_off()
    return data


def begins(file: BinaryIO, piece: Piece, words: bytes) -> bool:
    """Say whether the content of a piece begins with these bytes."""
    file.seek(piece.body)
    return file.read(min(len(words), piece.end - piece.body)) == words
