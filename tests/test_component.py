"""The record of a constructor call, the register of parts, and room for one more class."""

import copy
import json
import pickle
import sys
from types import ModuleType

import pytest
import torch
from small_model import met, pictures, small
from torch import nn

from condswap import (
    CGAN,
    Bottleneck,
    Component,
    CondswapError,
    ConfigError,
    ConvDecoder,
    ConvEncoder,
    CrossAttentionBottleneck,
    Decoder,
    Discriminator,
    Encoder,
    MLPBottleneck,
    PatchDiscriminator,
)
from condswap.component import build
from condswap.parts import ClassEmbedding


class NineLineEncoder(Encoder):
    def __init__(self, in_shape, *, width=4):
        super().__init__()
        self.in_shape, self.out_shape = tuple(in_shape), (width, in_shape[1] // 4, in_shape[2] // 4)
        self.conv = nn.Conv2d(in_shape[0], width, 4, stride=4)

    def forward(self, image):
        return self.conv(image)


class AnyArgumentEncoder(NineLineEncoder):
    """Takes whatever it is given, and keeps none of it."""

    def __init__(self, in_shape, *, option=None, options=()):
        super().__init__(in_shape)


class NoisyEncoder(Encoder):
    """Holds an encoder."""

    def __init__(self, encoder, *, strength=0.1):
        super().__init__()
        self.encoder, self.strength = encoder, strength
        self.in_shape, self.out_shape = encoder.in_shape, encoder.out_shape

    def forward(self, image):
        return self.encoder(image + self.strength * torch.randn_like(image) if self.training else image)


class MixedEncoder(NineLineEncoder):
    """Holds a list of encoders."""

    def __init__(self, encoders):
        super().__init__(encoders[0].in_shape)
        self.encoders = nn.ModuleList(encoders)


# The record of the call.


def test_the_call_is_the_config_with_its_defaults():
    assert NineLineEncoder((3, 32, 64)).config() == {"type": "NineLineEncoder", "in_shape": [3, 32, 64], "width": 4}


def test_positional_and_keyword_arguments_give_the_same_config():
    one, other = NineLineEncoder((3, 32, 32), width=5), NineLineEncoder(width=5, in_shape=[3, 32, 32])
    assert one.config() == other.config() == {"type": "NineLineEncoder", "in_shape": [3, 32, 32], "width": 5}


def test_a_list_that_changes_later_does_not_change_the_config():
    inner = [1, 2]
    shape, options = [3, 32, 32], [inner, "a"]
    part = AnyArgumentEncoder(shape, options=options)
    shape[1], inner[0] = 64, 9
    options.append("b")
    assert part.config()["in_shape"] == [3, 32, 32]
    assert part.config()["options"] == [[1, 2], "a"]


def test_changing_a_config_does_not_change_the_part():
    part = AnyArgumentEncoder((3, 32, 32), options=[[1]])
    part.config()["options"][0].append(2)
    assert part.config()["options"] == [[1]]


@pytest.mark.parametrize("value", [None, True, 0, -3, 2**80, 0.1, -1e300, "", 'Zo\u00eb "\\\n', [], [1, [2.5, None]]])
def test_every_kind_of_argument_comes_back_from_json(value):
    part = AnyArgumentEncoder((3, 32, 32), option=value)
    twin = build(json.loads(json.dumps(part.config())), Encoder)
    assert type(twin) is AnyArgumentEncoder
    assert twin.config() == part.config()
    assert twin.config()["option"] == value
    assert type(twin.config()["option"]) is type(value)


@pytest.mark.parametrize(
    "value",
    [
        nn.SiLU(),
        {"a": 1},
        {1, 2},
        b"x",
        1j,
        torch.tensor(1.0),
        torch.float32,
        print,
        nn.ReLU,
        float("nan"),
        float("inf"),
        [1, [nn.ReLU()]],
        object(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_argument_that_cannot_be_written_down_is_named(value):
    part = AnyArgumentEncoder((3, 32, 32), option=value)  # it may be used
    with pytest.raises(ConfigError, match=r"AnyArgumentEncoder\.option is "):
        part.config()


def test_an_argument_that_cannot_be_written_down_is_named_inside_a_part_inside_a_part():
    with pytest.raises(ConfigError, match=r"AnyArgumentEncoder\.option is a SiLU"):
        NoisyEncoder(AnyArgumentEncoder((3, 32, 32), option=nn.SiLU())).config()


class StarEncoder(NineLineEncoder):
    def __init__(self, in_shape, *stars, **more):
        super().__init__(in_shape)


def test_star_arguments_are_refused_when_there_are_some():
    assert StarEncoder((3, 32, 32)).config() == {"type": "StarEncoder", "in_shape": [3, 32, 32]}
    with pytest.raises(ConfigError, match=r"StarEncoder\.stars: .*name each argument"):
        StarEncoder((3, 32, 32), 1).config()
    with pytest.raises(ConfigError, match=r"StarEncoder\.more: .*name each argument"):
        StarEncoder((3, 32, 32), a=1).config()


class TypeEncoder(NineLineEncoder):
    def __init__(self, in_shape, *, type="a"):
        super().__init__(in_shape)


class PositionalEncoder(NineLineEncoder):
    def __init__(self, in_shape, /):
        super().__init__(in_shape)


@pytest.mark.parametrize(("kind", "name"), [(TypeEncoder, "type"), (PositionalEncoder, "in_shape")])
def test_an_argument_that_a_config_could_not_give_back_is_refused(kind, name):
    with pytest.raises(ConfigError, match=rf"{kind.__name__}\.{name} cannot be put into a config"):
        kind((3, 32, 32)).config()


def test_a_part_inside_a_part_comes_back():
    part = NoisyEncoder(NineLineEncoder((3, 32, 32), width=7), strength=0.5)
    twin = build(json.loads(json.dumps(part.config())), Encoder)
    assert isinstance(twin, NoisyEncoder)
    assert isinstance(twin.encoder, NineLineEncoder)
    assert (twin.encoder.out_shape, twin.strength) == ((7, 8, 8), 0.5)


def test_parts_in_a_list_come_back():
    part = MixedEncoder([NineLineEncoder((3, 32, 32), width=2), NineLineEncoder((3, 32, 32), width=3)])
    twin = build(json.loads(json.dumps(part.config())), Encoder)
    assert [encoder.out_shape[0] for encoder in twin.encoders] == [2, 3]


def test_a_part_that_was_replaced_is_described_as_it_is_now():
    part = NoisyEncoder(NineLineEncoder((3, 32, 32)))
    part.encoder = ConvEncoder((3, 32, 32), width=8, stages=2)
    assert part.config()["encoder"]["type"] == "ConvEncoder"


@pytest.mark.parametrize(
    "part",
    [
        lambda: ConvEncoder((3, 32, 32), width=8, stages=2),
        lambda: NoisyEncoder(NineLineEncoder((3, 32, 32))),
        lambda: CrossAttentionBottleneck((4, 8, 8), num_classes=3, width=8),
        lambda: PatchDiscriminator((3, 32, 32), num_classes=2, width=8),
    ],
)
@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda part: pickle.loads(pickle.dumps(part))], ids=["deep", "pickle"]
)
def test_a_copy_has_the_same_config_and_weights_and_shares_none(part, copied):
    one = part()
    other = copied(one)
    assert other.config() == one.config()
    for weight, same in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(weight, same)
        assert weight.data_ptr() != same.data_ptr()


def test_a_copy_describes_its_own_inner_part():
    one = NoisyEncoder(NineLineEncoder((3, 32, 32)))
    other = copy.deepcopy(one)
    other.encoder = NineLineEncoder((3, 32, 32), width=9)
    assert one.config()["encoder"]["width"] == 4
    assert other.config()["encoder"]["width"] == 9


def test_a_wrong_call_is_pythons_own_error():
    with pytest.raises(TypeError, match="colour"):
        NineLineEncoder((3, 32, 32), colour=1)
    with pytest.raises(TypeError, match="in_shape"):
        NineLineEncoder()


@pytest.mark.parametrize("role", [Encoder, Bottleneck, Decoder, Discriminator])
def test_a_role_cannot_be_made_itself(role):
    with pytest.raises(TypeError, match="abstract"):
        role()


# The register.


def test_nobody_can_register_under_the_name_of_a_part_of_the_library():
    for name, role in (("ConvEncoder", Encoder), ("PaperDecoder", Decoder), ("Encoder", Component)):
        with pytest.raises(
            ConfigError, match=f"{name} is the name of a part of condswap; give your class another name"
        ):
            type(name, (role,), {"forward": lambda self, image: image})
    assert type(build(ConvEncoder((3, 32, 32)).config(), Encoder)) is ConvEncoder


def test_an_unknown_type_names_the_cure():
    with pytest.raises(
        ConfigError, match=r"no Encoder called 'MineEncoder' here; import the module that defines it.*ConvEncoder"
    ):
        build({"type": "MineEncoder"}, Encoder)


def test_what_is_known_for_a_role_is_of_that_role():
    with pytest.raises(ConfigError) as caught:
        build({"type": "Mine"}, Decoder)
    assert "ConvDecoder" in str(caught.value)
    assert "ConvEncoder" not in str(caught.value)


@pytest.mark.parametrize("name", ["Encoder", "Component", "ConvDecoder", "PatchDiscriminator", "CGAN", "Linear", ""])
def test_a_type_of_another_role_or_an_abstract_one_is_refused(name):
    with pytest.raises(ConfigError, match=f"no Encoder called '{name}' here"):
        build({"type": name, "in_shape": [3, 32, 32], "num_classes": 2}, Encoder)


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "builtins.exec",
        "planted",
        "planted.Encoder",
        "planted:Encoder",
        "__import__('planted')",
        "../planted",
    ],
)
def test_a_config_never_imports_and_never_calls(name, tmp_path, monkeypatch):
    (tmp_path / "planted.py").write_text("raise SystemExit('this must not run')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("os.system", lambda command: pytest.fail("this must not be called"))
    for config in (
        {"type": name, "command": "true"},
        {"type": "NoisyEncoder", "encoder": {"type": name, "command": "true"}},
    ):
        with pytest.raises(ConfigError, match="here; import the module"):
            build(config, Encoder)
    assert "planted" not in sys.modules


@pytest.mark.parametrize(
    "config", [None, [], "ConvEncoder", 5, {}, {"type": None}, {"type": ["ConvEncoder"]}, {"in_shape": [1]}]
)
def test_what_describes_no_part_is_refused(config):
    with pytest.raises(ConfigError, match="described by an object with a 'type'"):
        build(config, Encoder)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"in_shape": [3, 32, 32], "colour": 1},
        {"in_shape": [3, 32, 32], "self": 1},
        {"in_shape": None},
        {"in_shape": "abc"},
        {"in_shape": [3, 32]},
        {"in_shape": [3, 32, 32.0]},
        {"in_shape": [3, 32, True]},
        {"in_shape": [3, 32, 32], "width": None},
        {"in_shape": [3, 32, 32], "width": "8"},
        {"in_shape": [3, 32, 32], "width": -8},
        {"in_shape": [3, 32, 32], "width": 10**40},
        {"in_shape": [3, 32, 32], "stages": 10**6},
        {"in_shape": [3, 32, 32], "stages": 0},
        {"in_shape": [3, 32, 32], "stages": {"type": "ConvEncoder", "in_shape": [3, 32, 32]}},
    ],
    ids=str,
)
def test_arguments_that_do_not_fit_are_our_error(arguments):
    with pytest.raises(CondswapError):
        build({"type": "ConvEncoder", **arguments}, Encoder)


class GrumpyEncoder(NineLineEncoder):
    def __init__(self, in_shape, *, error="KeyError"):
        super().__init__(in_shape)
        raise {
            "KeyError": KeyError,
            "AttributeError": AttributeError,
            "OSError": OSError,
            "RuntimeError": RuntimeError,
        }[error]("mine")


@pytest.mark.parametrize("error", ["KeyError", "AttributeError", "OSError", "RuntimeError", "no such error"])
def test_whatever_a_constructor_raises_over_its_config_is_our_error(error):
    with pytest.raises(ConfigError, match="GrumpyEncoder cannot be built from its config"):
        build({"type": "GrumpyEncoder", "in_shape": [3, 32, 32], "error": error}, Encoder)


def test_a_config_nested_without_end_is_refused():
    config: dict = {"type": "NineLineEncoder", "in_shape": [3, 32, 32]}
    for _ in range(5000):
        config = {"type": "NoisyEncoder", "encoder": config}
    with pytest.raises(ConfigError, match="nested too deeply"):
        build(config, Encoder)


# An encoder of one's own.


def test_a_nine_line_encoder_trains_saves_and_loads(tmp_path):
    other = small()
    bottleneck = CrossAttentionBottleneck((4, 8, 8), num_classes=2, width=8)
    decoder = ConvDecoder(bottleneck.out_shape, num_classes=2, width=8, stages=2)
    model = CGAN(NineLineEncoder((3, 32, 32)), bottleneck, decoder, other.discriminator, classes=["anna", "bob"])
    model(pictures(), torch.tensor([0, 1])).square().mean().backward()
    assert model.generator.encoder.conv.weight.grad.abs().sum() > 0
    torch.optim.SGD(model.parameters(), 0.1).step()
    model.save_pretrained(tmp_path)
    loaded = CGAN.from_pretrained(tmp_path)
    assert type(loaded.generator.encoder) is NineLineEncoder
    assert torch.equal(loaded.swap(pictures(), "bob"), model.swap(pictures(), "bob"))


def test_a_saved_part_that_is_not_imported_is_named_with_the_cure(tmp_path, monkeypatch):
    model = small()
    model.generator.encoder = NineLineEncoder((3, 32, 32))
    model.save_pretrained(tmp_path)
    monkeypatch.delitem(Component._known, "NineLineEncoder")
    with pytest.raises(
        ConfigError, match=r"config\.json: there is no Encoder called 'NineLineEncoder' here; import the module"
    ):
        CGAN.from_pretrained(tmp_path)


# One more class.


class TableBottleneck(Bottleneck):
    """Keeps its classes in its own way, and so grows in its own way."""

    def __init__(self, in_shape, *, num_classes):
        super().__init__()
        self.in_shape = self.out_shape = tuple(in_shape)
        self.num_classes = num_classes
        self.table = nn.ParameterList([nn.Parameter(torch.randn(())) for _ in range(num_classes)])

    def forward(self, features, label, source=None):
        return features * torch.stack(list(self.table))[label][:, None, None, None]

    def add_class(self):
        super().add_class()
        self.table.append(nn.Parameter(torch.zeros(())))


class HoldingBottleneck(Bottleneck):
    """Holds a bottleneck, and has the number of classes from it."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.in_shape, self.out_shape = inner.in_shape, inner.out_shape

    @property
    def num_classes(self):
        return self.inner.num_classes

    def forward(self, features, label, source=None):
        return self.inner(features, label, source)


class CopyingBottleneck(HoldingBottleneck):
    """Holds a bottleneck, and copies the number of classes."""

    num_classes = 0

    def __init__(self, inner):
        super().__init__(inner)
        self.num_classes = inner.num_classes


@pytest.mark.parametrize("holder", [HoldingBottleneck, CopyingBottleneck, lambda part: part])
@pytest.mark.parametrize(
    "inner",
    [
        lambda: TableBottleneck((4, 8, 8), num_classes=2),
        lambda: MLPBottleneck((4, 8, 8), num_classes=2, width=8),
        lambda: CrossAttentionBottleneck((4, 8, 8), num_classes=2, width=8),
    ],
    ids=["own", "mlp", "attention"],
)
def test_a_part_grows_whatever_holds_it(holder, inner):
    part = holder(inner()).eval()
    features, label = torch.rand(2, 4, 8, 8), torch.tensor([0, 1])
    before = part(features, label, label)
    part.check_growth()
    part.add_class()
    assert part.num_classes == 3
    assert torch.equal(part(features, label, label), before)
    assert part(features[:1], torch.tensor([2]), label[:1]).shape == before[:1].shape
    twin = build(part.config(), Bottleneck).eval()
    twin.load_state_dict(part.state_dict())
    assert torch.equal(twin(features, label, label), before)


class EmbeddingDecoder(Decoder):
    def __init__(self, in_shape, *, num_classes):
        super().__init__()
        self.in_shape, self.out_shape, self.num_classes = tuple(in_shape), (3, 32, 32), num_classes
        self.table = nn.Embedding(num_classes, 3)

    def forward(self, features, label):
        return self.table(label)[:, :, None, None].expand(-1, 3, 32, 32).sigmoid()


class FixedDecoder(EmbeddingDecoder):
    """Its constructor does not say how many classes there are."""

    def __init__(self, in_shape):
        super().__init__(in_shape, num_classes=2)
        self.table = ClassEmbedding(2, (3,))


@pytest.mark.parametrize(
    ("decoder", "told"),
    [
        (
            lambda: EmbeddingDecoder((8, 8, 8), num_classes=2),
            "EmbeddingDecoder .*nn.Embedding 'table' does not grow; use .*ClassEmb",
        ),
        (lambda: FixedDecoder((8, 8, 8)), "FixedDecoder .*no argument num_classes"),
    ],
)
def test_a_part_that_cannot_grow_is_named_and_nothing_has_grown(decoder, told):
    model = small()
    model.generator.decoder = decoder()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ConfigError, match=told):
        model.add_class("carl")
    assert model.classes == ("anna", "bob")
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_an_encoder_has_no_classes_and_stays_as_it_is():
    encoder = met(small()).generator.encoder
    config = encoder.config()
    encoder.add_class()
    assert encoder.config() == config


def test_a_frozen_embedding_stays_frozen_when_it_grows():
    table = ClassEmbedding(2, (3,)).requires_grad_(False)
    table.grow()
    assert table.weight.shape == (3, 3)
    assert not table.weight.requires_grad


def test_a_module_of_ones_own_is_registered_by_being_defined():
    module = ModuleType("mine")
    exec(  # as importing the module does
        "from condswap import Encoder\n"
        "class ImportedEncoder(Encoder):\n"
        "    def __init__(self, in_shape): super().__init__()\n"
        "    def forward(self, image): return image\n",
        module.__dict__,
    )
    assert type(build({"type": "ImportedEncoder", "in_shape": [3, 8, 8]}, Encoder)).__name__ == "ImportedEncoder"
