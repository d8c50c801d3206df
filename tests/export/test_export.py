"""Exported files: what they say of themselves, and that they give what the model gives, to those who read them."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import saehd_reference
import torch
from torch import nn

from condswap import (
    CGAN,
    ConfigError,
    ConvDecoder,
    ConvEncoder,
    CrossAttentionBottleneck,
    DataError,
    Decoder,
    MLPBottleneck,
    MLPDiscriminator,
)
from condswap.deepfacelab import load_saehd
from condswap.export.files import DIGITAL_SOURCE_TYPE
from condswap.pretrained import read_config

SIZE = 64


def trained(bottleneck="cross_attention", classes=("anna", "bob", "carl")) -> CGAN:
    """A model whose people differ, as after training: in what they look like and in their code."""
    torch.manual_seed(0)
    model = CGAN.default(SIZE, classes=classes, bottleneck=bottleneck)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.02 * torch.randn_like(weight)
        norm = model.generator.bottleneck.norm
        norm.mean += 0.2 * torch.randn_like(norm.mean)
        norm.square += norm.mean.square() + torch.rand_like(norm.square)
    return model.eval()


def session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def pictures(count: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


def face(model: CGAN, image: torch.Tensor, label, source=None):
    with torch.no_grad():
        return model.generator(image, label, source)


def facts(path: Path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


def assert_old_enough(path: Path) -> None:
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version <= 8
    assert [(one.domain, one.version <= 16) for one in model.opset_import] == [("", True)]
    assert not model.functions
    for tensor in model.graph.initializer:
        assert tensor.data_location == onnx.TensorProto.DEFAULT  # one file


# ONNX


@pytest.fixture(scope="module")
def model() -> CGAN:
    return trained()


@pytest.fixture(scope="module")
def onnx_file(model, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "bob.onnx"
    model.export_onnx(path, to="bob")
    return path


def test_onnx_gives_the_models_face_and_mask_for_any_number_of_pictures(model, onnx_file):
    run = session(onnx_file)
    assert [one.name for one in run.get_inputs()] == ["image"]
    assert [one.name for one in run.get_outputs()] == ["swapped", "mask"]
    for count in (1, 2, 7):
        image = pictures(count, seed=count)
        swapped, mask = run.run(None, {"image": image.numpy()})
        wanted = face(model, image, "bob")
        np.testing.assert_allclose(swapped, wanted.image.numpy(), rtol=0, atol=1e-5)
        np.testing.assert_allclose(mask, wanted.mask.numpy(), rtol=0, atol=1e-5)
    assert float((wanted.image - face(model, image, "anna").image).abs().max()) > 0.05  # the target matters


def test_onnx_is_one_file_that_old_runtimes_read_and_says_what_it_is(model, onnx_file, tmp_path):
    assert_old_enough(onnx_file)
    said = facts(onnx_file)
    model.save_pretrained(tmp_path)
    assert said.pop("model_id") == read_config(tmp_path / "config.json")["weights"]["sha256"]
    assert said == {
        "classes": '["anna", "bob", "carl"]',
        "to": '"bob"',
        "source": "null",
        "range": "[0, 1]",
        "layout": "NCHW RGB",
        "digital_source_type": DIGITAL_SOURCE_TYPE,
    }


def test_a_blend_a_number_and_a_source_are_exported(model, tmp_path):
    model.export_onnx(tmp_path / "a.onnx", to={"anna": 0.75, "carl": 0.25}, source=1)
    image = pictures(2)
    swapped, _ = session(tmp_path / "a.onnx").run(None, {"image": image.numpy()})
    wanted = face(model, image, {"anna": 0.75, "carl": 0.25}, "bob").image
    np.testing.assert_allclose(swapped, wanted.numpy(), rtol=0, atol=1e-5)
    assert float((wanted - face(model, image, {"anna": 0.75, "carl": 0.25}).image).abs().max()) > 1e-3
    assert json.loads(facts(tmp_path / "a.onnx")["source"]) == "bob"
    assert json.loads(facts(tmp_path / "a.onnx")["to"]) == {"anna": 0.75, "carl": 0.25}


@pytest.mark.parametrize("archi", ["df-udt", "liae-ud", "df"])
def test_a_model_of_deepfacelabs_is_exported_with_the_decoder_of_the_target_alone(archi, tmp_path):
    files = saehd_reference.weights(archi, SIZE)
    made = load_saehd(saehd_reference.folder(tmp_path / "model", files), archi=archi)
    made.export_dfm(tmp_path / "src.dfm", to="src")
    image = np.random.default_rng(0).random((3, SIZE, SIZE, 3), dtype=np.float32)
    before, shown, mask = session(tmp_path / "src.dfm").run(None, {"in_face:0": image})
    wanted, wanted_mask = saehd_reference.run(archi, files, image, "src")
    _, wanted_before = saehd_reference.run(archi, files, image, "dst")
    np.testing.assert_allclose(shown, wanted, rtol=0, atol=1e-5)
    np.testing.assert_allclose(mask, wanted_mask, rtol=0, atol=1e-5)
    np.testing.assert_allclose(before, wanted_before, rtol=0, atol=1e-5)
    if archi.startswith("df"):  # of the other decoder nothing is there but the way to its mask
        weights = sum(np.prod(tensor.dims) for tensor in onnx.load(tmp_path / "src.dfm").graph.initializer)
        image_branch = sum(array.size for name, array in files["decoder_dst"].items() if "m" not in name.split("/")[0])
        assert weights < sum(array.size for named in files.values() for array in named.values()) - 0.9 * image_branch


# DFM


@pytest.fixture(scope="module")
def dfm_file(model, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("dfm") / "bob.dfm"
    model.export_dfm(path, to="bob", morph=True)
    return path


def guess(model: CGAN, image: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model.generator.bottleneck.guess(model.generator.encode(image))


def test_dfm_keeps_the_contract_to_the_letter(dfm_file):
    assert_old_enough(dfm_file)
    graph = onnx.load(dfm_file).graph

    def shape(value):
        return [one.dim_value or one.dim_param for one in value.type.tensor_type.shape.dim]

    assert [(one.name, *shape(one)[1:]) for one in graph.input] == [("in_face:0", SIZE, SIZE, 3), ("morph_value:0",)]
    assert [(one.name, *shape(one)[1:]) for one in graph.output] == [
        ("out_face_mask:0", SIZE, SIZE, 1),
        ("out_celeb_face:0", SIZE, SIZE, 3),
        ("out_celeb_face_mask:0", SIZE, SIZE, 1),
    ]
    assert isinstance(shape(graph.input[0])[0], str)
    assert shape(graph.input[1]) == [1]
    assert {one.type.tensor_type.elem_type for one in [*graph.input, *graph.output]} == {onnx.TensorProto.FLOAT}
    assert facts(dfm_file)["layout"] == "NHWC BGR"


@pytest.mark.parametrize("morph", [0.0, 0.3, 1.0])
def test_dfm_morphs_from_the_person_in_the_picture_to_the_target(model, dfm_file, morph):
    image = pictures(3)
    given = {"in_face:0": image.movedim(1, -1).flip(-1).numpy(), "morph_value:0": np.array([morph], np.float32)}
    before, shown, mask = session(dfm_file).run(None, given)
    seen = guess(model, image)
    assert float(seen.max()) < 1 or float(seen.min()) > 0
    weights = (1 - morph) * seen + morph * torch.tensor([0.0, 1.0, 0.0])
    wanted = face(model, image, weights)
    np.testing.assert_allclose(shown, wanted.image.movedim(1, -1).flip(-1).numpy(), rtol=0, atol=1e-5)
    np.testing.assert_allclose(mask, wanted.mask.movedim(1, -1).numpy(), rtol=0, atol=1e-5)
    np.testing.assert_allclose(before, face(model, image, seen).mask.movedim(1, -1).numpy(), rtol=0, atol=1e-5)
    if morph == 1:
        np.testing.assert_allclose(wanted.image.numpy(), face(model, image, "bob").image.numpy(), rtol=0, atol=1e-5)


def test_a_strangers_statistics_go_into_the_file(model, tmp_path):
    image = pictures(4, seed=5) * 0.5
    stranger = model.stranger(image)
    model.export_dfm(tmp_path / "bob.dfm", to="bob", source=stranger)
    _, shown, _ = session(tmp_path / "bob.dfm").run(None, {"in_face:0": image.movedim(1, -1).flip(-1).numpy()})
    wanted = face(model, image, "bob", stranger).image
    np.testing.assert_allclose(shown, wanted.movedim(1, -1).flip(-1).numpy(), rtol=0, atol=1e-5)
    assert float((wanted - face(model, image, "bob").image).abs().max()) > 1e-3
    assert json.loads(facts(tmp_path / "bob.dfm")["source"]) == "a stranger"


def filtered(mask: np.ndarray, kernel: np.ndarray, combine) -> np.ndarray:
    """Combine, at every place of (h, w), the neighbours where the kernel is not 0, weighed by it."""
    reach = len(kernel) // 2
    padded = np.pad(mask, reach)
    stack = [
        padded[y : y + mask.shape[0], x : x + mask.shape[1]] * kernel[y, x]
        for y in range(len(kernel))
        for x in range(len(kernel))
        if kernel[y, x]
    ]
    return combine(np.stack(stack), axis=0)


def gaussian(sigma: float) -> np.ndarray:
    reach = int(3 * sigma)
    line = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    return np.outer(line, line) / line.sum() ** 2


def deepfacelive(run, frame: np.ndarray) -> np.ndarray:
    """What DeepFaceLive does with a file and an aligned frame (h, w, 3) uint8, blue first: read by position."""
    inputs = run.get_inputs()
    if not 1 <= len(inputs) <= 2 or "in_face" not in inputs[0].name:
        raise AssertionError("it would refuse this file")
    height, width = inputs[0].shape[1:3]
    assert (height, width) == frame.shape[:2]
    given = {inputs[0].name: (frame / np.float32(255))[None]}
    if len(inputs) == 2:
        given[inputs[1].name] = np.array([0.75], np.float32)
    face_mask, celeb, celeb_mask = (np.clip(one, 0, 1)[0] for one in run.run(None, given))
    mask = filtered((face_mask * celeb_mask)[..., 0], np.ones((5, 5)), np.min)
    mask = filtered(mask, gaussian(5), np.sum)[..., None]
    return celeb * mask + frame / 255 * (1 - mask)


def facefusion(run, crop: np.ndarray) -> np.ndarray:
    """What FaceFusion's deep swapper does: the crop sharpened, the outputs as bytes, the smaller of the two masks."""
    size = run.get_inputs()[0].shape[1]
    assert crop.shape == (size, size, 3)
    soft = np.stack([filtered(crop[..., channel] / 255, gaussian(2), np.sum) for channel in range(3)], axis=-1)
    sharp = np.clip(crop / 255 * 1.75 - 0.75 * soft, 0, 1)
    given = {one.name: np.array([1.0], np.float32) for one in run.get_inputs()[1:]}
    results = run.run(None, given | {run.get_inputs()[0].name: sharp[None].astype(np.float32)})
    shown = np.clip(results[1][0] * 255, 0, 255).astype(np.uint8)
    mask = np.minimum(results[0], results[2])[0, ..., 0].clip(0, 1)
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])
    mask = filtered(filtered(mask, cross, np.min), cross, np.min)
    mask = filtered(mask, gaussian(6.25), np.sum)[..., None]
    return shown * mask + crop * (1 - mask)


class AsAFile:
    """The model itself, where a consumer expects a session."""

    def __init__(self, model: CGAN, *, like: onnxruntime.InferenceSession) -> None:
        self.model, self.get_inputs = model, like.get_inputs

    def run(self, _, given):
        image = torch.from_numpy(given["in_face:0"]).flip(-1).movedim(-1, 1)
        morph = float(given["morph_value:0"][0])
        seen = guess(self.model, image)
        shown = face(self.model, image, (1 - morph) * seen + morph * torch.tensor([0.0, 1.0, 0.0]))
        before = face(self.model, image, seen).mask
        return [one.movedim(1, -1).numpy() for one in (before, shown.image.flip(1), shown.mask)]


@pytest.mark.parametrize("consumer", [deepfacelive, facefusion])
def test_live_applications_show_what_the_model_shows(model, dfm_file, consumer):
    run = session(dfm_file)
    frame = (pictures(1)[0].movedim(0, -1).numpy() * 255).astype(np.uint8)
    found, wanted = consumer(run, frame), consumer(AsAFile(model, like=run), frame)
    assert np.abs(found - wanted).max() <= (1 if consumer is facefusion else 1e-4)  # of 255, where it rounds to bytes
    assert np.abs(found - frame / (1 if consumer is facefusion else 255)).max() > 0.01


# What is refused


class Part(Decoder):
    """A decoder that cannot be exported, in the way that `fault` says."""

    blends = True

    def __init__(self, in_shape, *, num_classes, fault: str) -> None:
        super().__init__()
        self.in_shape, self.num_classes, self.fault = tuple(in_shape), num_classes, fault
        self.out_shape = (3, 16 * in_shape[1], 16 * in_shape[2])
        self.conv = nn.ConvTranspose2d(in_shape[0], 3, 16, stride=16)

    def forward(self, features, label):
        if self.fault == "draws":
            features = features + torch.randn_like(features)
        if self.fault == "fixes the batch":
            features = features + torch.zeros(len(features), 1, 1, 1)
        if self.fault == "asks" and float(features.mean()) > 0:
            features = features * 2
        if self.fault == "chunks":
            first, second, third = features.split([1, 2, 5], dim=1)
            halves = torch.cat([third, second, first], dim=1).chunk(2, dim=-1)
            features = torch.cat([halves[1], halves[0] * 2], dim=-1)
        if self.fault == "steep":
            features = features * 1e3
        if self.fault == "no number":
            features = features - features.sum() * torch.inf
        return self.conv(features).sigmoid()


def with_part(fault: str) -> CGAN:
    encoder = ConvEncoder((3, 32, 32), width=4)
    bottleneck = CrossAttentionBottleneck(encoder.out_shape, num_classes=2, width=8, heads=2)
    decoder = Part(bottleneck.out_shape, num_classes=2, fault=fault)
    discriminator = MLPDiscriminator(decoder.out_shape, num_classes=2, width=2)
    return CGAN(encoder, bottleneck, decoder, discriminator, classes=["anna", "bob"])


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("draws", "something else than the model"),
        ("no number", "by up to nan"),
        ("fixes the batch", r"x\.shape\[0\]"),
        ("asks", "tensors alone"),
    ],
)
def test_a_part_that_cannot_be_exported_is_refused_and_nothing_is_written(fault, told, tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"old")
    with pytest.raises(ConfigError, match=told):
        with_part(fault).export_onnx(tmp_path / "a.onnx", to="anna")
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]
    assert (tmp_path / "a.onnx").read_bytes() == b"old"


@pytest.mark.parametrize("fault", ["none", "chunks"])
def test_a_part_of_ones_own_is_exported(fault, tmp_path):
    made = with_part(fault)
    made.export_onnx(tmp_path / "a.onnx", to="anna")
    image = torch.rand(2, 3, 32, 32)
    swapped, mask = session(tmp_path / "a.onnx").run(None, {"image": image.numpy()})
    np.testing.assert_allclose(swapped, face(made.eval(), image, "anna").image.numpy(), rtol=0, atol=1e-5)
    assert mask.min() == 1  # a decoder without a mask paints face all over


def test_a_network_that_single_precision_does_not_hold_is_held_against_double(tmp_path):
    torch.manual_seed(0)
    made = with_part("steep").eval()
    made.export_onnx(tmp_path / "a.onnx", to="anna")
    image = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    swapped, _ = session(tmp_path / "a.onnx").run(None, {"image": image.numpy()})
    ours = face(made, image, "anna").image
    exact = face(made.double(), image.double(), "anna").image
    assert float((ours - exact).abs().max()) > 1e-5
    assert np.abs(swapped - exact.numpy()).max() < 1e-3


def test_the_model_is_left_as_it_was(model, tmp_path):
    model.train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(DataError, match="no class 'dora'"):
        model.export_onnx(tmp_path / "a.onnx", to="dora")
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(weight.requires_grad for weight in model.parameters())
    model.eval()


def test_where_the_model_cannot_guess_the_face_as_it_was_is_that_of_all_others_alike(tmp_path):
    torch.manual_seed(0)
    encoder = ConvEncoder((3, 32, 32), width=4, stages=2)
    bottleneck = MLPBottleneck(encoder.out_shape, num_classes=3, width=8, normalisation="none")
    decoder = ConvDecoder(bottleneck.out_shape, num_classes=3, width=4, stages=2)
    judge = MLPDiscriminator(decoder.out_shape, num_classes=3, width=2)
    three = CGAN(encoder, bottleneck, decoder, judge, classes=["anna", "bob", "carl"]).eval()
    three.export_dfm(tmp_path / "a.dfm", to="bob")
    image = torch.rand(2, 3, 32, 32)
    before, _, mask = session(tmp_path / "a.dfm").run(None, {"in_face:0": image.movedim(1, -1).flip(-1).numpy()})
    wanted = face(three, image, {"anna": 0.5, "carl": 0.5}).mask.movedim(1, -1).numpy()
    np.testing.assert_allclose(before, wanted, rtol=0, atol=1e-5)
    assert np.abs(before - mask).max() > 1e-4


def test_whole_labels_cannot_morph(tmp_path):
    files = saehd_reference.weights("df", SIZE)
    two = load_saehd(saehd_reference.folder(tmp_path / "df", files), archi="df")
    with pytest.raises(ConfigError, match="SAEHDDecoder takes whole labels only"):
        two.export_dfm(tmp_path / "a.dfm", to="src", morph=True)
    two.add_class("third")
    two.export_dfm(tmp_path / "a.dfm", to="third")
    assert session(tmp_path / "a.dfm").get_inputs()[0].shape[1:] == [SIZE, SIZE, 3]


def test_a_missing_package_is_named_with_the_extra(model, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(ConfigError, match=r'onnxscript: pip install "condswap\[export\]"'):
        model.export_onnx(tmp_path / "a.onnx", to="anna")


def test_a_folder_that_is_not_there_is_named(model, tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        model.export_onnx(tmp_path / "nowhere" / "a.onnx", to="anna")


def resampled(image: np.ndarray, matrix: np.ndarray, *, mode: str) -> np.ndarray:
    """A picture (h, w, c) of side 1 moved by a matrix (2, 3), linearly, by SciPy."""
    ndimage = pytest.importorskip("scipy.ndimage")
    side = image.shape[0]
    back = np.linalg.inv(np.vstack((matrix, (0, 0, 1))))
    y, x = np.mgrid[:side, :side]
    u, v, _ = back @ np.stack(((x.ravel() + 0.5) / side, (y.ravel() + 0.5) / side, np.ones(side**2)))
    places = (v * side - 0.5, u * side - 0.5)
    layers = [
        ndimage.map_coordinates(layer, places, order=1, mode=mode, cval=0.0) for layer in np.moveaxis(image, 2, 0)
    ]
    return np.stack(layers, 1).reshape(image.shape)


def test_a_dfm_turns_the_crop_of_the_application_into_that_of_the_model_and_back(tmp_path):
    from condswap.templates import TEMPLATES

    model = trained()
    model.template = TEMPLATES["condswap"]
    model.export_dfm(tmp_path / "turned.dfm", to="bob", source="anna")
    model.template = None
    model.export_dfm(tmp_path / "plain.dfm", to="bob", source="anna")
    given = pictures(2)[0].permute(1, 2, 0).numpy()
    # The eyes, nose and mouth of a face lie, in shares of the side, at these places in the one crop and in the other.
    whole, own = (np.array(TEMPLATES[name].points) for name in ("dfl_whole_face", "condswap"))
    transforms = pytest.importorskip("skimage.transform")
    matrix = transforms.SimilarityTransform.from_estimate(whole, own).params[:2]
    inside = resampled(given, matrix, mode="nearest").astype(np.float32)
    names = ["out_face_mask:0", "out_celeb_face:0", "out_celeb_face_mask:0"]
    plain = session(tmp_path / "plain.dfm").run(names, {"in_face:0": inside[None]})
    back = np.linalg.inv(np.vstack((matrix, (0, 0, 1))))[:2]
    turned = session(tmp_path / "turned.dfm").run(names, {"in_face:0": given[None]})
    for one, wanted, mode in zip(turned, plain, ("grid-constant", "nearest", "grid-constant"), strict=True):
        assert np.abs(one[0] - resampled(wanted[0], back, mode=mode)).max() < 1e-4
    assert np.abs(turned[1] - plain[1]).max() > 0.01
    assert facts(tmp_path / "turned.dfm")["crop"] == "dfl_whole_face"


def test_a_crop_that_is_the_models_own_or_unknown_changes_nothing(tmp_path):
    from condswap.templates import TEMPLATES

    model = trained()
    model.export_dfm(tmp_path / "unknown.dfm", to="bob")
    model.template = TEMPLATES["facefusion"]
    model.export_dfm(tmp_path / "own.dfm", to="bob", crop="facefusion")
    assert facts(tmp_path / "own.dfm")["crop"] == "facefusion"
    for name in ("unknown.dfm", "own.dfm"):
        assert "GridSample" not in {node.op_type for node in onnx.load(tmp_path / name).graph.node}
    with pytest.raises(ConfigError, match="crop template 'nobody'"):
        model.export_dfm(tmp_path / "out.dfm", to="bob", crop="nobody")
