"""The sky beneath a source, from a ring around it."""

from __future__ import annotations

__all__ = ["OUTER", "ring_sky", "take_off_ring_sky"]

import math
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reduction.steps.source_fluxes import Frame

    Array = NDArray[np.float64]

#: Outer radius of a ring, in units of the inner one.
OUTER: Final = 1.75

#: Part of the ring's pixels that is left out at either end; variance of the mean of the others in
#: units of a normal distribution's, and their variance in units of its own.
_TRIMMED: Final = 0.2
_LOSS: Final = 1.14
_KEPT: Final = 0.2146

#: Pixels that a ring has at least, and pixels that are looked at at once.
_FEWEST: Final = 20
_AT_ONCE: Final = 4_000_000


def ring_sky(
    pixels: NDArray[np.float32], bad: NDArray[np.bool_], x: Array, y: Array, *, inner: float
) -> tuple[Array, Array]:
    """Level of rings around places, and its error: means of the middle three fifths of pixels.

    Parameters
    ----------
    pixels, bad
        adu, and where there is no value; shape (ny, nx).
    x, y
        0-based pixels, shape (n,).
    inner
        Inner radius, pixels; the outer one is :data:`OUTER` times as large.

    Returns
    -------
    tuple
        adu, shape (n,) each; NaN where a ring has fewer than 20 pixels on the frame.

    Notes
    -----
    Stars around a star are on every frame, wherever it is on the mesh of a sky: what they add is
    the same. Tukey 1962, Ann. Math. Stat. 33, 1, section 14, for the error of a trimmed mean.
    """
    reach = math.ceil(OUTER * inner) + 1
    side = np.arange(-reach, reach + 1)
    padded = np.pad(np.where(bad, np.nan, pixels), reach, constant_values=np.nan)
    level, error = np.full(len(x), np.nan), np.full(len(x), np.nan)
    step = max(_AT_ONCE // len(side) ** 2, 1)
    for begin in range(0, len(x), step):
        part = slice(begin, begin + step)
        level[part], error[part] = _trimmed(padded, x[part], y[part], side, inner)
    return level, error


def _trimmed(
    padded: NDArray[np.float32], x: Array, y: Array, side: NDArray[np.intp], inner: float
) -> tuple[Array, Array]:
    reach = int(side[-1])
    column = np.clip(np.rint(x).astype(np.intp), 0, padded.shape[1] - 2 * reach - 1)
    row = np.clip(np.rint(y).astype(np.intp), 0, padded.shape[0] - 2 * reach - 1)
    rows, columns = row[:, np.newaxis] + side, column[:, np.newaxis] + side
    values = padded[rows[:, :, np.newaxis] + reach, columns[:, np.newaxis, :] + reach]
    apart = (rows - y[:, np.newaxis])[:, :, np.newaxis] ** 2
    apart = apart + (columns - x[:, np.newaxis])[:, np.newaxis, :] ** 2
    ring = (apart >= inner**2) & (apart < (OUTER * inner) ** 2)
    ordered = np.sort(np.where(ring, values, np.nan).reshape(len(x), -1), axis=1)
    count = np.isfinite(ordered).sum(axis=1)
    cut = np.floor(_TRIMMED * count).astype(np.intp)[:, np.newaxis]
    place = np.arange(ordered.shape[1])
    middle = (place >= cut) & (place < count[:, np.newaxis] - cut)
    number = np.maximum(middle.sum(axis=1), 1)
    level = np.where(middle, ordered, 0.0).sum(axis=1) / number
    square = np.where(middle, (ordered - level[:, np.newaxis]) ** 2, 0.0).sum(axis=1) / number
    error = np.sqrt(square / _KEPT * _LOSS / np.maximum(count, 1))
    few = count < _FEWEST
    return np.where(few, np.nan, level), np.where(few, np.nan, error)


def take_off_ring_sky(
    frame: Frame, sources: NDArray[np.void], *, aperture_radius: float, inner: float
) -> None:
    """Bring ``flux_aper`` and its error to the sky of rings, in place.

    Parameters
    ----------
    frame, sources
        As :func:`reduction.steps.source_fluxes.aperture_fluxes` has used them.
    aperture_radius, inner
        Of the circle, and inner one of the rings, pixels. Fluxes whose ring is off the frame stay.
    """
    level, error = ring_sky(frame.pixels, frame.bad, sources["x"], sources["y"], inner=inner)
    area = math.pi * aperture_radius**2
    known = np.isfinite(level)
    variance = sources["flux_aper_err"] ** 2 + area**2 * (error**2 - frame.sky_error**2)
    sources["flux_aper"][known] -= area * level[known]
    sources["flux_aper_err"][known] = np.sqrt(np.maximum(variance[known], 0.0))
