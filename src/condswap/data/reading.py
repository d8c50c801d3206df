"""From the files of faces to their pixels, many at once."""

import json
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
from condswap.errors import ConfigError, DataError
from condswap.progress import Progress
from condswap.templates import TEMPLATES, Template

_AHEAD = 256  # pictures that are decoded before they are taken
_Seen = TypeVar("_Seen")


class Decoded(NamedTuple):
    """A picture: its pixels, uint8 (4, s, s): red, green, blue, mask; if anything says where the face is, and the cut."""

    pixels: Tensor
    masked: bool
    template: Template | None = None


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
    masked, template = True, None if found.packed else template_beside(found.path)
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
        template = template or TEMPLATES.get(f"dfl_{face.face_type}" if face else "")
        inside = None if face is None else face.mask(image_size=image_size)
        mask, masked = (torch.full_like(colours[:1], 255), False) if inside is None else (inside, True)
    if not mask.any():
        raise DataError("its mask is empty: nothing is marked as face; draw it again or delete it")
    return Decoded(torch.cat((colours, mask)), masked, template)


def template_beside(picture: Path) -> Template | None:
    """Give the crop template that the JSON beside a picture names, if `condswap extract` wrote one.

    Raises:
        DataError: it names none that is known. The message is the reason alone.
    """
    path = picture.with_suffix(".json")
    if not path.is_file():
        return None
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        named = described.get("template") if isinstance(described, dict) else None
        return None if named is None else Template.from_config(named)
    except (ConfigError, OSError, ValueError, RecursionError) as error:
        raise DataError(f"its {path.name} does not say how it was cut out ({error}); extract it again") from error


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
