"""The files that can bear a mark: which kind one is, writing the mark into it, and finding it again."""

import contextlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from condswap.errors import DataError
from condswap.files import write_atomically
from condswap.provenance import jpeg, mp4, png, webp
from condswap.provenance.mark import Mark, properties_of
from condswap.provenance.pieces import Held

_PICTURES = {"JPEG": jpeg, "PNG": png, "WebP": webp}


def marked(picture: bytes, mark: Mark) -> bytes:
    """Give the file of a picture with the mark in it, in place of any XMP that was there; no pixel changes.

    Args:
        picture: the file, a JPEG, PNG or WebP.
        mark: what to write.

    Raises:
        DataError: it is none of these, is broken, or has a C2PA manifest, which a change would make invalid.

    Example:
        >>> from io import BytesIO
        >>> from PIL import Image
        >>> file = BytesIO()
        >>> Image.new("RGB", (4, 4)).save(file, "PNG")
        >>> b"compositeWithTrainedAlgorithmicMedia" in marked(file.getvalue(), Mark())
        True
    """
    try:
        file = BytesIO(picture)
        kind = kind_of(file)
        if kind not in _PICTURES:
            raise DataError("it is a video; mark its file, with mark_file")
        _refuse_signed(look(file))
        return _PICTURES[kind].put(picture, mark.packet())
    except DataError as error:
        raise DataError(f"cannot mark the picture: {error}") from error


def mark_file(path: Path | str, mark: Mark) -> None:
    """Write the mark into a file, in place of any XMP that was there.

    A picture is written anew, whole or not at all. To a video the mark is appended: nothing of it moves, and it is not read
    into memory, however long it is.

    Args:
        path: of a JPEG, PNG, WebP, MP4 or MOV.
        mark: what to write.

    Raises:
        DataError: it is none of these, is broken, has a C2PA manifest, which a change would make invalid, or cannot be written.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("RGB", (4, 4)).save(f"{folder}/face.webp")
        ...     mark_file(f"{folder}/face.webp", Mark(software="mine"))
        ...     read_mark(f"{folder}/face.webp")["software"]
        'mine'
    """
    path = Path(path)
    with opened(path) as file:
        kind = kind_of(file)
        _refuse_signed(look(file))
        picture = None
        if kind in _PICTURES:
            file.seek(0)
            picture = _PICTURES[kind].put(file.read(), mark.packet())
    if picture is not None:
        write_atomically(path, picture)
        return
    with blaming(path):
        mp4.append(path, mark.packet())


def read_mark(path: Path | str) -> dict[str, str] | None:
    """Read what the XMP of a file says about how it was made.

    Args:
        path: of a JPEG, PNG, WebP, MP4 or MOV, of anyone's.

    Returns:
        of "digital_source_type", "software" and "model_id" those that are there, as they are, or None where there is no XMP.

    Raises:
        DataError: it is none of these, or is broken.
    """
    with opened(Path(path)) as file:
        return properties(look(file))


def properties(held: Held) -> dict[str, str] | None:
    """Give what the XMP that was found says, or None where there is none."""
    return None if held.packet is None else properties_of(held.packet)


def kind_of(file: BinaryIO) -> str:
    """Say what a file is by its first bytes: "JPEG", "PNG", "WebP" or "MP4", which stands for MOV too.

    Raises:
        DataError: none of these. The message is the reason alone.
    """
    file.seek(0)
    head = file.read(12)
    if head[:2] == b"\xff\xd8":
        return "JPEG"
    if head[:8] == png.SIGNATURE:
        return "PNG"
    if head[:4] == b"RIFF" and head[8:] == b"WEBP":
        return "WebP"
    if mp4.is_video(head):
        return "MP4"
    raise DataError("it is no JPEG, PNG, WebP, MP4 or MOV" if head else "it is empty")


def look(file: BinaryIO) -> Held:
    """Find the XMP packet in a file, and a C2PA manifest.

    Raises:
        DataError: it is no file that can bear a mark, or is broken. The message is the reason alone.
    """
    return _PICTURES.get(kind_of(file), mp4).look(file)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file to read; what is wrong with it is told with its name."""
    with blaming(path), path.open("rb") as file:
        yield file


@contextlib.contextmanager
def blaming(path: Path) -> Iterator[None]:
    """Put the name of the file before the reason why it cannot be used."""
    try:
        yield
    except DataError as error:
        raise DataError(f"cannot use {path}: {error}") from error
    except OSError as error:
        raise DataError(f"cannot use {path}: {error.strerror or error}; give the name of a file") from error


def _refuse_signed(held: Held) -> None:
    if held.manifest:
        raise DataError("it has a C2PA manifest, which a change would make invalid; mark first, and sign last")
