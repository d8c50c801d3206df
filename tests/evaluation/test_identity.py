"""Identity networks: an ONNX file made by hand, whose answer can be said beforehand, and a real one where it is there."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from condswap import ConfigError, DataError, FaceFolder, HubError, ShapeError
from condswap.evaluation.identity import OnnxIdentity, load_identity, similarities

SHARED = Path(__file__).resolve().parents[3] / "shared"
FACES = torch.rand(3, 3, 40, 50, generator=torch.Generator().manual_seed(0))


def varint(value):
    head, rest = value & 127, value >> 7
    return bytes([head | 128]) + varint(rest) if rest else bytes([head])


def field(number, value):
    """One field of a protocol buffer: a whole number, a text, or a message inside."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def network(*input_shape, inputs=("faces",)):
    """An ONNX file of the mean of each channel: (b, 3, h, w) -> (b, 3); sides that are texts are free."""

    def tensor(name, shape):
        sides = [field(1, field(2 if isinstance(side, str) else 1, side)) for side in shape]
        return field(1, name) + field(2, field(1, field(1, 1) + field(2, b"".join(sides))))

    axes = field(1, "axes") + field(8, 2) + field(8, 3) + field(20, 7)
    keep = field(1, "keepdims") + field(3, 0) + field(20, 2)
    node = field(1, "faces") + field(2, "vectors") + field(4, "ReduceMean") + field(5, axes) + field(5, keep)
    given = b"".join(field(11, tensor(name, input_shape)) for name in inputs)
    graph = field(1, node) + field(2, "means") + given + field(12, tensor("vectors", (input_shape[0], 3)))
    return field(1, 7) + field(7, graph) + field(8, field(2, 13))


@pytest.fixture
def written(tmp_path):
    pytest.importorskip("onnxruntime")

    def write(*shape, **options):
        path = tmp_path / "network.onnx"
        path.write_bytes(network(*shape, **options))
        return path

    return write


class TestOnnx:
    @pytest.mark.parametrize("batch", [1, "batch"])
    def test_the_box_is_cut_resized_and_normalised(self, written, batch):
        identity = OnnxIdentity(
            written(batch, 3, 10, 20),
            box=(0.25, 0.5, 0.4, 0.8), mean=(0.1, 0.2, 0.3), deviation=(0.5, 1.0, 2.0),
        )  # fmt: skip
        cut = FACES[:, :, 10:20, 20:40]  # of 40 x 50: of the network's size already
        means = (cut.mean((2, 3)) - torch.tensor([0.1, 0.2, 0.3])) / torch.tensor([0.5, 1.0, 2.0])
        found = identity(FACES)
        torch.testing.assert_close(found, means / means.square().sum(1, keepdim=True).sqrt())
        assert identity.size == (10, 20)

    def test_by_default_it_is_arcfaces_template_as_imagenet_has_it(self, written):
        faces = torch.zeros(1, 3, 1000, 1000)
        faces[:, 0] = 1.0  # red around the face: one line too many is seen
        faces[..., 78:878, 100:900] = 0.5
        means = (0.5 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
        identity = OnnxIdentity(written(1, 3, 112, 112))
        torch.testing.assert_close(identity(faces), F.normalize(means[None], dim=1), atol=1e-4, rtol=0)

    def test_a_free_side_is_112(self, written):
        assert OnnxIdentity(written("batch", 3, "height", "width")).size == (112, 112)

    @pytest.mark.parametrize(("batch", "times"), [(1, 3), ("batch", 1)])
    def test_a_network_that_takes_many_is_asked_once(self, written, batch, times, monkeypatch):
        identity = OnnxIdentity(written(batch, 3, 8, 8))
        session, asked = identity._session, []

        class Counting:
            def run(self, *given):
                asked.append(given)
                return session.run(*given)

        monkeypatch.setattr(identity, "_session", Counting())
        assert identity(FACES).shape == (3, 3)
        assert len(asked) == times

    def test_gradients_and_other_precisions_do_not_disturb_it(self, written):
        identity = OnnxIdentity(written(1, 3, 112, 112))
        found = identity(FACES.double().requires_grad_())
        assert found.dtype == torch.float32
        assert not found.requires_grad

    @pytest.mark.parametrize("shape", [(4, 3, 8, 8), (1, 8, 8, 3), (1, 1, 8, 8)])
    def test_a_network_of_something_else_is_refused(self, written, shape):
        with pytest.raises(ConfigError, match=r"takes faces \[.*one input \(b, 3, h, w\)"):
            OnnxIdentity(written(*shape))

    def test_a_network_of_two_inputs_is_refused(self, written):
        with pytest.raises(ConfigError, match="takes faces .*, more "):
            OnnxIdentity(written(1, 3, 8, 8, inputs=("faces", "more")))

    def test_a_file_that_is_no_network_is_refused(self, written):
        path = written(1, 3, 8, 8)
        path.write_bytes(path.read_bytes()[:50])
        with pytest.raises(DataError, match=r"network\.onnx cannot be used .*download or export it again"):
            OnnxIdentity(path)

    @pytest.mark.parametrize("box", [(0.5, 0.25, 0.1, 0.9), (0.1, 0.9, 0.5, 1.1), (0.1, 0.9, 0.5)])
    def test_an_impossible_box_is_refused(self, written, box):
        with pytest.raises(ConfigError, match="as shares of the sides"):
            OnnxIdentity(written(1, 3, 8, 8), box=box)

    def test_impossible_numbers_are_refused(self, written):
        with pytest.raises(ConfigError, match="three numbers each"):
            OnnxIdentity(written(1, 3, 8, 8), deviation=(1.0, 0.0, 1.0))

    @pytest.mark.parametrize("shape", [(0, 3, 8, 8), (2, 1, 8, 8), (3, 8, 8)])
    def test_what_is_no_picture_is_refused(self, written, shape):
        with pytest.raises(ShapeError, match="at least one"):
            OnnxIdentity(written(1, 3, 8, 8))(torch.zeros(shape))

    def test_without_onnxruntime_the_extra_is_named(self, tmp_path, monkeypatch):
        path = tmp_path / "network.onnx"
        path.write_bytes(network(1, 3, 8, 8))
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
        with pytest.raises(ConfigError, match=r'pip install "condswap\[identity\]"'):
            OnnxIdentity(path)


class Counting(nn.Module):
    """Gives the mean of each channel, and keeps how it was called."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))
        self.called = []

    def forward(self, faces):
        self.called.append((self.training, torch.is_grad_enabled(), faces.dtype))
        return self.scale * faces.mean((2, 3))


class TestLoad:
    means = F.normalize(FACES.mean((2, 3)), dim=1)

    def test_nothing_gives_nothing(self):
        assert load_identity(None) is None

    @pytest.mark.parametrize("kind", [str, Path])
    def test_a_file_gives_the_network_in_it(self, written, kind):
        path = written(1, 3, 8, 8)
        assert torch.equal(load_identity(kind(path))(FACES), OnnxIdentity(path)(FACES))

    def test_a_function_has_its_vectors_made_of_length_1(self):
        torch.testing.assert_close(load_identity(lambda faces: 7 * faces.mean((2, 3)))(FACES), self.means)

    def test_a_module_is_used_for_evaluation_and_keeps_its_mode(self):
        module = Counting().train()
        found = load_identity(module)(FACES)
        torch.testing.assert_close(found, self.means)
        assert found.dtype == torch.float32
        assert module.called == [(False, False, torch.float64)]
        assert module.training

    @pytest.mark.parametrize("given", [7, Counting, ["network.onnx"]])
    def test_something_else_is_refused(self, given):
        with pytest.raises(ConfigError, match="a module or a function of faces"):
            load_identity(given)

    @pytest.mark.parametrize(
        "given", ["no.onnx", "./no/such.onnx", "/no/such.onnx", "no/such.onnx", Path("no/such"), "no"]
    )
    def test_a_file_that_is_not_there_is_refused_and_nobody_is_asked(self, given, monkeypatch):
        monkeypatch.setattr("condswap.hub.fetch", lambda *_, **__: pytest.fail("asked the Hub"))
        with pytest.raises(DataError, match="there is no file"):
            load_identity(given)

    @pytest.mark.parametrize(
        "answer", [torch.zeros(3, 2, 1), torch.zeros(2, 2), [[0.0]] * 3], ids=["three dimensions", "too few", "a list"]
    )
    def test_a_function_that_gives_no_vectors_is_refused(self, answer):
        with pytest.raises(ShapeError, match="for 3 faces; needed is a tensor"):
            load_identity(lambda faces: answer)(FACES)

    def test_a_name_on_the_hub_is_fetched(self, hub, written):
        data = written("batch", 3, 8, 8).read_bytes()
        hub.create("user/faces")
        hub.commit("user/faces", {"model.onnx": data, "inside/other.onnx": network(1, 3, 9, 9)})
        assert load_identity("user/faces").size == (8, 8)
        assert load_identity("user/faces/inside/other.onnx").size == (9, 9)

    def test_a_name_that_the_hub_does_not_know_is_said(self, hub):
        hub.create("user/faces")
        with pytest.raises(HubError, match=r"user/faces/arc\.onnx is no file here, and arc\.onnx is not to be had"):
            load_identity("user/faces/arc.onnx")


class TestSimilarities:
    def test_they_are_cosines(self):
        vectors, means = torch.tensor([[3.0, 4.0], [0.0, -2.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0], [5.0, 5.0]])
        expected = torch.tensor([[0.6, 0.8, 1.4 / 2**0.5], [0.0, -1.0, -(0.5**0.5)]])
        torch.testing.assert_close(similarities(vectors, means), expected)

    def test_vectors_of_another_network_are_refused(self):
        with pytest.raises(ShapeError, match="of one network"):
            similarities(torch.zeros(2, 128), torch.zeros(2, 512))


@pytest.mark.skipif(not (SHARED / "models" / "mobilefacenet.onnx").is_file(), reason="the real network is not here")
def test_a_real_network_tells_real_people_apart():
    pytest.importorskip("onnxruntime")
    people = ("biden", "trump", "d3_woman", "d9_man")
    data = FaceFolder(SHARED / "faces", image_size=128, classes=people)
    identity = load_identity(SHARED / "models" / "mobilefacenet.onnx")
    chosen = [[index for index, label in enumerate(data.labels) if label == one] for one in range(4)]
    seen = torch.stack(
        [identity(torch.stack([data[index]["image"] for index in part[:: len(part) // 12][:12]])) for part in chosen]
    )
    assert seen.shape == (4, 12, 128)
    means = F.normalize(seen.mean(1), dim=1)
    similar = torch.stack([similarities(one, means) for one in seen])
    assert (similar.argmax(2) == torch.arange(4)[:, None]).all()
    similar = similar.mean(1)
    # The figures that were found for these faces and this box: 0.86 to 0.91 on their own, 0.18 between the first two.
    assert ((similar.diagonal() > 0.84) & (similar.diagonal() < 0.95)).all()
    assert similar[0, 1].item() == pytest.approx(0.18, abs=0.06)
    assert similar[:2, 2:].abs().max() < 0.15
