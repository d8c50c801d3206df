"""Guides: networks that look at swaps while they are trained, and say what is wrong with them.

Reconstructing asks for nothing of a swap but what the label tells. A guide asks the swap itself: is it like the person to
show, is its mouth as open as in the picture? What guides a training has no say in how good its swaps are: measure with
another network.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import default_collate

from condswap.cgan import CGAN
from condswap.component import is_number
from condswap.data.augment import adjust_gain, light_ramp
from condswap.data.clips import by_class
from condswap.errors import ConfigError, DataError, ShapeError
from condswap.generator import evaluating
from condswap.losses.masked import alone, pasted
from condswap.training.loader import is_dataset, labels_of
from condswap.training.steps import Metrics
from condswap.types import Batch, Features, Image, Label, Mask

_AT_ONCE = 32  # pictures that a network gets at once
_PICTURES = 96  # of a class, that it is known by
_GAIN, _RAMP = 0.25, 0.4  # the most that a light changes: by e^0.25, and by 0.4 from the middle to a side


class SwapBatch(NamedTuple):
    """Pictures shown as other classes, as a guide gets them.

    Attributes:
        image: the swaps in their pictures, inside the softened mask (b, 3, h, w); gradients flow back from here.
        picture: the pictures as they were.
        mask: of their faces (b, 1, h, w).
        label: the class that each is shown as, int64 (b).
        source: the class of the person who is in the picture, int64 (b).
        swap: pictures (b, 3, h, w) to their swaps, as `image` is of `picture`: of the same faces, for a guide that compares
            them. Gradients flow back through it, too; each call costs what these swaps cost.
    """

    image: Image
    picture: Image
    mask: Mask
    label: Label
    source: Label
    swap: Callable[[Image], Image]


Guide: TypeAlias = Callable[[SwapBatch], Tensor]
"""Swaps to a penalty for each, (b), weighed already; gradients have to flow through it."""


class IdentityGuide(nn.Module):
    """Asks that swaps are as much like the person to show, and as little like the one in the picture, as that person is.

    It asks for the leak gap: the similarity of a swap to the mean of the class to show, less that to the mean of the class
    in the picture. The pictures of the class to show tell how large it is for the person; what goes `reach` times as far is
    not penalised. Similarities are cosines of vectors off the mean of all classes.

    Args:
        network: faces (b, 3, h, w) in [0, 1], aligned as the data are, to vectors (b, d), such as a face recognition
            network; gradients have to flow through it. A module's weights are no longer asked for gradients.
        data: a dataset of items, the pictures that are trained on.
        weight: of a gap that is missing.
        reach: how far to go, where 1 is as far as the pictures of the person. Swaps stand in the other's hair, and what this
            network sees other networks see a part of, so it is a little above.

    Raises:
        ConfigError: the weight or the reach is no number from 0 up.
        DataError: the data are no dataset, or show fewer than two classes.
        ShapeError: the network gives no vectors.

    Example:
        >>> from condswap import ToyFaces
        >>> guide = IdentityGuide(lambda faces: faces.mean((2, 3)), ToyFaces(2, image_size=32, length=8))
        >>> guide.goals.shape
        torch.Size([2, 2])
    """

    center: Tensor
    means: Tensor
    goals: Tensor

    def __init__(
        self, network: Callable[[Image], Tensor], data: Any, *, weight: float = 0.1, reach: float = 1.2
    ) -> None:
        super().__init__()
        self.network, self.weight, self.reach = _frozen(network), _weight(weight, "weight"), _weight(reach, "reach")
        people = _people(data)
        if len(people) < 2:
            raise DataError(f"an identity guide tells people apart, and the data show {len(people)}; leave it out")
        count = max(max(people) + 1, len(getattr(data, "classes", ())))
        with torch.no_grad():
            vectors = {label: _vectors(self.network, batch["image"]) for label, batch in people.items()}
            self.register_buffer("center", torch.stack([one.mean(0) for one in vectors.values()]).mean(0))
            typical = self.center.new_zeros(count, len(self.center))
            for label, one in vectors.items():
                typical[label] = self._unit(one).mean(0)
            self.register_buffer("means", F.normalize(typical, dim=1))
            like = self.means @ typical.T  # the pictures of each column to the mean of each row
            self.register_buffer("goals", like.diagonal() - like)  # [source, label]

    def forward(self, swaps: SwapBatch) -> Tensor:
        """Give the weighed part of the gap that is missing, (b)."""
        goal = self.reach * self.goals[swaps.source, swaps.label]
        gap = self._gap(self.network(swaps.image), label=swaps.label, source=swaps.source)
        return self.weight * F.relu(goal - gap)

    def _gap(self, vectors: Tensor, *, label: Label, source: Label) -> Tensor:
        return (self._unit(vectors.float()) * (self.means[label] - self.means[source])).sum(1)

    def _unit(self, vectors: Tensor) -> Tensor:
        return F.normalize(vectors - self.center, dim=1)


class AttributeGuide(nn.Module):
    """Asks that swaps are turned, lit or moved as their pictures are, in whatever measures it is given.

    Both are shown to the measures as a face alone, on grey: the outline of the head, which is the picture's own, would tell the
    turn even where the face does not.

    Args:
        measure: such faces (b, 3, h, w) in [0, 1], aligned as the data are, to named measures, (b) each, such as the gap
            between the lips; gradients have to flow through it.
        data: a dataset of items, the pictures that are trained on; each measure counts in units of its standard
            deviation there.
        weight: of one such unit, in every measure or by name.

    Raises:
        ConfigError: a weight is no number from 0 up, or the weights are of other measures.
        DataError: the data are no dataset.
        ShapeError: what is measured is something else.

    Example:
        >>> from condswap import ToyFaces
        >>> guide = AttributeGuide(lambda faces: {"red": faces[:, 0].mean((1, 2))}, ToyFaces(2, image_size=32, length=8))
        >>> guide.deviations.shape
        torch.Size([1])
    """

    deviations: Tensor
    weights: Tensor

    def __init__(
        self,
        measure: Callable[[Image], Mapping[str, Tensor]],
        data: Any,
        *,
        weight: float | Mapping[str, float] = 0.05,
    ) -> None:
        super().__init__()
        self.measure = _frozen(measure)
        pictures = torch.cat([alone(batch["image"], batch["mask"]) for batch in _people(data).values()])
        with torch.no_grad():
            names = list(self._named(pictures[:1]))
            found = torch.cat([self._measured(one) for one in pictures.split(_AT_ONCE)])
        weights = weight if isinstance(weight, Mapping) else dict.fromkeys(names, weight)
        if set(weights) != set(names):
            raise ConfigError(f"weights are given of {', '.join(weights)}, and what is measured is {', '.join(names)}")
        self.register_buffer("weights", torch.tensor([_weight(weights[name], f"weight of {name}") for name in names]))
        self.register_buffer("deviations", found.std(0))

    def forward(self, swaps: SwapBatch) -> Tensor:
        """Give the weighed difference between swap and picture, (b), the sum of the measures."""
        with torch.no_grad():
            wanted = self._measured(alone(swaps.picture, swaps.mask))
        off = (self._measured(alone(swaps.image, swaps.mask)) - wanted).abs() / self.deviations.clamp_min(1e-8)
        return (off * self.weights).sum(1)

    def _named(self, faces: Image) -> Mapping[str, Tensor]:
        found = self.measure(faces)
        if not isinstance(found, Mapping) or any(one.shape != (len(faces),) for one in found.values()):
            raise ShapeError(f"a measure of {len(faces)} faces is a mapping of names to tensors ({len(faces)},)")
        return found

    def _measured(self, faces: Image) -> Tensor:
        return torch.stack([one.float() for one in self._named(faces).values()], dim=1)


class LightGuide(nn.Module):
    """Asks that light which is put on a picture is on its swap, too.

    Every step puts another light on the pictures, brighter or darker and falling off to a side, swaps them once more, and asks
    for what that light makes of the swaps. It needs no network. Beside an `IdentityGuide` it holds swaps to the light of their
    pictures, where the person would be more like themselves in the light of their own.

    Args:
        weight: of the mean absolute difference over the face.

    Raises:
        ConfigError: the weight is no number from 0 up.

    Example:
        >>> picture, face = 0.4 * torch.rand(1, 3, 8, 8), torch.ones(1, 1, 8, 8)
        >>> label, source = torch.tensor([1]), torch.tensor([0])
        >>> round(LightGuide()(SwapBatch(picture, picture, face, label, source, lambda lit: lit)).item(), 4)
        0.0
    """

    def __init__(self, *, weight: float = 0.3) -> None:
        super().__init__()
        self.weight = _weight(weight, "weight")

    def forward(self, swaps: SwapBatch) -> Tensor:
        """Give the weighed difference, (b)."""
        # One light for all swaps of a step: processes that share a batch then draw the same.
        brighter, right, down = (2 * torch.rand(3) - 1).to(swaps.picture.device, non_blocking=True)
        factor = (_GAIN * brighter).exp().expand(len(swaps.picture), 3)
        slope = torch.stack([_RAMP * right, _RAMP / 3 * down]).expand(len(swaps.picture), 2)

        def lit(image: Image) -> Image:
            return light_ramp(adjust_gain(image, factor), slope)

        off = (swaps.swap(lit(swaps.picture)) - lit(swaps.image)).abs().mean((1, 2, 3))
        return self.weight * off / swaps.mask.mean((1, 2, 3)).clamp_min(1e-6)


def swap_to_guide(
    model: CGAN, batch: Batch, features: Features, *, picks: Tensor, to: Label, source: Label
) -> SwapBatch:
    """Show some pictures of a batch as other classes, as the model will be used: in evaluation mode, without noise.

    Args:
        model: the one that is trained.
        batch: the pictures.
        features: the encoder's, of the whole batch.
        picks: which pictures, int64 (n).
        to: the class to show of each of them, int64 (n).
        source: the class of the person in each picture of the batch.
    """
    picture, mask, source = batch["image"][picks], batch["mask"][picks], source[picks]

    def shown(features: Features, picture: Image) -> Image:
        return pasted(picture, model.generator.show(features, to, source).image, mask)

    def swap(picture: Image) -> Image:
        with evaluating(model.generator):
            return shown(model.generator.encode(picture, mask), picture)

    with evaluating(model.generator):
        image = shown(features[picks], picture)
    return SwapBatch(image, picture, mask, to, source, swap)


def guide_step(guides: Mapping[str, Guide], swaps: SwapBatch, *, count: float) -> tuple[Tensor, Metrics]:
    """Score swaps: give the sum of what the guides say of them, and of each, as g/NAME.

    Args:
        guides: by name.
        swaps: there may be none.
        count: by which each sum is divided, to make it a mean.

    Raises:
        ShapeError: a guide gave something else than a penalty for each swap.
    """
    loss, metrics = swaps.image.new_zeros(()), {}
    for name, guide in guides.items():
        penalty = guide(swaps) if len(swaps.image) else swaps.image.new_zeros(0)
        if not isinstance(penalty, Tensor) or penalty.shape != (len(swaps.image),):
            came = tuple(penalty.shape) if isinstance(penalty, Tensor) else type(penalty).__name__
            raise ShapeError(
                f"the guide {name!r} gave {came} for {len(swaps.image)} swaps; needed is one number each, (b)"
            )
        term = penalty.float().sum() / count
        loss, metrics[f"g/{name}"] = loss + term, term.detach()
    return loss, metrics


def check_guides(guides: Mapping[str, Guide] | None) -> dict[str, Guide]:
    """Give the guides by name.

    Raises:
        ConfigError: they are something else.
    """
    if not isinstance(guides, Mapping | None) or any(
        not isinstance(name, str) or isinstance(guide, type) or not callable(guide)
        for name, guide in (guides or {}).items()
    ):
        raise ConfigError(
            f"guides are {guides!r}; give them by name, such as {{'identity': IdentityGuide(network, data)}}"
        )
    return dict(guides or {})


def _frozen(network: Any) -> Any:
    if isinstance(network, type) or not callable(network):
        raise ConfigError(f"{network!r} cannot guide; give a module or a function of faces (b, 3, h, w)")
    return network.eval().requires_grad_(False) if isinstance(network, nn.Module) else network


def _weight(value: float, name: str) -> float:
    if not is_number(value) or value < 0:
        raise ConfigError(f"{name} is {value!r}; it is a finite number from 0 up")
    return value


def _people(data: Any) -> dict[int, Batch]:
    """Read some pictures of every class, spread evenly."""
    if not is_dataset(data):
        raise DataError(
            "a guide gets to know people from a dataset of items, such as FaceFolder, and these are batches"
        )
    return {label: _read(data, indices) for label, indices in by_class(labels_of(data)).items()}


def _read(data: Any, indices: Sequence[int]) -> Batch:
    chosen = indices[:: -(-len(indices) // _PICTURES)]
    items = [data[index] for index in chosen]
    return default_collate([{key: item[key] for key in ("image", "mask", "label")} for item in items])


def _vectors(network: Callable[[Image], Tensor], faces: Image) -> Tensor:
    found = [network(part) for part in faces.split(_AT_ONCE)]
    if found[0].ndim != 2 or len(found[0]) != len(faces[:_AT_ONCE]):
        raise ShapeError(
            f"the identity network gave {tuple(found[0].shape)} for {len(faces[:_AT_ONCE])} faces; needed is (b, d)"
        )
    return torch.cat(found).float()
