"""The numbers of all pictures, by name, until they become figures."""

from collections.abc import Sequence

import torch
from torch import Tensor

from condswap.evaluation.intervals import Figure, bootstrap
from condswap.evaluation.measures import l1_inside, psnr_inside, slope_and_correlation, ssim_inside
from condswap.evaluation.rows import NOTHING, Kept, Likeness, Nearness
from condswap.sensitivity import moved
from condswap.types import Image, Label, Mask

_DRAWS = 300  # of a slope, which costs more than a mean


class Columns:
    """Numbers of pictures, added part by part under a name of several words; each row has its block."""

    def __init__(self) -> None:
        self._parts: dict[tuple[str, ...], list[Tensor]] = {}

    def add(self, *name: str, values: Tensor) -> None:
        """Add the numbers of the next pictures, (n)."""
        self._parts.setdefault(name, []).append(values.detach().cpu())

    def __contains__(self, name: tuple[str, ...]) -> bool:
        """Say whether there are numbers of this name."""
        return name in self._parts

    def __getitem__(self, name: tuple[str, ...]) -> Tensor:
        """Give all the numbers of a name, (n)."""
        return torch.cat(self._parts[name])

    def add_nearness(self, row: str, shown: Image, truth: Image, mask: Mask, *, picture: Image | None = None) -> None:
        """Add how near pictures are to what they should be, and how far they moved there from `picture`."""
        self.add(row, "ssim", values=ssim_inside(shown, truth, mask))
        self.add(row, "psnr", values=psnr_inside(shown, truth, mask))
        self.add(row, "l1", values=l1_inside(shown, truth, mask))
        if picture is not None:
            self.add(row, "moved", values=moved(picture, shown, truth, mask))

    def add_likeness(
        self, row: str, similar: Tensor, *, source: Label | None, to: Label, present: Sequence[int]
    ) -> None:
        """Add who is seen, from the cosines (n, c) to the means of all classes.

        Only the classes that are `present` have a mean. `source` is the person in the picture; None for pictures that
        show who they are to show, which are held against the mean over everybody else.
        """
        rows = torch.arange(len(to))
        known = torch.full_like(similar, float("-inf"))  # no one is taken for a person that nothing is known of
        known[:, list(present)] = similar[:, list(present)]
        target = similar[rows, to]
        others = (similar[:, list(present)].sum(1) - target) / max(1, len(present) - 1)
        picture = others if source is None else similar[rows, source]
        self.add(row, "retrieval", values=(known.argmax(1) == to).float())
        self.add(row, "target", values=target)
        self.add(row, "picture", values=picture)
        self.add(row, "gap", values=target - picture)

    def figure(self, *name: str, blocks: Tensor, where: Tensor | None = None, seed: int = 0) -> Figure:
        """Give the mean of a name with its interval, of all pictures or of those at the places `where`."""
        if name not in self:
            return NOTHING
        chosen = slice(None) if where is None else where
        return bootstrap(self[name][chosen], blocks[chosen], seed=seed)

    def nearness(self, row: str, *, blocks: Tensor, seed: int) -> Nearness:
        """Give the figures of `add_nearness`."""
        return Nearness(*(self.figure(row, name, blocks=blocks, seed=seed) for name in Nearness._fields))

    def likeness(self, row: str, *, blocks: Tensor, seed: int, where: Tensor | None = None) -> Likeness:
        """Give the figures of `add_likeness`."""
        found = (self.figure(row, name, blocks=blocks, where=where, seed=seed) for name in Likeness._fields)
        return Likeness(*found)

    def kept(self, before: Tensor, after: tuple[str, ...], *, groups: Tensor, blocks: Tensor, seed: int) -> Kept:
        """Give how far a measure of the pictures, (n), is found again in what is shown."""
        shown = self[after]
        slope, correlation = _followed(before, shown, groups, blocks, seed=seed)
        return Kept(slope=slope, correlation=correlation, error=bootstrap((before - shown).abs(), blocks, seed=seed))


def _followed(x: Tensor, y: Tensor, groups: Tensor, blocks: Tensor, *, seed: int) -> tuple[Figure, Figure]:
    """Give slope and correlation with their intervals, resampling whole blocks."""
    value = slope_and_correlation(x, y, groups)
    count = int((~(x.isnan() | y.isnan())).sum())
    _, block = blocks.unique(return_inverse=True)
    order, sizes = block.argsort(stable=True), block.bincount()
    members = order.split(sizes.tolist())
    generator = torch.Generator().manual_seed(seed)
    drawn = []
    for _ in range(_DRAWS if len(members) > 1 else 0):
        picks = torch.randint(len(members), (len(members),), generator=generator)
        rows = torch.cat([members[one] for one in picks.tolist()])
        drawn.append(slope_and_correlation(x[rows], y[rows], groups[rows]))
    ends = torch.tensor(drawn, dtype=torch.float64).reshape(-1, 2)
    return (_interval(value[0], ends[:, 0], count), _interval(value[1], ends[:, 1], count))


def _interval(value: float, drawn: Tensor, count: int) -> Figure:
    drawn = drawn[~drawn.isnan()]
    if value != value or not len(drawn):
        return Figure(value, float("nan"), float("nan"), 0 if value != value else count)
    low, high = drawn.quantile(drawn.new_tensor([0.025, 0.975])).tolist()
    return Figure(value, low, high, count)
