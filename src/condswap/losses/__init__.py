"""Losses: they take tensors and return tensors, and know no model, optimizer or device.

Per-pixel maps come as functions (`l1`) and as module twins (`L1`); `MaskedLoss` makes a number of a map inside a mask;
an adversarial loss has two verbs, `discriminator(real, fake)` and `generator(fake)`, on logits.
"""

from condswap.losses.adversarial import AdversarialLoss, Hinge, LeastSquares, NonSaturating, adversarial_loss
from condswap.losses.functional import (
    blur_mask,
    dssim,
    gaussian_blur,
    hinge_discriminator,
    hinge_generator,
    l1,
    least_squares_discriminator,
    least_squares_generator,
    mse,
    non_saturating_discriminator,
    non_saturating_generator,
    r1_penalty,
    ssim,
)
from condswap.losses.masked import MaskedLoss, masked_mean
from condswap.losses.pixel import DSSIM, L1, MSE, PixelLoss

__all__ = [
    "AdversarialLoss",
    "DSSIM",
    "Hinge",
    "L1",
    "LeastSquares",
    "MSE",
    "MaskedLoss",
    "NonSaturating",
    "PixelLoss",
    "adversarial_loss",
    "blur_mask",
    "dssim",
    "gaussian_blur",
    "hinge_discriminator",
    "hinge_generator",
    "l1",
    "least_squares_discriminator",
    "least_squares_generator",
    "masked_mean",
    "mse",
    "non_saturating_discriminator",
    "non_saturating_generator",
    "r1_penalty",
    "ssim",
]
