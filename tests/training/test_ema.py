"""The running average, by hand."""

import pytest
import torch
from torch import nn

from condswap.training.ema import average_into


def pair():
    target, source = nn.BatchNorm1d(1), nn.BatchNorm1d(1)
    with torch.no_grad():
        target.weight.fill_(1.0), target.bias.fill_(-2.0)
        source.weight.fill_(5.0), source.bias.fill_(2.0)
    source.running_mean.fill_(7.0)
    source.num_batches_tracked.fill_(3)
    return target, source


@pytest.mark.parametrize(
    ("decay", "weight", "bias"), [(0.75, 2.0, -1.0), (0.5, 3.0, 0.0), (0.0, 5.0, 2.0), (1.0, 1.0, -2.0)]
)
def test_the_target_keeps_decay_of_what_it_was(decay, weight, bias):
    target, source = pair()
    average_into(target, source, decay=decay)
    assert (target.weight.item(), target.bias.item()) == (weight, bias)


def test_buffers_are_copied():
    target, source = pair()
    average_into(target, source, decay=0.9)
    assert target.running_mean.item() == 7.0
    assert target.num_batches_tracked.item() == 3


def test_the_source_stays_and_no_gradient_is_asked_for():
    target, source = pair()
    average_into(target, source, decay=0.9)
    assert source.weight.item() == 5.0
    assert target.weight.grad_fn is None
    assert target.weight.requires_grad
