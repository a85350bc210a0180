"""How bright a star of one adu per second is."""

from __future__ import annotations

__all__ = ["PhotometricParameters"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from reduction.attributes import attribute
from reduction.color_terms import what_colors_add
from reduction.depends import calibration, of_frame, raw_frame
from reduction.focal_plane import factors_at
from reduction.parameters import parameter
from reduction.quality import QualityFlags
from reduction.steps.photometry import zero_point
from reduction.steps.transformation import of_color
from reduction.target import FrameTarget, Inputs, Made
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import FigureBase
    from numpy.typing import NDArray

    from reduction.steps.photometry import ZeroPoint
    from reduction.target import Progenitor

    Array = NDArray[np.float64]

_CHANGED_SIGMA: Final = 5.0
_CHANGED_MAG: Final = 0.01

#: Probability that a standard which was used is wrong above which they are said to disagree.
_DOUBT: Final = 0.5


class PhotometricParameters(FrameTarget):
    """Zero point from the standard stars in one frame.

    A frame without enough of them has none of its own: those of the night's other frames serve.
    The extinction is the site's in the filter, or, with the correction ``extinction_frames``, what
    the night's standards give; of several kinds the first of Astro-WISE's that can be had.
    """

    VERSION = 7
    COST_S = 0.003

    raw = raw_frame("RawScienceFrame")
    source_catalog = of_frame("PhotSrcCatalog")
    measured_extinction = calibration(
        "AtmosphericExtinctionFrames",
        "AtmosphericExtinctionZeropoint",
        required=False,
        when="extinction_frames",
    )
    site_extinction = calibration(
        "AtmosphericExtinctionCoefficient",
        "AtmosphericExtinctionCurve",
        required=False,
        unless=("measured_extinction",),
    )
    transformation = calibration("PhotTransformation", required=False, when="color_terms")
    illumination = calibration("IlluminationCorrectionFrame", required=False, when="illumination")

    zero_point = attribute(
        float,
        "magnitude of a source of 1 adu/s above the atmosphere",
        unit="mag",
        ucd="phot.mag;arith.zp",
    )
    zero_point_err = attribute(float, "its error", unit="mag", ucd="stat.error;phot.mag;arith.zp")
    scatter = attribute(float, "standard deviation of the stars", unit="mag", ucd="stat.stdev")
    excess_scatter = attribute(
        float,
        "what it is beyond the stars' own errors: of colours, flat field, clouds",
        unit="mag",
        ucd="stat.stdev",
    )
    n_stars = attribute(int, "standard stars used", ucd="meta.number")
    doubt = attribute(
        float,
        "of three to six stars, the probability that one of those used is wrong; else 0",
        ucd="stat.probability",
    )
    extinction = attribute(
        float, "extinction taken off, mag per airmass", unit="mag", ucd="obs.atmos.extinction"
    )
    extinction_err = attribute(
        float, "its error", unit="mag", ucd="stat.error;obs.atmos.extinction"
    )
    extinction_kind = attribute(str, "class that it is of, empty for none", ucd="meta.code.class")
    color_term = attribute(float, "mag per mag of colour", ucd="arith.factor;phot.color")
    airmass = attribute(float, "airmass of the frame", ucd="obs.airMass")
    band = attribute(str, "band of the standard magnitudes", ucd="meta.id;instr.bandpass")
    aperture_radius = attribute(
        float, "radius of the aperture", unit="pixel", ucd="phys.size.radius"
    )

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Clipping, and Astro-WISE's limits.

        Of three to six stars one that is far off by USUAL_SCATTER and its error is left out; of
        MIN_SOURCE_COUNT that were recognised one may be.
        """

        SIGMA_CLIPPING_LEVEL: float = parameter(
            3.0, "stars further than this from the fit are left out", unit="sigma", above=0.0
        )
        USUAL_SCATTER: float = parameter(
            0.05,
            "what good standards scatter beyond their errors: tells which of a few is wrong",
            unit="mag",
            above=0.0,
        )
        MIN_SOURCE_COUNT: int = parameter(3, "fewest standard stars", at_least=1)
        MAX_ERROR: float = parameter(
            0.1, "largest error of the zero point", unit="mag", at_least=0.0
        )
        MAX_SCATTER: float = parameter(
            0.25, "largest scatter of the stars", unit="mag", at_least=0.0
        )

    class Flags(QualityFlags):
        """What can be wrong with a zero point."""

        ERROR_TOO_LARGE = 1, "the error of the zero point is above MAX_ERROR"
        SCATTER_TOO_LARGE = 2, "the stars' zero points scatter by more than MAX_SCATTER"
        CHANGED = 4, "it differs from that before by more than five errors and 0.01 mag"
        STANDARDS_DISAGREE = (
            8,
            "few standards contradict each other by more than errors and USUAL_SCATTER let them",
        )

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Take off colour and illumination; clip; average; add the extinction."""
        raw, catalog = inputs.raw, inputs.source_catalog
        z, errors, term = _standards(inputs)
        air = inputs.measured_extinction or inputs.site_extinction
        extinction, error = _extinction(air)
        airmass = 1.0 if raw["airmass"] is None else raw["airmass"]
        found = zero_point(
            *(z, errors),
            airmass=airmass,
            extinction=extinction,
            sigma_clip=parameters.SIGMA_CLIPPING_LEVEL,
            usual=parameters.USUAL_SCATTER,
        )
        weighed = int(np.isfinite(z).sum())
        if not _are_enough(found.n_stars, weighed, parameters.MIN_SOURCE_COUNT):
            message = (
                f"{raw['name']}: found {found.n_stars} usable standard stars in "
                f"{catalog['band']}, expected at least {parameters.MIN_SOURCE_COUNT}"
            )
            raise UnprocessableError(message)
        return Made(
            attributes={
                **_found(found),
                "extinction": extinction,
                "extinction_err": error,
                "extinction_kind": "" if air is None else air.class_name,
                "color_term": term,
                "airmass": airmass,
                "band": catalog["band"],
                "aperture_radius": catalog["aperture_radius"],
            },
            cards={
                "PHOTZP": (found.value, "[mag] of 1 adu/s"),
                "PHOTZPE": (found.error, "[mag] its error"),
                "PHOTBAND": (catalog["band"], "band of the zero point"),
            },
        )

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Compare error and scatter with their limits: crowded fields have large ones."""
        flags = self.Flags(0)
        if not made.attributes["zero_point_err"] <= parameters.MAX_ERROR:
            flags |= self.Flags.ERROR_TOO_LARGE
        if made.attributes["scatter"] > parameters.MAX_SCATTER:
            flags |= self.Flags.SCATTER_TOO_LARGE
        if made.attributes["doubt"] > _DOUBT:
            flags |= self.Flags.STANDARDS_DISAGREE
        return int(flags)

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: Parameters) -> int:
        """Look for a change that errors do not explain."""
        del parameters
        old, old_error = previous.get("zero_point"), previous.get("zero_point_err") or 0.0
        if old is None:
            return 0
        limit = _CHANGED_SIGMA * np.hypot(made.attributes["zero_point_err"], old_error)
        far = abs(made.attributes["zero_point"] - old) > max(limit, _CHANGED_MAG)
        return int(self.Flags.CHANGED) if far else 0

    def plot(self, figure: FigureBase) -> None:
        """Draw the stars' zero points over magnitude and colour, and the one that was found."""
        catalog: Any = self.source_catalog
        stars = catalog.tables["STANDARDS"]
        stars = stars[stars["used"] > 0]
        z = stars["zero_point"] - of_color(stars["color"], self.color_term)
        z = z + self.extinction * self.airmass
        z = z + 2.5 * np.log10(factors_at(cast("Any", self.illumination), stars["x"], stars["y"]))
        for panel, name in zip(figure.subplots(1, 2), ("mag", "color"), strict=True):
            panel.errorbar(stars[name], z, stars["zero_point_err"], fmt=".", lw=0.5)
            panel.axhline(self.zero_point, color="k", lw=0.7)
            panel.set(xlabel=name, ylabel="zero point above the atmosphere [mag]")


def _standards(inputs: Inputs) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Zero points of the stars, colour and illumination taken off; errors; the colour term."""
    stars = inputs.source_catalog.tables["STANDARDS"]
    stars = stars[stars["used"] > 0]
    measured = None if inputs.transformation is None else inputs.transformation["color_term"]
    term = inputs.source_catalog["color_term"] if measured is None else measured
    z = stars["zero_point"] - what_colors_add(stars, measured)
    z += 2.5 * np.log10(factors_at(inputs.illumination, stars["x"], stars["y"]))
    return z, stars["zero_point_err"], term


def _found(zero: ZeroPoint) -> dict[str, float | int]:
    """What the stars say, as attributes."""
    return {
        "zero_point": zero.value,
        "zero_point_err": zero.error,
        "scatter": zero.scatter,
        "excess_scatter": zero.excess,
        "n_stars": zero.n_stars,
        "doubt": zero.doubt,
    }


def _are_enough(used: int, weighed: int, fewest: int) -> bool:
    """Whether there are as many stars as asked for; of just as many one may be wrong."""
    return used >= fewest or used == weighed - 1 == fewest - 1 >= 2


def _extinction(air: Progenitor | None) -> tuple[float, float | None]:
    """Extinction and its error; 0 where it is not known: the zero point is then at the ground."""
    if air is None or air["extinction"] is None:
        return 0.0, None
    return float(air["extinction"]), air["extinction_err"]
