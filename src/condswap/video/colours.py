"""The colours of a video: which matrix and range its numbers are in, to RGB and back without a shift.

FFmpeg's quick conversion darkens a picture by 1.2 of 255 levels on the way in and out again (measured on real frames);
as it is done here the mean stays within .05 levels. It also reads videos that say nothing of their
matrix as BT.601, where players take BT.709 for large pictures; here it is as players do.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from av import VideoFrame
    from av.video.reformatter import VideoReformatter

# The code points of H.273, which FFmpeg and every container use.
_UNSAID = 2
_BT709, _BT601 = 1, 6
_LIMITED, _FULL = 1, 2  # FFmpeg's; 0 is not said
# H.273's matrix coefficients, to the number that swscale has for them.
_SCALER: dict[int, int] = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}


@dataclass(frozen=True)
class Colours:
    """What a video says of its colours, in the numbers of H.273; 2 is "not said" (for the range 0).

    Attributes:
        matrix: which YCbCr it is: 1 is BT.709, 5 and 6 BT.601, 9 BT.2020.
        range: 1 is limited (luma from 16 to 235), 2 full.
        primaries: of what red, green and blue are.
        transfer: the curve: 1 and 6 as television, 13 sRGB, 16 and 18 high dynamic range.
    """

    matrix: int = _UNSAID
    range: int = 0
    primaries: int = _UNSAID
    transfer: int = _UNSAID

    @classmethod
    def of(cls, frame: "VideoFrame") -> "Colours":
        """What a decoded frame says, with what cannot be written as YCbCr put as what it will be written as."""
        matrix, width, height = int(frame.colorspace), frame.width, frame.height
        said = int(frame.color_range)
        if frame.format.is_rgb or matrix not in (_UNSAID, *_SCALER):
            matrix, said = _by_size(width, height), _LIMITED
        elif frame.format.name.startswith("yuvj"):
            said = _FULL  # the old way to say it
        return cls(matrix, said, int(frame.color_primaries), int(frame.color_trc))

    def converted(self, width: int, height: int) -> tuple[int, int]:
        """The scaler's numbers for matrix and range, as players take them where a video of this size does not say."""
        matrix = self.matrix if self.matrix != _UNSAID else _by_size(width, height)
        return _SCALER[matrix], self.range or _LIMITED


def to_rgb(scaler: "VideoReformatter", frame: "VideoFrame", colours: Colours, width: int, height: int) -> Tensor:
    """Give a decoded frame as uint8 (3, h, w) in RGB, a view of memory that is h w 3; width and height as stored."""
    matrix, said = colours.converted(width, height)
    told = {} if frame.format.is_rgb else {"src_colorspace": matrix, "src_color_range": said}
    rgb = scaler.reformat(
        frame, width=width, height=height, format="rgb24", interpolation=_exact(), dst_color_range=_FULL, **told
    )
    return torch.from_numpy(rgb.to_ndarray()).permute(2, 0, 1)


class Encoding:
    """Turns stored pictures of one size into frames to encode: 8 bits, 4:2:0, odd sides with a last line more.

    Args:
        width: of the pictures as they are stored.
        height: the same.
        colours: what the video will say of its colours.
    """

    def __init__(self, width: int, height: int, colours: Colours) -> None:
        from av.video.reformatter import VideoReformatter

        self.width, self.height = width, height
        self._converted = colours.converted(width, height)
        self._scaler, self._rounder = VideoReformatter(), VideoReformatter()
        self._frame = _frame_sited_left(width + width % 2, height + height % 2)
        self._pixels = torch.from_numpy(self._frame.to_ndarray())

    def __call__(self, image: Tensor) -> "VideoFrame":
        """Give a picture, uint8 (3, h, w), as a new frame."""
        width, height = self.width, self.height
        self._pixels[:height, :width] = image.permute(1, 2, 0)
        self._pixels[:height, width:] = self._pixels[:height, width - 1 : width]
        self._pixels[height:] = self._pixels[height - 1 : height]
        matrix, said = self._converted
        to = {"dst_colorspace": matrix, "dst_color_range": said, "interpolation": _exact()}
        if said != _FULL:
            return self._scaler.reformat(self._frame, format="yuv420p", **to)
        # For the full range the scaler cuts colour off where it should round, half a level too little. Of twelve bits
        # that is nothing, and from twelve to eight it rounds.
        fine = self._scaler.reformat(self._frame, format="yuv420p12le", **to)
        return self._rounder.reformat(fine, format="yuv420p", src_colorspace=matrix, src_color_range=said, **to)


def _frame_sited_left(width: int, height: int) -> "VideoFrame":
    """An RGB frame whose colour, once it is halved, lies at the left of two pixels, as H.264 says and decoders read it.

    The scaler would put it in the middle; each time in and out would then move colour by a quarter of a pixel.
    """
    from av import VideoFrame
    from av.filter import Graph
    from av.video.format import VideoFormat

    graph = Graph()
    source = graph.add_buffer(width=width, height=height, format=VideoFormat("rgb24"), time_base=Fraction(1, 25))
    graph.link_nodes(source, graph.add("setparams", "chroma_location=left"), graph.add("buffersink")).configure()
    graph.vpush(VideoFrame(width, height, "rgb24"))
    return graph.vpull()


def _exact() -> int:
    """The flags with which the scaler neither shifts nor darkens, and averages the colour of four pixels."""
    from av.video.reformatter import Interpolation

    return Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP


def _by_size(width: int, height: int) -> int:
    """The matrix that players take for a video that says nothing: BT.709 from high definition on."""
    return _BT709 if width >= 1280 or height > 576 else _BT601
