"""What was found in a folder of faces, for people and for programs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from condswap.data.layout import Found

SEVERE, WARNING, NOTE = "severe", "warning", "note"
_ORDER = (SEVERE, WARNING, NOTE)
_NAMED = 3  # pictures that a finding names


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was found.

    Attributes:
        kind: what it is, in a word or two, such as "blurred".
        severity: "severe" where training cannot work or learns the wrong thing, "warning" where swaps become worse, "note".
        told: a sentence that says what, and what to do.
        person: whose pictures it is about; None for all.
        pictures: the files, if it is about some.
        stops: whether training cannot work before this is mended.
    """

    kind: str
    severity: str
    told: str
    person: str | None = None
    pictures: Sequence[Path] = ()
    stops: bool = False


@dataclass(frozen=True, kw_only=True)
class Person:
    """One person's pictures in figures.

    Attributes:
        name: of the class.
        pictures: how many can be used.
        counts: how many of them there are of each kind of finding.
        turns: how many are turned to each side, by name; empty without masks.
        lights: how many there are in each light, by name.
        sharpness: the median of the detail over the contrast.
        smallest: the smallest side of any picture, in pixels.
        shown: some of the files, from the first to the last.
    """

    name: str
    pictures: int
    counts: Mapping[str, int]
    turns: Mapping[str, int]
    lights: Mapping[str, int]
    sharpness: float
    smallest: int
    shown: Sequence[Path] = ()


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """All that was found.

    Attributes:
        root: the folder.
        people: in figures.
        findings: the worst first.
        image_size: the size of training that the pictures were held against.
        files: where each picture lies, by its name in the findings.
    """

    root: Path
    people: Sequence[Person]
    findings: Sequence[Finding] = field(default_factory=list)
    image_size: int = 64
    files: Mapping[Path, Found] = field(default_factory=dict, repr=False)

    @property
    def can_train(self) -> bool:
        """Whether training can work."""
        return not any(finding.stops for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Give all of it as JSON."""
        return {
            "root": str(self.root),
            "image_size": self.image_size,
            "can_train": self.can_train,
            "people": [{**vars(person), "shown": [str(path) for path in person.shown]} for person in self.people],
            "findings": [{**vars(one), "pictures": [str(path) for path in one.pictures]} for one in self.findings],
        }

    def to_text(self) -> str:
        """Give tables and sentences for a terminal."""
        kinds = sorted({kind for person in self.people for kind in person.counts})
        rows = [["person", "pictures", *kinds, "sharpness", "smallest side"]]
        for one in self.people:
            counts = [str(one.counts.get(kind, 0)) for kind in kinds]
            rows.append([one.name, str(one.pictures), *counts, f"{one.sharpness:.3f}", f"{one.smallest} px"])
        parts = [_table(rows)]
        for title, found in (("turned", "turns"), ("light", "lights")):
            names = list(dict.fromkeys(name for person in self.people for name in getattr(person, found)))
            if names:
                body = [[one.name, *(str(getattr(one, found).get(name, 0)) for name in names)] for one in self.people]
                parts.append(_table([[title, *names], *body]))
        parts.append("\n".join(_line(finding) for finding in self.findings) or "Nothing is wrong with these faces.")
        if not self.can_train:
            parts.append("Training cannot work before what is severe is mended.")
        return "\n\n".join(parts) + "\n"


def worst_first(findings: Sequence[Finding]) -> list[Finding]:
    """Sort by severity, and then by how many pictures it is about."""
    return sorted(findings, key=lambda one: (not one.stops, _ORDER.index(one.severity), -len(one.pictures)))


def _line(finding: Finding) -> str:
    named = ", ".join(str(path) for path in finding.pictures[:_NAMED])
    more = len(finding.pictures) - _NAMED
    told = f"\n    {named}{f', and {more} more' if more > 0 else ''}" if named else ""
    return f"{finding.severity}: {finding.told}{told}"


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) if place == 0 else cell.rjust(width) for place, (cell, width) in enumerate(line))
        for line in (zip(row, widths, strict=True) for row in rows)
    )
