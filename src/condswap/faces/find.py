"""Finding faces in a picture: where they are, their five points, and where MediaPipe is at hand their mesh."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from condswap.errors import DataError, ShapeError
from condswap.faces.mesh import Mesh, found_file, silent
from condswap.faces.opencv import require_opencv

DETECTOR = "opencv/face_detection_yunet/face_detection_yunet_2023mar.onnx"
"""YuNet, on the Hub: the face detector that OpenCV's FaceDetectorYN runs."""

# Points of the mesh: the corners of the eye at the left of the picture, and of the other; the nose; the mouth's corners.
_MIDDLE_OF_EYES = ((33, 133), (362, 263))
_NOSE_TIP, _MOUTH = 4, (61, 291)
_LOOKED_AT = 640  # pixels of the longer side, at which a picture is searched
_LOOKED_AT_IN_VIDEO = 384  # where a mesh then tells the points: half the time, and faces from 3 % of the width on
_AROUND = 1.5  # of the box: what the mesh is looked for in
_MESH_SIDE = 256
_ASTRAY = 0.25  # of the box: a mesh that is so far off is that of a neighbour
_FEWEST = 8  # pixels of a side below which there is nothing to be found


@dataclass(frozen=True, eq=False, slots=True)  # a long video has many
class Face:
    """A face in a picture; all positions in its pixels.

    Args:
        points: (5, 2): the eyes' centres, the nose's tip, the mouth's corners, those at the left of the picture first.
        box: left, top, right, bottom.
        score: how sure the detector is, to 1.
        outline: (n, 2), the convex hull of the face's mesh, or None where no mesh was found.
        expression: MediaPipe's 52 coefficients in [0, 1] by name, such as `jawOpen`, or None where they were not asked for.
    """

    points: Tensor
    box: tuple[float, float, float, float]
    score: float
    outline: Tensor | None = None
    expression: Mapping[str, float] | None = None

    @property
    def size(self) -> float:
        """The longer side of the box, in pixels."""
        return max(self.box[2] - self.box[0], self.box[3] - self.box[1])

    @property
    def middle(self) -> tuple[float, float]:
        """The middle of the box."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2


class FaceFinder:
    """Finds the faces of a picture with OpenCV's FaceDetectorYN (YuNet), and their mesh with MediaPipe's Face Landmarker.

    Use it in a `with` statement, or `close` it. One finder serves one thread, or two: one to `detect`, one to `refine`.

    Args:
        detector: the weights of YuNet: a path, or `"user/name/file.onnx"` on the Hub.
        landmarks: the file `face_landmarker.task`; None for faces of five points alone.
        expression: give the coefficients of the expression, too.
        smallest: pixels of the longer side of a face's box below which it is left out.
        surest: the score below which it is left out.

    Raises:
        ConfigError: OpenCV or MediaPipe is missing.
        DataError: a file is not there or cannot be used.
        HubError: the weights cannot be fetched.
    """

    def __init__(
        self,
        detector: str | Path = DETECTOR,
        *,
        landmarks: str | Path | None = None,
        expression: bool = False,
        smallest: float = 32,
        surest: float = 0.7,
    ) -> None:
        self.smallest, self.surest, self.expression = smallest, surest, expression
        weights = found_file(detector, "--detector")
        self._files = [weights] if landmarks is None else [weights, found_file(landmarks, "--landmarks")]
        self._detector = _open_detector(weights, surest)
        self._mesh = None if landmarks is None else Mesh(self._files[1], expression=expression)

    def config(self) -> dict[str, Any]:
        """Give what the faces that it finds depend on, as JSON."""
        networks = [hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in self._files]
        asked = {"smallest": self.smallest, "surest": self.surest, "expression": self.expression}
        return {**asked, "networks": networks}

    def find(self, frame: Tensor) -> list[Face]:
        """Find the faces of a picture, the largest first.

        Args:
            frame: (3, h, w), uint8 RGB.

        Raises:
            ShapeError: it is no such picture.
        """
        return self.refine(self._detect(frame, _LOOKED_AT), frame)

    def detect(self, frame: Tensor) -> list[Face]:
        """Find the faces of a frame of a video, without their mesh; the rest is as in `find`."""
        return self._detect(frame, _LOOKED_AT if self._mesh is None else _LOOKED_AT_IN_VIDEO)

    def refine(self, faces: Sequence[Face], frame: Tensor) -> list[Face]:
        """Give faces the points and the outline of their mesh; as they are where none is found, or not looked for."""
        return [face if self._mesh is None else _refined(face, frame, self._mesh) for face in faces]

    def _detect(self, frame: Tensor, looked_at: int) -> list[Face]:
        import cv2

        if frame.ndim != 3 or frame.shape[0] != 3 or frame.dtype != torch.uint8:
            raise ShapeError(f"a frame is uint8 (3, h, w), RGB; got {frame.dtype} {tuple(frame.shape)}")
        height, width = frame.shape[1:]
        if min(height, width) < _FEWEST:
            return []
        pixels = frame.permute(1, 2, 0).numpy()
        shrunk = min(1.0, looked_at / max(height, width))
        size = max(_FEWEST, round(width * shrunk)), max(_FEWEST, round(height * shrunk))
        small = pixels if shrunk == 1 else _shrunk(pixels, size)
        self._detector.setInputSize(size)
        _, found = self._detector.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        if found is None:
            return []
        ratio = torch.tensor((width / size[0], height / size[1]), dtype=torch.float64)
        faces = []
        for row in torch.from_numpy(found).double():
            corner, extent = row[:2] * ratio, row[2:4] * ratio
            face = Face(row[4:14].reshape(5, 2) * ratio, _box(corner, corner + extent), float(row[14]))
            if face.size >= self.smallest and bool(row.isfinite().all()):
                faces.append(face)
        return sorted(faces, key=lambda face: -face.size)

    def close(self) -> None:
        """Let the networks go."""
        if self._mesh is not None:
            self._mesh.close()

    def __enter__(self) -> Self:
        """Give the finder itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


def _refined(face: Face, frame: Tensor, network: Mesh) -> Face:
    """Give the face with the points and the outline of its mesh; as it is where no mesh is found."""
    side = max(1, round(face.size * _AROUND))
    left, top = (round(middle - side / 2) for middle in face.middle)
    found = network.look(_cut(frame.permute(1, 2, 0).numpy(), left, top, side))
    if found is None:
        return face
    mesh = found.points * side + torch.tensor((left, top))
    eyes = [mesh[list(eye)].mean(0) for eye in _MIDDLE_OF_EYES]
    points = torch.stack((*eyes, mesh[_NOSE_TIP], *(mesh[corner] for corner in _MOUTH)))
    if float((points.mean(0) - face.points.mean(0)).norm()) > _ASTRAY * face.size:
        return face
    return Face(points, face.box, face.score, convex_hull(mesh), found.expression or None)


def convex_hull(points: Tensor) -> Tensor:
    """Give the corners of the convex hull of points (n, 2), in turn, (k, 2)."""
    import cv2

    return torch.from_numpy(cv2.convexHull(points.float().numpy())[:, 0]).double()


def _cut(pixels: Any, left: int, top: int, side: int) -> Any:
    """Cut a square out of pixels (h, w, 3), black where it leaves them, made smaller where it is large."""
    import cv2

    height, width = pixels.shape[:2]
    inside = pixels[max(0, top) : max(0, top + side), max(0, left) : max(0, left + side)]
    edges = (max(0, -top), max(0, top + side - height), max(0, -left), max(0, left + side - width))
    if any(edges):
        above, below, before, behind = (min(edge, side) for edge in edges)
        inside = cv2.copyMakeBorder(inside, above, below, before, behind, cv2.BORDER_CONSTANT)
    return inside.copy() if side <= _MESH_SIDE else _shrunk(inside, (_MESH_SIDE, _MESH_SIDE))


def _shrunk(pixels: Any, size: tuple[int, int]) -> Any:
    """Make pixels (h, w, 3) smaller: averaged by a whole factor first, which OpenCV does ten times as fast as by others."""
    import cv2

    factor = int(min(pixels.shape[1] / size[0], pixels.shape[0] / size[1]))
    if factor > 1:
        whole = pixels[: pixels.shape[0] // factor * factor, : pixels.shape[1] // factor * factor]
        pixels = cv2.resize(whole, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)
    return cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)


def _box(corner: Tensor, opposite: Tensor) -> tuple[float, float, float, float]:
    return (*corner.tolist(), *opposite.tolist())


def _open_detector(path: Path, surest: float) -> Any:
    cv2 = require_opencv("finding faces")
    try:
        with silent():
            detector = cv2.FaceDetectorYN.create(str(path), "", (64, 64), surest)
            detector.detect(torch.zeros(64, 64, 3, dtype=torch.uint8).numpy())  # another network fails only here
            return detector
    except cv2.error as error:
        raise DataError(f"{path} is not YuNet ({error.err}); give YuNet's weights, or download them again") from error
