"""Calar Alto 2.2-m with CAFOS (SITe CCD, window of 1024 x 1024 pixels, no overscan).

Header traps: RA and DEC are up to 17 arcmin from where the telescope looked, ``HIERARCH CAHA TEL
POS SET RA`` and ``DEC`` are right, but RA is 15 times the degrees (its comment says seconds);
CTYPE is PIXEL and CRPIX, CRVAL have their meanings swapped, so that there is no WCS; the sky is
turned by about 89 degrees; MJD-OBS is rounded to 9 seconds; BLANK is outside of the pixels' range.
"""

from __future__ import annotations

__all__ = ["INSTRUMENT"]

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from reduction.cards import (
    card_number,
    card_text,
    card_word,
    check_size,
    check_unbinned,
    exposure_time,
    mean_airmass,
    mjd_of,
    night_of,
    own_header,
    refuse,
)
from reduction.instruments.base import (
    NO_OVERSCAN,
    Band,
    Chip,
    FrameDescription,
    FrameKind,
    Instrument,
    Section,
    held_for,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.io.fits import Header

_LONGITUDE: Final = -2.5463
_SET_RA: Final = "HIERARCH CAHA TEL POS SET RA"
_SET_DEC: Final = "HIERARCH CAHA TEL POS SET DEC"
_CLOCKS_AGREE_S: Final = 60.0
_POINTINGS_AGREE_DEG: Final = 2.0

_CHIP: Final = Chip(
    name="CCD15", shape=(1024, 1024), gain=1.43, read_noise=10.5, saturation=64000.0
)
_CHIPS: Final = MappingProxyType({_CHIP.name: _CHIP})
_BV: Final = ("B", "V")
# Extinction: usual values of the site (Hopp & Fernandez 2002, Calar Alto Newsletter 4; Sanchez et
# al. 2007, PASP 119, 1186: 0.15 in V); the clear sky's curve at 2168 m has 0.25 and 0.14. Colour
# terms: measured on NGC 2420 against transformed SDSS magnitudes, 0.18 and 0.10, both +- 0.02.
_BANDS: Final = MappingProxyType(
    {
        "JohnsonB": Band(
            "JohnsonB", "B", 391e-9, 489e-9, extinction=0.25, color=_BV, color_term=0.18
        ),
        "JohnsonV": Band(
            "JohnsonV", "V", 505e-9, 595e-9, extinction=0.15, color=_BV, color_term=0.10
        ),
    }
)


def _recognises(header: Header) -> bool:
    return str(header.get("INSTRUME", "")).strip().startswith("CAFOS")


def _describe(headers: Sequence[Header]) -> list[FrameDescription]:
    index, header = own_header(headers, _recognises, "INSTRUME", "'CAFOS 2.2'")
    science = _window(header)
    kind, word = _kind(header)
    exptime = exposure_time(header, kind, f"IMAGETYP says {word}")
    mjd = _start(header)
    pointed = kind is FrameKind.SCIENCE
    ra, dec = _pointing(header) if pointed else (None, None)
    return [
        FrameDescription(
            hdu=index,
            kind=kind,
            chip=card_word(header, "CAMID", _CHIPS),
            filter=_filter(header) if kind.has_filter else "",
            object=card_text(header, "OBJECT"),
            exptime=exptime,
            mjd_obs=mjd,
            night=night_of(mjd, _LONGITUDE),
            science=science,
            ra=ra,
            dec=dec,
            airmass=mean_airmass(header, "AIRMASS") if pointed else None,
        )
    ]


def _window(header: Header) -> Section:
    check_size(header, _CHIP.shape, "1024, the window of CAFOS")
    for axis, size in (("X", _CHIP.shape[1]), ("Y", _CHIP.shape[0])):
        keyword = f"HIERARCH CAHA DET CCD1 WIN1 N{axis}"
        if card_number(header, keyword) != size:
            refuse(keyword, header[keyword], f"{size}, the size of the image")
    check_unbinned(header, "CCDBINX", "CCDBINY")
    return Section.whole(_CHIP.shape)


def _kind(header: Header) -> tuple[FrameKind, str]:
    kind = card_text(header, "IMAGETYP", "bias, flat or science").lower()
    again = card_text(header, "HIERARCH CAHA DET EXP TYPE", "bias, flat or science").lower()
    if kind != again:
        refuse("IMAGETYP", kind, f"{again}, as HIERARCH CAHA DET EXP TYPE says")
    if kind == "bias":
        return FrameKind.BIAS, kind
    if kind == "science":
        return FrameKind.SCIENCE, kind
    if kind != "flat":
        refuse("IMAGETYP", kind, "bias, flat or science")
    name = card_text(header, "OBJECT", "a text with 'dome' or 'sky' for a flat")
    return _flat_kind(name), kind


def _flat_kind(name: str) -> FrameKind:
    if "dome" in name.lower():
        return FrameKind.DOME_FLAT
    if "sky" not in name.lower() and "twi" not in name.lower():
        refuse("OBJECT", name, "a text with 'dome' or 'sky', since IMAGETYP says flat")
    return FrameKind.TWILIGHT_FLAT


def _filter(header: Header) -> str:
    name = card_word(header, "INSFLNAM", _BANDS)
    again = card_text(header, "HIERARCH CAHA INS FILT1 NAME", "a filter")
    if name != again:
        refuse("INSFLNAM", name, f"{again}, as HIERARCH CAHA INS FILT1 NAME says")
    return name


def _start(header: Header) -> float:
    mjd = mjd_of(header, "DATE-OBS")
    if abs(mjd - card_number(header, "MJD-OBS")) * 86400.0 > _CLOCKS_AGREE_S:
        refuse("MJD-OBS", header["MJD-OBS"], f"{mjd:.4f}, the moment of DATE-OBS")
    return mjd


def _pointing(header: Header) -> tuple[float, float]:
    ra = card_number(header, _SET_RA, low=0.0, high=5400.0) / 15.0
    dec = card_number(header, _SET_DEC, low=-90.0, high=90.0)
    for keyword, wanted in (("RA", ra), ("DEC", dec)):
        found = card_number(header, keyword)
        if abs((found - wanted + 180.0) % 360.0 - 180.0) > _POINTINGS_AGREE_DEG:
            expected = f"within {_POINTINGS_AGREE_DEG:g} degrees of the preset position {wanted:g}"
            refuse(keyword, found, expected)
    return ra, dec


INSTRUMENT: Final = Instrument(
    name="cafos",
    title="CAFOS",
    facility="Calar Alto 2.2-m",
    longitude=_LONGITUDE,
    chips=_CHIPS,
    bands=_BANDS,
    recognises=_recognises,
    describe=_describe,
    pixel_scale=0.526,
    pointing_error=6.0 / 60.0,
    rotation_known=False,
    # The window that is read has no overscan; stars of the cluster are close together.
    parameters=MappingProxyType(
        {
            **NO_OVERSCAN,
            "Catalog": MappingProxyType({"APERTURE_RADIUS": 8.0}),
            # a bowl that gets flatter towards the edges, the same in both filters
            "IlluminationCorrection": MappingProxyType({"DEGREE": 2, "ROUND_DEGREE": 4}),
            "AtmosphericExtinctionCurve": MappingProxyType({"ALTITUDE": 2168.0}),
        }
    ),
    # Its dome flats make stars at the edges 0.1 mag too bright.
    corrections=frozenset({"illumination"}),
    validity=held_for(biases=30.0, flats=30.0),
)
