"""What is seen on a science frame, in pixels: detected once, used by all that follows."""

from __future__ import annotations

__all__ = ["Catalog"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reduction.attributes import attribute
from reduction.comparison import differs_in_part, fell
from reduction.depends import of_frame
from reduction.detection import (
    N_CLEAN,
    N_SOURCES,
    aperture_fraction,
    detect,
    half_light_radii,
    is_clean,
    star_fwhm,
    star_half_light,
)
from reduction.parameters import parameter
from reduction.quality import QualityFlags
from reduction.steps.photometry import aperture_sky_noise
from reduction.target import FrameTarget, Inputs, Made
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import FigureBase


class Catalog(FrameTarget):
    """Positions, fluxes and shapes of all sources of one reduced frame, in pixels and adu.

    Table: "SOURCES", as :data:`reduction.steps.sources.SOURCE_DTYPE`, brightest first.
    """

    VERSION = 6
    COST_S = 0.2
    TABLE = "frame_catalog"

    reduced = of_frame("ReducedScienceFrame")

    n_sources = N_SOURCES
    n_clean = N_CLEAN
    fwhm = attribute(
        float,
        "full width at half maximum of the point spread function fitted to stars",
        unit="pixel",
        ucd="instr.obsty.seeing",
    )
    half_light_radius = attribute(
        float, "radius of half of a star's light", unit="pixel", ucd="phys.angSize;src"
    )
    aperture_radius = attribute(
        float, "radius of the circular aperture", unit="pixel", ucd="phys.size.radius"
    )
    aperture_noise = attribute(
        float,
        "noise of the sky in the aperture, median",
        unit="adu",
        ucd="stat.stdev;instr.skyLevel",
    )
    aperture_fraction = attribute(
        float,
        "part of a star's light inside the aperture; below 0.5 it is too small for the seeing",
        ucd="meta.number;arith.ratio",
    )
    naxis1 = attribute(int, "pixels of the frame along x", ucd="meta.number;instr.pixel")
    naxis2 = attribute(int, "pixels of the frame along y", ucd="meta.number;instr.pixel")

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Detection and apertures, and limits.

        A frame on which more than MAXIMUM_DENSITY sources share a pixel shows noise or a pattern:
        a source takes five pixels, and images of stars so close (one in 40 pixels) cannot be told
        apart. With a MAXIMUM_WIDTH of 1, stars that are too wide have less than half of their
        light in the aperture; asked where MINIMUM_CLEAN sources say how wide stars are, since one
        galaxy may be so alone. A frame without sources is a frame of a blank field.
        """

        DETECTION_THRESHOLD: float = parameter(
            3.0, "sources stand out of the sky noise by this", unit="sigma", above=0.0
        )
        APERTURE_RADIUS: float = parameter(
            12.0, "radius of the fixed aperture", unit="pixel", above=0.0, at_most=1000.0
        )
        SKY_RING: float = parameter(
            0.0,
            "inner radius of the ring that the sky beneath the aperture is told on, the outer "
            "is 1.75 times that; 0: meshes alone",
            unit="pixel",
            at_least=0.0,
            at_most=1000.0,
        )
        FLUX_FLOOR: float = parameter(
            0.0,
            "relative error that no flux is better than: of the flat field",
            at_least=0.0,
            at_most=1.0,
        )
        MAXIMUM_DENSITY: float = parameter(
            0.025, "most sources for each pixel", above=0.0, at_most=1.0
        )
        MAXIMUM_WIDTH: float = parameter(
            1.0,
            "stars whose half-light radius is more than this part of the aperture's are too wide",
            above=0.0,
        )
        MINIMUM_CLEAN: int = parameter(
            10, "clean sources that it takes to say how wide stars are", at_least=1
        )
        MINIMUM_KEPT: float = parameter(
            0.5, "least part of the sources of before that is no loss", at_least=0.0, at_most=1.0
        )
        MAXIMUM_WIDTH_CHANGE: float = parameter(
            0.2, "largest change of the stars' width, a part of that of before", at_least=0.0
        )

    class Flags(QualityFlags):
        """What can be wrong with a catalog."""

        TOO_MANY = 1, "more sources in a pixel than MAXIMUM_DENSITY: noise or a pattern"
        STARS_TOO_WIDE = (
            2,
            "the half-light radius of stars is more than MAXIMUM_WIDTH of the aperture's",
        )
        FEWER_SOURCES = 4, "fewer sources than MINIMUM_KEPT of those before"
        WIDTH_CHANGED = 8, "the stars' width differs from before by more than MAXIMUM_WIDTH_CHANGE"

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Detect and measure."""
        _check_ring(parameters)
        sources = detect(
            inputs.reduced,
            threshold=parameters.DETECTION_THRESHOLD,
            aperture_radius=parameters.APERTURE_RADIUS,
            flux_floor=parameters.FLUX_FLOOR,
            sky_ring=parameters.SKY_RING,
        )
        clean = is_clean(sources)
        noise = aperture_sky_noise(
            sources["flux_aper"][clean],
            sources["flux_aper_err"][clean],
            inputs.reduced["effective_gain"],
            floor=parameters.FLUX_FLOOR,
        )
        ny, nx = inputs.reduced.images["IMAGE"].shape
        half_light = star_half_light(sources)
        return Made(
            tables={"SOURCES": sources},
            attributes={
                "n_sources": len(sources),
                "n_clean": int(clean.sum()),
                "fwhm": star_fwhm(sources),
                "half_light_radius": half_light,
                "aperture_radius": parameters.APERTURE_RADIUS,
                "aperture_noise": noise,
                "aperture_fraction": aperture_fraction(half_light, parameters.APERTURE_RADIUS),
                "naxis1": nx,
                "naxis2": ny,
            },
        )

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Look whether sources are sources, and whether the aperture holds them."""
        found, flags = made.attributes, self.Flags(0)
        if found["n_sources"] > parameters.MAXIMUM_DENSITY * found["naxis1"] * found["naxis2"]:
            flags |= self.Flags.TOO_MANY
        widest = parameters.MAXIMUM_WIDTH * found["aperture_radius"]
        if found["n_clean"] >= parameters.MINIMUM_CLEAN and found["half_light_radius"] > widest:
            flags |= self.Flags.STARS_TOO_WIDE
        return int(flags)

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: Parameters) -> int:
        """See whether sources went missing, or stars have another width."""
        found, flags = made.attributes, self.Flags(0)
        if fell(previous, "n_sources", found["n_sources"], parameters.MINIMUM_KEPT):
            flags |= self.Flags.FEWER_SOURCES
        if differs_in_part(previous, "fwhm", found["fwhm"], parameters.MAXIMUM_WIDTH_CHANGE):
            flags |= self.Flags.WIDTH_CHANGED
        return int(flags)

    def plot(self, figure: FigureBase) -> None:
        """Where the sources are, and how wide."""
        from reduction.plots import show_points

        sources = self.tables["SOURCES"]
        clean = is_clean(sources)
        place, width = figure.subplots(1, 2)
        show_points(place, sources["x"], sources["y"], x_label="x [pixel]", y_label="y [pixel]")
        place.set(title=f"{len(sources)} sources, {int(clean.sum())} clean", aspect="equal")
        flux = np.where(sources["flux_aper"] > 0, sources["flux_aper"], np.nan)
        show_points(
            width,
            np.log10(flux[clean]),
            half_light_radii(sources)[clean],
            title="widths of clean sources",
            x_label="lg of the flux [adu]",
            y_label="half-light radius [pixel]",
        )
        if self.half_light_radius is not None:
            width.axhline(self.half_light_radius, color="#D55E00", linewidth=0.8)


def _check_ring(parameters: Catalog.Parameters) -> None:
    """Refuse a ring of sky that begins in the aperture: it would take off a star's own light."""
    ring, radius = parameters.SKY_RING, parameters.APERTURE_RADIUS
    if 0.0 < ring < radius:
        message = (
            f"SKY_RING is {ring:g} pixels and APERTURE_RADIUS {radius:g}: the ring of sky begins "
            "inside the aperture and would take off the star's own light; "
            "expected 0, or APERTURE_RADIUS at least"
        )
        raise UnprocessableError(message)
