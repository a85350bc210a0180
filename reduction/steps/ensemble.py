"""Relative photometry: what all stars of a frame have in common is not the stars'."""

from __future__ import annotations

__all__ = ["Ensemble", "relative_photometry"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.sparse import coo_array, csr_array, diags_array
from scipy.sparse.csgraph import connected_components

from reduction.steps.groups import group_mean, group_quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Numbers = NDArray[np.integer]

_ROUNDS: Final = 12
_POLISHES: Final = 4
_BRIGHT: Final = 0.25
_FLOORS: Final = (1e-5, 0.3)
_FEW: Final = 0.1
_MAD: Final = 1.4826


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Magnitudes on which frames agree, and what each frame had to be given.

    Attributes
    ----------
    mag, mag_err
        Shape (n,): the observed magnitudes less their epoch's offset, and errors with the floor
        and the offset's error. NaN where the epoch has no constant star.
    offset, offset_err
        Shape (epochs,): by how much the stars of an epoch are too faint, mag, where the
        quantities that it slopes along are 0. Median 0. NaN where there is no constant star.
    n_constant
        Shape (epochs,): observations of constant stars that the offset rests on.
    constant
        Shape (stars,): whether a star served as a constant one.
    floor
        Error that every magnitude has besides its own, mag.
    """

    mag: Array
    mag_err: Array
    offset: Array
    offset_err: Array
    n_constant: NDArray[np.intp]
    constant: Flags
    floor: float


@dataclass(frozen=True, slots=True)
class _Data:
    """Observations, one a row; ``terms`` is 1 and what an offset may slope along."""

    star: Numbers
    epoch: Numbers
    mag: Array
    err: Array
    terms: Array
    stars: int
    epochs: int


@dataclass(frozen=True, slots=True)
class _Choice:
    """What serves the offsets: constant stars, their observations that are not far off."""

    near: Flags
    constant: Flags
    floor: float


def relative_photometry(
    star: Numbers,
    epoch: Numbers,
    mag: Array,
    err: Array,
    *,
    along: Array | None = None,
    floor: float | None = None,
    sigma_clip: float = 4.0,
    min_epochs: int = 3,
) -> Ensemble:
    """Find each epoch's offset from the stars that do not vary, and take it off.

    Parameters
    ----------
    star, epoch
        Numbers from 0, shape (n,).
    mag, err
        Magnitudes and their errors, shape (n,). An observation with a NaN takes no part.
    along
        Shape (n, k): quantities along which the offset of an epoch may slope (positions on the
        frame, colours), best with mean 0; none where not given.
    floor
        Error that every magnitude has besides its own, mag; found from the brightest constant
        stars where not given.
    sigma_clip
        An observation that is off by more errors serves no offset; nor does a star whose
        chi-square is above the number of its observations by as many standard deviations.
    min_epochs
        Observations that a constant star needs.

    Notes
    -----
    Median polish first, then weighted least squares in all stars and epochs at once, the stars
    eliminated (Honeycutt 1992, PASP 104, 435), repeated without what varies. Epochs that no
    constant star connects with the others have offsets of an origin of their own.
    """
    terms = np.ones((len(mag), 1))
    if along is not None:
        terms = np.column_stack((terms, along))
    stars, epochs = int(np.max(star, initial=-1)) + 1, int(np.max(epoch, initial=-1)) + 1
    data = _Data(star, epoch, mag, err, terms, stars, epochs)
    usable = np.isfinite(mag) & (err > 0) & np.isfinite(terms).all(axis=1)
    enough = np.bincount(star[usable], minlength=stars) >= min_epochs
    rest = _polished(data, usable)
    choice = _chosen(data, usable, enough, rest, floor, sigma_clip)
    for _ in range(_ROUNDS):
        slopes, _ = _solve(data, choice)
        rest = _residuals(data, usable, choice, mag - _offsets(data, slopes))
        now = _chosen(data, usable, enough, rest, floor, sigma_clip)
        same = np.array_equal(now.near, choice.near)
        if same and np.array_equal(now.constant, choice.constant):
            break
        choice = now
    return _result(data, choice)


def _polished(data: _Data, usable: Flags) -> Array:
    """Residuals of a median polish of stars and epochs, shape (n,), NaN where not usable."""
    rest = np.where(usable, data.mag, np.nan)
    for _ in range(_POLISHES):
        for group, count in ((data.star, data.stars), (data.epoch, data.epochs)):
            rest = rest - group_quantile(rest, group, count, 0.5)[group]
    return rest


def _chosen(
    data: _Data,
    usable: Flags,
    enough: Flags,
    rest: Array,
    floor: float | None,
    sigma_clip: float,
) -> _Choice:
    found = _floor(data, rest, sigma_clip) if floor is None else floor
    pull = rest / np.hypot(data.err, found)
    near = usable & (np.abs(pull) <= sigma_clip)
    number = np.bincount(data.star[near], minlength=data.stars)
    far = np.bincount(data.star[usable & ~near], minlength=data.stars)
    chi2 = np.bincount(data.star[near], pull[near] ** 2, data.stars)
    freedom = np.maximum(number - 1, 1)
    calm = chi2 <= freedom + sigma_clip * np.sqrt(2.0 * freedom)
    constant = enough & calm & (far <= np.maximum(1, _FEW * number))
    return _Choice(near, constant if constant.any() else enough, found)


def _floor(data: _Data, rest: Array, sigma_clip: float) -> float:
    """Most likely error beyond the photons' of the brightest stars that do not vary."""
    typical = group_quantile(data.err, data.star, data.stars, 0.5)
    width = _MAD * group_quantile(np.abs(rest), data.star, data.stars, 0.5)
    count = np.bincount(data.star[np.isfinite(rest)], minlength=data.stars)
    known = np.flatnonzero(np.isfinite(typical) & np.isfinite(width) & (count > 1))
    if len(known) == 0:
        return 0.0
    bright = known[typical[known] <= np.quantile(typical[known], _BRIGHT)]
    steady = np.zeros(data.stars, np.bool_)
    steady[bright[width[bright] <= 2.0 * np.median(width[bright])]] = True
    taken = steady[data.star] & np.isfinite(rest)
    taken &= np.abs(rest) <= sigma_clip * np.maximum(width[data.star], data.err)
    freedom = np.maximum(count - 1, 1)[data.star[taken]] / count[data.star[taken]]
    square, error = rest[taken] ** 2 / freedom, data.err[taken] ** 2

    def unlikely(log_floor: float) -> float:
        total = error + np.exp(2.0 * log_floor)
        return float(np.sum(square / total + np.log(total)))

    best = minimize_scalar(unlikely, bounds=tuple(np.log(_FLOORS)), method="bounded")
    floor = float(np.exp(best.x))
    return floor if floor > 2.0 * _FLOORS[0] else 0.0


def _solve(data: _Data, choice: _Choice) -> tuple[Array, Array]:
    """Offsets and slopes of each epoch, shape (epochs, k), and their variances."""
    use = np.flatnonzero(choice.near & choice.constant[data.star])
    width = data.terms.shape[1]
    weight = 1.0 / (data.err[use] ** 2 + choice.floor**2)
    column = data.epoch[use][:, np.newaxis] * width + np.arange(width)
    row = np.repeat(np.arange(len(use)), width)
    shape = (len(use), data.epochs * width)
    epochs = csr_array((data.terms[use].ravel(), (row, column.ravel())), shape)
    stars = csr_array(
        (np.ones(len(use)), (np.arange(len(use)), data.star[use])), (len(use), data.stars)
    )
    total = stars.T @ weight
    inverse = diags_array(1.0 / np.where(total > 0, total, 1.0))
    weighted = diags_array(weight) @ epochs
    cross = stars.T @ weighted
    normal = (epochs.T @ weighted - cross.T @ inverse @ cross).toarray()
    mag = weight * data.mag[use]
    right = epochs.T @ mag - cross.T @ (inverse @ (stars.T @ mag))
    covariance = np.linalg.pinv(normal, rcond=1e-11, hermitian=True)
    solution = (covariance @ right).reshape(data.epochs, width)
    variance = np.diag(covariance).reshape(data.epochs, width)
    served = np.bincount(data.epoch[use], minlength=data.epochs) > 0
    solution[~served] = np.nan
    return _centred(data, use, solution), variance


def _centred(data: _Data, use: NDArray[np.intp], solution: Array) -> Array:
    """Offsets with median 0 in each set of epochs that constant stars connect."""
    nodes = data.epochs + data.stars
    links = coo_array(
        (np.ones(len(use), np.int8), (data.epoch[use], data.epochs + data.star[use])),
        (nodes, nodes),
    )
    _, part = connected_components(links, directed=False)
    part = part[: data.epochs]
    middle = group_quantile(solution[:, 0], part, int(part.max(initial=0)) + 1, 0.5)
    solution[:, 0] -= middle[part]
    return solution


def _offsets(data: _Data, slopes: Array) -> Array:
    return np.asarray((slopes[data.epoch] * data.terms).sum(axis=1))


def _residuals(data: _Data, usable: Flags, choice: _Choice, mag: Array) -> Array:
    """What is left of each magnitude without its star's mean, of what is not far off."""
    weight = 1.0 / (data.err**2 + choice.floor**2)
    calm = usable & choice.near & np.isfinite(mag)
    mean = group_mean(mag, np.where(calm, weight, 0.0), data.star, data.stars)
    middle = group_quantile(np.where(usable, mag, np.nan), data.star, data.stars, 0.5)
    mean = np.where(np.isfinite(mean), mean, middle)
    return np.where(usable, mag - mean[data.star], np.nan)


def _result(data: _Data, choice: _Choice) -> Ensemble:
    slopes, variance = _solve(data, choice)
    use = choice.near & choice.constant[data.star]
    own = np.sqrt((variance[data.epoch] * data.terms**2).sum(axis=1))
    mag = data.mag - _offsets(data, slopes)
    err = np.sqrt(data.err**2 + choice.floor**2 + own**2)
    offset_err = np.where(np.isfinite(slopes[:, 0]), np.sqrt(variance[:, 0]), np.nan)
    return Ensemble(
        mag=mag,
        mag_err=np.where(np.isfinite(mag), err, np.nan),
        offset=slopes[:, 0],
        offset_err=offset_err,
        n_constant=np.bincount(data.epoch[use], minlength=data.epochs),
        constant=choice.constant,
        floor=choice.floor,
    )
