"""Illumination correction: how zero points vary over the focal plane."""

from __future__ import annotations

__all__ = ["Illumination", "fit_illumination", "illumination_frame"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.surface import Surface, powers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_ROUNDS: Final = 20
_GRID: Final = 9


@dataclass(frozen=True, slots=True)
class Illumination:
    """Zero points over the focal plane, relative to their mean over all chips.

    Attributes
    ----------
    surface
        dm over the focal plane, mag: positive where stars are measured too bright.
    frame_offsets
        Zero point of each group of stars (exposure and chip), mag, by group.
    scatter
        Of the stars about the fit, mag.
    rms_before
        Of the stars about their groups' medians, mag, same stars.
    n_stars
        Stars used.
    used
        Which, shape (n,).
    """

    surface: Surface
    frame_offsets: Array
    scatter: float
    rms_before: float
    n_stars: int
    used: NDArray[np.bool_]


def fit_illumination(
    u: Array,
    v: Array,
    zero_points: Array,
    group: NDArray[np.integer],
    *,
    chips: Mapping[str, tuple[Array, Array]],
    degree: int = 3,
    clip: float = 3.0,
) -> Illumination:
    """Fit a polynomial over the focal plane to the stars' zero points, all chips together.

    Parameters
    ----------
    u, v
        Places on the focal plane, one unit and origin for all chips, shape (n,).
    zero_points
        Of the stars, mag, shape (n,).
    group
        0, 1 ...: stars that share a zero point (a chip, or a chip of one exposure), shape (n,).
        Their own zero points are fitted too, so that the gains of chips are not taken for
        illumination.
    chips
        Places on the focal plane of each chip's corners, shape (4,) each: the mean of dm over all
        chips is 0.
    degree
        Total degree of the polynomial.
    clip
        Rejection limit about the median of the group, then about the fit, units of 1.4826 times
        the median deviation.

    Raises
    ------
    ValueError
        If fewer stars are left than the fit has unknowns.

    Notes
    -----
    Astro-WISE's IlluminationCorrection: sigma-clip about the median zero point, fit z - median(z).
    """
    medians, used = _about_medians(zero_points, group, clip)
    corners = np.stack([np.stack(places) for places in chips.values()])
    low, high = corners.min(axis=(0, 2)), corners.max(axis=(0, 2))
    box = (*((low + high) / 2.0), *np.maximum((high - low) / 2.0, 1e-12))
    design = _design(u, v, box, degree)[:, 1:]
    groups = np.zeros((len(u), int(group.max()) + 1))
    groups[np.arange(len(u)), group] = 1.0
    whole = np.hstack((groups, design))
    best, used = _clipped(whole, zero_points, group, used, clip)
    slopes = best[groups.shape[1] :]
    mean = _mean(corners, box, degree, slopes)
    surface = Surface((-mean, *map(float, slopes)), *map(float, box))
    offsets = best[: groups.shape[1]] + mean
    offsets[np.bincount(group[used], minlength=len(offsets)) == 0] = np.nan
    rest = zero_points[used] - whole[used] @ best
    free = max(int(used.sum()) - np.linalg.matrix_rank(whole[used]), 1)
    before = zero_points[used] - medians[group[used]]
    return Illumination(
        surface,
        offsets,
        math.sqrt(float((rest**2).sum()) / free),
        float(np.sqrt((before**2).mean())),
        int(used.sum()),
        used,
    )


def _clipped(
    design: Array,
    zero_points: Array,
    group: NDArray[np.integer],
    used: NDArray[np.bool_],
    clip: float,
) -> tuple[Array, NDArray[np.bool_]]:
    """Least squares of a design of groups and terms, far ones left out; and what was used."""
    terms = design.shape[1] - (int(group.max()) + 1)
    for _ in range(_ROUNDS):
        offsets = len(np.unique(group[used]))
        if used.sum() <= terms + offsets:
            message = (
                f"found {int(used.sum())} stars, expected more than the unknowns: "
                f"{terms} terms and {offsets} zero points"
            )
            raise ValueError(message)
        best = np.asarray(
            np.linalg.lstsq(design[used], zero_points[used], rcond=1e-10)[0], np.float64
        )
        miss = np.abs(zero_points - design @ best)
        again = miss <= clip * max(1.4826 * float(np.median(miss[used])), 1e-6)
        if (again == used).all():
            break
        used = again
    return best, used


def illumination_frame(
    surface: Surface,
    shape: tuple[int, int],
    to_plane: tuple[tuple[float, float, float], tuple[float, float, float]],
) -> NDArray[np.float32]:
    """Factor that fluxes at each pixel of a chip are multiplied with: ``10^(-0.4 dm(x, y))``.

    Parameters
    ----------
    surface
        dm over the focal plane.
    shape
        (ny, nx) of the chip.
    to_plane
        ``u = a + b x + c y`` and ``v = d + e x + f y`` of 0-based pixels.

    Notes
    -----
    The polynomial of a linear map of pixels is one of the same degree in them: found exactly from
    values on a grid, then evaluated by rows and columns.
    """
    (a, b, c), (d, e, f) = to_plane
    ny, nx = shape
    grid = np.meshgrid(np.linspace(0, nx - 1, _GRID), np.linspace(0, ny - 1, _GRID))
    x, y = (places.ravel() for places in grid)
    values = surface.at(a + b * x + c * y, d + e * x + f * y)
    own = Surface.over(shape, surface.degree)
    design = own.design(x, y)
    best = np.linalg.lstsq(design, values, rcond=None)[0]
    dm = own.with_coefficients(best).on_grid(shape)
    return np.asarray(10.0 ** (np.float32(-0.4) * dm), dtype=np.float32)


def _about_medians(
    values: Array, group: NDArray[np.integer], clip: float
) -> tuple[Array, NDArray[np.bool_]]:
    """Medians of groups, and what lies near them; the scatter is common to all."""
    medians = np.full(int(group.max()) + 1, np.nan)
    for index in range(len(medians)):
        inside = values[group == index]
        if len(inside):
            medians[index] = np.median(inside)
    miss = np.abs(values - medians[group])
    # the illumination itself must survive: twice the limit of the fit
    limit = 2.0 * clip * max(1.4826 * float(np.median(miss)), 1e-6)
    return medians, miss <= limit


def _design(u: Array, v: Array, box: tuple[float, float, float, float], degree: int) -> Array:
    return Surface((0.0,) * len(powers(degree)), *box).design(u, v)


def _mean(
    corners: Array, box: tuple[float, float, float, float], degree: int, slopes: Array
) -> float:
    """Mean of the terms over all chips, from grids between their corners."""
    s, t = np.meshgrid(np.linspace(0, 1, _GRID), np.linspace(0, 1, _GRID))
    weights = np.stack([(1 - s) * (1 - t), s * (1 - t), s * t, (1 - s) * t]).reshape(4, -1)
    u, v = (corners[:, axis] @ weights for axis in (0, 1))
    return float((_design(u.ravel(), v.ravel(), box, degree)[:, 1:] @ slopes).mean())
