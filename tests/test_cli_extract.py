"""`condswap extract`, as a person meets it: exit codes, one line on stderr, no traceback."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from condswap import FaceFolder
from condswap.cli import main
from condswap.pipeline import extraction, search
from condswap.templates import TEMPLATES

SHARED = Path(__file__).resolve().parents[2] / "shared"
YUNET = SHARED / "models" / "yunet_n_640_640.onnx"
MESH = SHARED / "models" / "face_landmarker.task"
WHO = SHARED / "models" / "mobilefacenet.onnx"
TRUMP = SHARED / "videos" / "trump.mp4"

pytestmark = [
    pytest.mark.skipif(not YUNET.is_file(), reason=f"needs YuNet's weights: {YUNET}"),
    pytest.mark.skipif(not TRUMP.is_file(), reason=f"needs {TRUMP}"),
]


def leave(*arguments) -> int:
    """Run the command line and give its exit code, also where argparse leaves."""
    try:
        return main(["extract", *map(str, arguments)])
    except SystemExit as end:
        return end.code


@pytest.fixture
def out(tmp_path):
    return tmp_path / "faces" / "trump"


@pytest.fixture
def grey(tmp_path):
    path = tmp_path / "grey.png"
    Image.new("RGB", (200, 100), (90, 90, 90)).save(path)
    return path


def one_line(told: str) -> str:
    assert told.startswith("condswap: ")
    assert told.count("\n") == 1
    assert "Traceback" not in told
    return told


def noise(told: str) -> list[str]:
    """What is on stderr beside how far it is."""
    return [line for line in told.splitlines() if not re.search(r"\d+% \d+/\d+", line)]


class TestDone:
    def test_a_video_becomes_faces_to_train_on(self, out, capfd):
        assert leave(TRUMP, "--out", out, "--step", 40, "--detector", YUNET, "--size", 128) == 0
        told = capfd.readouterr()
        assert told.out.splitlines() == [
            f"7 faces in {out}",
            "14 faces of other people were left out",
            f"Look at them, then: condswap doctor {out.parent} and condswap train {out.parent} --out RUN",
        ]
        assert "Traceback" not in told.err
        data = FaceFolder(out.parent, image_size=128)
        assert (data.classes, len(data), data.without_mask) == (("trump",), 7, [])
        assert data.template == TEMPLATES["condswap"]
        assert [path.stem for path in data.paths] == [f"trump_{number:06d}" for number in range(0, 243, 40)]

    def test_the_same_command_again_says_the_same_and_looks_at_nothing(self, out, capfd, monkeypatch):
        command = (TRUMP, "--out", out, "--step", 80, "--detector", YUNET)
        assert leave(*command) == 0
        first = capfd.readouterr().out
        before = {path: path.stat().st_mtime_ns for path in out.iterdir()}

        def never(*_, **__):
            raise AssertionError("it was done already")

        monkeypatch.setattr(search.FaceFinder, "detect", never)
        monkeypatch.setattr(extraction, "write_face", never)
        assert leave(*command) == 0
        assert capfd.readouterr().out == first
        assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before

    def test_everyone_by_an_identity_network(self, out, capfd):
        pytest.importorskip("onnxruntime")
        if not WHO.is_file():
            pytest.skip(f"needs {WHO}")
        command = (TRUMP, "--out", out, "--step", 40, "--detector", YUNET, "--identity", WHO, "--everyone")
        assert leave(*command) == 0
        told = capfd.readouterr().out.splitlines()
        assert told[:3] == [f"7 faces in {out}", f"7 faces in {out}-2", f"7 faces in {out}-3"]
        middles = {
            folder.name: [sum(json.loads(path.read_text())["box"][::2]) / 2 for path in folder.glob("*.json")]
            for folder in out.parent.iterdir()
        }
        # Three people who stand side by side and stay there.
        assert all(max(places) - min(places) < 150 for places in middles.values())

    def test_with_landmarks_the_json_has_outline_and_expression(self, out, capfd):
        pytest.importorskip("mediapipe")
        if not MESH.is_file():
            pytest.skip(f"needs {MESH}")
        assert leave(TRUMP, "--out", out, "--step", 120, "--detector", YUNET, "--landmarks", MESH) == 0
        told = json.loads((out / "trump_000120.json").read_text())
        assert len(told["outline"]) > 15
        assert len(told["expression"]) > 50
        assert noise(capfd.readouterr().err) == []

    def test_a_template_by_name_and_by_file(self, tmp_path, out):
        mine = tmp_path / "mine.json"
        points = [[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]]
        mine.write_text(json.dumps({"name": "mine", "points": points}))
        for given, told in ((mine, {"name": "mine", "points": points}), ("ffhq", "ffhq")):
            assert leave(TRUMP, "--out", out, "--step", 200, "--detector", YUNET, "--template", given) == 0
            assert json.loads((out / "trump_000000.json").read_text())["template"] == told

    def test_what_was_left_out_is_told_on_stderr(self, tmp_path, grey, out, capfd):
        broken = tmp_path / "broken.jpg"
        broken.write_bytes(b"nonsense")
        assert leave(TRUMP, broken, grey, "--out", out, "--step", 200, "--detector", YUNET) == 0
        told = capfd.readouterr().err.splitlines()
        assert f"left out {grey}: no face was found in it" in told
        assert [line for line in told if line.startswith(f"left out {broken}: not a JPEG")]


class TestRefused:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ([], "IN"),
            (["in.mp4"], "--out"),
            (["in.mp4", "--out", "x", "--step", "0"], "'0' is not a whole number from 1 up"),
            (["in.mp4", "--out", "x", "--size", "big"], "'big' is not"),
            (["in.mp4", "--out", "x", "--smallest", "-3"], "'-3'"),
            (["in.mp4", "--out", "x", "--fly"], "--fly"),
        ],
    )
    def test_a_wrong_argument_exits_2_and_is_named(self, arguments, words, capfd):
        assert leave(*arguments) == 2
        told = capfd.readouterr()
        assert (told.out, words in told.err, "Traceback" in told.err) == ("", True, False)

    def bad(self, tmp_path, grey):
        torn = tmp_path / "torn.mp4"
        torn.write_bytes(TRUMP.read_bytes()[:200_000])
        text = tmp_path / "text.txt"
        text.write_text("hello")
        (tmp_path / "hollow").mkdir()
        return {
            "nothing there": (tmp_path / "nowhere.mp4", "there is no "),
            "an empty folder": (tmp_path / "hollow", "holds no picture and no video"),
            "a text": (text, "text.txt"),
            "cut off": (torn, "cut off"),
            "no face": (grey, "no face was found in "),
        }

    @pytest.mark.parametrize("kind", ["nothing there", "an empty folder", "a text", "cut off", "no face"])
    def test_bad_input_exits_1_with_one_line(self, kind, tmp_path, grey, out, capfd):
        given, words = self.bad(tmp_path, grey)[kind]
        assert leave(given, "--out", out, "--detector", YUNET) == 1
        assert words in one_line(capfd.readouterr().err)
        assert not out.exists()

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["--detector", "nowhere.onnx"], "there is no file nowhere.onnx; give the right one with --detector"),
            (["--detector", TRUMP], "trump.mp4 is not YuNet"),
            (["--landmarks", "nowhere.task", "--detector", YUNET], "give the right one with --landmarks"),
            (["--template", "mine", "--detector", YUNET], "there is no crop template 'mine'; known here: condswap"),
            (["--template", "mine.json", "--detector", YUNET], "cannot use mine.json as a crop template"),
            (["--identity", "nowhere.onnx", "--detector", YUNET], "nowhere.onnx"),
            (["--size", "8", "--detector", YUNET], "image_size=8 is not a whole number from 16 on"),
        ],
    )
    def test_what_cannot_be_used_exits_1_with_one_line(self, options, words, out, capfd):
        assert leave(TRUMP, "--out", out, *options) == 1
        assert words in one_line(capfd.readouterr().err)
        assert not out.exists()

    def test_pictures_among_which_it_would_write(self, grey, capfd):
        assert leave(grey, "--out", grey.parent, "--detector", YUNET) == 1
        assert "give another folder for the faces" in one_line(capfd.readouterr().err)

    def test_ctrl_c_says_how_to_go_on(self, out, capfd, monkeypatch):
        found = search.FaceFinder.detect
        looks = []

        def stopping(finder, frame):
            looks.append(frame)
            if len(looks) > 2:
                raise KeyboardInterrupt
            return found(finder, frame)

        monkeypatch.setattr(search.FaceFinder, "detect", stopping)
        command = (TRUMP, "--out", out, "--step", 60, "--detector", YUNET)
        assert leave(*command) == 130
        told = capfd.readouterr().err
        assert told.splitlines()[-1] == "condswap: stopped; give the same command again to go on"
        monkeypatch.setattr(search.FaceFinder, "detect", found)
        assert leave(*command) == 0
        assert len(list(out.glob("*.jpg"))) == 5


def test_a_whole_run_in_a_process_of_its_own_ends_without_a_word_too_many(out):
    arguments = ["extract", TRUMP, "--out", out, "--step", 120, "--detector", YUNET]
    if MESH.is_file():
        arguments += ["--landmarks", MESH]
    ran = subprocess.run([sys.executable, "-m", "condswap", *map(str, arguments)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("3 faces in ")
    assert noise(ran.stderr) == []
    assert torch.is_tensor(FaceFolder(out.parent, image_size=64)[0]["image"])
