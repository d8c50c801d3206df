"""The networks that come assembled: the one that we recommend, and the paper's; and what the config of one must have."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from condswap.errors import ConfigError, ShapeError
from condswap.parts import (
    ConvDecoder,
    ConvEncoder,
    CrossAttentionBottleneck,
    MLPBottleneck,
    MLPDiscriminator,
    PaperAttentionBottleneck,
    PaperDecoder,
    PaperEncoder,
    PaperMLPBottleneck,
    PatchDiscriminator,
)
from condswap.parts.layers import image_shape
from condswap.roles import Bottleneck, Decoder, Discriminator, Encoder
from condswap.types import Shape

Parts: TypeAlias = tuple[Encoder, Bottleneck, Decoder, Discriminator]


def default_parts(image_size: int | Sequence[int], *, num_classes: int, bottleneck: str, noise: float) -> Parts:
    """Build the parts of `CGAN.default`."""
    height, width = _size(image_size)
    kinds: dict[str, type[Any]] = {"cross_attention": CrossAttentionBottleneck, "mlp": MLPBottleneck}
    stages = _stages(height, width)
    channels = 16 if max(height, width) < 256 else 24
    encoder = ConvEncoder((3, height, width), width=channels, stages=stages)
    middle = _choose(kinds, bottleneck)(encoder.out_shape, num_classes=num_classes, noise=noise)
    decoder = ConvDecoder(middle.out_shape, num_classes=num_classes, width=2 * channels, stages=stages)
    return encoder, middle, decoder, default_discriminator(decoder.out_shape, num_classes=num_classes)


def default_discriminator(in_shape: Shape, *, num_classes: int) -> Discriminator:
    """Build the discriminator of `CGAN.default` for pictures of a shape."""
    shorter = min(in_shape[1:])
    return PatchDiscriminator(
        in_shape,
        num_classes=num_classes,
        stages=2 if shorter < 32 else 3,
        # From 128 pixels on there is detail to judge, and one that judged colour, too, was seen to shift it.
        detail=2.0 if shorter >= 128 else 0.0,
    )


def paper_parts(image_size: int | Sequence[int], *, num_classes: int, bottleneck: str) -> Parts:
    """Build the parts of `CGAN.paper`."""
    height, width = _size(image_size)
    kinds: dict[str, type[Any]] = {
        "mlp": PaperMLPBottleneck,
        "attention": PaperAttentionBottleneck,
        "cross_attention": PaperAttentionBottleneck,  # the word of CGAN.default, so that one word compares the two
    }
    encoder = PaperEncoder(image_shape((3, height, width), multiple=32, part="CGAN.paper"))
    middle = _choose(kinds, bottleneck)(encoder.out_shape, num_classes=num_classes)
    decoder = PaperDecoder(middle.out_shape, num_classes=num_classes)
    return encoder, middle, decoder, MLPDiscriminator(decoder.out_shape, num_classes=num_classes)


def check_config(config: Mapping[str, Any], *, newest: int) -> None:
    """Check that a config describes a model of ours.

    Args:
        config: anything.
        newest: the newest format that can be read.

    Raises:
        ConfigError: it is none of ours, is newer, or lacks or has in excess an entry.
    """
    number = config.get("condswap") if isinstance(config, Mapping) else None
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ConfigError("this is not the config of a condswap model: it has no number of its format under 'condswap'")
    if number > newest:
        raise ConfigError(
            f"this config has format {number}, and this condswap reads up to {newest}; "
            "update with `pip install -U condswap`"
        )
    needed = {"classes", "masked_input", "encoder", "bottleneck", "decoder", "discriminator", "objective"}
    missing = sorted(needed - set(config))
    unknown = sorted(set(config) - needed - {"condswap", "weights", "training", "template"})
    if missing or unknown:
        raise ConfigError(
            f"the config lacks {missing} and has {unknown} that are not known here; was it edited or cut off?"
        )
    if not isinstance(config["classes"], list) or not isinstance(config["masked_input"], bool):
        raise ConfigError("the config's classes are not a list of names, or its masked_input is not true or false")


def check_history(found: object) -> dict[str, str | int | float]:
    """Check what a config says of the training.

    Raises:
        ConfigError: it is something else than names with words or numbers.
    """
    if not isinstance(found, Mapping) or not all(isinstance(value, str | int | float) for value in found.values()):
        raise ConfigError("the config's 'training' is not an object of words and numbers; was it edited?")
    return dict(found)


def _size(image_size: int | Sequence[int]) -> tuple[int, int]:
    sides = tuple(image_size) if isinstance(image_size, Sequence) else (image_size, image_size)
    if len(sides) != 2 or not all(
        isinstance(side, int) and not isinstance(side, bool) and side >= 16 for side in sides
    ):
        raise ShapeError(f"image_size is the side in pixels, or (height, width), from 16 up; got {image_size!r}")
    return sides[0], sides[1]


def _stages(height: int, width: int) -> int:
    """Give how often `CGAN.default` halves a picture, so that its shorter side comes down to four to seven places."""
    stages = max(2, (min(height, width) // 4).bit_length() - 1)
    multiple = 2**stages
    if height % multiple or width % multiple:
        # Upwards the next power of two may be met, from which on only every second multiple divides.
        down, up = (height // multiple, width // multiple), (-(-height // multiple // 2), -(-width // multiple // 2))
        raise ShapeError(
            f"CGAN.default halves pictures of {height} x {width} {stages} times, so both have to be multiples of {multiple}; "
            f"use {down[0] * multiple} x {down[1] * multiple} or {up[0] * 2 * multiple} x {up[1] * 2 * multiple}"
        )
    return stages


def _choose(kinds: Mapping[str, Any], word: str) -> Any:
    if word not in kinds:
        raise ConfigError(f"bottleneck is {word!r}; known here: {', '.join(kinds)}")
    return kinds[word]
