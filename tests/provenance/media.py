"""Files of every kind that bears a mark, written by Pillow and PyAV."""

import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

SYNTHETIC = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
MODEL = "0123456789abcdef" * 4
ORIENTATION = 0x0112
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def noise(width: int = 23, height: int = 14, *, mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 4), dtype=np.uint8)
    return Image.fromarray(pixels, "RGBA").convert(mode) if mode != "RGBA" else Image.fromarray(pixels, "RGBA")


def encoded(picture: Image.Image, kind: str, **settings: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **settings)
    return stream.getvalue()


def exif() -> Image.Exif:
    made = Image.Exif()
    made[ORIENTATION] = 6
    return made


def _with_text() -> PngImagePlugin.PngInfo:
    text = PngImagePlugin.PngInfo()
    text.add_text("Title", "mine")
    text.add_itxt("XML:com.adobe.xmp", "<old/>")
    return text


PICTURES: dict[str, bytes] = {
    "jpeg": encoded(noise(), "JPEG"),
    "jpeg, progressive, all about it": encoded(
        noise(), "JPEG", progressive=True, exif=exif(), icc_profile=PROFILE, comment=b"mine", xmp=b"<old/>"
    ),
    "jpeg, grey": encoded(noise(mode="L"), "JPEG"),
    "jpeg, CMYK": encoded(noise(mode="CMYK"), "JPEG"),
    "jpeg, one pixel": encoded(noise(1, 1), "JPEG"),
    "png": encoded(noise(), "PNG"),
    "png, all about it": encoded(noise(mode="RGBA"), "PNG", pnginfo=_with_text(), icc_profile=PROFILE, exif=exif()),
    "png, palette": encoded(noise(mode="P"), "PNG"),
    "png, 16 bits": encoded(Image.fromarray(np.arange(20, dtype=np.uint16).reshape(4, 5) * 3000), "PNG"),
    "png, animated": encoded(noise(), "PNG", save_all=True, append_images=[noise().rotate(180)]),
    "webp": encoded(noise(), "WEBP"),
    "webp, lossless": encoded(noise(), "WEBP", lossless=True),
    "webp, alpha": encoded(noise(mode="RGBA"), "WEBP"),
    "webp, lossless alpha": encoded(noise(mode="RGBA"), "WEBP", lossless=True),
    "webp, all about it": encoded(noise(), "WEBP", exif=exif(), icc_profile=PROFILE, xmp=b"<old/>"),
    "webp, animated": encoded(noise(), "WEBP", save_all=True, append_images=[noise().rotate(180)]),
    "webp, one pixel": encoded(noise(1, 1), "WEBP"),
    "webp, wide": encoded(noise(16383, 1), "WEBP"),
    "webp, lossless and tall": encoded(noise(1, 16383), "WEBP", lossless=True),
}


def pixels(file: bytes) -> list[tuple[str, tuple[int, int], bytes]]:
    """Mode, size and pixels of every frame."""
    with Image.open(io.BytesIO(file)) as picture:
        found = []
        for number in range(getattr(picture, "n_frames", 1)):
            picture.seek(number)
            picture.load()
            found.append((picture.mode, picture.size, picture.tobytes()))
        return found


def write_video(path: Path, *, frames: int = 8, **options: str) -> None:
    """A video with sound."""
    with av.open(str(path), "w", options=options) as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("aac", rate=16000)
        rng = np.random.default_rng(0)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        for number in range(5):
            wave = rng.standard_normal((1, 1024)).astype(np.float32) * 0.1
            samples = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            samples.sample_rate, samples.pts, samples.time_base = 16000, 1024 * number, Fraction(1, 16000)
            container.mux(sound.encode(samples))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))


def packets(path: Path) -> list[tuple[str, int | None, bytes]]:
    """What the streams of a video hold, as it lies in the file."""
    with av.open(str(path)) as container:
        return [(one.stream.type, one.pts, bytes(one)) for one in container.demux() if one.size]


def decoded(path: Path) -> Iterator[bytes]:
    with av.open(str(path)) as container:
        for frame in container.decode():
            yield frame.to_ndarray().tobytes()
