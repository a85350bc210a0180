"""Which of a few standard stars is wrong: more than they say themselves has to be known."""

from __future__ import annotations

__all__ = ["FEW", "FewStandards", "right_standards"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from schemas.deferred import deferred

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import special

    Array = NDArray[np.float64]
else:
    special = deferred("scipy.special")

#: Up to how many stars are few: with more their own scatter tells.
FEW: Final = 6

#: Part of standards that are wrong - variable, blended, another star - and the range, mag, over
#: which these are off by anything.
_WRONG: Final = 0.05
_RANGE: Final = 1.0

#: Probability of being wrong above which a star is left out.
_SURE: Final = 0.9

#: Scatters that stand for all that are likely.
_NODES: Final = 24


@dataclass(frozen=True, slots=True)
class FewStandards:
    """How probable it is that these and no other stars are what the catalogue says.

    Attributes
    ----------
    good
        Choices of good ones, all but none, shape (choices, n).
    chance
        Of each choice, shape (choices,).
    """

    good: NDArray[np.bool_]
    chance: Array

    @property
    def wrong(self) -> Array:
        """Probability that each star is wrong, shape (n,)."""
        return np.asarray(1.0 - self.chance @ self.good, np.float64)

    @property
    def likely(self) -> NDArray[np.bool_]:
        """Which are not wrong in nine of ten cases, shape (n,): at least one."""
        return self.wrong <= _SURE

    def doubt(self, used: NDArray[np.bool_]) -> float:
        """Probability that one of some stars is wrong, shape (n,)."""
        return float(self.chance[~self.good[:, used].all(axis=1)].sum())


def right_standards(zero_points: Array, errors: Array, usual: float) -> FewStandards:
    """Weigh which of a few stars are what the catalogue says.

    Parameters
    ----------
    zero_points, errors
        Of the stars, mag, shape (n,), n from 1 to :data:`FEW`, finite.
    usual
        What good standards scatter beyond their errors, mag: half a normal distribution of it is
        what is known beforehand.

    Notes
    -----
    Three stars of which one is off by 0.5 mag are, by themselves, as well three of a scatter of
    0.3. That standards of one frame never scatter so is known from all others, and tells. Each
    star is good or wrong (one in twenty, by anything within half a magnitude); all choices of good
    ones are summed over their zero point and scatter, as Press 1997, astro-ph/9604126, does for
    measurements of which some are wrong.
    """
    count = len(zero_points)
    good = (np.arange(1, 2**count)[:, None] >> np.arange(count)) & 1
    scatter = usual * special.ndtri(0.5 + (np.arange(_NODES) + 0.5) / (2 * _NODES))
    weight = 1.0 / (np.maximum(errors, 1e-6) ** 2 + scatter[:, None] ** 2)
    z = zero_points - np.median(zero_points)
    total = good @ weight.T
    mean = good @ (weight * z).T / total
    chi2 = good @ (weight * z**2).T - total * mean**2
    log = 0.5 * (good @ np.log(weight / (2.0 * np.pi)).T - np.log(total / (2.0 * np.pi)) - chi2)
    number = good.sum(axis=1)
    log += (number * np.log(1.0 - _WRONG) + (count - number) * np.log(_WRONG / _RANGE))[:, None]
    chance = np.exp(log - log.max()).sum(axis=1)
    return FewStandards(good > 0, np.asarray(chance / chance.sum(), np.float64))
