"""The paper's loop as a person would write it down first: what `speed.py` holds the trainer against.

Float32, pictures decoded in the main process, every window a two-dimensional convolution, the discriminator passed three
times a step and differentiated whole each time, Adam a tensor at a time. The networks are whichever it is given, so that what
differs is the loop alone.
"""

from pathlib import Path

import torch
from einops import rearrange
from PIL import Image as Pillow
from torch import Tensor, nn
from torch.nn import functional as F


def window(size: int, sigma: float) -> Tensor:
    """Give a Gaussian window (3, 1, size, size)."""
    place = torch.arange(size, dtype=torch.float32) - size // 2
    line = torch.exp(-0.5 * (place / sigma).square())
    square = line[:, None] * line[None, :]
    return (square / square.sum()).expand(3, 1, size, size).contiguous()


def blur(fields: Tensor, kernel: Tensor) -> Tensor:
    """Average (b, c, h, w) under a window."""
    return F.conv2d(fields, kernel[: fields.shape[1]], padding=kernel.shape[-1] // 2, groups=fields.shape[1])


def ssim(x: Tensor, y: Tensor, kernel: Tensor) -> Tensor:
    """Give the mean structural similarity of two pictures."""
    mean_x, mean_y = blur(x, kernel), blur(y, kernel)
    variance_x = blur(x * x, kernel) - mean_x**2
    variance_y = blur(y * y, kernel) - mean_y**2
    covariance = blur(x * y, kernel) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    above = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    below = (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    return (above / below).mean()


class PlainLoop:
    """One step after the other.

    Args:
        generator: pictures (b, 3, h, w), the labels (b) to show and those seen to faces.
        discriminator: pictures and labels to logits.
        paths: of the pictures, each with that of its mask and its label.
        size: the side of the pictures.
        batch_size: pictures a step.
        rate: of Adam.
        device: of the networks.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        paths: list[tuple[Path, Path, int]],
        *,
        size: int,
        batch_size: int,
        rate: float = 1e-5,
        device: str = "cpu",
    ) -> None:
        self.generator, self.discriminator = generator.to(device).train(), discriminator.to(device).train()
        self.paths, self.size, self.batch_size, self.device, self.place = paths, size, batch_size, device, 0
        how = {"lr": rate, "foreach": False, "fused": False}
        self.generator_optimizer = torch.optim.Adam(self.generator.parameters(), **how)
        self.discriminator_optimizer = torch.optim.Adam(self.discriminator.parameters(), betas=(0.5, 0.999), **how)
        self.kernel = window(11, 1.5).to(device)
        self.soft = window(size // 20 | 1, size / 20).to(device)

    def read(self) -> tuple[Tensor, Tensor, Tensor]:
        """Decode the next pictures."""
        images, masks, labels = [], [], []
        for _ in range(self.batch_size):
            picture, mask, label = self.paths[self.place % len(self.paths)]
            self.place += 1
            images.append(_decode(picture, self.size, "RGB"))
            masks.append(_decode(mask, self.size, "L"))
            labels.append(label)
        return (
            torch.stack(images).to(self.device),
            torch.stack(masks).to(self.device),
            torch.tensor(labels, device=self.device),
        )

    def step(self) -> None:
        """Take a step."""
        image, mask, label = self.read()
        shown = self.generator(image, label, label)
        shown = shown.image if hasattr(shown, "image") else shown
        soft = blur(mask, self.soft)
        composite = image * (1 - soft) + shown * soft
        real = self.discriminator(image, label)
        fake = self.discriminator(composite.detach(), label)
        loss = ((real - 1).square().mean() + fake.square().mean()) / 2
        self.discriminator_optimizer.zero_grad()
        loss.backward()
        self.discriminator_optimizer.step()
        verdict = self.discriminator(composite, label)
        loss = 100 * (1 - ssim(image, composite, self.kernel)) + 0.05 * (verdict - 1).square().mean()
        self.generator_optimizer.zero_grad()
        loss.backward()
        self.generator_optimizer.step()


def _decode(path: Path, size: int, mode: str) -> Tensor:
    """Read a picture as (c, h, w) in [0, 1]."""
    with Pillow.open(path) as picture:
        picture = picture.convert(mode).resize((size, size))
    pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return rearrange(pixels, "(h w c) -> c h w", h=size, w=size).float() / 255
