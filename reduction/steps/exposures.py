"""Zero points of exposures from those of their chips."""

from __future__ import annotations

__all__ = ["Exposures", "exposure_zero_points", "frame_errors"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from schemas.deferred import deferred

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy import sparse
    from scipy.sparse import csgraph

    Array = NDArray[np.float64]
else:
    sparse = deferred("scipy.sparse")
    csgraph = deferred("scipy.sparse.csgraph")

_ROUNDS: Final = 10

#: Stars further from their frame's median, in units of the scatter, are not part of it.
_FAR: Final = 4.0

#: Smallest error of a frame's zero point, mag.
_LEAST: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Exposures:
    """Zero points of exposures, chips being alike.

    Attributes
    ----------
    zero_points, errors
        mag, by exposure: of the mean of the chips. Errors are of the stars alone; what the
        chips of an exposure share, its transparency, is not in them.
    group
        Exposures of one number have chips that tie them to each other, shape (n,).
    """

    zero_points: Array
    errors: Array
    group: NDArray[np.intp]


def exposure_zero_points(
    zero_points: Array,
    errors: Array,
    exposure: NDArray[np.integer],
    chip: NDArray[np.integer],
) -> Exposures:
    """Give each exposure one zero point, whatever chips of it have stars.

    Parameters
    ----------
    zero_points, errors
        Of frames (a chip of an exposure each), mag, shape (n,), finite and positive errors.
    exposure, chip
        0, 1 ...: of the frames, shape (n,), no number left out.

    Notes
    -----
    Least squares of ``z = a(chip) + b(exposure)``, the mean of a being 0 in each group, weights
    falling off with distance. Clouds and the air's water are common to all chips: 32 chips do not
    measure them 32 times.
    """
    number, chips = (int(which.max()) + 1 for which in (exposure, chip))
    links = sparse.coo_array(
        (np.ones(len(exposure)), (exposure, number + chip)), shape=(number + chips,) * 2
    )
    _, group = csgraph.connected_components(links, directed=False)
    design = np.hstack((np.eye(number)[exposure], np.eye(chips)[chip]))
    kinds = np.unique(group)
    gauge = np.zeros((len(kinds), number + chips))
    gauge[:, number:] = group[number:] == kinds[:, None]
    share = np.ones(len(zero_points))
    for _ in range(_ROUNDS):
        weight = share / errors**2
        normal = design.T @ (weight[:, None] * design)
        # weights of the gauge like the data's: it is exact, since nothing speaks against it
        normal += weight.mean() * gauge.T @ gauge
        best = np.linalg.solve(normal, design.T @ (weight * zero_points))
        miss = np.abs(zero_points - design @ best) / errors
        scale = max(1.4826 * float(np.median(miss)), 1.0)
        share = 1.0 / (1.0 + (miss / (3.0 * scale)) ** 2)
    covariance = np.linalg.inv(normal)[:number, :number]
    return Exposures(best[:number], np.sqrt(np.diag(covariance)), group[:number].astype(np.intp))


def frame_errors(stars: Sequence[tuple[Array, Array]]) -> Array:
    """Errors of the medians of frames' stars.

    Parameters
    ----------
    stars
        Of each frame: zero points of its stars and their stated errors, mag, at least one star.

    Returns
    -------
    ndarray
        mag, shape (n,).

    Notes
    -----
    The scatter is that of all frames together, or the stars' stated errors where those are
    larger: of three stars, two may agree by chance to any accuracy.
    """
    misses = [z - np.median(z) for z, _ in stars]
    number = np.array([len(z) for z, _ in stars])
    stated = np.array([float(np.mean(error**2)) for _, error in stars])
    free = int((number - 1).sum())
    scatter = np.concatenate(misses) ** 2
    pooled = float(scatter.sum()) / free if free else 0.0
    near = scatter <= _FAR**2 * pooled
    pooled = float(scatter[near].sum()) / max(free - int((~near).sum()), 1)
    # of a median: of one or two stars it is the mean
    of_median = np.where(number > 2, np.pi / 2.0, 1.0)
    error = np.sqrt(of_median * np.maximum(stated, pooled) / number)
    return np.asarray(np.maximum(error, _LEAST), np.float64)
