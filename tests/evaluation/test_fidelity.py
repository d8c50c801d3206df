"""Swap fidelity: a perfect swapper, one that copies, one that goes half the way."""

import pytest
import torch
from small_model import small
from torch import nn

from condswap import CGAN, DataError, Face, ShapeError, ToyFaces
from condswap.evaluation import Fidelity, swap_fidelity


@pytest.fixture(scope="module")
def data():
    return ToyFaces(2, image_size=32, length=6, split="test")


class Oracle(nn.Module):
    """A generator that knows the data: it goes `far` of the way from the picture to the exact swap."""

    def __init__(self, data, far):
        super().__init__()
        self.data, self.far, self.calls = data, far, []
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, image, label, source=None, mask=None):
        self.calls.append((image, label, source, mask))
        known = torch.stack([self.data[index]["image"] for index in range(len(self.data))])
        index = [int((known - one).abs().flatten(1).sum(1).argmin()) for one in image]
        truth = self.data.swap_truths(index, label)
        return Face(torch.lerp(image, truth, self.far), torch.ones(len(image), 1, 32, 32))


def measured(data, far, **arguments):
    model = small(data.classes)
    encoder = model.generator.encoder
    oracle = Oracle(data, far)
    oracle.encoder, oracle.classes = encoder, model.classes
    model.generator = oracle
    return swap_fidelity(model, data, **arguments), oracle


def test_the_exact_swap_is_perfect(data):
    fidelity, _ = measured(data, 1.0)
    assert fidelity.reconstruction == pytest.approx(1.0, abs=1e-4)
    assert fidelity.swap == pytest.approx(1.0, abs=1e-4)
    assert fidelity.moved == pytest.approx(1.0, abs=1e-5)
    assert fidelity.unchanged < 0.9


def test_a_model_that_ignores_the_label_has_not_moved(data):
    fidelity, _ = measured(data, 0.0)
    assert fidelity.moved == pytest.approx(0.0, abs=1e-6)
    assert fidelity.swap == pytest.approx(fidelity.unchanged, abs=1e-6)
    assert fidelity.reconstruction == pytest.approx(1.0, abs=1e-4)


def test_half_the_way_is_half(data):
    fidelity, _ = measured(data, 0.5)
    assert fidelity.moved == pytest.approx(0.5, abs=1e-4)
    assert fidelity.unchanged < fidelity.swap < 1


def test_unchanged_depends_on_the_data_alone(data):
    assert measured(data, 0.0)[0].unchanged == measured(data, 1.0)[0].unchanged


def test_the_model_is_told_who_is_in_the_picture_and_where(data):
    _, oracle = measured(data, 1.0)
    own, swap = oracle.calls
    assert torch.equal(own[1], torch.tensor([0, 1, 0, 1, 0, 1]))
    assert torch.equal(swap[1], torch.tensor([1, 0, 1, 0, 1, 0]))
    for call in (own, swap):
        assert torch.equal(call[2], torch.tensor([0, 1, 0, 1, 0, 1]))
        assert torch.equal(call[3][0], data[0]["mask"])


def test_the_mean_is_over_the_pictures(data):
    model = small(data.classes)
    whole = swap_fidelity(model, data)
    each = [swap_fidelity(model, data, indices=[index]) for index in range(len(data))]
    for name in ("reconstruction", "swap", "unchanged", "moved"):
        assert getattr(whole, name) == pytest.approx(sum(getattr(one, name) for one in each) / len(each), abs=1e-5)


def test_more_pictures_than_are_shown_at_once_give_the_same(data, monkeypatch):
    model = small(data.classes)
    whole = swap_fidelity(model, data)
    monkeypatch.setattr("condswap.evaluation.fidelity._AT_ONCE", 4)
    parts = swap_fidelity(model, data)
    assert parts.swap == pytest.approx(whole.swap, abs=1e-6)
    assert parts.moved == pytest.approx(whole.moved, abs=1e-6)


def test_the_model_keeps_its_modes(data):
    model = small(data.classes).train()
    model.generator.decoder.eval()
    modes = [module.training for module in model.modules()]
    assert isinstance(swap_fidelity(model, data, indices=[0, 1]), Fidelity)
    assert [module.training for module in model.modules()] == modes


def test_no_pictures_are_refused(data):
    with pytest.raises(DataError, match="0 pictures"):
        swap_fidelity(small(data.classes), data, indices=[])


def test_the_same_people_under_other_numbers_are_refused(data):
    with pytest.raises(DataError, match="the same classes in the same order"):
        swap_fidelity(small(data.classes[::-1]), data)
    with pytest.raises(DataError, match="the same classes in the same order"):
        swap_fidelity(small(["anna"]), data)


def test_pictures_of_another_size_are_refused(data):
    with pytest.raises(ShapeError, match="the pictures are 32 x 32 and the model takes 48 x 48; .*image_size=48"):
        swap_fidelity(CGAN.default(48, classes=data.classes), data)
