"""From the file of a picture to its pixels: the one place where condswap decodes pictures.

The messages of the errors here are the reason alone, so that they fit a list of files and a sentence about one file.
"""

import contextlib
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from einops import rearrange
from torch import Tensor

from condswap.errors import ConfigError, DataError

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

_FORMATS = ("JPEG", "PNG", "WEBP")
_ORIENTATION = 0x0112  # the EXIF tag that says which side of the sensor was up


def require_pillow() -> None:
    """Raise `ConfigError` with the cure when Pillow is not installed."""
    try:
        import PIL.Image  # noqa: F401
    except ImportError as error:
        raise ConfigError('reading and writing pictures needs Pillow: pip install "condswap[data]"') from error


def decode_picture(source: Path | bytes, *, image_size: int | None = None) -> tuple[Tensor, Tensor | None]:
    """Decode a file, or the bytes of one, to its colours (3, h, w) and its transparency (1, h, w) or None, uint8.

    The EXIF orientation is applied; the colours are not multiplied by the transparency. With `image_size` the picture
    has to be square and is resized. Raises `DataError` with the reason.
    """
    with _reading():
        opened = _open(source, image_size)
        picture, alpha = opened.picture, None
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            alpha = _finish(picture.getchannel("A"), opened, image_size)
        # Resized apart from the alpha: Pillow would make the colours under a transparent pixel black.
        return _finish(picture.convert("RGB"), opened, image_size), alpha


def decode_mask(source: Path | bytes, *, image_size: int | None = None) -> Tensor:
    """Decode the picture of a mask to (1, h, w), uint8; white is the face, and what is transparent is not.

    Raises `DataError` with the reason.
    """
    with _reading():
        from PIL import ImageChops

        opened = _open(source, image_size)
        picture = opened.picture
        grey = picture.convert("L")
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            grey = ImageChops.multiply(picture.convert("L"), picture.getchannel("A"))
        return _finish(grey, opened, image_size)


def picture_size(source: Path | bytes) -> tuple[int, int]:
    """Give the height and width that a file says, without decoding it.

    Raises `DataError` with the reason.
    """
    with _reading():
        from PIL import Image as Pillow

        with Pillow.open(BytesIO(source) if isinstance(source, bytes) else source, formats=_FORMATS) as picture:
            return picture.height, picture.width


def colour_profile(source: Path | bytes) -> bytes | None:
    """Give the ICC profile of a picture in RGB, which says what its numbers mean; None without one, or in other colours.

    Raises `DataError` with the reason.
    """
    with _reading():
        from PIL import Image as Pillow

        with Pillow.open(BytesIO(source) if isinstance(source, bytes) else source, formats=_FORMATS) as picture:
            profile = picture.info.get("icc_profile")
            return profile if isinstance(profile, bytes) and profile[16:20] == b"RGB " else None


def to_tensor(picture: "PillowImage") -> Tensor:
    """Copy the pixels of a Pillow picture in mode RGB or L to a uint8 tensor (c, h, w)."""
    pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return rearrange(pixels, "(h w c) -> c h w", h=picture.height, w=picture.width).contiguous()


@dataclass(frozen=True)
class _Opened:
    """A loaded picture, not yet upright; `box` is its true extent when the decoder has already made it smaller."""

    picture: "PillowImage"
    box: tuple[float, float, float, float] | None
    orientation: int


def _open(source: Path | bytes, image_size: int | None) -> _Opened:
    """Open, check and load a file."""
    from PIL import Image as Pillow

    if not (len(source) if isinstance(source, bytes) else source.stat().st_size):
        raise DataError("the file is empty")
    with Pillow.open(BytesIO(source) if isinstance(source, bytes) else source, formats=_FORMATS) as picture:
        width, height = picture.size
        # Pillow itself only warns between once and twice its limit.
        if Pillow.MAX_IMAGE_PIXELS is not None and width * height > Pillow.MAX_IMAGE_PIXELS:
            raise DataError(f"{width}x{height} is more than Pillow's limit of {Pillow.MAX_IMAGE_PIXELS} pixels")
        box = None
        if image_size is not None:
            if width != height:
                raise DataError(f"{width}x{height} is not square; crop faces square first")
            # A JPEG can be decoded at 1/2, 1/4 or 1/8; twice the wanted size leaves the fine filter enough to do.
            drafted = picture.draft(None, (2 * image_size, 2 * image_size))
            box = drafted[1] if drafted else None
        picture.load()
        orientation = 1
        with contextlib.suppress(Exception):  # broken EXIF is no broken picture; every viewer shows it as it lies
            orientation = int(picture.getexif().get(_ORIENTATION, 1))
        if not picture.mode.startswith("I"):
            return _Opened(picture, box, orientation)
        # 16-bit grey: Pillow's own conversion would cut at 255 instead of scaling. Its transparent grey is one of
        # 65536 and means nothing in 8 bits.
        grey = picture.convert("I").point(lambda value: value * (1 / 257) + 0.5).convert("L")
        grey.info.pop("transparency", None)
        return _Opened(grey, box, orientation)


def _finish(picture: "PillowImage", opened: _Opened, image_size: int | None) -> Tensor:
    """Resize and set upright."""
    from PIL import Image as Pillow

    if image_size is not None:
        mask = picture.mode == "L"
        # Bilinear keeps a mask within its values where Lanczos would ring; both average when they make smaller.
        kernel = Pillow.Resampling.BILINEAR if mask else Pillow.Resampling.LANCZOS
        picture = picture.resize((image_size, image_size), kernel, box=opened.box, reducing_gap=3.0)
    turn = {
        2: Pillow.Transpose.FLIP_LEFT_RIGHT,
        3: Pillow.Transpose.ROTATE_180,
        4: Pillow.Transpose.FLIP_TOP_BOTTOM,
        5: Pillow.Transpose.TRANSPOSE,
        6: Pillow.Transpose.ROTATE_270,
        7: Pillow.Transpose.TRANSVERSE,
        8: Pillow.Transpose.ROTATE_90,
    }.get(opened.orientation)
    return to_tensor(picture if turn is None else picture.transpose(turn))


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """Turn whatever a broken file makes Pillow raise into a `DataError` with the reason."""
    require_pillow()
    from PIL import UnidentifiedImageError

    try:
        with quiet():
            yield
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError("not a JPEG, PNG or WebP picture, or its beginning is broken") from error
    except OSError as error:
        raise DataError(error.strerror or str(error) or "cannot be read") from error
    # A broken file makes decoders fail in many ways (SyntaxError, struct.error, ValueError, ...), all of one meaning.
    except Exception as error:
        raise DataError(f"broken: {error or type(error).__name__}") from error


_quiet_lock = threading.Lock()
_quiet_stack = contextlib.ExitStack()
_quiet_users = 0


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the warnings of the picture libraries from the person: what matters is raised or listed.

    Python's filters are one global list, so threads that save and restore it by turns would leave it changed: here the
    first one in saves it and the last one out restores it.
    """
    global _quiet_users
    if getattr(sys.flags, "context_aware_warnings", False):  # Python 3.14 can give each thread its own filters
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
        return
    with _quiet_lock:
        if _quiet_users == 0:
            _quiet_stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
        _quiet_users += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_users -= 1
            if _quiet_users == 0:
                _quiet_stack.close()
