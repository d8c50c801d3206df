"""From pictures and videos to the faces of a person, as training takes them: what `condswap extract` does."""

import contextlib
import itertools
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from condswap.errors import ConfigError, DataError
from condswap.faces.find import Face, FaceFinder
from condswap.faces.tracks import Track
from condswap.files import make_writable_folder
from condswap.pipeline.choose import choose_by_place, group
from condswap.pipeline.cutting import Cut, Places, has_picture, write_face
from condswap.pipeline.search import (
    Frames,
    Identity,
    frames_at,
    log_name,
    read_upright,
    search_pictures,
    search_video,
    vectors_of,
)
from condswap.pipeline.sources import Source, find_sources
from condswap.progress import Progress
from condswap.templates import Template
from condswap.video import VideoInfo, ahead, probe

_SMALLEST = 16
_WRITERS = 4
_AT_ONCE = 16  # faces that are written, each with its frame in memory
_NO_FACE = "no face was found in it"


@dataclass(frozen=True, kw_only=True)
class Extracted:
    """What an extraction wrote.

    Attributes:
        faces: how many faces of what was given there are now, by folder, the person who was meant first.
        left_out: how many faces were not written, by the reason.
        unreadable: files, or parts of them, that could not be used, each with the reason.
    """

    faces: Mapping[Path, int]
    left_out: Mapping[str, int]
    unreadable: Sequence[tuple[Path, str]] = field(default_factory=list)


class _Shown(NamedTuple):
    """Where tracks were found: a video, or a row of pictures."""

    tracks: list[Track]
    frames: Frames
    named: Callable[[int], str]
    """The name of a frame's face, without suffix."""
    origin: Callable[[int], Mapping[str, Any]]
    """Where a frame comes from, as JSON."""
    width: int


class _Job(NamedTuple):
    """A face to be written."""

    path: Path
    frame: Tensor
    face: Face
    origin: Mapping[str, Any]


def extract(
    given: Sequence[Path],
    out: Path,
    *,
    finder: FaceFinder,
    template: Template,
    image_size: int = 256,
    step: int = 1,
    least_sharp: float = 0.0,
    identity: Identity | None = None,
    everyone: bool = False,
) -> Extracted:
    """Cut the faces of a person out of pictures and videos.

    For each face it writes `NAME.jpg`, the mask `NAME.mask.png` and `NAME.json`: the crop template, where the face comes
    from, and the matrix that cut it out, whose inverse puts it back. Faces that were written before in the same way are left
    alone, so that a run that was stopped goes on, and a picture that was deleted stays away as long as its JSON is there. The
    person meant is the one who is shown most; without an identity network that is told in each shot.

    Args:
        given: pictures, videos, and folders of them.
        out: the folder for the person, such as faces/anna; made if it is not there.
        finder: finds the faces.
        template: how they are cut out.
        image_size: the side of the crops, in pixels.
        step: every how many frames of a video are looked at.
        least_sharp: leave out faces that are less sharp, by the measure of `condswap doctor --size 128`.
        identity: faces (b, 3, h, w) to vectors (b, d): sorts the faces by person.
        everyone: write the others, too, to `out`-2, `out`-3 and so on.

    Raises:
        DataError: no face was found, or nothing can be read or written.
        ConfigError: an argument is wrong, or the pictures lie in `out` themselves.
    """
    for name, value, least in (("image_size", image_size, _SMALLEST), ("step", step, 1)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ConfigError(f"{name}={value!r} is not a whole number from {least} on")
    sources, refused = find_sources(given)
    inside = next((one.path for one in sources if one.path.resolve().parent == out.resolve()), None)
    if inside is not None:
        raise ConfigError(
            f"{inside} lies in {out}, where its faces would be written; give another folder for the faces"
        )
    is_new = not out.exists()
    make_writable_folder(out)
    try:
        shown = _search(sources, refused, finder, out, step)
    except DataError:
        if is_new:  # and nothing is in it, not even a log: it would be an empty class
            with contextlib.suppress(OSError):
                out.rmdir()
        raise
    people = _people(shown, identity)
    if not people:
        if is_new:
            shutil.rmtree(out)
        told = "".join(f"\n  {path}: {reason}" for path, reason in refused[:3])
        raise DataError(f"no face was found in {', '.join(map(str, given))}; try larger or sharper pictures{told}")
    cut = Cut(template=template, size=image_size, least_sharp=least_sharp)
    chosen = people if everyone else people[:1]
    others = sum(len(track.faces) for tracks in people[len(chosen) :] for track in tracks)
    faces, blurred = _write(shown, chosen, out, cut)
    return Extracted(faces=faces, left_out={"of other people": others, "not sharp": blurred}, unreadable=refused)


def _search(
    sources: Sequence[Source], refused: list[tuple[Path, str]], finder: FaceFinder, out: Path, step: int
) -> list[_Shown]:
    """Find the faces of files; those that cannot be used, or are only used in part, go to `refused` with the reason."""
    shown: list[_Shown] = []
    for source in (one for one in sources if one.is_video):
        try:
            info = probe(source.path)
            tracks = search_video(info, finder, out / log_name([source.path]), step=step)
        except DataError as error:
            if len(sources) == 1:
                raise
            refused.append((source.path, str(error)))
            continue
        shown.append(_of_video(info, source.name, tracks))
        if not tracks:
            refused.append((source.path, _NO_FACE))
        elif info.is_truncated:
            refused.append((source.path, "what comes after the place where the file was cut off; get it again"))
    pictures = [one for one in sources if not one.is_video]
    if pictures:
        paths = [one.path for one in pictures]
        found, unread = search_pictures(paths, finder, out / log_name(paths))
        shown.append(_of_pictures(paths, [one.name for one in pictures], found))
        known = {path for path, _ in unread}
        refused += unread
        refused += [
            (path, _NO_FACE) for path, faces in zip(paths, found, strict=True) if not faces and path not in known
        ]
    return shown


def _of_video(info: VideoInfo, name: str, tracks: list[Track]) -> _Shown:
    return _Shown(
        tracks,
        lambda numbers: frames_at(info, numbers),
        lambda number: f"{name}_{number:06d}",
        lambda number: {**_origin(info.path), "frame": number},
        info.width,
    )


def _of_pictures(paths: Sequence[Path], names: Sequence[str], found: Sequence[Sequence[Face]]) -> _Shown:
    return _Shown(
        [Track([number], [face]) for number, faces in enumerate(found) for face in faces],
        lambda numbers: ((number, read_upright(paths[number])[0]) for number in numbers),
        lambda number: names[number],
        lambda number: _origin(paths[number]),
        0,
    )


def _origin(path: Path) -> dict[str, Any]:
    # Not the whole path, which says more of a person's machine than faces that are shared should.
    return {"source": path.name, "source_bytes": path.stat().st_size}


def _people(shown: Sequence[_Shown], identity: Identity | None) -> list[list[Track]]:
    """Give the tracks of each person, the one who is shown most first."""
    tracks = [track for one in shown for track in one.tracks]
    if identity is None:
        main = [track for one in shown for track in choose_by_place(one.tracks, "largest", width=one.width)]
        meant = set(main)
        rest = sorted((track for track in tracks if track not in meant), key=lambda one: -one.area)
        return ([main] if main else []) + [[track] for track in rest]
    vectors = [vectors_of(one.frames, one.tracks, identity) for one in shown if one.tracks]
    return group(tracks, torch.cat(vectors)) if vectors else []


def _write(
    shown: Sequence[_Shown], chosen: Sequence[Sequence[Track]], out: Path, cut: Cut
) -> tuple[dict[Path, int], int]:
    """Write the faces of those who were chosen; give how many there are by folder, and how many were not sharp."""
    folders = [out if number == 0 else out.with_name(f"{out.name}-{number + 1}") for number in range(len(chosen))]
    for folder in folders:
        make_writable_folder(folder)
    owner = {track: folder for folder, tracks in zip(folders, chosen, strict=True) for track in tracks}
    counts, blurred, places = dict.fromkeys(folders, 0), 0, Places(cut)
    total = sum(len(track.faces) for tracks in chosen for track in tracks)
    pool = ThreadPoolExecutor(_WRITERS)  # most of the time goes into waiting for the disk
    try:
        with Progress(total, title="writing faces", delay=1.0) as progress:
            for one in shown:
                new: dict[int, list[tuple[Path, Face]]] = {}
                for track in (track for track in one.tracks if track in owner):
                    for number, face in zip(track.frames, track.faces, strict=True):
                        folder = owner[track]
                        path, is_written = places.of(folder, one.named(number), face, one.origin(number))
                        if not is_written:
                            new.setdefault(number, []).append((path, face))
                        elif has_picture(path):
                            counts[folder] += 1
                for path, is_sharp in _write_all(pool, _jobs(one, new), cut):
                    counts[path.parent] += is_sharp
                    blurred += not is_sharp
                    progress.update(sum(counts.values()) + blurred)
    finally:
        pool.shutdown(cancel_futures=True)
    return counts, blurred


def _jobs(shown: _Shown, wanted: Mapping[int, Sequence[tuple[Path, Face]]]) -> Iterator[_Job]:
    """Give the faces that are to be written, with their frames."""
    for number, frame in shown.frames(sorted(wanted)):
        for path, face in wanted[number]:
            yield _Job(path, frame, face, shown.origin(number))


def _write_all(pool: ThreadPoolExecutor, jobs: Iterator[_Job], cut: Cut) -> Iterator[tuple[Path, bool]]:
    """Write faces while the next are fetched, and give the path of each and whether it was sharp enough."""
    with closing(ahead(jobs)) as fetched:
        while batch := list(itertools.islice(fetched, _AT_ONCE)):
            written = pool.map(lambda job: write_face(*job, cut=cut), batch)
            yield from zip((job.path for job in batch), written, strict=True)
