"""Faces that are followed, filled in and held steady, with positions that were worked out by hand."""

import math

import pytest
import torch

from condswap.faces.find import Face
from condswap.faces.tracks import Track, fill, follow, steady


def face(x: float, y: float = 50.0, size: float = 10.0, **more) -> Face:
    """A face of a square box around (x, y), with its points on a cross in it."""
    points = torch.tensor([(-2.0, -2.0), (2.0, -2.0), (0.0, 0.0), (-1.0, 2.0), (1.0, 2.0)], dtype=torch.float64)
    box = (x - size / 2, y - size / 2, x + size / 2, y + size / 2)
    return Face(points * size / 10 + torch.tensor((x, y)), box, 0.9, **more)


def places(track: Track) -> list[tuple[int, float]]:
    return [(number, one.middle[0]) for number, one in zip(track.frames, track.faces, strict=True)]


def walk(*positions: float | None) -> list[tuple[int, list[Face], bool]]:
    return [(number, [] if x is None else [face(x)], False) for number, x in enumerate(positions)]


class TestFollow:
    def test_a_face_that_moves_is_one_track(self):
        (track,) = follow(walk(10, 14, 18))
        assert places(track) == [(0, 10), (1, 14), (2, 18)]
        assert track.area == 300

    def test_half_a_face_further_is_another_face(self):
        # A box of 10 may move by less than 5.
        assert len(follow(walk(10, 14.9))) == 1
        assert [places(track) for track in follow(walk(10, 15.0))] == [[(0, 10)], [(1, 15)]]

    def test_distance_is_measured_by_the_larger_of_the_two(self):
        # 7 pixels: 0.7 of the first, but 0.467 of the second.
        assert len(follow([(0, [face(10, size=10)], False), (1, [face(17, size=15)], False)])) == 1

    @pytest.mark.parametrize(("size", "tracks"), [(15.9, 1), (16.1, 2), (6.3, 1), (6.2, 2)])
    def test_a_face_that_grows_or_shrinks_too_fast_is_another(self, size, tracks):
        assert len(follow([(0, [face(50)], False), (1, [face(50, size=size)], False)])) == tracks

    def test_two_faces_that_cross_keep_apart_by_their_paths(self):
        # They pass one above the other, 8 pixels apart at the closest, in steps of 4.
        frames = [(number, [face(10 + 4 * number, 50), face(42 - 4 * number, 58)], False) for number in range(9)]
        one, other = follow(frames)
        assert places(one) == [(number, 10 + 4 * number) for number in range(9)]
        assert places(other) == [(number, 42 - 4 * number) for number in range(9)]

    def test_the_order_in_which_they_were_found_does_not_matter(self):
        frames = [(number, [face(10), face(40)][:: (-1) ** number], False) for number in range(4)]
        assert [places(track) for track in follow(frames)] == [[(n, 10) for n in range(4)], [(n, 40) for n in range(4)]]

    def test_the_nearest_pair_is_joined_first(self):
        # The track at 10 is 4 from the face at 14, but the one at 15 is 1 from it; left over is the face at 11.
        one, other = follow([(0, [face(10), face(15)], False), (1, [face(14), face(11)], False)])
        assert (places(one), places(other)) == ([(0, 10), (1, 11)], [(0, 15), (1, 14)])

    def test_a_face_may_go_unseen_for_six_frames_and_not_for_seven(self):
        assert [places(track) for track in follow(walk(10, *[None] * 6, 10))] == [[(0, 10), (7, 10)]]
        assert [places(track) for track in follow(walk(10, *[None] * 7, 10))] == [[(0, 10)], [(8, 10)]]

    def test_frames_are_counted_as_they_are_looked_at(self):
        def every_fifth(*positions):
            return [(5 * number, faces, cut) for number, faces, cut in walk(*positions)]

        assert len(follow(every_fifth(10, *[None] * 6, 10), step=5)) == 1
        assert len(follow(every_fifth(10, *[None] * 7, 10), step=5)) == 2
        assert len(follow(every_fifth(10, None, 10), step=1)) == 2

    def test_nothing_goes_on_past_a_cut(self):
        frames = walk(10, 10, 10)
        frames[1] = (1, frames[1][1], True)
        assert [places(track) for track in follow(frames)] == [[(0, 10)], [(1, 10), (2, 10)]]

    def test_a_cut_in_a_frame_without_a_face_counts(self):
        frames = walk(10, None, 10)
        frames[1] = (1, [], True)
        assert len(follow(frames)) == 2

    def test_tracks_come_in_the_order_in_which_they_begin(self):
        frames = [(0, [face(10)], False), (1, [face(10), face(80)], False), (2, [face(80)], False)]
        assert [track.frames for track in follow(frames)] == [[0, 1], [1, 2]]

    def test_no_frames_and_no_faces_are_no_tracks(self):
        assert follow([]) == []
        assert follow(walk(None, None)) == []

    def test_a_box_without_extent_ends_in_no_division_by_nothing(self):
        assert len(follow([(0, [face(10, size=0.0)], False), (1, [face(10, size=0.0)], False)])) == 2


class TestFill:
    def test_what_is_missing_lies_evenly_between(self):
        filled = fill(Track([3, 4, 8], [face(10), face(11), face(19, 58, size=18)]))
        assert filled.frames == [3, 4, 5, 6, 7, 8]
        assert [one.middle for one in filled.faces] == [(10, 50), (11, 50), (13, 52), (15, 54), (17, 56), (19, 58)]
        assert [one.size for one in filled.faces] == [10, 10, 12, 14, 16, 18]
        # The left eye: 2 of 10 above and left of the middle.
        assert filled.faces[3].points[0].tolist() == pytest.approx([15 - 2.8, 54 - 2.8])

    def test_a_whole_track_stays_as_it_is(self):
        faces = [face(1), face(2)]
        filled = fill(Track([7, 8], faces))
        assert (filled.frames, filled.faces) == ([7, 8], faces)

    def test_the_outline_goes_along_and_the_expression_is_the_nearer_one(self):
        square = torch.tensor([(5.0, 45.0), (15.0, 45.0), (15.0, 55.0), (5.0, 55.0)], dtype=torch.float64)
        first = face(10, outline=square, expression={"jawOpen": 0.1})
        last = face(22, size=20, outline=(square - torch.tensor((10.0, 50.0))) * 2 + torch.tensor((22.0, 50.0)),
                    expression={"jawOpen": 0.9})  # fmt: skip
        filled = fill(Track([0, 4], [first, last]))
        assert [one.expression["jawOpen"] for one in filled.faces] == [0.1, 0.1, 0.9, 0.9, 0.9]
        # A quarter of the way: the middle at 13, the side 12.5.
        torch.testing.assert_close(
            filled.faces[1].outline,
            torch.tensor([(6.75, 43.75), (19.25, 43.75), (19.25, 56.25), (6.75, 56.25)], dtype=torch.float64),
        )

    def test_the_outline_of_a_long_gap_is_that_of_the_nearer_end(self):
        # The outlines differ in their number of corners: three frames to either side, and the middle to the end.
        first = face(10, outline=torch.zeros(3, 2, dtype=torch.float64))
        last = face(10, outline=torch.zeros(5, 2, dtype=torch.float64))
        corners = [len(one.outline) for one in fill(Track([0, 7], [first, last])).faces]
        assert corners == [3, 3, 3, 3, 5, 5, 5, 5]

    def test_a_face_without_outline_is_filled_without(self):
        assert fill(Track([0, 2], [face(1), face(2)])).faces[1].outline is None


class TestSteady:
    @staticmethod
    def moved(positions: list[tuple[float, float]]) -> Track:
        return Track(list(range(len(positions))), [face(x, y) for x, y in positions])

    @pytest.mark.parametrize("sigma", [0.1, 0.5, 2.0, 30.0])
    def test_an_even_motion_stays_as_it_is_at_the_ends_too(self, sigma):
        track = self.moved([(10 + 3.5 * number, 40 - 1.25 * number) for number in range(12)])
        for one, other in zip(steady(track, sigma).faces, track.faces, strict=True):
            torch.testing.assert_close(one.points, other.points, atol=1e-7, rtol=0)

    def test_three_points_with_weights_by_hand(self):
        # Weights 1 in the middle, w beside, w^4 two further. In the middle the line's value is the weighted mean, as the
        # weights are even: 3 / (1 + 2 w). At the first it is the intercept of the line through (0, 0), (1, 3), (2, 0).
        w = math.exp(-0.5)
        shown = steady(self.moved([(0, 50), (3, 50), (0, 50)]), 1.0)
        zeroth, first, second = 1 + w + w**4, w + 2 * w**4, w + 4 * w**4
        end = (second * 3 * w - first * 3 * w) / (zeroth * second - first**2)
        middles = [float(one.points[2, 0]) for one in shown.faces]
        assert middles == pytest.approx([end, 3 / (1 + 2 * w), end])

    def test_noise_gets_smaller(self):
        noise = torch.randn(200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        track = self.moved([(50 + x, 50 + y) for x, y in noise.tolist()])
        calm = torch.stack([one.points[2] for one in steady(track, 2.0).faces]) - 50
        # A Gaussian of sigma 2 averages white noise down to 1 / sqrt(2 sqrt(pi) sigma) = 0.376 of its deviation.
        assert float(calm[10:-10].std()) == pytest.approx(0.376 * float(noise[10:-10].std()), rel=0.15)
        assert float(calm.std()) < 0.5 * float(noise.std())

    def test_only_the_points_change(self):
        track = self.moved([(0, 50), (9, 50), (0, 50), (9, 50)])
        shown = steady(track, 1.0)
        assert shown.frames == track.frames
        assert [one.box for one in shown.faces] == [one.box for one in track.faces]

    @pytest.mark.parametrize("count", [1, 2])
    def test_one_and_two_frames_stay_as_they_are(self, count):
        track = self.moved([(10, 50), (17, 50)][:count])
        assert steady(track, 2.0) is track

    @pytest.mark.parametrize("sigma", [0.0, -1.0, 0.01])
    def test_without_reach_nothing_changes(self, sigma):
        track = self.moved([(0, 50), (9, 50), (0, 50)])
        assert steady(track, sigma) is track
