"""The table by which GAstrometric tells where each frame of a field looks, and its reader.

A GAstrometric product has the table ``SOLUTIONS``, one row a frame (CCD) that took part:

================ ==== ======= ====================================================================
column           type unit    meaning
================ ==== ======= ====================================================================
instrument       text         camera; with the next three the row's key
                              (:func:`reduction.frame_keys.frame_key`)
chip             text         CCD
name             text         raw file's name
mjd_obs          f8   d       start of the exposure, UTC
filter           text         the instrument's name of the filter
exposure         i4           number of the exposure (all CCDs read out together) in the solution
setup            i4           number of the camera setup (instrument, filter, run) whose distortion
                              the frame shares
crval1, crval2   f8   deg     tangent point, ICRS
crpix1, crpix2   f8   pixel   reference pixel, 1-based, trimmed frame
cd1_1 ... cd2_2  f8   deg     CD matrix
pv1_0 ... pv2_10 f8           TPV terms 0 to 10 without 3 (:class:`Distortion`)
n_ref, n_overlap i4           stars used, with a reference position, seen on other exposures too
rms_ref          f8   arcsec  rms residual of one coordinate against the references (NaN: none)
rms_overlap      f8   arcsec  the same, against the star's mean over its exposures (NaN: none)
pos_err          f8   arcsec  error of the frame's positions, one axis
================ ==== ======= ====================================================================
"""

from __future__ import annotations

__all__ = ["SOLUTION_DTYPE", "pos_err_of", "solution_row", "wcs_of"]

from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.frame_keys import FRAME_KEY_FIELDS, frame_key, rows_of
from reduction.steps.distortion import Distortion
from reduction.steps.wcs import TanWcs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reduction.target import Progenitor

_WCS: Final = ("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CD1_1", "CD1_2", "CD2_1", "CD2_2")
_PV: Final = tuple(Distortion.none().to_pv())

SOLUTION_DTYPE: Final = np.dtype(
    [
        *FRAME_KEY_FIELDS,
        *(("filter", "U64"), ("exposure", "i4"), ("setup", "i4")),
        *((name.lower(), "f8") for name in (*_WCS, *_PV)),
        *(("n_ref", "i4"), ("n_overlap", "i4")),
        *(("rms_ref", "f8"), ("rms_overlap", "f8"), ("pos_err", "f8")),
    ]
)


def solution_row(wcs: TanWcs) -> dict[str, float]:
    """Columns of the table that keep a projection."""
    cards = Distortion.none().to_pv() | wcs.to_cards()
    return {name.lower(): float(cards[name]) for name in (*_WCS, *_PV)}


def wcs_of(gastrometric: Progenitor | None, frame: Progenitor) -> TanWcs | None:
    """Where a frame looks according to the global solution of its field.

    Parameters
    ----------
    gastrometric
        A GAstrometric, or None.
    frame
        The raw frame, or a product made of it alone.

    Returns
    -------
    TanWcs or None
        None where there is no global solution, or the frame has no part in it: the frame's own
        AstrometricParameters hold.
    """
    row = _row(gastrometric, frame)
    if row is None:
        return None
    cards: dict[str, float | str] = {"CTYPE1": "RA---TPV", "CTYPE2": "DEC--TPV"}
    return TanWcs.from_cards(cards | {card: float(row[card.lower()]) for card in (*_WCS, *_PV)})


def pos_err_of(gastrometric: Progenitor | None, frame: Progenitor) -> float | None:
    """Error of a frame's positions in the global solution, arcsec, one axis; None as above."""
    row = _row(gastrometric, frame)
    return None if row is None else float(row["pos_err"])


def _row(gastrometric: Progenitor | None, frame: Progenitor) -> np.void | None:
    if gastrometric is None:
        return None
    table: NDArray[np.void] = gastrometric.tables["SOLUTIONS"]
    number = rows_of(table).get(frame_key(frame))
    return None if number is None else table[number]
