"""Which layer of DeepFaceLab's is which of ours, and how its numbers are turned into ours."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from einops import rearrange
from torch import Tensor

from condswap.deepfacelab.archi import Archi

WEIGHT, BIAS = "weight:0", "bias:0"


class Layer(NamedTuple):
    """One layer with a weight and a bias.

    Attributes:
        file: the file that it is in, such as "inter_AB".
        theirs: its path there, such as "dense1".
        ours: its path in the generator, such as "bottleneck.inters.0.squeeze".
        kind: "dense"; "conv"; "first", which is given a picture; "head", which gives one; or "upscale", whose channels become
            pixels.
    """

    file: str
    theirs: str
    ours: str
    kind: str


def layers(archi: Archi) -> list[Layer]:
    """List all layers of a network."""
    inters = {"inter_AB": "inters.0", "inter_B": "inters.1"} if archi.liae else {"inter": "inters.0"}
    decoders = {"decoder": 0} if archi.liae else {"decoder_src": 0, "decoder_dst": 1}
    found = [Layer("encoder", theirs, f"encoder.{ours}", kind) for theirs, ours, kind in _encoder(archi)]
    for file, at in inters.items():
        found += [Layer(file, theirs, f"bottleneck.{at}.{ours}", kind) for theirs, ours, kind in _inter(archi)]
    for file, number in decoders.items():
        found += [
            Layer(file, theirs, f"decoder.{bank}.{number}.{ours}", kind) for theirs, bank, ours, kind in _decoder(archi)
        ]
    return found


def ours(layer: Layer, weight: Tensor, bias: Tensor) -> Mapping[str, Tensor]:
    """Turn the numbers of a layer into ours.

    Args:
        layer: which.
        weight: (in, out) of a dense layer, or (height, width, in, out) of a convolution.
        bias: (out).

    Returns:
        weight and bias by their names in the generator.
    """
    weight = rearrange(weight, "i o -> o i" if layer.kind == "dense" else "h w i o -> o i h w")
    if layer.kind == "first":  # blue, green, red -> red, green, blue
        weight = weight.flip(1)
    elif layer.kind == "head":
        weight, bias = weight.flip(0), bias.flip(0)
    elif layer.kind == "upscale":  # theirs has the four pixels outermost, pixel_shuffle innermost
        weight = rearrange(weight, "(pixel c) i h w -> (c pixel) i h w", pixel=4)
        bias = rearrange(bias, "(pixel c) -> (c pixel)", pixel=4)
    return {f"{layer.ours}.{name}": one.contiguous() for name, one in (("weight", weight), ("bias", bias))}


def their_shapes(layer: Layer, state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Give the shapes that weight and bias have in DeepFaceLab's file, from those of ours."""
    out, into, *sides = state[f"{layer.ours}.weight"].shape
    return {WEIGHT: (*sides, into, out), BIAS: (out,)}


def _encoder(archi: Archi) -> Iterator[tuple[str, str, str]]:
    for stage in range(archi.halvings):
        at = f"down{stage + 1}" if archi.deep else f"down1/downs_{stage}"
        yield f"{at}/conv1", f"convs.{stage}", "conv" if stage else "first"
    if archi.deep:
        yield from _residual("res1", "blocks.0")
        yield from _residual("res5", "blocks.4")


def _inter(archi: Archi) -> Iterator[tuple[str, str, str]]:
    yield "dense1", "squeeze", "dense"
    yield "dense2", "spread", "dense"
    if not archi.deep:
        yield "upscale1/conv1", "upscale.conv", "upscale"


def _decoder(archi: Archi) -> Iterator[tuple[str, str, str, str]]:
    stages = 4 if archi.deep else 3
    for stage in range(stages):
        yield f"upscale{stage}/conv1", "images", f"upscales.{stage}.conv", "upscale"
        for theirs, ours, kind in _residual(f"res{stage}", f"blocks.{stage}"):
            yield theirs, "images", ours, kind
    for stage in range(stages + archi.interleaved):
        yield f"upscalem{stage}/conv1", "masks", f"upscales.{stage}.conv", "upscale"
    for head in range(4 if archi.interleaved else 1):
        yield f"out_conv{head or ''}", "images", f"heads.{head}", "head"
    yield "out_convm", "masks", "head", "conv"


def _residual(theirs: str, ours: str) -> Iterator[tuple[str, str, str]]:
    yield f"{theirs}/conv1", f"{ours}.first", "conv"
    yield f"{theirs}/conv2", f"{ours}.second", "conv"
