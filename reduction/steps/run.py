"""On which part of a line a trail is, and whether it shows on all of it."""

from __future__ import annotations

__all__ = ["crosses", "is_long", "run_of"]

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from schemas.deferred import deferred

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import ndimage

    from reduction.steps.sight import Sight
else:
    ndimage = deferred("scipy.ndimage")

#: Median significance, times the root of their number, of pieces beyond a run that belong to it.
_MORE: Final = 3.0

#: Pieces that make no difference to whether a trail reaches an edge: a star may be on them.
_NEAR: Final = 2

#: Least part of its light that what tumbles keeps; and of that of its darkest piece.
_DARK: Final = 0.1
_LEAST: Final = 0.7

#: Standard deviations of all that a run shows that goes from edge to edge, and of one that may be
#: anywhere on its line; of a group of its pieces on average, and of one that shows light; fewest
#: groups.
_SURE: Final = 9.0
_SURER: Final = 12.0
_GROUP: Final = 4.0
_SHOWS: Final = 2.5
_FEWEST: Final = 4

#: Part of the groups that shows light: of a trail through the frame, of what tumbles perhaps,
#: and of one with an end in it.
_CROSSING: Final = 0.6
_WHOLE: Final = 0.9


def run_of(sight: Sight, part: tuple[int, int]) -> tuple[int, int]:
    """First and last (excluded) piece of a trail: the likeliest box, as bright as a part of it.

    What lies between it and an edge belongs to it where it shows as well: that of what tumbles.
    """
    size = len(sight.signal)
    lit = sight.signal[slice(*part)][sight.known[slice(*part)]]
    bright = float(np.median(lit)) if lit.size else 0.0
    if not bright > 0.0:
        return 0, 0
    gain = np.nan_to_num(np.clip(sight.signal / bright, -1.0, 2.0) - 0.5, nan=0.0)
    sums = np.concatenate([[0.0], np.cumsum(gain)])
    rises = sums - np.minimum.accumulate(sums)
    last = int(rises.argmax())
    first = int(sums[: last + 1].argmin())
    dark = float(np.nanmin(sight.signal[first + 1 : last - 1], initial=bright))
    if _is_lit(sight, 0, first, bright, dark):
        first = 0
    if _is_lit(sight, last, size, bright, dark):
        last = size
    return first, last


def _is_lit(sight: Sight, first: int, last: int, bright: float, dark: float) -> bool:
    """Whether pieces show light, most of them, as far as they are known.

    Few of them may show that of stars: they have to be about as bright as the run's darkest.
    """
    part = slice(first, last)
    known = sight.known[part]
    if not known.any():
        return True
    light = float(np.median(sight.signal[part][known]))
    surely = float(np.median(_each(sight, first, last))) * math.sqrt(known.sum())
    least = _DARK * bright if last - first > _NEAR else max(_DARK * bright, _LEAST * dark)
    return surely > _MORE and light > least


def _each(sight: Sight, first: int, last: int) -> NDArray[np.float64]:
    """Significance of the pieces of which something is known."""
    part = slice(first, last)
    known = sight.known[part]
    return np.asarray(sight.signal[part][known] / sight.error[part][known], dtype=np.float64)


def crosses(sight: Sight, run: tuple[int, int]) -> bool:
    """Whether a run goes from edge to edge, but for some pieces at most."""
    return run[0] <= _NEAR and run[1] >= len(sight.signal) - _NEAR


def is_long(sight: Sight, run: tuple[int, int], shortest: float) -> bool:
    """Whether a run is long and bright enough for a trail, and without a gap if it ends.

    Faint pieces are looked at in groups that, on average, show light.
    """
    first, last = run
    through = crosses(sight, run)
    if not through and (last - first + 1) * sight.piece < shortest:
        return False
    each = _each(sight, first, last)
    if each.size == 0 or sight.total(first, last) < (
        _SURE if run == (0, len(sight.signal)) else _SURER
    ):
        return False
    usual = float(np.median(each))
    together = math.ceil((_GROUP / max(usual, 0.1)) ** 2)
    number = each.size // together
    if number < _FEWEST:
        return False
    groups = [part.sum() / math.sqrt(part.size) for part in np.array_split(each, number)]
    calm = ndimage.median_filter(groups, 3, mode="mirror")  # a star on one is no gap
    shows = np.count_nonzero(calm > _SHOWS)
    return bool(shows >= min((_CROSSING if through else _WHOLE) * number, number - 1))
