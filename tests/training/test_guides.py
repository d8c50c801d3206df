"""Guides: what they ask of swaps, worked out by hand, and what the trainer does with it."""

import pytest
import torch
from tiny_models import OFF, Pictures, differing, quick, state_of, tiny
from torch import nn

from condswap import CGAN, ConfigError, DataError, ShapeError, ToyFaces, Trainer
from condswap.training import AttributeGuide, IdentityGuide, LightGuide, SwapBatch, show
from condswap.training.guides import guide_step, swap_to_guide


class Plain(Pictures):
    """Pictures of one colour a person, all of them face."""

    def __init__(self, colours=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)), each=3):
        super().__init__([label for label in range(len(colours)) for _ in range(each)])
        self.images = torch.tensor(colours)[self.labels][:, :, None, None].expand(-1, -1, 16, 16).clone()
        self.masks = torch.ones_like(self.masks)


def colour(faces):
    return faces.mean((2, 3))


def swapped(*colours, label, source):
    image = torch.tensor(colours)[:, :, None, None].expand(-1, -1, 16, 16)
    mask = torch.ones(len(image), 1, 16, 16)
    return SwapBatch(image, image, mask, torch.tensor(label), torch.tensor(source), lambda picture: image)


def test_a_missing_gap_is_what_real_pictures_get_less_what_the_swap_gets():
    guide = IdentityGuide(colour, Plain(), weight=0.5, reach=1.0)
    # Red and green, off their mean, are (1, -1, 0) and (-1, 1, 0) over the root of 2: real pictures get 1 - (-1).
    torch.testing.assert_close(guide.goals, torch.tensor([[0.0, 2.0], [2.0, 0.0]]))
    # Blue less the mean is (-1, -1, 2) over the root of 6, as far from both; green shown of red is right, red is not.
    swaps = swapped((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0), label=[1, 1, 1], source=[0, 0, 0])
    torch.testing.assert_close(guide(swaps), 0.5 * torch.tensor([2.0, 0.0, 4.0]))


def test_whoever_has_enough_of_the_gap_is_not_pushed_further():
    guide = IdentityGuide(colour, Plain(), reach=0.5)
    image = torch.full((1, 3, 16, 16), 0.4)
    image[:, 1] = 0.9
    image.requires_grad_()
    guide(swapped((0.4, 0.9, 0.4), label=[1], source=[0])._replace(image=image)).sum().backward()
    assert not image.grad.any()


def test_a_goal_is_what_the_pictures_of_the_person_get():
    data = Plain(each=2)
    data.images[0] = torch.tensor([0.0, 0.0, 1.0])[:, None, None]
    guide = IdentityGuide(colour, data)
    # Off (1, 2, 1) / 4 the first class has (3, -2, -1) and (-1, -2, 3), over the root of 14, the other (-1, 2, -1), over that
    # of 6. Their means point in opposite ways; pictures of the other are at its mean, those of the first off theirs.
    torch.testing.assert_close(guide.goals, torch.tensor([[0.0, 2.0], [2 * (3 / 7) ** 0.5, 0.0]]))


def test_classes_without_pictures_are_let_be():
    data = Plain()
    data.classes = ("anna", "bob", "carl")
    guide = IdentityGuide(colour, data)
    assert guide(swapped((0.0, 0.0, 1.0), label=[2], source=[0])).item() == 0


def test_a_measure_is_compared_with_the_picture_in_units_of_its_spread():
    data = Plain(colours=((0.2, 0.0, 0.0), (0.6, 0.0, 0.5)), each=2)
    measure = lambda faces: {"red": faces[:, 0].mean((1, 2)), "blue": faces[:, 2].mean((1, 2))}  # noqa: E731
    guide = AttributeGuide(measure, data, weight=0.3)
    # Twice .2 and twice .6: the squares off .4 add up to .16, over three.
    assert guide.deviations.tolist() == pytest.approx([(0.16 / 3) ** 0.5, (0.25 / 3) ** 0.5])
    given = swapped((0.5, 0.0, 0.25), label=[1], source=[0])
    picture = given.image - torch.tensor([0.1, 0.0, 0.05])[:, None, None]
    red, blue = 0.1 / (0.16 / 3) ** 0.5, 0.05 / (0.25 / 3) ** 0.5
    assert guide(given._replace(picture=picture)).item() == pytest.approx(0.3 * (red + blue), rel=1e-4)
    guide = AttributeGuide(measure, data, weight={"blue": 2.0, "red": 1.0})
    assert guide(given._replace(picture=picture)).item() == pytest.approx(red + 2 * blue, rel=1e-4)
    with pytest.raises(ConfigError, match="given of blue, and what is measured is red, blue"):
        AttributeGuide(measure, data, weight={"blue": 2.0})


def test_what_is_measured_is_the_face_alone():
    data = Plain()
    data.masks[:, :, :, 8:] = 0
    edge = lambda faces: {"left": faces[:, 0, :, 0].mean(1), "right": faces[:, 0, :, -1].mean(1)}  # noqa: E731
    guide = AttributeGuide(edge, data, weight=1.0)
    # Red is 1 in three pictures and 0 in three, of which the right, which is no face, shows nothing.
    assert guide.deviations.tolist() == pytest.approx([0.3**0.5, 0.0])
    picture = torch.rand(1, 3, 16, 16)
    image = picture.clone()
    image[:, :, :, 12:] = 1 - image[:, :, :, 12:]
    swaps = swapped((0.0, 0.0, 0.0), label=[1], source=[0])._replace(image=image, picture=picture, mask=data.masks[:1])
    assert guide(swaps).item() == 0
    image[:, :, :, 0] += 0.3
    assert guide(swaps).item() == pytest.approx(1.0 * 0.3 / 0.3**0.5, rel=1e-4)


class Light:
    """Swaps that show light as a swapper might; `asked` keeps the pictures that were to be swapped."""

    def __init__(self, answer, *, mask=1.0):
        self.answer, self.asked = answer, []
        picture = torch.full((2, 3, 8, 8), 0.4)
        masks = torch.full((2, 1, 8, 8), mask)
        self.swaps = SwapBatch(picture, picture, masks, torch.tensor([1, 0]), torch.tensor([0, 1]), self.swap)

    def swap(self, picture):
        self.asked.append(picture)
        return self.answer(picture)


def test_a_swap_that_shows_the_light_of_its_picture_is_let_be_and_one_that_does_not_pays_for_the_difference():
    assert LightGuide()(Light(lambda lit: lit).swaps).tolist() == pytest.approx([0.0, 0.0], abs=1e-6)
    still = Light(lambda lit: torch.full_like(lit, 0.4))
    found = LightGuide(weight=0.5)(still.swaps)
    (lit,) = still.asked
    assert found.tolist() == pytest.approx(0.5 * (lit - 0.4).abs().mean((1, 2, 3)).numpy(), rel=1e-4)
    assert found.min() > 0.001


def test_what_light_does_to_a_small_face_counts_as_much():
    torch.manual_seed(3)
    whole = LightGuide()(Light(lambda lit: 0 * lit).swaps)
    torch.manual_seed(3)
    quarter = LightGuide()(Light(lambda lit: 0 * lit, mask=0.25).swaps)
    torch.testing.assert_close(quarter, 4 * whole)


def test_lights_are_brighter_darker_and_fall_off_to_every_side_as_far_as_is_said():
    torch.manual_seed(0)
    guide, light = LightGuide(), Light(lambda lit: lit)
    for _ in range(300):
        guide(light.swaps)
    found = torch.stack(light.asked)[:, 0, 0] / 0.4
    assert torch.equal(torch.stack(light.asked)[:, 0], torch.stack(light.asked)[:, 1])  # the same for all of a step
    level = found.mean((1, 2)).log()
    outer = 2 * 7 / 8  # from the first of 8 pixels to the last, middle to middle, of a width of 2
    across = (found[:, :, -1] - found[:, :, 0]).mean(1) / found.mean((1, 2)) / outer
    down = (found[:, -1] - found[:, 0]).mean(1) / found.mean((1, 2)) / outer
    for change, most in ((level, 0.25), (across, 0.4), (down, 0.4 / 3)):
        assert change.abs().max() <= most + 1e-4 and change.min() < -0.9 * most and change.max() > 0.9 * most


def test_a_network_is_not_trained_and_is_in_evaluation_mode():
    network = nn.Sequential(nn.Flatten(), nn.Linear(768, 4), nn.Dropout(0.5))
    guide = IdentityGuide(network, Pictures())
    assert not network.training and not any(one.requires_grad for one in guide.parameters())


def test_swaps_are_shown_as_they_will_be_used_and_teach_the_whole_generator():
    data, model = Pictures(), tiny()
    model.train()
    batch = {"image": data.images, "mask": data.masks, "label": torch.tensor(data.labels)}
    shown = show(model, batch)
    before = {name: one.clone() for name, one in model.state_dict().items()}
    picks, to = torch.tensor([3, 4]), torch.tensor([0, 1])
    given = swap_to_guide(model, batch, shown.features, picks=picks, to=to, source=shown.source)
    assert model.generator.training and all(one.training for one in model.generator.modules())
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())  # no statistics moved
    assert given.source.tolist() == [1, 0] and torch.equal(given.picture, data.images[picks])
    model.eval()
    with torch.no_grad():
        face = model.generator(data.images[picks], to, given.source, data.masks[picks])
    inside = (slice(None), slice(None), slice(7, 9), slice(7, 9))  # far from the soft edge
    torch.testing.assert_close(given.image[inside], face.image[inside], rtol=0, atol=1e-3)
    assert torch.equal(given.image[..., 0, 0], given.picture[..., 0, 0])
    torch.testing.assert_close(given.swap(given.picture), given.image)
    given.image.sum().backward()
    for part in (model.generator.encoder, model.generator.bottleneck, model.generator.decoder):
        assert any(one.grad is not None and one.grad.any() for one in part.parameters())


def test_other_pictures_are_swapped_to_the_same_people_and_teach_the_whole_generator_too():
    data, model = Pictures(), tiny()
    model.train()
    batch = {"image": data.images, "mask": data.masks, "label": torch.tensor(data.labels)}
    shown = show(model, batch)
    picks, to = torch.tensor([3, 4]), torch.tensor([0, 1])
    given = swap_to_guide(model, batch, shown.features.detach(), picks=picks, to=to, source=shown.source)
    others = given.swap(0.5 * given.picture)
    assert all(one.training for one in model.generator.modules())
    others.sum().backward()
    for part in (model.generator.encoder, model.generator.bottleneck, model.generator.decoder):
        assert any(one.grad is not None and one.grad.any() for one in part.parameters())
    model.eval()
    with torch.no_grad():
        face = model.generator(0.5 * given.picture, to, given.source, given.mask)
    inside = (slice(None), slice(None), slice(7, 9), slice(7, 9))
    torch.testing.assert_close(others[inside], face.image[inside], rtol=0, atol=1e-3)
    assert torch.equal(others[..., 0, 0], 0.5 * given.picture[..., 0, 0])


def test_penalties_are_averaged_over_the_count_and_named():
    given = swapped((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), label=[1, 0], source=[0, 1])
    guides = {"red": lambda one: colour(one.image)[:, 0], "two": lambda one: torch.tensor([1.0, 3.0])}
    loss, metrics = guide_step(guides, given, count=4)
    assert loss.item() == pytest.approx(1.25)
    assert {name: one.item() for name, one in metrics.items()} == pytest.approx({"g/red": 0.25, "g/two": 1.0})
    with pytest.raises(ShapeError, match="'mean' gave \\(\\) for 2 swaps"):
        guide_step({"mean": lambda one: one.image.mean()}, given, count=2)


def bright(swaps):
    """A guide that wants swaps to be white."""
    return 1 - swaps.image.mean((1, 2, 3))


def trained(steps=8, guides=None, **changes):
    model = tiny()
    trainer = Trainer(model, quick(augmentation=OFF, watch=0, **changes), device="cpu", guides=guides)
    seen = []
    trainer.fit(Pictures(), steps, hook=lambda one: seen.append(one.metrics.get("g/bright")))
    return model, seen


def test_guides_take_part_from_their_step_on_and_pull_the_swaps():
    data = Pictures()
    fast = {"average": 0.0, "learning_rate": 1e-2}
    guided, seen = trained(60, {"bright": lambda swaps: 5 * bright(swaps)}, guided_from=5, guided=0.5, **fast)
    assert [one is None for one in seen[:7]] == [True] * 5 + [False] * 2
    free, _ = trained(60, **fast)
    assert guided.history["guided by"] == "bright" and "guided by" not in free.history
    ours, theirs = (
        one.swap(data.images[:6], "bob", source="anna", mask=data.masks[:6]).mean() for one in (guided, free)
    )
    assert ours > theirs + 0.05


def test_nothing_changes_before_the_guides_take_part():
    guided, seen = trained(6, {"bright": bright}, guided_from=6)
    free, _ = trained(6)
    assert seen == [None] * 6
    assert not differing(guided.state_dict(), free.state_dict())


def test_a_guided_run_goes_on_bit_for_bit(tmp_path):
    settings = {"watch": 0, "guided_from": 2, "guided": 0.5}
    whole = Trainer(tiny(), quick(**settings), device="cpu", guides={"bright": bright})
    whole.fit(Pictures(), 8)
    half = Trainer(tiny(), quick(**settings), device="cpu", guides={"bright": bright})
    half.fit(Pictures(), 5)
    half.save(tmp_path)
    rest = Trainer.load(tmp_path, tiny(seed=3), device="cpu", guides={"bright": bright})
    rest.fit(Pictures(), 8)
    assert not differing(state_of(whole, tmp_path / "whole"), state_of(rest, tmp_path / "rest"))


@pytest.mark.parametrize("guides", [[bright], {"bright": 1}, {1: bright}, {"identity": IdentityGuide}])
def test_what_cannot_guide_is_refused(guides):
    with pytest.raises(ConfigError, match="give them by name"):
        Trainer(tiny(), guides=guides, device="cpu")


def test_what_guides_cannot_use_is_refused_in_words():
    for wrong in (-1, float("nan"), "much"):
        with pytest.raises(ConfigError, match="weight"):
            IdentityGuide(colour, Plain(), weight=wrong)
    with pytest.raises(ConfigError, match="cannot guide"):
        AttributeGuide(nn.Identity, Plain())
    with pytest.raises(DataError, match="tells people apart, and the data show 1"):
        IdentityGuide(colour, Plain(colours=((1.0, 0.0, 0.0),)))
    with pytest.raises(DataError, match="these are batches"):
        IdentityGuide(colour, iter([]))
    with pytest.raises(ShapeError, match="needed is \\(b, d\\)"):
        IdentityGuide(lambda faces: faces, Plain())
    with pytest.raises(ShapeError, match="mapping of names"):
        AttributeGuide(colour, Plain())


def test_a_guide_of_toy_faces_runs_in_half_precision():
    data = ToyFaces(2, image_size=32, length=8)
    model = CGAN.default(32, classes=data.classes)
    guides = {
        "identity": IdentityGuide(colour, data),
        "red": AttributeGuide(lambda faces: {"red": colour(faces)[:, 0]}, data),
    }
    trainer = Trainer(model, quick(precision="bfloat16", ramp_up=0, watch=0), device="cpu", guides=guides)
    trainer.fit(data, 2)
    assert {"g/identity", "g/red"} <= set(trainer.metrics)
