"""What a field's sources are detected on: all its bands together."""

from __future__ import annotations

__all__ = ["DetectionFrame"]

from dataclasses import dataclass

from reduction.attributes import attribute
from reduction.coadd_bands import combine_bands
from reduction.depends import frames_of_field
from reduction.detection import is_clean, star_width
from reduction.steps.coadd import CombineType
from reduction.steps.coadd_sources import Deep, detect_sources
from reduction.target import FieldTarget, Inputs, Made


class DetectionFrame(FieldTarget):
    """Weighted mean of a field's frames of all bands (or of one), and the sources on it.

    Each band is combined as its CoaddedRegriddedFrame is; their mean is weighted by inverse
    variance at a common zero point. Images: "IMAGE", "WEIGHT", "MASK". Table: "SOURCES", as
    :data:`reduction.steps.sources.SOURCE_DTYPE`, brightest first; its row numbers are the source
    numbers of the field in every band.
    """

    VERSION = 1

    regridded = frames_of_field("RegriddedFrame")

    grid_x = attribute(int, "column of the grid of its first pixel", ucd="pos.cartesian.x")
    grid_y = attribute(int, "row of the grid of its first pixel", ucd="pos.cartesian.y")
    bands = attribute(str, "bands that have a part, joined by +", ucd="meta.id;instr.bandpass")
    n_frames = attribute(int, "frames in it", ucd="meta.number;obs")
    n_sources = attribute(int, "number of sources", ucd="meta.number")
    n_clean = attribute(int, "sources without flags but deblending", ucd="meta.number")
    seeing = attribute(float, "width (fwhm) of stars", unit="arcsec", ucd="instr.obsty.seeing")

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """BAND is the band to detect on, empty for all; the rest as CoaddedRegriddedFrame's.

        DETECTION_THRESHOLD is in units of the noise that the weights say, BACKGROUND_SIZE and
        DETECTION_AREA in pixels.
        """

        BAND: str = ""
        COMBINE_TYPE: str = str(CombineType.CLIPPED)
        CLIP_SIGMA: float = 4.0
        CLIP_AMPFRAC: float = 1.5
        ZERO_POINT: float = 25.0
        DETECTION_THRESHOLD: float = 2.0
        DETECTION_AREA: int = 5
        BACKGROUND_SIZE: int = 64

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Combine bands, and detect."""
        frames = [frame for frame in inputs.regridded if parameters.BAND in ("", frame["band"])]
        made = combine_bands(
            inputs,
            frames or inputs.regridded,
            combine=CombineType(parameters.COMBINE_TYPE),
            clip=(parameters.CLIP_SIGMA, parameters.CLIP_AMPFRAC),
            zero_point=parameters.ZERO_POINT,
        )
        sources = detect_sources(
            Deep(made.image, made.weight, made.mask, made.gain),
            threshold=parameters.DETECTION_THRESHOLD,
            min_area=parameters.DETECTION_AREA,
            box=parameters.BACKGROUND_SIZE,
        )
        return Made(
            images={"IMAGE": made.image, "WEIGHT": made.weight, "MASK": made.mask},
            tables={"SOURCES": sources},
            attributes={
                "grid_x": made.box.x0,
                "grid_y": made.box.y0,
                "bands": "+".join(made.bands),
                "n_frames": made.n_frames,
                "n_sources": len(sources),
                "n_clean": int(is_clean(sources).sum()),
                "seeing": star_width(sources) * made.wcs.pixel_scale,
            },
            cards={keyword: (value, "") for keyword, value in made.wcs.to_cards().items()},
        )
