"""What is painted in a toy face: the background, the tone of the skin, beard, eyes, brows and mouth.

Places on the face are head lengths to the right (px) and up (py) of the point between the eyes, both (n, h, w).
"""

from collections.abc import Mapping, Sequence

import torch
from einops import rearrange
from torch import Tensor

Colour = tuple[float, float, float]
Scene = Mapping[str, float | Colour]
"""One picture in numbers: lengths in half head heights, angles in radians, colours as RGB in [0, 1]."""


class Fields:
    """The scenes of a chunk, one (n, 1, 1) tensor a number and one (n, 3, 1, 1) tensor a colour."""

    def __init__(self, scenes: Sequence[Scene], *, image_size: int) -> None:
        self._fields: dict[str, Tensor] = {}
        for name, first in scenes[0].items():
            values = torch.tensor([scene[name] for scene in scenes], dtype=torch.float32, device="cpu")
            self._fields[name] = values[:, :, None, None] if isinstance(first, tuple) else values[:, None, None]

        # One over the width of an edge: it fades over one pixel.
        self._fields["soft"] = self._fields["scale"] * (image_size / 2)

    def __getattr__(self, name: str) -> Tensor:
        """Give a field by its name."""
        return self._fields[name]


def paint(picture: Tensor, colour: Tensor, alpha: Tensor) -> None:
    """Lay a colour over a picture, in place."""
    picture += (colour - picture) * rearrange(alpha, "n h w -> n 1 h w")


def dim(picture: Tensor, factor: Tensor) -> None:
    """Darken (or lighten) all three colours by one factor, in place."""
    picture *= rearrange(factor, "n h w -> n 1 h w")


def bump(square: Tensor) -> Tensor:
    """A soft round spot: 1 where the squared distance is 0, 0 from 1 on."""
    return (1 - square).clamp_(min=0) ** 2


def wave(phase: Tensor) -> Tensor:
    """A row of parabolic arcs with period 1 in [0, 1], pointed at the whole numbers, as locks of hair are."""
    part = phase - phase.floor()
    return part * (1 - part) * 4


def edge(f: Fields, distance: Tensor) -> Tensor:
    """Coverage in [0, 1] of a signed distance in head lengths."""
    return (distance * f.soft + 0.5).clamp_(0, 1)


def draw_background(f: Fields, x: Tensor, y: Tensor) -> Tensor:
    """Draw a slope between two colours with three blurred lights; x and y are places on the screen in [-1, 1]."""
    slope = (x * f.back_dx + y * f.back_dy + 0.5).clamp_(0, 1)
    picture = f.back_a + (f.back_b - f.back_a) * rearrange(slope, "n h w -> n 1 h w")
    for blob in ("0", "1", "2"):
        dx, dy = x - getattr(f, "blob_x" + blob), y - getattr(f, "blob_y" + blob)
        spot = ((1 - (dx * dx + dy * dy) / getattr(f, "blob_r" + blob)) * f.blob_sharp).clamp_(0, 1)
        paint(picture, getattr(f, "blob_c" + blob), spot * f.blob_alpha)
    return picture


def bare_skin(f: Fields, px: Tensor, py: Tensor, nose: Tensor) -> Tensor:
    """The skin's own colour with blush, freckles and beard, before any light."""
    a = px.abs()
    skin = f.skin.expand(-1, -1, *py.shape[-2:]).clone()
    cheek = bump(((a - 0.40) / 0.27) ** 2 + ((py + 0.30 - f.smile * 0.05) / 0.2) ** 2)
    paint(skin, f.blush, cheek * f.blush_alpha)
    paint(skin, f.blush, nose * bump((px / 0.2) ** 2 + ((py - f.nose_y) / 0.2) ** 2) * 0.35)
    dots = (wave(px * 9.3 + py * 3.1) * wave(py * 8.7 - px * 2.3) - 0.72).clamp_(min=0) * 4
    paint(
        skin,
        f.skin * f.freckle_tone,
        dots.clamp_(max=1) * bump((px / 0.62) ** 2 + ((py + 0.24) / 0.24) ** 2) * f.freckles,
    )
    # Beard: below a line from the sideburns to the lip, and not on the lips' own field.
    line = f.beard_y + 0.36 * ((a - 0.30) / 0.4).clamp(0, 1) ** 2
    beard = ((line - py) * f.beard_hard).clamp_(0, 1) * f.beard
    chin = (((f.goatee_w - a) * 9).clamp_(0, 1)) * (((f.mouth_y + 0.12 - py) * 9).clamp_(0, 1)) * f.goatee
    moustache = ((0.075 - (py - f.mouth_y - 0.125 + a * 0.22).abs()) * 18).clamp_(0, 1) * ((0.30 - a) * 8).clamp_(0, 1)
    hair = torch.maximum(torch.maximum(beard, chin), moustache * f.moustache)
    grain = 0.92 + 0.16 * wave(px * 11 + wave(py * 7) * 0.7)
    paint(skin, f.beard_colour * rearrange(grain, "n h w -> n 1 h w"), hair)
    return skin


def draw_mouth(f: Fields, skin: Tensor, px: Tensor, py: Tensor, key: Tensor) -> None:
    """Draw lips, teeth and tongue on lit skin, in place; `key` is the light that falls on each place."""
    s = px / f.mouth_w
    arc = 1 - s * s
    v = py - f.mouth_y - f.smile_lift * (s * s - 0.3)
    upper, lower = f.gap_up * arc, -f.gap_down * arc
    bow = 1 - f.bow * bump((s / 0.28) ** 2)
    top = upper + f.lip_up * arc * bow
    bottom = lower - f.lip_down * arc * (1.15 - 0.15 * s * s)
    lips = edge(f, torch.minimum(torch.minimum(top - v, v - bottom), (1.05 - s.abs()) * f.mouth_w))
    tone = f.lip * (0.42 + 0.62 * rearrange(key, "n h w -> n 1 h w")) * f.key_white
    paint(skin, tone, lips * f.lip_alpha)
    dim(skin, 1 - lips * ((v > upper * 0.5).float() * 0.16))
    gleam = bump((s / 0.55) ** 2 + ((v - (lower + bottom) * 0.5) / (f.lip_down * 0.6)) ** 2)
    dim(skin, 1 + gleam * lips * 0.18)
    hole = edge(f, torch.minimum(torch.minimum(upper - v, v - lower), (1 - s.abs()) * f.mouth_w)) * f.open_any
    paint(skin, f.throat, hole)
    tongue = bump((s / 0.75) ** 2 + ((v - lower) / (f.gap_down * 0.9 + 0.01)) ** 2)
    paint(skin, f.tongue, hole * (tongue * 1.6).clamp_(max=1))
    teeth = edge(f, v - upper + f.teeth) * edge(f, (0.86 - s.abs()) * f.mouth_w)
    paint(skin, f.tooth, hole * teeth)
    line = (
        edge(f, 0.013 * (1.25 - s * s).clamp(min=0) - v.abs()) * (1 - f.open_any) * ((1.08 - s.abs()) * 8).clamp_(0, 1)
    )
    corner = bump(((s.abs() - 1.0) / 0.13) ** 2 + (v / 0.04) ** 2) * 0.4
    dim(skin, 1 - torch.maximum(line * 0.55, corner))


def draw_eyes(f: Fields, skin: Tensor, px: Tensor, py: Tensor, key: Tensor) -> None:
    """Draw eyes, brows and glasses on lit skin, in place; both sides at once, mirrored in the middle of the face."""
    a = px.abs()
    side = (px >= 0).float() * 2 - 1
    u = a - f.eye_x
    s = u / f.eye_w
    v = py - f.eye_tilt * u
    arc = 1 - s * s
    upper, lower = f.lid_up * arc, f.lid_down * arc
    opening = torch.minimum(upper - v, v - lower)
    eye = edge(f, opening)
    shade = (0.55 + 0.50 * rearrange(key, "n h w -> n 1 h w")) * f.key_white
    crease = edge(f, 0.012 - (v - upper - f.crease * (1.1 - s * s)).abs()) * ((1.05 - s.abs()) * 5).clamp_(0, 1)
    dim(skin, 1 - crease * 0.30)
    paint(skin, f.sclera * shade, eye)
    iu, iv = u - f.gaze_x * side, v - f.gaze_y
    radius = (iu * iu + iv * iv).clamp_(min=1e-8).sqrt_()
    iris = edge(f, f.iris_r - radius) * eye
    bright = (0.72 - iv / f.iris_r * 0.5) * (1 - ((radius / f.iris_r - 0.72) * 3).clamp_(0, 0.75))
    paint(skin, f.iris * rearrange(bright, "n h w -> n 1 h w") * shade, iris)
    paint(skin, f.pupil, edge(f, f.iris_r * 0.48 - radius) * eye)
    dim(skin, 1 - eye * ((0.05 - (upper - v)) * 14).clamp_(0, 0.45))
    glint = ((iu * side - f.glint_x) / f.glint_r) ** 2 + ((iv - f.glint_y) / f.glint_r) ** 2
    paint(skin, f.white, ((1.3 - glint) * 1.6).clamp_(0, 1) * eye * 0.95)
    inner = ((iu * side + f.glint_x * 0.8) / (f.glint_r * 0.6)) ** 2 + ((iv + f.glint_y * 0.8) / (f.glint_r * 0.6)) ** 2
    paint(skin, f.white, ((1.3 - inner) * 1.2).clamp_(0, 1) * eye * 0.35)
    reach = (1.12 - s.abs()).clamp(min=0)
    lash = edge(f, f.lash * (0.75 + 0.5 * s).clamp(min=0.2) - (v - upper.clamp(min=-0.2)).abs()) * (reach * 6).clamp_(
        max=1
    )
    paint(skin, f.lash_colour, lash * 0.9)
    under = edge(f, 0.008 - (v - lower).abs()) * (reach * 5).clamp_(max=1)
    dim(skin, 1 - under * 0.30)
    b = (a - f.brow_x) / f.brow_w
    curve = f.brow_y + f.brow_arch * (1 - (b - 0.25) ** 2) + f.brow_slope * b
    thick = f.brow_t * (1.05 - 0.45 * b) * (1 - (b * b) ** 2)
    hairs = 0.86 + 0.14 * wave(a * 14 + py * 9)
    paint(skin, f.brow_colour, edge(f, thick - (py - curve).abs()) * hairs)
    rim = (((u + 0.01) / 0.235) ** 2 + ((py + 0.02) / 0.195) ** 2).clamp_(min=1e-8).sqrt_()
    frame = torch.maximum(
        edge(f, 0.020 - (rim - 1).abs() * 0.2), edge(f, 0.018 - (py - 0.03 + a * 0.1).abs()) * (a < 0.15)
    )
    arm = edge(f, 0.018 - (py - 0.04).abs()) * (u > 0.22)
    paint(skin, f.frame, torch.maximum(frame, arm) * f.glasses)
