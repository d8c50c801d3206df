"""Frames into small files, one after the other, so that a run that was killed goes on where it was.

A part is a NUT file, the container that keeps any time exactly, with H.264 that begins with a keyframe and needs no
other part. It is there whole or not at all.
"""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from condswap.errors import ConfigError, DataError, ShapeError
from condswap.files import write_atomically
from condswap.video.colours import Encoding
from condswap.video.frames import Frame
from condswap.video.information import VideoInfo
from condswap.video.reading import opened, packets, require_av

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")


class Finished(NamedTuple):
    """The parts that a run has written, and the number of the frame with which it goes on."""

    parts: list[Path]
    next_frame: int


def write_parts(
    folder: Path | str,
    frames: Iterable[Frame],
    *,
    like: VideoInfo,
    part_length: int = 250,
    preset: str = "faster",
    crf: float = 18,
) -> list[Path]:
    """Encode frames into parts of a video, each when its frames have come.

    Args:
        folder: where the parts go; it has to exist.
        frames: upright, as `read_frames` gives them, with images of the same size.
        like: the video that they are from, whose times, colours and turning the parts keep.
        part_length: how many frames make a part.
        preset: x264's trade of time for size, from ultrafast to veryslow.
        crf: x264's quality, lower is better; 18 is hard to tell from the source.

    Returns:
        The parts, in order; none when there were no frames.

    Raises:
        ShapeError: an image of another size or kind.
        ConfigError: a preset, quality or length that is none, or PyAV is not installed.
        DataError: the disk refuses.
    """
    if isinstance(part_length, bool) or not isinstance(part_length, int) or part_length < 1:
        raise ConfigError(f"part_length={part_length!r} is no number of frames; give a whole number from 1 on")
    parts: list[Path] = []
    frames = iter(frames)
    for first in frames:
        path = Path(folder) / f"frames-{first.index:09d}.nut"
        some = itertools.chain([first], itertools.islice(frames, part_length - 1))
        write_part(path, some, like=like, preset=preset, crf=crf)
        parts.append(path)
    return parts


def finished_parts(folder: Path | str, *, like: VideoInfo) -> Finished:
    """Find the parts that `write_parts` left in a folder.

    Raises:
        DataError: a part that cannot be read.
        ConfigError: PyAV is not installed.
    """
    parts = sorted(Path(folder).glob("frames-*.nut"))
    if not parts:
        return Finished([], 0)
    last = max(part_times(parts[-1], like))
    return Finished(parts, like.index_of(last) + 1)


def part_times(path: Path, like: VideoInfo) -> Iterator[int]:
    """Give the time of each frame of a part, in ticks of the video that it is from, in the order of the file."""
    with opened(path) as (container, stream):
        packet = None
        for packet in packets(container, [stream]):
            if packet is None or packet.pts is None:
                break
            yield round(packet.pts * packet.time_base / like.time_base)
        if packet is None or packet.pts is None:
            raise DataError(f"the part {path} cannot be read; delete it and those after it, and run again")


def write_part(
    path: Path, frames: Iterable[Frame], *, like: VideoInfo, preset: str = "faster", crf: float = 18
) -> None:
    """Encode frames into one part, whole or not at all; the rest is as in `write_parts`."""
    require_av()
    if preset not in PRESETS:
        raise ConfigError(f"preset={preset!r} is not one of x264's; give one of {', '.join(PRESETS)}")
    if isinstance(crf, bool) or not isinstance(crf, int | float) or not 0 <= crf <= 51:
        raise ConfigError(f"crf={crf!r} is no quality of x264's; give a number from 0, the best, to 51")
    write_atomically(path, lambda temporary: _encode(temporary, frames, like, preset, crf))


def _encode(path: Path, frames: Iterable[Frame], like: VideoInfo, preset: str, crf: float) -> None:
    import av

    width, height = like.stored_size
    encoding = Encoding(width, height, like.colours)
    # The first frames are decoded before time 0 of the part, which the format allows and must not move.
    with av.open(str(path), "w", format="nut", options={"avoid_negative_ts": "disabled"}) as container:
        stream = container.add_stream("libx264", rate=like.rate, options={"preset": preset, "crf": f"{crf:g}"})
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = like.time_base
        context.sample_aspect_ratio = like.pixel_aspect
        context.colorspace, context.color_range = like.colours.matrix, like.colours.range
        context.color_primaries, context.color_trc = like.colours.primaries, like.colours.transfer
        for frame in frames:
            _check(frame.image, like)
            encoded = encoding(like.orientation.stored(frame.image))
            encoded.pts, encoded.time_base = frame.time, like.time_base
            container.mux(stream.encode(encoded))
        container.mux(stream.encode(None))


def _check(image: Tensor, like: VideoInfo) -> None:
    if image.dtype != torch.uint8 or tuple(image.shape) != (3, like.height, like.width):
        raise ShapeError(
            f"a frame of this video is uint8 (3, {like.height}, {like.width}), RGB; this is "
            f"{str(image.dtype).removeprefix('torch.')} {tuple(image.shape)}"
        )
