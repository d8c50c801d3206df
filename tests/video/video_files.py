"""Small videos, made with PyAV alone, whose frames carry their number in their pixels."""

import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from condswap.video import join, probe, read_frames, write_parts

BITS = 8


def picture(number: int, width: int, height: int) -> np.ndarray:
    """A gradient that moves, over it eight bars, white for the bits of the number that are 1; (h, w, 3)."""
    ramp = (np.arange(width) * 255 // width + number * 3) % 256
    pixels = np.stack(
        [np.broadcast_to(ramp, (height, width)), np.full((height, width), 90), 255 - ramp + 0 * np.ones((height, 1))],
        -1,
    )
    for bit in range(BITS):
        left, right = bit * width // BITS, (bit + 1) * width // BITS
        pixels[: height // 2, left:right] = 235 if number >> bit & 1 else 20
    return pixels.astype(np.uint8)


def number_of(image: torch.Tensor | np.ndarray) -> int:
    """Read the number back from a picture (3, h, w)."""
    grey = np.asarray(image, dtype=float).mean(0)
    height, width = grey.shape
    middles = [(2 * bit + 1) * width // (2 * BITS) for bit in range(BITS)]
    return sum(1 << bit for bit, x in enumerate(middles) if grey[height // 4, x] > 128)


def make_video(
    path: Path,
    *,
    count: int = 30,
    size: tuple[int, int] = (96, 64),
    times: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 30000),
    rate: Fraction = Fraction(30),
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
    matrix: Sequence[int] | None = None,
    aspect: Fraction | None = None,
    sounds: Sequence[tuple[str, float, float]] = (),
    metadata: dict[str, str] | None = None,
    muxer: dict[str, str] | None = None,
    frames: Sequence[av.VideoFrame] | None = None,
    tags: tuple[int, int, int, int] | None = None,
) -> Path:
    """Write a video; a sound is (codec, its beginning, its length in seconds), `tags` are matrix, range, primaries, curve."""
    width, height = size
    times = times or [round(number / rate / time_base) for number in range(count)]
    with av.open(str(path), "w", options=muxer or {}) as container:
        container.metadata.update(metadata or {})
        stream: Any = container.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.codec_context.time_base = stream.time_base = time_base
        if tags:
            context = stream.codec_context
            context.colorspace, context.color_range, context.color_primaries, context.color_trc = tags
        if matrix:
            stream.set_display_matrix(matrix)
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        tracks = [(container.add_stream(name, rate=48000), begin, length) for name, begin, length in sounds]
        for number, time in enumerate(times):
            if frames is None:
                frame = av.VideoFrame.from_ndarray(picture(number, width, height)).reformat(format=pixel_format)
            else:
                frame = frames[number]
            frame.pts, frame.time_base = time, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        for track, begin, length in tracks:
            add_sine(container, track, begin, length)
    return path


def add_sine(container: Any, track: Any, begin: float, length: float) -> None:
    samples = 960
    for block in range(math.ceil(length * 48000 / samples)):
        phase = (np.arange(samples) + block * samples) * 2 * math.pi * 440 / 48000
        wave = (np.sin(phase) * 8000).astype(np.int16)
        sound = av.AudioFrame.from_ndarray(np.repeat(wave, 2)[None], format="s16", layout="stereo")
        sound.sample_rate, sound.time_base = 48000, Fraction(1, 48000)
        sound.pts = round(begin * 48000) + block * samples
        container.mux(track.encode(sound))
    container.mux(track.encode(None))


def sound_packets(path: Path) -> list[tuple[int, Fraction, bytes]]:
    """Track, time in seconds and bytes of all packets of sound, in the order of each track."""
    with av.open(str(path)) as container:
        found = [
            (container.streams.audio.index(packet.stream), packet.pts * packet.time_base, bytes(packet))
            for packet in container.demux(*container.streams.audio)
            if packet.pts is not None
        ]
    return sorted(found, key=lambda sound: sound[:2])


def decoded_frames(path: Path) -> list[av.VideoFrame]:
    """All frames, by PyAV alone."""
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def trimmed(path: Path, frames: int, rate: int = 30) -> Path:
    """Cut frames off the beginning as phones do: with the edit lists (ISO 14496-12, 8.6.6), leaving all data in place."""
    data = bytearray(path.read_bytes())
    place = data.index(b"mvhd") + 4
    movie_scale = int.from_bytes(data[place + 12 : place + 16], "big")
    place = 0
    while (place := data.find(b"trak", place) + 4) > 3:
        header = data.index(b"mdhd", place) + 4
        scale = int.from_bytes(data[header + 12 : header + 16], "big")
        entry = data.index(b"elst", place) + 12
        length, begin = (int.from_bytes(data[entry + i : entry + i + 4], "big") for i in (0, 4))
        data[entry : entry + 4] = (length - round(frames * movie_scale / rate)).to_bytes(4, "big")
        data[entry + 4 : entry + 8] = (begin + round(frames * scale / rate)).to_bytes(4, "big")
    path.write_bytes(data)
    return path


def remade(tmp_path: Path, source: Path, name: str, part_length: int = 7) -> Path:
    """The source again, through parts, with untouched frames."""
    info = probe(source)
    folder = tmp_path / "parts"
    folder.mkdir()
    parts = write_parts(folder, read_frames(info), like=info, part_length=part_length, preset="veryfast", crf=12)
    join(parts, info, tmp_path / name)
    return tmp_path / name
