"""What is said of a coadd: in the header of its image, and in ObsCore."""

from __future__ import annotations

__all__ = ["coadd_cards", "coadd_obscore", "regridded_cards"]

import math
from typing import TYPE_CHECKING, Any, Final

from reduction.field_grids import own_field
from reduction.mjd import utc_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from reduction.coadding import CoaddedFrames
    from reduction.instruments.base import Section
    from reduction.steps.wcs import TanWcs
    from reduction.target import Inputs

_ENHANCED: Final = 3
_BYTES_PER_PIXEL: Final = 4
_SECONDS: Final = 86400.0


def coadd_cards(
    inputs: Inputs, coadded: CoaddedFrames, attributes: dict[str, Any]
) -> dict[str, tuple[Any, str]]:
    """What the header of a coadd says, WCS in 1-based pixels."""
    used = coadded.used
    start, end = _times(used)
    calibrated = coadded.zero_point is not None
    cards: dict[str, tuple[Any, str]] = {
        "OBJECT": (own_field(inputs).name, "field"),
        "DATE-OBS": (utc_of(start).isoformat(timespec="milliseconds"), "first start (UTC)"),
        "MJD-OBS": (start, "[d] start of the first exposure (UTC)"),
        "MJD-END": (end, "[d] end of the last exposure (UTC)"),
        "TIMESYS": ("UTC", "time scale"),
        "EXPTIME": (attributes["exptime"], "[s] exposure time of the median pixel"),
        "TEXPTIME": (attributes["exptime_total"], "[s] of all exposures"),
        "NCOMBINE": (len(used), "frames in it"),
        "GAIN": (attributes["effective_gain"], "electrons per unit, median pixel"),
        "GRIDX": (coadded.box.x0 + 1, "column of the grid of the first pixel"),
        "GRIDY": (coadded.box.y0 + 1, "row of the grid of the first pixel"),
        "NOISEFAC": (attributes["noise_factor"], "pixel rms over rms of weights"),
    }
    if not calibrated:
        cards["BUNIT"] = ("adu/s", "unit of the pixels")
    for keyword, name, comment in (
        ("SEEING", "seeing", "[arcsec] FWHM of the point spread function"),
        ("PHOTZP", "zero_point", "[mag] of 1 unit AT THE GROUND: no PHOTEXT"),
        ("PHOTZPE", "zero_point_err", "[mag] its error"),
        ("MAGLIM", "limiting_mag", "[mag] 5 sigma in the aperture"),
    ):
        value = attributes[name]
        if value is not None and math.isfinite(value):
            cards[keyword] = (value, comment)
    if calibrated:
        cards["PHOTBAND"] = (inputs.filter, "band of the zero point")
    return cards | {keyword: (value, "") for keyword, value in coadded.wcs.to_cards().items()}


def coadd_obscore(
    inputs: Inputs, coadded: CoaddedFrames, attributes: dict[str, Any]
) -> dict[str, Any]:
    """Columns of a coadd's ObsCore row (ObsCore-1.1 3)."""
    used, band, field = coadded.used, inputs.band, own_field(inputs)
    cameras = "+".join(sorted({str(name) for name in used["instrument"]}))
    ny, nx = coadded.images["IMAGE"].shape
    ra, dec, radius = coadded.wcs.circle((ny, nx))
    start, end = _times(used)
    seconds = attributes["exptime_total"]
    return {
        "obs_id": f"{field.name}-{inputs.filter}",
        "obs_title": f"{field.name} {inputs.filter}: {len(used)} frames, {seconds:g} s, {cameras}",
        "calib_level": _ENHANCED,
        "dataproduct_subtype": "CoaddedRegriddedFrame",
        "access_estsize": max(1, ny * nx * _BYTES_PER_PIXEL // 1000),
        "target_name": field.name,
        "s_ra": ra,
        "s_dec": dec,
        "s_fov": 2.0 * radius,
        "s_region": coadded.wcs.footprint((ny, nx)),
        "s_resolution": _known(attributes["seeing"]),
        "s_pixel_scale": coadded.wcs.pixel_scale,
        "s_xel1": nx,
        "s_xel2": ny,
        "t_min": start,
        "t_max": end,
        "t_exptime": attributes["exptime"],
        "em_min": band.em_min,
        "em_max": band.em_max,
        "facility_name": inputs.instrument.facility,
        "instrument_name": inputs.instrument.name,
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _times(used: NDArray[np.void]) -> tuple[float, float]:
    """Start of the first and end of the last exposure, MJD."""
    start = used["mjd_obs"]
    return float(start.min()), float((start + used["exptime"] / _SECONDS).max())


def regridded_cards(inputs: Inputs, part: TanWcs, box: Section) -> dict[str, tuple[Any, str]]:
    """What the header of a regridded frame says, WCS in 1-based pixels."""
    raw = inputs.raw
    cards: dict[str, tuple[Any, str]] = {
        "OBJECT": (raw["object"], "target as the observer named it"),
        "MJD-OBS": (raw["mjd_obs"], "[d] start (UTC)"),
        "EXPTIME": (raw["exptime"], "[s] exposure time"),
        "BUNIT": ("adu", "unit of the pixels"),
        "FIELD": (own_field(inputs).name, "field that the grid belongs to"),
        "GRIDX": (box.x0 + 1, "column of the grid of the first pixel"),
        "GRIDY": (box.y0 + 1, "row of the grid of the first pixel"),
    }
    return cards | {keyword: (value, "") for keyword, value in part.to_cards().items()}
