"""Aligned faces of DeepFaceLab: read to the number, and written so that DeepFaceLab finds what it needs."""

import io
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dfl_files import face, facts, jpeg, landmarks, png, png_face, with_payload, write
from PIL import Image as Pillow

from condswap.data.dfl_face import DflFace, find_face
from condswap.data.dfl_writing import put_mask, put_picture
from condswap.errors import DataError, ShapeError
from condswap.jpeg import APP15, content, segments

FIXTURES = Path(__file__).resolve().parents[2] / ".." / "shared" / "fixtures" / "dfl" / "dfljpg"
needs_fixtures = pytest.mark.skipif(not FIXTURES.is_dir(), reason="there is no ../shared with faces of DeepFaceLab's")


def payload(path: Path) -> dict[str, Any]:
    """What the file holds, read by Python's own pickle, as DeepFaceLab does."""
    file = io.BytesIO(path.read_bytes())
    return next(pickle.loads(content(file, segment)) for segment in segments(file) if segment.marker == APP15)


@needs_fixtures
@pytest.mark.parametrize("name", ["00001_0.jpg", "00002_0.jpg", "00003_0.jpg"])
def test_faces_that_deepfacelab_wrote(name: str) -> None:
    known = json.loads((FIXTURES / "expected.json").read_text())[name]
    masks = np.load(FIXTURES / "expected.npz")
    read = DflFace.read(FIXTURES / name)
    assert [read.height, read.width, 3] == known["shape"]
    assert read.face_type == known["face_type"]
    assert read.brows == known["eyebrows_expand_mod"]
    assert (read.source, list(read.source_box or ())) == (known["source_filename"], known["source_rect"])
    for ours, theirs in (("landmarks", "landmarks"), ("source_landmarks",) * 2, ("matrix", "image_to_face_mat")):
        assert getattr(read, ours).tolist() == known[theirs]
    outlines = [{"type": int(one.include), "pts": one.points.tolist()} for one in read.polygons]
    assert outlines == known["seg_ie_polys"]
    mask = read.mask()
    assert mask is not None
    wanted = masks[f"{name}|{'xseg' if known['has_xseg_mask'] else 'hull'}_mask"][..., 0]
    assert np.abs(mask[0].numpy() / 255 - wanted).max() <= 1 / 255


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_every_protocol_that_python_has_had(protocol: int) -> None:
    mask = np.arange(0, 144, dtype=np.uint8).reshape(12, 12)
    read = DflFace.read(face(protocol=protocol, mask=mask))
    assert read.face_type == "whole_face"
    assert read.landmarks is not None
    assert read.landmarks.tolist() == landmarks()
    assert read.source_box == (10, 20, 110, 140)
    assert read.matrix is not None
    assert read.matrix.tolist() == [[0.5, 0.0, -2.5], [0.0, 0.5, -2.5]]
    assert read.polygons[0].points.tolist() == [[1, 2], [3, 4], [5, 1]]
    found = read.mask()
    assert found is not None
    assert np.array_equal(found[0].numpy(), mask)


def test_without_a_mask_it_is_the_hull_of_the_landmarks() -> None:
    mask = DflFace.read(face()).mask()
    assert mask is not None
    assert mask.shape == (1, 64, 64)
    assert mask[0, 32, 32] == 255
    assert mask[0, 2, 2] == 0
    small = DflFace.read(face()).mask(image_size=16)
    assert small is not None
    assert small.shape == (1, 16, 16)
    assert abs(small.float().mean() - mask.float().mean()) < 4


def test_older_ways_of_saying_things() -> None:
    read = DflFace.read(
        face(seg_ie_polys=[(0, [[1.0, 2.0], [3.0, 4.0]])], landmarks=np.array(landmarks()), source_rect=[1, 2, 3, 4])
    )
    assert read.polygons[0].include is False
    assert read.source_box == (1, 2, 3, 4)
    assert read.landmarks is not None
    bare = DflFace.read(with_payload(jpeg(), pickle.dumps({}, 4)))
    assert (bare.face_type, bare.brows, bare.landmarks, bare.mask()) == ("full_face", 1.0, None, None)


def test_a_png_from_before_2020() -> None:
    mask = np.eye(9, dtype=np.uint8) * 255
    old = {key: value for key, value in facts(mask=mask).items() if key not in ("xseg_mask", "seg_ie_polys")}
    old |= {"fanseg_mask": facts(mask=mask)["xseg_mask"], "ie_polys": [(1, [[1.0, 2.0], [3.0, 4.0]])]}
    read = DflFace.read(png_face(pickle.dumps(old, 3), 48))
    assert (read.height, read.width, read.face_type) == (48, 48, "whole_face")
    assert read.polygons[0].points.tolist() == [[1, 2], [3, 4]]
    found = read.mask()
    assert found is not None
    assert np.array_equal(found[0].numpy(), mask)
    assert find_face(png(mask)) is None
    whole = png_face(pickle.dumps(old, 3))
    with pytest.raises(DataError, match="cut off"):
        find_face(whole[: len(whole) - 40])


def test_a_jpeg_of_another_program_is_none_of_deepfacelabs() -> None:
    assert find_face(jpeg()) is None
    assert find_face(with_payload(jpeg(), b"Q-something else")) is None
    with pytest.raises(DataError, match="no data of DeepFaceLab's; give a face"):
        DflFace.read(jpeg())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"landmarks": [[1.0, 2.0] for _ in range(67)]}, "landmarks is not 68 x 2 numbers"),
        ({"landmarks": [[1.0, 2.0, 3.0] for _ in range(68)]}, "landmarks is not 68 x 2 numbers"),
        ({"landmarks": [["a", "b"] for _ in range(68)]}, "landmarks is not 68 x 2 numbers"),
        ({"landmarks": [[float("nan"), 0.0] for _ in range(68)]}, "landmarks is not 68 x 2 numbers"),
        ({"landmarks": np.full((68, 2), np.inf)}, "landmarks has a number"),
        (
            {"landmarks": [[1e7, 0.0] for _ in range(68)]},
            "landmarks is not 68 x 2 numbers, none of them larger than 1024",
        ),
        ({"image_to_face_mat": np.zeros((3, 3))}, "image_to_face_mat is not 2 x 3"),
        ({"source_rect": "left"}, "source_rect is not 4 numbers"),
        ({"face_type": 4}, "face_type is a int"),
        ({"eyebrows_expand_mod": float("nan")}, "eyebrows_expand_mod"),
        ({"seg_ie_polys": {"polys": [{"type": 7, "pts": [[0.0, 0.0]]}]}}, "no outline"),
        ({"seg_ie_polys": {"polys": {}}}, "not a list of outlines"),
        ({"xseg_mask": "mask"}, "xseg_mask is not the bytes"),
    ],
)
def test_what_cannot_be_is_named(change: dict[str, Any], told: str) -> None:
    with pytest.raises(DataError, match=f"cannot use the picture: what DeepFaceLab wrote into it: .*{told}"):
        DflFace.read(face(**change))


def test_a_broken_mask_inside_is_named() -> None:
    read = DflFace.read(face(xseg_mask=np.frombuffer(png(np.eye(9, dtype=np.uint8))[:40], np.uint8).reshape(-1, 1)))
    with pytest.raises(DataError, match="the mask inside it: "):
        read.mask()


def test_a_mask_is_put_where_deepfacelab_looks(tmp_path: Path) -> None:
    path = write(tmp_path / "00001_0.jpg", face())
    before = Pillow.open(path).convert("RGB").tobytes()
    put_mask(path, torch.eye(32)[None])
    found = payload(path)
    assert list(found) == [*facts(), "xseg_mask"]
    assert (found["xseg_mask"].dtype, found["xseg_mask"].ndim) == (np.uint8, 2)
    drawn = np.array(Pillow.open(io.BytesIO(found["xseg_mask"].tobytes())))
    assert np.array_equal(drawn, np.eye(32, dtype=np.uint8) * 255)
    assert found["landmarks"] == landmarks()
    assert np.array_equal(found["image_to_face_mat"], facts()["image_to_face_mat"])
    assert Pillow.open(path).convert("RGB").tobytes() == before
    assert b"numpy._core" not in path.read_bytes()


def test_a_mask_too_large_for_a_png_becomes_a_jpeg(tmp_path: Path) -> None:
    path = write(tmp_path / "00001_0.jpg", face())
    noise = torch.rand(1, 256, 256, generator=torch.Generator().manual_seed(0))
    put_mask(path, noise)
    assert len(payload(path)["xseg_mask"]) <= 50_000
    mask = DflFace.read(path).mask()
    assert mask is not None
    assert (mask / 255 - noise).abs().mean() < 0.1


def test_a_picture_is_put_and_all_that_deepfacelab_knows_stays(tmp_path: Path) -> None:
    path = write(tmp_path / "00001_0.jpg", face(mask=np.eye(9, dtype=np.uint8) * 255))
    put_picture(path, torch.full((3, 64, 64), 0.25))
    pixels = np.array(Pillow.open(path))
    assert np.abs(pixels.astype(int) - 64).max() <= 1
    assert list(payload(path)) == list(facts(mask=np.eye(9, dtype=np.uint8)))
    assert path.read_bytes()[6:10] == b"JFIF"


def test_what_does_not_fit_leaves_the_file_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "00001_0.jpg", face(source_filename="x" * 60_000))
    before = path.read_bytes()
    with pytest.raises(DataError, match=r"could not write .*65533 that fit.*untouched"):
        put_mask(path, torch.rand(1, 128, 128))
    with pytest.raises(ShapeError, match=r"a mask is \(1, h, w\)"):
        put_mask(path, torch.zeros(3, 4, 4))
    with pytest.raises(DataError, match=r"values from 0 to 2"):
        put_mask(path, torch.linspace(0, 2, 16).reshape(1, 4, 4))
    with pytest.raises(ShapeError, match="resize it"):
        put_picture(path, torch.zeros(3, 32, 32))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["00001_0.jpg"]


@needs_fixtures
def test_a_file_of_deepfacelabs_can_be_rewritten(tmp_path: Path) -> None:
    path = tmp_path / "00003_0.jpg"
    shutil.copyfile(FIXTURES / path.name, path)
    before = payload(path)
    mask = DflFace.read(path).mask()
    assert mask is not None
    put_mask(path, mask.float() / 255)
    after = payload(path)
    assert list(after) == list(before)
    assert all(np.array_equal(after[key], before[key]) for key in before if key not in ("xseg_mask", "seg_ie_polys"))
    again = DflFace.read(path).mask()
    assert again is not None
    assert torch.equal(again, mask)
