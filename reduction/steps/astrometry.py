"""The astrometric solution of one frame against reference stars."""

from __future__ import annotations

__all__ = ["Solution", "SolutionModel", "solve"]

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.spatial import cKDTree
from scipy.stats import poisson

from reduction.steps.matching import find_rotation, find_shift, match_nearest
from reduction.steps.wcs import TanWcs, angular_distance, deproject, project

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_AFFINE_AT_LEAST: Final = 6
_SIMILARITY_AT_LEAST: Final = 3
_TURN_AT_LEAST: Final = 6
_SHIFT_AT_LEAST: Final = 2
_TURNS: Final = 1e6
_CHANCE: Final = 0.03
_ROUNDS: Final = 30
_SIGMA_CLIP: Final = 4.0
_RAYLEIGH_MEDIAN: Final = 1.1774
_FLOOR: Final = 0.2
_MARGIN: Final = 20.0
_STARS_PER_SOURCE: Final = 2


class SolutionModel(StrEnum):
    """What could be fitted, most first."""

    AFFINE = "affine"
    SIMILARITY = "similarity"
    SHIFT = "shift"
    NOMINAL = "nominal"


@dataclass(frozen=True, slots=True)
class Solution:
    """A frame's place on the sky.

    Attributes
    ----------
    wcs
        The solution.
    model
        What was fitted; ``nominal`` means that the first guess stands.
    n_ref
        Reference stars used.
    mean_dra, mean_ddec, sigma_dra, sigma_ddec
        Mean and rms about it of measured minus reference position, arcsec, dra on the great
        circle; NaN without reference stars.
    rms
        Of both coordinates' residuals, arcsec (one coordinate); NaN without reference stars.
    sources, references
        Indices of the matched sources and reference stars, same length.
    dra, ddec
        Their residuals, arcsec, same length.
    """

    wcs: TanWcs
    model: SolutionModel
    n_ref: int
    mean_dra: float
    mean_ddec: float
    sigma_dra: float
    sigma_ddec: float
    rms: float
    sources: NDArray[np.intp]
    references: NDArray[np.intp]
    dra: Array
    ddec: Array


def solve(  # noqa: PLR0913  # what is known of a frame and of its field
    x: Array,
    y: Array,
    flux: Array,
    shape: tuple[int, int],
    *,
    ra: Array,
    dec: Array,
    mag: Array,
    pointing: tuple[float, float],
    pixel_scale: float,
    pointing_error: float,
    nominal: TanWcs | None = None,
    rotation_known: bool = True,
    usable: NDArray[np.bool_] | None = None,
    max_sources: int = 60,
    max_references: int = 150,
    tolerance: float = 2.0,
) -> Solution:
    """Find where a frame looks, and fit a TAN projection to it.

    Parameters
    ----------
    x, y, flux
        Sources, 0-based pixels and any flux, shape (n,).
    shape
        (ny, nx) of the frame.
    ra, dec, mag
        Reference stars, degrees ICRS and any magnitude (NaN: unknown, taken as faint), shape (m,).
    pointing
        Where the frame's middle should be, degrees ICRS.
    pixel_scale
        arcsec/pixel, right to about a percent.
    pointing_error
        By how much the pointing may be off, degrees.
    nominal
        First guess; without one north is up and east left.
    rotation_known
        Whether the guess's rotation and parity are to be trusted; searched for where not.
    usable
        Which sources are good enough for the fit, shape (n,): all where not given, or where
        fewer than 6 of them are matched. The field is found with all of them.
    max_sources, max_references
        How many of the brightest are used to find the field (all are used in the fit).
    tolerance
        Arcsec within which a source and a star are the same in the last round, at most; in the
        search three times as much.

    Returns
    -------
    Solution
        Affine with at least 6 stars, shift with rotation and scale with 3 to 5, shift alone with
        2, the guess where no field is recognised. A lone star is never taken for recognised: the
        brightest source near its place has been another one (the frame's brightest stars
        saturate, bleed, or lie just outside).
    """
    guess = nominal or _north_up(pointing, shape, pixel_scale)
    brightest = np.argsort(-np.nan_to_num(flux, nan=-np.inf), kind="stable")
    stars = _in_reach((ra, dec, mag), guess, shape, pointing_error)
    field = _Field(np.stack((x, y), axis=-1), ra, dec, brightest, stars, shape)
    few = field.brightest(max_sources, max_references)
    none = np.empty(0, np.intp)
    nothing = _measure(field, guess, SolutionModel.NOMINAL, none, none)
    if len(stars) == 0 or len(x) == 0:
        return nothing
    many = field.brightest(4 * max_sources, 4 * max_references)
    found = None
    if rotation_known:
        found = _shifted(many, guess, pointing_error, tolerance)
    if found is None and (not rotation_known or len(stars) >= _TURN_AT_LEAST):
        found = _turned(few, guess, pointing_error, tolerance)
    if found is None:
        return nothing
    wcs, *_ = _refine(few.on_frame(found), found, 2.0 * tolerance, tolerance)
    if usable is not None:
        best = replace(field, sources=brightest[usable[brightest]])
        if len(best.match(wcs, tolerance / wcs.pixel_scale)[0]) >= _AFFINE_AT_LEAST:
            field = best
    return _measure(field, *_refine(field.on_frame(wcs), wcs, tolerance, tolerance))


@dataclass(frozen=True, slots=True)
class _Field:
    """Sources (pixels) and stars (sky), and the indices of those in use, brightest first."""

    points: Array
    ra: Array
    dec: Array
    sources: NDArray[np.intp]
    stars: NDArray[np.intp]
    shape: tuple[int, int]

    def brightest(self, sources: int, stars: int) -> _Field:
        return replace(self, sources=self.sources[:sources], stars=self.stars[:stars])

    def on_frame(self, wcs: TanWcs) -> _Field:
        """Only the brightest of the stars on the frame: not many more than sources."""
        ny, nx = self.shape
        pixels = self.star_pixels(wcs)
        inside = ((pixels > -_MARGIN) & (pixels < np.array([nx, ny]) + _MARGIN)).all(axis=1)
        return replace(self, stars=self.stars[inside][: _STARS_PER_SOURCE * len(self.sources)])

    def star_pixels(self, wcs: TanWcs) -> Array:
        return np.stack(wcs.to_pixel(self.ra[self.stars], self.dec[self.stars]), axis=-1)

    def match(self, wcs: TanWcs, radius: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Indices of sources and stars that are the same, within a radius in pixels."""
        here, there = match_nearest(self.points[self.sources], self.star_pixels(wcs), radius)
        return self.sources[here], self.stars[there]


def _north_up(pointing: tuple[float, float], shape: tuple[int, int], pixel_scale: float) -> TanWcs:
    step = pixel_scale / 3600.0
    ny, nx = shape
    middle = ((nx - 1) / 2.0, (ny - 1) / 2.0)
    return TanWcs(*pointing, *middle, cd=((-step, 0.0), (0.0, step)))


def _in_reach(
    catalogue: tuple[Array, Array, Array], guess: TanWcs, shape: tuple[int, int], error: float
) -> NDArray[np.intp]:
    """Stars that may be on the frame, brightest first."""
    ra, dec, mag = catalogue
    ra0, dec0, radius = guess.circle(shape)
    near = np.flatnonzero(angular_distance(ra, dec, ra0, dec0) <= radius + error)
    return near[np.argsort(np.nan_to_num(mag[near], nan=np.inf), kind="stable")]


def _shifted(field: _Field, guess: TanWcs, error: float, tolerance: float) -> TanWcs | None:
    """The guess moved so that its stars meet sources; None where that may be by chance."""
    scale = guess.pixel_scale
    reach = 3600.0 * error / scale
    points, stars = field.points[field.sources], field.star_pixels(guess)
    ny, nx = field.shape
    inside = (stars > -reach).all(axis=1) & (stars < np.array([nx, ny]) + reach).all(axis=1)
    stars = stars[inside]
    found = find_shift(points, stars, reach=reach, tolerance=tolerance / scale)
    by_chance = len(points) * len(stars) * math.pi * (tolerance / scale) ** 2 / (nx * ny)
    trials = max(len(points) * len(stars) * math.pi * reach**2 / (nx * ny), 1.0)
    if found.matches < _SHIFT_AT_LEAST or not _unlikely(found.matches - 1, by_chance, trials):
        return None
    return _moved(guess, found.shift)


def _moved(guess: TanWcs, shift: Array) -> TanWcs:
    return replace(guess, x0=guess.x0 - float(shift[0]), y0=guess.y0 - float(shift[1]))


def _turned(field: _Field, guess: TanWcs, error: float, tolerance: float) -> TanWcs | None:
    """A projection in any orientation under which stars meet sources; None where by chance."""
    ny, nx = field.shape
    middle = np.array([(nx - 1) / 2.0, (ny - 1) / 2.0])
    ra0, dec0, _ = guess.circle(field.shape)
    scale = guess.pixel_scale / 3600.0
    sky = project(field.ra[field.stars], field.dec[field.stars], ra0, dec0)
    plane = np.stack(sky, axis=-1) / scale
    points = field.points[field.sources] - middle
    radius = tolerance / 3600.0 / scale
    found = find_rotation(points, plane, reach=error / scale, tolerance=radius)
    by_chance = _by_chance(found.apply(points), plane, radius)
    if found.matches < _TURN_AT_LEAST or not _unlikely(found.matches - 2, by_chance, _TURNS):
        return None
    xi, eta = (found.shift * scale).tolist()
    ra, dec = deproject(xi, eta, ra0, dec0)
    (c11, c12), (c21, c22) = (found.matrix * scale).tolist()
    x0, y0 = middle.tolist()
    return TanWcs(float(ra), float(dec), x0, y0, ((c11, c12), (c21, c22)))


def _by_chance(points: Array, others: Array, radius: float) -> float:
    """Matches expected where none is true: the mean over eight displaced copies of the points."""
    angles = np.arange(8) * (math.pi / 4.0)
    shifts = 8.0 * radius * np.stack((np.cos(angles), np.sin(angles)), axis=-1)
    tree = cKDTree(others)
    hits = [
        np.isfinite(tree.query(points + shift, distance_upper_bound=radius)[0]).sum()
        for shift in shifts
    ]
    return max(float(np.mean(hits)), 0.1)


def _unlikely(matches: int, by_chance: float, trials: float) -> bool:
    """Whether so many matches come by chance in less than 3 of a hundred such fields."""
    return bool(trials * poisson.sf(matches - 1, by_chance) < _CHANCE)


def _refine(
    field: _Field, wcs: TanWcs, start: float, tolerance: float
) -> tuple[TanWcs, SolutionModel, NDArray[np.intp], NDArray[np.intp]]:
    """Match and fit in turn, the radius (arcsec) shrinking with the residuals."""
    none = np.empty(0, np.intp)
    used = wcs, SolutionModel.NOMINAL, none, none
    radius = start
    for number in range(1, _ROUNDS + 1):
        sources, stars = field.match(used[0], radius / wcs.pixel_scale)
        if len(sources) == 0:
            break
        settled = radius <= tolerance and np.array_equal(used[2], sources)
        fitted, model = _fit(field, used[0], sources, stars)
        used = fitted, model, sources, stars
        if settled:
            break
        dra, ddec = _residuals(field, fitted, sources, stars)
        sigma = float(np.median(np.hypot(dra, ddec))) / _RAYLEIGH_MEDIAN
        clip = _SIGMA_CLIP * sigma
        radius = min(max(clip, _FLOOR), max(tolerance, start * 0.7**number))
    return used


def _fit(
    field: _Field, wcs: TanWcs, sources: NDArray[np.intp], stars: NDArray[np.intp]
) -> tuple[TanWcs, SolutionModel]:
    """Projection about the frame's middle that fits the pairs best, as free as they allow."""
    ny, nx = field.shape
    middle = ((nx - 1) / 2.0, (ny - 1) / 2.0)
    matrix = np.array(wcs.cd)
    ra0, dec0 = (float(value) for value in wcs.to_sky(*middle))
    offset = field.points[sources] - np.array(middle)
    sky = np.stack(project(field.ra[stars], field.dec[stars], ra0, dec0), axis=-1)
    if len(sources) >= _AFFINE_AT_LEAST:
        model = SolutionModel.AFFINE
        design = np.column_stack((np.ones(len(offset)), offset))
        solution, *_ = np.linalg.lstsq(design, sky, rcond=None)
        shift, matrix = solution[0], solution[1:].T
    elif len(sources) >= _SIMILARITY_AT_LEAST:
        model = SolutionModel.SIMILARITY
        plane = offset @ matrix.T
        turn, shift = _turn_and_shift(plane, sky)
        matrix = turn @ matrix
    else:
        model = SolutionModel.SHIFT
        shift = (sky - offset @ matrix.T).mean(axis=0)
    ra, dec = deproject(shift[0], shift[1], ra0, dec0)
    (c11, c12), (c21, c22) = matrix.tolist()
    return TanWcs(float(ra), float(dec), *middle, cd=((c11, c12), (c21, c22))), model


def _turn_and_shift(plane: Array, sky: Array) -> tuple[Array, Array]:
    """Rotation times scale, shape (2, 2), and shift that bring one plane's points on another's."""
    here, there = plane @ np.array([1, 1j]), sky @ np.array([1, 1j])
    centred = here - here.mean()
    factor = np.vdot(centred, there - there.mean()) / np.vdot(centred, centred)
    shift = there.mean() - factor * here.mean()
    turn = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    return turn, np.array([shift.real, shift.imag])


def _residuals(
    field: _Field, wcs: TanWcs, sources: NDArray[np.intp], stars: NDArray[np.intp]
) -> tuple[Array, Array]:
    """Measured minus reference position, arcsec, east and north."""
    ra, dec = wcs.to_sky(*field.points[sources].T)
    dra = (ra - field.ra[stars] + 180.0) % 360.0 - 180.0
    dra *= np.cos(np.radians(field.dec[stars]))
    return 3600.0 * dra, 3600.0 * (dec - field.dec[stars])


def _measure(
    field: _Field,
    wcs: TanWcs,
    model: SolutionModel,
    sources: NDArray[np.intp],
    stars: NDArray[np.intp],
) -> Solution:
    dra, ddec = _residuals(field, wcs, sources, stars)
    if len(dra) == 0:
        statistics = (math.nan,) * 5
    else:
        rms = float(np.sqrt(np.mean(dra**2 + ddec**2) / 2.0))
        spread = (float(dra.std()), float(ddec.std()), rms)
        statistics = (float(dra.mean()), float(ddec.mean()), *spread)
    return Solution(wcs, model, len(sources), *statistics, sources, stars, dra, ddec)
