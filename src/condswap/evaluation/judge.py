"""A small network, trained on the spot, that tells the people of some pictures apart.

It is the identity network where none is given. It learns from real pictures only: a network that had seen swaps would
learn what gives a swap away.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from condswap.data.augment import adjust_gain
from condswap.errors import ConfigError, DataError, ShapeError
from condswap.losses import gaussian_blur
from condswap.types import Image, Label, Logits, Mask

_SIDE = 64  # pixels a side of what it looks at
_NUMBERS = 64  # of a vector
_BATCH = 32
_RATE = 2e-3
_SHARPNESS = 5.0  # from cosines to logits; so little that people have to be far apart to be told apart surely
_GAIN = 0.1  # of each channel, up and down, so that people are not told by the exposure of their clips
_BLUR = 2.5  # sigma in pixels at most, for half of the pictures, so that they are not told by their sharpness
_SHIFT = 2  # pixels each way


class Judge(nn.Module):
    """A classifier of people whose last features are their identity vectors; `train_judge` makes one.

    It takes faces whose surroundings are black, `image * mask`: hair and background tell people apart as well, and
    a swap does not change those. Every method takes faces (b, 3, h, w), which are resized to 64 x 64.

    Args:
        classes: how many people.
        moments: how many measures of a picture it also learns to estimate, such as the turn of the head.

    Example:
        >>> Judge(2)(torch.rand(5, 3, 64, 64)).shape
        torch.Size([5, 64])
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, classes: int, *, moments: int = 0) -> None:
        super().__init__()
        widths = (3, 24, 48, 64)
        halvings = [
            part
            for taken, given in zip(widths[:-1], widths[1:], strict=True)
            for part in (nn.Conv2d(taken, given, 3, 2, 1), nn.BatchNorm2d(given), nn.ReLU())
        ]
        count = widths[-1] * (_SIDE // 8) ** 2
        self.trunk = nn.Sequential(*halvings, nn.Flatten())
        self.identity = nn.Linear(count, _NUMBERS)
        self.people = nn.Parameter(torch.randn(classes, _NUMBERS))
        self.measures = nn.Sequential(nn.Linear(count, 128), nn.ReLU(), nn.Linear(128, moments)) if moments else None
        self.register_buffer("mean", torch.zeros(moments))
        self.register_buffer("deviation", torch.ones(moments))

    def forward(self, faces: Image) -> Tensor:
        """Give the identity vectors of faces, (b, 64), of length 1."""
        return self._vectors(self._features(faces))

    def classify(self, faces: Image) -> Logits:
        """Give the logits of the people, (b, classes)."""
        return self._logits(self(faces))

    def moments(self, faces: Image) -> Tensor:
        """Estimate the measures that it has learnt, (b, k), in their own units.

        Raises:
            ConfigError: it has learnt none.
        """
        return self._standard_moments(self._features(faces)) * self.deviation + self.mean

    def loss(self, faces: Image, label: Label, moments: Tensor | None) -> Tensor:
        """Give the scalar that training lowers: cross-entropy, and the squared error of the standardised measures."""
        features = self._features(faces)
        loss = F.cross_entropy(self._logits(self._vectors(features)), label)
        if moments is not None:
            loss = loss + F.mse_loss(self._standard_moments(features), (moments - self.mean) / self.deviation)
        return loss

    def _features(self, faces: Image) -> Tensor:
        if faces.shape[2:] != (_SIDE, _SIDE):
            faces = F.interpolate(faces, size=(_SIDE, _SIDE), mode="area")
        return self.trunk(4 * faces - 1.6)  # about mean 0 and deviation 1 for the faces of black surroundings

    def _vectors(self, features: Tensor) -> Tensor:
        return F.normalize(self.identity(features), dim=1)

    def _logits(self, vectors: Tensor) -> Logits:
        # Cosines, since the vectors are compared by cosines later.
        return _SHARPNESS * vectors @ F.normalize(self.people, dim=1).T

    def _standard_moments(self, features: Tensor) -> Tensor:
        if self.measures is None:
            raise ConfigError("this judge has learnt no moments; give them to train_judge(..., moments=)")
        return self.measures(features)


def train_judge(
    pictures: Image,
    masks: Mask,
    labels: Tensor,
    *,
    classes: int,
    moments: Tensor | None = None,
    steps: int = 300,
    seed: int = 0,
) -> Judge:
    """Train a judge on real pictures.

    Each face is seen where another person's picture has a face as well, through the outline of a third, so that
    outlines tell nothing of two people and little of more; each person is seen as often as the others. The same
    arguments give the same judge, and the caller's random numbers are left alone. It takes some seconds.

    Args:
        pictures: (n, 3, h, w) in [0, 1], none of them a swap.
        masks: (n, 1, h, w).
        labels: (n), who is in each.
        classes: how many people there are; some may have no picture.
        moments: (n, k) measures of the pictures that the judge learns to estimate, or None. Without them half of the
            pictures are mirrored, which the measures would not survive.
        steps: of 32 pictures each.
        seed: of the weights and of the order.

    Returns:
        The judge, in evaluation mode, on the device of the pictures. It asks for no gradients.

    Raises:
        ShapeError: the arguments do not fit each other.
        DataError: there are no pictures, a label is not a class, or a value is not finite.

    Example:
        >>> pictures = torch.cat((torch.full((8, 3, 64, 64), 0.2), torch.full((8, 3, 64, 64), 0.8)))
        >>> labels = torch.tensor([0] * 8 + [1] * 8)
        >>> judge = train_judge(pictures, torch.ones(16, 1, 64, 64), labels, classes=2, steps=10)
        >>> judge.classify(pictures[[0, 8]]).argmax(1).tolist()
        [0, 1]
    """
    _check(pictures, masks, labels, classes, moments)
    # Whoever measures has switched gradients off, and a judge needs them for itself.
    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        judge = Judge(classes, moments=0 if moments is None else moments.shape[1])
        chance = torch.Generator().manual_seed(seed)
        device = pictures.device
        judge.to(device)
        if moments is not None:
            moments = moments.to(device, torch.float32)
            judge.mean.copy_(moments.mean(0))
            judge.deviation.copy_(moments.std(0, correction=0).clamp_min(1e-6))
        pictures, masks = (F.interpolate(part.float(), size=(_SIDE, _SIDE), mode="area") for part in (pictures, masks))
        labels = labels.to("cpu", torch.int64)
        rarity = 1 / labels.bincount().float()[labels]
        alone = len(labels.unique()) == 1
        optimizer = torch.optim.Adam(judge.parameters(), _RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps)
        for _ in range(steps):
            chosen = torch.multinomial(rarity, _BATCH, replacement=True, generator=chance)
            # Someone else; where there is nobody else, the same person.
            chances = rarity * ((labels != labels[chosen, None]) | alone)
            other = torch.multinomial(chances, 1, generator=chance).flatten()
            any_one = torch.randint(len(labels), (_BATCH,), generator=chance)
            face = masks[chosen] * masks[other]
            seen = _varied(pictures[chosen], face, masks[any_one], chance, mirror=moments is None)
            loss = judge.loss(seen, labels[chosen].to(device), None if moments is None else moments[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return judge.eval().requires_grad_(False)


def _varied(image: Image, face: Mask, window: Mask, chance: torch.Generator, *, mirror: bool) -> Image:
    """Change what does not make a person, and show the face through an outline that is not its own."""
    count, half = len(image), len(image) // 2
    factors = 1 + _GAIN * (2 * torch.rand(count, 3, generator=chance) - 1)
    image = adjust_gain(image, factors.to(image))
    # Between face and outline a composite has whatever was painted there: any colour, and in half of them black.
    around = torch.rand(count, 3, 1, 1, generator=chance) * (torch.arange(count) % 2).reshape(-1, 1, 1, 1)
    image = torch.lerp(around.to(image), image, face)
    sigma = 0.5 + (_BLUR - 0.5) * float(torch.rand((), generator=chance))
    image = torch.cat((gaussian_blur(image[:half], sigma=sigma), image[half:]))
    right, down = torch.randint(-_SHIFT, _SHIFT + 1, (2,), generator=chance).tolist()
    seen = (image * window).roll((down, right), (2, 3))  # what comes in on the other side is black
    if mirror:
        flipped = torch.rand(count, 1, 1, 1, generator=chance) < 0.5
        seen = torch.where(flipped.to(seen.device), seen.flip(3), seen)
    return seen


def _check(pictures: Tensor, masks: Tensor, labels: Tensor, classes: int, moments: Tensor | None) -> None:
    """Refuse pictures to learn from that do not fit together."""
    count = len(pictures)
    wanted = (count, 1, *pictures.shape[2:])
    if pictures.ndim != 4 or pictures.shape[1] != 3 or masks.shape != wanted or labels.shape != (count,):
        raise ShapeError(
            f"pictures {tuple(pictures.shape)}, masks {tuple(masks.shape)} and labels {tuple(labels.shape)} do not fit; "
            "give pictures (n, 3, h, w), masks (n, 1, h, w) and labels (n)"
        )
    if moments is not None and (moments.ndim != 2 or len(moments) != count):
        raise ShapeError(f"moments are {tuple(moments.shape)} for {count} pictures; give ({count}, k)")
    if not count:
        raise DataError("there are no pictures to train a judge on; give some of every person")
    if int(labels.min()) < 0 or int(labels.max()) >= classes:
        raise DataError(
            f"labels go from {int(labels.min())} to {int(labels.max())} and there are {classes} classes, numbered from 0"
        )
    for name, values in (("pictures", pictures), ("masks", masks), ("moments", moments)):
        if values is not None and not values.isfinite().all():
            raise DataError(f"{name} have values that are not finite; leave those pictures out")
