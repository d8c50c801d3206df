"""Looking for the faces of pictures and videos, so that a search that was stopped goes on where it was."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from condswap.decoding import decode_picture
from condswap.errors import DataError
from condswap.faces.blend import crop
from condswap.faces.find import Face, FaceFinder
from condswap.faces.saved import FaceLog
from condswap.faces.tracks import Track, follow
from condswap.progress import Progress
from condswap.templates import DEFAULT, TEMPLATES
from condswap.video import Frame, VideoInfo, ahead, read_frames

_CUT = 0.1  # mean difference of two small frames from which on they are not of one shot
_SMALL = (18, 32)
_IDENTITY_SIDE = 140  # of which an identity network's box is 112
_LOOKS = 5  # at each track, to say who it is

Identity = Callable[[Tensor], Tensor]
"""Faces (b, 3, h, w) to vectors (b, d) by which people are told."""

Frames = Callable[[Sequence[int]], Iterator[tuple[int, Tensor]]]
"""Numbers that rise to pairs of number and frame."""


def read_upright(path: Path) -> tuple[Tensor, Tensor | None]:
    """Read a picture as a frame, uint8 (3, h, w), and its transparency; raises `DataError` that names it."""
    try:
        return decode_picture(path)
    except DataError as error:
        raise DataError(f"cannot use {path}: {error}") from error


def search_video(info: VideoInfo, finder: FaceFinder, log: Path, *, step: int = 1) -> list[Track]:
    """Find the faces of a video and follow them.

    Args:
        info: of the video.
        finder: finds them.
        log: the file that remembers what was found; a search that was stopped goes on from it.
        step: every how many frames are looked at.

    Raises:
        DataError: the video or the log cannot be read.
    """
    with FaceLog(log, _header([info.path], finder, step)) as found:
        # From the last frame that was looked at, to know whether a shot begins with the next.
        start = found.last or 0
        expected = max(info.frame_count, start)
        with Progress(expected, title=f"looking for faces in {info.path.name}", start=start, delay=1.0) as progress:
            with closing(ahead(_detected(info, finder, start, step, known=found.last))) as frames:
                for frame, faces, cut in frames:
                    found.add(frame.index, finder.refine(faces, frame.image), cut=cut)
                    progress.update(min(frame.index + 1, expected))
            progress.update(expected)
        return follow(found, step=step)


def _detected(
    info: VideoInfo, finder: FaceFinder, start: int, step: int, *, known: int | None
) -> Iterator[tuple[Frame, list[Face], bool]]:
    """Give the frames behind the one that is `known`, their faces without a mesh, and whether a shot begins."""
    before: Tensor | None = None
    with closing(ahead(read_frames(info, start=start, step=step))) as frames:
        for frame in frames:
            small = thumbnail(frame.image)
            if known is None or frame.index > known:
                cut = before is not None and float((small - before).abs().mean()) > _CUT
                yield frame, finder.detect(frame.image), cut
            before = small


def search_pictures(
    paths: Sequence[Path], finder: FaceFinder, log: Path
) -> tuple[list[list[Face]], list[tuple[Path, str]]]:
    """Find the faces of pictures: those of each, and the pictures that cannot be read, with the reason."""
    refused: list[tuple[Path, str]] = []
    with FaceLog(log, _header(paths, finder, 1)) as found:
        known = {number: faces for number, faces, _ in found}
        with Progress(len(paths), title="looking for faces in pictures", start=len(known), delay=1.0) as progress:
            for number, path in enumerate(paths):
                if known.get(number):
                    continue
                try:
                    frame, _ = decode_picture(path)
                except DataError as error:
                    refused.append((path, str(error)))  # each time, so that it is said each time
                    continue
                if number not in known:
                    found.add(number, finder.find(frame), cut=True)
                progress.update(number + 1)
            progress.update(len(paths))
        known = {number: faces for number, faces, _ in found}
    return [known.get(number, []) for number in range(len(paths))], refused


def thumbnail(frame: Tensor) -> Tensor:
    """Give a frame (3, h, w), uint8, as 32 by 18 pixels in [0, 1], of every so many of its rows and columns."""
    rows, columns = (max(1, side // (4 * small)) for side, small in zip(frame.shape[1:], _SMALL, strict=True))
    return F.interpolate(frame[None, :, ::rows, ::columns].float() / 255, size=_SMALL, mode="area")[0]


def frames_at(info: VideoInfo, wanted: Iterable[int]) -> Iterator[tuple[int, Tensor]]:
    """Give some frames of a video, in their order."""
    left = sorted(set(wanted))
    place = 0
    while place < len(left):
        # A new start for what lies far ahead costs a seek; what is near is reached by decoding on.
        stop = place
        while stop + 1 < len(left) and left[stop + 1] - left[stop] < 100:
            stop += 1
        chosen = set(left[place : stop + 1])
        for frame in read_frames(info, start=left[place], stop=left[stop] + 1):
            if frame.index in chosen:
                yield frame.index, frame.image
        place = stop + 1


def who_is(info: VideoInfo, tracks: Sequence[Track], identity: Identity) -> Tensor:
    """Give the mean vector of each track of a video, (n, d), by looking at a few of its largest faces."""
    return vectors_of(lambda numbers: frames_at(info, numbers), tracks, identity)


def vectors_of(frames: Frames, tracks: Sequence[Track], identity: Identity) -> Tensor:
    """Give the mean vector of each track, (n, d), in frames that are given by their numbers, which rise."""
    looks: dict[int, list[tuple[int, Face]]] = {}
    for number, track in enumerate(tracks):
        count = min(_LOOKS, len(track.frames))
        for part in range(count):  # the largest face of each stretch
            places = range(part * len(track.frames) // count, (part + 1) * len(track.frames) // count)
            place = max(places, key=lambda at: track.faces[at].size)
            looks.setdefault(track.frames[place], []).append((number, track.faces[place]))
    vectors: list[list[Tensor]] = [[] for _ in tracks]
    for index, frame in frames(sorted(looks)):
        for number, face in looks[index]:
            vectors[number].append(vector_of(frame, face, identity))
    nothing = next((one[0] for one in vectors if one), torch.zeros(1)) * 0
    return torch.stack([torch.stack(one).mean(0) if one else nothing for one in vectors])


def vector_of(frame: Tensor, face: Face, identity: Identity) -> Tensor:
    """Give the vector (d) by which a network knows the person."""
    matrix = TEMPLATES[DEFAULT].matrix(face.points, _IDENTITY_SIDE)
    return identity(crop(frame, matrix, _IDENTITY_SIDE)[None])[0]


def log_name(paths: Sequence[Path]) -> str:
    """Give a name for the log of these files, which is the same as long as they are."""
    told = json.dumps([str(path.resolve()) for path in paths])
    return f".condswap-{hashlib.sha256(told.encode()).hexdigest()[:12]}.jsonl"


def _header(paths: Sequence[Path], finder: FaceFinder, step: int) -> Mapping[str, Any]:
    files = [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in paths]
    return {"condswap": "faces", "files": files, "step": step, "finder": finder.config()}
