"""The generator: encoder, bottleneck and decoder in a row, and the labels that steer them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import torch
from torch import Tensor, nn

from condswap.component import Component, is_shape
from condswap.errors import ConfigError, DataError, ShapeError
from condswap.roles import Bottleneck, Decoder, Discriminator, Encoder, Face, Stranger
from condswap.types import Image, Label, Mask

AnyLabel: TypeAlias = str | int | Label | Sequence[str | int] | Mapping[str, float]
AnySource: TypeAlias = AnyLabel | Stranger

_AT_ONCE = 64  # pictures of a stranger


class Generator(nn.Module):
    """An encoder, a bottleneck and a decoder in a row.

    Args:
        encoder: image to features.
        bottleneck: features to the features of the class to show.
        decoder: features to a face.
        classes: the names of the classes.
        masked_input: hide everything but the face from the encoder wherever a mask is given.

    Raises:
        ShapeError: two neighbours do not fit.
        ConfigError: a part plays another role, or counts other classes.
    """

    def __init__(
        self,
        encoder: Encoder,
        bottleneck: Bottleneck,
        decoder: Decoder,
        *,
        classes: Sequence[str],
        masked_input: bool = True,
    ) -> None:
        super().__init__()
        self.classes = check_classes(classes)
        self.masked_input = masked_input
        for part, role in ((encoder, Encoder), (bottleneck, Bottleneck), (decoder, Decoder)):
            check_part(part, role, len(self.classes))
        _fit("encoder", encoder.out_shape, "bottleneck", bottleneck.in_shape, "encoder.out_shape")
        _fit("bottleneck", bottleneck.out_shape, "decoder", decoder.in_shape, "bottleneck.out_shape")
        if tuple(decoder.out_shape) != tuple(encoder.in_shape):
            cure = "give both as many stages, so that the picture comes back in its own size"
            raise ShapeError(
                f"the decoder gives {tuple(decoder.out_shape)} but the encoder takes {tuple(encoder.in_shape)}; "
                + (cure if encoder.in_shape[0] == 3 else "a picture has 3 channels")
            )
        self.encoder, self.bottleneck, self.decoder = encoder, bottleneck, decoder

    def forward(self, image: Image, label: AnyLabel, source: AnySource | None = None, mask: Mask | None = None) -> Face:
        """Show the picture as another class.

        Args:
            image: (b, 3, h, w) in [0, 1].
            label: the class to show: a name, a number, one of these a picture, int64 (b), or a blend.
            source: the class of the person in the picture, or the `Stranger` in all of them; None when unknown.
            mask: (b, 1, h, w) in [0, 1]; the encoder sees grey where it is 0.
        """
        self.check_mask(image, mask)
        return self.show(self.encode(image, mask), self.resolve(label, image), self._seen(source, image))

    def encode(self, image: Image, mask: Mask | None = None) -> Tensor:
        """Encode the picture, (b, c, h', w'), with grey outside of the mask when one is given.

        Raises:
            DataError: the picture is not float. Its range is not looked at here.
        """
        if not image.is_floating_point():
            raise DataError(f"images are float in [0, 1] and these are {image.dtype}; use image.float() / 255")
        if mask is not None and self.masked_input:
            image = torch.lerp(torch.full_like(image, 0.5), image, mask.to(image.dtype))
        weight = next(self.encoder.parameters(), None)
        features: Tensor = self.encoder(image if weight is None else image.to(weight.dtype))
        return features

    @torch.no_grad()
    def stranger(self, image: Image, mask: Mask | None = None) -> Stranger:
        """Measure the statistics of one person's pictures; see `CGAN.stranger`.

        Raises:
            DataError: there are no pictures, or they are not float.
        """
        self.check_mask(image, mask)
        if len(image) == 0:
            raise DataError("a stranger is measured on pictures of that person and there are none; give one or more")
        with evaluating(self):
            masks = [None] * len(image) if mask is None else mask.split(_AT_ONCE)
            parts = [self.encode(one, its).float() for one, its in zip(image.split(_AT_ONCE), masks, strict=False)]
        features = torch.cat(parts)
        return Stranger(mean=features.mean(0), square=features.square().mean(0), count=len(features))

    def check_mask(self, image: Image, mask: Mask | None) -> None:
        """Refuse a mask that does not belong to the pictures.

        Raises:
            ShapeError: it has another shape than (b, 1, h, w).
            DataError: it is not float.
        """
        if mask is None:
            return
        wanted = (len(image), 1, *image.shape[2:])
        if not isinstance(mask, Tensor) or tuple(mask.shape) != wanted:
            got = tuple(mask.shape) if isinstance(mask, Tensor) else type(mask).__name__
            raise ShapeError(f"the mask of images {tuple(image.shape)} is {wanted}; got {got}")
        if not mask.is_floating_point():
            raise DataError(
                f"masks are float in [0, 1] and this is {mask.dtype}; use mask.float(), divided by 255 if it goes to 255"
            )

    def show(self, features: Tensor, label: Label, source: Label | Stranger | None) -> Face:
        """Show features as classes that are resolved already."""
        if isinstance(source, Stranger) and not self.bottleneck.strangers:
            source = None
        shown = self.decoder(self.bottleneck(features, label, source), label)
        if isinstance(shown, Face):
            return shown
        # Of the sizes alone, so that a graph which needs the mask and no picture does not paint one.
        size = (features.shape[0], 1, *self.decoder.out_shape[1:])
        everywhere = torch.ones(size, dtype=shown.dtype, device=shown.device)
        return Face(shown, everywhere)

    def resolve(self, label: AnyLabel, image: Image) -> Label:
        """Turn a label as people write it into int64 (b), or float (b, n) for a blend.

        Raises:
            DataError: it names no class of this model; the message names those that there are.
            ConfigError: a blend was asked of a part that knows whole labels only.
        """
        batch, device = len(image), image.device
        if isinstance(label, Tensor):
            return self._checked(label, batch).to(device)
        if isinstance(label, Mapping):
            return self._blend(label).to(device).expand(batch, -1)
        if isinstance(label, str | int):
            return torch.full((batch,), self.index(label), device=device)
        if not isinstance(label, Sequence):
            raise DataError(f"a label is a name, a number, an int64 tensor (b) or a blend, not {label!r}")
        if len(label) != batch:
            raise ShapeError(f"{len(label)} labels for {batch} pictures; give one a picture, or one for all")
        return torch.tensor([self.index(one) for one in label], device=device)

    def index(self, label: str | int) -> int:
        """Give the number of a class.

        Raises:
            DataError: there is no such class.
        """
        if isinstance(label, str) and label in self.classes:
            return self.classes.index(label)
        if isinstance(label, bool) or not isinstance(label, int) or not 0 <= label < len(self.classes):
            known = listed([f"{number} {name!r}" for number, name in enumerate(self.classes)])
            raise DataError(f"there is no class {label!r}; known here: {known}")
        return label

    def _seen(self, source: AnySource | None, image: Image) -> Label | Stranger | None:
        """Resolve who is in the picture."""
        if not isinstance(source, Stranger):
            return None if source is None else self.resolve(source, image)
        self.check_stranger(source)
        return source

    def check_stranger(self, stranger: Stranger) -> None:
        """Refuse a stranger who was measured with another model.

        Raises:
            ShapeError: the features have another shape.
        """
        if tuple(stranger.mean.shape) != tuple(self.encoder.out_shape):
            raise ShapeError(
                f"the features of this stranger are {tuple(stranger.mean.shape)} and the encoder gives "
                f"{tuple(self.encoder.out_shape)}; measure them with this model: model.stranger(images)"
            )

    def _checked(self, label: Tensor, batch: int) -> Tensor:
        if label.is_floating_point() and tuple(label.shape) == (batch, len(self.classes)):
            self.check_blends()
            if label.device.type == "cpu" and not bool(((label >= 0) & label.isfinite()).all()):
                raise DataError(
                    f"a blend is made of weights from 0 up; these go from {float(label.min())} to {float(label.max())}"
                )
            return label
        if label.dtype == torch.bool or label.is_floating_point() or label.is_complex():
            raise DataError(
                f"labels are int64 (b), or weights (b, {len(self.classes)}); got {label.dtype} {tuple(label.shape)}"
            )
        if label.ndim == 0:
            label = label.expand(batch)
        if tuple(label.shape) != (batch,):
            raise ShapeError(f"{batch} pictures need labels ({batch},); got {tuple(label.shape)}")
        if label.device.type == "cpu" and batch and not 0 <= int(label.min()) <= int(label.max()) < len(self.classes):
            self.index(int(label.min()) if int(label.min()) < 0 else int(label.max()))
        return label.long()

    def _blend(self, blend: Mapping[str, float]) -> Tensor:
        weights = torch.zeros(len(self.classes))
        for name, weight in blend.items():
            if isinstance(weight, bool) or not isinstance(weight, int | float):
                raise DataError(f"a blend is {{name: weight}} with numbers for weights; {name!r} has {weight!r}")
            weights[self.index(name)] += weight
        if not bool((weights >= 0).all()) or not 0 < float(weights.sum()) < float("inf"):
            raise DataError(f"a blend is made of weights from 0 up, not all 0; got {dict(blend)}")
        self.check_blends()
        return weights / weights.sum()

    def check_blends(self) -> None:
        """Refuse blends where a part takes whole labels only.

        Raises:
            ConfigError: the part is named.
        """
        for part in (self.bottleneck, self.decoder):
            if not part.blends:
                raise ConfigError(
                    f"{type(part).__name__} takes whole labels only; to blend classes look them up with "
                    "condswap.parts.ClassEmbedding and set `blends = True` in the class"
                )


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode, and each of its modules back into its own mode afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def check_range(image: Tensor, what: str = "images") -> None:
    """Refuse pictures that are not float in [0, 1].

    Raises:
        DataError: with the values found and what to do.
    """
    if not image.is_floating_point():
        raise DataError(f"{what} are float in [0, 1] and these are {image.dtype}; use image.float() / 255")
    if image.numel() == 0:
        return
    low, high = (float(end) for end in torch.aminmax(image))
    if not (low >= -1e-3 and high <= 1 + 1e-3):  # false for NaN, too
        cure = "divide by 255" if high > 2 else "shift to [0, 1]" if low < 0 else "check how they were read"
        raise DataError(f"{what} are in [0, 1] and these go from {low:.4g} to {high:.4g}; {cure}")


def check_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """Check the names of the classes: at least one, all different, none empty."""
    if isinstance(classes, str) or not isinstance(classes, Sequence):
        raise ConfigError(f"classes are the names of the people, such as ['anna', 'bob']; got {classes!r}")
    if none := [name for name in classes if not isinstance(name, str) or not name.strip()]:
        raise ConfigError(
            f"classes are the names of the people, such as ['anna', 'bob']; got {quoted(classes)}, in which {quoted(none)} are "
            "no names"
        )
    names = tuple(classes)
    if not names or len(set(names)) != len(names):
        twice = [name for name, count in Counter(names).items() if count > 1]
        raise ConfigError(
            f"classes have to be at least one and all different; got {quoted(names)}"
            + (f", in which {quoted(twice)} come again" if twice else "")
        )
    return names


def listed(words: Iterable[str], *, most: int = 20) -> str:
    """Write words for a message: of very many the first, and how many more there are.

    >>> listed(["anna", "bob", "carl", "dora"], most=2)
    'anna, bob and 2 more'
    """
    words = list(words)
    more = f" and {len(words) - most:,} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more


def quoted(names: Iterable[object]) -> str:
    """Write names for a message as a list; of very many the first.

    >>> quoted(["anna", "bob"])
    "['anna', 'bob']"
    """
    return f"[{listed(map(repr, names))}]"


def misplaced(names: Sequence[str], classes: Sequence[str]) -> list[str]:
    """List the names that stand at another number among the classes: their labels would mean other people."""
    numbers = {name: number for number, name in enumerate(classes)}
    return [name for number, name in enumerate(names) if numbers.get(name, number) != number]


def check_part(part: object, role: type[Component], num_classes: int) -> None:
    """Check that a part plays its role, states its shapes and counts the same classes."""
    if not isinstance(part, role):
        raise ConfigError(
            f"a {role.__name__} is needed here, and {type(part).__name__} is none; subclass condswap.{role.__name__}"
        )
    needed = (
        ["in_shape"]
        + (["out_shape"] if role is not Discriminator else [])
        + (["num_classes"] if role is not Encoder else [])
    )
    for name in needed:
        if not hasattr(part, name):
            raise ConfigError(f"{type(part).__name__} does not state its {name}; set self.{name} in its constructor")
        if name.endswith("shape") and not is_shape(getattr(part, name)):
            raise ShapeError(
                f"{type(part).__name__}.{name} is {getattr(part, name)!r}; it is (channels, height, width)"
            )
    if role is not Encoder and part.num_classes != num_classes:
        raise ConfigError(
            f"{type(part).__name__} was built for {part.num_classes} classes and the model has {num_classes}; "
            f"build it with num_classes={num_classes}"
        )


def _fit(first: str, gives: Sequence[int], second: str, takes: Sequence[int], cure: str) -> None:
    if tuple(gives) != tuple(takes):
        raise ShapeError(
            f"the {first} gives {tuple(gives)} but the {second} takes {tuple(takes)}; build it with {cure}"
        )
