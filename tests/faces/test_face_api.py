"""The networks of face-api: that their files are read as they are written, and refused in words where they are not.

With the package's own weights both were held once against the package itself in Node:
vectors differed by 4e-6, points by 2e-7.
"""

import json

import pytest
import torch
from face_api_files import landmark_shapes, recognition_shapes, write_face_api, write_network

from condswap import DataError
from condswap.faces import FaceApiExpression, FaceApiIdentity
from condswap.faces.face_api import _padded


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_face_api(tmp_path_factory.mktemp("package") / "model")


def test_where_all_filters_are_zero_the_vector_is_what_the_last_offsets_say(tmp_path):
    shapes = recognition_shapes()
    values = {key: torch.zeros(()) for key in shapes if key.endswith(("filters", "bias", "biases"))}
    offsets = torch.linspace(-1, 1, 256)
    values |= {"conv256_down_out/conv2/scale/biases": offsets, "fc": torch.eye(256)[:, 64:192]}
    write_network(tmp_path, "face_recognition_model", shapes, values)
    found = FaceApiIdentity(tmp_path)(torch.rand(2, 3, 64, 64))
    # All before it is 0, and negative numbers are cut off. Of 150 rows come 72, 35, 17, 8, 3 and one more of nothing, and of
    # these 4 the convolution gives 1 and the average 2: so the offsets are in one place of four.
    torch.testing.assert_close(found, offsets.clamp_min(0)[64:192].expand(2, -1) / 4, rtol=0, atol=0.002)


def test_where_all_filters_are_zero_the_points_are_those_of_the_last_offsets(tmp_path):
    shapes = landmark_shapes()
    points = torch.zeros(68, 2)
    points[[61, 62, 63], 1], points[[67, 66, 65], 1] = 0.5, torch.tensor([0.6, 0.7, 0.8])
    points[2, 0], points[14, 0], points[30, 0] = 0.1, 0.9, 0.7
    values = {key: torch.zeros(()) for key in shapes if key.endswith(("filter", "filters", "bias"))}
    write_network(tmp_path, "face_landmark_68_model", shapes, values | {"fc/bias": points.flatten()})
    found = FaceApiExpression(tmp_path)(torch.rand(1, 3, 64, 64))
    # The lips are .1, .2 and .3 apart; the nose is .2 right of the middle, of .8.
    assert {name: one.item() for name, one in found.items()} == pytest.approx({"mouth": 0.2, "turn": 0.25}, abs=0.006)


def test_gradients_reach_the_face_inside_the_box_and_the_size_is_free(folder):
    for network in (FaceApiIdentity(folder), FaceApiExpression(folder).points):
        face = torch.rand(1, 3, 40, 40, requires_grad=True)
        network(face).square().sum().backward()
        assert face.grad[:, :, 6:38, 4:36].abs().sum() > 0
        assert not face.grad[:, :, :6].any() and not face.grad[..., :4].any()  # .15 of the height, .1 of the width


def test_colour_is_taken_in_its_order_and_off_its_mean(tmp_path):
    shapes = landmark_shapes()
    filters = torch.zeros(3, 3, 3, 32)
    filters[1, 1] = torch.eye(3, 32)  # the first block passes on the pixel in the middle of each 3 x 3
    values = {key: torch.zeros(()) for key in shapes if key.endswith(("filter", "bias"))}
    write_network(tmp_path, "face_landmark_68_model", shapes, values | {"dense0/conv0/filters": filters})
    network = FaceApiExpression(tmp_path)
    seen = network._dense(
        network._seen(torch.tensor([0.9, 0.8, 0.7]).reshape(1, 3, 1, 1).expand(1, 3, 64, 64)), "dense0", first=True
    )
    wanted = torch.tensor([0.9 - 122.782 / 255, 0.8 - 117.001 / 255, 0.7 - 104.298 / 255])
    torch.testing.assert_close(seen[0, :3, 20, 20], wanted, rtol=0.01, atol=0)


def test_padding_is_tensorflows(tmp_path):
    """Of an even side, halved, the row more is at the end; at stride 1 there is one on both sides."""
    one = torch.ones(1, 1, 4, 4)
    assert _padded(one, stride=2)[0, 0, 0].tolist() == [1, 1, 1, 1, 0]
    assert _padded(one, stride=1)[0, 0, 1].tolist() == [0, 1, 1, 1, 1, 0]
    assert _padded(torch.ones(1, 1, 5, 5), stride=2)[0, 0, 1].tolist() == [0, 1, 1, 1, 1, 1, 0]


def test_weights_go_where_the_module_goes(folder):
    network = FaceApiIdentity(folder).to(torch.float64)
    assert {one.dtype for one in network.weights.values()} == {torch.float64}


def test_files_that_are_missing_or_others_are_refused_in_words(folder, tmp_path):
    with pytest.raises(DataError, match="npm pack @vladmandic/face-api"):
        FaceApiIdentity(tmp_path)
    broken = write_face_api(tmp_path / "broken")
    weights = broken / "face_recognition_model.bin"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(DataError, match="cannot be read"):
        FaceApiIdentity(broken)
    manifest = broken / "face_landmark_68_model-weights_manifest.json"
    for text in (
        "{",
        "[]",
        "[1]",
        '[{"weights": [{"name": "a", "shape": [1], "quantization": {"dtype": "x"}}]}]',
        "null",
    ):
        manifest.write_text(text)
        with pytest.raises(DataError, match="cannot be read"):
            FaceApiExpression(broken)
    told = json.loads((folder / "face_landmark_68_model-weights_manifest.json").read_text())
    told[0]["weights"][0]["name"] = "another"
    manifest.write_text(json.dumps(told))
    with pytest.raises(DataError, match="has other weights"):
        FaceApiExpression(broken)
