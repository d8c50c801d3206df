"""The sound of a video that is made again, and what else it takes from its source."""

from fractions import Fraction
from pathlib import Path

import av
import pytest
from test_video_frames import TICKS, X264
from video_files import decoded_frames, make_video, number_of, remade, sound_packets, trimmed

from condswap.video import check_output, join, probe, read_frames, write_parts


@pytest.mark.parametrize("codec", ["aac", "libmp3lame", "ac3", "flac", "libopus"])
@pytest.mark.parametrize("begin", [0.0, 0.25])
@pytest.mark.parametrize("length", [0.5, 2.0])
def test_sound_is_copied_bit_for_bit_with_its_times(tmp_path: Path, codec: str, begin: float, length: float) -> None:
    source = make_video(tmp_path / "a.mp4", sounds=[(codec, begin, length)], options=X264)
    path = remade(tmp_path, source, "out.mp4")
    assert len(sound_packets(source)) > 4
    assert sound_packets(path) == sound_packets(source)
    with av.open(str(source)) as before, av.open(str(path)) as after:
        assert before.streams.audio[0].start_time == after.streams.audio[0].start_time
        assert before.streams.audio[0].duration == after.streams.audio[0].duration
        heard = [
            [(frame.pts, frame.to_ndarray().tobytes()) for frame in file.decode(audio=0)] for file in (before, after)
        ]
    assert heard[0] == heard[1]


@pytest.mark.parametrize(
    ("source", "out"), [("a.mkv", "b.mp4"), ("a.mp4", "b.mkv"), ("a.mkv", "b.mkv"), ("a.mov", "b.mp4")]
)
@pytest.mark.parametrize("codec", ["aac", "libopus"])
def test_sound_stays_with_the_picture_in_another_container(tmp_path: Path, source: str, out: str, codec: str) -> None:
    if source == "a.mov" and codec == "libopus":
        codec = "alac"  # QuickTime has no Opus
    path = remade(tmp_path, make_video(tmp_path / source, sounds=[(codec, 0, 1.0)], options=X264), out)
    before, after = sound_packets(tmp_path / source), sound_packets(path)
    # Packets that only prepare the decoder go where the container cannot hide them.
    gone = len(before) - len(after)
    assert 0 <= gone <= 2
    assert [sound[2] for sound in after] == [sound[2] for sound in before[gone:]]
    first = decoded_frames(path)[0].time - decoded_frames(tmp_path / source)[0].time
    for (_, time, _), (_, known, _) in zip(after, before[gone:], strict=True):
        assert abs(float(time - known) - first) < 0.0025
    assert abs(first) < 0.01


@pytest.mark.parametrize("distance", [9, 250])
def test_what_a_phone_cut_off_without_deleting_it_stays_cut_off(tmp_path: Path, distance: int) -> None:
    options = X264 | {"x264-params": f"keyint={distance}:min-keyint=5:bframes=3:b-adapt=0:scenecut=0"}
    source = trimmed(make_video(tmp_path / "a.mp4", count=40, sounds=[("aac", 0, 4 / 3)], options=options), 10)
    info = probe(source)
    assert (info.frame_count, info.start, info.duration, info.is_truncated) == (30, 0, 1, False)
    for start in (0, 1, 17, 29):
        frames = list(read_frames(info, start=start))
        assert [(frame.index, number_of(frame.image)) for frame in frames] == [(n, n + 10) for n in range(start, 30)]
    path = remade(tmp_path, source, "out.mp4")
    assert probe(path).duration == 1
    assert [number_of(frame.image) for frame in read_frames(path)] == list(range(10, 40))
    assert sound_packets(path) == sound_packets(source)
    with av.open(str(source)) as before, av.open(str(path)) as after:
        heard = [
            [(frame.pts, frame.to_ndarray().tobytes()) for frame in file.decode(audio=0)] for file in (before, after)
        ]
    assert heard[0] == heard[1]


def test_all_tracks_with_their_names_and_the_container_s_own_data(tmp_path: Path) -> None:
    source = tmp_path / "a.mkv"
    make_video(tmp_path / "plain.mkv", sounds=[("aac", 0, 1), ("ac3", 0, 0.5)], options=X264)
    (tmp_path / "a.srt").write_text("1\n00:00:00,100 --> 00:00:00,500\nhello\n")
    with (
        av.open(str(tmp_path / "plain.mkv")) as plain,
        av.open(str(tmp_path / "a.srt")) as words,
        av.open(str(source), "w") as named,
    ):
        named.metadata.update({"title": "A walk", "creation_time": "2020-02-03T04:05:06.000000Z", "comment": "by hand"})
        streams = [*plain.streams, *words.streams]
        copies = [named.add_stream_from_template(stream, opaque=True) for stream in streams]
        for copy, language in zip(copies, ("und", "deu", "fra", "eng"), strict=True):
            copy.metadata["language"] = language
        named.set_chapters(
            [{"id": 1, "start": 0, "end": 500, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}}]
        )
        for packet in [*plain.demux(), *words.demux()]:
            if packet.pts is not None:
                packet.stream = copies[streams.index(packet.stream)]
                named.mux(packet)
    info = probe(source)
    (tmp_path / "parts").mkdir()
    parts = write_parts(tmp_path / "parts", read_frames(info), like=info)
    assert check_output(info, "b.mkv") == join(parts, info, tmp_path / "b.mkv") == ()
    assert check_output(info, "b.mp4") == join(parts, info, tmp_path / "b.mp4") == ("subtitle (srt)",)
    for name in ("b.mkv", "b.mp4"):
        with av.open(str(tmp_path / name)) as made:
            assert [stream.language for stream in made.streams.audio] == ["deu", "fra"]
            data = {key.lower(): value for key, value in made.metadata.items()}
            assert (data["title"], data["comment"]) == ("A walk", "by hand")
            assert data["creation_time"] == "2020-02-03T04:05:06.000000Z"
            assert [chapter["metadata"] for chapter in made.chapters()] == [{"title": "One"}]
            if name == "b.mkv":
                assert [bytes(packet) for packet in made.demux(subtitles=0) if packet.size] == [b"hello"]
    assert probe(tmp_path / "b.mp4").sounds == ("aac", "ac3")


def test_broken_sound_does_not_end_everything_and_is_told(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.ts", sounds=[("aac", 0, 1)], options=X264, time_base=TICKS)
    with av.open(str(source)) as container:
        packets = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    # ISO 14496-3, 1.A.2: a checksum and four blocks are announced, which nothing can take apart.
    data, head = bytearray(source.read_bytes()), packets[20][:12]
    place = data.index(head)
    data[place + 1] &= 0xFE
    data[place + 6] |= 3
    source.write_bytes(data)
    info = probe(source)
    folder = tmp_path / "parts"
    folder.mkdir()
    parts = write_parts(folder, read_frames(info), like=info)
    missing = join(parts, info, tmp_path / "out.mp4")
    assert probe(tmp_path / "out.mp4").frame_count == 30
    assert missing == ("1 broken packets of audio 1",)
    assert len(sound_packets(tmp_path / "out.mp4")) == len(packets) - 1
