"""The polynomial by which a camera's plane differs from the tangent plane (FITS' TPV)."""

from __future__ import annotations

__all__ = ["DEGREE", "EXPONENTS", "Distortion", "basis"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

#: Highest degree that is fitted and written.
DEGREE: Final = 3

#: Powers (of the first coordinate, of the second) of each term, by degree.
EXPONENTS: Final = (
    *((0, 0), (1, 0), (0, 1)),
    *((2, 0), (1, 1), (0, 2)),
    *((3, 0), (2, 1), (1, 2), (0, 3)),
)
#: Number that TPV gives each of these terms; 3 is the radius, which no smooth camera has.
_NUMBERS: Final = (0, 1, 2, 4, 5, 6, 7, 8, 9, 10)
_SWAPPED: Final = tuple(EXPONENTS.index((j, i)) for i, j in EXPONENTS)
_ROUNDS: Final = 20
_CLOSE_DEG: Final = 1e-14
_FOLDED: Final = 0.1


def basis(x: Array, y: Array, degree: int = DEGREE) -> Array:
    """Terms x^i y^j up to a degree, in the order of :data:`EXPONENTS`, shape (n, terms)."""
    one = np.ones_like(x)
    terms = [one, x, y]
    if degree > 1:
        terms += [x * x, x * y, y * y]
    if degree > 2:
        terms += [x**3, x * x * y, x * y * y, y**3]
    return np.stack(terms[: (degree + 1) * (degree + 2) // 2], axis=-1)


@dataclass(frozen=True, slots=True)
class Distortion:
    """Polynomials of degree 3 on the tangent plane, degrees to degrees.

    Attributes
    ----------
    xi, eta
        Ten coefficients each of the standard coordinates as polynomials in the intermediate world
        coordinates, terms as in :data:`EXPONENTS`; units are powers of a degree.

    Notes
    -----
    The TPV convention of the registry of FITS conventions, terms 0 to 10 without the radius: what
    Astro-WISE's PV1_0..10 and SCAMP write, and SWarp, SCAMP, wcslib and astropy read.
    """

    xi: tuple[float, ...]
    eta: tuple[float, ...]

    @classmethod
    def from_pv(cls, cards: Mapping[str, float | str]) -> Self | None:
        """Read PV cards; None where they are those of a plain tangent plane.

        Raises
        ------
        ValueError
            If a term is of higher degree, or of the radius, and not 0; says which.
        """
        for keyword, value in cards.items():
            axis, _, number = keyword.removeprefix("PV").partition("_")
            if not keyword.startswith("PV") or axis not in ("1", "2"):
                continue
            if int(number) not in _NUMBERS and float(value) != 0.0:
                raise ValueError(keyword)
        xi, eta = (
            [float(cards.get(f"PV{axis}_{n}", float(n == 1))) for n in _NUMBERS] for axis in (1, 2)
        )
        found = cls(tuple(xi), tuple(eta[index] for index in _SWAPPED))
        return None if found == cls.none() else found

    @classmethod
    def none(cls) -> Self:
        """The tangent plane itself."""
        return cls((0.0, 1.0, *[0.0] * 8), (0.0, 0.0, 1.0, *[0.0] * 7))

    @property
    def flat(self) -> bool:
        """Whether a plane stays one in the middle: a TPV's, not the pole of a plain TAN's."""
        (_, a, b, *_), (_, c, d, *_) = self.xi, self.eta
        return a * d != b * c

    def to_pv(self) -> dict[str, float]:
        """Cards PV1_0 ... PV2_10; the second axis' terms have the coordinates swapped."""
        eta = [self.eta[index] for index in _SWAPPED]
        first = {f"PV1_{n}": value for n, value in zip(_NUMBERS, self.xi, strict=True)}
        return first | {f"PV2_{n}": value for n, value in zip(_NUMBERS, eta, strict=True)}

    def apply(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Intermediate world coordinates to standard coordinates, degrees."""
        terms = basis(x, y)
        return np.asarray(terms @ np.array(self.xi)), np.asarray(terms @ np.array(self.eta))

    def invert(self, xi: Array, eta: Array) -> tuple[Array, Array]:
        """Standard coordinates to intermediate world coordinates: the inverse of :meth:`apply`.

        Newton's method, to the last digits. NaN where it finds nothing, or where the polynomial
        folds back: far outside the frame that it was fitted to.
        """
        a, b = np.array(self.xi), np.array(self.eta)
        x, y = np.array(xi, np.float64), np.array(eta, np.float64)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for _ in range(_ROUNDS):
                terms = basis(x, y)
                dx, dy = xi - terms @ a, eta - terms @ b
                across, along = _slopes(x, y)
                a1, a2, b1, b2 = across @ a, along @ a, across @ b, along @ b
                determinant = a1 * b2 - a2 * b1
                step = (b2 * dx - a2 * dy) / determinant, (a1 * dy - b1 * dx) / determinant
                x, y = x + step[0], y + step[1]
                done = np.maximum(np.abs(step[0]), np.abs(step[1])) <= _CLOSE_DEG + 1e-15 * (
                    np.abs(x) + np.abs(y)
                )
                if done.all():
                    break
            near = np.maximum(np.abs(step[0]), np.abs(step[1])) < 1e-11
            good = near & (determinant > _FOLDED)
        return np.where(good, x, np.nan), np.where(good, y, np.nan)


def _slopes(x: Array, y: Array) -> tuple[Array, Array]:
    """Derivatives of the terms of :func:`basis` by x and by y, each of shape (n, 10)."""
    zero, one = np.zeros_like(x), np.ones_like(x)
    across = (zero, one, zero, 2 * x, y, zero, 3 * x * x, 2 * x * y, y * y, zero)
    along = (zero, zero, one, zero, x, 2 * y, zero, x * x, 2 * x * y, 3 * y * y)
    return np.stack(across, axis=-1), np.stack(along, axis=-1)
