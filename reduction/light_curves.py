"""Magnitudes of a field's stars, gathered from its source lists and brought to one level."""

from __future__ import annotations

__all__ = ["SEEN_DTYPE", "Curves", "FluxKind", "gathered", "levelled", "median"]

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from reduction.frame_keys import frame_key
from reduction.steps.associate import AssociateFlag, mean_position
from reduction.steps.ensemble import Ensemble, relative_photometry
from reduction.steps.ensemble_terms import Orders, Surfaces
from reduction.steps.groups import group_quantile
from reduction.targets.associate_list import list_numbers
from reduction.zero_points import field_magnitudes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from reduction.progenitor import Progenitor

    Array = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Index = NDArray[np.intp]

#: Observations: ``mag`` calibrated, in the aperture; ``aperture`` and ``psf`` instrumental, mag.
SEEN_DTYPE: Final = np.dtype(
    [(name, "f8") for name in ("ra", "dec", "x", "y", "mjd", "mag")]
    + [(name + end, "f8") for name in ("aperture", "psf") for end in ("", "_err")]
    + [(name, "i8") for name in ("association", "list", "chip", "source_number", "flags")]
)
_MAG: Final = 2.5 / np.log(10.0)

#: Frames of a star, and part of those with an aperture's flux that have one by the psf as well,
#: that it takes to compare the two; such stars, and standard errors by which they have to scatter
#: less by the psf.
_FRAMES: Final = 5
_MOST: Final = 0.9
_TOLD: Final = 10
_CERTAIN: Final = 4.0


class FluxKind(StrEnum):
    """By which fluxes light curves are made."""

    APERTURE = "aperture"
    PSF = "psf"
    BEST = "best"
    """In the aperture; by the psf from the brightness on where constant stars scatter less so."""


@dataclass(frozen=True, slots=True)
class Curves:
    """Light curves of a field and what they are freed from.

    Attributes
    ----------
    seen
        Observations, structured, shape (n,).
    stars, star
        Numbers of the associations, shape (stars,), and which of them each observation is of.
    found
        Relative magnitudes and the offsets of frames.
    by_psf
        Shape (stars,): whether the star's fluxes are by the point spread function.
    psf_from
        Instrumental magnitude from which on they are; NaN where none is.
    level
        Shape (parts,): what is to be added, mag; NaN for parts without a zero point, but 0 for
        all where no frame has one.
    zero_point
        Median of what is added in the epochs that have an offset; NaN where no frame has a zero
        point.
    """

    seen: NDArray[Any]
    stars: NDArray[np.int64]
    star: Index
    found: Ensemble
    by_psf: Flags
    psf_from: float
    level: Array
    zero_point: float


def gathered(
    lists: Sequence[Progenitor],
    associations: Progenitor,
    scale: Progenitor | None,
    *,
    mask: int,
) -> NDArray[Any]:
    """All magnitudes of associated stars that have none of some flags.

    Parameters
    ----------
    lists, associations, scale
        The field's SourceLists of a band, its AssociateList and its GPhotometric of the band.
    mask
        Bits of SourceFlag.
    """
    members, numbers = associations.rows, list_numbers(associations)
    members = members[(members["flag"] & AssociateFlag.REPEATED) == 0]
    chips = sorted({(one.instrument, one.chip) for one in lists})
    parts = []
    for number, one in enumerate(lists):
        mine = members[members["list"] == numbers.get(frame_key(one), -1)]
        part = _seen(one, mine, scale)
        part["list"], part["chip"] = number, chips.index((one.instrument, one.chip))
        parts.append(part)
    seen = np.concatenate(parts)
    kept: NDArray[Any] = seen[(seen["flags"] & mask) == 0]
    return kept


def _seen(one: Progenitor, members: NDArray[Any], scale: Progenitor | None) -> NDArray[Any]:
    rows = one.rows[members["source_number"]]
    seen = np.zeros(len(rows), SEEN_DTYPE)
    for name in ("ra", "dec", "x", "y", "flags"):
        seen[name] = rows[name]
    seen["mag"], _ = field_magnitudes(scale, one, rows)
    for kind, name in (("aperture", "flux"), ("psf", "flux_psf")):
        flux, error = rows[name], rows[name + "_err"]
        with np.errstate(invalid="ignore", divide="ignore"):
            good = (flux > 0) & (error > 0)
            seen[kind] = np.where(good, -2.5 * np.log10(flux), np.nan)
            seen[kind + "_err"] = np.where(good, _MAG * error / flux, np.nan)
    seen["mjd"] = np.nan if one.moment is None else one.moment
    for name in ("association", "source_number"):
        seen[name] = members[name]
    return seen


def levelled(
    seen: NDArray[Any],
    kind: FluxKind,
    *,
    highest: Orders,
    floor: float | None,
    sigma_clip: float,
    min_epochs: int,
) -> Curves | None:
    """Free magnitudes from what frames do to all stars; None where no star is on enough frames.

    Parameters
    ----------
    seen
        As :func:`gathered` gives it.
    kind
        Which fluxes are taken.
    highest
        Of the surfaces that offsets may follow.
    floor, sigma_clip, min_epochs
        As :func:`reduction.steps.ensemble.relative_photometry` takes them; of stars on fewer
        frames nothing is kept.
    """

    def solve(seen: NDArray[Any], star: Index, taken: str, highest: Orders) -> Ensemble:
        """Relative magnitudes by one kind of flux."""
        return relative_photometry(
            *(star, seen["list"], seen[taken], seen[taken + "_err"]),
            surfaces=_surfaces(seen, star, highest),
            floor=floor,
            sigma_clip=sigma_clip,
            min_epochs=min_epochs,
        )

    either = [name for name in ("aperture", "psf") if kind in (name, FluxKind.BEST)]
    seen = _often(seen, np.logical_or.reduce([np.isfinite(seen[k]) for k in either]), min_epochs)
    if len(seen) == 0:
        return None
    stars, star = np.unique(seen["association"], return_inverse=True)
    by_psf, psf_from = np.full(len(stars), kind is FluxKind.PSF), np.nan
    if kind is FluxKind.BEST:
        by_psf, psf_from = _fainter(seen, star, solve)
    taken = np.where(by_psf[star], seen["psf"], seen["aperture"])
    seen = seen.copy()
    seen["mag"] += taken - seen["aperture"]
    seen = _often(seen, np.isfinite(taken), min_epochs)
    kept, star = np.unique(seen["association"], return_inverse=True)
    by_psf = by_psf[np.searchsorted(stars, kept)]
    kinds = [name for name, some in (("aperture", ~by_psf), ("psf", by_psf)) if some.any()]
    found, *others = (solve(seen, star, name, highest) for name in kinds)
    for other in others:
        found = _together(found, other, star, by_psf, seen["list"])
    level, zero = _levels(seen, found)
    return Curves(seen, kept, star, found, by_psf, psf_from, level, zero)


def _often(seen: NDArray[Any], good: Flags, min_epochs: int) -> NDArray[Any]:
    """Good observations of stars that have enough of them."""
    seen = seen[good]
    often = np.bincount(seen["association"], minlength=1) >= min_epochs
    kept: NDArray[Any] = seen[often[seen["association"]]]
    return kept


def _fainter(
    seen: NDArray[Any],
    star: Index,
    solve: Callable[[NDArray[Any], Index, str, Orders], Ensemble],
) -> tuple[Flags, float]:
    """Stars whose fluxes are taken by the psf, and the magnitude from which on they are.

    One brightness parts them, told by all constant stars: a star's own light curve does not say
    which of its fluxes is taken.
    """
    stars = int(star.max()) + 1
    widths, constant = [], np.ones(stars, np.bool_)
    for kind in ("aperture", "psf"):
        found = solve(seen, star, kind, Orders())
        middle = group_quantile(found.mag, star, stars, 0.5)
        widths.append(group_quantile(np.abs(found.mag - middle[star]), star, stars, 0.5))
        constant &= found.constant
    frames = np.bincount(star, minlength=stars)
    both = np.bincount(star[np.isfinite(seen["psf"])], minlength=stars) >= _MOST * frames
    mag = group_quantile(seen["aperture"], star, stars, 0.5)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.log(widths[1] / widths[0])
    told = np.flatnonzero(constant & both & (frames >= _FRAMES) & np.isfinite(ratio))
    order = told[np.argsort(-mag[told], kind="stable")]  # from the faintest on
    if len(order) < _TOLD:
        return np.zeros(stars, np.bool_), np.nan
    last = int(np.argmin(np.cumsum(ratio[order]))) + 1
    gain = ratio[order[:last]]
    error = float(np.std(ratio[order], ddof=1)) * np.sqrt(last)
    if last < _TOLD or float(gain.sum()) > -_CERTAIN * error:
        return np.zeros(stars, np.bool_), np.nan
    limit = float(mag[order[last - 1]])
    return both & (mag >= limit), limit


def _together(
    aperture: Ensemble, psf: Ensemble, star: Index, by_psf: Flags, epoch: NDArray[np.int64]
) -> Ensemble:
    """Magnitudes of both kinds of flux, each freed from what frames do to its own kind.

    What a frame's psf is wrong by is not in apertures. What is said of frames, and of the noise,
    is of the apertures.

    Parameters
    ----------
    aperture, psf
        Of all stars, by either kind.
    star, epoch
        Of each observation, shape (n,).
    by_psf
        Shape (stars,): whether the star is of the second kind.
    """
    some = by_psf[star]
    return replace(
        aperture,
        mag=np.where(some, psf.mag + _apart(aperture, psf)[epoch], aperture.mag),
        mag_err=np.where(some, psf.mag_err, aperture.mag_err),
        constant=np.where(by_psf, psf.constant, aperture.constant),
    )


def _apart(one: Ensemble, other: Ensemble) -> Array:
    """What is added to the second's magnitudes to have them at the first's level, (epochs,).

    Offsets have a median of 0, which is another where other epochs have one: those that both
    have tell, of each part.
    """
    off = other.offset - one.offset
    pair = other.part * (int(one.part.max()) + 1) + one.part
    both = group_quantile(off, pair, int(pair.max()) + 1, 0.5)[pair]
    alone = group_quantile(off, other.part, int(other.part.max()) + 1, 0.5)[other.part]
    return np.nan_to_num(np.where(np.isfinite(both), both, alone))


def _surfaces(seen: NDArray[Any], star: Index, highest: Orders) -> Surfaces:
    """Places in the field, of mean 0 and unit scatter, and on the chips, from -1 to 1."""
    right, declination = mean_position(seen["ra"], seen["dec"], star)
    middle = mean_position(right, declination, np.zeros(len(right), np.intp))
    x = ((right - middle[0][0] + 180.0) % 360.0 - 180.0) * np.cos(np.radians(declination))
    field = np.stack((x, declination - middle[1][0]), axis=1)
    field = (field - field.mean(axis=0)) / np.maximum(field.std(axis=0), 1e-12)
    chip, number = np.zeros((len(seen), 2)), seen["chip"]
    for axis, name in enumerate(("x", "y")):
        low, high = (group_quantile(seen[name], number, int(number.max()) + 1, q) for q in (0, 1))
        chip[:, axis] = (2.0 * seen[name] - (high + low)[number]) / np.maximum(
            (high - low)[number], 1e-12
        )
    return Surfaces(field[star], chip, number, highest)


def _levels(seen: NDArray[Any], found: Ensemble) -> tuple[Array, float]:
    """What is added in each part: the median of calibrated less relative magnitudes."""
    count = int(found.part.max(initial=-1)) + 1
    level = group_quantile(seen["mag"] - found.mag, found.part[seen["list"]], count, 0.5)
    if not np.isfinite(level).any():
        return np.zeros(count), np.nan
    return level, median(level[found.part[np.isfinite(found.offset)]])


def median(values: Array) -> float:
    """Median of what is known; NaN where nothing is."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")
