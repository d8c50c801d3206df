"""`condswap train`: what it leaves, and that a run that was stopped, however, goes on as if it had not been."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from dfl_files import face, write
from face_api_files import write_face_api
from mobile_face_files import write_mobile_face
from toy_folder import make_faces

from condswap import CGAN, ConfigError, DataError, Trainer, TrainerConfig, train
from condswap.cli import main
from condswap.pictures import read_picture
from condswap.provenance import read_mark

STEPS = 6
SMALL = ["--size", "32", "--steps", str(STEPS), "--batch-size", "4", "--save-every", "2", "--device", "cpu"]
SETTINGS = {"image_size": 32, "steps": STEPS, "batch_size": 4, "save_every": 2, "device": "cpu"}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def report(whole, monkeypatch):
    """The report of the whole run, without measuring again."""
    monkeypatch.setattr(train, "evaluate", lambda model, data, *, known, identity: whole.report)


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "faces"
    make_faces(root, each=12)
    return root


@pytest.fixture(scope="module")
def whole(faces, tmp_path_factory, one_thread):
    """A run that nobody stopped."""
    return train.run(faces, tmp_path_factory.mktemp("whole") / "new" / "run", **SETTINGS)


def weights(out: Path) -> bytes:
    return (out / "swapper" / "model.safetensors").read_bytes()


def model_in_picture(out: Path) -> str:
    """The id of the model that the picture says made it."""
    mark = read_mark(out / "swaps.png")
    assert mark["digital_source_type"].endswith("/compositeWithTrainedAlgorithmicMedia")
    return mark["model_id"]


def model_in_folder(out: Path) -> str:
    return json.loads((out / "swapper" / "config.json").read_text())["weights"]["sha256"]


def test_it_leaves_a_swapper_a_picture_a_report_and_a_state(whole):
    out = whole.model.parent
    assert {path.name for path in out.iterdir()} == {"swapper", "swaps.png", "report.md", "state"}
    assert CGAN.from_pretrained(out / "swapper").classes == ("biden", "trump")
    assert whole.report_file.read_text() == whole.report.to_markdown()
    assert "Measured" in (out / "swapper" / "README.md").read_text()
    assert model_in_picture(out) == model_in_folder(out)
    rows = 2 * (1 + 2)
    assert read_picture(whole.swaps).shape[1] > rows * 128
    assert len(list((out / "state").iterdir())) == 3


def test_a_run_that_is_done_is_not_trained_again(whole, faces, report, capsys):
    before = weights(whole.model.parent)
    train.run(faces, whole.model.parent, **SETTINGS)
    assert "going on at step 6 of 6" in capsys.readouterr().err
    assert weights(whole.model.parent) == before


@pytest.mark.parametrize("step", [1, 2, 5])
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(step, faces, whole, report, tmp_path, monkeypatch):
    real = Trainer.fit

    def fit(self, data, steps, *, hook, held_back):
        def stop(trainer):
            hook(trainer)
            if trainer.step == step:
                os.kill(os.getpid(), signal.SIGINT)

        return real(self, data, steps, hook=stop, held_back=held_back)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "fit", fit)
        with pytest.raises(KeyboardInterrupt):
            train.run(faces, tmp_path, **SETTINGS)
    assert CGAN.from_pretrained(tmp_path / "swapper").classes == ("biden", "trump")
    if step == 2:  # the picture and the swapper are of the same step
        assert model_in_picture(tmp_path) == model_in_folder(tmp_path)
    train.run(faces, tmp_path, **SETTINGS)
    assert weights(tmp_path) == weights(whole.model.parent)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_machine_that_is_taken_away_loses_nothing(number, faces, whole, report, tmp_path, capsys):
    command = [sys.executable, "-m", "condswap", "train", str(faces), "--out", str(tmp_path), *SMALL]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    # Whoever runs the tests under nohup ignores SIGHUP, and what is ignored is inherited.
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )
    state = tmp_path / "state" / "state.safetensors"
    while process.poll() is None and not state.exists():
        time.sleep(0.005)
    process.send_signal(number)
    _, told = process.communicate(timeout=120)
    if number == signal.SIGKILL:
        assert process.returncode == -number
    else:
        assert process.returncode == 128 + number
        assert "the swapper so far is in" in told
        assert "give the same command again to go on" in told
        assert "Traceback" not in told
    assert main(command[3:]) == 0
    assert "going on at step" in capsys.readouterr().err
    assert weights(tmp_path) == weights(whole.model.parent)


def test_a_disk_that_was_full_for_a_while_does_not_end_the_run(faces, whole, report, tmp_path, monkeypatch, capsys):
    real, calls = Trainer.save, []

    def save(self, folder):
        calls.append(self.step)
        if len(calls) == 1:
            raise DataError("could not write the state: No space left on device; free some space")
        real(self, folder)

    monkeypatch.setattr(Trainer, "save", save)
    train.run(faces, tmp_path, **SETTINGS)
    assert calls == [2, 4, 6]
    told = capsys.readouterr().err
    assert "No space left on device; free some space" in told
    assert "training goes on, and it is tried again after 2 steps" in told
    assert weights(tmp_path) == weights(whole.model.parent)


@pytest.mark.parametrize("first", [True, False])
def test_a_disk_that_stays_full_is_told_with_what_is_left(first, faces, report, tmp_path, monkeypatch):
    real = Trainer.save

    def save(self, folder):
        if first or self.step > 2:
            raise DataError("could not write the state: No space left on device; free some space")
        real(self, folder)

    monkeypatch.setattr(Trainer, "save", save)
    left = "nothing of this run was kept" if first else "the last whole state is in .*; give the same command again"
    with pytest.raises(DataError, match=f"No space left on device; free some space; {left}"):
        train.run(faces, tmp_path, **SETTINGS)
    monkeypatch.setattr(Trainer, "save", real)
    assert train.run(faces, tmp_path, **SETTINGS).model.is_dir()


def test_other_settings_are_refused_and_the_run_is_as_it_was(faces, whole):
    out = whole.model.parent
    before = weights(out)
    with pytest.raises(
        ConfigError, match=r"was begun with steps 6, not 7, seed 0, not 1; go on as it was, or give another"
    ):
        train.run(faces, out, **{**SETTINGS, "steps": 7, "seed": 1})
    with pytest.raises(ConfigError, match="the state of another model"):
        train.run(faces, out, **{**SETTINGS, "bottleneck": "mlp"})
    assert weights(out) == before


def test_a_place_that_cannot_be_written_is_found_out_before_the_work(faces, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match="give the path of a folder"):
        train.run(faces, tmp_path / "file", **SETTINGS)


def test_a_workspace_of_deepfacelab_from_the_command_line(report, tmp_path, capsys):
    for name in ("data_src", "data_dst"):
        for number in range(4):
            write(tmp_path / "workspace" / name / "aligned" / f"0000{number}_0.jpg", face(32 if number % 2 else 64))
        write(tmp_path / "workspace" / name / "aligned" / "broken.jpg", b"\xff\xd8")
    out = tmp_path / "run"
    facts = tmp_path / "facts.json"
    assert (
        main(["train", str(tmp_path / "workspace"), "--out", str(out), *SMALL, "--steps", "2", "--json", str(facts)])
        == 0
    )
    told = capsys.readouterr()
    assert told.err.count("left out ") == 2
    assert [Path(one["path"]).name for one in json.loads(facts.read_text())["left_out"]] == ["broken.jpg"] * 2
    assert f'CGAN.from_pretrained("{out / "swapper"}")' in told.out
    assert CGAN.from_pretrained(out / "swapper").classes == ("data_dst", "data_src")


def test_what_is_wrong_is_said_in_one_line(tmp_path, capsys):
    assert main(["train", str(tmp_path / "nowhere"), "--out", str(tmp_path / "run")]) == 1
    told = capsys.readouterr().err
    assert told.startswith("condswap: ")
    assert "does not exist" in told
    assert told.count("\n") == 1


def test_a_guided_run_is_guided_in_its_second_half_and_goes_on(faces, tmp_path, monkeypatch, capsys):
    package, seen = write_mobile_face(write_face_api(tmp_path / "package")), []
    take = Trainer._take

    def noted(trainer, *given, **told):
        take(trainer, *given, **told)
        seen.append({name for name in ("g/dlib", "g/mobileface", "g/expression") if name in trainer.metrics})

    monkeypatch.setattr(Trainer, "_take", noted)
    # Guides wait for the ramp of the code's adversary, 200 steps.
    monkeypatch.setattr(train, "TrainerConfig", partial(TrainerConfig, ramp_up=1))
    guided = ["train", str(faces), *SMALL, "--out", str(tmp_path / "run"), "--guides", str(package)]
    assert main(guided) == 0
    assert seen == [set()] * 3 + [{"g/dlib", "g/mobileface", "g/expression"}] * 3
    assert main(guided[:-2]) != 0
    refused = capsys.readouterr().err
    assert "noise 0.15, not 0.3" in refused
    assert "code_adversary 0.0, not 0.04; assemble it as it was, with the same size, bottleneck and guides" in refused


def test_guides_that_are_not_there_or_have_nobody_to_look_at_are_told_before_the_training(faces, tmp_path):
    with pytest.raises(DataError, match="npm pack"):
        train.run(faces, tmp_path / "run", **SETTINGS, guides=tmp_path)
    with pytest.raises(ConfigError, match="nobody but 'biden'"):
        train.run(faces, tmp_path / "run", **SETTINGS, guides=tmp_path, classes=["biden"])
    assert not (tmp_path / "run" / "state").exists()
