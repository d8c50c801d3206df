"""The doctor: each thing that can be wrong is planted, found, named, and nothing is found where nothing is wrong."""

import json
import os
from pathlib import Path

import pytest
import torch
from PIL import Image as Pillow
from PIL import ImageFilter
from torch.nn import functional as F

from condswap import DataError, ToyFaces
from condswap.cli import main
from condswap.data.doctor import examine
from condswap.data.doctor.measures import measure, miniature

EACH = 104


@pytest.fixture(scope="module")
def toys():
    return ToyFaces(classes=2, image_size=64, seed=0, length=2 * EACH)


def write(toys, folder: Path) -> Path:
    for index in range(len(toys)):
        item = toys[index]
        place = folder / toys.classes[item["label"]]
        place.mkdir(parents=True, exist_ok=True)
        save(item["image"], place / f"{index:04}.png")
        save(item["mask"], place / f"{index:04}.mask.png")
    return folder


def save(image: torch.Tensor, path: Path) -> None:
    pixels = (image * 255).round().byte()
    Pillow.fromarray(pixels.permute(1, 2, 0).numpy() if len(pixels) == 3 else pixels[0].numpy()).save(path)


@pytest.fixture
def faces(toys, tmp_path):
    return write(toys, tmp_path / "faces")


def first(faces: Path) -> Path:
    return faces / "person-0" / "0000.png"


def found(faces: Path, kind: str, **options):
    return [one for one in examine(faces, **options).findings if one.kind == kind]


def test_nothing_is_found_where_nothing_is_wrong(faces):
    diagnosis = examine(faces)
    assert diagnosis.findings == []
    assert diagnosis.can_train
    assert [(one.name, one.pictures, one.smallest) for one in diagnosis.people] == [
        ("person-0", EACH, 64),
        ("person-1", EACH, 64),
    ]
    assert all(sum(one.turns.values()) == EACH for one in diagnosis.people)
    assert "Nothing is wrong with these faces." in diagnosis.to_text()


def test_files_that_cannot_be_read_are_told_with_their_reason(faces):
    (faces / "person-0" / "x.png").write_bytes(b"no")
    (one,) = found(faces, "unreadable")
    assert one.severity == "warning"
    assert [path.name for path in one.pictures] == ["x.png"]
    assert "x.png: not a JPEG, PNG or WebP" in one.told


def test_copies_are_told_from_near_copies(faces):
    path = first(faces)
    (path.parent / "y.png").write_bytes(path.read_bytes())
    (path.parent / "y.mask.png").write_bytes(path.with_name("0000.mask.png").read_bytes())
    Pillow.open(path).save(path.parent / "z.jpg", quality=90)
    Pillow.open(path.with_name("0000.mask.png")).save(path.parent / "z.mask.png")
    (exact,) = found(faces, "copies")
    assert [one.name for one in exact.pictures] == ["y.png"]
    (near,) = found(faces, "near copies")
    assert [one.name for one in near.pictures] == ["z.jpg"]
    assert near.severity == "note"


def test_a_picture_in_two_folders(faces):
    path = first(faces)
    Pillow.open(path).save(faces / "person-1" / "y.jpg", quality=90)
    Pillow.open(path.with_name("0000.mask.png")).save(faces / "person-1" / "y.mask.png")
    (one,) = found(faces, "in two folders")
    assert (one.severity, [path.name for path in one.pictures]) == ("severe", ["y.jpg"])
    assert "both in person-0 and in person-1" in one.told


def change(path: Path, how) -> None:
    with Pillow.open(path) as picture:
        changed = how(picture.convert("RGB"))
    changed.save(path)


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("blurred", lambda picture: picture.filter(ImageFilter.GaussianBlur(2))),
        ("dark", lambda picture: picture.point(lambda value: value // 8)),
        ("bright", lambda picture: picture.point(lambda value: min(255, value * 4))),
        ("small", lambda picture: picture.resize((48, 48))),
    ],
)
def test_a_picture_that_is(kind, how, faces):
    change(first(faces), how)
    (one,) = found(faces, kind)
    assert (one.severity, [path.name for path in one.pictures]) == ("warning", ["0000.png"])
    assert one.person == "person-0"
    assert f"1 of person-0's {EACH} pictures" in one.told


def test_masks_that_are_missing_empty_or_tiny(faces):
    folder = faces / "person-0"
    (folder / "0000.mask.png").unlink()
    Pillow.new("L", (64, 64)).save(folder / "0002.mask.png")
    speck = Pillow.new("L", (64, 64))
    speck.paste(255, (30, 30, 36, 36))
    speck.save(folder / "0004.mask.png")
    kinds = {one.kind: [path.name for path in one.pictures] for one in examine(faces).findings}
    assert kinds["no mask"] == ["0000.png"]
    assert kinds["unreadable"] == ["0002.png"]
    assert kinds["small face"] == ["0004.png"]


def test_too_few_pictures_stop_and_few_do_not(faces):
    pictures = sorted(one for one in (faces / "person-0").iterdir() if ".mask" not in one.name)
    for path in pictures[20:]:
        path.unlink()
        path.with_name(f"{path.stem}.mask.png").unlink()
    diagnosis = examine(faces)
    assert [one.kind for one in diagnosis.findings if "few" in one.kind] == ["few"]
    assert diagnosis.can_train
    for path in pictures[1:20]:
        path.unlink()
        path.with_name(f"{path.stem}.mask.png").unlink()
    diagnosis = examine(faces)
    assert diagnosis.findings[0].kind == "too few"
    assert not diagnosis.can_train
    assert "Training cannot work" in diagnosis.to_text()


def test_a_pose_that_one_has_and_another_has_not(faces):
    before = examine(faces)
    turns = before.people[0].turns
    assert turns["left"] + turns["right"] >= 10, "the toy faces turn"
    for path in sorted((faces / "person-1").glob("*.png")):
        if ".mask" not in path.name and abs(turn(path)) > 0.18:
            path.unlink()
            path.with_name(f"{path.stem}.mask.png").unlink()
    told = [one for one in examine(faces).findings if one.kind == "pose missing"]
    assert told
    assert all(one.person == "person-1" for one in told)
    for where in ("to a side", "far to a side"):
        (one,) = (
            one.told
            for one in told
            if one.told.startswith(f"person-1 has no pictures turned {where}, and person-0 has")
        )
        assert one.endswith("swaps of those frames of person-0 to person-1 will be poor")


def turn(path: Path) -> float:
    from condswap.data.layout import Found
    from condswap.data.reading import decode

    pixels = decode(Found(path, 0, path.with_name(f"{path.stem}.mask.png")), 128).pixels
    return measure(pixels[None])["turn"].item()


def test_a_light_that_one_has_and_another_has_not(faces):
    for path in sorted((faces / "person-0").glob("*.png"))[: EACH // 2]:
        if ".mask" not in path.name:
            change(path, lambda picture: picture.point(lambda value: value // 3))
    told = [one.told for one in examine(faces).findings if one.kind == "light missing"]
    assert any(one.startswith("person-1 has no pictures in dark light, and person-0 has") for one in told)


def test_somebody_else_is_found_where_an_identity_network_is_given(faces):
    """The network here tells people by the mean colour of their right half, which the toy people are given."""
    for name, colour in (("person-0", (255, 0, 0)), ("person-1", (0, 255, 0))):
        for path in sorted((faces / name).glob("*.png")):
            if ".mask" not in path.name:
                picture = Pillow.open(path).convert("RGB")
                stranger = path.name == "0010.png"
                picture.paste((0, 0, 255) if stranger else colour, (32, 0, 64, 64))
                picture.save(path)
    assert found(faces, "somebody else") == []

    def identity(images):
        return F.normalize(images[..., 64:].mean((2, 3)), dim=1)

    (one,) = found(faces, "somebody else", identity=identity)
    assert (one.severity, [path.name for path in one.pictures]) == ("severe", ["0010.png"])
    assert "somebody other than person-0" in one.told


def test_measures_by_hand():
    pixels = torch.zeros(1, 4, 128, 128, dtype=torch.uint8)
    pixels[:, 3, 20:108, 20:108] = 255
    pixels[:, :3, :, :64], pixels[:, :3, :, 64:] = 51, 153  # .2 and .6 of white
    one = {name: value.item() for name, value in measure(pixels).items()}
    assert one["light"] == pytest.approx(0.4, abs=0.01)
    assert one["side"] == pytest.approx((0.6 - 0.2) / 0.4, abs=0.05)
    assert one["face"] == pytest.approx(88 * 88 / 128**2)
    assert one["clipped"] == 0
    assert abs(one["turn"]) < 0.05, "the only detail is in the middle"
    pixels[:, :3] = 255
    assert measure(pixels)["clipped"].item() == 1


def test_a_mirror_turns_the_other_way(toys):
    pixels = torch.stack([torch.cat((toys[index]["image"], toys[index]["mask"])) for index in range(40)])
    pixels = (pixels * 255).byte()
    one, other = measure(pixels), measure(pixels.flip(3))
    assert torch.allclose(one["turn"], -other["turn"], atol=0.02)
    assert torch.allclose(one["side"], -other["side"], atol=0.02)
    assert torch.allclose(one["sharp"], other["sharp"], atol=1e-4)


def test_turns_follow_those_of_the_drawn_heads(toys):
    pixels = torch.stack([torch.cat((toys[index]["image"], toys[index]["mask"])) for index in range(64)])
    measured = measure((pixels * 255).byte())["turn"]
    drawn = toys.moments(range(64))
    correlation = torch.corrcoef(torch.stack((measured, drawn[:, 0])))[0, 1].abs()
    assert correlation > 0.8


def test_a_miniature_hardly_changes_with_size_and_compression(toys):
    image = toys[0]["image"]
    pixels = (torch.cat((image, toys[0]["mask"])) * 255).byte()[None]
    small = F.interpolate(pixels.float(), size=(32, 32), mode="area").round().byte()
    other = (torch.cat((toys[2]["image"], toys[2]["mask"])) * 255).byte()[None]
    near = (miniature(pixels) - miniature(small)).pow(2).mean().sqrt()
    far = (miniature(pixels) - miniature(other)).pow(2).mean().sqrt()
    assert near < 0.005 < far


@pytest.mark.skipif(os.name != "posix", reason="names of files are always text here")
def test_a_page_about_files_whose_names_are_no_text(faces, tmp_path, capsys):
    blurred = first(faces)
    change(blurred, lambda picture: picture.filter(ImageFilter.GaussianBlur(2)))
    blurred.rename(blurred.with_name(os.fsdecode(b"\xff\xfe.png")))
    assert main(["doctor", str(faces), "--html", str(tmp_path / "page.html")]) == 0
    assert "udcff" in (tmp_path / "page.html").read_text()


def test_from_the_command_line(faces, tmp_path, capsys):
    change(first(faces), lambda picture: picture.filter(ImageFilter.GaussianBlur(2)))
    files = {name: tmp_path / f"out.{name}" for name in ("json", "html", "png")}
    arguments = [word for name, path in files.items() for word in (f"--{name}", str(path))]
    assert main(["doctor", str(faces), *arguments]) == 0
    told = capsys.readouterr().out
    assert told.startswith("person ")
    assert "are blurred" in told
    kept = json.loads(files["json"].read_text())
    assert kept["can_train"] is True
    assert kept["findings"][0]["kind"] == "blurred"
    assert kept["people"][0]["pictures"] == EACH
    page = files["html"].read_text()
    assert page.count("<img ") == 1
    assert "data:image/jpeg;base64," in page
    assert 'src="http' not in page
    with Pillow.open(files["png"]) as sheet:
        assert sheet.width > 8 * 96


def test_a_sheet_where_nothing_is_wrong_shows_the_people(faces, tmp_path):
    assert main(["doctor", str(faces), "--png", str(tmp_path / "out.png")]) == 0
    with Pillow.open(tmp_path / "out.png") as sheet:
        assert sheet.height > 2 * 96


def test_the_exit_status_is_one_only_where_training_cannot_work(faces, tmp_path, capsys):
    (faces / "empty").mkdir()
    assert main(["doctor", str(faces)]) == 1
    assert "empty has 0 pictures that can be used" in capsys.readouterr().out
    assert main(["doctor", str(faces), "--classes", "person-0,person-1"]) == 0
    assert main(["doctor", str(tmp_path / "nowhere")]) == 1
    with pytest.raises(DataError, match="does not exist"):
        examine(tmp_path / "nowhere")
