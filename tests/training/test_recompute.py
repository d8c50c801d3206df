"""Features that are computed anew in the backward pass: the same weights come out, and less is kept."""

import json

import pytest
import torch
from small_model import small
from tiny_models import Pictures, quick, tiny
from torch import nn

from condswap import CGAN, ConfigError, ConvDecoder, ConvEncoder, Decoder, Encoder, Trainer, TrainerConfig
from condswap.parts import PaperDecoder, PaperEncoder


def kept_by(part, *given):
    """The bytes that a forward pass keeps for the backward pass, those of the weights and of what is given left out."""
    known = {one.untyped_storage().data_ptr() for one in (*part.parameters(), *given)}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage  # held, so that no other gets the same address
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        shown = part(*given)
    return sum(storage.nbytes() for storage in kept.values()), shown


def gradients(part, *given):
    shown = part(*given)
    loss = sum((one.float() ** 2).sum() for one in (shown if isinstance(shown, tuple) else (shown,)))
    return torch.autograd.grad(loss, [*part.parameters(), given[0]], allow_unused=True)


def parts():
    torch.manual_seed(0)
    label = torch.tensor([0, 1])
    picture, features = torch.rand(2, 3, 64, 64), torch.randn(2, 8, 4, 4)
    return {
        "ConvEncoder": (ConvEncoder((3, 64, 64), width=4), picture),
        "PaperEncoder": (PaperEncoder((3, 64, 64), width=4), picture),
        "ConvDecoder": (ConvDecoder((8, 4, 4), num_classes=2, width=8, embedding=4), features, label),
        "PaperDecoder": (PaperDecoder((8, 4, 4), num_classes=2, width=8), features, label),
    }


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("make", [CGAN.default, CGAN.paper])
def test_the_weights_after_a_step_are_the_same_to_the_bit(make, precision):
    found = []
    for recompute in (False, True):
        torch.manual_seed(0)
        model = make(32, classes=["anna", "bob"])
        trainer = Trainer(model, quick(recompute=recompute, precision=precision), device="cpu")
        trainer.fit(Pictures(size=32), steps=1)
        found.append([*model.state_dict().values(), *trainer._live.generator.state_dict().values()])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.parametrize("name", ["ConvEncoder", "PaperEncoder", "ConvDecoder", "PaperDecoder"])
def test_less_than_a_third_is_kept_and_the_gradients_are_the_same(name):
    part, *given = parts()[name]
    before, _ = kept_by(part, *given)
    given[0].requires_grad_()
    expected = gradients(part, *given)
    part.recompute = True
    after, _ = kept_by(part, *given)
    assert 0 <= after < before / 3
    for one, other in zip(gradients(part, *given), expected, strict=True):
        assert one is other is None or torch.equal(one, other)


def test_a_decoder_keeps_what_its_last_stage_gets_and_what_it_shows():
    decoder, *given = parts()["ConvDecoder"]
    decoder.recompute = True
    kept, face = kept_by(decoder, *given)
    shown = 2 * 4 * 64 * 64  # two pictures of red, green, blue and the mask
    last = 2 * 16 * 16 * 16  # two of sixteen channels, at a quarter of the size
    embedding = 2 * 4
    assert kept == 4 * (shown + last + embedding)


def test_bfloat16_is_computed_anew_as_bfloat16():
    decoder, *given = parts()["ConvDecoder"]
    seen = []
    decoder.blocks[-1].register_forward_hook(lambda module, given, shown: seen.append(shown.dtype))
    decoder.upscales[-1].register_forward_hook(lambda module, given, shown: seen.append(shown.dtype))
    decoder.recompute = True
    with torch.autocast("cpu", torch.bfloat16):
        face = decoder(*given)
    face.image.sum().backward()  # outside of autocast, as in the trainer
    assert seen[:1] == [torch.bfloat16]
    assert len(seen) > 2, "nothing was computed anew"
    assert seen[2:] == seen[: len(seen) - 2]


def test_nothing_is_set_up_for_a_backward_pass_that_never_comes(monkeypatch):
    def refuse(*given, **settings):
        raise AssertionError("there is no backward pass")

    monkeypatch.setattr("condswap.parts.stages.checkpoint", refuse)
    part, *given = parts()["ConvDecoder"]
    part.recompute = True
    with torch.no_grad():
        part(*given)
    with pytest.raises(AssertionError, match="no backward pass"):
        part(*given)


@pytest.mark.parametrize("stages", [1, 2])
def test_a_decoder_of_few_stages_is_recomputed_too(stages):
    decoder = ConvDecoder((8, 2, 2), num_classes=2, width=4, stages=stages, embedding=4)
    given = torch.randn(2, 8, 2, 2, requires_grad=True), torch.tensor([0, 1])
    expected = gradients(decoder, *given)
    decoder.recompute = True
    for one, other in zip(gradients(decoder, *given), expected, strict=True):
        assert one is other is None or torch.equal(one, other)


def test_only_the_network_that_is_trained_is_set():
    model = tiny()
    live = Trainer(model, quick(recompute=True), device="cpu")._live.generator
    assert (live.encoder.recompute, live.decoder.recompute) == (True, True)
    assert not any(getattr(part, "recompute", False) for part in model.modules())
    assert "recompute" not in json.dumps(model.config())


class Held(Encoder):
    """An encoder that holds another."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder, self.in_shape, self.out_shape = encoder, encoder.in_shape, encoder.out_shape

    def forward(self, image):
        return self.encoder(image)


class Plain(Decoder):
    """A decoder of one's own that knows nothing of it."""

    def __init__(self, in_shape, *, num_classes):
        super().__init__()
        self.in_shape, self.num_classes = tuple(in_shape), num_classes
        self.out_shape = (3, 4 * in_shape[1], 4 * in_shape[2])
        self.conv = nn.ConvTranspose2d(in_shape[0], 3, 4, stride=4)

    def forward(self, features, label):
        return self.conv(features).sigmoid()


def test_a_part_that_is_held_is_set_and_one_that_does_not_know_it_trains_as_before():
    model = small()
    generator = model.generator
    decoder = Plain(generator.decoder.in_shape, num_classes=2)
    wrapped = CGAN(Held(generator.encoder), generator.bottleneck, decoder, model.discriminator, classes=model.classes)
    trainer = Trainer(wrapped, quick(recompute=True), device="cpu")
    trainer.fit(Pictures(size=32), steps=1)
    assert trainer._live.generator.encoder.encoder.recompute


@pytest.mark.parametrize("value", [1, None, "yes"])
def test_it_is_true_or_false(value):
    with pytest.raises(ConfigError, match=r"TrainerConfig\.recompute is"):
        TrainerConfig(recompute=value)


def test_settings_that_were_saved_before_it_was_there_are_read():
    config = TrainerConfig(seed=3, recompute=True).config()
    assert TrainerConfig.from_config(config).recompute is True
    del config["recompute"]
    assert TrainerConfig.from_config(config) == TrainerConfig(seed=3)
