"""Where what is made goes, and what of a folder is done already."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from condswap.errors import ConfigError, DataError
from condswap.log import Log
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
        self._log = Log(folder / ".condswap-done.jsonl", settings, _entry)
        self._known = dict(self._log)

    def was(self, path: Path) -> str | None:
        """Give what became of a file, as it is now; None where it is not done."""
        became, *facts = self._known.get(path.name, (None,))
        return became if facts == _facts(path) else None

    def add(self, path: Path, became: str) -> None:
        """Remember what became of a file."""
        self._log.add([path.name, [became, *_facts(path)]])

    def forget(self) -> None:
        """Remember nothing any more: all is done."""
        self._log.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._log.close()


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


def _entry(value: object) -> tuple[str, list[Any]] | None:
    """Give the name of a file, what became of it, and what it was like; None for a line that is not whole."""
    if not isinstance(value, list) or len(value) != 2:
        return None
    name, facts = value
    return (name, facts) if isinstance(name, str) and isinstance(facts, list) and facts else None
