"""Files that are written whole or not at all.

Whatever a person would be sad to lose (a model, a training state, a picture) goes through `write_atomically`: it is
written under a temporary name in the same folder, synced to the disk, and only then takes the place of the old file.
"""

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from safetensors import SafetensorError

from condswap.errors import DataError

UNFINISHED = ".condswap-"  # how the name of a file begins that is being written
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_atomically(path: Path | str, write: Callable[[Path], object] | bytes) -> None:
    """Write a file whole or not at all.

    `write` is the bytes themselves, or a function that is given a temporary path, an empty file in the same folder
    whose suffix is that of `path`, and fills it. The result has the permissions that the umask gives to new files. The
    folder has to exist.

    Raises `DataError` when the disk refuses (full, read-only, no such folder). Any other exception of `write` passes
    through as it is. In both cases the file that was at `path` is untouched and the temporary file is gone.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(Path(folder) / "note.txt", b"whole")
    ...     [file.name for file in Path(folder).iterdir()]
    ['note.txt']
    """
    write_together({Path(path): write})


def write_together(files: Mapping[Path, Callable[[Path], object] | bytes]) -> None:
    """Write files that belong together: none takes its place before all of them are on the disk.

    They take their places in the order given. Each is written, and errors are raised, as `write_atomically` does.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_together({Path(folder) / "a.txt": b"one", Path(folder) / "b.txt": b"two"})
    ...     sorted(file.name for file in Path(folder).iterdir())
    ['a.txt', 'b.txt']
    """
    staged: list[tuple[Path, Path]] = []
    path = Path()
    try:
        for path, write in files.items():
            if path.exists() and not path.is_file():
                kind = "a folder" if path.is_dir() else "a device or a pipe"
                raise DataError(f"could not write {path}: it is {kind}, not a file; give the name of a file")
            # Short and hidden: fits where a long name just fits, and no one who lists pictures takes it for one.
            temporary = path.with_name(f"{UNFINISHED}{secrets.token_hex(6)}{path.suffix}")
            staged.append((temporary, path))
            _fill(temporary, write)
        for temporary, path in staged:
            temporary.replace(path)
    except BaseException as error:  # Ctrl-C too must not leave half a file behind
        for temporary, _ in staged:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        if isinstance(error, OSError | SafetensorError):
            raise DataError(_refusal(path, error)) from error
        raise
    for parent in {path.parent for path in files}:
        _sync_folder(parent)


def make_folder(folder: Path) -> None:
    """Make a folder, with those above it, unless it is there.

    Raises:
        DataError: it cannot be made.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as root:
        ...     make_folder(Path(root) / "a" / "b")
        ...     (Path(root) / "a" / "b").is_dir()
        True
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder} cannot be made: {error.strerror}; give the path of a folder") from error


def make_writable_folder(folder: Path) -> None:
    """Make a folder, and find out before the work, not after it, that nothing could be written to it.

    Raises:
        DataError: it cannot be made or written to.
    """
    make_folder(folder)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise DataError(f"{folder} cannot be written to; choose another folder, or allow writing in it")


def _fill(temporary: Path, write: Callable[[Path], object] | bytes) -> None:
    """Write a new file and wait until the disk has it."""
    # Made by us first, so that the umask is known without touching it: some writers (safetensors) leave 0600.
    with temporary.open("xb") as file:
        permissions = os.fstat(file.fileno()).st_mode & 0o777
        if isinstance(write, bytes):
            file.write(write)
    if not isinstance(write, bytes):
        write(temporary)
    temporary.chmod(permissions)
    with temporary.open("r+b") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the new name survive a power cut, where the system can do that."""
    # Not every system opens or syncs a folder (Windows, some network disks), and the file is whole in any case.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _refusal(path: Path, error: Exception) -> str:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    # safetensors gives the system's number only in its words: "... (os error 28)".
    told = re.search(r"os error (\d+)", reason)
    number = error.errno if isinstance(error, OSError) else int(told[1]) if told else None
    if number in _FULL:
        cure = "free some space or choose another disk, then try again"
    elif not path.parent.is_dir():
        cure = f"make the folder {path.parent} first"
    elif number in (errno.EACCES, errno.EPERM, errno.EROFS):
        cure = f"choose another folder, or allow writing in {path.parent}"
    else:
        cure = "try again, or choose another place"
    kept = "the old file is untouched" if path.exists() else "nothing was left behind"
    return f"could not write {path}: {reason}; {cure}; {kept}"
