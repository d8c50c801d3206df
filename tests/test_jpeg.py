"""The segments of a JPEG: found, read and replaced without touching the pixels."""

import io

import pytest
from dfl_files import jpeg, with_payload

from condswap.errors import DataError
from condswap.jpeg import APP15, LARGEST, content, frame_size, replace_segment, segments


def held(picture: bytes) -> list[bytes]:
    file = io.BytesIO(picture)
    return [content(file, segment) for segment in segments(file) if segment.marker == APP15]


@pytest.mark.parametrize("settings", [{}, {"progressive": True}, {"restart_marker_blocks": 1}, {"quality": 1}])
def test_the_segment_of_any_jpeg_of_pillow_is_found(settings: dict[str, object]) -> None:
    picture = jpeg(**settings)
    assert held(picture) == []
    assert held(with_payload(picture, b"what it holds")) == [b"what it holds"]


def test_the_size_is_read() -> None:
    file = io.BytesIO(jpeg(48))
    assert [size for segment in segments(file) if (size := frame_size(file, segment))] == [(48, 48)]


def test_a_replaced_segment_leaves_all_other_bytes() -> None:
    picture = jpeg()
    once = replace_segment(picture, APP15, b"one")
    assert once == with_payload(picture, b"one"), "behind the last segment of an application, which is JFIF's"
    twice = replace_segment(once, APP15, b"two, longer")
    assert twice == with_payload(picture, b"two, longer")
    assert replace_segment(twice, APP15, b"one") == once


def test_bytes_that_fill_the_space_before_a_marker_are_skipped() -> None:
    picture = with_payload(jpeg(), b"x")
    assert held(picture[:20] + b"\xff\xff\xff" + picture[20:]) == [b"x"]


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"\xff\xd8",
        b"\x89PNG",
        jpeg()[:30],
        b"\xff\xd8\xff\xef\0\1",
        b"\xff\xd8\xff\xef\0\x09abc",
        b"\xff\xd8" + b"\xff\xef\0\2" * 9999,
    ],
    ids=[
        "nothing",
        "the start alone",
        "a PNG",
        "cut off",
        "a length below two",
        "a length past the end",
        "without end",
    ],
)
def test_a_broken_jpeg_is_refused(broken: bytes) -> None:
    with pytest.raises(DataError):
        held(broken)


def test_what_does_not_fit_is_refused() -> None:
    assert held(replace_segment(jpeg(), APP15, b"x" * LARGEST)) == [b"x" * LARGEST]
    with pytest.raises(DataError, match="65534 bytes are more than the 65533"):
        replace_segment(jpeg(), APP15, b"x" * (LARGEST + 1))
