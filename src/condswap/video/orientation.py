"""How a stored picture is turned before it is shown: the display matrix of a video track."""

import struct
from dataclasses import dataclass

from torch import Tensor

_UNTURNED = (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)


@dataclass(frozen=True)
class Orientation:
    """The nine numbers of a display matrix (ISO 14496-12, 6.2.2), and what they do to a picture.

    A stored point (x, y) is shown at (a x + c y, b x + d y), for the matrix a b u, c d v, x y w in 16.16 fixed point.
    Other angles than quarter turns are taken as the nearest of those.

    >>> Orientation().clockwise
    0
    >>> Orientation((0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)).clockwise
    90
    """

    matrix: tuple[int, ...] = _UNTURNED

    @classmethod
    def from_bytes(cls, packed: bytes) -> "Orientation":
        """Read the matrix as FFmpeg keeps it, nine int32; anything else is a picture that stays as it is."""
        if len(packed) != 36:
            return cls()
        matrix = struct.unpack("=9i", packed)
        return cls(matrix) if any(matrix[:2]) else cls()

    @property
    def swaps_sides(self) -> bool:
        """Whether the picture's width becomes its height."""
        a, b, _, c, d, *_ = self.matrix
        return abs(b) + abs(c) > abs(a) + abs(d)

    @property
    def clockwise(self) -> int:
        """The quarter turn in degrees, 0, 90, 180 or 270, that shows the picture upright."""
        _, _, _, c, d, *_ = self.matrix
        if self.swaps_sides:
            return 90 if c < 0 else 270
        return 180 if d < 0 else 0

    @property
    def is_mirrored(self) -> bool:
        """Whether left and right of the stored picture are exchanged before it is turned."""
        a, b, _, c, d, *_ = self.matrix
        return a * d - b * c < 0

    @property
    def is_turned(self) -> bool:
        """Whether the stored picture is not the one to show."""
        return self.swaps_sides or bool(self._flips)

    def upright(self, image: Tensor) -> Tensor:
        """Turn a stored picture (c, h, w) as it is to be shown."""
        if self.swaps_sides:
            image = image.transpose(1, 2)
        return image.flip(self._flips) if self._flips else image

    def stored(self, image: Tensor) -> Tensor:
        """Turn an upright picture (c, h, w) back as it is to be stored."""
        if self._flips:
            image = image.flip(self._flips)
        return image.transpose(1, 2) if self.swaps_sides else image

    @property
    def _flips(self) -> tuple[int, ...]:
        """The dimensions of (c, h, w) that are reversed, after the sides were swapped."""
        a, b, _, c, d, *_ = self.matrix
        right, down = (c, b) if self.swaps_sides else (a, d)
        return (*((1,) if down < 0 else ()), *((2,) if right < 0 else ()))
