"""VLT Survey Telescope with OmegaCAM (32 CCDs of 2048 x 4100 pixels), as ESO's archive has it.

A raw file has a primary header for the exposure and an extension of 2144 x 4200 pixels for each
CCD; files that were split into their CCDs (one extension, or everything in the primary HDU) are
read alike. Header traps: chips are known by EXTNAME, ``ESO DET CHIP NAME`` is their type;
``ESO DET CHIP`` has no number; the 100 dark rows are above the pixels in the lower two rows of
the mosaic and below them in the upper two; east is on the right, x runs against the sky of other
cameras. Standard fields are science frames (DPR TYPE ``STD,ZEROPOINT``).
"""

from __future__ import annotations

__all__ = ["CHIP_NAMES", "INSTRUMENT", "RAW_SHAPE", "chip_sections", "optical_axis"]

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from reduction.cards import (
    card_number,
    card_text,
    card_word,
    check_distinct,
    check_size,
    check_unbinned,
    exposure_time,
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
    from collections.abc import Mapping, Sequence

    from astropy.io.fits import Header

_LONGITUDE: Final = -70.4051
_SCALE: Final = 0.214

#: Shape (ny, nx) of a raw frame, and of the pixels that see light.
RAW_SHAPE: Final = (4200, 2144)
_SHAPE: Final = (4100, 2048)
_DARK_X: Final = 48

#: At the beginning and at the end.
_AIRMASSES: Final = ("ESO TEL AIRM START", "ESO TEL AIRM END")

#: First chip of the mosaic, at its lower left as its pixels lie.
_FIRST: Final = 65

#: In the order of the extensions: four rows of four, lower left first, then those at their right.
CHIP_NAMES: Final = tuple(
    f"ESO_CCD_#{_FIRST + half + 8 * row + column}"
    for half in (0, 4)
    for row in range(4)
    for column in range(4)
)

#: Raw pixel (1-based) on the optical axis, by column and by row of the mosaic, as THELI has them.
_AXIS_X: Final = (8576.0, 6438.0, 4296.0, 2154.0, 14.0, -2125.0, -4268.0, -6408.0)
_AXIS_Y: Final = (8563.0, 4104.0, 61.0, -4400.0)

_KINDS: Final = MappingProxyType(
    {
        "BIAS": FrameKind.BIAS,
        "BIAS,READNOISE": FrameKind.BIAS,
        "DARK": FrameKind.DARK,
        "FLAT,DOME": FrameKind.DOME_FLAT,
        "FLAT,SKY": FrameKind.TWILIGHT_FLAT,
        "OBJECT": FrameKind.SCIENCE,
        "STD,ZEROPOINT": FrameKind.SCIENCE,
        "STD,EXTINCTION": FrameKind.SCIENCE,
    }
)
_CHIPS: Final = MappingProxyType(
    {name: Chip(name, _SHAPE, gain=2.5, read_noise=2.1, saturation=64000.0) for name in CHIP_NAMES}
)
_BANDS: Final = MappingProxyType(
    {
        "u_SDSS": Band("u_SDSS", "u", 326e-9, 383e-9),
        "g_SDSS": Band("g_SDSS", "g", 408e-9, 546e-9),
        "r_SDSS": Band("r_SDSS", "r", 554e-9, 692e-9),
        "i_SDSS": Band("i_SDSS", "i", 686e-9, 839e-9),
        "z_SDSS": Band("z_SDSS", "z", 866e-9, 961e-9),
        "B_JOHN": Band("B_JOHN", "B", 391e-9, 489e-9),
        "V_JOHN": Band("V_JOHN", "V", 505e-9, 595e-9),
    }
)


def _row_column(name: str) -> tuple[int, int]:
    return divmod(int(name.rpartition("#")[2]) - _FIRST, 8)


def chip_sections(name: str) -> tuple[Section, Section]:
    """Pixels of a chip's raw frame that see light, and its overscan columns beside them."""
    row, _column = _row_column(name)
    y0 = RAW_SHAPE[0] - _SHAPE[0] if row >= 2 else 0  # upper half of the four rows
    science = Section(y0, y0 + _SHAPE[0], _DARK_X, _DARK_X + _SHAPE[1])
    return science, Section(science.y0, science.y1, science.x1, RAW_SHAPE[1])


def optical_axis(name: str) -> tuple[float, float]:
    """Pixel (x, y) on the optical axis, 1-based, in a chip's trimmed frame; 100 pixels off."""
    row, column = _row_column(name)
    science, _overscan = chip_sections(name)
    return _AXIS_X[column] - science.x0, _AXIS_Y[row] - science.y0


def _recognises(header: Header) -> bool:
    return str(header.get("INSTRUME", "")).strip() == "OMEGACAM"


def _describe(headers: Sequence[Header]) -> list[FrameDescription]:
    primary = next((header for header in headers[:2] if _recognises(header)), None)
    if primary is None:
        refuse("INSTRUME", None, "'OMEGACAM'")
    images = [(i, header) for i, header in enumerate(headers) if header.get("NAXIS", 0) > 0]
    announced = int(card_number(primary, "ESO DET CHIPS", low=1, high=len(CHIP_NAMES)))
    if len(images) not in {1, announced}:
        refuse(
            "ESO DET CHIPS", announced, f"{len(images)}, the number of image extensions, or one"
        )
    frames = [_frame(primary, header, index) for index, header in images]
    check_distinct("EXTNAME", [frame.chip for frame in frames])
    return frames


def _frame(primary: Header, header: Header, index: int) -> FrameDescription:
    kind, word = _kind(primary)
    exptime = exposure_time(primary, kind, f"ESO DPR TYPE says {word}")
    mjd = card_number(primary, "MJD-OBS", low=40000.0, high=100000.0)
    see_date_obs(primary, mjd, "MJD-OBS")
    chip = _chip(header)
    _check_size(header, primary)
    science, overscan = chip_sections(chip)
    wcs = _wcs(primary, header, chip) if kind is FrameKind.SCIENCE else {}
    ra, dec = middle_of(wcs, _SHAPE) if wcs else (None, None)
    return FrameDescription(
        hdu=index,
        kind=kind,
        chip=chip,
        filter=card_word(primary, "ESO INS FILT1 NAME", _BANDS) if kind.has_filter else "",
        object=card_text(primary, "OBJECT"),
        exptime=exptime,
        mjd_obs=mjd,
        night=night_of(mjd, _LONGITUDE),
        science=science,
        overscan=overscan,
        ra=ra,
        dec=dec,
        airmass=mean_airmass(primary, *_AIRMASSES) if kind is FrameKind.SCIENCE else None,
        wcs=wcs,
    )


def _kind(primary: Header) -> tuple[FrameKind, str]:
    word = card_text(primary, "ESO DPR TYPE", "one of " + "; ".join(_KINDS)).upper()
    if word not in _KINDS:
        refuse("ESO DPR TYPE", word, "one of " + "; ".join(_KINDS))
    technique = card_text(primary, "ESO DPR TECH", "IMAGE")
    if "IMAGE" not in technique.upper().split(","):
        refuse("ESO DPR TECH", technique, "IMAGE")
    return _KINDS[word], word


def _chip(header: Header) -> str:
    expected = f"{CHIP_NAMES[0]} to {CHIP_NAMES[-1]}"
    keyword = "EXTNAME" if "EXTNAME" in header else "ESO DET CHIP ID"
    return card_word(header, keyword, _CHIPS, expected)


def _check_size(header: Header, primary: Header) -> None:
    """Refuse a frame whose pixels are not those that the sections stand for."""
    check_size(header, RAW_SHAPE, f"{RAW_SHAPE[1]} x {RAW_SHAPE[0]} pixels, the whole chip")
    for axis, size, light in (
        ("X", RAW_SHAPE[1], _SHAPE[1]),
        ("Y", RAW_SHAPE[0], _SHAPE[0]),
    ):
        words = [f"ESO DET OUT1 {region}{axis}" for region in ("PRSC", "OVSC")]
        if all(word in header for word in words):
            dark = sum(card_number(header, word, low=0) for word in words)
            if dark != size - light:
                refuse(
                    words[1], header[words[1]], f"{size - light} dark pixels along {axis} in all"
                )
        for source in (header, primary):
            word = f"ESO DET WIN1 BIN{axis}"
            if word in source:
                check_unbinned(source, word)


def _wcs(primary: Header, header: Header, chip: str) -> Mapping[str, float | str]:
    """The extension's own WCS where it has one, else the nominal one about the pointing."""
    ra = card_number(primary, "RA", low=0.0, high=360.0)
    dec = card_number(primary, "DEC", low=-90.0, high=90.0)
    if "CD1_1" in header:
        science, _overscan = chip_sections(chip)
        return first_wcs(header, science, pixel_scale=_SCALE, pointing=(ra, dec))
    x, y = optical_axis(chip)
    cards: dict[str, float | str] = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"}
    cards |= {"CUNIT1": "deg", "CUNIT2": "deg", "CRVAL1": ra, "CRVAL2": dec}
    cards |= {"CRPIX1": x, "CRPIX2": y, "CD1_2": 0.0, "CD2_1": 0.0}
    return cards | {"CD1_1": _SCALE / 3600.0, "CD2_2": _SCALE / 3600.0}


INSTRUMENT: Final = Instrument(
    name="omegacam",
    title="OmegaCAM",
    facility="ESO Paranal VST",
    longitude=_LONGITUDE,
    chips=_CHIPS,
    bands=_BANDS,
    recognises=_recognises,
    describe=_describe,
    pixel_scale=_SCALE,
    pointing_error=0.01,
    # Biases are taken daily, a master flat holds for the week about it (Astro-WISE).
    validity=held_for(biases=0.5, flats=3.5),
)
