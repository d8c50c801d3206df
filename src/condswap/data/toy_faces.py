"""Procedural faces whose exact swap is known: drawn people, so that the same moment can be drawn with another person.

A picture is a person (what swapping must change) and a moment (what it must keep). Both are rows of numbers, each drawn
from its own seed, and `toy_renderer` makes a picture of any pair of them.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.utils.data import Dataset

from condswap.data.clips import Clip, join_stretches
from condswap.data.toy_features import Scene
from condswap.data.toy_people import SEEN, between, moment, people, seen
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

    filmed_alike: ClassVar[bool] = True
    """The moments of all people are drawn alike, so training need not guard against footage that differs."""
    moment_names: ClassVar[tuple[str, ...]] = SEEN
    """What the columns of `moments` are."""

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

    def moments(self, indices: Sequence[int] | Tensor) -> Tensor:
        """Give the pose, the expression and the light of pictures, which their swaps must keep.

        A number is as the picture shows it: `open` is 0 for every closed mouth, `frown` 0 where the brows are not drawn
        together, `blink` 1 where the eyes are shut, and then both gazes are 0.

        Args:
            indices: n pictures.

        Returns:
            (n, k), float32, one column for each of `moment_names`: yaw, pitch and roll in radians; how far the mouth is
            open, its smile, how far the brows are raised and drawn together, the eyes shut, where they look; the light's
            angles to the side and up in radians, how hard it is and how warm. Positive yaw, gaze_x and light_side are
            to the right of the picture, gaze_y and light_up up, pitch down, roll counter-clockwise.

        Raises:
            IndexError: no such picture.

        Example:
            >>> data = ToyFaces(2, image_size=16)
            >>> data.moments([0, 1, 2]).shape, data.moment_names[:3]
            (torch.Size([3, 14]), ('yaw', 'pitch', 'roll'))
        """
        rows = [seen(moment(self.seed, self.split, self._index(int(index)))) for index in indices]
        return torch.tensor(rows, dtype=torch.float32, device="cpu").reshape(-1, len(SEEN))

    def sequence(self, index: int, length: int = 12, *, to: str | int | None = None) -> tuple[Tensor, Tensor, int]:
        """Give the frames of a short video that begins with a picture.

        The same person before the same background glides to the pose, the expression and the light of the moment after
        the picture's own.

        Args:
            index: the picture.
            length: how many frames, at least 2.
            to: the person to show, by name or number, for the exact swap of the video; None shows the picture's own.

        Returns:
            The frames (length, 3, h, w) and their masks (length, 1, h, w), float32 in [0, 1], and the label of the
            person shown.

        Raises:
            IndexError: no such picture.
            DataError: no such person.
            ConfigError: a length that cannot be.

        Example:
            >>> data = ToyFaces(2, image_size=16)
            >>> frames, masks, label = data.sequence(0, length=3)
            >>> frames.shape, masks.shape, bool((frames[0] == data[0]["image"]).all())
            (torch.Size([3, 3, 16, 16]), torch.Size([3, 1, 16, 16]), True)
        """
        if isinstance(length, bool) or not isinstance(length, int) or length < 2:
            raise ConfigError(f"length={length!r}; give a whole number of frames, at least 2")
        index = self._index(index)
        label = self.labels[index] if to is None else self._label(to)
        start, end = (moment(self.seed, self.split, one) for one in (index, index + 1))
        person = self._people[label]
        drawn = self._draw([scene(person, between(start, end, frame / (length - 1))) for frame in range(length)])
        return drawn[:, :3], drawn[:, 3:], label

    def clips(self, *, cut: float = 0.1, least: int = 8) -> list[Clip]:
        """Give one stretch a person, whatever `cut` and `least` are: each picture is a moment of its own."""
        return join_stretches(self.labels, [0.0] * len(self), cut=cut, least=least)

    def other_split(self, length: int | None = None) -> "ToyFaces":
        """Give the other of "train" and "test": the same people in moments that these pictures do not show.

        Args:
            length: how many pictures; None for as many as here.

        Raises:
            ConfigError: a length that cannot be.

        Example:
            >>> ToyFaces(2, image_size=16).other_split(64).split
            'test'
        """
        return ToyFaces(
            self.classes,
            image_size=self.image_size,
            seed=self.seed,
            length=len(self) if length is None else length,
            split="test" if self.split == "train" else "train",
        )

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
        return self._draw([self._scene(index, person) for index, person in zip(chosen, shown, strict=True)])

    def _draw(self, scenes: list[Scene]) -> Tensor:
        """Draw scenes: (n, 4, h, w), float32 in [0, 1], colours and mask."""
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
