"""What a person gave: pictures, videos, and folders of both."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from condswap.data.layout import SUFFIXES
from condswap.errors import DataError

VIDEOS = (
    ".mp4",
    ".m4v",
    ".mov",
    ".mkv",
    ".webm",
    ".avi",
    ".gif",
    ".mpg",
    ".mpeg",
    ".ts",
    ".mts",
    ".wmv",
    ".flv",
    ".3gp",
)
_READ = (*SUFFIXES, *VIDEOS)
_NOT_READ = (".avif", ".bmp", ".heic", ".jfif", ".jp2", ".jxl", ".tif", ".tiff")
_MASK = ".mask.png"


class Source(NamedTuple):
    """One picture or video: its file, whether it is a video, and a name that no other source of the same run has."""

    path: Path
    is_video: bool
    name: str


def find_sources(given: Sequence[Path]) -> tuple[list[Source], list[tuple[Path, str]]]:
    """Give the pictures and videos among files and folders; then what looks like one and is not read, with the reason.

    In a folder are taken the pictures and videos that lie in it, in the order of their names; folders in it are not entered.
    A file that is given by itself is taken for a video unless its name is that of a picture: `probe` says what is wrong.

    Raises:
        DataError: something is not there, cannot be looked into, or holds nothing.
    """
    files: dict[Path, Path] = {}
    refused: list[tuple[Path, str]] = []
    for one in given:
        if not one.exists():
            raise DataError(f"there is no {one}; give pictures, videos or folders of them")
        inside = _inside(one) if one.is_dir() else [one]
        unread = [path for path in inside if path.suffix.lower() in _NOT_READ]
        known = [path for path in inside if path not in unread and (one.is_file() or path.suffix.lower() in _READ)]
        if not known and not unread:
            raise DataError(f"{one} holds no picture and no video ({', '.join(_READ)})")
        refused += [(path, "convert it to JPEG, PNG or WebP") for path in unread]
        for path in known:
            files.setdefault(path.resolve(), path)  # once, also where a file and its folder are given
    if not files:
        raise DataError("; ".join(f"{path}: {reason}" for path, reason in refused))
    used: set[str] = set()
    return [
        Source(path, path.suffix.lower() not in SUFFIXES, _name(path.stem, used)) for path in files.values()
    ], refused


def _name(stem: str, used: set[str]) -> str:
    """Give a name that is not used, also where capitals do not count, and use it."""
    name, number = stem, 2
    while name.lower() in used:
        name, number = f"{stem}-{number}", number + 1
    used.add(name.lower())
    return name


def _inside(folder: Path) -> list[Path]:
    try:
        inside = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"cannot look into {folder}: {error.strerror}; allow reading it, or choose another") from error
    return [path for path in inside if not path.name.lower().endswith(_MASK)]
