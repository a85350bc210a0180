"""Measurements of a field's stars on all its frames, ready for one photometric solution."""

from __future__ import annotations

__all__ = [
    "Measurements",
    "check_standards",
    "in_one_system",
    "measurements_of",
    "search_distance",
    "standards_of",
    "stars_of",
]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from reduction.color_terms import terms_of, what_colors_add
from reduction.frame_keys import frame_key
from reduction.steps.global_photometry import link_stars
from reduction.steps.sources import SourceFlag
from reduction.steps.transformation import PIVOT
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from reduction.frame_keys import FrameKey
    from reduction.target import Progenitor

#: Part of the signal to noise that is asked of the flux measured: noise may have lowered it.
_FAINTEST: Final = 0.5

#: Search distance where the seeing is better than twice it, arcsec.
_NEAREST: Final = 1.0


@dataclass(slots=True)
class Measurements:
    """Sources of all frames: which frame, where, how bright, and what a catalogue says.

    ``standard`` is the camera's own magnitude of a star of ``color``; ``term`` is the colour term
    of the frame's camera and filter.
    """

    frame: NDArray[np.intp]
    ra: NDArray[np.float64]
    dec: NDArray[np.float64]
    magnitude: NDArray[np.float64]
    error: NDArray[np.float64]
    standard: NDArray[np.float64]
    standard_error: NDArray[np.float64]
    color: NDArray[np.float64]
    term: NDArray[np.float64]


def measurements_of(
    lists: list[Progenitor],
    known: Mapping[FrameKey, Progenitor],
    *,
    flux_type: str,
    signal_to_noise: float,
    photometric: Sequence[Progenitor] = (),
) -> Measurements:
    """Clean, significant sources of all frames, in the order of the frames.

    Parameters
    ----------
    lists
        SourceList objects.
    known
        PhotSrcCatalog of each frame that has one.
    flux_type
        Column of the SourceList.
    signal_to_noise
        What is asked of a star; half of it of a measurement, which noise may have lowered.
    photometric
        PhotometricParameters of frames, where colour terms were measured.
    """
    parts: list[tuple[NDArray[Any], ...]] = []
    terms = {(one.instrument, one.filter): float(one["color_term"]) for one in known.values()}
    measured = terms_of(lists, photometric)
    for number, frame in enumerate(lists):
        rows, own = frame.rows, measured[number]
        flux, error = rows[flux_type], rows[flux_type + "_err"]
        catalogue = known.get(frame_key(frame))
        term = terms.get((frame.instrument, frame.filter), frame["color_term"] or 0.0)
        if catalogue is not None:
            term = float(catalogue["color_term"])
        safe = np.where(flux > 0, flux, np.nan)
        good = (rows["flags"] & ~int(SourceFlag.MERGED)) == 0
        good &= safe > _FAINTEST * signal_to_noise * error
        good &= np.isfinite(rows["ra"]) & np.isfinite(rows["dec"]) & bool(frame["n_ref"])
        columns = (
            np.full(len(rows), number),
            *(rows["ra"], rows["dec"]),
            *(-2.5 * np.log10(safe), 1.0857362 * (error / safe)),
            *_standards(catalogue, len(rows), own),
            np.full(len(rows), term if own is None else own),
        )
        parts.append(tuple(column[good] for column in columns))
    numbers, *rest = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Measurements(numbers.astype(np.intp), *rest)


def _standards(
    catalogue: Progenitor | None, sources: int, term: float | None
) -> NDArray[np.float64]:
    """Magnitudes, errors and colours of a frame's sources in a catalogue, NaN of others.

    Shape (3, sources). ``term`` is the colour term that was measured, None for none.
    """
    found = np.full((3, sources), np.nan)
    if catalogue is not None:
        stars = catalogue.tables["STANDARDS"]
        stars = stars[(stars["used"] > 0) & (stars["source"] < sources)]
        own = stars["mag"] - what_colors_add(stars, term)
        found[:, stars["source"]] = own, stars["mag_err"], stars["color"]
    return found


def check_standards(found: Measurements, frames: int, band: str) -> None:
    """See that there is a standard star.

    Raises
    ------
    UnprocessableError
        If no frame has one.
    """
    if not np.isfinite(found.standard).any():
        message = (
            f"none of the field's {frames} frames in {band} has a standard star to tie the "
            "others to"
        )
        raise UnprocessableError(message)


def search_distance(lists: list[Progenitor]) -> float:
    """Within which sources are one star: what tells stars apart, if positions are no worse."""
    seeing = np.array([one["seeing"] or np.nan for one in lists], np.float64)
    known = seeing[np.isfinite(seeing)]
    return max(_NEAREST, 0.5 * float(np.median(known))) if len(known) else _NEAREST


def stars_of(found: Measurements, distance: float) -> NDArray[np.intp]:
    """Number of each measurement's star; standards on one frame only are stars too."""
    star = link_stars(found.ra, found.dec, found.frame, radius=distance)
    alone = np.flatnonzero((star < 0) & np.isfinite(found.standard))
    star[alone] = star.max(initial=-1) + 1 + np.arange(len(alone))
    return star


def in_one_system(
    found: Measurements, star: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Numbers of stars anew, and what brings magnitudes to the standard system.

    A star without a known colour is one star for each colour term that it is seen with.
    """
    color = np.full(int(star.max(initial=-1)) + 1, np.nan)
    has = (star >= 0) & np.isfinite(found.color)
    color[star[has]] = found.color[has]
    linked = np.flatnonzero(star >= 0)
    shift = np.full(len(star), np.nan)
    shift[linked] = found.term[linked] * (color[star[linked]] - PIVOT)
    known = np.isfinite(shift)
    _, term = np.unique(found.term, return_inverse=True)
    system = np.where(known, 0, term + 1)
    key = star[linked] * (term.max(initial=0) + 2) + system[linked]
    _, number = np.unique(key, return_inverse=True)
    numbers = np.full(len(star), -1)
    numbers[linked] = number
    alone = np.bincount(number)[number] == 1
    numbers[linked[alone & ~np.isfinite(found.standard[linked])]] = -1
    return numbers, np.where(known, shift, 0.0)


def standards_of(
    found: Measurements, star: NDArray[np.intp], shift: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Catalogue magnitude and error of each star, NaN for none."""
    count = int(star.max(initial=-1)) + 1
    standard, error = np.full((2, count), np.nan)
    has = (star >= 0) & np.isfinite(found.standard)
    standard[star[has]] = (found.standard + shift)[has]
    error[star[has]] = found.standard_error[has]
    return standard, error
