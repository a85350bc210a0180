"""Recognising the field of a frame: which sources are which reference stars, or that none are.

A wrong place is worse than none. Every search counts the hypotheses that it tries, and believes
its best one only if so many stars would meet sources by chance in less than one of a thousand
frames of another field.
"""

from __future__ import annotations

__all__ = ["Field", "recognise"]

import math
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.matching import find_rotation, find_shift, match_nearest
from reduction.steps.wcs import TanWcs, deproject, project
from schemas.deferred import deferred

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy import spatial, stats

    Array = NDArray[np.float64]
    Place = tuple[float, float]
else:
    spatial = deferred("scipy.spatial")
    stats = deferred("scipy.stats")

_TURN_AT_LEAST: Final = 5
_SHIFT_AT_LEAST: Final = 2
_CHANCE: Final = 1e-3
_MARGIN: Final = 20.0
_STARS_PER_SOURCE: Final = 2
_FEW: Final = (16, 60)
_MANY: Final = (30, 80)
_NARROW: Final = 0.02
_LADDER: Final = (8, 16, 32, 64)
_RINGS: Final = (8.0, 13.0, 21.0, 34.0)
_AROUND: Final = 16


@dataclass(frozen=True, slots=True)
class Field:
    """Sources and reference stars, and which of them are in use.

    Attributes
    ----------
    points
        Sources, 0-based pixels, shape (n, 2).
    ra, dec
        Stars, degrees ICRS, shape (m,).
    sources, stars
        Indices of those in use, brightest first.
    shape
        (ny, nx) of the frame.
    """

    points: Array
    ra: Array
    dec: Array
    sources: NDArray[np.intp]
    stars: NDArray[np.intp]
    shape: tuple[int, int]

    def brightest(self, sources: int, stars: int) -> Field:
        """Only so many of either."""
        return replace(self, sources=self.sources[:sources], stars=self.stars[:stars])

    def on_frame(self, wcs: TanWcs) -> Field:
        """Only the brightest of the stars on the frame: not many more than sources."""
        ny, nx = self.shape
        pixels = self.star_pixels(wcs)
        inside = ((pixels > -_MARGIN) & (pixels < np.array([nx, ny]) + _MARGIN)).all(axis=1)
        return replace(self, stars=self.stars[inside][: _STARS_PER_SOURCE * len(self.sources)])

    def star_pixels(self, wcs: TanWcs) -> Array:
        """Where the stars in use are, 0-based pixels, shape (n, 2); NaN where nowhere."""
        return np.stack(wcs.to_pixel(self.ra[self.stars], self.dec[self.stars]), axis=-1)

    def match(self, wcs: TanWcs, radius: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Indices of sources and stars that are the same, within a radius in pixels."""
        pixels = self.star_pixels(wcs)
        known = np.flatnonzero(np.isfinite(pixels).all(axis=1))
        here, there = match_nearest(self.points[self.sources], pixels[known], radius)
        return self.sources[here], self.stars[known[there]]


def recognise(
    field: Field,
    guess: TanWcs,
    *,
    pointing_error: float,
    tolerance: float,
    rotation_known: bool,
    max_sources: int,
    max_references: int,
    scale_errors: Sequence[float],
) -> TanWcs | None:
    """Find a frame's place.

    Parameters
    ----------
    field
        Sources and the stars in reach.
    guess
        Where the frame may look.
    pointing_error
        By how much it may be off, degrees.
    tolerance
        Arcsec within which a source and a star are the same.
    rotation_known
        Whether rotation, parity and scale of the guess are tried first.
    max_sources, max_references
        How many of the brightest are used.
    scale_errors
        Fractions by which the guess's pixel scale may be wrong, tried in turn.

    Returns
    -------
    TanWcs or None
        Good to about the tolerance; None where nothing is found that chance would not find.
    """
    found = None
    if rotation_known:
        # few bright sources leave less to chance than many, where the stars are among them
        most = min(4 * max_sources, len(field.sources))
        limits = [n for n in _LADDER if n < most] + [most]
        tries = [
            _shifted(field.brightest(limit, 4 * max_references), guess, pointing_error, tolerance)
            for limit in limits
        ]
        chance, found = min(tries, key=lambda a_try: a_try[0])
        found = found if chance * len(limits) < _CHANCE else None
    if found is None and (not rotation_known or len(field.stars) > _TURN_AT_LEAST):
        # the number of hypotheses grows with the fourth power of the points
        sizes = (_FEW, (max_sources, max_references))
        for scale_error, size in product(scale_errors, sizes):
            top = _MANY if scale_error > _NARROW else size
            few = field.brightest(min(size[0], top[0]), min(size[1], top[1]))
            found = _turned(few, guess, pointing_error, tolerance, scale_error)
            if found is not None:
                break
    return found


def _shifted(field: Field, guess: TanWcs, error: float, tolerance: float) -> tuple[float, TanWcs]:
    """The guess moved so that its stars meet sources, and how often that would be by chance."""
    scale = guess.pixel_scale
    reach = 3600.0 * error / scale
    points, stars = field.points[field.sources], field.star_pixels(guess)
    ny, nx = field.shape
    inside = (stars > -reach).all(axis=1) & (stars < np.array([nx, ny]) + reach).all(axis=1)
    stars = stars[inside]
    found = find_shift(points, stars, reach=reach, tolerance=tolerance / scale)
    if found.matches < _SHIFT_AT_LEAST:
        return math.inf, guess
    by_chance = len(points) * len(stars) * math.pi * (tolerance / scale) ** 2 / (nx * ny)
    trials = max(len(points) * len(stars) * math.pi * reach**2 / (nx * ny), 1.0)
    x, y = found.shift.tolist()
    chance = _chance(found.matches - 1, by_chance, trials)
    return chance, replace(guess, x0=guess.x0 - x, y0=guess.y0 - y)


def _turned(
    field: Field, guess: TanWcs, error: float, tolerance: float, scale_error: float
) -> TanWcs | None:
    """A projection in any orientation under which stars meet sources; None where by chance."""
    ny, nx = field.shape
    middle = np.array([(nx - 1) / 2.0, (ny - 1) / 2.0])
    ra0, dec0, _ = guess.circle(field.shape)
    scale = guess.pixel_scale / 3600.0
    sky = project(field.ra[field.stars], field.dec[field.stars], ra0, dec0)
    plane = np.stack(sky, axis=-1) / scale
    points = field.points[field.sources] - middle
    radius = tolerance / 3600.0 / scale
    found = find_rotation(
        points, plane, reach=error / scale, tolerance=radius, scale_error=scale_error
    )
    by_chance = _by_chance(found.apply(points), plane, radius)
    chance = _chance(found.matches - 2, by_chance, found.trials)
    if found.matches < _TURN_AT_LEAST or 4.0 * chance >= _CHANCE:  # four such searches
        return None
    return _tangent_at_middle(middle, found.matrix * scale, found.shift * scale, (ra0, dec0))


def _tangent_at_middle(middle: Array, matrix: Array, shift: Array, tangent: Place) -> TanWcs:
    """A plane about another point, as a projection about what is in the middle of the frame.

    North at that point is not north at the other one: by the difference of their right ascensions
    times the sine of the declination, a degree in ten at a third of a degree and 80 degrees.

    Parameters
    ----------
    middle
        Of the frame, pixels.
    matrix, shift
        Pixels from the middle to degrees in the plane: shapes (2, 2) and (2,).
    tangent
        Where the plane touches the sky, (ra, dec) in degrees.
    """
    xi, eta = shift.tolist()
    ra, dec = (float(value) for value in deproject(xi, eta, *tangent))
    offsets = np.array([(-1, -1), (1, -1), (-1, 1), (1, 1)]) * middle
    across, up = (offsets @ matrix.T + shift).T
    sky = deproject(across, up, *tangent)
    plane = np.stack(project(*sky, ra, dec), axis=-1)
    (c11, c12), (c21, c22) = np.linalg.lstsq(offsets, plane, rcond=None)[0].T.tolist()
    x0, y0 = middle.tolist()
    return TanWcs(ra, dec, x0, y0, ((c11, c12), (c21, c22)))


def _by_chance(points: Array, others: Array, radius: float) -> float:
    """Matches expected where none is true: the mean over displaced copies of the points."""
    angles = np.arange(_AROUND) * (2.0 * math.pi / _AROUND)
    ring = radius * np.stack((np.cos(angles), np.sin(angles)), axis=-1)
    shifts = np.concatenate([ring * size for size in _RINGS])
    copies = (points[np.newaxis, :, :] + shifts[:, np.newaxis, :]).reshape(-1, 2)
    near, _ = spatial.cKDTree(others).query(copies, distance_upper_bound=radius)
    return max(float(np.isfinite(near).sum()), 1.0) / len(shifts)


def _chance(matches: int, by_chance: float, trials: float) -> float:
    """How many of the hypotheses tried would meet so many matches where none is true."""
    return float(trials * stats.poisson.sf(matches - 1, by_chance))
