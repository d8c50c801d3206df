"""Normalisation of the features by the person seen: what is constant about them goes out here."""

import math
from collections.abc import Sequence

import torch
from einops import rearrange, reduce
from torch import Tensor, nn

from condswap import sharing
from condswap.component import Growing
from condswap.errors import ConfigError
from condswap.losses.functional import widen
from condswap.roles import Stranger
from condswap.types import Features, Label, Shape

NORMALISATIONS = ("pooled", "positions", "none")
# So many pictures of a stranger count as much as the classes that they resemble. At 0 the expression of a single picture
# would go out with the person, which cost known people 0.003 of SSIM, and at one picture a place there is no variance; at 4
# four pictures gave half of what 32 give, at 1 three quarters (toy faces of 64 px; a stranger gains 0.01 from 32).
_GUESS = 1.0


class ClassNorm(nn.Module, Growing):
    """Normalises the features of a picture by the statistics of the person seen in it.

    Every class has a mean and a variance of its features: in training those of its pictures in the batch (when each is made
    of `least` numbers, else the running ones), afterwards the running ones. What is constant about a person leaves the
    features here, so that the class to show has to bring it back.

    `over="pooled"` keeps one mean and variance a channel; `"positions"` one a channel and position, which removes more of
    the person, but also maps the average pose and light of one person to those of the other: it is for people who are
    filmed alike.

    Without a source, as for a picture of whoever, the classes are mixed by how likely each makes the features. For a
    `Stranger` it is the statistics of their own pictures that count, the more the more pictures there are.
    """

    mean: Tensor
    square: Tensor
    updates: Tensor
    met: Tensor

    def __init__(
        self,
        in_shape: Sequence[int],
        *,
        num_classes: int,
        over: str = "pooled",
        momentum: float = 0.05,
        eps: float = 1e-4,
        least: int = 64,
    ) -> None:
        super().__init__()
        if over not in ("pooled", "positions"):
            raise ConfigError(f"over is {over!r}; known here: pooled, positions")
        self.pooled, self.momentum, self.eps, self.least = over == "pooled", momentum, eps, least
        channels, height, width = in_shape
        places = 1 if self.pooled else height * width
        self.register_buffer("mean", torch.zeros(num_classes, channels, places))
        self.register_buffer("square", torch.ones(num_classes, channels, places))
        self.register_buffer("updates", torch.zeros(num_classes))
        self.register_buffer("met", torch.ones(num_classes))  # 0 for a class that was added and not trained since

    def forward(self, features: Features, source: Label | Stranger | None) -> Features:
        """Normalise features (b, c, h, w).

        Args:
            features: of pictures.
            source: the class of each, (b), or a blend (b, n), or the stranger in all of them; None for the likeliest.
        """
        places = rearrange(widen(features), "b c h w -> b c (h w)")
        first, second = self._over(places), self._over(places.square())
        if source is None:
            source = self._likeliest(first, second, places.shape[-1])
        if isinstance(source, Stranger):
            mean, square = self._stranger(source)
        elif source.is_floating_point():
            mean, square = self._mixed(source)
        elif self.training:
            mean, square = self._batch(first, second, source, numbers=places.shape[-1] if self.pooled else 1)
        else:
            mean, square = widen(self.mean[source]), widen(self.square[source])
        variance = (square - mean.square()).clamp_min(0)
        normal = (places - mean) * torch.rsqrt(variance + self.eps)
        return rearrange(normal, "b c (h w) -> b c h w", h=features.shape[2]).to(features.dtype)

    def guess(self, features: Features) -> Label:
        """Weigh the classes by how likely each makes features (b, c, h, w); the weights (b, n) sum to 1."""
        places = rearrange(widen(features), "b c h w -> b c (h w)")
        return self._likeliest(self._over(places), self._over(places.square()), places.shape[-1])

    def _over(self, places: Tensor) -> Tensor:
        """Average (b, c, p) over what the statistics are pooled over."""
        return reduce(places, "b c p -> b c 1", "mean") if self.pooled else places

    def _mixed(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Mix the statistics of the classes by weights (b, n)."""
        mean, square = (torch.tensordot(widen(weight), widen(table), dims=1) for table in (self.mean, self.square))
        return mean, square

    def _stranger(self, stranger: Stranger) -> tuple[Tensor, Tensor]:
        """Give the statistics of a stranger, (1, c, p): those measured, and of the classes that they resemble."""
        first, second = (
            rearrange(widen(one.to(self.mean.device)), "c h w -> 1 c (h w)") for one in (stranger.mean, stranger.square)
        )
        places = first.shape[-1]
        first, second = self._over(first), self._over(second)
        mean, square = self._mixed(self._likeliest(first, second, places))
        share = stranger.count / (stranger.count + _GUESS)
        return torch.lerp(mean, first, share), torch.lerp(square, second, share)

    def _batch(self, first: Tensor, second: Tensor, source: Tensor, *, numbers: int) -> tuple[Tensor, Tensor]:
        """Give the statistics of every picture's class, and move the running ones towards those of the batch.

        `numbers` is how many numbers of a picture went into each. Where processes share the batch, these are the statistics
        of all of it. What it costs follows from the pictures, not from the number of classes.
        """
        if not len(source):
            return first, second
        who = sharing.whole(source)
        found = sharing.whole(torch.stack((first, second), dim=1))
        leader = (who[:, None] == who).byte().argmax(1)  # the first picture of the same class
        zeros = torch.zeros_like(found)
        count = zeros.new_zeros(len(who)).index_add_(0, leader, torch.ones_like(leader, dtype=zeros.dtype))[leader]
        sums = zeros.index_add(0, leader, found)[leader]
        mean, square = (sums / rearrange(count, "b -> b 1 1 1")).unbind(1)
        with torch.no_grad():
            rate = (1 / (self.updates[who].float() + 1)).clamp_min(self.momentum)
            # a picture of NaN must not stay here for good
            finite = (mean.isfinite() & square.isfinite()).all(-1).all(-1)
            rate = rearrange(torch.where(finite, rate, 0), "b -> b 1 1")
            # half a model's precision is too little to add up in
            running, running_square = widen(self.mean[who]), widen(self.square[who])
            running = torch.where(rate > 0, running.lerp(mean, rate), running)
            running_square = torch.where(rate > 0, running_square.lerp(square, rate), running_square)
            # Pictures of one class all write the same row.
            self.mean[who], self.square[who] = running.to(self.mean.dtype), running_square.to(self.square.dtype)
            self.updates[who] += finite.to(self.updates.dtype)
            self.met[who] = torch.where(finite, 1, self.met[who])
        enough = rearrange(count * numbers >= self.least, "b -> b 1 1")
        mean, square = torch.where(enough, mean, running), torch.where(enough, square, running_square)
        return sharing.own(mean), sharing.own(square)

    def _likeliest(self, first: Tensor, second: Tensor, places: int) -> Tensor:
        """Weigh the classes by the likelihood of the features under each one's normal distribution, (b, n).

        `places` is how many places a picture has, whether or not the statistics are pooled over them. Neighbouring
        features are not independent, so the log-likelihood is divided by the root of their number.
        """
        mean = widen(self.mean)
        variance = (widen(self.square) - mean.square()).clamp_min(0) + self.eps
        first, second = rearrange(first, "b c p -> b 1 c p"), rearrange(second, "b c p -> b 1 c p")
        distance = (second - first.square() + (first - mean).square()) / variance + variance.log()
        channels = first.shape[2]
        likelihood = -0.5 * reduce(distance, "b n c p -> b n c", "mean").sum(-1) * math.sqrt(places / channels)
        return torch.softmax(likelihood.masked_fill(self.met == 0, -torch.inf), dim=1)

    def grow(self) -> None:
        """Add a class that starts with the mean statistics of the others, and is no guess for a picture before it is met."""
        self.mean = torch.cat([self.mean, self.mean.mean(0, keepdim=True)])
        self.square = torch.cat([self.square, self.square.mean(0, keepdim=True)])
        self.updates = torch.cat([self.updates, torch.zeros_like(self.updates[:1])])
        self.met = torch.cat([self.met, torch.zeros_like(self.met[:1])])


def code_norm(normalisation: str, in_shape: Shape, num_classes: int) -> ClassNorm | None:
    """Build the normalisation of the code by its word, None for "none"."""
    if normalisation not in NORMALISATIONS:
        raise ConfigError(f"normalisation is {normalisation!r}; known here: {', '.join(NORMALISATIONS)}")
    return None if normalisation == "none" else ClassNorm(in_shape, num_classes=num_classes, over=normalisation)
