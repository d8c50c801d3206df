"""Folders as people have them: facesets of DeepFaceLab in a workspace, in a folder a person, and in paks."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from dfl_files import face, facts, jpeg, pak, with_payload, write
from hostile_pickles import payloads

from condswap import FaceFolder, Trainer, TrainerConfig
from condswap.cgan import CGAN
from condswap.errors import DataError

ONE, TWO = face(mask=np.full((64, 64), 255, np.uint8)), face(32)


def test_a_workspace_is_taken_as_it_is(tmp_path: Path) -> None:
    for name in ("data_src", "data_dst"):
        write(tmp_path / name / "00001.png", b"a frame of the video, which is no face")
        write(tmp_path / name / "aligned" / "00001_0.jpg", ONE)
        write(tmp_path / name / "aligned" / "00002_0.jpg", TWO)
        write(tmp_path / name / "aligned_trash" / "00003_0.jpg", TWO)
    write(tmp_path / "model" / "new_SAEHD_encoder.npy", b"")
    data = FaceFolder(tmp_path, image_size=32)
    assert data.classes == ("data_dst", "data_src")
    assert [path.relative_to(tmp_path).as_posix() for path in data.paths] == [
        f"{name}/aligned/0000{number}_0.jpg" for name in ("data_dst", "data_src") for number in (1, 2)
    ]
    assert data.unreadable == ((tmp_path / "model", "it has no folder 'aligned', as others here do"),)
    assert data.without_mask == []
    assert data[0]["mask"].min() == 1, "its own mask"
    assert 0.2 < data[1]["mask"].mean() < 0.8, "the hull of its landmarks"


def test_one_folder_a_person_and_a_mask_beside_the_picture_wins(tmp_path: Path) -> None:
    write(tmp_path / "ada" / "00001_0.jpg", TWO)
    write(tmp_path / "ada" / "00002_0.jpg", jpeg(32))
    from PIL import Image as Pillow

    Pillow.fromarray(np.pad(np.full((8, 8), 255, np.uint8), 12)).save(tmp_path / "ada" / "00001_0.mask.png")
    data = FaceFolder(tmp_path, image_size=32)
    assert data[0]["mask"].sum() == pytest.approx(64)
    assert data.without_mask == [tmp_path / "ada" / "00002_0.jpg"]


def test_a_pak_in_place_of_pictures(tmp_path: Path) -> None:
    write(tmp_path / "data_src" / "aligned" / "faceset.pak", pak({"00001_0.jpg": ONE, "00002_0.jpg": TWO}))
    write(tmp_path / "data_dst" / "aligned" / "00001_0.jpg", TWO)
    data = FaceFolder(tmp_path, image_size=32)
    assert data.classes == ("data_dst", "data_src")
    assert [path.name for path in data.paths] == ["00001_0.jpg", "00001_0.jpg", "00002_0.jpg"]
    again = FaceFolder(tmp_path, image_size=32, cache=0)
    for index in range(3):
        assert torch.equal(data[index]["image"], again[index]["image"])
        assert torch.equal(data[index]["mask"], again[index]["mask"])


@pytest.mark.parametrize("inside", [True, False])
def test_a_pak_of_people_gives_the_classes(tmp_path: Path, inside: bool) -> None:
    people = {"1.jpg": "bo", "2.jpg": "ada", "3.jpg": "bo"}
    path = write(tmp_path / "faceset.pak", pak(dict.fromkeys(people, TWO), people=people))
    data = FaceFolder(tmp_path if inside else path, image_size=32)
    assert data.classes == ("ada", "bo")
    assert [path.name for path in data.paths] == ["2.jpg", "1.jpg", "3.jpg"]
    assert FaceFolder(path, image_size=32, classes=["bo"]).labels == [0, 0]


def test_a_pak_in_the_wrong_place_is_told(tmp_path: Path) -> None:
    flat = write(tmp_path / "flat" / "faceset.pak", pak({"1.jpg": TWO}))
    with pytest.raises(DataError, match=r"does not say whom 1.jpg shows; move the pak into a folder named after"):
        FaceFolder(flat.parent)
    people = {"1.jpg": "ada", "2.jpg": "bo"}
    write(tmp_path / "all" / "both" / "faceset.pak", pak(dict.fromkeys(people, TWO), people=people))
    with pytest.raises(DataError, match=r"has several people \(ada, bo, ...\)"):
        FaceFolder(tmp_path / "all")
    broken = write(tmp_path / "broken" / "ada" / "faceset.pak", b"\1" * 99)
    with pytest.raises(DataError, match=f"cannot use {broken}: not a faceset.pak of version 1"):
        FaceFolder(tmp_path / "broken")


def test_links_that_lead_outside_are_refused(tmp_path: Path) -> None:
    outside = write(tmp_path / "secret" / "face.jpg", TWO)
    root = tmp_path / "faces"
    write(root / "ada" / "1.jpg", TWO)
    (root / "ada" / "2.jpg").symlink_to(outside)
    (root / "ada" / "3.jpg").symlink_to("1.jpg")
    (root / "ada" / "4.jpg").symlink_to("nowhere.jpg")
    (root / "bo").symlink_to(outside.parent)
    data = FaceFolder(root, image_size=32)
    assert data.classes == ("ada",)
    assert [path.name for path in data.paths] == ["1.jpg", "3.jpg"]
    refused = dict(data.unreadable)
    assert refused[root / "ada" / "2.jpg"].startswith(f"a link that leads out of {root}; copy")
    assert refused[root / "bo"].startswith(f"a link that leads out of {root}")
    assert (root / "ada" / "4.jpg") in refused


def test_a_folder_full_of_hostile_faces_trains_on_the_rest_and_lists_them(tmp_path: Path) -> None:
    for number, name in enumerate(("ada", "bo")):
        write(tmp_path / name / "good.jpg", ONE)
        write(tmp_path / name / "good2.jpg", TWO)
        for kind, some in payloads().items():
            if len(some[number % len(some)]) < 60_000:
                payload = some[number % len(some)]
                # Only what begins as a pickle of DeepFaceLab's is taken for one.
                payload = payload if payload.startswith(b"\x80") else b"\x80\x03" + payload
                write(tmp_path / name / f"hostile {kind}.jpg", with_payload(jpeg(), payload))
    data = FaceFolder(tmp_path, image_size=16)
    assert [path.name for path in data.paths] == ["good.jpg", "good2.jpg"] * 2
    assert len(data.unreadable) > 20
    assert all(reason.startswith("what DeepFaceLab wrote into it: ") for _, reason in data.unreadable)
    trainer = Trainer(CGAN.default(16, classes=data.classes), TrainerConfig(batch_size=4), device="cpu")
    trainer.fit(data, 1)
    assert trainer.step == 1


def test_a_face_whose_facts_cannot_be_is_listed(tmp_path: Path) -> None:
    write(tmp_path / "ada" / "1.jpg", TWO)
    write(tmp_path / "ada" / "2.jpg", with_payload(jpeg(), pickle.dumps({**facts(), "landmarks": "none"}, 4)))
    data = FaceFolder(tmp_path, image_size=32)
    assert [path.name for path, _ in data.unreadable] == ["2.jpg"]
    assert "landmarks is not 68 x 2 numbers" in data.unreadable[0][1]
