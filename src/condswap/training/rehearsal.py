"""Rehearsal: pictures of the classes that a model knows already, made by the model itself from pictures of another person."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from condswap.generator import Generator
from condswap.roles import Face, Stranger
from condswap.types import Batch, Image, Item, Mask


class Rehearsal(Dataset[Item]):
    """One person's pictures as a generator shows them as others; kept in 8 bits.

    Args:
        generator: in evaluation mode.
        batches: pictures of one person, on its device.
        source: what the generator knows of that person.
        to: the classes to show, by their numbers.
    """

    @torch.no_grad()
    def __init__(self, generator: Generator, batches: Sequence[Batch], source: Stranger, *, to: Sequence[int]) -> None:
        self.labels: list[int] = []
        self._planes: list[Tensor] = []
        for batch in batches:
            for number in to:
                image, mask = batch["image"], batch["mask"]
                shown = torch.cat(paste(image, mask, generator(image, number, source, mask)), dim=1)
                self._planes += (shown * 255).round().to("cpu", torch.uint8)
                self.labels += [number] * len(image)

    def __len__(self) -> int:
        """Count the pictures."""
        return len(self.labels)

    def __getitem__(self, index: int) -> Item:
        """Give a picture, where the face that was put into it is, and whose face that is."""
        planes = self._planes[index].float() / 255
        return {"image": planes[:3], "mask": planes[3:], "label": self.labels[index]}


class Joined(Dataset[Item]):
    """Pictures of several datasets one after the other.

    Args:
        sources: each a dataset, the indices of its pictures that are taken, and the labels that they are trained with.
    """

    def __init__(self, *sources: tuple[Any, Sequence[int], Sequence[int]]) -> None:
        self.labels = [label for _, _, labels in sources for label in labels]
        self._places = [(data, index) for data, indices, _ in sources for index in indices]

    def __len__(self) -> int:
        """Count the pictures."""
        return len(self.labels)

    def __getitem__(self, index: int) -> Item:
        """Give a picture, its mask and the label that it is trained with."""
        data, place = self._places[index]
        item = data[place]
        return {"image": item["image"], "mask": item["mask"], "label": self.labels[index]}


def paste(image: Image, mask: Mask, face: Face) -> tuple[Image, Mask]:
    """Put a face into the picture that it was made from, and say where it is then.

    Args:
        image: (b, 3, h, w), the picture.
        mask: (b, 1, h, w), its own face.
        face: with the mask of the person shown. A decoder that knows none says 1 everywhere, and the picture's own is taken.
    """
    shown = face.mask if bool((face.mask < 1).any()) else mask
    return torch.lerp(image, face.image.to(image.dtype), shown.to(image.dtype)), shown
