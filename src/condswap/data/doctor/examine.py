"""Looking through a folder of faces for all that makes a training fail or its swaps poor."""

from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from condswap.data.doctor.diagnosis import NOTE, SEVERE, WARNING, Diagnosis, Finding, Person, worst_first
from condswap.data.doctor.measures import measure, miniature
from condswap.data.layout import Found, lay_out
from condswap.data.reading import decode, for_all, read_bytes
from condswap.decoding import picture_size, require_pillow
from condswap.errors import DataError

Identity: TypeAlias = Callable[[Tensor], Tensor]

_SIDE = 128  # pixels at which pictures are looked at
_GROUP = 64
_SHOWN = 8  # pictures of a person where nothing is wrong with any
_COPY = 0.005  # root mean square difference of miniatures; unlike people are .07 apart and more, smaller copies .003
# Of the person's median sharpness: a blur of 1.5 pixels of 128 leaves .42 of it, and soft frames of a video have .68.
_BLURRED = 0.5
_DARK, _BRIGHT, _CLIPPED = 0.12, 0.85, 0.2
_FEW, _LEAST = 100, 2
_RARE = 3  # pictures of a pose or a light below which it counts as missing
_SHARE = 0.05  # of somebody's pictures, from which on it matters that another has none like them
_STRANGE = 0.25  # of the way from how alike others are to how alike oneself is; profiles are at .4
TURNS = {"far left": -0.6, "left": -0.2, "front": 0.2, "right": 0.6, "far right": float("inf")}
LIGHTS = {"dark": 0.25, "medium": 0.6, "bright": float("inf")}
# Training mirrors pictures, so what is missing on one side is there if it is on the other.
_MIRRORED = {"far left": "far to a side", "far right": "far to a side", "left": "to a side", "right": "to a side"}
_MIRRORED |= {"from the left": "from a side", "from the right": "from a side"}
SIDES = {"from the left": -0.15, "even": 0.15, "from the right": float("inf")}


class _Looked(NamedTuple):
    """One picture, with what is known of it before it is measured."""

    found: Found
    masked: bool
    side: int
    digest: bytes


def examine(
    faces: Path | str,
    *,
    image_size: int = 64,
    classes: Sequence[str] | None = None,
    identity: Identity | None = None,
) -> Diagnosis:
    """Look through a folder of faces; nothing is changed.

    Args:
        faces: what `FaceFolder` takes.
        image_size: the side that the model is to have.
        classes: the people to look at; None takes all.
        identity: aligned faces (b, 3, 128, 128) in [0, 1] to vectors (b, d), to find pictures of somebody else.

    Raises:
        DataError: there is no folder with pictures of people.
        ConfigError: Pillow is missing, or the choice of classes is none.
    """
    require_pillow()
    root = Path(faces)
    names, pictures, refused = lay_out(root, classes)
    looked: list[_Looked] = []
    figures: dict[str, list[Tensor]] = {}
    bad = list(refused)
    for group in _groups(_look_at_all(pictures, root, bad)):
        pixels = torch.stack([one for _, one in group])
        looked += [one for one, _ in group]
        found = {**measure(pixels), "miniature": miniature(pixels)}
        if identity is not None:
            with torch.no_grad():
                found["identity"] = F.normalize(identity(pixels[:, :3].float() / 255).float(), dim=1)
        for name, values in found.items():
            figures.setdefault(name, []).append(values)
    measured = {name: torch.cat(values) for name, values in figures.items()}
    examined = _Examined(names, looked, measured, image_size)
    findings = _unreadable(bad)
    for label in range(len(names)):
        findings += examined.of_person(label)
    findings += examined.of_pairs()
    people = [examined.person(label, findings) for label in range(len(names))]
    files = {found.path: found for found in pictures}
    return Diagnosis(root=root, people=people, findings=worst_first(findings), image_size=image_size, files=files)


def _look_at_all(pictures: list[Found], root: Path, bad: list[tuple[Path, str]]) -> Iterator[tuple[_Looked, Tensor]]:
    for found, result in for_all(pictures, _look, title=f"looking at {root}"):
        if isinstance(result, DataError):
            bad.append((found.path, str(result)))
        else:
            yield result


def _look(found: Found) -> tuple[_Looked, Tensor]:
    data = read_bytes(found)
    decoded = decode(found, _SIDE, data=data)
    return _Looked(found, decoded.masked, min(picture_size(data)), blake2b(data).digest()), decoded.pixels


def _groups(pairs: Iterator[tuple[_Looked, Tensor]]) -> Iterator[list[tuple[_Looked, Tensor]]]:
    group: list[tuple[_Looked, Tensor]] = []
    for pair in pairs:
        group.append(pair)
        if len(group) == _GROUP:
            yield group
            group = []
    if group:
        yield group


def _unreadable(bad: list[tuple[Path, str]]) -> list[Finding]:
    if not bad:
        return []
    reasons = "; ".join(f"{path.name}: {reason}" for path, reason in bad[:3])
    told = f"{len(bad)} files cannot be used and would be left out ({reasons})"
    return [Finding(kind="unreadable", severity=WARNING, told=told, pictures=[path for path, _ in bad])]


class _Examined:
    """The measured pictures of everybody, and what is wrong with them."""

    def __init__(
        self, names: Sequence[str], looked: list[_Looked], measured: dict[str, Tensor], image_size: int
    ) -> None:
        self.names, self.looked, self.measured, self.image_size = names, looked, measured, image_size
        labels = torch.tensor([one.found.label for one in looked], dtype=torch.int64)
        self.rows = [(labels == label).nonzero().flatten() for label in range(len(names))]
        self.masked = torch.tensor([one.masked for one in looked], dtype=torch.bool)

    def paths(self, rows: Tensor) -> list[Path]:
        return [self.looked[row].found.path for row in rows.tolist()]

    def of_person(self, label: int) -> list[Finding]:
        """Find what is wrong with one person's pictures."""
        name, rows = self.names[label], self.rows[label]
        if len(rows) < _LEAST:
            told = f"{name} has {len(rows)} pictures that can be used; {_LEAST} are the least, {_FEW} are few"
            return [Finding(kind="too few", severity=SEVERE, told=told, person=name, stops=True)]
        found: list[Finding] = []

        def add(kind: str, severity: str, those: Tensor, told: str) -> None:
            if those.any():
                count, all_of = int(those.sum()), len(rows)
                told = f"{count} of {name}'s {all_of} pictures {told}"
                pictures = self.paths(rows[those])
                found.append(Finding(kind=kind, severity=severity, told=told, person=name, pictures=pictures))

        if len(rows) < _FEW:
            told = f"{name} has {len(rows)} pictures, which is few; from {_FEW} on, in many poses, swaps become good"
            found.append(Finding(kind="few", severity=WARNING, told=told, person=name))
        own = {key: values[rows] for key, values in self.measured.items()}
        exact, near = self._copies(rows)
        sides = torch.tensor([self.looked[row].side for row in rows.tolist()])
        add("copies", WARNING, exact, "are the same file as another; delete them")
        add("near copies", NOTE, near, "look like another one of the same video: they add little")
        add(
            "blurred",
            WARNING,
            own["sharp"] < _BLURRED * own["sharp"].median(),
            "are blurred; swaps become soft by them",
        )
        add("dark", WARNING, own["light"] < _DARK, "are nearly black")
        add("bright", WARNING, (own["light"] > _BRIGHT) | (own["clipped"] > _CLIPPED), "are over- or underexposed")
        add("no mask", WARNING, ~self.masked[rows], "have no mask: the background would be learned with the face")
        add("small face", WARNING, self.masked[rows] & (own["face"] < 0.08), "are hardly face: is the mask right?")
        add("small", WARNING, sides < self.image_size, f"are smaller than the {self.image_size} pixels of training")
        add("somebody else", SEVERE, self._strange(label), f"look like somebody other than {name}; take them out")
        return found

    def _copies(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Tell which pictures are the same file as one before, and which of the others look like one."""
        seen: set[bytes] = set()
        exact = torch.zeros(len(rows), dtype=torch.bool)
        for place, row in enumerate(rows.tolist()):
            exact[place] = self.looked[row].digest in seen
            seen.add(self.looked[row].digest)
        small, near = self.measured["miniature"][rows], torch.zeros_like(exact)
        for start in range(0, len(rows), 1024):
            part = torch.cdist(small[start : start + 1024], small) / small.shape[1] ** 0.5
            before = torch.arange(len(rows)) < torch.arange(start, start + len(part))[:, None]
            near[start : start + 1024] = ((part < _COPY) & before).any(1)
        return exact, near & ~exact

    def _strange(self, label: int) -> Tensor:
        """Tell which pictures are nearer to another's mean than to their own's, or far from everything of their own."""
        rows = self.rows[label]
        if "identity" not in self.measured:
            return torch.zeros(len(rows), dtype=torch.bool)
        vectors = self.measured["identity"]
        people = [other for other in range(len(self.names)) if len(self.rows[other])]
        means = F.normalize(torch.stack([vectors[self.rows[other]].mean(0) for other in people]), dim=1)
        place = people.index(label)
        similar = vectors[rows] @ means.T
        own = similar[:, place]
        others = torch.cat(
            [vectors[self.rows[other]] @ means[place] for other in people if other != label] or [own * 0]
        )
        least = torch.lerp(others.median(), own.median(), _STRANGE)
        return (similar.argmax(1) != place) | (own < least)

    def of_pairs(self) -> list[Finding]:
        """Find what one person has and another has not, and pictures that are in two folders."""
        found = self._shared()
        everybody = range(len(self.names))
        kinds = (("pose", self.turns, "turned {}"), ("light", self.lights, "in {} light"))
        for kind, count_of, words in kinds:
            counts = [_folded(count_of(label)) for label in everybody]
            for a, b in ((a, b) for a in everybody for b in everybody if a != b and counts[b]):
                for where, count in counts[a].items():
                    has = counts[b].get(where, 0)
                    if has < _RARE and count >= max(_RARE, _SHARE * len(self.rows[a])):
                        one, other = self.names[a], self.names[b]
                        told = (
                            f"{other} has {has or 'no'} pictures {words.format(where)}, and {one} has {count}: swaps of those "
                            f"frames of {one} to {other} will be poor"
                        )
                        found.append(Finding(kind=f"{kind} missing", severity=WARNING, told=told, person=other))
        return found

    def _shared(self) -> list[Finding]:
        """Find pictures that two people have."""
        found = []
        pairs = [(a, b) for a in range(len(self.names)) for b in range(a)]
        for a, b in pairs:
            if not len(self.rows[a]) or not len(self.rows[b]):
                continue
            one, other = (self.measured["miniature"][self.rows[label]] for label in (a, b))
            nearest = torch.cat([torch.cdist(part, other).amin(1) for part in one.split(1024)]) / one.shape[1] ** 0.5
            both = self.rows[a][nearest < _COPY]
            if len(both):
                told = f"{len(both)} pictures are both in {self.names[b]} and in {self.names[a]}; take them out of one"
                found.append(
                    Finding(
                        kind="in two folders",
                        severity=SEVERE,
                        told=told,
                        person=self.names[a],
                        pictures=self.paths(both),
                    )
                )
        return found

    def turns(self, label: int) -> dict[str, int]:
        """Count the pictures turned to each side; nothing is known of those without a mask."""
        rows = self.rows[label]
        return _binned(self.measured["turn"][rows[self.masked[rows]]], TURNS) if len(rows) else {}

    def lights(self, label: int) -> dict[str, int]:
        """Count the pictures in each light."""
        rows = self.rows[label]
        if not len(rows):
            return {}
        sides = {name: count for name, count in _binned(self.measured["side"][rows], SIDES).items() if name != "even"}
        levels = _binned(self.measured["light"][rows], LIGHTS)
        return {**levels, **sides}

    def person(self, label: int, findings: Sequence[Finding]) -> Person:
        """Give the figures of one person."""
        rows, name = self.rows[label], self.names[label]
        counts = {one.kind: len(one.pictures) for one in findings if one.person == name and one.pictures}
        return Person(
            name=name,
            pictures=len(rows),
            counts=counts,
            turns=self.turns(label),
            lights=self.lights(label),
            sharpness=float(self.measured["sharp"][rows].median()) if len(rows) else 0.0,
            shown=self.paths(rows[torch.linspace(0, len(rows) - 1, min(_SHOWN, len(rows))).long()]),
            smallest=min((self.looked[row].side for row in rows.tolist()), default=0),
        )


def _folded(counts: dict[str, int]) -> dict[str, int]:
    """Add up the counts of what is the same in a mirror."""
    folded: dict[str, int] = {}
    for name, count in counts.items():
        seen = _MIRRORED.get(name, name)
        folded[seen] = folded.get(seen, 0) + count
    return folded


def _binned(values: Tensor, bins: dict[str, float]) -> dict[str, int]:
    """Count values by the first bin that they are below the end of."""
    if not len(values):
        return {}
    edges = torch.tensor(list(bins.values())[:-1])
    places = torch.bucketize(values, edges)
    return {name: int((places == place).sum()) for place, name in enumerate(bins)}
