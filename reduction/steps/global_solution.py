"""One solution for all chips, exposures and nights of a field: overlaps and references together.

Each chip of a camera has a polynomial that all exposures share, each exposure a shift and a small
linear map of its own, and each star one place, whether or not a catalogue has it. The stars'
places are eliminated from the normal equations, so that what is solved for has some hundred
unknowns for any number of stars.
"""

from __future__ import annotations

__all__ = ["GlobalSolution", "solve_field"]

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.distortion import DEGREE
from reduction.steps.field_axes import FieldAxes
from reduction.steps.mosaic import Exposures, FrameSources, arrange
from reduction.steps.overlaps import match_exposures, match_sky
from reduction.steps.star_places import StarPlaces
from schemas.deferred import deferred

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy import linalg, sparse

    from reduction.steps.wcs import TanWcs

    Array = NDArray[np.float64]
    Numbers = NDArray[np.intp]
else:
    linalg = deferred("scipy.linalg")
    sparse = deferred("scipy.sparse")

_ARCSEC: Final = 1.0 / 3600.0
_DAMPING: Final = 1.0
_ROUNDS: Final = 8
_AFRESH: Final = 5
_CLIP: Final = 3.5
_MEDIAN_CHI2: Final = 0.4549
_LEAST_ERROR: Final = 1e-3
_LOOSE: Final = 0.5
_RADIUS: Final = 1.5
_CHUNK: Final = 4096
_TERMS: Final = 10
_OWN: Final = 3
_PER_TERM: Final = 6


@dataclass(frozen=True, slots=True)
class GlobalSolution:
    """Where all frames of a field look.

    Attributes
    ----------
    wcs
        Of each frame.
    exposure, setup
        Number of each frame's exposure and camera setup, shape (n frames,).
    pos_err
        Error of each frame's positions, one axis, mean over its stars, arcsec, shape (n frames,).
    frame, source
        Of each detection that took part: its frame, and its index in the frame's sources.
    star
        Number of its star.
    used
        False where it was clipped.
    ra, dec
        Where the solution puts it, degrees ICRS.
    dra, ddec
        From its star's mean over all exposures (and the catalogue), arcsec, along the field's
        axes: east and north in its middle; NaN for stars of one exposure.
    reference
        Index of its star in the catalogue, -1 for none.
    ref_dra, ref_ddec
        From the catalogue, arcsec; NaN without a reference star, or where that was clipped.
    centroid_floor, reference_error
        What the positions scatter by beyond their stated errors, and the catalogue's own error,
        arcsec, one coordinate; as found.
    """

    wcs: list[TanWcs]
    exposure: Numbers
    setup: Numbers
    pos_err: Array
    frame: Numbers
    source: Numbers
    star: Numbers
    used: NDArray[np.bool_]
    ra: Array
    dec: Array
    dra: Array
    ddec: Array
    reference: Numbers
    ref_dra: Array
    ref_ddec: Array
    centroid_floor: float
    reference_error: float


def solve_field(
    frames: Sequence[FrameSources],
    *,
    ra: Array,
    dec: Array,
    radius: float | None = None,
    degree: int = DEGREE,
) -> GlobalSolution:
    """Solve for all frames at once.

    Parameters
    ----------
    frames
        Each with its own solution as first guess.
    ra, dec
        Reference stars, degrees ICRS, shape (m,).
    radius
        Arcsec within which the frames' own solutions agree; None: the frames' median pixel, at
        least 1.5 arcsec.
    degree
        Of the chips' polynomials, 1 to 3; less for a chip with few stars.

    Returns
    -------
    GlobalSolution
        Without any reference star the field keeps the place that its frames' own solutions have in
        the mean.

    Notes
    -----
    Solved in coordinates in which the field is on the equator: differences of coordinates are
    then those in a plane, and north is the same for all exposures, for a field at the pole too.
    """
    if radius is None:
        radius = max(_RADIUS, float(np.median([frame.wcs.pixel_scale for frame in frames])))
    axes = FieldAxes.of(frames)
    turned = [replace(f, wcs=axes.of_field(f.wcs, f.shape)) for f in frames]
    state = arrange(turned)
    solver = _Solver(turned, state, degree)
    solver.match(*axes.to_field(ra, dec), radius)
    for number in range(_ROUNDS):
        solver.step()
        if number > 0:
            solver.judge(afresh=number < _AFRESH)
        solver.weigh()
    solver.step()
    found = solver.solution()
    right, declination = axes.to_sky(found.ra, found.dec)
    wcs = [axes.of_sky(one, f.shape) for one, f in zip(found.wcs, frames, strict=True)]
    return replace(found, wcs=wcs, ra=right, dec=declination)


class _Solver:
    """The detections, one after the other, and the state that explains them."""

    def __init__(self, frames: Sequence[FrameSources], state: Exposures, degree: int) -> None:
        self.frames, self.state, self.degree = frames, state, degree
        sizes = [len(frame.x) for frame in frames]
        self.frame = np.repeat(np.arange(len(frames)), sizes)
        self.source = np.concatenate([np.arange(size) for size in sizes]).astype(np.intp)
        self.points = [np.stack((frame.x, frame.y), axis=-1) for frame in frames]
        self.ends = np.concatenate(([0], np.cumsum(sizes)))
        self.own = np.concatenate(
            [np.square(f.errors * f.wcs.pixel_scale) for f in frames]
        )  # arcsec2
        self.floor, self.reference_error = 0.02, 0.1

    def match(self, ra: Array, dec: Array, radius: float) -> None:
        """Find the stars and their references; leave out who tells nothing."""
        sky = self._sky()
        exposure = self.state.exposure[self.frame]
        star = match_exposures(sky[:, 0], sky[:, 1], exposure, radius)
        number = int(star.max()) + 1 if len(star) else 0
        first = np.zeros(number, np.intp)
        first[star[::-1]] = np.arange(len(star))[::-1]
        self.base = sky[first]
        self._star = star
        self.count = np.bincount(star, minlength=number)
        mean = self.base + self._means(self._offsets(sky), np.ones(len(star)))
        here, there = match_sky(mean[:, 0], mean[:, 1], ra, dec, radius)
        self.reference = np.full(number, -1, np.intp)
        self.reference[here] = there
        self.target = np.full((number, 2), np.nan)
        self.target[here] = np.stack((ra[there], dec[there]), axis=-1)
        # what no catalogue has stays where the frames' own solutions put it in the mean, loosely:
        # nothing else keeps a field without references from turning, or shrinking with its noise
        self.prior = _difference(mean, self.base) / _ARCSEC
        self.kept = np.ones(len(star), np.bool_)
        self.told = self.reference >= 0
        self._use()

    def _sky(self) -> Array:
        parts = [
            self.state.to_sky(f, self.state.camera(f, points))
            for f, points in enumerate(self.points)
        ]
        return np.concatenate(parts) if parts else np.empty((0, 2))

    def _offsets(self, sky: Array, star: Numbers | None = None) -> Array:
        """From the stars' first places, degrees east and north."""
        base = self.base if star is None else self.base[star]
        base = base[self._star] if star is None else base
        return _difference(sky, base)

    def _means(self, offsets: Array, weights: Array) -> Array:
        """Weighted means of detections by star, as differences of coordinates, degrees."""
        total = np.bincount(self._star, weights, minlength=len(self.base))
        means = [
            np.bincount(self._star, weights * offsets[:, axis], minlength=len(self.base))
            for axis in (0, 1)
        ]
        found = np.stack(means, axis=-1) / np.maximum(total, 1e-300)[:, np.newaxis]
        found[:, 0] /= np.cos(np.radians(self.base[:, 1]))
        return found

    def _weights(self) -> tuple[Array, Array, Array]:
        """Inverse variances of detections, of references and of stars' means, arcsec-2."""
        weights = np.where(self.used, 1.0 / (self.own + self.floor**2), 0.0)
        given = np.where(self.told, 1.0 / self.reference_error**2, 0.0)
        total = np.bincount(self._star, weights, minlength=len(self.base)) + given
        return weights, given, total + self._loose()

    def _loose(self) -> Array:
        """Inverse variances of the first guesses of stars without reference, arcsec-2."""
        return np.where(self.told, 0.0, 1.0 / _LOOSE**2)

    def _use(self) -> None:
        """Take what is kept of stars of which more than one place is known: one tells nothing."""
        places = np.bincount(self._star, self.kept, len(self.base)) + self.told
        self.used = self.kept & (places > 1)[self._star]

    def _places(self) -> tuple[StarPlaces, Array]:
        """Where detections and catalogue have the stars, and the sky's coordinates."""
        sky = self._sky()
        places = StarPlaces(
            self._star,
            self._offsets(sky) / _ARCSEC,
            self.own + self.floor**2,
            _difference(self.target, self.base) / _ARCSEC,
            self.reference_error**2,
            self.prior,
            _LOOSE**2,
        )
        return places, sky

    def _residuals(self) -> tuple[Array, Array, Array]:
        """Detections from their star's best place, that from the catalogue, arcsec; the sky."""
        places, sky = self._places()
        best, _ = places.means(self.used, self.told)
        return places.offsets - best[self._star], best - places.wanted, sky

    def step(self) -> None:
        """Solve the linearised equations, and move the state."""
        rest, _, _ = self._residuals()
        weights, _, total = self._weights()
        design = self._design()
        matrix = self._normal(design, weights, total)
        right = design.T @ (-rest * weights[:, np.newaxis])
        self.factor = linalg.cho_factor(matrix)
        self._move(linalg.cho_solve(self.factor, right) * _ARCSEC)

    def _normal(self, design: sparse.csr_array, weights: Array, total: Array) -> Array:
        """Normal matrix of all but the stars' places, which are eliminated; arcsec-2."""
        weighted = design.multiply(weights[:, np.newaxis]).tocsr()
        matrix = (design.T @ weighted).toarray()
        stars, rows = len(self.base), np.arange(len(self._star))
        group = sparse.csr_array(
            (np.ones(len(rows)), (self._star, rows)), shape=(stars, len(rows))
        )
        sums = (group @ weighted).tocsr()
        for start in range(0, stars, _CHUNK):
            part = sums[start : start + _CHUNK].toarray()
            part /= np.sqrt(total[start : start + _CHUNK])[:, np.newaxis]
            matrix -= part.T @ part
        matrix[np.diag_indices_from(matrix)] += _DAMPING
        return np.asarray(matrix)

    def _design(self) -> sparse.csr_array:
        """Derivatives of a coordinate by its parameters, no unit: chips, then exposures."""
        state, columns, values = self.state, [], []
        first_own = _TERMS * len(state.chips)
        self.reach = float(np.abs(state.chips[:, 0]).max() + np.abs(state.chips[:, 1:3]).max())
        degrees = self._degrees()
        for f, points in enumerate(self.points):
            chip, e = state.chip[f], state.exposure[f]
            terms = state.planes[chip].terms(points, DEGREE)
            terms[:, (degrees[chip] + 1) * (degrees[chip] + 2) // 2 :] = 0.0
            camera = state.camera(f, points) / self.reach
            values.append(np.column_stack((terms, np.ones(len(points)), camera)))
            own = first_own + _OWN * e + np.arange(_OWN)
            numbers = np.concatenate((_TERMS * chip + np.arange(_TERMS), own))
            columns.append(np.broadcast_to(numbers, values[-1].shape))
        value = np.concatenate(values)
        size = (len(value), first_own + _OWN * len(state.tangent))
        starts = np.arange(0, value.size + 1, value.shape[1])
        return sparse.csr_array(
            (value.ravel(), np.concatenate(columns).ravel(), starts), shape=size
        )

    def _degrees(self) -> Numbers:
        """Degree of each chip's polynomial, by the number of its stars."""
        chip = self.state.chip[self.frame]
        count = np.bincount(chip[self.used], minlength=len(self.state.chips))
        allowed = np.where(count >= _PER_TERM * 10, 3, np.where(count >= _PER_TERM * 6, 2, 1))
        return np.asarray(np.minimum(allowed, self.degree), np.intp)

    def _move(self, found: Array) -> None:
        state = self.state
        first_own = _TERMS * len(state.chips)
        state.chips += found[:first_own].reshape(-1, _TERMS, 2)
        own = found[first_own:].reshape(-1, _OWN, 2)
        state.shift += own[:, 0]
        state.turn += own[:, 1:].transpose(0, 2, 1) / self.reach

    def judge(self, *, afresh: bool) -> None:
        """Leave out what lies far off.

        Afresh, all is kept at first, so that nothing hangs on what a solution that was worse left
        out; in the last rounds what is out stays out, so that they end.
        """
        if afresh:
            self.kept, self.told = np.ones_like(self.kept), self.reference >= 0
        places, _ = self._places()
        self.kept, self.told = places.without_discrepant(self.kept, self.told, _CLIP)
        self._use()

    def weigh(self) -> None:
        """Find what positions scatter by beyond their errors, those of the catalogue too."""
        rest, beside, _ = self._residuals()
        _, given, total = self._weights()
        variance = self.own + self.floor**2 - 1.0 / total[self._star]
        number = np.bincount(self._star, self.used, len(self.base))
        many = self.used & (number > 1)[self._star] & (variance > 0)
        alone = 1.0 / np.maximum(given, 1e-300) - 1.0 / total
        free = self.told & (number > 0) & (alone > 0)
        self.floor = _tuned(self.floor, rest, variance, many, self.own)
        self.reference_error = _tuned(self.reference_error, beside, alone, free, np.zeros(1))

    def solution(self) -> GlobalSolution:
        """What was found."""
        rest, _, sky = self._residuals()
        state, star = self.state, self._star
        lone = (self.count == 1)[star]
        rest[lone] = np.nan
        away = _difference(sky, self.target[star]) / _ARCSEC
        away[~self.told[star]] = np.nan
        return GlobalSolution(
            wcs=[state.wcs(f) for f in range(len(self.frames))],
            exposure=state.exposure,
            setup=state.setup,
            pos_err=self._errors(),
            frame=self.frame,
            source=self.source,
            star=star,
            used=self.used,
            ra=sky[:, 0],
            dec=sky[:, 1],
            dra=rest[:, 0],
            ddec=rest[:, 1],
            reference=self.reference[star],
            ref_dra=away[:, 0],
            ref_ddec=away[:, 1],
            centroid_floor=self.floor,
            reference_error=self.reference_error,
        )

    def _errors(self) -> Array:
        """Formal error of the places that each frame gives, mean over its detections, arcsec."""
        covariance = linalg.cho_solve(self.factor, np.eye(len(self.factor[0])))
        design = self._design()
        found = np.full(len(self.frames), np.nan)
        for f in range(len(self.frames)):
            part = design[self.ends[f] : self.ends[f + 1]]
            if part.shape[0]:
                numbers = np.unique(part.indices)
                dense = part[:, numbers].toarray()
                spread = dense @ covariance[np.ix_(numbers, numbers)]
                found[f] = np.sqrt(np.mean(np.sum(spread * dense, axis=1)))
        return found


def _difference(sky: Array, base: Array) -> Array:
    """Of positions (n, 2), degrees on the great circle, east and north."""
    east = (sky[:, 0] - base[:, 0] + 180.0) % 360.0 - 180.0
    return np.stack((east * np.cos(np.radians(base[:, 1])), sky[:, 1] - base[:, 1]), axis=-1)


def _tuned(
    error: float, rest: Array, variance: Array, good: NDArray[np.bool_], own: Array
) -> float:
    """The error with which half of the squared residuals are as small as half of chi2's are."""
    if good.sum() < 20:  # too few to tell
        return error
    ratio = float(np.median(rest[good] ** 2 / variance[good, np.newaxis])) / _MEDIAN_CHI2
    typical = float(np.median(own)) + error**2
    return float(np.sqrt(max(error**2 + (ratio - 1.0) * typical, _LEAST_ERROR**2)))
