"""The sources on a coadd."""

from __future__ import annotations

__all__ = ["CoaddedSourceList"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reduction.attributes import attribute
from reduction.depends import in_field
from reduction.detection import is_clean, star_width
from reduction.field_grids import grid_of, own_field
from reduction.quality import QualityFlags
from reduction.source_lists import (
    DEPTH_CHANGED,
    DEPTH_IMPOSSIBLE,
    FEWER_SOURCES,
    SEEING_CHANGED,
    SourcesTarget,
)
from reduction.steps.coadd_sources import Deep, detect_sources, measure_sources, sky_noise
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
    zero points are for.
    """

    VERSION = 1
    ANCHOR = Anchor.FIELD_AND_FILTER

    frame = in_field("CoaddedRegriddedFrame")
    detection_frame = in_field("DetectionFrame", required=False)

    detection = attribute(
        str, "bands that the sources were detected in", ucd="meta.id;instr.bandpass"
    )
    n_sources = attribute(int, "number of sources", ucd="meta.number")
    n_clean = attribute(int, "sources without flags but deblending", ucd="meta.number")
    aperture = attribute(float, "radius of the aperture", unit="arcsec", ucd="phys.size.radius")
    limiting_mag = attribute(
        float, "5 sigma in the aperture at the median noise of the sky", unit="mag", ucd="phot.mag"
    )
    seeing = attribute(float, "width (fwhm) of stars", unit="arcsec", ucd="instr.obsty.seeing")

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """DETECTION is FIELD (dual-image mode) or OWN.

        APERTURE is a radius, arcsec; 0 takes that of the zero points. DETECTION_THRESHOLD and
        DETECTION_AREA count for OWN.

        MAXIMUM_WIDTH is that of the Catalog. MINIMUM_LIMITING_MAG and MAXIMUM_LIMITING_MAG are
        beyond what has ever been observed - five sigma at 32 mag would be deeper than the Hubble
        eXtreme Deep Field (31 mag; Illingworth et al. 2013, ApJS 209, 6) - so that the zero point
        is not one.
        """

        DETECTION: str = "FIELD"
        APERTURE: float = 0.0
        BACKGROUND_SIZE: int = 64
        DETECTION_THRESHOLD: float = 2.0
        DETECTION_AREA: int = 5
        MAXIMUM_WIDTH: float = 1.0
        MINIMUM_CLEAN: int = 10
        MINIMUM_LIMITING_MAG: float = 0.0
        MAXIMUM_LIMITING_MAG: float = 32.0
        MINIMUM_KEPT: float = 0.5
        MAXIMUM_SEEING_CHANGE: float = 0.2
        MAXIMUM_DEPTH_DIFFERENCE: float = 0.3

    class Flags(QualityFlags):
        """What can be wrong with the sources of a coadd."""

        STARS_TOO_WIDE = 1, "stars are wider than MAXIMUM_WIDTH diameters of the aperture"
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
        )
        found, offset, bands = self._detected(inputs, parameters, deep, radius)
        box = parameters.BACKGROUND_SIZE
        sources = measure_sources(
            *(found, deep),
            offset=offset,
            aperture_radius=radius,
            box=box,
            found_here=bands == inputs.filter,
        )
        x0, y0 = int(frame["grid_x"]), int(frame["grid_y"])
        wcs = part_of(grid, x0=x0, y0=y0)
        rows = self._rows(sources, wcs, frame)
        clean = is_clean(sources)
        limit = math.nan
        if frame["zero_point"] is not None:
            limit = limiting_magnitude(sky_noise(deep.weight, radius), frame["zero_point"])
        return Made(
            attributes={
                "detection": bands,
                "n_sources": len(rows),
                "n_clean": int(clean.sum()),
                "aperture": aperture,
                "limiting_mag": limit,
                "seeing": star_width(sources) * wcs.pixel_scale,
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
        for name in ("x", "y", "fwhm", "elongation", "flags"):
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
        wide = found["seeing"] > 2.0 * parameters.MAXIMUM_WIDTH * found["aperture"]
        if found["n_clean"] >= parameters.MINIMUM_CLEAN and wide:
            flags |= self.Flags.STARS_TOO_WIDE
        return int(flags)
