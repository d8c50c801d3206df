"""Guides of a folder of networks: which are made, and how loudly each asks."""

import pytest
import torch
from face_api_files import write_face_api
from mobile_face_files import write_mobile_face

from condswap import CGAN, DataError, ToyFaces
from condswap.guiding import guided_model, guides_in
from condswap.training import IdentityGuide, SwapBatch


@pytest.fixture(scope="module")
def faces():
    return ToyFaces(2, image_size=32, length=4)


def test_each_network_for_the_person_asks_with_its_part_of_the_weight(faces, tmp_path):
    one = guides_in(write_face_api(tmp_path), faces)
    assert {name: guide.weight for name, guide in one.items() if isinstance(guide, IdentityGuide)} == {"dlib": 0.1}
    two = guides_in(write_mobile_face(tmp_path), faces)
    assert {name: guide.weight for name, guide in two.items() if isinstance(guide, IdentityGuide)} == {
        "dlib": 0.05,
        "mobileface": 0.05,
    }
    assert two["mobileface"].means.shape == (2, 256)
    image = torch.rand(1, 3, 32, 32, requires_grad=True)
    picture, mask = torch.rand(1, 3, 32, 32), torch.ones(1, 1, 32, 32)
    swaps = SwapBatch(image, picture, mask, torch.tensor([1]), torch.tensor([0]), lambda lit: lit)
    assert list(two) == ["dlib", "mobileface", "expression", "light"]
    sum(guide(swaps) for guide in two.values()).sum().backward()
    assert image.grad.abs().sum() > 0


def test_without_the_networks_of_face_api_it_says_where_they_are_to_be_had(faces, tmp_path):
    with pytest.raises(DataError, match="npm pack @vladmandic/face-api"):
        guides_in(write_mobile_face(tmp_path), faces)


def test_the_model_for_guides_is_the_default_but_for_what_they_do_in_its_stead():
    guided, default = (
        make(64, classes=["anna", "bob"], bottleneck="mlp").config() for make in (guided_model, CGAN.default)
    )
    assert guided["bottleneck"].pop("noise") == 0.15
    assert default["bottleneck"].pop("noise") == 0.3
    assert guided["objective"].pop("code_adversary") == 0
    assert default["objective"].pop("code_adversary") > 0
    assert guided == default
