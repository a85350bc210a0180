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
    card_word,
    check_size,
    check_unbinned,
    declination,
    exposure_time,
    mean_airmass,
    mjd_of,
    night_of,
    own_header,
    refuse,
    right_ascension,
)
from reduction.instruments.base import (
    NO_OVERSCAN,
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
    expected = "'SBIG STL-1001 3 CCD Camera' of the Wallace Observatory"
    index, header = own_header(headers, _recognises, "INSTRUME", expected)
    _check_readout(header)
    kind = _kind(header)
    mjd = mjd_of(header, "DATE-OBS")
    pointed = kind is FrameKind.SCIENCE
    return [
        FrameDescription(
            hdu=index,
            kind=kind,
            chip=_CHIP.name,
            filter=card_word(header, "FILTER", _BANDS) if pointed else "",
            object=card_text(header, "OBJECT") if pointed else kind.name,
            exptime=exposure_time(header, kind, f"IMAGETYP says {header['IMAGETYP']}"),
            mjd_obs=mjd,
            night=night_of(mjd, _LONGITUDE),
            science=Section.whole(_CHIP.shape),
            ra=right_ascension(header, "OBJCTRA") if pointed else None,
            dec=declination(header, "OBJCTDEC") if pointed else None,
            airmass=mean_airmass(header, "AIRMASS") if pointed else None,
        )
    ]


def _check_readout(header: Header) -> None:
    check_size(header, _CHIP.shape, "1024, the whole chip")
    check_unbinned(header, "XBINNING", "YBINNING")
    gain = card_number(header, "EGAIN", low=0.0)
    if abs(gain - _CHIP.gain) > _GAINS_AGREE:
        refuse("EGAIN", gain, f"{_CHIP.gain:g} e-/adu")


def _kind(header: Header) -> FrameKind:
    word = card_word(header, "IMAGETYP", _KINDS)
    index, kind = _KINDS[word]
    if "PICTTYPE" in header and card_number(header, "PICTTYPE") != index:
        refuse("PICTTYPE", header["PICTTYPE"], f"{index}, since IMAGETYP says {word}")
    return kind


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
            **NO_OVERSCAN,
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
