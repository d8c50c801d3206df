"""The small swapper in tests/swappers: it loads, it truly swaps, and a later condswap reads what was saved today."""

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import torch
from torch.utils.data import default_collate

from condswap import CGAN, ToyFaces
from condswap.evaluation import swap_fidelity
from condswap.model_card import is_our_card

SWAPPERS = Path(__file__).parent / "swappers"
TOY = SWAPPERS / "toy"
FILES = ("README.md", "config.json", "model.safetensors")
# The mean red, green and blue of a gradient shown as each of them, on the day that it was saved.
SHOWN = {"ben": (0.5551, 0.4494, 0.4100), "anna": (0.5890, 0.5182, 0.5077), "cleo": (0.4590, 0.3305, 0.2625)}


@pytest.fixture(scope="module")
def model():
    return CGAN.from_pretrained(TOY)


@pytest.fixture(scope="module")
def unseen(model):
    return ToyFaces(model.classes, image_size=64, seed=0, length=48, split="test")


@pytest.fixture(scope="module")
def batch(unseen):
    return default_collate([unseen[index] for index in range(len(unseen))])


@pytest.fixture(scope="module")
def shown(model, batch):
    """Every picture as every class, (classes, n, 3, h, w)."""
    known = {"source": batch["label"], "mask": batch["mask"]}
    return torch.stack([model.swap(batch["image"], name, **known) for name in model.classes])


@pytest.fixture(scope="module")
def exact(unseen):
    return torch.stack([unseen.swap_truths(range(len(unseen)), name) for name in unseen.classes])


@pytest.fixture(scope="module")
def everybody(unseen):
    """Where all of them have their face, (n, 1, h, w): outside of it a swap cannot be exact."""
    masks = [[unseen.swap_mask(index, name) for index in range(len(unseen))] for name in unseen.classes]
    return torch.stack([torch.stack(one) for one in masks]).amin(0)


def far(one, other, mask):
    """The mean absolute difference inside the masks, a number a picture."""
    return ((one - other).abs() * mask).sum((-3, -2, -1)) / (3 * mask.sum((-3, -2, -1)))


def test_it_is_three_small_files():
    assert sorted(path.name for path in TOY.iterdir()) == sorted(FILES)
    assert sum(path.stat().st_size for path in TOY.iterdir()) < 600_000


def test_the_command_that_made_it_makes_such_a_model(model):
    spec = spec_from_file_location("train_toy", SWAPPERS / "train_toy.py")
    script = module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.assemble().config() == model.config()
    assert script.CONSENT in (TOY / "README.md").read_text(encoding="utf-8")


def test_a_swap_is_nearer_to_the_exact_one_than_the_picture_is(shown, exact, batch, everybody):
    pictures, to = range(len(batch["label"])), (batch["label"] + 1) % len(exact)
    truth = exact[to, pictures]
    swap, unchanged = far(shown[to, pictures], truth, everybody), far(batch["image"], truth, everybody)
    assert swap.mean() < 0.5 * unchanged.mean()
    assert (swap < unchanged).float().mean() > 0.95


def test_its_figures_are_those_of_its_card(model, unseen):
    found, card = swap_fidelity(model, unseen), model.history
    assert found.swap > found.unchanged + 0.2
    assert found.swap == pytest.approx(card["measured swap SSIM"], abs=0.03)
    assert found.unchanged == pytest.approx(card["measured swap SSIM, picture unchanged"], abs=0.03)
    assert found.reconstruction == pytest.approx(card["measured reconstruction SSIM"], abs=0.03)
    assert found.moved == pytest.approx(card["measured moved"], abs=0.05)


def test_the_label_says_who_is_shown(shown, exact, everybody):
    for wanted, one in enumerate(shown):
        distances = torch.stack([far(one, truth, everybody) for truth in exact])
        assert (distances.argmin(0) == wanted).float().mean() > 0.9


def test_outside_of_the_mask_the_picture_stays(shown, batch):
    outside = (batch["mask"] == 0).expand_as(batch["image"])
    assert all(torch.equal(one[outside], batch["image"][outside]) for one in shown)


def test_its_card_says_everything(model):
    card = (TOY / "README.md").read_text(encoding="utf-8")
    assert is_our_card(card) and 'license: "mit"' in card
    assert "those of nobody" in card and "No statement of consent" not in card
    assert "| verdict | It swaps." in card and "| warnings | none |" in card
    assert all(f": {name}" in card for name in model.classes)


def test_it_goes_to_the_hub_and_comes_back(model, hub):
    card = {"consent": "Nobody is shown.", "license": "mit"}
    model.push_to_hub("user/toy", **card, token="hf_test")
    pushed = hub.repositories["user/toy"].find("main").tree
    for name in ("config.json", "model.safetensors"):
        assert pushed[name] == (TOY / name).read_bytes()
    again = CGAN.from_pretrained("user/toy", token="hf_test").state_dict()
    assert all(torch.equal(again[name], weight) for name, weight in model.state_dict().items())


# The format: these files stay as they are, and whatever is changed in the package has to read them.


def test_it_is_of_the_first_format():
    assert json.loads((TOY / "config.json").read_text(encoding="utf-8"))["condswap"] == 1


def test_it_shows_what_it_showed_when_it_was_saved(model):
    right = torch.linspace(0, 1, 64).expand(64, 64)
    image = torch.stack([right, right.T, 1 - right])[None]
    for name, mean in SHOWN.items():
        with torch.no_grad():
            shown = model(image, name)[0]
        torch.testing.assert_close(shown.mean((1, 2)), torch.tensor(mean), rtol=0, atol=2e-3)
