"""Headers of every camera as it writes them, for the tests that all cameras have to pass."""

from __future__ import annotations

__all__ = ["SAMPLES", "Sample", "write_sample"]

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Sample:
    """Cards of one exposure: of its primary header, and of an image extension if it has one."""

    kind: str
    cards: Mapping[str, Any]
    shape: tuple[int, int]
    extension: Mapping[str, Any] = field(default_factory=dict)

    def headers(self) -> list[fits.Header]:
        """As :func:`reduction.frames.read_headers` gives them."""
        size = {"NAXIS": 2, "NAXIS1": self.shape[1], "NAXIS2": self.shape[0]}
        if not self.extension:
            return [_header(size | dict(self.cards))]
        return [_header({"NAXIS": 0} | dict(self.cards)), _header(size | dict(self.extension))]


def _header(cards: Mapping[str, Any]) -> fits.Header:
    header = fits.Header()
    for keyword, value in cards.items():
        header[f"HIERARCH {keyword}" if " " in keyword else keyword] = value
    return header


def write_sample(path: Path, sample: Sample) -> Path:
    """Write the exposure with noise for pixels."""
    pixels = np.random.default_rng(1).normal(1000.0, 5.0, sample.shape).astype(np.uint16)
    image: Any = fits.ImageHDU(pixels) if sample.extension else fits.PrimaryHDU(pixels)
    hdus = fits.HDUList([fits.PrimaryHDU(), image] if sample.extension else [image])
    for hdu, header in zip(hdus, sample.headers(), strict=True):
        for card in header.cards:
            if not card.keyword.startswith("NAXIS"):
                hdu.header.append(card)
    hdus.writeto(path)
    return path


_NICKEL = {
    "INSTRUME": "Nickel Direct Camera",
    "OBJECT": "PG1323-085        ",
    "OBSTYPE": "OBJECT",
    "EXPTIME": 60,
    "FILTNAM": "V                 ",
    "DATE-BEG": "2024-05-13T04:32:47.12",
    "DATASEC": "[1:1024,1:1024]",
    "COVER": 32,
    "RA": "13:25:39.63       ",
    "DEC": "-8:49:28.5        ",
    "AIRMASS": 1.594,
    "CTYPE1": "RA---TAN",
    "CTYPE2": "DEC--TAN",
    "CRPIX1": 512,
    "CRPIX2": 512,
    "CRVAL1": 201.4152832031,
    "CRVAL2": -8.824473381042,
    "CD1_1": -0.0001027,
    "CD1_2": -3.946e-06,
    "CD2_1": 3.946e-06,
    "CD2_2": -0.0001027,
}
_CAFOS = {
    "INSTRUME": "CAFOS 2.2",
    "OBJECT": "NCG2420 B",
    "EXPTIME": 2.0,
    "RA": 114.915783,
    "DEC": 21.52591,
    "AIRMASS": 1.56581,
    "MJD-OBS": 59301.9629,
    "DATE-OBS": "2021-03-28T23:06:34",
    "IMAGETYP": "science ",
    "CAMID": "CCD15",
    "CCDBINX": 1,
    "CCDBINY": 1,
    "INSFLNAM": "JohnsonB  ",
    "CAHA DET EXP TYPE": "science ",
    "CAHA DET CCD1 WIN1 NX": 1024,
    "CAHA DET CCD1 WIN1 NY": 1024,
    "CAHA INS FILT1 NAME": "JohnsonB",
    "CAHA TEL POS SET RA": 1719.0,
    "CAHA TEL POS SET DEC": 21.57417,
}
_MIT = {
    "ORIGIN": "MIT Wallace Astrophysical Observatory (810)",
    "TELESCOP": "C14",
    "INSTRUME": "SBIG STL-1001 3 CCD Camera",
    "OBJECT": "2713 Luxembourg",
    "EXPTIME": 180.0,
    "PICTTYPE": 1,
    "IMAGETYP": "Light Frame",
    "XBINNING": 1,
    "YBINNING": 1,
    "EGAIN": 2.07,
    "PEDESTAL": -100,
    "AIRMASS": 2.75866589829302,
    "OBJCTRA": "04 12 12.276",
    "OBJCTDEC": "+22 53 01.76",
    "FILTER": "Open",
    "DATE-OBS": "2018-10-13T02:06:15.676",
}
_MICROOBSERVATORY = {
    "DATE-OBS": "2017-12-19T18:33:43.317-0700",
    "UT-OBS": "2017-12-20T01:33:43.317-0000",
    "MJD-OBS": 58107.065,
    "OBJECT": "HATP-32",
    "EXPTIME": 60.0,
    "RA": 31.312099,
    "DEC": 46.769087,
    "TELALT": 62.592,
    "INSTRUME": "Main",
    "FILTER": "Clear",
    "IM_SCALE": 5.210,
    "TELESCOP": "Cecilia",
    "CREATOR": "MicroObservatory2014-05-23",
}
_OMEGACAM = {
    "INSTRUME": "OMEGACAM",
    "OBJECT": "KIDS_129.0_-0.5_r",
    "RA": 129.0,
    "DEC": -0.5,
    "EXPTIME": 360.0,
    "MJD-OBS": 55923.25,
    "ESO DPR CATG": "SCIENCE",
    "ESO DPR TECH": "IMAGE",
    "ESO DPR TYPE": "OBJECT",
    "ESO INS FILT1 NAME": "r_SDSS",
    "ESO DET CHIPS": 32,
    "ESO TEL AIRM START": 1.2,
    "ESO TEL AIRM END": 1.3,
}
_OMEGACAM_CHIP = {
    "EXTNAME": "ESO_CCD_#82",
    "ESO DET OUT1 PRSCX": 48,
    "ESO DET OUT1 OVSCX": 48,
}
_VOSIM = {
    "INSTRUME": "VOSIM",
    "OBJECT": "VOSIM-1",
    "EXPTIME": 60.0,
    "MJD-OBS": 60736.1,
    "ESO DPR TYPE": "OBJECT",
    "ESO INS FILT1 NAME": "V",
    "ESO DET CHIPS": 1,
    "ESO TEL AIRM START": 1.2,
    "ESO TEL AIRM END": 1.3,
}
_VOSIM_CHIP = {
    "ESO DET CHIP NAME": "ccd50",
    "ESO DET CHIP NX": 64,
    "ESO DET CHIP NY": 64,
    "ESO DET OUT1 PRSCX": 16,
    "ESO DET OUT1 OVSCX": 32,
    "ESO DET OUT1 PRSCY": 0,
    "ESO DET OUT1 OVSCY": 8,
    "CTYPE1": "RA---TAN",
    "CTYPE2": "DEC--TAN",
    "CRVAL1": 150.1,
    "CRVAL2": 2.2,
    "CRPIX1": 48.5,
    "CRPIX2": 32.5,
    "CD1_1": -5.9e-5,
    "CD1_2": 0.0,
    "CD2_1": 0.0,
    "CD2_2": 5.9e-5,
}

#: By camera: a science frame, and a bias where the camera has such.
SAMPLES: dict[str, tuple[Sample, ...]] = {
    "nickel": (
        Sample("RawScienceFrame", _NICKEL, (1024, 1056)),
        Sample(
            "RawBiasFrame",
            _NICKEL | {"OBJECT": "bias", "OBSTYPE": "DARK", "EXPTIME": 0},
            (1024, 1056),
        ),
    ),
    "cafos": (
        Sample("RawScienceFrame", _CAFOS, (1024, 1024)),
        Sample(
            "RawBiasFrame",
            _CAFOS | {"IMAGETYP": "bias", "CAHA DET EXP TYPE": "bias", "EXPTIME": 0.0},
            (1024, 1024),
        ),
    ),
    "mit_wallace": (
        Sample("RawScienceFrame", _MIT, (1024, 1024)),
        Sample(
            "RawBiasFrame",
            _MIT | {"IMAGETYP": "Bias Frame", "PICTTYPE": 2, "EXPTIME": 0.0},
            (1024, 1024),
        ),
        Sample("RawDarkFrame", _MIT | {"IMAGETYP": "Dark Frame", "PICTTYPE": 3}, (1024, 1024)),
    ),
    "microobservatory": (Sample("RawScienceFrame", _MICROOBSERVATORY, (500, 650)),),
    "omegacam": (
        Sample("RawScienceFrame", _OMEGACAM, (4200, 2144), _OMEGACAM_CHIP),
        Sample(
            "RawBiasFrame",
            _OMEGACAM | {"ESO DPR TYPE": "BIAS", "EXPTIME": 0.0},
            (4200, 2144),
            _OMEGACAM_CHIP,
        ),
    ),
    "simulated": (
        Sample("RawScienceFrame", _VOSIM, (72, 112), _VOSIM_CHIP),
        Sample(
            "RawBiasFrame",
            _VOSIM | {"ESO DPR TYPE": "BIAS", "EXPTIME": 0.0},
            (72, 112),
            _VOSIM_CHIP,
        ),
    ),
}
