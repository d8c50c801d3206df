"""A part of your own: it trains, saves and loads as ours do, with no decorator and no registry call.

Writes `custom-swapper/config.json` and `custom-swapper/model.safetensors`.

    python examples/custom_encoder.py
"""

import torch
from torch import nn

from condswap import (
    CGAN,
    ConvDecoder,
    CrossAttentionBottleneck,
    Encoder,
    PatchDiscriminator,
    ToyFaces,
    Trainer,
    TrainerConfig,
)
from condswap.testing import check_component


class PatchEncoder(Encoder):
    def __init__(self, in_shape, *, width=16, patch=16):
        super().__init__()
        self.in_shape = tuple(in_shape)
        self.out_shape = (width, in_shape[1] // patch, in_shape[2] // patch)
        self.patches = nn.Conv2d(in_shape[0], width, patch, stride=patch)

    def forward(self, image):
        return self.patches(image)


encoder = PatchEncoder((3, 64, 64))
check_component(encoder)  # proves that it keeps the contract of an encoder

bottleneck = CrossAttentionBottleneck(encoder.out_shape, num_classes=2)
decoder = ConvDecoder(bottleneck.out_shape, num_classes=2)
discriminator = PatchDiscriminator(decoder.out_shape, num_classes=2)
model = CGAN(encoder, bottleneck, decoder, discriminator, classes=["anna", "bob"])

data = ToyFaces(["anna", "bob"], image_size=64, seed=0, length=64)
Trainer(model, TrainerConfig(seed=0)).fit(data, steps=20)

model.save_pretrained("custom-swapper/")
again = CGAN.from_pretrained("custom-swapper/")
image = data[0]["image"][None]
assert torch.equal(again.swap(image, "bob"), model.swap(image, "bob"))
print(f"saved and loaded with {type(again.generator.encoder).__name__}; it is in custom-swapper/")
