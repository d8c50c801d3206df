"""What a swap is held against."""

import pytest
import torch
from torch.nn import functional as F

from condswap.evaluation.references import pasted, references, resized
from condswap.losses import blur_mask


def half(size=64):
    mask = torch.zeros(1, 1, size, size)
    mask[..., size // 2 :] = 1
    return mask


def test_a_pasted_face_is_itself_inside_and_leaves_the_outside_bit_for_bit():
    picture, face = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)
    made = pasted(picture, face, half())
    assert torch.equal(made[..., :28], picture[..., :28])
    assert torch.allclose(made[..., 36:], face[..., 36:], atol=1e-6)


def test_between_them_lies_the_blurred_edge_of_the_mask():
    made = pasted(torch.zeros(1, 3, 64, 64), torch.ones(1, 3, 64, 64), half())
    assert torch.allclose(made, blur_mask(half(), fraction=0.04).expand(1, 3, 64, 64), atol=1e-6)
    assert 0 < made[0, 0, 0, 31] < made[0, 0, 0, 32] < 1


def test_a_face_of_another_size_is_fitted():
    face = torch.ones(1, 3, 16, 16) * torch.tensor([0.2, 0.5, 0.8]).reshape(1, 3, 1, 1)
    made = pasted(torch.zeros(1, 3, 64, 64), face, torch.ones(1, 1, 64, 64))
    assert torch.allclose(made, face[..., :1, :1].expand(1, 3, 64, 64), atol=1e-5)


def test_a_smaller_picture_is_the_mean_of_what_each_pixel_covers():
    image = torch.rand(2, 3, 8, 12)
    assert torch.allclose(resized(image, (4, 6)), F.avg_pool2d(image, 2))


def test_a_larger_picture_stays_in_its_range():
    checks = torch.eye(8).expand(1, 3, 8, 8)
    larger = resized(checks, (32, 32))
    assert larger.shape == (1, 3, 32, 32)
    assert larger.min() >= 0
    assert larger.max() <= 1
    assert float(larger.mean()) == pytest.approx(1 / 8, abs=0.02)


def test_a_picture_of_the_right_size_comes_back_itself():
    image = torch.rand(1, 3, 8, 8)
    assert resized(image, (8, 8)) is image


def test_the_references_are_the_picture_a_real_one_of_the_target_and_its_mean():
    real = {0: torch.rand(2, 3, 8, 8), 1: torch.rand(3, 3, 8, 8)}
    means = {label: pictures.mean(0) for label, pictures in real.items()}
    image = torch.rand(4, 3, 8, 8)
    made = references(image, torch.tensor([0, 1, 1, 0]), real=real, means=means, places=[0, 0, 4, 5])
    assert torch.equal(made.unchanged, image)
    assert torch.equal(made.real, torch.stack([real[0][0], real[1][0], real[1][1], real[0][1]]))
    assert torch.equal(made.mean, torch.stack([means[0], means[1], means[1], means[0]]))


def test_references_are_fitted_to_the_picture():
    grey = torch.full((3, 8, 8), 0.25)
    made = references(torch.rand(1, 3, 4, 4), torch.tensor([7]), real={7: grey[None]}, means={7: grey}, places=[0])
    assert torch.allclose(made.real, torch.full((1, 3, 4, 4), 0.25))
    assert made.mean.shape == (1, 3, 4, 4)
