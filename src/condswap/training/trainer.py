"""The trainer: the order of the steps."""

import copy
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.optim import Adam

from condswap.cgan import CGAN, check_range
from condswap.data.augment import augment
from condswap.errors import ConfigError, DataError, ShapeError, TrainingError
from condswap.progress import Progress
from condswap.training import distributed, state
from condswap.training.calibration import calibrate
from condswap.training.callbacks import Hook
from condswap.training.config import TrainerConfig
from condswap.training.ema import average_into
from condswap.training.loader import batches, derive, is_dataset
from condswap.training.steps import (
    CodeAdversary,
    Metrics,
    Reconstruction,
    code_adversary_step,
    discriminator_step,
    generator_step,
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
        model.config()  # a part that cannot be saved is said now, not after the run
        self.config = config or TrainerConfig()
        self.device = _device(device)
        self.rank = distributed.rank()
        self.reconstruction = reconstruction
        self.step = 0
        self.model = model.to(self.device).eval()
        self._live = copy.deepcopy(model)
        self._live.discriminator = model.discriminator  # one discriminator: nobody averages it
        self._live.train()
        self._adversary: CodeAdversary | None = None
        if model.objective.code_adversary and len(model.classes) > 1:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(derive(self.config.seed, "code adversary"))
                features = model.generator.encoder.out_shape
                self._adversary = CodeAdversary(features, num_classes=len(model.classes)).to(self.device)
        rate, slower = self.config.learning_rate, self.config.discriminator_learning_rate
        fused = self.device.type in ("cuda", "cpu")
        self._optimizers = {
            "generator": Adam(self._live.generator.parameters(), rate, self.config.betas, fused=fused),
            "discriminator": Adam(model.discriminator.parameters(), slower, self.config.discriminator_betas, fused=fused),
        }
        if self._adversary is not None:
            self._optimizers["code"] = Adam(self._adversary.parameters(), rate, fused=fused)
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
            TrainingError: a loss was no longer a number. The weights are those of the last good step.
        """
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 0:
            raise ConfigError(f"steps is {steps!r}; it is the whole number of steps to have been taken at the end")
        self._check_classes(data)
        with Progress(steps, title="training", start=self.step) as progress:
            source = self._batches(data, self.step)
            while self.step < steps:
                self._take(self._checked(next(source)))
                self.step += 1
                if self.step % _LOOK == 0 or self.step == steps or self.device.type == "cpu":
                    self._look()
                if hook is not None:
                    hook(self)
                progress.update(self.step, self._line)
        if is_dataset(data):
            calibrate(self.model.generator, islice(self._batches(data, 0), 16), device=self.device)

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
        if facts.get("model") != model.config():
            raise ConfigError(
                f"{folder} is the state of another model: it was {_differences(facts.get('model'), model.config())}; "
                "assemble the model as it was"
            )
        trainer = cls(model, TrainerConfig.from_config(facts["config"]), device=device, reconstruction=reconstruction)
        trainer._restore(tensors, Path(folder))
        trainer.step = int(facts["step"])
        return trainer

    def _take(self, batch: Batch) -> None:
        """Take one step."""
        config, live = self.config, self._live
        batch = {key: value.to(self.device, non_blocking=True) for key, value in batch.items()}  # type: ignore[assignment]
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
            torch.manual_seed(derive(config.seed, self.rank, self.step))
            with half:
                shown = show(live, batch, seen=seen)
            if self._adversary is not None:
                with half:
                    loss, found = code_adversary_step(self._adversary, batch, shown)
                self._descend("code", self._adversary, loss)
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
            self._descend("generator", live.generator, loss)
            metrics |= found
            if adversarial:
                with half:
                    loss, found = discriminator_step(live, batch, shown)
                self._descend("discriminator", live.discriminator, loss)
                metrics |= found
        self._metrics = metrics
        early = (1 + self.step) / (10 + self.step)  # a short run is not held back by where it started
        average_into(self.model.generator, live.generator, decay=min(config.average, early) if config.average else 0.0)

    def _descend(self, name: str, network: nn.Module, loss: Tensor) -> None:
        """Follow the gradient of a loss for one network; one that is no number moves nothing."""
        optimizer, weights = self._optimizers[name], [one for one in network.parameters() if one.requires_grad]
        optimizer.zero_grad()
        loss.backward(inputs=weights)
        gradients = [one.grad for one in weights if one.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        if self.config.clip is not None and name != "code":
            nn.utils.clip_grads_with_norm_(weights, self.config.clip, norm)
        failed = (~torch.isfinite(norm)).float()
        self._failed = torch.maximum(self._failed, failed)
        for group in optimizer.param_groups:
            group["lr"] = self._rates[name] * self.config.rate(self.step)
        if optimizer.defaults["fused"]:
            optimizer.found_inf = failed  # type: ignore[attr-defined]  # a fused step reads it on the device, without a sync
            optimizer.step()
        elif not failed.item():
            optimizer.step()

    def _look(self) -> None:
        """Stop the run when a loss was no longer a number."""
        if self._failed.item():
            self._failed.zero_()
            raise TrainingError(
                f"at step {self.step} or up to {_LOOK} before, a loss or its gradient was no longer a number; the weights are "
                "those of the last good step: save them, then go on with a lower learning rate, or in float32"
            )

    def _batches(self, data: Any, start: int) -> Iterator[Batch]:
        config = self.config
        return batches(
            data,
            batch_size=config.batch_size,
            seed=derive(config.seed, self.rank, "order"),
            start=start,
            workers=config.workers,
            pin=self.device.type == "cuda",
        )

    def _check_classes(self, data: Any) -> None:
        """Refuse data whose classes are others than the model's, or have other numbers."""
        names, ours = getattr(data, "classes", None), self.model.classes
        if names is not None:
            moved = [name for number, name in enumerate(names) if name in ours and ours.index(name) != number]
            if moved or len(names) > len(ours):
                raise DataError(
                    f"the data's classes are {list(names)} and the model's {list(ours)}: the numbers would not mean the same "
                    f"people; build one with the classes of the other, such as FaceFolder(..., classes={list(ours)})"
                )
        labels = getattr(data, "labels", None)
        if labels is not None and len(labels):
            present = {int(label) for label in labels}
            absent = [name for number, name in enumerate(ours) if number not in present]
            if absent:
                raise DataError(f"there are no pictures of {', '.join(absent)}; every class of the model needs some to train")

    def _checked(self, batch: Batch) -> Batch:
        """Refuse a batch that the model cannot take, before it costs anything."""
        if not isinstance(batch, dict) or not {"image", "mask", "label"} <= set(batch):
            raise DataError('a batch is a dict {"image": (b, 3, h, w), "mask": (b, 1, h, w), "label": (b)}')
        image, mask, label = batch["image"], batch["mask"], torch.as_tensor(batch["label"])
        shape = self.model.image_shape
        if image.ndim != 4 or tuple(image.shape[1:]) != shape:
            raise ShapeError(
                f"the model takes images (b, {', '.join(map(str, shape))}) and the data gives {tuple(image.shape)}; "
                f"give the data the size of the model, such as FaceFolder(..., image_size={shape[1]})"
            )
        if tuple(mask.shape) != (len(image), 1, *shape[1:]) or tuple(label.shape) != (len(image),):
            raise ShapeError(
                f"{len(image)} images need masks {(len(image), 1, *shape[1:])} and labels ({len(image)},); "
                f"got {tuple(mask.shape)} and {tuple(label.shape)}"
            )
        if label.is_floating_point() or label.dtype == torch.bool:
            raise DataError(f"labels are int64 and these are {label.dtype}")
        if image.device.type == "cpu":
            check_range(image)
            check_range(mask)
            if not 0 <= int(label.min()) <= int(label.max()) < len(self.model.classes):
                raise DataError(
                    f"the labels go from {int(label.min())} to {int(label.max())} and the model has "
                    f"{len(self.model.classes)} classes, 0 to {len(self.model.classes) - 1}"
                )
        return Batch(image=image.float(), mask=mask.float(), label=label.long())

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

    def _restore(self, tensors: dict[str, Tensor], folder: Path) -> None:
        """Take the tensors of a state, all or none."""
        own = {name: tensor for name, tensor in self._tensors().items() if not name.startswith("optimizer/")}
        state.check({name: tensor for name, tensor in tensors.items() if not name.startswith("optimizer/")}, own, folder)
        for name, module in self._modules():
            module.load_state_dict({key: tensors[f"{name}/{key}"] for key in module.state_dict()})
        for name, optimizer in self._optimizers.items():
            prefix = f"optimizer/{name}/"
            kept = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
            state.restore_optimizer(optimizer, kept)


def _device(device: str | torch.device | None) -> torch.device:
    """Choose the device, and refuse one that is not there."""
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if device is None:
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    chosen = torch.device(device)
    if (chosen.type == "cuda" and not cuda) or (chosen.type == "mps" and not mps):
        raise ConfigError(f"there is no {chosen} here; leave `device` out to take what there is, or give 'cpu'")
    return chosen


def _differences(old: Any, new: dict[str, Any]) -> str:
    if not isinstance(old, dict):
        return "described in another way"
    return "; ".join(f"{key} {old.get(key)!r}, not {new.get(key)!r}" for key in new if old.get(key) != new.get(key))
