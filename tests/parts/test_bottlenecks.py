"""The bottlenecks: shapes, the way of the class, and the attention written out by hand."""

import pytest
import torch

from condswap import ConfigError, CrossAttentionBottleneck, MLPBottleneck
from condswap.testing import check_component


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", [MLPBottleneck, CrossAttentionBottleneck])
@pytest.mark.parametrize("normalisation", ["pooled", "positions", "none"])
@pytest.mark.parametrize(("in_shape", "num_classes"), [((4, 2, 3), 2), ((1, 1, 1), 1), ((3, 4, 2), 7)])
def test_it_keeps_the_contract_of_its_role(kind, normalisation, in_shape, num_classes):
    part = kind(in_shape, num_classes=num_classes, width=8, normalisation=normalisation)
    assert part.out_shape[1:] == in_shape[1:]
    check_component(part)


@pytest.mark.parametrize("kind", [MLPBottleneck, CrossAttentionBottleneck])
def test_an_unknown_normalisation_is_told_with_those_that_are_known(kind):
    with pytest.raises(ConfigError, match="normalisation is 'batch'; known here: pooled, positions, none"):
        kind((4, 2, 2), num_classes=2, normalisation="batch")


@pytest.mark.parametrize(
    ("kind", "argument"),
    [(MLPBottleneck, name) for name in ("num_classes", "width", "embedding", "out_channels")]
    + [(CrossAttentionBottleneck, name) for name in ("num_classes", "width", "tokens", "heads")],
)
@pytest.mark.parametrize("value", [0, -2, 2.0, "2", None])
def test_arguments_are_checked_where_they_are_given(kind, argument, value):
    with pytest.raises(ConfigError, match=rf"{kind.__name__}.{argument} is {value!r}; it is a whole number"):
        kind((4, 2, 2), **({"num_classes": 2} | {argument: value}))


@pytest.mark.parametrize("kind", [MLPBottleneck, CrossAttentionBottleneck])
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), True, "0.3", None])
def test_noise_is_a_number_from_0_up(kind, value):
    with pytest.raises(ConfigError, match=rf"{kind.__name__}.noise is {value!r}; it is a finite number from 0 up"):
        kind((4, 2, 2), num_classes=2, noise=value)


@pytest.mark.parametrize("kind", [MLPBottleneck, CrossAttentionBottleneck])
@pytest.mark.parametrize("normalisation", ["pooled", "positions"])
def test_noise_is_added_in_training_to_the_code_that_was_normalised(kind, normalisation):
    part = kind((4, 8, 8), num_classes=2, width=8, normalisation=normalisation, noise=0.5)
    codes = []
    part.noise.register_forward_hook(lambda layer, given, made: codes.append((given[0], made)))
    features, label = 3 + 7 * noise(32, 4, 8, 8), torch.tensor([0, 1] * 16)
    part.train()(features, label, label)
    part.eval()(features, label, label)
    (code, noisy), (met, same) = codes
    assert code.std() == pytest.approx(1, abs=0.1)
    assert (noisy - code).std() == pytest.approx(0.5, abs=0.02)  # of 8,192 numbers: 0.004 is one deviation
    assert (noisy - code).mean() == pytest.approx(0, abs=0.03)  # 0.0055 is one
    assert torch.equal(same, met)


@pytest.mark.parametrize("kind", [MLPBottleneck, CrossAttentionBottleneck])
def test_a_code_that_is_not_normalised_gets_no_noise(kind):
    part = kind((4, 2, 2), num_classes=2, width=8, normalisation="none", noise=9).train()
    features, label = noise(4, 4, 2, 2), torch.tensor([0, 1] * 2)
    assert torch.equal(part(features, label), part(features, label))


def test_heads_divide_the_width():
    with pytest.raises(ConfigError, match="3 heads do not divide a width of 8; use a width that is a multiple of 3"):
        CrossAttentionBottleneck((4, 2, 2), num_classes=2, width=8, heads=3)


@pytest.mark.parametrize("kind", [MLPBottleneck, CrossAttentionBottleneck])
def test_only_its_own_class_decides_what_is_shown(kind):
    part, features = kind((4, 2, 2), num_classes=3, width=8, normalisation="none").eval(), noise(3, 4, 2, 2)
    table = part.bank if kind is CrossAttentionBottleneck else part.embedding
    label = torch.tensor([0, 1, 2])
    before = part(features, label)
    with torch.no_grad():
        table.weight[1] += noise(*table.weight[1].shape, seed=3)
    after = part(features, label)
    assert torch.equal(after[::2], before[::2])
    assert not torch.allclose(after[1], before[1], atol=1e-3)


def test_cross_attention_is_attention_to_the_tokens_of_the_class():
    part = CrossAttentionBottleneck((3, 2, 2), num_classes=2, width=6, tokens=5, heads=2, normalisation="none")
    with torch.no_grad():
        for parameter in part.parameters():
            parameter.copy_(noise(*parameter.shape, seed=parameter.numel()))
    features, label = noise(2, 3, 2, 2), torch.tensor([1, 0])

    def linear(layer, x):
        return x @ layer.weight.T + layer.bias

    def unit(x):
        return x / (x.square().mean() + 1e-6).sqrt()

    for picture in range(2):
        bank = part.bank.weight[label[picture]]
        for row in range(2):
            for column in range(2):
                token = linear(part.lift, features[picture, :, row, column]) + part.position[2 * row + column]
                query = linear(part.query, unit(token))
                found = []
                for head in (slice(0, 3), slice(3, 6)):
                    scores = torch.stack([query[head] @ linear(part.key, one)[head] / 3**0.5 for one in bank])
                    weights = scores.exp() / scores.exp().sum()
                    found.append(sum(w * linear(part.value, one)[head] for w, one in zip(weights, bank, strict=True)))
                token = token + linear(part.out, torch.cat(found))
                wide = linear(part.widen, unit(token))
                token = token + linear(part.narrow, torch.where(wide > 0, wide, 0.1 * wide))
                assert torch.allclose(part(features, label)[picture, :, row, column], token, rtol=1e-3, atol=1e-3)


def test_the_picture_decides_where_to_look():
    part = CrossAttentionBottleneck((4, 2, 2), num_classes=1, width=8, normalisation="none")
    label = torch.tensor([0])
    with torch.no_grad():
        for layer in (part.lift, part.narrow):  # so that the picture reaches the output through the attention alone
            layer.bias.zero_()
        part.narrow.weight.zero_()
    one, other = noise(1, 4, 2, 2), noise(1, 4, 2, 2, seed=1)
    through = part(one, label) - part(other, label)
    with torch.no_grad():
        part.out.weight.zero_()
    assert not torch.allclose(through, part(one, label) - part(other, label), atol=1e-4)


def test_places_are_told_apart():
    part, label = CrossAttentionBottleneck((4, 2, 2), num_classes=1, width=8, normalisation="none"), torch.tensor([0])
    out = part(torch.ones(1, 4, 2, 2), label)
    assert not torch.allclose(out[..., 0, 0], out[..., 1, 1], atol=1e-4)


@pytest.mark.parametrize("kind", [MLPBottleneck, CrossAttentionBottleneck])
def test_what_is_constant_about_the_person_seen_leaves(kind):
    part, label = kind((4, 2, 2), num_classes=2, width=8, noise=0), torch.tensor([0, 1] * 16)
    features = noise(32, 4, 2, 2)
    shifted = features + 7 * label[:, None, None, None] * noise(1, 4, 1, 1, seed=2)
    to = torch.zeros(32, dtype=torch.int64)
    assert torch.allclose(part(features, to, label), part(shifted, to, label), atol=1e-3)
    free = kind((4, 2, 2), num_classes=2, width=8, normalisation="none")
    assert not torch.allclose(free(features, to, label), free(shifted, to, label), atol=1e-2)


def test_the_mlp_by_hand():
    part = MLPBottleneck((1, 1, 2), num_classes=2, width=1, embedding=1, out_channels=1, normalisation="none")
    with torch.no_grad():
        part.embedding.weight.copy_(torch.tensor([[0.0], [10.0]]))
        part.squeeze.weight.copy_(torch.tensor([[1.0, 2.0, -1.0]]))
        part.spread.weight.copy_(torch.tensor([[1.0], [-1.0]]))
    out = part(torch.tensor([3.0, 1.0]).expand(2, 1, 1, 2), torch.tensor([0, 1]))
    # class 0: 3 + 2 - 0 = 5 -> 5, -5 -> 5, -0.5; class 1: 3 + 2 - 10 = -5 -> -0.5 -> -0.5, 0.5 -> -0.05, 0.5
    assert torch.allclose(out.reshape(2, 2), torch.tensor([[5.0, -0.5], [-0.05, 0.5]]))
