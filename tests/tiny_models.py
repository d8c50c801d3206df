"""Small models and data sets with known answers, for the tests of training."""

import torch
from safetensors.torch import load_file
from torch.utils.data import Dataset

from condswap import (
    CGAN,
    Augmentation,
    ConvDecoder,
    ConvEncoder,
    CrossAttentionBottleneck,
    Discriminator,
    Objective,
    PatchDiscriminator,
    TrainerConfig,
)

SIZE = 16
OFF = Augmentation.none()


def narrow_judge(in_shape, *, num_classes):
    return PatchDiscriminator(in_shape, num_classes=num_classes, width=4, stages=2)


def tiny(classes=("anna", "bob"), *, seed=0, objective=None, discriminator=None, **bottleneck):
    """The default network, as small as it gets: a step takes a few milliseconds."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        n = len(classes)
        encoder = ConvEncoder((3, SIZE, SIZE), width=4, stages=2, code_channels=4)
        middle = CrossAttentionBottleneck(encoder.out_shape, num_classes=n, width=8, tokens=2, heads=2, **bottleneck)
        decoder = ConvDecoder(middle.out_shape, num_classes=n, width=4, stages=2, embedding=4)
        judge = (discriminator or narrow_judge)(decoder.out_shape, num_classes=n)
        return CGAN(encoder, middle, decoder, judge, classes=classes, objective=objective)


def quick(**changes):
    """Settings for a few steps."""
    return TrainerConfig(**{"batch_size": 4, "warm_up": 2, "ramp_up": 3, **changes})


class DropoutDiscriminator(Discriminator):
    """A discriminator whose training mode matters."""

    def __init__(self, in_shape, *, num_classes):
        super().__init__()
        self.in_shape, self.num_classes = tuple(in_shape), num_classes
        self.drop, self.judge = torch.nn.Dropout(0.5), torch.nn.Conv2d(3, 1, 4, stride=4)

    def forward(self, image, label):
        return self.judge(self.drop(image))


class Pictures(Dataset):
    """Pictures of noise in memory; picture i is read as often as `seen[i]` says."""

    def __init__(self, labels=(0, 1) * 6, *, size=SIZE, classes=("anna", "bob")):
        generator = torch.Generator().manual_seed(9)
        self.labels, self.classes = list(labels), tuple(classes)
        self.images = torch.rand(len(self.labels), 3, size, size, generator=generator)
        self.masks = torch.zeros(len(self.labels), 1, size, size)
        self.masks[..., 2:-2, 3:-3] = 1
        self.seen = [0] * len(self.labels)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        self.seen[index] += 1
        return {"image": self.images[index], "mask": self.masks[index], "label": self.labels[index]}


def batch_of(data, indices=None):
    """A batch, made by hand."""
    indices = list(range(len(data))) if indices is None else list(indices)
    return {
        "image": data.images[indices],
        "mask": data.masks[indices],
        "label": torch.tensor([data.labels[index] for index in indices]),
    }


def state_of(trainer, folder):
    """Everything that a trainer keeps, through the file that it writes."""
    trainer.save(folder)
    return load_file(folder / "state.safetensors")


def differing(one, other):
    """The names of the tensors that are not bit-equal; empty when the two states are the same."""
    assert one.keys() == other.keys()
    return [name for name in one if not torch.equal(one[name], other[name])]


EVERYTHING = Objective(swap_adversarial=0.1, r1=1.0, adversarial_loss="hinge")
