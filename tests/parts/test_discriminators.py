"""The discriminators."""

import pytest
import torch

from condswap import ConfigError, MLPDiscriminator, PatchDiscriminator, ShapeError
from condswap.testing import check_component


@pytest.mark.parametrize("num_classes", [1, 2, 6])
@pytest.mark.parametrize("kind", [PatchDiscriminator, MLPDiscriminator])
def test_it_keeps_the_contract_of_its_role(kind, num_classes):
    check_component(kind((3, 32, 48), num_classes=num_classes, width=4))


@pytest.mark.parametrize("stages", [1, 2, 3])
def test_a_patch_is_as_large_as_the_halvings(stages):
    judge = PatchDiscriminator((3, 32, 48), num_classes=2, width=4, stages=stages)
    assert judge(torch.rand(5, 3, 32, 48), torch.zeros(5, dtype=torch.int64)).shape == (
        5,
        1,
        32 >> stages,
        48 >> stages,
    )


def test_a_picture_as_a_whole_has_one_logit():
    assert MLPDiscriminator((3, 32, 48), num_classes=2)(
        torch.rand(5, 3, 32, 48), torch.tensor([0, 1, 0, 1, 1])
    ).shape == (5, 1)


@pytest.mark.parametrize("kind", [PatchDiscriminator, MLPDiscriminator])
def test_the_claimed_class_counts_and_only_it(kind):
    judge, image, label = (
        kind((3, 16, 16), num_classes=3, width=4),
        torch.rand(1, 3, 16, 16).expand(3, 3, 16, 16),
        torch.tensor([0, 1, 2]),
    )
    before = judge(image, label)
    assert not torch.allclose(before[0], before[1], atol=1e-5)
    table = judge.projection if kind is PatchDiscriminator else judge.embedding
    with torch.no_grad():
        table.weight[1] += 1
    after = judge(image, label)
    assert torch.equal(after[::2], before[::2])
    assert not torch.equal(after[1], before[1])


@pytest.mark.parametrize("kind", [PatchDiscriminator, MLPDiscriminator])
def test_logits_are_not_squeezed(kind):
    judge = kind((3, 16, 16), num_classes=2, width=4)
    last = judge.judge if kind is PatchDiscriminator else judge.layers[-1]
    with torch.no_grad():
        last.bias += 50
    assert judge(torch.rand(1, 3, 16, 16), torch.tensor([0])).min() > 2


@pytest.mark.parametrize("kind", [PatchDiscriminator, MLPDiscriminator])
def test_another_picture_is_told_with_both_shapes(kind):
    with pytest.raises(
        ShapeError, match=rf"{kind.__name__} was built for images \(b, 3, 16, 16\); got \(1, 3, 16, 32\)"
    ):
        kind((3, 16, 16), num_classes=2)(torch.rand(1, 3, 16, 32), torch.tensor([0]))


def test_a_size_that_does_not_divide_is_told_with_sizes_that_do():
    with pytest.raises(ShapeError, match="multiples of 8; 20 x 32 is not: use 16 x 32 or 24 x 32"):
        PatchDiscriminator((3, 20, 32), num_classes=2)
    with pytest.raises(ShapeError, match="multiples of 4; 18 x 32 is not: use 16 x 32 or 20 x 32"):
        MLPDiscriminator((3, 18, 32), num_classes=2)


@pytest.mark.parametrize(
    ("kind", "argument"),
    [(PatchDiscriminator, name) for name in ("num_classes", "width", "stages")]
    + [(MLPDiscriminator, name) for name in ("num_classes", "width", "embedding")],
)
def test_arguments_are_checked_where_they_are_given(kind, argument):
    for value in (0, -1, 1.5, "8", None):
        with pytest.raises(ConfigError, match=rf"{kind.__name__}.{argument} is {value!r}; it is a whole number"):
            kind((3, 16, 16), **({"num_classes": 2} | {argument: value}))


def test_a_discriminator_of_detail_sees_edges_but_no_colour():
    torch.manual_seed(0)
    judge = PatchDiscriminator((3, 32, 32), num_classes=2, detail=2.0)
    image, label = 0.5 * torch.rand(2, 3, 32, 32), torch.tensor([0, 1])
    warmer = image + torch.tensor([0.2, 0.1, 0.0])[:, None, None]
    torch.testing.assert_close(judge(image, label), judge(warmer, label), atol=1e-5, rtol=0)
    assert (judge(image, label) - judge(image.roll(1, -1), label)).abs().max() > 1e-3
    flat = judge(torch.full_like(image, 0.3), label)
    torch.testing.assert_close(flat, judge.judge.bias.expand_as(flat), atol=1e-5, rtol=0)  # there is nothing to see


@pytest.mark.parametrize("detail", [-1.0, float("nan"), float("inf"), "fine", True])
def test_a_detail_that_is_no_width_is_refused(detail):
    with pytest.raises(ConfigError, match="detail"):
        PatchDiscriminator((3, 32, 32), num_classes=2, detail=detail)
