"""The rows of a report: what is measured together, and what the rows are called."""

import math
from typing import NamedTuple

from condswap.evaluation.intervals import Figure

SWAP, ALONE = "swap", "swap, told nothing"
UNCHANGED, REAL, MEAN = "picture unchanged", "real picture pasted", "mean face pasted"
EXACT = "exact swap pasted"
PEOPLE = "real pictures of the target"
NOTHING = Figure(math.nan, math.nan, math.nan, 0)
"""What was not measured."""


class Nearness(NamedTuple):
    """How near pictures are to what they should be, inside the face.

    ssim: structural similarity, 1 = equal. psnr: in dB. l1: mean absolute difference, in [0, 1]. moved: how far it went
    from the picture to the exact swap: 0 is the picture, 1 all the way.
    """

    ssim: Figure
    psnr: Figure
    l1: Figure
    moved: Figure = NOTHING


class Likeness(NamedTuple):
    """Who is seen in pictures.

    retrieval: the share whose nearest class mean is that of the person to show. target: similarity (cosine) to that
    mean. picture: similarity to the mean of the person in the picture. gap: their difference, the leak gap.
    """

    retrieval: Figure
    target: Figure
    picture: Figure
    gap: Figure


class Kept(NamedTuple):
    """How far a measure of the picture, such as the turn of the head, is found again in the swap.

    slope: how much of a change within a clip is followed, 1 = all. correlation: within clips. error: the mean absolute
    difference, in the measure's own unit.
    """

    slope: Figure
    correlation: Figure
    error: Figure


class Direction(NamedTuple):
    """The swaps of one clip of a person to another person.

    source, to: names of classes. clip: its number in the class, from 1; None where there are no clips. likeness: of the
    swaps. unchanged, real: the leak gaps of the pictures themselves, and of real pictures of the target pasted into them.
    """

    source: str
    to: str
    clip: int | None
    likeness: Likeness
    unchanged: float
    real: float

    @property
    def share(self) -> float:
        """The leak gap as a share of that of real pictures pasted, which is the possible one; NaN where that is not above 0."""
        return self.likeness.gap.value / self.real if self.real > 0 else math.nan

    @property
    def name(self) -> str:
        """Who becomes whom, such as "anna clip 2 to bob"."""
        return f"{self.source}{'' if self.clip is None else f' clip {self.clip}'} to {self.to}"


def rounded(value: float, digits: int) -> str:
    """Write a number; what rounds to nothing has no sign.

    >>> rounded(-0.001, 2), rounded(-0.6, 2)
    ('0.00', '-0.60')
    """
    return f"{round(value, digits) + 0.0:.{digits}f}"
