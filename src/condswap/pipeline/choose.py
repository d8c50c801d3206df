"""Which of the people in a picture or a video are meant."""

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from condswap.faces.tracks import Track

PLACES = ("largest", "left", "centre", "right", "all")
"""What a person can be called by without a picture of them."""

_SAME = 0.35  # cosine: between one person's .53 +- .17 and two people's .02 +- .10, as MobileFaceNet gives them
_COUNTS = 0.5  # of the largest face in a frame: what is smaller stands in no row


def choose_by_place(tracks: Sequence[Track], place: str, *, width: int) -> list[Track]:
    """Choose tracks by where they are: one of `PLACES`.

    "largest" is the face that is shown most in each stretch of time; "left", "centre" and "right" are told among the faces
    of a frame of which none is much smaller than another.

    Args:
        tracks: of one video or picture.
        place: the word.
        width: of the frames.
    """
    if place == "all":
        return list(tracks)
    if place == "largest":
        return _without_overlap(tracks)
    # Not the distance to the edge: the middle of a face that leaves the picture may lie beyond it.
    off = {"left": lambda x: x, "centre": lambda x: abs(x - width / 2), "right": lambda x: -x}
    at: dict[int, list[tuple[Track, float, float]]] = {}
    for track in tracks:
        for frame, face in zip(track.frames, track.faces, strict=True):
            at.setdefault(frame, []).append((track, face.middle[0], face.size))
    won: Counter[Track] = Counter()
    for shown in at.values():
        largest = max(size for _, _, size in shown)
        row = [(x, track) for track, x, size in shown if size >= _COUNTS * largest]
        nearest = min(row, key=lambda one: off[place](one[0]))[1]
        won[nearest] += 1
    return [track for track in tracks if won[track] * 2 > len(track.frames)]


def choose_by_likeness(tracks: Sequence[Track], vectors: Tensor, wanted: Tensor) -> list[Track]:
    """Choose the tracks of a person.

    Args:
        tracks: those to choose from.
        vectors: of each, (n, d).
        wanted: of the person, (d).
    """
    alike = F.cosine_similarity(vectors, wanted[None]).tolist()
    return [track for track, like in zip(tracks, alike, strict=True) if like >= _SAME]


def group(tracks: Sequence[Track], vectors: Tensor) -> list[list[Track]]:
    """Sort tracks by person, the one who is shown most first.

    Args:
        tracks: of all pictures and videos.
        vectors: of each, (n, d).
    """
    people: list[list[Track]] = []
    sums: list[Tensor] = []
    order = sorted(range(len(tracks)), key=lambda number: -tracks[number].area)
    for number in order:
        vector = F.normalize(vectors[number], dim=0)
        alike = F.cosine_similarity(torch.stack(sums), vector[None]) if sums else torch.tensor([-1.0])
        best = int(alike.argmax())
        if float(alike[best]) >= _SAME:
            people[best].append(tracks[number])
            sums[best] = sums[best] + vector
        else:
            people.append([tracks[number]])
            sums.append(vector)
    return sorted(people, key=lambda one: -sum(track.area for track in one))


def _without_overlap(tracks: Sequence[Track]) -> list[Track]:
    """Choose the tracks that are shown most, none of which is shown beside another."""
    chosen: set[Track] = set()
    taken: set[int] = set()
    for track in sorted(tracks, key=lambda one: -one.area):
        if taken.isdisjoint(track.frames):
            chosen.add(track)
            taken.update(range(track.frames[0], track.frames[-1] + 1))
    return [track for track in tracks if track in chosen]
