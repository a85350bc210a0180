"""Relative photometry: what all stars of a frame have in common is not the stars'."""

from __future__ import annotations

__all__ = ["Ensemble", "relative_photometry"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.groups import group_mean, group_quantile
from schemas.deferred import deferred

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import optimize, sparse
    from scipy.sparse import csgraph

    Array = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Numbers = NDArray[np.integer]
else:
    optimize = deferred("scipy.optimize")
    sparse = deferred("scipy.sparse")
    csgraph = deferred("scipy.sparse.csgraph")

_ROUNDS: Final = 12
_POLISHES: Final = 4
_BINS: Final = 20
_IN_A_BIN: Final = 15
_FEW: Final = 0.1


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
        quantities that it slopes along are 0. Median 0 in each part. NaN where there is no
        constant star.
    part
        Shape (epochs,): number of the set of epochs that constant stars connect. Magnitudes of
        different sets have levels that do not know of each other.
    n_constant
        Shape (epochs,): observations of constant stars that the offset rests on.
    constant
        Shape (stars,): whether a star served as a constant one, and looks like one. Where none
        does, all serve, and none is constant.
    floor
        Error that every magnitude has besides its own, mag.
    scale
        By which the errors were multiplied, so that they are those that most stars show.
    """

    mag: Array
    mag_err: Array
    offset: Array
    offset_err: Array
    part: NDArray[np.intp]
    n_constant: NDArray[np.intp]
    constant: Flags
    floor: float
    scale: float


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
    """What serves the offsets: constant stars, or all if none is; observations not far off."""

    near: Flags
    constant: Flags
    serves: Flags
    floor: float
    scale: float

    def variance(self, err: Array) -> Array:
        """Variance of magnitudes with these errors."""
        return np.asarray((self.scale * err) ** 2 + self.floor**2)


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
        Error that every magnitude has besides its own, mag. Where not given it is found from the
        stars, together with a factor, at least 1, by which errors are too small.
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
        if same and np.array_equal(now.serves, choice.serves):
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
    scale, found = _noise(data, rest, sigma_clip) if floor is None else (1.0, floor)
    pull = rest / np.hypot(scale * data.err, found)
    near = usable & (np.abs(pull) <= sigma_clip)
    number = np.bincount(data.star[near], minlength=data.stars)
    far = np.bincount(data.star[usable & ~near], minlength=data.stars)
    chi2 = np.bincount(data.star[near], pull[near] ** 2, data.stars)
    freedom = np.maximum(number - 1, 1)
    calm = chi2 <= freedom + sigma_clip * np.sqrt(2.0 * freedom)
    constant = enough & calm & (far <= np.maximum(1, _FEW * number))
    serves = constant if constant.any() else enough
    return _Choice(near, constant, serves, found, scale)


def _noise(data: _Data, rest: Array, sigma_clip: float) -> tuple[float, float]:
    """Scale of the errors, at least 1, and error beside them, of stars that do not vary.

    Stars are ordered by their typical error. In each of some bins the median of their variances
    says how much most of them scatter; ``variance = (scale err)^2 + floor^2`` is fitted to these.
    """
    width = 1.4826 * group_quantile(np.abs(rest), data.star, data.stars, 0.5)
    taken = np.isfinite(rest)
    taken[taken] = np.abs(rest[taken]) <= sigma_clip * np.maximum(
        width[data.star[taken]], data.err[taken]
    )
    star = data.star[taken]
    number = np.bincount(star, minlength=data.stars)
    known = np.flatnonzero(number > 1)
    if len(known) == 0:
        return 1.0, 0.0
    freedom = number[known] - 1.0
    square = np.bincount(star, rest[taken] ** 2, data.stars)[known] / freedom
    square /= (1.0 - 2.0 / (9.0 * freedom)) ** 3  # its median is that of chi-square
    error = np.bincount(star, data.err[taken] ** 2, data.stars)[known] / number[known]
    order = np.argsort(error)
    parts = np.array_split(order, min(_BINS, max(len(order) // _IN_A_BIN, 1)))
    seen = np.array([np.median(square[part]) for part in parts])
    said = np.array([np.median(error[part]) for part in parts])
    if not (seen > 0).all():
        return 1.0, 0.0
    weight = 1.0 / np.maximum(seen, said)
    if len(parts) > 2:  # two unknowns need more
        (scale2, floor2), _ = optimize.nnls(
            np.stack((said * weight, weight), axis=1), seen * weight
        )
        if scale2 > 1.0:
            return float(np.sqrt(scale2)), float(np.sqrt(floor2))
    floor2 = np.average(seen - said, weights=weight**2)
    return 1.0, float(np.sqrt(max(floor2, 0.0)))


def _solve(data: _Data, choice: _Choice) -> tuple[Array, Array]:
    """Offsets and slopes of each epoch, shape (epochs, k), and their variances."""
    use = np.flatnonzero(choice.near & choice.serves[data.star])
    width = data.terms.shape[1]
    weight = 1.0 / choice.variance(data.err[use])
    column = data.epoch[use][:, np.newaxis] * width + np.arange(width)
    row = np.repeat(np.arange(len(use)), width)
    shape = (len(use), data.epochs * width)
    epochs = sparse.csr_array((data.terms[use].ravel(), (row, column.ravel())), shape)
    stars = sparse.csr_array(
        (np.ones(len(use)), (np.arange(len(use)), data.star[use])), (len(use), data.stars)
    )
    total = stars.T @ weight
    inverse = sparse.diags_array(1.0 / np.where(total > 0, total, 1.0))
    weighted = sparse.diags_array(weight) @ epochs
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


def _parts(data: _Data, use: NDArray[np.intp]) -> NDArray[np.intp]:
    """Number of the set of epochs, connected by constant stars, that each is in."""
    nodes = data.epochs + data.stars
    links = sparse.coo_array(
        (np.ones(len(use), np.int8), (data.epoch[use], data.epochs + data.star[use])),
        (nodes, nodes),
    )
    _, part = csgraph.connected_components(links, directed=False)
    _, number = np.unique(part[: data.epochs], return_inverse=True)
    return np.asarray(number, np.intp)


def _centred(data: _Data, use: NDArray[np.intp], solution: Array) -> Array:
    """Offsets with median 0 in each set of epochs that constant stars connect."""
    part = _parts(data, use)
    middle = group_quantile(solution[:, 0], part, int(part.max(initial=0)) + 1, 0.5)
    solution[:, 0] -= middle[part]
    return solution


def _offsets(data: _Data, slopes: Array) -> Array:
    return np.asarray((slopes[data.epoch] * data.terms).sum(axis=1))


def _residuals(data: _Data, usable: Flags, choice: _Choice, mag: Array) -> Array:
    """What is left of each magnitude without its star's mean, of what is not far off."""
    weight = 1.0 / choice.variance(data.err)
    calm = usable & choice.near & np.isfinite(mag)
    mean = group_mean(mag, np.where(calm, weight, 0.0), data.star, data.stars)
    middle = group_quantile(np.where(usable, mag, np.nan), data.star, data.stars, 0.5)
    mean = np.where(np.isfinite(mean), mean, middle)
    return np.where(usable, mag - mean[data.star], np.nan)


def _result(data: _Data, choice: _Choice) -> Ensemble:
    slopes, variance = _solve(data, choice)
    use = choice.near & choice.serves[data.star]
    own = np.sqrt((variance[data.epoch] * data.terms**2).sum(axis=1))
    mag = data.mag - _offsets(data, slopes)
    err = np.sqrt(choice.variance(data.err) + own**2)
    offset_err = np.where(np.isfinite(slopes[:, 0]), np.sqrt(variance[:, 0]), np.nan)
    return Ensemble(
        mag=mag,
        mag_err=np.where(np.isfinite(mag), err, np.nan),
        offset=slopes[:, 0],
        offset_err=offset_err,
        part=_parts(data, np.flatnonzero(use)),
        n_constant=np.bincount(data.epoch[use], minlength=data.epochs),
        constant=choice.constant,
        floor=choice.floor,
        scale=choice.scale,
    )
