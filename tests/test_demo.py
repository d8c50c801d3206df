"""The demo: what it leaves, and that an interrupted one goes on as if it had not been."""

import json
import os
import signal
import sys

import pytest
import torch

from condswap import CGAN, ConfigError, DataError, Trainer, demo
from condswap.pictures import read_picture
from condswap.provenance import read_mark

STEPS = 3


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """A quarter of the pixels, a quarter of the pictures in a step: the order of things stays as it is."""
    real_faces, real_model, real_config = demo.ToyFaces, CGAN.default.__func__, demo.TrainerConfig

    def faces(classes, *, image_size, seed, length, split="train"):
        return real_faces(classes, image_size=32, seed=seed, length=min(length, 24), split=split)

    monkeypatch.setattr(demo, "ToyFaces", faces)
    monkeypatch.setattr(CGAN, "default", classmethod(lambda cls, size, **names: real_model(cls, 32, **names)))
    monkeypatch.setattr(demo, "TrainerConfig", lambda **given: real_config(**{**given, "batch_size": 4}))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def names_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


RESULT = ["progress.png", "swapper/README.md", "swapper/config.json", "swapper/model.safetensors", "swaps.png"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """The weights of a demo that was not interrupted; filled by the first test that needs them."""
    return {"folder": tmp_path_factory.mktemp("whole")}


def whole(weights):
    if "bytes" not in weights:
        demo.run(weights["folder"], steps=STEPS)
        weights["bytes"] = (weights["folder"] / "swapper" / "model.safetensors").read_bytes()
    return weights["bytes"]


def test_the_demo_leaves_pictures_and_a_model_that_loads(tmp_path):
    before = torch.get_rng_state()
    made = demo.run(tmp_path / "new" / "demo", steps=STEPS)
    assert names_in(tmp_path / "new" / "demo") == RESULT
    mark, config = read_mark(made.swaps), json.loads((made.model / "config.json").read_text())
    assert mark["digital_source_type"].endswith("/compositeWithTrainedAlgorithmicMedia")
    assert mark["model_id"] == config["weights"]["sha256"]
    assert torch.equal(torch.get_rng_state(), before)
    assert 0 < made.fidelity.unchanged < 1
    assert made.fidelity.reconstruction < 1
    rows, columns = 4, 8
    assert read_picture(made.swaps).shape[1] > rows * 32
    assert read_picture(made.swaps).shape[2] > columns * 32
    assert read_picture(made.progress).shape[0] == 3
    model = CGAN.from_pretrained(made.model)
    assert model.swap(torch.rand(1, 3, 32, 32), model.classes[1]).shape == (1, 3, 32, 32)


def test_the_same_seed_gives_the_same_model_and_another_one_another(tmp_path, weights):
    demo.run(tmp_path / "same", steps=STEPS)
    demo.run(tmp_path / "other", steps=STEPS, seed=1)
    assert (tmp_path / "same" / "swapper" / "model.safetensors").read_bytes() == whole(weights)
    assert (tmp_path / "other" / "swapper" / "model.safetensors").read_bytes() != whole(weights)


def interrupted_at(step, monkeypatch, how):
    real = Trainer.fit

    def fit(self, data, steps, *, hook=None):
        def stop(trainer):
            hook(trainer)
            if trainer.step == step:
                how()

        return real(self, data, steps, hook=stop)

    monkeypatch.setattr(Trainer, "fit", fit)


def raise_it():
    raise KeyboardInterrupt


def press_it():
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(("step", "how"), [(1, raise_it), (2, press_it), (STEPS, raise_it)])
def test_an_interrupted_demo_goes_on_as_if_it_had_not_been(step, how, tmp_path, monkeypatch, weights):
    expected = whole(weights)
    with monkeypatch.context() as patch:
        interrupted_at(step, patch, how)
        with pytest.raises(KeyboardInterrupt):
            demo.run(tmp_path, steps=STEPS)
    assert names_in(tmp_path) == ["state/state.safetensors", *RESULT[1:4]]
    assert CGAN.from_pretrained(tmp_path / "swapper").classes == ("person-0", "person-1")
    demo.run(tmp_path, steps=STEPS, resume=True)
    assert (tmp_path / "swapper" / "model.safetensors").read_bytes() == expected


def test_ctrl_c_while_the_work_is_being_saved_waits_until_all_of_it_is(tmp_path, monkeypatch):
    real = Trainer.save

    def save(self, folder):
        press_it()
        real(self, folder)

    monkeypatch.setattr(Trainer, "save", save)
    interrupted_at(1, monkeypatch, raise_it)
    with pytest.raises(KeyboardInterrupt):
        demo.run(tmp_path, steps=STEPS)
    assert names_in(tmp_path) == ["state/state.safetensors", *RESULT[1:4]]


def test_an_interruption_after_the_training_loses_nothing(tmp_path, monkeypatch, weights):
    expected = whole(weights)
    with monkeypatch.context() as patch:
        patch.setattr(demo, "save_grid", lambda *args, **settings: raise_it())
        with pytest.raises(KeyboardInterrupt):
            demo.run(tmp_path, steps=STEPS)
    demo.run(tmp_path, steps=STEPS, resume=True)
    assert (tmp_path / "swapper" / "model.safetensors").read_bytes() == expected
    assert set(RESULT) <= set(names_in(tmp_path))


def test_a_resumed_demo_cannot_be_made_longer_than_it_was_planned(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        interrupted_at(1, patch, raise_it)
        with pytest.raises(KeyboardInterrupt):
            demo.run(tmp_path, steps=STEPS)
    with pytest.raises(ConfigError, match=f"planned for {STEPS}"):
        demo.run(tmp_path, steps=STEPS + 1, resume=True)


def test_there_has_to_be_something_to_resume(tmp_path):
    with pytest.raises(DataError, match="no interrupted demo.*leave --resume out"):
        demo.run(tmp_path, steps=STEPS, resume=True)


@pytest.mark.parametrize("module", ["PIL", "matplotlib"])
def test_a_missing_library_is_found_out_before_the_training(module, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)  # what `import` takes for "not there"
    monkeypatch.setattr(Trainer, "fit", lambda *args, **kwargs: pytest.fail("it trained first"))
    with pytest.raises(ConfigError, match=r'pip install "condswap\[demo\]"'):
        demo.run(tmp_path / "out", steps=STEPS)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_found_out_before_the_training(tmp_path, monkeypatch):
    monkeypatch.setattr(Trainer, "fit", lambda *args, **kwargs: pytest.fail("it trained first"))
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "demo"):
        with pytest.raises(DataError, match=r"file.*give the path of a folder"):
            demo.run(out, steps=STEPS)
    monkeypatch.setattr(os, "access", lambda *args: False)
    with pytest.raises(DataError, match="choose another folder"):
        demo.run(tmp_path, steps=STEPS)
    assert (tmp_path / "file").read_text() == "mine"
