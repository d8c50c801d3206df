"""A video through all of it: searched, swapped in parts that outlive a kill, joined with its sound, marked."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from condswap.errors import DataError
from condswap.faces.find import FaceFinder
from condswap.faces.tracks import Track, fill, steady
from condswap.files import make_writable_folder, write_atomically
from condswap.generator import AnySource
from condswap.pipeline.search import frames_at, search_video
from condswap.pipeline.swapper import FaceSwapper, Wanted
from condswap.progress import Progress
from condswap.video import Frame, VideoInfo, ahead, check_output, finished_parts, join, probe, read_frames, write_parts

Chooser = Callable[[VideoInfo, Sequence[Track]], Sequence[Track]]
"""Which of the tracks of a video are swapped."""

FORMATS = (".mp4", ".mov")
_AT_ONCE = 8  # frames
_LOOKS = 48  # at a person, to get to know them
_KNOWN_FROM = 8  # frames on: fewer say more of a moment than of a person
_LOG, _SETTINGS, _JOINED = "faces.jsonl", "settings.json", "joined"


class NoFaceError(DataError):
    """There is no face, or none that was meant."""


class Plan(NamedTuple):
    """What is swapped in a video: the video, and the faces of each frame."""

    info: VideoInfo
    wanted: Mapping[int, Sequence[Wanted]]


def work_folder(out: Path) -> Path:
    """Give the folder where a video is worked on until it is whole."""
    return out.with_name(f".condswap-{out.name}")


def plan_video(
    path: Path,
    work: Path,
    swapper: FaceSwapper,
    *,
    finder: Callable[[], FaceFinder],
    choose: Chooser,
    source: AnySource | None,
    smooth: float,
) -> Plan:
    """Find the faces of a video, choose those to be swapped, and get to know the people.

    Args:
        path: the video.
        work: the folder that remembers what was found.
        swapper: will swap them.
        finder: gives what finds them; it is asked for only where there is something to be searched.
        choose: chooses among them.
        source: who they are, where that is known; otherwise each person who is shown for a while is got to know.
        smooth: over how many frames, to either side, the points are made steady.

    Raises:
        DataError: the video cannot be read.
        NoFaceError: no face was found or meant.
    """
    info = probe(path)
    make_writable_folder(work)
    if info.height == info.width == swapper.size:
        return Plan(info, {})
    tracks = search_video(info, finder(), work / _LOG)
    chosen = [steady(fill(track), smooth) for track in choose(info, tracks)]
    if not chosen:
        shutil.rmtree(work, ignore_errors=True)
        raise NoFaceError(f"no face that was meant was found in {path}; nothing was written")
    wanted: dict[int, list[Wanted]] = {}
    for track, known in zip(chosen, _get_to_know(info, chosen, swapper, source), strict=True):
        for number, face in zip(track.frames, track.faces, strict=True):
            wanted.setdefault(number, []).append(Wanted(face, known))
    return Plan(info, wanted)


def swap_video(
    plan: Plan,
    out: Path,
    swapper: FaceSwapper,
    *,
    settings: Mapping[str, Any],
    finish: Callable[[Path], None],
    source: AnySource | None = None,
    preset: str = "veryfast",
    quality: float = 16,
) -> tuple[str, ...]:
    """Write a video in which the faces were swapped.

    Args:
        plan: of the video.
        out: the file; whole or not at all.
        swapper: swaps the faces.
        settings: all that the frames depend on; parts that were made with others are made anew.
        finish: is given the whole video before it takes its place, to mark it.
        source: who is in a video of aligned faces.
        preset: of the encoder x264.
        quality: its constant rate factor: 0 is the best, 16 looks like the source, 28 is small.

    Returns:
        What of the source the video lacks.

    Raises:
        DataError: the video cannot be read, or the disk refuses.
        ConfigError: the format of `out` does not hold the sound.
    """
    info, work = plan.info, work_folder(out)
    lacking = check_output(info, out)
    _keep_or_begin(work, settings)
    done = finished_parts(work, like=info)
    expected = max(info.frame_count, done.next_frame)

    def changed(frames: Sequence[Frame]) -> list[Tensor]:
        images = [frame.image for frame in frames]
        if not plan.wanted:
            return swapper.aligned(images, source)
        return swapper.swap(images, [plan.wanted.get(frame.index, ()) for frame in frames])

    def swapped() -> Iterator[Frame]:
        with closing(ahead(read_frames(info, start=done.next_frame), 2 * _AT_ONCE)) as frames:
            for batch in _batches(frames):
                for frame, image in zip(batch, changed(batch), strict=True):
                    yield Frame(frame.index, frame.time, image)

    def counted(frames: Iterator[Frame]) -> Iterator[Frame]:
        with Progress(expected, title=f"swapping {info.path.name}", start=done.next_frame, delay=1.0) as progress:
            for frame in frames:
                yield frame
                progress.update(min(frame.index + 1, expected))
            progress.update(expected)

    with closing(ahead(swapped(), 2 * _AT_ONCE)) as frames:
        new = write_parts(work, counted(frames), like=info, preset=preset, crf=quality)
    joined = work / f"{_JOINED}{out.suffix}"
    join([*done.parts, *(part for part in new if part not in done.parts)], info, joined)
    finish(joined)
    write_atomically(out, lambda temporary: joined.replace(temporary))
    shutil.rmtree(work, ignore_errors=True)
    return lacking


def _get_to_know(
    info: VideoInfo, tracks: Sequence[Track], swapper: FaceSwapper, source: AnySource | None
) -> list[AnySource | None]:
    """Give who each track is: `source`, or what a look at some of its frames tells."""
    known: list[AnySource | None] = [source] * len(tracks)
    if source is not None or not swapper.model.generator.bottleneck.strangers:
        return known
    looks: dict[int, list[int]] = {}
    for number, track in enumerate(tracks):
        if len(track.frames) >= _KNOWN_FROM:
            for frame in track.frames[:: max(1, len(track.frames) // _LOOKS)]:
                looks.setdefault(frame, []).append(number)
    cuts: dict[int, list[tuple[Tensor, Tensor]]] = {}
    for frame, image in frames_at(info, looks):
        for number in looks[frame]:
            track = tracks[number]
            cuts.setdefault(number, []).append(swapper.cut(image, track.faces[frame - track.frames[0]]))
    for number, own in cuts.items():
        known[number] = swapper.stranger(own)
    return known


def _keep_or_begin(work: Path, settings: Mapping[str, Any]) -> None:
    """Keep the parts that were made with these settings; make others anew."""
    told, file = json.dumps(settings, sort_keys=True).encode(), work / _SETTINGS
    if file.is_file() and file.read_bytes() == told:
        return
    for old in (*work.glob("frames-*"), *work.glob(f"{_JOINED}*")):
        old.unlink()
    write_atomically(file, told)


def _batches(frames: Iterator[Frame]) -> Iterator[list[Frame]]:
    batch: list[Frame] = []
    for frame in frames:
        batch.append(frame)
        if len(batch) == _AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch
