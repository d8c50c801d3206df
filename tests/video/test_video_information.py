"""Looking at a video, and refusing what is none."""

import sys
from fractions import Fraction
from pathlib import Path

import av
import pytest
from PIL import Image
from video_files import make_video

from condswap.errors import ConfigError, DataError
from condswap.video import probe


def test_what_a_video_is(tmp_path: Path) -> None:
    path = make_video(
        tmp_path / "a.mp4",
        count=50,
        time_base=Fraction(1, 12800),
        rate=Fraction(25),
        aspect=Fraction(15, 16),
        tags=(1, 1, 1, 13),
        sounds=[("aac", 0, 1), ("ac3", 0, 1)],
    )
    info = probe(path)
    assert info.path == path
    assert (info.width, info.height, info.stored_size, info.pixel_aspect) == (96, 64, (96, 64), Fraction(15, 16))
    assert (info.frame_count, info.is_counted, info.is_truncated) == (50, True, False)
    assert (info.time_base, info.start, info.end, info.duration) == (Fraction(1, 12800), 0, 50 * 512, 2)
    assert (info.rate, info.has_variable_rate) == (25, False)
    assert (info.codec, info.pixel_format, info.sounds) == ("h264", "yuv420p", ("aac", "ac3"))
    colours = info.colours
    assert (colours.matrix, colours.range, colours.primaries, colours.transfer) == (1, 1, 1, 13)
    assert list(info.times) == [512 * number for number in range(50)]
    assert not info.orientation.is_turned
    assert [info.index_of(time) for time in (-1, 0, 511, 512, 99999)] == [-1, 0, 0, 1, 49]
    assert "times" not in repr(info)


def test_a_silent_video_that_says_nothing_of_its_colours(tmp_path: Path) -> None:
    info = probe(make_video(tmp_path / "a.mkv", count=5))
    assert info.sounds == ()
    assert (info.colours.matrix, info.colours.range, info.colours.primaries, info.colours.transfer) == (2, 0, 2, 2)
    assert info.frame_count == 5  # Matroska does not say it: they were counted


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "tif", "avif"])
def test_a_picture_is_refused(tmp_path: Path, suffix: str) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / f"a.{suffix}")
    with pytest.raises(DataError, match=rf"a\.{suffix} is a picture, not a video; give it where pictures are taken"):
        probe(tmp_path / f"a.{suffix}")
    (tmp_path / f"a.{suffix}").rename(tmp_path / "a.mp4")
    with pytest.raises(DataError, match=r"a\.mp4 is a picture, not a video"):
        probe(tmp_path / "a.mp4")


def test_sound_without_a_picture_is_refused_also_with_a_cover(tmp_path: Path) -> None:
    for name in ("song.m4a", "song.mp4", "cover.mkv"):
        with av.open(str(tmp_path / name), "w") as container:
            track = container.add_stream("aac", rate=48000)
            if name == "cover.mkv":
                Image.new("RGB", (16, 16)).save(tmp_path / "cover.png")
                container.add_attachment("cover.png", "image/png", (tmp_path / "cover.png").read_bytes())
            from video_files import add_sine

            add_sine(container, track, 0, 1)
        with pytest.raises(DataError, match=f"{name} has sound but no picture; give a video"):
            probe(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.mp4", b"", "the file is empty; get it again"),
        ("a.mp4", b"hello " * 1000, "as a video"),
        ("a.txt", b"hello\nworld\n" * 50, "is not a video; give a file such as"),
        ("a.m3u8", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n", "cannot read .*a.m3u8 as a video"),
        ("a.ffconcat", b"ffconcat version 1.0\nfile /etc/passwd\n", "cannot read .*a.ffconcat as a video"),
        ("a.srt", b"1\n00:00:00,000 --> 00:00:01,000\nhello\n", "is not a video"),
    ],
)
def test_what_is_no_video_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        probe(tmp_path / name)


def test_what_is_not_there_or_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing.mp4: it is not there; give the path of a video file"):
        probe(tmp_path / "nothing.mp4")
    with pytest.raises(DataError, match="it is a folder"):
        probe(tmp_path)


def test_a_video_without_a_whole_frame_is_refused(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", count=1)
    with av.open(str(path)) as container:
        packet = next(container.demux(video=0))
        place, size = packet.pos, packet.size
    data = bytearray(path.read_bytes())
    data[place : place + size] = b"\xff" * size
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"no frame of .*a\.mp4 can be decoded \(h264\); get the file again"):
        probe(path)


def test_without_pyav_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_video(tmp_path / "a.mp4", count=1)
    monkeypatch.setitem(sys.modules, "av.video.stream", None)
    with pytest.raises(ConfigError, match=r'needs PyAV: pip install "condswap\[video\]"'):
        probe(path)
