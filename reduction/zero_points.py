"""Which zero point counts for a frame: the global solution's where it has one, else its own.

What is made of the frames of a field - coadds and their sources, combined lists, light curves - is
on the scale of the field's GPhotometric; frames that it does not tie are on their night's. A
SourceList is made for its night, whatever fields it is in later, and is on the night's scale.
"""

from __future__ import annotations

__all__ = [
    "ZERO_POINT_DTYPE",
    "ZERO_POINT_TABLE",
    "FrameZeroPoint",
    "field_magnitudes",
    "is_tied",
    "zero_point_error",
    "zero_point_of",
]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.frame_keys import FRAME_KEY_FIELDS, frame_key, rows_of
from reduction.steps.photometry import magnitudes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reduction.target import Progenitor

#: Table of a GPhotometric, one row a frame (CCD) of its field and band.
ZERO_POINT_TABLE: Final = "ZERO_POINTS"

#: The frame's key (:mod:`reduction.frame_keys`); ``zero_point`` at the ground (extinction of that
#: moment, clouds too, is in it) and its error, mag; ``offset`` from what the frame's standards
#: alone give and ``scatter`` of its stars, mag; how many stars tie it to other frames and to
#: standards; ``airmass``; ``aperture_radius`` that its fluxes belong to, pixels.
ZERO_POINT_DTYPE: Final = np.dtype(
    [
        *FRAME_KEY_FIELDS,
        *(("zero_point", "f8"), ("zero_point_err", "f8"), ("offset", "f8"), ("scatter", "f8")),
        *(("n_stars", "i4"), ("n_standards", "i4"), ("airmass", "f8")),
        ("aperture_radius", "f8"),
    ]
)


@dataclass(frozen=True, slots=True)
class FrameZeroPoint:
    """Magnitude of a source of 1 adu/s on one frame, at the ground.

    ``mag = value - 2.5 log10(flux / exptime)``: the extinction at the frame's airmass is in it.

    Attributes
    ----------
    value, error
        mag.
    origin
        Class of the product that it comes from: GPhotometric or PhotometricParameters.
    aperture_radius
        Radius of the circle that its fluxes are measured in, or scaled to, pixels.
    """

    value: float
    error: float
    origin: str
    aperture_radius: float

    def flux_scale(self, zero_point: float, exptime: float) -> float:
        """Factor that brings adu of this frame to adu/s of a given zero point."""
        return float(10.0 ** (0.4 * (zero_point - self.value)) / exptime)


def zero_point_of(
    global_photometric: Progenitor | None,
    photometric: Progenitor | None,
    frame: Progenitor,
    *,
    airmass: float | None,
) -> FrameZeroPoint | None:
    """Zero point of a frame, the best that is known.

    Parameters
    ----------
    global_photometric
        A GPhotometric of the frame's field and band, or None.
    photometric
        The PhotometricParameters that a calibration slot gave, or None.
    frame
        The raw frame, or a product made of it alone.
    airmass
        Of the frame, for a zero point above the atmosphere; None counts as 1.

    Returns
    -------
    FrameZeroPoint or None
        None where neither knows the frame.
    """
    if global_photometric is not None:
        table = global_photometric.tables[ZERO_POINT_TABLE]
        number = rows_of(table).get(frame_key(frame))
        if number is not None and math.isfinite(table[number]["zero_point"]):
            row = table[number]
            return FrameZeroPoint(
                float(row["zero_point"]),
                float(row["zero_point_err"]),
                "GPhotometric",
                float(row["aperture_radius"]),
            )
    if photometric is None:
        return None
    above = 1.0 if airmass is None else airmass
    return FrameZeroPoint(
        float(photometric["zero_point"]) - float(photometric["extinction"] or 0.0) * above,
        zero_point_error(photometric, airmass),
        "PhotometricParameters",
        float(photometric["aperture_radius"]),
    )


def zero_point_error(photometric: Progenitor, airmass: float | None) -> float:
    """Error of a PhotometricParameters' zero point on a frame at some airmass, mag.

    The extinction is taken off where the standards are and put on where the frame is: its error
    counts for the difference of their airmasses.
    """
    at_standards, error = photometric["airmass"], float(photometric["zero_point_err"])
    away = 0.0 if airmass is None or at_standards is None else airmass - float(at_standards)
    return math.hypot(error, float(photometric["extinction_err"] or 0.0) * away)


def is_tied(global_photometric: Progenitor | None, frame: Progenitor) -> bool:
    """Whether the global solution of a field and band has a zero point for a frame."""
    return zero_point_of(global_photometric, None, frame, airmass=None) is not None


def field_magnitudes(
    global_photometric: Progenitor | None, source_list: Progenitor, rows: NDArray[np.void]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Magnitudes, and errors, of a frame's sources on the scale of a field.

    Parameters
    ----------
    global_photometric
        The GPhotometric of the field and the list's band, or None.
    source_list
        A SourceList.
    rows
        Some of its rows; flux and mag are used, with their errors.

    Returns
    -------
    tuple of ndarray
        mag, shape (n,): by the global solution where it ties the frame, else as they are in the
        list, by the night's zero point (NaN where it has none).
    """
    zero = zero_point_of(global_photometric, None, source_list, airmass=None)
    if zero is None:
        return rows["mag"], rows["mag_err"]
    return magnitudes(rows["flux"], rows["flux_err"], zero.value, 1.0)
