"""The decoder."""

import pytest
import torch

from condswap import ConfigError, ConvDecoder, Face
from condswap.testing import check_component


@pytest.mark.parametrize(("depth", "kernel"), [(1, 1), (2, 3)])
@pytest.mark.parametrize("stages", [1, 2, 4])
@pytest.mark.parametrize("modulation", ["adain", "film", "none"])
def test_it_keeps_the_contract_of_its_role(stages, modulation, depth, kernel):
    decoder = ConvDecoder(
        (8, 2, 3),
        num_classes=3,
        width=4,
        stages=stages,
        modulation=modulation,
        embedding=4,
        depth=depth,
        upscale_kernel=kernel,
    )
    assert decoder.out_shape == (3, 2 * 2**stages, 3 * 2**stages)
    face = decoder(torch.randn(2, 8, 2, 3), torch.tensor([0, 2]))
    assert isinstance(face, Face)
    assert face.image.shape == (2, *decoder.out_shape)
    assert face.mask.shape == (2, 1, *decoder.out_shape[1:])
    assert face.image.dtype == face.mask.dtype == torch.float32
    if stages > 1 and modulation != "none":
        check_component(decoder)


def test_it_has_as_many_residual_blocks_at_every_size_as_its_depth():
    blocks = ConvDecoder((8, 1, 1), num_classes=2, width=2, stages=3, depth=2).blocks
    assert [len(one) for one in blocks] == [2, 2]


def test_its_widths_double_towards_the_features_up_to_four_times():
    decoder = ConvDecoder((8, 1, 1), num_classes=2, width=2, stages=6)
    assert [blocks[0].conv.in_channels for blocks in decoder.blocks] == [8, 8, 8, 4, 2]


def test_image_and_mask_are_in_range_however_large_the_features():
    face = ConvDecoder((8, 2, 2), num_classes=2, width=4)(1e4 * torch.randn(2, 8, 2, 2), torch.tensor([0, 1]))
    for part in face:
        assert 0 <= part.min() <= part.max() <= 1


def test_only_its_own_class_decides():
    decoder, label = ConvDecoder((8, 2, 2), num_classes=3, width=4), torch.tensor([0, 1, 2])
    features = torch.randn(3, 8, 2, 2)
    before = decoder(features, label).image
    with torch.no_grad():
        decoder.embedding.weight[1] += 3
    after = decoder(features, label).image
    assert torch.equal(after[::2], before[::2])
    assert not torch.equal(after[1], before[1])


@pytest.mark.parametrize("argument", ["num_classes", "width", "stages", "embedding", "depth", "upscale_kernel"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "8", None])
def test_arguments_are_checked_where_they_are_given(argument, value):
    with pytest.raises(ConfigError, match=rf"ConvDecoder.{argument} is {value!r}; it is a whole number"):
        ConvDecoder((8, 2, 2), **({"num_classes": 2} | {argument: value}))


def test_an_unknown_modulation_is_told_with_those_that_are_known():
    with pytest.raises(ConfigError, match="modulation is 'style'; known here: adain, film, none"):
        ConvDecoder((8, 2, 2), num_classes=2, modulation="style")


def test_a_kernel_without_a_middle_is_refused():
    with pytest.raises(ConfigError, match="upscale_kernel is 2; it has a middle, so give an odd number"):
        ConvDecoder((8, 2, 2), num_classes=2, upscale_kernel=2)
