"""The concrete parts: encoders, bottlenecks, decoders and discriminators."""

from condswap.parts.bottlenecks import CrossAttentionBottleneck, MLPBottleneck
from condswap.parts.class_norm import ClassNorm
from condswap.parts.decoders import ConvDecoder
from condswap.parts.discriminators import MLPDiscriminator, PatchDiscriminator
from condswap.parts.encoders import ConvEncoder
from condswap.parts.layers import ClassEmbedding, PerClass
from condswap.parts.paper import PaperAttentionBottleneck, PaperDecoder, PaperEncoder, PaperMLPBottleneck
from condswap.parts.saehd import SAEHDBottleneck, SAEHDDecoder, SAEHDEncoder

__all__ = [
    "ClassEmbedding",
    "ClassNorm",
    "ConvDecoder",
    "ConvEncoder",
    "CrossAttentionBottleneck",
    "MLPBottleneck",
    "MLPDiscriminator",
    "PaperAttentionBottleneck",
    "PaperDecoder",
    "PaperEncoder",
    "PaperMLPBottleneck",
    "PatchDiscriminator",
    "PerClass",
    "SAEHDBottleneck",
    "SAEHDDecoder",
    "SAEHDEncoder",
]
