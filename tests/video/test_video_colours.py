"""Colours in and out against the formulas of BT.601, BT.709 and BT.2020, worked out with NumPy."""

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from video_files import decoded_frames, make_video

from condswap.video import Frame, join, probe, read_frames, write_parts

# Kr and Kb of ITU-R BT.709, BT.601 and BT.2020, and the number of the matrix in H.273.
WEIGHTS = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 5: (0.299, 0.114), 9: (0.2627, 0.0593)}
LIMITED, FULL = 1, 2


def to_yuv(rgb: np.ndarray, matrix: int, said: int) -> np.ndarray:
    """(n, 3) from 0 to 255, by the recommendations' own formulas."""
    red, green, blue = (rgb.astype(float) / 255).T
    kr, kb = WEIGHTS[matrix]
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    cb, cr = (blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr)
    if said == LIMITED:
        return np.stack([16 + 219 * luma, 128 + 224 * cb, 128 + 224 * cr], 1)
    return np.stack([255 * luma, 128 + 255 * cb, 128 + 255 * cr], 1).clip(0, 255)


def to_rgb(yuv: np.ndarray, matrix: int, said: int) -> np.ndarray:
    luma, cb, cr = yuv.astype(float).T
    kr, kb = WEIGHTS[matrix]
    luma, cb, cr = (
        ((luma - 16) / 219, (cb - 128) / 224, (cr - 128) / 224)
        if said == LIMITED
        else (luma / 255, (cb - 128) / 255, (cr - 128) / 255)
    )
    red, blue = luma + (2 - 2 * kr) * cr, luma + (2 - 2 * kb) * cb
    green = (luma - kr * red - kb * blue) / (1 - kr - kb)
    return (np.stack([red, green, blue], 1) * 255).clip(0, 255)


COLOURS = np.array(
    [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [200, 120, 90], [90, 60, 40], [17, 133, 201]]
)


def flat(yuv: np.ndarray, size: tuple[int, int]) -> list[av.VideoFrame]:
    """Frames of one colour each, written as planes, without any conversion."""
    width, height = size
    frames = []
    for y, u, v in yuv:
        planes = np.concatenate(
            [np.full(width * height, y), np.full(width * height // 4, u), np.full(width * height // 4, v)]
        )
        frames.append(
            av.VideoFrame.from_ndarray(planes.astype(np.uint8).reshape(height * 3 // 2, width), format="yuv420p")
        )
    return frames


@pytest.mark.parametrize("said", [LIMITED, FULL])
@pytest.mark.parametrize("matrix", WEIGHTS)
def test_tagged_colours_are_read_by_their_formula(tmp_path: Path, matrix: int, said: int) -> None:
    yuv = to_yuv(COLOURS, matrix, said).round()
    path = make_video(
        tmp_path / "a.mp4",
        count=8,
        size=(32, 32),
        frames=flat(yuv, (32, 32)),
        options={"qp": "0"},
        tags=(matrix, said, 1, 1),
    )
    expected = to_rgb(yuv, matrix, said)
    for frame, colour in zip(read_frames(path), expected, strict=True):
        assert np.abs(frame.image.numpy() - colour[:, None, None]).max() <= 1.5


@pytest.mark.parametrize(
    ("size", "matrix"), [((64, 64), 6), ((704, 576), 6), ((64, 578), 1), ((1280, 32), 1), ((1278, 32), 6)]
)
def test_a_video_that_does_not_say_is_read_by_its_size(tmp_path: Path, size: tuple[int, int], matrix: int) -> None:
    yuv = to_yuv(COLOURS, matrix, LIMITED).round()
    path = make_video(tmp_path / "a.mp4", count=8, size=size, frames=flat(yuv, size), options={"qp": "0"})
    info = probe(path)
    assert info.colours.matrix == 2
    for frame, colour in zip(read_frames(info), COLOURS, strict=True):
        assert np.abs(frame.image.numpy() - colour[:, None, None]).max() <= 3


@pytest.mark.parametrize("said", [0, LIMITED, FULL])
@pytest.mark.parametrize("matrix", [*WEIGHTS, 2])
def test_colours_are_written_by_their_formula_with_the_same_tags(tmp_path: Path, matrix: int, said: int) -> None:
    path = make_video(tmp_path / "a.mp4", count=8, size=(32, 32), tags=(matrix, said, 9, 13), options={"qp": "10"})
    info = probe(path)
    frames = [
        Frame(number, info.times[number], torch.from_numpy(colour.astype(np.uint8))[:, None, None].expand(3, 32, 32))
        for number, colour in enumerate(COLOURS)
    ]
    join(write_parts(tmp_path, frames, like=info, crf=0), info, tmp_path / "b.mp4")
    assert probe(tmp_path / "b.mp4").colours == info.colours
    expected = to_yuv(COLOURS, 6 if matrix == 2 else matrix, said or LIMITED)
    for frame, colour in zip(decoded_frames(tmp_path / "b.mp4"), expected, strict=True):
        assert frame.format.name in ("yuv420p", "yuvj420p")
        assert [abs(bytes(plane)[0] - value) <= 1.1 for plane, value in zip(frame.planes, colour, strict=True)] == [
            True
        ] * 3
        assert (int(frame.colorspace), int(frame.color_primaries), int(frame.color_trc)) == (matrix, 9, 13)


@pytest.mark.parametrize("matrix", [1, 6, 2])
@pytest.mark.parametrize("said", [LIMITED, FULL])
def test_what_was_not_touched_comes_back_without_a_shift(tmp_path: Path, matrix: int, said: int) -> None:
    """Five times in and out without loss by the codec: what is left is rounding, not a drift."""
    y, x = np.mgrid[0:64, 0:96]
    smooth = np.stack([40 + 2 * x, 60 + 2 * y, 200 - x - y], -1).astype(np.uint8)
    frames = [av.VideoFrame.from_ndarray(np.roll(smooth, turn, 2)).reformat(format="yuv420p") for turn in range(3)]
    path = make_video(tmp_path / "a.mp4", count=3, frames=frames, tags=(matrix, said, 1, 1), options={"qp": "4"})
    before = torch.stack([frame.image for frame in read_frames(path)]).double()
    for turn in range(5):
        info = probe(path)
        folder = tmp_path / f"{turn}"
        folder.mkdir()
        path = tmp_path / f"{turn}.mp4"
        join(write_parts(folder, read_frames(info), like=info, crf=0), info, path)
    after = torch.stack([frame.image for frame in read_frames(path)]).double()
    # FFmpeg's quick conversion would darken all channels by 5.
    assert (after - before).mean(dim=(0, 2, 3)).abs().max() < 0.15
    assert (after - before).abs().mean() < 1.2


def test_a_video_in_rgb_is_written_with_tags_that_are_true(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv", count=2, codec="ffv1", pixel_format="bgr0")
    info = probe(path)
    assert (info.colours.matrix, info.colours.range) == (6, LIMITED)
    join(write_parts(tmp_path, read_frames(info), like=info, crf=5), info, tmp_path / "b.mp4")
    before, after = (
        torch.stack([frame.image for frame in read_frames(tmp_path / name)]) for name in ("a.mkv", "b.mp4")
    )
    # The edges of the bars have less colour in 4:2:0.
    assert (after.double() - before.double()).abs().mean() < 4
