"""Procedural faces whose exact swap is known: drawn people, so that the same moment can be drawn with another person.

A picture is a person (what swapping must change) and a moment (what it must keep). Both are rows of numbers, each drawn
from its own seed, and `toy_renderer` makes a picture of any pair of them.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.utils.data import Dataset

from condswap.data.toy_features import Scene
from condswap.data.toy_people import moment, people
from condswap.data.toy_renderer import render
from condswap.data.toy_scene import scene
from condswap.errors import ConfigError, DataError
from condswap.types import Item


def _names(classes: int | Sequence[str]) -> list[str]:
    if isinstance(classes, int) and not isinstance(classes, bool):
        names = [f"person-{number}" for number in range(classes)]
    elif (
        isinstance(classes, Sequence) and not isinstance(classes, str) and all(isinstance(one, str) for one in classes)
    ):
        names = list(classes)
    else:
        raise ConfigError(f"classes={classes!r}; give a number of people, or their names, such as 2 or ['ann', 'bob']")
    if not names or "" in names or len(set(names)) != len(names):
        raise ConfigError(
            f"classes={classes!r}; give at least one person, and names that are all different, none empty"
        )
    return names


class ToyFaces(Dataset[Item]):
    """Procedural faces with a known exact swap.

    Args:
        classes: how many people, or their names.
        image_size: height and width in pixels, at least 16.
        seed: the people and the moments follow from it; the people are the same for every split, length and count.
        length: how many pictures; picture i shows class i % len(classes).
        split: "train" or "test"; the two share the people and have no moment in common.

    Raises:
        ConfigError: an argument that cannot be used.

    Example:
        >>> data = ToyFaces(2, image_size=32, seed=0)
        >>> data[0]["image"].shape, data[0]["label"], data.classes
        (torch.Size([3, 32, 32]), 0, ('person-0', 'person-1'))
        >>> data.swap_truth(0, "person-1").shape
        torch.Size([3, 32, 32])
    """

    def __init__(
        self,
        classes: int | Sequence[str] = 2,
        *,
        image_size: int = 64,
        seed: int = 0,
        length: int = 1000,
        split: Literal["train", "test"] = "train",
    ) -> None:
        names = _names(classes)
        for name, value, least in (("image_size", image_size, 16), ("length", length, 1), ("seed", seed, None)):
            if isinstance(value, bool) or not isinstance(value, int) or (least is not None and value < least):
                wanted = "a whole number" if least is None else f"a whole number of at least {least}"
                raise ConfigError(f"{name}={value!r}; give {wanted}")
        if split not in ("train", "test"):
            raise ConfigError(f'split={split!r}; known are "train" and "test"')
        self.classes: tuple[str, ...] = tuple(names)
        self.labels: list[int] = [index % len(names) for index in range(length)]
        self.image_size, self.seed, self.split = image_size, seed, split
        self._people = people(seed, len(names))
        # A chunk is as many pictures as the processor's own cache holds while they are drawn.
        self._chunk = max(1, 8 * 64 * 64 // (image_size * image_size))
        self._chunks: OrderedDict[int, Tensor] = OrderedDict()
        # Half a GiB of pictures at most; what was drawn longest ago is drawn again.
        self._chunks_kept = max(2, 2**29 // (self._chunk * 4 * image_size * image_size))

    def __len__(self) -> int:
        """Count the pictures."""
        return len(self.labels)

    def __getitem__(self, index: int) -> Item:
        """Give a picture, its mask and its label; a negative index counts from the end."""
        index = self._index(index)
        planes = self._planes(index).to(torch.float32) / 255
        return {"image": planes[:3].clone(), "mask": planes[3:].clone(), "label": self.labels[index]}

    def swap_truth(self, index: int, to: str | int) -> Tensor:
        """Give the exact swap of a picture: the same moment with another person.

        Args:
            index: the picture.
            to: the person to show, by name or number.

        Returns:
            (3, h, w), float32 in [0, 1].

        Raises:
            IndexError: no such picture.
            DataError: no such person.

        Example:
            >>> data = ToyFaces(2, image_size=16)
            >>> bool((data.swap_truth(0, "person-0") == data[0]["image"]).all())
            True
        """
        return self.swap_truths([index], to)[0]

    def swap_mask(self, index: int, to: str | int) -> Tensor:
        """Give the face mask of an exact swap.

        Arguments and errors are those of `swap_truth`; returns (1, h, w), float32 in [0, 1].
        """
        return self._pairs([index], to)[0, 3:]

    def swap_truths(self, indices: Sequence[int] | Tensor, to: str | int | Sequence[str | int] | Tensor) -> Tensor:
        """Give the exact swaps of many pictures.

        Args:
            indices: n pictures.
            to: the person to show, or n of them.

        Returns:
            (n, 3, h, w), float32 in [0, 1].

        Raises:
            IndexError: no such picture.
            DataError: no such person, or not n of them.

        Example:
            >>> ToyFaces(2, image_size=16).swap_truths([0, 1, 2], [1, 0, 1]).shape
            torch.Size([3, 3, 16, 16])
        """
        return self._pairs(indices, to)[:, :3]

    def _pairs(self, indices: Sequence[int] | Tensor, to: str | int | Sequence[str | int] | Tensor) -> Tensor:
        chosen = [self._index(int(index)) for index in indices]
        wanted = to.tolist() if isinstance(to, Tensor) else to
        if isinstance(wanted, str | int):
            wanted = [wanted] * len(chosen)
        if len(wanted) != len(chosen):
            raise DataError(
                f"{len(chosen)} pictures but {len(wanted)} people to show; give one person, or one a picture"
            )
        shown = [self._label(one) for one in wanted]
        scenes = [self._scene(index, person) for index, person in zip(chosen, shown, strict=True)]
        if not scenes:
            return torch.zeros(0, 4, self.image_size, self.image_size, device="cpu")
        drawn = [
            render(scenes[start : start + self._chunk], image_size=self.image_size)
            for start in range(0, len(scenes), self._chunk)
        ]
        return torch.cat(drawn).to(torch.float32) / 255

    def _scene(self, index: int, person: int) -> Scene:
        return scene(self._people[person], moment(self.seed, self.split, index))

    def _planes(self, index: int) -> Tensor:
        number, place = divmod(index, self._chunk)
        if number not in self._chunks:
            indices = range(number * self._chunk, min((number + 1) * self._chunk, len(self)))
            self._chunks[number] = render([self._scene(i, self.labels[i]) for i in indices], image_size=self.image_size)
            if len(self._chunks) > self._chunks_kept:
                self._chunks.popitem(last=False)
        return self._chunks[number][place]

    def _index(self, index: int) -> int:
        if not -len(self) <= index < len(self):
            raise IndexError(f"picture {index} of {len(self)}; needed is a number from {-len(self)} to {len(self) - 1}")
        return index % len(self)

    def _label(self, to: str | int) -> int:
        if isinstance(to, str) and to in self.classes:
            return self.classes.index(to)
        if isinstance(to, int) and not isinstance(to, bool) and 0 <= to < len(self.classes):
            return to
        known = ", ".join(self.classes)
        raise DataError(f"no class {to!r}; known are {known}, or a number from 0 to {len(self.classes) - 1}")
