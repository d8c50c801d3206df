"""What is measured on pictures, by hand: small pictures whose answer can be said beforehand."""

import math

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from condswap import ShapeError
from condswap.evaluation.measures import (
    flicker,
    l1_inside,
    light_response,
    mean_inside,
    psnr_inside,
    reappearing,
    seam,
    slope_and_correlation,
    ssim_inside,
)


def noise(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def square(size, low, high, *, count=1):
    """A mask of a square, from `low` to `high` as shares of the side."""
    mask = torch.zeros(count, 1, size, size)
    start, end = round(low * size), round(high * size)
    mask[..., start:end, start:end] = 1.0
    return mask


class TestNearness:
    def test_similarity_inside_is_that_of_scikit_image(self):
        picture, other = noise(1, 3, 48, 48), noise(1, 3, 48, 48, seed=1)
        other = 0.6 * picture + 0.4 * other
        mask = square(48, 0.3, 0.6)  # far from the border, which the two treat differently
        _, whole = structural_similarity(
            picture[0].permute(1, 2, 0).numpy().astype(np.float64),
            other[0].permute(1, 2, 0).numpy().astype(np.float64),
            data_range=1.0, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True,
        )  # fmt: skip
        expected = whole[mask[0, 0].numpy() > 0].mean()
        assert ssim_inside(other, picture, mask).item() == pytest.approx(expected, abs=1e-4)

    def test_differences_inside_are_those_of_numpy(self):
        picture, other, mask = noise(3, 3, 8, 8), noise(3, 3, 8, 8, seed=1), noise(3, 1, 8, 8, seed=2)
        x, y, m = (part.numpy().astype(np.float64) for part in (picture, other, mask))
        weight = m / m.sum((1, 2, 3), keepdims=True)
        squared = (((x - y) ** 2).mean(1, keepdims=True) * weight).sum((1, 2, 3))
        np.testing.assert_allclose(psnr_inside(picture, other, mask), -10 * np.log10(squared), rtol=1e-5)
        absolute = (np.abs(x - y).mean(1, keepdims=True) * weight).sum((1, 2, 3))
        np.testing.assert_allclose(l1_inside(picture, other, mask), absolute, rtol=1e-5)

    @pytest.mark.parametrize(("measure", "best"), [(ssim_inside, 1.0), (psnr_inside, 100.0), (l1_inside, 0.0)])
    def test_the_same_picture_is_as_near_as_can_be(self, measure, best):
        picture = noise(2, 3, 16, 16)
        assert measure(picture, picture, square(16, 0.2, 0.8, count=2)).tolist() == pytest.approx([best] * 2, abs=1e-5)

    @pytest.mark.parametrize("measure", [ssim_inside, psnr_inside, l1_inside])
    def test_what_is_outside_the_mask_counts_for_nothing(self, measure):
        picture, other, mask = noise(1, 3, 48, 48), noise(1, 3, 48, 48, seed=1), square(48, 0.4, 0.6)
        changed = torch.where(square(48, 0.1, 0.9) > 0, other, 1 - other)
        assert measure(changed, picture, mask).item() == pytest.approx(measure(other, picture, mask).item(), abs=1e-5)

    @pytest.mark.parametrize("measure", [ssim_inside, psnr_inside, l1_inside])
    def test_an_empty_mask_has_no_figure_and_leaves_the_others_theirs(self, measure):
        picture, other = noise(2, 3, 16, 16), noise(2, 3, 16, 16, seed=1)
        mask = torch.cat((torch.zeros(1, 1, 16, 16), torch.ones(1, 1, 16, 16)))
        found = measure(other, picture, mask)
        assert math.isnan(found[0])
        assert found[1].item() == pytest.approx(measure(other[1:], picture[1:], mask[1:]).item(), abs=1e-6)

    def test_each_picture_is_divided_by_its_own_mask(self):
        pixel_map = torch.stack((torch.full((1, 4, 4), 3.0), torch.full((1, 4, 4), 5.0)))
        assert mean_inside(pixel_map, torch.cat((square(4, 0, 0.25), square(4, 0, 1)))).tolist() == [3.0, 5.0]

    @pytest.mark.parametrize("shape", [(1, 1, 8, 8), (2, 3, 8, 8), (2, 1, 4, 4), (2, 8, 8)])
    def test_a_mask_that_does_not_fit_is_refused(self, shape):
        with pytest.raises(ShapeError, match="resized to it"):
            l1_inside(noise(2, 3, 8, 8), noise(2, 3, 8, 8), torch.ones(shape))


class TestSeam:
    def test_an_even_picture_has_none(self):
        assert seam(torch.full((1, 3, 32, 32), 0.3), square(32, 0.25, 0.75)).item() == pytest.approx(0.0, abs=1e-6)

    def test_it_is_the_step_across_the_edge(self):
        mask = square(64, 0.25, 0.75)
        picture = 0.4 + mask * torch.tensor([0.1, 0.2, -0.3])[:, None, None]
        assert seam(picture, mask).item() == pytest.approx(0.2, abs=1e-4)

    def test_it_is_taken_place_by_place(self):
        # Too light on one side, too dark on the other: all around, the means inside and outside are the same.
        mask = square(64, 0.25, 0.75)
        picture = torch.full((1, 3, 64, 64), 0.5)
        picture += mask * torch.where(torch.arange(64) < 32, 0.2, -0.2)
        assert mean_inside(picture, mask).item() == pytest.approx(0.5, abs=1e-6)
        assert seam(picture, mask).item() == pytest.approx(0.2, abs=0.02)

    def test_a_step_away_from_the_edge_is_none(self):
        picture = 0.4 + 0.5 * square(64, 0.4, 0.6).expand(1, 3, 64, 64)
        assert seam(picture, square(64, 0.15, 0.85)).item() < 0.001

    def test_a_slow_gradient_is_hardly_one(self):
        picture = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
        assert 0.0 < seam(picture, square(64, 0.25, 0.75)).item() < 0.05

    def test_it_is_the_same_at_every_size(self):
        small, large = (torch.linspace(0, 1, size).expand(1, 3, size, size) for size in (64, 128))
        one, other = seam(small, square(64, 0.25, 0.75)).item(), seam(large, square(128, 0.25, 0.75)).item()
        assert one == pytest.approx(other, rel=0.05)

    def test_a_mask_without_an_edge_has_no_figure(self):
        masks = torch.cat((torch.zeros(1, 1, 16, 16), torch.ones(1, 1, 16, 16), square(16, 0.25, 0.75)))
        assert seam(noise(3, 3, 16, 16), masks).isnan().tolist() == [True, True, False]


class TestFlicker:
    mask = torch.ones(5, 1, 4, 4)

    def test_steady_motion_is_none(self):
        start, step = noise(1, 3, 4, 4), 0.1 * noise(1, 3, 4, 4, seed=1)
        frames = torch.cat([start + number * step for number in range(5)])
        assert flicker(frames, self.mask).tolist() == pytest.approx([0.0] * 3, abs=1e-6)

    def test_what_comes_and_goes_is_all_of_it(self):
        frames = 0.5 + 0.1 * torch.tensor([1.0, -1.0, 1.0, -1.0, -1.0])[:, None, None, None].expand(5, 3, 4, 4)
        assert flicker(frames, self.mask).tolist() == pytest.approx([0.2, 0.2, 0.1])

    def test_only_where_all_three_have_a_face(self):
        frames = torch.zeros(3, 3, 4, 4)
        frames[1, :, :, :2] = 0.5
        masks = torch.ones(3, 1, 4, 4)
        assert flicker(frames, masks).tolist() == pytest.approx([0.25])
        masks[2, :, :, :2] = 0.0
        assert flicker(frames, masks).tolist() == pytest.approx([0.0])
        masks[0, :, :, 2:] = 0.0
        assert flicker(frames, masks).isnan().tolist() == [True]

    @pytest.mark.parametrize("count", [1, 2])
    def test_too_few_frames_have_none(self, count):
        assert flicker(noise(count, 3, 4, 4), torch.ones(count, 1, 4, 4)).shape == (0,)


class TestSlopeAndCorrelation:
    def test_one_group_is_a_line_through_it(self):
        before, after = noise(50).double(), noise(50, seed=1).double()
        slope, correlation = slope_and_correlation(before, after, torch.zeros(50, dtype=torch.int64))
        assert slope == pytest.approx(np.polyfit(before.numpy(), after.numpy(), 1)[0], abs=1e-9)
        assert correlation == pytest.approx(np.corrcoef(before.numpy(), after.numpy())[0, 1], abs=1e-9)

    def test_what_differs_between_groups_counts_for_nothing(self):
        # Between the clips the swap goes the other way; within each it follows by half.
        before = torch.tensor([0.0, 1.0, 2.0, 10.0, 11.0, 12.0])
        after = torch.tensor([50.0, 50.5, 51.0, -50.0, -49.5, -49.0])
        assert slope_and_correlation(before, after, torch.tensor([4, 4, 4, 9, 9, 9])) == pytest.approx((0.5, 1.0))

    def test_the_opposite_is_negative(self):
        before = torch.tensor([0.0, 1.0, 3.0])
        assert slope_and_correlation(before, -2 * before, torch.zeros(3)) == pytest.approx((-2.0, -1.0))

    def test_pairs_with_a_nan_are_left_out(self):
        nan = math.nan
        before = torch.tensor([0.0, 1.0, nan, 5.0, 2.0])
        after = torch.tensor([0.0, 2.0, 7.0, nan, 4.0])
        assert slope_and_correlation(before, after, torch.zeros(5)) == pytest.approx((2.0, 1.0))

    def test_a_swap_that_never_changes_follows_by_none(self):
        slope, correlation = slope_and_correlation(torch.tensor([0.1, 0.7, 0.3]), torch.full((3,), 0.3), torch.zeros(3))
        assert slope == 0.0
        assert math.isnan(correlation)

    @pytest.mark.parametrize("before", [[0.1, 0.1, 0.1], [math.nan] * 3, [0.1, 0.7, 0.1]])
    def test_where_nothing_varies_within_a_group_there_is_no_figure(self, before):
        found = slope_and_correlation(torch.tensor(before), torch.tensor([0.3, 0.5, 0.9]), torch.tensor([0, 1, 0]))
        assert all(math.isnan(one) for one in found)

    def test_rounding_is_no_change(self):
        before, after = torch.full((7,), 0.1, dtype=torch.float64), torch.arange(7.0)
        assert (before - before.mean()).any()  # seven tenths have a mean that is not a tenth
        assert math.isnan(slope_and_correlation(before, after, torch.zeros(7))[0])

    def test_numbers_that_do_not_fit_are_refused(self):
        with pytest.raises(ShapeError, match="one number of each a picture"):
            slope_and_correlation(torch.zeros(3), torch.zeros(2), torch.zeros(3))


class TestLightResponse:
    image = 0.2 + 0.4 * noise(2, 3, 16, 16)
    mask = square(16, 0.2, 0.8, count=2)

    def test_the_picture_itself_has_all_of_its_light(self):
        found = light_response(lambda lit: lit, self.image, self.mask)
        assert found.ramp.tolist() == [1.0, 1.0]
        assert found.gain.tolist() == [1.0, 1.0]

    def test_an_answer_that_never_changes_has_none(self):
        face = 0.3 + 0.2 * noise(2, 3, 16, 16, seed=1)
        found = light_response(lambda lit: face, self.image, self.mask)
        assert found.ramp.tolist() == [0.0, 0.0]
        assert found.gain.tolist() == [0.0, 0.0]

    def test_half_of_the_light_is_half(self):
        grey = self.image[:, :1].expand(-1, 3, -1, -1)
        found = light_response(lambda lit: lit**0.5, grey, self.mask)
        assert found.ramp.tolist() == pytest.approx([0.5, 0.5], abs=1e-4)
        assert found.gain.tolist() == pytest.approx([0.5, 0.5], abs=1e-4)

    def test_another_face_in_the_same_light_has_all_of_it(self):
        face = 0.5 + noise(2, 3, 16, 16, seed=1)
        found = light_response(lambda lit: face * lit, self.image, self.mask)
        assert found.ramp.tolist() == pytest.approx([1.0, 1.0], abs=0.02)
        assert found.gain.tolist() == pytest.approx([1.0, 1.0], abs=0.02)

    def test_the_level_and_the_tilt_are_told_apart(self):
        face = 0.3 + 0.2 * noise(2, 3, 16, 16, seed=1)
        mask = self.mask * (torch.arange(16) < 8)  # on one side, where a ramp changes the level, too

        def level(lit):
            return face * 2 * mean_inside(lit, mask)[:, None, None, None]

        def tilt(lit):
            return 0.4 * lit / mean_inside(lit, mask)[:, None, None, None]

        of_level, of_tilt = (light_response(swap, self.image, mask) for swap in (level, tilt))
        assert of_level.gain.tolist() == pytest.approx([1.0, 1.0], abs=1e-4)
        assert of_level.ramp.tolist() == pytest.approx([0.0, 0.0], abs=1e-4)
        assert of_tilt.gain.tolist() == pytest.approx([0.0, 0.0], abs=1e-4)
        assert of_tilt.ramp.tolist() == pytest.approx([1.0, 1.0], abs=1e-4)

    def test_the_lights_are_ramps_both_ways_and_less_and_more(self):
        seen = []

        def swap(lit):
            seen.append(lit[0, 0, 0, [0, -1]] / self.image[0, 0, 0, [0, -1]])
            return lit

        light_response(swap, self.image, self.mask)
        edge = 0.3 * 15 / 16  # the middle of the last of 16 pixels
        expected = [[1, 1], [1 - edge, 1 + edge], [1 + edge, 1 - edge], [0.8, 0.8], [1.25, 1.25]]
        torch.testing.assert_close(torch.stack(seen), torch.tensor(expected))

    def test_light_from_the_wrong_side_is_negative(self):
        found = light_response(lambda lit: lit.flip(3), self.image, torch.ones(2, 1, 16, 16))
        assert (found.ramp < -0.5).all()

    @pytest.mark.parametrize("value", [0.04, 0.95])
    def test_pixels_that_cannot_show_light_are_left_out(self, value):
        picture = self.image.clone()
        picture[..., :8, :] = value
        half = self.mask.clone()
        half[..., :8, :] = 0.0

        def answer(lit):
            return torch.where(picture == value, 0.5, lit**0.5)  # right where the light shows, none elsewhere

        whole, part = (light_response(answer, picture, mask) for mask in (self.mask, half))
        assert torch.equal(whole.gain, part.gain)
        assert light_response(lambda lit: lit, torch.full_like(picture, value), self.mask).gain.isnan().all()

    def test_a_dark_answer_is_left_out_too(self):
        assert light_response(lambda lit: 0.05 * lit, self.image, self.mask).gain.isnan().all()

    def test_only_the_mask_is_looked_at(self):
        found = light_response(lambda lit: torch.where(self.mask > 0, lit, 0.5), self.image, self.mask)
        assert found.gain.tolist() == [1.0, 1.0]

    def test_the_coefficient_is_that_of_least_squares(self):
        x, y, m = (part.double() for part in (self.image, 0.2 + 0.4 * noise(2, 3, 16, 16, seed=3), self.mask))
        lit, answer = x * (1 + 0.3 * torch.linspace(-1, 1, 16)), y * (1 + 0.2 * noise(2, 3, 16, 16, seed=4))
        found = reappearing(x.float(), lit.float(), y.float(), answer.float(), m.float(), tilt=True)
        weights = np.array([0.299, 0.587, 0.114])
        for place in range(2):
            inside = m[place, 0].numpy() > 0
            logs = [np.log(np.tensordot(weights, one[place].numpy(), 1)[inside]) for one in (x, lit, y, answer)]
            slope = np.polyfit(logs[1] - logs[0], logs[3] - logs[2], 1)[0]
            assert found[place].item() == pytest.approx(slope, abs=1e-4)

    def test_an_answer_of_another_shape_is_refused(self):
        with pytest.raises(ShapeError, match="resize one to the other"):
            light_response(lambda lit: lit[..., :8], self.image, self.mask)
