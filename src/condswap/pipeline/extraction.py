"""From pictures and videos to the faces of a person, as training takes them: what `condswap extract` does."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from condswap.data.doctor.measures import measure
from condswap.errors import ConfigError, DataError
from condswap.faces.blend import crop
from condswap.faces.find import Face, FaceFinder
from condswap.faces.hulls import draw_hull, hull_of
from condswap.faces.saved import describe
from condswap.faces.tracks import Track
from condswap.files import make_writable_folder, write_together
from condswap.pictures import encode_picture
from condswap.pipeline.choose import choose_by_place, group
from condswap.pipeline.search import (
    Identity,
    frames_at,
    log_name,
    read_upright,
    search_pictures,
    search_video,
    vector_of,
    who_is,
)
from condswap.pipeline.sources import find_sources
from condswap.progress import Progress
from condswap.templates import Template
from condswap.video import VideoInfo, probe

_SMALLEST = 16


@dataclass(frozen=True, kw_only=True)
class Extracted:
    """What an extraction wrote.

    Attributes:
        faces: how many faces there are now, by folder, the person who was meant first.
        left_out: how many faces were not written, by the reason.
        unreadable: files that could not be used, each with the reason.
    """

    faces: Mapping[Path, int]
    left_out: Mapping[str, int]
    unreadable: Sequence[tuple[Path, str]] = field(default_factory=list)


class _Shown(NamedTuple):
    """Where tracks were found: a video, or a row of pictures."""

    tracks: list[Track]
    frames: Callable[[Sequence[int]], Any]
    """Frames by their numbers: pairs of number and frame."""
    named: Callable[[int], str]
    """The name of a frame's face, without suffix."""
    described: Callable[[int], dict[str, Any]]
    """Where a frame comes from, as JSON."""
    width: int
    info: VideoInfo | None


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
    from, and the matrix that puts it back. Faces that are there already are left as they are, so that a run that was stopped
    goes on. The person meant is the one who is shown most; without an identity network that is told in each shot.

    Args:
        given: pictures, videos, and folders of them.
        out: the folder for the person, such as faces/anna; made if it is not there.
        finder: finds the faces.
        template: how they are cut out.
        image_size: the side of the crops, in pixels.
        step: every how many frames of a video are looked at.
        least_sharp: leave out faces that are less sharp, by the measure of `condswap doctor`.
        identity: faces (b, 3, h, w) to vectors (b, d): sorts the faces by person.
        everyone: write the others, too, to `out`-2, `out`-3 and so on.

    Raises:
        DataError: no face was found, or nothing can be read or written.
        ConfigError: an argument is wrong.
    """
    for name, value, least in (("image_size", image_size, _SMALLEST), ("step", step, 1)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ConfigError(f"{name}={value!r} is not a whole number from {least} on")
    sources, refused = find_sources(given)
    make_writable_folder(out)
    shown: list[_Shown] = []
    for source in (one for one in sources if one.is_video):
        try:
            info = probe(source.path)
            tracks = search_video(info, finder, out / log_name([source.path]), step=step)
        except DataError as error:
            if len(sources) == 1:
                raise
            refused.append((source.path, str(error)))
        else:
            shown.append(_of_video(info, source.name, tracks))
    pictures = [one for one in sources if not one.is_video]
    if pictures:
        paths = [one.path for one in pictures]
        found, unread = search_pictures(paths, finder, out / log_name(paths))
        refused += unread
        shown.append(_of_pictures(paths, [one.name for one in pictures], found))
    people = _people(shown, identity)
    if not people:
        told = "".join(f"\n  {path}: {reason}" for path, reason in refused[:3])
        raise DataError(f"no face was found in {', '.join(map(str, given))}; try larger or sharper pictures{told}")
    return _write(shown, people if everyone else people[:1], out, template, image_size, least_sharp, refused, people)


def _of_video(info: VideoInfo, name: str, tracks: list[Track]) -> _Shown:
    return _Shown(
        tracks,
        lambda numbers: frames_at(info, numbers),
        lambda number: f"{name}_{number:06d}",
        lambda number: {"source": info.path.name, "frame": number},
        info.width,
        info,
    )


def _of_pictures(paths: Sequence[Path], names: Sequence[str], found: Sequence[Sequence[Face]]) -> _Shown:
    return _Shown(
        [Track([number], [face]) for number, faces in enumerate(found) for face in faces],
        lambda numbers: ((number, read_upright(paths[number])) for number in numbers),
        lambda number: names[number],
        lambda number: {"source": paths[number].name},
        0,
        None,
    )


def _people(shown: Sequence[_Shown], identity: Identity | None) -> list[list[Track]]:
    """Give the tracks of each person, the one who is shown most first."""
    tracks = [track for one in shown for track in one.tracks]
    if identity is None:
        main = [track for one in shown for track in choose_by_place(one.tracks, "largest", width=one.width)]
        rest = sorted((track for track in tracks if not any(track is one for one in main)), key=lambda one: -one.area)
        return ([main] if main else []) + [[track] for track in rest]
    if not tracks:
        return []
    vectors = []
    for one in shown:
        if one.info is not None and one.tracks:
            vectors.append(who_is(one.info, one.tracks, identity))
        elif one.tracks:
            frames = dict(one.frames(sorted({track.frames[0] for track in one.tracks})))
            vectors.append(
                torch.stack([vector_of(frames[own.frames[0]], own.faces[0], identity) for own in one.tracks])
            )
    return group(tracks, torch.cat(vectors))


def _write(
    shown: Sequence[_Shown],
    chosen: Sequence[Sequence[Track]],
    out: Path,
    template: Template,
    size: int,
    least_sharp: float,
    refused: Sequence[tuple[Path, str]],
    people: Sequence[Sequence[Track]],
) -> Extracted:
    folders = [out if number == 0 else out.with_name(f"{out.name}-{number + 1}") for number in range(len(chosen))]
    for folder in folders:
        make_writable_folder(folder)
    owner = {id(track): folder for folder, tracks in zip(folders, chosen, strict=True) for track in tracks}
    left_out = {"of other people": sum(len(track.faces) for tracks in people[len(chosen) :] for track in tracks)}
    left_out["not sharp"] = 0
    counts = dict.fromkeys(folders, 0)
    total = sum(len(track.faces) for tracks in chosen for track in tracks)
    done = 0
    with Progress(total, title="writing faces", delay=1.0) as progress:
        for one in shown:
            wanted: dict[int, list[tuple[Path, Face]]] = {}
            for track in one.tracks:
                for number, face in zip(track.frames, track.faces, strict=True):
                    if id(track) not in owner:
                        continue
                    beside = wanted.setdefault(number, [])
                    again = f"_{len(beside)}" if any(path.parent == owner[id(track)] for path, _ in beside) else ""
                    beside.append((owner[id(track)] / f"{one.named(number)}{again}", face))
            new = [number for number, faces in wanted.items() if not all(map(_is_there, (path for path, _ in faces)))]
            for faces in wanted.values():
                for path, _ in faces:
                    counts[path.parent] += _is_there(path)
                    done += _is_there(path)
            for number, frame in one.frames(sorted(new)):
                for path, face in wanted[number]:
                    if _is_there(path):
                        continue
                    described = {"condswap": 1, "template": template.config(), **one.described(number)}
                    if _write_face(path, frame, face, template, size, least_sharp, described):
                        counts[path.parent] += 1
                    else:
                        left_out["not sharp"] += 1
                    done += 1
                progress.update(done)
    return Extracted(faces=counts, left_out=left_out, unreadable=refused)


def _is_there(path: Path) -> bool:
    return path.with_name(f"{path.name}.json").is_file()


def _write_face(
    path: Path, frame: Tensor, face: Face, template: Template, size: int, least_sharp: float, described: dict[str, Any]
) -> bool:
    """Write one face unless it is not sharp enough, and say whether it was written."""
    matrix = template.matrix(face.points, size)
    image = crop(frame, matrix, size)
    mask = draw_hull(hull_of(face, template), matrix, size)
    if least_sharp > 0:
        pixels = (torch.cat((image, mask)) * 255).round().to(torch.uint8)[None]
        if float(measure(pixels)["sharp"]) < least_sharp:
            return False
    described["frame_size"] = [frame.shape[2], frame.shape[1]]
    described["image_size"] = size
    described["matrix"] = [[round(value, 6) for value in row] for row in matrix.tolist()]
    described.update(describe(face))
    write_together(
        {
            path.with_name(f"{path.name}.mask.png"): encode_picture(mask, "PNG"),
            path.with_name(f"{path.name}.jpg"): encode_picture(image, "JPEG", quality=95, subsampling=0),
            # Last: what has its JSON is whole.
            path.with_name(f"{path.name}.json"): (json.dumps(described) + "\n").encode(),
        }
    )
    return True
