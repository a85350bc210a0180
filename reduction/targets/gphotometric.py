"""Zero points of all frames of a field together."""

from __future__ import annotations

__all__ = ["GPhotometric"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reduction.attributes import attribute
from reduction.depends import frames_of_field
from reduction.field_photometry import (
    check_standards,
    in_one_system,
    measurements_of,
    search_distance,
    standards_of,
    stars_of,
)
from reduction.frame_keys import by_frame, frame_key
from reduction.parameters import parameter
from reduction.quality import QualityFlags
from reduction.steps.global_photometry import solve_zero_points
from reduction.steps.photometry import expected_errors
from reduction.target import Anchor, FieldTarget, Inputs, Made
from reduction.zero_points import ZERO_POINT_DTYPE, ZERO_POINT_TABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import FigureBase
    from numpy.typing import NDArray

    from reduction.field_photometry import Measurements
    from reduction.steps.global_photometry import GlobalZeroPoints
    from reduction.target import Progenitor

_CHANGED_MAG = 0.01
_SANE = 0.5
_POGSON = 2.5 / math.log(10.0)

#: Errors of a median of normal values, 1.25 sigma over the root of their number, that are chance.
_BY_CHANCE = 3.0 * 1.25


class GPhotometric(FieldTarget):
    """Global photometric solution: relative zero points from overlaps, tied to standards.

    Every frame (CCD) of the field in the band has one unknown, every star that two frames have or
    a catalogue knows another. Frames without standards, or through clouds, are tied by the stars
    they share with others; those on which no star was recognised, whose places are the pointing's,
    by none.

    Cameras and filters of different colour terms see a star of one magnitude differently. Those
    stars alone tie them to each other whose colour a catalogue has; others tie frames of the same
    colour term. Where colour terms are measured, they are those of the frames'
    PhotometricParameters.

    Table: "ZERO_POINTS", as :data:`reduction.zero_points.ZERO_POINT_DTYPE`; frames that nothing
    ties have a NaN.
    """

    VERSION = 5
    ANCHOR = Anchor.FIELD_AND_FILTER

    source_lists = frames_of_field("SourceList")
    source_catalogues = frames_of_field("PhotSrcCatalog")
    photometric = frames_of_field("PhotometricParameters", at_least=0, when="color_terms")

    n_frames = attribute(int, "frames (CCDs) of the field in the band", ucd="meta.number")
    n_tied = attribute(int, "of these, tied to a standard star", ucd="meta.number")
    n_stars = attribute(int, "stars on two frames or more, or standards", ucd="meta.number")
    n_standards = attribute(int, "standard stars used", ucd="meta.number")
    n_measurements = attribute(int, "measurements used", ucd="meta.number")
    scatter = attribute(
        float, "median over the frames of their stars' scatter", unit="mag", ucd="stat.stdev"
    )
    standard_scatter = attribute(
        float, "scatter of the standards beyond their errors", unit="mag", ucd="stat.stdev"
    )
    zero_point_err = attribute(
        float, "median error of a frame's zero point", unit="mag", ucd="stat.error;stat.median"
    )
    max_offset = attribute(
        float,
        "largest difference from what the standards of a frame with enough of them give alone, "
        "less (in quadrature) what chance allows",
        unit="mag",
        ucd="phot.mag;arith.diff;stat.max",
    )
    chi2 = attribute(float, "chi squared over degrees of freedom", ucd="stat.fit.chi2")
    band = attribute(str, "band of the zero points", ucd="meta.id;instr.bandpass")
    flux_type = attribute(str, "column of the SourceList that they are for", ucd="meta.code")

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Which stars, how they are matched, and limits.

        MIN_SIGNAL_TO_NOISE is that of the flux which a star's magnitude on all frames promises.
        MAX_OFFSET is for what the standards' scatter and number do not explain.
        """

        FLUX_TYPE: str = parameter(
            "flux_psf",
            "column of the SourceList that is measured with",
            choices=("flux", "flux_psf"),
        )
        SEARCH_DISTANCE: float = parameter(
            0.0,
            "sources within it are one star; 0: half of the median seeing, at least 1 arcsec",
            unit="arcsec",
            at_least=0.0,
            at_most=3600.0,
        )
        MIN_SIGNAL_TO_NOISE: float = parameter(
            20.0, "sources take part above this signal-to-noise ratio", at_least=0.0
        )
        SIGMA_CLIPPING_LEVEL: float = parameter(
            4.0, "stars further than this from the fit are left out", unit="sigma", above=0.0
        )
        ERROR_FLOOR: float = parameter(
            0.01,
            "added to each measurement's error, squared: flat field, colours",
            unit="mag",
            at_least=0.0,
            at_most=1.0,
        )
        MAX_ERROR: float = parameter(
            0.05, "largest error of the zero point", unit="mag", at_least=0.0
        )
        MAX_SCATTER: float = parameter(
            0.1, "largest scatter of the stars", unit="mag", at_least=0.0
        )
        MAX_OFFSET: float = parameter(
            0.05,
            "largest offset of a frame that scatter does not explain",
            unit="mag",
            at_least=0.0,
        )
        USUAL_SCATTER: float = parameter(
            0.05,
            "what good standards scatter beyond their errors: tells which of a few is wrong",
            unit="mag",
            above=0.0,
        )
        MIN_STANDARD_COUNT: int = parameter(3, "fewest standard stars", at_least=1)

    class Flags(QualityFlags):
        """What can be wrong with a global solution."""

        ERROR_TOO_LARGE = 1, "the median error of the zero points is above MAX_ERROR"
        SCATTER_TOO_LARGE = 2, "the stars scatter by more than MAX_SCATTER"
        TOO_FEW_STANDARDS = 4, "fewer standard stars than MIN_STANDARD_COUNT were used"
        FRAMES_NOT_TIED = 8, "fewer frames are tied to standards than before"
        CHANGED = 16, "the median error or the scatter grew by more than 0.01 mag"
        OFFSET_TOO_LARGE = 32, "a frame is off its own standards by over MAX_OFFSET and chance"

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Link the stars, solve, and say how each frame stands."""
        lists = inputs.source_lists
        known = by_frame(inputs.source_catalogues)
        found = measurements_of(
            lists,
            known,
            flux_type=parameters.FLUX_TYPE,
            signal_to_noise=parameters.MIN_SIGNAL_TO_NOISE,
            photometric=inputs.photometric or (),
        )
        check_standards(found, len(lists), inputs.filter)
        star = stars_of(found, parameters.SEARCH_DISTANCE or search_distance(lists))
        star, shift = in_one_system(found, star)
        kept = star >= 0
        standard, error = standards_of(found, star, shift)
        solution = _solved(
            found.frame[kept],
            star[kept],
            (found.magnitude + shift)[kept],
            found.error[kept],
            (standard, error),
            len(lists),
            parameters,
        )
        table = _table(lists, found, solution)
        return Made(
            tables={ZERO_POINT_TABLE: table},
            attributes={
                **_summary(table, solution, parameters.MIN_STANDARD_COUNT),
                "n_standards": int((np.isfinite(standard) & _seen(solution, star[kept])).sum()),
                "band": inputs.filter,
                "flux_type": parameters.FLUX_TYPE,
            },
        )

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Compare error, scatter and the number of standards with their limits."""
        values, flags = made.attributes, self.Flags(0)
        if not values["zero_point_err"] <= parameters.MAX_ERROR:
            flags |= self.Flags.ERROR_TOO_LARGE
        if values["scatter"] > parameters.MAX_SCATTER:
            flags |= self.Flags.SCATTER_TOO_LARGE
        if values["n_standards"] < parameters.MIN_STANDARD_COUNT:
            flags |= self.Flags.TOO_FEW_STANDARDS
        if (values["max_offset"] or 0.0) > parameters.MAX_OFFSET:
            flags |= self.Flags.OFFSET_TOO_LARGE
        return int(flags)

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: Parameters) -> int:
        """Look for a solution that is worse than the one before."""
        del parameters
        values, flags = made.attributes, self.Flags(0)
        if values["n_tied"] < (previous.get("n_tied") or 0):
            flags |= self.Flags.FRAMES_NOT_TIED
        for name in ("zero_point_err", "scatter"):
            before = previous.get(name)
            if before is not None and values[name] > before + _CHANGED_MAG:
                flags |= self.Flags.CHANGED
        return int(flags)

    def plot(self, figure: FigureBase) -> None:
        """Draw the frames' zero points, their errors and scatter, in order of time."""
        table = self.tables[ZERO_POINT_TABLE]
        above, below = figure.subplots(2, 1, sharex=True)
        number = np.arange(len(table))
        above.errorbar(number, table["zero_point"], table["zero_point_err"], fmt=".", lw=0.7)
        above.set(ylabel="zero point at the ground [mag]", title="frames in order of time")
        below.plot(number, table["scatter"], ".", label="scatter of the stars")
        below.plot(number, table["offset"], "x", label="less that of its own standards")
        below.axhline(0.0, color="k", lw=0.5)
        below.legend(frameon=False, fontsize="small")
        below.set(xlabel="frame", ylabel="mag")


def _solved(  # what is solved for
    frame: NDArray[np.intp],
    star: NDArray[np.intp],
    magnitude: NDArray[np.float64],
    error: NDArray[np.float64],
    standards: tuple[NDArray[np.float64], NDArray[np.float64]],
    n_frames: int,
    parameters: GPhotometric.Parameters,
) -> GlobalZeroPoints:
    """Solve twice: the second time with errors, and limits, at the brightness of the first.

    See :func:`reduction.steps.photometry.expected_errors`.
    """
    limit = _POGSON / parameters.MIN_SIGNAL_TO_NOISE

    def solve(errors: NDArray[np.float64]) -> GlobalZeroPoints:
        """With these errors of the measurements, mag; those below the limit are left out."""
        return solve_zero_points(
            frame,
            star,
            np.where(errors < limit, magnitude, np.nan),
            errors,
            n_frames=n_frames,
            standard=standards[0],
            standard_error=standards[1],
            floor=parameters.ERROR_FLOOR,
            clip=parameters.SIGMA_CLIPPING_LEVEL,
            usual=parameters.USUAL_SCATTER,
        )

    first = solve(error)
    excess = first.magnitudes[star] - first.zero_points[frame] - magnitude
    sane = np.abs(excess) < _SANE
    return solve(np.where(sane, expected_errors(error, np.where(sane, excess, 0.0)), error))


def _summary(
    table: NDArray[np.void], solution: GlobalZeroPoints, fewest: int
) -> dict[str, float | None]:
    """Attributes of a solution; ``fewest`` standards make a frame's own zero point."""
    return {
        "n_frames": len(table),
        "n_tied": int(np.isfinite(table["zero_point"]).sum()),
        "n_stars": int(np.isfinite(solution.magnitudes).sum()),
        "n_measurements": int(solution.used.sum()),
        "scatter": _median(table["scatter"]),
        "standard_scatter": solution.standard_scatter,
        "zero_point_err": _median(table["zero_point_err"]),
        "max_offset": _largest_offset(table, solution, fewest),
        "chi2": solution.chi2,
    }


def _seen(solution: GlobalZeroPoints, star: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which stars have a measurement that was used."""
    return np.bincount(star[solution.used], minlength=len(solution.magnitudes)) > 0


def _table(
    lists: list[Progenitor], found: Measurements, solution: GlobalZeroPoints
) -> NDArray[np.void]:
    table = np.zeros(len(lists), ZERO_POINT_DTYPE)
    held = np.isfinite(found.standard)
    alone_each = (found.standard - found.magnitude)[held]
    ends = np.searchsorted(found.frame[held], np.arange(len(lists) + 1))  # in order of frames
    for number, frame in enumerate(lists):
        mine = alone_each[ends[number] : ends[number + 1]]
        alone = np.median(mine) if len(mine) else np.nan
        row = table[number]
        row["instrument"], row["chip"], row["name"], row["mjd_obs"] = frame_key(frame)
        row["zero_point"] = solution.zero_points[number]
        row["zero_point_err"] = solution.errors[number]
        row["offset"] = solution.zero_points[number] - alone
        row["scatter"] = solution.scatter[number]
        row["n_stars"], row["n_standards"] = solution.n_stars[number], solution.n_standards[number]
        row["airmass"] = np.nan if frame.raw["airmass"] is None else frame.raw["airmass"]
        row["aperture_radius"] = frame["aperture_radius"]
    return table


def _largest_offset(
    table: NDArray[np.void], solution: GlobalZeroPoints, fewest: int
) -> float | None:
    """Largest offset of a frame beyond what its standards' median is off by chance, mag."""
    sure = np.isfinite(table["offset"]) & (table["n_standards"] >= fewest)
    if not sure.any():
        return None
    one = np.hypot(np.nan_to_num(table["scatter"][sure]), solution.standard_scatter)
    chance = _BY_CHANCE * one / np.sqrt(table["n_standards"][sure])
    return float(np.sqrt(np.maximum(table["offset"][sure] ** 2 - chance**2, 0.0)).max())


def _median(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")
