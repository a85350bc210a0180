"""Raw files of the simulated camera: one an exposure, one extension a chip, ESO's keywords."""

from __future__ import annotations

__all__ = ["Exposure", "raw_file_name", "write_exposure", "write_reference"]

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from astropy.io import fits
from astropy.time import Time

from reduction.simulation.config import stream
from reduction.simulation.geometry import OVERSCAN_X, OVERSCAN_Y, PRESCAN_X, wcs_cards

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from reduction.simulation.config import SimulationConfig
    from reduction.simulation.geometry import Layout
    from reduction.simulation.truth import ChipTruth, SkyTruth

#: Magnitudes of the reference catalogue, and the error of its photometry.
_REFERENCE_RANGE: Final = (14.0, 20.0)
_REFERENCE_MAG_ERROR: Final = 0.01


@dataclass(frozen=True, slots=True)
class Exposure:
    """What the headers of an exposure say.

    Attributes
    ----------
    dpr_type
        ESO's word for the kind: "BIAS", "FLAT,DOME", "FLAT,SKY", "OBJECT".
    filter
        Name; the one that happens to be in the beam, for a bias.
    object
        OBJECT.
    exptime
        s.
    mjd
        Start, MJD UTC.
    ra, dec
        Optical axis as the telescope believes it, ICRS degrees; None for calibrations.
    airmass
        At the start.
    """

    dpr_type: str
    filter: str
    object: str
    exptime: float
    mjd: float
    ra: float | None = None
    dec: float | None = None
    airmass: float = 1.0

    @property
    def date_obs(self) -> str:
        """ISO form of the start."""
        return str(Time(self.mjd, format="mjd", scale="utc").isot)


def raw_file_name(exposure: Exposure) -> str:
    """File name in ESO's manner, for file systems that know no colons."""
    return f"VOSIM.{exposure.date_obs.replace(':', '_')}.fits"


def _primary(exposure: Exposure, chips: int) -> fits.PrimaryHDU:
    hdu = fits.PrimaryHDU()
    category = "SCIENCE" if exposure.dpr_type == "OBJECT" else "CALIB"
    cards: list[tuple[str, object, str]] = [
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
    cards += [
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
    for key, value, comment in cards:
        hdu.header[key] = (value, comment)
    return hdu


def _extension(
    exposure: Exposure, name: str, index: int, chip: ChipTruth, layout: Layout
) -> list[tuple[str, object, str]]:
    ny, nx = layout.science.shape
    below = layout.science.y0 > 0
    detector = "HIERARCH ESO DET"
    cards: list[tuple[str, object, str]] = [
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
    if exposure.ra is not None and exposure.dec is not None:
        wcs = wcs_cards(layout, exposure.ra, exposure.dec, trimmed=False)
        cards += [(key, value, "first WCS") for key, value in wcs.items()]
    return cards


def write_exposure(
    folder: Path,
    exposure: Exposure,
    frames: Sequence[tuple[str, ChipTruth, Layout, NDArray[np.uint16]]],
) -> Path:
    """Write one raw file.

    Parameters
    ----------
    folder
        Where to.
    exposure
        What the headers say.
    frames
        Name, chip, layout and raw pixels of each chip.

    Returns
    -------
    Path
        The file; written aside and renamed.
    """
    hdus = fits.HDUList([_primary(exposure, len(frames))])
    for index, (name, chip, layout, pixels) in enumerate(frames):
        hdu = fits.ImageHDU(pixels)
        for key, value, comment in _extension(exposure, name, index, chip, layout):
            hdu.header[key] = (value, comment)
        hdus.append(hdu)
    path = folder / raw_file_name(exposure)
    aside = path.with_suffix(".part")
    hdus.writeto(aside, overwrite=True)
    aside.replace(path)
    return path


def write_reference(path: Path, config: SimulationConfig, sky: SkyTruth) -> None:
    """Write a catalogue of the brighter stars with errors of position and magnitude.

    Columns: name, ra, dec (ICRS degrees), then each band and ``e_`` its error, magnitudes.
    """
    rng = stream(config, "reference")
    noise = rng.normal(0.0, config.reference_error / 3600.0, (2, sky.ra.size))
    mags = {
        band: values + rng.normal(0.0, _REFERENCE_MAG_ERROR, values.size)
        for band, values in sorted(sky.mags.items(), reverse=True)
    }
    ra = (sky.ra + noise[0] / np.cos(np.radians(sky.dec))) % 360.0
    dec = sky.dec + noise[1]
    low, high = _REFERENCE_RANGE
    chosen = ~sky.galaxy & (sky.mags["V"] >= low) & (sky.mags["V"] <= high)
    with path.open("w", newline="", encoding="ascii") as file:
        writer = csv.writer(file, lineterminator="\n")
        bands = [word for band in mags for word in (band, f"e_{band}")]
        writer.writerow(["name", "ra", "dec", *bands])
        for i in np.nonzero(chosen)[0]:
            values = [
                word
                for band in mags.values()
                for word in (f"{band[i]:.4f}", f"{_REFERENCE_MAG_ERROR:.4f}")
            ]
            writer.writerow([sky.name[i], f"{ra[i]:.8f}", f"{dec[i]:.8f}", *values])
