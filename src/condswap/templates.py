"""Where the eyes, the nose and the mouth lie in an aligned face, and the transform that brings them there.

Matrices are (2, 3), float64: they take a point (x, y) of one picture, in pixels, to a point of another.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import torch
from torch import Tensor

from condswap.errors import ConfigError, DataError, ShapeError

Points: TypeAlias = tuple[tuple[float, float], ...]

_FIVE, _ALL = 5, 68
_OF_ALL = (*range(17, 49), 54)  # brows, nose, eyes and the corners of the mouth: what talking does not move much
_EYES = (slice(36, 42), slice(42, 48))
_NOSE_TIP, _MOUTH = 30, (48, 54)


@dataclass(frozen=True)
class Template:
    """Where five points of a face lie in the square that is cut out: the eyes' centres, the nose's tip, the mouth's corners.

    Args:
        name: how it is called.
        points: five (x, y), in shares of the side, those at the left of the picture first.
        landmarks: 33 (x, y) for faces of which 68 landmarks are known (the brows, the nose, the eyes and the corners of the
            mouth: 17 to 48 and 54 of iBUG's 300-W); without them such faces are aligned by their five points, too.

    Raises:
        ConfigError: these are no such points.

    Example:
        >>> template = Template("mine", ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)))
        >>> points = torch.tensor(template.points) * 200 + 50
        >>> (template.matrix(points, 100).round(decimals=3) + 0.0).tolist()
        [[0.5, 0.0, -25.0], [0.0, 0.5, -25.0]]
    """

    name: str
    points: Points
    landmarks: Points | None = None

    def __post_init__(self) -> None:
        """Check what was given."""
        wanted = ((self.points, _FIVE), (self.landmarks, len(_OF_ALL)))
        for points, count in wanted:
            if points is not None and (len(points) != count or not all(map(_is_point, points))):
                raise ConfigError(
                    f"the crop template {self.name!r} is made of {count} points (x, y) in shares of the side, and not of "
                    f"{points!r}"
                )

    def matrix(self, points: Tensor, size: int) -> Tensor:
        """Give the similarity that cuts a face out, (2, 3): from the pixels of the picture to those of the crop.

        Args:
            points: (5, 2), or the 68 landmarks of iBUG's 300-W, x and y in pixels.
            size: the side of the crop, in pixels.

        Raises:
            ShapeError: these are neither 5 nor 68 points.
            DataError: they do not span a face.
        """
        if points.ndim != 2 or points.shape[1] != 2 or len(points) not in (_FIVE, _ALL):
            raise ShapeError(f"a face is aligned by (5, 2) or (68, 2) points; got {tuple(points.shape)}")
        if len(points) == _ALL and self.landmarks is not None:
            return umeyama(points[list(_OF_ALL)], torch.tensor(self.landmarks) * size)
        return umeyama(five_of(points), torch.tensor(self.points) * size)

    def to(self, other: "Template") -> Tensor:
        """Give the similarity that takes this template's crop of a face to another's, (2, 3), both of side 1."""
        return umeyama(torch.tensor(self.points), torch.tensor(other.points))

    def config(self) -> str | dict[str, Any]:
        """Give it as JSON: the name of one of `TEMPLATES`, or what it is made of."""
        if TEMPLATES.get(self.name) == self:
            return self.name
        described: dict[str, Any] = {"name": self.name, "points": [list(point) for point in self.points]}
        if self.landmarks is not None:
            described["landmarks"] = [list(point) for point in self.landmarks]
        return described

    @classmethod
    def from_config(cls, config: object) -> "Template":
        """Give the template that `config` gave, or that has this name.

        Raises:
            ConfigError: there is none of this name, or it is no template.
        """
        if isinstance(config, str):
            if config not in TEMPLATES:
                raise ConfigError(f"there is no crop template {config!r}; known here: {', '.join(TEMPLATES)}")
            return TEMPLATES[config]
        if not isinstance(config, Mapping) or not isinstance(config.get("name"), str):
            raise ConfigError(
                f'{config!r} is no crop template; give one of {", ".join(TEMPLATES)}, or {{"name": ..., "points": five (x, y)}}'
            )
        landmarks = config.get("landmarks")
        return cls(config["name"], _points(config.get("points")) or (), _points(landmarks))


def agreed(of_model: Template | None, of_pictures: Template | None) -> Template | None:
    """Give the template of a model and its pictures; either may not know its own.

    Raises:
        DataError: they have different ones: the model would see and paint faces of another size in another place.
    """
    if of_model is None or of_pictures is None or of_model.points == of_pictures.points:
        return of_model or of_pictures
    raise DataError(
        f"the model was trained on faces cut out by the template {of_model.name!r}, and these pictures by "
        f"{of_pictures.name!r}; extract them again with `condswap extract --template {of_model.name}`"
    )


def umeyama(source: Tensor, target: Tensor) -> Tensor:
    """Give the rotation, scale and shift that bring points onto others with the least squares, (2, 3) float64.

    The method of S. Umeyama, "Least-squares estimation of transformation parameters between two point patterns", 1991. A
    mirrored face stays mirrored: reflections are not considered.

    Args:
        source: (n, 2).
        target: (n, 2).

    Raises:
        DataError: the points of the source lie in one place, or are not finite.

    Example:
        >>> square = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
        >>> (umeyama(square, 2 * square + 3).round(decimals=6) + 0.0).tolist()
        [[2.0, 0.0, 3.0], [0.0, 2.0, 3.0]]
    """
    source, target = source.double().cpu(), target.double().cpu()
    from_middle, to_middle = source.mean(0), target.mean(0)
    (x, y), (u, v) = (source - from_middle).T, (target - to_middle).T
    spread = (x * x + y * y).sum()
    if not bool(spread.isfinite() & target.isfinite().all()) or float(spread) <= 1e-12:
        raise DataError("the points of a face lie in one place or are no numbers; it cannot be aligned by them")
    # In two dimensions the singular value decomposition of the paper comes down to these two sums.
    cosine, sine = (x * u + y * v).sum() / spread, (x * v - y * u).sum() / spread
    turned = torch.stack((torch.stack((cosine, -sine)), torch.stack((sine, cosine))))
    return torch.cat((turned, (to_middle - turned @ from_middle)[:, None]), 1)


def invert(matrix: Tensor) -> Tensor:
    """Give the transform back, (2, 3) for (2, 3).

    >>> (invert(torch.tensor([[2.0, 0.0, 4.0], [0.0, 2.0, 6.0]])) + 0.0).tolist()
    [[0.5, 0.0, -2.0], [0.0, 0.5, -3.0]]
    """
    turned = torch.linalg.inv(matrix[:, :2].double())
    return torch.cat((turned, -turned @ matrix[:, 2:].double()), 1)


def transform(matrix: Tensor, points: Tensor) -> Tensor:
    """Move points (n, 2) by a matrix (2, 3).

    >>> transform(torch.tensor([[2.0, 0.0, 4.0], [0.0, 2.0, 6.0]]), torch.tensor([[1.0, 1.0]])).tolist()
    [[6.0, 8.0]]
    """
    matrix = matrix.double()
    return points.double() @ matrix[:, :2].T + matrix[:, 2]


def five_of(points: Tensor) -> Tensor:
    """Give the eyes' centres, the nose's tip and the mouth's corners, (5, 2), of (5, 2) or 68 landmarks (68, 2)."""
    if len(points) == _FIVE:
        return points
    eyes = [points[eye].mean(0) for eye in _EYES]
    return torch.stack((*eyes, points[_NOSE_TIP], *(points[corner] for corner in _MOUTH)))


def outline(template: Template, corners: int = 40) -> Tensor:
    """Give the outline of a face in a template's crop of side 1, brow to chin, (corners, 2): that of a mean face.

    A superellipse, fitted to the mean of the hulls of face meshes (intersection over union 0.98); a face that is turned to the
    side has another.
    """
    angle = torch.arange(corners, dtype=torch.float64) * (2 * math.pi / corners)
    x, y = (wave.sign() * wave.abs() ** (2 / 2.2) for wave in (angle.cos(), angle.sin()))
    points = torch.stack((0.5 + 0.29 * x, 0.45 + y * torch.where(y < 0, 0.208, 0.452)), 1)
    return transform(TEMPLATES[DEFAULT].to(template), points)


def _is_point(point: object) -> bool:
    if not isinstance(point, Sequence) or len(point) != 2:
        return False
    return all(isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x) for x in point)


def _points(given: object) -> Points | None:
    if not isinstance(given, Sequence) or not all(map(_is_point, given)):
        return None if given is None else ()
    return tuple((float(x), float(y)) for x, y in given)


def _of(name: str, landmarks: Sequence[tuple[float, float]], side: float, middle: tuple[float, float]) -> Template:
    """Give a template of DeepFaceLab's kind: a square around `middle` of the mean face, which has side 1."""
    shares = [((x - middle[0]) / side + 0.5, (y - middle[1]) / side + 0.5) for x, y in landmarks]
    whole = torch.zeros(_ALL, 2, dtype=torch.float64)
    whole[list(_OF_ALL)] = torch.tensor(shares, dtype=torch.float64)
    return Template(name, tuple((x, y) for x, y in five_of(whole).tolist()), tuple(shares))


# fmt: off
# DeepFaceLab's mean face, and DeepFaceLive's: 17 to 48 and 54 of 68 landmarks.
_MEAN_FACE = (
    (0.0002132560, 0.1064540), (0.0752621, 0.0389150), (0.1811300, 0.0187482), (0.2907700, 0.0344891), (0.3933970, 0.0773906),
    (0.5868560, 0.0773906), (0.6894830, 0.0344891), (0.7991240, 0.0187482), (0.9049910, 0.0389150), (0.9800400, 0.1064540),
    (0.4901270, 0.2033520), (0.4901270, 0.3070090), (0.4901270, 0.4098050), (0.4901270, 0.5156250),
    (0.3668800, 0.5873260), (0.4260360, 0.6093450), (0.4901270, 0.6281060), (0.5542170, 0.6093450), (0.6133730, 0.5873260),
    (0.1217370, 0.2164230), (0.1871220, 0.1787580), (0.2658250, 0.1798520), (0.3346060, 0.2317330), (0.2609180, 0.2450990),
    (0.1827430, 0.2440770),
    (0.6456470, 0.2317330), (0.7144280, 0.1798520), (0.7931320, 0.1787580), (0.8585160, 0.2164230), (0.7975100, 0.2440770),
    (0.7193350, 0.2450990),
    (0.2541490, 0.7802330), (0.7261040, 0.7802330),
)
# fmt: on
_ARCFACE = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041))
_FFHQ = (
    (192.98138, 239.94708),
    (318.90277, 240.1936),
    (256.63416, 314.01935),
    (201.26117, 371.41043),
    (313.08905, 371.15118),
)
_FACEFUSION = ((0.35342, 0.39286), (0.62798, 0.39286), (0.48661, 0.54018), (0.38839, 0.68750), (0.59821, 0.68750))
_PADDING = {"half": 0.0, "midfull": 0.0675, "full": 0.2109375, "whole": 0.40}  # of the sides of DeepFaceLab's mean face
_RAISED = {"whole": 0.07}  # by how much of the mean face's side the middle of the crop lies higher

DEFAULT = "condswap"
"""The template of `condswap extract`: ArcFace's, with a fourth more around it."""

TEMPLATES: Mapping[str, Template] = MappingProxyType(
    {
        template.name: template
        for template in (
            Template(DEFAULT, tuple((0.8 * x / 112 + 0.1, 0.8 * y / 112 + 0.078) for x, y in _ARCFACE)),
            Template("arcface", tuple((x / 112, y / 112) for x, y in _ARCFACE)),
            Template("ffhq", tuple((x / 512, y / 512) for x, y in _FFHQ)),
            *(
                _of(f"dfl_{name}_face", _MEAN_FACE, 1 + 2 * math.sqrt(2) * pad, (0.5, 0.5 - _RAISED.get(name, 0.0)))
                for name, pad in _PADDING.items()
            ),
            _of("deepfacelive", _MEAN_FACE, 2.2, (0.5, 0.5 - 0.08)),
            Template("facefusion", _FACEFUSION),
        )
    }
)
"""The crop templates by name.

`arcface` is that of ArcFace's 112 px, `ffhq` the five-point mean of FFHQ's pictures; `dfl_half_face`, `dfl_midfull_face`,
`dfl_full_face` and `dfl_whole_face` are DeepFaceLab's, `deepfacelive` is DeepFaceLive's default (coverage 2.2, moved up by
0.08) and `facefusion` that with which FaceFusion cuts faces out for DFM models.
"""
