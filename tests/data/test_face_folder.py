"""FaceFolder: every item is known good, and whatever is left out is listed with the reason."""

import io
import pickle
import shutil
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image as Pillow
from toy_folder import make_faces

from condswap.data.clips import find_clips
from condswap.data.face_folder import FaceFolder
from condswap.errors import ConfigError, DataError

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared"


def flat(path: Path, colour: object = (255, 0, 0), *, size: int | tuple[int, int] = 32, mode: str = "RGB") -> Path:
    """Write a picture of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (size, size) if isinstance(size, int) else size
    Pillow.new(mode, shape, colour).save(path)  # type: ignore[arg-type]
    return path


def red_of(data: FaceFolder) -> list[int]:
    """Give the red value of each picture's first pixel, which the tests use as its number."""
    return [round(data[index]["image"][0, 0, 0].item() * 255) for index in range(len(data))]


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Two people: bo with one picture, ada with three; the red value is the number of the picture."""
    root = tmp_path / "faces"
    flat(root / "bo" / "x.png", (40, 0, 0))
    for number, name in ((30, "c.webp.png"), (10, "a.png"), (20, "b.png")):
        flat(root / "ada" / name, (number, 0, 0))
    return root


def test_people_in_several_places_are_those_of_one_folder(tmp_path):
    make_faces(tmp_path / "faces")
    together = FaceFolder(tmp_path / "faces", image_size=16, classes=["trump", "biden"])
    (tmp_path / "one" / "data_src").mkdir(parents=True)
    (tmp_path / "faces" / "trump").rename(tmp_path / "one" / "data_src" / "aligned")
    apart = FaceFolder(
        {"trump": tmp_path / "one" / "data_src", "biden": str(tmp_path / "faces" / "biden")}, image_size=16
    )
    assert (apart.classes, apart.labels) == (together.classes, together.labels)
    assert [clip.indices for clip in apart.clips()] == [clip.indices for clip in together.clips()]
    assert all(torch.equal(apart[index]["image"], together[index]["image"]) for index in range(len(together)))
    assert all(torch.equal(apart[index]["mask"], together[index]["mask"]) for index in range(len(together)))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "names nobody"),
        ({"ada": "nowhere"}, "nowhere, the folder of 'ada', does not exist"),
        ({"ada": "one"}, "one is a whole workspace; say who of it 'ada' is: one/data_src"),
        ({"ada": "one/data_src", "bo": "empty"}, "class 'bo' in one/data_src, empty has no picture that can be used"),
    ],
)
def test_places_of_which_one_is_none_are_refused(given, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flat(tmp_path / "one" / "data_src" / "aligned" / "a.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises((ConfigError, DataError), match=words):
        FaceFolder(given, image_size=16)


def test_classes_are_chosen_from_one_folder_alone(tmp_path):
    flat(tmp_path / "ada" / "a.png")
    with pytest.raises(ConfigError, match="classes= chooses from one folder"):
        FaceFolder({"ada": tmp_path / "ada"}, image_size=16, classes=["ada"])


def test_some_people_among_others_keep_their_pictures_and_get_their_numbers(tmp_path):
    make_faces(tmp_path / "faces")
    trump = FaceFolder(tmp_path / "faces", image_size=16, classes=["trump"])
    data = trump.among(["ann", "biden", "trump"])
    assert (data.classes, data.labels, trump.labels) == (("ann", "biden", "trump"), [2] * 6, [0] * 6)
    assert data[3]["label"] == 2
    assert torch.equal(data[3]["image"], trump[3]["image"])
    assert data.batch([0, 1])["label"].tolist() == [2, 2]
    assert {clip.label for clip in data.clips()} == {2}
    with pytest.raises(DataError, match="'trump' is none of the classes 'ann', 'bob'"):
        trump.among(["ann", "bob"])


def test_classes_are_the_sorted_folders_and_items_follow_by_name(faces: Path) -> None:
    data = FaceFolder(faces, image_size=16)
    assert data.classes == ("ada", "bo")
    assert len(data) == 4
    assert data.labels == [0, 0, 0, 1]
    assert red_of(data) == [10, 20, 30, 40]
    assert [path.name for path in data.paths] == ["a.png", "b.png", "c.webp.png", "x.png"]
    assert data.unreadable == ()


def test_an_item_is_as_every_dataset_gives_it(faces: Path) -> None:
    item = FaceFolder(str(faces), image_size=16)[3]
    assert set(item) == {"image", "mask", "label"}
    assert (item["image"].shape, item["image"].dtype) == ((3, 16, 16), torch.float32)
    assert (item["mask"].shape, item["mask"].dtype) == ((1, 16, 16), torch.float32)
    assert item["label"] == 1
    assert type(item["label"]) is int
    assert torch.allclose(item["image"][:, 5, 5], torch.tensor([40 / 255, 0, 0]))


def test_items_can_be_changed_without_changing_the_folder(faces: Path) -> None:
    data = FaceFolder(faces, image_size=16)
    data[0]["image"].zero_()
    data[0]["mask"].zero_()
    assert red_of(data)[0] == 10
    assert data[0]["mask"].min() == 1


def test_indices_count_from_both_ends_and_stop_there(faces: Path) -> None:
    data = FaceFolder(faces, image_size=16)
    assert torch.equal(data[-1]["image"], data[3]["image"])
    assert data[torch.tensor(2)]["label"] == 0  # type: ignore[index]
    for index in (4, -5):
        with pytest.raises(IndexError, match="from 0 to 3"):
            data[index]
    assert sum(1 for _ in data) == 4


def test_classes_can_be_chosen_and_ordered(faces: Path) -> None:
    flat(faces / "cy" / "y.png", (50, 0, 0))
    data = FaceFolder(faces, image_size=16, classes=["cy", "ada"])
    assert data.classes == ("cy", "ada")
    assert data.labels == [0, 1, 1, 1]
    assert red_of(data) == [50, 10, 20, 30]
    with pytest.raises(DataError, match="no class 'eve'; its classes are ada, bo, cy"):
        FaceFolder(faces, image_size=16, classes=["ada", "eve"])
    for wrong in ("ada", [], ["ada", "ada"]):
        with pytest.raises(ConfigError, match="list of different names"):
            FaceFolder(faces, image_size=16, classes=wrong)


def test_suffixes_of_any_case_count_and_hidden_files_do_not(tmp_path: Path) -> None:
    for name in ("a.JPG", "b.Jpeg", "c.PNG", "d.webp", ".hidden.png", "._d.webp"):
        flat(tmp_path / "ada" / name)
    (tmp_path / "ada" / "notes.txt").write_text("none of ours")
    (tmp_path / ".cache").mkdir()
    (tmp_path / "ada" / "more.png").mkdir()
    data = FaceFolder(tmp_path, image_size=16)
    assert [path.name for path in data.paths] == ["a.JPG", "b.Jpeg", "c.PNG", "d.webp"]
    assert data.unreadable == ()


def test_the_mask_file_beside_the_picture_is_its_mask(tmp_path: Path) -> None:
    flat(tmp_path / "ada" / "a.0001.jpg")
    mask = Pillow.new("L", (32, 32), 0)
    mask.paste(255, (16, 0, 32, 32))
    mask.save(tmp_path / "ada" / "a.0001.MASK.png")
    data = FaceFolder(tmp_path, image_size=32)
    assert len(data) == 1
    assert data[0]["mask"][0, :, :16].max() == 0
    assert data[0]["mask"][0, :, 16:].min() == 1
    assert data.without_mask == []


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "I;16"])
def test_a_mask_of_any_mode_is_read(tmp_path: Path, mode: str) -> None:
    flat(tmp_path / "ada" / "a.png")
    grey = Pillow.new("L", (32, 32), 0)
    grey.paste(255, (0, 0, 32, 8))
    if mode == "I;16":
        mask = Pillow.new("I;16", (32, 32), 0)
        mask.paste(65535, (0, 0, 32, 8))
    else:
        mask = grey.convert(mode)
    mask.save(tmp_path / "ada" / "a.mask.png")
    item = FaceFolder(tmp_path, image_size=32)[0]
    assert item["mask"].sum() == 32 * 8
    assert item["mask"][0, :8].min() == 1


def test_what_is_transparent_in_a_mask_is_not_face(tmp_path: Path) -> None:
    flat(tmp_path / "ada" / "a.png")
    mask = Pillow.new("RGBA", (32, 32), (255, 255, 255, 0))
    mask.paste((255, 255, 255, 255), (0, 0, 32, 8))
    mask.save(tmp_path / "ada" / "a.mask.png")
    assert FaceFolder(tmp_path, image_size=32)[0]["mask"].sum() == 32 * 8


@pytest.mark.parametrize("name", ["a.png", "a.webp"])
def test_the_alpha_channel_is_the_mask_and_the_colours_under_it_stay(tmp_path: Path, name: str) -> None:
    picture = Pillow.new("RGBA", (64, 64), (200, 100, 50, 0))
    picture.paste((200, 100, 50, 255), (0, 0, 64, 32))
    (tmp_path / "ada").mkdir()
    picture.save(tmp_path / "ada" / name, lossless=True, exact=True)
    for image_size in (64, 32):
        data = FaceFolder(tmp_path, image_size=image_size)
        item = data[0]
        assert item["mask"][0, : image_size // 2 - 1].min() == 1
        assert item["mask"][0, image_size // 2 + 1 :].max() == 0
        # Also where it is transparent.
        assert torch.allclose(
            item["image"], (torch.tensor([200, 100, 50]) / 255)[:, None, None].expand_as(item["image"])
        )
        assert data.without_mask == []


def test_a_mask_file_goes_before_the_alpha_channel(tmp_path: Path) -> None:
    flat(tmp_path / "ada" / "a.png", (1, 2, 3, 128), mode="RGBA")
    flat(tmp_path / "ada" / "a.mask.png", 255, mode="L")
    assert FaceFolder(tmp_path, image_size=32)[0]["mask"].min() == 1


def test_pictures_without_a_mask_are_all_face_and_listed(tmp_path: Path) -> None:
    bare = flat(tmp_path / "ada" / "a.jpg")
    opaque = flat(tmp_path / "ada" / "b.png", (9, 9, 9, 255), mode="RGBA")
    flat(tmp_path / "ada" / "c.jpg")
    flat(tmp_path / "ada" / "c.mask.png", 255, mode="L")
    data = FaceFolder(tmp_path, image_size=16)
    assert len(data) == 3
    assert all(item["mask"].min() == 1 for item in (data[0], data[1], data[2]))
    assert data.without_mask == [bare, opaque]


def test_a_mask_of_another_size_is_resized(tmp_path: Path) -> None:
    flat(tmp_path / "ada" / "a.png", size=64)
    mask = Pillow.new("L", (128, 128), 0)
    mask.paste(255, (0, 0, 128, 64))
    mask.save(tmp_path / "ada" / "a.mask.png")
    item = FaceFolder(tmp_path, image_size=32)[0]
    assert item["mask"][0, :15].min() == 1
    assert item["mask"][0, 17:].max() == 0


def test_the_orientation_of_the_camera_is_applied(tmp_path: Path) -> None:
    picture = Pillow.new("RGB", (32, 32), (0, 0, 0))
    picture.paste((255, 255, 255), (0, 0, 16, 32))
    exif = Pillow.Exif()
    exif[0x0112] = 6  # the stored left side is the top of the scene
    (tmp_path / "ada").mkdir()
    picture.save(tmp_path / "ada" / "a.jpg", exif=exif, quality=95)
    image = FaceFolder(tmp_path, image_size=32)[0]["image"]
    assert image[:, :15].min() > 0.9
    assert image[:, 17:].max() < 0.1


def test_unusable_pictures_are_left_out_and_listed_with_the_reason(faces: Path) -> None:
    ada = faces / "ada"
    whole = io.BytesIO()
    Pillow.effect_noise((64, 64), 80).save(whole, "JPEG")
    (ada / "broken.jpg").write_bytes(whole.getvalue()[:-500])
    (ada / "empty.png").touch()
    (ada / "text.png").write_text("not a picture")
    flat(ada / "wide.png", size=(64, 48))
    flat(ada / "nothing.png")
    flat(ada / "nothing.mask.png", 0, mode="L")
    flat(ada / "tall.png", size=64)
    flat(ada / "tall.mask.png", 255, mode="L", size=(32, 64))
    flat(ada / "torn.png")
    (ada / "torn.mask.png").write_bytes(b"\x89PNG")
    flat(ada / "old.bmp")
    flat(ada / "lost.mask.png", 255, mode="L")
    (ada / "gone.png").symlink_to(ada / "nowhere.png")
    flat(ada / "clear.png", (5, 5, 5, 0), mode="RGBA")
    data = FaceFolder(faces, image_size=16)
    assert red_of(data) == [10, 20, 30, 40]
    reasons = {path.name: reason for path, reason in data.unreadable}
    assert [path for path, _ in data.unreadable] == sorted(path for path, _ in data.unreadable)
    assert "truncated" in reasons.pop("broken.jpg")
    assert reasons.pop("empty.png") == "the file is empty"
    assert reasons.pop("text.png").startswith("not a JPEG, PNG or WebP picture")
    assert reasons.pop("wide.png") == "64x48 is not square; crop faces square first"
    assert reasons.pop("nothing.png").startswith("its mask is empty")
    assert reasons.pop("clear.png").startswith("its mask is empty")
    assert reasons.pop("tall.png").startswith("its mask tall.mask.png: 32x64 is not square")
    assert reasons.pop("torn.png").startswith("its mask torn.mask.png: not a JPEG, PNG")
    assert reasons.pop("old.bmp") == ".bmp is not read here; convert it to JPEG, PNG or WebP"
    assert reasons.pop("lost.mask.png") == "a mask without its picture"
    assert reasons.pop("gone.png") == "No such file or directory"
    assert reasons == {}


def test_a_decompression_bomb_is_listed(faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in (("over.png", 50), ("twice.png", 80)):
        flat(faces / "ada" / name, size=size)
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 2000)
    data = FaceFolder(faces, image_size=16)
    assert [path.name for path, _ in data.unreadable] == ["over.png", "twice.png"]
    assert all("limit" in reason for _, reason in data.unreadable)
    assert len(data) == 4


def test_a_folder_in_which_nothing_can_be_read_is_an_error_with_the_reasons(tmp_path: Path) -> None:
    (tmp_path / "ada").mkdir()
    for number in range(5):
        (tmp_path / "ada" / f"{number}.png").write_text("no")
    with pytest.raises(DataError, match=r"(?s)no picture that can be used.*0\.png: not a JPEG.*2\.png.*and 2 more"):
        FaceFolder(tmp_path, image_size=16)


def test_a_class_without_a_usable_picture_is_named(faces: Path) -> None:
    (faces / "eve").mkdir()
    with pytest.raises(DataError, match=r"class 'eve' in .* has no picture .*remove the folder"):
        FaceFolder(faces, image_size=16)
    (faces / "eve" / "a.png").write_text("no")
    with pytest.raises(DataError, match=r"class 'eve' .*\n  .*a\.png: not a JPEG"):
        FaceFolder(faces, image_size=16)
    assert len(FaceFolder(faces, image_size=16, classes=["ada", "bo"])) == 4


def test_a_root_without_classes_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        FaceFolder(tmp_path / "none", image_size=16)
    with pytest.raises(DataError, match="has no folder of pictures; make one per class"):
        FaceFolder(tmp_path, image_size=16)
    flat(tmp_path / "a.png")
    with pytest.raises(DataError, match="1 picture files but no folder per class; move them"):
        FaceFolder(tmp_path, image_size=16)
    with pytest.raises(DataError, match="is a file"):
        FaceFolder(tmp_path / "a.png", image_size=16)


def test_wrong_numbers_are_refused(faces: Path) -> None:
    for size in (15, 0, -64, 64.0, True, "64"):
        with pytest.raises(ConfigError, match="image_size="):
            FaceFolder(faces, image_size=size)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="cache=-1"):
        FaceFolder(faces, image_size=16, cache=-1)


@pytest.mark.parametrize("cache", [0, 2 * 4 * 16 * 16, 2**30])
def test_the_cache_changes_nothing_but_the_reading(faces: Path, cache: int) -> None:
    (faces / "ada" / "aa.png").write_text("no")  # a hole among the cached ones
    data = FaceFolder(faces, image_size=16, cache=cache)
    assert red_of(data) == [10, 20, 30, 40]
    shutil.rmtree(faces)
    # Two pictures' worth of bytes hold the first two that can be used.
    kept = {0: 0, 2 * 4 * 16 * 16: 2, 2**30: 4}[cache]
    for index in range(kept):
        assert data[index]["image"].shape == (3, 16, 16)
    for index in range(kept, 4):
        with pytest.raises(DataError, match=r"cannot use .* any more: No such file"):
            data[index]


def test_the_end_of_a_class_that_is_one_stretch_is_held_back(tmp_path: Path) -> None:
    for number in range(20):
        flat(tmp_path / "ada" / f"{number:03d}.png", (number, 0, 0))
    for number in range(100, 104):
        flat(tmp_path / "bo" / f"{number:03d}.png", (number, 0, 0))
    data = FaceFolder(tmp_path, image_size=16)
    train, held = data.split()
    # 15% of 20 are 3; 15% of 4 are 0.6, rounded to 1.
    assert red_of(train) == [*range(17), 100, 101, 102]
    assert red_of(held) == [17, 18, 19, 103]
    assert held.labels == [0, 0, 0, 1]
    assert [path.name for path in held.paths] == ["017.png", "018.png", "019.png", "103.png"]
    assert train.classes == held.classes == ("ada", "bo")
    assert len(held.without_mask) == 4
    assert len(data) == 24
    halves = data.split(held_back=0.5)
    assert [len(half) for half in halves] == [12, 12]
    assert [len(half) for half in data.split(held_back=0.99)] == [2, 22]


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    """Two people, ada in three clips of 20, 10 and 8 frames, bo in one of 12; the red value numbers the frames."""
    lights = [0] * 20 + [100] * 10 + [200] * 8
    for number, light in enumerate(lights):
        flat(tmp_path / "ada" / f"{number:03d}.png", (number, light, light))
    for number in range(60, 72):
        flat(tmp_path / "bo" / f"{number:03d}.png", (number, 0, 0))
    return tmp_path


def test_the_end_of_every_clip_is_held_back(footage: Path) -> None:
    train, held = FaceFolder(footage, image_size=16).split()
    # 15% of 20, 10, 8 and 12 are 3, 1.5, 1.2 and 1.8.
    assert red_of(held) == [17, 18, 19, 28, 29, 37, 70, 71]
    assert red_of(train) == [*range(17), *range(20, 28), *range(30, 37), *range(60, 70)]
    assert held.labels == [0] * 6 + [1] * 2


def test_both_parts_of_a_split_remember_their_clips(footage: Path) -> None:
    data = FaceFolder(footage, image_size=16)
    train, held = data.split()
    # By its own pictures the held-back part has no stretch that is long enough for a clip.
    assert find_clips(held) == [(0, (0, 1, 2)), (0, (3, 4)), (0, (5,)), (1, (6, 7))]
    assert [len(clip.indices) for clip in find_clips(train)] == [17, 8, 7, 10]
    assert find_clips(pickle.loads(pickle.dumps(held))) == find_clips(held)  # noqa: S301
    assert [len(clip.indices) for clip in find_clips(held, cut=0.9)] == [6, 2]
    # A part of a part, of which no clip is lost either: a single frame stays where it can be trained on.
    first, second = held.split(held_back=0.4)
    assert (red_of(first), red_of(second)) == ([17, 18, 28, 37, 70], [19, 29, 71])
    assert [len(clip.indices) for clip in find_clips(first)] == [2, 1, 1, 1]


def test_every_clip_keeps_a_picture_on_both_sides(footage: Path) -> None:
    data = FaceFolder(footage, image_size=16)
    for share, most in ((0.01, [19, 9, 7, 11]), (0.99, [1, 1, 1, 1])):
        train, held = data.split(held_back=share)
        assert [len(clip.indices) for clip in find_clips(train)] == most
        assert [len(clip.indices) for clip in find_clips(held)] == [
            20 - most[0],
            10 - most[1],
            8 - most[2],
            12 - most[3],
        ]


def test_a_split_reads_nothing_again(faces: Path) -> None:
    flat(faces / "bo" / "y.png", (60, 0, 0))
    data = FaceFolder(faces, image_size=16)
    shutil.rmtree(faces)
    train, held = data.split(held_back=0.3)
    assert (red_of(train), red_of(held)) == ([10, 20, 40], [30, 60])


def test_a_split_that_cannot_be_is_refused(faces: Path) -> None:
    data = FaceFolder(faces, image_size=16)
    with pytest.raises(DataError, match="class 'bo' has no clip of at least 2 pictures to split, of 1 in all"):
        data.split()
    with pytest.raises(DataError, match="class 'bo' has no clip of at least 2 pictures to split, of 1 in all"):
        FaceFolder(faces, image_size=16, classes=["bo", "ada"]).split()
    for share in (0, 1, -0.1, 15):
        with pytest.raises(ConfigError, match="held_back="):
            data.split(held_back=share)


def test_a_folder_travels_to_a_worker_process(faces: Path) -> None:
    data = pickle.loads(pickle.dumps(FaceFolder(faces, image_size=16)))
    assert red_of(data) == [10, 20, 30, 40]
    assert data.classes == ("ada", "bo")


def test_torch_loads_it_in_batches(faces: Path) -> None:
    loader = torch.utils.data.DataLoader(FaceFolder(faces, image_size=16), batch_size=4)
    batch = next(iter(loader))
    assert batch["image"].shape == (4, 3, 16, 16)
    assert batch["mask"].shape == (4, 1, 16, 16)
    assert batch["label"].tolist() == [0, 0, 0, 1]


def test_without_pillow_the_extra_is_named(faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ConfigError, match=r'pip install "condswap\[data\]"'):
        FaceFolder(faces, image_size=16)


def test_real_faces_are_read() -> None:
    root = SHARED / "faces"
    if not root.is_dir():
        pytest.skip("the real faces are not on this machine")
    data = FaceFolder(root, image_size=64, classes=["trump", "biden"])
    assert data.classes == ("trump", "biden")
    assert data.unreadable == ()
    assert data.without_mask == []
    # One item checked against the files, by other means: the mean of the whole picture and of its mask.
    index = data.labels.index(1)
    path = data.paths[index]
    assert path.name == "biden_0000.jpg"
    with Pillow.open(path) as picture, Pillow.open(path.with_name("biden_0000.mask.png")) as mask:
        colours = torch.tensor(picture.resize((1, 1), Pillow.Resampling.BOX).getpixel((0, 0))) / 255
        covered = torch.tensor(list(mask.convert("L").tobytes())).float().mean() / 255
    assert torch.allclose(data[index]["image"].mean(dim=(1, 2)), colours, atol=0.01)
    assert torch.allclose(data[index]["mask"].mean(), covered, atol=0.01)
