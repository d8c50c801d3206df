"""The word by which DeepFaceLab names a SAEHD network, and the parts of ours that it stands for."""

import re
from dataclasses import dataclass
from typing import Any, Self

from condswap.errors import ConfigError, ShapeError
from condswap.parts import SAEHDBottleneck, SAEHDDecoder, SAEHDEncoder
from condswap.roles import Bottleneck, Decoder, Encoder

SMALLEST, LARGEST = 64, 640


@dataclass(frozen=True)
class Archi:
    """A network of SAEHD's by its options.

    Attributes:
        liae: LIAE, or else DF.
        pixel_norm: the option u.
        interleaved: the option d.
        deep: the option t.
        x_cos_x: the option c.
    """

    liae: bool
    pixel_norm: bool
    interleaved: bool
    deep: bool
    x_cos_x: bool

    @classmethod
    def read(cls, word: object) -> Self:
        """Read a word such as "liae-ud".

        Raises:
            ConfigError: it is none that SAEHD knows.
        """
        found = re.fullmatch(r"(df|liae)(?:-([udtc]*))?", word) if isinstance(word, str) else None
        if found is None:
            raise ConfigError(
                f"the architecture is {word!r}; SAEHD's are df or liae, with any of the options u, d, t and c, such as "
                "'liae-ud'; a model with an older word has to be trained for one step in the last DeepFaceLab first"
            )
        options = found[2] or ""
        return cls(found[1] == "liae", *(option in options for option in "udtc"))

    def __str__(self) -> str:
        """Give the word."""
        flags = zip("udtc", (self.pixel_norm, self.interleaved, self.deep, self.x_cos_x), strict=True)
        options = "".join(option for option, on in flags if on)
        return ("liae" if self.liae else "df") + (f"-{options}" if options else "")

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the files that hold the network: encoder, bottleneck and decoder, in this order."""
        if self.liae:
            return ("encoder", "inter_AB", "inter_B", "decoder")
        return ("encoder", "inter", "decoder_src", "decoder_dst")

    @property
    def multiple(self) -> int:
        """What the side of a picture has to be a multiple of."""
        return 32 if self.deep or self.interleaved else 16

    @property
    def halvings(self) -> int:
        """How often the encoder halves a picture."""
        return 5 if self.deep else 4

    def check_resolution(self, resolution: Any) -> int:
        """Check the side of a picture.

        Raises:
            ShapeError: no network of this kind has pictures of that size.
        """
        whole = isinstance(resolution, int) and not isinstance(resolution, bool)
        if whole and SMALLEST <= resolution <= LARGEST and resolution % self.multiple == 0:
            return int(resolution)
        raise ShapeError(
            f"the resolution of {self} is a multiple of {self.multiple} from {SMALLEST} to {LARGEST} pixels, and this is "
            f"{resolution!r}"
        )

    def build(self, resolution: int, *, e: int, a: int, d: int, m: int) -> tuple[Encoder, Bottleneck, Decoder]:
        """Build the network of DeepFaceLab's four numbers: e_dims, ae_dims, d_dims and d_mask_dims."""
        act: Any = {"activation": "x_cos_x" if self.x_cos_x else "leaky_relu"}
        encoder = SAEHDEncoder((3, resolution, resolution), width=e, deep=self.deep, pixel_norm=self.pixel_norm, **act)
        bottleneck = SAEHDBottleneck(
            encoder.out_shape,
            num_classes=2,
            width=a,
            scale=1 if self.interleaved else 2,
            upscale=not self.deep,
            per_class=self.liae,
            **act,
        )
        decoder = SAEHDDecoder(
            bottleneck.out_shape,
            num_classes=2,
            width=d,
            mask_width=m,
            stages=4 if self.deep else 3,
            interleaved=self.interleaved,
            per_class=not self.liae,
            **act,
        )
        return encoder, bottleneck, decoder
