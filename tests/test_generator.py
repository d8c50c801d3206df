"""Wiring, labels, blends and masks."""

import pytest
import torch
from small_model import met, pictures, small
from torch import nn

from condswap import (
    CGAN,
    Bottleneck,
    ConfigError,
    ConvDecoder,
    ConvEncoder,
    CrossAttentionBottleneck,
    DataError,
    Decoder,
    Encoder,
    Face,
    MLPBottleneck,
    PatchDiscriminator,
    ShapeError,
)
from condswap.generator import Generator, check_classes, check_range, evaluating


def parts(**changes):
    model = small()
    generator = model.generator
    return {
        "encoder": generator.encoder,
        "bottleneck": generator.bottleneck,
        "decoder": generator.decoder,
        "discriminator": model.discriminator,
    } | changes


def assemble(classes=("anna", "bob"), **changes):
    return CGAN(*parts(**changes).values(), classes=classes)


# Wiring.


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"bottleneck": CrossAttentionBottleneck((4, 4, 4), num_classes=2, width=8)},
            r"the encoder gives \(4, 8, 8\) but the bottleneck takes \(4, 4, 4\); build it with encoder.out_shape",
        ),
        (
            {"decoder": ConvDecoder((9, 8, 8), num_classes=2, width=8, stages=2)},
            r"the bottleneck gives \(8, 8, 8\) but the decoder takes \(9, 8, 8\); build it with bottleneck.out_shape",
        ),
        (
            {"decoder": ConvDecoder((8, 8, 8), num_classes=2, width=8, stages=3)},
            r"the decoder gives \(3, 64, 64\) but the encoder takes \(3, 32, 32\); give both as many stages",
        ),
        (
            {"encoder": ConvEncoder((4, 32, 32), width=8, stages=2, code_channels=4)},
            r"the decoder gives \(3, 32, 32\) but the encoder takes \(4, 32, 32\); a picture has 3 channels",
        ),
        (
            {"discriminator": PatchDiscriminator((3, 64, 64), num_classes=2, width=8)},
            r"the decoder gives \(3, 32, 32\) but the discriminator takes \(3, 64, 64\); build it with decoder.out_shape",
        ),
    ],
    ids=["bottleneck", "decoder", "size", "channels", "discriminator"],
)
def test_two_parts_that_do_not_fit_are_told_with_both_shapes_and_the_cure(changes, told):
    with pytest.raises(ShapeError, match=told):
        assemble(**changes)


@pytest.mark.parametrize("role", ["encoder", "bottleneck", "decoder", "discriminator"])
@pytest.mark.parametrize("impostor", [nn.Identity(), None, "ConvEncoder", ConvEncoder])
def test_a_part_in_the_wrong_role_is_named(role, impostor):
    with pytest.raises(ConfigError, match=f"a {role.title()} is needed here.*subclass condswap.{role.title()}"):
        assemble(**{role: impostor})


@pytest.mark.parametrize("role", ["bottleneck", "decoder", "discriminator"])
def test_a_part_for_another_number_of_classes_is_named_with_both(role):
    other = parts(**{})  # two classes
    part = small(("a", "b", "c"))
    wrong = {
        "bottleneck": part.generator.bottleneck,
        "decoder": part.generator.decoder,
        "discriminator": part.discriminator,
    }[role]
    with pytest.raises(ConfigError, match="built for 3 classes and the model has 2; build it with num_classes=2"):
        CGAN(*(other | {role: wrong}).values(), classes=["anna", "bob"])


class ForgetfulEncoder(Encoder):
    def __init__(self, *, stated=None):
        super().__init__()
        self.in_shape = (3, 32, 32)
        if stated is not None:
            self.out_shape = stated

    def forward(self, image):
        return image


def test_a_part_that_does_not_state_its_shape_is_named():
    with pytest.raises(ConfigError, match="ForgetfulEncoder does not state its out_shape; set self.out_shape"):
        assemble(encoder=ForgetfulEncoder())


@pytest.mark.parametrize("stated", [5, (4, 8), (4, 8, 8.0), (4, 8, 0), "abc", (4, 8, True)])
def test_a_stated_shape_that_is_none_is_named(stated):
    with pytest.raises(ShapeError, match=r"ForgetfulEncoder.out_shape is .*; it is \(channels, height, width\)"):
        assemble(encoder=ForgetfulEncoder(stated=stated))


@pytest.mark.parametrize(
    "classes",
    [
        "anna",
        None,
        2,
        [],
        ["anna", "anna"],
        ["anna", ""],
        ["anna", " "],
        ["anna", 1],
        [None, "bob"],
        {"anna", "bob"},
        (name for name in ("anna", "bob")),
    ],
    ids=str,
)
def test_names_that_are_none_are_refused(classes):
    with pytest.raises(ConfigError, match="classes "):
        check_classes(classes)
    with pytest.raises(ConfigError, match="classes "):
        CGAN.default(32, classes=classes)


def test_of_very_many_names_the_message_has_those_that_are_wrong():
    names = [f"person {number}" for number in range(4096)]
    for wrong, words in (("person 7", r"in which \['person 7'\] come again"), (" ", r"in which \[' '\] are no names")):
        with pytest.raises(ConfigError, match=words) as caught:
            check_classes([*names, wrong])
        assert len(str(caught.value)) < 500


def test_of_very_many_classes_the_first_are_known_here():
    model = small([f"person {number}" for number in range(300)])
    assert model.generator.index("person 299") == 299
    with pytest.raises(
        DataError, match="there is no class 'carl'; known here: 0 'person 0', .*, 19 'person 19' and 280 more$"
    ):
        model.swap(pictures(), "carl")


def test_a_shape_in_a_list_fits_one_in_a_tuple():
    part = small().generator.encoder
    part.out_shape = list(part.out_shape)
    assert assemble(encoder=part).image_shape == (3, 32, 32)


# Labels.


def test_a_name_a_number_and_a_tensor_mean_the_same_class():
    model, image = small(), pictures()
    wanted = model(image, "bob")
    for label in (
        1,
        torch.tensor([1, 1]),
        torch.tensor(1),
        torch.tensor([1, 1], dtype=torch.uint8),
        ["bob", 1],
        ("bob", "bob"),
        torch.tensor([[0.0, 1.0], [0.0, 1.0]]),
    ):
        assert torch.equal(model(image, label), wanted)
    assert not torch.equal(model(image, "anna"), wanted)


def test_each_picture_can_have_its_own_class():
    model, image = small(), pictures()
    both = model(image, ["bob", "anna"])
    assert torch.allclose(both[:1], model(image[:1], "bob"), atol=1e-6)
    assert torch.allclose(both[1:], model(image[1:], "anna"), atol=1e-6)


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("carl", "'carl'"),
        ("", "''"),
        ("Bob", "'Bob'"),
        (2, "2"),
        (-1, "-1"),
        (True, "True"),
        ([0, "carl"], "'carl'"),
        ([0, 1.0], "1.0"),
        ([0, None], "None"),
        (torch.tensor([0, 2]), "2"),
        (torch.tensor([-1, 0]), "-1"),
        (torch.tensor(7), "7"),
    ],
    ids=str,
)
@pytest.mark.parametrize("place", ["to", "source"])
def test_an_unknown_class_is_named_with_those_that_are_known(label, shown, place):
    model = small()
    with pytest.raises(DataError, match=rf"there is no class {shown}; known here: 0 'anna', 1 'bob'"):
        model.swap(pictures(), **({"to": "bob"} | {place: label}))


@pytest.mark.parametrize(
    "label",
    [1.0, None, object(), torch.tensor([True, False]), torch.tensor([0.0, 1.0]), torch.tensor([1j, 0])],
    ids=str,
)
def test_a_label_of_another_kind_is_refused(label):
    with pytest.raises(DataError, match="label"):
        small()(pictures(), label)


@pytest.mark.parametrize(
    "label", [["bob"], [0, 1, 0], torch.tensor([0]), torch.tensor([[0, 1]]), torch.tensor([0, 1, 1])], ids=str
)
def test_labels_for_another_number_of_pictures_are_refused(label):
    with pytest.raises(ShapeError, match="2 pictures"):
        small()(pictures(), label)


def test_with_many_classes_the_error_stays_short():
    model = small([f"person {number}" for number in range(256)])
    with pytest.raises(DataError) as caught:
        model(pictures(), "nobody")
    assert len(str(caught.value)) < 500


# Blends.


def test_all_the_weight_on_one_class_is_that_class():
    model, image = met(small()), pictures()
    for bottleneck in ("mlp", "cross_attention"):
        model = met(small(bottleneck=bottleneck))
        assert torch.equal(model.swap(image, {"bob": 1.0, "anna": 0.0}), model.swap(image, "bob"))
        assert torch.equal(model.swap(image, {"anna": 0.2}), model.swap(image, "anna"))


def test_a_blend_is_normalised():
    model, image = small(), pictures()
    assert torch.equal(model.swap(image, {"bob": 0.75, "anna": 0.25}), model.swap(image, {"anna": 1, "bob": 3}))


def test_a_blend_lies_between_and_is_neither():
    model, image = small(), pictures()
    anna, bob, half = (model(image, label) for label in ("anna", "bob", {"anna": 1, "bob": 1}))
    assert (half - anna).abs().mean() < (bob - anna).abs().mean()
    assert (half - bob).abs().mean() < (bob - anna).abs().mean()
    assert not torch.equal(half, anna)


@pytest.mark.parametrize("bottleneck", ["cross_attention", "mlp"])
@pytest.mark.parametrize("seed", range(3))
def test_a_blend_goes_evenly_from_one_class_to_the_other(bottleneck, seed):
    model, image = met(small(bottleneck=bottleneck, seed=seed)), pictures()
    with torch.no_grad():
        path = torch.stack([model(image, {"anna": 8 - part, "bob": part}) for part in range(9)])
    way = path[-1] - path[0]
    moved = ((path - path[0]) * way).flatten(1).sum(1) / way.square().sum()
    steps = (path[1:] - path[:-1]).abs().flatten(1).mean(1)
    assert (moved[1:] > moved[:-1]).all()
    assert steps.max() < 2.5 * steps.mean()


def test_a_blend_may_name_classes_by_number():
    model, image = small(), pictures()
    assert torch.equal(model(image, {0: 1, 1: 1}), model(image, {"anna": 1, "bob": 1}))
    assert torch.equal(model(image, {0: 1, "anna": 1, "bob": 2}), model(image, {"anna": 1, "bob": 1}))


@pytest.mark.parametrize(
    "blend",
    [
        {},
        {"anna": 0.0},
        {"anna": -1, "bob": 2},
        {"anna": float("nan")},
        {"anna": float("inf")},
        {"anna": "1"},
        {"anna": None},
        {"anna": True},
        {"carl": 1.0},
        {"anna": 0.5, 2: 0.5},
        torch.tensor([[0.5, float("nan")]] * 2),
        torch.tensor([[-1.0, 2.0]] * 2),
    ],
    ids=str,
)
def test_a_blend_that_is_none_is_refused(blend):
    with pytest.raises(DataError):
        small().swap(pictures(), blend)


class WholeBottleneck(Bottleneck):
    def __init__(self, in_shape, *, num_classes):
        super().__init__()
        self.in_shape, self.out_shape, self.num_classes = tuple(in_shape), (8, *in_shape[1:]), num_classes
        self.lift = nn.Conv2d(in_shape[0], 8, 1)

    def forward(self, features, label, source=None):
        return self.lift(features) * (1 + label[:, None, None, None])


@pytest.mark.parametrize("blend", [{"anna": 1, "bob": 1}, torch.full((2, 2), 0.5)], ids=["names", "tensor"])
def test_a_blend_is_refused_by_a_part_that_does_not_blend(blend):
    model = assemble(bottleneck=WholeBottleneck((4, 8, 8), num_classes=2))
    assert model.swap(pictures(), "bob").shape == (2, 3, 32, 32)
    with pytest.raises(ConfigError, match="WholeBottleneck takes whole labels only; .*ClassEmbedding.*blends = True"):
        model.swap(pictures(), blend)


def test_the_person_in_the_picture_can_be_a_blend_too():
    model, image = met(small()), pictures()
    assert torch.equal(model.swap(image, "bob", source={"anna": 3}), model.swap(image, "bob", source="anna"))
    assert torch.isfinite(model.swap(image, "bob", source={"anna": 1, "bob": 1})).all()


# Faces and masks.


def test_the_generator_gives_an_image_and_a_mask():
    face = small().generator(pictures(), "bob")
    assert face.image.shape == (2, 3, 32, 32)
    assert face.mask.shape == (2, 1, 32, 32)
    for part in face:
        assert 0 <= part.min() <= part.max() <= 1


class PlainDecoder(Decoder):
    def __init__(self, in_shape, *, num_classes):
        super().__init__()
        self.in_shape, self.out_shape, self.num_classes = (
            tuple(in_shape),
            (3, 4 * in_shape[1], 4 * in_shape[2]),
            num_classes,
        )
        self.up = nn.ConvTranspose2d(in_shape[0], 3, 4, stride=4)

    def forward(self, features, label):
        return self.up(features).sigmoid()


def test_a_decoder_without_a_mask_counts_as_face_all_over():
    model, image = assemble(decoder=PlainDecoder((8, 8, 8), num_classes=2)), pictures()
    face = model.generator(image, "bob")
    assert isinstance(face, Face)
    assert torch.equal(face.mask, torch.ones(2, 1, 32, 32))
    assert torch.allclose(model.swap(image, "bob"), face.image, atol=1e-6)


def test_the_encoder_sees_grey_outside_of_the_mask():
    model, image, mask = small(), pictures(), torch.zeros(2, 1, 32, 32)
    mask[..., 8:24, 8:24] = 1
    other = torch.where(mask > 0, image, pictures(seed=9))
    assert not torch.equal(other, image)
    shown = model.generator(image, "bob", None, mask)
    assert torch.equal(model.generator(other, "bob", None, mask).image, shown.image)
    assert torch.equal(model.generator.encode(image, mask), model.generator.encode(torch.where(mask > 0, image, 0.5)))
    open_ = small(masked_input=False)
    assert not torch.equal(
        open_.generator(other, "bob", None, mask).image, open_.generator(image, "bob", None, mask).image
    )


def test_a_mask_of_ones_hides_nothing():
    model, image = small(), pictures()
    assert torch.equal(model.generator.encode(image, torch.ones(2, 1, 32, 32)), model.generator.encode(image))


@pytest.mark.parametrize(
    "mask",
    [torch.ones(2, 3, 32, 32), torch.ones(1, 1, 32, 32), torch.ones(2, 32, 32), torch.ones(2, 1, 16, 16), "face"],
    ids=lambda mask: str(getattr(mask, "shape", mask)),
)
def test_a_mask_of_another_shape_is_refused(mask):
    model = small()
    with pytest.raises(ShapeError, match=r"the mask of images \(2, 3, 32, 32\) is \(2, 1, 32, 32\); got"):
        model.generator(pictures(), "bob", None, mask)
    with pytest.raises(ShapeError, match=r"the mask of images \(2, 3, 32, 32\) is \(2, 1, 32, 32\); got"):
        model.swap(pictures(), "bob", mask=mask)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8])
def test_a_mask_that_is_not_float_is_refused_with_the_cure(dtype):
    with pytest.raises(DataError, match=r"masks are float in \[0, 1\].*mask.float\(\)"):
        small().swap(pictures(), "bob", mask=torch.ones(2, 1, 32, 32, dtype=dtype))


def test_whole_numbers_for_pixels_are_refused_by_the_generator_too():
    with pytest.raises(DataError, match=r"torch.uint8; use image.float\(\) / 255"):
        small().generator((255 * pictures()).byte(), "bob")


# The small helpers.


def test_every_module_gets_its_own_mode_back():
    model = small().train()
    model.generator.encoder.eval()
    modes = [module.training for module in model.modules()]
    with pytest.raises(KeyError), evaluating(model):
        assert not any(module.training for module in model.modules())
        raise KeyError
    assert [module.training for module in model.modules()] == modes


@pytest.mark.parametrize(
    ("image", "cure"),
    [
        (torch.tensor([0.0, 255.0]), "go from 0 to 255; divide by 255"),
        (torch.tensor([-1.0, 1.0]), r"go from -1 to 1; shift to \[0, 1\]"),
        (torch.tensor([0.5, float("nan")]), "go from nan to nan; check how"),
        (torch.tensor([0.5, float("inf")]), "go from 0.5 to inf"),
        (torch.tensor([0, 1]), r"torch.int64; use image.float\(\) / 255"),
    ],
)
def test_pixels_out_of_range_are_told_with_the_values_and_the_cure(image, cure):
    with pytest.raises(DataError, match=cure):
        check_range(image)


def test_the_rounding_of_a_resize_is_in_range():
    check_range(torch.tensor([-1e-4, 1.0005]))
    check_range(torch.zeros(0, 3, 4, 4))


def test_a_generator_can_be_used_without_the_rest():
    model = small()
    generator = Generator(
        model.generator.encoder,
        MLPBottleneck((4, 8, 8), num_classes=2, width=4, out_channels=8),
        model.generator.decoder,
        classes=["anna", "bob"],
    )
    assert generator(pictures(), "bob").image.shape == (2, 3, 32, 32)
