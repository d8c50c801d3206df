"""The faceset.pak: listed without its pictures being read, and refused where it is not whole."""

import json
import struct
from hashlib import sha256
from pathlib import Path

import pytest
from dfl_files import face, pak, write

from condswap.data.dfl_pak import list_pak, read_packed
from condswap.errors import DataError

FIXTURE = Path(__file__).resolve().parents[2] / ".." / "shared" / "fixtures" / "dfl" / "dfljpg" / "pak_flat"
FACES = {"00001_0.jpg": face(), "00002_0.jpg": face(32), "00003_0.jpg": face(48)}


@pytest.mark.skipif(not FIXTURE.is_dir(), reason="there is no ../shared with a faceset.pak of DeepFaceLab's")
def test_a_pak_that_deepfacelab_wrote() -> None:
    known = json.loads((FIXTURE / "expected.json").read_text())
    found = list_pak(FIXTURE / "faceset.pak")
    assert [(one.name, one.person, one.size) for one in found] == [
        (one["filename"], one["person_name"], one["size"]) for one in known
    ]
    read = [sha256(read_packed(FIXTURE / "faceset.pak", one)).hexdigest() for one in found]
    assert read == [one["sha256"] for one in known]


def test_every_face_comes_back_to_the_byte(tmp_path: Path) -> None:
    path = write(tmp_path / "faceset.pak", pak(FACES, people={"00001_0.jpg": "ada", "00003_0.jpg": "bo"}))
    found = list_pak(path)
    assert [(one.name, one.person) for one in found] == [
        ("00001_0.jpg", "ada"),
        ("00002_0.jpg", None),
        ("00003_0.jpg", "bo"),
    ]
    assert [read_packed(path, one) for one in found] == list(FACES.values())


def test_an_empty_pak_has_no_faces(tmp_path: Path) -> None:
    assert list_pak(write(tmp_path / "faceset.pak", pak({}))) == []


@pytest.mark.parametrize("name", ["../out.jpg", "/etc/passwd", "a/b.jpg", "..\\out.jpg", "..", ".", "", "a\0.jpg"])
def test_names_that_lead_outside_are_refused(tmp_path: Path, name: str) -> None:
    for change in ({"filename": name}, {"person_name": name}):
        path = write(tmp_path / "faceset.pak", pak(FACES, **change))
        with pytest.raises(DataError, match="not the plain name of a file"):
            list_pak(path)


def test_what_is_not_whole_is_refused(tmp_path: Path) -> None:
    whole = pak(FACES)
    index = struct.unpack("<Q", whole[8:16])[0]
    table = 16 + index
    wrong = {
        "too short": whole[:10],
        "of version 1": b"\2" + whole[1:],
        "index is cut off": whole[: index // 2],
        "table of places is cut off": whole[: table + 20],
        "index is broken": whole[:8] + struct.pack("<Q", index - 9) + whole[16:],
        "lies outside": whole[: table + 8] + struct.pack("<Q", 2**40) + whole[table + 16 :],
        "empty": b"",
        "a dict": whole[:8] + struct.pack("<Q", 4) + b"\x80\3}." + whole[table:],
    }
    for told, data in wrong.items():
        path = write(tmp_path / "faceset.pak", data)
        with pytest.raises(DataError, match=None if told == "a dict" else told):
            list_pak(path)
    with pytest.raises(DataError, match="No such file"):
        list_pak(tmp_path / "missing.pak")


def test_a_pak_that_was_cut_off_meanwhile_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "faceset.pak", pak(FACES))
    last = list_pak(path)[-1]
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match="cut off"):
        read_packed(path, last)
