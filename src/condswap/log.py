"""A file that a long job writes line by line, so that it goes on behind what is whole when it was stopped."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Generic, Self, TextIO, TypeVar

from condswap.errors import DataError

_Entry = TypeVar("_Entry")


class Log(Generic[_Entry]):
    """Values in a file, as JSON, a line each, behind a first line that says what they are of.

    What stands behind the last line that is whole is cut off, and all of it where the first line is another.

    Args:
        path: of the file; made if it is not there.
        header: what the values are of.
        understand: turns the JSON of a line into a value, or None where it is none.

    Raises:
        DataError: the file cannot be read or written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, Log(Path(folder) / "log", {"of": 1}, lambda value: value) as log:
        ...     log.add("one")
        ...     list(log)
        ['one']
    """

    def __init__(self, path: Path, header: Mapping[str, Any], understand: Callable[[object], _Entry | None]) -> None:
        self.path, self._understand = path, understand
        self.last: _Entry | None = None
        """The last value that was there when the file was opened."""
        end = 0
        try:
            with path.open("a+b") as file:
                file.seek(0)
                if _value(file.readline()) == dict(header):
                    end = file.tell()
                    for entry in self._entries(file):
                        self.last, end = entry, file.tell()
                if file.seek(0, os.SEEK_END) > end:  # a line that was cut off, or another job
                    file.truncate(end)
            # Line by line, so that a kill costs what was being worked on.
            self._file: TextIO = path.open("a", encoding="utf-8", buffering=1)
            if not end:
                self.add(dict(header))
        except OSError as error:
            raise _refusal(path, error) from error

    def __iter__(self) -> Iterator[_Entry]:
        """Give the values."""
        with self.path.open("rb") as file:
            file.readline()
            yield from self._entries(file)

    def add(self, value: object) -> None:
        """Write a value.

        Raises:
            DataError: the disk refuses.
        """
        try:
            self._file.write(json.dumps(value, allow_nan=False, separators=(",", ":")) + "\n")
        except OSError as error:
            raise _refusal(self.path, error) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        """Give the log itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def _entries(self, file: BinaryIO) -> Iterator[_Entry]:
        """Give the values of the next lines, as long as they are whole."""
        while (entry := self._understand(_value(file.readline()))) is not None:
            yield entry


def _value(line: bytes) -> object:
    """Give the JSON of a whole line, or None."""
    try:
        return json.loads(line) if line.endswith(b"\n") else None
    except (ValueError, RecursionError):
        return None


def _refusal(path: Path, error: OSError) -> DataError:
    return DataError(f"{path} cannot be used: {error.strerror}; free some space, or allow reading and writing it")
