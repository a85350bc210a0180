"""What the four kinds of atmospheric extinction share."""

from __future__ import annotations

__all__ = [
    "AtmosphericExtinction",
    "MeasuredExtinction",
    "NightZeroPoints",
    "night_zero_points",
]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reduction.attributes import attribute
from reduction.color_terms import what_colors_add
from reduction.depends import calibration, frames_of_night
from reduction.frame_keys import exposure_key
from reduction.quality import QualityFlags
from reduction.steps.exposures import exposure_zero_points, frame_errors
from reduction.target import Anchor, CalibrationTarget, Made

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import FigureBase
    from numpy.typing import NDArray

    from reduction.declared import ClassParameters
    from reduction.progenitor import Progenitor
    from reduction.steps.extinction import Extinction

    Array = NDArray[np.float64]

_NO_ERROR = 1e-3


class AtmosphericExtinction(CalibrationTarget):
    """What the four kinds share: one for all chips of a camera, by night and filter."""

    ANCHOR = Anchor.MOSAIC_NIGHT_AND_FILTER

    extinction = attribute(float, "mag per airmass", unit="mag", ucd="obs.atmos.extinction")
    extinction_err = attribute(
        float, "its error", unit="mag", ucd="stat.error;obs.atmos.extinction"
    )

    class Flags(QualityFlags):
        """What can be wrong with an extinction."""

        UNKNOWN = 1, "there is nothing to know the extinction by"
        ERROR_TOO_LARGE = 2, "the error is above MAX_ERROR times the extinction"
        NOT_PHYSICAL = 4, "the extinction is negative, or above MAX_EXTINCTION"
        CHANGED = 8, "it differs from that before by more than five errors"

    def verify(self, made: Made, parameters: ClassParameters) -> int:
        """Compare with what air can do, and the error with its limit."""
        value, error = made.attributes["extinction"], made.attributes["extinction_err"]
        if value is None or not math.isfinite(value):
            return int(self.Flags.UNKNOWN)
        flags = self.Flags(0)
        limit = getattr(parameters, "MAX_ERROR", math.inf)
        most = limit * abs(value) if math.isfinite(limit) else math.inf  # of 0, too
        if not error <= max(most, _NO_ERROR):
            flags |= self.Flags.ERROR_TOO_LARGE
        if not -2.0 * error <= value <= getattr(parameters, "MAX_EXTINCTION", math.inf):
            flags |= self.Flags.NOT_PHYSICAL
        return int(flags)

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: ClassParameters) -> int:
        """Look for a change that errors do not explain."""
        del parameters
        new, old = made.attributes, previous
        if new["extinction"] is None or old.get("extinction") is None:
            return 0
        error = math.hypot(new["extinction_err"], old.get("extinction_err") or 0.0)
        far = abs(new["extinction"] - old["extinction"]) > 5.0 * max(error, _NO_ERROR)
        return int(self.Flags.CHANGED) if far else 0


class MeasuredExtinction(AtmosphericExtinction):
    """Extinction from the standard stars of a night's frames."""

    source_catalogues = frames_of_night("PhotSrcCatalog", when="extinction_frames")
    transformation = calibration("PhotTransformation", required=False, when="color_terms")

    n_frames = attribute(int, "exposures used", ucd="meta.number")
    airmass_min = attribute(float, "lowest airmass", ucd="obs.airMass;stat.min")
    airmass_max = attribute(float, "highest airmass", ucd="obs.airMass;stat.max")
    zero_point = attribute(
        float, "zero point above the atmosphere", unit="mag", ucd="phot.mag;arith.zp"
    )
    scatter = attribute(float, "of the exposures about the line", unit="mag", ucd="stat.stdev")

    def made(self, found: Extinction, airmass: Array) -> Made:
        """Attributes of a measurement."""
        used = airmass[found.used]
        return Made(
            attributes={
                "extinction": found.coefficient,
                "extinction_err": found.error,
                "n_frames": len(used),
                "airmass_min": float(used.min()) if len(used) else None,
                "airmass_max": float(used.max()) if len(used) else None,
                "zero_point": found.zero_point,
                "scatter": found.scatter,
            }
        )

    def plot(self, figure: FigureBase) -> None:
        """Draw the frames' zero points over their airmass, and the line."""
        axes = figure.subplots()
        frames: Any = self.source_catalogues
        axes.plot([f.airmass for f in frames], [f.raw_zero_point for f in frames], "o")
        if self.airmass_min is not None and self.zero_point is not None:
            ends = np.array([self.airmass_min, self.airmass_max])
            axes.plot(ends, self.zero_point - self.extinction * ends, "k-", lw=0.7)
        axes.set(xlabel="airmass", ylabel="zero point at the ground [mag]")


@dataclass(frozen=True, slots=True)
class NightZeroPoints:
    """Zero points of a night's exposures, extinction not taken off.

    Attributes
    ----------
    zero_points, errors
        mag, shape (n,); errors of the stars alone.
    airmass
        Shape (n,).
    group
        Exposures of one number share their zero point above the atmosphere, shape (n,).
    """

    zero_points: Array
    errors: Array
    airmass: Array
    group: NDArray[np.intp]


def night_zero_points(
    catalogues: Sequence[Progenitor], at_least: int, transformation: Progenitor | None = None
) -> NightZeroPoints:
    """Raw zero points of a night's exposures, from their frames with enough stars.

    Parameters
    ----------
    catalogues
        PhotSrcCatalogs.
    at_least
        Stars of a frame.
    transformation
        A PhotTransformation, if one was measured.

    Returns
    -------
    NightZeroPoints
        One value an exposure, by the number of its first frame; empty where no frame will do.
    """
    usable = [f for f in catalogues if f["airmass"] is not None and f["n_used"] >= at_least]
    if not usable:
        nothing = np.zeros(0)
        return NightZeroPoints(nothing, nothing, nothing, np.zeros(0, np.intp))
    term = None if transformation is None else float(transformation["color_term"])
    stars = [_stars(frame, term) for frame in usable]
    medians = np.array([frame["raw_zero_point"] for frame in usable], np.float64)
    if term is not None:
        medians = np.array([np.median(z) for z, _ in stars])
    chips = sorted({frame.chip for frame in usable})
    keys = list(dict.fromkeys(exposure_key(frame) for frame in usable))
    exposure = np.array([keys.index(exposure_key(frame)) for frame in usable])
    found = exposure_zero_points(
        medians,
        frame_errors(stars),
        exposure,
        np.array([chips.index(frame.chip) for frame in usable]),
    )
    airmass = np.array([frame["airmass"] for frame in usable], np.float64)
    mean = np.bincount(exposure, airmass) / np.bincount(exposure)
    return NightZeroPoints(found.zero_points, found.errors, mean, found.group)


def _stars(frame: Progenitor, term: float | None) -> tuple[Array, Array]:
    """Zero points of a frame's stars, colour taken off, and their errors, mag."""
    table = frame.tables["STANDARDS"]
    table = table[table["used"] > 0]
    return table["zero_point"] - what_colors_add(table, term), table["zero_point_err"]
