"""Models with a known use of their label: one that ignores it, and one that does nothing else."""

import torch
from tiny_models import SIZE, narrow_judge

from condswap import CGAN, Bottleneck, ConvEncoder, CrossAttentionBottleneck, Decoder


class PaintingDecoder(Decoder):
    """Paints the colour of a class, class n all over in `levels[n]`, whatever the picture."""

    def __init__(self, in_shape, *, num_classes, levels=(0.25, 0.75)):
        super().__init__()
        self.in_shape, self.out_shape, self.num_classes = tuple(in_shape), (3, SIZE, SIZE), num_classes
        self.register_buffer("table", torch.tensor(levels[:num_classes]))
        self.weight = torch.nn.Parameter(torch.zeros(()))  # so that there is something to train

    def forward(self, features, label):
        return self.table[label][:, None, None, None].expand(-1, *self.out_shape) + 0 * self.weight * features.mean()


class DeafBottleneck(Bottleneck):
    """Lets the label go by."""

    def __init__(self, in_shape, *, num_classes):
        super().__init__()
        self.inner = CrossAttentionBottleneck(
            in_shape, num_classes=num_classes, width=8, tokens=2, heads=2, normalisation="none"
        )
        self.in_shape, self.out_shape, self.num_classes = self.inner.in_shape, self.inner.out_shape, num_classes

    def forward(self, features, label, source=None):
        return self.inner(features, torch.zeros_like(label), None)


class DeafDecoder(Decoder):
    """Lets the label go by, too."""

    def __init__(self, in_shape, *, num_classes):
        super().__init__()
        self.in_shape, self.out_shape, self.num_classes = tuple(in_shape), (3, SIZE, SIZE), num_classes
        self.paint = torch.nn.ConvTranspose2d(in_shape[0], 3, 4, stride=4)

    def forward(self, features, label):
        return self.paint(features).sigmoid()


def assembled(bottleneck, decoder, *, classes=("anna", "bob"), **changes):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        n = len(classes)
        encoder = ConvEncoder((3, SIZE, SIZE), width=4, stages=2, code_channels=4)
        middle = bottleneck(encoder.out_shape, num_classes=n)
        painter = decoder(middle.out_shape, num_classes=n, **changes)
        return CGAN(encoder, middle, painter, narrow_judge(painter.out_shape, num_classes=n), classes=classes)


def deaf(classes=("anna", "bob")):
    """A model that ignores its label."""
    return assembled(DeafBottleneck, DeafDecoder, classes=classes)


def painting(levels=(0.25, 0.75)):
    """A model that shows class n as the grey `levels[n]`."""
    names = ("anna", "bob", "carl", "dora")[: len(levels)]
    return assembled(DeafBottleneck, PaintingDecoder, classes=names, levels=tuple(levels))
