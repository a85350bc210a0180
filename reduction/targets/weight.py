"""Weight of one frame."""

from __future__ import annotations

__all__ = ["WeightFrame"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reduction.attributes import attribute, imstat
from reduction.comparison import differs
from reduction.depends import of_frame
from reduction.parameters import parameter
from reduction.quality import QualityFlags
from reduction.steps.statistics import image_statistics
from reduction.target import FrameTarget, Inputs, Made
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import FigureBase


class WeightFrame(FrameTarget):
    """Flat x hot x cold x saturated x cosmic x satellite: 0 is "do not use".

    Image "WEIGHT", proportional to the inverse variance under the sky's noise; where reading the
    frame makes noise too, a RegriddedFrame takes that into account. It is computed when the frame
    is reduced. The illumination correction is not in it: it belongs to fluxes, not to the
    sky, which the weight is about.
    """

    VERSION = 1

    reduced = of_frame("ReducedScienceFrame")
    imstat = imstat("")
    good_fraction = attribute(
        float, "part of the pixels with weight", ucd="meta.number;arith.ratio;instr.pixel"
    )

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Names in Astro-WISE's manner."""

        MINIMUM_GOOD_FRACTION: float = parameter(
            0.5, "least part of the pixels that is good", at_least=0.0, at_most=1.0
        )
        MAXIMUM_GOOD_FRACTION_DIFFERENCE: float = parameter(
            0.1, "largest change of the good part from before", at_least=0.0, at_most=1.0
        )

    class Flags(QualityFlags):
        """What can be wrong with a weight."""

        TOO_FEW_GOOD_PIXELS = 1, "the part of pixels with weight is below MINIMUM_GOOD_FRACTION"
        FRACTION_DIFFERS_FROM_PREVIOUS = (
            2,
            "that part differs from before by more than MAXIMUM_GOOD_FRACTION_DIFFERENCE",
        )

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Take the weight of the reduced frame."""
        del parameters
        weight = inputs.reduced.images["WEIGHT"]
        used = weight > 0.0
        if not used.any():
            message = "no pixel of the frame has a weight: all are bad or saturated"
            raise UnprocessableError(message)
        return Made(
            images={"WEIGHT": np.asarray(weight)},
            attributes={
                "imstat": image_statistics(weight, bad=~used),
                "good_fraction": float(used.mean()),
            },
        )

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Look whether enough pixels have weight."""
        few = made.attributes["good_fraction"] < parameters.MINIMUM_GOOD_FRACTION
        return int(self.Flags.TOO_FEW_GOOD_PIXELS) if few else 0

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: Parameters) -> int:
        """Compare with the previous version."""
        limit = parameters.MAXIMUM_GOOD_FRACTION_DIFFERENCE
        part = made.attributes["good_fraction"]
        differ = differs(previous, "good_fraction", part, limit)
        return int(self.Flags.FRACTION_DIFFERS_FROM_PREVIOUS) if differ else 0

    def plot(self, figure: FigureBase) -> None:
        """Weights, why pixels have none, profiles, and how often each weight occurs."""
        from reduction.plots import (
            show_histogram,
            show_image,
            show_mask,
            show_profiles,
        )

        weight = self.images["WEIGHT"]
        used = np.where(weight > 0.0, weight, np.float32(np.nan))
        panels = figure.subplots(2, 2)
        show_image(panels[0, 0], used, title="weight, red where it is 0")
        if self.reduced is None:
            bad = (weight <= 0.0).astype(np.uint8)
            show_mask(panels[0, 1], bad, title="without weight", planes={"bad": 1})
        else:
            show_mask(panels[0, 1], self.reduced.images["MASK"], title="why the weight is 0")
        show_profiles(panels[1, 0], used)
        show_histogram(panels[1, 1], used)
