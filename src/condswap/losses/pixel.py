"""The pixel losses as modules: the same maps as the functions, with their settings kept."""

from typing import Protocol

from torch import Tensor, nn

from condswap.losses import functional
from condswap.types import Image


class PixelLoss(Protocol):
    """Anything that compares two pictures pixel by pixel: a module, or a plain function such as `l1`."""

    def __call__(self, prediction: Image, target: Image, /) -> Tensor:
        """Give the map of the loss, (b, c, h, w)."""
        ...


class L1(nn.Module):
    """The absolute difference, pixel by pixel; the twin of `functional.l1`.

    >>> import torch
    >>> L1()(torch.ones(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)).shape
    torch.Size([1, 3, 4, 4])
    """

    def forward(self, prediction: Image, target: Image) -> Tensor:
        """Give the map of the loss, (b, c, h, w); errors as `functional.l1`."""
        return functional.l1(prediction, target)


class MSE(nn.Module):
    """The squared difference, pixel by pixel; the twin of `functional.mse`.

    >>> import torch
    >>> MSE()(torch.ones(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)).shape
    torch.Size([1, 3, 4, 4])
    """

    def forward(self, prediction: Image, target: Image) -> Tensor:
        """Give the map of the loss, (b, c, h, w); errors as `functional.mse`."""
        return functional.mse(prediction, target)


class DSSIM(nn.Module):
    """The structural dissimilarity around every pixel; the twin of `functional.dssim`.

    The window is a Gaussian of `sigma` pixels cut to `window_size` pixels; `data_range` is the distance from black to
    white. Raises `ConfigError` for an impossible window.

    >>> import torch
    >>> DSSIM()(torch.ones(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)).shape
    torch.Size([1, 3, 4, 4])
    """

    def __init__(self, window_size: int = 11, *, sigma: float = 1.5, data_range: float = 1.0) -> None:
        """Keep the window."""
        super().__init__()
        functional.check_window(window_size, sigma=sigma, data_range=data_range)
        self.window_size, self.sigma, self.data_range = window_size, sigma, data_range

    def forward(self, prediction: Image, target: Image) -> Tensor:
        """Give the map of the loss, (b, c, h, w) in [0, 1]; errors as `functional.ssim`."""
        return functional.dssim(
            prediction, target, window_size=self.window_size, sigma=self.sigma, data_range=self.data_range
        )

    def extra_repr(self) -> str:
        """Show the window when the module is printed."""
        return f"window_size={self.window_size}, sigma={self.sigma}, data_range={self.data_range}"
