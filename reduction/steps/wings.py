"""Detections that are but the wing of a brighter one."""

from __future__ import annotations

__all__ = ["beyond_wings"]

from typing import TYPE_CHECKING, Final

import numpy as np

from schemas.deferred import deferred

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from scipy import spatial

    Array = NDArray[np.float64]
else:
    spatial = deferred("scipy.spatial")

#: Noise of a pixel after SEP's kernel (1 2 1, 2 4 2, 1 2 1), in units of that before.
_SMOOTHED: Final = 0.375

#: Exponent of a wing: light that the air scatters falls with distance to the power of -11/3.
_EXPONENT: Final = 11.0 / 6.0

#: How far wings are looked for, in units of a source's size (rms), and pixels at most.
_ZONE: Final = 20.0
_FARTHEST: Final = 500.0

#: Sources whose neighbours are looked for together: those of all would not fit into memory.
_TOGETHER: Final = 5000


def beyond_wings(
    found: NDArray[np.void], noise: NDArray[np.float32], *, threshold: float, min_area: int
) -> NDArray[np.bool_]:
    """Which detections would have been made without the wings of brighter ones, shape (n,).

    Parameters
    ----------
    found
        As ``sep.extract`` gives it with the noise of each pixel, not cleaned. Its ``thresh`` is
        not used: masked pixels in an outline make it 1e28.
    noise, threshold
        What it was given: noise of each pixel, shape (ny, nx), and the limit in its units.
    min_area
        Connected pixels that made a detection.

    Notes
    -----
    Cleaning as of Bertin & Arnouts 1996, A&AS 117, 393, section 6: the wing of a source goes
    through its peak and its outline, and a fainter one counts only if its ``min_area`` brightest
    pixels exceed the limit by more than that wing. Light scattered by the air: Racine 1996, PASP
    108, 699. SEP's own cleaning takes the limit of unsmoothed pixels for that of smoothed ones,
    2.7 times too high; most sources below a signal-to-noise ratio of 15 do not reach it, and it
    leaves out all that have a brighter one within ten times their sizes.
    """
    if len(found) == 0:
        return np.zeros(0, np.bool_)
    limit = _SMOOTHED * threshold * noise[found["ypeak"], found["xpeak"]].astype(np.float64)
    peak = np.maximum(found["cpeak"], limit)
    # a Gaussian's min_area-th pixel is between that and the one before
    part = np.minimum((min_area - 0.5) / found["npix"], 1.0)
    height = peak * (limit / peak) ** part - limit
    outline = found["npix"] / (np.pi * found["a"] * found["b"])
    slope = ((peak / limit) ** (1.0 / _EXPONENT) - 1.0) / outline
    kept = np.ones(len(found), np.bool_)
    for bright, faint in _pairs(found):
        dx, dy = (found[name][faint] - found[name][bright] for name in ("x", "y"))
        cxx, cyy, cxy = (found[name][bright] for name in ("cxx", "cyy", "cxy"))
        square = cxx * dx * dx + cyy * dy * dy + cxy * dx * dy
        wing = peak[bright] * (1.0 + slope[bright] * square) ** -_EXPONENT
        kept[faint[wing > height[faint]]] = False
    return kept


def _pairs(found: NDArray[np.void]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Sources, and fainter ones that their wings may reach; of some thousands at a time."""
    places = np.column_stack((found["x"], found["y"]))
    reach = np.minimum(_ZONE * found["a"], _FARTHEST)
    tree = spatial.cKDTree(places)
    for start in range(0, len(found), _TOGETHER):
        part = slice(start, start + _TOGETHER)
        near = tree.query_ball_point(places[part], reach[part])
        bright = np.repeat(np.arange(start, start + len(near)), [len(others) for others in near])
        faint = np.concatenate([np.asarray(others, np.intp) for others in near])
        fainter = found["cflux"][faint] < found["cflux"][bright]
        yield bright[fainter], faint[fainter]
