"""The standard stars that were measured on a frame."""

from __future__ import annotations

__all__ = ["PhotSrcCatalog"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from reduction.attributes import attribute
from reduction.comparison import differs, fell
from reduction.depends import of_frame, raw_frame
from reduction.detection import is_clean, signal_to_noise
from reduction.parameters import from_band, parameter
from reduction.quality import QualityFlags
from reduction.steps.matching import match_nearest
from reduction.steps.photometry import expected_errors, isolated, star_zero_points
from reduction.steps.transformation import of_color
from reduction.target import FrameTarget, Inputs, Made
from reduction.targets.astrometric import wcs_from_attributes
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import FigureBase
    from numpy.typing import NDArray

_MEASURED: Final = ("x", "y", "flux", "flux_err", "zero_point", "zero_point_err", "of_color")
_KNOWN: Final = ("ra", "dec", "mag", "mag_err", "color", "color_err")
_DTYPE: Final = np.dtype(
    [
        ("name", "U64"),
        *((name, "f8") for name in (*_KNOWN, *_MEASURED)),
        ("source", "i4"),
        ("used", "i2"),
    ]
)

_POGSON: Final = 2.5 / np.log(10.0)

#: Part of the signal to noise that is asked of the flux measured: noise may have lowered it.
_FAINTEST: Final = 0.5

#: Spread by which the fitted point spread function may be wrong.
_SPREAD_FLOOR: Final = 0.005


class PhotSrcCatalog(FrameTarget):
    """Standard stars matched to a frame's sources, each with its raw zero point.

    Table: "STANDARDS", the columns of PhotRefCatalog's, and x, y (0-based pixels), flux and
    flux_err (adu), zero_point ``mag + 2.5 log10(flux / exptime)`` and its error (mag), of_color
    (what the star's colour adds to it by the filter's colour term), source (row of the frame's
    Catalog), used (0 where the zero point is too far from the others').
    """

    VERSION = 2
    COST_S = 0.003

    raw = raw_frame("RawScienceFrame")
    catalog = of_frame("Catalog")
    astrometric = of_frame("AstrometricParameters")
    standards = of_frame("PhotRefCatalog")

    color_term = attribute(float, "of the filter, mag per mag", ucd="arith.factor;phot.color")
    n_stars = attribute(int, "standard stars recognised", ucd="meta.number")
    n_used = attribute(int, "of these, with a zero point like the others'", ucd="meta.number")
    raw_zero_point = attribute(
        float,
        "median of the stars' zero points, colour taken off, extinction not",
        unit="mag",
        ucd="phot.mag;arith.zp;stat.median",
    )
    scatter = attribute(float, "1.4826 times their median deviation", unit="mag", ucd="stat.stdev")
    airmass = attribute(float, "airmass of the frame", ucd="obs.airMass")
    band = attribute(str, "band of the standard magnitudes", ucd="meta.id;instr.bandpass")
    flux_type = attribute(str, "column of the Catalog that the fluxes are of", ucd="meta.code")
    aperture_radius = attribute(
        float, "radius of the aperture", unit="pixel", ucd="phys.size.radius"
    )

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Which stars are used, and limits.

        MIN_SIGNAL_TO_NOISE is that of the flux which the catalogue's magnitude promises: fainter
        stars are found where noise makes them brighter, and lost where it does not.
        A star with more than MAX_SPREAD has light that is not its own alone. For the colour 0.5
        magnitudes are the standard system's; for another they are the camera's own, off by
        COLOR_TERM for each mag of it. Where fewer than MINIMUM_USED of the stars are within
        MAX_MAG_DIFF of their median, most are matched by chance, and the median is nobody's.
        MAXIMUM_ZERO_POINT_DIFFERENCE is what two good fields of a night may differ by.
        """

        FLUX_TYPE: str = parameter(
            "flux_psf",
            "column of the Catalog that is measured with",
            choices=("flux", "flux_aper", "flux_psf"),
        )
        MATCH_RADIUS: float = parameter(
            2.0,
            "a source and a standard within it are the same",
            unit="arcsec",
            above=0.0,
            at_most=3600.0,
        )
        MAX_MAG_DIFF: float = parameter(
            0.5,
            "stars further than this from the median zero point are not used",
            unit="mag",
            above=0.0,
        )
        MIN_SIGNAL_TO_NOISE: float = parameter(
            12.0, "sources take part above this signal-to-noise ratio", at_least=0.0
        )
        MAX_NEIGHBOUR_FLUX: float = parameter(
            0.05, "most light of neighbours in the aperture, a part of the star's", at_least=0.0
        )
        MAX_SPREAD: float = parameter(
            3.0, "largest spread of a star's image", unit="sigma", at_least=0.0
        )
        COLOR_TERM: float = parameter(
            from_band("color_term"),
            "by how much the standard magnitude is greater for each mag of colour",
            at_least=-2.0,
            at_most=2.0,
        )
        MINIMUM_USED: float = parameter(
            0.5, "least part of the stars that is used", at_least=0.0, at_most=1.0
        )
        MINIMUM_KEPT: float = parameter(
            0.5, "least part of the stars of before that is no loss", at_least=0.0, at_most=1.0
        )
        MAXIMUM_ZERO_POINT_DIFFERENCE: float = parameter(
            0.05, "largest change of the zero point from before", unit="mag", at_least=0.0
        )

    class Flags(QualityFlags):
        """What can be wrong with them; whether they are enough is asked by who uses them."""

        DISAGREE = 1, "fewer than MINIMUM_USED of the stars agree on a zero point"
        FEWER_STARS = 2, "fewer stars were used than MINIMUM_KEPT of those before"
        ZERO_POINT_CHANGED = (
            4,
            "their median differs from before by more than MAXIMUM_ZERO_POINT_DIFFERENCE",
        )

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Match clean, isolated sources with standards; give each its zero point."""
        raw = inputs.raw
        if inputs.astrometric["n_ref"] == 0:
            message = (
                f"{raw['name']}: no star of a reference catalogue was recognised on the frame"
            )
            raise UnprocessableError(message)
        term = parameters.COLOR_TERM or 0.0
        table = _with_zero_points(
            self._matched(inputs, parameters), raw["exptime"], term, parameters
        )
        if len(table) == 0:
            message = (
                f"{raw['name']}: found 0 usable standard stars in {inputs.band.standard}, "
                "expected at least 1"
            )
            raise UnprocessableError(message)
        z, used = table["zero_point"] - table["of_color"], table["used"]
        median = float(np.median(z))
        return Made(
            tables={"STANDARDS": table},
            attributes={
                "color_term": term,
                "n_stars": len(table),
                "n_used": int(used.sum()),
                "raw_zero_point": median,
                "scatter": 1.4826 * float(np.median(np.abs(z - median))),
                "airmass": raw["airmass"],
                "band": inputs.band.standard,
                "flux_type": parameters.FLUX_TYPE,
                "aperture_radius": inputs.catalog["aperture_radius"],
            },
        )

    @staticmethod
    def _matched(inputs: Inputs, parameters: PhotSrcCatalog.Parameters) -> NDArray[np.void]:
        """Standards that are clean, isolated sources of a frame."""
        sources, standards = inputs.catalog.tables["SOURCES"], inputs.standards.tables["STANDARDS"]
        flux = sources[parameters.FLUX_TYPE]
        good = is_clean(sources) & np.isfinite(flux) & (flux > 0)
        enough = _FAINTEST * parameters.MIN_SIGNAL_TO_NOISE
        good &= signal_to_noise(sources, parameters.FLUX_TYPE) > enough
        limit = _SPREAD_FLOOR + parameters.MAX_SPREAD * sources["spread_err"]
        good &= ~(np.abs(sources["spread"]) > limit)
        good &= isolated(
            sources["x"],
            sources["y"],
            sources["flux"],
            radius=2.0 * inputs.catalog["aperture_radius"],
            fraction=parameters.MAX_NEIGHBOUR_FLUX,
        )
        wcs = wcs_from_attributes(inputs.astrometric.attributes)
        usable = np.flatnonzero(good)
        here = np.column_stack((sources["x"][usable], sources["y"][usable]))
        there = np.column_stack(wcs.to_pixel(standards["ra"], standards["dec"]))
        near = np.flatnonzero(np.isfinite(there).all(axis=1))
        source, star = match_nearest(here, there[near], parameters.MATCH_RADIUS / wcs.pixel_scale)
        order = np.argsort(usable[source], kind="stable")
        source, star = usable[source][order], near[star][order]
        table = np.zeros(len(source), _DTYPE)
        for name in ("name", *_KNOWN):
            table[name] = standards[name][star]
        table["x"], table["y"] = sources["x"][source], sources["y"][source]
        table["flux"] = flux[source]
        table["flux_err"] = sources[parameters.FLUX_TYPE + "_err"][source]
        table["source"] = source
        return table

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Look whether most stars say the same."""
        few = made.attributes["n_used"] < parameters.MINIMUM_USED * made.attributes["n_stars"]
        return int(self.Flags.DISAGREE) if few else 0

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: Parameters) -> int:
        """See whether stars went missing, or say something else."""
        found, flags = made.attributes, self.Flags(0)
        if fell(previous, "n_used", found["n_used"], parameters.MINIMUM_KEPT):
            flags |= self.Flags.FEWER_STARS
        limit = parameters.MAXIMUM_ZERO_POINT_DIFFERENCE
        if differs(previous, "raw_zero_point", found["raw_zero_point"], limit):
            flags |= self.Flags.ZERO_POINT_CHANGED
        return int(flags)

    def plot(self, figure: FigureBase) -> None:
        """Draw the stars' zero points over magnitude, colour and place."""
        table = self.tables["STANDARDS"]
        good = table["used"] > 0
        axes = figure.subplots(2, 2).ravel()
        for panel, name in zip(axes, ("mag", "color", "x", "y"), strict=True):
            panel.errorbar(
                table[name][good],
                table["zero_point"][good],
                table["zero_point_err"][good],
                fmt=".",
                lw=0.5,
            )
            panel.plot(table[name][~good], table["zero_point"][~good], "x", color="0.6")
            panel.axhline(self.raw_zero_point, color="k", lw=0.5)
            panel.set(xlabel=name, ylabel="zero point [mag]")


def _with_zero_points(
    table: NDArray[np.void], exptime: float, term: float, parameters: PhotSrcCatalog.Parameters
) -> NDArray[np.void]:
    """Set zero points, their errors and whether they are used; without stars that are too faint.

    How faint is what the catalogue says with the median zero point, so that noise neither chooses
    nor weighs: see :func:`reduction.steps.photometry.expected_errors`.
    """
    if len(table) == 0:
        return table
    nothing = np.zeros(len(table))
    table["zero_point"], error = star_zero_points(
        table["flux"], table["flux_err"], table["mag"], nothing, exptime
    )
    table["of_color"] = of_color(table["color"], term)
    excess = table["zero_point"] - table["of_color"]
    excess -= np.median(excess)
    near = np.abs(excess) <= parameters.MAX_MAG_DIFF
    error = np.where(near, expected_errors(error, np.where(near, excess, 0.0)), error)
    table["zero_point_err"] = np.hypot(error, np.nan_to_num(table["mag_err"]))
    table["used"] = near
    kept: NDArray[np.void] = table[error * parameters.MIN_SIGNAL_TO_NOISE < _POGSON]
    return kept
