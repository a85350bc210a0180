"""MicroObservatory's telescope "Cecilia" (6 inches; 650 x 500 pixels of 12 bits, 56' x 43').

Header traps: DATE-OBS is local time with its offset, UT-OBS is UT, MJD-OBS is rounded to 86 s;
LONGITUD counts west; INSTRUME says which of two cameras ("Main", "Finder") but not whose;
IM_SCALE is nominal, the sky says 5.164 arcsec/pixel; the mount is up to half a degree off and
drifts through the night; airmass has to be had from TELALT. No calibrations are published: the
level of a frame holds its bias and dark, and nothing is divided out.
"""

from __future__ import annotations

__all__ = ["INSTRUMENT"]

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from reduction.cards import (
    card_number,
    card_text,
    card_word,
    check_size,
    mjd_of,
    night_of,
    own_header,
    refuse,
)
from reduction.instruments.base import Band, Chip, FrameDescription, FrameKind, Instrument, Section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.io.fits import Header

_LONGITUDE: Final = -110.88
_CLOCKS_AGREE_S: Final = 120.0
_SCALE: Final = 5.164
_SCALES_AGREE: Final = 0.05

#: Fifteen degrees above the horizon, below which 1 / sin(altitude) is no airmass.
_LOWEST: Final = 15.0

#: Gain: from how the noise of the sky grows with its level through the night, 40 +- 3 e-/adu
#: (tests/science/test_microobservatory_gain.py). Noise: that of the darkest sky, which the read
#: noise is not above; what it is cannot be told without a bias.
_CHIP: Final = Chip(name="Cecilia", shape=(500, 650), gain=40.0, read_noise=1.0, saturation=4000.0)
#: Unfiltered light is tied to Tycho's VT: no band of the standard systems is like it.
_BANDS: Final = MappingProxyType({"Clear": Band("Clear", "VT", 400e-9, 900e-9)})


def _recognises(header: Header) -> bool:
    return str(header.get("CREATOR", "")).startswith("MicroObservatory")


def _describe(headers: Sequence[Header]) -> list[FrameDescription]:
    index, header = own_header(headers, _recognises, "CREATOR", "'MicroObservatory...'")
    _check_camera(header)
    mjd = _start(header)
    return [
        FrameDescription(
            hdu=index,
            kind=FrameKind.SCIENCE,
            chip=_CHIP.name,
            filter=card_word(header, "FILTER", _BANDS),
            object=card_text(header, "OBJECT"),
            exptime=card_number(header, "EXPTIME", low=0.001, high=1e5),
            mjd_obs=mjd,
            night=night_of(mjd, _LONGITUDE),
            science=Section.whole(_CHIP.shape),
            ra=card_number(header, "RA", low=0.0, high=360.0),
            dec=card_number(header, "DEC", low=-90.0, high=90.0),
            airmass=_airmass(header),
        )
    ]


def _check_camera(header: Header) -> None:
    for keyword, expected in (("TELESCOP", _CHIP.name), ("INSTRUME", "Main")):
        card_word(header, keyword, (expected,), expected)
    check_size(header, _CHIP.shape, f"{_CHIP.shape[1]} x {_CHIP.shape[0]} pixels")
    scale = card_number(header, "IM_SCALE", low=0.0)
    if abs(scale / _SCALE - 1.0) > _SCALES_AGREE:
        refuse("IM_SCALE", scale, f"{_SCALE:g} arcsec/pixel to {_SCALES_AGREE:.0%}")


def _start(header: Header) -> float:
    mjd = mjd_of(header, "UT-OBS")
    for keyword, other in (
        ("DATE-OBS", mjd_of(header, "DATE-OBS")),
        ("MJD-OBS", card_number(header, "MJD-OBS")),
    ):
        if abs(mjd - other) * 86400.0 > _CLOCKS_AGREE_S:
            refuse(keyword, header[keyword], f"the moment of UT-OBS, {header['UT-OBS']}")
    return mjd


def _airmass(header: Header) -> float:
    return 1.0 / math.sin(math.radians(card_number(header, "TELALT", low=_LOWEST, high=90.0)))


INSTRUMENT: Final = Instrument(
    name="microobservatory",
    title="Cecilia",
    facility="MicroObservatory, Whipple Observatory",
    longitude=_LONGITUDE,
    chips=MappingProxyType({_CHIP.name: _CHIP}),
    bands=_BANDS,
    recognises=_recognises,
    describe=_describe,
    pixel_scale=_SCALE,
    pointing_error=0.6,
    rotation_known=False,
    # Pixels of 5 arcsec: stars are two pixels wide, and matched within a pixel; residuals of a
    # tenth of one are all that can be had. In a circle of 2.5 pixels bright stars scatter by a
    # tenth more than in one of 3, with their place in the pixel and the frame's seeing and
    # trailing; in larger ones all but the brightest twenty by more: sky and neighbours. Faint
    # stars of a crowd move over the meshes of the sky with the drift; in a ring around a star
    # they stay where they are.
    parameters=MappingProxyType(
        {
            "AstrometricParameters": MappingProxyType(
                {"TOLERANCE": 4.0, "MAX_RMS": 0.8, "MAX_SIGMA": 0.8}
            ),
            "PhotSrcCatalog": MappingProxyType({"MATCH_RADIUS": 5.0}),
            "Catalog": MappingProxyType({"APERTURE_RADIUS": 3.0, "SKY_RING": 8.0}),
        }
    ),
    corrections=frozenset({"uncalibrated"}),
)
