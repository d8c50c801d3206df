"""Where in its crop a face is, against polygons whose covered area is counted on a fine grid, and by hand."""

import math
import sys

import numpy as np
import pytest
import torch

from condswap import ConfigError
from condswap.faces.find import Face
from condswap.faces.hulls import draw_hull, hull_of
from condswap.templates import DEFAULT, TEMPLATES

SAME = torch.eye(2, 3, dtype=torch.float64)


def covered(polygon, size, fine=16):
    """How much of each pixel lies in a convex polygon; the centres of pixels are whole numbers."""
    places = (np.arange(size * fine) + 0.5) / fine - 0.5
    x, y = np.meshgrid(places, places)
    corners = np.asarray(polygon, dtype=float)
    before = np.roll(corners, 1, 0)
    turn = np.sign((before[:, 0] * corners[:, 1] - corners[:, 0] * before[:, 1]).sum())
    inside = np.ones_like(x, dtype=bool)
    for (x0, y0), (x1, y1) in zip(before, corners, strict=True):
        inside &= turn * ((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)) >= 0
    return inside.reshape(size, fine, size, fine).mean((1, 3))


def ellipse(size, corners=36):
    turns = np.linspace(0, 2 * math.pi, corners, endpoint=False)
    return [(size * (0.5 + 0.3 * math.cos(t)), size * (0.45 + 0.4 * math.sin(t))) for t in turns]


@pytest.mark.parametrize(
    "polygon",
    [
        [(10, 10), (50, 10), (50, 40), (10, 40)],
        [(10.5, 10.5), (50.5, 10.5), (50.5, 40.5), (10.5, 40.5)],
        [(5, 5), (60, 20), (20, 60)],
        [(20, 60), (60, 20), (5, 5)],
        ellipse(64),
    ],
)
def test_a_pixel_has_the_share_that_the_polygon_covers(polygon):
    mask = draw_hull(torch.tensor(polygon, dtype=torch.float64), SAME, 64)
    assert (tuple(mask.shape), mask.dtype) == ((1, 64, 64), torch.float32)
    difference = np.abs(mask[0].numpy() - covered(polygon, 64))
    # OpenCV draws the outline itself, too: an eighth of a pixel at each edge, and more at a slant.
    assert difference.max() < 0.35
    assert difference.mean() < 0.01


def test_the_edge_is_smooth_and_the_rest_0_or_1():
    mask = draw_hull(torch.tensor(ellipse(64)), SAME, 64)
    between = (mask > 0) & (mask < 1)
    # Of an outline of about 142 pixels, and of one or two pixels across.
    assert 60 < int(between.sum()) < 300
    assert (float(mask[0, 29, 32]), float(mask[0, 0, 0]), float(mask.max())) == (1.0, 0.0, 1.0)


def test_the_matrix_takes_the_hull_to_the_crop():
    # Twice as large, turned by a quarter, and moved: (x, y) -> (-2 y + 60, 2 x - 20).
    matrix = torch.tensor([[0.0, -2.0, 60.0], [2.0, 0.0, -20.0]], dtype=torch.float64)
    hull = torch.tensor([(15.0, 8.0), (25.0, 8.0), (25.0, 28.0), (15.0, 28.0)], dtype=torch.float64)
    there = [(44, 10), (44, 30), (4, 30), (4, 10)]
    difference = np.abs(draw_hull(hull, matrix, 64)[0].numpy() - covered(there, 64))
    assert difference.max() < 0.35


def test_what_leaves_the_crop_is_cut_off():
    polygon = [(-500.0, -500.0), (10.0, -500.0), (10.0, 900.0), (-500.0, 900.0)]
    mask = draw_hull(torch.tensor(polygon, dtype=torch.float64), SAME, 32)
    assert bool((mask[0, :, :10] == 1).all())
    assert bool((mask[0, :, 12:] == 0).all())


@pytest.mark.parametrize("far", [1e7, -1e7])
def test_a_hull_far_outside_leaves_the_crop_empty(far):
    hull = torch.tensor([(0.0, 0.0), (9.0, 0.0), (9.0, 9.0)], dtype=torch.float64) + far
    assert not draw_hull(hull, SAME, 32).any()


@pytest.mark.parametrize("count", [1, 2])
def test_a_hull_that_is_a_point_or_a_line_is_drawn_thin(count):
    mask = draw_hull(torch.tensor([(10.0, 10.0), (20.0, 10.0)][:count], dtype=torch.float64), SAME, 32)
    assert 0 < float(mask.sum()) < 15
    assert not mask[0, 13:].any()


def test_the_hull_of_a_face_with_a_mesh_is_the_meshs():
    outline = torch.rand(7, 2, dtype=torch.float64)
    face = Face(torch.rand(5, 2, dtype=torch.float64), (0, 0, 1, 1), 1.0, outline)
    assert hull_of(face, TEMPLATES[DEFAULT]) is outline


@pytest.mark.parametrize("name", ["condswap", "arcface", "ffhq", "dfl_whole_face"])
def test_without_a_mesh_it_is_the_mean_faces_at_the_right_place(name):
    # A face whose points lie as ArcFace's do: its crop by that template is the square of 200
    # pixels at (30, 70), turned by a quarter. Our own crop has a fourth more around it: side 250, its corner 0.1 and 0.078
    # of that further out. There the mean face is .21 to .79 wide, and .242 to .902 high, whatever it is then cut out by.
    points = torch.tensor(TEMPLATES["arcface"].points, dtype=torch.float64) * 200
    quarter = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    face = Face(points @ quarter.T + torch.tensor((30.0, 70.0)), (0, 0, 1, 1), 1.0)
    upright = (hull_of(face, TEMPLATES[name]) - torch.tensor((30.0, 70.0))) @ quarter
    low, high = upright.min(0).values.tolist(), upright.max(0).values.tolist()
    # Other templates' five points are not ArcFace's in every share: a few hundredths of the side.
    within = 1e-4 if name in ("condswap", "arcface") else 10
    assert low == pytest.approx([250 * 0.21 - 25, 250 * 0.242 - 19.5], abs=within)
    assert high == pytest.approx([250 * 0.79 - 25, 250 * 0.902 - 19.5], abs=within)


def test_without_opencv_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ConfigError, match=r'outline of a face needs OpenCV.*"condswap\[video\]"'):
        draw_hull(torch.tensor([[0.0, 0.0], [4.0, 0.0], [4.0, 4.0]]), torch.eye(2, 3), 8)
