"""Lick Observatory 1-m Nickel telescope, Direct Imaging Camera (Loral 2Kx2K, binned 2x2).

Header traps: what a frame is stands in OBJECT alone (OBSTYPE is DARK for a bias, OBJECT for all
else); bias frames carry a filter that means nothing; GAIN is an index of the controller, not
e-/adu; there is no MJD; the overscan's width is in COVER.
"""

from __future__ import annotations

__all__ = ["INSTRUMENT"]

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from reduction.cards import (
    card_number,
    card_text,
    card_word,
    declination,
    image_size,
    mean_airmass,
    mjd_of,
    night_of,
    own_header,
    refuse,
    right_ascension,
)
from reduction.first_wcs import first_wcs
from reduction.instruments.base import (
    Band,
    Chip,
    FrameDescription,
    FrameKind,
    Instrument,
    Section,
    held_for,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from astropy.io.fits import Header

_LONGITUDE: Final = -121.6364
_SCALE: Final = 0.3708
_SECTION: Final = re.compile(r"\[(\d+):(\d+),(\d+):(\d+)\]")

_CHIP: Final = Chip(name="1", shape=(1024, 1024), gain=1.8, read_noise=5.8, saturation=60000.0)
_BV: Final = ("B", "V")
_VI: Final = ("V", "I")
# Extinction: the clear sky's curve at Mount Hamilton (1283 m) over each filter, as
# reduction.steps.extinction has it; no mean values of the site are at hand.
_BANDS: Final = MappingProxyType(
    {
        "B": Band("B", "B", 391e-9, 489e-9, extinction=0.30, color=_BV),
        "V": Band("V", "V", 505e-9, 595e-9, extinction=0.17, color=_BV),
        "R": Band("R", "R", 561e-9, 719e-9, extinction=0.12, color=_VI),
        "I": Band("I", "I", 724e-9, 880e-9, extinction=0.05, color=_VI),
    }
)


def _recognises(header: Header) -> bool:
    return str(header.get("INSTRUME", "")).strip() == "Nickel Direct Camera"


def _describe(headers: Sequence[Header]) -> list[FrameDescription]:
    index, header = own_header(headers, _recognises, "INSTRUME", "'Nickel Direct Camera'")
    science, overscan = _sections(header)
    exptime = card_number(header, "EXPTIME", low=0.0, high=1e5)
    kind = _kind(header, exptime)
    mjd = mjd_of(header, "DATE-BEG")
    pointed = kind is FrameKind.SCIENCE
    ra, dec, wcs = None, None, {}
    if pointed:
        ra, dec = right_ascension(header, "RA"), declination(header, "DEC")
        wcs = dict(_wcs(header, science, ra, dec))
    return [
        FrameDescription(
            hdu=index,
            kind=kind,
            chip=_CHIP.name,
            filter=card_word(header, "FILTNAM", _BANDS) if kind.has_filter else "",
            object=card_text(header, "OBJECT"),
            exptime=exptime,
            mjd_obs=mjd,
            night=night_of(mjd, _LONGITUDE),
            science=science,
            overscan=overscan,
            ra=ra,
            dec=dec,
            airmass=mean_airmass(header, "AIRMASS") if pointed else None,
            wcs=wcs,
        )
    ]


def _sections(header: Header) -> tuple[Section, Section | None]:
    ny, nx = image_size(header)
    text = card_text(header, "DATASEC", "a section like [1:1024,1:1024]")
    match = _SECTION.fullmatch(text)
    if match is None:
        refuse("DATASEC", text, "a section like [1:1024,1:1024]")
    x1, x2, y1, y2 = (int(group) for group in match.groups())
    science = Section(y1 - 1, y2, x1 - 1, x2)
    if science.shape != _CHIP.shape:
        expected = f"{_CHIP.shape[1]} x {_CHIP.shape[0]} pixels (2x2 binning, whole chip)"
        refuse("DATASEC", text, expected)
    columns = int(card_number(header, "COVER", low=0))
    if x2 + columns != nx:
        refuse("COVER", columns, f"{nx - x2}, since NAXIS1 is {nx} and DATASEC ends at {x2}")
    if y2 > ny:
        refuse("NAXIS2", ny, f"at least {y2}, the end of DATASEC")
    return science, Section(science.y0, science.y1, x2, nx) if columns else None


def _kind(header: Header, exptime: float) -> FrameKind:
    name = card_text(header, "OBJECT", "'bias', 'dark', 'sky flat', 'dome flat' or a target")
    shutter = card_text(header, "OBSTYPE", "DARK or OBJECT").upper()
    words = re.sub(r"[^a-z]+", " ", name.lower()).split()
    if "bias" in words:
        if exptime > 0:
            refuse("EXPTIME", exptime, "0, since OBJECT says bias")
        if shutter != "DARK":
            refuse("OBSTYPE", shutter, "DARK, since OBJECT says bias")
        return FrameKind.BIAS
    if "dark" in words:
        if shutter != "DARK":
            refuse("OBSTYPE", shutter, "DARK, since OBJECT says dark")
        return FrameKind.DARK
    if shutter != "OBJECT":
        refuse("OBSTYPE", shutter, f"OBJECT, since OBJECT says {name}")
    if exptime == 0:
        refuse("EXPTIME", exptime, f"more than 0, since OBJECT says {name}")
    if "flat" in words:
        return FrameKind.DOME_FLAT if "dome" in words else FrameKind.TWILIGHT_FLAT
    return FrameKind.SCIENCE


def _wcs(header: Header, science: Section, ra: float, dec: float) -> Mapping[str, float | str]:
    """Nominal TAN WCS: 10 to 30 arcsec off, its rotation of 2.3 degrees right."""
    if str(header.get("CTYPE1", "")).strip() != "RA---TAN":
        return {}
    return first_wcs(header, science, pixel_scale=_SCALE, pointing=(ra, dec))


INSTRUMENT: Final = Instrument(
    name="nickel",
    title="Nickel Direct Imaging Camera",
    facility="Lick Observatory 1-m Nickel",
    longitude=_LONGITUDE,
    chips=MappingProxyType({_CHIP.name: _CHIP}),
    bands=_BANDS,
    recognises=_recognises,
    describe=_describe,
    pixel_scale=_SCALE,
    pointing_error=60.0 / 3600.0,
    rotation_known=True,
    # The bias lies 8 to 23 adu above its overscan, and droops by 40 at the last columns.
    parameters=MappingProxyType(
        {
            "BiasFrame": MappingProxyType({"MAXIMUM_ABS_MEAN": 50.0}),
            "AtmosphericExtinctionCurve": MappingProxyType({"ALTITUDE": 1283.0}),
        }
    ),
    validity=held_for(biases=1.0, flats=7.0),
)
