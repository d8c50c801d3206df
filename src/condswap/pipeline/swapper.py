"""From frames and the faces in them to frames in which the faces were swapped; nothing is read or written here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from condswap.cgan import CGAN
from condswap.errors import ConfigError
from condswap.faces.blend import crop, denoise, erode, feather, mask_of, paste, seamless, sharpen
from condswap.faces.colour import match_histogram, match_mean, monge_kantorovich, reinhard
from condswap.faces.find import Face
from condswap.faces.hulls import draw_hull, hull_of
from condswap.generator import AnyLabel, AnySource, evaluating
from condswap.roles import Stranger
from condswap.templates import DEFAULT, TEMPLATES, Template
from condswap.types import Image, Mask

_MATCHES: Mapping[str, Callable[[Image, Image, Mask | None], Image]] = MappingProxyType(
    {"mean": match_mean, "lab": reinhard, "linear": monge_kantorovich, "histogram": match_histogram}
)
COLOURS = ("none", *_MATCHES)
"""How the colours of a swap can follow those of the picture."""

MASKS = ("both", "model", "landmarks")
"""Which mask a swap can be pasted through."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """How swapped faces are put into the picture.

    Args:
        mask: "model" for the mask that the model paints, "landmarks" for the hull of the face that was found, "both" for
            where the two agree.
        erode: by how much the mask is made smaller, in shares of the crop's side; larger where it is negative.
        feather: over how much its edge fades out, inwards, in shares of the crop's side.
        colour: one of `COLOURS`: "mean" gives the swap the mean and the deviation of the face that was there, in RGB, "lab"
            in CIE Lab, "linear" all covariances too, "histogram" the whole distribution.
        seamless: put the face in by its gradients (Poisson cloning): no edge, and the light of the picture.
        sharpen: by how much the face is sharpened; 0.5 is plain to see.
        denoise: by how much it is smoothed, of a range of 1.

    Raises:
        ConfigError: a word or a number that cannot be.
    """

    mask: Literal["both", "model", "landmarks"] = "both"
    erode: float = -0.02  # the hull ends at the brows, and under its soft edge the old ones would show
    feather: float = 0.04
    colour: str = "mean"
    seamless: bool = False
    sharpen: float = 0.0
    denoise: float = 0.0

    def __post_init__(self) -> None:
        """Check the words and the numbers."""
        for name, known in (("mask", MASKS), ("colour", COLOURS)):
            if getattr(self, name) not in known:
                raise ConfigError(f"{name}={getattr(self, name)!r}; give one of {', '.join(known)}")
        for name, least, most in (("erode", -0.5, 0.5), ("feather", 0, 0.5), ("sharpen", 0, 10), ("denoise", 0, 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
                raise ConfigError(f"{name}={value!r}; give a number from {least} to {most}")


class Wanted(NamedTuple):
    """A face to be swapped, and who it is: a class, a stranger, or None where that is not known."""

    face: Face
    source: AnySource | None


class FaceSwapper:
    """Swaps faces in frames.

    Args:
        model: paints the faces; it stays on its device.
        to: whom to show: a class, or a blend {name: weight}.
        look: how the faces are put into the picture.
        template: how the model's faces are cut out; None asks the model, and takes that of `condswap extract` where the
            model was never told.

    Raises:
        ConfigError: the model's pictures are not square.
        DataError: there is no such class.
    """

    def __init__(
        self, model: CGAN, *, to: AnyLabel, look: Look | None = None, template: Template | None = None
    ) -> None:
        _, height, width = model.image_shape
        if height != width:
            raise ConfigError(f"faces are cut out square, and this model takes pictures of {height} x {width}")
        self.model, self.to, self.size = model, to, height
        self.look = look or Look()
        self.template = template or model.template or TEMPLATES[DEFAULT]
        self.device = next(model.parameters()).device
        model.generator.resolve(to, torch.empty(1, 0))

    def swap(self, frames: Sequence[Tensor], wanted: Sequence[Sequence[Wanted]]) -> list[Tensor]:
        """Swap the faces of frames.

        Args:
            frames: each uint8 (3, h, w), RGB.
            wanted: the faces to be swapped in each.

        Returns:
            The frames; one without faces is the same tensor, and of the others every pixel outside of the masks is as it was.
        """
        matrices = [[self.template.matrix(one.face.points, self.size) for one in faces] for faces in wanted]
        cuts = [
            (*self._cut(frame, one.face, matrix), one.source)
            for frame, faces, own in zip(frames, wanted, matrices, strict=True)
            for one, matrix in zip(faces, own, strict=True)
        ]
        if not cuts:
            return list(frames)
        painted, masks = self._paint(cuts)
        swapped, place = [], 0
        for frame, own in zip(frames, matrices, strict=True):
            shown = frame
            for matrix in own:
                shown = paste(shown, painted[place], masks[place], matrix)
                place += 1
            swapped.append(shown)
        return swapped

    def aligned(
        self, frames: Sequence[Tensor], source: AnySource | None = None, *, mask: Tensor | None = None
    ) -> list[Tensor]:
        """Swap frames that are aligned faces as they are.

        Args:
            frames: each uint8 (3, s, s), RGB, square; of any size.
            source: who is in them, where that is known.
            mask: (1, size, size) in [0, 1], where the face is, at the model's size; None for everywhere.
        """
        mask = torch.ones(1, self.size, self.size) if mask is None else mask
        scales = [self.size / frame.shape[2] for frame in frames]
        matrices = [[[scale, 0.0, (scale - 1) / 2], [0.0, scale, (scale - 1) / 2]] for scale in scales]
        cuts = [crop(frame, matrix, self.size) for frame, matrix in zip(frames, matrices, strict=True)]
        painted, masks = self._paint([(cut, mask, source) for cut in cuts])
        return [paste(*one) for one in zip(frames, painted, masks, matrices, strict=True)]

    def stranger(self, cuts: Sequence[tuple[Tensor, Tensor]]) -> Stranger | None:
        """Get to know a person by crops and their hulls; None where the model has no use for that."""
        if not cuts or not self.model.generator.bottleneck.strangers:
            return None
        image, mask = (torch.stack(parts).to(self.device) for parts in zip(*cuts, strict=True))
        return self.model.stranger(image, mask)

    def cut(self, frame: Tensor, face: Face) -> tuple[Tensor, Tensor]:
        """Cut a face out as the model sees it: the crop (3, s, s) and its hull (1, s, s)."""
        return self._cut(frame, face, self.template.matrix(face.points, self.size))

    def _cut(self, frame: Tensor, face: Face, matrix: Tensor) -> tuple[Tensor, Tensor]:
        return crop(frame, matrix, self.size), draw_hull(hull_of(face, self.template), matrix, self.size)

    @torch.no_grad()
    def _paint(self, cuts: Sequence[tuple[Tensor, Tensor, AnySource | None]]) -> tuple[Tensor, Tensor]:
        """Give the faces to paste and the masks to paste them through, on the CPU."""
        image = torch.stack([cut for cut, _, _ in cuts]).to(self.device, non_blocking=True)
        hull = torch.stack([mask for _, mask, _ in cuts]).to(self.device, non_blocking=True)
        shown, painted = torch.empty_like(image), torch.empty_like(hull)
        sources = {id(source): source for _, _, source in cuts}
        with evaluating(self.model):
            for key, source in sources.items():
                rows = torch.tensor(
                    [number for number, cut in enumerate(cuts) if id(cut[2]) == key], device=self.device
                )
                face = self.model.generator(image[rows], self.to, source, hull[rows])
                shown[rows], painted[rows] = face.image.to(image.dtype), face.mask.to(hull.dtype)
        look, side = self.look, self.size
        region = mask_of(painted, hull, look.mask)
        mask = feather(erode(region, round(look.erode * side)), round(look.feather * side))
        if look.colour != "none":
            shown = _MATCHES[look.colour](shown, image, region)
        if look.denoise:
            shown = denoise(shown, look.denoise)
        if look.sharpen:
            shown = sharpen(shown, look.sharpen)
        if look.seamless:
            shown = seamless(image, shown, mask)
        return shown.cpu(), mask.cpu()
