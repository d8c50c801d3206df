"""Networks that say who is seen: faces in, vectors out, of which those of one person point the same way."""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from condswap.errors import ConfigError, DataError, ShapeError
from condswap.generator import evaluating
from condswap.hub import find_file
from condswap.types import Image

Identity: TypeAlias = Callable[[Image], Tensor]
"""Faces (b, 3, h, w) in [0, 1], aligned as the data are, to vectors (b, d)."""

_SIDE = 112  # of a network that does not say what it takes: ArcFace's


class OnnxIdentity:
    """An identity network in an ONNX file, called as `identity(faces)`.

    It has one input (b, 3, h, w), RGB. Its side and whether it takes one picture at a time are read from the file. The
    vectors are (b, d), float32, of length 1, on the CPU.

    Args:
        path: the file.
        box: the part of an aligned face that the network takes: top, bottom, left and right as shares of the sides.
            The default cuts ArcFace's template out of faces as condswap aligns them; (0, 1, 0, 1) is all of it.
        mean: of each channel, taken off the pictures in [0, 1]; the default is ImageNet's. ArcFace's own networks
            take 0.5.
        deviation: of each channel, by which they are then divided.

    Raises:
        ConfigError: onnxruntime is missing, the box or the numbers cannot be used, or the network takes something else
            than pictures.
        DataError: the file is not there or is no ONNX network.

    Example:
        >>> OnnxIdentity("no-such.onnx")
        Traceback (most recent call last):
            ...
        condswap.errors.DataError: there is no file no-such.onnx; give the path of an identity network...
    """

    def __init__(
        self,
        path: str | Path,
        *,
        box: Sequence[float] = (0.078, 0.878, 0.100, 0.900),
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        deviation: Sequence[float] = (0.229, 0.224, 0.225),
    ) -> None:
        path = Path(path).expanduser()
        if not path.is_file():
            raise DataError(f"there is no file {path}; give the path of an identity network that ends in .onnx")
        if len(box) != 4 or not (0 <= box[0] < box[1] <= 1 and 0 <= box[2] < box[3] <= 1):
            raise ConfigError(
                f"box={tuple(box)}; give top, bottom, left and right as shares of the sides, from 0 to 1, such as "
                "(0.078, 0.878, 0.1, 0.9)"
            )
        if len(mean) != 3 or len(deviation) != 3 or min(deviation) <= 0:
            raise ConfigError(
                f"mean={tuple(mean)} and deviation={tuple(deviation)}; give three numbers each, one a channel, and "
                "deviations above 0"
            )
        self.box, self.mean, self.deviation = tuple(box), tuple(mean), tuple(deviation)
        self._session = _session(path)
        self._input, self.size, self._one_at_a_time = _input_of(self._session, path)

    def __call__(self, faces: Image) -> Tensor:
        """Give the vectors of aligned faces, (b, d); `ShapeError` for other than pictures."""
        _check_faces(faces)
        height, width = faces.shape[2:]
        top, bottom = (round(share * height) for share in self.box[:2])
        left, right = (round(share * width) for share in self.box[2:])
        cut = faces.detach().float().cpu()[..., top:bottom, left:right]
        cut = F.interpolate(cut, size=self.size, mode="bilinear", antialias=True)
        mean, deviation = (torch.tensor(three)[:, None, None] for three in (self.mean, self.deviation))
        parts = ((cut - mean) / deviation).split(1 if self._one_at_a_time else len(cut))
        found = [self._session.run(None, {self._input: part.numpy()})[0] for part in parts]
        return _unit(torch.cat([torch.from_numpy(one).flatten(1) for one in found]), faces)


def load_identity(given: str | Path | nn.Module | Identity | None) -> Identity | None:
    """Make an identity network of what a person gives.

    Args:
        given: the path of an ONNX file; `"user/name"` on the Hub, which means its `model.onnx`, or
            `"user/name/file.onnx"`; a module, which is used in evaluation mode and without gradients, on its own device;
            any other function of faces (b, 3, h, w) in [0, 1]; or None.

    Returns:
        A function that gives float32 vectors (b, d) of length 1, or None for None. An ONNX network is used as
        `OnnxIdentity` does by default; where that does not suit it, give an `OnnxIdentity` of your own.

    Raises:
        ConfigError: it is none of these.
        DataError: there is no such file.
        HubError: it cannot be fetched.

    Example:
        >>> identity = load_identity(lambda faces: faces.mean((2, 3)))
        >>> round(identity(torch.full((1, 3, 8, 8), 0.5)).norm().item(), 4)
        1.0
    """
    if given is None:
        return None
    if isinstance(given, str | Path):
        return OnnxIdentity(find_file(given))
    if isinstance(given, type) or not callable(given):
        raise ConfigError(
            f"identity={given!r}; give an .onnx file, 'user/name' on the Hub, a module or a function of faces (b, 3, h, w)"
        )
    if isinstance(given, nn.Module):
        return _of_module(given)
    network: Identity = given

    def identity(faces: Image) -> Tensor:
        _check_faces(faces)
        return _unit(network(faces), faces)

    return identity


def similarities(vectors: Tensor, means: Tensor) -> Tensor:
    """Give the cosines between vectors (n, d) and the means of the classes (c, d), as (n, c) in [-1, 1].

    Neither has to be of length 1. Raises `ShapeError` where the two do not fit each other.

    >>> similarities(torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 3.0]])).tolist()
    [[1.0, 0.0]]
    """
    if vectors.ndim != 2 or means.ndim != 2 or vectors.shape[1] != means.shape[1]:
        raise ShapeError(
            f"vectors {tuple(vectors.shape)} cannot be compared with means {tuple(means.shape)}; give (n, d) and (c, d) "
            "of one network"
        )
    return F.normalize(vectors, dim=1) @ F.normalize(means, dim=1).T


def _of_module(module: nn.Module) -> Identity:
    def identity(faces: Image) -> Tensor:
        _check_faces(faces)
        weight = next(module.parameters(), faces)
        with torch.no_grad(), evaluating(module):
            return _unit(module(faces.to(weight)), faces)

    return identity


def _session(path: Path) -> Any:
    try:
        runtime = import_module("onnxruntime")
    except ImportError as error:
        raise ConfigError('identity networks in ONNX need onnxruntime: pip install "condswap[identity]"') from error
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # what it warns of is how the file was made, which nobody here can change
    try:
        return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own kinds have no common parent
        raise DataError(f"{path} cannot be used as an ONNX network ({error}); download or export it again") from error


def _input_of(session: Any, path: Path) -> tuple[str, tuple[int, int], bool]:
    """Give the name of the input, its height and width, and whether it takes one picture at a time."""
    inputs = session.get_inputs()
    shape = inputs[0].shape if len(inputs) == 1 else None
    if not shape or len(shape) != 4 or shape[1] != 3 or (isinstance(shape[0], int) and shape[0] != 1):
        told = ", ".join(f"{one.name} {one.shape}" for one in inputs)
        raise ConfigError(
            f"{path} takes {told}; an identity network takes one input (b, 3, h, w) with b free or 1: wrap this one in a "
            "function of faces (b, 3, h, w) and give that"
        )
    height, width = (side if isinstance(side, int) else _SIDE for side in shape[2:])
    return inputs[0].name, (height, width), shape[0] == 1


def _check_faces(faces: Tensor) -> None:
    if faces.ndim != 4 or faces.shape[1] != 3 or not len(faces):
        raise ShapeError(f"faces are {tuple(faces.shape)}; give at least one, (b, 3, h, w), RGB in [0, 1]")


def _unit(vectors: Tensor, faces: Image) -> Tensor:
    """Check what a network gave, and make its vectors of length 1."""
    if not isinstance(vectors, Tensor) or vectors.ndim != 2 or len(vectors) != len(faces):
        came = tuple(vectors.shape) if isinstance(vectors, Tensor) else type(vectors).__name__
        raise ShapeError(f"the identity network gave {came} for {len(faces)} faces; needed is a tensor (b, d)")
    return F.normalize(vectors.float(), dim=1)
