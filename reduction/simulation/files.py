"""Raw files of simulated cameras: one an exposure, one 16-bit extension a chip."""

from __future__ import annotations

__all__ = ["RawFile", "write_reference"]

import csv
from typing import TYPE_CHECKING, Final

import numpy as np
from astropy.io import fits

from reduction.simulation.config import stream
from reduction.simulation.geometry import wcs_cards

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from reduction.simulation.cameras.base import Camera, Exposure, Layout
    from reduction.simulation.config import SimulationConfig
    from reduction.simulation.truth import ChipTruth, SkyTruth

#: Magnitudes of the reference catalogue, and the error of its photometry.
_REFERENCE_RANGE: Final = (14.0, 20.0)
_REFERENCE_MAG_ERROR: Final = 0.01

#: Bytes of a FITS block, and what makes an unsigned number a signed one with BZERO 32768.
_BLOCK: Final = 2880
_SIGN: Final = np.uint16(0x8000)


class RawFile:
    """One raw file, written chip by chip beside its place, so that no mosaic is ever in memory.

    Parameters
    ----------
    folder
        Where to.
    camera
        What is simulated.
    exposure
        What the headers say.
    chips
        Number of extensions there will be.
    """

    def __init__(self, folder: Path, camera: Camera, exposure: Exposure, chips: int) -> None:
        self._camera, self._exposure = camera, exposure
        self._path = folder / camera.file_name(exposure)
        self._aside = self._path.with_suffix(".part")
        header = fits.PrimaryHDU().header
        for key, value, comment in camera.primary(exposure, chips):
            header[key] = (value, comment)
        self._aside.write_bytes(header.tostring().encode("ascii"))

    @property
    def name(self) -> str:
        """Its name when it is done."""
        return self._path.name

    def add(
        self, name: str, index: int, chip: ChipTruth, layout: Layout, pixels: NDArray[np.uint16]
    ) -> None:
        """Append the extension of a chip; ``pixels`` have the shape ``layout.raw_shape``."""
        header = fits.ImageHDU(np.zeros((1, 1), np.int16)).header
        header["NAXIS2"], header["NAXIS1"] = pixels.shape
        header["BZERO"] = (32768, "data are unsigned")
        header["BSCALE"] = 1
        exposure = self._exposure
        cards = self._camera.extension(exposure, name, index, chip, layout)
        if exposure.ra is not None and exposure.dec is not None:
            wcs = wcs_cards(layout, exposure.ra, exposure.dec, trimmed=False)
            cards = [*cards, *((key, value, "first WCS") for key, value in wcs.items())]
        for key, value, comment in cards:
            header[key] = (value, comment)
        with self._aside.open("ab") as file:
            file.write(header.tostring().encode("ascii"))
            file.write((pixels ^ _SIGN).astype(">u2").tobytes())
            file.write(b"\0" * (-2 * pixels.size % _BLOCK))

    def close(self) -> None:
        """Give the file its name."""
        self._aside.replace(self._path)


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
