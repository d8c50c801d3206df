"""The names of the tensors that flow through condswap.

A type says the shape once: `def forward(self, image: Image, label: Label) -> Image`. The annotations are documentation
that a reader and a type checker both see; nothing is checked at run time by them.
"""

from typing import Annotated, TypeAlias, TypedDict

from torch import Tensor

Shape: TypeAlias = tuple[int, ...]
"""A shape without the batch dimension, `(channels, height, width)`."""

Image: TypeAlias = Annotated[Tensor, "b 3 h w, float, RGB in [0, 1]"]
Mask: TypeAlias = Annotated[Tensor, "b 1 h w, float in [0, 1], 1 = face"]
Label: TypeAlias = Annotated[Tensor, "b, int64: one class a picture; or b n, float: a blend of the n classes"]
Features: TypeAlias = Annotated[Tensor, "b c h w, float"]
Logits: TypeAlias = Annotated[Tensor, "b ..., float, before any sigmoid"]


class Item(TypedDict):
    """One picture as a dataset gives it: image (3, h, w), mask (1, h, w), label."""

    image: Tensor
    mask: Tensor
    label: int


class Batch(TypedDict):
    """Pictures as training takes them: image (b, 3, h, w), mask (b, 1, h, w), label (b), int64."""

    image: Image
    mask: Mask
    label: Label
