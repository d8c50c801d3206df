"""Reading frames: every one, with its number, its time, upright, in the right colours."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from video_files import decoded_frames, make_video, number_of, picture

from condswap.errors import ConfigError, DataError
from condswap.video import probe, read_frames

TICKS = Fraction(1, 90000)
X264 = {"crf": "10", "preset": "veryfast"}
UNEVEN = [0, 3000, 4500, 12000, 12100, 15000, 30000, 30030, 45000, 46000, 47000, 60000, 90000, 91000, 95000, 99999]

# Every way in which frames are kept apart from the order in which they are shown.
KINDS = {
    "b_frames.mp4": {"options": X264 | {"x264-params": "keyint=9:min-keyint=9:bframes=3:b-adapt=0:scenecut=0"}},
    "pyramid.mkv": {"options": X264 | {"x264-params": "keyint=12:bframes=7:b-pyramid=normal:b-adapt=0:scenecut=0"}},
    "open.mp4": {"options": X264 | {"x264-params": "keyint=8:open-gop=1:bframes=3:b-adapt=0:scenecut=0"}},
    "b_frames.ts": {"options": X264 | {"x264-params": "keyint=9:bframes=3:b-adapt=0:scenecut=0"}, "time_base": TICKS},
    "hevc.mp4": {
        "codec": "libx265",
        "options": {"preset": "ultrafast", "x265-params": "keyint=8:bframes=3:open-gop=1:scenecut=0:log-level=none"},
    },
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8", "g": "8", "crf": "20"}},
    "vp8.webm": {"codec": "libvpx", "options": {"deadline": "good", "cpu-used": "5", "g": "8", "auto-alt-ref": "1"}},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"g": "8", "q": "3"}, "time_base": Fraction(1, 30)},
    "b_frames.avi": {
        "options": X264 | {"x264-params": "keyint=9:bframes=3:b-adapt=0:scenecut=0"},
        "time_base": Fraction(1, 30),
    },
    "raw.h264": {"options": X264 | {"x264-params": "keyint=9:bframes=3:b-adapt=0"}, "time_base": Fraction(1, 30)},
    "intra.mov": {"codec": "mjpeg", "pixel_format": "yuvj420p"},
    "uneven.mp4": {
        "times": UNEVEN,
        "time_base": TICKS,
        "options": X264 | {"x264-params": "keyint=6:bframes=3:b-adapt=0"},
    },
    "late.mp4": {"times": [time + 123456 for time in UNEVEN], "time_base": TICKS, "options": X264},
}


@pytest.mark.parametrize("name", KINDS)
def test_every_frame_comes_once_from_any_start(tmp_path: Path, name: str) -> None:
    path = make_video(tmp_path / name, **KINDS[name])
    count = len(KINDS[name].get("times", range(30)))
    info = probe(path)
    assert (info.width, info.height, info.frame_count, info.is_truncated) == (96, 64, count, False)
    known = decoded_frames(path)
    assert [number_of(frame.to_ndarray(format="rgb24").transpose(2, 0, 1)) for frame in known] == list(range(count))
    for start in range(count):
        frames = list(read_frames(info, start=start))
        assert [frame.index for frame in frames] == list(range(start, count))
        assert [number_of(frame.image) for frame in frames] == list(range(start, count))
        if known[0].pts is None or name == "b_frames.avi":  # times that are not there, or that FFmpeg guessed wrong
            assert [frame.time for frame in frames] == list(info.times[start:])
            assert len({after - before for before, after in pairwise(info.times)}) == 1
        else:
            assert [frame.time for frame in frames] == [frame.pts for frame in known[start:]]
    assert list(read_frames(info, start=count)) == []
    assert list(read_frames(info, start=count + 5)) == []


def test_starting_late_does_not_decode_from_the_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from condswap.video import frames

    path = make_video(tmp_path / "a.mp4", **KINDS["b_frames.mp4"])
    info = probe(path)
    given: list[int] = []
    real = frames.decoded

    def counted(walk, stream):
        for frame in real(walk, stream):
            given.append(frame.pts)
            yield frame

    monkeypatch.setattr(frames, "decoded", counted)
    assert [frame.index for frame in read_frames(info, start=29)] == [29]
    # Keyframes are 0, 9, 18 and 27.
    assert len(given) <= 3


def test_steps_and_stops(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", options=X264)

    def numbers(**where: int) -> list[int]:
        frames = list(read_frames(path, **where))
        assert [number_of(frame.image) for frame in frames] == [frame.index for frame in frames]
        return [frame.index for frame in frames]

    assert numbers(step=7) == [0, 7, 14, 21, 28]
    assert numbers(start=5, step=10, stop=26) == [5, 15, 25]
    assert numbers(start=5, step=10, stop=25) == [5, 15]
    assert numbers(start=3, stop=3) == []
    assert numbers(stop=2) == [0, 1]


@pytest.mark.parametrize("wrong", [{"start": -1}, {"step": 0}, {"start": 1.5}, {"stop": -3}, {"step": True}])
def test_wrong_numbers_are_refused_before_the_file_is_read(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="is not a number of a frame; give a whole number from"):
        read_frames("not_there.mp4", **wrong)
    with pytest.raises(DataError, match=r"not_there\.mp4: it is not there; give the path of a video file"):
        read_frames("not_there.mp4")


def test_uneven_times_are_kept_to_the_tick(tmp_path: Path) -> None:
    info = probe(make_video(tmp_path / "a.mp4", **KINDS["uneven.mp4"]))
    assert info.time_base == TICKS
    assert [frame.time for frame in read_frames(info)] == UNEVEN
    assert info.has_variable_rate
    even = probe(make_video(tmp_path / "b.mkv", rate=Fraction(30000, 1001), time_base=Fraction(1001, 30000)))
    # In Matroska times are whole milliseconds: rounded, not uneven.
    assert len({after - before for before, after in pairwise(even.times)}) == 2
    assert not even.has_variable_rate


def test_opencv_takes_a_frame_without_a_copy(tmp_path: Path) -> None:
    import cv2

    for matrix in (None, TURNS[90]):
        path = make_video(tmp_path / "a.mp4", count=2, size=(94, 62), options=X264, matrix=matrix)
        image = next(read_frames(path)).image
        assert image.dtype == torch.uint8
        pixels = image.permute(1, 2, 0).numpy()
        cv2.circle(pixels, (5, 5), 3, (1, 2, 3), -1)  # OpenCV refuses to draw into what it would have to copy
        assert image[:, 5, 5].tolist() == [1, 2, 3]


# The matrices of ISO 14496-12: a stored point (x, y) goes to (a x + c y, b x + d y); a, b, c, d are numbers 0, 1, 3, 4.
ONE = 65536
TURNS = {
    0: (ONE, 0, 0, 0, ONE, 0, 0, 0, 1 << 30),
    90: (0, ONE, 0, -ONE, 0, 0, 0, 0, 1 << 30),
    180: (-ONE, 0, 0, 0, -ONE, 0, 0, 0, 1 << 30),
    270: (0, -ONE, 0, ONE, 0, 0, 0, 0, 1 << 30),
}
# np.rot90 turns against the clock.
SHOWN = {0: lambda x: x, 90: lambda x: np.rot90(x, -1), 180: lambda x: np.rot90(x, 2), 270: lambda x: np.rot90(x)}


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_a_turned_video_is_read_upright(tmp_path: Path, turn: int, suffix: str) -> None:
    path = make_video(tmp_path / f"a{suffix}", count=3, options={"crf": "5"}, matrix=TURNS[turn])
    info = probe(path)
    assert info.orientation.clockwise == turn
    assert (info.width, info.height) == ((64, 96) if turn % 180 else (96, 64))
    assert info.stored_size == (96, 64)
    for number, frame in enumerate(read_frames(info)):
        expected = SHOWN[turn](picture(number, 96, 64)).transpose(2, 0, 1).astype(int)
        assert frame.image.shape == expected.shape
        # Another turn differs by 40 and more.
        assert np.abs(frame.image.numpy() - expected).mean() < 6


@pytest.mark.parametrize(
    ("corner", "shown"),
    [
        ((-ONE, 0, 0, ONE), lambda x: x[:, ::-1]),
        ((ONE, 0, 0, -ONE), lambda x: x[::-1]),
        ((0, ONE, ONE, 0), lambda x: x.transpose(1, 0, 2)),
        ((0, -ONE, -ONE, 0), lambda x: x[::-1, ::-1].transpose(1, 0, 2)),
    ],
)
def test_a_mirrored_video_is_read_as_it_is_shown(tmp_path: Path, corner: tuple[int, ...], shown) -> None:
    a, b, c, d = corner
    path = make_video(tmp_path / "a.mp4", count=1, options={"crf": "5"}, matrix=(a, b, 0, c, d, 0, 0, 0, 1 << 30))
    info = probe(path)
    assert info.orientation.is_mirrored
    image = next(read_frames(info)).image
    assert np.abs(image.permute(1, 2, 0).numpy() - shown(picture(0, 96, 64)).astype(int)).mean() < 6
    assert np.abs(info.orientation.stored(image).permute(1, 2, 0).numpy() - picture(0, 96, 64).astype(int)).mean() < 6


@pytest.mark.parametrize(
    ("size", "pixel_format", "codec"),
    [
        ((95, 63), "yuv444p", "libx264"),
        ((95, 63), "yuv420p", "libvpx-vp9"),
        ((96, 64), "yuv420p10le", "libx265"),
        ((96, 64), "yuv422p10le", "libx264"),
        ((96, 64), "bgr0", "ffv1"),
        ((2, 2), "yuv420p", "libx264"),
    ],
)
def test_other_sizes_and_depths_are_read(tmp_path: Path, size: tuple[int, int], pixel_format: str, codec: str) -> None:
    options = {"crf": "5"} | ({"x265-params": "log-level=none"} if codec == "libx265" else {})
    path = make_video(
        tmp_path / "a.mkv", count=3, size=size, pixel_format=pixel_format, codec=codec,
        options={} if codec == "ffv1" else options,
    )  # fmt: skip
    frames = list(read_frames(path))
    assert len(frames) == 3
    for number, frame in enumerate(frames):
        assert frame.image.shape == (3, size[1], size[0])
        difference = np.abs(frame.image.permute(1, 2, 0).numpy() - picture(number, *size).astype(int))
        assert difference.mean() < (60 if size == (2, 2) else 8)


def test_an_animated_gif_is_a_video_and_another_is_not(tmp_path: Path) -> None:
    from PIL import Image

    pictures = [Image.new("RGB", (20, 10), colour) for colour in ("red", "lime", "blue")]
    pictures[0].save(tmp_path / "three.gif", save_all=True, append_images=pictures[1:], duration=[100, 300, 200])
    pictures[0].save(tmp_path / "one.gif")
    info = probe(tmp_path / "three.gif")
    frames = list(read_frames(info))
    assert [frame.image[:, 5, 5].tolist() for frame in frames] == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
    assert [frame.time * info.time_base for frame in frames] == [0, Fraction(1, 10), Fraction(4, 10)]
    with pytest.raises(DataError, match="is a picture, not a video"):
        probe(tmp_path / "one.gif")


def cut(path: Path, share: float) -> Path:
    """The beginning of a file."""
    whole = path.read_bytes()
    short = path.with_name(f"short{path.suffix}")
    short.write_bytes(whole[: int(len(whole) * share)])
    return short


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_video_that_was_cut_off_gives_its_whole_frames_and_says_so(tmp_path: Path, suffix: str) -> None:
    muxer = {"movflags": "faststart"} if suffix == ".mp4" else {}
    path = make_video(tmp_path / f"a{suffix}", count=90, options=X264 | {"x264-params": "bframes=0"}, muxer=muxer)
    info = probe(cut(path, 0.5))
    assert info.is_truncated
    assert not probe(path).is_truncated
    frames = list(read_frames(info))
    assert 20 < len(frames) < 80
    assert info.frame_count == len(frames)
    assert [number_of(frame.image) for frame in frames] == list(range(len(frames)))
    assert info.duration == pytest.approx(len(frames) / 30, abs=0.04)


def test_a_video_whose_list_of_frames_was_cut_off_is_refused_with_the_cure(tmp_path: Path) -> None:
    path = cut(make_video(tmp_path / "a.mp4", options=X264), 0.5)
    with pytest.raises(DataError, match=r"short\.mp4: the list of its frames.*cut off; get it again, or rebuild it"):
        probe(path)


@pytest.mark.parametrize("start", [0, 12])
def test_a_broken_frame_in_the_middle_does_not_shift_the_others(tmp_path: Path, start: int) -> None:
    path = make_video(tmp_path / "a.mp4", options=X264 | {"x264-params": "keyint=1"})
    info = probe(path)
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        place, size = packets[15].pos, packets[15].size
    data = bytearray(path.read_bytes())
    data[place : place + size] = b"\xff" * size
    path.write_bytes(data)
    frames = list(read_frames(info, start=start))
    assert {frame.index for frame in frames} >= set(range(start, 30)) - {15}
    assert all(number_of(frame.image) == frame.index for frame in frames if frame.index != 15)


def test_a_video_whose_size_changes_keeps_the_first(tmp_path: Path) -> None:
    small = make_video(tmp_path / "small.ts", count=5, size=(48, 32), options=X264, time_base=TICKS)
    large = make_video(
        tmp_path / "large.ts", size=(96, 64), options=X264, time_base=TICKS, times=[90000 + 3000 * n for n in range(5)]
    )
    both = tmp_path / "both.ts"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    frames = list(read_frames(both))
    assert len(frames) == 10
    assert {tuple(frame.image.shape) for frame in frames} == {(3, 32, 48)}
