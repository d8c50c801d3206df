"""What there is to say of the swaps that the trainer looked at."""

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from condswap.sensitivity import IGNORED_BELOW, IGNORED_WAY
from condswap.training.watch import Watched

Trouble: TypeAlias = Literal["ignored", "broken", "leaking", ""]

_BROKEN_ABOVE = 1.5  # an exact swap gives less than 1: far more is no person
_SETTLED = 200  # steps: before, a network may not paint well enough to say what it ignores
_LEAKING_BELOW = 0.5  # of the way: runs that swap stay above 0.6, one that leaks on toy faces is at 0.27 to 0.43
_FALLEN_BY = 0.25  # below the farthest look: in a run that swaps they differ by 0.1, at most 0.17
_MORE = "`condswap evaluate` tells more."


def trouble(watched: Sequence[Watched]) -> Trouble:
    """Name what the last look found: "ignored", "broken", "leaking", or "" for nothing, or that it is too early to tell.

    Example:
        >>> good, bad = Watched(step=200, label_sensitivity=0.6), Watched(step=400, label_sensitivity=0.02)
        >>> trouble([good]), trouble([good, bad])
        ('', 'ignored')
    """
    if not watched or watched[-1].step < _SETTLED:
        return ""
    now = watched[-1]
    if now.label_sensitivity < IGNORED_BELOW or (now.moved is not None and now.moved < IGNORED_WAY):
        return "ignored"
    if now.label_sensitivity > _BROKEN_ABOVE:
        return "broken"
    best = _best(watched)
    if now.moved is None or best is None or best.moved is None:
        return ""
    return "leaking" if now.moved < max(_LEAKING_BELOW, best.moved - _FALLEN_BY) else ""


def figures(watched: Sequence[Watched]) -> dict[str, str | float]:
    """Give what the last look found as a model card says it.

    Example:
        >>> figures([Watched(step=600, label_sensitivity=0.021, moved=0.08)])
        {'label sensitivity': 0.021, 'moved to the other class': 0.08, 'label': 'ignored'}
    """
    if not watched:
        return {}
    now = watched[-1]
    named = {"label sensitivity": now.label_sensitivity, "moved to the other class": now.moved, "leak gap": now.gap}
    found: dict[str, str | float] = {name: round(value, 3) for name, value in named.items() if value is not None}
    words: dict[Trouble, dict[str, str | float]] = {
        "ignored": {"label": "ignored"},
        "broken": {"swap": "broken"},
        "leaking": {"swap": "leaks the person in the picture"},
        "": {},
    }
    return found | words[trouble(watched)]


def said(watched: Sequence[Watched], *, last: bool) -> str:
    """Give the line to say after a look, or "": a trouble is said when it begins, and at the end of the run.

    Args:
        watched: the looks so far.
        last: whether the run ends here.

    Example:
        >>> said([Watched(step=600, label_sensitivity=0.61, moved=0.8)], last=True)
        'The swap at step 600: label sensitivity 0.61 (ignored: 0), moved 80 % of the way to the other class.'
    """
    wrong = trouble(watched)
    if wrong and (last or trouble(watched[:-1]) != wrong):
        words: dict[str, Callable[[Sequence[Watched]], str]] = {
            "ignored": _ignored,
            "broken": _broken,
            "leaking": _leaking,
        }
        return words[wrong](watched)
    if not last:
        return ""
    if not watched:
        return (
            "THE SWAP WAS NOT LOOKED AT: no two faces of different classes were found together, so nothing says whether "
            f"the label is ignored. Give fit(..., held_back=...) a dataset of every class. {_MORE}"
        )
    now = watched[-1]
    facts = [f"label sensitivity {now.label_sensitivity:.2f} (ignored: 0)"]
    facts += [] if now.moved is None else [f"moved {_percent(now.moved)} of the way to the other class"]
    facts += [] if now.gap is None else [f"leak gap {now.gap:.2f}"]
    early = "; so early this says little" if now.step < _SETTLED else ""
    return f"The swap at step {now.step}: {', '.join(facts)}{early}."


def _ignored(watched: Sequence[Watched]) -> str:
    now = watched[-1]
    moved = "" if now.moved is None else f", and goes {_percent(now.moved)} of the way to the other class"
    return (
        f"THE LABEL IS IGNORED: at step {now.step} a picture shown as another class changes by "
        f"{_percent(now.label_sensitivity)} of what the classes differ by{moved}. It does not swap, however good the "
        "reconstruction is. Look whether every class holds its own person and all faces are aligned alike; give "
        f"Objective(code_adversary=...) more weight; use the parts of CGAN.default, which know the label. {_MORE}"
    )


def _broken(watched: Sequence[Watched]) -> str:
    now = watched[-1]
    return (
        f"THE SWAP IS BROKEN: at step {now.step} a picture shown as another class changes by {_percent(now.label_sensitivity)} "
        "of what the classes differ by, which is more than another person would be. Look at the swaps. Where a discriminator "
        "was just let in, give Objective(adversarial=...) and swap_adversarial less weight, and go on from a state of before. "
        f"{_MORE}"
    )


def _leaking(watched: Sequence[Watched]) -> str:
    now, best = watched[-1], _best(watched)
    before = (
        f", and at step {best.step} they went {_percent(best.moved)}"
        if best is not None and best.moved is not None and best.step < now.step
        else ""
    )
    return (
        f"THE SWAP LEAKS: at step {now.step} the swaps go {_percent(now.moved or 0.0)} of the way from the picture to the "
        f"other class{before}. The rest is the person in the picture, and longer training tends to leak more. Stop "
        "earlier; give Objective(code_adversary=...) more weight; bring as many pictures of every class, in like poses "
        f"and light. {_MORE}"
    )


def _best(watched: Sequence[Watched]) -> Watched | None:
    """Give the look at which the swaps went farthest."""
    told = [one for one in watched if one.moved is not None and one.step >= _SETTLED]
    return max(told, key=lambda one: one.moved or 0.0, default=None)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
