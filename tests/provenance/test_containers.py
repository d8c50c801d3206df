"""The mark in files: found by Pillow and PyAV, which see the same pixels as before; broken files give our errors alone."""

import io
import resource
import struct
import tracemalloc
import zlib
from pathlib import Path

import pytest
from media import MODEL, PICTURES, PROFILE, SYNTHETIC, decoded, encoded, noise, packets, pixels, write_video
from PIL import Image

from condswap import DataError
from condswap.provenance import Mark, mark_file, marked, read_mark
from condswap.provenance import jpeg as jpeg_file
from condswap.provenance.mp4 import append

MARK = Mark(model_id=MODEL, software="mine")
SAID = {"digital_source_type": SYNTHETIC, "software": "mine", "model_id": MODEL}
XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
XMP_SEGMENT = b"http://ns.adobe.com/xap/1.0/\0"
each_picture = pytest.mark.parametrize("name", list(PICTURES))


def packet_by_pillow(file: bytes) -> bytes:
    with Image.open(io.BytesIO(file)) as picture:
        picture.load()
        if picture.format == "PNG":
            return picture.text["XML:com.adobe.xmp"].encode()
        return picture.info["xmp"]


def segment(marker: int, data: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def box(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data) + 8) + name + data


def large_box(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I4sQ", 1, name, len(data) + 16) + data


def kept(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@each_picture
def test_pillow_finds_the_mark_and_the_same_pixels(name):
    before = PICTURES[name]
    after = marked(before, MARK)
    assert packet_by_pillow(after) == MARK.packet()
    assert pixels(after) == pixels(before)
    assert after.count(SYNTHETIC.encode()) == 1
    assert b"<old/>" not in after


@each_picture
def test_it_is_read_back_from_the_file(name, tmp_path):
    path = kept(tmp_path / "a", PICTURES[name])
    mark_file(path, MARK)
    assert path.read_bytes() == marked(PICTURES[name], MARK)
    assert read_mark(path) == SAID
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


@each_picture
def test_another_mark_takes_the_place_of_the_first(name):
    once = marked(PICTURES[name], MARK)
    assert marked(marked(PICTURES[name], Mark(software="another")), MARK) == once


@pytest.mark.parametrize("name", [name for name in PICTURES if "all about it" in name])
def test_whatever_else_is_in_the_file_stays(name):
    with Image.open(io.BytesIO(marked(PICTURES[name], MARK))) as picture:
        assert picture.info["icc_profile"] == PROFILE
        assert picture.getexif()[0x0112] == 6
        if picture.format == "JPEG":
            assert picture.info["comment"] == b"mine"
        if picture.format == "PNG":
            assert picture.text["Title"] == "mine"


def test_a_picture_without_xmp_has_no_mark(tmp_path):
    for number, data in enumerate((PICTURES["jpeg"], PICTURES["png"], PICTURES["webp"])):
        assert read_mark(kept(tmp_path / f"{number}", data)) is None


def test_xmp_of_others_is_read(tmp_path):
    path = kept(tmp_path / "a.jpg", encoded(noise(), "JPEG", xmp=b"<x/>"))
    assert read_mark(path) == {}


def test_in_a_jpeg_it_stands_after_the_exif_and_before_the_rest():
    start, jfif, exif = b"\xff\xd8", segment(0xE0, b"JFIF\0"), segment(0xE1, b"Exif\0\0abc")
    rest = segment(0xE2, b"ICC_PROFILE\0") + segment(0xDB, b"\0" * 65) + segment(0xDA, b"xx") + b"pixels\xff\xd9after"
    old = segment(0xE1, XMP_SEGMENT + b"<old/>") + segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0more")
    new = segment(0xE1, XMP_SEGMENT + MARK.packet())
    assert marked(start + jfif + exif + old + rest, MARK) == start + jfif + exif + new + rest
    assert marked(start + old + rest, MARK) == start + new + rest
    # What fills the space before a marker is nothing.
    assert marked(start + jfif + b"\xff\xff" + rest, MARK) == start + jfif + new + rest


def test_in_a_png_it_stands_before_the_pixels_and_nothing_else_moves():
    before = PICTURES["png"] + b"after"
    after = marked(before, MARK)
    new = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + MARK.packet())
    place = before.index(b"IDAT") - 4
    assert after == before[:place] + new + before[place:]


@pytest.mark.parametrize(("name", "flags"), [("webp", 4), ("webp, lossless", 4), ("webp, lossless alpha", 0x14)])
def test_a_webp_of_nothing_but_pixels_is_announced_with_its_size(name, flags):
    before, packet = PICTURES[name], MARK.packet()
    after = marked(before, MARK)
    assert after[8:16] == b"WEBPVP8X"
    assert after[16:30] == struct.pack("<IB", 10, flags) + bytes(3) + bytes((22, 0, 0, 13, 0, 0))  # 23 x 14, less one
    rest = before[12:] + b"XMP " + struct.pack("<I", len(packet)) + packet + bytes(len(packet) % 2)
    assert after[30:] == rest
    assert struct.unpack("<I", after[4:8])[0] == len(after) - 8


def test_flags_of_a_webp_that_were_there_stay():
    assert PICTURES["webp, all about it"][20] == 0x2C  # profile, EXIF, XMP
    assert marked(PICTURES["webp, all about it"], MARK)[20] == 0x2C
    assert marked(PICTURES["webp, alpha"], MARK)[20] == PICTURES["webp, alpha"][20] | 4


def test_a_packed_text_of_a_png_is_read(tmp_path):
    def png(data: bytes) -> Path:
        place = PICTURES["png"].index(b"IDAT") - 4
        return kept(tmp_path / "a.png", PICTURES["png"][:place] + data + PICTURES["png"][place:])

    head = b"XML:com.adobe.xmp\0\1\0en\0title\0"
    assert read_mark(png(chunk(b"iTXt", head + zlib.compress(MARK.packet())))) == SAID
    broken = {
        "more than the 16777216": chunk(b"iTXt", head + zlib.compress(b" " * (2**24 + 1))),
        "cannot be unpacked": chunk(b"iTXt", head + b"not packed"),
        "cut off": chunk(b"iTXt", head + zlib.compress(MARK.packet())[:-9]),
        "checksum": chunk(b"iTXt", head + zlib.compress(MARK.packet()))[:-1] + b"x",
        "it is broken": chunk(b"iTXt", b"XML:com.adobe.xmp\0\0"),
    }
    for told, data in broken.items():
        with pytest.raises(DataError, match=f"a.png: .*{told}"):
            read_mark(png(data))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "it is empty"),
        (b"words", "no JPEG, PNG, WebP, MP4 or MOV"),
        (encoded(noise(), "GIF"), "no JPEG, PNG"),
        (encoded(noise(), "AVIF"), "no JPEG, PNG"),
        (b"RIFF\x04\0\0\0WAVE", "no JPEG, PNG"),
        (b"\xff\xd8\xff\xd9"[:3], "cut off"),
        (b"\xff\xd8" + b"\xff" * 200_000, "cut off"),
        (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", b"") + chunk(b"IEND", b""), "broken"),
        (b"RIFF\x04\0\0\0WEBP", "broken"),
        (b"RIFF\xff\xff\xff\xffWEBP", "broken"),
        (b"RIFF\x0c\0\0\0WEBPVP8 \0\0\0\0", "broken"),
        (b"RIFF\x0c\0\0\0WEBPVP8X\0\0\0\0", "broken"),
        (b"RIFF\x0c\0\0\0WEBPQQQQ\0\0\0\0", "broken"),
        (b"RIFF\x16\0\0\0WEBPVP8 \x0a\0\0\0\0\0\0\x9d\x01\x2a\0\0\0\0", "no pixels"),
        (box(b"ftyp", b"isom\0\0\0\0") + b"\0\0\0\x09mdat", "cut off"),
        (box(b"ftyp", b"isom\0\0\0\0") + b"\0\0\0\x04mdat", "broken"),
        (box(b"ftyp", b"isom\0\0\0\0") + b"\0\0\0\x10uuid12345678", "broken"),
        (box(b"ftyp", b"isom\0\0\0\0") + b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x08", "broken"),
    ],
)
def test_what_is_no_such_file_is_refused_and_left_as_it_is(data, told, tmp_path):
    path = kept(tmp_path / "file", data)
    with pytest.raises(DataError, match=f"cannot use .*file: .*{told}"):
        mark_file(path, MARK)
    assert path.read_bytes() == data
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_no_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "none.jpg", tmp_path):
        for use in (read_mark, lambda path: mark_file(path, MARK)):
            with pytest.raises(DataError, match=f"cannot use {path}: .*give the name of a file"):
                use(path)


def test_a_packet_that_does_not_fit_into_a_jpeg_is_refused():
    fits = jpeg_file.put(PICTURES["jpeg"], b"x" * 65504)
    assert packet_by_pillow(fits) == b"x" * 65504
    with pytest.raises(DataError, match=r"65505 bytes.*65504"):
        jpeg_file.put(PICTURES["jpeg"], b"x" * 65505)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8" + segment(0xEB, b"JP\0\1\0\0\0\1\0\0\0\x40jumb\0\0\0\x1ejumdc2pa") + PICTURES["jpeg"][2:],
        PICTURES["png"][:33] + chunk(b"caBX", b"anything") + PICTURES["png"][33:],
        b"RIFF" + struct.pack("<I", len(PICTURES["webp"]) + 8 - 8 + 2) + PICTURES["webp"][8:] + b"C2PA\2\0\0\0xx",
        box(b"ftyp", b"isom\0\0\0\0") + box(b"uuid", C2PA + b"anything"),
    ],
    ids=["jpeg", "png", "webp", "mp4"],
)
def test_a_file_with_a_manifest_is_not_changed(data, tmp_path):
    if data[:4] == b"RIFF":
        data = data[:4] + struct.pack("<I", len(data) - 8) + data[8:]
    path = kept(tmp_path / "a", data)
    with pytest.raises(DataError, match="C2PA manifest.*mark first, and sign last"):
        mark_file(path, MARK)
    assert path.read_bytes() == data


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
@pytest.mark.parametrize("options", [{}, {"movflags": "faststart"}, {"movflags": "frag_keyframe+empty_moov"}])
def test_of_a_video_no_bit_changes_but_for_the_end(suffix, options, tmp_path):
    path = tmp_path / f"a.{suffix}"
    write_video(path, **options)
    before, streams, frames = path.read_bytes(), packets(path), list(decoded(path))
    assert len(frames) > 8
    mark_file(path, MARK)
    packet = MARK.packet()
    assert path.read_bytes() == before + struct.pack(">I", 24 + len(packet)) + b"uuid" + XMP + packet
    assert packets(path) == streams
    assert list(decoded(path)) == frames
    assert read_mark(path) == SAID


def test_another_mark_of_a_video_makes_free_space_of_the_first(tmp_path):
    path = kept(tmp_path / "a.mp4", box(b"ftyp", b"isom\0\0\0\0"))
    first = large_box(b"uuid", XMP + b"<old/>")
    path.write_bytes(path.read_bytes() + first + box(b"mdat", b"pixels"))
    mark_file(path, MARK)
    expected = box(b"ftyp", b"isom\0\0\0\0") + first.replace(b"uuid", b"free") + box(b"mdat", b"pixels")
    assert path.read_bytes() == expected + box(b"uuid", XMP + MARK.packet())
    assert read_mark(path) == SAID


def test_a_last_box_without_a_length_is_given_one(tmp_path):
    path = kept(tmp_path / "a.mp4", box(b"ftyp", b"isom\0\0\0\0") + b"\0\0\0\0mdatpixels")
    mark_file(path, MARK)
    assert path.read_bytes() == box(b"ftyp", b"isom\0\0\0\0") + box(b"mdat", b"pixels") + box(
        b"uuid", XMP + MARK.packet()
    )


def sparse(path: Path, head: bytes, size: int) -> Path:
    """A file that has a size without taking the place."""
    with path.open("wb") as file:
        file.write(head)
        file.truncate(size)
    return path


def test_a_video_of_any_length_is_marked_in_little_memory(tmp_path):
    head = box(b"ftyp", b"isom\0\0\0\0")
    path = sparse(tmp_path / "a.mp4", head + struct.pack(">I4sQ", 1, b"mdat", 2**36), len(head) + 2**36)
    tracemalloc.start()
    try:
        mark_file(path, MARK)
        assert read_mark(path) == SAID
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    assert path.stat().st_size == len(head) + 2**36 + 24 + len(MARK.packet())


def test_a_last_box_without_a_length_that_is_too_long_for_one_is_refused(tmp_path):
    head = box(b"ftyp", b"isom\0\0\0\0")
    path = sparse(tmp_path / "a.mp4", head + b"\0\0\0\0mdat", len(head) + 2**32)
    with pytest.raises(DataError, match="ffmpeg -c copy"):
        mark_file(path, MARK)
    assert path.stat().st_size == len(head) + 2**32


def test_xmp_of_a_video_that_is_too_large_is_refused(tmp_path):
    head = box(b"ftyp", b"isom\0\0\0\0") + struct.pack(">I", 2**25) + b"uuid" + XMP
    path = sparse(tmp_path / "a.mp4", head, len(head) - 24 + 2**25)
    with pytest.raises(DataError, match="more than the 16777216"):
        read_mark(path)


def test_a_full_disk_leaves_a_video_as_it_was(tmp_path):
    path = tmp_path / "a.mp4"
    write_video(path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100, limits[1]))
    try:
        with pytest.raises(DataError, match="File too large; make room"):
            append(path, MARK.packet())
        with pytest.raises(DataError, match="cannot use .*too large"):
            mark_file(path, MARK)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before


def test_the_bytes_of_a_video_are_not_marked():
    with pytest.raises(DataError, match="mark_file"):
        marked(box(b"ftyp", b"isom\0\0\0\0"), MARK)


SMALL = {
    "jpeg": marked(encoded(noise(4, 4), "JPEG", exif=b"Exif\0\0abc"), MARK),
    "png": marked(encoded(noise(4, 4), "PNG"), MARK),
    "webp": marked(encoded(noise(4, 4), "WEBP"), MARK),
    "mp4": box(b"ftyp", b"isom\0\0\0\0") + large_box(b"mdat", b"pixels") + box(b"uuid", XMP + MARK.packet()),
}


@pytest.mark.parametrize("name", list(SMALL))
def test_a_file_cut_off_anywhere_gives_no_error_but_ours(name, tmp_path):
    data, refused = SMALL[name], 0
    path = kept(tmp_path / "a", data)
    assert read_mark(path) == SAID
    for end in range(len(data)):
        path.write_bytes(data[:end])
        try:
            found = read_mark(path)
        except DataError:
            refused += 1
        else:
            # Only where the cut is among the pixels of a JPEG, which are not looked at, or between two boxes.
            assert found == (SAID if name == "jpeg" else None)
            assert name in ("jpeg", "mp4")
        try:
            mark_file(path, MARK)
        except DataError:
            assert path.read_bytes() == data[:end]
    assert refused > len(data) // 2


@pytest.mark.parametrize("name", list(SMALL))
def test_a_byte_changed_anywhere_gives_no_error_but_ours(name, tmp_path):
    data, refused = SMALL[name], 0
    path = tmp_path / "a"
    for place in range(len(data)):
        for change in (0x01, 0x80, 0xFF):
            path.write_bytes(data[:place] + bytes((data[place] ^ change,)) + data[place + 1 :])
            try:
                read_mark(path)
            except DataError:
                refused += 1
    assert refused > 20
