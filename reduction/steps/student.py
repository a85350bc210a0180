"""Deviations as rare as so many standard deviations, where the scatter is that of a few values."""

from __future__ import annotations

__all__ = ["student_limit"]

from typing import TYPE_CHECKING

from schemas.deferred import deferred

if TYPE_CHECKING:
    from scipy import stats
else:
    stats = deferred("scipy.stats")


def student_limit(sigmas: float, free: int) -> float:
    """Deviation, in units of the scatter found, that is as rare as so many true sigmas.

    Parameters
    ----------
    sigmas
        Of a normal distribution.
    free
        Degrees of freedom that the scatter was found from, at least 1.

    Returns
    -------
    float
        By Student's distribution; ``sigmas`` itself in the limit of many.
    """
    return float(stats.t.isf(stats.norm.sf(sigmas), free))
