"""What is seen on a science frame, in pixels: detected once, used by all that follows."""

from __future__ import annotations

__all__ = ["Catalog"]

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reduction.attributes import attribute
from reduction.depends import of_frame
from reduction.detection import aperture_part, detect, is_clean, star_width
from reduction.target import FrameTarget, Inputs, Made

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase


class Catalog(FrameTarget):
    """Positions, fluxes and shapes of all sources of one reduced frame, in pixels and adu.

    Table: "SOURCES", as :data:`reduction.steps.sources.SOURCE_DTYPE`, brightest first.
    """

    VERSION = 2

    reduced = of_frame("ReducedScienceFrame")

    n_sources = attribute(int, "number of sources", ucd="meta.number")
    n_clean = attribute(int, "sources without flags but deblending", ucd="meta.number")
    fwhm = attribute(float, "width (fwhm) of stars", unit="pixel", ucd="instr.obsty.seeing")
    aperture_radius = attribute(
        float, "radius of the circular aperture", unit="pixel", ucd="phys.size.radius"
    )
    aperture_part = attribute(
        float,
        "part of a star's light inside the aperture; below 0.5 it is too small for the seeing",
        ucd="phot.flux;arith.ratio",
    )
    naxis1 = attribute(int, "pixels of the frame along x", ucd="meta.number;instr.pixel")
    naxis2 = attribute(int, "pixels of the frame along y", ucd="meta.number;instr.pixel")

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """DETECTION_THRESHOLD in units of the sky noise, APERTURE_RADIUS in pixels.

        FLUX_FLOOR is the relative error that no flux is better than: of the flat field.
        """

        DETECTION_THRESHOLD: float = 3.0
        APERTURE_RADIUS: float = 12.0
        FLUX_FLOOR: float = 0.0

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Detect and measure."""
        sources = detect(
            inputs.reduced,
            threshold=parameters.DETECTION_THRESHOLD,
            aperture_radius=parameters.APERTURE_RADIUS,
            flux_floor=parameters.FLUX_FLOOR,
        )
        ny, nx = inputs.reduced.images["IMAGE"].shape
        fwhm = star_width(sources)
        return Made(
            tables={"SOURCES": sources},
            attributes={
                "n_sources": len(sources),
                "n_clean": int(is_clean(sources).sum()),
                "fwhm": fwhm,
                "aperture_radius": parameters.APERTURE_RADIUS,
                "aperture_part": aperture_part(fwhm, parameters.APERTURE_RADIUS),
                "naxis1": nx,
                "naxis2": ny,
            },
        )

    def plot(self, figure: FigureBase) -> None:
        """Where the sources are, and how wide."""
        from reduction.plots import show_points  # noqa: PLC0415  # matplotlib is slow to import

        sources = self.tables["SOURCES"]
        clean = is_clean(sources)
        place, width = figure.subplots(1, 2)
        show_points(place, sources["x"], sources["y"], x_label="x [pixel]", y_label="y [pixel]")
        place.set(title=f"{len(sources)} sources, {int(clean.sum())} clean", aspect="equal")
        flux = np.where(sources["flux_aper"] > 0, sources["flux_aper"], np.nan)
        show_points(
            width,
            np.log10(flux[clean]),
            sources["fwhm"][clean],
            title="widths of clean sources",
            x_label="lg of the flux [adu]",
            y_label="fwhm [pixel]",
        )
        if self.fwhm is not None:
            width.axhline(self.fwhm, color="#D55E00", linewidth=0.8)
