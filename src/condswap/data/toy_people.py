"""The people and the moments of the toy faces.

A person is what swapping must change, a moment what it must keep. Both are rows of numbers, each from its own seed,
so that any person can be put into any moment.
"""

import math
import random
from collections.abc import Iterable, Mapping, Sequence

# What a person is made of: the range of each number, and how much a difference in it tells two people apart.
_PERSON: dict[str, tuple[float, float, float]] = {
    "softness": (0, 1, 2.5), "skin": (0, 1, 3), "undertone": (-1, 1, 0.5), "width": (0.64, 0.79, 2.5),
    "depth": (0.78, 0.88, 0),
    "crown": (0.84, 0.94, 0.5), "chin": (0.92, 1.06, 1.5), "jaw_round": (0.05, 0.85, 1.5),
    "jaw_taper": (0.0, 0.62, 2), "chin_forward": (0.28, 0.42, 0),
    "eye_x": (0.285, 0.345, 1), "eye_w": (0.155, 0.205, 1.5), "eye_h": (0.070, 0.115, 1.5),
    "eye_tilt": (-0.16, 0.18, 1), "iris": (0, 1, 1.5), "iris_r": (0.080, 0.095, 0),
    "brow_y": (0.235, 0.285, 0.5), "brow_t": (0.016, 0.046, 2), "brow_arch": (0.0, 0.08, 1),
    "brow_slope": (-0.075, 0.015, 1), "brow_w": (0.17, 0.22, 0.5),
    "nose_w": (0.11, 0.18, 1.5), "nose_l": (0.30, 0.42, 1), "nose_out": (0.10, 0.2, 1), "bridge": (0.05, 0.075, 0),
    "mouth_w": (0.20, 0.30, 1.2), "lip": (0.035, 0.085, 1.2), "lip_colour": (0, 1, 0.5),
    "mouth_y": (-0.66, -0.60, 0.3),
    "hair": (0, 1, 2.5), "style": (0, 1, 2.5), "side": (-1, 1, 0.5), "beard": (0, 1, 1.5), "beard_kind": (0, 1, 1),
    "ears": (0.15, 0.23, 0.3), "blush": (0, 1, 0.3), "freckles": (0, 1, 0.6), "glasses": (0, 1, 1),
    "lash": (0, 1, 0.2),
}  # fmt: skip

_STEPS = {
    "softness": 0.5,
    "skin": 0.618034,
    "hair": 0.414214,
    "style": 0.302776,
    "width": 0.541196,
    "jaw_taper": 0.463325,
    "brow_t": 0.577350,
}

# What a moment is made of.
_MOMENT: dict[str, tuple[float, float]] = {
    "yaw": (-0.61, 0.61), "pitch": (-0.2, 0.2), "roll": (-0.087, 0.087), "open": (-0.9, 1), "smile": (-0.28, 1),
    "raise": (-0.6, 1), "frown": (-1, 0.6),
    "blink": (-3.2, 1), "gaze_x": (-1, 1), "gaze_y": (-1, 1), "light_side": (-1.15, 1.15), "light_up": (0.05, 0.95),
    "light": (0, 1), "warmth": (-1, 1),
    "back_a": (0, 1), "back_b": (0, 1), "back_tone": (0.6, 1.08), "back_angle": (0, 6.28), "blob_alpha": (0.1, 0.5),
    "blob_sharp": (1, 5),
    "x": (-0.04, 0.04), "y": (-0.03, 0.03), "scale": (0.91, 0.98), "shirt": (0, 1), "shirt_tone": (0.7, 1.1),
    "collar": (0, 1),
    "b0": (0, 1), "b1": (0, 1), "b2": (0, 1), "b3": (0, 1), "b4": (0, 1), "b5": (0, 1), "b6": (0, 1), "b7": (0, 1),
    "b8": (0, 1),
}  # fmt: skip

SEEN = (
    "yaw", "pitch", "roll", "open", "smile", "raise", "frown", "blink", "gaze_x", "gaze_y",
    "light_side", "light_up", "light", "warmth",
)  # fmt: skip
"""The numbers of a moment that are pose, expression and light; the others are what stands around and how it is cropped."""


def _draw(key: str, ranges: Iterable[Sequence[float]]) -> list[float]:
    """Uniform numbers in the ranges; the same key gives the same numbers on every machine."""
    generator = random.Random(key)
    return [low + (high - low) * generator.random() for low, high, *_ in ranges]


def people(seed: int, count: int) -> list[dict[str, float]]:
    """Draw the first people of a seed, each unlike the ones before: the best of 64 candidates (Mitchell 1991)."""
    weights = [weight / (high - low) for low, high, weight in _PERSON.values()]
    chosen: list[list[float]] = []
    # What is seen first goes round in golden steps, so that neighbours are always far apart in it.
    names, first = list(_PERSON), _draw(f"people {seed}", [(0, 1)] * len(_STEPS))
    for number in range(count):
        candidates = [_draw(f"person {seed} {number} {trial}", _PERSON.values()) for trial in range(64)]
        for candidate in candidates:
            for (name, step), start in zip(_STEPS.items(), first, strict=True):
                low, high, _ = _PERSON[name]
                candidate[names.index(name)] = low + (high - low) * ((start + number * step) % 1)
        # The latest twelve are enough: it keeps the cost of a person constant.
        known = chosen[-12:]

        def gap(candidate: list[float], known: list[list[float]] = known) -> float:
            return min(
                (math.fsum(w * abs(a - b) for w, a, b in zip(weights, candidate, one, strict=True)) for one in known),
                default=0.0,
            )

        chosen.append(max(candidates, key=gap))
    return [dict(zip(_PERSON, person, strict=True)) for person in chosen]


def moment(seed: int, split: str, index: int) -> dict[str, float]:
    """Draw the moment of a picture."""
    return dict(zip(_MOMENT, _draw(f"moment {seed} {split} {index}", _MOMENT.values()), strict=True))


def seen(moment: Mapping[str, float]) -> list[float]:
    """Give the numbers of a moment as the drawing shows them, in the order of `SEEN`.

    Where a number has no effect it stays at the end of its effect: a mouth is no more than closed, brows are drawn
    together or not, eyes are open at 0 and shut at 1, and eyes that are shut look straight ahead.
    """
    shown = dict(moment)
    shown["open"], shown["frown"] = max(moment["open"], 0.0), max(moment["frown"], 0.0)
    shown["blink"] = shut(moment)
    if shown["blink"] == 1:
        shown["gaze_x"] = shown["gaze_y"] = 0.0
    return [shown[name] for name in SEEN]


def shut(moment: Mapping[str, float]) -> float:
    """How far the eyes of a moment are shut, in [0, 1]."""
    return min(max(moment["blink"], 0.0) * 1.3, 1.0)


def between(start: Mapping[str, float], end: Mapping[str, float], part: float) -> dict[str, float]:
    """Give the moment at a part of the way, in [0, 1], from one moment's pose, expression and light to another's."""
    return dict(start) | {name: start[name] + (end[name] - start[name]) * part for name in SEEN}
