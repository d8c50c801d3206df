"""How sure a mean is: intervals from resampling whole blocks of pictures.

Neighbouring frames of a clip are near-copies of each other. Resampling them one by one would count them as so many
witnesses and give intervals that are far too narrow; so runs of frames are drawn as a whole.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from condswap.errors import ConfigError, ShapeError


class Figure(NamedTuple):
    """A mean with its interval.

    value: the mean. low, high: where it lies with 95 %, NaN where there are fewer than two blocks to tell it by.
    count: of how many numbers it is the mean; with 0 the value is NaN.
    """

    value: float
    low: float
    high: float
    count: int  # type: ignore[assignment]  # hides the method of every tuple, which nobody asks a figure for


def blocks_of(clips: Iterable[Sequence[int]], *, size: int = 10) -> dict[int, int]:
    """Give the block of every picture: clips are cut into runs of about `size` frames, as even as can be.

    `clips` are the pictures of each clip, by number, in the order of time. Raises `ConfigError` for a size below 1.

    >>> blocks_of([[0, 1, 2], [7, 8]], size=2)
    {0: 0, 1: 0, 2: 1, 7: 2, 8: 2}
    """
    if size < 1:
        raise ConfigError(f"size={size!r} frames make no block; give a whole number from 1 on")
    blocks: dict[int, int] = {}
    start = 0
    for clip in clips:
        runs = math.ceil(len(clip) / size)
        for place, index in enumerate(clip):
            blocks[index] = start + place * runs // len(clip)
        start += runs
    return blocks


def bootstrap(values: Tensor, blocks: Tensor, *, seed: int = 0, draws: int = 1000) -> Figure:
    """Give the mean of numbers with its 95 % interval, resampling whole blocks.

    NaNs are left out. For the difference of two measures of the same pictures give their difference as `values`: the
    pictures' own ups and downs then cancel. The same seed gives the same interval. Few blocks give an interval that is
    too narrow, the more so the fewer. Efron, Tibshirani: An introduction to the bootstrap, 1993, chapter 13.

    Args:
        values: (n).
        blocks: (n), whole numbers: which values belong together.
        seed: of the draws.
        draws: how often is resampled.

    Raises:
        ShapeError: values and blocks are not both (n).

    Example:
        >>> bootstrap(torch.tensor([0.0, 2.0, 4.0]), torch.tensor([0, 0, 1])).value
        2.0
    """
    return bootstrap_ratio(values, torch.ones_like(values), blocks, seed=seed, draws=draws)


def bootstrap_ratio(above: Tensor, below: Tensor, blocks: Tensor, *, seed: int = 0, draws: int = 1000) -> Figure:
    """Give the ratio of two means over the same pictures with its 95 % interval, resampling whole blocks.

    Pictures where either is NaN are left out. Arguments and errors are those of `bootstrap`.

    >>> bootstrap_ratio(torch.tensor([1.0, 3.0]), torch.tensor([2.0, 2.0]), torch.tensor([0, 1])).value
    1.0
    """
    if above.ndim != 1 or above.shape != below.shape or above.shape != blocks.shape:
        raise ShapeError(
            f"values {tuple(above.shape)} and {tuple(below.shape)} came with blocks {tuple(blocks.shape)}; give one number "
            "and one block a picture, (n)"
        )
    pairs = torch.stack((above, below), dim=1).double().cpu()
    known = ~pairs.isnan().any(dim=1)
    count = int(known.sum())
    if not count:
        return Figure(math.nan, math.nan, math.nan, 0)
    _, block = blocks.cpu()[known].unique(return_inverse=True)
    pairs = pairs[known]
    sums = pairs.new_zeros(int(block.max()) + 1, 2).index_add(0, block, pairs)
    value = _ratio(sums.sum(0))
    if len(sums) < 2:
        return Figure(float(value), math.nan, math.nan, count)  # drawn again and again, one block is always the same
    drawn = torch.randint(len(sums), (draws, len(sums)), generator=torch.Generator().manual_seed(seed))
    low, high = _ratio(sums[drawn].sum(1)).quantile(value.new_tensor([0.025, 0.975])).tolist()
    return Figure(float(value), low, high, count)


def _ratio(sums: Tensor) -> Tensor:
    return sums[..., 0] / sums[..., 1]
