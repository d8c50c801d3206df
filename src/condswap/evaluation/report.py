"""What `evaluate` found: figures with their intervals, what they were held against, and what they mean."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from condswap.evaluation import markdown, verdict
from condswap.evaluation.intervals import Figure
from condswap.evaluation.rows import MEAN, NOTHING, REAL, SWAP, UNCHANGED, Direction, Kept, Likeness, Nearness, rounded
from condswap.model_card import MEASURED


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was measured of a model; `condswap.evaluation.evaluate` makes one.

    Every figure has its interval and its count. Rows are by name: "swap", which is told who is in the picture and where;
    "swap, told nothing"; and what they are held against: "picture unchanged", "real picture pasted", "mean face pasted",
    "exact swap pasted", "real pictures of the target". A table that could not be measured is empty.

    Attributes:
        classes: the names of the classes.
        image_size: (height, width) of the pictures on which was measured.
        pictures: how many they were.
        runs: of how many runs of neighbouring frames they are; frames of a run are near-copies of each other.
        swaps: how many swaps were made of them.
        judged_by: which network says who is seen.
        training: what the model says of its training.
        reconstruction: the pictures shown as their own class ("swap"), beside the mean face of their class.
        exact: the swaps against the exact ones, where the data know them.
        likeness: who is seen in the swaps.
        directions: the same for every clip and person to show.
        label_sensitivity: how much of what tells people apart follows the label: 0 = the label is ignored.
        light: how much of a light put on the picture reappears in the swap, by kind of light: 1 = all of it.
        seam: the step of colour across the edge of the mask, of the swap and of the picture itself.
        flicker: the part of the change between frames that is not steady, of the swap, of the picture, and their ratio.
        kept: measures of the picture that are found again in the swap, by name, then by row.
        notes: what to mind about the way it was measured.
    """

    classes: tuple[str, ...]
    image_size: tuple[int, int]
    pictures: int
    runs: int
    swaps: int
    judged_by: str
    training: Mapping[str, str | int | float] = field(default_factory=dict)
    reconstruction: Mapping[str, Nearness] = field(default_factory=dict)
    exact: Mapping[str, Nearness] = field(default_factory=dict)
    likeness: Mapping[str, Likeness] = field(default_factory=dict)
    directions: tuple[Direction, ...] = ()
    label_sensitivity: Figure = NOTHING
    light: Mapping[str, Figure] = field(default_factory=dict)
    seam: Mapping[str, Figure] = field(default_factory=dict)
    flicker: Mapping[str, Figure] = field(default_factory=dict)
    kept: Mapping[str, Mapping[str, Kept]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def worst(self) -> Direction | None:
        """The direction and clip whose leak gap is the least share of what real pictures pasted get there."""
        return min(
            (one for one in self.directions if not math.isnan(one.share)), key=lambda one: one.share, default=None
        )

    @property
    def verdict(self) -> str:
        """What it comes to, in a sentence or two."""
        return verdict.verdict(self)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong, the worst first; then what to mind about the measurement."""
        return (*verdict.faults(self), *verdict.doubts(self), *self.notes)

    def to_markdown(self, *, earlier: "Report | None" = None) -> str:
        """Give the report as Markdown, what is wrong first.

        Args:
            earlier: of the same run at a shorter training, on the same pictures; what changed since is added. This family of
                models can leak more the longer it trains, while its reconstruction improves.

        Raises:
            DataError: the earlier report is of other classes or pictures, or another network judged it.
        """
        return markdown.render(self, earlier=earlier)

    def to_dict(self) -> dict[str, Any]:
        """Give everything as what JSON can hold; a number that does not exist is None."""
        worst = None if self.worst is None else self.worst.name
        found = {"verdict": self.verdict, "warnings": list(self.warnings), "worst": worst}
        return found | {one.name: _plain(getattr(self, one.name)) for one in fields(self)}

    def headlines(self) -> dict[str, Figure]:
        """Give the figures that say most, by name; those that were not measured are left out."""
        named: dict[str, Figure] = {}
        for name in (SWAP, MEAN, UNCHANGED):
            if name in self.exact:
                named[_of(name, "swap SSIM")] = self.exact[name].ssim
        if SWAP in self.exact:
            named["moved"] = self.exact[SWAP].moved
        if SWAP in self.likeness:
            row = self.likeness[SWAP]
            named |= {"retrieval": row.retrieval, "similarity to the target": row.target}
            named["similarity to the person in the picture"] = row.picture
        for name in (SWAP, REAL, MEAN, UNCHANGED):
            if name in self.likeness:
                named[_of(name, "leak gap")] = self.likeness[name].gap
        if SWAP in self.reconstruction:
            named["reconstruction SSIM"] = self.reconstruction[SWAP].ssim
        named["label sensitivity"] = self.label_sensitivity
        named |= {f"light followed, {kind}": figure for kind, figure in self.light.items()}
        if "ratio" in self.flicker:
            named["flicker, times the picture's own"] = self.flicker["ratio"]
        return {name: figure for name, figure in named.items() if figure.count and math.isfinite(figure.value)}

    def summary(self) -> dict[str, str | int | float]:
        """Give what a model card shows of the report, in words and numbers; all the names begin with "measured ".

        Example:
            >>> report = Report(classes=("ann", "bob"), image_size=(64, 64), pictures=9, runs=9, swaps=9, judged_by="nobody")
            >>> report.summary()["measured on"]
            '9 pictures of 2 classes, 64 x 64 pixels'
        """
        height, width = self.image_size
        rows: dict[str, str | int | float] = {"verdict": self.verdict, "warnings": " ".join(self.warnings) or "none"}
        rows |= {name: round(figure.value, 3) for name, figure in self.headlines().items()}
        if self.worst is not None:
            rows["worst"] = f"{self.worst.name}: leak gap {rounded(self.worst.likeness.gap.value, 2)}"
        rows["on"] = f"{self.pictures} pictures of {len(self.classes)} classes, {height} x {width} pixels"
        rows["by"] = self.judged_by
        return {f"{MEASURED}{name}": value for name, value in rows.items()}

    def remember(self, history: dict[str, str | int | float]) -> None:
        """Put the summary into what a model says of its training, in place of an earlier one.

        `report.remember(model.history)` puts it into the card of the next `save_pretrained`. Training on forgets it.

        Example:
            >>> report = Report(classes=("ann", "bob"), image_size=(64, 64), pictures=9, runs=9, swaps=9, judged_by="nobody")
            >>> history = {"steps": 100, "measured leak gap": 0.3}
            >>> report.remember(history)
            >>> "measured leak gap" in history, history["measured by"], history["steps"]
            (False, 'nobody', 100)
        """
        for name in [name for name in history if name.startswith(MEASURED)]:
            del history[name]
        history.update(self.summary())


def _of(row: str, measure: str) -> str:
    """Name a measure of a row; that of the swap itself bears its bare name."""
    return measure if row == SWAP else f"{measure}, {row}"


def _plain(value: object) -> Any:
    """Turn figures and rows into dictionaries, tuples into lists, and NaN into None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return value
