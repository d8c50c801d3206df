"""The four roles that a part can play, what a decoder shows, and what a bottleneck may be told of a stranger."""

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor

from condswap.component import Component
from condswap.types import Features, Image, Label, Logits, Mask, Shape


class Face(NamedTuple):
    """What a decoder shows: an image (b, 3, h, w) in [0, 1], and the mask of its face (b, 1, h, w) in [0, 1].

    Example:
        >>> import torch
        >>> image, mask = Face(torch.rand(2, 3, 8, 8), torch.ones(2, 1, 8, 8))
        >>> mask.shape
        torch.Size([2, 1, 8, 8])
    """

    image: Image
    mask: Mask


@dataclass(frozen=True, eq=False)
class Stranger:
    """What a model knows of a person who is none of its classes: statistics of the features of their pictures.

    `CGAN.stranger` measures them. They belong to the weights that they were measured with: measure anew after training.

    Attributes:
        mean: of the encoder's features, (c, h, w).
        square: the mean of their squares, (c, h, w).
        count: of how many pictures.
    """

    mean: Tensor = field(repr=False)
    square: Tensor = field(repr=False)
    count: int


class Encoder(Component):
    """Turns an image into features.

    A subclass sets `in_shape`, `(3, h, w)`, and `out_shape`, `(c, h, w)`, in its constructor.

    Attributes:
        recompute: whether to compute features anew in the backward pass instead of keeping them. The trainer sets it; a part
            that cannot ignores it. It changes no result, so it is not in the config.

    Example:
        >>> from torch import nn
        >>> class StripeEncoder(Encoder):
        ...     def __init__(self, in_shape, *, width=16):
        ...         super().__init__()
        ...         self.in_shape, self.out_shape = tuple(in_shape), (width, in_shape[1] // 16, in_shape[2] // 16)
        ...         self.conv = nn.Conv2d(in_shape[0], width, 16, stride=16)
        ...     def forward(self, image):
        ...         return self.conv(image)
        >>> StripeEncoder((3, 64, 64)).out_shape
        (16, 4, 4)
    """

    in_shape: Shape
    out_shape: Shape
    recompute: bool = False

    @abstractmethod
    def forward(self, image: Image) -> Features:
        """Encode images in [0, 1]."""


class Bottleneck(Component):
    """Turns the features of a picture into those of the class to show.

    A subclass sets `in_shape`, `out_shape` and `num_classes`, and `blends = True` when it takes soft labels (b, n).
    It sets `strangers = True` when `source` may be a `Stranger`, too; otherwise a stranger comes to it as None.

    Example:
        >>> from condswap.parts import ClassEmbedding
        >>> class AddBottleneck(Bottleneck):
        ...     blends = True
        ...     def __init__(self, in_shape, *, num_classes):
        ...         super().__init__()
        ...         self.in_shape = self.out_shape = tuple(in_shape)
        ...         self.num_classes = num_classes
        ...         self.embedding = ClassEmbedding(num_classes, (in_shape[0], 1, 1))
        ...     def forward(self, features, label, source=None):
        ...         return features + self.embedding(label)
        >>> AddBottleneck((16, 4, 4), num_classes=2).out_shape
        (16, 4, 4)
    """

    in_shape: Shape
    out_shape: Shape
    num_classes: int
    blends: bool = False
    strangers: bool = False

    @abstractmethod
    def forward(self, features: Features, label: Label, source: Label | None = None) -> Features:
        """Give the features of class `label`; `source` is the class of the person in the picture, None if unknown."""

    def guess(self, features: Features) -> Label | None:
        """Guess whom features are of: weights of the classes, (b, n), that sum to 1; None where the part cannot tell."""
        return None


class Decoder(Component):
    """Turns features into the image of a face, and its mask when it can.

    A subclass sets `in_shape`, `out_shape` (3, h, w) and `num_classes`, and `blends = True` when it takes soft labels.

    Attributes:
        recompute: whether to compute features anew in the backward pass instead of keeping them. The trainer sets it; a part
            that cannot ignores it. It changes no result, so it is not in the config.

    Example:
        >>> from torch import nn
        >>> class StripeDecoder(Decoder):
        ...     blends = True
        ...     def __init__(self, in_shape, *, num_classes):
        ...         super().__init__()
        ...         self.in_shape, self.num_classes = tuple(in_shape), num_classes
        ...         self.out_shape = (3, 16 * in_shape[1], 16 * in_shape[2])
        ...         self.conv = nn.ConvTranspose2d(in_shape[0], 3, 16, stride=16)
        ...     def forward(self, features, label):
        ...         return self.conv(features).sigmoid()
        >>> StripeDecoder((64, 4, 4), num_classes=2).out_shape
        (3, 64, 64)
    """

    in_shape: Shape
    out_shape: Shape
    num_classes: int
    blends: bool = False
    recompute: bool = False

    @abstractmethod
    def forward(self, features: Features, label: Label) -> Face | Image:
        """Show the features as class `label`: a `Face`, or the image alone, which then counts as face all over."""


class Discriminator(Component):
    """Tells real pictures of a class from made ones.

    A subclass sets `in_shape` (3, h, w) and `num_classes`.

    Example:
        >>> from torch import nn
        >>> class MeanDiscriminator(Discriminator):
        ...     def __init__(self, in_shape, *, num_classes):
        ...         super().__init__()
        ...         self.in_shape, self.num_classes = tuple(in_shape), num_classes
        ...         self.linear = nn.Linear(in_shape[0], num_classes)
        ...     def forward(self, image, label):
        ...         return self.linear(image.mean((2, 3))).gather(1, label[:, None])
        >>> MeanDiscriminator((3, 64, 64), num_classes=2).num_classes
        2
    """

    in_shape: Shape
    num_classes: int

    @abstractmethod
    def forward(self, image: Image, label: Label) -> Logits:
        """Give logits, high for a real image of class `label`; never through a sigmoid."""
