"""The one hook."""

from types import SimpleNamespace

import pytest
from tiny_models import Pictures, quick, tiny

from condswap import ConfigError, Trainer, every


def test_the_hook_is_called_after_every_step_with_the_trainer():
    calls = []
    trainer = Trainer(tiny(), quick(), device="cpu")
    trainer.fit(
        Pictures(), 3, hook=lambda given: calls.append((given is trainer, given.step, "d/loss" in given.metrics))
    )
    assert calls == [(True, 1, True), (True, 2, True), (True, 3, True)]


def test_every_acts_at_multiples_of_the_total_count():
    calls = []
    trainer = Trainer(tiny(), quick(), device="cpu")
    hook = every(3, lambda given: calls.append(given.step))
    trainer.fit(Pictures(), 4, hook=hook)
    trainer.fit(Pictures(), 10, hook=hook)
    assert calls == [3, 6, 9]


def test_every_1_acts_at_every_step():
    calls = []
    hook = every(1, lambda given: calls.append(given.step))
    for step in (1, 2, 3):
        hook(SimpleNamespace(step=step))
    assert calls == [1, 2, 3]


@pytest.mark.parametrize("steps", [0, -1, 0.5, 2.5, True, "10", None])
def test_a_number_of_steps_that_never_comes_is_refused(steps):
    with pytest.raises(ConfigError, match=r"every\("):
        every(steps, print)


def test_what_a_hook_raises_passes_through_and_the_run_can_go_on():
    trainer = Trainer(tiny(), quick(), device="cpu")

    def stop(given):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        trainer.fit(Pictures(), 5, hook=stop)
    assert trainer.step == 1
    trainer.fit(Pictures(), 5)
    assert trainer.step == 5
