"""Terms that zero points may vary by over a focal plane: a polynomial's, and round ones."""

from __future__ import annotations

__all__ = ["FocalTerms"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.surface import Surface, powers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

#: Gauss's nodes a side of a chip: exact for squares of polynomials up to degree 8.
_NODES: Final = 9


@dataclass(frozen=True, slots=True)
class FocalTerms:
    """What is fitted: each term is some coefficients of a polynomial over the box of all chips.

    Attributes
    ----------
    corners
        Of the chips, shape (chips, 2, 4).
    box
        x0, y0, half_x, half_y that the polynomial's coordinates are scaled with.
    columns
        Coefficients (but the constant) of each term, shape (coefficients, k).
    steps
        How many of the terms there are with each degree, from none to all.
    """

    corners: Array
    box: tuple[float, float, float, float]
    columns: Array
    steps: tuple[int, ...]

    @classmethod
    def of(
        cls, chips: Mapping[str, tuple[Array, Array]], degree: int, round_degree: int = 0
    ) -> FocalTerms:
        """All terms of a polynomial, then even powers of the distance from the middle.

        Parameters
        ----------
        chips
            Places of each chip's corners, shape (4,) each.
        degree
            Of the polynomial.
        round_degree
            Highest power of the distance; those up to ``degree`` are among the polynomial's.
        """
        corners = np.stack([np.stack(places) for places in chips.values()])
        low, high = corners.min(axis=(0, 2)), corners.max(axis=(0, 2))
        (x, y), (half_x, half_y) = (low + high) / 2.0, np.maximum((high - low) / 2.0, 1e-12)
        box = float(x), float(y), float(half_x), float(half_y)
        beyond = range(degree // 2 + 1, round_degree // 2 + 1)
        number = len(powers(max(degree, 2 * max(beyond, default=0)))) - 1
        plain = np.eye(number)[:, : len(powers(degree)) - 1]
        columns = [plain, *(_round(power, box, number) for power in beyond)]
        steps = [len(powers(total)) - 1 for total in range(degree + 1)]
        steps += [steps[-1] + extra + 1 for extra in range(len(beyond))]
        return cls(corners, box, np.hstack(columns), tuple(steps))

    @property
    def degree(self) -> int:
        """Of the polynomial whose coefficients the terms are."""
        return Surface((0.0,) * (len(self.columns) + 1), *self.box).degree

    def terms(self, u: Array, v: Array) -> Array:
        """Values at places, as the last axis."""
        blank = Surface((0.0,) * (len(self.columns) + 1), *self.box)
        return np.asarray(blank.design(u, v)[..., 1:] @ self.columns)

    def first(self, number: int) -> FocalTerms:
        """The first terms alone."""
        columns = self.columns[:, :number]
        last = int(np.flatnonzero(columns.any(axis=1)).max(initial=-1))
        total = next(d for d in range(last + 2) if len(powers(d)) > last + 1)
        steps = tuple(step for step in self.steps if step <= number)
        return FocalTerms(self.corners, self.box, columns[: len(powers(total)) - 1], steps)

    def surface(self, slopes: Array) -> Surface:
        """The polynomial that is 0 in the mean over all chips."""
        mean = float((self.means()[0] @ slopes).mean())
        return Surface((-mean, *map(float, self.columns @ slopes)), *self.box)

    def means(self) -> tuple[Array, Array]:
        """Means of terms over each chip, shape (chips, k), and of products, (chips, k, k)."""
        nodes, share = np.polynomial.legendre.leggauss(_NODES)
        s, t = np.meshgrid((nodes + 1.0) / 2.0, (nodes + 1.0) / 2.0)
        weights = np.stack([(1 - s) * (1 - t), s * (1 - t), s * t, (1 - s) * t]).reshape(4, -1)
        u, v = (self.corners[:, axis] @ weights for axis in (0, 1))
        terms, part = self.terms(u, v), np.outer(share, share).ravel() / 4.0
        products = np.einsum("g,cgi,cgj->cij", part, terms, terms)
        return np.einsum("g,cgi->ci", part, terms), products


def _round(power: int, box: tuple[float, float, float, float], number: int) -> Array:
    """Coefficients of the squared distance, 1 at the box's farther side, to a power."""
    _, _, half_x, half_y = box
    longer = max(half_x, half_y)
    of_u, of_v = (half_x / longer) ** 2, (half_y / longer) ** 2
    order, column = powers(2 * power), np.zeros((number, 1))
    for k in range(power + 1):
        place = order.index((2 * (power - k), 2 * k)) - 1
        column[place] = math.comb(power, k) * of_u ** (power - k) * of_v**k
    return column
