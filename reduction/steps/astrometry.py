"""The astrometric solution of one frame against reference stars."""

from __future__ import annotations

__all__ = ["Solution", "SolutionModel", "solve"]

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.distortion import DEGREE
from reduction.steps.polynomial import PixelPlane, is_significant, polynomial_wcs
from reduction.steps.recognise import Field, recognise
from reduction.steps.wcs import TanWcs, angular_distance, deproject, project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_AFFINE_AT_LEAST: Final = 6
_SIMILARITY_AT_LEAST: Final = 3
_RECOGNISED_AT_LEAST: Final = 2
_STARS_PER_TERM: Final = 3
_ROUNDS: Final = 30
_SIGMA_CLIP: Final = 3.5
_RAYLEIGH_MEDIAN: Final = 1.1774
_FLOOR: Final = 0.2
_UNKNOWN: Final = 100.0
_SKEWED: Final = 1.05
_LINEAR_DEGREE: Final = 1


class SolutionModel(StrEnum):
    """What could be fitted, most first."""

    CUBIC = "cubic"
    QUADRATIC = "quadratic"
    AFFINE = "affine"
    SIMILARITY = "similarity"
    SHIFT = "shift"
    NOMINAL = "nominal"

    @property
    def free(self) -> int:
        """Parameters of one coordinate."""
        return _FREE[self]


_FREE: Final = {
    SolutionModel.CUBIC: 10,
    SolutionModel.QUADRATIC: 6,
    SolutionModel.AFFINE: 3,
    SolutionModel.SIMILARITY: 2,
    SolutionModel.SHIFT: 1,
    SolutionModel.NOMINAL: 0,
}
_OF_DEGREE: Final = {
    1: SolutionModel.AFFINE,
    2: SolutionModel.QUADRATIC,
    3: SolutionModel.CUBIC,
}


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
    errors: Array | None = None,
    max_sources: int = 60,
    max_references: int = 150,
    tolerance: float = 2.0,
    degree: int = DEGREE,
    scale_errors: Sequence[float] = (0.01, 0.1),
) -> Solution:
    """Find where a frame looks, and fit a TAN projection with its distortion to it.

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
        arcsec/pixel, right to the last of ``scale_errors``.
    pointing_error
        By how much the pointing may be off, degrees.
    nominal
        First guess; without one north is up and east left.
    rotation_known
        Whether the guess's rotation and parity are to be trusted; searched for where not.
    usable
        Which sources are good enough for the fit, shape (n,): all where not given, or where
        fewer than 6 of them are matched. The field is found with all of them.
    errors
        Of the sources' positions, pixels, one coordinate, shape (n,); equal where not given.
    max_sources, max_references
        How many of the brightest are used to find the field (all are used in the fit).
    tolerance
        Arcsec within which a source and a star are the same in the last round, at most; in the
        search three times as much.
    degree
        Highest degree of the polynomial (1 to 3; Astro-WISE's PDEG): used only where it fits
        better than chance lets it, with 3 stars at least for each of its terms.
    scale_errors
        Fractions by which the pixel scale may be wrong, tried in turn.

    Returns
    -------
    Solution
        A polynomial with at least 6 stars, shift with rotation and scale with 3 to 5, shift alone
        with 2, the guess where no field is recognised. A lone star is never taken for recognised:
        the brightest source near its place has been another one (the frame's brightest stars
        saturate, bleed, or lie just outside).
    """
    guess = nominal or _north_up(pointing, shape, pixel_scale)
    stars = _in_reach((ra, dec, mag), guess, shape, pointing_error)
    points = np.stack((x, y), axis=-1)
    field = Field(points, ra, dec, _brightest(points, flux), stars, shape)
    frame = _Frame.of(field, errors)
    nothing = frame.measure(_Fit.none(guess))
    if len(stars) == 0 or len(field.sources) == 0:
        return nothing
    found = recognise(
        *(field, guess),
        pointing_error=pointing_error,
        tolerance=tolerance,
        rotation_known=rotation_known,
        max_sources=max_sources,
        max_references=max_references,
        scale_errors=scale_errors,
    )
    if found is None:
        return nothing
    few = replace(frame, field=field.brightest(max_sources, max_references).on_frame(found))
    fit = few.refine(_Fit.none(found), 2.0 * tolerance, tolerance)
    many = frame.with_all(fit.wcs, usable, tolerance)
    fit = many.bend(many.refine(fit, tolerance, tolerance), tolerance, degree)
    lone = len(fit.sources) < _RECOGNISED_AT_LEAST
    return nothing if lone or _is_skewed(fit.wcs) else many.measure(fit)


def _north_up(pointing: tuple[float, float], shape: tuple[int, int], pixel_scale: float) -> TanWcs:
    step = pixel_scale / 3600.0
    ny, nx = shape
    middle = ((nx - 1) / 2.0, (ny - 1) / 2.0)
    return TanWcs(*pointing, *middle, cd=((-step, 0.0), (0.0, step)))


def _brightest(points: Array, flux: Array) -> NDArray[np.intp]:
    """Sources with a place, brightest first."""
    order = np.argsort(-np.nan_to_num(flux, nan=-np.inf), kind="stable")
    known = np.isfinite(points[:, 0]) & np.isfinite(points[:, 1])
    return order[known[order]]


def _in_reach(
    catalogue: tuple[Array, Array, Array], guess: TanWcs, shape: tuple[int, int], error: float
) -> NDArray[np.intp]:
    """Stars that may be on the frame, brightest first."""
    ra, dec, mag = catalogue
    ra0, dec0, radius = guess.circle(shape)
    near = np.flatnonzero(angular_distance(ra, dec, ra0, dec0) <= radius + error)
    return near[np.argsort(np.nan_to_num(mag[near], nan=np.inf), kind="stable")]


def _is_skewed(wcs: TanWcs) -> bool:
    """Whether pixels are no squares on the sky: no camera's are, a wrong match's may be."""
    long, short = np.linalg.svd(np.array(wcs.cd), compute_uv=False)
    return bool(long > _SKEWED * short)


@dataclass(frozen=True, slots=True)
class _Fit:
    """A projection, what it was fitted with, and to which sources and stars."""

    wcs: TanWcs
    model: SolutionModel
    sources: NDArray[np.intp]
    stars: NDArray[np.intp]

    @classmethod
    def none(cls, guess: TanWcs) -> _Fit:
        """The guess as it is, fitted to nothing."""
        nothing = np.empty(0, np.intp)
        return cls(guess, SolutionModel.NOMINAL, nothing, nothing)


@dataclass(frozen=True, slots=True)
class _Frame:
    """Sources with the variances of their positions (pixels2), and the stars around."""

    field: Field
    variances: Array
    plane: PixelPlane

    @classmethod
    def of(cls, field: Field, errors: Array | None) -> _Frame:
        """With the errors of the positions, pixels; equal ones where not given."""
        variances = np.ones(len(field.points)) if errors is None else np.square(errors)
        variances = np.where(np.isfinite(variances), variances, _UNKNOWN)
        return cls(field, variances, PixelPlane.of(field.shape))

    def with_all(self, wcs: TanWcs, usable: NDArray[np.bool_] | None, tolerance: float) -> _Frame:
        """All good sources, or all where too few of the good are matched, and the stars there."""
        field = self.field
        if usable is not None:
            best = replace(field, sources=field.sources[usable[field.sources]])
            if len(best.match(wcs, tolerance / wcs.pixel_scale)[0]) >= _AFFINE_AT_LEAST:
                field = best
        return replace(self, field=field.on_frame(wcs))

    def refine(self, fit: _Fit, start: float, tolerance: float, degree: int = 1) -> _Fit:
        """Match and fit in turn, the radius (arcsec) shrinking with the residuals."""
        radius = start
        for number in range(1, _ROUNDS + 1):
            sources, stars = self.field.match(fit.wcs, radius / fit.wcs.pixel_scale)
            if len(sources) == 0:
                break
            settled = radius <= tolerance and np.array_equal(fit.sources, sources)
            fit = self.fit(fit.wcs, sources, stars, degree)
            if settled:
                break
            dra, ddec = _residuals(self.field, fit)
            sigma = float(np.median(np.hypot(dra, ddec))) / _RAYLEIGH_MEDIAN
            clip = _SIGMA_CLIP * sigma
            radius = min(max(clip, _FLOOR), max(tolerance, start * 0.7**number))
        return fit

    def bend(self, fit: _Fit, tolerance: float, degree: int) -> _Fit:
        """The polynomial of the highest degree that the stars ask for."""
        if fit.model is not SolutionModel.AFFINE:
            return fit
        used, straight = fit, _LINEAR_DEGREE
        for more in range(_LINEAR_DEGREE + 1, degree + 1):
            weights = self._weights(used)
            plain = self._squares(used, straight, weights)
            richer = self._squares(used, more, weights)
            if is_significant(
                len(used.sources), (straight, plain), (more, richer), per_term=_STARS_PER_TERM
            ):
                start = self.fit(used.wcs, used.sources, used.stars, more)
                used, straight = self.refine(start, tolerance, tolerance, more), more
        return used

    def fit(
        self, wcs: TanWcs, sources: NDArray[np.intp], stars: NDArray[np.intp], degree: int
    ) -> _Fit:
        """Projection about the frame's middle that fits the pairs best, as free as they allow."""
        middle = (self.plane.x0, self.plane.y0)
        ra0, dec0 = (float(value) for value in wcs.to_sky(*middle))
        points = self.field.points[sources]
        sky = _plane(self.field, stars, ra0, dec0)
        if len(sources) >= _AFFINE_AT_LEAST:
            while len(sources) < _STARS_PER_TERM * _FREE[_OF_DEGREE[degree]] and degree > 1:
                degree -= 1
            weights = self._weights(_Fit(wcs, SolutionModel.AFFINE, sources, stars))
            found, _ = self.plane.fit(points, sky, weights, degree)
            # the middle of the frame is the tangent point of the next round, as of a plain TAN
            ra, dec = (float(v) for v in deproject(found[0, 0], found[0, 1], ra0, dec0))
            sky = _plane(self.field, stars, ra, dec)
            found, _ = self.plane.fit(points, sky, weights, degree)
            fitted = polynomial_wcs(self.plane, found, ra, dec)
            return _Fit(fitted, _OF_DEGREE[degree], sources, stars)
        offset, matrix = points - np.array(middle), np.array(wcs.cd)
        model, shift = SolutionModel.SHIFT, (sky - offset @ matrix.T).mean(axis=0)
        if len(sources) >= _SIMILARITY_AT_LEAST:
            model = SolutionModel.SIMILARITY
            turn, shift = _turn_and_shift(offset @ matrix.T, sky)
            matrix = turn @ matrix
        ra, dec = (float(v) for v in deproject(shift[0], shift[1], ra0, dec0))
        (c11, c12), (c21, c22) = matrix.tolist()
        fitted = TanWcs(ra, dec, *middle, cd=((c11, c12), (c21, c22)))
        return _Fit(fitted, model, sources, stars)

    def measure(self, fit: _Fit) -> Solution:
        """The fit with its residuals."""
        dra, ddec = _residuals(self.field, fit)
        if len(dra) == 0:
            statistics = (math.nan,) * 5
        else:
            rms = float(np.sqrt(np.mean(dra**2 + ddec**2) / 2.0))
            spread = (float(dra.std()), float(ddec.std()), rms)
            statistics = (float(dra.mean()), float(ddec.mean()), *spread)
        used = fit.sources, fit.stars
        return Solution(fit.wcs, fit.model, len(fit.sources), *statistics, *used, dra, ddec)

    def _weights(self, fit: _Fit) -> Array:
        """Inverse variances: of the centroids, and what the residuals have beyond (the stars')."""
        own = self.variances[fit.sources]
        dra, ddec = _residuals(self.field, fit)
        sigma = float(np.median(np.hypot(dra, ddec))) / _RAYLEIGH_MEDIAN / fit.wcs.pixel_scale
        rest = max(sigma**2 - float(np.median(own)), 0.05 * sigma**2, 1e-8)
        return np.asarray(1.0 / (own + rest))

    def _squares(self, fit: _Fit, degree: int, weights: Array) -> float:
        """Weighted sum of squares of a polynomial's fit to the same pairs."""
        sky = _plane(self.field, fit.stars, fit.wcs.ra0, fit.wcs.dec0)
        points = self.field.points[fit.sources]
        return self.plane.fit(points, sky, weights, degree)[1]


def _plane(field: Field, stars: NDArray[np.intp], ra0: float, dec0: float) -> Array:
    return np.stack(project(field.ra[stars], field.dec[stars], ra0, dec0), axis=-1)


def _turn_and_shift(plane: Array, sky: Array) -> tuple[Array, Array]:
    """Rotation times scale, shape (2, 2), and shift that bring one plane's points on another's."""
    here, there = plane @ np.array([1, 1j]), sky @ np.array([1, 1j])
    centred = here - here.mean()
    factor = np.vdot(centred, there - there.mean()) / np.vdot(centred, centred)
    shift = there.mean() - factor * here.mean()
    turn = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    return turn, np.array([shift.real, shift.imag])


def _residuals(field: Field, fit: _Fit) -> tuple[Array, Array]:
    """Measured minus reference position, arcsec, east and north."""
    ra, dec = fit.wcs.to_sky(*field.points[fit.sources].T)
    dra = (ra - field.ra[fit.stars] + 180.0) % 360.0 - 180.0
    dra *= np.cos(np.radians(field.dec[fit.stars]))
    return 3600.0 * dra, 3600.0 * (dec - field.dec[fit.stars])
