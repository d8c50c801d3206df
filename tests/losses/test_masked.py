"""A pixel loss inside a mask, and the module twins of the pixel losses."""

import pytest
import torch

from condswap.errors import ConfigError, ShapeError
from condswap.losses import DSSIM, L1, MSE, MaskedLoss, functional, masked_mean


@pytest.mark.parametrize(
    ("module", "function"), [(L1(), functional.l1), (MSE(), functional.mse), (DSSIM(), functional.dssim)]
)
def test_a_module_equals_its_function(module, function) -> None:
    prediction, target = torch.rand(2, 3, 9, 7), torch.rand(2, 3, 9, 7)
    assert torch.equal(module(prediction, target), function(prediction, target))


def test_dssim_uses_its_own_window() -> None:
    prediction, target = torch.rand(1, 3, 9, 9), torch.rand(1, 3, 9, 9)
    expected = functional.dssim(prediction, target, window_size=5, sigma=0.7, data_range=2.0)
    assert torch.equal(DSSIM(5, sigma=0.7, data_range=2.0)(prediction, target), expected)
    assert not torch.equal(DSSIM()(prediction, target), expected)


def test_dssim_refuses_an_even_window_when_it_is_built() -> None:
    with pytest.raises(ConfigError, match="window_size is 8"):
        DSSIM(8)


def test_each_picture_is_divided_by_its_own_mask_area() -> None:
    pixel_map = torch.tensor([[[[1.0, 3.0], [100.0, 100.0]]], [[[8.0, 100.0], [100.0, 100.0]]]])
    mask = torch.tensor([[[[1.0, 1.0], [0.0, 0.0]]], [[[1.0, 0.0], [0.0, 0.0]]]])
    assert masked_mean(pixel_map, mask).item() == 5.0  # (4 / 2 + 8 / 1) / 2; by the joint area it would be 4


def test_channels_are_averaged() -> None:
    pixel_map = torch.tensor([1.0, 2.0, 6.0]).reshape(1, 3, 1, 1)
    assert masked_mean(pixel_map, torch.ones(1, 1, 1, 1)).item() == 3.0


def test_a_soft_mask_weighs_its_pixels() -> None:
    pixel_map = torch.tensor([[[[1.0, 5.0]]]])
    assert masked_mean(pixel_map, torch.tensor([[[[0.375, 0.125]]]])).item() == 2.0  # (0.375 + 0.625) / 0.5


def test_an_empty_mask_gives_zero_with_a_zero_gradient() -> None:
    prediction = torch.rand(1, 3, 4, 4, requires_grad=True)
    loss = MaskedLoss(L1(), blur=0.3)(prediction, torch.zeros(1, 3, 4, 4), torch.zeros(1, 1, 4, 4))
    loss.backward()
    assert loss.item() == 0.0
    assert prediction.grad is not None
    assert torch.equal(prediction.grad, torch.zeros(1, 3, 4, 4))


def test_outside_the_mask_nothing_counts() -> None:
    target, mask = torch.rand(1, 3, 4, 4), torch.zeros(1, 1, 4, 4)
    mask[..., :2] = 1.0
    prediction = torch.where(mask > 0, target, 1 - target)
    assert MaskedLoss(L1())(prediction, target, mask).item() == 0.0
    assert MaskedLoss(L1())(prediction, target, 1 - mask).item() > 0.0


def test_the_module_equals_masked_mean() -> None:
    prediction, target, mask = torch.rand(2, 3, 20, 20), torch.rand(2, 3, 20, 20), torch.rand(2, 1, 20, 20).round()
    for blur in (0.0, 0.15):
        expected = masked_mean(functional.mse(prediction, target), functional.blur_mask(mask, fraction=blur))
        assert torch.equal(MaskedLoss(MSE(), blur=blur)(prediction, target, mask), expected)


def test_blur_lets_the_edge_count() -> None:
    target, mask = torch.zeros(1, 3, 20, 20), torch.zeros(1, 1, 20, 20)
    mask[..., :10] = 1.0
    prediction = target + (1 - mask)
    assert MaskedLoss(L1())(prediction, target, mask).item() == 0.0
    assert MaskedLoss(L1(), blur=0.15)(prediction, target, mask).item() > 0.0


def test_half_precision_does_not_overflow() -> None:
    pixel_map, mask = torch.full((1, 1, 300, 300), 2.0).half(), torch.ones(1, 1, 300, 300).half()
    assert masked_mean(pixel_map, mask).item() == 2.0  # 300 x 300 is beyond the largest float16


def test_a_mask_of_yes_and_no_is_taken() -> None:
    mask = torch.tensor([[[[True, False]]]])
    assert masked_mean(torch.tensor([[[[3.0, 9.0]]]]), mask).item() == 3.0
    picture = torch.ones(1, 3, 1, 2)
    assert MaskedLoss(L1(), blur=1.0)(picture, 0.5 * picture, mask).item() == 0.5


def test_a_function_is_a_pixel_loss() -> None:
    prediction, target, mask = torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4), torch.ones(1, 1, 4, 4)
    assert torch.equal(MaskedLoss(functional.l1)(prediction, target, mask), MaskedLoss(L1())(prediction, target, mask))


@pytest.mark.parametrize("mask", [(2, 1, 4, 4), (1, 3, 8, 8), (2, 8, 8), (1, 1, 8, 8)])
def test_a_mask_that_does_not_fit_is_refused_with_both_shapes(mask) -> None:
    picture = torch.rand(2, 3, 8, 8)
    with pytest.raises(ShapeError, match=r"\(2, 3, 8, 8\).*must be \(2, 1, 8, 8\)") as caught:
        MaskedLoss(L1(), blur=0.2)(picture, picture, torch.ones(mask))
    assert str(mask) in str(caught.value)


def test_two_pictures_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(1, 3, 8, 8\).*\(1, 3, 4, 4\)"):
        MaskedLoss(lambda prediction, target: prediction)(
            torch.rand(1, 3, 8, 8), torch.rand(1, 3, 4, 4), torch.ones(1, 1, 8, 8)
        )


def test_a_loss_that_has_averaged_already_is_refused_with_the_cure() -> None:
    picture = torch.rand(1, 3, 8, 8)
    with pytest.raises(ShapeError, match='reduction="none"'):
        MaskedLoss(torch.nn.L1Loss())(picture, picture, torch.ones(1, 1, 8, 8))


def test_a_class_in_the_place_of_a_loss_is_refused() -> None:
    with pytest.raises(ConfigError, match="give an instance"):
        MaskedLoss(L1)


def test_a_blur_that_is_no_fraction_is_refused() -> None:
    with pytest.raises(ConfigError, match="blur is -1"):
        MaskedLoss(L1(), blur=-1)
