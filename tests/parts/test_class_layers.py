"""The layers: values worked out by hand, or by a loop over the classes."""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from condswap import ConfigError, ShapeError
from condswap.parts import ClassEmbedding, ClassNorm
from condswap.parts.layers import Modulation, ResidualBlock, Upscale, check_counts, image_shape, initialise, rms_norm


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def by_loop(features, source, over, eps=1e-4):
    """What normalising by the statistics of the batch's classes gives, one class after the other."""
    out = torch.empty_like(features)
    for label in source.unique():
        mine = features[source == label]
        dims = (0, 2, 3) if over == "pooled" else (0,)
        mean, variance = mine.mean(dims, keepdim=True), mine.var(dims, unbiased=False, keepdim=True)
        out[source == label] = (mine - mean) / (variance + eps).sqrt()
    return out


# ClassEmbedding.


def test_an_embedding_is_looked_up():
    table = ClassEmbedding(3, (2, 4))
    assert torch.equal(table(torch.tensor([2, 0])), torch.stack([table.weight[2], table.weight[0]]))


def test_soft_labels_give_the_weighted_mean():
    table = ClassEmbedding(2, (2,))
    table.weight.data = torch.tensor([[1.0, 10.0], [3.0, 20.0]])
    assert torch.equal(table(torch.tensor([[0.5, 0.5], [0.25, 0.75]])), torch.tensor([[2.0, 15.0], [2.5, 17.5]]))


def test_a_new_class_starts_as_the_mean_of_the_others():
    table = ClassEmbedding(2, (2,))
    table.weight.data = torch.tensor([[1.0, 10.0], [3.0, 20.0]])
    table.grow()
    assert torch.equal(table.weight, torch.tensor([[1.0, 10.0], [3.0, 20.0], [2.0, 15.0]]))
    assert isinstance(table.weight, nn.Parameter)


# ClassNorm.


def test_pooled_statistics_by_hand():
    norm = ClassNorm((1, 1, 2), num_classes=2, least=2, eps=0.0)
    features = torch.tensor([[0.0, 2.0], [4.0, 6.0], [10.0, 10.0], [10.0, 14.0]]).reshape(4, 1, 1, 2)
    out = norm(features, torch.tensor([0, 0, 1, 1]))
    # class 0: mean 3, variance (9 + 1 + 1 + 9) / 4 = 5; class 1: mean 11, variance (1 + 1 + 1 + 9) / 4 = 3
    wanted = torch.tensor([[-3.0, -1.0], [1.0, 3.0]]) / 5**0.5, torch.tensor([[-1.0, -1.0], [-1.0, 3.0]]) / 3**0.5
    assert torch.allclose(out.reshape(4, 2), torch.cat(wanted), atol=1e-5)
    assert norm.mean.flatten().tolist() == [3.0, 11.0]
    assert norm.square.flatten().tolist() == [14.0, 124.0]  # (0 + 4 + 16 + 36) / 4, (100 + 100 + 100 + 196) / 4


def test_statistics_a_position_by_hand():
    norm = ClassNorm((1, 1, 2), num_classes=2, over="positions", least=2, eps=0.0)
    features = torch.tensor([[0.0, 2.0], [4.0, 8.0], [10.0, 10.0], [12.0, 14.0]]).reshape(4, 1, 1, 2)
    out = norm(features, torch.tensor([0, 0, 1, 1]))
    assert torch.allclose(
        out.reshape(4, 2), torch.tensor([[-1.0, -1.0], [1.0, 1.0], [-1.0, -1.0], [1.0, 1.0]]), atol=1e-5
    )
    assert norm.mean[:, 0].tolist() == [[2.0, 5.0], [11.0, 12.0]]


@pytest.mark.parametrize("over", ["pooled", "positions"])
def test_a_mixed_batch_equals_a_loop_over_the_classes(over):
    norm, features = ClassNorm((3, 4, 5), num_classes=4, over=over), 2 * noise(24, 3, 4, 5) + 1
    source = torch.tensor([0, 1, 3] * 8)  # class 2 is not there
    assert torch.allclose(norm(features, source), by_loop(features, source, over), atol=1e-4)
    assert norm.updates.tolist() == [1, 1, 0, 1]
    assert torch.equal(norm.mean[2], torch.zeros_like(norm.mean[2]))


@pytest.mark.parametrize("over", ["pooled", "positions"])
def test_the_gradient_flows_through_the_statistics(over):
    norm = ClassNorm((2, 2, 2), num_classes=2, over=over, least=4)
    features = noise(8, 2, 2, 2).requires_grad_()
    source, weight = torch.tensor([0, 1] * 4), noise(8, 2, 2, 2, seed=1)
    (mine,) = torch.autograd.grad((norm(features, source) * weight).sum(), features)
    (wanted,) = torch.autograd.grad((by_loop(features, source, over) * weight).sum(), features)
    assert torch.allclose(mine, wanted, atol=1e-4)


def test_running_statistics_are_the_mean_at_first_and_then_move_by_the_momentum():
    norm = ClassNorm((1, 1, 1), num_classes=2, momentum=0.25, least=1)
    for value in (8.0, 0.0, 4.0, 0.0, 16.0):
        norm(torch.full((4, 1, 1, 1), value), torch.zeros(4, dtype=torch.int64))
    # 8, then (8 + 0) / 2 = 4, then (8 + 0 + 4) / 3 = 4, then 3 (a quarter), then 3 + 13 / 4
    assert norm.mean[0].item() == pytest.approx(6.25)
    assert norm.updates.tolist() == [5, 0]
    assert norm.mean[1].item() == 0


def test_in_evaluation_the_running_statistics_are_used_and_stay():
    norm = ClassNorm((1, 1, 2), num_classes=2, eps=0.0).eval()
    norm.mean.copy_(torch.tensor([1.0, 5.0])[:, None, None])
    norm.square.copy_(torch.tensor([5.0, 34.0])[:, None, None])  # variances 4 and 9
    before = {name: tensor.clone() for name, tensor in norm.state_dict().items()}
    out = norm(torch.full((2, 1, 1, 2), 11.0), torch.tensor([0, 1]))
    assert torch.allclose(out.reshape(2, 2), torch.tensor([[5.0, 5.0], [2.0, 2.0]]))
    assert all(torch.equal(tensor, before[name]) for name, tensor in norm.state_dict().items())


def test_too_few_pictures_of_a_class_take_the_running_statistics():
    norm = ClassNorm((1, 1, 1), num_classes=2, least=4, eps=0.0)
    zero = torch.zeros(4, dtype=torch.int64)
    norm(torch.tensor([1.0, 3.0, 1.0, 3.0]).reshape(4, 1, 1, 1), zero)  # mean 2, mean square 5
    out = norm(torch.tensor([6.0, 6.0, 6.0]).reshape(3, 1, 1, 1), zero[:3])
    # they count, too: mean (2 + 6) / 2 = 4, mean square (5 + 36) / 2 = 20.5, variance 4.5
    assert torch.allclose(out.flatten(), torch.full((3,), 2 / 4.5**0.5))
    out = norm(torch.tensor([6.0, 6.0, 6.0, 8.0]).reshape(4, 1, 1, 1), zero)  # enough: mean 6.5, variance 0.75
    assert torch.allclose(out.flatten(), torch.tensor([-0.5, -0.5, -0.5, 1.5]) / 0.75**0.5)


@pytest.mark.parametrize(("over", "few", "enough"), [("pooled", 15, 16), ("positions", 63, 64)])
def test_statistics_of_a_batch_are_made_of_64_numbers_or_more(over, few, enough):
    def moves(count):
        norm = ClassNorm((1, 2, 2), num_classes=1, over=over)
        norm(noise(count, 1, 2, 2), torch.zeros(count, dtype=torch.int64))  # the running ones are now those of these
        features = noise(count, 1, 2, 2, seed=1).requires_grad_()
        out = norm(features, torch.zeros(count, dtype=torch.int64))
        (gradient,) = torch.autograd.grad(out.sum(), features)
        return gradient.abs().max() > 1e-4  # a sum of what is normalised by its own mean does not move

    assert moves(few)
    assert not moves(enough)


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_features_that_are_no_numbers_do_not_stay_in_the_statistics(poison):
    norm, features, source = ClassNorm((2, 2, 2), num_classes=2), noise(8, 2, 2, 2), torch.tensor([0, 1] * 4)
    norm(features, source)
    before = {name: tensor.clone() for name, tensor in norm.state_dict().items()}
    bad = features.clone()
    bad[0, 1, 0, 0] = poison  # of class 0
    out = norm(bad, source)
    assert torch.isfinite(out[1::2]).all()
    for name, tensor in norm.state_dict().items():
        assert torch.equal(tensor[0], before[name][0]), name
        assert torch.isfinite(tensor).all()
    assert norm.updates.tolist() == [1, 2]
    assert torch.isfinite(norm(features, source)).all()


@pytest.mark.parametrize("over", ["pooled", "positions"])
def test_without_a_source_the_likeliest_class_is_taken(over):
    norm, source = ClassNorm((3, 4, 4), num_classes=2, over=over), torch.tensor([0, 1] * 8)
    features = noise(16, 3, 4, 4) + 20 * source[:, None, None, None]  # well apart
    norm(features, source)
    norm.eval()
    assert torch.allclose(norm(features, None), norm(features, source), atol=1e-4)
    assert not torch.allclose(norm(features, None), norm(features, 1 - source), atol=1.0)


def test_a_class_that_was_added_and_not_met_is_never_guessed():
    norm, source = ClassNorm((3, 4, 4), num_classes=2), torch.tensor([0, 1] * 8)
    features = noise(16, 3, 4, 4) + 20 * source[:, None, None, None]
    norm(features, source)
    norm.eval()
    between = noise(4, 3, 4, 4) + 10  # just what the new class starts with
    before = norm(between, None)
    norm.grow()
    assert torch.equal(norm(between, None), before)
    norm.train()(between, torch.full((4,), 2))
    assert norm.met.tolist() == [1, 1, 1]
    assert not torch.allclose(norm.eval()(between, None), before, atol=0.1)


def test_a_blend_of_sources_mixes_their_statistics():
    norm = ClassNorm((1, 1, 1), num_classes=2, eps=0.0).eval()
    norm.mean.copy_(torch.tensor([0.0, 4.0])[:, None, None])
    norm.square.copy_(torch.tensor([1.0, 17.0])[:, None, None])
    out = norm(torch.full((2, 1, 1, 1), 4.0), torch.tensor([[0.5, 0.5], [0.0, 1.0]]))
    assert torch.allclose(out.flatten(), torch.tensor([2 / 5**0.5, 0.0]))  # mean 2, mean square 9


def test_half_a_precision_keeps_whole_statistics():
    norm, source = ClassNorm((2, 4, 4), num_classes=2).to(torch.bfloat16), torch.tensor([0, 1] * 8)
    features = noise(16, 2, 4, 4)
    out = norm(features.bfloat16(), source)
    assert out.dtype == torch.bfloat16
    assert torch.allclose(out.float(), by_loop(features.bfloat16().float(), source, "pooled"), atol=0.02)
    for given in (None, source, torch.full((16, 2), 0.5)):
        assert torch.isfinite(norm.eval()(features.bfloat16(), given)).all()


class Count(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.calls += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("how", ["training", "evaluation", "unknown"])
def test_many_classes_take_no_more_operations_than_two(how):
    def operations(number):
        norm, features, source = ClassNorm((2, 2, 2), num_classes=number), noise(8, 2, 2, 2), torch.arange(8) % number
        norm.train(how == "training")
        with Count() as count:
            norm(features, None if how == "unknown" else source)
        return count.calls

    assert operations(200) == operations(2) > 5


def test_the_number_of_pictures_can_be_none():
    norm = ClassNorm((2, 2, 2), num_classes=2)
    for source in (None, torch.zeros(0, dtype=torch.int64)):
        assert norm(torch.zeros(0, 2, 2, 2), source).shape == (0, 2, 2, 2)
    assert norm.updates.tolist() == [0, 0]


def test_an_unknown_word_is_told_with_those_that_are_known():
    with pytest.raises(ConfigError, match="over is 'all'; known here: pooled, positions"):
        ClassNorm((1, 2, 2), num_classes=2, over="all")
    with pytest.raises(ConfigError, match="modulation is 'style'; known here: adain, film, none"):
        Modulation(2, embedding=2, kind="style")


# The others.


def test_rms_norm_by_hand():
    assert torch.allclose(rms_norm(torch.tensor([[3.0, 4.0]]), dim=1), torch.tensor([[3.0, 4.0]]) / 12.5**0.5)
    assert torch.equal(rms_norm(torch.zeros(1, 2), dim=1), torch.zeros(1, 2))
    assert rms_norm(torch.ones(1, 2, dtype=torch.bfloat16), dim=1).dtype == torch.bfloat16


def test_upscale_lays_four_channels_out_as_two_by_two_pixels():
    upscale = Upscale(3, 2)
    nn.init.zeros_(upscale.conv.weight)
    upscale.conv.bias.data = torch.arange(8.0)
    out = upscale(torch.rand(1, 3, 2, 3))
    assert torch.equal(out[0, 0], torch.tensor([[0.0, 1.0], [2.0, 3.0]]).repeat(2, 3))
    assert torch.equal(out[0, 1], torch.tensor([[4.0, 5.0], [6.0, 7.0]]).repeat(2, 3))


def test_upscale_keeps_places_in_their_places():
    upscale = Upscale(1, 1)
    nn.init.zeros_(upscale.conv.weight)
    nn.init.zeros_(upscale.conv.bias)
    upscale.conv.weight.data[:, 0, 1, 1] = 1
    image = noise(1, 1, 3, 5)
    assert torch.equal(upscale(image), image.repeat_interleave(2, 2).repeat_interleave(2, 3))


def modulation(kind):
    one = Modulation(2, embedding=1, kind=kind)
    if kind != "none":
        one.affine.weight.data = torch.tensor(
            [[1.0], [0.0], [0.0], [5.0]]
        )  # scale of both channels, then offset of both
        nn.init.zeros_(one.affine.bias)
    return one


def test_film_scales_and_shifts_by_the_class():
    out = modulation("film")(torch.ones(2, 2, 1, 2), torch.tensor([[0.0], [2.0]]))
    assert out[:, :, 0, 0].tolist() == [[1.0, 1.0], [3.0, 11.0]]


@pytest.mark.parametrize("training", [True, False])
def test_adain_normalises_first(training):
    features = torch.tensor([[1.0, 3.0], [10.0, 30.0], [7.0, 5.0], [0.0, 8.0]]).reshape(2, 2, 1, 2)
    out = modulation("adain").train(training)(features, torch.tensor([[2.0], [-1.0]]))
    wanted = torch.tensor([[-3.0, 3.0], [9.0, 11.0], [0.0, 0.0], [-6.0, -4.0]])
    assert torch.allclose(out, wanted.reshape(2, 2, 1, 2), atol=1e-3)


def test_adain_has_the_same_gradients_in_training_as_in_evaluation():
    features, embedding = noise(3, 2, 4, 5).requires_grad_(), noise(3, 1)
    one = modulation("adain")
    weights = [features, *one.parameters()]

    def gradients(training):
        out = one.train(training)(features, embedding)
        return torch.autograd.grad((out * noise(3, 2, 4, 5)).square().sum(), weights)

    for fused, plain in zip(gradients(True), gradients(False), strict=True):
        assert torch.allclose(fused, plain, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["adain", "film"])
@pytest.mark.parametrize("training", [True, False])
def test_half_precision_stays_half_under_autocast(kind, training):
    one, features, embedding = modulation(kind).train(training), noise(3, 2, 4, 5), noise(3, 1)
    wanted = one(features, embedding)
    with torch.autocast("cpu", torch.bfloat16):
        out = one(features.bfloat16(), embedding)
    assert out.dtype == torch.bfloat16
    assert torch.allclose(out.float(), wanted, atol=0.1)


@pytest.mark.parametrize("kind", ["adain", "film", "none"])
@pytest.mark.parametrize("training", [True, False])
def test_no_pictures_are_modulated_to_none(kind, training):
    assert modulation(kind).train(training)(torch.zeros(0, 2, 4, 4), torch.zeros(0, 1)).shape == (0, 2, 4, 4)


def test_no_modulation_is_none():
    features = noise(1, 2, 2, 2)
    assert torch.equal(modulation("none")(features, torch.ones(1, 1)), features)
    assert list(modulation("none").parameters()) == []


def test_a_residual_block_starts_near_its_input():
    block = ResidualBlock(8, embedding=4, modulation="none")
    initialise(block)
    features = noise(1, 8, 8, 8).abs()
    assert (block(features, torch.zeros(1, 4)) - features).square().mean() < features.square().mean()


@pytest.mark.parametrize("count", [0, -1, 1.0, "1", None, True])
def test_what_counts_something_is_a_whole_number_from_one_up(count):
    with pytest.raises(ConfigError, match=r"Part.width is .*; it is a whole number from 1 up"):
        check_counts("Part", width=count)


def test_so_many_stages_are_a_mistake():
    check_counts("Part", stages=16, width=10**9)
    with pytest.raises(ConfigError, match=r"Part.stages is more than 16"):
        check_counts("Part", stages=10**9)
    with pytest.raises(ConfigError, match=r"Part.depth is 1000000, and 16 is the most"):
        check_counts("Part", depth=1_000_000)


@pytest.mark.parametrize("shape", [(3, 64, 64), [3, 64, 32], torch.Size((3, 64, 64))])
def test_a_shape_that_divides_is_given_as_a_tuple(shape):
    assert image_shape(shape, multiple=32, part="Part") == tuple(shape)


@pytest.mark.parametrize(
    "shape", [5, None, (64, 64), (3, 64, 64, 1), (3, 64.0, 64), (3, 0, 64), (3, -64, 64), "abc", (True, 64, 64)]
)
def test_what_is_no_shape_is_refused(shape):
    with pytest.raises(ShapeError, match="Part needs a shape"):
        image_shape(shape, multiple=1, part="Part")


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [((3, 50, 70), "48 x 64 or 64 x 80"), ((3, 5, 16), "16 x 16"), ((3, 64, 65), "64 x 64 or 64 x 80")],
)
def test_the_sizes_around_are_suggested(shape, wanted):
    with pytest.raises(ShapeError, match=f"multiples of 16; .*: use {wanted}$"):
        image_shape(shape, multiple=16, part="Part")
