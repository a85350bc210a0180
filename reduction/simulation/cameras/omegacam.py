"""OmegaCAM: full frames of 2144 x 4200 pixels under ESO's keywords.

The geometry is the adapter's. Cards are those that pipelines for real frames read, with ESO's
formats and comments; a real primary header has some six hundred more (templates, guiding,
temperatures).
"""

from __future__ import annotations

__all__ = ["CAMERA"]

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from reduction.instruments.omegacam import CHIP_NAMES, RAW_SHAPE, chip_sections, optical_axis
from reduction.simulation.cameras.base import Camera, Cards, Exposure, Layout

if TYPE_CHECKING:
    from reduction.simulation.truth import ChipTruth

#: DPR CATG of what is no calibration.
_CATEGORY: Final = MappingProxyType({"OBJECT": "SCIENCE"})


def _place(_shape: tuple[int, int], _chips: int, index: int) -> Layout:
    name = CHIP_NAMES[index]
    science, overscan = chip_sections(name)
    ny, nx = science.shape
    x, y = optical_axis(name)
    centre = ((nx + 1) / 2 - x, (ny + 1) / 2 - y)
    return Layout(RAW_SHAPE, science, overscan, centre, mirrored=True)


def _file_name(exposure: Exposure) -> str:
    return f"OMEGA.{exposure.date_obs}.fits"


def _primary(exposure: Exposure, chips: int) -> Cards:
    seconds = exposure.mjd % 1.0 * 86400.0
    cards: Cards = [
        ("ORIGIN", "ESO", "European Southern Observatory"),
        ("TELESCOP", "ESO-VST", "ESO <TEL>"),
        ("INSTRUME", "OMEGACAM", "Instrument used."),
        ("OBJECT", exposure.object, "Original target."),
    ]
    if exposure.ra is not None and exposure.dec is not None:
        cards += [
            ("RA", round(exposure.ra, 6), "[deg] RA (J2000.0) pointing"),
            ("DEC", round(exposure.dec, 6), "[deg] DEC (J2000.0) pointing"),
            ("EQUINOX", 2000.0, "Standard FK5 (years)"),
            ("RADECSYS", "FK5", "FK5"),
        ]
    system = "HIERARCH ESO"
    category = _CATEGORY.get(exposure.dpr_type, "CALIB")
    return [
        *cards,
        ("EXPTIME", exposure.exptime, "Total integration time"),
        ("MJD-OBS", exposure.mjd, "MJD start"),
        ("DATE-OBS", exposure.date_obs, "Observing date"),
        ("UTC", round(seconds, 3), "[s] UTC at start"),
        ("PI-COI", "UNKNOWN", "PI-COI name."),
        ("OBSERVER", "UNKNOWN", "Name of observer."),
        ("ARCFILE", _file_name(exposure), "Archive File Name"),
        (f"{system} DPR CATG", category, "Observation category"),
        (f"{system} DPR TECH", "IMAGE", "Observation technique"),
        (f"{system} DPR TYPE", exposure.dpr_type, "Observation type"),
        (f"{system} OBS NAME", f"OMEGACAM_{exposure.object}", "OB name"),
        *_set_up(exposure, chips),
    ]


def _set_up(exposure: Exposure, chips: int) -> Cards:
    """Cards of instrument, detector and telescope."""
    detector, system = "HIERARCH ESO DET", "HIERARCH ESO"
    return [
        (f"{system} INS MODE", "NORMAL", "Instrument mode used."),
        (f"{system} INS FILT1 NAME", exposure.filter, "Filter name."),
        (f"{system} INS FILT1 TYPE", "FILTER", "Element type."),
        (f"{detector} CHIPS", chips, "Number of chips in the mosaic"),
        (f"{detector} WIN1 BINX", 1, "Binning factor along X"),
        (f"{detector} WIN1 BINY", 1, "Binning factor along Y"),
        (f"{detector} READ MODE", "normal", "Readout method"),
        (f"{system} TEL AIRM START", exposure.airmass, "Airmass at start"),
        (f"{system} TEL AIRM END", round(exposure.airmass + 0.01, 3), "Airmass at end"),
        (f"{system} TEL GEOLAT", -24.6276, "[deg] Tel geo latitude (+=North)"),
        (f"{system} TEL GEOLON", -70.4051, "[deg] Tel geo longitude (+=East)"),
    ]


def _extension(
    exposure: Exposure, name: str, index: int, chip: ChipTruth, layout: Layout
) -> Cards:
    ny, nx = layout.science.shape
    chip_word, output = "HIERARCH ESO DET CHIP", "HIERARCH ESO DET OUT1"
    above = layout.raw_shape[0] - layout.science.y1
    return [
        ("EXTNAME", name, "Extension name"),
        ("ORIGIN", "ESO", "European Southern Observatory"),
        ("EXPTIME", exposure.exptime, "Total integration time"),
        (f"{chip_word} ID", name, "Detector chip identification"),
        (f"{chip_word} INDEX", index + 1, "Chip index"),
        (f"{chip_word} NAME", "CCD44-82", "Detector chip name"),
        (f"{chip_word} LIVE", True, "Detector live or not"),
        (f"{chip_word} NX", nx, "Physical active pixels in X"),
        (f"{chip_word} NY", ny, "Physical active pixels in Y"),
        (f"{chip_word} PSZX", 15.0, "[um] Size of pixel in X"),
        (f"{chip_word} PSZY", 15.0, "[um] Size of pixel in Y"),
        (f"{output} CHIP", index + 1, "Index of chip it belongs to"),
        (f"{output} CONAD", round(chip.gain, 2), "Conversion from ADUs to electrons"),
        (f"{output} GAIN", round(1 / chip.gain, 3), "Conversion from electrons to ADU"),
        (f"{output} RON", round(chip.read_noise * chip.gain, 1), "[e-] Readout noise"),
        (f"{output} NX", nx, "Output data pixels in X"),
        (f"{output} NY", ny, "Output data pixels in Y"),
        (f"{output} PRSCX", layout.science.x0, "Prescan region in X"),
        (f"{output} OVSCX", layout.raw_shape[1] - layout.science.x1, "Overscan region in X"),
        (f"{output} PRSCY", layout.science.y0, "Prescan region in Y"),
        (f"{output} OVSCY", above, "Overscan region in Y"),
    ]


CAMERA: Final = Camera(
    name="omegacam",
    chip_names=CHIP_NAMES,
    shape=(4100, 2048),
    place=_place,
    file_name=_file_name,
    primary=_primary,
    extension=_extension,
    filters=MappingProxyType({"V": "V_JOHN", "B": "B_JOHN"}),
)
