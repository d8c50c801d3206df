"""Draws the toy faces: a lit head with hair, neck and shoulders, ray-cast in closed form.

The head and the hair are bodies whose horizontal cuts are ellipses, the nose and the ears are ellipsoids; an
orthographic ray meets each of them in closed form, so a picture is a fixed list of sums, products, quotients and
square roots. Nothing else is used there (no exp, no sin, no sum over an axis): these operations are rounded
exactly by IEEE 754, hence a picture does not depend on the batch, the threads or the vector width it was drawn with.
"""

import threading
from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor

from condswap.data.toy_features import (
    Fields,
    Scene,
    bare_skin,
    bump,
    dim,
    draw_background,
    draw_eyes,
    draw_mouth,
    paint,
    wave,
)
from condswap.data.toy_rays import Normal, Rays, Window

_SUPERSAMPLING = 2
_ONE_THREAD = threading.Lock()


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
    fields = Fields(scenes, image_size=image_size)
    with _ONE_THREAD:
        threads = torch.get_num_threads()
        try:
            # The operations are many and small: sharing them out gains little, and costs tenfold on a busy machine.
            torch.set_num_threads(1)
            picture, mask = _Portrait(fields, axis).draw()
            planes = torch.cat([picture, rearrange(mask, "n h w -> n 1 h w")], dim=1).clamp_(0, 1)
            rows = planes[..., 0::2, :] + planes[..., 1::2, :]
            return ((rows[..., 0::2] + rows[..., 1::2]) * (255 / _SUPERSAMPLING**2)).round_().to(torch.uint8)
        finally:
            torch.set_num_threads(threads)


class _Portrait(Rays):
    """One chunk of pictures while it is drawn, from the background to the front."""

    def draw(self) -> tuple[Tensor, Tensor]:
        picture = draw_background(self.f, self.x_screen, self.y_screen)
        self.geometry()
        self.back_hair(picture)
        self.body_and_neck(picture)
        skin, normal = self.skin()
        self.paint_face(skin, normal)
        ears = self.ears(picture)
        paint(picture, skin, self.head_cover)
        for window, ear, cover in ears:
            paint(picture[window], ear, cover)
        hair = self.hair(picture)
        px, pz = self.point[0] / self.f.head_w, self.point[2]
        face = self.edge((pz - self.f.mask_back) * 0.5) * (1 - hair) * self.head_cover
        brow_line = self.edge((self.f.mask_top - self.point[1] - px * px * 0.25) * 0.6)
        return picture, face * brow_line

    def geometry(self) -> None:
        """The depth of head and hair under every pixel."""
        f = self.f
        guess, _, _ = self.ellipsoid("guess")
        _, py, _ = self.head_space(guess)
        up, down = (py.clamp(min=0) / f.head_top) ** 2, ((py.clamp(max=0) / f.head_chin) ** 2).clamp_(max=1.4)
        round_part, taper = 1 - down * (f.jaw_round + down * (1 - f.jaw_round)), 1 - down * f.jaw_taper
        profile = round_part * taper - up
        self.t, inside = self.body(f.head_w, f.head_d, profile, down * f.chin_forward)
        self.head_cover = self.edge(inside * f.head_w * 0.5)
        per_height = 2 * py.clamp(max=0) / (f.head_chin * f.head_chin)
        per_down = (f.jaw_round + 2 * down * (1 - f.jaw_round)) * taper + f.jaw_taper * round_part
        self.profile_slope = -2 * py.clamp(min=0) / (f.head_top * f.head_top) - per_down * per_height
        self.chin_slope = per_height * f.chin_forward
        self.down = down

        lower = py.clamp(max=0)
        above = (py.clamp(min=0) / f.hair_top) ** 2
        ripple = wave((self.x * 0.8 + self.y) * f.curl_n) + wave((self.y * 0.8 - self.x) * f.curl_n) - 1
        hood = 1 - above + lower * lower * f.hair_flare + ripple * f.curl
        self.hair_t, inside = self.body(f.hair_w, f.hair_d, hood, f.hair_back)
        self.hair_cover = self.edge(inside * f.hair_w * 0.5)
        self.hair_py, self.hair_ripple = py, ripple

    def back_hair(self, picture: Tensor) -> None:
        f = self.f
        tail = self.edge(self.hair_py + f.hair_length + self.hair_ripple * 0.04)
        cover = self.hair_cover * tail * f.hair_alpha
        paint(picture, f.hair_colour * (0.42 * f.ambient + 0.10), cover)
        _, inside, normal = self.ellipsoid("bun")
        paint(picture, self.lit(f.hair_colour, self.light(normal, 0.3), normal), self.edge(inside * 0.12) * f.bun)

    def body_and_neck(self, picture: Tensor) -> None:
        f = self.f
        x, y = self.x_screen - f.neck_x, self.y_screen
        across = (x / f.neck_w).clamp(-1, 1)
        around = (1 - across * across).clamp_(min=0.02).sqrt_()
        normal = (across * 0.9, torch.zeros_like(around), around)
        key = self.light(normal, 0.3) * (((f.chin_y - y) * 3.2).clamp_(0.12, 1))
        flare = (f.shirt_y + 0.16 - y).clamp_(min=0)
        cover = self.edge((f.neck_w + flare * 1.2 - x.abs()) / f.scale) * self.edge((f.chin_y + 0.35 - y) / f.scale)
        paint(picture, self.lit(f.skin * 0.93, key, normal), cover)
        shoulder = f.shirt_y + 0.10 - x * x * f.shoulder - (x.abs() - f.neck_w * 1.05).clamp(min=0) * 0.12
        collar = y - f.collar_y - x * x * f.collar_round - x.abs() * f.collar_v
        inside = torch.minimum(shoulder - y, torch.maximum(-collar / 1.6, x.abs() - 0.45))
        nx = (x * 1.1).clamp(-0.9, 0.9)
        ny = (1 - (shoulder - y) * 3).clamp(0, 0.8)
        nz = (1 - nx * nx * 0.8 - ny * ny * 0.4).clamp_(min=0.05).sqrt_()
        fold = 1 - wave(x * 2.3 + y * 1.1 + 0.4) * 0.08
        normal = (nx, ny, nz)
        paint(picture, self.lit(f.shirt, self.light(normal, 0.3) * fold, normal), self.edge(inside / f.scale))
        seam = self.edge((0.022 - (collar + 0.03).abs()) / f.scale) * self.edge((shoulder - y) / f.scale)
        dim(picture, 1 - seam * 0.22)

    def ears(self, picture: Tensor) -> list[tuple[Window, Tensor, Tensor]]:
        """Draw the ears, and give them with what of them the head does not hide."""
        f, found = self.f, []
        for name, left, right in (("ear_l", 0.0, 0.5), ("ear_r", 0.5, 1.0)):
            window = self.window(0.34, 0.76, left, right)
            depth, inside, normal = self.ellipsoid(name, window)
            colour = self.lit(f.skin * 0.97, self.light(normal, 0.3), normal)
            dim(colour, 1 - ((inside - 0.35) * 2.2).clamp_(0, 1) * 0.28)
            cover = self.edge(inside * 0.06)
            paint(picture[window], colour, cover)
            found.append((window, colour, cover * ((depth - self.t[window]) * 12).clamp_(0, 1)))
        return found

    def skin(self) -> tuple[Tensor, Normal]:
        """The bare lit skin with its nose, and its normal."""
        f = self.f
        px, py, pz = self.head_space(self.t)
        away = (pz - self.down * f.chin_forward) / (f.head_d * f.head_d)
        ny = -0.5 * self.profile_slope - away * self.chin_slope
        normal = self.view_space(px / (f.head_w * f.head_w), ny, away)
        self.nose = torch.zeros_like(self.t)
        window = self.window(0.28, 0.82, 0.16, 0.84)
        t, nose, head = self.t[window], self.nose[window], self.head_cover[window]
        for name, width in (("bridge", 0.12), ("wing_l", 0.10), ("wing_r", 0.10), ("tip", 0.09)):
            depth, inside, other = self.ellipsoid(name, window)
            difference = depth - t
            part = (difference / width * 0.5 + 0.5).clamp_(0, 1)
            t.copy_(torch.maximum(t, depth) + ((width - difference.abs()).clamp_(min=0) ** 2) / (4 * width))
            for whole, new in zip(normal, other, strict=True):
                whole[window] += (new - whole[window]) * part
            cover = self.edge(inside * 0.06)
            nose.copy_(torch.maximum(nose, part * cover))
            # A nose that stands out over the far cheek belongs to the head as well.
            head.copy_(torch.maximum(head, cover))
        self.point = self.head_space(self.t)
        return bare_skin(self.f, self.point[0], self.point[1], self.nose), normal

    def paint_face(self, skin: Tensor, normal: Normal) -> None:
        """Light the skin, then draw eyes, brows and mouth on it, in place."""
        f = self.f
        px, py, _ = self.point
        a = px.abs()
        key = self.light(normal, 0.30)
        # Shadows: under the brow, beside and below the nose, under the lip, and below the hair line.
        socket = bump(((a - f.eye_x * 0.96) / (f.eye_w * 1.9)) ** 2 + ((py - 0.06) / 0.25) ** 2)
        side = (px + f.light_x * 0.16) / (f.nose_w * 1.5)
        below = (py - f.nose_y + 0.09 + f.light_y * 0.05) / 0.11
        cast = bump(side * side + below * below) * (1 - self.nose)
        lip = bump((px / 0.26) ** 2 + ((py - f.lip_shadow_y) / 0.075) ** 2)
        fringe = ((py + 0.10 - self.hair_line(px)) * 7).clamp_(0, 1) * f.hair_alpha
        key = key * (1 - socket * 0.22) * (1 - cast * 0.30) * (1 - lip * 0.22) * (1 - fringe * 0.45)
        fold = bump(((a - 0.30 - (f.nose_y - py) * 0.35) / 0.055) ** 2 + ((py - f.nose_y + 0.13) / 0.2) ** 2)
        key = key * (1 - fold * f.smile_fold)
        glow = key * (1 - key).clamp(min=0)
        skin.copy_(self.lit(skin, key, normal))
        skin += f.skin * f.glow * rearrange(glow, "n h w -> n 1 h w")
        shine = self.mirror(normal).clamp_(min=0) ** 2
        shine = ((shine * shine) ** 2) ** 2
        skin += f.key * rearrange(shine * shine * 0.13, "n h w -> n 1 h w")
        nostril = bump(((a - f.nose_w * 0.45) / (f.nose_w * 0.36)) ** 2 + ((py - f.nostril_y) / 0.045) ** 2)
        dim(skin, 1 - nostril * 0.38)
        eyes, mouth = self.window(0.20, 0.66, 0.0, 1.0), self.window(0.56, 0.96, 0.0, 1.0)
        draw_mouth(f, skin[mouth], px[mouth], py[mouth], key[mouth])
        draw_eyes(f, skin[eyes], px[eyes], py[eyes], key[eyes])

    def hair_line(self, px: Tensor) -> Tensor:
        """The height above which hair grows, for a distance from the middle of the face."""
        f = self.f
        across = px.abs()
        sides = (px / f.temple) ** 2
        line = f.line_y + f.line_slope * px - (px - f.part).abs() * f.line_fall + across.clamp(max=0.4) * f.recede
        return line - sides * sides * f.line_drop - wave(px * f.lock_n + 0.5) * f.locks

    def hair(self, picture: Tensor) -> Tensor:
        """Draw the hair that lies before the face, and give its coverage."""
        f = self.f
        px, py, pz = self.head_space(self.hair_t)
        self.hair_py = py
        front = self.edge((py - self.hair_line(px)) * 0.6)
        back = self.edge((f.hair_behind - pz) * 0.5)
        cut = self.edge((py + f.hair_cut + (pz * f.cut_slope) - wave(px * 5 + pz * 4) * 0.05) * 0.7)
        cover = self.hair_cover * torch.maximum(front, back) * cut * f.hair_alpha
        ny = py.clamp(min=0) / (f.hair_top * f.hair_top)
        normal = self.view_space(px / (f.hair_w * f.hair_w), ny, (pz - f.hair_back) / (f.hair_d * f.hair_d))
        off = px - f.part
        flow = off / ((f.hair_top * 1.05 - py).clamp(min=0) + off.abs() * 0.5 + 0.25)
        strand = wave(flow * f.strand_n) * 0.6 + wave(flow * f.strand_n * 2.7 + py * 0.7) * 0.4
        key = self.light(normal, 0.25) * (0.72 + 0.36 * strand) + self.hair_ripple * f.curl * 1.6
        colour = self.lit(f.hair_colour, key, normal)
        band = (self.mirror(normal) + (strand - 0.5) * 0.06).clamp_(min=0) ** 2
        band = (band * band) ** 2
        colour += f.hair_shine * rearrange(band * band * (0.5 + strand * 0.5), "n h w -> n 1 h w")
        edge_shadow = ((py - self.hair_line(px)) * 9).clamp_(0, 1)
        dim(colour, 0.8 + 0.2 * torch.maximum(edge_shadow, back))
        paint(picture, colour, cover)
        return cover
