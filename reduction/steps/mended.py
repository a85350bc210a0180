"""Bad pixels under sources: guesses from their neighbours, and how wrong those may be."""

from __future__ import annotations

__all__ = ["GUESSED_ERROR", "add_guesses", "made_up", "mend"]

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.gaussian import gaussian
from schemas.deferred import deferred

if TYPE_CHECKING:
    import sep
    from numpy.typing import NDArray

    from reduction.steps.source_fluxes import Frame
else:
    sep = deferred("sep")

#: Error of the light on mended pixels, a part of it: a star bends between a pixel's neighbours.
GUESSED_ERROR: Final = 0.5

#: Parts of a circle's pixels, and of its flux, that may be made up.
_MISSING: Final = 0.2
_GUESSED: Final = 0.03

_MEND_SIGMA: Final = 1.5
_MEND_WEIGHT: Final = 0.02


def add_guesses(frame: Frame, sources: NDArray[np.void], *, aperture_radius: float) -> None:
    """Add the error of mended pixels to ``flux_err`` and ``flux_aper_err``, in quadrature.

    Parameters
    ----------
    frame, sources
        As :func:`reduction.steps.source_fluxes.aperture_fluxes` has used them.
    aperture_radius
        Pixels. Kron's ellipse is taken to have as much light on mended pixels as the circle.

    Notes
    -----
    All of them are wrong to one side: what is between the core and the wings is guessed too
    bright. For Gaussian and Moffat (beta 3) stars 2 to 7 pixels wide the light on a bad pixel,
    four of them or a column is wrong by 0.15 to 1 of the guess, half in the mean.
    """
    if not frame.bad.any():
        return
    guess = GUESSED_ERROR * _guessed(frame.pixels, frame.bad, sources, aperture_radius)
    for name in ("flux_err", "flux_aper_err"):
        sources[name] = np.hypot(sources[name], guess)


def _guessed(
    mended: NDArray[np.float32],
    bad: NDArray[np.bool_],
    sources: NDArray[np.void],
    aperture_radius: float,
) -> NDArray[np.float64]:
    """Light on mended pixels in each circle, in the pixels' unit."""
    light = np.where(bad, np.abs(mended), np.float32(0))
    total, _, _ = sep.sum_circle(light, sources["x"], sources["y"], aperture_radius, subpix=1)
    return np.asarray(total, np.float64)


def made_up(
    mended: NDArray[np.float32],
    bad: NDArray[np.bool_],
    sources: NDArray[np.void],
    *,
    aperture_radius: float,
) -> NDArray[np.bool_]:
    """Sources in whose circle mended pixels are too many, or have too much of the flux.

    Parameters
    ----------
    mended, bad
        Pixels without sky, and where their values are made up, shape (ny, nx).
    sources
        With ``x``, ``y`` and ``flux_aper``.
    aperture_radius
        Pixels.
    """
    if not bad.any():
        return np.zeros(len(sources), np.bool_)
    circle = sources["x"], sources["y"], aperture_radius
    guess = _guessed(mended, bad, sources, aperture_radius)
    missing, _, _ = sep.sum_circle(bad.astype(np.float32), *circle, subpix=1)
    flux = np.maximum(np.nan_to_num(sources["flux_aper"]), 0.0)
    spoilt = (missing > _MISSING * math.pi * aperture_radius**2) | (guess > _GUESSED * flux)
    return np.asarray(spoilt & (missing > 0))


def mend(pixels: NDArray[np.float32], bad: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Give bad pixels the mean of the good ones around them, weighted by a Gaussian.

    Parameters
    ----------
    pixels
        Shape (ny, nx), sky subtracted.
    bad
        True where a pixel is to be replaced, same shape; 0 where no good one is near.
    """
    if not bad.any():
        return pixels
    weight = gaussian((~bad).astype(np.float32), _MEND_SIGMA, mirrored=False)[bad]
    known = np.where(bad, np.float32(0), pixels)
    total = gaussian(known, _MEND_SIGMA, mirrored=False)[bad]
    known[bad] = np.where(weight > _MEND_WEIGHT, total / np.maximum(weight, _MEND_WEIGHT), 0.0)
    return np.ascontiguousarray(known, dtype=np.float32)
