"""The faceset.pak of DeepFaceLab: many aligned faces in one file, each of them a whole JPEG."""

import mmap
import struct
from pathlib import Path
from typing import Any, NamedTuple

from condswap.errors import DataError
from condswap.safe_pickle import loads

NAME = "faceset.pak"
_VERSION = 1
_HEAD = struct.Struct("<QQ")  # the version, and the size of the index
_MOST = 2**22  # values of the index in memory at once; of the thousand faces that come together there are about 400,000


class Packed(NamedTuple):
    """One face in a pak: its name, the person if the pak says whom it shows, and where its JPEG lies."""

    name: str
    person: str | None
    start: int
    size: int


def list_pak(path: Path) -> list[Packed]:
    """List the faces of a pak; the pictures are not read.

    Raises:
        DataError: it cannot be read, or is not whole. The message is the reason alone.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            return _list(mapped)
    except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
        if isinstance(error, DataError):
            raise
        raise DataError(getattr(error, "strerror", None) or str(error)) from error


def read_packed(path: Path, face: Packed) -> bytes:
    """Read the JPEG of one face.

    Raises:
        DataError: the pak cannot be read any more. The message is the reason alone.
    """
    try:
        with path.open("rb") as file:
            file.seek(face.start)
            data = file.read(face.size)
    except OSError as error:
        raise DataError(error.strerror or str(error)) from error
    if len(data) < face.size:
        raise DataError("the pak is cut off there")
    return data


def _list(mapped: mmap.mmap) -> list[Packed]:
    whole = len(mapped)
    if whole < _HEAD.size:
        raise DataError("too short for a faceset.pak")
    version, index = _HEAD.unpack(mapped[: _HEAD.size])
    if version != _VERSION:
        raise DataError(f"not a faceset.pak of version {_VERSION}; unpack it with DeepFaceLab, and give the folder")
    if index > whole - _HEAD.size:
        raise DataError("its index is cut off")
    mapped.seek(_HEAD.size)
    names = loads(mapped, most=_MOST, row=_name)
    table = _HEAD.size + index
    if mapped.tell() > table or not isinstance(names, list):
        raise DataError("its index is broken")
    start = table + 8 * (len(names) + 1)
    if start > whole:
        raise DataError("its table of places is cut off")
    places = struct.unpack(f"<{len(names) + 1}Q", mapped[table:start])
    # DeepFaceLab writes the end of the whole file where the end of the last picture, counted from the first, belongs.
    ends = [*places[1:-1], whole - start]
    found = []
    for (name, person), begin, end in zip(names, places, ends, strict=False):
        if not begin <= end <= whole - start:
            raise DataError(f"the place of {name} in it lies outside")
        found.append(Packed(name, person, start + begin, end - begin))
    return found


def _name(row: Any) -> tuple[str, str | None]:
    """Take name and person of what the index says of a face; all else stands in its JPEG, too."""
    if isinstance(row, dict):
        name, person = row.get("filename"), row.get("person_name")
        if isinstance(name, str) and _plain(name) and (person is None or (isinstance(person, str) and _plain(person))):
            return name, person
    raise DataError("its index has a face whose name or person is not the plain name of a file")


def _plain(name: str) -> bool:
    """Tell whether this names something in a folder, and nothing outside of it."""
    return bool(name.strip(".")) and not set(name) & set("/\\\0")
