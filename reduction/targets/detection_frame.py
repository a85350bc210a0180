"""What a field's sources are detected on: all its bands together."""

from __future__ import annotations

__all__ = ["DetectionFrame"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reduction.attributes import attribute
from reduction.coadd_bands import combine_bands
from reduction.combination import Combination
from reduction.comparison import differs_in_part, fell
from reduction.depends import frames_of_field
from reduction.detection import is_clean, star_fwhm
from reduction.parameters import parameter
from reduction.quality import QualityFlags
from reduction.seeing import SEEING
from reduction.steps.blocks import count_positive
from reduction.steps.coadd import CombineType
from reduction.steps.coadd_sources import detect_sources
from reduction.steps.deep import Deep
from reduction.target import FieldTarget, Inputs, Made
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import FigureBase

    from reduction.progenitor import Progenitor


class DetectionFrame(FieldTarget):
    """Weighted mean of a field's frames of all bands (or of one), and the sources on it.

    Each band is combined as its CoaddedRegriddedFrame is; their mean is weighted by inverse
    variance at a common zero point. Images: "IMAGE", "WEIGHT", "MASK". Table: "SOURCES", as
    :data:`reduction.steps.sources.SOURCE_DTYPE`, brightest first; its row numbers are the source
    numbers of the field in every band.
    """

    VERSION = 5

    regridded = frames_of_field("RegriddedFrame")

    grid_x = attribute(int, "column of the grid of its first pixel", ucd="pos.cartesian.x")
    grid_y = attribute(int, "row of the grid of its first pixel", ucd="pos.cartesian.y")
    bands = attribute(str, "bands that have a part, joined by +", ucd="meta.id;instr.bandpass")
    n_frames = attribute(int, "frames in it", ucd="meta.number;obs")
    n_sources = attribute(int, "number of sources", ucd="meta.number")
    n_clean = attribute(int, "sources without flags but neighbours", ucd="meta.number")
    seeing = SEEING

    @dataclass(frozen=True, slots=True)
    class Parameters(Combination):
        """Combination as CoaddedRegriddedFrame's, detection, and limits.

        More sources in a pixel with weight than MAXIMUM_DENSITY are noise or a pattern: images of
        stars so close (one in 25 pixels) cannot be told apart, whatever the grid. A field without
        sources is sound.
        """

        BAND: str = parameter("", "band to detect on, of those that the field has; empty is all")
        DETECTION_THRESHOLD: float = parameter(
            2.0,
            "sources stand out of the noise that the weights say by this",
            unit="sigma",
            above=0.0,
        )
        DETECTION_AREA: int = parameter(
            5, "connected pixels that make a source", unit="pixel", at_least=1, at_most=10_000
        )
        BACKGROUND_SIZE: int = parameter(
            64,
            "meshes on which the background is measured",
            unit="pixel",
            at_least=4,
            at_most=10_000,
        )
        MAXIMUM_DENSITY: float = parameter(
            0.04, "most sources for each pixel with weight", above=0.0, at_most=1.0
        )
        MINIMUM_KEPT: float = parameter(
            0.5,
            "least part of the sources and frames of before that is no loss",
            at_least=0.0,
            at_most=1.0,
        )
        MAXIMUM_SEEING_CHANGE: float = parameter(
            0.2, "largest change of the seeing, a part of that of before", at_least=0.0
        )

    class Flags(QualityFlags):
        """What can be wrong with what sources are detected on."""

        TOO_MANY = 1, "more sources in a pixel than MAXIMUM_DENSITY: noise or a pattern"
        FEWER_SOURCES = 2, "fewer sources than MINIMUM_KEPT of those before"
        FEWER_FRAMES = 4, "fewer frames than MINIMUM_KEPT of those before"
        SEEING_CHANGED = (
            8,
            "the seeing differs from before by more than MAXIMUM_SEEING_CHANGE, a part of it",
        )
        BANDS_CHANGED = 16, "other bands than before are in it"

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Combine bands, and detect."""
        frames = _of_band(inputs.regridded, parameters.BAND)
        made = combine_bands(
            inputs,
            frames,
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
                "seeing": star_fwhm(sources) * made.wcs.pixel_scale,
            },
            cards={keyword: (value, "") for keyword, value in made.wcs.to_cards().items()},
        )

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Look whether sources are sources."""
        seen = count_positive(made.images["WEIGHT"])
        many = made.attributes["n_sources"] > parameters.MAXIMUM_DENSITY * seen
        return int(self.Flags.TOO_MANY) if many else 0

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: Parameters) -> int:
        """See whether sources, frames or bands went missing, or the seeing is another."""
        found, flags = made.attributes, self.Flags(0)
        if fell(previous, "n_sources", found["n_sources"], parameters.MINIMUM_KEPT):
            flags |= self.Flags.FEWER_SOURCES
        if fell(previous, "n_frames", found["n_frames"], parameters.MINIMUM_KEPT):
            flags |= self.Flags.FEWER_FRAMES
        if differs_in_part(previous, "seeing", found["seeing"], parameters.MAXIMUM_SEEING_CHANGE):
            flags |= self.Flags.SEEING_CHANGED
        if previous.get("bands") not in (None, found["bands"]):
            flags |= self.Flags.BANDS_CHANGED
        return int(flags)

    def plot(self, figure: FigureBase) -> None:
        """The image, its depth, why pixels have none, and the sources' widths."""
        from reduction.source_plots import plot_detection

        plot_detection(figure, self.images, self.tables["SOURCES"])


def _of_band(frames: Sequence[Progenitor], band: str) -> Sequence[Progenitor]:
    """Frames of a band; of all where none is named."""
    found = [frame for frame in frames if band in ("", frame["band"])]
    if not found:
        known = ", ".join(sorted({str(frame["band"]) for frame in frames}))
        message = f"BAND is {band!r}, of which the field has no frames: it has {known}"
        raise UnprocessableError(message)
    return found
