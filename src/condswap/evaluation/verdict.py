"""What the figures of a report come to, in words, with the worst first.

The failures of this family of models are quiet: every one of them can reconstruct well. So they are looked for by name.
"""

import math
from typing import TYPE_CHECKING

from condswap.evaluation.rows import MEAN, PEOPLE, REAL, SWAP, UNCHANGED, Direction, rounded
from condswap.sensitivity import IGNORED_BELOW, IGNORED_WAY

if TYPE_CHECKING:
    from condswap.evaluation.report import Report

_NEARER = 0.5  # of the way to the exact swap: below, the swap is nearer to the picture
_LEAKING_SHARE = 0.5  # of the possible leak gap: the other half is likeness to the wrong person
_LEAKING_RETRIEVAL = 0.9  # a swap in ten taken for somebody else
_NEAR_AS_MEAN = 0.9  # of the mean face's error: a face that does not follow the picture is no nearer to it
_FOLLOWED = 0.5  # of a change in the picture: what follows by less looks stiff
_VISIBLE = 2.0  # times the picture's own seam or flicker
_FEW_SWAPS = 5  # a clip of fewer tells nothing by itself
_FEW_RUNS = 20  # fewer witnesses than this make intervals that are too narrow
_UNRELIABLE = 0.9  # the share of real pictures that a network has to know before it may judge swaps


def verdict(report: "Report") -> str:
    """Say in a sentence what the model does, then by which figures."""
    if _label_ignored(report):
        said = "It does not swap: the label is ignored."
    elif _picture_ignored(report):
        said = "It does not swap: whatever the picture, it shows one face a person."
    elif _leak(report):
        said = "It swaps, and it leaks: in part of the swaps the person in the picture is still seen."
    else:
        said = "It swaps."
    return f"{said} {_facts(report)}".strip()


def faults(report: "Report") -> tuple[str, ...]:
    """Say what is wrong with the model, the worst first."""
    found = []
    ignored = _label_ignored(report)
    if ignored:
        found.append(f"THE LABEL IS IGNORED: {ignored}.")
    if same := _picture_ignored(report):
        found.append(f"THE PICTURE IS IGNORED: {same}.")
    if not ignored and (leak := _leak(report)):
        found.append(f"IT LEAKS: {leak}.")
    if better := _better(report):
        found.append(f"What takes no model comes nearer to the exact swap: {better}.")
    if not ignored and (stiff := _stiff(report)):
        found.append(f"Less than half of a change in the picture is followed: {stiff}.")
    seam, own = (report.seam[name].value if name in report.seam else math.nan for name in (SWAP, UNCHANGED))
    if seam > _VISIBLE * own:
        found.append(f"The edge of the mask shows: the seam is {seam / own:.1f} times that of the pictures themselves.")
    if "ratio" in report.flicker and report.flicker["ratio"].value > _VISIBLE:
        found.append(f"It flickers: {report.flicker['ratio'].value:.1f} times as much as the pictures themselves.")
    return tuple(found)


def doubts(report: "Report") -> tuple[str, ...]:
    """Say what makes the figures doubtful."""
    found = []
    if PEOPLE in report.likeness and report.likeness[PEOPLE].retrieval.value < _UNRELIABLE:
        found.append(
            f"Of the real pictures {_percent(report.likeness[PEOPLE].retrieval.value)} are taken for the right person: this "
            "network cannot tell who is seen. Give one that was trained for faces as identity."
        )
    if report.runs < _FEW_RUNS:
        found.append(
            f"The {report.pictures} pictures come from {report.runs} runs of neighbouring frames, which is few: take the "
            "intervals for too narrow."
        )
    return tuple(found)


def _facts(report: "Report") -> str:
    """Give the few figures that a verdict rests on."""
    facts = []
    if SWAP in report.likeness:
        row = report.likeness[SWAP]
        facts.append(
            f"In {_percent(row.retrieval.value)} of {report.swaps} swaps the person to show is the one that is seen"
        )
        facts.append(f"the leak gap is {rounded(row.gap.value, 2)}")
    if REAL in report.likeness:
        facts[-1] += f", where a real picture pasted gets {rounded(report.likeness[REAL].gap.value, 2)}"
    if SWAP in report.exact:
        facts.append(_moved(report))
    return f"{'; '.join(facts)}." if facts else ""


def _label_ignored(report: "Report") -> str:
    """Give the evidence that the model shows the same whatever the label; empty if there is none."""
    evidence = []
    if report.label_sensitivity.value < IGNORED_BELOW:
        evidence.append(
            f"shown as another person, a picture changes by {_percent(report.label_sensitivity.value)} of what pictures of two "
            "people differ by"
        )
    if SWAP in report.exact and report.exact[SWAP].moved.value < IGNORED_WAY:
        evidence.append(_moved(report))
    if {SWAP, UNCHANGED, REAL} <= set(report.likeness):
        swap, start, end = (report.likeness[name].gap.value for name in (SWAP, UNCHANGED, REAL))
        if start < end and swap < start + IGNORED_WAY * (end - start):
            evidence.append(
                f"the leak gap of the swaps is {rounded(swap, 2)}, that of the pictures themselves {rounded(start, 2)}"
            )
    return "; ".join(evidence)


def _picture_ignored(report: "Report") -> str:
    """Give the evidence that the model shows the same whatever the picture; empty if there is none."""
    if not {SWAP, MEAN} <= set(report.reconstruction):
        return ""
    error, mean = (report.reconstruction[name].l1.value for name in (SWAP, MEAN))
    if error > _NEAR_AS_MEAN * mean:
        return (
            f"its reconstruction is {rounded(error, 3)} (L1) away from the picture, and the mean face of the person, one for "
            f"all pictures, {rounded(mean, 3)}"
        )
    return ""


def _leak(report: "Report") -> str:
    """Give the evidence that the person in the picture is still seen; empty if there is none."""
    evidence = []
    if SWAP in report.exact and report.exact[SWAP].moved.value < _NEARER:
        evidence.append(_moved(report))
    leaking = sorted(
        (one for one in report.directions if _leaks(one)), key=lambda one: one.likeness.gap.value - one.real
    )
    for one in leaking[:3]:
        retrieval, gap = one.likeness.retrieval.value, one.likeness.gap.value
        evidence.append(
            f"{one.name} gets retrieval {rounded(retrieval, 2)} and a leak gap of {rounded(gap, 2)}, where a real picture "
            f"pasted gets {rounded(one.real, 2)}"
        )
    if len(leaking) > 3:
        evidence.append(f"so do {len(leaking) - 3} more of the {len(report.directions)} directions")
    return "; ".join(evidence)


def _leaks(one: Direction) -> bool:
    retrieval = one.likeness.retrieval
    if retrieval.count < _FEW_SWAPS:
        return False
    # The upper end, as one swap of a few that the network mistakes is no leak.
    at_best = retrieval.value if math.isnan(retrieval.high) else retrieval.high
    return at_best < _LEAKING_RETRIEVAL or one.share < _LEAKING_SHARE


def _better(report: "Report") -> str:
    """List what takes no model and is nearer to the exact swap than the swap is."""
    if SWAP not in report.exact:
        return ""
    swap = report.exact[SWAP].ssim.value
    others = {name: report.exact[name].ssim.value for name in (UNCHANGED, MEAN) if name in report.exact}
    better = [f"the {name} {rounded(ssim, 3)}" for name, ssim in others.items() if ssim > swap]
    return f"the swap gets an SSIM of {rounded(swap, 3)}, {', '.join(better)}" if better else ""


def _stiff(report: "Report") -> str:
    """List the changes in the picture that the swap follows too little."""
    slopes = {name: rows[SWAP].slope.value for name, rows in report.kept.items() if SWAP in rows}
    slopes |= {f"{kind} of light": figure.value for kind, figure in report.light.items()}
    return ", ".join(f"{name} {rounded(slope, 2)}" for name, slope in slopes.items() if round(slope, 2) < _FOLLOWED)


def _moved(report: "Report") -> str:
    share = _percent(report.exact[SWAP].moved.value)
    return f"the swap went {share} of the way from the picture to the exact swap"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
