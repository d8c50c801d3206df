"""The trainer: the order of the steps."""

import copy
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from condswap.cgan import CGAN
from condswap.data.augment import augment
from condswap.errors import ConfigError, TrainingError
from condswap.progress import Progress
from condswap.training import distributed, state
from condswap.training.calibration import calibrate
from condswap.training.callbacks import Hook
from condswap.training.checks import check_batch, check_classes, check_grown, check_steps
from condswap.training.config import TrainerConfig
from condswap.training.descent import adam, descend, differentiate
from condswap.training.devices import choose_device
from condswap.training.ema import average_into
from condswap.training.interrupt import held_back
from condswap.training.loader import batches, derive, is_dataset, labels_of
from condswap.training.steps import (
    Metrics,
    Reconstruction,
    code_adversary_step,
    discriminator_step,
    generator_step,
    make_code_adversary,
    show,
)
from condswap.types import Batch

_LOOK = 20  # steps between two looks at the numbers on a device that runs ahead of us


class Trainer:
    """Trains a model, and resumes where it was.

    `model` always holds the running average of the weights, ready to swap, to preview and to save; the weights that are
    being trained are the trainer's own.

    Args:
        model: trained in place.
        config: how; None for the default.
        device: None takes CUDA, MPS or the CPU, whichever there is.
        reconstruction: in place of the objective's DSSIM and L1, such as a `MaskedLoss` of your own pixel loss.

    Raises:
        ConfigError: the model could not be saved, or the device is not there.

    Example:
        >>> from condswap import CGAN, ToyFaces
        >>> trainer = Trainer(CGAN.default(32, classes=["anna", "bob"]), TrainerConfig(batch_size=4), device="cpu")
        >>> trainer.fit(ToyFaces(classes=2, image_size=32, length=8), steps=2)
        >>> sorted(trainer.metrics)[:3]
        ['c/accuracy', 'c/loss', 'd/fake']
    """

    def __init__(
        self,
        model: CGAN,
        config: TrainerConfig | None = None,
        *,
        device: str | torch.device | None = None,
        reconstruction: Reconstruction | None = None,
    ) -> None:
        if not isinstance(config, TrainerConfig | None):
            raise ConfigError(f"config is {config!r}; give a TrainerConfig(...), or None for the default")
        model.config()  # a part that cannot be saved is said now, not after the run
        self.config = config or TrainerConfig()
        self.device = choose_device(device)
        self.rank = distributed.rank()
        self.reconstruction = reconstruction
        self.step = 0
        self.model = model.to(self.device).eval()
        self._live = copy.deepcopy(model)
        self._live.discriminator = model.discriminator  # one discriminator: nobody averages it
        self._adversary = make_code_adversary(model, seed=self.config.seed)
        if self._adversary is not None:
            self._adversary.to(self.device)
        networks = {"generator": self._live.generator, "discriminator": model.discriminator, "code": self._adversary}
        self._optimizers = {
            name: adam(network, self.config, of=name, device=self.device)
            for name, network in networks.items()
            if network is not None
        }
        self._rates = {name: one.param_groups[0]["lr"] for name, one in self._optimizers.items()}
        self._metrics: Metrics = {}
        self._failed = torch.zeros((), device=self.device)

    @property
    def metrics(self) -> dict[str, float]:
        """The numbers of the last step by name; reading them waits for the device."""
        return {name: float(value) for name, value in self._metrics.items()}

    def fit(self, data: Any, steps: int, *, hook: Hook | None = None) -> None:
        """Train until `steps` steps have been taken in all.

        Args:
            data: a dataset of items {"image": (3, h, w), "mask": (1, h, w), "label": int}, which is shuffled and mixed
                evenly from its classes, or an iterable of batches, taken as they come.
            steps: the total, those before a resume included.
            hook: called with the trainer after every step; see `every`.

        Raises:
            DataError: the data do not suit the model; the message says what and where.
            ShapeError: its pictures have another size than the model's.
            ConfigError: `steps` is no number of steps, or more than the configuration plans.
            TrainingError: a loss was no longer a number. The weights are those of the last good step.
            KeyboardInterrupt: Ctrl-C, once the step that was being taken is whole: `save` what there is.
        """
        check_steps(steps, planned=self.config.planned_steps)
        check_grown(self.model.classes, self._live.classes)
        labels = labels_of(data) if is_dataset(data) else None
        check_classes(getattr(data, "classes", None), labels, classes=self.model.classes)
        with Progress(steps, title="training", start=self.step) as progress:
            source, first = self._batches(data, labels, self.step), True
            while self.step < steps:
                batch = check_batch(
                    next(source),
                    image_shape=self.model.image_shape,
                    classes=self.model.classes,
                    values=first,
                )
                first = False
                with held_back():
                    self._take(batch)
                    self.step += 1
                    self.model.history = {"steps": self.step, **self.config.summary()}
                if self.step % _LOOK == 0 or self.step == steps or self.device.type == "cpu":
                    self._look()
                if hook is not None:
                    hook(self)
                progress.update(self.step, self._line)
        if labels is not None:
            calibrate(self.model.generator, islice(self._batches(data, labels, 0), 16), device=self.device)

    def save(self, folder: str | Path) -> None:
        """Write everything that going on takes to a folder: `Trainer.load` reads it.

        Raises:
            DataError: the disk refuses; the state that was there before stays.
        """
        facts = {"step": self.step, "config": self.config.config(), "model": self.model.config()}
        state.write(Path(folder), self._tensors(), facts)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        model: CGAN,
        *,
        device: str | torch.device | None = None,
        reconstruction: Reconstruction | None = None,
    ) -> Self:
        """Go on from a folder that `save` wrote, as if the run had not been stopped.

        Args:
            folder: where the state is.
            model: of the same assembly; it gets the weights of the state.
            device: None takes CUDA, MPS or the CPU, whichever there is.
            reconstruction: the one that the run was started with, if it was.

        Raises:
            DataError: the state is not there, is cut off or is none of ours; the model is as it was.
            ConfigError: it is the state of another assembly, or newer than this library.
            ShapeError: a weight has another shape.
        """
        tensors, facts = state.read(Path(folder))
        state.check_model(facts["model"], model.config(), Path(folder))
        config = TrainerConfig.from_config(facts["config"])
        modules: dict[str, nn.Module | None] = {
            "average": model,
            "live": model.generator,
            "code": make_code_adversary(model, seed=config.seed),
        }
        optimized = {"generator": model.generator, "discriminator": model.discriminator, "code": modules["code"]}
        state.check(tensors, modules, optimized, Path(folder))
        trainer = cls(model, config, device=device, reconstruction=reconstruction)
        trainer._restore(tensors)
        trainer.step = facts["step"]
        model.history = {"steps": trainer.step, **config.summary()}
        return trainer

    def _take(self, batch: Batch) -> None:
        """Take one step."""
        config, live = self.config, self._live
        live.train()
        image, mask, label = (batch[key].to(self.device, non_blocking=True) for key in ("image", "mask", "label"))
        batch = Batch(image=image, mask=mask, label=label)
        chance = torch.Generator().manual_seed(derive(config.seed, self.rank, self.step, "augmentation"))
        varied = augment(batch, augmentation=config.augmentation, generator=chance)
        whole = (torch.rand(len(varied.label), generator=chance) < config.unmasked).to(self.device, non_blocking=True)
        batch = Batch(image=varied.image, mask=varied.mask, label=varied.label)
        seen = (varied.input, torch.where(whole[:, None, None, None], torch.ones_like(varied.mask), varied.input_mask))
        adversarial = self.step >= config.adversarial_from and bool(
            live.objective.adversarial or live.objective.swap_adversarial
        )
        code_weight = live.objective.code_adversary * min(1.0, (self.step + 1) / (config.ramp_up + 1))
        half = torch.autocast(self.device.type, torch.bfloat16, enabled=config.precision == "bfloat16")
        devices = [self.device] if self.device.type == "cuda" else []
        metrics: Metrics = {}
        with torch.random.fork_rng(devices=devices):
            # torch.manual_seed seeds every device, and only those of this step are put back afterwards.
            seed = torch.default_generator.manual_seed if self.device.type == "cpu" else torch.manual_seed
            seed(derive(config.seed, self.rank, self.step))
            with half:
                shown = show(live, batch, seen=seen)
            if self._adversary is not None:
                with half:
                    loss, found = code_adversary_step(self._adversary, batch, shown)
                self._differentiate(self._adversary, loss, clip=None)
                self._descend("code")
                metrics |= found
            with half:
                loss, found = generator_step(
                    live,
                    batch,
                    shown,
                    adversarial=adversarial,
                    code_adversary=self._adversary,
                    code_weight=code_weight,
                    reconstruction=self.reconstruction,
                )
            self._differentiate(live.generator, loss, clip=config.clip)
            metrics |= found
            if adversarial:
                with half:
                    loss, found = discriminator_step(live, batch, shown)
                self._differentiate(live.discriminator, loss, clip=config.clip)
                metrics |= found
        # Only now, so that a loss that is no number, of whichever network, moves none.
        self._descend("generator")
        if adversarial:
            self._descend("discriminator")
        self._metrics = metrics
        self.model.eval()  # a hook may have set it otherwise, and the discriminator is shared
        if self.device.type == "cpu" and self._failed.item():
            return
        early = (1 + self.step) / (10 + self.step)  # a short run is not held back by where it started
        average_into(self.model.generator, live.generator, decay=min(config.average, early) if config.average else 0.0)

    def _differentiate(self, network: nn.Module, loss: Tensor, *, clip: float | None) -> None:
        """Give a network its gradient, and note when it is no number."""
        self._failed = torch.maximum(self._failed, differentiate(network, loss, clip=clip))

    def _descend(self, name: str) -> None:
        """Follow the gradient, unless one since the last look was no number."""
        descend(self._optimizers[name], self._rates[name] * self.config.rate(self.step), failed=self._failed)

    def _look(self) -> None:
        """Stop the run when a loss was no longer a number."""
        if self._failed.item():
            self._failed.zero_()
            raise TrainingError(
                f"at step {self.step} or up to {_LOOK} before, a loss or its gradient was no longer a number; the "
                "weights are those of the last good step: save them and go on with a lower learning rate, or in float32"
            )

    def _batches(self, data: Any, labels: Sequence[int] | None, start: int) -> Iterator[Batch]:
        config = self.config
        return batches(
            data,
            labels=labels,
            batch_size=config.batch_size,
            seed=derive(config.seed, self.rank, "order"),
            start=start,
            workers=config.workers,
            pin=self.device.type == "cuda",
        )

    def _line(self) -> str:
        """Give what the progress bar shows."""
        metrics = self.metrics
        names = ("g/reconstruction", "d/loss", "c/accuracy")
        return "  ".join(f"{name} {metrics[name]:.3f}" for name in names if name in metrics)

    def _modules(self) -> Iterable[tuple[str, nn.Module]]:
        yield "average", self.model
        yield "live", self._live.generator
        if self._adversary is not None:
            yield "code", self._adversary

    def _tensors(self) -> dict[str, Tensor]:
        """Name every tensor of the state."""
        tensors = {f"{name}/{key}": value for name, one in self._modules() for key, value in one.state_dict().items()}
        for name, optimizer in self._optimizers.items():
            for key, value in state.optimizer_tensors(optimizer).items():
                tensors[f"optimizer/{name}/{key}"] = value
        return tensors

    def _restore(self, tensors: dict[str, Tensor]) -> None:
        """Take the tensors of a state that was checked."""
        for name, module in self._modules():
            module.load_state_dict({key: tensors[f"{name}/{key}"] for key in module.state_dict()})
        for name, optimizer in self._optimizers.items():
            state.restore_optimizer(optimizer, state.under(tensors, f"optimizer/{name}/"))
