"""How much the label matters: values worked out by hand, or with numpy over all pairs."""

import numpy as np
import pytest
import torch
from label_models import deaf, painting
from tiny_models import SIZE, Pictures, batch_of, tiny
from torch import nn

from condswap import ConfigError, DataError, ShapeError, ToyFaces
from condswap.sensitivity import (
    Both,
    label_changes,
    label_sensitivity,
    mean_faces,
    moved,
    moved_to_mean,
    people_differ,
    show_both,
)


def greys(levels, *, size=SIZE):
    """Pictures of one grey each."""
    return torch.tensor(levels)[:, None, None, None].expand(-1, 3, size, size).clone()


def whole(number, *, size=SIZE):
    return torch.ones(number, 1, size, size)


def given(data):
    batch = batch_of(data)
    return batch["image"], batch["label"], batch["mask"]


# Label sensitivity


def test_a_model_that_ignores_its_label_has_sensitivity_zero():
    assert label_sensitivity(deaf(), *given(Pictures())).tolist() == [0.0] * 12


def test_a_model_that_shows_the_other_person_as_they_are_has_sensitivity_one():
    image, label = greys([0.25, 0.75, 0.25, 0.75]), torch.tensor([0, 1, 0, 1])
    found = label_sensitivity(painting((0.25, 0.75)), image, label, whole(4))
    assert found.tolist() == pytest.approx([1.0] * 4)


def test_half_of_the_difference_between_people_is_half_a_sensitivity():
    image, label = greys([0.25, 0.75, 0.25, 0.75]), torch.tensor([0, 1, 0, 1])
    found = label_sensitivity(painting((0.4, 0.65)), image, label, whole(4))
    assert found.tolist() == pytest.approx([0.5] * 4)


def test_every_picture_is_shown_as_itself_and_as_the_next_class():
    """Classes 0, 1, 2 are 0, 0.25, 1: they differ from the next by 0.25, 0.75 and 1."""
    image, label = greys([0.0, 0.25, 1.0]), torch.tensor([0, 1, 2])
    both = show_both(painting((0.0, 0.25, 1.0)), image, label, whole(3))
    assert both.to.tolist() == [1, 2, 0]
    assert torch.equal(both.own, image)
    assert torch.equal(both.swap, greys([0.25, 1.0, 0.0]))
    assert label_changes(both, whole(3)).tolist() == [0.25, 0.75, 1.0]


def test_it_agrees_with_the_definition():
    """Worked out in numpy, one picture at a time, over all pairs."""
    model, (image, label, mask) = tiny().eval(), given(Pictures())
    mask = mask * torch.rand(12, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    found = label_sensitivity(model, image, label, mask)
    pixels, weights = image.numpy(), mask.numpy()
    pairs = [
        np.sum(np.abs(pixels[i] - pixels[j]) * weights[i] * weights[j]) / (3 * np.sum(weights[i] * weights[j]))
        for i in range(12)
        for j in range(i)
        if label[i] != label[j]
    ]
    for i in range(12):
        with torch.no_grad():
            own, swap = (
                model.generator(image[i : i + 1], one, label[i : i + 1], mask[i : i + 1]).image[0].numpy()
                for one in (label[i : i + 1], 1 - label[i : i + 1])
            )
        changed = np.sum(np.abs(own - swap) * weights[i]) / (3 * np.sum(weights[i]))
        assert float(found[i]) == pytest.approx(changed / np.mean(pairs), rel=1e-4)


def test_only_the_inside_of_the_mask_counts():
    left = whole(2)
    left[..., SIZE // 2 :] = 0
    image = greys([0.25, 0.75])
    image[0, ..., SIZE // 2 :] = 1.0  # would make the people differ by half as much
    found = label_sensitivity(painting(), image, torch.tensor([0, 1]), left)
    assert found.tolist() == pytest.approx([1.0, 1.0])


def test_a_picture_without_a_face_has_none():
    mask = whole(3)
    mask[1] = 0
    found = label_sensitivity(painting(), greys([0.25, 0.75, 0.75]), torch.tensor([0, 1, 1]), mask)
    assert found.isnan().tolist() == [False, True, False]
    assert found[[0, 2]].tolist() == pytest.approx([1.0, 1.0])


def test_many_pictures_are_shown_in_parts_with_the_same_result():
    data = Pictures((0, 1) * 20)
    image, label, mask = given(data)
    model = tiny().eval()
    together = show_both(model, image, label, mask)
    alone = show_both(model, image[33:34], label[33:34], mask[33:34])
    assert torch.allclose(together.swap[33:34], alone.swap, atol=1e-6)
    assert len(together.own) == 40


def test_the_model_is_looked_at_in_evaluation_mode_and_left_as_it_was():
    model = tiny().train()
    model.generator.encoder.add_module("noise", nn.Dropout(0.5))
    model.generator.decoder.eval()
    before = [module.training for module in model.modules()]
    state, chance = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    first, second = (label_sensitivity(model, *given(Pictures())) for _ in range(2))
    assert torch.equal(first, second)
    assert not first.requires_grad
    assert [module.training for module in model.modules()] == before
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), chance)


def test_a_label_matters_from_two_classes_on():
    image, label, mask = given(Pictures((0,) * 4, classes=("anna",)))
    with pytest.raises(DataError, match="one class 'anna'"):
        label_sensitivity(tiny(("anna",)), image, label, mask)
    with pytest.raises(DataError, match=r"classes \[0\].*two classes or more"):
        label_sensitivity(tiny(), image, label, mask)


def test_a_blend_and_masks_of_another_shape_are_refused():
    image, label, mask = given(Pictures())
    with pytest.raises(DataError, match="blend"):
        label_sensitivity(tiny(), image, torch.full((12, 2), 0.5), mask)
    with pytest.raises((ShapeError, ConfigError)):
        label_sensitivity(tiny(), image, label, mask[:3])


# What people differ by


def brute(image, label, mask):
    found = []
    for i in range(len(label)):
        for j in range(i):
            both = mask[i] * mask[j]
            if label[i] != label[j] and both.sum() > 0:
                found.append(float(((image[i] - image[j]).abs() * both).sum() / (3 * both.sum())))
    return sum(found) / len(found)


@pytest.mark.parametrize("labels", [(0, 1), (0, 0, 1), (2, 0, 1, 1, 0), (0, 0, 0, 0, 0, 1), (0, 1) * 16])
def test_all_pairs_of_different_classes_are_compared(labels):
    image, label, mask = given(Pictures(labels))
    mask[0, 0, :8] = 0
    found = float(people_differ(image, label, mask))
    assert found == pytest.approx(brute(image, label, mask), rel=1e-5)


def test_the_order_of_the_pictures_does_not_matter():
    data = ToyFaces(2, image_size=32, length=32)
    image, label = torch.stack([data[i]["image"] for i in range(32)]), torch.tensor(data.labels)
    mask = torch.stack([data[i]["mask"] for i in range(32)])
    turned = torch.randperm(32, generator=torch.Generator().manual_seed(0))
    found = [float(people_differ(image[one], label[one], mask[one])) for one in (torch.arange(32), turned)]
    assert found[0] == pytest.approx(found[1], rel=1e-5)
    assert found[0] == pytest.approx(brute(image, label, mask), rel=1e-5)


def test_of_many_pictures_some_pairs_stand_for_all():
    image, label, mask = given(Pictures((0,) * 70 + (1,) * 30, size=8))
    assert float(people_differ(image, label, mask)) == pytest.approx(brute(image, label, mask), rel=0.02)


def test_people_who_look_the_same_do_not_divide_by_zero():
    assert float(people_differ(greys([0.5, 0.5]), torch.tensor([0, 1]), whole(2))) == pytest.approx(1e-3)


def test_faces_that_do_not_meet_are_refused():
    mask = whole(2)
    mask[0, ..., :8], mask[1, ..., 8:] = 0, 0
    with pytest.raises(DataError, match="no two faces to compare"):
        people_differ(greys([0.2, 0.7]), torch.tensor([0, 1]), mask)


# The way of the swap


def test_the_picture_has_not_moved_and_the_truth_has_all_the_way():
    chance = torch.Generator().manual_seed(0)
    picture, truth = torch.rand(2, 3, 3, 8, 8, generator=chance)
    mask = whole(3, size=8)
    assert moved(picture, picture, truth, mask).tolist() == [0.0] * 3
    assert moved(picture, truth, truth, mask).tolist() == pytest.approx([1.0] * 3)
    assert moved(picture, truth.lerp(picture, 0.3), truth, mask).tolist() == pytest.approx([0.7] * 3, rel=1e-5)
    assert moved(picture, 2 * truth - picture, truth, mask).tolist() == pytest.approx([2.0] * 3, rel=1e-5)


def test_what_is_across_the_way_does_not_count():
    """The way is red, and the step of 0.9 is green."""
    picture, truth, shown = torch.zeros(3, 1, 3, 2, 2)
    truth[:, 0], shown[:, 0], shown[:, 1] = 1.0, 0.2, 0.9
    assert moved(picture, shown, truth, whole(1, size=2)).tolist() == pytest.approx([0.2])


def test_the_way_is_measured_inside_the_mask():
    picture, truth, shown = torch.zeros(3, 2, 3, 2, 2)
    truth[:], shown[..., 0], shown[..., 1] = 1.0, 0.5, 1.0
    mask = whole(2, size=2)
    mask[0, ..., 1], mask[1] = 0, 0
    first, second = moved(picture, shown, truth, mask).tolist()
    assert first == 0.5
    assert np.isnan(second)  # no face, no way


def test_pictures_of_different_shapes_are_refused():
    with pytest.raises(ShapeError, match=r"\(1, 3, 2, 2\).*\(1, 3, 4, 4\)"):
        moved(torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 4, 4), whole(1, size=2))


# The way to a mean face


@pytest.fixture(scope="module")
def people():
    """Pictures with light and pose of their own, their labels, the classes to show, and masks."""
    data = ToyFaces(2, image_size=32, length=64, split="test")
    image, mask = (torch.stack([data[i][key] for i in range(64)]) for key in ("image", "mask"))
    label = torch.tensor(data.labels)
    return data, image, label, 1 - label, mask


def test_a_mean_face_is_averaged_where_its_pictures_have_their_face(people):
    """Worked out in numpy, class by class."""
    _, image, label, _, mask = people
    means = mean_faces(image, label, mask, classes=3)
    for one in (0, 1):
        rows = np.flatnonzero(label.numpy() == one)
        weights = mask.numpy()[rows]
        expected = (image.numpy()[rows] * weights).sum(0) / np.maximum(weights.sum(0), 1e-6)
        assert np.allclose(means.image[one].numpy(), expected, atol=1e-5)
        assert np.allclose(means.mask[one].numpy(), weights.mean(0), atol=1e-5)
    assert not means.mask[2].any()


def test_pictures_have_not_moved_to_the_mean_and_what_went_the_way_has(people):
    _, image, label, to, mask = people
    means = mean_faces(image, label, mask, classes=2)
    way = means.image[to] - means.image[label]
    assert moved_to_mean(image, image, label, to, mask, means).tolist() == [0.0] * 64
    shown = image + 0.4 * way
    assert moved_to_mean(image, shown, label, to, mask, means).tolist() == pytest.approx([0.4] * 64, abs=1e-4)


def test_a_face_that_is_always_the_mean_has_gone_all_the_way_on_average(people):
    _, image, label, to, mask = people
    means = mean_faces(image, label, mask, classes=2)
    found = moved_to_mean(image, means.image[to], label, to, mask, means)
    assert float(found.mean()) == pytest.approx(1.0, abs=0.05)
    assert float(found.std()) > 0.1  # pictures differ from the mean face of their own class


def test_the_way_to_the_mean_is_near_the_exact_one(people):
    data, image, label, to, mask = people
    truth = data.swap_truths(range(64), to)
    both = mask * torch.stack([data.swap_mask(index, int(one)) for index, one in enumerate(to)])
    means = mean_faces(image, label, mask, classes=2)
    for share in (0.2, 0.8):
        shown = image.lerp(truth, share)
        assert float(moved(image, shown, truth, both).mean()) == pytest.approx(share, abs=1e-4)
        assert float(moved_to_mean(image, shown, label, to, mask, means).mean()) == pytest.approx(share, rel=0.25)


def test_a_class_without_pictures_has_no_mean_face_to_go_to():
    image, label = greys([0.0, 0.5]), torch.tensor([0, 1])
    means = mean_faces(image, label, whole(2), classes=3)
    found = moved_to_mean(image, image + 0.25, label, torch.tensor([1, 2]), whole(2), means)
    assert float(found[0]) == pytest.approx(0.5)
    assert bool(found[1].isnan())


def test_what_is_shown_twice_is_named():
    both = Both(own=greys([0.1]), swap=greys([0.3]), to=torch.tensor([1]))
    assert label_changes(both, whole(1)).tolist() == pytest.approx([0.2])
    assert label_changes(both, 0 * whole(1)).isnan().all()
