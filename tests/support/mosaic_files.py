"""Exposures of the simulated mosaic as FITS files, and a catalogue as SCAMP reads it."""

from __future__ import annotations

__all__ = ["GAIN", "ldac", "render", "write_exposure"]

from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits

if TYPE_CHECKING:
    from pathlib import Path

    from reduction.steps.wcs import TanWcs
    from tests.support.mosaic import Sky

GAIN = 2.0
FWHM = 4.0
SKY = 200.0
ZERO = 29.0
_HALF = 11


def render(sky: Sky, wcs: TanWcs, shape: tuple[int, int], seed: int) -> np.ndarray:
    """A reduced frame: Gaussians on a flat sky with photon and read noise, adu."""
    rng = np.random.default_rng(seed)
    ny, nx = shape
    image = np.full(shape, SKY)
    x, y = wcs.to_pixel(sky.ra, sky.dec)
    flux = 10.0 ** (-0.4 * (sky.mag - ZERO))
    sigma2 = (FWHM / 2.3548) ** 2
    steps = np.arange(-_HALF, _HALF + 1)
    for a, b, f in zip(x, y, flux, strict=True):
        if not (-_HALF < a < nx + _HALF and -_HALF < b < ny + _HALF):
            continue
        columns, rows = round(a) + steps, round(b) + steps
        columns = columns[(columns >= 0) & (columns < nx)]
        rows = rows[(rows >= 0) & (rows < ny)]
        d2 = (rows[:, None] - b) ** 2 + (columns[None, :] - a) ** 2
        star = f / (2.0 * np.pi * sigma2) * np.exp(-0.5 * d2 / sigma2)
        image[np.ix_(rows, columns)] += star
    electrons = rng.poisson(image * GAIN) / GAIN
    return (electrons + rng.normal(0.0, 3.0, shape)).astype(np.float32)


def write_exposure(path: Path, frames: list[tuple[np.ndarray, TanWcs]], *, mjd: float) -> None:
    """One file with an extension for each chip, as SCAMP and SWarp take them."""
    common = {"EXPTIME": 60.0, "FILTER": "V", "GAIN": GAIN, "MJD-OBS": mjd, "AIRMASS": 1.0}
    primary = fits.PrimaryHDU()
    primary.header.update(common)
    hdus: list[fits.PrimaryHDU | fits.ImageHDU] = [primary]
    for image, wcs in frames:
        header = fits.Header(wcs.to_cards())
        header.update(common)
        hdus.append(fits.ImageHDU(image, header))
    fits.HDUList(hdus).writeto(path)


def ldac(path: Path, ra: np.ndarray, dec: np.ndarray, mag: np.ndarray, error: float) -> None:
    """A reference catalogue in the form that SCAMP reads (FITS_LDAC); ``error`` in degrees."""
    card = b"END".ljust(80)
    head = fits.BinTableHDU.from_columns(
        [fits.Column("Field Header Card", f"{len(card)}A", array=np.array([card]))],
        name="LDAC_IMHEAD",
    )
    stars = {
        "X_WORLD": (ra, "1D", "deg"),
        "Y_WORLD": (dec, "1D", "deg"),
        "ERRA_WORLD": (np.full(len(ra), error), "1E", "deg"),
        "ERRB_WORLD": (np.full(len(ra), error), "1E", "deg"),
        "MAG": (mag, "1E", "mag"),
        "MAGERR": (np.full(len(ra), 0.02), "1E", "mag"),
        "OBSDATE": (np.full(len(ra), 2025.2), "1D", "yr"),
    }
    columns = [fits.Column(n, form, unit=u, array=v) for n, (v, form, u) in stars.items()]
    table = fits.BinTableHDU.from_columns(columns, name="LDAC_OBJECTS")
    fits.HDUList([fits.PrimaryHDU(), head, table]).writeto(path)
