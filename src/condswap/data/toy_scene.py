"""What the renderer draws when a person of the toy faces is seen in a moment: every length, angle and colour."""

import math
from collections.abc import Mapping, Sequence

from condswap.data.toy_features import Colour, Scene
from condswap.data.toy_people import shut

_SKIN = [(255, 222, 200), (246, 202, 170), (228, 176, 134), (198, 138, 96), (150, 94, 62), (122, 78, 56)]
_HAIR = [
    (24, 20, 22),
    (62, 40, 30),
    (104, 66, 40),
    (150, 62, 34),
    (196, 104, 48),
    (222, 178, 104),
    (236, 218, 176),
    (150, 150, 156),
]
_IRIS = [(74, 44, 26), (128, 84, 40), (92, 120, 62), (60, 120, 170), (110, 150, 178)]
_LIP = [(196, 92, 88), (206, 104, 92), (186, 66, 76), (214, 116, 108)]
_SHIRT = [
    (46, 74, 122),
    (178, 58, 56),
    (232, 226, 214),
    (66, 118, 92),
    (222, 164, 62),
    (70, 66, 74),
    (122, 82, 142),
    (92, 148, 176),
]
_BACK = [
    (112, 170, 200),
    (236, 204, 156),
    (146, 190, 132),
    (216, 150, 168),
    (92, 108, 156),
    (216, 222, 216),
    (246, 176, 108),
    (76, 136, 132),
]

_STYLES: dict[str, tuple[float, ...]] = {
    "crop": (0.22, 0.035, 0.05, 0.47, 0.0, 0.75, 0.02, 0.05, 0.0, 0.14, 0.45, 0, 1),
    "quiff": (0.22, 0.03, 0.20, 0.52, 0.0, 0.70, 0.03, 0.0, 0.0, 0.08, 0.40, 0, 1),
    "curls": (0.35, 0.13, 0.17, 0.40, 0.0, 0.60, 0.09, 0.0, 0.05, 0.18, 0.35, 0, 1),
    "parted": (0.30, 0.07, 0.14, 0.54, 0.42, 0.65, 0.0, 0.0, 0.0, 0.26, 0.30, 0, 1),
    "shaved": (0.18, 0.004, 0.01, 0.50, 0.0, 0.55, 0.0, 0.18, 0.0, 0.05, 0.40, 0, 0.42),
    "fringe": (0.95, 0.10, 0.13, 0.27, 0.0, 0.75, 0.05, 0.0, 0.0, 0.92, 0.0, 0, 1),
    "long": (1.75, 0.09, 0.12, 0.58, 0.50, 0.55, 0.0, 0.0, 0.0, 1.70, 0.0, 0, 1),
    "afro": (0.60, 0.30, 0.34, 0.40, 0.0, 0.60, 0.05, 0.0, 0.07, 0.55, 0.30, 0, 1),
    "swept": (1.30, 0.11, 0.16, 0.52, 0.34, 0.55, 0.0, 0.0, 0.02, 1.25, 0.0, 0, 1),
    "bun": (0.2, 0.03, 0.07, 0.50, 0.20, 0.72, 0.0, 0.0, 0.0, 0.05, 0.45, 1, 1),
}
_STYLE_FIELDS = (
    "length", "volume", "top", "line_y", "fall", "drop", "locks", "recede", "curl", "cut", "cut_slope", "bun", "alpha",
)  # fmt: skip
_SOFT_STYLES = ("fringe", "long", "afro", "swept", "bun")
_HARD_STYLES = ("crop", "curls", "quiff", "shaved", "parted")


def _ramp(stops: Sequence[Colour], at: float) -> Colour:
    """The colour at a place in [0, 1] along evenly spaced stops of 8 bits, in [0, 1]."""
    place = min(max(at, 0.0), 1.0) * (len(stops) - 1)
    low = min(int(place), len(stops) - 2)
    return _mix(_dim(stops[low], 1 / 255), _dim(stops[low + 1], 1 / 255), place - low)


def _pick(stops: Sequence[Colour], at: float) -> Colour:
    return _dim(stops[min(int(at * len(stops)), len(stops) - 1)], 1 / 255)


def _mix(a: Colour, b: Colour, part: float) -> Colour:
    return (a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part, a[2] + (b[2] - a[2]) * part)


def _dim(a: Colour, factor: float) -> Colour:
    return (a[0] * factor, a[1] * factor, a[2] * factor)


def _times(a: Colour, b: Colour) -> Colour:
    return (a[0] * b[0], a[1] * b[1], a[2] * b[2])


def _ellipsoid(
    name: str, axes: Sequence[Colour], centre: Colour, radii: Colour, lean: float = 0.0
) -> dict[str, float | Colour]:
    """Describe an ellipsoid of the head by the depth lx x + ly y + deep sqrt(1 - quadratic form) that the viewer sees.

    `axes` are the viewer's x, y and z in the head's axes; `lean` moves the body forward by so much a unit of height.
    """

    def squeeze(v: Colour) -> Colour:
        return (v[0] / radii[0], v[1] / radii[1], (v[2] - lean * v[1]) / radii[2])

    def dot(a: Colour, b: Colour) -> float:
        return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]

    x, y, z = (squeeze(axis) for axis in axes)
    deep = dot(z, z)
    fields: dict[str, float | Colour] = {
        "x": dot(axes[0], centre), "y": dot(axes[1], centre), "z": dot(axes[2], centre), "deep": deep**-0.5,
        "lx": -dot(x, z) / deep, "ly": -dot(y, z) / deep,
        "xx": dot(x, x) - dot(x, z) ** 2 / deep, "yy": dot(y, y) - dot(y, z) ** 2 / deep,
        "xy": dot(x, y) - dot(x, z) * dot(y, z) / deep,
    }  # fmt: skip
    return {f"{name}_{field}": value for field, value in fields.items()}


def scene(p: Mapping[str, float], m: Mapping[str, float]) -> Scene:
    """Give what the renderer draws when person p is seen in moment m."""
    s: dict[str, float | Colour] = {}
    yaw, pitch, roll = m["yaw"], m["pitch"], m["roll"]
    cy, sy, cp, sp = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
    axes = ((cy, sy * sp, sy * cp), (0.0, cp, -sp), (-sy, cy * sp, cy * cp))
    mouth_open, smile = max(m["open"], 0.0) ** 1.5, m["smile"]
    happy, blink = max(smile, 0.0), shut(m)
    # As in an aligned crop, the face stays in the middle when the head turns.
    scale, centre_x, centre_y = m["scale"], m["x"] - 0.22 * sy, m["y"] + 0.18 + 0.25 * sp
    chin = p["chin"] * (1 + 0.08 * mouth_open)
    s |= {"yaw_cos": cy, "yaw_sin": sy, "pitch_cos": cp, "pitch_sin": sp, "roll_cos": math.cos(roll),
          "roll_sin": math.sin(roll),
          "scale": scale, "centre_x": centre_x, "centre_y": centre_y}  # fmt: skip
    width, depth = p["width"], p["depth"]
    s |= {"head_w": width, "head_d": depth, "head_top": p["crown"], "head_chin": chin, "jaw_round": p["jaw_round"],
          "jaw_taper": p["jaw_taper"], "chin_forward": p["chin_forward"], "mask_back": 0.16}  # fmt: skip
    s |= _ellipsoid("guess", axes, (0, -0.1, 0), (width * 1.6, 2.2, depth))

    def front(y: float, x: float = 0.0) -> float:
        """How far forward the face is at a place of it."""
        down = min((min(y, 0.0) / chin) ** 2, 1.0)
        profile = (1 - down * (p["jaw_round"] + down * (1 - p["jaw_round"]))) * (1 - down * p["jaw_taper"])
        return down * p["chin_forward"] + depth * math.sqrt(max(profile - (x / width) ** 2, 0.05))

    # Light.
    side, up = m["light_side"], m["light_up"]
    light = (math.sin(side) * math.cos(up), math.sin(up), math.cos(side) * math.cos(up))
    half_length = math.sqrt(2 + 2 * light[2])
    warm = m["warmth"]
    key = _dim((1 + 0.07 * warm, 1.0, 1 - 0.10 * warm), 0.70 + 0.16 * m["light"])
    ambient = _dim((1 - 0.05 * warm, 1.0, 1 + 0.08 * warm), 0.45 - 0.10 * m["light"])
    s |= {"light_x": light[0], "light_y": light[1], "light_z": light[2], "half_x": light[0] / half_length,
          "half_y": light[1] / half_length, "half_z": (light[2] + 1) / half_length,
          "key": key, "ambient": ambient,
          "key_white": (key[0] + ambient[0], key[1] + ambient[1], key[2] + ambient[2]),
          "glow": (0.16, 0.02, 0.0), "white": (1.0, 1.0, 1.0)}  # fmt: skip

    # Skin, its blush and its beard.
    skin = _ramp(_SKIN, p["skin"])
    skin = (skin[0], skin[1] * (1 + 0.02 * p["undertone"]), skin[2] * (1 - 0.06 * p["undertone"]))
    soft = p["softness"] > 0.5
    hair = _ramp(_HAIR, p["hair"] * (1 - 0.55 * max(p["skin"] - 0.45, 0.0) / 0.55))
    brow = _mix(_dim(hair, 0.62), (0.10, 0.07, 0.06), 0.3)
    kind = p["beard_kind"] if not soft and p["beard"] > 0.35 else 0.0
    s |= {"skin": skin, "blush": _times(skin, (1.0, 0.66, 0.62)),
          "blush_alpha": 0.18 + 0.3 * p["blush"] * (1.3 if soft else 0.6) + 0.2 * happy,
          "freckle_tone": (0.82, 0.70, 0.60), "freckles": 0.75 if p["freckles"] > 0.75 and p["skin"] < 0.6 else 0.0,
          "beard_colour": _mix(_dim(hair, 0.72), skin, 0.16), "beard_y": -0.40, "beard_hard": 5.0 + 5 * p["beard"],
          "beard": 0.9 if 0.25 < kind <= 0.6 else 0.28 if kind > 0.85 else 0.0,
          "goatee": 0.9 if 0.6 < kind <= 0.85 else 0.0,
          "goatee_w": 0.20, "moustache": 0.9 if 0.0 < kind <= 0.85 else 0.2 if kind > 0.85 else 0.0}  # fmt: skip

    # Nose and ears.
    nose_y, out = -p["nose_l"], p["nose_out"]
    nose_z, wide = front(nose_y) + out * 0.35, p["nose_w"]
    s |= {"nose_w": wide, "nose_y": nose_y, "nostril_y": nose_y - 0.075}
    s |= _ellipsoid("tip", axes, (0, nose_y, nose_z), (wide * 0.72, 0.085, 0.10 + out * 0.3))
    s |= _ellipsoid(
        "bridge",
        axes,
        (0, nose_y * 0.48, front(nose_y * 0.45) - 0.045),
        (p["bridge"], 0.23, 0.10),
        lean=-(out + 0.02) / p["nose_l"],
    )
    for name, sign in (("l", -1), ("r", 1)):
        s |= _ellipsoid(
            f"wing_{name}", axes, (sign * wide * 0.70, nose_y - 0.02, front(nose_y) - 0.03), (wide * 0.45, 0.065, 0.10)
        )
        s |= _ellipsoid(f"ear_{name}", axes, (sign * (width * 0.985), -0.12, -0.05), (0.09, p["ears"], 0.13))

    # Eyes and brows.
    lift = 0.075 * m["raise"] if m["raise"] > 0 else 0.03 * m["raise"]
    eye_w, eye_h = p["eye_w"], p["eye_h"] * (1 + 0.18 * m["raise"])
    lower = -p["eye_h"] * 0.75 * (1 - 0.40 * happy)
    iris_x, iris_y = 0.045 * m["gaze_x"] - 0.05 * sy, 0.018 * m["gaze_y"] + 0.012
    s |= {"eye_x": p["eye_x"], "eye_w": eye_w, "eye_tilt": p["eye_tilt"],
          "lid_up": eye_h * 1.18 * (1 - blink) + (lower + 0.004) * blink,
          "lid_down": lower, "crease": 0.028 + 0.03 * blink, "sclera": (0.97, 0.96, 0.95),
          "iris": _ramp(_IRIS, p["iris"]), "iris_r": p["iris_r"],
          "pupil": (0.03, 0.025, 0.03), "gaze_x": iris_x, "gaze_y": iris_y, "glint_x": 0.026 * light[0],
          "glint_y": 0.012 + 0.026 * light[1], "glint_r": 0.021,
          "lash": 0.020 + (0.014 if soft else 0.0),
          "lash_colour": _mix(brow, (0.05, 0.04, 0.04), 0.6 if soft else 0.3)}  # fmt: skip
    s |= {"brow_x": p["eye_x"] + 0.01, "brow_w": p["brow_w"],
          "brow_y": p["brow_y"] + lift - (0.03 if m["frown"] > 0.5 else 0) * m["frown"],
          "brow_arch": p["brow_arch"] + 0.02 * max(m["raise"], 0),
          "brow_slope": p["brow_slope"] + 0.05 * max(m["frown"], 0),
          "brow_t": p["brow_t"] * (0.8 if soft else 1.15), "brow_colour": brow,
          "glasses": 1.0 if p["glasses"] > 0.8 else 0.0, "frame": (0.12, 0.10, 0.12)}  # fmt: skip

    # Mouth.
    lip = p["lip"] * (1.1 if soft else 0.85)
    mouth_y = p["mouth_y"] - 0.03 * mouth_open
    grin = max(smile - 0.45, 0)
    gap_up, gap_down = 0.05 * mouth_open + 0.055 * grin, 0.17 * mouth_open + 0.05 * grin
    lip_colour = _mix(
        _mix(_ramp(_LIP, p["lip_colour"]), _times(skin, (0.92, 0.62, 0.60)), 0.55), skin, 0.0 if soft else 0.3
    )
    s |= {"mouth_w": p["mouth_w"] * (1 + 0.22 * happy - 0.10 * mouth_open), "mouth_y": mouth_y,
          "smile_lift": 0.085 * smile, "gap_up": gap_up,
          "gap_down": gap_down, "open_any": min((gap_up + gap_down) * 25, 1.0), "lip_up": lip * 0.72,
          "lip_down": lip, "bow": 0.35, "lip_alpha": 0.92,
          "lip": lip_colour, "throat": (0.26, 0.06, 0.07), "tongue": (0.72, 0.30, 0.31), "tooth": (0.96, 0.95, 0.92),
          "teeth": 0.045 + 0.03 * happy, "smile": happy, "lip_shadow_y": mouth_y - gap_down - lip - 0.06,
          "smile_fold": 0.04 + 0.17 * happy}  # fmt: skip

    # Hair.
    styles = _SOFT_STYLES if soft else _HARD_STYLES
    style = dict(zip(_STYLE_FIELDS, _STYLES[styles[min(int(p["style"] * len(styles)), len(styles) - 1)]], strict=True))
    line = style["line_y"]
    s |= {"hair_colour": hair, "hair_shine": _mix(_dim(key, 0.30), _times(key, hair), 0.45),
          "hair_alpha": style["alpha"],
          "hair_w": width + style["volume"], "hair_d": depth + 0.03 + style["volume"] * 0.5,
          "hair_top": p["crown"] + style["top"],
          "hair_back": -style["volume"] * 0.5, "hair_flare": 0.10 if style["length"] > 0.8 else -1.2,
          "hair_length": style["length"],
          "hair_cut": style["cut"], "cut_slope": style["cut_slope"],
          "hair_behind": -0.12 if style["length"] < 0.8 else 0.08,
          "curl": style["curl"], "curl_n": 5.0, "part": 0.22 * p["side"],
          "temple": (width + style["volume"]) * (0.93 if style["length"] > 0.8 else 1.0), "line_y": line,
          "line_slope": 0.12 * p["side"],
          "line_fall": style["fall"], "recede": style["recede"], "line_drop": style["drop"], "lock_n": 4.5,
          "locks": style["locks"],
          "strand_n": 9.0, "bun": style["bun"], "mask_top": 0.62}  # fmt: skip
    s |= _ellipsoid("bun", axes, (0, p["crown"] + 0.12, -0.25), (0.27, 0.24, 0.27))

    # Neck, shirt and what is behind.
    body_x = centre_x - 0.08 * sy * scale
    s |= {"neck_x": body_x, "neck_w": (0.36 if soft else 0.46) * width / 0.71 * scale,
          "chin_y": centre_y + scale * (-chin * cp - p["chin_forward"] * sp),
          "shirt_y": -0.80 + m["y"] - 0.02, "shoulder": 0.10, "collar_y": -0.98 + m["y"],
          "collar_round": 0.9 * m["collar"], "collar_v": 0.9 * (1 - m["collar"]),
          "shirt": _dim(_pick(_SHIRT, m["shirt"]), m["shirt_tone"])}  # fmt: skip
    back_a, back_b = _dim(_ramp(_BACK, m["back_a"]), m["back_tone"]), _dim(_ramp(_BACK, m["back_b"]), m["back_tone"])
    s |= {"back_a": back_a, "back_b": back_b, "back_dx": 0.5 * math.cos(m["back_angle"]),
          "back_dy": 0.5 * math.sin(m["back_angle"]),
          "blob_alpha": m["blob_alpha"], "blob_sharp": m["blob_sharp"]}  # fmt: skip
    for blob in range(3):
        one, two, three = (m[f"b{blob * 3 + part}"] for part in range(3))
        s |= {f"blob_x{blob}": 2.4 * one - 1.2, f"blob_y{blob}": 2.0 * two - 0.8,
              f"blob_r{blob}": (0.12 + 0.5 * three) ** 2,
              f"blob_c{blob}": _mix(_ramp(_BACK, (one * 7 + three) % 1), (1.0, 0.98, 0.92), 0.5 * two)}  # fmt: skip
    return s
