"""What a mesh tells of aligned faces: pose and expression."""

import math
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from condswap import DataError, FaceFolder
from condswap.faces import Expression

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared"
MESH = SHARED / "models" / "face_landmarker.task"
needs_mesh = pytest.mark.skipif(
    not (MESH.is_file() and (SHARED / "faces").is_dir()),
    reason="there is no ../shared with faces and a face landmarker",
)


@pytest.fixture(scope="module")
def faces() -> torch.Tensor:
    data = FaceFolder(SHARED / "faces", image_size=128, classes=["trump"])
    return torch.stack([data[index]["image"] for index in range(0, len(data), len(data) // 12)])


@needs_mesh
class TestExpression:
    def test_a_mirrored_face_is_turned_the_other_way_and_speaks_alike(self, faces):
        measure = Expression(MESH)
        told, mirrored = measure(faces), measure(faces.flip(-1))
        assert set(told) == {"mouth", "yaw", "brow"}
        assert all(values.shape == (len(faces),) for values in told.values())
        assert (told["yaw"] + mirrored["yaw"]).abs().mean() < 0.06  # where the turns are .3 apart
        assert (told["mouth"] - mirrored["mouth"]).abs().mean() < 0.02
        assert told["mouth"].max() > 4 * told["mouth"].min().clamp_min(0.005)  # some of them speak

    def test_the_size_of_the_picture_says_nothing(self, faces):
        measure = Expression(MESH)
        larger = F.interpolate(faces, scale_factor=2, mode="bilinear")
        assert (measure(faces)["mouth"] - measure(larger)["mouth"]).abs().max() < 0.02

    def test_where_there_is_no_face_nothing_is_told(self):
        told = Expression(MESH)(torch.full((2, 3, 64, 64), 0.5))
        assert all(math.isnan(value) for values in told.values() for value in values.tolist())

    def test_the_command_measures_with_it(self, faces, tmp_path, capsys):
        from tiny_models import tiny
        from toy_folder import make_faces

        from condswap.cli import main

        make_faces(tmp_path / "faces")
        tiny(("biden", "trump")).save_pretrained(tmp_path / "model")
        command = [
            "evaluate",
            str(tmp_path / "model"),
            str(tmp_path / "faces"),
            "--limit",
            "4",
            "--landmarks",
            str(MESH),
        ]
        assert main(command) == 0
        assert "Nothing measured the pose" not in capsys.readouterr().out


def test_a_file_that_is_not_there_is_named_with_the_option():
    with pytest.raises(DataError, match=r"no\.task.*--landmarks"):
        Expression("./no.task")
