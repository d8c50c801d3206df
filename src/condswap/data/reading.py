"""From the files of faces to their pixels, many at once."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from condswap.data.dfl_face import find_face
from condswap.data.dfl_pak import read_packed
from condswap.data.layout import Found
from condswap.decoding import decode_mask, decode_picture
from condswap.errors import DataError
from condswap.progress import Progress

_AHEAD = 256  # pictures that are decoded before they are taken
_Seen = TypeVar("_Seen")


class Decoded(NamedTuple):
    """A picture: its pixels, uint8 (4, s, s): red, green, blue, mask; and if anything said where the face is."""

    pixels: Tensor
    masked: bool


def read_bytes(found: Found) -> bytes:
    """Read the file of one picture.

    Raises:
        DataError: it cannot be read. The message is the reason alone.
    """
    if found.packed is not None:
        return read_packed(found.path.parent, found.packed)
    try:
        return found.path.read_bytes()
    except OSError as error:
        raise DataError(error.strerror or str(error)) from error


def decode(found: Found, image_size: int, *, data: bytes | None = None) -> Decoded:
    """Read one picture with its mask.

    Args:
        found: where it is.
        image_size: the side to give it.
        data: its file, if that was read already.

    Raises:
        DataError: it cannot be used. The message is the reason alone.
    """
    source: Path | bytes = read_bytes(found) if data is None and found.packed else data or found.path
    colours, alpha = decode_picture(source, image_size=image_size)
    masked = True
    if found.mask is not None:
        try:
            mask = decode_mask(found.mask, image_size=image_size)
        except DataError as error:
            raise DataError(f"its mask {found.mask.name}: {error}") from error
    elif alpha is not None:
        # An alpha that is opaque everywhere is how programs save a picture without one.
        mask, masked = alpha, bool((alpha < 255).any())
    else:
        face = find_face(source) if found.path.suffix.lower() in (".jpg", ".jpeg", ".png") else None
        inside = None if face is None else face.mask(image_size=image_size)
        mask, masked = (torch.full_like(colours[:1], 255), False) if inside is None else (inside, True)
    if not mask.any():
        raise DataError("its mask is empty: nothing is marked as face; draw it again or delete it")
    return Decoded(torch.cat((colours, mask)), masked)


def for_all(
    pictures: Sequence[Found], look: Callable[[Found], _Seen], *, title: str
) -> Iterator[tuple[Found, _Seen | DataError]]:
    """Look at pictures in their order, on all cores, and give what was seen, or the reason why one cannot be used."""

    def try_it(found: Found) -> tuple[Found, _Seen | DataError]:
        try:
            return found, look(found)
        except DataError as error:
            return found, error

    bad = 0
    # Pillow decodes outside the interpreter's lock, so threads are enough.
    pool = ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1))
    try:
        with Progress(len(pictures), title=title, delay=2.0) as progress:
            for start in range(0, len(pictures), _AHEAD):
                for number, one in enumerate(pool.map(try_it, pictures[start : start + _AHEAD]), start + 1):
                    yield one
                    bad += isinstance(one[1], DataError)
                    progress.update(number, f"{bad} unreadable" if bad else "")
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for the rest of the folder
