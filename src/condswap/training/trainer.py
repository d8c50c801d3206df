"""The trainer: the order of the steps."""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from condswap import sharing
from condswap.cgan import CGAN
from condswap.data.augment import Augmentation, augment
from condswap.errors import ConfigError
from condswap.progress import Progress
from condswap.roles import Decoder, Encoder
from condswap.sharing import Share
from condswap.templates import agreed
from condswap.training import distributed, interrupt, state
from condswap.training.calibration import calibrate
from condswap.training.callbacks import Hook
from condswap.training.checks import check_batch, check_classes, check_grown, check_steps
from condswap.training.compiling import compiler
from condswap.training.config import TrainerConfig
from condswap.training.descent import adam, check_failed, descend, differentiate
from condswap.training.devices import channels_last, choose_device
from condswap.training.distributed import part_of
from condswap.training.ema import average_into, copy_buffers
from condswap.training.guides import Guide, check_guides, guide_step, swap_to_guide
from condswap.training.loader import batches, derive, is_dataset, labels_of
from condswap.training.steps import (
    Metrics,
    Reconstruction,
    Seen,
    Shown,
    back_translate,
    code_adversary_step,
    discriminator_step,
    generator_step,
    make_code_adversary,
    show,
)
from condswap.training.verdict import figures, said
from condswap.training.watch import Identity, Watch, Watched
from condswap.types import Batch

_FREE = {"recompute", "compile", "workers", "watch"}  # settings that change nothing of what is learned
_LOOK = 20  # steps between two looks at the numbers on a device that runs ahead of us


class Trainer:
    """Trains a model, and resumes where it was.

    `model` always holds the running average of the weights, ready to swap, to preview and to save; the weights that are
    being trained are the trainer's own. `watched` holds what it found when it looked at the swaps, which it does as often
    as `TrainerConfig.watch` says: where the label is ignored, or the swaps leak, it says so.

    Under `torchrun` every process makes a trainer and calls the same. They share every batch, and all have the weights that
    one process would have; the first, whose `rank` is 0, alone saves, looks at the swaps and speaks.

    Args:
        model: trained in place.
        config: how; None for the default.
        device: None takes CUDA, MPS or the CPU, whichever there is.
        reconstruction: in place of the objective's DSSIM and L1, such as a `MaskedLoss` of your own pixel loss.
        guides: by name, what looks at swaps and says what is wrong with them, such as an `IdentityGuide`.

    Raises:
        ConfigError: the model could not be saved, the device is not there, or other processes train something else.

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
        guides: Mapping[str, Guide] | None = None,
    ) -> None:
        if not isinstance(config, TrainerConfig | None):
            raise ConfigError(f"config is {config!r}; give a TrainerConfig(...), or None for the default")
        described = model.config()  # a part that cannot be saved is said now, not after the run
        self.config = config or TrainerConfig()
        self.device = choose_device(device)
        distributed.join(self.device)
        self.rank = distributed.rank()
        self.reconstruction, self.guides = reconstruction, check_guides(guides)
        for guide in self.guides.values():
            if isinstance(guide, nn.Module):
                guide.to(self.device)
        self.step = 0
        self.watched: list[Watched] = []
        self._varied = self.config  # with what is left to the data filled in, from `fit` on
        self.model = model.to(self.device).eval()
        self._live = copy.deepcopy(model)
        self._live.discriminator = model.discriminator  # one discriminator: nobody averages it
        self._live.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for part in self._live.generator.modules():  # a part may hold another
            if isinstance(part, Encoder | Decoder):
                part.recompute = self.config.recompute
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
        self._asked = torch.zeros((), device=self.device)  # by how many processes to stop
        compiled = compiler(self.config.compile, self.device)
        self._show, self._code_adversary_step = compiled(show), compiled(code_adversary_step)
        self._generator_step = compiled(generator_step)
        # What is compiled cannot be differentiated twice, as the gradient penalty is.
        self._discriminator_step = discriminator_step if model.objective.r1 else compiled(discriminator_step)
        distributed.check_agreed("settings", self.config, described, list(self.guides), device=self.device)
        distributed.spread(one for module in self._modules.values() if module for one in module.state_dict().values())

    @property
    def metrics(self) -> dict[str, float]:
        """The numbers of the last step by name; reading them waits for the device."""
        return {name: float(value) for name, value in self._metrics.items()}

    def fit(
        self,
        data: Any,
        steps: int,
        *,
        hook: Hook | None = None,
        held_back: Any = None,
        identity: Identity | None = None,
    ) -> None:
        """Train until `steps` steps have been taken in all.

        Args:
            data: a dataset of items {"image": (3, h, w), "mask": (1, h, w), "label": int}, which is shuffled and mixed
                evenly from its classes, or an iterable of batches, taken as they come. Where several processes share a
                batch, each gives the whole of it and trains on its part.
            steps: the total, those before a resume included.
            hook: called with the trainer after every step; see `every`.
            held_back: a dataset of pictures that are not trained on, whose swaps are looked at. None takes 32 that are
                spread over `data`, or over the batch at hand: these are not held back, and flatter the model a little.
            identity: aligned faces (b, 3, h, w) to vectors (b, d), such as a face recognition network; then the swaps are
                compared with both people, too.

        Raises:
            DataError: the data do not suit the model; the message says what and where.
            ShapeError: its pictures have another size than the model's.
            ConfigError: `steps` is no number of steps, or more than the configuration plans.
            TrainingError: a loss was no longer a number; the weights are those of the last good step. Or another process of
                this run was lost; go on from the last state that was saved.
            KeyboardInterrupt: Ctrl-C, in this process or another one, once the step that was being taken is whole: `save`
                what there is.
        """
        check_steps(steps, planned=self.config.planned_steps)
        check_grown(self.model.classes, self._live.classes)
        labels = labels_of(data) if is_dataset(data) else None
        check_classes(getattr(data, "classes", None), labels, classes=self.model.classes)
        self.model.template = agreed(self.model.template, getattr(data, "template", None))
        self._varied = self.config.for_data(data)
        every = self.config.watch if self.step < steps else 0
        watch = Watch(self.model, data, labels, every=every, held_back=held_back, identity=identity)
        # Undoes the calibration of the last fit: a run must not depend on where it was stopped.
        copy_buffers(self.model.generator, self._live.generator)
        distributed.check_agreed("data or steps", self.step, steps, labels, device=self.device)
        share = distributed.share(distributed.launched() if labels is None else self.config.batch_size)
        with (
            channels_last(self.model),
            nullcontext(()) if share is None else interrupt.noted() as noted,
            Progress(steps, title="training", start=self.step, delay=math.inf if self.rank else 0.0) as progress,
        ):
            if self.config.compile and self.step < steps and not self.rank:
                progress.say("compiling the steps; the first takes a minute or two")
            source, start = self._batches(data, labels, self.step, share), self.step
            while self.step < steps:
                batch = check_batch(
                    next(source),
                    image_shape=self.model.image_shape,
                    classes=self.model.classes,
                    # A GPU is not made to wait for it at every step, nor to wait for the CPU, which takes a while.
                    values=self.device.type == "cpu" or self.step == start or self.step % _LOOK == 0,
                )
                own = batch
                if share is not None and labels is None:
                    share = distributed.share(len(batch["label"]))
                    own = batch if share is None else part_of(batch, share)
                with interrupt.held_back() if share is None else sharing.shared(share):
                    self._take(own, share, asked=bool(noted))
                    self.step += 1
                    self._remember()
                due = watch.due(self.step) and self.step < steps
                if due or self.step % _LOOK == 0 or self.step == steps or self.device.type == "cpu":
                    check_failed(self._failed, step=self.step, before=_LOOK)
                    if share is not None and self._asked.item():
                        self._asked.zero_()
                        raise KeyboardInterrupt
                if due:
                    self._watch(watch, batch, progress)
                if hook is not None:
                    hook(self)
                progress.update(self.step, self._line)
        if labels is not None:
            # A batch has four pictures of a class where it can: so many batches have some of every class.
            enough = max(16, -(-len(self.model.classes) // max(1, self.config.batch_size // 4)))
            calibrate(self.model.generator, islice(self._batches(data, labels, 0, None), enough), device=self.device)
        if watch.every:
            self._watch(watch, batch, progress, last=True)

    def save(self, folder: str | Path) -> None:
        """Write everything that going on takes to a folder: `Trainer.load` reads it.

        `state.safetensors` is the newest state. The two before it stay, and the last of every day. Of several processes the
        first alone writes, and any number of processes can go on from what it wrote.

        Raises:
            DataError: the disk refuses; the state that was there before stays.
        """
        if self.rank:
            return
        watched = [one.config() for one in self.watched]
        facts = {"step": self.step, "config": self.config.config(), "model": self.model.config(), "watched": watched}
        state.write(Path(folder), state.gather(self._modules, self._optimizers), facts)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        model: CGAN,
        *,
        device: str | torch.device | None = None,
        reconstruction: Reconstruction | None = None,
        guides: Mapping[str, Guide] | None = None,
        **changes: bool | int,
    ) -> Self:
        """Go on from a folder that `save` wrote, as if the run had not been stopped.

        Where the newest state cannot be read, or its checksum differs, the newest whole one is taken, and a warning says so.

        Args:
            folder: where the state is.
            model: of the same assembly; it gets the weights of the state.
            device: None takes CUDA, MPS or the CPU, whichever there is.
            reconstruction: the one that the run was started with, if it was.
            guides: those that the run was started with, if it was.
            changes: of the settings that change nothing of what is learned: `recompute`, `compile`, `workers` and `watch`.

        Raises:
            DataError: the state is not there, is cut off or is none of ours; the model is as it was.
            ConfigError: it is the state of another assembly, or newer than this library, or another process reads another one.
            ShapeError: a weight has another shape.
        """
        tensors, facts, path = state.read(Path(folder))
        state.check_model(facts["model"], model.config(), Path(folder))
        if changes.keys() - _FREE:
            raise ConfigError(
                f"a run that goes on may change {sorted(_FREE)}, and not {sorted(changes.keys() - _FREE)}"
            )
        config = TrainerConfig.from_config({**facts["config"], **changes})
        watched = [Watched.from_config(one) for one in facts["watched"]]
        modules: dict[str, nn.Module | None] = {
            "average": model,
            "live": model.generator,
            "code": make_code_adversary(model, seed=config.seed),
        }
        optimized = {"generator": model.generator, "discriminator": model.discriminator, "code": modules["code"]}
        state.check(tensors, modules, optimized, path)
        trainer = cls(model, config, device=device, reconstruction=reconstruction, guides=guides)
        state.restore(tensors, trainer._modules, trainer._optimizers)
        trainer.step, trainer.watched = facts["step"], watched
        distributed.check_agreed("state", facts["sha256"], device=trainer.device)
        trainer._remember()
        return trainer

    def wait(self) -> None:
        """Wait until all processes of this run have come here; alone there is nothing to wait for.

        Raises:
            TrainingError: another process was lost.
        """
        distributed.wait(self.device)

    def _take(self, batch: Batch, share: Share | None, *, asked: bool) -> None:
        """Take one step with a batch, or with the part of one that is this process's own; `asked` is whether to stop."""
        config, live = self.config, self._live
        live.train()
        image, mask, label = (batch[key].to(self.device, non_blocking=True) for key in ("image", "mask", "label"))
        batch = Batch(image=image, mask=mask, label=label)
        chance = torch.Generator().manual_seed(derive(config.seed, self.step, "augmentation"))
        varied = augment(batch, augmentation=self._varied.augmentation or Augmentation.none(), generator=chance)
        unmasked = sharing.drawn(len(varied.label), partial(torch.rand, generator=chance)) < config.unmasked
        whole = unmasked.to(self.device, non_blocking=True)
        batch = Batch(image=varied.image, mask=varied.mask, label=varied.label)
        turns, guided = sharing.drawn(len(varied.label), partial(self._turns, chance=chance)).unbind(1)
        seen = self._back_translated(Seen(varied.input, varied.input_mask, varied.label), turns)
        seen = seen._replace(
            mask=torch.where(whole[:, None, None, None], torch.ones_like(varied.mask), varied.input_mask)
        )
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
            seed(derive(config.seed, self.step))
            with half:
                shown = self._show(live, batch, seen=seen)
            if self._adversary is not None:
                with half:
                    loss, found = self._code_adversary_step(self._adversary, shown)
                metrics |= self._differentiate(self._adversary, loss, found, share, clip=None)
                self._descend("code")
            with half:
                loss, found = self._generator_step(
                    live,
                    batch,
                    shown,
                    adversarial=adversarial,
                    code_adversary=self._adversary,
                    # As a number it would be compiled in, and anew at every step.
                    code_weight=torch.tensor(code_weight) if config.compile else code_weight,
                    reconstruction=self.reconstruction,
                )
                if self._guiding:
                    said, more = self._guided(batch, shown, guided, share)
                    loss, found = loss + said, found | more
            metrics |= self._differentiate(live.generator, loss, found, share, clip=config.clip, asked=asked)
            if adversarial:
                with half:
                    loss, found = self._discriminator_step(live, batch, shown)
                metrics |= self._differentiate(live.discriminator, loss, found, share, clip=config.clip)
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

    def _turns(self, pictures: int, *, chance: torch.Generator) -> Tensor:
        """Draw by how many classes on pictures are shown, 0 where they stay: for the encoder to see, and for the guides."""
        turns, config, classes = torch.zeros(pictures, 2, dtype=torch.int64), self._varied, len(self.model.classes)
        if self.step < config.ramp_up or classes < 2:
            return turns
        order = torch.randperm(pictures, generator=chance)
        count = round((config.back_translation or 0) * pictures)
        turns[order[:count], 0] = torch.randint(1, classes, (count,), generator=chance)
        if self._guiding:
            count = self._looked_at(pictures)
            # From the other end: of pictures that the encoder sees as they are, where there are enough.
            turns[order[pictures - count :], 1] = torch.randint(1, classes, (count,), generator=chance)
        return turns

    @property
    def _guiding(self) -> float:
        """The factor of the guides' weights at this step; 0 where none takes part."""
        return self.config.guiding(self.step) if self.guides else 0.0

    def _looked_at(self, pictures: int) -> int:
        """Give how many pictures of a batch the guides look at."""
        return min(pictures, max(1, round(self.config.guided * pictures)))

    def _back_translated(self, seen: Seen, turns: Tensor) -> Seen:
        """Show some of the pictures that the encoder gets as other classes."""
        picks, to = self._others(seen.source, turns)
        return back_translate(self.model.eval().generator, seen, picks=picks, to=to) if len(picks) else seen

    def _guided(self, batch: Batch, shown: Shown, turns: Tensor, share: Share | None) -> tuple[Tensor, Metrics]:
        """Let the guides look at some of the pictures, shown as other classes."""
        picks, to = self._others(shown.source, turns)
        swaps = swap_to_guide(self._live, batch, shown.features, picks=picks, to=to, source=shown.source)
        rows = len(turns) if share is None else share.rows
        # Each process speaks for its part of the batch, of which the guides may look at more than their share, or at less.
        loss, found = guide_step(self.guides, swaps, count=self._looked_at(rows) * len(turns) / rows)
        return self._guiding * loss, found

    def _others(self, label: Tensor, turns: Tensor) -> tuple[Tensor, Tensor]:
        """Give the numbers of the pictures that are to be shown as other classes, and these classes."""
        picks = turns.nonzero()[:, 0]
        picks, turns = (one.to(self.device, non_blocking=True) for one in (picks, turns[picks]))
        return picks, (label[picks] + turns) % len(self.model.classes)

    def _differentiate(
        self,
        network: nn.Module,
        loss: Tensor,
        found: Metrics,
        share: Share | None,
        *,
        clip: float | None,
        asked: bool = False,
    ) -> Metrics:
        """Give a network its gradient, and note when it is no number; gives the metrics of the whole batch."""
        if share is None:
            self._failed = torch.maximum(self._failed, differentiate(network, loss, clip=clip))
            return found
        part = share.own_rows / share.rows
        numbers = [part * one for one in found.values()] + [torch.full_like(self._asked, asked)]
        sums: list[Tensor] = []

        def gather(weights: Sequence[Tensor]) -> None:
            sums.extend(distributed.add_gradients(weights, numbers))

        self._failed = torch.maximum(self._failed, differentiate(network, part * loss, clip=clip, gathered=gather))
        self._asked = torch.maximum(self._asked, sums[-1])
        return dict(zip(found, sums, strict=False))

    def _descend(self, name: str) -> None:
        """Follow the gradient, unless one since the last look was no number."""
        descend(self._optimizers[name], self._rates[name] * self.config.rate(self.step), failed=self._failed)

    def _batches(self, data: Any, labels: Sequence[int] | None, start: int, share: Share | None) -> Iterator[Batch]:
        config = self.config
        return batches(
            data,
            labels=labels,
            batch_size=config.batch_size,
            seed=derive(config.seed, "order"),
            start=start,
            workers=config.workers,
            device=self.device,
            part=(0, 1) if share is None else (share.rank, share.processes),
        )

    def _line(self) -> str:
        """Give what the progress bar shows."""
        found = self.metrics
        if self.watched:
            found["label"] = self.watched[-1].label_sensitivity
        names = ("g/reconstruction", "d/loss", "c/accuracy", "label")
        return "  ".join(f"{name} {found[name]:.3f}" for name in names if name in found)

    def _watch(self, watch: Watch, batch: Batch, progress: Progress, *, last: bool = False) -> None:
        """Look at the swaps, and say what is to be said of them."""
        if self.rank:
            return
        seen = watch.look(self.model, step=self.step, batch=batch)
        self.watched += [] if seen is None else [seen]
        self._remember()
        if words := said(self.watched, last=last):
            progress.say(words)

    def _remember(self) -> None:
        """Note in the model how it was trained, and what came of it."""
        # Whoever reads the report has to know by what else than the pictures the swaps were made to please.
        guided = {"guided by": ", ".join(self.guides)} if self._guiding else {}
        self.model.history = {"steps": self.step, **self.config.summary(), **guided, **figures(self.watched)}

    @property
    def _modules(self) -> dict[str, nn.Module | None]:
        return {"average": self.model, "live": self._live.generator, "code": self._adversary}
