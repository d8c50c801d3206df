"""Which of several people is meant, by place, by likeness, and sorted by person."""

import pytest
import torch

from condswap.faces.find import Face
from condswap.faces.tracks import Track
from condswap.pipeline.choose import choose_by_likeness, choose_by_place, group


def track(frames, x=50.0, size=20.0):
    box = (x - size / 2, 0.0, x + size / 2, size)
    return Track(list(frames), [Face(torch.zeros(5, 2), box, 0.9) for _ in frames])


class TestPlace:
    def test_all_is_everybody(self):
        tracks = [track(range(3)), track(range(3), x=90)]
        assert choose_by_place(tracks, "all", width=100) == tracks

    def test_the_largest_is_the_one_that_is_shown_most(self):
        # 10 frames of 20 x 20 are 4000, 3 of 30 x 30 are 2700.
        long, large = track(range(10)), track(range(3), x=90, size=30)
        assert choose_by_place([large, long], "largest", width=100) == [long]

    def test_there_is_a_largest_in_each_stretch_of_time(self):
        first, aside, later = track(range(5)), track(range(5), x=90, size=10), track(range(6, 9), size=8)
        assert choose_by_place([first, aside, later], "largest", width=100) == [first, later]

    def test_who_is_shown_in_a_gap_of_the_largest_is_another(self):
        # The largest was not found in frames 2 and 3, but is there.
        largest, flicker = track([0, 1, 4, 5]), track([2, 3], size=15)
        assert choose_by_place([largest, flicker], "largest", width=100) == [largest]

    @pytest.mark.parametrize(("place", "x"), [("left", 10), ("centre", 55), ("right", 90)])
    def test_places_in_a_row(self, place, x):
        tracks = [track(range(4), x=at) for at in (90, 10, 55)]
        assert [one.faces[0].middle[0] for one in choose_by_place(tracks, place, width=100)] == [x]

    def test_a_face_that_leaves_the_picture_is_still_the_outermost(self):
        tracks = [track(range(4), x=at) for at in (-8, 3, 96, 107)]
        assert choose_by_place(tracks, "left", width=100) == tracks[:1]
        assert choose_by_place(tracks, "right", width=100) == tracks[3:]

    def test_much_smaller_faces_stand_in_no_row(self):
        tracks = [track(range(4), x=10, size=9), track(range(4), x=40), track(range(4), x=70)]
        assert choose_by_place(tracks, "left", width=100) == [tracks[1]]

    def test_who_is_at_the_place_most_of_the_time_is_meant(self):
        # Alone in frames 0 to 2, and at the right of the other in 3 and 4: left for 3 frames of 5.
        mover, other = track(range(5), x=60), track([3, 4], x=20)
        assert choose_by_place([mover, other], "left", width=100) == [mover, other]
        longer = track([2, 3, 4], x=20)
        assert choose_by_place([mover, longer], "left", width=100) == [longer]

    @pytest.mark.parametrize("place", ["largest", "left", "centre", "right", "all"])
    def test_of_nobody_nobody_is_chosen(self, place):
        assert choose_by_place([], place, width=100) == []


class TestLikeness:
    def test_the_line_is_between_one_person_and_two(self):
        # Cosines 0.36 and 0.34.
        tracks = [track([0]), track([1])]
        vectors = torch.tensor([[0.36, (1 - 0.36**2) ** 0.5], [0.34, (1 - 0.34**2) ** 0.5]]) * 7
        assert choose_by_likeness(tracks, vectors, torch.tensor([3.0, 0.0])) == tracks[:1]


class TestGroup:
    def test_tracks_of_a_person_come_together_the_most_shown_first(self):
        tracks = [track([0, 1]), track([0, 1, 2]), track([5, 6]), track([9])]
        vectors = torch.tensor([[1.0, 0.1], [0.0, 2.0], [0.9, 0.0], [0.1, 1.0]])
        # Two tracks of two frames, and one of three with one of one: 4 frames each; then the areas decide.
        tracks[3] = track([9], size=30)
        assert group(tracks, vectors) == [[tracks[1], tracks[3]], [tracks[0], tracks[2]]]

    def test_a_track_of_which_nothing_is_known_is_somebody_else(self):
        tracks = [track([0, 1]), track([2])]
        assert group(tracks, torch.tensor([[1.0, 0.0], [0.0, 0.0]])) == [tracks[:1], tracks[1:]]

    def test_of_no_tracks_there_is_nobody(self):
        assert group([], torch.zeros(0, 3)) == []
