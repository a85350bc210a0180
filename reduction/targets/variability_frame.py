"""How much the stars of a field vary."""

from __future__ import annotations

__all__ = ["VariabilityFrame", "VariableFlag"]

from dataclasses import dataclass
from enum import IntFlag
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from reduction.attributes import attribute
from reduction.comparison import differs, fell
from reduction.depends import in_field
from reduction.parameters import parameter
from reduction.quality import QualityFlags
from reduction.steps.variability import light_curve_statistics
from reduction.target import Anchor, FieldTarget, Inputs, Made
from schemas.deferred import deferred
from schemas.list_tables import Variable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import FigureBase
    from numpy.typing import NDArray
    from scipy import stats
else:
    stats = deferred("scipy.stats")

_STATISTICS: Final = (
    *("n_epochs", "mag", "mag_err", "median", "rms", "mad", "chi2", "amplitude", "stetson"),
)
_ROW: Final = np.dtype(
    [("association", "i8"), ("ra", "f8"), ("dec", "f8"), ("n_epochs", "i8")]
    + [(name, "f8") for name in _STATISTICS[1:]]
    + [("flag", "i8")]
)


class VariableFlag(IntFlag):
    """What a light curve's statistics say of a star."""

    VARIABLE = 1
    """Even without its worst magnitude it scatters more than a constant star would, but for a
    probability of FALSE_ALARM."""
    CORRELATED = 2
    """Consecutive magnitudes are off alike: Stetson's index is above MIN_STETSON."""
    CONSTANT = 4
    """Served as a constant star for the frames' offsets."""


class VariabilityFrame(FieldTarget):
    """Statistics of the light curves of a field in one band, and which of its stars vary."""

    VERSION = 2
    ANCHOR = Anchor.FIELD_AND_FILTER
    ROWS = Variable

    associations = in_field("AssociateList")
    light_curves = in_field("LightCurveList")

    n_stars = attribute(int, "light curves", ucd="meta.number")
    n_variables = attribute(int, "stars that vary", ucd="meta.number")
    median_chi2 = attribute(
        float, "median reduced chi-square of the constant stars", ucd="stat.fit.chi2"
    )

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """When a star varies, and limits."""

        FALSE_ALARM: float = parameter(
            1e-4,
            "a star varies where chance gives its scatter less often than this",
            above=0.0,
            at_most=1.0,
        )
        MIN_STETSON: float = parameter(
            0.8,
            "a star is CORRELATED where Stetson's index is above this",
            at_least=-100.0,
            at_most=1000.0,
        )
        MAX_MEDIAN_CHI2: float = parameter(
            2.0, "a larger reduced chi-square of constant stars is not believed", above=0.0
        )
        MINIMUM_KEPT: float = parameter(
            0.5,
            "least part of the stars and variables of before that is no loss",
            at_least=0.0,
            at_most=1.0,
        )
        MAXIMUM_CHI2_DIFFERENCE: float = parameter(
            0.5, "largest change of the chi-square of constant stars from before", at_least=0.0
        )

    class Flags(QualityFlags):
        """What can be wrong with the statistics."""

        CHI2_TOO_LARGE = 1, "the constant stars scatter more than their errors, MAX_MEDIAN_CHI2"
        FEWER_STARS = 2, "fewer light curves than MINIMUM_KEPT of those before"
        FEWER_VARIABLES = 4, "fewer stars vary than MINIMUM_KEPT of those before"
        MORE_VARIABLES = 8, "of those that vary, fewer than MINIMUM_KEPT did so before"
        CHI2_CHANGED = (
            16,
            "median_chi2 differs from before by more than MAXIMUM_CHI2_DIFFERENCE",
        )

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Take the statistics of each light curve."""
        points, stars = inputs.light_curves.rows, inputs.light_curves.tables["STARS"]
        star = np.searchsorted(stars["association"], points["association"])
        found = light_curve_statistics(
            star, points["mjd"], points["mag"], points["mag_err"], stars=len(stars)
        )
        rows = np.zeros(len(stars), _ROW)
        for name in ("association", "ra", "dec"):
            rows[name] = stars[name]
        for name in _STATISTICS:
            rows[name] = found[name]
        rows["flag"] = _flags(found, stars["constant"] > 0, parameters)
        constant = found["chi2"][(stars["constant"] > 0) & np.isfinite(found["chi2"])]
        return Made(
            attributes={
                "n_stars": len(rows),
                "n_variables": int(((rows["flag"] & VariableFlag.VARIABLE) != 0).sum()),
                "median_chi2": float(np.median(constant)) if len(constant) else np.nan,
            },
            rows=rows,
        )

    def verify(self, made: Made, parameters: Parameters) -> int:
        """See whether constant stars look constant."""
        large = made.attributes["median_chi2"] > parameters.MAX_MEDIAN_CHI2
        return int(self.Flags.CHI2_TOO_LARGE) if large else 0

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: Parameters) -> int:
        """See whether stars went missing, and whether about as many vary as before."""
        found, flags, part = made.attributes, self.Flags(0), parameters.MINIMUM_KEPT
        if fell(previous, "n_stars", found["n_stars"], part):
            flags |= self.Flags.FEWER_STARS
        if fell(previous, "n_variables", found["n_variables"], part):
            flags |= self.Flags.FEWER_VARIABLES
        if fell(found, "n_variables", previous.get("n_variables"), part):
            flags |= self.Flags.MORE_VARIABLES
        limit = parameters.MAXIMUM_CHI2_DIFFERENCE
        if differs(previous, "median_chi2", found["median_chi2"], limit):
            flags |= self.Flags.CHI2_CHANGED
        return int(flags)

    def plot(self, figure: FigureBase) -> None:
        """Draw scatter and chi-square against brightness, the variables marked."""
        rows = self.rows
        varies = (rows["flag"] & VariableFlag.VARIABLE) != 0
        for axes, name in zip(figure.subplots(1, 2), ("rms", "chi2"), strict=True):
            axes.plot(rows["mag"][~varies], rows[name][~varies], ".", markersize=2)
            axes.plot(rows["mag"][varies], rows[name][varies], "o", markersize=4)
            axes.set(xlabel="magnitude", ylabel=name, yscale="log")


def _flags(
    found: NDArray[Any], constant: NDArray[np.bool_], parameters: VariabilityFrame.Parameters
) -> NDArray[np.int64]:
    freedom = np.maximum(found["n_epochs"] - 1, 1)
    with np.errstate(invalid="ignore"):
        rest = np.maximum(found["chi2"] * freedom - found["worst"] ** 2, 0.0)
        varies = stats.chi2.sf(rest, np.maximum(freedom - 1, 1)) < parameters.FALSE_ALARM
        varies &= freedom > 1
        alike = found["stetson"] > parameters.MIN_STETSON
    flags = np.where(varies, int(VariableFlag.VARIABLE), 0)
    flags |= np.where(alike, int(VariableFlag.CORRELATED), 0)
    return np.asarray(flags | np.where(constant, int(VariableFlag.CONSTANT), 0))
