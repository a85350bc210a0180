"""The rooftop camera: one CCD of 128 x 128 pixels with 16 columns of overscan, one filter."""

from __future__ import annotations

__all__ = ["INSTRUMENT"]

from typing import TYPE_CHECKING

from reduction.cards import (
    card_text,
    card_word,
    check_size,
    declination,
    exposure_time,
    mean_airmass,
    mjd_of,
    night_of,
    own_header,
    right_ascension,
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

LONGITUDE = 6.55  # degrees east
CHIP = Chip("roof", shape=(128, 128), gain=2.0, read_noise=4.0, saturation=60000.0)
BANDS = {"V": Band("V", standard="V", em_min=505e-9, em_max=595e-9)}
KINDS = {
    "bias": FrameKind.BIAS,
    "flat": FrameKind.DOME_FLAT,
    "object": FrameKind.SCIENCE,
}


def recognises(header: Header) -> bool:
    """Whether a header is this camera's."""
    return str(header.get("INSTRUME", "")).strip() == "ROOF-1"


def describe(headers: Sequence[Header]) -> list[FrameDescription]:
    """Read what a file's headers say: one description for each CCD frame in it."""
    index, header = own_header(headers, recognises, "INSTRUME", "'ROOF-1'")
    check_size(header, (128, 144), "144 x 128 pixels")
    word = card_word(header, "IMAGETYP", KINDS)
    kind = KINDS[word]
    mjd = mjd_of(header, "DATE-OBS")
    pointed = kind is FrameKind.SCIENCE
    return [
        FrameDescription(
            hdu=index,
            kind=kind,
            chip=CHIP.name,
            filter=card_word(header, "FILTER", BANDS) if kind.has_filter else "",
            object=card_text(header, "OBJECT"),
            exptime=exposure_time(header, kind, f"IMAGETYP says {word}"),
            mjd_obs=mjd,
            night=night_of(mjd, LONGITUDE),
            science=Section(0, 128, 0, 128),
            overscan=Section(0, 128, 128, 144),
            ra=right_ascension(header, "RA") if pointed else None,
            dec=declination(header, "DEC") if pointed else None,
            airmass=mean_airmass(header, "AIRMASS") if pointed else None,
        )
    ]


INSTRUMENT = Instrument(
    name="rooftop",
    title="Rooftop camera",
    facility="Our roof",
    longitude=LONGITUDE,
    chips={CHIP.name: CHIP},
    bands=BANDS,
    recognises=recognises,
    describe=describe,
    pixel_scale=1.5,
    pointing_error=0.05,
    rotation_known=False,
    parameters={"Catalog": {"APERTURE_RADIUS": 6.0}},
    validity={"DomeFlatFrame": (7.0, 7.0), "MasterFlatFrame": (7.0, 7.0)},
)
