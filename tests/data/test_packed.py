"""Packed faces: the same pictures, from one file that is mapped, whatever the folder was."""

import json
import pickle
import struct
from pathlib import Path

import pytest
import torch
from dfl_files import face, pak, write
from safetensors import safe_open
from safetensors.torch import save_file
from torch.utils.data import DataLoader
from toy_folder import make_faces

from condswap import ConfigError, DataError, FaceFolder
from condswap.cli import main
from condswap.data import PackedFaces, pack
from condswap.training.loader import batches


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "faces"
    make_faces(root, each=12)
    write(root / "trump" / "broken.png", b"no picture")
    write(root / "biden" / "100.jpg", face(32))
    return root


@pytest.fixture(scope="module")
def packed(faces, tmp_path_factory):
    file = tmp_path_factory.mktemp("packed") / "faces.safetensors"
    left_out = pack(faces, file, image_size=32)
    assert [(path.name, "not a JPEG" in reason) for path, reason in left_out] == [("broken.png", True)]
    return file


def test_it_holds_what_the_folder_holds(faces, packed):
    one, other = FaceFolder(faces, image_size=32), PackedFaces(packed)
    assert (other.classes, other.image_size, len(other)) == (one.classes, one.image_size, len(one))
    assert (other.labels, other.paths, other.without_mask) == (one.labels, one.paths, one.without_mask)
    for index in range(len(one)):
        for name in ("image", "mask"):
            assert torch.equal(one[index][name], other[index][name])
    assert other.clips(cut=0.05, least=2) == one.clips(cut=0.05, least=2)
    for part, same in zip(other.split(), one.split(), strict=True):
        assert part.paths == same.paths
        assert torch.equal(part[0]["image"], same[0]["image"])


def test_the_file_is_plain_safetensors(packed):
    with safe_open(packed, framework="pt") as opened:
        assert opened.keys() == ["pixels"]
        assert opened.get_slice("pixels").get_shape() == [25, 4, 32, 32]
        assert json.loads(opened.metadata()["condswap.faces"])["classes"] == ["biden", "trump"]


def test_classes_are_chosen_and_ordered(packed):
    data = PackedFaces(packed, classes=["trump", "biden"])
    assert data.labels == [0] * 12 + [1] * 13
    assert data.paths[0].parent.name == "trump"
    assert PackedFaces(packed, classes=["trump"]).labels == [0] * 12
    with pytest.raises(DataError, match="no class 'obama'; its classes are biden, trump"):
        PackedFaces(packed, classes=["obama"])
    with pytest.raises(ConfigError, match="not a list of different names"):
        PackedFaces(packed, classes="trump")


def test_a_worker_process_maps_the_file_itself(packed):
    data = PackedFaces(packed)
    sent = pickle.dumps(data)
    assert len(sent) < 25 * 4 * 32 * 32 / 4
    assert torch.equal(pickle.loads(sent)[3]["image"], data[3]["image"])
    loader = DataLoader(data, batch_size=25, num_workers=1, multiprocessing_context="spawn")
    assert torch.equal(next(iter(loader))["image"], torch.stack([data[index]["image"] for index in range(25)]))


@pytest.mark.parametrize("cache", [0, 9 * 4 * 32 * 32, 2**30])
def test_a_batch_is_its_items(faces, packed, cache):
    for data in (FaceFolder(faces, image_size=32, cache=cache), PackedFaces(packed)):
        batch = data.batch([3, 20, 3, 11])
        for place, index in enumerate([3, 20, 3, 11]):
            for name in ("image", "mask"):
                assert torch.equal(batch[name][place], data[index][name])
        assert batch["label"].tolist() == [0, 1, 0, 0]
        assert batch["label"].dtype == torch.int64


class Items:
    """The same dataset, which can only be asked item by item."""

    def __init__(self, data):
        self.data, self.labels, self.classes = data, data.labels, data.classes

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        return self.data[index]


@pytest.mark.parametrize("workers", [0, 2])
def test_training_gets_the_same_batches_whole_or_item_by_item(packed, workers):
    data = PackedFaces(packed)
    rows = []
    for given in (data, Items(data)):
        source = batches(
            given, labels=given.labels, batch_size=8, seed=1, start=2, workers=workers, device=torch.device("cpu")
        )
        rows.append([next(source) for _ in range(5)])
    for one, other in zip(*rows, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in ("image", "mask", "label"))


def test_facesets_of_deepfacelab_are_packed_too(tmp_path):
    write(tmp_path / "w" / "data_src" / "aligned" / "faceset.pak", pak({"1.jpg": face(), "2.jpg": face(32)}))
    write(tmp_path / "w" / "data_dst" / "aligned" / "1.jpg", face())
    assert pack(tmp_path / "w", tmp_path / "w.safetensors", image_size=32) == []
    assert PackedFaces(tmp_path / "w.safetensors").classes == ("data_dst", "data_src")


def test_what_cannot_be_packed_leaves_nothing_and_the_old_file_whole(faces, packed, tmp_path):
    write(tmp_path / "empty" / "ada" / "1.png", b"no picture")
    file = write(tmp_path / "old.safetensors", packed.read_bytes())
    with pytest.raises(DataError, match=r"class 'ada' has no picture that can be used.*\n.*1.png: not a JPEG"):
        pack(tmp_path / "empty", file)
    with pytest.raises(ConfigError, match="end its name in .safetensors"):
        pack(faces, tmp_path / "faces.pt")
    with pytest.raises(ConfigError, match="image_size=0"):
        pack(faces, file, image_size=0)
    assert file.read_bytes() == packed.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "old.safetensors"]


def test_a_file_that_is_not_whole_or_none_of_ours_is_refused(packed, tmp_path):
    data = packed.read_bytes()
    for broken in (b"", data[:100], data[:-1], b"\xff" * 99):
        file = write(tmp_path / "broken.safetensors", broken)
        with pytest.raises(DataError, match=r"cannot use .*broken.safetensors: .*; pack the faces again"):
            PackedFaces(file)
    with pytest.raises(DataError, match="nowhere.safetensors: it is not there"):
        PackedFaces(tmp_path / "nowhere.safetensors")
    save_file({"weight": torch.zeros(3)}, tmp_path / "model.safetensors")
    with pytest.raises(DataError, match="was not written by `condswap pack`"):
        PackedFaces(tmp_path / "model.safetensors")


def facts_of(file: Path) -> dict:
    with safe_open(file, framework="pt") as opened:
        return json.loads(opened.metadata()["condswap.faces"])


@pytest.mark.parametrize(
    "change",
    [
        {"labels": [0]},
        {"labels": [2] * 25},
        {"labels": [-1] * 25},
        {"labels": [0.0] * 25},
        {"paths": None},
        {"paths": [1] * 25},
        {"masked": [1] * 25},
        {"steps": [0] * 25},
        {"steps": [float("nan")] * 25},
        {"classes": ["a", "a"]},
        {"classes": "ab"},
        {"classes": None},
    ],
)
def test_facts_that_do_not_fit_are_refused(packed, tmp_path, change):
    pixels = PackedFaces(packed)._pixels.clone()
    save_file(
        {"pixels": pixels}, tmp_path / "f.safetensors", {"condswap.faces": json.dumps({**facts_of(packed), **change})}
    )
    with pytest.raises(DataError, match="contradicts itself; pack the faces again"):
        PackedFaces(tmp_path / "f.safetensors")


@pytest.mark.parametrize(
    "pixels",
    [torch.zeros(25, 4, 32, 32), torch.zeros(25, 3, 32, 32, dtype=torch.uint8), torch.zeros(25, dtype=torch.uint8)],
)
def test_pixels_that_do_not_fit_are_refused(packed, tmp_path, pixels):
    save_file({"pixels": pixels}, tmp_path / "f.safetensors", {"condswap.faces": json.dumps(facts_of(packed))})
    with pytest.raises(DataError, match="contradicts itself"):
        PackedFaces(tmp_path / "f.safetensors")


def test_a_newer_file_is_refused_with_the_cure(packed, tmp_path):
    facts = json.dumps({**facts_of(packed), "format": 2})
    save_file({"pixels": PackedFaces(packed)._pixels.clone()}, tmp_path / "f.safetensors", {"condswap.faces": facts})
    with pytest.raises(ConfigError, match="format 2 and this condswap reads up to 1; update condswap"):
        PackedFaces(tmp_path / "f.safetensors")


def test_the_header_ends_where_it_says(packed):
    data = packed.read_bytes()
    room = struct.unpack("<Q", data[:8])[0]
    assert room % 8 == 0
    assert len(data) == 8 + room + 25 * 4 * 32 * 32


def test_from_the_command_line(faces, tmp_path, capsys):
    file = tmp_path / "faces.safetensors"
    assert main(["pack", str(faces), str(file), "--size", "32", "--classes", "trump,biden"]) == 0
    told = capsys.readouterr()
    assert "left out " in told.err
    assert told.out.startswith(f"25 pictures of trump, biden in {file}\n")
    assert f"condswap train {file} --size 32 --out RUN" in told.out
    small = ["--steps", "2", "--batch-size", "4", "--device", "cpu"]
    assert main(["train", str(file), "--out", str(tmp_path / "run"), "--size", "64", *small]) == 1
    assert "has pictures of 32 pixels and the model is to have 64; give --size 32" in capsys.readouterr().err
    assert main(["train", str(file), "--out", str(tmp_path / "run"), "--size", "32", *small]) == 0
