"""Where the rays of a toy face's picture meet its bodies, and how much light falls there."""

from types import EllipsisType
from typing import TypeAlias

from einops import rearrange
from torch import Tensor

from condswap.data.toy_features import Fields

Window: TypeAlias = EllipsisType | tuple[EllipsisType, slice, slice]
Normal: TypeAlias = tuple[Tensor, Tensor, Tensor]


class Rays:
    """One ray a sample of a chunk of pictures; x is right, y is up, z is towards the viewer."""

    def __init__(self, fields: Fields, axis: Tensor) -> None:
        self.f = f = fields
        self.x_screen, self.y_screen = axis[None, None, :], -axis[None, :, None]
        x, y = self.x_screen - f.centre_x, self.y_screen - f.centre_y
        # In head lengths, with the roll undone.
        self.x = (x * f.roll_cos + y * f.roll_sin) / f.scale
        self.y = (y * f.roll_cos - x * f.roll_sin) / f.scale
        self.cos, self.sin, self.nod_cos, self.nod_sin = f.yaw_cos, f.yaw_sin, f.pitch_cos, f.pitch_sin

    def window(self, top: float, bottom: float, left: float, right: float) -> Window:
        """The part of the picture that can hold a thing at any pose, in parts of its side; no work on the rest."""
        side = self.x.shape[-1]
        return (..., slice(int(top * side), int(bottom * side) + 1), slice(int(left * side), int(right * side) + 1))

    def edge(self, distance: Tensor) -> Tensor:
        """Coverage in [0, 1] of a signed distance in head lengths."""
        return (distance * self.f.soft + 0.5).clamp_(0, 1)

    def head_space(self, t: Tensor) -> Normal:
        """The point at depth t under every pixel, in the head's own axes."""
        lateral, forward = self.x * self.sin, t * self.cos
        px = self.x * self.cos - t * self.sin
        py = self.y * self.nod_cos + (lateral + forward) * self.nod_sin
        pz = (lateral + forward) * self.nod_cos - self.y * self.nod_sin
        return px, py, pz

    def view_space(self, nx: Tensor, ny: Tensor, nz: Tensor) -> Normal:
        """A direction in the head's axes as the viewer sees it, of length 1."""
        bent = ny * self.nod_sin + nz * self.nod_cos
        vx = nx * self.cos + bent * self.sin
        vy = ny * self.nod_cos - nz * self.nod_sin
        vz = bent * self.cos - nx * self.sin
        length = (vx * vx + vy * vy + vz * vz + 1e-9).sqrt_()
        return vx / length, vy / length, vz / length

    def ellipsoid(self, name: str, window: Window = ...) -> tuple[Tensor, Tensor, Normal]:
        """Depth, inside-ness (positive inside) and unit normal of an ellipsoid of the scene."""
        f = self.f
        x, y = self.x[window] - getattr(f, name + "_x"), self.y[window] - getattr(f, name + "_y")
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
        """Depth and inside-ness of the body (x / width)^2 + ((z - forward) / depth)^2 = profile, at known heights."""
        run, rise = -self.sin / width, self.cos * self.nod_cos / depth
        px = self.x * self.cos / width
        pz = (self.x * self.sin * self.nod_cos - self.y * self.nod_sin - forward) / depth
        a = run * run + rise * rise
        b = px * run + pz * rise
        # (b^2 - a c) / a, which is the profile less the squared distance of the ray from the axis
        across = px * rise - pz * run
        inside = profile - across * across / a
        return (inside.clamp(min=1e-5) * a).sqrt_().sub_(b) / a, inside

    def light(self, normal: Normal, wrap: float) -> Tensor:
        """The key light on a surface; `wrap` is how far past the edge of night it still reaches."""
        f = self.f
        facing = normal[0] * f.light_x + normal[1] * f.light_y + normal[2] * f.light_z
        return ((facing + wrap) / (1 + wrap)).clamp_(min=0)

    def mirror(self, normal: Normal) -> Tensor:
        """How nearly a surface mirrors the light into the viewer's eye (Blinn 1977)."""
        return normal[0] * self.f.half_x + normal[1] * self.f.half_y + normal[2] * self.f.half_z

    def lit(self, albedo: Tensor, key: Tensor, normal: Normal) -> Tensor:
        """A colour under the key light plus light from the sky and the room."""
        f = self.f
        sky = normal[1] * 0.12 + 0.88
        light = f.ambient * rearrange(sky, "n h w -> n 1 h w") + f.key * rearrange(key, "n h w -> n 1 h w")
        return albedo * light
