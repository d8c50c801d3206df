"""What a video is: size, times, colours, sound, and where each of its frames is."""

from array import array
from bisect import bisect_right
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from condswap.errors import DataError
from condswap.video.colours import Colours
from condswap.video.orientation import Orientation
from condswap.video.reading import decoded, opened, packets, still_picture

_MISSED = Fraction(1, 2)  # seconds by which a file may end before its header says, without having been cut off


@dataclass(frozen=True)
class VideoInfo:
    """What `probe` found in a video.

    Attributes:
        path: the file.
        width: of the frames that `read_frames` gives, upright, in pixels.
        height: the same.
        orientation: how the stored pictures are turned to be upright.
        pixel_aspect: width of a pixel by its height; the frames are not stretched for it.
        frame_count: how many frames the file holds.
        is_counted: whether that number is exact, because the file has the time at which each frame is shown.
        time_base: the length in seconds of one tick of the times.
        start: the time of the first frame in ticks.
        end: when the last frame has been shown, in ticks.
        rate: frames a second, on average.
        has_variable_rate: whether the frames are not evenly spaced.
        codec: the name of the picture's codec, such as h264.
        pixel_format: FFmpeg's name of how a pixel is stored, such as yuv420p.
        colours: what the video says of its colours.
        sounds: the codecs of the sound tracks; empty for a silent video.
        is_truncated: whether the file ends before it should.
        times: the time of each frame in ticks, in order; where the file does not say, as its rate has it.
        keyframes: (time, decoding time) of the frames from which decoding can begin, in ticks.
    """

    path: Path
    width: int
    height: int
    orientation: Orientation
    pixel_aspect: Fraction
    frame_count: int
    is_counted: bool
    time_base: Fraction
    start: int
    end: int
    rate: Fraction
    has_variable_rate: bool
    codec: str
    pixel_format: str
    colours: Colours
    sounds: tuple[str, ...]
    is_truncated: bool
    times: "array[int]" = field(repr=False, compare=False)
    keyframes: tuple[tuple[int, int | None], ...] = field(repr=False, compare=False)

    @property
    def duration(self) -> Fraction:
        """How long the picture lasts, in seconds."""
        return (self.end - self.start) * self.time_base

    @property
    def stored_size(self) -> tuple[int, int]:
        """Width and height of the pictures in the file, before they are turned."""
        return (self.height, self.width) if self.orientation.swaps_sides else (self.width, self.height)

    def index_of(self, time: int) -> int:
        """The number of the frame that is shown at a time in ticks; -1 before the first."""
        return bisect_right(self.times, time) - 1


def probe(path: Path | str) -> VideoInfo:
    """Look at a video: decode its first frame, and walk once through the file without decoding the rest.

    Raises:
        DataError: there is no such file, it is no video, has no picture, or no frame of it can be decoded.
        ConfigError: PyAV is not installed.
    """
    path = Path(path)
    with opened(path) as (container, stream):
        frame = next(decoded(packets(container, [stream]), stream), None)
        if frame is None:
            raise DataError(f"no frame of {path} can be decoded ({stream.codec_context.name}); get the file again")
        if container.format.name in ("gif", "apng") and stream.frames == 1:
            raise still_picture(path)
        matrix: Any = frame.side_data.get("DISPLAYMATRIX", b"")
        orientation = Orientation.from_bytes(bytes(matrix))
        width, height = (frame.height, frame.width) if orientation.swaps_sides else (frame.width, frame.height)
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        walk = _walk(path, rate)
        return VideoInfo(
            path=path,
            width=width,
            height=height,
            orientation=orientation,
            pixel_aspect=stream.sample_aspect_ratio or Fraction(1),
            frame_count=len(walk.times),
            is_counted=walk.is_counted,
            time_base=walk.time_base,
            start=walk.times[0],
            end=walk.end,
            rate=rate,
            has_variable_rate=_is_uneven(walk.times),
            codec=stream.codec.canonical_name,
            pixel_format=frame.format.name,
            colours=Colours.of(frame),
            sounds=tuple(sound.codec_context.name if sound.codec_context else "?" for sound in container.streams.audio),
            is_truncated=walk.is_truncated,
            times=walk.times,
            keyframes=walk.keyframes,
        )


@dataclass(frozen=True)
class _Walk:
    """What the packets of a video tell."""

    times: "array[int]"
    is_counted: bool
    keyframes: tuple[tuple[int, int | None], ...]
    time_base: Fraction
    end: int
    is_truncated: bool


def _walk(path: Path, rate: Fraction) -> _Walk:
    """Read the times of all packets, in a second look at the file, from its beginning."""
    with opened(path) as (container, stream):
        time_base = stream.time_base or Fraction(1, 90000)
        tick = max(round(1 / (rate * time_base)), 1)
        shown: array[int] = array("q")
        decoded_at: array[int] = array("q")
        keyframes: list[tuple[int, int | None]] = []
        count, last, end, untimed, is_broken = 0, 0, Fraction(0), 0, False
        for packet in packets(container, list(container.streams)):
            if packet is None:
                is_broken = True
                continue
            time = packet.pts if packet.pts is not None else packet.dts
            if time is not None and packet.time_base:
                end = max(end, (time + (packet.duration or 0)) * packet.time_base)
            if packet.stream_index != stream.index:
                continue
            count += 1
            if packet.dts is not None:
                decoded_at.append(packet.dts)
            if packet.pts is None:
                untimed += 1
            elif not packet.is_discard:
                shown.append(packet.pts)
                last = max(last, packet.pts + (packet.duration or tick))
            if packet.is_keyframe and packet.pts is not None:
                keyframes.append((packet.pts, packet.dts))
        # An AVI says when a frame is decoded, and what FFmpeg makes of that is wrong where frames are reordered.
        is_counted = container.format.name != "avi" and not untimed and len(shown) > 0
        if is_counted:
            times = sorted(set(shown))
        elif len(set(decoded_at)) == count:
            times = sorted(decoded_at)
            last = times[-1] + tick
        else:
            times = [(stream.start_time or 0) + round(number / (rate * time_base)) for number in range(count + 1)]
            last = times.pop()
        said = Fraction((container.duration or 0) + max(container.start_time or 0, 0), 1_000_000)
        # In the family of mp4 the file lists all packets that there should be.
        listed = len(stream.index_entries) if container.format.name.startswith("mov") else 0
        return _Walk(
            times=array("q", times),
            is_counted=is_counted,
            keyframes=tuple(keyframes),
            time_base=time_base,
            end=last,
            is_truncated=is_broken or count < listed or end + _MISSED < said,
        )


def _is_uneven(times: "array[int]") -> bool:
    """Whether a frame is more than a tick, the rounding of even times, off its even place."""
    if len(times) < 3:
        return False
    spacing = Fraction(times[-1] - times[0], len(times) - 1)
    return any(abs(time - times[0] - number * spacing) > 1 for number, time in enumerate(times))
