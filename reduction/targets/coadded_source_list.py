"""The sources on a coadd."""

from __future__ import annotations

__all__ = ["CoaddedSourceList"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reduction.attributes import attribute
from reduction.coadd_tables import gains_of_origins, weights_of_origins
from reduction.depends import in_field
from reduction.detection import is_clean, star_fwhm, star_half_light
from reduction.field_grids import grid_of, own_field
from reduction.parameters import parameter
from reduction.quality import QualityFlags
from reduction.source_lists import (
    DEPTH_CHANGED,
    DEPTH_IMPOSSIBLE,
    FEWER_SOURCES,
    SEEING_CHANGED,
    SourcesTarget,
)
from reduction.steps.coadd_sources import detect_sources, measure_sources
from reduction.steps.deep import Deep
from reduction.steps.grid import part_of
from reduction.steps.photometry import limiting_magnitude, magnitudes
from reduction.target import Anchor, FieldTarget, Inputs, Made
from schemas.tables import Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reduction.steps.wcs import TanWcs
    from reduction.target import Progenitor

_APERTURE = 4.0

#: Rows of the archive's table of sources; what is not measured here stays without value.
_ROW = np.dtype(
    [
        (column.name, "i4" if column.name == "flags" else "f8")
        for column in list(Source.__table__.columns)[2:]
    ]
)


class CoaddedSourceList(SourcesTarget, FieldTarget):
    """Positions, fluxes and shapes of the sources of a field, measured on the coadd of one band.

    Dual-image mode: the sources are those of the field's DetectionFrame, the same in every band
    and in the same order, so that ``source_number`` joins the bands. With DETECTION "OWN", or
    where the field has no DetectionFrame, they are detected on the coadd itself.

    Fluxes are per second on the scale of the coadd's zero point, in the circle that the frames'
    zero points are for. Their errors know which frames a source's pixels are of: photons of
    cameras and exposures that differ have their own gains.
    """

    VERSION = 4
    ANCHOR = Anchor.FIELD_AND_FILTER

    frame = in_field("CoaddedRegriddedFrame")
    detection_frame = in_field("DetectionFrame", required=False)

    detection = attribute(
        str, "bands that the sources were detected in", ucd="meta.id;instr.bandpass"
    )
    photometry = attribute(
        str, "classes that the frames' zero points come from, joined by +", ucd="meta.code.class"
    )
    aperture = attribute(float, "radius of the aperture", unit="arcsec", ucd="phys.size.radius")
    half_light_radius = attribute(
        float, "radius of half of a star's light", unit="arcsec", ucd="phys.angSize;src"
    )

    @dataclass(frozen=True, slots=True)
    class Parameters(SourcesTarget.Parameters):
        """Detection, apertures and limits.

        MINIMUM_LIMITING_MAG and MAXIMUM_LIMITING_MAG are beyond what has ever been observed - five
        sigma at 32 mag would be deeper than the Hubble eXtreme Deep Field (31 mag; Illingworth et
        al. 2013, ApJS 209, 6) - so that the zero point is not one.
        """

        DETECTION: str = parameter(
            "FIELD",
            "where sources come from: FIELD of the field's DetectionFrame (dual-image "
            "mode), OWN of the coadd itself",
            choices=("FIELD", "OWN"),
        )
        APERTURE: float = parameter(
            0.0,
            "radius of the aperture; 0 takes that of the zero points",
            unit="arcsec",
            at_least=0.0,
            at_most=600.0,
        )
        BACKGROUND_SIZE: int = parameter(
            64,
            "meshes on which the background is measured",
            unit="pixel",
            at_least=4,
            at_most=10_000,
        )
        DETECTION_THRESHOLD: float = parameter(
            2.0, "sources stand out of the noise by this; counts for OWN", unit="sigma", above=0.0
        )
        DETECTION_AREA: int = parameter(
            5,
            "connected pixels that make a source; counts for OWN",
            unit="pixel",
            at_least=1,
            at_most=10_000,
        )
        MAXIMUM_WIDTH: float = parameter(
            1.0,
            "stars whose half-light radius is more than this part of the aperture's are too wide",
            above=0.0,
        )
        MINIMUM_CLEAN: int = parameter(
            10, "clean sources that it takes to say how wide stars are", at_least=1
        )
        MAXIMUM_LIMITING_MAG: float = 32.0

    class Flags(QualityFlags):
        """What can be wrong with the sources of a coadd."""

        STARS_TOO_WIDE = (
            1,
            "the half-light radius of stars is more than MAXIMUM_WIDTH of the aperture's",
        )
        DEPTH_IMPOSSIBLE = DEPTH_IMPOSSIBLE
        FEWER_SOURCES = FEWER_SOURCES
        SEEING_CHANGED = SEEING_CHANGED
        DEPTH_CHANGED = DEPTH_CHANGED

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Measure the field's sources on the coadd."""
        frame, field = inputs.frame, own_field(inputs)
        grid, _ = grid_of(field)
        aperture = parameters.APERTURE or frame["aperture"] or _APERTURE * field.pixel_scale
        radius = aperture / grid.pixel_scale
        deep = Deep(
            frame.images["IMAGE"],
            frame.images["WEIGHT"],
            frame.images["MASK"],
            float(frame["effective_gain"]),
            frame.images["ORIGIN"],
            gains_of_origins(frame.tables["SETS"]),
            weights_of_origins(frame.tables["MEMBERS"], frame.tables["FRAMES"]),
        )
        found, offset, bands = self._detected(inputs, parameters, deep, radius)
        measured = measure_sources(
            *(found, deep),
            offset=offset,
            aperture_radius=radius,
            box=parameters.BACKGROUND_SIZE,
            found_here=bands == inputs.filter,
        )
        sources = measured.sources
        x0, y0 = int(frame["grid_x"]), int(frame["grid_y"])
        wcs = part_of(grid, x0=x0, y0=y0)
        rows = self._rows(sources, wcs, frame)
        limit = math.nan
        if frame["zero_point"] is not None:
            limit = limiting_magnitude(measured.sky_noise, frame["zero_point"])
        return Made(
            attributes={
                "detection": bands,
                "photometry": frame["photometry"],
                "n_sources": len(rows),
                "n_clean": int(is_clean(sources).sum()),
                "aperture": aperture,
                "limiting_mag": limit,
                "seeing": star_fwhm(sources) * wcs.pixel_scale,
                "half_light_radius": star_half_light(sources) * wcs.pixel_scale,
            },
            rows=rows,
        )

    @staticmethod
    def _detected(
        inputs: Inputs, parameters: CoaddedSourceList.Parameters, deep: Deep, radius: float
    ) -> tuple[NDArray[np.void], tuple[int, int], str]:
        """Sources, where the image they are from begins on the coadd, and its bands."""
        frame, other = inputs.frame, inputs.detection_frame
        if parameters.DETECTION == "FIELD" and other is not None:
            offset = (other["grid_x"] - frame["grid_x"], other["grid_y"] - frame["grid_y"])
            return other.tables["SOURCES"], offset, other["bands"]
        found = detect_sources(
            deep,
            threshold=parameters.DETECTION_THRESHOLD,
            min_area=parameters.DETECTION_AREA,
            aperture_radius=radius,
            box=parameters.BACKGROUND_SIZE,
        )
        return found, (0, 0), inputs.filter

    @staticmethod
    def _rows(sources: NDArray[np.void], wcs: TanWcs, frame: Progenitor) -> NDArray[np.void]:
        rows = np.zeros(len(sources), _ROW)
        for name in rows.dtype.names or ():
            if name != "flags":
                rows[name] = np.nan
        for name in ("x", "y", "half_light_radius", "elongation", "flags"):
            rows[name] = sources[name]
        rows["flux"], rows["flux_err"] = sources["flux_aper"], sources["flux_aper_err"]
        for name in ("flux_psf", "flux_psf_err", "spread"):
            rows[name] = sources[name]
        rows["ra"], rows["dec"] = wcs.to_sky(sources["x"], sources["y"])
        own = sources["pos_err"] * wcs.pixel_scale
        rows["pos_err"] = np.hypot(own, frame["pos_err"] or 0.0) / 3600.0
        if frame["zero_point"] is not None:
            for kind in ("", "_psf"):
                rows["mag" + kind], rows[f"mag{kind}_err"] = magnitudes(
                    rows["flux" + kind], rows[f"flux{kind}_err"], frame["zero_point"], 1.0
                )
        return rows

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Look whether the aperture holds the stars, too."""
        found, flags = made.attributes, self.Flags(super().verify(made, parameters))
        wide = found["half_light_radius"] > parameters.MAXIMUM_WIDTH * found["aperture"]
        if found["n_clean"] >= parameters.MINIMUM_CLEAN and wide:
            flags |= self.Flags.STARS_TOO_WIDE
        return int(flags)
