"""Open a video file and get its packets and frames, with the errors that a person can act on."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from condswap.errors import ConfigError, DataError

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

# What FFmpeg calls videos too: drawings in letters, and pictures.
_LETTERS = {"tty", "bin", "xbin", "adf", "idf"}
_PICTURES = {"image2", "ico"}
_PICTURE_BRANDS = {"avif", "mif1", "heic", "heix", "heim", "heis"}
_PATIENCE = 100  # errors in a row after which there is nothing more to read


def require_av() -> None:
    """Raise `ConfigError` with the cure when PyAV is not installed, or is one that cannot turn a picture."""
    try:
        from av.video.stream import VideoStream
    except ImportError as error:
        raise ConfigError('reading and writing videos needs PyAV: pip install "condswap[video]"') from error
    if not hasattr(VideoStream, "set_display_matrix"):
        raise ConfigError('this PyAV is too old to keep how a video is turned; pip install --upgrade "condswap[video]"')


@contextlib.contextmanager
def opened(path: Path) -> Iterator[tuple["InputContainer", "VideoStream"]]:
    """Open a video, with the stream of its picture, which decodes in threads.

    Raises:
        DataError: there is no such file, it is no video, or it has no moving picture.
        ConfigError: PyAV is not installed.
    """
    require_av()
    import av

    if not path.is_file():
        kind = "a folder" if path.is_dir() else "not there"
        raise DataError(f"cannot read the video {path}: it is {kind}; give the path of a video file")
    if path.stat().st_size == 0:
        raise DataError(f"cannot read the video {path}: the file is empty; get it again")
    try:
        # A file may name others (playlists do): only files of this machine are opened, no network.
        container = av.open(f"file:{path}", metadata_errors="replace", options={"protocol_whitelist": "file"})
    except (av.FFmpegError, UnicodeError) as error:
        raise DataError(_unreadable(path, error)) from error
    with container:
        yield container, _picture(path, container)


def packets(container: "InputContainer", streams: Sequence["Stream"]) -> Iterator["Packet[Stream] | None"]:
    """Give the packets of some streams in the file's order, and None in place of what could not be read whole."""
    import av

    jumps = container.format.name == "mpegts"
    errors = 0
    while errors < _PATIENCE:
        try:
            for packet in container.demux(*streams):
                if packet.size or packet.pts is not None:  # the last ones are empty and ask for the rest
                    errors = 0
                    # In a transport stream the mark says that the counter jumped, as where two recordings meet; in
                    # other files that the end of the packet is missing.
                    yield packet if jumps or not packet.is_corrupt else None
            return
        except av.FFmpegError:
            errors += 1
            if errors == 1:
                yield None


def decoded(walk: Iterable["Packet[Stream] | None"], stream: "VideoStream") -> Iterator["VideoFrame"]:
    """Give the frames of the packets in the order in which they are shown, without those that are broken."""
    import av

    for packet in walk:
        if packet is not None:
            frames: list[VideoFrame] = []
            with contextlib.suppress(av.FFmpegError):
                frames = stream.decode(packet)
            yield from frames
    frames = []
    with contextlib.suppress(av.FFmpegError):
        frames = stream.decode(None)
    yield from frames


def still_picture(path: Path) -> DataError:
    """What to say of a picture that was given as a video."""
    return DataError(f"{path} is a picture, not a video; give it where pictures are taken")


def _picture(path: Path, container: "InputContainer") -> "VideoStream":
    """The stream with the moving picture, not the cover of a song."""
    from av.stream import Disposition

    name, brand = container.format.name, container.metadata.get("major_brand", "")
    if name in _PICTURES or name.endswith("_pipe") or brand in _PICTURE_BRANDS:
        raise still_picture(path)
    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not streams and container.streams.audio:
        raise DataError(f"{path} has sound but no picture; give a video")
    if not streams or name in _LETTERS:
        raise DataError(f"{path} is not a video; give a file such as .mp4, .mov, .mkv or .webm")
    if streams[0].codec_context is None:
        raise DataError(f"the picture of {path} is in a codec that is not known; convert it to .mp4 with H.264 first")
    streams[0].thread_type = "AUTO"
    return streams[0]


def _unreadable(path: Path, error: Exception) -> str:
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return (
            f"cannot read the video {path}: the list of its frames, which stands at its end, is missing, so the file was "
            "cut off; get it again, or rebuild it with a repair tool such as untrunc"
        )
    reason = getattr(error, "strerror", None) or str(error)
    return f"cannot read {path} as a video: {reason}; give a file such as .mp4, .mov, .mkv or .webm"
