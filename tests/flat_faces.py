"""People of one colour each, and models made by hand, so that every figure of a report can be worked out."""

import torch
from small_model import small
from torch import nn
from torch.utils.data import Dataset

from condswap import Face
from condswap.data import Clip

COLOURS = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


class FlatFaces(Dataset):
    """Square faces of the colour of their person, times the brightness of the moment, before grey.

    `clips` are the brightnesses of each clip of each person: clips[person][clip][frame].
    """

    def __init__(self, clips, *, size=32, classes=("ann", "bob")):
        self.classes, self.size, self.found = tuple(classes), size, []
        self.shades, self.labels = [], []
        for label, person in enumerate(clips):
            for clip in person:
                start = len(self.labels)
                self.shades += clip
                self.labels += [label] * len(clip)
                self.found.append(Clip(label, tuple(range(start, len(self.labels)))))
        self.mask = torch.zeros(1, size, size)
        self.mask[:, size // 4 : -size // 4, size // 4 : -size // 4] = 1

    def clips(self, *, cut=0.1, least=8):
        return self.found

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        label = self.labels[index]
        face = self.shades[index] * COLOURS[label][:, None, None]
        return {"image": torch.lerp(torch.full_like(face, 0.5), face, self.mask), "mask": self.mask, "label": label}


def shades(count, *, low=0.4, high=0.7):
    """Brightness that comes and goes steadily."""
    up = torch.linspace(low, high, count // 2).tolist()
    return up + up[::-1]


def colours(faces):
    """An identity network: the mean colour of the middle."""
    side = faces.shape[-1]
    return faces[..., side * 3 // 8 : side * 5 // 8, side * 3 // 8 : side * 5 // 8].mean((2, 3))


def brightness(faces):
    """What a swap must keep: how bright the middle is."""
    return {"brightness": colours(faces).sum(1)}


class ByHand(nn.Module):
    """A generator without weights worth the name; `paint` makes faces of (image, label)."""

    def __init__(self, paint, model):
        super().__init__()
        self.paint, self.calls = paint, []
        self.encoder, self.classes = model.generator.encoder, model.classes

    def check_mask(self, image, mask):
        """Nothing is refused here."""

    def resolve(self, label, image):
        return label

    def encode(self, image, mask=None):
        return image

    def show(self, features, label, source):
        return Face(self.paint(features, label), torch.ones_like(features[:, :1]))

    def forward(self, image, label, source=None, mask=None):
        self.calls.append((label, source, mask))
        return self.show(image, label, source)


def by_hand(paint, *, classes=("ann", "bob"), size=32):
    """A model that paints what `paint` says."""
    model = small(classes, size=(size, size))
    model.generator = ByHand(paint, model)
    return model


def exact(image, label):
    """The perfect swap of flat faces: the brightness of every pixel of colour, in that of the person to show."""
    face = image.sum(1, keepdim=True).clamp(max=1) * COLOURS[label][:, :, None, None]
    grey = image.amax(1, keepdim=True) - image.amin(1, keepdim=True) < 0.1
    return torch.where(grey, image, face)


def copy(image, label):
    """What a model shows that ignores its label."""
    return image


def constant(image, label):
    """What a model shows that ignores the picture."""
    return 0.55 * COLOURS[label][:, :, None, None].expand_as(image)
