"""Draws the toy faces: a lit head with hair, neck and shoulders, ray-cast in closed form.

The head and the hair are bodies whose horizontal cuts are ellipses, the nose and the ears are ellipsoids; an orthographic
ray meets each of them in closed form, so a picture is a fixed list of additions, multiplications and square roots. Nothing
else is used on pictures (no exp, no sin, no sums over an axis): these operations are rounded exactly by IEEE 754, hence a
picture does not depend on the batch, the threads or the vector width that it was drawn with.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from einops import rearrange
from torch import Tensor

Colour = tuple[float, float, float]
Scene = Mapping[str, float | Colour]
"""One picture in numbers: lengths in half head heights, angles in radians, colours as RGB in [0, 1]."""

_SUPERSAMPLING = 2


class _Fields:
    """The scenes of a chunk, one (n, 1, 1) tensor a number and one (n, 3, 1, 1) tensor a colour."""

    def __init__(self, scenes: Sequence[Scene]) -> None:
        self._fields: dict[str, Tensor] = {}
        for name, first in scenes[0].items():
            values = torch.tensor([scene[name] for scene in scenes], dtype=torch.float32, device="cpu")
            self._fields[name] = values[:, :, None, None] if isinstance(first, tuple) else values[:, None, None]

    def __getattr__(self, name: str) -> Tensor:
        return self._fields[name]


def render(scenes: Sequence[Scene], *, image_size: int) -> Tensor:
    """Draw scenes.

    Args:
        scenes: n of them, at least one.
        image_size: height and width h in pixels.

    Returns:
        (n, 4, h, h), uint8: red, green, blue, and the mask of the face.

    Example:
        >>> from condswap.data.toy_faces import ToyFaces
        >>> ToyFaces(2, image_size=16)[0]["image"].shape
        torch.Size([3, 16, 16])
    """
    samples = image_size * _SUPERSAMPLING
    axis = (torch.arange(samples, dtype=torch.float32, device="cpu") * 2 + 1 - samples) / samples
    fields = _Fields(scenes)
    picture, mask = _Portrait(fields, axis, 2.0 / image_size).draw()
    planes = torch.cat([picture, rearrange(mask, "n h w -> n 1 h w")], dim=1).clamp_(0, 1)
    quarters = planes[..., 0::2, 0::2] + planes[..., 0::2, 1::2] + planes[..., 1::2, 0::2] + planes[..., 1::2, 1::2]
    return (quarters * (255 / _SUPERSAMPLING**2)).round_().to(torch.uint8)


def _paint(picture: Tensor, colour: Tensor, alpha: Tensor) -> None:
    """Lay a colour over a picture, in place."""
    picture += (colour - picture) * rearrange(alpha, "n h w -> n 1 h w")


def _scale(picture: Tensor, factor: Tensor) -> None:
    """Darken (or lighten) all three colours by one factor, in place."""
    picture *= rearrange(factor, "n h w -> n 1 h w")


def _bump(square: Tensor) -> Tensor:
    """A soft round spot: 1 where the squared distance is 0, 0 from 1 on."""
    return (1 - square).clamp_(min=0) ** 2


def _wave(phase: Tensor) -> Tensor:
    """A row of parabolic arcs with period 1 in [0, 1], pointed at the whole numbers, as locks of hair are."""
    part = phase - phase.floor()
    return part * (1 - part) * 4


class _Portrait:
    """One chunk while it is drawn; x is right, y is up, z is towards the viewer."""

    def __init__(self, fields: _Fields, axis: Tensor, pixel: float) -> None:
        self.f = f = fields
        self.x_screen, self.y_screen = axis[None, None, :], -axis[None, :, None]
        x, y = self.x_screen - f.centre_x, self.y_screen - f.centre_y
        # In head lengths, with the roll undone.
        self.x = (x * f.roll_cos + y * f.roll_sin) / f.scale
        self.y = (y * f.roll_cos - x * f.roll_sin) / f.scale
        self.soft = f.scale / pixel  # one over the width of an edge
        self.cos, self.sin, self.nod_cos, self.nod_sin = f.yaw_cos, f.yaw_sin, f.pitch_cos, f.pitch_sin

    def edge(self, distance: Tensor) -> Tensor:
        """Coverage in [0, 1] of a signed distance in head lengths."""
        return (distance * self.soft + 0.5).clamp_(0, 1)

    def head_space(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The point at depth t under every pixel, in the head's own axes."""
        lateral, forward = self.x * self.sin, t * self.cos
        px = self.x * self.cos - t * self.sin
        py = self.y * self.nod_cos + (lateral + forward) * self.nod_sin
        pz = (lateral + forward) * self.nod_cos - self.y * self.nod_sin
        return px, py, pz

    def view_space(self, nx: Tensor, ny: Tensor, nz: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A direction in the head's axes as the viewer sees it, of length 1."""
        bent = ny * self.nod_sin + nz * self.nod_cos
        vx = nx * self.cos + bent * self.sin
        vy = ny * self.nod_cos - nz * self.nod_sin
        vz = bent * self.cos - nx * self.sin
        length = (vx * vx + vy * vy + vz * vz + 1e-9).sqrt_()
        return vx / length, vy / length, vz / length

    def ellipsoid(self, name: str) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor, Tensor]]:
        """Depth, inside-ness (positive inside) and unit normal of an ellipsoid whose view coefficients are in the scene."""
        f = self.f
        x, y = self.x - getattr(f, name + "_x"), self.y - getattr(f, name + "_y")
        xx, xy, yy = getattr(f, name + "_xx"), getattr(f, name + "_xy"), getattr(f, name + "_yy")
        lx, ly = getattr(f, name + "_lx"), getattr(f, name + "_ly")
        half_x, half_y = xx * x + xy * y, xy * x + yy * y
        inside = 1 - (half_x * x + half_y * y)
        root = inside.clamp(min=1e-4).sqrt_()
        deep = getattr(f, name + "_deep")
        depth = getattr(f, name + "_z") + lx * x + ly * y + deep * root
        # Beyond its outline the body falls away steeply, so that a smooth union does not see it there.
        depth = depth + inside.clamp(max=0) * deep * 3
        nx, ny = deep * half_x - lx * root, deep * half_y - ly * root
        length = (nx * nx + ny * ny + root * root).sqrt_()
        return depth, inside, (nx / length, ny / length, root / length)

    def body(self, width: Tensor, depth: Tensor, profile: Tensor, forward: Tensor) -> tuple[Tensor, Tensor]:
        """Depth and inside-ness of the body (x / width)^2 + ((z - forward) / depth)^2 = profile, cut at known heights."""
        run, rise = -self.sin / width, self.cos * self.nod_cos / depth
        px = self.x * self.cos / width
        pz = (self.x * self.sin * self.nod_cos - self.y * self.nod_sin - forward) / depth
        a = run * run + rise * rise
        b = px * run + pz * rise
        # (b^2 - a c) / a, which is the profile less the squared distance of the ray from the axis
        across = px * rise - pz * run
        inside = profile - across * across / a
        return (inside.clamp(min=1e-5) * a).sqrt_().sub_(b) / a, inside

    # ---------------------------------------------------------------------------------------------- the picture

    def draw(self) -> tuple[Tensor, Tensor]:
        picture = self.background()
        self.geometry()
        self.back_hair(picture)
        self.body_and_neck(picture)
        skin, normal = self.skin()
        self.paint_face(skin, normal)
        ears = self.ears(picture)
        _paint(picture, skin, self.head_cover)
        for ear, cover, depth in ears:
            _paint(picture, ear, cover * ((depth - self.t) * 12).clamp_(0, 1))
        hair = self.hair(picture)
        px, pz = self.point[0] / self.f.head_w, self.point[2]
        face = self.edge((pz - self.f.mask_back) * 0.5) * (1 - hair) * self.head_cover
        brow_line = self.edge((self.f.mask_top - self.point[1] - px * px * 0.25) * 0.6)
        return picture, face * brow_line

    def background(self) -> Tensor:
        f, x, y = self.f, self.x_screen, self.y_screen
        slope = (x * f.back_dx + y * f.back_dy + 0.5).clamp_(0, 1)
        picture = f.back_a + (f.back_b - f.back_a) * rearrange(slope, "n h w -> n 1 h w")
        for blob in ("0", "1", "2"):
            dx, dy = x - getattr(f, "blob_x" + blob), y - getattr(f, "blob_y" + blob)
            spot = ((1 - (dx * dx + dy * dy) / getattr(f, "blob_r" + blob)) * f.blob_sharp).clamp_(0, 1)
            _paint(picture, getattr(f, "blob_c" + blob), spot * f.blob_alpha)
        return picture

    def geometry(self) -> None:
        """The depth of head and hair under every pixel."""
        f = self.f
        guess, _, _ = self.ellipsoid("guess")
        _, py, _ = self.head_space(guess)
        up, down = (py.clamp(min=0) / f.head_top) ** 2, ((py.clamp(max=0) / f.head_chin) ** 2).clamp_(max=1.4)
        skull = 1 - up
        jaw = (1 - down * (f.jaw_round + down * (1 - f.jaw_round))) * (1 - down * f.jaw_taper)
        profile = skull + jaw - 1
        self.t, inside = self.body(f.head_w, f.head_d, profile, down * f.chin_forward)
        self.head_cover = self.edge(inside * f.head_w * 0.5)
        self.profile_slope = -2 * py.clamp(min=0) / (f.head_top * f.head_top) - (
            (f.jaw_round + 2 * down * (1 - f.jaw_round)) * (1 - down * f.jaw_taper) + f.jaw_taper * (jaw / (1 - down * f.jaw_taper))
        ) * 2 * py.clamp(max=0) / (f.head_chin * f.head_chin)
        self.chin_slope = 2 * py.clamp(max=0) / (f.head_chin * f.head_chin) * f.chin_forward
        self.down = down

        lower = py.clamp(max=0)
        above = (py.clamp(min=0) / f.hair_top) ** 2
        ripple = _wave((self.x * 0.8 + self.y) * f.curl_n) + _wave((self.y * 0.8 - self.x) * f.curl_n) - 1
        hood = 1 - above + lower * lower * f.hair_flare + ripple * f.curl
        self.hair_t, inside = self.body(f.hair_w, f.hair_d, hood, f.hair_back)
        self.hair_cover = self.edge(inside * f.hair_w * 0.5)
        self.hair_py, self.hair_ripple = py, ripple

    def light(self, normal: tuple[Tensor, Tensor, Tensor], wrap: float) -> Tensor:
        f = self.f
        return ((normal[0] * f.light_x + normal[1] * f.light_y + normal[2] * f.light_z + wrap) / (1 + wrap)).clamp_(min=0)

    def lit(self, albedo: Tensor, key: Tensor, normal: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """A colour under the key light plus light from the sky and the room."""
        f = self.f
        sky = normal[1] * 0.12 + 0.88
        light = f.ambient * rearrange(sky, "n h w -> n 1 h w") + f.key * rearrange(key, "n h w -> n 1 h w")
        return albedo * light

    def back_hair(self, picture: Tensor) -> None:
        f = self.f
        tail = self.edge(self.hair_py + f.hair_length + self.hair_ripple * 0.04)
        cover = self.hair_cover * tail * f.hair_alpha
        _paint(picture, f.hair_colour * (0.42 * f.ambient + 0.10), cover)
        _, inside, normal = self.ellipsoid("bun")
        _paint(picture, self.lit(f.hair_colour, self.light(normal, 0.3), normal), self.edge(inside * 0.12) * f.bun)

    def body_and_neck(self, picture: Tensor) -> None:
        f = self.f
        x, y = self.x_screen - f.neck_x, self.y_screen
        across = (x / f.neck_w).clamp(-1, 1)
        around = (1 - across * across).clamp_(min=0.02).sqrt_()
        normal = (across * 0.9, torch.zeros_like(around), around)
        key = self.light(normal, 0.3) * (((f.chin_y - y) * 3.2).clamp_(0.12, 1))
        flare = (f.shirt_y + 0.16 - y).clamp_(min=0)
        cover = self.edge((f.neck_w + flare * 1.2 - x.abs()) / f.scale) * self.edge((f.chin_y + 0.35 - y) / f.scale)
        _paint(picture, self.lit(f.skin * 0.93, key, normal), cover)
        shoulder = f.shirt_y + 0.10 - x * x * f.shoulder - (x.abs() - f.neck_w * 1.05).clamp(min=0) * 0.12
        collar = y - f.collar_y - x * x * f.collar_round - x.abs() * f.collar_v
        inside = torch.minimum(shoulder - y, torch.maximum(-collar / 1.6, x.abs() - 0.45))
        nx = (x * 1.1).clamp(-0.9, 0.9)
        ny = (1 - (shoulder - y) * 3).clamp(0, 0.8)
        nz = (1 - nx * nx * 0.8 - ny * ny * 0.4).clamp_(min=0.05).sqrt_()
        fold = 1 - _wave(x * 2.3 + y * 1.1 + 0.4) * 0.08
        _paint(picture, self.lit(f.shirt, self.light((nx, ny, nz), 0.3) * fold, (nx, ny, nz)), self.edge(inside / f.scale))
        seam = self.edge((0.022 - (collar + 0.03).abs()) / f.scale) * self.edge((shoulder - y) / f.scale)
        _scale(picture, 1 - seam * 0.22)

    def ears(self, picture: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
        f, found = self.f, []
        for name in ("ear_l", "ear_r"):
            depth, inside, normal = self.ellipsoid(name)
            colour = self.lit(f.skin * 0.97, self.light(normal, 0.3), normal)
            _scale(colour, 1 - ((inside - 0.35) * 2.2).clamp_(0, 1) * 0.28)
            cover = self.edge(inside * 0.06)
            _paint(picture, colour, cover)
            found.append((colour, cover, depth))
        return found

    def skin(self) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """The bare lit skin with its nose, and its normal."""
        f = self.f
        px, py, pz = self.head_space(self.t)
        away = (pz - self.down * f.chin_forward) / (f.head_d * f.head_d)
        ny = -0.5 * self.profile_slope - away * self.chin_slope
        normal = self.view_space(px / (f.head_w * f.head_w), ny, away)
        self.nose = torch.zeros_like(self.t)
        for name, width in (("bridge", 0.12), ("wing_l", 0.10), ("wing_r", 0.10), ("tip", 0.09)):
            depth, inside, other = self.ellipsoid(name)
            difference = depth - self.t
            part = (difference / width * 0.5 + 0.5).clamp_(0, 1)
            self.t = torch.maximum(self.t, depth) + ((width - difference.abs()).clamp_(min=0) ** 2) / (4 * width)
            normal = (
                normal[0] + (other[0] - normal[0]) * part,
                normal[1] + (other[1] - normal[1]) * part,
                normal[2] + (other[2] - normal[2]) * part,
            )
            self.nose = torch.maximum(self.nose, part * self.edge(inside * 0.06))
            # A nose that stands out over the far cheek belongs to the head as well.
            self.head_cover = torch.maximum(self.head_cover, self.edge(inside * 0.06) * (py > -0.9))
        self.point = self.head_space(self.t)
        return self.albedo(), normal

    def albedo(self) -> Tensor:
        """The skin's own colour with blush, freckles and beard, before any light."""
        f = self.f
        px, py, _ = self.point
        a = px.abs()
        skin = f.skin.expand(-1, -1, *py.shape[-2:]).clone()
        cheek = _bump(((a - 0.40) / 0.27) ** 2 + ((py + 0.30 - f.smile * 0.05) / 0.2) ** 2)
        _paint(skin, f.blush, cheek * f.blush_alpha)
        _paint(skin, f.blush, self.nose * _bump((px / 0.2) ** 2 + ((py - f.nose_y) / 0.2) ** 2) * 0.35)
        dots = (_wave(px * 9.3 + py * 3.1) * _wave(py * 8.7 - px * 2.3) - 0.72).clamp_(min=0) * 4
        _paint(skin, f.skin * f.freckle_tone, dots.clamp_(max=1) * _bump((px / 0.62) ** 2 + ((py + 0.24) / 0.24) ** 2) * f.freckles)
        # Beard: below a line from the sideburns to the lip, and not on the lips' own field.
        line = f.beard_y + 0.36 * ((a - 0.30) / 0.4).clamp(0, 1) ** 2
        beard = ((line - py) * f.beard_hard).clamp_(0, 1) * f.beard
        chin = (((f.goatee_w - a) * 9).clamp_(0, 1)) * (((f.mouth_y + 0.12 - py) * 9).clamp_(0, 1)) * f.goatee
        moustache = ((0.075 - (py - f.mouth_y - 0.125 + a * 0.22).abs()) * 18).clamp_(0, 1) * ((0.30 - a) * 8).clamp_(0, 1)
        hair = torch.maximum(torch.maximum(beard, chin), moustache * f.moustache)
        grain = 0.92 + 0.16 * _wave(px * 11 + _wave(py * 7) * 0.7)
        _paint(skin, f.beard_colour * rearrange(grain, "n h w -> n 1 h w"), hair)
        return skin

    def paint_face(self, skin: Tensor, normal: tuple[Tensor, Tensor, Tensor]) -> None:
        """Light the skin, then draw eyes, brows and mouth on it, in place."""
        f = self.f
        px, py, _ = self.point
        a = px.abs()
        key = self.light(normal, 0.30)
        # Shadows: under the brow, beside and below the nose, under the lip, and below the hair line.
        socket = _bump(((a - f.eye_x * 0.96) / (f.eye_w * 1.9)) ** 2 + ((py - 0.06) / 0.25) ** 2)
        side = (px + f.light_x * 0.16) / (f.nose_w * 1.5)
        below = (py - f.nose_y + 0.09 + f.light_y * 0.05) / 0.11
        cast = _bump(side * side + below * below) * (1 - self.nose)
        lip = _bump((px / 0.26) ** 2 + ((py - f.lip_shadow_y) / 0.075) ** 2)
        fringe = ((py + 0.10 - self.hair_line(px)) * 7).clamp_(0, 1) * f.hair_alpha
        key = key * (1 - socket * 0.22) * (1 - cast * 0.30) * (1 - lip * 0.22) * (1 - fringe * 0.45)
        fold = _bump(((a - 0.30 - (f.nose_y - py) * 0.35) / 0.055) ** 2 + ((py - f.nose_y + 0.13) / 0.2) ** 2)
        key = key * (1 - fold * f.smile_fold)
        glow = key * (1 - key).clamp(min=0)
        skin.copy_(self.lit(skin, key, normal))
        skin += f.skin * f.glow * rearrange(glow, "n h w -> n 1 h w")
        shine = (normal[0] * f.half_x + normal[1] * f.half_y + normal[2] * f.half_z).clamp_(min=0) ** 2
        shine = ((shine * shine) ** 2) ** 2
        skin += f.key * rearrange(shine * shine * 0.13, "n h w -> n 1 h w")
        nostril = _bump(((a - f.nose_w * 0.45) / (f.nose_w * 0.36)) ** 2 + ((py - f.nostril_y) / 0.045) ** 2)
        _scale(skin, 1 - nostril * 0.38)
        rows = py.shape[-2]
        # Only the rows that can hold them at any pose are drawn: the rest of the picture is most of the work.
        eyes, mouth = slice(int(0.20 * rows), int(0.66 * rows) + 1), slice(int(0.56 * rows), int(0.96 * rows) + 1)
        self.paint_mouth(skin[..., mouth, :], px[:, mouth], py[:, mouth], key[:, mouth])
        self.paint_eyes(skin[..., eyes, :], px[:, eyes], py[:, eyes], a[:, eyes], key[:, eyes])

    def paint_mouth(self, skin: Tensor, px: Tensor, py: Tensor, key: Tensor) -> None:
        f = self.f
        s = px / f.mouth_w
        arc = 1 - s * s
        v = py - f.mouth_y - f.smile_lift * (s * s - 0.3)
        upper, lower = f.gap_up * arc, -f.gap_down * arc
        bow = 1 - f.bow * _bump((s / 0.28) ** 2)
        top = upper + f.lip_up * arc * bow
        bottom = lower - f.lip_down * arc * (1.15 - 0.15 * s * s)
        lips = self.edge(torch.minimum(torch.minimum(top - v, v - bottom), (1.05 - s.abs()) * f.mouth_w))
        tone = f.lip * (0.42 + 0.62 * rearrange(key, "n h w -> n 1 h w")) * f.key_white
        _paint(skin, tone, lips * f.lip_alpha)
        _scale(skin, 1 - lips * ((v > upper * 0.5).float() * 0.16))
        gleam = _bump((s / 0.55) ** 2 + ((v - (lower + bottom) * 0.5) / (f.lip_down * 0.6)) ** 2)
        _scale(skin, 1 + gleam * lips * 0.18)
        hole = self.edge(torch.minimum(torch.minimum(upper - v, v - lower), (1 - s.abs()) * f.mouth_w)) * f.open_any
        _paint(skin, f.throat, hole)
        tongue = _bump((s / 0.75) ** 2 + ((v - lower) / (f.gap_down * 0.9 + 0.01)) ** 2)
        _paint(skin, f.tongue, hole * (tongue * 1.6).clamp_(max=1))
        teeth = self.edge(v - upper + f.teeth) * self.edge((0.86 - s.abs()) * f.mouth_w)
        _paint(skin, f.tooth, hole * teeth)
        line = self.edge(0.013 * (1.25 - s * s).clamp(min=0) - v.abs()) * (1 - f.open_any) * ((1.08 - s.abs()) * 8).clamp_(0, 1)
        corner = _bump(((s.abs() - 1.0) / 0.13) ** 2 + (v / 0.04) ** 2) * 0.4
        _scale(skin, 1 - torch.maximum(line * 0.55, corner))

    def paint_eyes(self, skin: Tensor, px: Tensor, py: Tensor, a: Tensor, key: Tensor) -> None:
        f = self.f
        side = (px >= 0).float() * 2 - 1
        u = a - f.eye_x
        s = u / f.eye_w
        v = py - f.eye_tilt * u
        arc = 1 - s * s
        upper, lower = f.lid_up * arc, f.lid_down * arc
        opening = torch.minimum(upper - v, v - lower)
        eye = self.edge(opening)
        shade = (0.55 + 0.50 * rearrange(key, "n h w -> n 1 h w")) * f.key_white
        crease = self.edge(0.012 - (v - upper - f.crease * (1.1 - s * s)).abs()) * ((1.05 - s.abs()) * 5).clamp_(0, 1)
        _scale(skin, 1 - crease * 0.30)
        _paint(skin, f.sclera * shade, eye)
        iu, iv = u - f.gaze_x * side, v - f.gaze_y
        radius = (iu * iu + iv * iv).clamp_(min=1e-8).sqrt_()
        iris = self.edge(f.iris_r - radius) * eye
        bright = (0.72 - iv / f.iris_r * 0.5) * (1 - ((radius / f.iris_r - 0.72) * 3).clamp_(0, 0.75))
        _paint(skin, f.iris * rearrange(bright, "n h w -> n 1 h w") * shade, iris)
        _paint(skin, f.pupil, self.edge(f.iris_r * 0.48 - radius) * eye)
        _scale(skin, 1 - eye * ((0.05 - (upper - v)) * 14).clamp_(0, 0.45))
        glint = ((iu * side - f.glint_x) / f.glint_r) ** 2 + ((iv - f.glint_y) / f.glint_r) ** 2
        _paint(skin, f.white, ((1.3 - glint) * 1.6).clamp_(0, 1) * eye * 0.95)
        inner = ((iu * side + f.glint_x * 0.8) / (f.glint_r * 0.6)) ** 2 + ((iv + f.glint_y * 0.8) / (f.glint_r * 0.6)) ** 2
        _paint(skin, f.white, ((1.3 - inner) * 1.2).clamp_(0, 1) * eye * 0.35)
        reach = (1.12 - s.abs()).clamp(min=0)
        lash = self.edge(f.lash * (0.75 + 0.5 * s).clamp(min=0.2) - (v - upper.clamp(min=-0.2)).abs()) * (reach * 6).clamp_(max=1)
        _paint(skin, f.lash_colour, lash * 0.9)
        under = self.edge(0.008 - (v - lower).abs()) * (reach * 5).clamp_(max=1)
        _scale(skin, 1 - under * 0.30)
        b = (a - f.brow_x) / f.brow_w
        curve = f.brow_y + f.brow_arch * (1 - (b - 0.25) ** 2) + f.brow_slope * b
        thick = f.brow_t * (1.05 - 0.45 * b) * (1 - (b * b) ** 2)
        hairs = 0.86 + 0.14 * _wave(a * 14 + py * 9)
        _paint(skin, f.brow_colour, self.edge(thick - (py - curve).abs()) * hairs)
        rim = (((u + 0.01) / 0.235) ** 2 + ((py + 0.02) / 0.195) ** 2).clamp_(min=1e-8).sqrt_()
        frame = torch.maximum(self.edge(0.020 - (rim - 1).abs() * 0.2), self.edge(0.018 - (py - 0.03 + a * 0.1).abs()) * (a < 0.15))
        arm = self.edge(0.018 - (py - 0.04).abs()) * (u > 0.22)
        _paint(skin, f.frame, torch.maximum(frame, arm) * f.glasses)

    def hair_line(self, px: Tensor) -> Tensor:
        """The height above which hair grows, for a distance from the middle of the face."""
        f = self.f
        off = px - f.part
        edge = (px / f.temple) ** 2
        locks = _wave(px * f.lock_n + 0.5) * f.locks
        return f.line_y + f.line_slope * px - off.abs() * f.line_fall + (px.abs()).clamp(max=0.4) * f.recede - edge * edge * f.line_drop - locks

    def hair(self, picture: Tensor) -> Tensor:
        """Draw the hair that lies before the face, and give its coverage."""
        f = self.f
        px, py, pz = self.head_space(self.hair_t)
        self.hair_py = py
        front = self.edge((py - self.hair_line(px)) * 0.6)
        back = self.edge((f.hair_behind - pz) * 0.5)
        cut = self.edge((py + f.hair_cut + (pz * f.cut_slope) - _wave(px * 5 + pz * 4) * 0.05) * 0.7)
        cover = self.hair_cover * torch.maximum(front, back) * cut * f.hair_alpha
        ny = (py.clamp(min=0) / (f.hair_top * f.hair_top))
        normal = self.view_space(px / (f.hair_w * f.hair_w), ny, (pz - f.hair_back) / (f.hair_d * f.hair_d))
        off = px - f.part
        flow = off / ((f.hair_top * 1.05 - py).clamp(min=0) + off.abs() * 0.5 + 0.25)
        strand = _wave(flow * f.strand_n) * 0.6 + _wave(flow * f.strand_n * 2.7 + py * 0.7) * 0.4
        key = self.light(normal, 0.25) * (0.72 + 0.36 * strand) + self.hair_ripple * f.curl * 1.6
        colour = self.lit(f.hair_colour, key, normal)
        band = (normal[0] * f.half_x + normal[1] * f.half_y + normal[2] * f.half_z + (strand - 0.5) * 0.06).clamp_(min=0) ** 2
        band = (band * band) ** 2
        colour += f.hair_shine * rearrange(band * band * (0.5 + strand * 0.5), "n h w -> n 1 h w")
        edge_shadow = ((py - self.hair_line(px)) * 9).clamp_(0, 1)
        _scale(colour, 0.8 + 0.2 * torch.maximum(edge_shadow, back))
        _paint(picture, colour, cover)
        return cover
