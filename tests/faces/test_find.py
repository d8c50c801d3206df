"""Faces found in real pictures, where these and the networks are there, and in what is hardly one."""

import json
import os
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest
import torch

from condswap import ConfigError, DataError, HubError, ShapeError
from condswap.decoding import decode_mask, decode_picture
from condswap.faces.find import DETECTOR, Face, FaceFinder
from condswap.faces.hulls import draw_hull, hull_of
from condswap.templates import DEFAULT, TEMPLATES

SHARED = Path(__file__).resolve().parents[3] / "shared"
YUNET = SHARED / "models" / "yunet_n_640_640.onnx"
MESH = SHARED / "models" / "face_landmarker.task"
OTHER = SHARED / "models" / "mobilefacenet.onnx"
PEOPLE = ["biden", "d3_woman", "d9_man", "trump"]
SIDE = 128

pytestmark = pytest.mark.skipif(not YUNET.is_file(), reason=f"needs YuNet's weights: {YUNET}")
needs_mesh = pytest.mark.skipif(not MESH.is_file(), reason=f"needs {MESH}")


@pytest.fixture(scope="module")
def bare():
    pytest.importorskip("cv2")
    with FaceFinder(YUNET) as finder:
        yield finder


@pytest.fixture(scope="module")
def meshed():
    pytest.importorskip("mediapipe")
    if not MESH.is_file():
        pytest.skip(f"needs {MESH}")
    with FaceFinder(YUNET, landmarks=MESH, expression=True) as finder:
        yield finder


def aligned(person: str) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Some aligned pictures of a person, from all over their clips, with their masks."""
    folder = SHARED / "faces" / person
    if not folder.is_dir():
        pytest.skip(f"needs {folder}")
    paths = sorted(folder.glob("*.jpg"))[::60]
    return [(decode_picture(path)[0], decode_mask(path.with_suffix(".mask.png")) >= 128) for path in paths]


@pytest.fixture(scope="module")
def portrait():
    """One aligned face of 128 pixels."""
    return aligned("d9_man")[0][0]


def framed(picture: torch.Tensor, left: int, top: int, width: int = 400, height: int = 300) -> torch.Tensor:
    """A grey frame that shows a picture at (left, top), or the part of it that is inside."""
    frame = torch.full((3, height + 2 * SIDE, width + 2 * SIDE), 110, dtype=torch.uint8)
    frame[:, top + SIDE : top + 2 * SIDE, left + SIDE : left + 2 * SIDE] = picture
    return frame[:, SIDE:-SIDE, SIDE:-SIDE].contiguous()


def off(points: torch.Tensor) -> float:
    """How far five points lie from where our template has them in a picture of 128 pixels, on average, in shares of it."""
    wanted = torch.tensor(TEMPLATES[DEFAULT].points, dtype=torch.float64) * SIDE
    return float((points - wanted).norm(dim=1).mean()) / SIDE


def overlap(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one & other).sum() / (one | other).sum())


class TestFound:
    @pytest.mark.parametrize("person", PEOPLE)
    def test_every_aligned_face_is_found_where_its_template_says(self, person, bare):
        shares = []
        for picture, _ in aligned(person):
            (face,) = bare.find(picture)
            assert 0.7 <= face.score <= 1
            assert face.outline is None
            shares.append(off(face.points))
        # Measured: 0.018 to 0.023 on average, and none above 0.029; no face has the template's own proportions.
        assert sum(shares) / len(shares) < 0.03
        assert max(shares) < 0.045

    @pytest.mark.parametrize("person", PEOPLE)
    def test_the_mesh_gives_the_points_and_the_outline(self, person, meshed):
        shares, overlaps = [], []
        for picture, mask in aligned(person):
            (face,) = meshed.find(picture)
            shares.append(off(face.points))
            drawn = draw_hull(hull_of(face, TEMPLATES[DEFAULT]), torch.eye(2, 3, dtype=torch.float64), SIDE)
            overlaps.append(overlap(drawn > 0.5, mask))
        # Measured: 0.011 to 0.021 on average, none above 0.035; overlaps of 0.93 to 0.97, none below 0.89.
        assert sum(shares) / len(shares) < 0.03
        assert max(shares) < 0.05
        assert sum(overlaps) / len(overlaps) > 0.9
        assert min(overlaps) > 0.8

    @pytest.mark.parametrize("person", PEOPLE)
    def test_without_a_mesh_the_mean_faces_outline_is_near(self, person, bare):
        overlaps = []
        for picture, mask in aligned(person):
            (face,) = bare.find(picture)
            drawn = draw_hull(hull_of(face, TEMPLATES[DEFAULT]), torch.eye(2, 3, dtype=torch.float64), SIDE)
            overlaps.append(overlap(drawn > 0.5, mask))
        # Measured: 0.76 to 0.88 on average; these people turn their heads.
        assert sum(overlaps) / len(overlaps) > 0.7

    def test_the_eye_at_the_left_of_the_picture_comes_first(self, bare, meshed, portrait):
        for finder in (bare, meshed):
            left_eye, right_eye, nose, left_corner, right_corner = finder.find(portrait)[0].points.tolist()
            assert left_eye[0] < nose[0] < right_eye[0]
            assert left_corner[0] < right_corner[0]
            assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_corner[1], right_corner[1])

    def test_the_expression_is_52_shares_by_name(self, meshed, portrait):
        expression = meshed.find(portrait)[0].expression
        assert len(expression) >= 50
        assert {"jawOpen", "eyeBlinkLeft", "mouthSmileLeft"} <= expression.keys()
        assert "_neutral" not in expression
        assert all(0 <= share <= 1 for share in expression.values())

    @needs_mesh
    def test_the_expression_is_left_out_where_it_is_not_asked_for(self, portrait):
        with FaceFinder(YUNET, landmarks=MESH) as finder:
            face = finder.find(portrait)[0]
        assert face.expression is None
        assert face.outline is not None

    @pytest.mark.parametrize("size", [(1, 1), (7, 9), (1, 640), (640, 1), (8, 640), (8, 8)])
    def test_a_picture_without_room_for_a_face_has_none(self, bare, meshed, size):
        frame = torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        assert bare.find(frame) == []
        assert meshed.find(frame) == []

    def test_a_picture_without_a_face_has_none(self, meshed):
        assert meshed.find(torch.full((3, 300, 400), 110, dtype=torch.uint8)) == []

    @pytest.mark.parametrize(("left", "top"), [(-40, 60), (310, 60), (120, -30), (120, 200)])
    def test_a_face_that_leaves_the_picture_is_found_in_place(self, bare, meshed, portrait, left, top):
        whole = bare.find(framed(portrait, 120, 60))[0]
        for finder in (bare, meshed):
            (face,) = finder.find(framed(portrait, left, top))
            moved = whole.points + torch.tensor((left - 120.0, top - 60.0))
            # What is cut off has to be guessed: to a tenth of the face.
            assert float((face.points - moved).norm(dim=1).mean()) < 0.1 * whole.size

    def test_positions_are_those_of_the_whole_picture_where_it_was_made_smaller(self, bare, portrait):
        wide = framed(portrait, 120, 60, width=1600, height=300)
        (face,), (same,) = bare.find(wide), bare.find(framed(portrait, 120, 60))
        assert float((face.points - same.points).norm(dim=1).mean()) < 3

    def test_the_largest_comes_first(self, bare, portrait):
        small = torch.nn.functional.interpolate(portrait[None].float(), size=(80, 80), mode="area")[0].byte()
        frame = framed(portrait, 220, 100)
        frame[:, 100:180, 40:120] = small
        first, second = bare.find(frame)
        assert first.size > 1.3 * second.size
        assert first.middle[0] > 200 > second.middle[0]

    def test_smaller_faces_than_asked_for_are_left_out(self, bare, portrait):
        size = bare.find(portrait)[0].size
        with FaceFinder(YUNET, smallest=size - 1) as finder:
            assert len(finder.find(portrait)) == 1
        with FaceFinder(YUNET, smallest=size + 1) as finder:
            assert finder.find(portrait) == []

    def test_a_view_of_other_strides_is_the_same_picture(self, meshed, portrait):
        frame = framed(portrait, 120, 60)
        view = frame.permute(1, 2, 0).contiguous().permute(2, 0, 1)
        assert not view.is_contiguous()
        one, other = meshed.find(frame)[0], meshed.find(view)[0]
        assert torch.equal(one.points, other.points)

    def test_the_picture_stays_as_it_is(self, meshed, portrait):
        before = portrait.clone()
        meshed.find(portrait)
        assert torch.equal(portrait, before)

    @pytest.mark.parametrize(
        "frame",
        [
            torch.zeros(3, 64, 64),
            torch.zeros(64, 64, 3, dtype=torch.uint8),
            torch.zeros(1, 64, 64, dtype=torch.uint8),
            torch.zeros(1, 3, 64, 64, dtype=torch.uint8),
            torch.zeros(64, 64, dtype=torch.uint8),
        ],
    )
    def test_what_is_no_picture_is_refused(self, bare, frame):
        with pytest.raises(ShapeError, match=r"a frame is uint8 \(3, h, w\), RGB; got"):
            bare.find(frame)

    @needs_mesh
    def test_the_mesh_of_a_neighbour_is_not_taken(self, portrait):
        pytest.importorskip("mediapipe")
        with FaceFinder(YUNET, landmarks=MESH) as finder:
            found = finder.find(framed(portrait, 120, 60))[0]
            # The same surroundings, and a face that is said to be at their edge.
            aside = Face(found.points + torch.tensor((60.0, 0.0)), found.box, 0.9)
            assert finder.refine([aside], framed(portrait, 120, 60))[0] is aside


class TestConfig:
    def test_it_is_json_that_tells_what_was_asked_for(self, bare, meshed):
        assert json.loads(json.dumps(meshed.config())) == meshed.config()
        assert bare.config() != meshed.config()
        with FaceFinder(YUNET, smallest=50) as finder:
            assert finder.config() != bare.config()

    def test_other_weights_are_other_faces(self, bare, tmp_path):
        # A comment at the end of the protocol buffer: another file, the same network.
        other = tmp_path / "other.onnx"
        other.write_bytes(YUNET.read_bytes() + bytes([0x32, 2]) + b"hi")
        with FaceFinder(other) as finder:
            assert finder.config() != bare.config()
        copied = tmp_path / "copied.onnx"
        copied.write_bytes(YUNET.read_bytes())
        with FaceFinder(copied) as finder:
            assert finder.config() == bare.config()


class TestFiles:
    @pytest.mark.parametrize("kind", ["another network", "a text", "nothing", "half", "a mesh"])
    def test_a_detector_that_is_none_is_refused(self, kind, tmp_path):
        path = tmp_path / "detector.onnx"
        data = {
            "another network": lambda: OTHER.read_bytes(),
            "a text": lambda: b"These are not the weights.",
            "nothing": lambda: b"",
            "half": lambda: YUNET.read_bytes()[:150_000],
            "a mesh": lambda: MESH.read_bytes(),
        }[kind]
        path.write_bytes(data())
        with pytest.raises(DataError, match=r"detector\.onnx is not YuNet \(.*; give YuNet's weights"):
            FaceFinder(path)

    @needs_mesh
    @pytest.mark.parametrize("kind", ["a text", "a zip", "half", "a detector", "nothing"])
    def test_a_mesh_that_is_none_is_refused(self, kind, tmp_path):
        pytest.importorskip("mediapipe")
        path = tmp_path / "mesh.task"
        data = {
            "a text": lambda: b"hello" * 100,
            "half": lambda: MESH.read_bytes()[:1_000_000],
            "a detector": lambda: YUNET.read_bytes(),
            "nothing": lambda: b"",
        }
        if kind == "a zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("notes.txt", "nothing")
        else:
            path.write_bytes(data[kind]())
        with pytest.raises(DataError, match=r"mesh\.task is not MediaPipe's face_landmarker\.task"):
            FaceFinder(YUNET, landmarks=path)

    def test_a_file_that_is_not_there_is_named_with_its_option(self, tmp_path):
        with pytest.raises(DataError, match=r"no file .*no\.onnx; give the right one with --detector"):
            FaceFinder(tmp_path / "no.onnx")
        with pytest.raises(DataError, match=r"no file .*no\.task; give the right one with --landmarks"):
            FaceFinder(YUNET, landmarks=tmp_path / "no.task")
        with pytest.raises(DataError, match="there is no file"):
            FaceFinder(tmp_path)

    def test_a_missing_library_is_named_with_its_extra(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "mediapipe", None)
        with pytest.raises(ConfigError, match=r'MediaPipe: pip install "condswap\[landmarks\]"'):
            FaceFinder(YUNET, landmarks=MESH if MESH.is_file() else YUNET)
        monkeypatch.setitem(sys.modules, "cv2", None)
        with pytest.raises(ConfigError, match=r'OpenCV: pip install "condswap\[video\]"'):
            FaceFinder(YUNET)


class TestHub:
    def test_the_detector_comes_from_the_hub_by_default(self, hub, portrait):
        user, name, file = DETECTOR.split("/")
        hub.create(f"{user}/{name}")
        hub.commit(f"{user}/{name}", {file: YUNET.read_bytes()})
        with FaceFinder() as finder:
            assert len(finder.find(portrait)) == 1

    @needs_mesh
    def test_a_mesh_is_fetched_by_name(self, hub, portrait):
        pytest.importorskip("mediapipe")
        hub.create("ann/nets")
        hub.commit("ann/nets", {"face.task": MESH.read_bytes()})
        with FaceFinder(YUNET, landmarks="ann/nets/face.task") as finder:
            assert finder.find(portrait)[0].outline is not None

    def test_what_is_not_on_the_hub_is_an_error_that_names_it(self, hub):
        with pytest.raises(HubError, match=r"ann/nothing/net.onnx is no file here.*; or give the file with --detector"):
            FaceFinder("ann/nothing/net.onnx")


class TestQuiet:
    @needs_mesh
    def test_the_libraries_write_nothing(self, capfd, portrait):
        pytest.importorskip("mediapipe")
        with FaceFinder(YUNET, landmarks=MESH, expression=True) as finder:
            finder.find(framed(portrait, 120, 60))
        assert capfd.readouterr() == ("", "")

    def test_what_fails_to_load_writes_nothing_either(self, capfd, tmp_path):
        broken = tmp_path / "broken.onnx"
        broken.write_bytes(YUNET.read_bytes()[:150_000])
        for path in (broken, OTHER):
            with pytest.raises(DataError):
                FaceFinder(path)
        assert capfd.readouterr() == ("", "")

    @needs_mesh
    @pytest.mark.parametrize("end", ["finder.close(); finder.close()", "pass", "raise SystemExit(3)"])
    def test_python_ends_without_a_word_however_it_ends(self, end):
        pytest.importorskip("mediapipe")
        program = f"""
            import torch
            from condswap.faces.find import FaceFinder
            finder = FaceFinder({str(YUNET)!r}, landmarks={str(MESH)!r})
            finder.find(torch.zeros(3, 64, 64, dtype=torch.uint8))
            {end}
        """
        ended = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True)
        assert (ended.returncode, ended.stdout, ended.stderr) == (3 if "3" in end else 0, "", "")

    def test_a_terminal_that_is_not_there_is_no_error(self, monkeypatch):
        def closed(_):
            raise OSError(9, "Bad file descriptor")

        monkeypatch.setattr(sys, "stderr", None)
        monkeypatch.setattr(os, "dup", closed)
        FaceFinder(YUNET).close()


def test_size_and_middle_of_a_face():
    face = Face(torch.zeros(5, 2), (10.0, 20.0, 40.0, 80.0), 0.9)
    assert (face.size, face.middle) == (60.0, (25.0, 50.0))
