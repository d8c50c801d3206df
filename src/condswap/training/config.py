"""How a model is trained, in numbers."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from condswap.component import is_number
from condswap.data.augment import Augmentation
from condswap.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class TrainerConfig:
    """How a model is trained; what is asked of it is its `Objective`.

    Attributes:
        seed: of everything random in training.
        batch_size: pictures a step, mixed evenly from the classes.
        learning_rate: of Adam for the generator and for the adversary of the code.
        discriminator_learning_rate: of Adam for the discriminator.
        betas: of Adam for the generator.
        discriminator_betas: of Adam for the discriminator.
        warm_up: steps in which the learning rates rise from 0.
        planned_steps: the length of the whole run, when known: the learning rates then fall along a cosine over its
            second half. None keeps them constant, so that a run may be of any length.
        average: decay of the running average of the weights that `trainer.model` holds; 0 holds the last weights.
        clip: largest norm of the generator's and of the discriminator's gradient; None leaves them as they are.
        precision: "float32", or "bfloat16" for autocast.
        unmasked: the share of pictures that the encoder sees whole, so that the model works without a mask, too.
        back_translation: the share of pictures that the encoder sees already swapped to another class, and that are to
            come out as they were; what asks for another person than the one seen. None takes half of them, and none of
            data that say `filmed_alike`, such as `ToyFaces`.
        ramp_up: steps in which the weight of the adversary of the code rises from 0, and before which the encoder sees
            no swaps.
        adversarial_from: the step from which the discriminator takes part.
        guided_from: the step from which the trainer's guides take part, `ramp_up` at least; their weights rise over as many.
        guided: the share of the pictures that the guides look at, shown as another class; each costs what a guide costs.
        augmentation: how the pictures are varied. None takes `Augmentation()`, and none for data that say `filmed_alike`:
            whose classes do not differ in pose and light, such as `ToyFaces`.
        workers: processes that read pictures; 0 reads them in this one.
        watch: steps between two looks at how much the label matters, which is looked at once more at the end of the run;
            0 never looks. It changes nothing in training.
        recompute: compute the features of the encoder and the decoder anew in the backward pass instead of keeping them.
            Less memory for about a third more time, worth it from 512 pixels on; the weights come out the same.
        compile: let PyTorch compile the steps, which takes a minute or two at the start. For long runs, above all on a GPU.

    Raises:
        ConfigError: a number is out of its range.

    Example:
        >>> TrainerConfig(seed=0, batch_size=16).learning_rate
        0.002
    """

    seed: int = 0
    batch_size: int = 16
    learning_rate: float = 2e-3
    discriminator_learning_rate: float = 5e-4
    betas: tuple[float, float] = (0.9, 0.999)
    discriminator_betas: tuple[float, float] = (0.5, 0.999)
    warm_up: int = 50
    planned_steps: int | None = None
    average: float = 0.995
    clip: float | None = 5.0
    precision: str = "float32"
    unmasked: float = 0.1
    back_translation: float | None = None
    ramp_up: int = 200
    adversarial_from: int = 0
    guided_from: int = 0
    guided: float = 0.25
    augmentation: Augmentation | None = None
    workers: int = 0
    watch: int = 200
    recompute: bool = False
    compile: bool = False

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in ("seed", "batch_size", "warm_up", "ramp_up", "adversarial_from", "guided_from", "workers", "watch"):
            value, least = getattr(self, name), 1 if name == "batch_size" else 0
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError(f"TrainerConfig.{name} is {value!r}; it is a whole number from {least} up")
        planned = self.planned_steps
        if planned is not None and (isinstance(planned, bool) or not isinstance(planned, int) or planned < 1):
            raise ConfigError(f"TrainerConfig.planned_steps is {planned!r}; it is a number of steps, or None")
        for name in ("learning_rate", "discriminator_learning_rate", "clip"):
            value = getattr(self, name)
            if not (is_number(value) and value > 0) and not (name == "clip" and value is None):
                raise ConfigError(f"TrainerConfig.{name} is {value!r}; it is a number above 0")
        for name in ("average", "unmasked", "guided", "back_translation"):
            value = getattr(self, name)
            if not (is_number(value) and 0 <= value <= 1) and not (name == "back_translation" and value is None):
                raise ConfigError(f"TrainerConfig.{name} is {value!r}; it is a number from 0 to 1")
        if self.precision not in ("float32", "bfloat16"):
            raise ConfigError(f"TrainerConfig.precision is {self.precision!r}; known here: float32, bfloat16")
        for name in ("recompute", "compile"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"TrainerConfig.{name} is {getattr(self, name)!r}; it is True or False")
        for name in ("betas", "discriminator_betas"):
            value = getattr(self, name)
            pair = isinstance(value, tuple | list) and len(value) == 2
            if not pair or not all(is_number(beta) and 0 <= beta < 1 for beta in value):
                raise ConfigError(f"TrainerConfig.{name} is {value!r}; it is two numbers from 0 to below 1")
            object.__setattr__(self, name, tuple(value))
        if not isinstance(self.augmentation, Augmentation | None):
            raise ConfigError(f"TrainerConfig.augmentation is {self.augmentation!r}; it is an Augmentation, or None")

    @classmethod
    def paper(cls, bottleneck: str = "mlp", *, learning_rate: float = 1e-5, seed: int = 0) -> Self:
        """Give the settings of the paper: plain Adam of 1e-5, no augmentation, no averaging.

        Args:
            bottleneck: "mlp" (batches of 64) or "attention" (of 12).
            learning_rate: the paper's own learns next to nothing in minutes of CPU; 5e-4 was found to.
            seed: of everything random in training.

        Example:
            >>> TrainerConfig.paper("attention").batch_size
            12
        """
        return cls(
            seed=seed,
            batch_size=64 if bottleneck == "mlp" else 12,
            learning_rate=learning_rate,
            discriminator_learning_rate=learning_rate,
            warm_up=0,
            average=0.0,
            clip=None,
            unmasked=1.0,
            back_translation=0.0,
            augmentation=Augmentation.none(),
        )

    def rate(self, step: int) -> float:
        """Give the factor of the learning rates at a step, 0 to 1: warm-up, plateau, cosine.

        Example:
            >>> TrainerConfig(warm_up=10, planned_steps=100).rate(75)
            0.5
        """
        rise = min(1.0, (step + 1) / (self.warm_up + 1))
        if self.planned_steps is None:
            return rise
        late = min(1.0, max(0.0, 2 * step / self.planned_steps - 1))
        return rise * round(0.5 + 0.5 * math.cos(math.pi * late), 12)

    def guiding(self, step: int) -> float:
        """Give the factor of the guides' weights at a step: 0 before they take part, then rising to 1.

        All at once they would move the weights by far more than a step: Adam measures by the gradients of before.

        Example:
            >>> config = TrainerConfig(guided_from=500, ramp_up=199)
            >>> config.guiding(499), config.guiding(599), config.guiding(2000)
            (0.0, 0.5, 1.0)
        """
        first = max(self.guided_from, self.ramp_up)
        return min(1.0, max(0, step + 1 - first) / (self.ramp_up + 1))

    def for_data(self, data: object) -> Self:
        """Give the settings with what is left to the data filled in.

        Example:
            >>> from condswap import ToyFaces
            >>> TrainerConfig().for_data([]).back_translation, TrainerConfig().for_data(ToyFaces(2)).back_translation
            (0.5, 0.0)
        """
        alike = bool(getattr(data, "filmed_alike", False))
        share, augmentation = (0.0, Augmentation.none()) if alike else (0.5, Augmentation())
        return replace(
            self,
            back_translation=share if self.back_translation is None else self.back_translation,
            augmentation=self.augmentation or augmentation,
        )

    def config(self) -> dict[str, Any]:
        """Give the settings as JSON."""
        return asdict(self)

    def summary(self) -> dict[str, str | int | float]:
        """Give what a model card says of the settings."""
        names = ("batch_size", "learning_rate", "planned_steps", "average", "precision", "seed")
        chosen = {name.replace("_", " "): getattr(self, name) for name in names}
        return {name: value for name, value in chosen.items() if value is not None}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Read what `config` gave.

        Raises:
            ConfigError: an entry is not known here.
        """
        strengths = config.get("augmentation", ())
        if not isinstance(strengths, Mapping | None):
            raise ConfigError(f"the trainer's settings have the augmentation {strengths!r}; were they edited?")
        unknown = {*config, *(strengths or ())} - {one.name for kind in (cls, Augmentation) for one in fields(kind)}
        if unknown:
            raise ConfigError(f"the trainer's settings have {sorted(unknown)}, not known here: update condswap")
        return cls(**{**config, "augmentation": None if strengths is None else Augmentation(**strengths)})
