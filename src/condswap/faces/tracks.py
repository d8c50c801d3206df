"""Faces followed from frame to frame: who is the same, where nobody was found for a moment, and steady points."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from condswap.faces.find import Face
from condswap.templates import transform, umeyama

_REACH = 0.5  # of a face's size: how far its middle may move between two frames that are looked at
_GROWTH = 1.6  # times: how much its size may change
_LEAST = 0.1  # of sigma: a narrower Gaussian is 0 at the next frame
_PATIENCE = 6  # frames, as they are looked at, for which a face may go unseen


@dataclass(eq=False)
class Track:
    """One face in neighbouring frames.

    Args:
        frames: the numbers of the frames, rising.
        faces: the face in each of them.
    """

    frames: list[int] = field(default_factory=list)
    faces: list[Face] = field(default_factory=list)

    @property
    def area(self) -> float:
        """The areas of the face's boxes, added up."""
        return sum(face.size**2 for face in self.faces)


def follow(frames: Iterable[tuple[int, Sequence[Face], bool]], *, step: int = 1) -> list[Track]:
    """Join faces of neighbouring frames into tracks, in the order in which they begin.

    A face goes on with the nearest track, if its middle moved by less than half its size and its size changed by less than
    1.6 times; for six frames that are looked at it may go unseen. Nothing goes on past a cut.

    Args:
        frames: the number of each frame, its faces, and whether it begins a new shot.
        step: how far the numbers are apart.
    """
    ended: list[Track] = []
    live: list[Track] = []
    for number, faces, cut in frames:
        old = [track for track in live if cut or number - track.frames[-1] > (_PATIENCE + 1) * step]
        ended += old
        live = [track for track in live if track not in old]
        pairs = sorted(
            (
                (_distance(track.faces[-1], face), at, place)
                for at, track in enumerate(live)
                for place, face in enumerate(faces)
            ),
            key=lambda pair: pair[0],
        )
        taken: dict[int, Track] = {}
        goes_on: set[int] = set()
        for distance, at, place in pairs:
            if distance < _REACH and at not in goes_on and place not in taken:
                taken[place] = live[at]
                goes_on.add(at)
        for place, face in enumerate(faces):
            if place not in taken:
                live.append(Track())
                taken[place] = live[-1]
            taken[place].frames.append(number)
            taken[place].faces.append(face)
    return sorted(ended + live, key=lambda track: track.frames[0])


def fill(track: Track) -> Track:
    """Give a track with a face in every frame from its first to its last: between two, where none was found."""
    frames: list[int] = []
    faces: list[Face] = []
    for number, face in zip(track.frames, track.faces, strict=True):
        if frames:
            last, before = frames[-1], faces[-1]
            for missing in range(last + 1, number):
                frames.append(missing)
                faces.append(_between(before, face, (missing - last) / (number - last)))
        frames.append(number)
        faces.append(face)
    return Track(frames, faces)


def steady(track: Track, sigma: float) -> Track:
    """Give a track whose points do not tremble: each is what a straight line through its neighbours in time says.

    The line is fitted to the points of the frames around by least squares, weighted by a Gaussian, so that a face that
    moves evenly stays where it is, at the ends of the track too.

    Args:
        track: with a face in every frame, as `fill` gives it.
        sigma: of the Gaussian, in frames; 0 leaves the track as it is.
    """
    if sigma < _LEAST or len(track.faces) < 3:
        return track
    points = torch.stack([face.points.double() for face in track.faces]).flatten(1)
    smooth = _line_at_each(points, sigma).reshape(-1, 5, 2)
    return Track(track.frames, [replace(face, points=own) for face, own in zip(track.faces, smooth, strict=True)])


def _line_at_each(values: Tensor, sigma: float) -> Tensor:
    """Fit a weighted line around every row of (n, d) and give its value there, (n, d)."""
    reach = min(math.ceil(3 * sigma), len(values) - 1)
    away = torch.arange(-reach, reach + 1, dtype=torch.float64)
    place = torch.arange(len(values))[:, None] + away.long()
    weight = (-0.5 * (away / sigma) ** 2).exp() * ((place >= 0) & (place < len(values)))
    near = values[place.clamp(0, len(values) - 1)]
    zeroth, first, second = ((weight * away**power).sum(1) for power in (0, 1, 2))
    own = torch.einsum("nk,nkd->nd", weight, near)
    sloped = torch.einsum("nk,nkd->nd", weight * away, near)
    # The intercept of the line; with one neighbour on one side only it is the value itself.
    return (second[:, None] * own - first[:, None] * sloped) / (zeroth * second - first**2)[:, None]


def _distance(one: Face, other: Face) -> float:
    """Give how far two faces are apart, in shares of their size; infinite for sizes that do not fit."""
    smaller, larger = sorted((one.size, other.size))
    if smaller <= 0 or larger >= _GROWTH * smaller:
        return math.inf
    return math.dist(one.middle, other.middle) / larger


def _between(one: Face, other: Face, share: float) -> Face:
    """Give the face that lies a share of the way between two."""
    points = torch.lerp(one.points.double(), other.points.double(), share)
    box = tuple(a + share * (b - a) for a, b in zip(one.box, other.box, strict=True))
    near = one if share < 0.5 else other
    outline = None if near.outline is None else transform(umeyama(near.points, points), near.outline)
    return Face(points, (box[0], box[1], box[2], box[3]), min(one.score, other.score), outline, near.expression)
