"""The numbers of training: checked where they are given, and the learning rates by hand."""

import json
import math
from dataclasses import FrozenInstanceError

import pytest

from condswap import Augmentation, ConfigError, Objective, ToyFaces, TrainerConfig


def test_the_learning_rate_rises_evenly_to_all_of_it():
    config = TrainerConfig(warm_up=3)
    assert [config.rate(step) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert config.rate(10**9) == 1.0


def test_without_warm_up_the_first_step_is_a_whole_one():
    assert TrainerConfig(warm_up=0).rate(0) == 1.0


def test_the_learning_rate_of_a_planned_run_falls_along_a_cosine_over_its_second_half():
    config = TrainerConfig(warm_up=0, planned_steps=200)
    expected = {0: 1, 100: 1, 125: 0.5 + 0.5 * math.sqrt(0.5), 150: 0.5, 175: 0.5 - 0.5 * math.sqrt(0.5), 200: 0}
    for step, rate in expected.items():
        assert config.rate(step) == pytest.approx(rate, abs=1e-9), step


def test_warm_up_and_cosine_multiply():
    # At step 3 of 4: the rise is 4 / 8, and half of the second half is over.
    assert TrainerConfig(warm_up=7, planned_steps=4).rate(3) == pytest.approx(0.5 * 0.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1),
        ("seed", 1.0),
        ("seed", True),
        ("batch_size", 0),
        ("batch_size", "16"),
        ("warm_up", -1),
        ("workers", None),
        ("planned_steps", 0),
        ("planned_steps", 1.5),
        ("planned_steps", True),
        ("learning_rate", 0.0),
        ("learning_rate", None),
        ("learning_rate", True),
        ("learning_rate", float("nan")),
        ("discriminator_learning_rate", float("inf")),
        ("discriminator_learning_rate", None),
        ("clip", 0),
        ("clip", "5"),
        ("average", 1.01),
        ("average", float("nan")),
        ("average", None),
        ("unmasked", -0.1),
        ("precision", "float16"),
        ("betas", (0.9,)),
        ("betas", (0.9, 1.0)),
        ("betas", 0.9),
        ("betas", "ab"),
        ("discriminator_betas", (0.5, float("nan"))),
        ("augmentation", 1),
        ("augmentation", {"flip": 0.5}),
    ],
)
def test_a_number_out_of_its_range_is_refused_with_its_name_and_value(name, value):
    with pytest.raises(ConfigError) as error:
        TrainerConfig(**{name: value})
    assert f"TrainerConfig.{name} is" in str(error.value)
    assert repr(value) in str(error.value)


def test_the_ends_of_the_ranges_are_allowed():
    TrainerConfig(average=0, unmasked=1, clip=None, warm_up=0, ramp_up=0, planned_steps=1, batch_size=1, betas=[0, 0.5])


def test_settings_survive_json():
    config = TrainerConfig(seed=3, betas=(0.1, 0.2), clip=None, planned_steps=7, augmentation=Augmentation(warp=0.02))
    again = TrainerConfig.from_config(json.loads(json.dumps(config.config())))
    assert again == config
    assert again.betas == (0.1, 0.2)


def test_what_is_left_to_the_data_suits_footage_or_toy_faces():
    footage, toy = TrainerConfig().for_data([]), TrainerConfig().for_data(ToyFaces(2, image_size=16, length=2))
    assert (footage.back_translation, footage.augmentation) == (0.5, Augmentation())
    assert (toy.back_translation, toy.augmentation) == (0.0, Augmentation.none())
    chosen = TrainerConfig(back_translation=0.2, augmentation=Augmentation(warp=0.1))
    assert chosen.for_data(ToyFaces(2, image_size=16, length=2)) == chosen


def test_settings_that_are_not_known_here_are_refused_by_name():
    config = TrainerConfig(augmentation=Augmentation()).config()
    with pytest.raises(ConfigError, match="momentum.*update condswap"):
        TrainerConfig.from_config({**config, "momentum": 1})
    with pytest.raises(ConfigError, match="blur.*update condswap"):
        TrainerConfig.from_config({**config, "augmentation": {**config["augmentation"], "blur": 1}})
    for edited in (3, [0.5]):
        with pytest.raises(ConfigError, match="edited"):
            TrainerConfig.from_config({**config, "augmentation": edited})
    with pytest.raises(ConfigError):
        TrainerConfig.from_config({name: value for name, value in config.items() if name != "augmentation"})


def test_settings_do_not_change_under_a_run():
    with pytest.raises(FrozenInstanceError):
        TrainerConfig().seed = 1  # type: ignore[misc]


def test_the_papers_settings_are_plain_adam():
    config = TrainerConfig.paper()
    assert (config.learning_rate, config.discriminator_learning_rate, config.batch_size) == (1e-5, 1e-5, 64)
    assert (config.average, config.clip, config.warm_up, config.unmasked) == (0, None, 0, 1)
    assert config.augmentation == Augmentation.none()
    assert TrainerConfig.paper("attention", learning_rate=5e-4).batch_size == 12


@pytest.mark.parametrize(
    ("name", "value"),
    [("l1", -1), ("dssim", float("inf")), ("mask", True), ("r1", "1"), ("mask_blur", None), ("whole_image", 1)],
)
def test_an_objective_refuses_what_is_no_weight(name, value):
    with pytest.raises(ConfigError, match=f"Objective.{name} is"):
        Objective(**{name: value})


def test_an_objective_refuses_an_adversarial_loss_that_it_does_not_know_before_any_step():
    with pytest.raises(ConfigError, match="'wasserstein'.*hinge"):
        Objective(adversarial_loss="wasserstein")


def test_an_objective_survives_json_and_refuses_what_it_does_not_know():
    objective = Objective(r1=2.0, adversarial_loss="hinge", whole_image=True)
    assert Objective.from_config(json.loads(json.dumps(objective.config()))) == objective
    with pytest.raises(ConfigError, match="'style'"):
        Objective.from_config({**objective.config(), "style": 1.0})
    with pytest.raises(ConfigError, match="not 3"):
        Objective.from_config(3)
