"""Measures of the swap itself, as opposed to the reconstruction."""

from condswap.evaluation.evaluate import evaluate
from condswap.evaluation.fidelity import Fidelity, swap_fidelity
from condswap.evaluation.identity import Identity, OnnxIdentity, load_identity
from condswap.evaluation.intervals import Figure
from condswap.evaluation.judge import Judge, train_judge
from condswap.evaluation.report import Report
from condswap.evaluation.rows import Direction, Kept, Likeness, Nearness

__all__ = [
    "Direction",
    "Fidelity",
    "Figure",
    "Identity",
    "Judge",
    "Kept",
    "Likeness",
    "Nearness",
    "OnnxIdentity",
    "Report",
    "evaluate",
    "load_identity",
    "swap_fidelity",
    "train_judge",
]
