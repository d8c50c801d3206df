"""Several processes train as one would: the same weights, one that writes, and all of them end together."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch
import torch.distributed
from safetensors.torch import load_file
from tiny_models import quick, tiny
from toy_folder import make_faces

from condswap import ConfigError, Objective, ShapeError, Trainer, demo, sharing
from condswap.training import distributed
from condswap.training.devices import choose_device
from condswap.training.loader import BalancedBatches

HERE = Path(__file__).resolve().parents[1]
# What every process runs: three people, all that couples the pictures of a batch, and a batch that does not divide evenly.
SETTING = """
import os, sys, time
import torch
from safetensors.torch import save_file
from tiny_models import Pictures, quick, tiny
from condswap import Augmentation, Objective, Trainer
from condswap.training import LightGuide, every

torch.set_num_threads(1)
people = ("anna", "bob", "carl")
data = Pictures([0, 1, 2, 0, 1, 0, 2] * 3, classes=people)
objective = Objective(adversarial=0.05, swap_adversarial=0.05, r1=1.0)
model = tiny(people, seed=int(os.environ.get("RANK", "0")), objective=objective)
config = quick(
    batch_size=7, learning_rate=1e-4, augmentation=Augmentation(), back_translation=0.5, ramp_up=1, watch=3, guided=0.3
)
guides = {"red": lambda swaps: swaps.image[:, 0].mean((1, 2)) * (1 + swaps.label), "light": LightGuide()}
"""


def launch(tmp_path, body, processes, *arguments):
    """Start a script in several processes, as a person does, or in one."""
    script = tmp_path / f"script{processes}.py"
    script.write_text(SETTING + textwrap.dedent(body))
    how = [] if processes == 1 else ["-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
    environment = {**os.environ, "PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}
    environment["TORCHELASTIC_ERROR_FILE"] = str(tmp_path / "errors.json")
    return subprocess.Popen(
        [sys.executable, *how, str(script), *map(str, arguments)],
        env=environment,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process, *, code=0):
    """Wait for an end, and give what was written to stderr."""
    _, errors = process.communicate(timeout=120)
    assert process.returncode == code, errors
    return errors


TRAIN = """
trainer = Trainer(model, config, device="cpu", guides=guides)
trainer.fit(data, 4)
if trainer.rank == 0:
    image = torch.stack([data[index]["image"] for index in range(6)])
    live = {f"live/{name}": weight.contiguous() for name, weight in trainer._live.state_dict().items()}
    metrics = {f"metrics/{name}": torch.tensor(value) for name, value in trainer.metrics.items()}
    save_file({"swap": model.swap(image, "bob"), **live, **metrics}, sys.argv[1])
"""


# Biases that a normalisation or a softmax takes out again: their gradient is rounding, which Adam makes as large as any other.
IDLE = ("0.conv.bias", "key.bias")


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What one process makes of it."""
    folder = tmp_path_factory.mktemp("alone")
    finish(launch(folder, TRAIN, 1, "made.safetensors"))
    return load_file(folder / "made.safetensors")


@pytest.mark.parametrize("processes", [2, 3])
def test_several_processes_make_what_one_makes_of_the_joined_batch(tmp_path, alone, processes):
    words = finish(launch(tmp_path, TRAIN, processes, "made.safetensors"))
    made = load_file(tmp_path / "made.safetensors")
    assert set(made) == set(alone)
    for name, values in alone.items():
        if not name.endswith(IDLE):
            torch.testing.assert_close(made[name], values, rtol=1e-5, atol=1e-6)
    assert words.count("The swap at step") == 1, words  # one process speaks


def test_the_metrics_and_the_random_numbers_were_no_accident(alone):
    assert {"metrics/g/swap", "metrics/g/red", "metrics/d/r1", "metrics/c/loss"} <= set(alone)
    torch.manual_seed(0)
    fresh = tiny(("anna", "bob", "carl"), seed=0)
    weight = alone["live/generator.encoder.convs.0.weight"]
    assert not torch.equal(weight, fresh.state_dict()["generator.encoder.convs.0.weight"])  # it was trained


def test_a_list_of_batches_is_shared_too(tmp_path):
    body = """
    pictures = [data[index] for index in range(7)]
    batch = {key: torch.stack([torch.as_tensor(one[key]) for one in pictures]) for key in ("image", "mask", "label")}
    trainer = Trainer(model, config, device="cpu")
    trainer.fit([batch], 2)
    if trainer.rank == 0:
        save_file({name: one.contiguous() for name, one in trainer._live.generator.encoder.state_dict().items()}, sys.argv[1])
    """
    running = [launch(tmp_path, body, processes, f"{processes}.safetensors") for processes in (1, 2)]
    for one in running:
        finish(one)
    one, two = (load_file(tmp_path / f"{processes}.safetensors") for processes in (1, 2))
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-5, atol=1e-6)


def test_one_goes_on_where_two_stopped_and_two_where_one_did(tmp_path, alone):
    body = """
    from pathlib import Path
    if Path("state").exists():
        trainer = Trainer.load("state", model, device="cpu", guides=guides)
        assert trainer.step == int(sys.argv[1]), trainer.step
    else:
        trainer = Trainer(model, config, device="cpu", guides=guides)
    trainer.fit(data, int(sys.argv[2]))
    trainer.save("state")
    if trainer.rank == 0:
        save_file({name: one.contiguous() for name, one in trainer._live.state_dict().items()}, "made.safetensors")
    """
    for processes, start, end in ((2, 0, 1), (1, 1, 2), (3, 2, 4)):
        finish(launch(tmp_path, body, processes, start, end))
    for name, values in load_file(tmp_path / "made.safetensors").items():
        if not name.endswith(IDLE):
            torch.testing.assert_close(values, alone[f"live/{name}"], rtol=1e-5, atol=1e-6)


KEEP_GOING = """
def told(trainer):
    open(f"at{trainer.rank}", "w").write(str(os.getpid()))
    if trainer.step == 3:
        trainer.save("state")
    time.sleep(0.02)

trainer = Trainer(model, config, device="cpu")
try:
    trainer.fit(data, 100_000, hook=told)
except KeyboardInterrupt:
    trainer.save(f"stopped{trainer.rank}")
    open(f"step{trainer.rank}", "w").write(str(trainer.step))
"""


def wait_for(*paths):
    """Wait until files are there and have something in them."""
    end = time.monotonic() + 60
    while not all(path.exists() and path.stat().st_size for path in paths):
        assert time.monotonic() < end, "the processes did not come to train"
        time.sleep(0.05)


def test_when_a_process_is_lost_the_others_end_and_say_how_to_go_on(tmp_path):
    # torchrun ends the others by SIGTERM, which on a busy machine may come while one of them still writes its traceback.
    patient = f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{KEEP_GOING}"
    running = launch(tmp_path, patient, 2)
    wait_for(tmp_path / "state" / "state.safetensors", tmp_path / "at1")
    os.kill(int((tmp_path / "at1").read_text()), signal.SIGKILL)
    words = finish(running, code=1)
    assert "another process of this run was lost" in words and "start the same command again" in words
    assert not (tmp_path / "step0").exists()  # the step that was being taken is not kept
    model = tiny(("anna", "bob", "carl"), objective=Objective(adversarial=0.05, swap_adversarial=0.05, r1=1.0))
    assert Trainer.load(tmp_path / "state", model, device="cpu").step == 3


def test_a_signal_to_one_process_stops_all_at_the_same_step(tmp_path):
    running = launch(tmp_path, KEEP_GOING, 2)
    wait_for(tmp_path / "at0", tmp_path / "at1")
    os.kill(int((tmp_path / "at1").read_text()), signal.SIGINT)
    finish(running)
    assert (tmp_path / "step0").read_text() == (tmp_path / "step1").read_text() != "0"
    assert (tmp_path / "stopped0" / "state.safetensors").exists()
    assert not (tmp_path / "stopped1").exists()  # only one writes


def test_the_command_line_trains_in_two_processes_and_writes_once(tmp_path):
    make_faces(tmp_path / "faces")
    how = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "condswap", "train", "faces", "--out", "run"]
    done = subprocess.run(
        [sys.executable, *how, "--size", "16", "--steps", "4", "--save-every", "2", "--batch-size", "4"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("The model: CGAN.from_pretrained") == 1
    assert {"report.md", "swaps.png", "swapper", "state"} == {path.name for path in (tmp_path / "run").iterdir()}
    assert done.stderr.count("training 100% 4/4") == 1


def test_the_demo_is_for_one_process(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="without torchrun"):
        demo.run(tmp_path / "demo")


def test_processes_of_different_runs_are_refused(tmp_path):
    body = """
    from dataclasses import replace
    Trainer(model, replace(config, seed=int(os.environ["RANK"])), device="cpu")
    """
    assert "differ in their settings" in finish(launch(tmp_path, body, 2), code=1)


def test_one_process_is_rank_0_and_has_everything():
    assert distributed.rank() == 0 and distributed.launched() == 1 and distributed.share(5) is None


@pytest.mark.parametrize(("processes", "rank", "here"), [("1", "0", 0), ("4", "2", 2)])
def test_torchrun_is_noticed_before_the_processes_know_of_each_other(monkeypatch, processes, rank, here):
    for name, value in (
        ("TORCHELASTIC_RUN_ID", "none"),
        ("WORLD_SIZE", processes),
        ("RANK", rank),
        ("LOCAL_RANK", "1"),
    ):
        monkeypatch.setenv(name, value)
    assert distributed.launched() == int(processes) and distributed.rank() == here
    assert distributed.local_rank() == (0 if processes == "1" else 1)


def test_a_world_size_that_others_set_does_not_matter(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert distributed.launched() == 1


def test_every_process_takes_the_gpu_of_its_number(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for name, value in (("TORCHELASTIC_RUN_ID", "none"), ("WORLD_SIZE", "3"), ("RANK", "2"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    assert choose_device(None) == choose_device("cuda") == torch.device("cuda:1")
    assert choose_device("cuda:0") == torch.device("cuda:0")
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(ConfigError, match="there is no cuda:2 here"):
        choose_device(None)


def test_fewer_pictures_than_processes_are_refused(monkeypatch):
    monkeypatch.setattr(distributed, "launched", lambda: 3)
    monkeypatch.setattr(distributed, "rank", lambda: 1)
    assert distributed.share(4)[:3] == (1, 3, 4)
    with pytest.raises(ConfigError, match="a batch of 2 does not go round 3 processes"):
        distributed.share(2)


@pytest.mark.parametrize("processes", [1, 2, 3, 5])
def test_the_parts_of_a_batch_are_the_batch_without_overlap_or_loss(processes):
    labels = [0, 0, 1, 0, 1, 2, 2, 0, 1, 1, 0]
    whole = iter(BalancedBatches(labels, batch_size=7, seed=3, start=2))
    parts = [
        iter(BalancedBatches(labels, batch_size=7, seed=3, start=2, part=(r, processes))) for r in range(processes)
    ]
    for _ in range(4):
        expected, shares = next(whole), [next(one) for one in parts]
        assert sorted(sum(shares, [])) == sorted(expected)
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_rows_of_a_share_are_put_where_they_belong_and_get_everybodys_gradient():
    # A second process that has 10 and 20, and whose loss is the sum of everything times 3.
    def add(values):
        return values + (
            torch.tensor([10.0, 0, 20, 0]) if not values.requires_grad and not back else torch.full((4,), 3.0)
        )

    back = []
    own = torch.tensor([1.0, 2.0], requires_grad=True)
    with sharing.shared(sharing.Share(1, 2, 4, add=add)):
        joined = sharing.whole(own)
        assert joined.tolist() == [10, 1, 20, 2]
        assert sharing.own(joined).tolist() == [1, 2]
    back.append(True)
    (joined * torch.tensor([1.0, 5, 7, 9])).sum().backward()
    assert own.grad.tolist() == [5 + 3, 9 + 3]


def test_a_part_that_asks_for_other_rows_than_there_are_is_told():
    with (
        sharing.shared(sharing.Share(0, 2, 4, add=torch.clone)),
        pytest.raises(ShapeError, match="has 2 of 4 pictures"),
    ):
        sharing.whole(torch.ones(3))


def test_alone_nothing_is_shared():
    values = torch.ones(3)
    assert sharing.whole(values) is values and sharing.own(values) is values
    assert sharing.drawn(3, torch.arange).tolist() == [0, 1, 2]


def test_rows_that_are_no_share_of_the_batch_are_drawn_for_themselves():
    with sharing.shared(sharing.Share(1, 2, 4, add=torch.clone)):
        assert sharing.drawn(2, torch.arange).tolist() == [1, 3]
        assert sharing.drawn(4, torch.arange).tolist() == [0, 1, 2, 3]


def test_quick_settings_train_without_a_group():
    assert Trainer(tiny(), quick(), device="cpu").rank == 0
