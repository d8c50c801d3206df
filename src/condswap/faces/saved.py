"""What was found of faces, as JSON: beside a face that was cut out, and as a log of a video that was searched."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from condswap.errors import DataError
from condswap.faces.find import Face
from condswap.log import Log

_BOUND = 1e7  # pixels: nothing in a picture lies further out


def describe(face: Face) -> dict[str, Any]:
    """Give a face as JSON; positions are rounded to a hundredth of a pixel."""
    described: dict[str, Any] = {
        "points": _rounded(face.points),
        "box": [round(side, 2) for side in face.box],
        "score": round(face.score, 3),
    }
    if face.outline is not None:
        described["outline"] = _rounded(face.outline)
    if face.expression:
        described["expression"] = {name: round(value, 4) for name, value in face.expression.items()}
    return described


def understand(described: object) -> Face:
    """Give the face that `describe` gave.

    Raises:
        DataError: it is none. The message is the reason alone.
    """
    if not isinstance(described, Mapping):
        raise DataError("a face is not described by an object")
    points, box = _tensor(described.get("points"), "points"), _tensor([described.get("box")], "box", width=4)
    if len(points) != 5:
        raise DataError(f"a face of {len(points)} points; there are five")
    left, top, right, bottom = box[0].tolist()
    outline, expression = described.get("outline"), described.get("expression")
    if expression is not None and not isinstance(expression, Mapping):
        raise DataError("an expression that is not made of numbers by name")
    return Face(
        points,
        (left, top, right, bottom),
        _number(described.get("score"), "a score"),
        None if outline is None else _tensor(outline, "outline"),
        None
        if expression is None
        else {str(name): _number(value, "an expression") for name, value in expression.items()},
    )


class FaceLog:
    """The faces of a video's frames in a file, one line a frame, so that a search that was stopped goes on.

    Args:
        path: of the file.
        header: what was searched and how; what a file holds that was begun with another header is forgotten.

    Raises:
        DataError: the file cannot be read or written.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self._log = Log(path, header, _entry)
        self.last = None if self._log.last is None else self._log.last[0]
        """The number of the last frame in the file."""

    def __iter__(self) -> Iterator[tuple[int, list[Face], bool]]:
        """Give the frames: the number, the faces, and whether a new shot begins."""
        return iter(self._log)

    def add(self, number: int, faces: Sequence[Face], *, cut: bool) -> None:
        """Write a frame.

        Args:
            number: of the frame, from 0 on.
            faces: those in it.
            cut: whether it begins a new shot.

        Raises:
            DataError: the disk refuses.
        """
        self._log.add([number, cut, [describe(face) for face in faces]])
        self.last = number

    def close(self) -> None:
        """Close the file."""
        self._log.close()

    def __enter__(self) -> Self:
        """Give the log itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()


def _entry(value: object) -> tuple[int, list[Face], bool] | None:
    """Give the frame that a line describes; None for a line that is not whole."""
    if not isinstance(value, list) or len(value) != 3:
        return None
    number, cut, faces = value
    if isinstance(number, bool) or not isinstance(number, int) or number < 0 or not isinstance(faces, list):
        return None
    try:
        return number, [understand(face) for face in faces], bool(cut)
    except DataError:
        return None


def _number(given: object, what: str) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not abs(given) < _BOUND:
        raise DataError(f"{what} that is no number")
    return float(given)


def _rounded(points: Tensor) -> list[list[float]]:
    return [[round(x, 2), round(y, 2)] for x, y in points.tolist()]


def _tensor(given: object, what: str, *, width: int = 2) -> Tensor:
    try:
        tensor = torch.tensor(given, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise DataError(f"{what} that are no numbers") from error
    if tensor.ndim != 2 or tensor.shape[1] != width or not bool((tensor.abs() < _BOUND).all()):
        raise DataError(f"{what} that are no rows of {width} numbers, or lie far out")
    return tensor
