"""The steps of training under Lightning Fabric: your loop, with its devices, precision and processes.

    pip install lightning-fabric
    python examples/train_with_fabric.py
    python examples/train_with_fabric.py --precision bf16-mixed --devices 2

The steps are functions: batch in, loss and metrics out. This file says in what order they are taken. What our `Trainer` does
besides: it lets the learning rates rise and fall, varies the pictures, mixes the classes evenly, shows the encoder swaps and
pictures without a mask, watches the label, and goes on bit for bit from where it was stopped.

Writes `fabric-swapper/config.json`, `fabric-swapper/model.safetensors` and `fabric-swapper/README.md`.
"""

import argparse
import copy
from collections.abc import Iterable
from typing import Any, cast

from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Adam
from torch.utils.data import DataLoader

from condswap import CGAN, ToyFaces
from condswap.sharing import Share, shared
from condswap.training import (
    CodeAdversary,
    average_into,
    code_adversary_step,
    discriminator_step,
    generator_step,
    show,
)
from condswap.types import Batch


def train(fabric: Fabric, model: CGAN, batches: Iterable[Batch], *, code_ramp: int = 200) -> CGAN:
    """Take a step with every batch, and give the running average of the weights, which is the model to keep."""
    average = copy.deepcopy(model).to(fabric.device).eval()
    average.discriminator = model.discriminator  # nobody averages it
    adversary: Any = CodeAdversary(model.generator.encoder.out_shape, num_classes=len(model.classes))
    generator: Any = model.generator
    discriminator: Any = model.discriminator
    adversary, c_adam = fabric.setup(adversary, Adam(adversary.parameters(), 2e-3))
    generator, g_adam = fabric.setup(generator, Adam(generator.parameters(), 2e-3))
    discriminator, d_adam = fabric.setup(discriminator, Adam(discriminator.parameters(), 5e-4, betas=(0.5, 0.999)))
    generator.mark_forward_method("encode")  # what the steps call of it in place of its forward
    generator.mark_forward_method("show")
    model.generator, model.discriminator = generator, discriminator

    def total(values: Tensor) -> Tensor:
        return cast(Tensor, fabric.all_reduce(values, reduce_op="sum"))

    def follow(loss: Tensor, network: nn.Module, adam: Any, *, clip: float | None = 5.0) -> None:
        adam.zero_grad()
        fabric.backward(loss, inputs=list(network.parameters()))  # this network's weights, and no other's
        if clip is not None:
            fabric.clip_gradients(network, adam, max_norm=clip)
        adam.step()

    for step, batch in enumerate(batches):
        model.train()
        # Several processes share a batch: what is measured over a batch is then measured over all of it.
        rows = len(batch["label"]) * fabric.world_size
        with shared(Share(fabric.global_rank, fabric.world_size, rows, add=total)):
            with fabric.autocast():
                shown = show(model, batch)
                loss, metrics = code_adversary_step(adversary, shown)
            follow(loss, adversary, c_adam, clip=None)
            weight = model.objective.code_adversary * min(1.0, (step + 1) / code_ramp)
            with fabric.autocast():
                loss, found = generator_step(model, batch, shown, code_adversary=adversary, code_weight=weight)
            follow(loss, generator, g_adam)
            metrics |= found
            with fabric.autocast():
                loss, found = discriminator_step(model, batch, shown)
            follow(loss, discriminator, d_adam)
            metrics |= found
        average_into(average.generator, generator, decay=min(0.995, (1 + step) / (10 + step)))
        if step % 20 == 0:
            fabric.print(f"step {step}: " + ", ".join(f"{name} {value:.3f}" for name, value in metrics.items()))
    return average


def main() -> None:
    """Train on toy faces, and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=600, help="of training (default: 600)")
    parser.add_argument("--devices", type=int, default=1, help="processes, one to a GPU (default: 1)")
    parser.add_argument("--precision", default="32-true", help="such as bf16-mixed (default: 32-true)")
    parser.add_argument("--smoke", action="store_true", help="a few steps only, to see that it runs")
    given = parser.parse_args()
    fabric = Fabric(devices=given.devices, precision=given.precision)
    fabric.launch()
    fabric.seed_everything(0, verbose=False)
    steps, batch_size = (4, 4) if given.smoke else (given.steps, 16 // fabric.world_size)
    data = ToyFaces(classes=2, image_size=64, seed=0, length=steps * batch_size * fabric.world_size)
    model = CGAN.default(64, classes=data.classes)
    loader = DataLoader(data, batch_size=batch_size, shuffle=True, drop_last=True)
    average = train(fabric, model, cast(Iterable[Batch], fabric.setup_dataloaders(loader)))
    if fabric.is_global_zero:
        average.save_pretrained("fabric-swapper/")
        print("the swapper is in fabric-swapper/")


if __name__ == "__main__":
    main()
