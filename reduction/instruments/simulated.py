"""The simulated mosaic camera "VOSIM": OmegaCAM-like files, written by reduction.simulate.

What a frame is stands in the primary header (HIERARCH ESO DPR TYPE), where its dark pixels are in
each extension's (HIERARCH ESO DET OUT1).
"""

from __future__ import annotations

__all__ = ["INSTRUMENT"]

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from reduction.cards import (
    card_number,
    card_text,
    card_word,
    check_distinct,
    exposure_time,
    image_size,
    mean_airmass,
    night_of,
    refuse,
    see_date_obs,
)
from reduction.first_wcs import first_wcs, middle_of
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
    from collections.abc import Sequence

    from astropy.io.fits import Header

_LONGITUDE: Final = -70.404
_SCALE: Final = 0.214

_KINDS: Final = MappingProxyType(
    {
        "BIAS": FrameKind.BIAS,
        "DARK": FrameKind.DARK,
        "FLAT,DOME": FrameKind.DOME_FLAT,
        "FLAT,SKY": FrameKind.TWILIGHT_FLAT,
        "OBJECT": FrameKind.SCIENCE,
    }
)

#: At the beginning and at the end.
_AIRMASSES: Final = ("ESO TEL AIRM START", "ESO TEL AIRM END")

#: Chips of any size are taken; the nominal shape is the default simulation's.
_CHIPS: Final = MappingProxyType(
    {
        f"ccd{number}": Chip(f"ccd{number}", (256, 256), 2.5, 2.4, saturation=64000.0)
        for number in range(50, 82)
    }
)

# The simulated air is clear. Light of the red filter interferes in the chips.
_BANDS: Final = MappingProxyType(
    {
        "B": Band("B", "B", 391e-9, 489e-9, extinction=0.0, color=("B", "V")),
        "V": Band("V", "V", 505e-9, 595e-9, extinction=0.0, color=("B", "V")),
        "I": Band(
            *("I", "I", 725e-9, 875e-9),
            extinction=0.0,
            color=("V", "I"),
            corrections=frozenset({"fringe"}),
        ),
    }
)


def _recognises(header: Header) -> bool:
    return str(header.get("INSTRUME", "")).strip() == "VOSIM"


def _describe(headers: Sequence[Header]) -> list[FrameDescription]:
    primary = headers[0]
    if not _recognises(primary):
        refuse("INSTRUME", primary.get("INSTRUME"), "'VOSIM'")
    announced = int(card_number(primary, "ESO DET CHIPS", low=1, high=len(_CHIPS)))
    extensions = [
        (index, header) for index, header in enumerate(headers) if header.get("NAXIS") == 2
    ]
    if len(extensions) != announced:
        refuse("ESO DET CHIPS", announced, f"{len(extensions)}, the number of image extensions")
    frames = [_frame(primary, header, index) for index, header in extensions]
    check_distinct("ESO DET CHIP NAME", [frame.chip for frame in frames])
    return frames


def _frame(primary: Header, header: Header, index: int) -> FrameDescription:
    word = card_word(primary, "ESO DPR TYPE", _KINDS, "one of " + "; ".join(_KINDS))
    kind = _KINDS[word]
    exptime = exposure_time(primary, kind, f"ESO DPR TYPE says {word}")
    mjd = card_number(primary, "MJD-OBS", low=40000.0, high=100000.0)
    see_date_obs(primary, mjd, "MJD-OBS")
    science, overscan = _sections(header)
    wcs, ra, dec = {}, None, None
    if kind is FrameKind.SCIENCE:
        wcs = dict(first_wcs(header, science, pixel_scale=_SCALE))
        ra, dec = middle_of(wcs, science.shape)
    return FrameDescription(
        hdu=index,
        kind=kind,
        chip=card_word(header, "ESO DET CHIP NAME", _CHIPS, "ccd50 to ccd81"),
        filter=card_word(primary, "ESO INS FILT1 NAME", _BANDS) if kind.has_filter else "",
        object=card_text(primary, "OBJECT"),
        exptime=exptime,
        mjd_obs=mjd,
        night=night_of(mjd, _LONGITUDE),
        science=science,
        overscan=overscan,
        ra=ra,
        dec=dec,
        airmass=mean_airmass(primary, *_AIRMASSES) if wcs else None,
        wcs=wcs,
    )


def _sections(header: Header) -> tuple[Section, Section | None]:
    ny, nx = image_size(header)
    x0, x_over, y0, y_over = (
        int(card_number(header, f"ESO DET OUT1 {word}", low=0))
        for word in ("PRSCX", "OVSCX", "PRSCY", "OVSCY")
    )
    science = Section(y0, ny - y_over, x0, nx - x_over)
    for word, size in (("NY", science.shape[0]), ("NX", science.shape[1])):
        stated = int(card_number(header, f"ESO DET CHIP {word}", low=1))
        if stated != size:
            found = f"the {size} that NAXIS and the dark pixels of ESO DET OUT1 leave"
            refuse(f"ESO DET CHIP {word}", stated, found)
    overscan = Section(science.y0, science.y1, science.x1, nx) if x_over else None
    return science, overscan


INSTRUMENT: Final = Instrument(
    name="simulated",
    title="VOSIM",
    facility="VOSIM-1",
    longitude=_LONGITUDE,
    chips=_CHIPS,
    bands=_BANDS,
    recognises=_recognises,
    describe=_describe,
    pixel_scale=_SCALE,
    pointing_error=0.004,
    # Small frames of small pixels: within the usual 2 arcsec too many stars meet by chance.
    # Chips of any size are taken.
    parameters=MappingProxyType(
        {
            "AstrometricParameters": MappingProxyType({"TOLERANCE": 0.5}),
            **{
                name: MappingProxyType({"SHAPE": None})
                for name in (
                    "RawBiasFrame",
                    "RawDarkFrame",
                    "RawDomeFlatFrame",
                    "RawTwilightFlatFrame",
                )
            },
        }
    ),
    validity=held_for(biases=0.5, flats=5.0),
)
