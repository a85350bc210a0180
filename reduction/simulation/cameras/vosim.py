"""VOSIM, a camera of small chips in OmegaCAM's manner that exists in simulations alone."""

from __future__ import annotations

__all__ = ["CAMERA", "PRESCAN_X"]

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from reduction.instruments.base import Section
from reduction.simulation.cameras.base import Camera, Cards, Exposure, Layout

if TYPE_CHECKING:
    from reduction.simulation.truth import ChipTruth

#: Pixels of the raw frame that see no light.
PRESCAN_X: Final = 16
OVERSCAN_X: Final = 32
OVERSCAN_Y: Final = 8

#: Pixels between neighbouring chips.
_GAP: Final = 24

#: Chips in a row of the mosaic at most.
_COLUMNS: Final = 8


def _place(shape: tuple[int, int], chips: int, index: int) -> Layout:
    """Place a chip; those of the second half have their dark rows below, not above."""
    ny, nx = shape
    y0 = OVERSCAN_Y if index >= (chips + 1) // 2 else 0
    science = Section(y0, y0 + ny, PRESCAN_X, PRESCAN_X + nx)
    raw_shape = (ny + OVERSCAN_Y, PRESCAN_X + nx + OVERSCAN_X)
    overscan = Section(science.y0, science.y1, science.x1, raw_shape[1])
    columns = min(chips, _COLUMNS)
    rows = -(-chips // columns)
    column, row = index % columns, index // columns
    centre = (
        (column - (columns - 1) / 2) * (nx + _GAP),
        (row - (rows - 1) / 2) * (ny + _GAP),
    )
    return Layout(raw_shape, science, overscan, centre)


def _file_name(exposure: Exposure) -> str:
    """File name in ESO's manner, for file systems that know no colons."""
    return f"VOSIM.{exposure.date_obs.replace(':', '_')}.fits"


def _primary(exposure: Exposure, chips: int) -> Cards:
    category = "SCIENCE" if exposure.dpr_type == "OBJECT" else "CALIB"
    cards: Cards = [
        ("ORIGIN", "VOSIM", "simulated"),
        ("TELESCOP", "VOSIM-1", "simulated telescope"),
        ("INSTRUME", "VOSIM", "simulated mosaic camera"),
        ("OBJECT", exposure.object, "target or calibration"),
    ]
    if exposure.ra is not None and exposure.dec is not None:
        cards += [
            ("RA", exposure.ra, "[deg] optical axis"),
            ("DEC", exposure.dec, "[deg] optical axis"),
            ("RADESYS", "ICRS", "frame of RA and DEC"),
        ]
    return [
        *cards,
        ("EXPTIME", exposure.exptime, "[s] integration time"),
        ("MJD-OBS", exposure.mjd, "[d] start of the exposure"),
        ("DATE-OBS", exposure.date_obs, "start of the exposure"),
        ("TIMESYS", "UTC", "scale of times"),
        ("HIERARCH ESO DPR CATG", category, "category"),
        ("HIERARCH ESO DPR TYPE", exposure.dpr_type, "kind of exposure"),
        ("HIERARCH ESO DPR TECH", "IMAGE", "technique"),
        ("HIERARCH ESO OBS NAME", f"VOSIM {exposure.object}", "observing block"),
        ("HIERARCH ESO INS FILT1 NAME", exposure.filter, "filter"),
        ("HIERARCH ESO DET CHIPS", chips, "number of chips"),
        ("HIERARCH ESO TEL AIRM START", exposure.airmass, "airmass at the start"),
        ("HIERARCH ESO TEL AIRM END", exposure.airmass + 0.01, "airmass at the end"),
    ]


def _extension(
    _exposure: Exposure, name: str, index: int, chip: ChipTruth, layout: Layout
) -> Cards:
    ny, nx = layout.science.shape
    below = layout.science.y0 > 0
    detector = "HIERARCH ESO DET"
    return [
        ("EXTNAME", name, "chip"),
        (f"{detector} CHIP NAME", name, "chip"),
        (f"{detector} CHIP INDEX", index + 1, "place in the mosaic"),
        (f"{detector} CHIP NX", nx, "[px] pixels that see light"),
        (f"{detector} CHIP NY", ny, "[px] pixels that see light"),
        (f"{detector} OUT1 CONAD", round(chip.gain, 2), "[e-/adu] nominal"),
        (f"{detector} OUT1 GAIN", round(1 / chip.gain, 3), "[adu/e-] nominal"),
        (f"{detector} OUT1 RON", round(chip.read_noise * chip.gain, 1), "[e-] nominal"),
        (f"{detector} OUT1 PRSCX", PRESCAN_X, "[px] dark columns before"),
        (f"{detector} OUT1 OVSCX", OVERSCAN_X, "[px] dark columns after"),
        (f"{detector} OUT1 PRSCY", OVERSCAN_Y if below else 0, "[px] dark rows below"),
        (f"{detector} OUT1 OVSCY", 0 if below else OVERSCAN_Y, "[px] dark rows above"),
    ]


CAMERA: Final = Camera(
    name="simulated",
    chip_names=tuple(f"ccd{number}" for number in range(50, 82)),
    shape=(256, 256),
    any_shape=True,
    place=_place,
    file_name=_file_name,
    primary=_primary,
    extension=_extension,
    filters=MappingProxyType({"V": "V", "B": "B", "I": "I"}),
)
