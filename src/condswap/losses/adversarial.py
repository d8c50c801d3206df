"""The adversarial losses: two verbs on logits, one for each side of the game."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from condswap.errors import ConfigError
from condswap.losses import functional
from condswap.types import Logits


class AdversarialLoss(nn.Module, ABC):
    """What the discriminator and the generator each try to make small.

    Both verbs take logits of any shape, before any sigmoid, and return a scalar. There is no `forward`: a loss with two
    sides is asked for one of them.
    """

    @abstractmethod
    def discriminator(self, real: Logits, fake: Logits) -> Tensor:
        """Give the loss of the discriminator; the generator's picture is detached by the caller."""

    @abstractmethod
    def generator(self, fake: Logits) -> Tensor:
        """Give the loss of the generator."""


class LeastSquares(AdversarialLoss):
    """Squared distances from 1 (real) and 0 (fake), Mao et al. 2017.

    >>> import torch
    >>> LeastSquares().generator(torch.tensor([3.0])).item()
    4.0
    """

    def discriminator(self, real: Logits, fake: Logits) -> Tensor:
        """Give `functional.least_squares_discriminator`."""
        return functional.least_squares_discriminator(real, fake)

    def generator(self, fake: Logits) -> Tensor:
        """Give `functional.least_squares_generator`."""
        return functional.least_squares_generator(fake)


class Hinge(AdversarialLoss):
    """Distances from a margin, Lim and Ye 2017.

    >>> import torch
    >>> Hinge().generator(torch.tensor([3.0])).item()
    -3.0
    """

    def discriminator(self, real: Logits, fake: Logits) -> Tensor:
        """Give `functional.hinge_discriminator`."""
        return functional.hinge_discriminator(real, fake)

    def generator(self, fake: Logits) -> Tensor:
        """Give `functional.hinge_generator`."""
        return functional.hinge_generator(fake)


class NonSaturating(AdversarialLoss):
    """Negated log probabilities, Goodfellow et al. 2014.

    >>> import torch
    >>> round(NonSaturating().generator(torch.zeros(1)).item(), 4)
    0.6931
    """

    def discriminator(self, real: Logits, fake: Logits) -> Tensor:
        """Give `functional.non_saturating_discriminator`."""
        return functional.non_saturating_discriminator(real, fake)

    def generator(self, fake: Logits) -> Tensor:
        """Give `functional.non_saturating_generator`."""
        return functional.non_saturating_generator(fake)


_BY_NAME: dict[str, type[AdversarialLoss]] = {
    "hinge": Hinge,
    "least_squares": LeastSquares,
    "non_saturating": NonSaturating,
}


def adversarial_loss(name: str) -> AdversarialLoss:
    """Build an adversarial loss by its word: "hinge", "least_squares" or "non_saturating".

    Raises `ConfigError` for any other word, with the ones that are known.

    >>> adversarial_loss("hinge")
    Hinge()
    """
    if not isinstance(name, str) or name not in _BY_NAME:
        known = ", ".join(repr(word) for word in sorted(_BY_NAME))
        raise ConfigError(f"there is no adversarial loss {name!r}; the known ones are {known}")
    return _BY_NAME[name]()
