"""Measures of the swap itself, as opposed to the reconstruction."""

from condswap.evaluation.fidelity import Fidelity, swap_fidelity

__all__ = ["Fidelity", "swap_fidelity"]
