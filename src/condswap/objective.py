"""What training asks of a model, in numbers."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from condswap.errors import ConfigError
from condswap.losses import adversarial_loss


@dataclass(frozen=True, kw_only=True)
class Objective:
    """The weight of everything that training asks of a model; it is saved with the model.

    Attributes:
        dssim: weight of the structural dissimilarity, (1 - SSIM) / 2, between picture and reconstruction.
        l1: weight of their absolute difference.
        mask: weight of the binary cross-entropy between the mask head and the mask.
        adversarial: weight of the discriminator's verdict on the reconstruction; 0 trains no discriminator.
        swap_adversarial: weight of its verdict on the picture shown as another class, which costs a second decoding.
        adversarial_loss: "least_squares", "hinge" or "non_saturating".
        r1: weight of the gradient penalty on real pictures (gamma of Mescheder et al. 2018).
        code_adversary: weight of the confusion of a small network that guesses the class from the encoder's features
            (Lample et al. 2017), in units of the entropy of the classes. It is what keeps the person seen out of the code.
        mask_blur: sigma of the Gaussian that softens the mask, as a fraction of the height.
        whole_image: average over the whole picture and show all of it to the discriminator, as the paper does, in place
            of the face alone.

    Raises:
        ConfigError: a weight is negative or no finite number, or the adversarial loss is not known.

    Example:
        >>> Objective(l1=0.5).l1
        0.5
    """

    dssim: float = 2.0
    l1: float = 0.3
    mask: float = 0.2
    adversarial: float = 0.005
    swap_adversarial: float = 0.0
    adversarial_loss: str = "least_squares"
    r1: float = 0.0
    code_adversary: float = 0.04
    mask_blur: float = 0.05
    whole_image: bool = False

    def __post_init__(self) -> None:
        """Check the weights."""
        adversarial_loss(self.adversarial_loss)  # refuses a word that it does not know
        if not isinstance(self.whole_image, bool):
            raise ConfigError(f"Objective.whole_image is {self.whole_image!r}; it is True or False")
        for name, value in asdict(self).items():
            if name in ("adversarial_loss", "whole_image"):
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
                raise ConfigError(f"Objective.{name} is {value!r}; a weight is a finite number from 0 up")

    @classmethod
    def paper(cls) -> Self:
        """Give the losses of the paper: 100 (1 - SSIM) and 0.05 of least squares over the whole picture.

        Example:
            >>> Objective.paper().dssim
            200.0
        """
        return cls(dssim=200.0, l1=0.0, mask=0.0, adversarial=0.05, code_adversary=0.0, whole_image=True)

    @classmethod
    def crisp(cls) -> Self:
        """Give the losses for the last part of a run, in which the discriminator makes the pictures crisper.

        Let it begin late: `TrainerConfig(planned_steps=5000, adversarial_from=3000, discriminator_learning_rate=1e-3)`. It
        judges the reconstructions, of which back-translation makes half from swaps. Where the discriminator judges detail
        alone, as in `CGAN.default` from 128 pixels on, leave `swap_adversarial` at 0: nothing would hold the colours of swaps.

        Example:
            >>> Objective.crisp().adversarial_loss
            'hinge'
        """
        return cls(adversarial=0.03, adversarial_loss="hinge")

    @classmethod
    def from_config(cls, config: object) -> Self:
        """Read what `config` gave.

        Raises:
            ConfigError: an entry is not known here.
        """
        if not isinstance(config, Mapping):
            raise ConfigError(f"an objective is an object of weights, not {config!r}")
        unknown = set(config) - {field.name for field in fields(cls)}
        if unknown:
            raise ConfigError(
                f"the objective has {', '.join(map(repr, sorted(unknown)))}, not known here: update condswap"
            )
        return cls(**config)

    def config(self) -> dict[str, Any]:
        """Give the weights as JSON."""
        return asdict(self)
