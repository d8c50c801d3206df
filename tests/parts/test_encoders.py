"""The encoder."""

import pytest
import torch

from condswap import CondswapError, ConvEncoder, ShapeError
from condswap.testing import check_component


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        ({}, (16, 4, 6)),
        ({"stages": 1}, (16, 32, 48)),
        ({"code_channels": 1, "stages": 5}, (1, 2, 3)),
        ({"width": 1, "stages": 6}, None),
    ],
)
def test_the_stated_shape_is_the_shape(arguments, shape):
    arguments = {"width": 8} | arguments
    if shape is None:
        with pytest.raises(ShapeError, match="multiples of 64; 64 x 96 is not: use 64 x 64 or 64 x 128"):
            ConvEncoder((3, 64, 96), **arguments)
        return
    encoder = ConvEncoder((3, 64, 96), **arguments)
    assert encoder.out_shape == shape
    assert encoder(torch.rand(2, 3, 64, 96)).shape == (2, *shape)
    check_component(encoder)


def test_its_widths_double_up_to_eight_times():
    encoder = ConvEncoder((3, 64, 64), width=2, stages=6)
    assert [conv.out_channels for conv in encoder.convs] == [2, 4, 8, 16, 16, 16]


@pytest.mark.parametrize("size", [(63, 64), (40, 50), (8, 100), (1, 1)])
@pytest.mark.parametrize("stages", [2, 4, 5])
def test_the_sizes_that_are_suggested_work(size, stages):
    if not (size[0] % 2**stages or size[1] % 2**stages):
        return
    with pytest.raises(ShapeError) as caught:
        ConvEncoder((3, *size), width=2, stages=stages)
    for one in str(caught.value).split("use ")[1].split(" or "):
        height, width = map(int, one.split(" x "))
        assert ConvEncoder((3, height, width), width=2, stages=stages).in_shape == (3, height, width)


@pytest.mark.parametrize(
    "image", [torch.rand(3, 32, 32), torch.rand(1, 3, 16, 32), torch.rand(1, 1, 32, 32)], ids=lambda x: str(x.shape)
)
def test_another_picture_is_told_with_both_shapes(image):
    with pytest.raises(ShapeError, match=r"ConvEncoder was built for images \(b, 3, 32, 32\); got"):
        ConvEncoder((3, 32, 32), width=2)(image)


@pytest.mark.parametrize("argument", ["width", "stages", "code_channels"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "8", None, True])
def test_arguments_are_checked_where_they_are_given(argument, value):
    with pytest.raises(CondswapError, match=rf"ConvEncoder.{argument} is {value!r}; it is a whole number"):
        ConvEncoder((3, 32, 32), **{argument: value})


def test_every_pixel_counts():
    image = torch.rand(1, 3, 32, 32, requires_grad=True)
    ConvEncoder((3, 32, 32), width=8)(image).square().sum().backward()
    assert (image.grad != 0).float().mean() > 0.99
