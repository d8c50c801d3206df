"""The paper's network: its numbers of weights worked out by hand, and its odd details."""

import math

import pytest
import torch
from torch.nn import functional as F

from condswap import CGAN, ConfigError, ShapeError
from condswap.parts import PaperAttentionBottleneck, PaperDecoder, PaperEncoder, PaperMLPBottleneck
from condswap.testing import check_component


def conv(narrow, wide, kernel):
    return narrow * wide * kernel * kernel + wide


def linear(narrow, wide):
    return narrow * wide + wide


ENCODER = conv(3, 32, 5) + conv(32, 64, 5) + conv(64, 128, 5) + conv(128, 256, 5)
RESIDUALS = 2 * (conv(256, 256, 3) + conv(128, 128, 3) + conv(64, 64, 3))
DECODER = conv(64, 1024, 3) + conv(256, 512, 3) + conv(128, 256, 3) + RESIDUALS + conv(64, 3, 1) + 3 * conv(64, 3, 3)
LIFT = conv(64, 256, 3)


def mlp(size):
    return 2 * 1024 + linear(256 * (size // 16) ** 2 + 1024, 64) + linear(64, 64 * (size // 32) ** 2) + LIFT


def attention(size):
    return 2 * 5096 + 3 * linear(256, 64) + linear(64, 64) + dense(size) + LIFT


def dense(size):
    return linear(64 * (size // 16) ** 2 + 5096, 64 * (size // 32) ** 2)


def discriminator(size):
    return (
        conv(3, 32, 3) + conv(32, 32, 3) + 4 + linear(32 * (size // 4) ** 2 + 2, 128) + linear(128, 64) + linear(64, 1)
    )


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("size", [64, 128, 256, 512])
@pytest.mark.parametrize("bottleneck", ["mlp", "attention"])
def test_it_has_the_papers_number_of_weights(size, bottleneck):
    with torch.device("meta"):
        model = CGAN.paper(size, classes=["a", "b"], bottleneck=bottleneck)
    assert count(model.generator) == ENCODER + {"mlp": mlp, "attention": attention}[bottleneck](size) + DECODER
    assert count(model.discriminator) == discriminator(size)


def test_the_numbers_are_those_that_were_measured():
    # In millions, of a generator with padded convolutions and without the mask branch.
    assert round((ENCODER + mlp(64) + DECODER) / 1e6, 1) == 5.2
    assert round((ENCODER + attention(64) + DECODER) / 1e6, 1) == 6.5
    assert round((ENCODER + attention(512) + DECODER) / 1e6) == 1162
    assert [round(discriminator(size) / 1e6, digits) for size, digits in ((64, 2), (128, 2), (256, 1), (512, 1))] == [
        1.07,
        4.21,
        16.8,
        67.1,
    ]
    # Unpadded, the code of 128 pixels was 5 x 5 places and that of 512 was 29 x 29: then the dense layer is theirs.
    assert round(linear(64 * 5 * 5 + 5096, 64 * 4 * 4) / 1e6, 1) == 6.9
    assert (
        round(linear(64 * 29 * 29 + 5096, 64 * 16 * 16) / 1e6, 1)
        == 965.4
        == round((dense(512) - 64 * 183 * 64 * 256) / 1e6, 1)
    )


@pytest.mark.parametrize(
    "part",
    [
        lambda: PaperEncoder((3, 32, 64), width=2),
        lambda: PaperMLPBottleneck((4, 2, 4), num_classes=2, width=4, embedding=6),
        lambda: PaperAttentionBottleneck((4, 2, 4), num_classes=3, width=4, heads=2, embedding=6),
        lambda: PaperDecoder((4, 2, 2), num_classes=2, width=2),
    ],
)
def test_every_part_keeps_the_contract_of_its_role(part):
    check_component(part())


@pytest.mark.parametrize("bottleneck", ["mlp", "attention"])
def test_it_shows_pictures_that_are_not_square(bottleneck):
    model = CGAN.paper((32, 64), classes=["a", "b"], bottleneck=bottleneck).eval()
    assert model.swap(torch.rand(2, 3, 32, 64), "b").shape == (2, 3, 32, 64)


def test_the_papers_own_word_for_its_self_attention_is_known():
    assert (
        type(CGAN.paper(32, classes=["a"], bottleneck="cross_attention").generator.bottleneck)
        is PaperAttentionBottleneck
    )


def test_the_encoder_takes_the_picture_as_it_is():
    encoder, image = PaperEncoder((3, 16, 16), width=2), torch.rand(1, 3, 16, 16)
    wanted = image
    for layer in encoder.convs:
        wanted = F.conv2d(wanted, layer.weight, layer.bias, stride=2, padding=2)
        wanted = torch.where(wanted > 0, wanted, 0.1 * wanted)
    assert torch.allclose(encoder(image), wanted, atol=1e-6)


def test_the_mlp_has_nothing_between_its_linear_layers():
    part = PaperMLPBottleneck((2, 2, 2), num_classes=2, width=3, embedding=4)
    part.upscale = torch.nn.Identity()
    features, label = torch.randn(1, 2, 2, 2), torch.tensor([1])
    code = features.flatten() / (features.square().mean() + 1e-6).sqrt()
    code = torch.cat([code, part.embedding.weight[1]]) @ part.squeeze.weight.T + part.squeeze.bias
    wanted = (code @ part.spread.weight.T + part.spread.bias).reshape(1, 3, 1, 1)
    assert torch.allclose(part(features, label), F.leaky_relu(wanted, 0.1), atol=1e-5)


def test_the_position_code_is_the_sine_code():
    code = PaperAttentionBottleneck((6, 2, 2), num_classes=1, width=4, embedding=2).code
    for place in range(4):
        for pair in range(3):
            angle = place / 10000 ** (2 * pair / 6)
            assert code[place, 2 * pair].item() == pytest.approx(math.sin(angle), abs=1e-5)
            assert code[place, 2 * pair + 1].item() == pytest.approx(math.cos(angle), abs=1e-5)


def test_the_position_code_is_not_saved():
    assert "code" not in PaperAttentionBottleneck((6, 2, 2), num_classes=1, width=4, embedding=2).state_dict()


def test_the_attention_does_not_know_the_class():
    part = PaperAttentionBottleneck((4, 2, 2), num_classes=2, width=4, heads=2, embedding=3).eval()
    features = torch.randn(2, 4, 2, 2)
    one, other = (part(features, torch.full((2,), label)) for label in (0, 1))
    assert not torch.allclose(one, other, atol=1e-4)
    with torch.no_grad():
        part.spread.weight[:, -3:] = 0  # what the embedding comes in by
    assert torch.equal(part(features, torch.tensor([0, 0])), part(features, torch.tensor([1, 1])))


def test_dropout_works_in_training_alone():
    part = PaperAttentionBottleneck((4, 2, 2), num_classes=2, width=4, heads=2, embedding=3, dropout=0.5)
    features, label = torch.randn(2, 4, 2, 2), torch.tensor([0, 1])
    assert not torch.equal(part(features, label), part(features, label))
    assert torch.equal(part.eval()(features, label), part(features, label))


def test_four_heads_are_interleaved_to_pixels():
    decoder = PaperDecoder((4, 1, 1), num_classes=1, width=1)
    for number, head in enumerate(decoder.heads):
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.constant_(head.bias, number)
    shown = decoder(torch.rand(1, 4, 1, 1), torch.tensor([0]))
    assert torch.allclose(shown, torch.tensor([[0.0, 1.0], [2.0, 3.0]]).sigmoid().repeat(8, 8).expand(1, 3, 16, 16))


def test_the_decoder_does_not_use_the_class():
    decoder, features = PaperDecoder((4, 1, 1), num_classes=2, width=1), torch.rand(1, 4, 1, 1)
    assert torch.equal(decoder(features, torch.tensor([0])), decoder(features, torch.tensor([1])))


@pytest.mark.parametrize("kind", [PaperMLPBottleneck, PaperAttentionBottleneck])
def test_features_that_cannot_be_halved_are_told_with_the_cure(kind):
    with pytest.raises(ShapeError, match="3 x 4 is not even: use pictures whose height and width are multiples of 32"):
        kind((4, 3, 4), num_classes=2)


def test_arguments_are_checked_where_they_are_given():
    for kind, argument in [
        (PaperMLPBottleneck, "width"),
        (PaperMLPBottleneck, "embedding"),
        (PaperAttentionBottleneck, "heads"),
        (PaperAttentionBottleneck, "num_classes"),
        (PaperDecoder, "width"),
    ]:
        with pytest.raises(ConfigError, match=rf"{kind.__name__}.{argument} is 0"):
            kind((4, 2, 2), **({"num_classes": 2} | {argument: 0}))
    with pytest.raises(ConfigError, match="PaperEncoder.width is 0"):
        PaperEncoder((3, 16, 16), width=0)
    with pytest.raises(ConfigError, match="3 heads do not divide a width of 4"):
        PaperAttentionBottleneck((4, 2, 2), num_classes=2, width=4, heads=3)
