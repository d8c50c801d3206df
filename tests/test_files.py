"""write_atomically: the old file or the new one, never a half."""

import errno
import os
import stat
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from condswap.errors import DataError
from condswap.files import write_atomically


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_bytes_are_written_whole(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a.bin", b"\x00\x01new")
    assert (tmp_path / "a.bin").read_bytes() == b"\x00\x01new"
    assert names(tmp_path) == ["a.bin"]


def test_the_writer_is_given_an_empty_neighbour_with_the_same_suffix(tmp_path: Path) -> None:
    seen: list[Path] = []

    def write(path: Path) -> None:
        seen.append(path)
        assert path.read_bytes() == b""
        path.write_text("through")

    write_atomically(str(tmp_path / "picture.png"), write)
    assert (tmp_path / "picture.png").read_text() == "through"
    assert seen[0].parent == tmp_path
    assert seen[0].suffix == ".png"
    assert seen[0].name.startswith(".")
    assert names(tmp_path) == ["picture.png"]


@pytest.mark.parametrize("failure", [RuntimeError("mine"), KeyboardInterrupt()])
def test_a_failing_writer_leaves_the_old_file_and_nothing_else(tmp_path: Path, failure: BaseException) -> None:
    (tmp_path / "a.txt").write_text("old")

    def write(path: Path) -> None:
        path.write_text("hal")
        raise failure

    with pytest.raises(type(failure)) as caught:
        write_atomically(tmp_path / "a.txt", write)
    assert caught.value is failure
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_full_disk_while_writing_is_a_data_error_that_names_the_cure(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")

    def write(path: Path) -> None:
        path.write_text("hal")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DataError, match=r"a\.txt: No space left on device; free some space .* old file is untouched"):
        write_atomically(tmp_path / "a.txt", write)
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_full_disk_while_syncing_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_text("old")

    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(DataError, match="free some space"):
        write_atomically(tmp_path / "a.txt", b"new")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_the_content_is_synced_before_the_name_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def recorded_fsync(descriptor: int) -> None:
        events.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def recorded_replace(path: Path, target: Path) -> Path:
        events.append("replace")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(Path, "replace", recorded_replace)
    write_atomically(tmp_path / "a.txt", b"new")
    assert events == ["file", "replace", "folder"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
@pytest.mark.parametrize(("umask", "expected"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_follow_the_umask_even_when_the_writer_leaves_others(
    tmp_path: Path, umask: int, expected: int
) -> None:
    def write(path: Path) -> None:
        path.write_text("private")
        path.chmod(0o600 if expected != 0o600 else 0o644)

    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "by-writer", write)
        write_atomically(tmp_path / "by-bytes", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "by-writer").stat().st_mode) == expected
    assert stat.S_IMODE((tmp_path / "by-bytes").stat().st_mode) == expected


def test_safetensors_goes_through(tmp_path: Path) -> None:
    target = tmp_path / "model.safetensors"
    tensors = {"weight": torch.arange(6.0)}
    write_atomically(target, lambda path: save_file(tensors, path))
    assert load_file(target)["weight"].tolist() == [0, 1, 2, 3, 4, 5]


def test_a_disk_that_is_full_for_safetensors_is_told_too(tmp_path: Path) -> None:
    def write(path: Path) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    with pytest.raises(DataError, match="free some space .* nothing was left behind"):
        write_atomically(tmp_path / "model.safetensors", write)
    assert names(tmp_path) == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="make the folder .*missing first"):
        write_atomically(tmp_path / "missing" / "a.txt", b"x")


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="it is a folder, not a file"):
        write_atomically(tmp_path / "folder", b"x")
    assert names(tmp_path) == ["folder"]
