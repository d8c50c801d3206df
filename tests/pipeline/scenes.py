"""Pictures and videos with a green square for a face, and a finder that finds it without any network."""

import math
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch

from condswap.faces.find import Face
from condswap.templates import DEFAULT, TEMPLATES

WIDTH, HEIGHT, SIDE = 160, 96, 40
GREEN = (20, 230, 40)
RATE = 25


def scene(*corners: tuple[int, int], shade: int = 0) -> torch.Tensor:
    """A frame, uint8 (3, h, w): a ramp that `shade` moves, with a green square at each (left, top)."""
    y, x = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    frame = torch.stack((60 + (x + shade) % 40, 80 + y // 2, 140 + 0 * x)).to(torch.uint8)
    for left, top in corners:
        frame[:, top : top + SIDE, left : left + SIDE] = torch.tensor(GREEN, dtype=torch.uint8)[:, None, None]
    return frame


class SquareFinder:
    """Finds green squares, from the left; its points fill a square as our template's fill a crop."""

    def __init__(self, *, stop_at: int | None = None):
        self.calls, self.stop_at = 0, stop_at

    def find(self, frame):
        return self.refine(self.detect(frame), frame)

    def refine(self, faces, frame):
        return list(faces)

    def detect(self, frame):
        if self.stop_at is not None and self.calls == self.stop_at:
            raise KeyboardInterrupt
        self.calls += 1
        red, green, blue = frame.int()
        found = (green > 180) & (red < 100) & (blue < 120)
        columns = found.sum(0) > SIDE // 2
        faces = []
        starts = [x for x in range(frame.shape[2]) if columns[x] and (x == 0 or not columns[x - 1])]
        for left in starts:
            top = int(found[:, left + SIDE // 2].int().argmax())
            points = torch.tensor(TEMPLATES[DEFAULT].points, dtype=torch.float64) * SIDE
            faces.append(Face(points + torch.tensor((left, top)), (left, top, left + SIDE, top + SIDE), 0.9))
        return faces

    def config(self):
        return {"square": True}

    def close(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def write_video(path: Path, frames, *, sound: bool = True) -> Path:
    """Write frames at 25 a second, and a tone of the same length."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "8"})
        stream.width, stream.height, stream.pix_fmt = frames[0].shape[2], frames[0].shape[1], "yuv420p"
        tone = container.add_stream("aac", rate=16000) if sound else None
        for frame in frames:
            shown = av.VideoFrame.from_ndarray(frame.permute(1, 2, 0).contiguous().numpy(), format="rgb24")
            for packet in stream.encode(shown):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
        if tone is not None:
            samples = int(16000 * len(frames) / RATE)
            wave = (0.2 * np.sin(np.arange(samples) * 2 * math.pi * 440 / 16000)).astype(np.float32)
            for start in range(0, samples, 1024):
                piece = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], format="fltp", layout="mono")
                piece.sample_rate, piece.pts, piece.time_base = 16000, start, Fraction(1, 16000)
                for packet in tone.encode(piece):
                    container.mux(packet)
            for packet in tone.encode(None):
                container.mux(packet)
    return path


def read_video(path: Path) -> list[torch.Tensor]:
    """All frames, decoded by PyAV alone."""
    with av.open(str(path)) as container:
        return [
            torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1) for frame in container.decode(video=0)
        ]


def sound_of(path: Path) -> list[tuple[int, bytes]]:
    """The packets of the sound: their times and bytes."""
    with av.open(str(path)) as container:
        return [(packet.pts, bytes(packet)) for packet in container.demux(audio=0) if packet.size]
