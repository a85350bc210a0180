"""The rooftop camera: one CCD of 128 x 128 pixels with 16 columns of overscan, one filter."""

from __future__ import annotations

__all__ = ["INSTRUMENT"]

from typing import TYPE_CHECKING

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
    index = next((i for i, header in enumerate(headers) if recognises(header)), None)
    if index is None:
        refuse("INSTRUME", None, "'ROOF-1'")
    header = headers[index]
    if image_size(header) != (128, 144):
        refuse("NAXIS1", header["NAXIS1"], "144 x 128 pixels")
    word = card_text(header, "IMAGETYP", "bias, flat or object")
    if word not in KINDS:
        refuse("IMAGETYP", word, "bias, flat or object")
    kind = KINDS[word]
    exptime = card_number(header, "EXPTIME", low=0.0, high=1e5)
    if (exptime == 0) != (kind is FrameKind.BIAS):
        refuse("EXPTIME", exptime, f"0 for a bias alone, since IMAGETYP says {word}")
    mjd = mjd_of(header, "DATE-OBS")
    pointed = kind is FrameKind.SCIENCE
    return [
        FrameDescription(
            hdu=index,
            kind=kind,
            chip=CHIP.name,
            filter="" if kind is FrameKind.BIAS else filter_of(header),
            object=card_text(header, "OBJECT"),
            exptime=exptime,
            mjd_obs=mjd,
            night=night_of(mjd, LONGITUDE),
            science=Section(0, 128, 0, 128),
            overscan=Section(0, 128, 128, 144),
            ra=angle(header, "RA", low=0, high=24) * 15 if pointed else None,
            dec=angle(header, "DEC", low=-90, high=90) if pointed else None,
            airmass=card_number(header, "AIRMASS", low=1.0, high=40.0) if pointed else None,
        )
    ]


def filter_of(header: Header) -> str:
    """Name of the filter; one that is not in the list is refused."""
    name = card_text(header, "FILTER", "a filter")
    if name not in BANDS:
        refuse("FILTER", name, "one of " + ", ".join(BANDS))
    return name


def angle(header: Header, keyword: str, *, low: float, high: float) -> float:
    """Value of a sexagesimal card, in units of its first field."""
    value = sexagesimal(header, keyword)
    if not low <= value <= high:
        refuse(keyword, header[keyword], f"{low} to {high}")
    return value


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
