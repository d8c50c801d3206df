"""A run that was stopped and resumed equals the run that was not, bit for bit."""

import os
import random
import signal
import threading

import pytest
import torch
from tiny_models import (
    EVERYTHING,
    OFF,
    SIZE,
    DropoutDiscriminator,
    Pictures,
    batch_of,
    differing,
    quick,
    state_of,
    tiny,
)
from torch.utils.data import DataLoader

from condswap import CGAN, Augmentation, ConfigError, MLPDiscriminator, Objective, Trainer, TrainingError
from condswap.parts.paper import PaperAttentionBottleneck, PaperDecoder, PaperEncoder

STEPS = 4
FULL = Augmentation(affine=0.1, warp=0.05)


def paper(seed):
    """The paper's network with attention, which has dropout, and its losses; narrow, as a step of the whole takes seconds."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder = PaperEncoder((3, 32, 32), width=2)
        middle = PaperAttentionBottleneck(encoder.out_shape, num_classes=2, width=8, embedding=8)
        decoder = PaperDecoder(middle.out_shape, num_classes=2, width=2)
        judge = MLPDiscriminator(decoder.out_shape, num_classes=2, width=4)
        classes, objective = ["anna", "bob"], Objective.paper()
        return CGAN(encoder, middle, decoder, judge, classes=classes, objective=objective, masked_input=False)


KINDS = {  # how a model is made, the settings of its run, its data
    "default": (lambda seed: tiny(seed=seed), quick(), Pictures()),
    "planned": (lambda seed: tiny(seed=seed), quick(planned_steps=STEPS), Pictures()),
    "everything": (lambda seed: tiny(seed=seed, objective=EVERYTHING), quick(augmentation=FULL), Pictures()),
    "late discriminator": (lambda seed: tiny(seed=seed), quick(adversarial_from=3), Pictures()),
    "no average": (lambda seed: tiny(seed=seed), quick(average=0.0, clip=None), Pictures()),
    "bfloat16": (lambda seed: tiny(seed=seed), quick(precision="bfloat16"), Pictures()),
    "uneven classes": (
        lambda seed: tiny(("a", "b", "c"), seed=seed, objective=EVERYTHING),
        quick(batch_size=5),
        Pictures((0, 0, 0, 1, 2, 2, 2), classes=("a", "b", "c")),
    ),
    "the paper's, with dropout": (paper, quick(augmentation=OFF), Pictures(size=32)),
    "dropout in the discriminator": (
        lambda seed: tiny(seed=seed, discriminator=DropoutDiscriminator),
        quick(),
        Pictures(),
    ),
    "a list of batches": (
        lambda seed: tiny(seed=seed),
        quick(),
        [batch_of(Pictures(), range(i, i + 4)) for i in (0, 4, 8)],
    ),
}


def uninterrupted(kind, folder, *, seed=0, **changes):
    make, config, data = KINDS[kind]
    trainer = Trainer(make(seed), config, device="cpu")
    trainer.fit(data, STEPS, **changes)
    return state_of(trainer, folder)


def resumed(kind, at, folder):
    """Stop at a step, save, and go on in another trainer with a model of other weights."""
    make, config, data = KINDS[kind]
    first = Trainer(make(0), config, device="cpu")
    first.fit(data, at)
    first.save(folder / "stopped")
    second = Trainer.load(folder / "stopped", make(7), device="cpu")
    second.fit(data, STEPS)
    assert second.step == STEPS
    return state_of(second, folder / "end")


@pytest.mark.parametrize("kind", KINDS)
def test_resumed_run_equals_uninterrupted_run(kind, tmp_path):
    whole = uninterrupted(kind, tmp_path / "whole")
    for at in range(1, STEPS + 1):
        assert differing(whole, resumed(kind, at, tmp_path / str(at))) == [], f"stopped at step {at}"


def test_the_states_that_are_compared_hold_everything(tmp_path):
    names = uninterrupted("everything", tmp_path)
    for beginning in ("average/generator.", "average/discriminator.", "live/encoder.", "live/bottleneck.norm.mean",
                      "code/layers.", "optimizer/generator/0.exp_avg", "optimizer/discriminator/0.exp_avg_sq",
                      "optimizer/code/0.step"):  # fmt: skip
        assert any(name.startswith(beginning) for name in names), beginning


def test_the_paper_s_dropout_is_at_work():
    """Else the case above would prove nothing."""
    model, batch = paper(0).train(), batch_of(Pictures(size=32))
    assert not torch.equal(model(batch["image"], 0), model(batch["image"], 0))


def test_workers_give_the_same_run_and_resume(tmp_path):
    whole = uninterrupted("default", tmp_path / "whole")
    first = Trainer(tiny(), quick(workers=1), device="cpu")
    first.fit(Pictures(), 2)
    first.save(tmp_path / "stopped")
    second = Trainer.load(tmp_path / "stopped", tiny(seed=7), device="cpu")
    assert second.config.workers == 1
    second.fit(Pictures(), STEPS)
    assert differing(whole, state_of(second, tmp_path / "end")) == []


def test_a_run_that_an_error_stopped_is_resumed(tmp_path):
    def stop(trainer):
        if trainer.step == 3:
            raise KeyboardInterrupt

    trainer = Trainer(tiny(), quick(), device="cpu")
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(Pictures(), STEPS, hook=stop)
    trainer.save(tmp_path / "stopped")
    second = Trainer.load(tmp_path / "stopped", tiny(seed=7), device="cpu")
    second.fit(Pictures(), STEPS)
    assert differing(uninterrupted("default", tmp_path / "whole"), state_of(second, tmp_path / "end")) == []


@pytest.mark.parametrize("where", ["generator_step", "discriminator_step", "average_into"])
def test_ctrl_c_in_the_middle_of_a_step_waits_for_its_end(where, tmp_path, monkeypatch):
    from condswap.training import trainer as module

    whole = uninterrupted("default", tmp_path / "whole")
    calls, real, handler = [], getattr(module, where), signal.getsignal(signal.SIGINT)

    def pressed(*args, **kwargs):
        calls.append(None)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return real(*args, **kwargs)

    monkeypatch.setattr(module, where, pressed)
    trainer = Trainer(tiny(), quick(), device="cpu")
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(Pictures(), STEPS)
    assert trainer.step == 3
    assert signal.getsignal(signal.SIGINT) is handler
    trainer.save(tmp_path / "stopped")
    second = Trainer.load(tmp_path / "stopped", tiny(seed=7), device="cpu")
    second.fit(Pictures(), STEPS)
    assert differing(whole, state_of(second, tmp_path / "end")) == []


def test_a_second_ctrl_c_does_not_wait():
    from condswap.training.interrupt import held_back

    reached = []
    with pytest.raises(KeyboardInterrupt), held_back():
        signal.raise_signal(signal.SIGINT)
        reached.append("after the first")
        signal.raise_signal(signal.SIGINT)
        reached.append("after the second")
    assert reached == ["after the first"]


def test_who_ignores_ctrl_c_goes_on_ignoring_it():
    from condswap.training.interrupt import held_back

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with held_back():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_training_works_in_a_thread(tmp_path):
    trainer = Trainer(tiny(), quick(), device="cpu")
    thread = threading.Thread(target=trainer.fit, args=(Pictures(), STEPS))
    thread.start()
    thread.join()
    assert differing(uninterrupted("default", tmp_path / "a"), state_of(trainer, tmp_path / "b")) == []


def test_fitting_in_parts_equals_fitting_at_once(tmp_path):
    trainer = Trainer(tiny(), quick(), device="cpu")
    for steps in (1, 1, 3, 2, STEPS):
        trainer.fit(Pictures(), steps)
    assert differing(uninterrupted("default", tmp_path / "a"), state_of(trainer, tmp_path / "b")) == []


@pytest.mark.parametrize("kind", ["default", "everything", "dropout in the discriminator"])
def test_nothing_outside_of_the_run_reaches_into_it(kind, tmp_path):
    """The global random numbers, a preview, and modes that somebody sets."""

    def meddle(trainer):
        torch.manual_seed(trainer.step)
        random.seed(1)
        torch.rand(7)
        trainer.model.swap(torch.rand(1, 3, SIZE, SIZE), 1)
        trainer.model.train(trainer.step % 2 == 0)
        _ = trainer.metrics

    torch.manual_seed(99)
    whole = uninterrupted(kind, tmp_path / "a")
    torch.manual_seed(100)
    assert differing(whole, uninterrupted(kind, tmp_path / "b", hook=meddle)) == []


def test_one_seed_gives_one_run_and_another_seed_another(tmp_path):
    def trained(seed, name):
        trainer = Trainer(tiny(), quick(seed=seed), device="cpu")
        trainer.fit(Pictures(), 3)
        return state_of(trainer, tmp_path / name)

    assert differing(trained(4, "a"), trained(4, "b")) == []
    assert any(name.startswith("live/encoder") for name in differing(trained(4, "a"), trained(5, "c")))


@pytest.mark.parametrize("workers", [0, 1])
def test_training_leaves_the_global_random_numbers_alone(workers, tmp_path):
    before, others = torch.get_rng_state(), random.getstate()
    trainer = Trainer(tiny(objective=EVERYTHING), quick(workers=workers), device="cpu")
    trainer.fit(Pictures(), 2)
    trainer.save(tmp_path)
    Trainer.load(tmp_path, tiny(objective=EVERYTHING), device="cpu")
    assert torch.equal(torch.get_rng_state(), before)
    assert random.getstate() == others


def test_a_data_loader_of_ones_own_resumes_its_weights(tmp_path):
    """A DataLoader starts anew, but what it gives is trained on as before: here it gives one batch for ever."""
    loader = DataLoader(Pictures(), batch_size=12)
    whole = Trainer(tiny(), quick(), device="cpu")
    whole.fit(loader, 4)
    first = Trainer(tiny(), quick(), device="cpu")
    first.fit(loader, 2)
    first.save(tmp_path / "stopped")
    second = Trainer.load(tmp_path / "stopped", tiny(seed=7), device="cpu")
    second.fit(loader, 4)
    assert differing(state_of(whole, tmp_path / "a"), state_of(second, tmp_path / "b")) == []


def test_a_reconstruction_of_ones_own_is_given_again(tmp_path):
    def own(prediction, target, mask):
        return (prediction - target).abs().mean()

    whole = Trainer(tiny(), quick(), device="cpu", reconstruction=own)
    whole.fit(Pictures(), 3)
    first = Trainer(tiny(), quick(), device="cpu", reconstruction=own)
    first.fit(Pictures(), 1)
    first.save(tmp_path / "stopped")
    second = Trainer.load(tmp_path / "stopped", tiny(seed=7), device="cpu", reconstruction=own)
    second.fit(Pictures(), 3)
    assert differing(state_of(whole, tmp_path / "a"), state_of(second, tmp_path / "b")) == []


def snapshot(trainer):
    """The weights of all networks, without the statistics that looking at a batch gathers."""
    modules = {"average": trainer.model, "live": trainer._live.generator}
    return {f"{name}/{key}": w.detach().clone() for name, one in modules.items() for key, w in one.named_parameters()}


def nan_at(step):
    calls = []

    def reconstruction(prediction, target, mask):
        calls.append(None)
        loss = (prediction - target).abs().mean()
        return loss * float("nan") if len(calls) == step else loss

    return reconstruction


def infinite_gradient_at(step):
    calls = []

    def reconstruction(prediction, target, mask):
        calls.append(None)
        loss = (prediction - target).abs().mean()
        return (
            loss + (0 * prediction).abs().sqrt().sum() if len(calls) == step else loss
        )  # finite, but its slope is not

    return reconstruction


@pytest.mark.parametrize("kind", [nan_at, infinite_gradient_at])
def test_a_loss_that_is_no_number_stops_with_the_weights_of_the_last_good_step(kind):
    trainer, good = Trainer(tiny(), quick(), device="cpu", reconstruction=kind(3)), []
    with pytest.raises(TrainingError, match=r"step 3.*last good step.*lower learning rate"):
        trainer.fit(Pictures(), 9, hook=lambda given: good.append(snapshot(given)))
    assert len(good) == 2
    now = snapshot(trainer)
    assert differing(good[-1], now) == []
    assert all(torch.isfinite(tensor).all() for tensor in now.values())
    assert all(torch.isfinite(tensor).all() for tensor in trainer.model.state_dict().values())


@pytest.mark.parametrize("step", [1, 3])
def test_a_discriminator_that_is_no_number_moves_no_network(step, monkeypatch):
    from condswap.training import trainer as module

    calls, real = [], module.discriminator_step

    def broken(*args):
        calls.append(None)
        loss, metrics = real(*args)
        return (loss * float("nan") if len(calls) == step else loss), metrics

    monkeypatch.setattr(module, "discriminator_step", broken)
    trainer = Trainer(tiny(), quick(), device="cpu")
    good = [snapshot(trainer)]
    with pytest.raises(TrainingError):
        trainer.fit(Pictures(), 9, hook=lambda given: good.append(snapshot(given)))
    assert len(good) == step
    assert differing(good[-1], snapshot(trainer)) == []


def test_a_run_that_stopped_so_can_go_on_and_be_saved(tmp_path):
    trainer = Trainer(tiny(), quick(), device="cpu", reconstruction=nan_at(2))
    with pytest.raises(TrainingError):
        trainer.fit(Pictures(), 5)
    trainer.save(tmp_path)
    trainer.fit(Pictures(), 5)
    assert trainer.step == 5
    assert all(torch.isfinite(tensor).all() for tensor in state_of(trainer, tmp_path).values())


def test_an_optimizer_that_is_not_fused_skips_too():
    """As on MPS, where Adam has no fused step."""
    from torch.optim import Adam

    trainer, good = Trainer(tiny(), quick(), device="cpu", reconstruction=nan_at(2)), []
    for name, optimizer in trainer._optimizers.items():
        trainer._optimizers[name] = Adam(optimizer.param_groups[0]["params"], 1e-3, fused=False)
    with pytest.raises(TrainingError):
        trainer.fit(Pictures(), 5, hook=lambda given: good.append(snapshot(given)))
    assert differing(good[-1], snapshot(trainer)) == []


def test_without_an_adversarial_weight_no_discriminator_is_trained(tmp_path):
    trainer = Trainer(tiny(objective=Objective(adversarial=0)), quick(), device="cpu")
    before = {name: weight.clone() for name, weight in trainer.model.discriminator.state_dict().items()}
    trainer.fit(Pictures(), 2)
    assert "d/loss" not in trainer.metrics
    assert all(torch.equal(weight, before[name]) for name, weight in trainer.model.discriminator.state_dict().items())


def test_what_changes_nothing_of_what_is_learned_may_change(tmp_path):
    model = tiny()
    trainer = Trainer(model, quick(), device="cpu")
    trainer.save(tmp_path / "state")
    again = Trainer.load(tmp_path / "state", model, device="cpu", recompute=True, workers=1, watch=7)
    assert (again.config.recompute, again.config.workers, again.config.watch) == (True, 1, 7)
    assert again.config.batch_size == trainer.config.batch_size
    with pytest.raises(ConfigError, match="and not .'batch_size'"):
        Trainer.load(tmp_path / "state", model, device="cpu", batch_size=2)
