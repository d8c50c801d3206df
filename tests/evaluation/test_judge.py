"""The judge: it tells toy people apart by their faces, and by nothing else."""

import pytest
import torch
from torch.nn import functional as F
from torch.utils.data import default_collate

from condswap import ConfigError, DataError, ShapeError, ToyFaces
from condswap.data.toy_people import moment
from condswap.evaluation.judge import Judge, train_judge
from condswap.losses import gaussian_blur

MOMENTS = ("yaw", "light_side")


def toys(split, length):
    """Pictures, masks, labels and moments of two toy people."""
    data = ToyFaces(2, image_size=32, length=length, split=split)
    batch = default_collate([data[index] for index in range(length)])
    drawn = [moment(0, split, index) for index in range(length)]
    moments = torch.tensor([[one[name] for name in MOMENTS] for one in drawn])
    return batch["image"], batch["mask"], batch["label"], moments


def drawn(count, *, seed=0):
    """Pictures of noise: cheap, and nobody in them."""
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def known():
    return toys("train", 160)


@pytest.fixture(scope="module")
def held():
    return toys("test", 60)


@pytest.fixture(scope="module")
def judge(known):
    image, mask, label, moments = known
    return train_judge(image, mask, label, classes=2, moments=moments, steps=100)


def test_it_tells_people_apart_in_moments_that_it_has_not_seen(judge, held):
    image, mask, label, _ = held
    assert (judge.classify(image * mask).argmax(1) == label).float().mean() >= 0.9


def test_it_does_so_in_soft_pictures_too(judge, held):
    image, mask, label, _ = held
    soft = gaussian_blur(image, sigma=1.0)
    assert (judge.classify(soft * mask).argmax(1) == label).float().mean() >= 0.9


def test_its_vectors_of_one_person_point_the_same_way(judge, known, held):
    vectors, label = judge(held[0] * held[1]), held[2]
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(60))
    seen = judge(known[0] * known[1])
    means = F.normalize(torch.stack([seen[known[2] == one].mean(0) for one in range(2)]), dim=1)
    similar = vectors @ means.T
    own, other = (similar[torch.arange(60), one].mean().item() for one in (label, 1 - label))
    assert own > 0.8
    assert own - other > 0.4


def test_another_face_behind_the_same_outline_is_another_person(judge, held):
    image, mask, label, _ = held
    # Pictures of another person come next to each other; each is shown where its neighbour has a face.
    other = image.reshape(30, 2, 3, 32, 32).flip(1).reshape(image.shape)
    assert (judge.classify(other * mask).argmax(1) == 1 - label).float().mean() >= 0.85


def test_it_estimates_the_moments_in_their_own_units(judge, held):
    image, mask, _, moments = held
    found = judge.moments(image * mask)
    for place, least in ((0, 0.75), (1, 0.85)):
        assert torch.corrcoef(torch.stack((found[:, place], moments[:, place])))[0, 1] > least
    assert (found.std(0) / moments.std(0)).tolist() == pytest.approx([1.0, 1.0], abs=0.4)


def test_any_size_is_taken(judge, held):
    image, mask, label, _ = held
    large = F.interpolate(image * mask, scale_factor=4)
    torch.testing.assert_close(judge(large), judge(F.interpolate(image * mask, scale_factor=2)))


def test_people_who_differ_by_their_outline_alone_are_not_told_apart():
    masks = torch.zeros(40, 1, 16, 16)
    masks[::2, :, 2:14, 5:11] = 1.0  # the first stands, the second lies
    masks[1::2, :, 5:11, 2:14] = 1.0
    judge = train_judge(torch.full((40, 3, 16, 16), 0.5), masks, torch.arange(40) % 2, classes=2, steps=20)
    standing, lying = judge.classify(0.5 * masks[:2].expand(2, 3, 16, 16)).softmax(1)[:, 0]
    assert (standing - lying).abs() < 0.3


def test_the_same_arguments_give_the_same_judge_and_nobodys_random_numbers_move():
    pictures, masks, labels = drawn(12), torch.ones(12, 1, 16, 16), torch.arange(12) % 3
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one, same = (train_judge(pictures, masks, labels, classes=3, steps=3) for _ in range(2))
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), same.state_dict().values(), strict=True))
    other = train_judge(pictures, masks, labels, classes=3, steps=3, seed=1)
    assert not torch.equal(one(pictures), other(pictures))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_whoever_has_switched_gradients_off_can_train_one(mode):
    with mode():
        judge = train_judge(drawn(4), torch.ones(4, 1, 16, 16), torch.arange(4) % 2, classes=2, steps=2)
        assert judge(drawn(4)).shape == (4, 64)
    assert not judge.training
    assert not any(weight.requires_grad for weight in judge.parameters())


def test_what_was_given_is_left_as_it_was():
    pictures, masks, moments = drawn(6), torch.ones(6, 1, 16, 16), torch.arange(12.0).reshape(6, 2)
    train_judge(pictures, masks, torch.arange(6) % 2, classes=2, moments=moments, steps=2)
    assert torch.equal(pictures, drawn(6))
    assert torch.equal(moments, torch.arange(12.0).reshape(6, 2))


def test_one_person_and_a_class_without_pictures_are_possible():
    judge = train_judge(drawn(4), torch.ones(4, 1, 16, 16), torch.ones(4, dtype=torch.int64), classes=3, steps=20)
    assert judge.classify(drawn(4)).argmax(1).tolist() == [1] * 4


def test_a_rare_person_is_seen_as_often_as_the_others():
    # Both look the same, so all that can be learnt is who is seen how often.
    labels = torch.tensor([0] * 57 + [1] * 3)
    judge = train_judge(torch.full((60, 3, 16, 16), 0.5), torch.ones(60, 1, 16, 16), labels, classes=2, steps=30)
    rare = judge.classify(torch.full((1, 3, 16, 16), 0.5)).softmax(1)[0, 1]
    assert 0.3 < rare < 0.7


def test_a_moment_that_never_changes_is_no_obstacle():
    judge = train_judge(
        drawn(6), torch.ones(6, 1, 16, 16), torch.arange(6) % 2, classes=2, moments=torch.full((6, 1), 4.0), steps=2
    )
    assert judge.moments(drawn(6)).flatten().tolist() == pytest.approx([4.0] * 6, abs=1e-3)


def test_without_moments_there_are_none():
    with pytest.raises(ConfigError, match="has learnt no moments"):
        Judge(2).moments(drawn(1))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"pictures": drawn(3)}, "do not fit"),
        ({"pictures": drawn(4)[:, :1]}, "do not fit"),
        ({"masks": torch.ones(4, 3, 16, 16)}, "do not fit"),
        ({"labels": torch.zeros(4, 1, dtype=torch.int64)}, "do not fit"),
        ({"moments": torch.zeros(4)}, r"give \(4, k\)"),
        ({"moments": torch.zeros(3, 2)}, r"give \(4, k\)"),
    ],
)
def test_what_does_not_fit_is_refused(changed, message):
    given = {"pictures": drawn(4), "masks": torch.ones(4, 1, 16, 16), "labels": torch.arange(4) % 2} | changed
    with pytest.raises(ShapeError, match=message):
        train_judge(given.pop("pictures"), given.pop("masks"), given.pop("labels"), classes=2, **given)


def test_no_pictures_unknown_people_and_values_that_are_not_finite_are_refused():
    masks, labels = torch.ones(4, 1, 16, 16), torch.arange(4) % 2
    with pytest.raises(DataError, match="there are no pictures"):
        train_judge(drawn(0), masks[:0], labels[:0], classes=2)
    with pytest.raises(DataError, match="labels go from 0 to 1 and there are 1 classes"):
        train_judge(drawn(4), masks, labels, classes=1)
    with pytest.raises(DataError, match="moments have values that are not finite"):
        train_judge(drawn(4), masks, labels, classes=2, moments=torch.tensor([[1.0], [float("nan")], [0.0], [2.0]]))
