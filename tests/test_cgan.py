"""Assemble, show, swap, add a class, and the config: what the contract's page promises."""

import copy
import json
import math
import pickle

import pytest
import torch
from small_model import met, pictures, small

from condswap import (
    CGAN,
    CondswapError,
    ConfigError,
    ConvDecoder,
    ConvEncoder,
    CrossAttentionBottleneck,
    DataError,
    MLPBottleneck,
    MLPDiscriminator,
    Objective,
    PatchDiscriminator,
    ShapeError,
)

# Assemble.


@pytest.mark.parametrize(("word", "kind"), [("cross_attention", CrossAttentionBottleneck), ("mlp", MLPBottleneck)])
def test_the_default_is_assembled_from_a_size_and_names(word, kind):
    model = CGAN.default(64, classes=["biden", "trump"], bottleneck=word)
    assert model.classes == ("biden", "trump")
    assert type(model.generator.bottleneck) is kind
    assert model.image_shape == (3, 64, 64)
    assert model(torch.rand(2, 3, 64, 64), "trump").shape == (2, 3, 64, 64)


def test_the_default_bottleneck_is_cross_attention():
    assert type(CGAN.default(32, classes=["a"]).generator.bottleneck) is CrossAttentionBottleneck


@pytest.mark.parametrize("word", ["cross_attention", "mlp"])
def test_the_noise_on_the_code_can_be_chosen(word):
    assert CGAN.default(32, classes=["a"], bottleneck=word).generator.bottleneck.noise.deviation == 0.3
    model = CGAN.default(32, classes=["a"], bottleneck=word, noise=0.15)
    assert model.generator.bottleneck.noise.deviation == model.config()["bottleneck"]["noise"] == 0.15
    with pytest.raises(ConfigError, match="noise is -1; it is a finite number from 0 up"):
        CGAN.default(32, classes=["a"], bottleneck=word, noise=-1)


@pytest.mark.parametrize("assemble", [CGAN.default, CGAN.paper])
def test_an_unknown_bottleneck_is_told_with_those_that_are_known(assemble):
    with pytest.raises(ConfigError, match="bottleneck is 'transformer'; known here: .*mlp"):
        assemble(64, classes=["a", "b"], bottleneck="transformer")


def test_every_part_by_hand():
    encoder = ConvEncoder((3, 128, 128), width=8)
    bottleneck = CrossAttentionBottleneck(encoder.out_shape, num_classes=2)
    decoder = ConvDecoder(bottleneck.out_shape, num_classes=2, width=8)
    model = CGAN(
        encoder, bottleneck, decoder, PatchDiscriminator(decoder.out_shape, num_classes=2), classes=["biden", "trump"]
    )
    assert model.classes == ("biden", "trump")
    assert model(torch.rand(1, 3, 128, 128), "trump").shape == (1, 3, 128, 128)
    assert model.discriminator(torch.rand(1, 3, 128, 128), torch.tensor([1])).ndim >= 2


@pytest.mark.parametrize("bottleneck", ["cross_attention", "mlp"])
@pytest.mark.parametrize("size", [(32, 48), (64, 32), (16, 32)])
def test_pictures_need_not_be_square(size, bottleneck):
    model, image = CGAN.default(size, classes=["a", "b"], bottleneck=bottleneck), pictures(1, size=size)
    assert model.image_shape == (3, *size)
    assert model.swap(image, "b", mask=torch.ones(1, 1, *size)).shape == image.shape
    assert CGAN.default(list(size), classes=["a", "b"]).image_shape == (3, *size)


def sizes_in(message: str) -> list[tuple[int, int]]:
    suggested = message.split("use ")[-1].split(" or ")
    return [(int(height), int(width)) for height, width in (one.split(" x ") for one in suggested)]


@pytest.mark.parametrize("size", [17, 33, 47, 50, 62, 63, 65, 100, 127, 129, (127, 130), (40, 33), (64, 66), (90, 127)])
def test_a_size_that_does_not_divide_is_told_with_sizes_that_do(size):
    with pytest.raises(ShapeError, match="multiples of") as caught:
        CGAN.default(size, classes=["a"])
    suggested = sizes_in(str(caught.value))
    assert len(suggested) == 2
    height, width = size if isinstance(size, tuple) else (size, size)
    for one in suggested:
        assert max(abs(one[0] - height), abs(one[1] - width)) <= max(height, width) / 2
        assert CGAN.default(one, classes=["a"]).image_shape == (3, *one)


@pytest.mark.parametrize("bottleneck", ["mlp", "attention"])
@pytest.mark.parametrize("size", [16, 48, 50, 80, (64, 50), (63, 97)])
def test_a_size_that_does_not_divide_for_the_paper_is_told_with_sizes_that_do(size, bottleneck):
    with pytest.raises(ShapeError, match="multiples of 32") as caught:
        CGAN.paper(size, classes=["a"], bottleneck=bottleneck)
    for one in sizes_in(str(caught.value)):
        with torch.device("meta"):
            assert CGAN.paper(one, classes=["a"], bottleneck=bottleneck).image_shape == (3, *one)


@pytest.mark.parametrize(
    "size", [0, -64, 8, 15, True, 64.0, None, "64", (64,), (64, 64, 3), (64, 64.0), (64, "64"), {64}], ids=str
)
@pytest.mark.parametrize("assemble", [CGAN.default, CGAN.paper])
def test_what_is_no_size_is_refused(size, assemble):
    with pytest.raises(ShapeError, match="image_size is the side in pixels"):
        assemble(size, classes=["a"])


def test_the_code_is_four_to_seven_places_high():
    for size in (32, 48, 64, 96, 112, 128, 160, 192, 224, 256):
        with torch.device("meta"):
            assert 4 <= CGAN.default(size, classes=["a"]).generator.encoder.out_shape[1] <= 7


def test_one_class_is_enough():
    model = small(["anna"])
    assert torch.equal(model.swap(pictures(), "anna"), model.swap(pictures(), 0, source="anna"))
    assert model.discriminator(pictures(), torch.tensor([0, 0])).shape[0] == 2


@pytest.mark.parametrize("bottleneck", ["cross_attention", "mlp"])
def test_many_classes_are_a_table_not_a_loop(bottleneck):
    names = [f"person {number}" for number in range(256)]
    model = met(small(names, bottleneck=bottleneck))
    assert model.swap(pictures(), ["person 3", "person 255"]).shape == (2, 3, 32, 32)
    assert len({id(module) for module in model.modules()}) == len(
        {id(module) for module in small(bottleneck=bottleneck).modules()}
    )


def test_a_label_changes_the_picture_and_so_does_the_picture():
    model = small()
    assert not torch.equal(model(pictures(), "anna"), model(pictures(), "bob"))
    assert not torch.equal(model(pictures(), "anna"), model(pictures(seed=5), "anna"))


def test_the_output_is_in_range():
    out = small()(pictures(), "bob")
    assert 0 <= out.min() <= out.max() <= 1


def test_no_pictures_give_no_pictures():
    model = small()
    assert model(torch.rand(0, 3, 32, 32), "bob").shape == (0, 3, 32, 32)
    assert model.swap(torch.rand(0, 3, 32, 32), "bob", mask=torch.rand(0, 1, 32, 32)).shape == (0, 3, 32, 32)


# Bad pictures.


@pytest.mark.parametrize("call", ["forward", "swap"])
@pytest.mark.parametrize(
    ("image", "error", "told"),
    [
        (lambda image: 255 * image, DataError, "divide by 255"),
        (lambda image: (255 * image).byte(), DataError, r"torch.uint8; use image.float\(\) / 255"),
        (lambda image: 2 * image - 1, DataError, r"shift to \[0, 1\]"),
        (lambda image: torch.where(image < 0.5, image, torch.nan), DataError, "go from nan to nan"),
        (lambda image: image[0], ShapeError, r"got \(3, 32, 32\); add the batch dimension with image\[None\]"),
        (lambda image: image[:, :1], ShapeError, r"images \(b, 3, 32, 32\) and got \(2, 1, 32, 32\)"),
        (lambda image: image[..., :16], ShapeError, r"got \(2, 3, 32, 16\); resize"),
        (lambda image: image.movedim(1, -1), ShapeError, r"got \(2, 32, 32, 3\)"),
        (lambda image: image.numpy(), ShapeError, "got ndarray"),
        (lambda image: None, ShapeError, "got NoneType"),
    ],
    ids=["0..255", "uint8", "-1..1", "nan", "3-dim", "grey", "narrow", "channels-last", "numpy", "none"],
)
def test_a_picture_that_cannot_be_shown_is_told_with_the_cure(call, image, error, told):
    model = small()
    with pytest.raises(error, match=told):
        (model if call == "forward" else model.swap)(image(pictures()), "bob")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_pictures_in_another_precision_come_back_in_it(dtype):
    image = pictures()
    out = small().swap(image.to(dtype), "bob")
    assert out.dtype == dtype
    assert (out.float() - small().swap(image, "bob")).abs().max() < 0.05


# Swap.


def test_swap_shows_the_class():
    model, image = small(), pictures()
    out = model.swap(image, "bob")
    assert out.shape == image.shape
    assert 0 <= out.min() <= out.max() <= 1
    assert not out.requires_grad
    assert not torch.equal(out, model.swap(image, "anna"))


def face_all_over(model):
    """The model with a mask of its own that is one everywhere, so that only the mask that is given can hold it back."""
    with torch.no_grad():
        model.generator.decoder.heads.conv.bias[12:] += 20
    return model


@pytest.mark.parametrize("side", [32, 128])
def test_with_a_mask_the_outside_is_untouched_bit_for_bit(side):
    model, image = face_all_over(small(size=(side, side))), pictures(size=(side, side))
    mask = torch.zeros(2, 1, side, side)
    mask[0, :, 4:28, 9:20], mask[1, :, :, :5] = 1, 1
    mask[0, 0, 15, 15] = 0  # a hole
    for soft in (mask, mask * 0.9, torch.nn.functional.avg_pool2d(mask, 3, 1, 1)):
        out = model.swap(image, "bob", source="anna", mask=soft)
        outside = (soft == 0).expand_as(image)
        assert torch.equal(out[outside], image[outside])
        assert (out[~outside] != image[~outside]).any()


def test_the_outside_is_untouched_even_where_the_face_is_no_number():
    model, image, mask = face_all_over(small()), pictures(), torch.zeros(2, 1, 32, 32)
    mask[..., 8:24, 8:24] = 1
    with torch.no_grad():
        model.generator.decoder.heads.conv.bias[:12] = torch.nan
    out = model.swap(image, "bob", mask=mask)
    assert torch.equal(out[(mask == 0).expand_as(image)], image[(mask == 0).expand_as(image)])


@pytest.mark.parametrize("side", [32, 64, 128])
def test_the_edge_of_a_swap_is_soft_at_every_size(side):
    model, image = face_all_over(small(size=(side, side))), torch.full((1, 3, side, side), 0.5)
    mask = torch.zeros(1, 1, side, side)
    mask[..., side // 2 :] = 1  # the right half
    out = model.swap(image, "bob", mask=mask)
    share = ((out - image) / (model.generator(image, "bob", None, mask).image - image)).median(dim=2).values[0, 0]
    within = share[side // 2 :]
    # At the first pixel of the face the Gaussian of 2 % of the side lies inside with its middle and one of its sides.
    tail = sum(math.exp(-((step / (0.02 * side)) ** 2) / 2) for step in range(1, side))
    first = 2 * (1 + tail) / (1 + 2 * tail) - 1
    assert share[: side // 2].abs().max() == 0
    assert abs(within[0] - first) < 0.01
    assert (within.diff() > -1e-3).all()
    assert within[-1] > 0.99


def test_a_mask_of_zeros_changes_nothing():
    assert torch.equal(small().swap(pictures(), "bob", mask=torch.zeros(2, 1, 32, 32)), pictures())


def test_deep_inside_a_mask_there_is_the_face_alone():
    model, image, mask = small(), pictures(), torch.ones(2, 1, 32, 32)
    with torch.no_grad():
        model.generator.decoder.heads.conv.bias[12:] += 20
    out = model.swap(image, "bob", mask=mask)
    assert torch.allclose(out, model.generator(image, "bob", None, mask).image, atol=1e-5)


@pytest.mark.parametrize(
    "mask",
    [torch.full((2, 1, 32, 32), 255.0), torch.full((2, 1, 32, 32), torch.nan), -torch.ones(2, 1, 32, 32)],
    ids=["255", "nan", "-1"],
)
def test_a_mask_out_of_range_is_refused(mask):
    with pytest.raises(DataError, match=r"masks are in \[0, 1\]"):
        small().swap(pictures(), "bob", mask=mask)


def test_swap_leaves_no_trace():
    model, image = met(small()).train(), pictures()
    model.generator.decoder.eval()
    modes = [module.training for module in model.modules()]
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    kept, random = image.clone(), torch.get_rng_state()
    model.swap(image, "bob", source="anna", mask=torch.ones(2, 1, 32, 32))
    with pytest.raises(DataError):
        model.swap(image, "carl")
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(image, kept)
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.is_grad_enabled()


def test_swap_is_the_same_in_training_mode():
    model = met(small())
    wanted = model.swap(pictures(), "bob")
    assert torch.equal(model.train().swap(pictures(), "bob"), wanted)


def test_a_picture_comes_out_the_same_alone():
    model = met(small())
    both = model.swap(pictures(4), "bob")
    assert torch.allclose(model.swap(pictures(4)[2:3], "bob"), both[2:3], atol=1e-5)


# One more class.


@pytest.mark.parametrize("bottleneck", ["cross_attention", "mlp"])
@pytest.mark.parametrize("trained", [False, True])
def test_one_more_class_does_not_move_the_others(bottleneck, trained):
    model = small(bottleneck=bottleneck)
    if trained:
        met(model)
    image, label = pictures(), torch.tensor([0, 1])

    def shown():
        return [model.swap(image, to, source=source) for to in ("anna", "bob") for source in (None, "anna", "bob")] + [
            model.discriminator(image, label),
            model(image, "bob"),
        ]

    before = shown()
    model.add_class("carl")
    assert model.classes == ("anna", "bob", "carl")
    for one, other in zip(before, shown(), strict=True):
        assert torch.equal(one, other)
    model.add_class("dora")
    for one, other in zip(before, shown(), strict=True):
        assert torch.equal(one, other)
    for new in ("carl", "dora", 3, {"anna": 1, "dora": 1}):
        assert torch.isfinite(model.swap(image, new)).all()
    assert torch.isfinite(model.swap(image, "anna", source="carl")).all()
    assert torch.isfinite(model.discriminator(image, torch.tensor([2, 3]))).all()


def test_one_more_class_can_be_trained_and_saved(tmp_path):
    model = met(small())
    model.add_class("carl")
    label = torch.tensor([2, 2, 2, 2, 0, 0, 0, 0])
    model.train().generator(pictures(8), label, label).image.mean().backward()
    table = model.generator.bottleneck.bank.weight
    assert table.grad[2].abs().sum() > 0
    model.eval().save_pretrained(tmp_path)
    loaded = CGAN.from_pretrained(tmp_path)
    assert loaded.classes == ("anna", "bob", "carl")
    assert torch.equal(loaded.swap(pictures(), "carl"), model.swap(pictures(), "carl"))


@pytest.mark.parametrize("name", ["anna", "", " ", None, 3])
def test_a_name_that_is_taken_or_none_is_refused(name):
    model = small()
    with pytest.raises(ConfigError, match="classes "):
        model.add_class(name)
    assert model.classes == ("anna", "bob")
    assert model.generator.bottleneck.num_classes == 2


def test_a_copy_of_the_model_does_not_grow_with_it():
    model = small()
    other = copy.deepcopy(model)
    model.add_class("carl")
    assert other.classes == ("anna", "bob")
    assert other.config()["bottleneck"]["num_classes"] == 2
    assert other.swap(pictures(), "bob").shape == (2, 3, 32, 32)


# The config.


@pytest.mark.parametrize(
    "model",
    [
        lambda: CGAN.default((32, 48), classes=["a", "b", "c"]),
        lambda: CGAN.default(32, classes=["a"], bottleneck="mlp"),
        lambda: CGAN.paper(32, classes=["a", "b"], bottleneck="attention"),
        lambda: small(
            ['Zo\u00eb "the" \\ \n', "\u4e8c"],
            objective=Objective(l1=0.125, adversarial_loss="hinge"),
            masked_input=False,
        ),
    ],
    ids=["default", "mlp", "paper", "odd"],
)
def test_the_config_makes_the_same_model_again(model):
    one = model().eval()
    other = CGAN.from_config(json.loads(json.dumps(one.config(), allow_nan=False))).eval()
    assert other.config() == one.config()
    assert other.classes == one.classes
    assert other.objective == one.objective
    other.load_state_dict(one.state_dict())
    image = pictures(1, size=one.image_shape[1:])
    assert torch.equal(other.swap(image, 0), one.swap(image, 0))


def changed(config, **changes):
    return {key: value for key, value in {**config, **changes}.items() if value != "missing"}


@pytest.mark.parametrize(
    "changes",
    [
        *[
            {key: "missing"}
            for key in (
                "condswap",
                "classes",
                "encoder",
                "bottleneck",
                "decoder",
                "discriminator",
                "objective",
                "masked_input",
            )
        ],
        *[{"condswap": value} for value in (2, 99, 0, -1, True, "1", 1.0, None)],
        *[{"classes": value} for value in ("ab", ["a"], ["a", "a"], ["a", 1], None, {}, [["a"], "b"])],
        *[{"masked_input": value} for value in (None, 1, "yes")],
        *[{"encoder": value} for value in (None, {}, [], "ConvEncoder", {"type": "ConvDecoder"})],
        *[
            {"objective": value}
            for value in (
                None,
                [],
                {"l1": "1"},
                {"l1": -1},
                {"l1": True},
                {"l2": 1},
                {"l1": None},
                {"whole_image": 1},
                {"adversarial_loss": "wasserstein"},
                {"adversarial_loss": 5},
            )
        ],
        {"surprise": 1},
    ],
    ids=str,
)
def test_a_config_that_is_none_of_ours_is_refused(changes):
    with pytest.raises(ConfigError):
        CGAN.from_config(changed(small().config(), **changes))


@pytest.mark.parametrize("config", [None, [], "config", 5, {}])
def test_what_is_no_config_at_all_is_refused(config):
    with pytest.raises(ConfigError, match="not the config of a condswap model"):
        CGAN.from_config(config)


def test_a_newer_config_says_how_to_update():
    with pytest.raises(
        ConfigError, match=r"format 2, and this condswap reads up to 1; update with `pip install -U condswap`"
    ):
        CGAN.from_config(changed(small().config(), condswap=2))


def test_the_paper_has_the_losses_of_the_paper():
    model = CGAN.paper(32, classes=["a", "b"], bottleneck="mlp")
    assert (model.objective.dssim, model.objective.adversarial, model.objective.l1) == (
        200.0,
        0.05,
        0.0,
    )  # 100 (1 - SSIM)
    assert type(model.discriminator) is MLPDiscriminator
    assert not model.generator.masked_input
    assert model.swap(pictures(), "b").shape == (2, 3, 32, 32)


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["deep", "pickle"]
)
def test_a_copied_model_swaps_the_same(copied):
    model = met(small())
    assert torch.equal(copied(model).swap(pictures(), "bob"), model.swap(pictures(), "bob"))
    assert copied(model).config() == model.config()


def test_every_refusal_is_a_condswap_error():
    for error in (ConfigError, ShapeError, DataError):
        assert issubclass(error, CondswapError)
        assert issubclass(error, ValueError)


def test_a_config_whose_account_of_the_training_is_none_is_refused():
    config = {**small().config(), "training": ["much"]}
    with pytest.raises(ConfigError, match="training"):
        CGAN.from_config(config)


@pytest.mark.parametrize(("size", "detail"), [(64, 0.0), (112, 0.0), (128, 2.0), (160, 2.0)])
def test_from_128_pixels_on_the_discriminator_judges_detail(size, detail):
    assert CGAN.default(size, classes=["anna", "bob"]).config()["discriminator"]["detail"] == detail


def test_the_crisp_objective_leaves_swaps_to_back_translation():
    crisp = Objective.crisp()
    assert (crisp.adversarial, crisp.swap_adversarial, crisp.adversarial_loss) == (0.03, 0.0, "hinge")
    assert crisp.dssim == Objective().dssim
