"""All frames of a field in one band, as one image."""

from __future__ import annotations

__all__ = ["CoaddedRegriddedFrame"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reduction.attributes import attribute
from reduction.coadd_facts import coadd_cards, coadd_obscore
from reduction.coadding import CoaddedFrames, combine_frames, exposure_of
from reduction.combination import Combination
from reduction.depends import frames_of_field
from reduction.field_grids import own_field
from reduction.parameters import parameter
from reduction.placed import GRID_X, GRID_Y
from reduction.quality import QualityFlags
from reduction.seeing import SEEING
from reduction.steps.coadd import CombineType
from reduction.target import Anchor, FieldTarget, Inputs, Made

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure


class CoaddedRegriddedFrame(FieldTarget):
    """Weighted mean of the regridded frames of a field and band, of all chips, nights and cameras.

    Images: "IMAGE" (flux per second in a grid pixel on the scale of ``zero_point``; adu/s where
    no frame has a zero point), "WEIGHT" (inverse of the variance that a pixel adds to a large
    aperture; 0 is "do not use"), "MASK" (why the weight is 0), "NUMBER" (frames in a pixel),
    "GAIN" (electrons per unit), "ORIGIN" (which frames). Tables: "FRAMES" (one row a frame, in the
    order of the lineage), "SETS" (one row an origin), "MEMBERS" (origin, frame): from any pixel
    one gets to its frames; and "DETECTORS" (the stars' widths by chip).

    Frames without a zero point are left out where others have one. The zero points are those of
    the field's GPhotometric, and of their nights for frames that it does not tie.
    """

    VERSION = 5
    ANCHOR = Anchor.FIELD_AND_FILTER
    PUBLISHED = True

    regridded = frames_of_field("RegriddedFrame")

    grid_x = GRID_X
    grid_y = GRID_Y
    n_frames = attribute(int, "frames in it", ucd="meta.number;obs")
    n_exposures = attribute(int, "exposures that they are of", ucd="meta.number;obs.exposure")
    n_detectors = attribute(int, "chips that they were taken with", ucd="meta.number;instr.det")
    n_origins = attribute(int, "different sets of frames in its pixels", ucd="meta.number")
    exptime = attribute(
        float, "exposure time of the median pixel", unit="s", ucd="time.duration;obs.exposure"
    )
    exptime_total = attribute(
        float, "exposure time of all exposures", unit="s", ucd="time.duration;obs.exposure"
    )
    zero_point = attribute(
        float,
        "magnitude of a source of 1 unit, at the ground: extinction is allowed for",
        unit="mag",
        ucd="phot.mag;arith.zp",
    )
    zero_point_err = attribute(
        float,
        "its error, taken as common to all frames",
        unit="mag",
        ucd="stat.error;phot.mag;arith.zp",
    )
    photometry = attribute(
        str, "classes that the frames' zero points come from, joined by +", ucd="meta.code.class"
    )
    pos_err = attribute(float, "error of positions, one axis", unit="arcsec", ucd="stat.error;pos")
    aperture = attribute(
        float, "radius of the zero point's aperture", unit="arcsec", ucd="phys.size.radius"
    )
    effective_gain = attribute(
        float, "electrons per unit in the median pixel", ucd="arith.factor;instr.det"
    )
    noise_factor = attribute(
        float,
        "pixel rms over what the weights say, for neighbours share noise",
        ucd="stat.stdev;arith.ratio",
    )
    seeing = SEEING
    seeing_predicted = attribute(
        float, "the same as the frames promise", unit="arcsec", ucd="instr.obsty.seeing"
    )
    seeing_best = attribute(
        float, "seeing of the best frame", unit="arcsec", ucd="instr.obsty.seeing"
    )
    seeing_worst = attribute(
        float, "seeing of the worst frame", unit="arcsec", ucd="instr.obsty.seeing"
    )
    psf_difference = attribute(
        float, "seeing over what the frames promise, less 1", ucd="instr.obsty.seeing;arith.diff"
    )
    psf_stars = attribute(int, "stars that this was measured with", ucd="meta.number")
    limiting_mag = attribute(
        float,
        "5 sigma in the aperture at the median noise of the sky, as the weights say",
        unit="mag",
        ucd="phot.mag",
    )
    coverage = attribute(
        float, "part of the field's circle with weight", ucd="meta.number;arith.ratio"
    )
    clipped = attribute(
        float, "part of the values left out as outliers", ucd="meta.number;arith.ratio"
    )

    @dataclass(frozen=True, slots=True)
    class Parameters(Combination):
        """Combination as SWarp's, and Astro-WISE's limit on the point spread function."""

        MAXIMUM_PSF_DIFFERENCE: float = parameter(
            0.15,
            "largest difference of the coadd's stars from those of its frames, a part "
            "of their width",
            at_least=0.0,
        )
        MAXIMUM_DEPTH_DIFFERENCE: float = parameter(
            0.1, "largest loss of depth against before", unit="mag", at_least=0.0
        )

    class Flags(QualityFlags):
        """What can be wrong with a coadd."""

        PSF_DIFFERENCE_TOO_LARGE = (
            1,
            "stars are wider than the frames promise by more than MAXIMUM_PSF_DIFFERENCE",
        )
        SHALLOWER = 2, "limiting_mag fell by more than MAXIMUM_DEPTH_DIFFERENCE"

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Combine section by section; measure depth, stars and coverage."""
        coadded = combine_frames(
            inputs,
            inputs.regridded,
            combine=CombineType(parameters.COMBINE_TYPE),
            clip=(parameters.CLIP_SIGMA, parameters.CLIP_AMPFRAC),
            zero_point=parameters.ZERO_POINT,
        )
        attributes = self._attributes(inputs, coadded)
        return Made(
            images=coadded.images,
            tables=coadded.tables,
            attributes=attributes,
            cards=coadd_cards(inputs, coadded, attributes),
            obscore=coadd_obscore(inputs, coadded, attributes),
        )

    @staticmethod
    def _attributes(inputs: Inputs, coadded: CoaddedFrames) -> dict[str, Any]:
        frames = coadded.tables["FRAMES"]
        used = frames[frames["flux_scale"] > 0]
        widths = coadded.widths
        exposures = {exposure_of(row): row["exptime"] for row in used}
        known = used["seeing"][np.isfinite(used["seeing"])]
        values = max(int(used["pixels"].sum()), 1)
        return {
            "grid_x": coadded.box.x0,
            "grid_y": coadded.box.y0,
            "n_frames": len(used),
            "n_exposures": len(exposures),
            "n_detectors": len({(row["instrument"], row["chip"]) for row in used}),
            "n_origins": len(coadded.tables["SETS"]),
            "exptime": coadded.median_of_sets("exptime"),
            "exptime_total": float(sum(exposures.values())),
            "zero_point": coadded.zero_point,
            "zero_point_err": coadded.zero_point_error(),
            "photometry": "+".join(
                sorted({inputs.regridded[n]["photometry"] or "" for n in used["frame"]} - {""})
            ),
            "pos_err": coadded.position_error(),
            "aperture": coadded.aperture,
            "effective_gain": coadded.median_of_sets("gain"),
            "noise_factor": coadded.noise_factor(),
            "seeing": widths.measured,
            "seeing_predicted": widths.predicted,
            "seeing_best": float(known.min()) if len(known) else math.nan,
            "seeing_worst": float(known.max()) if len(known) else math.nan,
            "psf_difference": widths.measured / widths.predicted - 1.0,
            "psf_stars": widths.stars,
            "limiting_mag": coadded.limiting_magnitude(),
            "coverage": coadded.coverage(own_field(inputs)),
            "clipped": float(used["clipped"].sum()) / values,
        }

    def verify(self, made: Made, parameters: Parameters) -> int:
        """See that stars are as wide as the frames promise: positions and seeing were right."""
        flags = self.Flags(0)
        if made.attributes["psf_difference"] > parameters.MAXIMUM_PSF_DIFFERENCE:
            flags |= self.Flags.PSF_DIFFERENCE_TOO_LARGE
        return int(flags)

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: Parameters) -> int:
        """See that it did not become shallower."""
        before, now = previous.get("limiting_mag"), made.attributes["limiting_mag"]
        flags = self.Flags(0)
        if before is not None and before - now > parameters.MAXIMUM_DEPTH_DIFFERENCE:
            flags |= self.Flags.SHALLOWER
        return int(flags)

    def plot(self, figure: Figure) -> None:
        """Draw image, depth, number of frames, and the frames' seeing against their weight."""
        from reduction.plots import show_image, show_points  # matplotlib

        axes = figure.subplots(2, 2)
        show_image(axes[0, 0], self.images["IMAGE"], title="image", unit="1/s")
        show_image(axes[0, 1], self.images["WEIGHT"], title="weight")
        show_image(axes[1, 0], self.images["NUMBER"], title="frames in a pixel")
        frames = self.tables["FRAMES"]
        show_points(
            axes[1, 1],
            frames["seeing"],
            frames["weight"],
            title="frames",
            x_label="seeing / arcsec",
            y_label="median weight",
        )
