"""Clips: every stretch that was filmed in one go is found, and a folder of photos is not taken for hundreds of them."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import Subset

from condswap.data.clips import find_clips
from condswap.data.face_folder import FaceFolder
from condswap.errors import ConfigError
from condswap.pictures import save_picture

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared"


class Shades:
    """Plain pictures, each of one grey."""

    def __init__(self, shades: list[float], labels: list[int] | None = None, *, size: int = 32) -> None:
        self.shades, self.numbers, self.size = shades, labels or [0] * len(shades), size
        self.read: list[int] = []

    def __len__(self) -> int:
        return len(self.shades)

    def __getitem__(self, index: int) -> dict[str, Any]:
        self.read.append(index)
        image = torch.full((3, self.size, self.size), self.shades[index])
        return {"image": image, "mask": torch.ones(1, self.size, self.size), "label": self.numbers[index]}


def lengths(data: Any, **settings: Any) -> list[tuple[int, int]]:
    return [(clip.label, len(clip.indices)) for clip in find_clips(data, **settings)]


def test_there_is_a_cut_where_neighbours_differ_by_more_than_the_cut() -> None:
    shades = [0.2] * 10 + [0.32] * 12 + [0.4] * 9
    assert [clip.indices for clip in find_clips(Shades(shades))] == [tuple(range(10)), tuple(range(10, 31))]
    assert lengths(Shades(shades), cut=0.07) == [(0, 10), (0, 12), (0, 9)]
    assert lengths(Shades(shades), cut=0.13) == [(0, 31)]


def test_a_slow_drift_is_no_cut() -> None:
    assert lengths(Shades([number / 40 for number in range(40)])) == [(0, 40)]


@pytest.mark.parametrize("size", [16, 32, 48, 128])
def test_the_size_of_the_pictures_does_not_matter(size: int) -> None:
    assert lengths(Shades([0.2] * 10 + [0.32] * 12, size=size)) == [(0, 10), (0, 12)]


def test_what_is_finer_than_a_thumbnail_is_no_cut() -> None:
    # Noise that is independent in every picture differs by 1/3 a pixel, and by 16 times less in means of 16 x 16.
    generator = torch.Generator().manual_seed(0)
    noise = [
        {"image": torch.rand(3, 512, 512, generator=generator), "mask": torch.ones(1, 512, 512), "label": 0}
        for _ in range(16)
    ]
    assert lengths(noise) == [(0, 16)]
    assert lengths(noise, cut=0.01, least=1) == [(0, 1)] * 16


def test_classes_that_are_mixed_have_their_own_clips_in_their_own_order() -> None:
    shades = [0.2, 0.9] * 10 + [0.2, 0.5] * 10
    clips = find_clips(Shades(shades, [1, 0] * 20))
    assert clips == [
        (0, tuple(range(1, 20, 2))),
        (0, tuple(range(21, 40, 2))),
        (1, tuple(range(0, 40, 2))),
    ]


def test_photos_are_one_stretch_a_class() -> None:
    photos = [random.Random(number).random() for number in range(300)]
    assert lengths(Shades(photos, [0] * 200 + [1] * 100)) == [(0, 200), (1, 100)]


def test_photos_after_a_clip_are_a_stretch_of_their_own() -> None:
    photos = [0.1, 0.9] * 15
    assert lengths(Shades([0.5] * 20 + photos)) == [(0, 20), (0, 30)]
    assert lengths(Shades(photos + [0.5] * 20)) == [(0, 30), (0, 20)]


@pytest.mark.parametrize(("flash", "expected"), [(0.85, [(0, 10), (0, 13)]), (0.35, [(0, 13), (0, 10)])])
def test_a_flash_goes_to_the_neighbour_that_it_is_more_like(flash: float, expected: list[tuple[int, int]]) -> None:
    assert lengths(Shades([0.2] * 10 + [flash] * 3 + [1.0] * 10)) == expected


def test_a_short_stretch_at_an_end_is_joined() -> None:
    assert lengths(Shades([0.2] * 7 + [0.5] * 8)) == [(0, 15)]
    assert lengths(Shades([0.5] * 8 + [0.2] * 7)) == [(0, 15)]
    assert lengths(Shades([0.5] * 8 + [0.2] * 7), least=7) == [(0, 8), (0, 7)]
    assert lengths(Shades([0.2] * 3 + [0.5] * 3)) == [(0, 6)]


def test_every_picture_is_in_one_clip() -> None:
    dice = random.Random(1)
    for _ in range(50):
        shades = [shade for _ in range(12) for shade in [dice.random()] * dice.randint(1, 12)]
        labels = [dice.randint(0, 1) for _ in shades]
        clips = find_clips(Shades(shades, labels))
        assert sorted(index for clip in clips for index in clip.indices) == list(range(len(shades)))
        for label, indices in clips:
            assert {labels[index] for index in indices} == {label} and list(indices) == sorted(indices)
            assert len(indices) >= min(8, labels.count(label))


def test_every_picture_is_read_once_and_an_empty_dataset_has_no_clips() -> None:
    data = Shades([0.2] * 10 + [0.5] * 10)
    find_clips(data)
    assert data.read == list(range(20))
    assert find_clips(Shades([])) == []


@pytest.mark.parametrize(
    "wrong", [{"cut": 0}, {"cut": 1}, {"cut": "0.1"}, {"least": 0}, {"least": 2.0}, {"least": True}]
)
def test_wrong_numbers_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))}="):
        find_clips(Shades([0.2]), **wrong)


def test_a_folder_gives_the_clips_of_its_pictures_and_reads_nothing_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for person, greys in (("ada", [0.1] * 10 + [0.35] * 9 + [0.8] * 8), ("bo", [0.1] * 27)):
        (tmp_path / person).mkdir()
        for number, grey in enumerate(greys):
            save_picture(torch.full((3, 32, 32), grey), tmp_path / person / f"{number:03d}.png")
    (tmp_path / "ada" / "005.png").write_text("unreadable")
    data = FaceFolder(tmp_path, image_size=16, cache=16 * 16 * 4 * 3)
    by_items = find_clips(Subset(data, range(len(data))))
    monkeypatch.setattr("condswap.data.reading.decode_picture", None)
    assert find_clips(data) == data.clips() == by_items
    assert [(label, len(indices)) for label, indices in by_items] == [(0, 9), (0, 9), (0, 8), (1, 27)]
    assert lengths(data, cut=0.4) == [(0, 18), (0, 8), (1, 27)]
    assert lengths(data, least=9) == [(0, 9), (0, 17), (1, 27)]


def test_the_clips_of_real_faces_are_found() -> None:
    root = SHARED / "faces"
    if not root.is_dir():
        pytest.skip("the real faces are not on this machine")
    data = FaceFolder(root, image_size=64)
    # Looked at: three clips of each politician, one of each of the others.
    assert data.classes == ("biden", "d3_woman", "d9_man", "trump")
    expected = [(0, 179), (0, 239), (0, 175), (1, 301), (2, 250), (3, 212), (3, 114), (3, 104)]
    assert lengths(data) == expected
    starts = [clip.indices[0] for clip in find_clips(data)]
    held = [(label, round(0.15 * count)) for label, count in expected]
    parts = data.split()
    assert [lengths(part) for part in parts] == [
        [(label, count - back) for (label, count), (_, back) in zip(expected, held, strict=True)],
        held,
    ]
    assert [parts[0].paths[clip.indices[0]] for clip in find_clips(parts[0])] == [data.paths[one] for one in starts]
