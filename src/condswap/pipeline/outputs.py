"""Where what is made goes, and what of a folder is done already."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from condswap.errors import ConfigError, DataError
from condswap.pictures import FORMATS as PICTURE_FORMATS
from condswap.pipeline.sources import Source
from condswap.pipeline.videos import FORMATS as VIDEO_FORMATS


@dataclass(frozen=True, kw_only=True)
class Signature:
    """With what outputs are signed: a private key and its certificate, both PEM files."""

    key: Path
    certificate: Path


@dataclass(frozen=True, kw_only=True)
class Swapped:
    """What was written.

    Attributes:
        files: in which faces were swapped.
        untouched: what of a folder has no face that was meant; it was copied as it is.
        unreadable: files that could not be used, each with the reason.
        lacking: what of a source its video lacks, such as subtitles.
    """

    files: Sequence[Path] = ()
    untouched: Sequence[Path] = ()
    unreadable: Sequence[tuple[Path, str]] = field(default_factory=list)
    lacking: Sequence[str] = ()


class Done:
    """Remembers which files of a folder are done, so that a run that was stopped goes on behind them.

    Args:
        folder: where the outputs go.
        settings: all that they depend on; what was done with others is done again.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self._path = folder / ".condswap-done.jsonl"
        self._known: dict[str, Any] = {}
        header = json.dumps(settings, sort_keys=True)
        try:
            lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
            if lines[:1] == [header]:
                self._known = dict(filter(None, map(_pair, lines[1:])))
            else:
                self._path.write_text(f"{header}\n", encoding="utf-8")
        except (OSError, ValueError) as error:
            raise DataError(f"{self._path} cannot be used ({error}); delete it, and run again") from error

    def was(self, path: Path) -> str | None:
        """Give what became of a file, as it is now; None where it is not done."""
        became, *facts = self._known.get(path.name, (None,))
        return became if facts == _facts(path) else None

    def add(self, path: Path, became: str) -> None:
        """Remember what became of a file."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([path.name, [became, *_facts(path)]]) + "\n")

    def forget(self) -> None:
        """Remember nothing any more: all is done."""
        self._path.unlink(missing_ok=True)


def target_of(source: Source, given: Path, out: Path) -> Path:
    """Give where what is made of a source goes."""
    if not given.is_dir():
        return out
    return out / (f"{source.name}.mp4" if source.is_video else source.path.name)


def check_name(source: Source, out: Path) -> None:
    """Refuse a name that what is made of a source cannot have.

    Raises:
        ConfigError: it ends in something else.
    """
    known = VIDEO_FORMATS if source.is_video else PICTURE_FORMATS
    if out.suffix.lower() not in known:
        kind = "video" if source.is_video else "picture"
        raise ConfigError(
            f"{source.path} is a {kind}, and what is made of it ends in {', '.join(known)}; {out} does not"
        )
    if out.is_dir():
        raise ConfigError(f"{out} is a folder; give the name of a file")
    if not out.parent.is_dir():
        raise DataError(f"there is no folder {out.parent}; make it first")


def _facts(path: Path) -> list[int]:
    file = path.stat()
    return [file.st_size, file.st_mtime_ns]


def _pair(line: str) -> tuple[str, Any] | None:
    """Read a line; None for one that was cut off."""
    try:
        name, facts = json.loads(line)
    except (ValueError, TypeError):
        return None
    return (name, facts) if isinstance(name, str) and isinstance(facts, list) and facts else None
