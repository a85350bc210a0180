"""MIT Wallace Astrophysical Observatory, C14 with an SBIG STL-1001E (1024 x 1024, unfiltered).

Header traps: SITELONG counts west; FOCALLEN gives 1.266 arcsec/pixel, the sky says 1.177;
rows run downwards, so that the sky is mirrored, and the frame is upside down on the other side
of the meridian (BTP); coordinates are of the mount, 5 arcmin off; calibration frames carry the
coordinates and OBJECT of where the telescope was left, or no OBJECT; PEDESTAL is part of the
bias. The camera takes biases and darks each night; there are no flats.
"""

from __future__ import annotations

__all__ = ["INSTRUMENT"]

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from reduction.cards import (
    card_number,
    card_text,
    image_size,
    mjd_of,
    night_of,
    refuse,
    sexagesimal,
)
from reduction.instruments.base import (
    Band,
    Chip,
    FrameDescription,
    FrameKind,
    Instrument,
    Section,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.io.fits import Header

_LONGITUDE: Final = -71.485
_GAINS_AGREE: Final = 0.05

_CHIP: Final = Chip(
    name="STL-1001E", shape=(1024, 1024), gain=2.07, read_noise=6.3, saturation=60000.0
)
#: Unfiltered light is tied to Tycho's VT: no band of the standard systems is like it.
_BANDS: Final = MappingProxyType({"Open": Band("Open", "VT", 400e-9, 900e-9)})

#: What SBIG's software calls the kinds, with their index.
_KINDS: Final = MappingProxyType(
    {
        "Light Frame": (1, FrameKind.SCIENCE),
        "Bias Frame": (2, FrameKind.BIAS),
        "Dark Frame": (3, FrameKind.DARK),
    }
)


def _recognises(header: Header) -> bool:
    camera, origin = str(header.get("INSTRUME", "")), str(header.get("ORIGIN", ""))
    return camera.startswith("SBIG STL-1001") and "Wallace" in origin


def _describe(headers: Sequence[Header]) -> list[FrameDescription]:
    index = next((i for i, header in enumerate(headers) if _recognises(header)), None)
    if index is None:
        refuse("INSTRUME", None, "'SBIG STL-1001 3 CCD Camera' of the Wallace Observatory")
    header = headers[index]
    _check_readout(header)
    kind = _kind(header)
    exptime = card_number(header, "EXPTIME", low=0.0, high=1e5)
    if kind is FrameKind.BIAS and exptime > 0:
        refuse("EXPTIME", exptime, "0, since IMAGETYP says Bias Frame")
    if kind is not FrameKind.BIAS and exptime == 0:
        refuse("EXPTIME", exptime, f"more than 0, since IMAGETYP says {header['IMAGETYP']}")
    mjd = mjd_of(header, "DATE-OBS")
    pointed = kind is FrameKind.SCIENCE
    return [
        FrameDescription(
            hdu=index,
            kind=kind,
            chip=_CHIP.name,
            filter=_filter(header) if pointed else "",
            object=card_text(header, "OBJECT") if pointed else kind.name,
            exptime=exptime,
            mjd_obs=mjd,
            night=night_of(mjd, _LONGITUDE),
            science=Section(0, _CHIP.shape[0], 0, _CHIP.shape[1]),
            ra=_right_ascension(header) if pointed else None,
            dec=_declination(header) if pointed else None,
            airmass=card_number(header, "AIRMASS", low=1.0, high=40.0) if pointed else None,
        )
    ]


def _check_readout(header: Header) -> None:
    shape = image_size(header)
    if shape != _CHIP.shape:
        keyword = "NAXIS1" if shape[1] != _CHIP.shape[1] else "NAXIS2"
        refuse(keyword, header[keyword], "1024, the whole chip")
    for keyword in ("XBINNING", "YBINNING"):
        if card_number(header, keyword) != 1:
            refuse(keyword, header[keyword], "1 (no binning)")
    gain = card_number(header, "EGAIN", low=0.0)
    if abs(gain - _CHIP.gain) > _GAINS_AGREE:
        refuse("EGAIN", gain, f"{_CHIP.gain:g} e-/adu")


def _kind(header: Header) -> FrameKind:
    word = card_text(header, "IMAGETYP", "one of " + ", ".join(_KINDS))
    if word not in _KINDS:
        refuse("IMAGETYP", word, "one of " + ", ".join(_KINDS))
    index, kind = _KINDS[word]
    if "PICTTYPE" in header and card_number(header, "PICTTYPE") != index:
        refuse("PICTTYPE", header["PICTTYPE"], f"{index}, since IMAGETYP says {word}")
    return kind


def _filter(header: Header) -> str:
    name = card_text(header, "FILTER", "a filter")
    if name not in _BANDS:
        refuse("FILTER", name, "one of " + ", ".join(_BANDS))
    return name


def _right_ascension(header: Header) -> float:
    hours = sexagesimal(header, "OBJCTRA")
    if not 0.0 <= hours < 24.0:  # hours of a day
        refuse("OBJCTRA", header["OBJCTRA"], "0 to 24 hours")
    return hours * 15.0


def _declination(header: Header) -> float:
    degrees = sexagesimal(header, "OBJCTDEC")
    if not -90.0 <= degrees <= 90.0:  # the poles
        refuse("OBJCTDEC", header["OBJCTDEC"], "-90 to 90 degrees")
    return degrees


_OWN_NIGHT: Final = (0.5, 0.5)

INSTRUMENT: Final = Instrument(
    name="mit_wallace",
    title="SBIG STL-1001E",
    facility="MIT Wallace C14",
    longitude=_LONGITUDE,
    chips=MappingProxyType({_CHIP.name: _CHIP}),
    bands=_BANDS,
    recognises=_recognises,
    describe=_describe,
    pixel_scale=1.177,
    pointing_error=0.15,
    rotation_known=False,
    # The whole chip sees light: there is no overscan.
    parameters=MappingProxyType(
        {
            "ReadNoise": MappingProxyType({"OVERSCAN_CORRECTION": 0}),
            "BiasFrame": MappingProxyType({"OVERSCAN_CORRECTION": 0}),
            "Catalog": MappingProxyType({"APERTURE_RADIUS": 6.0}),
        }
    ),
    # The detector's temperature differs from night to night, and with it bias and dark.
    validity=MappingProxyType(
        {
            "ReadNoise": _OWN_NIGHT,
            "BiasFrame": _OWN_NIGHT,
            "DarkCurrent": _OWN_NIGHT,
            "HotPixelMap": _OWN_NIGHT,
            "NightSkyFlatFrame": _OWN_NIGHT,
            "MasterFlatFrame": _OWN_NIGHT,
        }
    ),
    corrections=frozenset({"dark"}),
)
