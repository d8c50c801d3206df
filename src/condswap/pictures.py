"""Pictures from files and into files: one way to read them, one to write them, and the two figures of a training run.

Needs Pillow (`pip install "condswap[data]"`), and matplotlib for the curves (`pip install "condswap[plot]"`).
"""

import contextlib
import math
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from einops import rearrange
from torch import Tensor

from condswap.decoding import decode_picture, quiet, require_pillow, to_tensor
from condswap.errors import ConfigError, DataError, ShapeError
from condswap.files import write_atomically
from condswap.provenance import Mark, marked
from condswap.types import Image

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage
    from PIL.ImageFont import FreeTypeFont

# Writing: what Pillow calls the format, and how to keep the quality.
_WRITERS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".webp": ("WEBP", {"quality": 95}),
}
FORMATS = tuple(_WRITERS)
"""How the name of a picture ends that can be written."""

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_PAPER, _INK, _FAINT = (250, 250, 248), (38, 38, 42), (110, 110, 118)
_SMALLEST_CELL = 128


def read_picture(path: Path | str, *, image_size: int | None = None) -> Tensor:
    """Read a JPEG, PNG or WebP file as an image (3, h, w), float32 RGB in [0, 1].

    The EXIF orientation is applied, transparency is dropped, colour profiles are not applied. With `image_size` a
    square picture is resized to it. Raises `DataError` for a file that cannot be read, or resized without distortion.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_picture(torch.zeros(3, 4, 6), Path(folder) / "dark.png")
    ...     tuple(read_picture(Path(folder) / "dark.png").shape)
    (3, 4, 6)
    """
    try:
        return decode_picture(Path(path), image_size=image_size)[0].float() / 255
    except DataError as error:
        raise DataError(f"cannot use {path}: {error}") from error


def save_picture(image: Tensor, path: Path | str, *, mark: Mark | None = None, profile: bytes | None = None) -> None:
    """Write an image (3, h, w) or a mask (1, h, w), float in [0, 1], as PNG, JPEG or WebP, whole or not at all.

    A fourth channel is its transparency, which JPEG does not keep. `profile` is the ICC profile of its colours.

    With a `mark` the file says how it was made, which a picture with a face made by a model should.

    Raises `ConfigError` for another suffix, `ShapeError` for another shape, `DataError` for values outside [0, 1] and
    for a disk that refuses.
    """
    require_pillow()
    path = Path(path)
    if path.suffix.lower() not in _WRITERS:
        raise ConfigError(f"cannot write a picture named {path.name!r}; end the name in {', '.join(_WRITERS)}")
    kind, options = _WRITERS[path.suffix.lower()]
    if profile is not None:
        options = {**options, "icc_profile": profile}
    picture = encode_picture(image[:3] if kind == "JPEG" else image, kind, **options)
    write_atomically(path, marked(picture, mark) if mark else picture)


def swap_grid(rows: Mapping[str, Image], *, scale: int | None = None, captions: Sequence[str] | None = None) -> Tensor:
    """Lay named rows of pictures out as one picture (3, h, w), float32 in [0, 1].

    Every row is n pictures (n, 3, h, w) in [0, 1], its name stands at its left; all rows have the same shape.
    `captions` are n short texts above the columns. `scale` is a whole factor for the pictures; None shows them at 128
    pixels or more. Letters beyond English need the DejaVu font, from the system or from matplotlib.

    Raises `ShapeError` for rows that do not fit each other, `ConfigError` for a wrong count of captions or scale,
    `DataError` for values outside [0, 1].

    >>> faces = torch.rand(3, 3, 64, 64)
    >>> swap_grid({"picture": faces, "swap": 1 - faces}, captions=["one", "two", "three"]).shape[0]
    3
    """
    require_pillow()
    count, height, width = _grid_shape(rows, captions)
    if scale is None:
        scale = max(1, math.ceil(_SMALLEST_CELL / min(height, width)))
    if not isinstance(scale, int) or scale < 1:
        raise ConfigError(f"scale={scale!r} is not a whole number from 1 on; leave it out to have it chosen")
    from PIL import Image as Pillow
    from PIL import ImageDraw

    height, width = height * scale, width * scale
    font = _font(min(max(height // 8, 15), 30), "".join((*rows, *(captions or ()))))
    line = math.ceil(font.size * 1.4)
    gap, margin = max(4, height // 32), max(12, height // 10)
    gutter = math.ceil(max(font.getlength(name) for name in rows)) + margin
    top = margin + (line + gap if captions else 0)
    size = (margin + gutter + count * (width + gap) - gap + margin, top + len(rows) * (height + gap) - gap + margin)
    canvas = Pillow.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(canvas)
    for column, caption in enumerate(captions or ()):
        middle = margin + gutter + column * (width + gap) + width // 2
        draw.text((middle, margin + line // 2), _fit(caption, font, width), fill=_FAINT, font=font, anchor="mm")
    for row, (name, images) in enumerate(rows.items()):
        y = top + row * (height + gap)
        draw.text((margin, y + height // 2), name, fill=_INK, font=font, anchor="lm")
        for column, image in enumerate(images):
            picture = to_pillow(image).resize((width, height), Pillow.Resampling.LANCZOS)
            canvas.paste(picture, (margin + gutter + column * (width + gap), y))
    return to_tensor(canvas).float() / 255


def save_grid(
    path: Path | str,
    rows: Mapping[str, Image],
    *,
    scale: int | None = None,
    captions: Sequence[str] | None = None,
    mark: Mark | None = None,
) -> None:
    """Write what `swap_grid` lays out as a picture file, as `save_picture` does."""
    save_picture(swap_grid(rows, scale=scale, captions=captions), path, mark=mark)


def save_curves(path: Path | str, curves: Mapping[str, Sequence[tuple[int, float]]], *, title: str = "") -> None:
    """Draw one small panel a curve of (step, value) points into a PNG, SVG or PDF file, whole or not at all.

    Values that are not numbers leave a gap. Raises `ConfigError` when matplotlib is missing or the suffix is another,
    `DataError` when there is no curve or the disk refuses.
    """
    try:
        from matplotlib.figure import Figure  # not pyplot: no window, no global state, safe in any thread
        from matplotlib.ticker import MaxNLocator
    except ImportError as error:
        raise ConfigError('drawing curves needs matplotlib: pip install "condswap[plot]"') from error
    path = Path(path)
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("png", "svg", "pdf"):
        raise ConfigError(f"cannot draw curves into {path.name!r}; end the name in .png, .svg or .pdf")
    if not curves:
        raise DataError(f"there is no curve to draw into {path}; give at least one name with its (step, value) points")
    across = min(len(curves), 3)
    down = math.ceil(len(curves) / across)
    figure = Figure(figsize=(3.4 * across, 2.3 * down + (0.4 if title else 0)), layout="constrained", facecolor="white")
    if title:
        figure.suptitle(title, fontsize=12, parse_math=False)
    for place, (name, points) in enumerate(curves.items(), start=1):
        axes = figure.add_subplot(down, across, place)
        steps, values = [step for step, _ in points], [value for _, value in points]
        # A point alone makes no line, so a few points are drawn as points too.
        axes.plot(steps, values, color="#2f6db5", linewidth=1.3, marker="." if len(points) < 20 else "")
        axes.set_title(name, fontsize=9.5, loc="left", parse_math=False)
        axes.set_xlabel("step", fontsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        axes.tick_params(labelsize=8, color="#b0b0b0")
        axes.grid(color="#e6e6e6", linewidth=0.7)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color("#b0b0b0")
    with quiet():  # a name in letters that the font lacks is drawn as boxes, which is no reason to stop
        write_atomically(path, lambda temporary: figure.savefig(temporary, dpi=144, format=kind))


def to_pillow(image: Tensor) -> "PillowImage":
    """Turn an image (3, h, w), with its transparency (4, h, w), or a mask (1, h, w), float in [0, 1], into Pillow's.

    Raises `ShapeError` for another shape or kind, `DataError` for values outside [0, 1].
    """
    from PIL import Image as Pillow

    if image.ndim != 3 or image.shape[0] not in _MODES or 0 in image.shape or not image.is_floating_point():
        raise ShapeError(
            f"cannot make a picture of {str(image.dtype).removeprefix('torch.')} {tuple(image.shape)}; give one float "
            "image (3, h, w) or mask (1, h, w), such as batch[0]"
        )
    image = image.detach().float().cpu()
    low, high = (extreme.item() for extreme in image.aminmax())
    # The thousandth is for rounding in half precision; not a number compares as False and is refused too.
    if not (low >= -1e-3 and high <= 1 + 1e-3):
        raise DataError(f"cannot make a picture of values from {low:.4g} to {high:.4g}; an image is in [0, 1]")
    pixels = rearrange((image.clamp(0, 1) * 255).round().to(torch.uint8), "c h w -> h w c").contiguous()
    return Pillow.frombytes(_MODES[image.shape[0]], (image.shape[2], image.shape[1]), pixels.numpy().tobytes())


def encode_picture(image: Tensor, kind: str, **settings: Any) -> bytes:
    """Give the file of an image (3, h, w) or a mask (1, h, w), float in [0, 1], as Pillow's format `kind`.

    Raises `ShapeError` for another shape or kind, `DataError` for values outside [0, 1].
    """
    stream = BytesIO()
    to_pillow(image).save(stream, kind, **settings)
    return stream.getvalue()


def _grid_shape(rows: Mapping[str, Image], captions: Sequence[str] | None) -> tuple[int, int, int]:
    """Give the count, height and width that all the rows share."""
    if not rows:
        raise ShapeError('a grid needs at least one row, such as {"picture": images}')
    shapes = {name: tuple(images.shape) for name, images in rows.items()}
    first = next(iter(shapes.values()))
    if len(first) != 4 or first[1] != 3 or 0 in first or len(set(shapes.values())) > 1:
        told = ", ".join(f"{name!r} {shape}" for name, shape in shapes.items())
        raise ShapeError(f"the rows of a grid are images (n, 3, h, w) of one shape; these are {told}")
    count, _, height, width = first
    if captions is not None and (isinstance(captions, str) or len(captions) != count):
        raise ConfigError(f"captions={captions!r} does not fit {count} columns; give a list of {count} texts")
    return count, height, width


def _font(size: int, letters: str) -> "FreeTypeFont":
    """Choose a font for these letters: Pillow's own has only those of English."""
    from PIL import ImageFont, features

    if not features.check("freetype2"):
        raise ConfigError("this Pillow was built without FreeType, which draws the titles; pip install --force pillow")
    if not letters.isascii():
        candidates = [Path("DejaVuSans.ttf")]  # from the system, or the one that matplotlib brings
        matplotlib = find_spec("matplotlib")
        if matplotlib and matplotlib.origin:
            candidates.append(Path(matplotlib.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf")
        for candidate in candidates:
            with contextlib.suppress(OSError):
                return ImageFont.truetype(str(candidate), size)
    return cast("FreeTypeFont", ImageFont.load_default(size))


def _fit(text: str, font: "FreeTypeFont", width: int) -> str:
    """Shorten a text that is wider than its column."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}...") > width:
        text = text[:-1]
    return f"{text.rstrip()}..."
