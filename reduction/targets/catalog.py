"""What is seen on a science frame, in pixels: detected once, used by all that follows."""

from __future__ import annotations

__all__ = ["Catalog"]

from dataclasses import dataclass

from reduction.attributes import attribute
from reduction.depends import of_frame
from reduction.detection import detect, is_clean, star_width
from reduction.target import FrameTarget, Inputs, Made


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
    naxis1 = attribute(int, "pixels of the frame along x", ucd="meta.number;instr.pixel")
    naxis2 = attribute(int, "pixels of the frame along y", ucd="meta.number;instr.pixel")

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """DETECTION_THRESHOLD in units of the sky noise, APERTURE_RADIUS in pixels."""

        DETECTION_THRESHOLD: float = 3.0
        APERTURE_RADIUS: float = 12.0

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Detect and measure."""
        sources = detect(
            inputs.reduced,
            threshold=parameters.DETECTION_THRESHOLD,
            aperture_radius=parameters.APERTURE_RADIUS,
        )
        ny, nx = inputs.reduced.images["IMAGE"].shape
        return Made(
            tables={"SOURCES": sources},
            attributes={
                "n_sources": len(sources),
                "n_clean": int(is_clean(sources).sum()),
                "fwhm": star_width(sources),
                "aperture_radius": parameters.APERTURE_RADIUS,
                "naxis1": nx,
                "naxis2": ny,
            },
        )
