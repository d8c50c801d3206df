"""The contract kit: good parts pass, and each fault is found."""

import pytest
import torch
from small_model import met, small
from torch import nn

from condswap import (
    Bottleneck,
    Component,
    CondswapError,
    ConfigError,
    ConvEncoder,
    CrossAttentionBottleneck,
    Decoder,
    Discriminator,
    Encoder,
    Face,
    ShapeError,
)
from condswap.parts import ClassEmbedding
from condswap.testing import check_component, fake_batch


def test_a_fake_batch_is_a_batch():
    batch = fake_batch((3, 16, 24), num_classes=3, batch_size=5)
    assert batch["image"].shape == (5, 3, 16, 24)
    assert batch["mask"].shape == (5, 1, 16, 24)
    assert batch["label"].tolist() == [0, 1, 2, 0, 1]
    assert batch["label"].dtype == torch.int64
    assert 0 <= batch["image"].min() <= batch["image"].max() <= 1
    assert set(batch["mask"].unique().tolist()) == {0.0, 1.0}
    assert batch["mask"][0, 0, 8, 12] == 1
    assert batch["mask"][0, 0, 0, 0] == 0


def test_a_fake_batch_follows_from_its_seed_and_leaves_the_random_numbers_alone():
    before = torch.get_rng_state()
    one, same, other = (fake_batch((3, 8, 8), num_classes=2, seed=seed)["image"] for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_every_part_of_the_library_passes_and_is_left_as_it_is():
    model = met(small()).train()
    generator = model.generator
    for part in (generator.encoder, generator.bottleneck, generator.decoder, model.discriminator):
        for weight in part.parameters():
            weight.grad = torch.ones_like(weight)
        state = {name: tensor.clone() for name, tensor in part.state_dict().items()}
        config, random = part.config(), torch.get_rng_state()
        check_component(part)
        assert all(torch.equal(tensor, state[name]) for name, tensor in part.state_dict().items())
        assert all(torch.equal(weight.grad, torch.ones_like(weight)) for weight in part.parameters())
        assert part.config() == config
        assert part.training
        assert torch.equal(torch.get_rng_state(), random)


class KitEncoder(Encoder):
    """Good; what is wrong with it is said by `fault`."""

    def __init__(self, in_shape=(3, 16, 16), *, fault="none", hidden=None):
        super().__init__()
        self.in_shape, self.out_shape, self.fault = tuple(in_shape), (4, 4, 4), fault
        self.conv = nn.Conv2d(3, 4, 4, stride=4)
        if fault == "idle":
            self.idle = nn.Linear(2, 2)
        if fault == "no out_shape":
            del self.out_shape
        if fault == "strange out_shape":
            self.out_shape = 4
        if fault == "random constructor":
            self.conv.weight.data.mul_(0)
            self.offset = float(torch.rand(()))
        if fault == "half saved":
            self.wide = nn.Linear(4, 4 if hidden is None else hidden.out_features)

    def forward(self, image):
        out = self.conv(image)
        if self.fault == "wrong shape":
            return out[:, :, :2]
        if self.fault == "one result":
            return out[:1]
        if self.fault == "nan":
            return out * float("nan")
        if self.fault == "neighbours":
            return out - out.mean(0, keepdim=True)
        if self.fault == "random":
            return out + torch.rand_like(out)
        if self.fault == "whole":
            return out.long()
        if self.fault == "random constructor":
            return out + self.offset
        return out


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("wrong shape", r"states out_shape \(4, 4, 4\) and gives \(4, 2, 4\)"),
        ("one result", "was given 4 pictures and gives 1 results"),
        ("nan", "values that are no numbers"),
        ("whole", "gives torch.int64"),
        ("neighbours", "depends on the other pictures"),
        ("random", "depends on the other pictures|another result"),
        ("random constructor", "built from its config with its weights gives another result"),
        ("idle", "no gradient reaches idle.weight, idle.bias"),
        ("no out_shape", "does not state its out_shape; set self.out_shape"),
        ("strange out_shape", r"out_shape is 4; it is \(channels, height, width\)"),
    ],
)
def test_a_fault_of_an_encoder_is_found(fault, told):
    with pytest.raises(CondswapError, match=f"KitEncoder.*({told})"):
        check_component(KitEncoder(fault=fault))


def test_a_good_encoder_of_ones_own_passes():
    check_component(KitEncoder())
    frozen = KitEncoder()
    frozen.requires_grad_(False)
    check_component(frozen)


def test_an_argument_that_cannot_be_written_down_is_found():
    with pytest.raises(ConfigError, match=r"KitEncoder\.hidden is a Linear"):
        check_component(KitEncoder(hidden=nn.Linear(4, 3)))


def test_a_part_without_a_role_is_refused():
    class Roleless(Component):
        pass

    for part in (Roleless(), nn.Linear(2, 2)):
        with pytest.raises(ConfigError, match="plays no role; subclass Encoder, Bottleneck, Decoder or Discriminator"):
            check_component(part)


class KitBottleneck(Bottleneck):
    def __init__(self, *, num_classes=2, fault="none"):
        super().__init__()
        self.in_shape = self.out_shape = (4, 2, 2)
        self.num_classes, self.fault = num_classes, fault
        self.blends = fault != "does not blend"
        self.table = nn.Embedding(num_classes, 4) if fault == "embedding" else ClassEmbedding(num_classes, (4,))
        if fault == "embedding":
            self.blends = False
        if fault == "no num_classes":
            del self.num_classes

    def forward(self, features, label, source=None):
        if self.fault == "needs the source":
            return features * float("nan") if source is None else features * self.table(label)[..., None, None]
        if self.fault == "wrong blend" and label.is_floating_point():
            label = label.flip(-1)
        if self.fault == "new class moves":
            return features * (self.table(label) * self.num_classes)[..., None, None]
        return features * self.table(label)[..., None, None]


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("needs the source", "no numbers where the class of the person seen is not known"),
        ("wrong blend", "says that it blends, and gives another result"),
        ("new class moves", "one more class moves the results for the others"),
        ("embedding", "nn.Embedding 'table' does not grow"),
        ("no num_classes", "does not state its num_classes"),
    ],
)
def test_a_fault_of_a_bottleneck_is_found(fault, told):
    with pytest.raises(ConfigError, match=f"KitBottleneck .*{told}|KitBottleneck: {told}"):
        check_component(KitBottleneck(fault=fault))


@pytest.mark.parametrize("fault", ["none", "does not blend"])
def test_a_good_bottleneck_of_ones_own_passes(fault):
    check_component(KitBottleneck(fault=fault))


class KitDecoder(Decoder):
    def __init__(self, *, num_classes, with_mask=True, small=False):
        super().__init__()
        self.in_shape, self.out_shape, self.num_classes = (4, 2, 2), (3, 4, 4), num_classes
        self.with_mask, self.small = with_mask, small
        self.up = nn.ConvTranspose2d(4, 4 if with_mask else 3, 2, stride=2)

    def forward(self, features, label):
        shown = self.up(features).sigmoid()
        return (
            Face(shown[:, :3, : 2 if self.small else 4], shown[:, 3:, : 2 if self.small else 4])
            if self.with_mask
            else shown
        )


def test_a_decoder_may_give_a_mask_or_none():
    check_component(KitDecoder(num_classes=2))
    check_component(KitDecoder(num_classes=2, with_mask=False))
    with pytest.raises(ShapeError, match=r"KitDecoder states out_shape \(4, 4, 4\) and gives \(4, 2, 4\)"):
        check_component(KitDecoder(num_classes=2, small=True))


class KitDiscriminator(Discriminator):
    def __init__(self, *, num_classes):
        super().__init__()
        self.in_shape, self.num_classes = (3, 4, 4), num_classes
        self.table = ClassEmbedding(num_classes, (3,))

    def forward(self, image, label):
        return (image.mean((2, 3)) * self.table(label)).sum(1)


def test_a_discriminator_may_have_logits_of_any_shape():
    check_component(KitDiscriminator(num_classes=3))


def test_a_wrapper_passes():
    class KitWrapper(Bottleneck):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner
            self.in_shape, self.out_shape, self.num_classes = inner.in_shape, inner.out_shape, inner.num_classes

        def forward(self, features, label, source=None):
            return 2 * self.inner(features, label, source)

    check_component(KitWrapper(CrossAttentionBottleneck((4, 2, 2), num_classes=2, width=8)))
    assert ConvEncoder((3, 16, 16), width=2, stages=2).out_shape == (16, 4, 4)
