"""Statistics of many small groups of values at once."""

from __future__ import annotations

__all__ = ["group_mean", "group_quantile"]

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def group_mean(values: Array, weight: Array, group: NDArray[np.integer], groups: int) -> Array:
    """Weighted mean of each group, shape (groups,); NaN where no weight is.

    Parameters
    ----------
    values, weight
        Shape (n,); a value of weight 0 may be NaN.
    group
        Number of each value's group, shape (n,).
    """
    total = np.bincount(group, weight, groups)
    summed = np.bincount(group, np.where(weight > 0, weight * values, 0.0), groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, summed / total, np.nan)


def group_quantile(
    values: Array, group: NDArray[np.integer], groups: int, quantile: float
) -> Array:
    """Quantile of each group, shape (groups,), between neighbours by straight lines.

    Parameters
    ----------
    values
        Shape (n,); NaN is left out.
    group
        Number of each value's group, shape (n,).
    quantile
        Of [0, 1].

    Returns
    -------
    ndarray
        NaN for a group without values.
    """
    known = np.isfinite(values)
    values, group = values[known], group[known]
    if len(values) == 0:
        return np.full(groups, np.nan)
    ordered = values[np.lexsort((values, group))]
    count = np.bincount(group, minlength=groups)
    begin = np.cumsum(count) - count
    place = np.maximum(count - 1, 0) * quantile
    low = np.floor(place).astype(np.intp)
    high = np.minimum(low + 1, np.maximum(count - 1, 0))
    last = len(ordered) - 1
    one, other = ordered[np.minimum(begin + low, last)], ordered[np.minimum(begin + high, last)]
    return np.where(count > 0, one + (other - one) * (place - low), np.nan)
