"""Parts and the video that is made of them: frames, times, sound, and what happens when something is wrong."""

import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest
from test_video_frames import KINDS, TURNS, UNEVEN, X264
from video_files import decoded_frames, make_video, number_of, remade, sound_packets

from condswap.errors import ConfigError, DataError, ShapeError
from condswap.video import check_output, finished_parts, join, probe, read_frames, write_part, write_parts

SOUND = [("aac", 0.0, 1.0)]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("name", KINDS)
def test_all_frames_at_their_times(tmp_path: Path, name: str, suffix: str) -> None:
    source = make_video(tmp_path / name, **KINDS[name])
    before = probe(source)
    path = remade(tmp_path, source, f"out{suffix}")
    after = probe(path)
    assert not after.is_truncated
    frames = decoded_frames(path)
    assert [number_of(frame.to_ndarray(format="rgb24").transpose(2, 0, 1)) for frame in frames] == list(
        range(before.frame_count)
    )
    ticks = list(before.times)
    known = [(time - (ticks[0] if ticks[0] > 0 else 0)) * before.time_base for time in ticks]
    # Matroska keeps whole milliseconds.
    precision = Fraction(6, 10000) if suffix == ".mkv" else 0
    assert max(abs(frame.pts * frame.time_base - time) for frame, time in zip(frames, known, strict=True)) <= precision
    assert abs(after.duration - before.duration) <= 1 / before.rate
    with av.open(str(path)) as container:
        times = [packet.dts for packet in container.demux(video=0) if packet.dts is not None]
    assert times == sorted(set(times))
    assert after.codec == "h264"
    assert after.pixel_format == "yuv420p" if before.colours.range != 2 else after.pixel_format == "yuvj420p"


def test_parts_give_what_one_encoding_gives(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", **KINDS["uneven.mp4"])
    (tmp_path / "one").mkdir()
    (tmp_path / "five").mkdir()
    one = remade(tmp_path / "one", source, "out.mp4", part_length=1000)
    many = remade(tmp_path / "five", source, "out.mp4", part_length=3)
    assert [frame.pts for frame in decoded_frames(one)] == [frame.pts for frame in decoded_frames(many)] == UNEVEN
    with av.open(str(many)) as container:
        keys = [packet.pts for packet in container.demux(video=0) if packet.is_keyframe and packet.size]
    assert set(UNEVEN[::3]) <= set(keys)


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_turning_pixel_shape_and_size_are_kept(tmp_path: Path, turn: int, suffix: str) -> None:
    source = make_video(tmp_path / "a.mp4", count=5, matrix=TURNS[turn], aspect=Fraction(15, 16), options={"crf": "5"})
    path = remade(tmp_path, source, f"out{suffix}")
    before, after = probe(source), probe(path)
    assert after.orientation == before.orientation
    assert (after.width, after.height) == (before.width, before.height)
    assert after.pixel_aspect == Fraction(15, 16)
    for old, new in zip(read_frames(before), read_frames(after), strict=True):
        assert (old.image.double() - new.image.double()).abs().mean() < 3


@pytest.mark.parametrize("size", [(95, 64), (96, 63), (95, 63), (1, 1)])
def test_odd_sides_get_a_last_line_more(tmp_path: Path, size: tuple[int, int]) -> None:
    width, height = size
    source = make_video(tmp_path / "a.mkv", count=3, size=size, codec="ffv1", pixel_format="bgr0")
    info = probe(source)
    assert (info.width, info.height) == size
    path = remade(tmp_path, source, "out.mp4")
    after = probe(path)
    assert (after.width, after.height) == (width + width % 2, height + height % 2)
    for old, new in zip(read_frames(info), read_frames(path), strict=True):
        assert (old.image.double() - new.image[:, :height, :width].double()).abs().mean() < 8
        assert (new.image[:, -1].double() - new.image[:, height - 1].double()).abs().mean() < 3


def test_ten_bits_become_eight(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", count=3, pixel_format="yuv420p10le", tags=(9, 1, 9, 16))
    path = remade(tmp_path, source, "out.mp4")
    after = probe(path)
    assert after.pixel_format == "yuv420p"
    assert after.colours == probe(source).colours
    for old, new in zip(read_frames(source), read_frames(path), strict=True):
        assert (old.image.double() - new.image.double()).abs().mean() < 4


def test_the_list_of_frames_stands_in_front(tmp_path: Path) -> None:
    path = remade(tmp_path, make_video(tmp_path / "a.mp4", sounds=SOUND), "out.mp4")
    data = path.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", count=30, sounds=SOUND, options=X264)
    info = probe(source)
    folder = tmp_path / "parts"
    folder.mkdir()
    assert finished_parts(folder, like=info) == ([], 0)

    def killed():
        for frame in read_frames(info):
            if frame.index == 19:
                raise KeyboardInterrupt
            yield frame

    with pytest.raises(KeyboardInterrupt):
        write_parts(folder, killed(), like=info, part_length=8)
    done = finished_parts(folder, like=info)
    assert done.next_frame == 16
    assert sorted(folder.iterdir()) == done.parts == [folder / "frames-000000000.nut", folder / "frames-000000008.nut"]
    more = write_parts(folder, read_frames(info, start=done.next_frame), like=info, part_length=8)
    done = finished_parts(folder, like=info)
    assert (done.parts[2:], done.next_frame) == (more, 30)
    join(done.parts, info, tmp_path / "out.mp4")
    frames = list(read_frames(tmp_path / "out.mp4"))
    assert [number_of(frame.image) for frame in frames] == list(range(30))
    assert sound_packets(tmp_path / "out.mp4") == sound_packets(source)


def test_a_video_that_was_cut_off_is_made_as_far_as_it_goes(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", count=90, sounds=[("aac", 0, 3)], muxer={"movflags": "faststart"})
    data = source.read_bytes()
    source.write_bytes(data[: len(data) // 2])
    info = probe(source)
    assert info.is_truncated
    path = remade(tmp_path, source, "out.mp4")
    made = probe(path)
    assert not made.is_truncated
    assert made.frame_count == len(list(read_frames(path))) == info.frame_count < 90
    assert abs(made.duration - info.duration) < 1 / info.rate


def test_a_frame_that_is_missing_is_covered_by_the_one_before(tmp_path: Path) -> None:
    info = probe(make_video(tmp_path / "a.mp4", count=10, options=X264))
    parts = write_parts(tmp_path, [frame for frame in read_frames(info) if frame.index != 4], like=info)
    join(parts, info, tmp_path / "out.mp4")
    made = probe(tmp_path / "out.mp4")
    assert list(made.times) == [time for time in info.times if time != info.times[4]]
    assert made.duration == info.duration


def test_frames_of_the_middle_alone_last_as_long_as_they_did(tmp_path: Path) -> None:
    info = probe(make_video(tmp_path / "a.mp4", count=20, options=X264))
    join(write_parts(tmp_path, read_frames(info, stop=5), like=info), info, tmp_path / "out.mp4")
    assert probe(tmp_path / "out.mp4").duration == Fraction(5, 30)


def test_what_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    info = probe(make_video(tmp_path / "a.mkv", count=2, sounds=[("tta", 0, 0.5)]))
    assert check_output(info, "b.mkv") == ()
    with pytest.raises(
        ConfigError, match=r"b\.mp4 cannot hold the sound of a\.mkv, which is tta; end the name in \.mov or \.mkv"
    ):
        check_output(info, "b.mp4")
    with pytest.raises(ConfigError, match=r"'b\.avi'; end the name in \.mp4, \.m4v, \.mov, \.mkv"):
        check_output(info, "b.avi")
    parts = write_parts(tmp_path, read_frames(info), like=info)
    with pytest.raises(ConfigError, match="cannot hold the sound"):
        join(parts, info, tmp_path / "b.mp4")
    with pytest.raises(ConfigError, match="there are no parts"):
        join([], info, tmp_path / "b.mkv")
    with pytest.raises(
        ConfigError, match=r"a\.mkv is the video that the sound comes from; give the new one another name"
    ):
        join(parts, info, tmp_path / "a.mkv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mkv", "frames-000000000.nut"]


def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    info = probe(make_video(tmp_path / "a.mp4", count=2))
    frames = list(read_frames(info))
    part = tmp_path / "frames-000000000.nut"
    with pytest.raises(ConfigError, match="preset='best' is not one of x264's; give one of ultrafast"):
        write_part(part, frames, like=info, preset="best")
    for crf in (-1, 52, True, "18"):
        with pytest.raises(ConfigError, match="is no quality of x264's; give a number from 0, the best, to 51"):
            write_part(part, frames, like=info, crf=crf)
    with pytest.raises(ConfigError, match="part_length=0 is no number of frames"):
        write_parts(tmp_path, frames, like=info, part_length=0)
    for image in (frames[0].image.float(), frames[0].image[:, 1:], frames[0].image[None]):
        with pytest.raises(ShapeError, match=r"a frame of this video is uint8 \(3, 64, 96\), RGB; this is"):
            write_part(part, [replace(frames[0], image=image)], like=info)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    assert write_parts(tmp_path, [], like=info) == []


def test_parts_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    info = probe(make_video(tmp_path / "a.mp4", count=6))
    frames = list(read_frames(info))
    write_part(tmp_path / "1.nut", frames[:3], like=info)
    write_part(tmp_path / "2.nut", frames[2:], like=info)
    write_part(tmp_path / "3.nut", frames[3:], like=info, preset="ultrafast")
    write_part(tmp_path / "4.nut", frames[3:], like=info)
    (tmp_path / "5.nut").write_bytes(b"no video" * 99)
    for second, message in (
        ("2.nut", "hold the same frame twice; delete them"),
        ("3.nut", r"the part .*3\.nut was made with other settings than those before it"),
        ("5.nut", r"5\.nut"),
    ):
        with pytest.raises(DataError, match=message):
            join([tmp_path / "1.nut", tmp_path / second], info, tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()
    join([tmp_path / "1.nut", tmp_path / "4.nut"], info, tmp_path / "out.mp4")
    assert probe(tmp_path / "out.mp4").frame_count == 6


def test_an_error_of_the_frames_leaves_no_part(tmp_path: Path) -> None:
    info = probe(make_video(tmp_path / "a.mp4", count=6))

    def broken():
        yield next(read_frames(info))
        raise DataError("the network is gone")

    with pytest.raises(DataError, match="^the network is gone$"):
        write_parts(tmp_path, broken(), like=info)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


PROGRAM = """
import resource, signal, sys
from pathlib import Path
from condswap.errors import DataError
from condswap.video import finished_parts, join, probe, read_frames, write_parts
folder = Path(sys.argv[1])
info = probe(folder / "a.mp4")
parts = write_parts(folder, read_frames(info), like=info)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for name in ("out.mp4", "out.mkv"):
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
    try:
        join(parts, info, folder / name)
    except DataError as error:
        sys.stdout.write(f"{error}\\n")
try:
    write_parts(folder / "more", read_frames(info), like=info, crf=0)
except DataError as error:
    sys.stdout.write(f"{error}\\n")
"""


def test_a_disk_that_is_full_leaves_nothing_and_is_told(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", count=30, sounds=SOUND)
    (tmp_path / "more").mkdir()
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=True)
    told = done.stdout.splitlines()
    assert len(told) == 3
    assert all("could not write" in line and "free some space or choose another disk" in line for line in told)
    assert done.stderr == ""
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.mp4", "frames-000000000.nut", "more"]
