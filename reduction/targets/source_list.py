"""The sources on a science frame."""

from __future__ import annotations

__all__ = ["SourceList"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reduction.attributes import attribute
from reduction.depends import calibration, of_frame, raw_frame
from reduction.detection import is_clean, star_fwhm
from reduction.focal_plane import factors_at
from reduction.quality import QualityFlags
from reduction.source_lists import (
    DEPTH_CHANGED,
    DEPTH_IMPOSSIBLE,
    FEWER_SOURCES,
    SEEING_CHANGED,
    SourcesTarget,
)
from reduction.steps.photometry import limiting_magnitude, magnitudes
from reduction.target import FrameTarget, Inputs, Made
from reduction.targets.astrometric import wcs_from_attributes
from reduction.zero_points import zero_point_error

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FIELDS = (
    *("ra", "dec", "pos_err", "mag", "mag_err", "flux", "flux_err"),
    *("x", "y", "half_light_radius", "elongation"),
    *("flux_psf", "flux_psf_err", "mag_psf", "mag_psf_err", "spread"),
)
_ROW = np.dtype([*((name, "f8") for name in _FIELDS), ("flags", "i4")])


class SourceList(SourcesTarget, FrameTarget):
    """Positions, fluxes and shapes of all sources detected on one reduced frame.

    Fluxes are those in the catalog's circular aperture, and by the point spread function, scaled
    to the aperture's of bright stars: the zero point is that of both. For stars the latter are
    better where there is noise or a neighbour.

    Astro-WISE's HtmDepth is not there: rows are found by zones of declination and ranges of right
    ascension (:mod:`schemas.sphere`), which need no number of their own.
    """

    VERSION = 6
    COST_S = 0.003

    raw = raw_frame("RawScienceFrame")
    catalog = of_frame("Catalog")
    astrometric = of_frame("AstrometricParameters")
    photometric = calibration("PhotometricParameters", required=False, prefer_own=True)
    illumination = calibration("IlluminationCorrectionFrame", required=False, when="illumination")

    aperture_radius = attribute(
        float, "radius of the aperture", unit="pixel", ucd="phys.size.radius"
    )
    zero_point = attribute(
        float,
        "magnitude of a source of 1 adu/s above the atmosphere",
        unit="mag",
        ucd="phot.mag;arith.zp",
    )
    zero_point_err = attribute(
        float,
        "its error at the frame's airmass, common to all magnitudes and in none's error",
        unit="mag",
        ucd="stat.error;phot.mag;arith.zp",
    )
    zero_point_frame = attribute(
        str, "raw frame whose standards give it; empty for none", ucd="meta.id"
    )
    zero_point_radius = attribute(
        float, "radius of the aperture that it is for", unit="pixel", ucd="phys.size.radius"
    )
    color_term = attribute(
        float, "of the filter as the camera says, mag per mag", ucd="arith.factor;phot.color"
    )
    n_ref = attribute(
        int, "reference stars that positions rest on; 0: the pointing alone", ucd="meta.number"
    )

    @dataclass(frozen=True, slots=True)
    class Parameters(SourcesTarget.Parameters):
        """Limits; what is measured is decided by the progenitors.

        MINIMUM_LIMITING_MAG and MAXIMUM_LIMITING_MAG are beyond what one exposure can reach: no
        telescope on the ground gets to 30 mag in one, and a source of 0 mag is lost in no noise.
        A depth outside is a zero point that is not one. A list without magnitudes, or without
        sources, has no depth and is sound.
        """

    class Flags(QualityFlags):
        """What can be wrong with a list of sources."""

        PLACES_UNKNOWN = 1, "sources have no position on the sky"
        DEPTH_IMPOSSIBLE = DEPTH_IMPOSSIBLE
        FEWER_SOURCES = FEWER_SOURCES
        SEEING_CHANGED = SEEING_CHANGED
        DEPTH_CHANGED = DEPTH_CHANGED
        APERTURE_DIFFERS = 32, "the zero point is for an aperture of another radius"

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Give each source its place and its magnitude."""
        del parameters
        raw, sources = inputs.raw, inputs.catalog.tables["SOURCES"]
        rows = np.zeros(len(sources), _ROW)
        for name in ("x", "y", "half_light_radius", "elongation", "flags", "spread"):
            rows[name] = sources[name]
        factor = factors_at(inputs.illumination, sources["x"], sources["y"]) / raw["exptime"]
        for end in ("", "_err"):
            rows["flux" + end] = sources["flux_aper" + end] * factor
            rows["flux_psf" + end] = sources["flux_psf" + end] * factor
        wcs = wcs_from_attributes(inputs.astrometric.attributes)
        rows["ra"], rows["dec"] = wcs.to_sky(sources["x"], sources["y"])
        own = sources["pos_err"] * wcs.pixel_scale
        rows["pos_err"] = np.hypot(own, inputs.astrometric["pos_err"]) / 3600.0
        for kind in ("", "_psf"):
            flux, error = rows["flux" + kind], rows[f"flux{kind}_err"]
            rows["mag" + kind], rows[f"mag{kind}_err"] = self._magnitudes(inputs, flux, error)
        clean = is_clean(sources)
        return Made(
            attributes={
                "n_sources": len(rows),
                "n_clean": int(clean.sum()),
                "limiting_mag": self._limit(inputs, factor),
                "aperture_radius": inputs.catalog["aperture_radius"],
                **_zero_point(inputs),
                "seeing": star_fwhm(sources) * wcs.pixel_scale,
                "color_term": None if inputs.band is None else inputs.band.color_term,
                "n_ref": inputs.astrometric["n_ref"],
            },
            rows=rows,
        )

    @staticmethod
    def _magnitudes(
        inputs: Inputs, flux: NDArray[np.float64], flux_err: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        photometric = inputs.photometric
        if photometric is None:
            nothing = np.full(len(flux), np.nan)
            return nothing, nothing
        airmass = 1.0 if inputs.raw["airmass"] is None else inputs.raw["airmass"]
        return magnitudes(
            flux,
            flux_err,
            zero=photometric["zero_point"],
            exptime=1.0,
            airmass=airmass,
            extinction=photometric["extinction"],
        )

    @staticmethod
    def _limit(inputs: Inputs, factor: NDArray[np.float64]) -> float:
        """Limiting magnitude, where sources and their noise are multiplied by a factor."""
        photometric, noise = inputs.photometric, inputs.catalog["aperture_noise"]
        if photometric is None or noise is None or not len(factor):
            return math.nan
        airmass = 1.0 if inputs.raw["airmass"] is None else inputs.raw["airmass"]
        ground = photometric["zero_point"] - (photometric["extinction"] or 0.0) * airmass
        return limiting_magnitude(float(noise * np.median(factor)), float(ground))

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Look whether all sources have a place, too."""
        flags, rows = self.Flags(super().verify(made, parameters)), made.rows
        if rows is not None and not (np.isfinite(rows["ra"]) & np.isfinite(rows["dec"])).all():
            flags |= self.Flags.PLACES_UNKNOWN
        radius, own = (made.attributes.get(n) for n in ("zero_point_radius", "aperture_radius"))
        if radius is not None and radius != own:
            flags |= self.Flags.APERTURE_DIFFERS
        return int(flags)


def _zero_point(inputs: Inputs) -> dict[str, Any]:
    """Where the magnitudes come from."""
    photometric = inputs.photometric
    if photometric is None:
        unknown = dict.fromkeys(("zero_point", "zero_point_err", "zero_point_radius"))
        return {**unknown, "zero_point_frame": ""}
    return {
        "zero_point": photometric["zero_point"],
        "zero_point_err": zero_point_error(photometric, inputs.raw["airmass"]),
        "zero_point_frame": photometric.raw["name"],
        "zero_point_radius": photometric["aperture_radius"],
    }
