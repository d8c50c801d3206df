"""What has changed since an earlier report: this family of models can leak more the longer it trains."""

import math
from typing import TYPE_CHECKING, NamedTuple

from condswap.errors import DataError
from condswap.evaluation.rows import rounded
from condswap.generator import quoted

if TYPE_CHECKING:
    from condswap.evaluation.report import Report

_SHOWN = ("reconstruction SSIM", "swap SSIM", "moved", "retrieval", "leak gap", "worst leak gap", "label sensitivity")
_NOTICEABLE = {"moved": 0.03, "leak gap": 0.03, "worst leak gap": 0.05}  # more than one seed differs from another by


class Change(NamedTuple):
    """A figure before and now."""

    name: str
    before: float
    now: float


class Changes(NamedTuple):
    """What has changed: the figures, how long either model was trained, and what of it is a warning."""

    rows: tuple[Change, ...]
    before: str
    now: str
    warnings: tuple[str, ...]


def changes(report: "Report", earlier: "Report") -> Changes:
    """Compare two reports of one run.

    Raises:
        DataError: they are of other classes or pictures, or another network judged them.
    """
    for what in ("classes", "image_size", "pictures", "swaps", "judged_by"):
        mine, theirs = getattr(report, what), getattr(earlier, what)
        if mine != theirs:
            if what == "classes":
                mine, theirs = (quoted(names) for names in (mine, theirs))
            raise DataError(
                f"the two reports cannot be compared: {what.replace('_', ' ')} {theirs} before and {mine} now; measure both "
                "models with the same data, known and identity"
            )
    first, second = _figures(earlier), _figures(report)
    rows = tuple(Change(name, first[name], second[name]) for name in _SHOWN if name in first and name in second)
    before, now = (f"{one.training['steps']} steps" if "steps" in one.training else "" for one in (earlier, report))
    warnings = tuple(
        f"IT LEAKS MORE THAN BEFORE: {row.name} fell from {rounded(row.before, 2)} to {rounded(row.now, 2)}."
        for row in rows
        if row.before - row.now > _NOTICEABLE.get(row.name, math.inf)
    )
    return Changes(rows, before or "earlier", now or "now", warnings)


def _figures(report: "Report") -> dict[str, float]:
    found = {name: figure.value for name, figure in report.headlines().items()}
    return found if report.worst is None else found | {"worst leak gap": report.worst.likeness.gap.value}
