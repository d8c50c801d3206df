"""Clips: the stretches of neighbouring pictures that were filmed in one go.

Frames of one clip are near copies of each other, so what is measured is measured clip by clip, and what is held back is
held back at the end of each.
"""

import operator
from collections.abc import Sequence
from itertools import chain, groupby
from typing import Any, NamedTuple

import torch.nn.functional as F
from torch import Tensor

from condswap.errors import ConfigError

_SIDE = 32  # a thumbnail is as small as a face can be with its light, its turn and its background still on it


class Clip(NamedTuple):
    """One clip: its class, and the places of its pictures in the dataset, in order."""

    label: int
    indices: tuple[int, ...]


def find_clips(data: Any, *, cut: float = 0.1, least: int = 8) -> list[Clip]:
    """Split the pictures of every class into clips.

    There is a cut where two neighbours of a class look unlike: their thumbnails of 32 x 32 pixels differ by more than
    `cut` on average. Stretches between cuts that are too short for a clip are joined with each other where they meet,
    so that a folder of unrelated photos is one stretch a class; one that stands alone, such as a flash, is joined with
    whichever of its neighbours it is more like.

    Every picture is read once. A dataset that knows better has a method `clips(cut=, least=)` of its own, which is asked
    instead: that of `FaceFolder` reads nothing again, and the parts of its `split` remember the clips of the whole; that
    of `ToyFaces` gives one stretch a person.

    Args:
        data: a dataset of items {"image", "mask", "label"}; the pictures of a class are taken in its order.
        cut: mean absolute difference of the thumbnails, in [0, 1], above which neighbours are not of one clip.
        least: how many pictures a stretch has at least, unless its class has fewer.

    Returns:
        The clips by class, and in order; every picture is in one.

    Raises:
        ConfigError: a cut or a least number that cannot be.

    Example:
        >>> import torch
        >>> shades = [0.0] * 9 + [1.0] * 10
        >>> data = [{"image": torch.full((3, 32, 32), shade), "label": 0} for shade in shades]
        >>> [(clip.label, len(clip.indices)) for clip in find_clips(data)]
        [(0, 9), (0, 10)]
    """
    own = getattr(data, "clips", None)
    if callable(own):
        clips: list[Clip] = own(cut=cut, least=least)
        return clips
    labels, changes = [], Changes()
    steps = []
    for index in range(len(data)):
        item = data[index]
        labels.append(operator.index(item["label"]))
        steps.append(changes.to(thumbnail(item["image"]), labels[-1]))
    return join_stretches(labels, steps, cut=cut, least=least)


def thumbnail(image: Tensor) -> Tensor:
    """Give the (3, 32, 32) thumbnail of an image (3, h, w), each pixel the mean of what it covers."""
    return F.interpolate(image[None].float(), size=(_SIDE, _SIDE), mode="area")[0]


class Changes:
    """How much each picture differs from the one before it in its class; remembers one thumbnail a class."""

    def __init__(self) -> None:
        """Begin with no class seen."""
        self._last: dict[int, Tensor] = {}

    def to(self, shown: Tensor, label: int) -> float:
        """Give the mean absolute difference of a thumbnail to the last one of its class; 0 for the first."""
        last = self._last.get(label, shown)
        self._last[label] = shown
        return (shown - last).abs().mean().item()


def by_class(labels: Sequence[int]) -> dict[int, list[int]]:
    """Give the pictures of each class, in their order, the classes by their numbers.

    >>> by_class([1, 0, 1])
    {0: [1], 1: [0, 2]}
    """
    members: dict[int, list[int]] = {}
    for index, label in enumerate(labels):
        members.setdefault(int(label), []).append(index)
    return dict(sorted(members.items()))


def join_stretches(labels: Sequence[int], steps: Sequence[float], *, cut: float, least: int) -> list[Clip]:
    """Give the clips of pictures of which the classes, and the steps from the one before in the class, are known."""
    if isinstance(cut, bool) or not isinstance(cut, int | float) or not 0 < cut < 1:
        raise ConfigError(f"cut={cut!r} is not a number between 0 and 1")
    if isinstance(least, bool) or not isinstance(least, int) or least < 1:
        raise ConfigError(f"least={least!r} is not a whole number from 1 on")
    clips = []
    for label, indices in by_class(labels).items():
        starts = [place for place, index in enumerate(indices) if place == 0 or steps[index] > cut]
        stretches = [indices[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]
        clips += [Clip(label, tuple(one)) for one in _without_short(stretches, steps, least=least)]
    return clips


def _without_short(stretches: list[list[int]], steps: Sequence[float], *, least: int) -> list[list[int]]:
    # First short ones with short ones: joined one by one with a neighbour, photos would become many small clips.
    joined: list[list[int]] = []
    for short, group in groupby(stretches, key=lambda stretch: len(stretch) < least):
        run = list(group)
        joined += [list(chain.from_iterable(run))] if short else run
    # What is still short has long neighbours, and goes to the one that it is more like; a step is kept with its end.
    kept: list[list[int]] = []
    ahead: list[int] = []
    into = [steps[stretch[0]] for stretch in joined]
    for place, stretch in enumerate(joined):
        if len(stretch) >= least:
            kept.append(ahead + stretch)
            ahead = []
        elif place > 0 and (place + 1 == len(joined) or into[place] <= into[place + 1]):
            kept[-1] += stretch
        else:
            ahead = stretch
    return [*kept, ahead] if ahead else kept
