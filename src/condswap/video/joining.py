"""From parts to the video: their pictures without encoding again, the source's times, its sound bit for bit."""

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from condswap.errors import ConfigError, DataError
from condswap.files import write_atomically
from condswap.video.information import VideoInfo
from condswap.video.parts import part_times
from condswap.video.reading import opened, packets, require_av

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.container.core import Chapter
    from av.packet import Packet
    from av.stream import Stream

_CURES = {  # where sound cannot go into the video: what can hold more
    ".mp4": "end the name in .mov or .mkv, which hold more",
    ".m4v": "end the name in .mov or .mkv, which hold more",
    ".mov": "end the name in .mp4 or .mkv, or convert it to AAC first",
}
_FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
# What the container writes of itself, or what is not true of the new file.
_OWN = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration"}


def check_output(source: VideoInfo, out: Path | str) -> tuple[str, ...]:
    """Find out before the work whether a video of this name can hold the sound of a source.

    Returns:
        What of the source the new video will lack, such as subtitles that its format does not know.

    Raises:
        ConfigError: the name ends in something that is not written, or its format does not take the sound.
    """
    require_av()
    import av

    out = Path(out)
    with opened(source.path) as (container, _), av.open(BytesIO(), "w", format=_format(out)) as empty:
        return _add_streams(empty, container, out)[1]


def join(parts: Sequence[Path], source: VideoInfo, out: Path | str) -> tuple[str, ...]:
    """Make one video of parts: nothing is encoded again.

    The pictures have the times that they had in the source, and the last one lasts as long as it did there. All sound
    tracks are copied bit for bit with their times, longer or shorter than the picture; subtitles and chapters where the
    format takes them; title, dates and language too. Times begin at 0 where those of the source begin later.

    Args:
        parts: what `write_parts` wrote, in order.
        source: the video that the frames are from.
        out: the new video, `.mp4`, `.mov` or `.mkv`, written whole or not at all.

    Returns:
        What of the source the new video lacks, broken packets of sound too.

    Raises:
        ConfigError: as `check_output`; there are no parts.
        DataError: a part that cannot be read or was made with other settings; the disk refuses.
    """
    require_av()
    import av

    out = Path(out)
    _format(out)
    if not parts:
        raise ConfigError("there are no parts to join; write_parts makes them")
    if out.exists() and out.samefile(source.path):
        raise ConfigError(f"{out} is the video that the sound comes from; give the new one another name")
    missing: tuple[str, ...] = ()

    def write(temporary: Path) -> None:
        nonlocal missing
        try:
            missing = _write(temporary, list(parts), source, out)
        except av.FFmpegError as error:
            if isinstance(error, OSError):
                raise  # of the disk, which is told by the one who writes the file
            raise DataError(f"cannot make {out} with the sound of {source.path}: {error.strerror}") from error

    write_atomically(out, write)
    return missing


def _write(temporary: Path, parts: list[Path], source: VideoInfo, out: Path) -> tuple[str, ...]:
    import av

    times = [time for part in parts for time in part_times(part, source)]
    options = {"movflags": "faststart"} if _format(out) in ("mp4", "mov") else {}
    with (
        opened(source.path) as (container, picture),
        opened(parts[0]) as (_, template),
        av.open(str(temporary), "w", format=_format(out), options=options) as joined,
    ):
        joined.metadata.update({key: value for key, value in container.metadata.items() if key not in _OWN})
        shown = joined.add_stream_from_template(template, opaque=True)
        shown.time_base, shown.codec_context.framerate = source.time_base, source.rate
        shown.metadata.update({key: value for key, value in picture.metadata.items() if key in ("language", "title")})
        if source.orientation.is_turned:
            shown.set_display_matrix(source.orientation.matrix)
        copies, missing = _add_streams(joined, container, out)
        begin = _beginning([picture, *(stream for stream in container.streams if stream.index in copies)])
        joined.set_chapters(_chapters(container, begin))
        hides = _format(out) in ("mp4", "mov")
        pictures = ((shown, packet) for packet in _pictures(parts, times, source, template.codec_context.extradata))
        others = ((copies[packet.stream_index], packet) for packet in _others(container, copies, hides))
        before: dict[int, int] = {}
        broken: Counter[str] = Counter()
        for stream, packet in heapq.merge(pictures, others, key=lambda pair: _decoding_time(pair[1])):
            shift = round(begin / packet.time_base)
            decoded = _decoding_or_showing(packet.dts, packet.pts) - shift
            # Times that do not go forward, as in recordings with gaps, would be refused.
            packet.dts = before[stream.index] = max(decoded, before.get(stream.index, decoded - 1) + 1)
            packet.pts = max(_decoding_or_showing(packet.pts, packet.dts + shift) - shift, packet.dts)
            packet.stream = stream
            try:
                joined.mux_one(packet)
            except av.FFmpegError as error:
                if stream is shown or isinstance(error, OSError):
                    raise
                broken[f"{stream.type} {stream.index}"] += 1
    return missing + tuple(f"{count} broken packets of {name}" for name, count in broken.items())


def _pictures(
    parts: Sequence[Path], times: Sequence[int], source: VideoInfo, settings: bytes | None
) -> Iterator["Packet[Stream]"]:
    """Give the packets of all parts as one stream: its order of decoding, and how long each frame is shown."""
    shown = sorted(times)
    place = {time: number for number, time in enumerate(shown)}
    if len(place) < len(times):
        raise DataError(f"the parts in {parts[0].parent} hold the same frame twice; delete them and run again")
    # A frame is decoded when the one as many places before it is shown: the least that lets every frame be there in time.
    delay = max(number - place[time] for number, time in enumerate(times))
    spacing = max(round(1 / (source.rate * source.time_base)), 1)
    number = 0
    for part in parts:
        with opened(part) as (container, stream):
            if stream.codec_context.extradata != settings:
                raise DataError(
                    f"the part {part} was made with other settings than those before it; delete it and run again"
                )
            for packet in packets(container, [stream]):
                if packet is None:
                    raise DataError(f"the part {part} cannot be read; delete it and those after it, and run again")
                time = times[number]
                packet.time_base = source.time_base
                packet.pts = time
                packet.dts = shown[number - delay] if number >= delay else shown[0] - (delay - number) * spacing
                after = place[time] + 1
                packet.duration = (shown[after] if after < len(shown) else _next_time(source, time)) - time
                number += 1
                yield packet


def _next_time(source: VideoInfo, time: int) -> int:
    """When the source's frame after the one of this time is shown, or its last one ends."""
    after = source.index_of(time) + 1
    return max(source.times[after] if after < source.frame_count else source.end, time + 1)


def _others(container: "InputContainer", copies: "Mapping[int, Stream]", hides: bool) -> Iterator["Packet[Stream]"]:
    """Give the packets of sound and subtitles, as they are, as far as the file goes.

    Some sound tracks begin with packets that are decoded and not heard. Matroska cannot say so (`hides` is False): there
    they are left out, or all the rest would have to be moved to make room for them.
    """
    streams = [stream for stream in container.streams if stream.index in copies]
    if not streams:
        return
    is_cut = container.format.name.startswith("mov")  # there the last packet of a track may be heard in part
    for packet in packets(container, streams):
        if packet is not None and (hides or not packet.is_discard):
            begin, length = packet.stream.start_time, packet.stream.duration
            if is_cut and begin is not None and length is not None and packet.pts is not None and packet.duration:
                left = begin + length - packet.pts
                packet.duration = min(packet.duration, left) if left > 0 else packet.duration
            yield packet


def _add_streams(
    joined: "OutputContainer", container: "InputContainer", out: Path
) -> tuple[dict[int, "Stream"], tuple[str, ...]]:
    """Make place for the sound and the subtitles of a source: its streams' numbers with the new ones, and what is missing."""
    copies: dict[int, Stream] = {}
    missing: list[str] = []
    for stream in container.streams:
        if stream.type == "video":
            continue
        name = stream.codec_context.name if getattr(stream, "codec_context", None) else "unknown"
        try:
            if stream.type not in ("audio", "subtitle"):
                raise ValueError(stream.type)
            copy = joined.add_stream_from_template(stream)
        except ValueError as error:
            if stream.type == "audio":
                cure = _CURES.get(out.suffix.lower(), "convert it to AAC first")
                raise ConfigError(
                    f"a video named {out.name} cannot hold the sound of {Path(container.name).name}, which is {name}; {cure}"
                ) from error
            missing.append(f"{stream.type} ({name})")
            continue
        copy.metadata.update({key: value for key, value in stream.metadata.items() if key not in _OWN})
        copy.disposition = stream.disposition
        copies[stream.index] = copy
    return copies, tuple(missing)


def _beginning(streams: "Sequence[Stream]") -> Fraction:
    """The time in seconds at which the first stream begins, or 0 if that is no later: some recordings begin at noon."""
    begins = [stream.start_time * (stream.time_base or 0) for stream in streams if stream.start_time is not None]
    return max(Fraction(min(begins, default=0)), Fraction(0))


def _chapters(container: "InputContainer", begin: Fraction) -> "list[Chapter]":
    chapters = container.chapters()
    for chapter in chapters:
        shift = round(begin / (chapter["time_base"] or 1))
        chapter["start"], chapter["end"] = chapter["start"] - shift, chapter["end"] - shift
    return chapters


def _decoding_time(packet: "Packet[Stream]") -> Fraction:
    return _decoding_or_showing(packet.dts, packet.pts) * packet.time_base


def _decoding_or_showing(first: int | None, second: int | None) -> int:
    """The one of two times that is known; a packet without any is not given by `packets`."""
    return first if first is not None else second or 0


def _format(out: Path) -> str:
    if out.suffix.lower() not in _FORMATS:
        raise ConfigError(f"cannot write a video named {out.name!r}; end the name in {', '.join(_FORMATS)}")
    return _FORMATS[out.suffix.lower()]
