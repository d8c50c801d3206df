"""What each of the things that make a step fast gives: the trainer as it is, beside the same without one of them.

    python benchmarks/tricks.py --out tricks.json

`CGAN.paper` with its own losses and `CGAN.default` with its own recipe on packed toy faces, as in `speed.py`, all variants by
turns. "Compiled" is `TrainerConfig(compile=True)`, whose first steps, which take minutes, do not count.
The figures are milliseconds a step, the median of the turns, and how many times as long as that is. Prints a table in Markdown.
"""

import argparse
import contextlib
import functools
import json
import statistics
from pathlib import Path
from unittest import mock

import torch
from measuring import describe, rate, steps
from speed import faces, make
from torch.nn import functional as F

from condswap import CGAN
from condswap.losses import adversarial_loss, functional
from condswap.training import descent, trainer
from condswap.training import steps as steps_of_training
from condswap.types import Batch


def patched(target: object, **changes: object) -> contextlib.AbstractContextManager:
    """Change attributes of a module for a while."""
    return mock.patch.multiple(target, **changes)


def contiguous() -> contextlib.AbstractContextManager:
    """Leave the weights as they are made."""
    real = torch.nn.Module.to

    def to(module: torch.nn.Module, *given: object, **named: object) -> torch.nn.Module:
        return module if "memory_format" in named else real(module, *given, **named)

    return patched(torch.nn.Module, to=to)


def square_window() -> contextlib.AbstractContextManager:
    """Average under a window of two dimensions, by a convolution."""

    @functools.lru_cache
    def kernel(size: int, sigma: float) -> torch.Tensor:
        place = torch.arange(size) - size // 2
        line = torch.exp(-0.5 * (place / sigma) ** 2)
        return (line[:, None] * line / line.sum() ** 2).expand(3, 1, size, size).contiguous()

    def smooth(fields: torch.Tensor, *, window_size: int, sigma: float) -> torch.Tensor:
        flat = fields.reshape(-1, *fields.shape[-3:])
        channels, weight = flat.shape[1], kernel(window_size, sigma)
        mean = F.conv2d(flat, weight[:channels], padding=window_size // 2, groups=channels)
        return mean.reshape(fields.shape)

    return patched(functional, _smooth=smooth)


def tensor_by_tensor() -> contextlib.AbstractContextManager:
    """Let Adam go through the weights one after the other."""

    def adam(*given: object, **named: object) -> torch.optim.Adam:
        return torch.optim.Adam(*given, **{**named, "fused": False, "foreach": False})

    return patched(descent, Adam=adam)


def all_gradients() -> contextlib.AbstractContextManager:
    """Differentiate the generator's loss by the weights of the discriminator, too."""
    real = torch.Tensor.backward
    return patched(torch.Tensor, backward=lambda loss, *given, **named: real(loss))


def two_passes() -> contextlib.AbstractContextManager:
    """Show the discriminator the real and the fake pictures one after the other."""

    def step(model: CGAN, batch: Batch, shown: steps_of_training.Shown) -> tuple[torch.Tensor, dict]:
        region = 1 if model.objective.whole_image else shown.region
        real, fake = (
            model.discriminator((one * region).detach(), batch["label"]) for one in (batch["image"], shown.composite)
        )
        loss = adversarial_loss(model.objective.adversarial_loss).discriminator(real, fake)
        return loss, {"d/loss": loss.detach()}

    return patched(trainer, discriminator_step=step)


VARIANTS = {
    "as it is": contextlib.nullcontext,
    "weights not channels last": contiguous,
    "SSIM under a window of two dimensions": square_window,
    "real and fake in two passes": two_passes,
    "gradients of the discriminator in the generator's step": all_gradients,
    "Adam a tensor at a time": tensor_by_tensor,
    "compiled": contextlib.nullcontext,
}


def main() -> None:
    """Measure by turns, print the table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128], help="of the pictures, in pixels")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    parser.add_argument("--precision", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--seconds", type=float, default=1.5, help="of each turn")
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--out", type=Path, help="write the figures there as JSON")
    given = parser.parse_args()
    given.device, given.batch, given.workers, given.recompute = "cpu", None, 0, False
    rows = []
    print("| network | pixels | variant | ms a step | times as it is |\n|---|---|---|---|---|")
    for network, side in (("default", "recipe"), ("paper", "")):
        for size in given.sizes:
            takes, found = {}, {variant: [] for variant in given.variants}
            with faces(size) as root:
                for variant in given.variants:
                    given.compile = variant == "compiled"
                    with VARIANTS[variant]():
                        takes[variant] = make(f"{side} {given.precision}".strip(), network, size, root, given)
                        takes[variant](steps(3))
                for _ in range(given.turns):
                    for variant, take in takes.items():
                        with VARIANTS[variant]():
                            found[variant].append(1 / rate(take, given.seconds, "cpu"))
            usual = statistics.median(found[given.variants[0]])
            for variant, turns in found.items():
                ms = 1000 * statistics.median(turns)
                rows.append({"network": network, "pixels": size, "variant": variant, "turns": turns})
                print(f"| {network} | {size} | {variant} | {ms:.0f} | {ms / 1000 / usual:.2f} |", flush=True)
    if given.out:
        given.out.write_text(json.dumps({"machine": describe("cpu"), "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
