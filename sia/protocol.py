"""SIA-2.0 declared: the parameters of ``{query}`` and the column each one is about."""

from __future__ import annotations

__all__ = ["PARAMS", "STANDARD_ID", "VERSION", "interval", "parse_polarization", "snapshot"]

import re
from typing import TYPE_CHECKING, Final

from reduction.freshness import Fresh
from schemas.dali import Param
from schemas.params import ASOF, FRESH, MAXREC, RESPONSEFORMAT, RUNID
from schemas.values import Interval
from sia.regions import parse_region

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from reduction.archive import Archive
    from reduction.freshness import Answering
    from reduction.scope import Scope
    from schemas.dali import Params

STANDARD_ID: Final = "ivo://ivoa.net/std/SIA#query-2.0"
VERSION: Final = "2.0"

_POLARIZATIONS: Final = "I Q U V RR LL RL LR XX YY XY YX POLI POLA".split()  # noqa: SIM905  # a list to read
_LEVELS: Final = re.compile(r"[0-4]")


def parse_polarization(text: str) -> str:
    """Read a polarization state.

    Raises
    ------
    ValueError
        If ObsCore-1.1 B.6.6 has no such state.
    """
    if text.strip() not in _POLARIZATIONS:
        raise ValueError(f"one of {' '.join(_POLARIZATIONS)}")
    return text.strip()


def _level(text: str) -> int:
    if not _LEVELS.fullmatch(text.strip()):
        raise ValueError("a calibration level, a whole number from 0 to 4")
    return int(text)


def interval(name: str, unit: str, ucd: str, description: str, *, multiple: bool = False) -> Param:
    """Declare a parameter whose value is an interval."""
    return Param(
        name,
        Interval.parse,
        datatype="double",
        arraysize="2",
        xtype="interval",
        unit=unit,
        ucd=ucd,
        description=description,
        multiple=multiple,
    )


def _interval(name: str, unit: str, ucd: str, description: str) -> Param:
    return interval(name, unit, ucd, description, multiple=True)


def snapshot(archive: Archive, scope: Scope, params: Params) -> AbstractContextManager[Answering]:
    """Open the snapshot of a request, whose FRESH and ASOF count.

    Parameters
    ----------
    archive
        Makes fresh what is asked for.
    scope
        What the request touches.
    params
        Its parameters.

    Raises
    ------
    ParameterError, ReductionError, TransientError
        As :meth:`reduction.archive.Archive.snapshot`.
    """
    return archive.snapshot(
        scope,
        fresh=Fresh(params["FRESH"]),
        asof=params["ASOF"],
        timeout_s=archive.settings.limits.sync_timeout_s,
    )


def _word(name: str, ucd: str, description: str) -> Param:
    return Param(name, str.strip, ucd=ucd, description=description, multiple=True)


PARAMS: Final = (
    Param(
        "POS",
        parse_region,
        ucd="pos.outline;obs",
        description="Region that the image's outline meets: CIRCLE, RANGE or POLYGON and numbers "
        "in degrees, ICRS",
        multiple=True,
    ),
    _interval("BAND", "m", "em.wl;stat.interval", "Wavelengths of which the image has some"),
    _interval("TIME", "d", "time.interval;obs.exposure", "MJD (UTC) of which the image has some"),
    Param(
        "POL",
        parse_polarization,
        ucd="meta.code;phys.polarization",
        description="Polarization state that the image has",
        multiple=True,
    ),
    _interval("FOV", "deg", "phys.angSize;instr.fov", "Diameter of the image on the sky"),
    _interval("SPATRES", "arcsec", "pos.angResolution", "Width of point sources in the image"),
    _interval("SPECRP", "", "spect.resolution", "Spectral resolving power of the image"),
    _interval("EXPTIME", "s", "time.duration;obs.exposure", "Exposure time of the image"),
    _interval("TIMERES", "s", "time.resolution", "Temporal resolution of the image"),
    _word("ID", "meta.ref.ivoid", "Publisher's identifier of the image"),
    _word("COLLECTION", "meta.id", "Collection that the image belongs to"),
    _word("FACILITY", "meta.id;instr.tel", "Telescope that took the image"),
    _word("INSTRUMENT", "meta.id;instr", "Camera that took the image"),
    _word("DPTYPE", "meta.code.class", "Kind of dataset: image or cube"),
    Param(
        "CALIB",
        _level,
        datatype="int",
        arraysize=None,
        ucd="meta.code;obs.calib",
        description="Calibration level of the image, 0 to 4",
        multiple=True,
    ),
    _word("TARGET", "meta.id;src", "Object that the image was taken of, as the observer wrote it"),
    _word("FORMAT", "meta.code.mime", "MIME type that access_url gives"),
    MAXREC,
    RESPONSEFORMAT,
    RUNID,
    FRESH,
    ASOF,
)
"""Every one may be repeated; repeated ones are alternatives, different ones are conditions.

Notes
-----
Standard: SIA-2.0 2.1; FRESH and ASOF are ours.
"""
