"""A folder and back: bit-equal, and nothing half loaded or half written."""

import errno
import hashlib
import json
import os
import pickle
import random
import shutil
import tracemalloc
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_model import met, pictures, small
from torch import nn

from condswap import CGAN, CondswapError, ConfigError, DataError, Encoder, HubError, Objective, ShapeError
from condswap.pretrained import config_text


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A model that has seen pictures, and its folder; a test that changes the folder copies it first."""
    folder = tmp_path_factory.mktemp("saved") / "swapper"
    model = met(small())
    model.save_pretrained(folder)
    return model, folder


@pytest.fixture
def folder(saved, tmp_path):
    return Path(shutil.copytree(saved[1], tmp_path / "swapper"))


def edit(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def vouch(folder: Path) -> None:
    """Make the config vouch for whatever the weights are now, as one would who means harm."""
    data = (folder / "model.safetensors").read_bytes()
    edit(folder, weights={"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)})


def same(one: nn.Module, other: nn.Module) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(
        torch.equal(tensor, theirs[name]) and tensor.dtype == theirs[name].dtype for name, tensor in mine.items()
    )


# There and back.


@pytest.mark.parametrize(
    "model",
    [
        lambda: met(small()),
        lambda: met(small(bottleneck="mlp", size=(32, 48))),
        lambda: small(["anna"]),
        lambda: small([f"person {number}" for number in range(256)]),
        lambda: CGAN.paper(32, classes=["a", "b"], bottleneck="attention"),
        lambda: CGAN.default(128, classes=["a", "b"]),
        lambda: small(["Zo\u00eb", "\u4e8c\n\"'\\", "\ud800"], masked_input=False, objective=Objective(l1=0.5)),
    ],
    ids=["attention", "mlp", "one class", "many classes", "paper", "128", "odd names"],
)
def test_what_is_saved_comes_back_bit_equal(model, tmp_path):
    one = model().eval()
    one.save_pretrained(tmp_path / "deeper" / "swapper")
    other = CGAN.from_pretrained(tmp_path / "deeper" / "swapper")
    assert same(one, other)  # the discriminator and every statistic included
    assert any(name.startswith("discriminator.") for name in other.state_dict())
    assert other.config() == one.config()
    assert other.classes == one.classes
    assert other.objective == one.objective
    assert not other.training
    image = pictures(2, size=one.image_shape[1:])
    for source in (None, 0):
        assert torch.equal(other.swap(image, 0, source=source), one.swap(image, 0, source=source))
    label = torch.zeros(2, dtype=torch.int64)
    assert torch.equal(other.discriminator(image, label), one.discriminator(image, label))


def test_the_folder_holds_three_files_and_no_pickle(saved):
    assert sorted(path.name for path in saved[1].iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert json.loads((saved[1] / "config.json").read_bytes())["classes"] == ["anna", "bob"]
    assert set(load_file(saved[1] / "model.safetensors")) == set(saved[0].state_dict())


def test_a_few_classes_have_a_line_each():
    config = {"classes": ["anna", "bob \n\u00e9"], "encoder": {"type": "E", "in_shape": [3, 32, 32]}, "training": {}}
    assert config_text(config) == json.dumps(config, indent=2) + "\n"
    config["classes"] = [str(number) for number in range(20)]
    assert config_text(config) == json.dumps(config, indent=2) + "\n"


def test_of_very_many_classes_ten_share_a_line():
    names = [f'person, "{number}"' for number in range(45)]
    text = config_text({"condswap": 1, "classes": names, "masked_input": True})
    assert json.loads(text) == {"condswap": 1, "classes": names, "masked_input": True}
    lines = text.splitlines()
    assert lines[:3] == ["{", '  "condswap": 1,', '  "classes": [']
    rows = [json.loads(f"[{line.removesuffix(',')}]") for line in lines[3:8]]
    assert rows == [names[start : start + 10] for start in range(0, 45, 10)]
    assert [line.startswith('    "person') for line in lines[3:8]] == [True] * 5
    assert lines[8:] == ["  ],", '  "masked_input": true', "}"]


def test_a_model_of_four_thousand_classes_is_saved_and_loaded(tmp_path):
    names = [f"person {number}" for number in range(4096)]
    model = small(names)
    model.save_pretrained(tmp_path)
    assert CGAN.from_pretrained(tmp_path).classes == tuple(names)
    assert len((tmp_path / "config.json").read_text().splitlines()) < 600
    assert len((tmp_path / "README.md").read_text()) < 6000


def test_saving_twice_gives_the_same_files(saved, tmp_path):
    CGAN.from_pretrained(saved[1]).save_pretrained(tmp_path)
    for path in saved[1].iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_saving_leaves_the_model_alone(saved, tmp_path):
    model = met(small()).train()
    model.save_pretrained(str(tmp_path))
    assert model.training
    assert same(model, saved[0])


def test_a_folder_can_lie_in_a_folder(saved, tmp_path):
    saved[0].save_pretrained(tmp_path / "models" / "best")
    assert same(CGAN.from_pretrained(tmp_path / "models", subfolder="best"), saved[0])
    assert same(CGAN.from_pretrained(str(tmp_path / "models" / "best") + "/"), saved[0])


def test_a_folder_goes_before_the_hub(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved[0].save_pretrained("user/swapper")
    assert same(CGAN.from_pretrained("user/swapper"), saved[0])


def test_loading_leaves_the_random_numbers_alone(saved):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    CGAN.from_pretrained(saved[1])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_loaded_model_can_be_trained(saved):
    model = CGAN.from_pretrained(saved[1]).train()
    model(pictures(), "bob").mean().backward()
    assert all(weight.requires_grad and weight.grad is not None for weight in model.generator.decoder.parameters())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_the_weights_can_have_another_precision(saved, dtype):
    model = CGAN.from_pretrained(saved[1], dtype=dtype, device="cpu")
    assert {weight.dtype for weight in model.parameters()} == {dtype}
    for source in (None, "anna"):
        out = model.swap(pictures(), "bob", source=source, mask=torch.ones(2, 1, 32, 32))
        assert out.dtype == torch.float32
        assert (
            out - saved[0].swap(pictures(), "bob", source=source, mask=torch.ones(2, 1, 32, 32))
        ).abs().mean() < 0.02


def test_half_a_precision_is_kept_when_it_is_saved(saved, tmp_path):
    half = CGAN.from_pretrained(saved[1], dtype=torch.bfloat16)
    half.save_pretrained(tmp_path)
    assert same(CGAN.from_pretrained(tmp_path), half)


def test_weights_can_go_to_another_device(saved):
    model = CGAN.from_pretrained(saved[1], device="meta")
    assert all(weight.is_meta for weight in model.parameters())


class TiedEncoder(Encoder):
    """Uses one weight in two places."""

    def __init__(self, in_shape):
        super().__init__()
        self.in_shape, self.out_shape = tuple(in_shape), (4, in_shape[1] // 4, in_shape[2] // 4)
        self.first = nn.Conv2d(3, 4, 4, stride=4)
        self.second, self.third = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.third.weight = self.second.weight
        self.register_buffer("table", torch.arange(6).reshape(2, 3).T)  # not contiguous

    def forward(self, image):
        return self.third(self.second(self.first(image)))


class RealEncoder(TiedEncoder):
    """Cannot be built without memory: its constructor computes."""

    def __init__(self, in_shape):
        super().__init__(in_shape)
        self.scale = float(torch.linspace(0, 1, 5).sum().item())

    def forward(self, image):
        return self.scale * super().forward(image)


@pytest.mark.parametrize("kind", [TiedEncoder, RealEncoder])
def test_an_encoder_of_ones_own_comes_back_as_it_was(kind, tmp_path):
    model = small()
    model.generator.encoder = kind((3, 32, 32))
    model.save_pretrained(tmp_path)
    other = CGAN.from_pretrained(tmp_path)
    assert same(other, model)
    encoder = other.generator.encoder
    assert encoder.third.weight is encoder.second.weight
    assert torch.equal(other.swap(pictures(), "bob"), model.swap(pictures(), "bob"))


class StatefulEncoder(TiedEncoder):
    def get_extra_state(self):
        return {"steps": 3}

    def set_extra_state(self, state):
        pass


def test_a_state_that_is_no_tensor_is_refused_and_nothing_is_written(tmp_path):
    model = small()
    model.generator.encoder = StatefulEncoder((3, 32, 32))
    with pytest.raises(
        ConfigError, match="generator.encoder._extra_state in the model's state is a dict; only tensors"
    ):
        model.save_pretrained(tmp_path / "swapper")
    assert not (tmp_path / "swapper").exists()


def test_a_part_that_cannot_be_written_down_is_said_before_anything_is_written(tmp_path):
    class LooseEncoder(TiedEncoder):
        def __init__(self, in_shape, activation=None):
            super().__init__(in_shape)

    model = small()
    model.generator.encoder = LooseEncoder((3, 32, 32), nn.SiLU())
    with pytest.raises(ConfigError, match=r"LooseEncoder\.activation is a SiLU"):
        model.save_pretrained(tmp_path / "swapper")
    assert not (tmp_path / "swapper").exists()


# Files that are not whole, or not ours.


def refused(folder: Path, kind: type[Exception], told: str) -> None:
    """Loading fails as it should, without memory of the file's own choosing, and leaves the files alone."""
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    with pytest.raises(kind, match=told) as caught:
        CGAN.from_pretrained(folder)
    assert isinstance(caught.value, CondswapError)
    assert str(folder) in str(caught.value)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.3, 0.5, 0.999])
@pytest.mark.parametrize("vouched", [False, True])
def test_weights_that_are_cut_off_are_refused(folder, share, vouched):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: int(share * weights.stat().st_size)])
    if vouched:
        vouch(folder)
    refused(folder, DataError, r"model.safetensors (has|is not a whole).*(save the model again|download it again)")


@pytest.mark.parametrize("tail", [b"\0", b"more"])
def test_weights_with_something_behind_them_are_refused(folder, tail):
    with (folder / "model.safetensors").open("ab") as file:
        file.write(tail)
    refused(folder, DataError, "model.safetensors has .* bytes and its config.json vouches for")
    vouch(folder)
    refused(folder, DataError, "model.safetensors is not a whole safetensors file")


@pytest.mark.parametrize("seed", range(6))
def test_one_flipped_byte_in_the_weights_is_refused(folder, seed):
    weights = folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[random.Random(seed).randrange(len(data))] ^= 1 << seed
    weights.write_bytes(data)
    refused(folder, DataError, "model.safetensors is not")


@pytest.mark.parametrize("seed", range(12))
def test_one_flipped_byte_in_the_head_is_our_error_even_if_it_is_vouched_for(folder, seed):
    weights = folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[random.Random(seed).randrange(min(4000, len(data)))] ^= 1 << (seed % 8)
    weights.write_bytes(data)
    vouch(folder)
    with pytest.raises(CondswapError, match="model.safetensors"):
        CGAN.from_pretrained(folder)


def test_a_foreign_safetensors_file_is_refused(folder):
    save_file({"unet.weight": torch.zeros(3)}, folder / "model.safetensors")
    refused(folder, DataError, "model.safetensors has .* bytes")
    vouch(folder)
    refused(folder, DataError, r"does not belong to this model: it lacks .* and \d+ more and has unet.weight in excess")


class Trap:
    def __reduce__(self):
        return (os.abort, ())


@pytest.mark.parametrize(
    "data",
    [pickle.dumps(Trap()), b"PK\x03\x04 a zip, as torch.save writes it", b"{}", b"\xff" * 64],
    ids=["pickle", "zip", "json", "ff"],
)
def test_nothing_is_ever_unpickled(folder, data):
    (folder / "model.safetensors").write_bytes(data)
    refused(folder, DataError, "model.safetensors has")
    vouch(folder)
    refused(folder, DataError, "model.safetensors is not a whole safetensors file")


def rewrite(folder: Path, change) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")
    vouch(folder)


NAME = "generator.decoder.heads.conv.weight"


@pytest.mark.parametrize(
    ("change", "kind", "told"),
    [
        (
            lambda t: t.update({"generator.decoder.head.weight": t.pop(NAME)}),
            DataError,
            f"lacks {NAME} and has generator.decoder.head.weight in",
        ),
        (lambda t: t.pop(NAME), DataError, f"lacks {NAME} and has nothing in excess"),
        (lambda t: t.update(more=torch.zeros(1)), DataError, "lacks nothing and has more in excess"),
        (
            lambda t: t.update({NAME: t[NAME][:, :4].contiguous()}),
            ShapeError,
            rf"{NAME} is \(16, 4, 1, 1\) and this model takes \(16, 8, 1, 1\)",
        ),
        (lambda t: t.update({NAME: t[NAME].flatten()}), ShapeError, rf"{NAME} is \(128,\) and"),
        (
            lambda t: t.update({NAME: t[NAME].int()}),
            DataError,
            f"{NAME} is torch.int32 and this model takes torch.float32",
        ),
        (
            lambda t: [t.pop(name) for name in list(t) if name.startswith("discriminator")],
            DataError,
            "lacks discriminator",
        ),
    ],
    ids=["renamed", "missing", "more", "narrow", "flat", "whole numbers", "no discriminator"],
)
def test_weights_that_do_not_fit_are_told_by_name(folder, change, kind, told):
    rewrite(folder, change)
    refused(folder, kind, told)


def test_the_weights_of_another_save_are_refused(folder, tmp_path):
    small(seed=5).save_pretrained(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "model.safetensors", folder)
    refused(folder, DataError, "is not the file that was saved with its config.json: the checksums differ")


@pytest.mark.parametrize(
    "weights", [None, {}, 5, [], {"sha256": "0" * 64}, {"bytes": 3}, {"sha256": None, "bytes": None}], ids=str
)
def test_a_config_that_does_not_vouch_for_its_weights_is_refused(folder, weights):
    edit(folder, weights=weights)
    refused(folder, DataError, "save the model again")
    config = json.loads((folder / "config.json").read_text())
    del config["weights"]
    (folder / "config.json").write_text(json.dumps(config))
    refused(folder, DataError, "does not say which weights")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_config_that_is_cut_off_is_refused(folder, share):
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text[: int(share * len(text))])
    refused(folder, ConfigError, r"config.json is not JSON .*: save or download the model again")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"[1, 2]", "is not the config of a model but list"),
        (b"null", "but NoneType"),
        (b'"condswap"', "but str"),
        (b"{}", "not the config of a condswap model"),
        (b'{"model_type": "bert"}', "not the config of a condswap model"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"a":' * 100_000, "is not JSON"),
        (b'{"condswap": NaN}', "is not JSON .*NaN"),
        (b'{"condswap": Infinity}', "is not JSON .*Infinity"),
        (b'{"condswap": ' + b"9" * 5000 + b"}", "is not JSON"),
        (b"\x80\x04\x95 a pickle", "is not JSON"),
        (b"\xff\xfe\xff", "is not JSON"),
    ],
    ids=[
        "list",
        "null",
        "string",
        "empty",
        "foreign",
        "deep lists",
        "deep objects",
        "nan",
        "infinity",
        "long number",
        "pickle",
        "bytes",
    ],
)
def test_a_config_that_is_none_is_refused(folder, text, told):
    (folder / "config.json").write_bytes(text)
    refused(folder, ConfigError, told)


def test_a_newer_format_says_how_to_update(folder):
    edit(folder, condswap=2)
    refused(folder, ConfigError, "config.json: this config has format 2.*pip install -U condswap")


def nested(config, depth):
    for _ in range(depth):
        config = {"type": "ConvEncoder", "in_shape": config}
    return config


@pytest.mark.parametrize(
    "encoder",
    [
        {"width": 10**7},
        {"width": 10**30},
        {"width": 1e308},
        {"width": -8},
        {"stages": 10**8},
        {"stages": 14},
        {"code_channels": 10**12},
        {"in_shape": [3, 2**40, 2**40]},
        {"in_shape": [10**9, 32, 32]},
        {"in_shape": "3, 32, 32"},
        {"in_shape": nested([3, 32, 32], 300)},
        {"type": "os.system", "in_shape": "true"},
        {"type": "CrossAttentionBottleneck", "num_classes": 2},
        {"colour": 1},
    ],
    ids=lambda encoder: str(encoder)[:40],
)
def test_a_hostile_config_is_refused_without_the_memory_it_asks_for(folder, encoder):
    edit(folder, encoder=json.loads((folder / "config.json").read_text())["encoder"] | encoder)
    peak = peak_of(lambda: refused(folder, CondswapError, "config.json|model.safetensors"))
    assert peak < 50e6


@pytest.mark.parametrize(
    ("role", "changes"),
    [
        ("bottleneck", {"tokens": 10**11}),
        ("bottleneck", {"num_classes": 10**11}),
        ("bottleneck", {"width": 2 * 10**7}),
        ("decoder", {"embedding": 10**11}),
        ("decoder", {"width": 10**7}),
        ("discriminator", {"width": 10**7}),
        ("decoder", {"stages": 10**9}),
        ("discriminator", {"stages": 40}),
    ],
    ids=str,
)
def test_every_part_of_a_hostile_config_is_refused(folder, role, changes):
    edit(folder, **{role: json.loads((folder / "config.json").read_text())[role] | changes})
    assert peak_of(lambda: refused(folder, CondswapError, "config.json|model.safetensors")) < 50e6


def peak_of(call) -> float:
    """The most memory that Python and torch had in a call, in bytes."""
    from torch.utils._python_dispatch import TorchDispatchMode

    most = [0.0]

    class Weigh(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor) and not out.is_meta:
                most[0] = max(most[0], out.numel() * out.element_size())
            return out

    tracemalloc.start()
    try:
        with Weigh():
            call()
        return most[0] + tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "told"),
    [("config.json", "there is no config.json in"), ("model.safetensors", "there is no model.safetensors in")],
)
def test_a_file_that_is_missing_is_named(folder, name, told):
    (folder / name).unlink()
    refused(folder, HubError, told)


def test_a_card_is_not_needed(saved, folder):
    (folder / "README.md").unlink()
    assert same(CGAN.from_pretrained(folder), saved[0])


@pytest.mark.parametrize(
    "name",
    [
        Path("nowhere"),
        Path("/nowhere/at/all"),
        "/nowhere/at/all",
        "./nowhere",
        "~/nowhere/at",
        "a/b/c",
        "swapper",
        "user/swapper/",
    ],
)
def test_a_folder_that_is_missing_is_named_without_asking_the_hub(name, hub):
    with pytest.raises(
        HubError, match=r"there is no folder .*; give the folder of a saved model, or 'user/name' on the Hub"
    ):
        CGAN.from_pretrained(name)
    assert hub.log == []


def test_a_name_that_is_neither_here_nor_on_the_hub_says_both(hub):
    with pytest.raises(
        HubError, match="there is no folder run/swaper here, and from the Hub: cannot fetch 'run/swaper'"
    ):
        CGAN.from_pretrained("run/swaper")


def test_a_file_in_the_place_of_its_folder_says_which_folder(saved, hub, monkeypatch):
    monkeypatch.chdir(saved[1].parent)
    for name in ("swapper/config.json", saved[1] / "model.safetensors"):
        with pytest.raises(HubError, match="is a file; give the folder that it is in, .*swapper"):
            CGAN.from_pretrained(name)
    assert hub.log == []


def test_a_folder_inside_the_folder_that_is_missing_is_named(saved):
    with pytest.raises(HubError, match="there is no config.json in .*swapper/best"):
        CGAN.from_pretrained(saved[1], subfolder="best")


# Disks that refuse.


@pytest.mark.parametrize("file", [1, 2, 3])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_full_disk_leaves_the_old_folder_whole(saved, folder, monkeypatch, file, number):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    calls = []
    real = os.fsync

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == file:
            raise OSError(number, os.strerror(number))
        real(descriptor)

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DataError, match=r"could not write .*the old file is untouched"):
        small(["eve", "dan"], seed=7).save_pretrained(folder)
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert same(CGAN.from_pretrained(folder), saved[0])


def test_a_full_disk_leaves_nothing_in_a_new_folder(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DataError, match="free some space"):
        small().save_pretrained(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("file", [1, 2, 3])
def test_ctrl_c_while_saving_leaves_the_old_folder_whole(saved, folder, monkeypatch, file):
    calls = []

    def interrupted(descriptor):
        calls.append(descriptor)
        if len(calls) == file:
            raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        small(seed=7).save_pretrained(folder)
    assert len(list(folder.iterdir())) == 3
    assert same(CGAN.from_pretrained(folder), saved[0])


def test_a_path_that_is_no_folder_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"mine")
    for place in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(DataError, match="cannot be made: .*; give the path of a folder"):
            small().save_pretrained(place)
    assert (tmp_path / "file").read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_folder_in_the_place_of_a_file_is_refused_and_nothing_is_written(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(DataError, match=f"{name}: it is a folder"):
        small().save_pretrained(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


# The card.


def test_the_card_is_written_anew(folder):
    small(["eve", "dan"]).save_pretrained(folder, consent="Both agreed.", license="mit")
    card = (folder / "README.md").read_text()
    assert "0: eve, 1: dan" in card
    assert "Both agreed." in card
    assert "ConvEncoder" in card


def test_a_card_of_somebody_else_is_left_alone(folder):
    (folder / "README.md").write_bytes(b"# My own words \xff\n")
    small(seed=2).save_pretrained(folder)
    assert (folder / "README.md").read_bytes() == b"# My own words \xff\n"
    assert same(CGAN.from_pretrained(folder), small(seed=2))


def test_a_folder_in_the_place_of_the_card_is_left_alone(tmp_path):
    (tmp_path / "README.md").mkdir()
    small().save_pretrained(tmp_path)
    assert same(CGAN.from_pretrained(tmp_path), small())
