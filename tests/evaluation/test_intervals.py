"""Intervals: as wide as statistics says, and no narrower for showing the same thing many times."""

import math

import pytest
import torch

from condswap import ConfigError, ShapeError
from condswap.evaluation.intervals import Figure, blocks_of, bootstrap, bootstrap_ratio

NUMBERS = torch.randn(400, generator=torch.Generator().manual_seed(0))
APART = torch.arange(400)


def width(figure):
    return figure.high - figure.low


def test_the_interval_of_independent_numbers_is_that_of_the_textbook():
    figure = bootstrap(NUMBERS, APART)
    error = NUMBERS.double().std().item() / 20
    assert figure.value == pytest.approx(NUMBERS.double().mean().item(), abs=1e-9)
    assert figure.count == 400
    assert figure.low == pytest.approx(figure.value - 1.96 * error, abs=0.15 * error)
    assert figure.high == pytest.approx(figure.value + 1.96 * error, abs=0.15 * error)


def test_near_copies_in_one_block_do_not_make_it_surer():
    once = bootstrap(NUMBERS, APART)
    copied = bootstrap(NUMBERS.repeat_interleave(10), APART.repeat_interleave(10))
    assert (copied.value, copied.low, copied.high) == pytest.approx((once.value, once.low, once.high), abs=1e-6)
    assert width(bootstrap(NUMBERS.repeat_interleave(10), torch.arange(4000))) < 0.5 * width(copied)


def test_blocks_of_unlike_sizes_keep_the_mean_of_all():
    figure = bootstrap(torch.tensor([1.0, 1.0, 1.0, 5.0]), torch.tensor([7, 7, 7, 2]))
    assert figure == Figure(2.0, 1.0, 5.0, 4)  # drawn: both ones, both fives, or one of each


def test_the_same_seed_gives_the_same_interval_and_nobodys_random_numbers_move():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    assert bootstrap(NUMBERS, APART, seed=1) == bootstrap(NUMBERS, APART, seed=1)
    assert torch.equal(torch.rand(1), expected)
    assert bootstrap(NUMBERS, APART, seed=1) != bootstrap(NUMBERS, APART, seed=2)


def test_nans_are_left_out():
    holes = torch.cat((NUMBERS, torch.full((50,), math.nan)))
    assert bootstrap(holes, torch.arange(450)) == bootstrap(NUMBERS, APART)


@pytest.mark.parametrize("values", [[], [math.nan, math.nan]])
def test_of_nothing_there_is_no_figure(values):
    figure = bootstrap(torch.tensor(values), torch.zeros(len(values), dtype=torch.int64))
    assert figure.count == 0
    assert all(math.isnan(one) for one in figure[:3])


def test_one_block_has_a_mean_and_no_interval():
    figure = bootstrap(torch.tensor([1.0, 3.0]), torch.tensor([5, 5]))
    assert (figure.value, figure.count) == (2.0, 2)
    assert math.isnan(figure.low)
    assert math.isnan(figure.high)


def test_what_is_always_the_same_is_sure():
    assert bootstrap(torch.full((8,), 0.25), torch.arange(8)) == Figure(0.25, 0.25, 0.25, 8)


def test_a_ratio_is_that_of_the_means():
    above, below = torch.tensor([1.0, 2.0, 6.0]), torch.tensor([2.0, 2.0, 2.0])
    assert bootstrap_ratio(above, below, torch.arange(3)).value == pytest.approx(1.5)
    assert bootstrap_ratio(torch.tensor([1.0, 9.0]), torch.tensor([1.0, 3.0]), torch.arange(2)).value == 2.5


def test_a_ratio_is_of_the_same_pictures():
    below = NUMBERS.abs() + 0.1
    figure = bootstrap_ratio(2 * below, below, APART)  # each picture's is 2, however much the pictures differ
    assert (figure.value, figure.low, figure.high) == pytest.approx((2.0, 2.0, 2.0))
    holes = below.clone()
    holes[::2] = math.nan
    assert bootstrap_ratio(2 * below, holes, APART).count == 200


def test_numbers_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="one number and one block a picture"):
        bootstrap(NUMBERS, APART[:7])
    with pytest.raises(ShapeError, match="one number and one block a picture"):
        bootstrap_ratio(NUMBERS, NUMBERS[:7], APART)


def test_clips_are_cut_into_even_runs_in_the_order_of_time():
    blocks = blocks_of([range(25), [40, 30]])
    sizes = [list(blocks.values()).count(block) for block in range(4)]
    assert sizes == [9, 8, 8, 2]
    assert [blocks[index] for index in range(25)] == sorted(blocks[index] for index in range(25))
    assert blocks[40] == blocks[30] == 3


def test_a_clip_of_any_length_is_covered_by_runs_of_no_more_than_the_size():
    for length in range(60):
        found = list(blocks_of([range(length)], size=10).values())
        counts = [found.count(block) for block in sorted(set(found))]
        assert sum(counts) == length
        assert all(5 <= count <= 10 for count in counts) or length < 5


def test_no_block_has_frames_of_two_clips():
    blocks = blocks_of([[0, 1], [2], [], [3, 4, 5]], size=2)
    assert blocks == {0: 0, 1: 0, 2: 1, 3: 2, 4: 2, 5: 3}


def test_blocks_of_no_frames_are_refused():
    with pytest.raises(ConfigError, match="from 1 on"):
        blocks_of([[0]], size=0)
