"""The state of a run as a file: whole or not at all, and nothing of the model changes when it is refused."""

import json
import pickle
import resource
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import Pictures, differing, quick, state_of, tiny
from torch import nn

from condswap import CondswapError, ConfigError, ConvEncoder, DataError, Encoder, ShapeError, Trainer
from condswap.training.state import FORMAT, checksum

FILE = "state.safetensors"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two steps, saved."""
    folder = tmp_path_factory.mktemp("run") / "state"
    trainer = Trainer(tiny(), quick(), device="cpu")
    trainer.fit(Pictures(), 2)
    trainer.save(folder)
    return folder


def header_of(path):
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(length))


def facts_of(folder):
    return json.loads(header_of(folder / FILE)["__metadata__"]["condswap"])


def rewritten(run, folder, *, facts=None, tensors=None):
    """The state with other facts or tensors, as an editor or a newer library would write it."""
    folder.mkdir()
    kept, text = {**load_file(run / FILE), **(tensors or {})}, json.dumps({**facts_of(run), **(facts or {})})
    save_file(kept, folder / FILE, {"condswap": text, "sha256": checksum(kept, text)})
    return folder


def refused(folder, kind, *words, model=None):
    """Load a state that cannot be, and check that the model is as it was."""
    model = model or tiny(seed=3).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    with pytest.raises(kind) as error:
        Trainer.load(folder, model, device="cpu")
    assert isinstance(error.value, CondswapError)
    for word in (str(folder), *words):
        assert word in str(error.value)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes


def test_a_state_comes_back(run):
    trainer = Trainer.load(run, tiny(seed=3), device="cpu")
    assert trainer.step == 2
    assert trainer.config == quick()


def test_the_model_gets_the_weights_of_the_state(run):
    model = tiny(seed=3)
    assert Trainer.load(run, model, device="cpu").model is model
    kept = load_file(run / FILE)
    assert all(torch.equal(tensor, kept[f"average/{name}"]) for name, tensor in model.state_dict().items())


def test_saving_what_was_loaded_gives_the_same_tensors(run, tmp_path):
    assert differing(state_of(Trainer.load(run, tiny(seed=3), device="cpu"), tmp_path), load_file(run / FILE)) == []


def test_the_state_is_one_safetensors_file_of_tensors_and_facts(run):
    assert [path.name for path in run.iterdir()] == [FILE]
    facts = facts_of(run)
    assert facts["format"] == FORMAT
    assert facts["step"] == 2
    assert facts["config"]["batch_size"] == 4
    assert facts["model"]["classes"] == ["anna", "bob"]


def test_a_missing_state_is_named(tmp_path):
    refused(tmp_path / "nowhere", DataError, FILE, "trainer.save")


def test_a_truncated_state_is_refused_wherever_it_was_cut(run, tmp_path):
    data = (run / FILE).read_bytes()
    for length in (0, 4, 8, 100, len(data) // 2, len(data) - 1):
        (tmp_path / FILE).write_bytes(data[:length])
        refused(tmp_path, DataError, FILE, "not a whole state")


def test_one_bit_that_fell_over_is_found_wherever_it_is(run, tmp_path):
    data = bytearray((run / FILE).read_bytes())
    start = 8 + struct.unpack("<Q", data[:8])[0]
    for place in (start, (start + len(data)) // 2, len(data) - 1):
        data[place] ^= 4
        (tmp_path / FILE).write_bytes(data)
        refused(tmp_path, DataError, FILE, "checksum")
        data[place] ^= 4
    (tmp_path / FILE).write_bytes(data)
    assert Trainer.load(tmp_path, tiny(seed=3), device="cpu").step == 2


def test_the_facts_are_under_the_checksum_too(run, tmp_path):
    data = (run / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(data.replace(rb"\"step\": 2", rb"\"step\": 3", 1))
    assert (tmp_path / FILE).read_bytes() != data
    refused(tmp_path, DataError, FILE, "checksum")


def test_a_foreign_safetensors_file_is_refused(tmp_path):
    save_file({"weight": torch.zeros(3)}, tmp_path / FILE)
    refused(tmp_path, DataError, FILE, "another program")
    save_file({"weight": torch.zeros(3)}, tmp_path / FILE, {"condswap": "3"})
    refused(tmp_path, DataError, FILE, "another program")
    save_file({"weight": torch.zeros(3)}, tmp_path / FILE, {"condswap": "{"})
    refused(tmp_path, DataError, FILE, "not a whole state")


def test_a_pickle_is_never_opened(tmp_path):
    flag = tmp_path / "executed"

    class Trap:
        def __reduce__(self):
            return (open, (str(flag), "w"))

    (tmp_path / FILE).write_bytes(pickle.dumps(Trap()))
    refused(tmp_path, DataError, FILE)
    torch.save({"a": Trap()}, tmp_path / FILE)
    refused(tmp_path, DataError, FILE)
    assert not flag.exists()


def test_a_newer_state_is_refused_with_the_cure(run, tmp_path):
    refused(
        rewritten(run, tmp_path / "new", facts={"format": FORMAT + 1}), ConfigError, str(FORMAT + 1), "update condswap"
    )


@pytest.mark.parametrize("edit", [{"step": -1}, {"step": 1.5}, {"step": True}, {"step": None}, {"config": None}])
def test_edited_facts_are_refused(run, tmp_path, edit):
    refused(rewritten(run, tmp_path / "edited", facts=edit), DataError, "edited")


def test_settings_of_a_newer_library_are_refused(run, tmp_path):
    config = {**facts_of(run)["config"], "momentum": 0.5}
    with pytest.raises(ConfigError, match="momentum"):
        Trainer.load(rewritten(run, tmp_path / "new", facts={"config": config}), tiny(), device="cpu")


def test_the_state_of_another_assembly_is_refused_with_the_difference(run):
    refused(
        run, ConfigError, "classes ['anna', 'bob'], not ['bob', 'anna']", model=tiny(classes=("bob", "anna")).train()
    )
    model = tiny(normalisation="none").train()
    refused(run, ConfigError, "it was bottleneck.normalisation 'pooled', not 'none'; assemble", model=model)


def test_a_state_without_a_description_of_its_model_is_refused(run, tmp_path):
    refused(rewritten(run, tmp_path / "odd", facts={"model": None}), ConfigError, "another way")


def test_a_weight_of_another_shape_or_kind_is_refused(run, tmp_path):
    name = "live/encoder.convs.0.weight"
    weight = load_file(run / FILE)[name]
    refused(
        rewritten(run, tmp_path / "shape", tensors={name: weight[:1].clone()}),
        ShapeError,
        name,
        str(tuple(weight.shape)),
    )
    refused(rewritten(run, tmp_path / "kind", tensors={name: weight.half()}), DataError, name, "float16")


def test_missing_and_unknown_tensors_are_refused(run, tmp_path):
    refused(rewritten(run, tmp_path / "more", tensors={"live/extra": torch.zeros(1)}), DataError, "live/extra")
    kept = load_file(run / FILE)
    for number, name in enumerate(
        ("average/discriminator.judge.weight", "code/layers.0.bias", "optimizer/code/0.exp_avg")
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        rest, text = {key: tensor for key, tensor in kept.items() if key != name}, json.dumps(facts_of(run))
        save_file(rest, folder / FILE, {"condswap": text, "sha256": checksum(rest, text)})
        refused(folder, DataError, name)


@pytest.mark.parametrize("name", ["optimizer/generator/0.momentum", "optimizer/generator/x.step", "optimizer/other/0.step",
                                  "optimizer/generator/9999.exp_avg", "optimizer/generator/step"])  # fmt: skip
def test_what_no_optimizer_keeps_is_refused(run, tmp_path, name):
    refused(rewritten(run, tmp_path / "odd", tensors={name: torch.zeros(())}), DataError, name)


def test_an_optimizer_of_another_shape_is_refused(run, tmp_path):
    name = "optimizer/generator/0.exp_avg"
    refused(rewritten(run, tmp_path / "odd", tensors={name: torch.zeros(2)}), ShapeError, name)


def test_a_disk_that_is_full_leaves_the_old_state_whole(tmp_path):
    trainer = Trainer(tiny(), quick(), device="cpu")
    trainer.fit(Pictures(), 1)
    old = state_of(trainer, tmp_path)
    size = (tmp_path / FILE).stat().st_size
    trainer.fit(Pictures(), 2)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, limits[1]))
    try:
        with pytest.raises(DataError, match="free some space.*the old file is untouched"):
            trainer.save(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert differing(old, load_file(tmp_path / FILE)) == []
    assert Trainer.load(tmp_path, tiny(seed=3), device="cpu").step == 1


def test_a_state_that_cannot_be_read_gives_way_to_the_one_before_it_and_says_so(tmp_path):
    trainer = Trainer(tiny(), quick(), device="cpu")
    states = []
    for step in (1, 2, 3, 4):
        trainer.fit(Pictures(), step)
        states.append(state_of(trainer, tmp_path))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 3, "the newest one and the two before it"
    newest = tmp_path / FILE
    data = newest.read_bytes()
    newest.unlink()  # the tensors that were loaded from it are mapped, and are still to be compared with
    newest.write_bytes(data[:-1])
    with pytest.warns(UserWarning, match=rf"{FILE} is not a whole state .*Going on from .*{names[1]}, step 3"):
        again = Trainer.load(tmp_path, tiny(seed=3), device="cpu")
    again.fit(Pictures(), 4)
    assert differing(states[3], state_of(again, tmp_path / "again")) == []
    newest.unlink()
    with pytest.warns(UserWarning, match=rf"{FILE} is not there"):
        Trainer.load(tmp_path, tiny(seed=3), device="cpu")
    for path in tmp_path.glob("*.safetensors"):
        path.write_bytes(b"nothing")
    refused(tmp_path, DataError, "nor can the 2 earlier ones be read")


def test_the_last_state_of_every_day_stays(tmp_path):
    for day, hour in [(1, 9), (1, 10), (1, 11), (2, 9), (3, 9), (3, 10), (3, 11), (3, 12)]:
        (tmp_path / f"state-202601{day:02}-{hour:02}0000-000.safetensors").write_bytes(b"old")
    (tmp_path / "mine.safetensors").write_bytes(b"mine")
    (tmp_path / ".condswap-0123456789ab.safetensors").write_bytes(b"what was being written when the run was killed")
    trainer = Trainer(tiny(), quick(), device="cpu")
    trainer.save(tmp_path)
    trainer.save(tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("state-2026010"))
    kept = sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("state-2026010"))
    assert kept == [f"state-202601{stamp}0000-000.safetensors" for stamp in ("01-11", "02-09", "03-12")]
    assert len(names) == 3, names  # the newest, that before it, and what is none of ours
    assert {"mine.safetensors", FILE} < set(names)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    trainer = Trainer(tiny(), quick(), device="cpu")
    with pytest.raises(DataError, match=r"file.*give the path of a folder"):
        trainer.save(tmp_path / "file")
    with pytest.raises(DataError, match=r"file"):
        trainer.save(tmp_path / "file" / "state")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_state_is_saved_into_folders_that_are_not_there_yet(tmp_path):
    Trainer(tiny(), quick(), device="cpu").save(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b" / FILE).is_file()


def test_saving_does_not_disturb_the_run(tmp_path):
    def trained(hook):
        trainer = Trainer(tiny(), quick(), device="cpu")
        trainer.fit(Pictures(), 4, hook=hook)
        return state_of(trainer, tmp_path / "end")

    assert differing(trained(None), trained(lambda given: given.save(tmp_path / "mid"))) == []


class SharedEncoder(Encoder):
    """Two names for one convolution."""

    def __init__(self, in_shape, *, width=4):
        super().__init__()
        self.inner = ConvEncoder(in_shape, width=width, stages=2, code_channels=4)
        self.in_shape, self.out_shape = self.inner.in_shape, self.inner.out_shape
        self.again = self.inner.narrow

    def forward(self, image):
        return self.inner(image)


def test_a_part_with_tied_weights_is_saved_and_resumed(tmp_path):
    def tied(seed):
        model = tiny(seed=seed)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model.generator.encoder = SharedEncoder((3, 16, 16))
        return model

    trainer = Trainer(tied(0), quick(), device="cpu")
    trainer.fit(Pictures(), 2)
    trainer.save(tmp_path)
    trainer.fit(Pictures(), 4)
    again = Trainer.load(tmp_path, tied(1), device="cpu")
    again.fit(Pictures(), 4)
    assert differing(state_of(trainer, tmp_path / "a"), state_of(again, tmp_path / "b")) == []


class OwnEncoder(Encoder):
    """Takes an object that no file can hold."""

    def __init__(self, in_shape, *, activation=None):
        super().__init__()
        self.inner = ConvEncoder(in_shape, width=4, stages=2, code_channels=4)
        self.in_shape, self.out_shape, self.activation = self.inner.in_shape, self.inner.out_shape, activation

    def forward(self, image):
        return self.activation(self.inner(image))


def test_a_model_that_could_not_be_saved_is_refused_before_it_is_trained():
    model = tiny().train()
    model.generator.encoder = OwnEncoder((3, 16, 16), activation=nn.SiLU())
    with pytest.raises(ConfigError, match=r"OwnEncoder\.activation is a SiLU"):
        Trainer(model, quick(), device="cpu")
    assert model.training
