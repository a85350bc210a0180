"""What the four kinds of atmospheric extinction share."""

from __future__ import annotations

__all__ = ["AtmosphericExtinction", "MeasuredExtinction", "night_zero_points"]

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from reduction.attributes import attribute
from reduction.depends import frames_of_night
from reduction.quality import QualityFlags
from reduction.target import Anchor, CalibrationTarget, Made

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import FigureBase
    from numpy.typing import NDArray

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

    def verify(self, made: Made, parameters: Any) -> int:  # noqa: ANN401  # each kind's own
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

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: Any) -> int:  # noqa: ANN401  # as above
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

    n_frames = attribute(int, "frames used", ucd="meta.number")
    airmass_min = attribute(float, "lowest airmass", ucd="obs.airMass;stat.min")
    airmass_max = attribute(float, "highest airmass", ucd="obs.airMass;stat.max")
    zero_point = attribute(
        float, "zero point above the atmosphere", unit="mag", ucd="phot.mag;arith.zp"
    )
    scatter = attribute(float, "of the frames about the line", unit="mag", ucd="stat.stdev")

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


def night_zero_points(
    catalogues: Sequence[Progenitor], at_least: int
) -> tuple[Array, Array, Array, NDArray[np.intp]]:
    """Raw zero points of frames with enough stars.

    Parameters
    ----------
    catalogues
        PhotSrcCatalogs.
    at_least
        Stars.

    Returns
    -------
    tuple of ndarray
        Zero points at the ground, their errors (mag), airmasses, and which chip, shape (n,).
    """
    usable = [f for f in catalogues if f["airmass"] is not None and f["n_used"] >= at_least]
    chips = sorted({frame.chip for frame in usable})
    rows = [
        (
            frame["raw_zero_point"],
            max(1.2533 * frame["scatter"] / math.sqrt(frame["n_used"]), _NO_ERROR),  # of a median
            frame["airmass"],
            chips.index(frame.chip),
        )
        for frame in usable
    ]
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return table[:, 0], table[:, 1], table[:, 2], table[:, 3].astype(np.intp)
