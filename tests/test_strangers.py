"""People who are in no class: what is measured of them, who is told, and that it is used."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_model import met, pictures, small
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from condswap import CGAN, Bottleneck, DataError, ShapeError
from condswap.parts import ClassNorm
from condswap.roles import Stranger


def stranger(mean, square, count):
    """Statistics of (1, 1, p) features, written down."""
    first, second = (torch.tensor(one, dtype=torch.float32).reshape(1, 1, -1) for one in (mean, square))
    return Stranger(mean=first, square=second, count=count)


# What is measured.


@pytest.mark.parametrize("masked", [False, True])
def test_the_statistics_are_those_of_all_the_pictures(masked):
    model, image = met(small()), pictures(70)  # more than are encoded at once
    mask = torch.zeros(70, 1, 32, 32)
    mask[..., 8:24, 8:24] = 1
    anna = model.stranger(image, mask if masked else None)
    features = torch.stack(
        [model.generator.encode(one[None], mask[:1] if masked else None)[0] for one in image]
    ).double()
    assert anna.count == 70
    assert torch.allclose(anna.mean.double(), features.mean(0), atol=1e-5)
    assert torch.allclose(anna.square.double(), features.square().mean(0), atol=1e-5)


def test_measuring_leaves_no_trace():
    model = met(small()).train()
    model.generator.decoder.eval()
    modes = [module.training for module in model.modules()]
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    anna = model.stranger(pictures())
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert not anna.mean.requires_grad
    assert not anna.square.requires_grad


def test_a_stranger_fits_into_two_tensors_and_a_number(tmp_path):
    model = met(small())
    anna = model.stranger(pictures())
    save_file({"mean": anna.mean, "square": anna.square}, tmp_path / "anna.safetensors")
    again = Stranger(**load_file(tmp_path / "anna.safetensors"), count=anna.count)
    assert torch.equal(model.swap(pictures(), "bob", source=again), model.swap(pictures(), "bob", source=anna))


# How it is used.


def test_many_pictures_of_a_stranger_are_their_own_statistics():
    norm = ClassNorm((1, 1, 2), num_classes=2, eps=0.0).eval()
    norm.mean.fill_(50.0)
    norm.square.fill_(2600.0)
    # pooled: mean (1 + 5) / 2 = 3, mean square (2 + 26) / 2 = 14, variance 5
    out = norm(torch.tensor([[8.0, 3.0]]).reshape(1, 1, 1, 2), stranger([1.0, 5.0], [2.0, 26.0], 10**9))
    assert torch.allclose(out.flatten(), torch.tensor([5.0, 0.0]) / 5**0.5, atol=1e-4)


def test_many_pictures_of_a_stranger_are_their_own_statistics_at_every_position():
    norm = ClassNorm((1, 1, 2), num_classes=2, over="positions", eps=0.0).eval()
    # variances 5 - 1 = 4 and 34 - 25 = 9
    out = norm(torch.tensor([[7.0, 2.0]]).reshape(1, 1, 1, 2), stranger([1.0, 5.0], [5.0, 34.0], 10**9))
    assert torch.allclose(out.flatten(), torch.tensor([3.0, -1.0]), atol=1e-4)


def test_one_picture_of_a_stranger_counts_as_much_as_the_likeliest_class():
    norm = ClassNorm((1, 1, 1), num_classes=2, eps=0.0).eval()
    norm.mean.copy_(torch.tensor([0.0, 100.0])[:, None, None])
    norm.square.copy_(torch.tensor([1.0, 10001.0])[:, None, None])  # variances 1
    # near class 0: mean (0 + 2) / 2 = 1, mean square (1 + 4) / 2 = 2.5, variance 1.5
    out = norm(torch.tensor([4.0]).reshape(1, 1, 1, 1), stranger([2.0], [4.0], 1))
    assert out.item() == pytest.approx(3 / 1.5**0.5, abs=1e-4)


def test_more_pictures_of_a_stranger_count_more():
    norm = ClassNorm((1, 1, 1), num_classes=1).eval()
    features = torch.zeros(1, 1, 1, 1)
    shifts = [float(-norm(features, stranger([1.0], [2.0], count))) for count in (1, 2, 4, 32, 1000)]
    assert shifts == sorted(shifts)
    assert shifts[0] < 0.7 < 0.95 < shifts[3] < shifts[4] < 1


@pytest.mark.parametrize("over", ["pooled", "positions"])
def test_one_picture_of_a_stranger_is_enough(over):
    norm = ClassNorm((3, 4, 4), num_classes=2, over=over)
    features = torch.randn(16, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    norm(features, torch.tensor([0, 1] * 8))
    alone = Stranger(mean=features[0] + 2, square=(features[0] + 2).square(), count=1)
    out = norm.eval()(features + 2, alone)
    assert out.abs().max() < 10  # the variance of one picture at one place is 0, and must not be divided by


@pytest.mark.parametrize("bottleneck", ["cross_attention", "mlp"])
def test_who_the_stranger_is_matters(bottleneck):
    model, image = met(small(bottleneck=bottleneck)), pictures()
    bright, dark = (model.stranger(part) for part in (0.5 + pictures(8) / 2, pictures(8) / 4))
    outputs = [model.swap(image, "bob", source=source) for source in (None, "anna", bright, dark)]
    for number, one in enumerate(outputs):
        for other in outputs[:number]:
            assert (one - other).abs().max() > 1e-4


def test_a_picture_of_a_stranger_comes_out_the_same_alone():
    model, image = met(small()), pictures(4)
    anna = model.stranger(image)
    together = model.swap(image, ["bob", "anna", "bob", "bob"], source=anna)
    assert torch.allclose(model.swap(image[1:2], "anna", source=anna), together[1:2], atol=1e-5)


def test_a_stranger_is_the_same_in_training_mode():
    model, image = met(small()), pictures()
    anna = model.stranger(image)
    wanted = model.generator(image, "bob", anna).image
    model.train().generator.bottleneck.noise.eval()
    # other kernels, the same mathematics
    assert torch.allclose(model.generator(image, "bob", anna).image, wanted, atol=1e-5)


def test_a_model_in_half_precision_has_whole_statistics():
    model, image = met(small()), pictures(8)
    exact = model.stranger(image)
    anna = model.bfloat16().stranger(image)
    assert anna.mean.dtype == anna.square.dtype == torch.float32
    assert torch.allclose(anna.mean, exact.mean, atol=0.1)
    assert torch.isfinite(model.swap(image, "bob", source=anna)).all()


class NoLooking(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("Python looks at a number, which a traced graph would then hold")
        return func(*args, **(kwargs or {}))


def test_python_looks_at_no_number_of_a_stranger_so_that_a_graph_can_be_traced():
    model, image, label = met(small()).generator, pictures(), torch.tensor([0, 1])
    anna = model.stranger(image)
    with NoLooking(), torch.no_grad():
        features = model.encode(image)
        assert torch.isfinite(model.show(features, label, anna).image).numel() == image.numel()
        with pytest.raises(RuntimeError, match="Python looks at a number"):
            float(features[0, 0, 0, 0])


# Who is told.


class DeafBottleneck(Bottleneck):
    """Keeps what it is told, and ignores it; it knows nothing of strangers."""

    def __init__(self, in_shape, *, num_classes):
        super().__init__()
        self.in_shape, self.out_shape, self.num_classes = tuple(in_shape), (8, *in_shape[1:]), num_classes
        self.lift, self.told = nn.Conv2d(in_shape[0], 8, 1), []

    def forward(self, features, label, source=None):
        self.told.append(source)
        return self.lift(features) * (1 + label[:, None, None, None])


class KeenBottleneck(DeafBottleneck):
    strangers = True


def with_bottleneck(kind):
    model = small()
    generator = model.generator
    return CGAN(
        generator.encoder,
        kind((4, 8, 8), num_classes=2),
        generator.decoder,
        model.discriminator,
        classes=("anna", "bob"),
    )


def test_a_bottleneck_that_knows_of_no_strangers_is_told_nothing():
    model, image = with_bottleneck(DeafBottleneck), pictures()
    anna = model.stranger(image)
    assert torch.equal(model.swap(image, "bob", source=anna), model.swap(image, "bob"))
    assert model.generator.bottleneck.told == [None, None]


def test_a_bottleneck_that_knows_of_strangers_is_told():
    model, image = with_bottleneck(KeenBottleneck), pictures()
    anna = model.stranger(image)
    model.swap(image, "bob", source=anna)
    assert model.generator.bottleneck.told == [anna]


def test_the_bottlenecks_of_the_paper_do_not_notice():
    model = CGAN.paper(32, classes=["anna", "bob"])
    image = pictures()
    assert torch.equal(model.swap(image, "bob", source=model.stranger(image)), model.swap(image, "bob"))


# What is refused.


def test_the_stranger_of_another_model_is_refused_with_the_cure():
    with pytest.raises(
        ShapeError, match=r"stranger are \(4, 4, 4\) and the encoder gives \(4, 8, 8\); measure them with"
    ):
        small().swap(pictures(), "bob", source=small(size=(16, 16)).stranger(pictures(size=(16, 16))))


def test_a_stranger_cannot_be_shown():
    model = small()
    with pytest.raises(DataError, match=r"a label is a name.*not Stranger\(count=2\)"):
        model.swap(pictures(), model.stranger(pictures()))


@pytest.mark.parametrize(
    ("image", "mask", "error"),
    [
        (pictures(0), None, DataError),
        (pictures() * 255, None, DataError),
        (pictures(size=(16, 16)), None, ShapeError),
        (pictures(), torch.ones(1, 1, 32, 32), ShapeError),
        (pictures(), torch.full((2, 1, 32, 32), 2.0), DataError),
    ],
    ids=["none", "bytes", "size", "mask of another number", "mask out of range"],
)
def test_pictures_that_a_stranger_cannot_be_measured_on_are_refused(image, mask, error):
    with pytest.raises(error):
        small().stranger(image, mask)
