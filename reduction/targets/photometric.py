"""How bright a star of one adu per second is."""

from __future__ import annotations

__all__ = ["PhotometricParameters"]

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reduction.attributes import attribute
from reduction.depends import of_frame, raw_frame, references
from reduction.detection import is_clean, signal_to_noise
from reduction.quality import QualityFlags
from reduction.steps.matching import match_nearest
from reduction.steps.photometry import isolated, zero_point
from reduction.target import FrameTarget, Inputs, Made
from reduction.targets.astrometric import wcs_from_attributes
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


class PhotometricParameters(FrameTarget):
    """Zero point from the standard stars in one frame.

    A frame without enough of them has none of its own: those of the night's other frames serve.
    """

    VERSION = 2

    raw = raw_frame("RawScienceFrame")
    catalog = of_frame("Catalog")
    astrometric = of_frame("AstrometricParameters")
    reference_catalogues = references(at_least=1)

    zero_point = attribute(
        float,
        "magnitude of a source of 1 adu/s above the atmosphere",
        unit="mag",
        ucd="phot.mag;arith.zp",
    )
    zero_point_err = attribute(float, "its error", unit="mag", ucd="stat.error;phot.mag;arith.zp")
    scatter = attribute(float, "standard deviation of the stars", unit="mag", ucd="stat.stdev")
    n_stars = attribute(int, "standard stars used", ucd="meta.number")
    extinction = attribute(
        float, "extinction taken off, mag per airmass", unit="mag", ucd="obs.atmos.extinction"
    )
    airmass = attribute(float, "airmass of the frame", ucd="obs.airMass")
    band = attribute(str, "band of the standard magnitudes", ucd="meta.id;instr.bandpass")
    aperture_radius = attribute(
        float, "radius of the aperture", unit="pixel", ucd="phys.size.radius"
    )

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Choice of stars, and Astro-WISE's limits."""

        MATCH_RADIUS: float = 2.0
        MIN_SIGNAL_TO_NOISE: float = 10.0
        MAX_REFERENCE_ERROR: float = 0.1
        MAX_NEIGHBOUR_FLUX: float = 0.05
        EXTINCTION: float = 0.0
        SIGMA_CLIPPING_LEVEL: float = 3.0
        MIN_SOURCE_COUNT: int = 3
        MAX_ERROR: float = 0.1
        MAX_SCATTER: float = 0.25

    class Flags(QualityFlags):
        """What can be wrong with a zero point."""

        ERROR_TOO_LARGE = 1
        SCATTER_TOO_LARGE = 2

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Measure the standard stars in the aperture; clip; average."""
        raw, band = inputs.raw, inputs.band
        if inputs.astrometric["n_ref"] == 0:
            message = (
                f"{raw['name']}: no star of a reference catalogue was recognised on the frame"
            )
            raise UnprocessableError(message)
        sources = inputs.catalog.tables["SOURCES"]
        star, mag, mag_err = self._standards(inputs, parameters, sources, band.standard)
        airmass = 1.0 if raw["airmass"] is None else raw["airmass"]
        found = zero_point(
            sources["flux_aper"][star],
            sources["flux_aper_err"][star],
            mag,
            mag_err,
            exptime=raw["exptime"],
            airmass=airmass,
            extinction=parameters.EXTINCTION,
            sigma_clip=parameters.SIGMA_CLIPPING_LEVEL,
        )
        if found.n_stars < parameters.MIN_SOURCE_COUNT:
            message = (
                f"{raw['name']}: found {found.n_stars} usable standard stars in {band.standard}, "
                f"expected at least {parameters.MIN_SOURCE_COUNT}"
            )
            raise UnprocessableError(message)
        return Made(
            attributes={
                "zero_point": found.value,
                "zero_point_err": found.error,
                "scatter": found.scatter,
                "n_stars": found.n_stars,
                "extinction": parameters.EXTINCTION,
                "airmass": airmass,
                "band": band.standard,
                "aperture_radius": inputs.catalog["aperture_radius"],
            },
            cards={
                "PHOTZP": (found.value, "[mag] of 1 adu/s"),
                "PHOTZPE": (found.error, "[mag] its error"),
                "PHOTBAND": (band.standard, "band of the zero point"),
            },
        )

    @staticmethod
    def _standards(
        inputs: Inputs,
        parameters: PhotometricParameters.Parameters,
        sources: NDArray[np.void],
        band: str,
    ) -> tuple[NDArray[np.intp], Array, Array]:
        """Indices of the sources that are clean, isolated standards, and their magnitudes."""
        good = is_clean(sources)
        good &= signal_to_noise(sources, "flux_aper") > parameters.MIN_SIGNAL_TO_NOISE
        good &= isolated(
            sources["x"],
            sources["y"],
            sources["flux"],
            radius=2.0 * inputs.catalog["aperture_radius"],
            fraction=parameters.MAX_NEIGHBOUR_FLUX,
        )
        wcs = wcs_from_attributes(inputs.astrometric.attributes)
        radius = parameters.MATCH_RADIUS / wcs.pixel_scale
        usable = np.flatnonzero(good)
        here = np.column_stack((sources["x"][usable], sources["y"][usable]))
        taken: dict[int, tuple[float, float]] = {}
        for stars in inputs.reference_catalogues:
            mag = np.asarray(stars.mags.get(band, np.full(len(stars.ra), np.nan)))
            err = np.asarray(stars.mag_errs.get(band, np.full(len(stars.ra), np.nan)))
            known = np.isfinite(mag) & ~(err > parameters.MAX_REFERENCE_ERROR)
            there = np.column_stack(wcs.to_pixel(stars.ra[known], stars.dec[known]))
            source, star = match_nearest(here, there, radius)
            for i, m, e in zip(source, mag[known][star], err[known][star], strict=True):
                taken.setdefault(int(usable[i]), (float(m), float(e)))
        index = np.array(sorted(taken), dtype=np.intp)
        values = np.array([taken[int(i)] for i in index], dtype=np.float64).reshape(-1, 2)
        return index, values[:, 0], values[:, 1]

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Compare error and scatter with their limits: crowded fields have large ones."""
        flags = self.Flags(0)
        if not made.attributes["zero_point_err"] <= parameters.MAX_ERROR:
            flags |= self.Flags.ERROR_TOO_LARGE
        if made.attributes["scatter"] > parameters.MAX_SCATTER:
            flags |= self.Flags.SCATTER_TOO_LARGE
        return int(flags)
