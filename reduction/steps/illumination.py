"""Illumination correction: how zero points vary over the focal plane."""

from __future__ import annotations

__all__ = ["Illumination", "fit_illumination", "illumination_frame"]

import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.focal_terms import FocalTerms
from reduction.steps.grouped import Grouped, eliminate
from reduction.steps.repeats import freedom, repeats_of
from reduction.steps.surface import Surface
from schemas.deferred import deferred

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from scipy import stats

    from reduction.steps.grouped import Fit, Reduced
    from reduction.steps.repeats import Repeats

    Array = NDArray[np.float64]
else:
    stats = deferred("scipy.stats")

_ROUNDS: Final = 20
_GRID: Final = 9
_FALSE_ALARM: Final = 1e-3
_RANK: Final = 1e-8


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
        Of the zero points about the fit, mag.
    rms_before
        Of the same about their groups' medians, mag.
    error
        Formal error of the surface, rms over the pixels of the chip that it is largest on, mag.
    covariance
        Of the surface's coefficients but the constant, mag^2.
    n_stars
        Stars used, each once.
    used
        Which zero points, shape (n,).
    """

    surface: Surface
    frame_offsets: Array
    scatter: float
    rms_before: float
    error: float
    covariance: Array
    n_stars: int
    used: NDArray[np.bool_]


def fit_illumination(  # noqa: PLR0913  # the stars, the chips, and how they are fitted
    u: Array,
    v: Array,
    zero_points: Array,
    group: NDArray[np.integer],
    *,
    errors: Array | None = None,
    star_errors: Array | None = None,
    star: NDArray[np.integer] | None = None,
    chips: Mapping[str, tuple[Array, Array]],
    degree: int = 3,
    round_degree: int = 0,
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
    errors
        Of the zero points, but for what a star is off by on all frames, mag, shape (n,); None: 0.
    star_errors
        What a star is off by on all frames as far as it is known, as errors of the catalogue, mag,
        shape (n,); None: 0. What stars scatter by beyond is found.
    star
        Which star each is of, from 0, shape (n,); None: all are different ones. What a catalogue
        has a star wrong by is in all its zero points, and counts once.
    chips
        Places on the focal plane of each chip's corners, shape (4,) each: the mean of dm over all
        chips is 0.
    degree
        Highest total degree of the polynomial. It is lowered until the terms of the highest
        degree fit better than chance lets them (F test, a false alarm in a thousand nights
        without illumination); where none does, dm is 0.
    round_degree
        Highest even power of the distance from the middle of the focal plane that is fitted beside
        the polynomial, each one term: light that a camera scatters, or that its edges keep out, is
        round. Each goes as the polynomial's degrees do, before these.
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
    Least squares are those of values that repeat (:mod:`reduction.steps.repeats`): where exposures
    move a star over the focal plane its own zero points tell the shape, whatever the catalogue
    has it wrong by; where they do not, twenty exposures tell hardly more than one.
    """
    medians, used = _about_medians(zero_points, group, clip)
    own, shared = (np.zeros(len(u)) if e is None else e for e in (errors, star_errors))
    stars = np.arange(len(u)) if star is None else np.asarray(star, np.intp)
    model = FocalTerms.of(chips, degree, round_degree)
    design = Grouped(np.asarray(group, np.intp), model.terms(u, v))
    sample = _Sample(design, zero_points, own, shared, stars)
    fit = _clipped(sample, used, clip)
    while model.steps[-1] and not _is_significant(fit, model.steps[-2]):
        model = model.first(model.steps[-2])
        sample = replace(sample, design=sample.design.first(model.steps[-1]))
        fit = _clipped(sample, fit.used, clip)
    return _illumination(sample, fit, zero_points - medians[group], model)


@dataclass(frozen=True, slots=True)
class _Sample:
    """A design, what it shall give, its errors, and whose each row is."""

    design: Grouped
    values: Array
    errors: Array
    star_errors: Array
    star: NDArray[np.intp]

    @property
    def variance(self) -> Array:
        """That is known, of all kinds, shape (n,)."""
        return np.asarray(self.errors**2 + self.star_errors**2)

    def of(self, used: NDArray[np.bool_]) -> _Sample:
        """Some of its rows."""
        return _Sample(
            self.design.of(used),
            self.values[used],
            self.errors[used],
            self.star_errors[used],
            self.star[used],
        )


@dataclass(frozen=True, slots=True)
class _Clipped:
    """What was found, with which rows; these, their variances, and what is left to fit."""

    best: Fit
    used: NDArray[np.bool_]
    design: Grouped
    repeats: Repeats
    reduced: Reduced


def _illumination(
    sample: _Sample, fit: _Clipped, before: Array, model: FocalTerms
) -> Illumination:
    """Say what a fit is; ``before`` are the zero points about their groups' medians."""
    best, used = fit.best, fit.used
    surface = model.surface(best.slopes)
    offsets = np.full(int(sample.design.group.max()) + 1, np.nan)
    offsets[: len(best.constants)] = best.constants - surface.middle
    miss = sample.values[used] - fit.design.at(best)
    return Illumination(
        surface,
        offsets,
        math.sqrt(float((miss**2).sum()) / max(int(used.sum()) - best.rank, 1)),
        float(np.sqrt((before[used] ** 2).mean())),
        _formal_error(best.covariance, *model.means()),
        model.columns @ best.covariance @ model.columns.T,
        len(np.unique(sample.star[used])),
        used,
    )


def _is_significant(fit: _Clipped, fewer: int) -> bool:
    """Whether the terms fit better than the first of them do by more than chance (F test).

    The variance is that of the richer fit; it is known as well as that of its stars.
    """
    plain = fit.reduced.fit(fewer)
    more = fit.best.rank - plain.rank
    if more == 0 or len(fit.repeats.star) <= fit.best.rank:
        return False
    ratio = (plain.squares - fit.best.squares) / more
    return bool(stats.f.sf(ratio, more, freedom(fit.design, fit.repeats)) < _FALSE_ALARM)


def _formal_error(covariance: Array, means: Array, products: Array) -> float:
    """Error of the surface's shape over the worst chip, rms, by the covariance of its terms.

    The mean over the chip does not count: it is in the chip's zero points.
    """
    shape = products - means[:, :, None] * means[:, None, :]
    variance = np.einsum("cij,ij->c", shape, covariance)
    return math.sqrt(max(float(variance.max()), 0.0))


def _clipped(sample: _Sample, used: NDArray[np.bool_], clip: float) -> _Clipped:
    """Least squares of a design of groups and terms, far ones left out."""
    terms = sample.design.terms.shape[1]
    for _ in range(_ROUNDS):
        offsets = len(np.unique(sample.design.group[used]))
        if used.sum() <= terms + offsets:
            message = (
                f"found {int(used.sum())} stars, expected more than the unknowns: "
                f"{terms} terms and {offsets} zero points"
            )
            raise ValueError(message)
        mine = sample.of(used)
        scatter = repeats_of(mine.design, mine.values, mine.errors, mine.star, mine.star_errors)
        reduced = eliminate(mine.design, mine.values, scatter)
        fit = _Clipped(reduced.fit(), used, mine.design, scatter, reduced)
        # the error that all have beyond their own, for those that were left out as well
        beyond = float(np.median(scatter.error**2 - mine.variance))
        error = np.sqrt(sample.variance + max(beyond, 1e-12))
        miss = np.abs(sample.values - sample.design.at(fit.best))
        usual = 1.4826 * float(np.median((miss / error)[used]))
        again = miss <= clip * np.maximum(usual * error, 1e-6)
        if (again == used).all():
            break
        used = again
    return fit


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
    order = np.argsort(group, kind="stable")
    ends = np.searchsorted(group[order], np.arange(len(medians) + 1))
    for index, (begin, end) in enumerate(itertools.pairwise(ends.tolist())):
        if end > begin:
            medians[index] = np.median(values[order[begin:end]])
    miss = np.abs(values - medians[group])
    # the illumination itself must survive: twice the limit of the fit
    limit = 2.0 * clip * max(1.4826 * float(np.median(miss)), 1e-6)
    return medians, miss <= limit
