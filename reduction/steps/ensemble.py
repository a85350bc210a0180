"""Relative photometry: what all stars of a frame have in common is not the stars'."""

from __future__ import annotations

__all__ = ["Ensemble", "relative_photometry"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.ensemble_fit import (
    FOLDS,
    Observed,
    chosen_orders,
    parts_of,
    solved,
    solved_apart,
)
from reduction.steps.ensemble_terms import Design, Orders, Surfaces
from reduction.steps.groups import group_mean, group_quantile
from schemas.deferred import deferred

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import optimize

    from reduction.steps.ensemble_fit import Solution

    Array = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Index = NDArray[np.intp]
    Numbers = NDArray[np.integer]
else:
    optimize = deferred("scipy.optimize")

_ROUNDS: Final = 12
_RAISES: Final = 3
_POLISHES: Final = 4
_REWEIGHTED: Final = 10

#: Change of offsets, in typical errors of a magnitude, below which a median polish can begin.
_SETTLED: Final = 0.1

_BINS: Final = 20
_IN_A_BIN: Final = 15
_FEW: Final = 0.1

#: Standard error of a median over that of a mean, of normal values; standard errors by which a
#: bin's errors are too large.
_MEDIAN: Final = 1.2533
_CERTAIN: Final = 4.0

#: Part of its variance that an observation's residual has at least, however much it serves.
_LEAST: Final = 0.05


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Magnitudes on which frames agree, and what each frame had to be given.

    Attributes
    ----------
    mag, mag_err
        Shape (n,): the observed magnitudes less what other stars say that they are too faint, and
        errors with the floor and the error of that. NaN where the epoch has no constant star.
    offset, offset_err
        Shape (epochs,): by how much the constant stars of an epoch are too faint on average, mag.
        Median 0 in each part. NaN where there is no constant star.
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
    orders
        Of the surfaces that the offsets follow.
    """

    mag: Array
    mag_err: Array
    offset: Array
    offset_err: Array
    part: Index
    n_constant: Index
    constant: Flags
    floor: float
    scale: float
    orders: Orders


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

    def used(self, star: Numbers) -> Index:
        """Observations that the offsets rest on."""
        return np.flatnonzero(self.near & self.serves[star])

    def same_as(self, other: _Choice) -> bool:
        """Whether the same observations serve."""
        return np.array_equal(self.near, other.near) and np.array_equal(self.serves, other.serves)


@dataclass(frozen=True, slots=True)
class _Search:
    """The observations, and by what those that serve are told from the others."""

    data: Observed
    err: Array
    usable: Flags
    floor: float | None
    sigma_clip: float
    min_epochs: int

    def fit(self, design: Design, choice: _Choice) -> Solution:
        """Offsets by what serves."""
        use = choice.used(self.data.star)
        return solved(self.data, design, use, 1.0 / choice.variance(self.err[use]))

    def settled(self, design: Design, choice: _Choice) -> _Choice:
        """What serves once it is told by the offsets that it gives itself."""
        for _ in range(_ROUNDS):
            rest, spent = self._residuals(self.fit(design, choice), choice)
            before, choice = choice, self.chosen(rest, spent)
            if choice.same_as(before):
                break
        return choice

    def _residuals(self, solution: Solution, choice: _Choice) -> tuple[Array, Array]:
        """What is left of magnitudes without their star's mean, and the variance it lacks.

        Of observations that the offsets rest on a part of the noise is in the offsets; others
        have the offsets' noise besides their own.
        """
        data = self.data
        mag = data.mag - solution.offset()
        weight = 1.0 / choice.variance(self.err)
        calm = self.usable & choice.near & np.isfinite(mag)
        mean = group_mean(mag, np.where(calm, weight, 0.0), data.star, data.stars)
        middle = group_quantile(np.where(self.usable, mag, np.nan), data.star, data.stars, 0.5)
        mean = np.where(np.isfinite(mean), mean, middle)
        spent = np.zeros(len(mag))
        some = np.flatnonzero(self.usable)
        spent[some] = solution.variance(some)
        spent[~(choice.near & choice.serves[data.star])] *= -1.0
        return np.where(self.usable, mag - mean[data.star], np.nan), spent

    def chosen(self, rest: Array, spent: Array) -> _Choice:
        """What serves, by residuals and the variance that these lack."""
        star, stars = self.data.star, self.data.stars
        scale, floor = 1.0, self.floor
        if floor is None:
            scale, floor = self._noise(rest, spent)
        error = np.hypot(scale * self.err, floor)
        lacks = np.maximum(error**2 - spent, _LEAST * error**2)
        pull = rest / np.sqrt(lacks)
        near = self.usable & (np.abs(pull) <= self.sigma_clip)
        number = np.bincount(star[near], minlength=stars)
        far = np.bincount(star[self.usable & ~near], minlength=stars)
        chi2 = np.bincount(star[near], pull[near] ** 2, stars)
        freedom = np.maximum(number - 1, 1)
        calm = chi2 <= freedom + self.sigma_clip * np.sqrt(2.0 * freedom)
        enough = np.bincount(star[self.usable], minlength=stars) >= self.min_epochs
        constant = enough & calm & (far <= np.maximum(1, _FEW * number))
        return _Choice(near, constant, constant if constant.any() else enough, floor, scale)

    def _noise(self, rest: Array, spent: Array) -> tuple[float, float]:
        """Scale of the errors, at least 1, and error beside them, of stars that do not vary.

        Stars are ordered by their typical error. In each of some bins the median of their
        variances says how much most scatter; ``variance = (scale err)^2 + floor^2`` is fitted.
        Bins whose errors are certainly too large - what is unseen beneath a faint star stays
        with it from frame to frame - say nothing of the floor.
        """
        star, stars = self.data.star, self.data.stars
        width = 1.4826 * group_quantile(np.abs(rest), star, stars, 0.5)
        taken = np.isfinite(rest)
        taken[taken] = np.abs(rest[taken]) <= self.sigma_clip * np.maximum(
            width[star[taken]], self.err[taken]
        )
        star = star[taken]
        number = np.bincount(star, minlength=stars)
        known = np.flatnonzero(number > 1)
        if len(known) == 0:
            return 1.0, 0.0
        freedom = number[known] - 1.0
        total = np.bincount(star, (rest**2 + spent)[taken], stars)[known]
        square = np.maximum(total, 0.0) / freedom
        square /= (1.0 - 2.0 / (9.0 * freedom)) ** 3  # its median is that of chi-square
        error = np.bincount(star, self.err[taken] ** 2, stars)[known] / number[known]
        parts = np.array_split(np.argsort(error), min(_BINS, max(len(error) // _IN_A_BIN, 1)))
        seen, said = (np.array([np.median(of[part]) for part in parts]) for of in (square, error))
        doubt = _MEDIAN * np.sqrt([2.0 / freedom[part].sum() for part in parts])
        return _line(seen, said, doubt)


def relative_photometry(
    star: Numbers,
    epoch: Numbers,
    mag: Array,
    err: Array,
    *,
    surfaces: Surfaces | None = None,
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
    surfaces
        What offsets may follow, as far as stars that are left out of the solution agree better
        for it (:func:`reduction.steps.ensemble_fit.chosen_orders`): a surface over the field in
        each epoch, and one over the chip that its epochs share. Offsets are one number where not
        given.
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
    Median polish first, then weighted least squares in all stars and epochs at once, repeated
    without what varies. At last each fifth of the constant stars is freed from what the others
    say: no star has a part in its own offsets, and its variation is left as it is. Epochs that no
    constant star connects with the others have offsets of an origin of their own.
    """
    stars, epochs = int(np.max(star, initial=-1)) + 1, int(np.max(epoch, initial=-1)) + 1
    surfaces = Surfaces.none(len(mag)) if surfaces is None else surfaces
    usable = np.isfinite(mag) & (err > 0) & surfaces.known
    data = Observed(star, epoch, mag, stars, epochs)
    search = _Search(data, err, usable, floor, sigma_clip, min_epochs)
    design = Design.of(surfaces, data, Orders(), np.flatnonzero(usable))
    choice = search.chosen(*_polished(data, err, usable, design))
    choice = search.settled(design, choice)
    for _ in range(_RAISES):
        use = choice.used(star)
        asked = chosen_orders(data, surfaces, use, 1.0 / choice.variance(err[use]))
        raised = Orders(*np.maximum(asked, design.orders).tolist())
        if raised == design.orders:
            break
        design = Design.of(surfaces, data, raised, use)
        choice = search.settled(design, choice)
    return _result(search, design, choice)


def _polished(data: Observed, err: Array, usable: Flags, design: Design) -> tuple[Array, Array]:
    """Residuals of a median polish of stars and epochs, NaN where not usable; what they lack.

    They have the variance of the epoch's median, of values with different errors, besides their
    own: less than nothing is lacking. The polish begins at :func:`_absolute`: where half of the
    stars are seen on some epochs only, medians by turns stay where they are.
    """
    rest = np.where(
        usable, data.mag - _absolute(data, err, np.flatnonzero(usable), design), np.nan
    )
    for _ in range(_POLISHES):
        for group, count in ((data.star, data.stars), (data.epoch, data.epochs)):
            rest = rest - group_quantile(rest, group, count, 0.5)[group]
    some = data.epoch[usable]
    number = np.bincount(some, minlength=data.epochs)
    density = np.bincount(some, 1.0 / err[usable], data.epochs)
    variance = 0.5 * np.pi * number / np.where(number > 0, density, 1.0) ** 2
    return rest, -variance[data.epoch]


def _absolute(data: Observed, err: Array, use: Index, design: Design) -> Array:
    """Offsets of observations by the least sum of absolute residuals, of stars and epochs at once.

    By least squares that are weighted again; residuals below their error count as squares.
    """
    weight, star = np.ones(len(use)), data.star[use]
    offset, enough = np.zeros(len(data.mag)), _SETTLED * np.median(err[use]) if len(use) else 0.0
    for _ in range(_REWEIGHTED):
        before, offset = offset, solved(data, design, use, weight).offset()
        if np.abs(offset - before)[use].max(initial=0.0) < enough:
            break
        rest = (data.mag - offset)[use]
        rest -= group_mean(rest, weight, star, data.stars)[star]
        weight = 1.0 / np.maximum(np.abs(rest), err[use])
    return offset


def _line(seen: Array, said: Array, doubt: Array) -> tuple[float, float]:
    """Scale and floor of ``seen = scale^2 said + floor^2``, from variances of bins of stars.

    What was seen is known to a part of itself, ``doubt``.
    """
    if not (seen > 0).all():
        return 1.0, 0.0
    weight = 1.0 / np.maximum(seen, said)
    if len(seen) > 2:  # two unknowns need more
        (scale2, floor2), _ = optimize.nnls(
            np.stack((said * weight, weight), axis=1), seen * weight
        )
        if scale2 > 1.0:
            return float(np.sqrt(scale2)), float(np.sqrt(floor2))
    tells = said - seen <= _CERTAIN * doubt * said
    floor2 = np.average(seen - said, weights=weight**2 * tells) if tells.any() else 0.0
    return 1.0, float(np.sqrt(max(floor2, 0.0)))


def _result(search: _Search, design: Design, choice: _Choice) -> Ensemble:
    data, use = search.data, choice.used(search.data.star)
    weight = 1.0 / choice.variance(search.err[use])
    whole = solved(data, design, use, weight)
    offset, own = whole.offset(), whole.variance(np.arange(len(data.mag)))
    for fold, apart in solved_apart(data, design, use, weight):
        mine = np.flatnonzero(choice.serves[data.star] & (data.star % FOLDS == fold))
        offset[mine], own[mine] = apart.offset(mine), apart.variance(mine)
    level, variance = whole.of_epochs(use, data.epoch)
    n_constant = np.bincount(data.epoch[use], minlength=data.epochs)
    level = np.where(n_constant > 0, level, np.nan)
    part = parts_of(data, use)
    middle = group_quantile(level, part, int(part.max(initial=0)) + 1, 0.5)[part]
    known = search.usable & (n_constant > 0)[data.epoch]
    mag = np.where(known, data.mag - offset + middle[data.epoch], np.nan)
    return Ensemble(
        mag=mag,
        mag_err=np.where(known, np.sqrt(choice.variance(search.err) + own), np.nan),
        offset=level - middle,
        offset_err=np.where(n_constant > 0, np.sqrt(np.maximum(variance, 0.0)), np.nan),
        part=part,
        n_constant=n_constant,
        constant=choice.constant,
        floor=choice.floor,
        scale=choice.scale,
        orders=design.orders,
    )
