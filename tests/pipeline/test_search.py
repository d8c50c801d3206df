"""The search through pictures and videos: what is found, remembered, and gone on with."""

import pytest
import torch
from footage import ANNA, BOB, Shown, SquareFinder, film, frame, identity, photo, walk

from condswap.faces.find import Face
from condswap.faces.tracks import Track
from condswap.pipeline.search import (
    frames_at,
    log_name,
    search_pictures,
    search_video,
    thumbnail,
    vectors_of,
    who_is,
)
from condswap.video import probe


@pytest.fixture
def walking(tmp_path):
    return probe(film(tmp_path / "walk.mp4", walk(12)))


@pytest.fixture
def two_shots(tmp_path):
    """Anna for five frames, then Bob at the same place in another light for five."""
    frames = [frame(Shown(ANNA, 40, 30))] * 5 + [frame(Shown(BOB, 40, 30), shade=90)] * 5
    return probe(film(tmp_path / "shots.mp4", frames))


def facts(tracks):
    return [(one.frames, [face.box for face in one.faces]) for one in tracks]


class TestVideo:
    def test_somebody_who_walks_is_one_track(self, walking, tmp_path):
        (track,) = search_video(walking, SquareFinder(), tmp_path / "log")
        assert track.frames == list(range(12))
        for number, face in enumerate(track.faces):
            assert face.middle == pytest.approx((20 + 2 * number + 20, 50), abs=1.5)

    def test_a_step_skips_frames(self, walking, tmp_path):
        finder = SquareFinder()
        (track,) = search_video(walking, finder, tmp_path / "log", step=5)
        assert track.frames == [0, 5, 10]
        assert finder.looks == 3

    def test_a_new_shot_is_a_new_track(self, two_shots, tmp_path):
        tracks = search_video(two_shots, SquareFinder(), tmp_path / "log")
        assert [one.frames for one in tracks] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]

    @pytest.mark.parametrize("stop", range(11))
    def test_a_search_that_was_stopped_goes_on_where_it_was(self, two_shots, tmp_path, stop):
        # Also where a shot begins with the frame at which it goes on.
        whole = search_video(two_shots, SquareFinder(), tmp_path / "whole")
        log = tmp_path / "log"
        first = SquareFinder(stop_at=stop)
        if stop < 10:
            with pytest.raises(KeyboardInterrupt):
                search_video(two_shots, first, log)
        else:
            search_video(two_shots, first, log)
        second = SquareFinder()
        assert facts(search_video(two_shots, second, log)) == facts(whole)
        assert first.looks + second.looks == 10
        assert log.read_bytes() == (tmp_path / "whole").read_bytes()

    def test_a_second_search_finds_nothing_anew(self, walking, tmp_path):
        one = search_video(walking, SquareFinder(), tmp_path / "log")
        finder = SquareFinder(stop_at=0)
        assert facts(search_video(walking, finder, tmp_path / "log")) == facts(one)

    @pytest.mark.parametrize("change", ["finder", "step", "video"])
    def test_another_search_begins_anew(self, walking, tmp_path, change):
        search_video(walking, SquareFinder(), tmp_path / "log")
        finder = SquareFinder(asked="other squares" if change == "finder" else "squares")
        if change == "video":
            walking = probe(film(walking.path, walk(8)))
        search_video(walking, finder, tmp_path / "log", step=3 if change == "step" else 1)
        assert finder.looks == {"finder": 12, "step": 4, "video": 8}[change]


class TestPictures:
    @pytest.fixture
    def paths(self, tmp_path):
        shown = [(Shown(ANNA, 30, 20),), (), (Shown(BOB, 90, 40, 30), Shown(ANNA, 20, 30)), (Shown(BOB, 60, 30),)]
        return [photo(tmp_path / f"{number}.png", frame(*people)) for number, people in enumerate(shown)]

    def test_each_has_its_faces(self, paths, tmp_path):
        found, refused = search_pictures(paths, SquareFinder(), tmp_path / "log")
        assert [[face.box[0] for face in faces] for faces in found] == [[30], [], [20, 90], [60]]
        assert refused == []

    @pytest.mark.parametrize("stop", range(4))
    def test_a_search_that_was_stopped_goes_on_where_it_was(self, paths, tmp_path, stop):
        first, second = SquareFinder(stop_at=stop), SquareFinder()
        with pytest.raises(KeyboardInterrupt):
            search_pictures(paths, first, tmp_path / "log")
        found, _ = search_pictures(paths, second, tmp_path / "log")
        assert [len(faces) for faces in found] == [1, 0, 2, 1]
        assert first.looks + second.looks == 4

    def test_what_cannot_be_read_is_listed_each_time(self, paths, tmp_path):
        paths[0].write_bytes(b"nonsense")
        for _ in range(2):
            found, refused = search_pictures(paths, SquareFinder(), tmp_path / "log")
            assert [len(faces) for faces in found] == [0, 0, 2, 1]
            assert [(path, "not a JPEG" in reason) for path, reason in refused] == [(paths[0], True)]

    def test_a_second_search_finds_the_same_to_the_last_bit(self, paths, tmp_path):
        class Between(SquareFinder):
            def find(self, picture):
                return [Face(one.points + 1 / 3, one.box, 1 / 3) for one in super().find(picture)]

        one, _ = search_pictures(paths, Between(), tmp_path / "log")
        other, _ = search_pictures(paths, Between(stop_at=0), tmp_path / "log")
        assert [face.score for faces in one for face in faces] == [face.score for faces in other for face in faces]
        for first, second in zip(one[2], other[2], strict=True):
            assert torch.equal(first.points, second.points)

    def test_a_log_that_knows_too_much_is_not_believed(self, paths, tmp_path):
        search_pictures(paths, SquareFinder(), tmp_path / "log")
        with (tmp_path / "log").open("a") as file:
            file.write("[4,true,[]]\n[77,true,[]]\n")
        found, _ = search_pictures(paths, SquareFinder(stop_at=0), tmp_path / "log")
        assert [len(faces) for faces in found] == [1, 0, 2, 1]

    def test_a_picture_that_became_another_is_looked_at_again(self, paths, tmp_path):
        search_pictures(paths, SquareFinder(), tmp_path / "log")
        photo(paths[1], frame(Shown(ANNA, 10, 10), width=200))
        finder = SquareFinder()
        found, _ = search_pictures(paths, finder, tmp_path / "log")
        assert len(found[1]) == 1


class TestFrames:
    def test_the_frames_that_are_wanted_come_in_order(self, walking):
        found = dict(frames_at(walking, [7, 2, 2, 11]))
        assert list(found) == [2, 7, 11]
        for number, image in found.items():
            (face,) = SquareFinder().find(image)
            assert face.box[0] == pytest.approx(20 + 2 * number, abs=1.5)

    def test_frames_far_apart_are_the_same_frames(self, tmp_path):
        info = probe(film(tmp_path / "long.mp4", [frame(Shown(ANNA, 10 + number // 3, 30)) for number in range(300)]))
        for number, image in frames_at(info, [0, 150, 299]):
            assert SquareFinder().find(image)[0].box[0] == pytest.approx(10 + number // 3, abs=1.5)

    def test_of_none_there_are_none(self, walking):
        assert list(frames_at(walking, [])) == []

    def test_a_thumbnail_is_small_and_has_the_mean(self):
        for size in ((96, 160), (1, 1), (7, 900), (1080, 1920)):
            small = thumbnail(torch.full((3, *size), 51, dtype=torch.uint8))
            assert tuple(small.shape) == (3, 18, 32)
            torch.testing.assert_close(small, torch.full((3, 18, 32), 0.2))


class TestIdentity:
    def test_each_track_is_known_by_its_colour(self, tmp_path):
        frames = [frame(Shown(ANNA, 10 + number, 30), Shown(BOB, 100, 20 + number)) for number in range(8)]
        info = probe(film(tmp_path / "two.mp4", frames))
        tracks = search_video(info, SquareFinder(), tmp_path / "log")
        assert who_is(info, tracks, identity).argmax(1).tolist() == [
            ANNA if one.faces[0].middle[0] < 80 else BOB for one in tracks
        ]

    def test_a_few_looks_at_the_largest_of_each_stretch_are_enough(self):
        # Twenty frames, five looks: the largest of 0 to 3, of 4 to 7, and so on.
        sizes = [10, 12, 11, 10, 9, 9, 20, 9, 5, 6, 7, 8, 9, 8, 7, 6, 4, 4, 5, 4]
        points = torch.tensor([(10.0, 10), (30, 10), (20, 20), (12, 30), (28, 30)], dtype=torch.float64)
        faces = [Face(points, (0.0, 0.0, float(size), float(size)), 0.9) for size in sizes]
        asked = []

        def frames(numbers):
            asked.extend(numbers)
            return ((number, torch.zeros(3, 40, 40, dtype=torch.uint8)) for number in numbers)

        def counting(crops):
            return torch.tensor([[float(len(asked)), tuple(crops.shape) == (1, 3, 140, 140)]])

        vectors = vectors_of(frames, [Track(list(range(20)), faces)], counting)
        assert asked == [1, 6, 11, 12, 18]
        assert vectors.tolist() == [[5.0, 1.0]]

    def test_a_track_whose_frames_cannot_be_read_any_more_is_nobody(self):
        points = torch.tensor([(10.0, 10), (30, 10), (20, 20), (12, 30), (28, 30)], dtype=torch.float64)
        tracks = [Track([number], [Face(points, (0.0, 0.0, 40.0, 40.0), 0.9)]) for number in range(2)]
        only = torch.zeros(3, 40, 40, dtype=torch.uint8)
        vectors = vectors_of(lambda _: iter([(1, only)]), tracks, lambda crops: torch.ones(len(crops), 2))
        assert vectors.tolist() == [[0.0, 0.0], [1.0, 1.0]]


def test_a_logs_name_is_that_of_its_files(tmp_path):
    one, other = tmp_path / "a", tmp_path / "b"
    assert log_name([one]) == log_name([tmp_path / "c" / ".." / "a"])
    assert len({log_name([one]), log_name([other]), log_name([one, other])}) == 3
    assert log_name([one]).startswith(".")
