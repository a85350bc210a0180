"""Zero points of many frames at once, from the stars that they share and from standards."""

from __future__ import annotations

__all__ = ["GlobalZeroPoints", "link_stars", "solve_zero_points"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.few_standards import FEW, right_standards
from reduction.steps.friends import friends, unit_vectors
from reduction.steps.photometry import intrinsic_scatter
from schemas.deferred import deferred

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import sparse
    from scipy.sparse import csgraph, linalg

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]
else:
    sparse = deferred("scipy.sparse")
    csgraph = deferred("scipy.sparse.csgraph")
    linalg = deferred("scipy.sparse.linalg")

#: Rounds with weights that fall off softly, then rounds with outliers left out.
_SOFT: Final = 12
_ROUNDS: Final = 10

#: Where Cauchy's weight is a half, in standard deviations (95 % efficient for normal errors).
_CAUCHY: Final = 2.385

#: Frames up to which the errors come from the whole inverse.
_DENSE: Final = 3000


@dataclass(frozen=True, slots=True)
class GlobalZeroPoints:
    """Zero points of frames, and what they rest on.

    Attributes
    ----------
    zero_points, errors
        mag, shape (n_frames,); NaN for frames that no chain of common stars ties to a standard.
        Errors are those that the measurements show, where these scatter by more than they say.
    scatter
        Of each frame's stars about the solution, mag; NaN with fewer than two.
    n_stars, n_standards
        Measurements that tie a frame to others, and standards on it, shape (n_frames,).
    magnitudes
        Of the stars, shape (n_stars,); NaN where not tied.
    used
        Which measurements were used, shape (n,).
    chi2
        Of the solution over its degrees of freedom, with the scatter given and the standards'.
    standard_scatter
        Scatter of the standards beyond their errors, mag.
    """

    zero_points: Array
    errors: Array
    scatter: Array
    n_stars: NDArray[np.intp]
    n_standards: NDArray[np.intp]
    magnitudes: Array
    used: NDArray[np.bool_]
    chi2: float
    standard_scatter: float


def link_stars(ra: Array, dec: Array, frame: Index, *, radius: float) -> Index:
    """Number the stars of which sources on several frames are measurements.

    Parameters
    ----------
    ra, dec
        Of the sources, degrees ICRS, shape (n,).
    frame
        Which frame each is on, shape (n,).
    radius
        Arcsec within which two sources of different frames are one star.

    Returns
    -------
    ndarray
        Number of the star, from 0, shape (n,); -1 for a source with none of another frame near,
        and for all of a chain that has two sources of one frame: what is one star there is not
        clear.
    """
    chord = 2.0 * math.sin(math.radians(radius / 3600.0) / 2.0)
    label = friends(unit_vectors(ra, dec), chord)
    size = np.bincount(label)
    order = np.lexsort((frame, label))
    twice = np.zeros(len(size), np.bool_)
    same = (label[order][1:] == label[order][:-1]) & (frame[order][1:] == frame[order][:-1])
    twice[label[order][1:][same]] = True
    good = (size > 1) & ~twice
    number = np.where(good, np.cumsum(good) - 1, -1)
    return np.asarray(number[label], dtype=np.intp)


def solve_zero_points(  # noqa: PLR0913  # measurements, standards, settings
    frame: Index,
    star: Index,
    magnitude: Array,
    error: Array,
    *,
    n_frames: int,
    standard: Array,
    standard_error: Array,
    floor: float = 0.005,
    clip: float = 4.0,
    usual: float = 0.05,
) -> GlobalZeroPoints:
    """Least squares for all frames' zero points and all stars' magnitudes together.

    Parameters
    ----------
    frame, star
        Of each measurement, shape (n,).
    magnitude, error
        Instrumental, ``-2.5 log10(flux / exptime)``, and its error, mag, shape (n,).
    n_frames
        Number of frames.
    standard, standard_error
        Magnitudes of the stars in a catalogue, shape (n_stars,); NaN where it has none.
    floor
        Error that is added to each measurement's and standard's, mag: flat field, colours.
    clip
        Measurements and standards further off, in units of their error, or of what most
        measurements show where that is more, are left out, from the solution with Cauchy's
        weights on.
    usual
        What good standards scatter beyond their errors, mag: of three to six standards, whose own
        scatter does not tell, those are left out that are wrong by that, in nine of ten cases.

    Notes
    -----
    Unknowns are Z_f and m_s in ``m_s - Z_f = magnitude`` and ``m_s = standard``. The stars are
    eliminated: what is solved is as large as there are frames, and sparse where few frames
    overlap. Frames through clouds need nothing of their own: their Z_f holds the clouds. The
    equations are those of Padmanabhan et al. 2008, ApJ 674, 1217, with a free zero point a frame.

    What standards scatter beyond their errors, by colours that nothing takes off for instance, is
    found from them, as for the zero point of one frame
    (:func:`reduction.steps.photometry.zero_point`): else the few that happen to agree, or have the
    smallest errors, would be the level of all, and the others outliers.
    """
    n_stars = len(standard)
    usable, weight = _weights(magnitude, error, floor)
    held, value = np.isfinite(standard), np.nan_to_num(standard)
    own = np.hypot(np.nan_to_num(standard_error), floor)
    share, trust, extra, limit = np.ones(len(weight)), np.ones(n_stars), 0.0, clip
    few: Array | None = None
    for step in range(_SOFT + _ROUNDS):
        tie = np.where(held, 1.0 / (own**2 + extra**2), 0.0)
        anchor = (tie * trust, value)
        zero, mags, _ = _solve(frame, star, magnitude, weight * share, anchor, n_frames)
        miss = np.abs(mags[star] - zero[frame] - magnitude) * np.sqrt(weight)
        off = np.abs(mags - value) * np.sqrt(tie)
        before, soft = (share, trust), step < _SOFT
        if soft:
            share, trust = _soft(miss, usable), _soft(off, held)
        else:
            limit = clip * _scale(miss, usable) if step == _SOFT else limit
            share = _hard(miss, share, limit)
            trust = _hard(off, trust, clip) if few is None else few
            if step > _SOFT and _is_same(before, (share, trust)):
                break
        sums = _photometric(star, zero[frame] + magnitude, weight * share, n_stars)
        extra = _extra(sums, value, own, held & ((trust > 0) | soft), robust=soft)
        few = _right(sums, value, own, held, usual) if soft else few
    used, trusted = usable & (share > 0), held & (trust > 0)
    off = np.where(trusted & np.isfinite(off), off, np.nan)
    shown = weight * share / max(_chi2(frame, star, miss, used), 1.0)
    errors = _solve(frame, star, magnitude, shown, anchor, n_frames)[2]
    solution = (zero, mags, errors)
    return _summary(frame, star, magnitude, weight, solution, used, trusted, off, extra)


def _weights(magnitude: Array, error: Array, floor: float) -> tuple[NDArray[np.bool_], Array]:
    """Which measurements can be used, and their inverse variances."""
    usable = np.isfinite(magnitude) & (error > 0)
    variance = np.where(usable, error, 1.0) ** 2 + floor**2
    return usable, np.where(usable, 1.0 / variance, 0.0)


def _right(
    sums: tuple[Array, Array],
    value: Array,
    own: Array,
    held: NDArray[np.bool_],
    usual: float,
) -> Array | None:
    """1 for the right ones of a few standards, 0 for others; None where they are not few."""
    mags, errors = sums
    known = held & np.isfinite(mags)
    if not 2 < known.sum() <= FEW:
        return None
    found = right_standards((mags - value)[known], np.hypot(own, errors)[known], usual)
    right = np.zeros(len(held))
    right[known] = found.likely
    return right


def _is_same(before: tuple[Array, Array], after: tuple[Array, Array]) -> bool:
    """Whether no measurement and no standard came or went."""
    return all((old == new).all() for old, new in zip(before, after, strict=True))


def _chi2(frame: Index, star: Index, miss: Array, used: NDArray[np.bool_]) -> float:
    """Of the measurements alone, over its degrees of freedom: pulls of stars on several frames.

    One constant is free for each part of the frames that common stars connect.
    """
    known = used & np.isfinite(miss)
    known &= np.bincount(star[known], minlength=int(star.max(initial=0)) + 1)[star] > 1
    frames, rows = np.unique(frame[known], return_inverse=True)
    stars, columns = np.unique(star[known], return_inverse=True)
    unknown = len(frames) + len(stars)
    link = np.ones(len(rows)), (rows, columns + len(frames))
    graph = sparse.coo_array(link, shape=(unknown, unknown))
    parts, _ = csgraph.connected_components(graph, directed=False)
    free = int(known.sum()) - unknown + parts
    return float((miss[known] ** 2).sum()) / free if free > 0 else 1.0


def _photometric(star: Index, values: Array, weight: Array, n_stars: int) -> tuple[Array, Array]:
    """Magnitudes of stars by the frames alone, and their errors; NaN where no frame is tied."""
    known = np.isfinite(values) & (weight > 0)
    weights = np.where(known, weight, 0.0)
    total = np.bincount(star, weights=weights, minlength=n_stars)
    summed = np.bincount(star, weights=weights * np.where(known, values, 0.0), minlength=n_stars)
    there = np.where(total > 0, total, np.nan)
    return summed / there, there**-0.5


def _extra(
    sums: tuple[Array, Array], value: Array, own: Array, held: NDArray[np.bool_], *, robust: bool
) -> float:
    """What standards scatter about their magnitudes by the frames beyond all errors, mag."""
    mags, errors = sums
    use = held & np.isfinite(mags)
    rest = (mags - value)[use]
    return intrinsic_scatter(rest, np.hypot(own, errors)[use], robust=robust)


def _summary(  # noqa: PLR0913, PLR0917  # the parts of a solution
    frame: Index,
    star: Index,
    magnitude: Array,
    weight: Array,
    solution: tuple[Array, Array, Array],
    used: NDArray[np.bool_],
    trusted: NDArray[np.bool_],
    off: Array,
    extra: float,
) -> GlobalZeroPoints:
    """Say what a solution rests on; ``off`` are the standards' pulls, NaN for other stars."""
    zero, mags, errors = solution
    tied = np.isfinite(zero)
    rest = mags[star] - zero[frame] - magnitude
    counted = used & np.isfinite(rest)
    several = np.bincount(star[counted], minlength=len(mags))
    useful = counted & ((several[star] > 1) | trusted[star])
    number = np.bincount(frame[useful], minlength=len(zero))
    scatter = np.sqrt(
        np.bincount(frame[useful], weights=rest[useful] ** 2, minlength=len(zero))
        / np.maximum(number - 1, 1)
    )
    chi2 = float((rest[counted] ** 2 * weight[counted]).sum()) + float(np.nansum(off**2))
    free = int(counted.sum() + np.isfinite(off).sum() - tied.sum() - np.isfinite(mags).sum())
    standards = useful & trusted[star]
    return GlobalZeroPoints(
        zero,
        errors,
        np.where(number > 1, scatter, np.nan),
        number.astype(np.intp),
        np.bincount(frame[standards], minlength=len(zero)).astype(np.intp),
        mags,
        used,
        chi2 / free if free > 0 else math.nan,
        extra,
    )


def _soft(miss: Array, known: NDArray[np.bool_]) -> Array:
    """Cauchy's weights, with the scale of most measurements while the solution settles."""
    scale = _scale(miss, known)
    return np.where(np.isfinite(miss), 1.0 / (1.0 + (miss / (_CAUCHY * scale)) ** 2), 1.0)


def _scale(miss: Array, known: NDArray[np.bool_]) -> float:
    """By how much most measurements are off in units of their errors, at least 1."""
    there = miss[known & np.isfinite(miss)]
    return max(1.0, 1.4826 * float(np.median(there))) if len(there) else 1.0


def _hard(miss: Array, share: Array, clip: float) -> Array:
    """1 within the limit and 0 beyond; as before where the star has lost all its measurements."""
    return np.where(
        np.isfinite(miss), np.where(miss > clip, 0.0, 1.0), np.where(share > 0, 1.0, 0.0)
    )


def _solve(
    frame: Index,
    star: Index,
    magnitude: Array,
    weight: Array,
    anchor: tuple[Array, Array],
    n_frames: int,
) -> tuple[Array, Array, Array]:
    """Zero points, magnitudes and the zero points' errors; NaN where not tied."""
    tie, value = anchor
    n_stars = len(tie)
    links = sparse.csr_array(sparse.coo_array((weight, (frame, star)), shape=(n_frames, n_stars)))
    of_star = np.asarray(links.sum(axis=0)).ravel() + tie
    of_frame = np.asarray(links.sum(axis=1)).ravel()
    tied = _tied(links, tie > 0)
    inverse = np.where(of_star > 0, 1.0 / np.where(of_star > 0, of_star, 1.0), 0.0)
    matrix = sparse.diags_array(of_frame) - links @ sparse.diags_array(inverse) @ links.T
    observed = np.where(weight > 0, weight * np.nan_to_num(magnitude), 0.0)
    right_star = np.bincount(star, weights=observed, minlength=n_stars) + tie * value
    right_frame = -np.bincount(frame, weights=observed, minlength=n_frames)
    right = right_frame + links @ (inverse * right_star)
    index = np.flatnonzero(tied)
    zero, errors = np.full(n_frames, np.nan), np.full(n_frames, np.nan)
    if len(index):
        part = sparse.csr_array(matrix)[index][:, index].tocsc()
        factors = linalg.splu(part)
        zero[index] = factors.solve(right[index])
        if len(index) <= _DENSE:
            variance = np.diagonal(factors.solve(np.eye(len(index))))
        else:
            variance = 1.0 / part.diagonal()
        errors[index] = np.sqrt(np.maximum(variance, 0.0))
    back = right_star + links.T @ np.nan_to_num(zero)
    mags = np.where(of_star > 0, inverse * back, np.nan)
    loose = np.asarray(links[np.flatnonzero(~tied)].sum(axis=0)).ravel() > 0
    mags[loose] = np.nan
    return zero, mags, errors


def _tied(links: sparse.csr_array, held: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Frames that a chain of common stars connects to a standard star."""
    n_frames, n_stars = links.shape
    pairs = links.tocoo()
    there = pairs.data > 0
    rows, columns = pairs.coords[0][there], pairs.coords[1][there] + n_frames
    size = n_frames + n_stars
    graph = sparse.coo_array((np.ones(len(rows)), (rows, columns)), shape=(size, size))
    _, label = csgraph.connected_components(graph, directed=False)
    return np.isin(label[:n_frames], label[n_frames:][held])
