"""How much of the light in a source's aperture is its neighbours'."""

from __future__ import annotations

__all__ = ["light_of_neighbours"]

from typing import TYPE_CHECKING, Final

import numpy as np

from schemas.deferred import deferred

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import spatial

    from reduction.steps.psf import PsfModel

    Array = NDArray[np.float64]
else:
    spatial = deferred("scipy.spatial")

#: Full widths beyond the aperture from which on a neighbour's light in it is not counted.
_REACH: Final = 3.0

#: Distances that a star's part in the circle is computed at, and points across the circle.
_DISTANCES: Final = 65
_ACROSS: Final = 81


def light_of_neighbours(x: Array, y: Array, flux: Array, *, psf: PsfModel, radius: float) -> Array:
    """Light of other sources in the circle around each source, in the unit of their fluxes.

    Parameters
    ----------
    x, y
        Places of all sources, 0-based pixels, shape (n,).
    flux
        Their whole light, by the point spread function; what is not positive counts as none.
    psf
        The function: taken as round, and of one width all over the frame.
    radius
        Of the circle, pixels.
    """
    found = np.zeros(len(x))
    light = np.where(flux > 0, flux, 0.0)
    width = float(np.median(psf.fwhm(x, y))) if len(x) else 1.0
    farthest = radius + _REACH * width
    tree = spatial.cKDTree(np.column_stack((x, y)))
    pairs = tree.query_pairs(farthest, output_type="ndarray")
    if len(pairs) == 0:
        return found
    apart = np.hypot(x[pairs[:, 0]] - x[pairs[:, 1]], y[pairs[:, 0]] - y[pairs[:, 1]])
    distances = np.linspace(0.0, farthest, _DISTANCES)
    part = np.interp(apart, distances, _inside(distances, radius, width, psf.wings))
    for one, two in ((pairs[:, 0], pairs[:, 1]), (pairs[:, 1], pairs[:, 0])):
        found += np.bincount(one, weights=part * light[two], minlength=len(x))
    return found


def _inside(distances: Array, radius: float, width: float, wings: float) -> Array:
    """Part of a star's light in a circle whose middle is so far away, shape (n,)."""
    side = 2.0 * radius / _ACROSS
    along = (np.arange(_ACROSS) + 0.5) * side - radius
    inside = np.hypot(along[:, None], along) <= radius
    across, up = np.broadcast_arrays(along[:, None], along)
    u, v = across[inside], up[inside]
    core2 = width**2 / (4.0 * (2.0**wings - 1.0))
    square = (u - distances[:, None]) ** 2 + v**2
    profile = (1.0 / wings - 1.0) / (np.pi * core2) * (1.0 + square / core2) ** (-1.0 / wings)
    return np.asarray(profile.sum(axis=1) * side**2)
