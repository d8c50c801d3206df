"""The states before the newest one, kept for the day on which that one cannot be read."""

import contextlib
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from condswap.errors import DataError
from condswap.files import UNFINISHED

FILE = "state.safetensors"
_KEPT = 2  # beside the newest one
_NAME = re.compile(r"state-\d{8}-\d{6}-\d{3}\.safetensors")


def earlier(folder: Path) -> list[Path]:
    """List the states before the newest one, the latest first."""
    with contextlib.suppress(OSError):
        return sorted((path for path in folder.iterdir() if _NAME.fullmatch(path.name)), reverse=True)
    return []


def has_state(folder: Path) -> bool:
    """Tell whether there is a state in a folder, whole or not."""
    return (folder / FILE).is_file() or bool(earlier(folder))


@contextmanager
def set_aside(folder: Path) -> Iterator[None]:
    """Keep the state of a folder under the time of its writing, while the block puts another in its place.

    The last two and the last of every other day stay. Where the block fails, all is as it was.

    Raises:
        DataError: the disk refuses.

    Example:
        >>> import tempfile
        >>> from condswap.files import write_atomically
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for content in (b"one", b"two"):
        ...         with set_aside(Path(folder)):
        ...             write_atomically(Path(folder) / FILE, content)
        ...     [path.read_text() for path in (Path(folder) / FILE, *earlier(Path(folder)))]
        ['two', 'one']
    """
    newest = folder / FILE
    if not newest.is_file():
        yield
        return
    old = folder / _name(newest)
    try:
        _link(newest, old)
    except OSError as error:
        raise DataError(f"could not keep {newest}: {error.strerror}; nothing was written") from error
    try:
        yield
    except BaseException:
        old.replace(newest)  # nothing happens if they are one file still
        old.unlink(missing_ok=True)
        raise
    _prune(folder)


def _link(newest: Path, old: Path) -> None:
    """Give a file another name, which takes neither time nor room."""
    old.unlink(missing_ok=True)  # of the same thousandth of a second
    try:
        old.hardlink_to(newest)
    except OSError:  # a disk without links; killed right after this, `earlier` still has it
        newest.replace(old)


def _name(state: Path) -> str:
    """Give the name that sorts by the time of writing."""
    written = state.stat().st_mtime_ns
    second, milli = divmod(written // 10**6, 1000)
    return f"state-{time.strftime('%Y%m%d-%H%M%S', time.localtime(second))}-{milli:03}.safetensors"


def _prune(folder: Path) -> None:
    """Delete what is neither of the last ones nor the last of its day, and what a run that was killed left half written."""
    for path in folder.glob(f"{UNFINISHED}*.safetensors"):
        with contextlib.suppress(OSError):
            path.unlink()
    days: set[str] = set()
    for place, path in enumerate(earlier(folder)):
        day = path.name.split("-")[1]
        if place >= _KEPT and day in days:
            with contextlib.suppress(OSError):  # one that cannot be deleted does no harm
                path.unlink()
        days.add(day)
