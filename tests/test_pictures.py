"""Pictures in, pictures out, and the two figures."""

import builtins
import errno
import io
import os
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image as Pillow

from condswap.decoding import quiet
from condswap.errors import ConfigError, DataError, ShapeError
from condswap.pictures import read_picture, save_curves, save_grid, save_picture, swap_grid
from condswap.provenance import Mark, read_mark


def corners(size: int = 8) -> Pillow.Image:
    """A red, green, blue and white quarter: top left, top right, bottom left, bottom right."""
    picture = Pillow.new("RGB", (size, size))
    half = size // 2
    for place, colour in {(0, 0): "red", (half, 0): "lime", (0, half): "blue", (half, half): "white"}.items():
        picture.paste(colour, (*place, place[0] + half, place[1] + half))
    return picture


def colour(image: torch.Tensor, y: int, x: int) -> list[float]:
    return [round(value, 3) for value in image[:, y, x].tolist()]


def test_a_saved_picture_comes_back_exactly(tmp_path: Path) -> None:
    image = torch.arange(3 * 4 * 6).reshape(3, 4, 6).float() / 255
    save_picture(image, tmp_path / "a.png")
    assert torch.equal(read_picture(tmp_path / "a.png"), image)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


def test_rows_are_rows_and_channels_are_red_green_blue(tmp_path: Path) -> None:
    image = torch.zeros(3, 2, 3)
    image[0, 0, 2], image[1, 1, 0], image[2, 1, 2] = 1, 1, 1
    save_picture(image, tmp_path / "a.png")
    with Pillow.open(tmp_path / "a.png") as picture:
        assert picture.size == (3, 2)
        assert picture.getpixel((2, 0)) == (255, 0, 0)
        assert picture.getpixel((0, 1)) == (0, 255, 0)
        assert picture.getpixel((2, 1)) == (0, 0, 255)


def test_values_are_rounded_and_not_cut(tmp_path: Path) -> None:
    save_picture(torch.full((3, 1, 1), 0.6 / 255), tmp_path / "a.png")
    assert (read_picture(tmp_path / "a.png") * 255).flatten().tolist() == [1, 1, 1]


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.webp"])
def test_other_formats_are_close(tmp_path: Path, name: str) -> None:
    ramp = torch.linspace(0, 1, 32).expand(3, 32, 32)
    save_picture(ramp, tmp_path / name)
    assert (read_picture(tmp_path / name) - ramp).abs().max() < 0.03


def test_a_mask_is_saved_as_grey(tmp_path: Path) -> None:
    save_picture(torch.eye(4)[None], tmp_path / "a.mask.png")
    with Pillow.open(tmp_path / "a.mask.png") as picture:
        assert picture.mode == "L"
        assert (picture.getpixel((2, 2)), picture.getpixel((2, 1))) == (255, 0)


def test_half_precision_and_gradients_can_be_saved(tmp_path: Path) -> None:
    save_picture(torch.ones(3, 2, 2, dtype=torch.bfloat16, requires_grad=True), tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png").min() == 1


def test_what_is_no_picture_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match=r"float32 \(1, 3, 4, 4\).*batch\[0\]"):
        save_picture(torch.zeros(1, 3, 4, 4), tmp_path / "a.png")
    with pytest.raises(ShapeError, match="uint8"):
        save_picture(torch.zeros(3, 4, 4, dtype=torch.uint8), tmp_path / "a.png")
    with pytest.raises(DataError, match="from -1 to 1; an image is in"):
        save_picture(torch.linspace(-1, 1, 48).reshape(3, 4, 4), tmp_path / "a.png")
    with pytest.raises(DataError, match="nan"):
        save_picture(torch.full((3, 4, 4), float("nan")), tmp_path / "a.png")
    with pytest.raises(ConfigError, match=r"'a\.gif'; end the name in \.png"):
        save_picture(torch.zeros(3, 4, 4), tmp_path / "a.gif")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_picture(torch.zeros(3, 2, 2), tmp_path / "a.png")

    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(DataError, match=r"a\.png: No space left on device"):
        save_picture(torch.ones(3, 2, 2), tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png").max() == 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


# What a viewer shows at the top left and the top right for each EXIF orientation of the picture `corners`:
# orientation n says where row 0 and column 0 of the stored picture belong (EXIF 2.3, tag 0x0112).
TURNED = {
    1: ("red", "lime"),
    2: ("lime", "red"),
    3: ("white", "blue"),
    4: ("blue", "white"),
    5: ("red", "blue"),
    6: ("blue", "red"),
    7: ("white", "lime"),
    8: ("lime", "white"),
}
COLOURS = {"red": [1, 0, 0], "lime": [0, 1, 0], "blue": [0, 0, 1], "white": [1, 1, 1]}


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("image_size", [None, 4])
def test_pictures_are_set_upright(tmp_path: Path, orientation: int, image_size: int | None) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    corners().save(tmp_path / "a.png", exif=exif)
    image = read_picture(tmp_path / "a.png", image_size=image_size)
    left, right = TURNED[orientation]
    # Within 2/10 of full scale: Lanczos rings at the edges of the quarters.
    assert (image[:, 0, 0] - torch.tensor(COLOURS[left])).abs().max() < 0.2
    assert (image[:, 0, -1] - torch.tensor(COLOURS[right])).abs().max() < 0.2


def test_broken_exif_does_not_hide_the_picture(tmp_path: Path) -> None:
    corners(16).save(tmp_path / "a.jpg", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff\x01", quality=95, subsampling=0)
    assert colour(read_picture(tmp_path / "a.jpg").round(), 2, 2) == [1, 0, 0]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "CMYK", "I;16"])
def test_every_mode_decodes_to_rgb(tmp_path: Path, mode: str) -> None:
    """A grey of 3/5, or black beside white where there is no grey, is seen as that in every way to store it."""
    if mode == "I;16":
        picture = Pillow.new("I;16", (8, 8), 39321)
    elif mode == "CMYK":
        picture = Pillow.new("CMYK", (8, 8), (0, 0, 0, 102))
    elif mode == "1":
        picture = Pillow.new("1", (8, 8), 1)
    else:
        picture = Pillow.new("L", (8, 8), 153).convert("LA" if mode == "PA" else mode)
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    picture.save(path)
    expected = 1.0 if mode == "1" else 0.6
    image = read_picture(path)
    assert image.shape == (3, 8, 8)
    assert image.dtype == torch.float32
    assert (image - expected).abs().max() < (0.02 if mode == "CMYK" else 1e-6)


def test_sixteen_bits_are_scaled_and_not_cut(tmp_path: Path) -> None:
    picture = Pillow.new("I;16", (5, 1))
    for x, value in enumerate((0, 200, 32896, 65000, 65535)):
        picture.putpixel((x, 0), value)
    picture.save(tmp_path / "a.png")
    assert (read_picture(tmp_path / "a.png") * 255)[0, 0].tolist() == [0, 1, 128, 253, 255]


def test_palette_colours_with_transparency_decode_without_a_warning(tmp_path: Path) -> None:
    picture = corners().quantize(4)
    picture.save(tmp_path / "a.png", transparency=bytes([0, 255, 128, 255]))
    assert colour(read_picture(tmp_path / "a.png"), 0, 0) == [1, 0, 0]


@pytest.mark.parametrize("size", [1024, 1001, 400])
def test_a_big_jpeg_resizes_as_the_whole_picture_does(tmp_path: Path, size: int) -> None:
    # Smooth waves, so that the only difference can be a shift or a wrong extent.
    wave = torch.linspace(0, 6.0, size).sin() / 2 + 0.5
    image = torch.stack([wave.expand(size, size), wave[:, None].expand(size, size), wave.flip(0).expand(size, size)])
    save_picture(image, tmp_path / "a.jpg")
    small = read_picture(tmp_path / "a.jpg", image_size=64)
    averaged = torch.nn.functional.interpolate(image[None], (64, 64), mode="area")[0]
    assert small.shape == (3, 64, 64)
    assert (small - averaged).abs().max() < 0.025


def test_a_jpeg_whose_side_is_no_multiple_of_eight_is_not_stretched(tmp_path: Path) -> None:
    # Decoded at 1/8 its 257 pixels become 33, which stand for 264: the last seven are none of the picture.
    wave = torch.linspace(0, 12.0, 257).sin() / 2 + 0.5
    save_picture(wave.expand(3, 257, 257), tmp_path / "a.jpg")
    save_picture(wave.expand(3, 257, 257), tmp_path / "a.png")
    small = read_picture(tmp_path / "a.jpg", image_size=16)
    assert (small - read_picture(tmp_path / "a.png", image_size=16)).abs().max() < 0.03


def test_a_picture_is_not_distorted(tmp_path: Path) -> None:
    save_picture(torch.zeros(3, 48, 64), tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png").shape == (3, 48, 64)
    with pytest.raises(DataError, match=r"a\.png: 64x48 is not square; crop faces square first"):
        read_picture(tmp_path / "a.png", image_size=32)


def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"hello")
    with pytest.raises(DataError, match=r"a\.jpg: not a JPEG, PNG or WebP picture"):
        read_picture(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r"none\.jpg: No such file"):
        read_picture(tmp_path / "none.jpg")
    (tmp_path / "empty.png").touch()
    with pytest.raises(DataError, match="the file is empty"):
        read_picture(tmp_path / "empty.png")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_truncated_picture_is_refused_wherever_it_ends(tmp_path: Path, kind: str) -> None:
    whole = io.BytesIO()
    Pillow.effect_noise((64, 64), 80).convert("RGB").save(whole, kind)
    data = whole.getvalue()
    for length in (1, 20, len(data) // 4, len(data) // 2, len(data) - 40):
        (tmp_path / "a.jpg").write_bytes(data[:length])
        with pytest.raises(DataError, match=r"cannot use .*a\.jpg: \w"):
            read_picture(tmp_path / "a.jpg")


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_picture(torch.zeros(3, 40, 40), tmp_path / "a.png")
    # 1600 pixels: Pillow itself would only warn up to twice its limit, and raise beyond.
    for limit in (1500, 700):
        monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(DataError, match=r"limit"):
            read_picture(tmp_path / "a.png")


def test_quiet_threads_leave_the_warning_filters_as_they_were() -> None:
    before = list(warnings.filters)
    inside, leave = threading.Event(), threading.Event()

    def first_in_first_out() -> None:
        with quiet():
            inside.set()
            leave.wait(5)

    thread = threading.Thread(target=first_in_first_out)
    thread.start()
    inside.wait(5)
    with quiet():
        leave.set()
        thread.join()
        warnings.warn("nobody sees this", stacklevel=1)
    assert list(warnings.filters) == before
    with pytest.warns(UserWarning, match="seen"):
        warnings.warn("seen", stacklevel=1)


def test_without_pillow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    for call in (
        lambda: read_picture(tmp_path / "a.png"),
        lambda: save_picture(torch.zeros(3, 2, 2), tmp_path / "a.png"),
        lambda: swap_grid({"picture": torch.zeros(1, 3, 2, 2)}),
    ):
        with pytest.raises(ConfigError, match=r'pip install "condswap\[data\]"'):
            call()


def faces(value: float, count: int = 2, size: int = 64) -> torch.Tensor:
    return torch.full((count, 3, size, size), value)


def test_a_grid_shows_every_picture_of_every_row_in_order() -> None:
    first = torch.stack([faces(0.1, 1)[0], faces(0.2, 1)[0]])
    second = torch.stack([faces(0.3, 1)[0], faces(0.4, 1)[0]])
    grid = swap_grid({"picture": first, "swap": second})
    # Each picture is one flat grey, 128 x 128 once doubled, and no letter has exactly that many pixels.
    for grey, (below, right) in {0.1: (0, 0), 0.2: (0, 1), 0.3: (1, 0), 0.4: (1, 1)}.items():
        ys, xs = torch.nonzero((grid - round(grey * 255) / 255).abs().amax(0) < 1e-6, as_tuple=True)
        inside = (ys >= grid.shape[1] // 2 if below else ys < grid.shape[1] // 2).float().mean()
        assert inside > 0.99
        widest = torch.bincount(ys).max()
        assert widest == 128
        assert torch.bincount(xs).max() == 128
        middle = xs.float().median()
        assert bool(middle > grid.shape[2] * 0.6) == bool(right)


def test_titles_and_captions_are_drawn() -> None:
    plain = swap_grid({" ": faces(0.9)})
    titled = swap_grid({"reconstruction": faces(0.9)})
    captioned = swap_grid({" ": faces(0.9)}, captions=["ada", "bo"])
    assert (plain < 0.3).sum() == 0
    assert (titled < 0.3).sum() > 100
    assert titled.shape[2] > plain.shape[2]
    assert captioned.shape[1] > plain.shape[1]
    assert (captioned[:, : captioned.shape[1] - plain.shape[1]] < 0.6).sum() > 50


def test_letters_beyond_english_are_drawn_and_not_boxed() -> None:
    pytest.importorskip("matplotlib", reason="its font is needed")
    boxes = [swap_grid({" ": faces(0.9, 1)}, captions=[letter]) for letter in ("ë", "→", "ж")]
    assert not torch.equal(boxes[0], boxes[1])
    assert not torch.equal(boxes[1], boxes[2])


def test_a_caption_stays_in_its_column() -> None:
    grid = swap_grid({" ": faces(0.9)}, captions=["w" * 100, ""])
    other = swap_grid({" ": faces(0.9)}, captions=["", ""])
    changed = (grid - other).abs().amax(dim=(0, 1)).nonzero()
    assert 100 < (changed.max() - changed.min()).item() <= 128


def test_the_scale_is_chosen_for_small_faces_and_can_be_given() -> None:
    large = swap_grid({"a": faces(0.5, 1, 256)})
    assert 256 <= large.shape[1] < 256 * 1.5
    tiny = swap_grid({"a": faces(0.5, 1, 32)}, scale=2)
    assert 64 <= tiny.shape[1] < 128
    with pytest.raises(ConfigError, match="scale=0"):
        swap_grid({"a": faces(0.5)}, scale=0)


def test_rows_that_do_not_fit_are_named() -> None:
    with pytest.raises(ShapeError, match=r"'swap' \(3, 3, 64, 64\)"):
        swap_grid({"picture": faces(0.5), "swap": faces(0.5, 3)})
    with pytest.raises(ShapeError, match="at least one row"):
        swap_grid({})
    with pytest.raises(ConfigError, match="does not fit 2 columns"):
        swap_grid({"picture": faces(0.5)}, captions=["one"])
    with pytest.raises(DataError, match="from 2 to 2"):
        swap_grid({"picture": faces(2.0)})


def test_a_saved_grid_is_the_grid(tmp_path: Path) -> None:
    rows = {"picture": torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))}
    save_grid(tmp_path / "grid.png", rows, captions=["a", "b"])
    assert torch.equal(read_picture(tmp_path / "grid.png"), swap_grid(rows, captions=["a", "b"]))


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.jpeg", "a.webp"])
def test_a_saved_picture_says_how_it_was_made_if_told_to(tmp_path: Path, name: str) -> None:
    image = torch.rand(3, 9, 7, generator=torch.Generator().manual_seed(0))
    (tmp_path / "plain").mkdir()
    save_picture(image, tmp_path / "plain" / name)
    save_picture(image, tmp_path / name, mark=Mark(software="mine"))
    assert read_mark(tmp_path / "plain" / name) is None
    assert read_mark(tmp_path / name)["software"] == "mine"
    assert torch.equal(read_picture(tmp_path / name), read_picture(tmp_path / "plain" / name))


def test_a_saved_grid_says_how_it_was_made_if_told_to(tmp_path: Path) -> None:
    rows = {"picture": torch.zeros(2, 3, 16, 16)}
    save_grid(tmp_path / "a.png", rows)
    save_grid(tmp_path / "b.png", rows, mark=Mark(model_id="0" * 64))
    assert read_mark(tmp_path / "a.png") is None
    assert read_mark(tmp_path / "b.png")["model_id"] == "0" * 64


@pytest.mark.parametrize(("name", "start"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.pdf", b"%PDF")])
def test_curves_are_drawn_into_a_file(tmp_path: Path, name: str, start: bytes) -> None:
    pytest.importorskip("matplotlib")
    curves = {
        "g/loss": [(0, 2.0), (10, 1.0)],
        "d/loss": [(0, float("nan")), (10, 1.0)],
        "none": [],
        "名 $x": [(3, 1.0)],
    }
    save_curves(tmp_path / name, curves, title="a $run")
    assert (tmp_path / name).read_bytes().startswith(start)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_each_curve_has_its_panel_with_its_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = pytest.importorskip("matplotlib.figure")
    drawn = []
    monkeypatch.setattr(figure.Figure, "savefig", lambda self, *args, **options: drawn.append(self))
    save_curves(tmp_path / "a.png", {"g/loss": [(0, 2.0), (10, 1.0)], "d/loss": [(5, 0.5)]}, title="run")
    panels = drawn[0].axes
    assert [axes.get_title(loc="left") for axes in panels] == ["g/loss", "d/loss"]
    assert [axes.get_xlabel() for axes in panels] == ["step", "step"]
    assert panels[0].lines[0].get_xydata().tolist() == [[0, 2], [10, 1]]
    assert panels[1].lines[0].get_xydata().tolist() == [[5, 0.5]]


def test_curves_never_open_a_window(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    before = "matplotlib.pyplot" in sys.modules
    save_curves(tmp_path / "a.png", {"loss": [(0, 1.0)]})
    assert ("matplotlib.pyplot" in sys.modules) == before


def test_nothing_to_draw_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(DataError, match="no curve to draw"):
        save_curves(tmp_path / "a.png", {})
    with pytest.raises(ConfigError, match=r"'a\.bmp'; end the name in"):
        save_curves(tmp_path / "a.bmp", {"loss": [(0, 1.0)]})


def test_without_matplotlib_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return imported(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r'pip install "condswap\[plot\]"'):
        save_curves(tmp_path / "a.png", {"loss": [(0, 1.0)]})
