"""Faces as JSON and the log of a search: what is written comes back, and what is broken is refused or forgotten."""

import errno
import json
import math

import pytest
import torch

from condswap import DataError
from condswap.faces.find import Face
from condswap.faces.saved import FaceLog, describe, understand

POINTS = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0], [9.0, 10.0]]
GOOD = {"points": POINTS, "box": [0, 1, 2, 3], "score": 0.9}
HEADER = {"condswap": "faces", "files": [["in.mp4", 7, 8]], "step": 1, "finder": {"surest": 0.7}}


def face(x: float = 10.004, **more) -> Face:
    return Face(torch.tensor(POINTS, dtype=torch.float64) + x, (x, 2.0, x + 30.126, 40.0), 0.98765, **more)


class TestDescribe:
    def test_a_face_of_five_points(self):
        described = describe(face())
        assert json.loads(json.dumps(described)) == {
            "points": [[11.0, 12.0], [13.0, 14.0], [15.0, 16.0], [17.0, 18.0], [19.0, 20.0]],
            "box": [10.0, 2.0, 40.13, 40.0],
            "score": 0.988,
        }

    def test_outline_and_expression_are_there_when_they_are_known(self):
        outline = torch.tensor([[0.126, 1.0], [2.0, 3.0], [4.0, -5.0]])
        described = describe(face(outline=outline, expression={"jawOpen": 0.123456}))
        assert described["outline"] == [[0.13, 1.0], [2.0, 3.0], [4.0, -5.0]]
        assert described["expression"] == {"jawOpen": 0.1235}

    def test_it_is_understood_again(self):
        outline = torch.tensor([[0.25, 1.0], [2.0, 3.0], [4.0, -5.0]], dtype=torch.float64)
        one = face(10.0, outline=outline, expression={"jawOpen": 0.25})
        other = understand(json.loads(json.dumps(describe(one))))
        assert torch.equal(other.points, one.points)
        assert torch.equal(other.outline, outline)
        assert (other.box, other.score, other.expression) == ((10.0, 2.0, 40.13, 40.0), 0.988, {"jawOpen": 0.25})

    def test_describing_what_was_understood_changes_nothing(self):
        described = describe(face(math.pi, outline=torch.rand(9, 2) * 100))
        assert describe(understand(described)) == described

    def test_a_face_without_outline_has_none_again(self):
        again = understand(describe(face()))
        assert (again.outline, again.expression) == (None, None)


class TestUnderstand:
    @pytest.mark.parametrize("described", [None, 3, "face", [], [GOOD], {}, True])
    def test_what_is_no_face(self, described):
        with pytest.raises(DataError):
            understand(described)

    @pytest.mark.parametrize("key", ["points", "box", "score"])
    def test_something_is_missing(self, key):
        with pytest.raises(DataError):
            understand({name: value for name, value in GOOD.items() if name != key})

    @pytest.mark.parametrize(
        "change",
        [
            {"points": POINTS[:4]},
            {"points": [*POINTS, [1, 2]]},
            {"points": [[1, 2, 3]] * 5},
            {"points": [[1, 2]] * 4 + [[1]]},
            {"points": [["1", "2"]] * 5},
            {"points": [[None, None]] * 5},
            {"points": [[math.nan, 1]] * 5},
            {"points": [[math.inf, 1]] * 5},
            {"points": [[1e7, 1]] * 5},
            {"points": [[10**400, 1]] * 5},
            {"points": {"x": 1}},
            {"points": 5},
            {"points": [[]] * 5},
            {"box": [1, 2, 3]},
            {"box": [1, 2, 3, math.nan]},
            {"box": "left"},
            {"box": [[1, 2, 3, 4]]},
            {"score": "0.9"},
            {"score": True},
            {"score": math.nan},
            {"score": 10**400},
            {"score": None},
            {"outline": []},
            {"outline": [[1, 2, 3]]},
            {"outline": "round"},
            {"outline": {"0": [1, 2]}},
            {"expression": [0.1, 0.2]},
            {"expression": {"jawOpen": "wide"}},
            {"expression": {"jawOpen": False}},
            {"expression": {"jawOpen": math.inf}},
            {"expression": {"jawOpen": 10**400}},
        ],
    )
    def test_something_is_wrong(self, change):
        assert understand(GOOD).score == 0.9
        with pytest.raises(DataError):
            understand({**GOOD, **change})

    def test_what_is_nested_deeply(self):
        deep: object = [1.0, 2.0]
        for _ in range(900):
            deep = [deep]
        with pytest.raises(DataError):
            understand({**GOOD, "points": deep})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "faces.jsonl"


def read(path, header=None):
    """The numbers of the frames, of how many faces each, and where shots begin."""
    with FaceLog(path, header or HEADER) as log:
        return [(number, len(faces), cut) for number, faces, cut in log]


def begin(path, frames=3):
    with FaceLog(path, HEADER) as log:
        for number in range(frames):
            log.add(number, [face(10.0 * number)] * number, cut=number == 1)


WHOLE = [(0, 0, False), (1, 1, True), (2, 2, False)]


class TestFaceLog:
    def test_a_new_one_is_empty(self, path):
        with FaceLog(path, HEADER) as log:
            assert log.last is None
            assert list(log) == []

    def test_it_goes_on(self, path):
        begin(path)
        with FaceLog(path, HEADER) as log:
            assert log.last == 2
            log.add(5, [], cut=False)
            assert log.last == 5
        assert read(path) == [*WHOLE, (5, 0, False)]

    def test_positions_come_back(self, path):
        begin(path)
        with FaceLog(path, HEADER) as log:
            second = list(log)[2][1]
        assert torch.equal(second[1].points, torch.tensor(POINTS, dtype=torch.float64) + 20)
        assert second[1].box == (20.0, 2.0, 50.13, 40.0)

    def test_what_was_added_is_in_the_file_at_once(self, path):
        # So that a kill, which closes nothing, costs no frame.
        with FaceLog(path, HEADER) as log:
            log.add(0, [face()], cut=False)
            assert path.read_bytes().count(b"\n") == 2

    @pytest.mark.parametrize("cut", range(1, 60, 7))
    def test_a_line_that_was_cut_off_is_forgotten(self, path, cut):
        begin(path)
        whole = path.read_bytes()
        path.write_bytes(whole[:-cut])
        with FaceLog(path, HEADER) as log:
            assert log.last == 1
            log.add(2, [face(20.0)] * 2, cut=False)
        assert read(path) == WHOLE
        assert path.read_bytes() == whole

    def test_a_header_that_was_cut_off_is_begun_anew(self, path):
        path.write_bytes(json.dumps(HEADER).encode()[:20])
        assert read(path) == []
        begin(path)
        assert read(path) == WHOLE

    @pytest.mark.parametrize("change", [{"step": 2}, {"files": [["in.mp4", 7, 9]]}, {"finder": {"surest": 0.8}}])
    def test_another_search_is_forgotten(self, path, change):
        begin(path)
        assert read(path, {**HEADER, **change}) == []
        assert read(path) == []

    @pytest.mark.parametrize(
        "line",
        [
            b"garbage",
            b"\xff\xfe\x00",
            b"[1, 2",
            b"{}",
            b"[]",
            b"[3, false]",
            b'["3", false, []]',
            b"[true, false, []]",
            b"[-3, false, []]",
            b"[3, false, {}]",
            b"[3, false, [{}]]",
            b"[3, false, [1]]",
            b'[3, false, [{"points": NaN, "box": NaN, "score": NaN}]]',
            b"[" * 100_000,
            b'{"a":' * 100_000,
            b"1" * 100_000,
            b"",
        ],
    )
    def test_a_line_that_is_none_ends_it_there(self, path, line):
        begin(path, frames=3)
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join([*lines[:3], line + b"\n", *lines[3:]]))
        with FaceLog(path, HEADER) as log:
            assert log.last == 1
        assert read(path) == WHOLE[:2]
        assert path.read_bytes() == b"".join(lines[:3])

    @pytest.mark.parametrize("head", [b"", b"\x00" * 50, b"[" * 100_000 + b"\n", b"\xff\n", b"null\n"])
    def test_a_file_of_something_else_is_begun_anew(self, path, head):
        path.write_bytes(head)
        begin(path)
        assert read(path) == WHOLE

    def test_a_folder_in_its_place_is_an_error(self, path):
        path.mkdir()
        with pytest.raises(DataError, match="faces.jsonl cannot be used: .*directory"):
            FaceLog(path, HEADER)

    def test_no_folder_for_it_is_an_error(self, path):
        with pytest.raises(DataError, match="cannot be used: No such file"):
            FaceLog(path / "deeper", HEADER)

    def test_a_full_disk_is_an_error_that_says_so(self, path, monkeypatch):
        class Full:
            def write(self, _):
                raise OSError(errno.ENOSPC, "No space left on device")

            def close(self):
                pass

        log = FaceLog(path, HEADER)
        log.close()
        monkeypatch.setattr(log._log, "_file", Full())
        with pytest.raises(DataError, match=r"cannot be used: No space left on device; free some space"):
            log.add(0, [], cut=False)
