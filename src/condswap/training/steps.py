"""The steps of training as pure functions: batch in, loss and metrics out.

They know no optimizer, device, process or precision, so they run under any other engine as they run under our trainer:
`show` the batch once, then hand what was shown to the steps.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from condswap import sharing
from condswap.cgan import CGAN
from condswap.generator import Generator
from condswap.losses import MaskedLoss, adversarial_loss, blur_mask, dssim, l1, masked_mean, r1_penalty
from condswap.roles import Face
from condswap.training.loader import derive
from condswap.types import Batch, Features, Image, Label, Logits, Mask, Shape

Metrics: TypeAlias = dict[str, Tensor]
Reconstruction: TypeAlias = Callable[[Image, Image, Mask], Tensor] | MaskedLoss


class Seen(NamedTuple):
    """What the encoder gets of a batch: pictures (b, 3, h, w), where their face is, and the class of the person in them.

    They are those of the batch, or varied: a warped picture, no mask, another person.
    """

    image: Image
    mask: Mask | None
    source: Label


class Shown(NamedTuple):
    """What the generator made of a batch.

    Attributes:
        source: the class of the person that the encoder saw.
        face: the picture shown as its own class.
        composite: that face in the picture, inside the blurred mask.
        region: where the losses look (b, 1, h, w).
        features: the encoder's features, for the adversary of the code. Its gradient counts no more in the encoder than
            that of all other losses: a code that an adversary rules before it tells anything never comes to tell anything.
        swapped: the picture shown as another class, and that class, when the objective asks for it.
    """

    source: Label
    face: Face
    composite: Image
    region: Mask
    features: Features
    swapped: tuple[Face, Label] | None


class _Restrained(torch.autograd.Function):
    """Gives features twice; what flows back from the second counts no more than what flows back from the first."""

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        ctx.total = sharing.total_now()
        return features.view_as(features), features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Tensor | None:
        free, restrained = gradients
        if free is None or restrained is None:
            return restrained if free is None else free
        length, most = ctx.total(torch.stack([one.float().square().sum() for one in (free, restrained)])).sqrt()
        share = length / most.clamp_min(torch.finfo(torch.float32).tiny)
        return free + restrained * share.clamp(max=1).to(restrained.dtype)


class CodeAdversary(nn.Module):
    """Guesses the class from the encoder's features; the encoder learns to confuse it (Lample et al. 2017).

    It belongs to training as an optimizer does, and is not saved with the model.

    Args:
        in_shape: (c, h, w) of the features.
        num_classes: how many classes there are.
        width: of its two hidden layers.

    Example:
        >>> CodeAdversary((16, 4, 4), num_classes=2)(torch.randn(8, 16, 4, 4)).shape
        torch.Size([8, 2])
    """

    def __init__(self, in_shape: Shape, *, num_classes: int, width: int = 128) -> None:
        super().__init__()
        self.pool = (min(in_shape[1], 8), min(in_shape[2], 8))
        numbers = in_shape[0] * self.pool[0] * self.pool[1]
        # The features are brought to unit scale first: shrinking them must not help the encoder.
        self.scale = nn.BatchNorm1d(numbers, affine=False, track_running_stats=False)
        self.layers = nn.ModuleList([nn.Linear(numbers, width), nn.Linear(width, width), nn.Linear(width, num_classes)])

    def forward(self, features: Features) -> Logits:
        """Give logits (b, n) over the classes."""
        flat = rearrange(F.adaptive_avg_pool2d(features.float(), self.pool), "b c h w -> b (c h w)")
        everybody = sharing.whole(flat)
        hidden: Tensor = sharing.own(self.scale(everybody)) if len(everybody) > 1 else flat
        for layer in self.layers[:-1]:
            hidden = F.leaky_relu(layer(hidden), 0.2)
        logits: Tensor = self.layers[-1](hidden)
        return logits


def make_code_adversary(model: CGAN, *, seed: int) -> CodeAdversary | None:
    """Make the adversary of the code when the model's objective asks for one and there are classes to confuse."""
    if not model.objective.code_adversary or len(model.classes) < 2:
        return None
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(seed, "code adversary"))
        return CodeAdversary(model.generator.encoder.out_shape, num_classes=len(model.classes))


@torch.no_grad()
def back_translate(generator: Generator, seen: Seen, *, picks: Tensor, to: Label) -> Seen:
    """Replace some of the pictures that the encoder gets by their swaps, which are to come out as the pictures they were.

    Nothing else in training asks for another person than the one in the picture. The swap need not be good: it shows the
    other person in the picture's pose, expression and light as far as the generator is yet able to, and what it loses of
    them the network learns to give back. No gradient flows into the making of the swap, so nothing is won by hiding the
    picture in it. The idea is that of unsupervised translation (Sennrich et al. 2016).

    Args:
        generator: in evaluation mode; the running average of the one that is trained.
        seen: what the encoder would get, with masks.
        picks: which pictures, int64 (n).
        to: the class that each of them is shown as, int64 (n).
    """
    image, mask, source = seen
    picked = None if mask is None else mask[picks]
    face = generator(image[picks], to, source[picks], picked)
    soft = blur_mask(face.mask if picked is None else picked, fraction=0.03)
    swap = torch.lerp(image[picks], face.image.to(image.dtype), soft.to(image.dtype))
    return Seen(image.index_copy(0, picks, swap), mask, source.index_copy(0, picks, to))


def show(model: CGAN, batch: Batch, *, seen: Seen | None = None) -> Shown:
    """Let the generator show a batch as its own classes, and as others when the objective asks for it.

    Args:
        model: in training mode.
        batch: the pictures that should come out, their masks and their labels.
        seen: what the encoder gets, when that is not the batch.
    """
    image, mask, label = batch["image"], batch["mask"], batch["label"]
    seen = seen or Seen(image, mask, label)
    source = seen.source
    features, restrained = _Restrained.apply(model.generator.encode(seen.image, seen.mask))  # type: ignore[no-untyped-call]
    face = model.generator.show(features, label, source)
    soft = blur_mask(mask, fraction=model.objective.mask_blur)
    swapped = None
    if model.objective.swap_adversarial and len(model.classes) > 1:
        classes, device = len(model.classes), label.device
        turns = sharing.drawn(len(label), lambda count: torch.randint(1, classes, (count,), device=device))
        other = (label + turns) % classes
        swapped = model.generator.show(features, other, source), other
    region = torch.ones_like(soft) if model.objective.whole_image else soft
    composite = torch.lerp(image, face.image.to(image.dtype), soft)  # a decoder may give half precision under autocast
    return Shown(source, face, composite, region, restrained, swapped)


def generator_step(
    model: CGAN,
    batch: Batch,
    shown: Shown,
    *,
    adversarial: bool = True,
    code_adversary: CodeAdversary | None = None,
    code_weight: float | Tensor | None = None,
    reconstruction: Reconstruction | None = None,
) -> tuple[Tensor, Metrics]:
    """Score the generator.

    Args:
        model: whose objective gives the weights. Take gradients of the generator's weights alone.
        batch: what `show` was given.
        shown: what `show` gave.
        adversarial: whether the discriminator takes part yet.
        code_adversary: the adversary of the code, when there is one.
        code_weight: its weight now; None for the objective's.
        reconstruction: in place of the objective's DSSIM and L1.

    Returns:
        The loss, and its terms: g/loss, g/reconstruction, and those of g/mask, g/adversarial, g/swap and g/code that
        are asked for.
    """
    objective, image, label = model.objective, batch["image"], batch["label"]
    if reconstruction is None:
        maps = objective.dssim * dssim(shown.composite, image) + objective.l1 * l1(shown.composite, image)
        loss = masked_mean(maps, shown.region)
    else:
        loss = reconstruction(shown.composite, image, shown.region)
    metrics = {"g/reconstruction": loss.detach()}
    terms: dict[str, tuple[float | Tensor, Tensor]] = {}
    if objective.mask and shown.face.mask.requires_grad:
        with torch.autocast(image.device.type, enabled=False):  # PyTorch refuses this loss in half precision
            terms["g/mask"] = objective.mask, F.binary_cross_entropy(shown.face.mask.float(), batch["mask"].float())
    verdict = adversarial_loss(objective.adversarial_loss)
    if objective.adversarial and adversarial:
        fake = model.discriminator(_looked_at(model, shown.composite, shown.region), label)
        terms["g/adversarial"] = objective.adversarial, verdict.generator(fake)
    if shown.swapped is not None and adversarial:
        face, other = shown.swapped
        fake = model.discriminator(_looked_at(model, face.image, face.mask.detach()), other)
        terms["g/swap"] = objective.swap_adversarial, verdict.generator(fake)
    if code_adversary is not None:
        weight = objective.code_adversary if code_weight is None else code_weight
        guess = F.log_softmax(code_adversary(shown.features), dim=1)
        # Confusing it over many classes pays in many logarithms: as a share of those, one weight suits any number of classes.
        uniform = -guess.mean() / math.log(guess.shape[1]) - 1
        terms["g/code"] = weight, uniform
    for name, (weight, term) in terms.items():
        loss = loss + weight * term
        metrics[name] = term.detach()
    return loss, {"g/loss": loss.detach(), **metrics}


def discriminator_step(model: CGAN, batch: Batch, shown: Shown) -> tuple[Tensor, Metrics]:
    """Score the discriminator on the real pictures and on what the generator made of them.

    Args:
        model: whose objective gives the weights.
        batch: what `show` was given.
        shown: what `show` gave; no gradient flows into it.

    Returns:
        The loss and d/loss, d/real and d/fake (mean logits), and d/r1 where it is asked for.
    """
    objective, label = model.objective, batch["label"]
    real = _looked_at(model, batch["image"], shown.region).detach()
    pictures = [real, _looked_at(model, shown.composite, shown.region).detach()]
    labels = [label, label]
    if shown.swapped is not None:
        face, other = shown.swapped
        pictures.append(_looked_at(model, face.image, face.mask).detach())
        labels.append(other)
    logits = model.discriminator(torch.cat(pictures), torch.cat(labels))
    genuine, fake = logits[: len(label)], logits[len(label) :]
    loss = adversarial_loss(objective.adversarial_loss).discriminator(genuine, fake)
    metrics = {"d/real": genuine.detach().mean(), "d/fake": fake.detach().mean()}
    if objective.r1:
        real.requires_grad_()
        penalty = r1_penalty(model.discriminator(real, label), real)
        loss, metrics["d/r1"] = loss + objective.r1 / 2 * penalty, penalty.detach()
    return loss, {"d/loss": loss.detach(), **metrics}


def code_adversary_step(code_adversary: CodeAdversary, shown: Shown) -> tuple[Tensor, Metrics]:
    """Score the adversary of the code at guessing the class seen; no gradient flows into the encoder."""
    logits = code_adversary(shown.features.detach())
    loss = F.cross_entropy(logits, shown.source)
    right = (logits.detach().argmax(1) == shown.source).float().mean()
    return loss, {"c/loss": loss.detach(), "c/accuracy": right}


def _looked_at(model: CGAN, image: Image, region: Mask) -> Image:
    """Give the part of a picture that the discriminator sees."""
    return image if model.objective.whole_image else image * region
