"""A report as Markdown: what is wrong first, then the figures beside what they have to be held against."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from condswap.evaluation.intervals import Figure
from condswap.evaluation.rows import EXACT, MEAN, SWAP, UNCHANGED, rounded
from condswap.evaluation.since import Changes, changes
from condswap.generator import listed
from condswap.model_card import as_shown

if TYPE_CHECKING:
    from condswap.evaluation.report import Report

_LONGEST = 12  # directions in a table, the worst first: what is longer nobody reads

_HOW_TO_READ = (
    "How to read it: *reconstruction* shows the picture as its own class; a model that swaps nothing is good at it, too. "
    "*Retrieval* is the share of swaps whose nearest person is the one to show. *Similarity* is the cosine to the mean of a "
    "person's known pictures; the *leak gap* is that to the target less that to the person in the picture. More than a real "
    "picture pasted into the same hair and light gets cannot be asked for; and a mean face, a blur without expression, comes "
    "near, so look at what is kept, too. *Label sensitivity* is how much a picture changes with the label, as a part of what "
    "pictures of two people differ by. *Seam* is the step of colour at the edge of the mask, *flicker* the change between "
    "frames that is not steady motion. *Slope* is how much of a change within a clip is followed."
)


def render(report: "Report", *, earlier: "Report | None") -> str:
    """Give the report as Markdown."""
    since = None if earlier is None else changes(report, earlier)
    said, _, facts = report.verdict.partition(". ")
    warnings = (*(since.warnings if since else ()), *report.warnings)
    sections = [
        "# Does it swap?",
        f"**{as_shown(said.rstrip('.'))}.** {as_shown(facts)}".rstrip(),
        "\n".join(f"- {as_shown(warning)}" for warning in warnings),
        _how_measured(report),
        _exact(report),
        _likeness(report),
        _directions(report),
        _rest(report),
        _kept(report),
        _since(since) if since else "",
        _HOW_TO_READ,
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _how_measured(report: "Report") -> str:
    height, width = report.image_size
    runs = "" if report.runs == report.pictures else f", {report.runs} runs of neighbouring frames"
    unknown = (
        "" if report.kept else " Nothing measured the pose and the expression, so whether those are kept is not known."
    )
    steps = f", {report.training['steps']} steps of training" if "steps" in report.training else ""
    return (
        f"{report.pictures} pictures of {listed(map(as_shown, report.classes))} ({height} x {width} "
        f"pixels{runs}), {report.swaps} swaps{steps}. Who is seen was judged by {as_shown(report.judged_by)}. In brackets: "
        f"95 % intervals.{unknown}"
    )


def _exact(report: "Report") -> str:
    if not report.exact:
        return ""
    rows = [
        (name, _with(row.ssim, 3), _number(row.psnr, 1), _number(row.l1, 3), _with(row.moved, 2))
        for name, row in report.exact.items()
    ]
    return _table(("against the exact swap", "SSIM", "PSNR (dB)", "L1", "moved (1: all the way)"), rows)


def _likeness(report: "Report") -> str:
    rows = [
        (name, _number(row.retrieval, 2), _number(row.target, 2), _number(row.picture, 2), _with(row.gap, 2))
        for name, row in report.likeness.items()
    ]
    head = ("who is seen", "retrieval", "similarity to the target", "to the person in the picture", "leak gap")
    return _table(head, rows)


def _directions(report: "Report") -> str:
    worst_first = sorted(report.directions, key=lambda one: math.inf if math.isnan(one.share) else one.share)
    rows = []
    for one in worst_first[:_LONGEST]:
        figures = (_number(figure, 2) for figure in one.likeness)
        rows.append((as_shown(one.name), str(one.likeness.gap.count), *figures, rounded(one.real, 2)))
    head = (
        "worst first",
        "swaps",
        "retrieval",
        "to the target",
        "to the picture's",
        "leak gap",
        "a real picture pasted gets",
    )
    table = _table(head, rows)
    more = len(report.directions) - _LONGEST
    return f"{table}\n\n{more} more, none of them worse." if more > 0 else table


def _rest(report: "Report") -> str:
    rows = []
    if SWAP in report.reconstruction:
        own, mean = (report.reconstruction[name] for name in (SWAP, MEAN))
        rows.append(("reconstruction, SSIM", _with(own.ssim, 3), f"mean face: {_number(mean.ssim, 3)}"))
        rows.append(("reconstruction, PSNR (dB)", _with(own.psnr, 1), f"mean face: {_number(mean.psnr, 1)}"))
        rows.append(("reconstruction, L1", _with(own.l1, 3), f"mean face: {_number(mean.l1, 3)}"))
    if report.label_sensitivity.count:
        rows.append(("label sensitivity", _with(report.label_sensitivity, 2), "the label is ignored: 0"))
    rows += [
        (f"light followed, {kind}", _with(figure, 2), "all of it: 1")
        for kind, figure in report.light.items()
        if figure.count
    ]
    if SWAP in report.seam:
        rows.append(("seam", _with(report.seam[SWAP], 3), f"the picture's own: {_number(report.seam[UNCHANGED], 3)}"))
    if "ratio" in report.flicker:
        rows.append(
            (
                "flicker",
                _with(report.flicker[SWAP], 4),
                f"the picture's own: {_number(report.flicker[UNCHANGED], 4)}, so {_with(report.flicker['ratio'], 1)} times",
            )
        )
    return _table(("what else", "swap", "beside"), rows)


def _kept(report: "Report") -> str:
    others = [name for name in (EXACT, MEAN) if any(name in rows for rows in report.kept.values())]
    rows = [
        (
            as_shown(name),
            _with(row[SWAP].slope, 2),
            _number(row[SWAP].correlation, 2),
            _number(row[SWAP].error, 3),
            *(_number(row[other].slope, 2) for other in others),
        )
        for name, row in report.kept.items()
    ]
    return _table(("kept of the picture", "slope", "correlation", "error", *(f"slope, {one}" for one in others)), rows)


def _since(since: Changes) -> str:
    rows = [(row.name, rounded(row.before, 3), rounded(row.now, 3)) for row in since.rows]
    return _table(("since the earlier model", since.before, since.now), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Give a Markdown table whose columns stand under each other in a terminal, too; nothing where there are no rows."""
    body = [tuple(row) for row in rows]
    if not body:
        return ""
    lines = [tuple(head), *body]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    ruler = ["-" * width if column == 0 else "-" * (width - 1) + ":" for column, width in enumerate(widths)]

    def line_of(cells: Sequence[str]) -> str:
        first, *others = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        others = [cell.strip().rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        return f"| {' | '.join((first, *others))} |"

    return "\n".join(line_of(line) for line in (lines[0], ruler, *lines[1:]))


def _number(figure: Figure, digits: int) -> str:
    """Give the value; "-" for what was not measured."""
    return rounded(figure.value, digits) if figure.count and not math.isnan(figure.value) else "-"


def _with(figure: Figure, digits: int) -> str:
    """Give the value with its interval."""
    value = _number(figure, digits)
    if value == "-" or math.isnan(figure.low):
        return value
    return f"{value} [{rounded(figure.low, digits)}, {rounded(figure.high, digits)}]"
