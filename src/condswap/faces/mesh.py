"""The mesh of a face: MediaPipe's Face Landmarker, and what it tells of pose and expression."""

import contextlib
import os
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from condswap.errors import ConfigError, DataError, HubError
from condswap.hub import find_file
from condswap.types import Image

_LIPS, _TOP, _CHIN = (13, 14), 10, 152  # points of the mesh
_CHEEKS, _NOSE = (234, 454), 1
_SIDE = 384  # pixels at which aligned faces are looked at
_DIM = 0.2  # how sure of a face in a crop one has to be


class Found(NamedTuple):
    """A mesh: its 478 points in shares of the picture's sides, and coefficients of the expression by name."""

    points: Tensor
    expression: Mapping[str, float]


class Mesh:
    """MediaPipe's Face Landmarker, for one face.

    Args:
        path: of `face_landmarker.task`.
        expression: tell the coefficients of the expression, too.
        surest: how sure of a face it has to be.

    Raises:
        ConfigError: MediaPipe is missing.
        DataError: the file cannot be used.
    """

    def __init__(self, path: Path, *, expression: bool, surest: float = 0.5) -> None:
        try:
            with silent():
                mediapipe = import_module("mediapipe")
        except ImportError as error:
            raise ConfigError('the mesh of faces needs MediaPipe: pip install "condswap[landmarks]"') from error
        tasks: Any = mediapipe.tasks
        self._of_picture: Callable[[Any], Any] = lambda pixels: mediapipe.Image(mediapipe.ImageFormat.SRGB, pixels)
        options = tasks.vision.FaceLandmarkerOptions(
            base_options=tasks.BaseOptions(model_asset_path=str(path)),
            output_face_blendshapes=expression,
            num_faces=1,
            min_face_detection_confidence=surest,
            min_face_presence_confidence=surest,
        )
        try:
            with silent():
                self._network = tasks.vision.FaceLandmarker.create_from_options(options)
                # Also where nobody closes it: at the end of Python it would fail to do so itself, with a traceback.
                self.close = weakref.finalize(self, self._network.close)
                self._network.detect(self._of_picture(torch.zeros(64, 64, 3, dtype=torch.uint8).numpy()))
        except (RuntimeError, ValueError, OSError) as error:
            raise DataError(f"{path} is not MediaPipe's face_landmarker.task ({error}); download it again") from error

    def look(self, pixels: Any) -> Found | None:
        """Find the mesh of the face in pixels, a uint8 array (h, w, 3), RGB, contiguous."""
        found = self._network.detect(self._of_picture(pixels))
        if not found.face_landmarks:
            return None
        points = torch.tensor([(point.x, point.y) for point in found.face_landmarks[0]], dtype=torch.float64)
        told = found.face_blendshapes[0] if found.face_blendshapes else []
        return Found(points, {one.category_name: one.score for one in told if one.category_name != "_neutral"})


class Expression:
    """Measures aligned faces, for `evaluate(attributes=)`: whether a swap keeps the pose and the expression.

    It is called with faces (b, 3, h, w) in [0, 1] and gives, (b) each, NaN where no face is found:

    - mouth: the gap between the lips, over the height of the face.
    - yaw: how far the tip of the nose is off the middle of the cheeks, over half their distance.
    - brow: the coefficient of raised inner brows.

    Args:
        landmarks: the file `face_landmarker.task`, or `"user/name/file.task"` on the Hub.

    Raises:
        ConfigError: MediaPipe is missing.
        DataError: the file is not there or cannot be used.
    """

    def __init__(self, landmarks: str | Path) -> None:
        self._mesh = Mesh(found_file(landmarks, "--landmarks"), expression=True, surest=_DIM)

    def __call__(self, faces: Image) -> dict[str, Tensor]:
        """Measure faces, one at a time."""
        # With a margin: a crop that the face fills is no face to the detector.
        wide = F.pad(faces.detach().float().cpu(), [faces.shape[-1] // 4] * 4, value=0.5)
        pixels = F.interpolate(wide, size=(_SIDE, _SIDE), mode="bilinear", antialias=True).clamp(0, 1)
        looked = (pixels * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
        rows = torch.tensor([self._measured(one) for one in looked]).reshape(-1, 3)
        return dict(zip(("mouth", "yaw", "brow"), rows.unbind(1), strict=True))

    def _measured(self, pixels: Any) -> tuple[float, float, float]:
        found = self._mesh.look(pixels)
        if found is None:
            return (float("nan"),) * 3
        points = found.points
        mouth = (points[_LIPS[0]] - points[_LIPS[1]]).norm() / (points[_TOP] - points[_CHIN]).norm()
        left, right = (float(points[cheek, 0]) for cheek in _CHEEKS)
        yaw = (float(points[_NOSE, 0]) - left) / (right - left) * 2 - 1 if right > left else float("nan")
        return float(mouth), yaw, found.expression["browInnerUp"]


def found_file(given: str | Path, option: str) -> Path:
    """Give the path of a network's file, which may be one on the Hub.

    Raises:
        DataError: there is none; the message names the option that gives it.
        HubError: it cannot be fetched; the message names the option, too.
    """
    try:
        path = find_file(given)
    except HubError as error:
        raise HubError(f"{error}; or give the file with {option}") from error.__cause__
    if not path.is_file():
        raise DataError(f"there is no file {path}; give the right one with {option}")
    return path


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Keep from the terminal what the networks' own libraries write there past Python while they are loaded."""
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # there is no terminal
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
