"""Faces out of pictures and videos: what is written, what is left alone, what goes on, and what is refused."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from footage import (
    ANNA,
    BOB,
    CARL,
    HEIGHT,
    WIDTH,
    Shown,
    SquareFinder,
    colour_of,
    contents,
    described,
    film,
    frame,
    identity,
    photo,
    walk,
)
from PIL import Image
from scenes import read_video

from condswap import ConfigError, DataError, FaceFolder
from condswap.pipeline import cutting, extract
from condswap.templates import DEFAULT, TEMPLATES

SIZE = 64


def run(given, out, *, finder=None, **options):
    given = [given] if isinstance(given, Path) else given
    finder = finder or SquareFinder()
    settings = {"template": TEMPLATES[DEFAULT], "image_size": SIZE, **options}
    return extract(given, out, finder=finder, **settings)


def stems(folder: Path) -> list[str]:
    return [path.stem for path in sorted(folder.glob("*.jpg"))]


@pytest.fixture
def out(tmp_path):
    return tmp_path / "faces" / "anna"


@pytest.fixture
def walking(tmp_path):
    return film(tmp_path / "walk.mp4", walk(12))


@pytest.fixture
def two(tmp_path):
    """Anna, large, and Bob beside her, for six frames; then Bob alone for three, which is another shot."""
    both = [frame(Shown(ANNA, 10 + number, 30, 48), Shown(BOB, 100, 40, 32)) for number in range(6)]
    alone = [frame(Shown(BOB, 60, 30, 32), shade=90)] * 3
    return film(tmp_path / "two.mp4", both + alone)


class TestWritten:
    def test_each_frame_gives_a_picture_a_mask_and_a_json(self, walking, out):
        made = run(walking, out, step=5)
        wanted = [f"walk_{n:06d}{suffix}" for n in (0, 5, 10) for suffix in (".jpg", ".json", ".mask.png")]
        assert sorted(contents(out)) == wanted
        assert made.faces == {out: 3}
        assert (made.left_out, made.unreadable) == ({"of other people": 0, "not sharp": 0}, [])

    def test_the_pictures_are_jpeg_of_the_size_and_full_colour(self, walking, out):
        run(walking, out, step=5)
        with Image.open(out / "walk_000005.jpg") as picture:
            assert (picture.format, picture.size, picture.mode) == ("JPEG", (SIZE, SIZE), "RGB")
            assert picture.layer[0][1:3] == picture.layer[1][1:3]  # colours as fine as the light
        with Image.open(out / "walk_000005.mask.png") as mask:
            assert (mask.format, mask.size, mask.mode) == ("PNG", (SIZE, SIZE), "L")

    def test_the_json_says_where_the_face_is_from(self, walking, out):
        run(walking, out, step=5)
        told = described(out / "walk_000005.jpg")
        assert told["condswap"] == 1
        assert told["template"] == "condswap"
        assert (told["source"], told["source_bytes"], told["frame"]) == ("walk.mp4", walking.stat().st_size, 5)
        assert (told["frame_size"], told["image_size"]) == ([WIDTH, HEIGHT], SIZE)
        assert told["box"] == pytest.approx([30, 30, 70, 70], abs=1)
        assert "/" not in (out / "walk_000005.json").read_text()  # nothing of this machine

    def test_its_matrix_puts_the_face_back_where_it_was(self, tmp_path, out):
        # A pattern that every pixel's shift would show.
        shown = frame(Shown(ANNA, 61, 27, 52))
        noise = torch.rand(1, 1, 13, 13, generator=torch.Generator().manual_seed(1)) * 100
        fine = torch.nn.functional.interpolate(noise, size=(52, 52), mode="bicubic")[0, 0].clamp(0, 100)
        shown[1, 27:79, 61:113] = fine.byte()
        run(photo(tmp_path / "one.png", shown), out)
        crop = cv2.imread(str(out / "one.jpg"))[..., ::-1]
        matrix = np.array(described(out / "one.jpg")["matrix"])
        back = cv2.warpAffine(
            np.ascontiguousarray(crop), matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        ).astype(float)
        true = shown.permute(1, 2, 0).numpy().astype(float)
        inside = (slice(31, 75), slice(65, 109))

        def off(dx: int, dy: int) -> float:
            moved = np.roll(back, (dy, dx), (0, 1))
            return float(np.abs(moved[inside][..., 1] - true[inside][..., 1]).mean())

        assert off(0, 0) < 3
        assert min(off(1, 0), off(-1, 0), off(0, 1), off(0, -1)) > 2 * off(0, 0)

    def test_the_mask_is_where_the_face_is(self, walking, out):
        run(walking, out, step=5)
        mask = np.asarray(Image.open(out / "walk_000005.mask.png"), dtype=float) / 255
        rows, columns = np.nonzero(mask > 0.5)
        # The mean face's: .21 to .79 wide, .242 to .902 high.
        assert [columns.min(), columns.max(), rows.min(), rows.max()] == pytest.approx(
            [0.21 * SIZE, 0.79 * SIZE, 0.242 * SIZE, 0.902 * SIZE], abs=1.5
        )

    @pytest.mark.parametrize("name", ["condswap", "ffhq", "dfl_whole_face"])
    def test_training_reads_them_with_their_masks_and_their_template(self, walking, out, name):
        run(walking, out, step=3, template=TEMPLATES[name])
        data = FaceFolder(out.parent, image_size=SIZE)
        assert (data.classes, len(data), data.unreadable) == (("anna",), 4, ())
        assert data.template == TEMPLATES[name]
        assert data.without_mask == []
        assert 0.1 < float(data[0]["mask"].mean()) < 0.5

    def test_a_picture_gives_a_face_of_its_name(self, tmp_path, out):
        run(photo(tmp_path / "at.the.sea.png", frame(Shown(ANNA, 20, 30))), out)
        assert sorted(contents(out)) == ["at.the.sea.jpg", "at.the.sea.json", "at.the.sea.mask.png"]
        assert "frame" not in (out / "at.the.sea.json").read_text().replace("frame_size", "")

    def test_pictures_videos_and_folders_together(self, tmp_path, walking, out):
        folder = tmp_path / "in"
        folder.mkdir()
        photo(folder / "b.png", frame(Shown(ANNA, 20, 30)))
        photo(folder / "a.webp", frame(Shown(ANNA, 50, 30)), lossless=True)
        film(folder / "walk.mp4", walk(3))
        made = run([walking, folder], out, step=4)
        assert stems(out) == ["a", "b", "walk-2_000000", "walk_000000", "walk_000004", "walk_000008"]
        assert made.faces == {out: 6}

    def test_faces_that_are_not_sharp_are_left_out(self, tmp_path, out):
        sharp, soft = frame(Shown(ANNA, 60, 30, 48)), frame(Shown(ANNA, 60, 30, 48))
        noise = torch.randint(0, 90, (48, 48), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
        sharp[1, 30:78, 60:108] = noise
        soft[1, 30:78, 60:108] = torch.from_numpy(cv2.GaussianBlur(noise.numpy(), (0, 0), 2))
        given = [photo(tmp_path / "sharp.png", sharp), photo(tmp_path / "soft.png", soft)]
        made = run(given, out, least_sharp=0.1)  # measured: 0.21 and 0.03
        assert stems(out) == ["sharp"]
        assert made.faces == {out: 1}
        assert made.left_out["not sharp"] == 1


class TestGoesOn:
    @pytest.fixture
    def whole(self, two, tmp_path):
        run(two, tmp_path / "whole", everyone=True)
        return contents(tmp_path / "whole")

    def test_a_second_run_changes_nothing(self, two, out):
        first = run(two, out, everyone=True)
        before = {path: path.stat().st_mtime_ns for path in out.parent.rglob("*")}
        second = run(two, out, everyone=True, finder=SquareFinder(stop_at=0))
        assert {path: path.stat().st_mtime_ns for path in out.parent.rglob("*")} == before
        assert second == first

    @pytest.mark.parametrize("stop", [0, 1, 4, 6, 8])
    def test_stopped_while_it_looked(self, two, out, stop, whole):
        with pytest.raises(KeyboardInterrupt):
            run(two, out, finder=SquareFinder(stop_at=stop))
        assert contents(out) == {}
        finder = SquareFinder()
        run(two, out, finder=finder)
        assert contents(out) == whole
        assert finder.looks == 9 - stop

    @pytest.mark.parametrize("stop", [0, 1, 3, 5])
    def test_stopped_while_it_wrote(self, two, out, stop, whole, monkeypatch):
        written = cutting.write_together
        calls = []

        def stopping(files):
            calls.append(files)
            if len(calls) > stop:
                raise KeyboardInterrupt
            written(files)

        monkeypatch.setattr(cutting, "write_together", stopping)
        with pytest.raises(KeyboardInterrupt):
            run(two, out)
        monkeypatch.setattr(cutting, "write_together", written)
        assert len(contents(out)) == 3 * stop
        run(two, out, finder=SquareFinder(stop_at=0))
        assert contents(out) == whole

    @pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is of Unix")
    @pytest.mark.parametrize("moment", ["looking", "writing"])
    def test_killed(self, tmp_path, out, moment):
        given = film(tmp_path / "long.mp4", walk(40))
        run(given, tmp_path / "whole")
        program = f"""
import sys, time
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from footage import SquareFinder
from condswap.pipeline import cutting, extract
from condswap.templates import DEFAULT, TEMPLATES
class Slow(SquareFinder):
    def detect(self, picture):
        time.sleep(0.05 if {moment!r} == "looking" else 0)
        return super().detect(picture)
written = cutting.write_together
def slow(files):
    written(files)
    time.sleep(0.5 if {moment!r} == "writing" else 0)
cutting.write_together = slow
extract([Path({str(given)!r})], Path({str(out)!r}), finder=Slow(), template=TEMPLATES[DEFAULT], image_size={SIZE})
"""
        running = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE)
        try:
            for _ in range(2400):
                logs = list(out.glob(".condswap-*.jsonl")) if out.is_dir() else []
                lines = logs[0].read_bytes().count(b"\n") if logs else 0
                if (moment == "looking" and lines > 8) or len(list(out.glob("*.json"))) > 5:
                    break
                assert running.poll() is None, running.stderr.read().decode()
                time.sleep(0.05)
            time.sleep(0.2)
            running.send_signal(signal.SIGKILL)
        finally:
            running.kill()
            running.communicate()
        assert contents(out) != contents(tmp_path / "whole")
        finder = SquareFinder()
        run(given, out, finder=finder)
        assert contents(out) == contents(tmp_path / "whole")
        assert finder.looks < 34

    def test_a_picture_that_was_deleted_stays_away(self, walking, out):
        run(walking, out, step=5)
        (out / "walk_000005.jpg").unlink()
        (out / "walk_000005.mask.png").unlink()
        made = run(walking, out, step=5)
        assert stems(out) == ["walk_000000", "walk_000010"]
        assert made.faces == {out: 2}

    def test_a_face_without_its_json_was_not_finished(self, walking, out):
        run(walking, out, step=5)
        for suffix in (".json", ".jpg"):
            (out / f"walk_000005{suffix}").unlink()
        run(walking, out, step=5)
        assert stems(out) == ["walk_000000", "walk_000005", "walk_000010"]

    @pytest.mark.parametrize("change", [{"image_size": 32}, {"template": TEMPLATES["ffhq"]}])
    def test_faces_that_are_wanted_otherwise_are_written_anew(self, walking, out, tmp_path, change):
        run(walking, out, step=5)
        run(walking, out, step=5, **change)
        run(walking, tmp_path / "other", step=5, **change)
        assert contents(out) == contents(tmp_path / "other")

    def test_more_frames_are_added(self, walking, out):
        run(walking, out, step=6)
        made = run(walking, out, step=3)
        assert stems(out) == [f"walk_{number:06d}" for number in (0, 3, 6, 9)]
        assert made.faces == {out: 4}


class TestNamesakes:
    def test_another_video_of_the_same_name_is_written_beside_the_first(self, walking, tmp_path, out):
        (tmp_path / "b").mkdir()
        other = film(tmp_path / "b" / "walk.mp4", walk(6, top=10))
        run(walking, out, step=5)
        before = contents(out)
        for _ in range(2):
            made = run(other, out, step=5)
            assert stems(out) == ["walk_000000", "walk_000000_1", "walk_000005", "walk_000005_1", "walk_000010"]
            assert made.faces == {out: 2}
            assert before.items() <= contents(out).items()
        assert described(out / "walk_000000_1.jpg")["source_bytes"] == other.stat().st_size

    def test_a_picture_of_ones_own_is_not_overwritten(self, walking, out):
        out.mkdir(parents=True)
        own = photo(out / "walk_000005.jpg", torch.zeros(3, 32, 32, dtype=torch.uint8))
        before = own.read_bytes()
        run(walking, out, step=5)
        assert own.read_bytes() == before
        assert stems(out) == ["walk_000000", "walk_000005", "walk_000005_1", "walk_000010"]

    def test_a_json_of_something_else_is_not_overwritten(self, walking, out):
        out.mkdir(parents=True)
        (out / "walk_000005.json").write_text("[1, 2]")
        run(walking, out, step=5)
        assert (out / "walk_000005.json").read_text() == "[1, 2]"
        assert (out / "walk_000005_1.json").is_file()

    def test_a_frame_and_a_picture_of_the_same_name(self, walking, tmp_path, out):
        still = photo(tmp_path / "walk_000005.png", frame(Shown(ANNA, 100, 50)))
        for _ in range(2):
            made = run([walking, still], out, step=5)
            assert stems(out) == ["walk_000000", "walk_000005", "walk_000005_1", "walk_000010"]
            assert made.faces == {out: 4}
        assert described(out / "walk_000005_1.jpg")["source"] == "walk_000005.png"

    def test_pictures_are_not_written_among_those_that_they_are_from(self, tmp_path):
        folder = tmp_path / "anna"
        folder.mkdir()
        photo(folder / "one.jpg", frame(Shown(ANNA, 20, 30)))
        before = contents(folder)
        with pytest.raises(ConfigError, match=r"one\.jpg lies in .*anna, where its faces would be written"):
            run(folder, folder)
        assert contents(folder) == before


class TestPeople:
    def test_the_main_person_of_each_shot_is_taken_by_default(self, two, out):
        made = run(two, out)
        assert [colour_of(path) for path in sorted(out.glob("*.jpg"))] == [ANNA] * 6 + [BOB] * 3
        assert made.faces == {out: 9}
        assert made.left_out["of other people"] == 6

    def test_everyone_is_sorted_by_track(self, two, out):
        made = run(two, out, everyone=True)
        assert made.faces == {out: 9, out.with_name("anna-2"): 6}
        assert {colour_of(path) for path in out.with_name("anna-2").glob("*.jpg")} == {BOB}
        assert made.left_out["of other people"] == 0

    def test_with_an_identity_network_one_person_is_taken(self, two, out):
        made = run(two, out, identity=identity)
        assert [colour_of(path) for path in sorted(out.glob("*.jpg"))] == [ANNA] * 6
        assert made.faces == {out: 6}
        assert made.left_out["of other people"] == 9

    def test_everyone_is_sorted_by_person(self, two, out, tmp_path):
        still = photo(tmp_path / "still.png", frame(Shown(CARL, 5, 30), Shown(BOB, 60, 30), Shown(CARL, 110, 30)))
        made = run([two, still], out, identity=identity, everyone=True)
        assert list(made.faces.values()) == [6, 10, 2]
        for folder, who in zip(made.faces, (ANNA, BOB, CARL), strict=True):
            assert {colour_of(path) for path in folder.glob("*.jpg")} == {who}
        # Two faces of one person in one picture.
        assert stems(out.with_name("anna-3")) == ["still", "still_1"]
        second = run([two, still], out, identity=identity, everyone=True, finder=SquareFinder(stop_at=0))
        assert second == made

    def test_pictures_are_read_one_by_one_for_the_identity_network(self, tmp_path, out):
        paths = [photo(tmp_path / f"{number}.png", frame(Shown(BOB, 20, 30))) for number in range(5)]
        assert run(paths, out, identity=identity).faces == {out: 5}

    def test_faces_that_are_now_those_of_another_are_written_anew(self, two, out, tmp_path):
        # By track Bob's last shot belongs to the main person; in the names that stay is now only who is meant.
        run(two, out, identity=identity, everyone=True)
        assert {colour_of(path) for path in out.glob("*.jpg")} == {ANNA}
        swapped = film(two, [frame(Shown(BOB, 10, 30, 48))] * 6)
        run(swapped, out)
        assert described(out / "two_000000.jpg")["source_bytes"] != described(out / "two_000000_1.jpg")["source_bytes"]


class TestBadInput:
    def test_no_face_at_all_is_an_error_and_leaves_nothing(self, tmp_path, out):
        empty = film(tmp_path / "empty.mp4", [frame()] * 3)
        with pytest.raises(DataError, match=r"no face was found in .*empty\.mp4"):
            run(empty, out)
        assert not out.exists()

    def test_no_face_at_all_leaves_a_folder_that_was_there(self, tmp_path, out):
        out.mkdir(parents=True)
        (out / "mine.txt").write_text("kept")
        with pytest.raises(DataError, match="no face was found"):
            run(photo(tmp_path / "empty.png", frame()), out)
        assert list(contents(out)) == ["mine.txt"]

    def test_files_without_a_face_are_listed(self, walking, tmp_path, out):
        given = [walking, photo(tmp_path / "empty.png", frame()), film(tmp_path / "empty.mp4", [frame()] * 3)]
        made = run(given, out)
        assert sorted((path.name, reason) for path, reason in made.unreadable) == [
            ("empty.mp4", "no face was found in it"),
            ("empty.png", "no face was found in it"),
        ]

    def test_pictures_that_cannot_be_read_are_listed_with_the_reason(self, tmp_path, out):
        good = photo(tmp_path / "good.png", frame(Shown(ANNA, 20, 30)))
        broken, empty = tmp_path / "broken.jpg", tmp_path / "empty.png"
        broken.write_bytes(good.read_bytes()[:100])
        empty.write_bytes(b"")
        for _ in range(2):
            made = run([broken, good, empty], out)
            assert made.faces == {out: 1}
            assert {path.name for path, _ in made.unreadable} == {"broken.jpg", "empty.png"}

    def test_a_single_picture_that_cannot_be_read_is_an_error_with_the_reason(self, tmp_path, out):
        (tmp_path / "empty.png").write_bytes(b"")
        with pytest.raises(DataError, match=r"empty\.png: the file is empty"):
            run(tmp_path / "empty.png", out)
        assert not out.exists()

    @pytest.fixture
    def sound(self, tmp_path):
        path = tmp_path / "sound.m4a"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("aac", rate=16000)
            tone = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
            tone.sample_rate = 16000
            container.mux(stream.encode(tone))
            container.mux(stream.encode(None))
        return path.rename(tmp_path / "sound.mp4")

    def test_sound_alone_is_an_error(self, sound, out):
        with pytest.raises(DataError, match=r"sound\.mp4 has sound but no picture"):
            run(sound, out)
        assert not out.exists()

    def test_sound_alone_among_others_is_listed(self, sound, walking, out):
        made = run([sound, walking], out, step=5)
        assert made.faces == {out: 3}
        assert [(path, "no picture" in reason) for path, reason in made.unreadable] == [(sound, True)]

    def test_a_video_without_its_end_that_cannot_be_read_is_an_error(self, walking, out):
        walking.write_bytes(walking.read_bytes()[: walking.stat().st_size // 2])
        with pytest.raises(DataError, match="cut off"):
            run(walking, out)
        assert not out.exists()

    def test_of_a_video_that_was_cut_off_the_whole_frames_are_taken_and_it_is_said(self, tmp_path, out):
        path = tmp_path / "walk.mkv"
        film(path, walk(40))
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
        made = run(path, out)
        assert 0 < made.faces[out] < 40
        assert len(stems(out)) == made.faces[out]
        assert [(found, "cut off" in reason) for found, reason in made.unreadable] == [(path, True)]

    def test_a_video_that_is_turned_is_upright(self, tmp_path, out):
        # The matrix (a, b; c, d) = (0, 1; -1, 0) takes (x, y) to (-y, x): a quarter to the right.
        path = tmp_path / "phone.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=25, options={"crf": "8"})
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            stream.set_display_matrix([0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30])
            for picture in [frame(Shown(ANNA, 20, 10))] * 3:
                shown = av.VideoFrame.from_ndarray(picture.permute(1, 2, 0).contiguous().numpy(), format="rgb24")
                container.mux(stream.encode(shown))
            container.mux(stream.encode(None))
        run(path, out)
        told = described(out / "phone_000000.jpg")
        assert told["frame_size"] == [HEIGHT, WIDTH]
        # Rows 10 to 50 become columns, counted from the right: 96 - 50 = 46; columns 20 to 60 become rows.
        assert told["box"] == pytest.approx([46, 20, 86, 60], abs=1)

    def test_a_picture_of_one_pixel_has_no_face(self, walking, tmp_path, out):
        dot = photo(tmp_path / "dot.png", torch.zeros(3, 1, 1, dtype=torch.uint8))
        made = run([dot, walking], out, step=5)
        assert [(path.name, reason) for path, reason in made.unreadable] == [("dot.png", "no face was found in it")]
        with pytest.raises(DataError, match="no face was found"):
            run(dot, tmp_path / "alone")

    def test_16_bits_cmyk_and_turned_pictures_are_read_right(self, tmp_path, out):
        shown = frame(Shown(ANNA, 60, 30))
        pixels = shown.permute(1, 2, 0).contiguous().numpy()
        deep, print_, turned = tmp_path / "deep.png", tmp_path / "print.jpg", tmp_path / "turned.jpg"
        cv2.imwrite(str(deep), pixels[..., ::-1].astype(np.uint16) * 257)
        Image.fromarray(pixels).convert("CMYK").save(print_, quality=98)
        exif = Image.Exif()
        exif[0x0112] = 6  # the file is to be turned a quarter to the right
        Image.fromarray(np.ascontiguousarray(np.rot90(pixels))).save(turned, exif=exif, quality=98, subsampling=0)
        made = run([deep, print_, turned], out)
        assert (made.faces, made.unreadable) == ({out: 3}, [])
        for path in sorted(out.glob("*.jpg")):
            assert colour_of(path) == ANNA
            assert described(path)["box"] == pytest.approx([60, 30, 100, 70], abs=2)

    def test_an_animated_gif_is_a_video(self, tmp_path, out):
        pictures = [Image.fromarray(one.permute(1, 2, 0).contiguous().numpy()) for one in walk(5)]
        path = tmp_path / "walk.gif"
        pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=40)
        run(path, out)
        assert stems(out) == [f"walk_{number:06d}" for number in range(5)]
        assert {colour_of(path) for path in out.glob("*.jpg")} == {ANNA}

    def test_a_gif_that_stands_still_is_an_error(self, tmp_path, out):
        photo(tmp_path / "still.gif", frame(Shown(ANNA, 20, 30)))
        with pytest.raises(DataError, match="still.gif is a picture, not a video"):
            run(tmp_path / "still.gif", out)
        assert not out.exists()

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"image_size": 8}, "image_size=8 is not a whole number from 16 on"),
            ({"image_size": 64.0}, "image_size=64.0"),
            ({"image_size": True}, "image_size=True"),
            ({"step": 0}, "step=0 is not a whole number from 1 on"),
            ({"step": "2"}, "step='2'"),
        ],
    )
    def test_wrong_arguments(self, walking, out, options, words):
        with pytest.raises(ConfigError, match=words):
            run(walking, out, **options)
        assert not out.exists()

    def test_a_file_in_place_of_the_folder(self, walking, out):
        out.parent.mkdir()
        out.write_text("a file")
        with pytest.raises(DataError, match="anna cannot be made"):
            run(walking, out)
        assert out.read_text() == "a file"

    @pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
    def test_a_folder_that_is_locked(self, walking, out):
        out.mkdir(parents=True)
        out.chmod(0o500)
        with pytest.raises(DataError, match="cannot be written to"):
            run(walking, out)

    def test_a_disk_that_is_full_is_an_error_and_leaves_no_half_face(self, walking, out, monkeypatch):
        def full(files):
            raise DataError("no space left")

        monkeypatch.setattr(cutting, "write_together", full)
        with pytest.raises(DataError, match="no space left"):
            run(walking, out)
        assert contents(out) == {}


def test_the_frames_are_those_that_the_video_shows(walking, out):
    # The crop's middle, in a frame that PyAV alone decoded.
    run(walking, out)
    for number, shown in enumerate(read_video(walking)):
        crop = np.asarray(Image.open(out / f"walk_{number:06d}.jpg"), dtype=float)
        matrix = np.array(described(out / f"walk_{number:06d}.jpg")["matrix"])
        true = cv2.warpAffine(shown.permute(1, 2, 0).contiguous().numpy(), matrix, (SIZE, SIZE), flags=cv2.INTER_CUBIC)
        assert np.abs(crop - true)[8:-8, 8:-8].mean() < 4
