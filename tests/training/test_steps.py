"""The steps, on a model of constants whose every loss can be worked out by hand."""

import math

import pytest
import torch
from tiny_models import EVERYTHING, Pictures, batch_of, tiny
from torch import nn

from condswap import CGAN, Bottleneck, ConfigError, Decoder, Discriminator, Encoder, Face, MaskedLoss, Objective
from condswap.losses import L1
from condswap.training import (
    CodeAdversary,
    Seen,
    back_translate,
    code_adversary_step,
    discriminator_step,
    generator_step,
    show,
)
from condswap.training.steps import make_code_adversary

NOTHING = {"dssim": 0, "l1": 0, "mask": 0, "adversarial": 0, "code_adversary": 0, "mask_blur": 0}


class MeanEncoder(Encoder):
    """The mean of the picture, as one number."""

    def __init__(self, in_shape):
        super().__init__()
        self.in_shape, self.out_shape = tuple(in_shape), (1, 1, 1)
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, image):
        return self.gain * image.mean(dim=(1, 2, 3))[:, None, None, None]


class PassingBottleneck(Bottleneck):
    """The features as they are."""

    def __init__(self, in_shape, *, num_classes):
        super().__init__()
        self.in_shape = self.out_shape = tuple(in_shape)
        self.num_classes = num_classes

    def forward(self, features, label, source=None):
        return features


class FlatDecoder(Decoder):
    """A flat face, 0.75 for class 0 and 0.5 for class 1, and a flat mask of 0.25."""

    def __init__(self, in_shape, *, num_classes, size=8, half=False, mask=True):
        super().__init__()
        self.in_shape, self.out_shape, self.num_classes = tuple(in_shape), (3, size, size), num_classes
        self.half, self.mask = half, mask
        self.level = nn.Parameter(torch.tensor([0.75, 0.5]))
        self.open = nn.Parameter(torch.tensor(0.25))

    def forward(self, features, label):
        image = self.level[label][:, None, None, None] + 0 * features.expand(-1, *self.out_shape)
        if self.half:
            image = image.bfloat16()
        return Face(image, self.open + 0 * image[:, :1].float()) if self.mask else image


class MeanDiscriminator(Discriminator):
    """Four times the mean of the picture; it notes what it was shown."""

    def __init__(self, in_shape, *, num_classes):
        super().__init__()
        self.in_shape, self.num_classes, self.shown = tuple(in_shape), num_classes, []
        self.gain = nn.Parameter(torch.tensor(4.0))

    def forward(self, image, label):
        self.shown.append((image.detach().clone(), label.clone()))
        return self.gain * image.mean(dim=(1, 2, 3))


def flat(*, half=False, paints_mask=True, **weights):
    return CGAN(
        MeanEncoder((3, 8, 8)),
        PassingBottleneck((1, 1, 1), num_classes=2),
        FlatDecoder((1, 1, 1), num_classes=2, half=half, mask=paints_mask),
        MeanDiscriminator((3, 8, 8), num_classes=2),
        classes=["anna", "bob"],
        objective=Objective(**{**NOTHING, **weights}),
    )


def flat_batch(labels=(0, 0), *, level=0.25, face=slice(0, 4)):
    """Flat pictures of 0.25 whose face is their upper half."""
    mask = torch.zeros(len(labels), 1, 8, 8)
    mask[:, :, face] = 1
    return {"image": torch.full((len(labels), 3, 8, 8), level), "mask": mask, "label": torch.tensor(labels)}


def generator_terms(model, batch, **options):
    return generator_step(model, batch, show(model, batch), **options)


def test_l1_is_its_weight_times_the_difference_inside_the_mask():
    loss, metrics = generator_terms(flat(l1=3), flat_batch())
    assert loss.item() == pytest.approx(3 * 0.5)  # |0.75 - 0.25|; the half without a face neither adds nor dilutes
    assert metrics["g/reconstruction"].item() == metrics["g/loss"].item() == loss.item()
    assert set(metrics) == {"g/loss", "g/reconstruction"}


def test_dssim_is_its_weight_times_the_structural_dissimilarity():
    loss, _ = generator_terms(flat(dssim=2), flat_batch(face=slice(0, 8)))
    c1 = 0.01**2  # flat pictures have no variance, so only the luminance term of SSIM is left
    ssim = (2 * 0.75 * 0.25 + c1) / (0.75**2 + 0.25**2 + c1)
    assert loss.item() == pytest.approx(2 * (1 - ssim) / 2, rel=1e-4)


def test_whole_image_averages_over_the_picture():
    # The composite differs in the upper half only, and now the lower half counts too.
    loss, _ = generator_terms(flat(l1=3, whole_image=True), flat_batch())
    assert loss.item() == pytest.approx(3 * 0.5 / 2)


def test_every_picture_counts_alike_however_large_its_face():
    batch = flat_batch((0, 1))
    batch["mask"][1, :, 2:] = 0
    loss, _ = generator_terms(flat(l1=1), batch)
    assert loss.item() == pytest.approx((0.5 + 0.25) / 2)


def test_the_composite_is_the_face_inside_the_blurred_mask():
    model, batch = flat(l1=1, mask_blur=0.25), flat_batch()
    shown = show(model, batch)
    soft = shown.region
    assert soft[0, 0, :, 0].tolist() == sorted(soft[0, 0, :, 0].tolist(), reverse=True)
    assert ((soft > 0.01) & (soft < 0.99)).any()
    assert torch.allclose(shown.composite, 0.25 + soft * 0.5, atol=1e-6)
    assert torch.equal(flat_batch()["mask"], batch["mask"])


def test_without_a_blur_the_picture_outside_the_mask_is_untouched():
    shown = show(flat(l1=1), flat_batch())
    assert torch.equal(shown.composite[:, :, 4:], torch.full((2, 3, 4, 8), 0.25))
    assert torch.equal(shown.composite[:, :, :4], torch.full((2, 3, 4, 8), 0.75))


def test_the_region_of_whole_image_is_everything():
    assert torch.equal(show(flat(whole_image=True), flat_batch()).region, torch.ones(2, 1, 8, 8))


def test_a_reconstruction_of_ones_own_takes_the_place_of_dssim_and_l1():
    loss, metrics = generator_terms(flat(l1=100, dssim=100), flat_batch(), reconstruction=MaskedLoss(L1()))
    assert loss.item() == metrics["g/reconstruction"].item() == pytest.approx(0.5)


def test_the_mask_head_pays_cross_entropy():
    loss, metrics = generator_terms(flat(mask=0.2), flat_batch())
    entropy = -(math.log(0.25) + math.log(0.75)) / 2  # half of the mask is 1, half 0, and the head says 0.25
    assert metrics["g/mask"].item() == pytest.approx(entropy, rel=1e-5)
    assert loss.item() == pytest.approx(0.2 * entropy, rel=1e-5)


def test_a_decoder_without_a_mask_pays_nothing_for_it():
    loss, metrics = generator_terms(flat(mask=0.2, l1=1, paints_mask=False), flat_batch())
    assert set(metrics) == {"g/loss", "g/reconstruction"}
    assert loss.item() == pytest.approx(0.5)


def test_the_adversarial_term_of_the_generator_by_hand():
    loss, metrics = generator_terms(flat(adversarial=0.5), flat_batch())
    # The discriminator sees the face alone: half a picture of 0.75, so its mean is 0.375 and the logit 1.5.
    assert metrics["g/adversarial"].item() == pytest.approx((1.5 - 1) ** 2)
    assert loss.item() == pytest.approx(0.5 * 0.25)


def test_the_discriminators_loss_by_hand():
    model, batch = flat(adversarial=1), flat_batch()
    loss, metrics = discriminator_step(model, batch, show(model, batch))
    real, fake = 4 * 0.25 / 2, 4 * 0.75 / 2
    assert metrics["d/real"].item() == pytest.approx(real)
    assert metrics["d/fake"].item() == pytest.approx(fake)
    assert loss.item() == metrics["d/loss"].item() == pytest.approx(0.5 * ((real - 1) ** 2 + fake**2))
    assert set(metrics) == {"d/loss", "d/real", "d/fake"}


def test_the_hinge_loss_by_hand():
    model, batch = flat(adversarial=1, adversarial_loss="hinge"), flat_batch()
    loss, _ = discriminator_step(model, batch, show(model, batch))
    assert loss.item() == pytest.approx((1 - 0.5) + (1 + 1.5))
    _, metrics = generator_terms(model, batch)
    assert metrics["g/adversarial"].item() == pytest.approx(-1.5)


def test_r1_adds_half_of_its_weight_times_the_squared_gradient_at_real_pictures():
    model, batch = flat(adversarial=1, r1=6), flat_batch()
    loss, metrics = discriminator_step(model, batch, show(model, batch))
    penalty = 4.0**2 / (3 * 8 * 8)  # the gradient is 4 / 192 at each of 192 numbers
    assert metrics["d/r1"].item() == pytest.approx(penalty, rel=1e-5)
    assert loss.item() == pytest.approx(
        metrics["d/real"].sub(1).square().item() / 2 + 1.5**2 / 2 + 3 * penalty, rel=1e-5
    )
    assert not batch["image"].requires_grad


def test_the_discriminator_sees_masked_pictures_with_their_labels():
    model, batch = flat(adversarial=1), flat_batch((0, 1))
    discriminator_step(model, batch, show(model, batch))
    ((pictures, labels),) = model.discriminator.shown
    assert labels.tolist() == [0, 1, 0, 1]
    assert torch.equal(pictures[:, :, 4:], torch.zeros(4, 3, 4, 8))
    assert pictures[:, 0, 0, 0].tolist() == [0.25, 0.25, 0.75, 0.5]


def test_the_discriminator_of_whole_image_sees_all():
    model, batch = flat(adversarial=1, whole_image=True), flat_batch()
    discriminator_step(model, batch, show(model, batch))
    pictures, _ = model.discriminator.shown[0]
    assert torch.equal(pictures[:, :, 4:], torch.full((4, 3, 4, 8), 0.25))


def test_the_swap_is_judged_as_the_class_that_it_shows():
    model, batch = flat(swap_adversarial=2), flat_batch((0, 1, 1))
    shown = show(model, batch)
    face, other = shown.swapped
    assert other.tolist() == [1, 0, 0]
    assert face.image[:, 0, 0, 0].tolist() == [0.5, 0.75, 0.75]
    loss, metrics = generator_step(model, batch, shown)
    logits = [4 * level * 0.25 for level in (0.5, 0.75, 0.75)]  # inside the mask that the decoder paints, 0.25
    expected = sum((logit - 1) ** 2 for logit in logits) / 3
    assert metrics["g/swap"].item() == pytest.approx(expected)
    assert loss.item() == pytest.approx(2 * expected)
    model.discriminator.shown.clear()
    discriminator_step(model, batch, shown)
    assert model.discriminator.shown[0][1].tolist() == [0, 1, 1, 0, 1, 1, 1, 0, 0]


def test_the_swap_shows_every_other_class_and_never_the_own():
    model = tiny(classes=("a", "b", "c"), objective=EVERYTHING)
    data = Pictures((0, 1, 2) * 4, classes=("a", "b", "c"))
    shown = set()
    for _ in range(20):
        _, other = show(model, batch_of(data)).swapped
        shown |= set(zip(data.labels, other.tolist(), strict=True))
    assert shown == {(own, other) for own in range(3) for other in range(3) if own != other}


def test_one_class_has_nothing_to_swap_to():
    model = tiny(classes=("anna",), objective=EVERYTHING)
    assert show(model, batch_of(Pictures((0, 0, 0), classes=("anna",)))).swapped is None


def test_before_the_discriminator_takes_part_its_terms_are_absent():
    model, batch = flat(adversarial=1, swap_adversarial=1, l1=1), flat_batch()
    _, metrics = generator_step(model, batch, show(model, batch), adversarial=False)
    assert set(metrics) == {"g/loss", "g/reconstruction"}
    assert model.discriminator.shown == []


def test_the_encoder_gets_what_it_is_told_to_see():
    model, batch = flat(), flat_batch()
    other = torch.full((2, 3, 8, 8), 0.8)
    assert show(model, batch, seen=Seen(other, None, batch["label"])).features.flatten().tolist() == pytest.approx(
        [0.8, 0.8]
    )
    # Inside the mask, the upper half, 0.25; outside of it grey, 0.5.
    assert show(model, batch).features.flatten().tolist() == pytest.approx([0.375, 0.375])


def test_a_back_translated_picture_is_the_swap_inside_its_mask_and_the_person_in_it_is_the_one_shown():
    model, batch = flat(), flat_batch()
    mask = torch.zeros(2, 1, 8, 8)
    mask[..., :4] = 1
    seen = Seen(batch["image"], mask, torch.tensor([0, 1]))
    found = back_translate(model.generator.eval(), seen, picks=torch.tensor([1]), to=torch.tensor([0]))
    assert torch.equal(found.image[0], seen.image[0])  # not picked
    assert found.image[1, :, :, 0].unique().tolist() == [0.75]  # class 0, where the softened mask is still 1
    assert torch.equal(found.image[1, :, :, -1], seen.image[1, :, :, -1])
    assert found.source.tolist() == [0, 0]
    assert torch.equal(found.mask, mask)
    assert not found.image.requires_grad


def test_what_the_encoder_saw_is_normalised_as_the_person_seen_and_shown_as_the_label():
    model, batch = tiny(), batch_of(Pictures())
    told = []
    model.generator.bottleneck.register_forward_pre_hook(lambda _, given: told.append(given[1:]))
    source = 1 - batch["label"]
    shown = show(model, batch, seen=Seen(batch["image"], batch["mask"], source))
    assert torch.equal(told[0][0], batch["label"])
    assert torch.equal(told[0][1], source)
    assert torch.equal(shown.source, source)


class Undecided(nn.Module):
    """Logits that are the same for every class."""

    def forward(self, features):
        return features.flatten(1)[:, :1].expand(-1, 2) * 3


class Certain(nn.Module):
    """Logits of 2 against 0 for class 0."""

    def forward(self, features):
        return torch.tensor([[2.0, 0.0]]).expand(len(features), 2) + 0 * features.flatten(1)[:, :1]


def test_an_adversary_that_is_undecided_costs_nothing():
    loss, metrics = generator_terms(flat(code_adversary=0.5), flat_batch(), code_adversary=Undecided())
    assert metrics["g/code"].item() == pytest.approx(0, abs=1e-6)
    assert loss.item() == pytest.approx(0, abs=1e-6)


def test_an_adversary_that_is_certain_costs_its_distance_from_uniform():
    distance = -(math.log(math.exp(2) / (math.exp(2) + 1)) + math.log(1 / (math.exp(2) + 1))) / 2 / math.log(2) - 1
    batch = flat_batch()
    loss, metrics = generator_terms(flat(code_adversary=0.5), batch, code_adversary=Certain())
    assert metrics["g/code"].item() == pytest.approx(distance, rel=1e-5)
    assert loss.item() == pytest.approx(0.5 * distance, rel=1e-5)
    loss, _ = generator_terms(flat(code_adversary=0.5), batch, code_adversary=Certain(), code_weight=0.1)
    assert loss.item() == pytest.approx(0.1 * distance, rel=1e-5)


def test_the_adversary_pays_cross_entropy_and_tells_how_often_it_is_right():
    batch = flat_batch((0, 0, 0, 1))
    loss, metrics = code_adversary_step(Certain(), show(flat(), batch))
    right = -math.log(math.exp(2) / (math.exp(2) + 1))
    assert loss.item() == metrics["c/loss"].item() == pytest.approx((3 * right + right + 2) / 4, rel=1e-5)
    assert metrics["c/accuracy"].item() == 0.75


def test_the_scale_of_the_features_tells_the_adversary_nothing():
    adversary, features = CodeAdversary((4, 4, 4), num_classes=3), torch.randn(8, 4, 4, 4)
    assert torch.allclose(adversary(features), adversary(100 * features), atol=1e-3)
    assert adversary(features[:1]).shape == (1, 3)


@pytest.mark.parametrize(("weight", "share"), [(0.0, 0.0), (0.5, 0.75), (7.0, 1.0)])
def test_the_adversary_counts_no_more_in_the_code_than_the_other_losses(weight, share):
    model, codes = tiny(), []

    def keep(module, given, features):
        features.retain_grad()
        codes.append(features)

    model.generator.encoder.register_forward_hook(keep)
    shown = show(model, batch_of(Pictures()))
    shown.face.image.mean().backward(retain_graph=True)
    free = codes[0].grad.clone()
    direction = torch.randn_like(free)
    direction *= 1.5 * free.norm() / direction.norm()
    codes[0].grad = None
    (shown.face.image.mean() + weight * (shown.features * direction).sum()).backward()
    added = codes[0].grad - free
    assert torch.allclose(added, share / 1.5 * direction, atol=1e-3 * free.abs().max().item())


def test_the_adversary_has_its_whole_gradient_where_no_other_loss_asks_for_one():
    model = tiny()
    shown = show(model, batch_of(Pictures()))
    (gradient,) = torch.autograd.grad(7 * shown.features.sum(), model.generator.encoder.narrow.bias)
    assert torch.allclose(gradient, torch.full_like(gradient, 7 * shown.features[:, 0].numel()))


def test_one_class_or_no_weight_has_no_adversary():
    assert make_code_adversary(tiny(classes=("anna",)), seed=0) is None
    assert make_code_adversary(tiny(objective=Objective(code_adversary=0)), seed=0) is None
    assert make_code_adversary(tiny(), seed=0) is not None


def test_the_adversary_follows_from_the_seed_alone():
    before = torch.get_rng_state()
    one, same, other = (make_code_adversary(tiny(seed=n), seed=s) for n, s in ((0, 5), (1, 5), (0, 6)))
    assert torch.equal(one.layers[0].weight, same.layers[0].weight)
    assert not torch.equal(one.layers[0].weight, other.layers[0].weight)
    assert torch.equal(torch.get_rng_state(), before)


def gradients(module):
    return {name for name, weight in module.named_parameters() if weight.grad is not None}


def test_each_step_gives_gradients_to_its_own_network_alone():
    model, batch = tiny(objective=EVERYTHING).train(), batch_of(Pictures())
    adversary = make_code_adversary(model, seed=0)
    shown = show(model, batch)
    loss, _ = code_adversary_step(adversary, shown)
    loss.backward(retain_graph=True)
    assert gradients(adversary) == {name for name, _ in adversary.named_parameters()}
    assert gradients(model) == set()
    adversary.zero_grad()
    loss, _ = discriminator_step(model, batch, shown)
    loss.backward(retain_graph=True)
    assert gradients(model.discriminator) == {name for name, _ in model.discriminator.named_parameters()}
    assert gradients(model.generator) == gradients(adversary) == set()
    model.zero_grad()
    loss, _ = generator_step(model, batch, shown, code_adversary=adversary)
    loss.backward(inputs=list(model.generator.parameters()))
    assert gradients(model.generator) == {name for name, _ in model.generator.named_parameters()}
    assert gradients(model.discriminator) == gradients(adversary) == set()


def test_the_generators_loss_pulls_the_discriminators_logit_up():
    """The gradient goes through the discriminator to the picture: a brighter face has a higher logit here."""
    model, batch = flat(adversarial=1, adversarial_loss="hinge"), flat_batch()
    loss, _ = generator_terms(model, batch)
    loss.backward()
    assert model.generator.decoder.level.grad[0].item() == pytest.approx(-4 / 2)  # half of the picture is face
    assert model.generator.decoder.level.grad[1].item() == 0


def test_steps_change_no_weight_and_no_batch():
    model, batch = tiny(objective=EVERYTHING).train(), batch_of(Pictures())
    adversary = make_code_adversary(model, seed=0)
    weights = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    given = {name: tensor.clone() for name, tensor in batch.items()}
    shown = show(model, batch)
    after_show = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    tensors = [tensor.detach().clone() for tensor in (*shown.face, shown.composite, shown.region, shown.features)]
    generator_step(model, batch, shown, code_adversary=adversary)
    discriminator_step(model, batch, shown)
    code_adversary_step(adversary, shown)
    assert all(torch.equal(weight, weights[name]) for name, weight in model.named_parameters())
    assert all(torch.equal(tensor, after_show[name]) for name, tensor in model.state_dict().items())
    assert all(torch.equal(batch[name], given[name]) for name in given)
    now = (*shown.face, shown.composite, shown.region, shown.features)
    assert all(torch.equal(one, other) for one, other in zip(now, tensors, strict=True))
    assert gradients(model) == gradients(adversary) == set()


def test_metrics_are_detached():
    model, batch = tiny(objective=EVERYTHING).train(), batch_of(Pictures())
    shown = show(model, batch)
    adversary = make_code_adversary(model, seed=0)
    for _, metrics in (
        generator_step(model, batch, shown, code_adversary=adversary),
        discriminator_step(model, batch, shown),
        code_adversary_step(adversary, shown),
    ):
        assert all(not metric.requires_grad and metric.ndim == 0 for metric in metrics.values())


def test_a_decoder_of_half_precision_fits_under_autocast():
    model, batch = flat(half=True, l1=1, adversarial=1, swap_adversarial=1), flat_batch()
    with torch.autocast("cpu", torch.bfloat16):
        shown = show(model, batch)
        loss, _ = generator_step(model, batch, shown)
        judged, _ = discriminator_step(model, batch, shown)
    assert shown.composite.dtype == torch.float32
    loss.backward(inputs=list(model.generator.parameters()))
    judged.backward()
    assert torch.isfinite(model.generator.decoder.level.grad).all()


def test_an_unknown_adversarial_loss_never_reaches_a_step():
    with pytest.raises(ConfigError):
        flat(adversarial_loss="lsgan")
