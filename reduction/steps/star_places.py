"""Places that exposures and a catalogue give for stars, and those that contradict the rest."""

from __future__ import annotations

__all__ = ["StarPlaces"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Mask = NDArray[np.bool_]

_LOOKS: Final = 20


@dataclass(frozen=True, slots=True)
class StarPlaces:
    """What is known of where stars are, as offsets from a place near each, arcsec.

    Attributes
    ----------
    star
        Number of each detection's star, shape (n,); no star has two of one exposure.
    offsets, variance
        Of the detections, shapes (n, 2), (n,): arcsec, arcsec2 of one coordinate.
    wanted, catalogue
        Of the catalogue's stars, shape (m, 2), NaN for none; and their variance, arcsec2.
    first, loose
        Of the first guesses, shape (m, 2), which keep what has no reference star; and their
        variance, arcsec2.
    """

    star: NDArray[np.intp]
    offsets: Array
    variance: Array
    wanted: Array
    catalogue: float
    first: Array
    loose: float

    def means(self, kept: Mask, told: Mask) -> tuple[Array, Array]:
        """Weighted mean place of each star by what is kept, (m, 2), and its weight, (m,)."""
        number = len(self.wanted)
        weights = np.where(kept, 1.0 / self.variance, 0.0)
        given, rest = (
            np.where(told, 1.0 / self.catalogue, 0.0),
            np.where(told, 0.0, 1 / self.loose),
        )
        total = given + rest
        total += np.bincount(self.star, weights, minlength=number)
        mean = [
            np.bincount(self.star, weights * self.offsets[:, k], minlength=number)
            + given * np.nan_to_num(self.wanted[:, k])
            + rest * self.first[:, k]
            for k in (0, 1)
        ]
        return np.asarray(np.stack(mean, axis=-1) / total[:, np.newaxis]), total

    def pulls(self, kept: Mask, told: Mask) -> tuple[Array, Array]:
        """Chi squared, a coordinate, of what is kept against the star's other places.

        Of detections (n,) and of the catalogue's (m,); 0 where there is no other place, or it is
        out already.
        """
        mean, total = self.means(kept, told)
        several = (self.number(kept, told) > 1)[self.star] & kept
        rest = np.mean((self.offsets - mean[self.star]) ** 2, axis=1)
        rest /= np.maximum(self.variance - 1.0 / total[self.star], 1e-12)
        far = np.mean((mean - np.where(told[:, np.newaxis], self.wanted, mean)) ** 2, axis=1)
        far /= np.maximum(self.catalogue - 1.0 / total, 1e-12)
        return np.where(several, rest, 0.0), np.where(self.number(kept, told) > 1, far, 0.0)

    def number(self, kept: Mask, told: Mask) -> NDArray[np.intp]:
        """How many places of each star are kept, the catalogue's too."""
        found = np.bincount(self.star, kept, len(self.wanted)) + told
        return np.asarray(found, np.intp)

    def without_discrepant(self, kept: Mask, told: Mask, clip: float) -> tuple[Mask, Mask]:
        """Leave out what is far off: of each star the worst place, and again without it.

        Parameters
        ----------
        kept, told
            Detections (n,) and places of the catalogue (m,) to begin with.
        clip
            Standard deviations of a place from the mean of the star's others.

        Returns
        -------
        tuple of ndarray
            What is kept. Of two places that contradict each other one may be left: alone it says
            nothing, and neither is to be used.

        Notes
        -----
        One at a time, since a place that is off by d moves the mean of three by d / 3, and by
        that the good ones seem off as well.
        """
        kept, told = kept.copy(), told.copy()
        for _ in range(_LOOKS):
            chi2, far = self.pulls(kept, told)
            worst = np.zeros(len(far))
            np.maximum.at(worst, self.star, chi2)
            limit = np.maximum(np.maximum(worst, far), clip**2)
            out = kept & (chi2 >= limit[self.star])
            wrong = told & (far >= limit) & (far > worst)
            if not (out.any() or wrong.any()):
                break
            kept &= ~out
            told &= ~wrong
        return kept, told
