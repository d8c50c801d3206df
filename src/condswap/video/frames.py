"""The frames of a video, upright, in RGB, each with its number and its time."""

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from condswap.errors import ConfigError
from condswap.video.colours import to_rgb
from condswap.video.information import VideoInfo, probe
from condswap.video.reading import decoded, opened, packets

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame of a video.

    Attributes:
        index: its number, in the order in which the frames are shown, from 0 on.
        time: when it is shown, in ticks of the video's time base.
        image: uint8 (3, h, w), RGB, upright. `image.permute(1, 2, 0).numpy()` is what OpenCV takes, without a copy.
    """

    index: int
    time: int
    image: Tensor


def read_frames(
    video: VideoInfo | Path | str, *, start: int = 0, step: int = 1, stop: int | None = None
) -> Iterator[Frame]:
    """Give the frames of a video from number `start` on, each `step`-th, before number `stop`.

    A frame that is broken is left out, and its number with it. A video that was cut off ends with its last whole frame;
    `VideoInfo.is_truncated` says so.

    Args:
        video: what `probe` gave, or a path.
        start: the number of the first frame; decoding begins at the keyframe before it.
        step: how many numbers on the next one is.
        stop: the number before which it ends; None for the end of the video.

    Raises:
        ConfigError: a number that is none, or PyAV is not installed.
        DataError: the file is no video that can be read.

    Example:
        >>> for frame in read_frames("in.mp4", step=10):  # doctest: +SKIP
        ...     print(frame.index, tuple(frame.image.shape))
    """
    for name, value, least in (("start", start, 0), ("step", step, 1), ("stop", start if stop is None else stop, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ConfigError(f"{name}={value!r} is not a number of a frame; give a whole number from {least} on")
    info = video if isinstance(video, VideoInfo) else probe(video)
    return _read(info, start, step, info.frame_count if stop is None else min(stop, info.frame_count))


def _read(info: VideoInfo, start: int, step: int, stop: int) -> Iterator[Frame]:
    from av.video.reformatter import VideoReformatter

    width, height = info.stored_size
    scaler = VideoReformatter()
    with _opened_at(info, start) as frames:
        last = start - 1
        for number, frame in frames:
            if number >= stop:
                return
            if number <= last or (number - start) % step:
                continue
            last = number
            image = info.orientation.upright(to_rgb(scaler, frame, info.colours, width, height))
            if info.orientation.is_turned:
                image = image.permute(1, 2, 0).contiguous().permute(2, 0, 1)
            yield Frame(number, info.times[number], image)


@contextlib.contextmanager
def _opened_at(info: VideoInfo, start: int) -> Iterator[Iterator[tuple[int, "VideoFrame"]]]:
    """Open a video so that the frame numbered `start` is whole, and give frames with their numbers from there or before."""
    with contextlib.ExitStack() as files:
        container, stream = files.enter_context(opened(info.path))
        walk = _sought(container, stream, info, start) if start and info.is_counted else packets(container, [stream])
        if walk is None:
            container, stream = files.enter_context(opened(info.path))
            walk = packets(container, [stream])
        frames = decoded(walk, stream)
        if info.is_counted:
            # The times count, not the frames: a broken one must not shift the numbers of those behind it.
            yield ((info.index_of(frame.pts), frame) for frame in frames if frame.pts is not None)
        else:
            yield enumerate(frames)


def _sought(
    container: "InputContainer", stream: "VideoStream", info: VideoInfo, start: int
) -> "Iterator[Packet[Stream] | None] | None":
    """Go to the last keyframe shown no later than a frame; None where the container does not get there or before."""
    import av

    time = info.times[min(start, info.frame_count - 1)]
    shown, decoded_at = max((key for key in info.keyframes if key[0] <= time), default=(None, None))
    if shown is None:
        return None
    depth = stream.codec_context.reorder_depth
    # Some formats seek by the time of showing, others by that of decoding, which may bring us behind the keyframe.
    for target in (shown, decoded_at):
        try:
            container.seek(shown if target is None else target, stream=stream)
        except av.FFmpegError:
            continue
        stream.codec_context.reorder_depth = depth  # without it the decoder would learn it anew, and lose frames
        walk = packets(container, [stream])
        first = next(walk, None)
        if first is None:
            continue
        if decoded_at is not None and first.dts is not None:
            reached = first.dts <= decoded_at
        else:
            reached = first.pts is not None and first.pts <= shown
        if reached:
            return itertools.chain([first], walk)
    return None
