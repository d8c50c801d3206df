"""What is taken of the files and folders that a person gives."""

import os

import pytest

from condswap import DataError
from condswap.pipeline.sources import find_sources


@pytest.fixture
def make(tmp_path):
    def files(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(b"x")
        return [tmp_path / name for name in names]

    return files


def names(sources):
    return [source.name for source in sources]


def test_a_picture_and_a_video_are_told_by_their_suffix(make):
    sources, refused = find_sources(make("b.MP4", "a.JPG", "c.gif", "d.webp"))
    assert [(one.name, one.is_video) for one in sources] == [("b", True), ("a", False), ("c", True), ("d", False)]
    assert refused == []


def test_a_file_of_unknown_suffix_is_taken_for_a_video(make):
    sources, _ = find_sources(make("strange.y4m", "nothing"))
    assert [one.is_video for one in sources] == [True, True]


def test_of_a_folder_what_is_known_is_taken_in_order(make, tmp_path):
    make("in/b.mp4", "in/a.png", "in/notes.txt", "in/.hidden.png", "in/a.mask.png", "in/deeper/c.png")
    sources, refused = find_sources([tmp_path / "in"])
    assert names(sources) == ["a", "b"]
    assert refused == []


def test_files_of_the_same_name_get_names_of_their_own(make):
    sources, _ = find_sources(make("one/clip.mp4", "two/clip.mp4", "two/clip.png", "two/CLIP.jpg"))
    assert names(sources) == ["clip", "clip-2", "clip-3", "CLIP-4"]


def test_a_name_that_was_made_is_not_that_of_another_file(make):
    sources, _ = find_sources(make("a-2.jpg", "a.jpg", "a.png", "b/a-2.jpg"))
    assert names(sources) == ["a-2", "a", "a-3", "a-2-2"]
    assert len(set(names(sources))) == 4


def test_what_is_given_twice_is_taken_once(make, tmp_path):
    one, other = make("in/a.jpg", "in/b.jpg")
    (tmp_path / "link.jpg").symlink_to(one)
    sources, _ = find_sources([other, tmp_path / "in", tmp_path / "link.jpg", one])
    assert [one.path for one in sources] == [other, one]


def test_pictures_of_other_kinds_are_listed(make, tmp_path):
    make("in/a.png", "in/b.bmp", "in/c.HEIC")
    sources, refused = find_sources([tmp_path / "in"])
    assert names(sources) == ["a"]
    assert [(path.name, "convert it" in reason) for path, reason in refused] == [("b.bmp", True), ("c.HEIC", True)]


def test_nothing_but_pictures_of_other_kinds_is_an_error_that_says_so(make, tmp_path):
    with pytest.raises(DataError, match="a.tiff: convert it to JPEG, PNG or WebP"):
        find_sources(make("in/a.tiff"))
    with pytest.raises(DataError, match="a.tiff: convert it to JPEG, PNG or WebP"):
        find_sources([tmp_path / "in"])


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="there is no .*nowhere.mp4; give pictures, videos or folders"):
        find_sources([tmp_path / "nowhere.mp4"])


def test_a_folder_without_pictures_is_named(make, tmp_path):
    make("in/notes.txt", "good.png")
    with pytest.raises(DataError, match=r"in holds no picture and no video \(\.jpg"):
        find_sources([tmp_path / "good.png", tmp_path / "in"])


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may look everywhere")
def test_a_folder_that_is_locked_is_named(make, tmp_path):
    make("in/a.png")
    (tmp_path / "in").chmod(0)
    try:
        with pytest.raises(DataError, match="cannot look into .*in: Permission denied"):
            find_sources([tmp_path / "in"])
    finally:
        (tmp_path / "in").chmod(0o755)
