"""Files in, files out with the faces swapped: pictures, folders and videos, without networks that find faces."""

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from label_models import painting
from PIL import Image
from scenes import GREEN, HEIGHT, SIDE, WIDTH, SquareFinder, read_video, scene, sound_of, write_video

from condswap import ConfigError, DataError
from condswap.pipeline import FaceSwapper, Look, Swapping, Wanted
from condswap.pretrained import model_id
from condswap.provenance import DIGITAL_SOURCE_TYPE, read_mark, verify
from condswap.templates import TEMPLATES, Template

BARE = Look(colour="none", mask="landmarks", erode=0.0, feather=0.0)
GREY = round(0.75 * 255)  # what "bob" is painted in
AT = (50, 30)
MIDDLE = (AT[1] + SIDE // 2, AT[0] + SIDE // 2)  # row and column of the middle of a face at AT


def swapping(**changes) -> Swapping:
    settings = {"to": "bob", "finder": SquareFinder, "look": BARE, "smooth": 0.0}
    return Swapping(painting(), **{**settings, **changes})


def saved(path: Path, frame: torch.Tensor, **options) -> Path:
    Image.fromarray(frame.permute(1, 2, 0).contiguous().numpy()).save(path, **options)
    return path


def pixels(path: Path) -> torch.Tensor:
    return torch.from_numpy(np.asarray(Image.open(path).convert("RGB")).copy()).permute(2, 0, 1)


def is_swapped(frame: torch.Tensor, row: int = MIDDLE[0], column: int = MIDDLE[1], *, within: int = 0) -> bool:
    return bool(((frame[:, row, column].int() - GREY).abs() <= within).all())


class TestSwapper:
    def test_the_face_is_painted_and_the_rest_is_bit_for_bit_the_frame(self):
        frame = scene(AT)
        face = SquareFinder().find(frame)[0]
        swapper = FaceSwapper(painting(), to="bob", look=BARE)
        shown = swapper.swap([frame, frame], [[Wanted(face, None)], []])
        assert is_swapped(shown[0])
        assert shown[1] is frame
        # The outline of a mean face fills x .21 to .79 and y .24 to .90 of the square; to 1.6 of the crop's 16 pixels.
        changed = (shown[0] != frame).any(0).nonzero()
        low, high = changed.min(0).values.tolist(), changed.max(0).values.tolist()
        assert low == pytest.approx([AT[1] + 0.242 * SIDE, AT[0] + 0.21 * SIDE], abs=4)
        assert high == pytest.approx([AT[1] + 0.902 * SIDE, AT[0] + 0.79 * SIDE], abs=4)

    @pytest.mark.parametrize("colour", ["mean", "lab", "linear", "histogram"])
    def test_colours_follow_the_face_that_was_there(self, colour):
        frame = scene(AT)
        face = SquareFinder().find(frame)[0]
        swapper = FaceSwapper(painting(), to="bob", look=Look(colour=colour, mask="landmarks"))
        shown = swapper.swap([frame], [[Wanted(face, None)]])[0]
        # Grey that takes the mean of a green square is that green.
        assert (shown[:, MIDDLE[0], MIDDLE[1]].int() - torch.tensor(GREEN)).abs().max() <= 3

    def test_each_face_is_shown_as_what_it_is_known_to_be(self):
        frame = scene((5, 30), (100, 30))
        faces = SquareFinder().find(frame)
        swapper = FaceSwapper(painting(), to="bob", look=BARE)
        shown = swapper.swap([frame], [[Wanted(faces[0], "anna"), Wanted(faces[1], None)]])[0]
        assert is_swapped(shown, 50, 25)
        assert is_swapped(shown, 50, 120)

    def test_a_larger_mask_reaches_further_and_a_feathered_one_fades(self):
        frame = scene(AT)
        face = SquareFinder().find(frame)[0]

        def changed(**look):
            swapper = FaceSwapper(painting(), to="bob", look=Look(colour="none", mask="landmarks", **look))
            return int((swapper.swap([frame], [[Wanted(face, None)]])[0] != frame).any(0).sum())

        assert changed(erode=-0.1, feather=0.0) > changed(erode=0.0, feather=0.0) > changed(erode=0.1, feather=0.0) > 0

    @pytest.mark.parametrize(
        "wrong",
        [{"mask": "hull"}, {"colour": "rct"}, {"erode": 0.6}, {"feather": -0.1}, {"sharpen": -1}, {"denoise": True}],
    )
    def test_a_look_that_cannot_be_is_refused(self, wrong):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            Look(**wrong)

    def test_the_template_is_the_models_own_unless_another_is_given(self):
        model = painting()
        assert FaceSwapper(model, to="bob").template is TEMPLATES["condswap"]
        model.template = TEMPLATES["ffhq"]
        assert FaceSwapper(model, to="bob").template is TEMPLATES["ffhq"]
        own = Template("own", TEMPLATES["arcface"].points)
        assert FaceSwapper(model, to="bob", template=own).template is own

    def test_a_class_that_is_not_there_is_refused(self):
        with pytest.raises(DataError, match="'nobody'"):
            FaceSwapper(painting(), to="nobody")
        with pytest.raises(DataError, match="'nobody'"):
            swapping(source="nobody")


class TestPicture:
    @pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
    def test_a_picture_is_swapped_and_marked(self, tmp_path, suffix):
        given = saved(tmp_path / "in.png", scene(AT))
        out = tmp_path / f"out{suffix}"
        with swapping() as one:
            assert one.swap(given, out).files == [out]
        assert is_swapped(pixels(out), within=0 if suffix == ".png" else 6)
        mark = read_mark(out)
        assert mark["digital_source_type"] == DIGITAL_SOURCE_TYPE
        assert mark["model_id"] == model_id(painting().state_dict())
        if suffix == ".png":
            assert torch.equal(pixels(out)[:, :20], scene(AT)[:, :20])

    def test_transparency_and_the_profile_of_the_colours_stay(self, tmp_path):
        from PIL import ImageCms

        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        alpha = torch.full((1, HEIGHT, WIDTH), 200, dtype=torch.uint8)
        saved(tmp_path / "in.png", torch.cat((scene(AT), alpha)), icc_profile=profile)
        with swapping() as one:
            one.swap(tmp_path / "in.png", tmp_path / "out.png")
        shown = Image.open(tmp_path / "out.png")
        assert shown.mode == "RGBA"
        assert set(np.asarray(shown)[..., 3].flatten()) == {200}
        assert shown.info["icc_profile"] == profile

    def test_a_photo_that_lies_on_its_side_comes_out_upright(self, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = 6  # has to be turned a quarter to the right
        turned = scene(AT).rot90(1, (1, 2)).contiguous()
        saved(tmp_path / "in.jpg", turned, exif=exif, quality=98, subsampling=0)
        with swapping() as one:
            one.swap(tmp_path / "in.jpg", tmp_path / "out.png")
        assert is_swapped(pixels(tmp_path / "out.png"))
        assert pixels(tmp_path / "out.png").shape == (3, HEIGHT, WIDTH)

    def test_sixteen_bits_and_cmyk_are_read(self, tmp_path):
        Image.fromarray(scene(AT).permute(1, 2, 0).numpy()).convert("CMYK").save(tmp_path / "in.jpg", quality=98)
        with swapping() as one:
            one.swap(tmp_path / "in.jpg", tmp_path / "out.jpg")
        assert is_swapped(pixels(tmp_path / "out.jpg"), within=4)
        Image.fromarray(np.full((HEIGHT, WIDTH), 40000, dtype=np.uint16)).save(tmp_path / "deep.png")
        with swapping() as one, pytest.raises(DataError, match=r"no face .*deep\.png"):
            one.swap(tmp_path / "deep.png", tmp_path / "deep_out.png")

    def test_without_a_face_nothing_is_written_and_what_was_there_stays(self, tmp_path):
        saved(tmp_path / "in.png", scene())
        (tmp_path / "out.png").write_bytes(b"precious")
        with swapping() as one, pytest.raises(DataError, match=r"no face that was meant was found in .*in\.png"):
            one.swap(tmp_path / "in.png", tmp_path / "out.png")
        assert (tmp_path / "out.png").read_bytes() == b"precious"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["in.png", "out.png"]

    def test_a_picture_of_the_models_size_is_an_aligned_face(self, tmp_path):
        size = painting().image_shape[1]
        saved(tmp_path / "in.png", torch.zeros(3, size, size, dtype=torch.uint8))
        with swapping(finder=lambda: pytest.fail("looked for a face")) as one:
            one.swap(tmp_path / "in.png", tmp_path / "out.png")
        assert is_swapped(pixels(tmp_path / "out.png"), size // 2, size // 2)

    def test_a_picture_with_its_mask_beside_it_is_an_aligned_face(self, tmp_path):
        saved(tmp_path / "in.png", torch.zeros(3, 48, 48, dtype=torch.uint8))
        mask = np.zeros((48, 48), dtype=np.uint8)
        mask[12:36, 12:36] = 255
        Image.fromarray(mask).save(tmp_path / "in.mask.png")
        with swapping(finder=lambda: pytest.fail("looked for a face")) as one:
            one.swap(tmp_path / "in.png", tmp_path / "out.png")
            assert one.preview(tmp_path / "in.png", tmp_path / "out.png", tmp_path / "sheet.png") == 1
        shown = pixels(tmp_path / "out.png")
        assert shown.shape == (3, 48, 48)
        assert is_swapped(shown, 24, 24)
        assert not shown[:, :8].any()  # outside of the mask, to the softness of 16 pixels made 48
        assert not shown[:, :, 40:].any()

    def test_an_aligned_face_of_another_template_is_refused(self, tmp_path):
        saved(tmp_path / "in.png", torch.zeros(3, 48, 48, dtype=torch.uint8))
        Image.new("L", (48, 48), 255).save(tmp_path / "in.mask.png")
        (tmp_path / "in.json").write_text('{"template": "ffhq"}')
        with swapping(template=TEMPLATES["arcface"]) as one, pytest.raises(DataError, match="'arcface'.*'ffhq'"):
            one.swap(tmp_path / "in.png", tmp_path / "out.png")
        with swapping(template=TEMPLATES["ffhq"]) as one:
            one.swap(tmp_path / "in.png", tmp_path / "out.png")
        assert is_swapped(pixels(tmp_path / "out.png"), 24, 24)

    def test_a_mask_that_is_broken_is_named(self, tmp_path):
        saved(tmp_path / "in.png", torch.zeros(3, 48, 48, dtype=torch.uint8))
        (tmp_path / "in.mask.png").write_bytes(b"no mask")
        with swapping() as one, pytest.raises(DataError, match=r"in\.mask\.png"):
            one.swap(tmp_path / "in.png", tmp_path / "out.png")

    @pytest.mark.parametrize(
        ("only", "swapped"),
        [("all", (1, 1, 1)), ("left", (1, 0, 0)), ("centre", (0, 1, 0)), ("right", (0, 0, 1))],
    )
    def test_only_the_face_that_is_meant(self, tmp_path, only, swapped):
        saved(tmp_path / "in.png", scene((2, 30), (60, 30), (118, 30)))
        with swapping(only=only) as one:
            one.swap(tmp_path / "in.png", tmp_path / "out.png")
        shown = pixels(tmp_path / "out.png")
        assert tuple(int(is_swapped(shown, 50, column)) for column in (22, 80, 138)) == swapped

    def test_a_person_is_told_by_a_picture(self, tmp_path):
        # The identity is the brightness: the face in the dark is another person.
        frame = scene((2, 30), (100, 30))
        frame[0, 30 : 30 + SIDE, 100 : 100 + SIDE] = 90
        saved(tmp_path / "in.png", frame)
        saved(tmp_path / "who.png", scene((60, 20)))
        red = lambda faces: torch.stack((faces[:, 0].mean((1, 2)) - 0.2, faces[:, 0].mean((1, 2)) * 0 + 0.05), 1)  # noqa: E731
        with swapping(only=tmp_path / "who.png", identity=red) as one:
            one.swap(tmp_path / "in.png", tmp_path / "out.png")
        shown = pixels(tmp_path / "out.png")
        assert (is_swapped(shown, 50, 22), is_swapped(shown, 50, 120)) == (True, False)

    def test_a_person_without_an_identity_network_is_refused_with_the_cure(self, tmp_path):
        with pytest.raises(ConfigError, match="--identity"):
            swapping(only=tmp_path / "who.png")

    @pytest.mark.parametrize(
        ("out", "error", "message"),
        [
            ("out.gif", ConfigError, "is a picture"),
            ("out.mp4", ConfigError, "is a picture"),
            ("in.png", ConfigError, "write to another place"),
            ("nowhere/out.png", DataError, "no folder"),
        ],
    )
    def test_a_name_that_does_not_suit_is_refused_before_the_work(self, tmp_path, out, error, message):
        saved(tmp_path / "in.png", scene(AT))
        with swapping(finder=lambda: pytest.fail("looked for a face")) as one, pytest.raises(error, match=message):
            one.swap(tmp_path / "in.png", tmp_path / out)


class TestFolder:
    def test_all_that_lies_in_a_folder(self, tmp_path):
        folder = tmp_path / "in"
        folder.mkdir()
        saved(folder / "a.png", scene(AT))
        saved(folder / "empty.png", scene())
        (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
        Image.new("RGB", (1, 1)).save(folder / "dot.png")
        write_video(folder / "clip.mp4", [scene(AT, shade=shade) for shade in range(5)])
        (folder / "notes.txt").write_text("not for us")
        with swapping() as one:
            made = one.swap(folder, tmp_path / "out")
        assert [path.name for path in made.files] == ["a.png", "clip.mp4"]
        assert [path.name for path in made.untouched] == ["dot.png", "empty.png"]
        assert [path.name for path, _ in made.unreadable] == ["broken.jpg"]
        assert (tmp_path / "out" / "empty.png").read_bytes() == (folder / "empty.png").read_bytes()
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
            "a.png",
            "clip.mp4",
            "dot.png",
            "empty.png",
        ]
        assert read_mark(tmp_path / "out" / "empty.png") is None

    def test_a_folder_that_was_stopped_goes_on_behind_what_is_done(self, tmp_path):
        folder = tmp_path / "in"
        folder.mkdir()
        for number in range(6):
            saved(folder / f"{number}.png", scene(AT, shade=number) if number != 1 else scene())
        with swapping(finder=lambda: SquareFinder(stop_at=4)) as one, pytest.raises(KeyboardInterrupt):
            one.swap(folder, tmp_path / "out")
        finder = SquareFinder()
        with swapping(finder=lambda: finder) as one:
            made = one.swap(folder, tmp_path / "out")
        assert finder.calls == 2
        assert [path.name for path in made.files] == ["0.png", "2.png", "3.png", "4.png", "5.png"]
        assert [path.name for path in made.untouched] == ["1.png"]
        assert not list((tmp_path / "out").glob(".condswap-*"))
        finder = SquareFinder()
        with swapping(finder=lambda: finder) as one:  # all of it was done, and is done anew
            one.swap(folder, tmp_path / "out")
        assert finder.calls == 6

    def test_what_was_done_with_other_settings_is_done_again(self, tmp_path):
        folder = tmp_path / "in"
        folder.mkdir()
        for number in range(3):
            saved(folder / f"{number}.png", scene(AT, shade=number))
        with swapping(to="anna", finder=lambda: SquareFinder(stop_at=2)) as one, pytest.raises(KeyboardInterrupt):
            one.swap(folder, tmp_path / "out")
        with swapping() as one:
            one.swap(folder, tmp_path / "out")
        assert all(is_swapped(pixels(tmp_path / "out" / f"{number}.png")) for number in range(3))

    def test_a_folder_without_a_face_is_an_error(self, tmp_path):
        (tmp_path / "in").mkdir()
        saved(tmp_path / "in" / "a.png", scene())
        with swapping() as one, pytest.raises(DataError, match="no face"):
            one.swap(tmp_path / "in", tmp_path / "out")

    def test_into_itself_is_refused(self, tmp_path):
        saved(tmp_path / "a.png", scene(AT))
        with swapping() as one, pytest.raises(ConfigError, match="another place"):
            one.swap(tmp_path, tmp_path)


def moving(count: int = 30) -> list[torch.Tensor]:
    """Frames in which the face walks to the right, and is not there in the last five."""
    return [
        scene((20 + 2 * number, 30), shade=number) if number < count - 5 else scene(shade=number)
        for number in range(count)
    ]


class TestVideo:
    def test_faces_are_swapped_and_all_the_rest_stays(self, tmp_path):
        given = write_video(tmp_path / "in.mp4", moving())
        out = tmp_path / "out.mp4"
        with swapping() as one:
            one.swap(given, out)
        before, after = read_video(given), read_video(out)
        assert len(after) == len(before) == 30
        for number, (old, new) in enumerate(zip(before, after, strict=True)):
            assert is_swapped(new, 50, 20 + 2 * number + SIDE // 2, within=6) is (number < 25)
            assert (new[:, :, :16].int() - old[:, :, :16].int()).abs().float().mean() < 2
        assert sound_of(out) == sound_of(given)
        assert verify(out).synthetic
        assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]

    def test_a_face_that_is_missed_for_a_moment_is_swapped_all_the_same(self, tmp_path):
        frames = moving()
        finder = SquareFinder()
        find = finder.detect
        finder.detect = lambda frame: (
            [] if finder.calls in (10, 11, 12) and not setattr(finder, "calls", finder.calls + 1) else find(frame)
        )
        given = write_video(tmp_path / "in.mp4", frames)
        with swapping(finder=lambda: finder) as one:
            one.swap(given, tmp_path / "out.mp4")
        shown = read_video(tmp_path / "out.mp4")
        assert all(is_swapped(shown[number], 50, 20 + 2 * number + SIDE // 2, within=6) for number in range(9, 14))

    @pytest.mark.parametrize("stop_at", [0, 3, 29])
    def test_a_search_that_was_stopped_goes_on(self, tmp_path, stop_at):
        given = write_video(tmp_path / "in.mp4", moving())
        with swapping(finder=lambda: SquareFinder(stop_at=stop_at)) as one, pytest.raises(KeyboardInterrupt):
            one.swap(given, tmp_path / "out.mp4")
        assert not (tmp_path / "out.mp4").exists()
        finder = SquareFinder()
        with swapping(finder=lambda: finder) as one:
            one.swap(given, tmp_path / "out.mp4")
        assert finder.calls == 30 - stop_at
        self._is_whole(given, tmp_path)

    def test_a_swap_that_was_stopped_goes_on_with_the_part_that_was_not_whole(self, tmp_path, monkeypatch):
        from condswap.pipeline import videos

        given = write_video(tmp_path / "in.mp4", moving())
        short = lambda *args, **kwargs: whole(*args, part_length=8, **kwargs)  # noqa: E731
        whole = videos.write_parts
        monkeypatch.setattr(videos, "write_parts", short)
        swap, seen = FaceSwapper.swap, []

        def stopped(self, frames, wanted):
            seen.append(len(frames))
            if sum(seen) > 20:
                raise KeyboardInterrupt
            return swap(self, frames, wanted)

        monkeypatch.setattr(FaceSwapper, "swap", stopped)
        with swapping() as one, pytest.raises(KeyboardInterrupt):
            one.swap(given, tmp_path / "out.mp4")
        assert not (tmp_path / "out.mp4").exists()
        seen.clear()
        monkeypatch.setattr(
            FaceSwapper, "swap", lambda self, frames, wanted: seen.append(len(frames)) or swap(self, frames, wanted)
        )
        with swapping(finder=lambda: SquareFinder(stop_at=0)) as one:  # what was found is remembered
            one.swap(given, tmp_path / "out.mp4")
        assert sum(seen) == 30 - 16
        self._is_whole(given, tmp_path)

    def test_parts_of_other_settings_are_not_used(self, tmp_path, monkeypatch):
        from condswap.pipeline import videos

        given = write_video(tmp_path / "in.mp4", moving())
        monkeypatch.setattr(videos, "join", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with swapping(to="anna") as one, pytest.raises(KeyboardInterrupt):
            one.swap(given, tmp_path / "out.mp4")
        monkeypatch.undo()
        with swapping() as one:
            one.swap(given, tmp_path / "out.mp4")
        self._is_whole(given, tmp_path)

    def _is_whole(self, given: Path, folder: Path) -> None:
        """The video is what an uninterrupted run makes."""
        with swapping() as one:
            one.swap(given, folder / "again.mp4")
        shown, again = read_video(folder / "out.mp4"), read_video(folder / "again.mp4")
        assert len(shown) == len(again) == 30
        # Other parts are other groups of pictures to the encoder, so not to the bit.
        assert (
            max(float((one.int() - other.int()).abs().float().mean()) for one, other in zip(shown, again, strict=True))
            < 1
        )
        assert sound_of(folder / "out.mp4") == sound_of(given)
        assert not list(folder.glob(".condswap-*"))

    def test_a_preview_shows_moments_and_keeps_what_was_found(self, tmp_path):
        given = write_video(tmp_path / "in.mp4", moving())
        with swapping() as one:
            assert one.preview(given, tmp_path / "out.mp4", tmp_path / "sheet.png") == 8
        assert verify(tmp_path / "sheet.png").synthetic
        assert not (tmp_path / "out.mp4").exists()
        with swapping(finder=lambda: SquareFinder(stop_at=0)) as one:
            one.swap(given, tmp_path / "out.mp4")
        assert not list(tmp_path.glob(".condswap-*"))

    def test_without_a_face_nothing_is_left_behind(self, tmp_path):
        given = write_video(tmp_path / "in.mp4", [scene(shade=number) for number in range(5)])
        with swapping() as one, pytest.raises(DataError, match=r"no face .*in\.mp4"):
            one.swap(given, tmp_path / "out.mp4")
        assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]

    def test_sound_alone_and_what_is_no_video_are_refused(self, tmp_path):
        with av.open(str(tmp_path / "sound.mp4"), "w") as container:
            tone = container.add_stream("aac", rate=16000)
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate = 16000
            for packet in (*tone.encode(frame), *tone.encode(None)):
                container.mux(packet)
        (tmp_path / "text.mp4").write_text("no video at all")
        for name in ("sound.mp4", "text.mp4"):
            with swapping() as one, pytest.raises(DataError, match=name):
                one.swap(tmp_path / name, tmp_path / "out.mp4")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["sound.mp4", "text.mp4"]

    def test_a_video_that_was_cut_off_is_swapped_as_far_as_it_goes_and_that_is_told(self, tmp_path):
        whole = write_video(tmp_path / "whole.mkv", moving(60), sound=False)
        given = tmp_path / "cut.mkv"
        given.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
        with swapping() as one:
            made = one.swap(given, tmp_path / "out.mp4")
        assert any("cut off" in told for told in made.lacking)
        assert 20 <= len(read_video(tmp_path / "out.mp4")) < 60

    def test_an_animated_gif_is_a_video(self, tmp_path):
        frames = [Image.fromarray(scene(AT, shade=shade).permute(1, 2, 0).contiguous().numpy()) for shade in range(4)]
        frames[0].save(tmp_path / "in.gif", save_all=True, append_images=frames[1:], duration=80)
        with swapping() as one:
            one.swap(tmp_path / "in.gif", tmp_path / "out.mp4")
        shown = read_video(tmp_path / "out.mp4")
        assert len(shown) == 4
        assert is_swapped(shown[0], within=6)

    def test_a_video_of_the_models_size_is_of_aligned_faces(self, tmp_path):
        size = painting().image_shape[1]
        given = write_video(tmp_path / "in.mp4", [torch.full((3, size, size), 40, dtype=torch.uint8)] * 6)
        with swapping(finder=lambda: pytest.fail("looked for a face")) as one:
            one.swap(given, tmp_path / "out.mp4")
        assert all(is_swapped(frame, size // 2, size // 2, within=6) for frame in read_video(tmp_path / "out.mp4"))

    def test_a_signature_that_fails_leaves_nothing_at_the_name(self, tmp_path):
        from condswap.pipeline import Signature

        given = write_video(tmp_path / "in.mp4", moving(12))
        (tmp_path / "key.pem").write_text("no key")
        signature = Signature(key=tmp_path / "key.pem", certificate=tmp_path / "key.pem")
        with swapping(signature=signature) as one, pytest.raises(ConfigError, match=r"key\.pem"):
            one.swap(given, tmp_path / "out.mp4")
        assert not (tmp_path / "out.mp4").exists()
