"""Master flat of one chip, night and filter."""

from __future__ import annotations

__all__ = ["MasterFlatFrame"]

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reduction.attributes import attribute, imstat
from reduction.depends import calibration
from reduction.flatness import FLATNESS, FLATNESS_DIFFERS, NOT_FLAT, Flatness, FlatTarget
from reduction.parameters import parameter
from reduction.quality import QualityFlags
from reduction.steps.flat import CombineType, master_flat
from reduction.steps.statistics import image_statistics, sub_window_statistics
from reduction.target import Inputs, Made
from schemas.errors import ProgenitorMissingError

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase


class MasterFlatFrame(FlatTarget):
    """Small scales of the dome flat, large scales of the twilight flat; of median 1.

    Where there is neither, the night-sky flat; a camera or filter that asks for "night-sky" has
    its large scales from that instead of from the lamp.
    """

    VERSION = 3
    COST_S = 0.2
    ANCHOR_CLASSES = ("RawDomeFlatFrame", "RawTwilightFlatFrame", "RawScienceFrame")

    dome = calibration("DomeFlatFrame", required=False)
    twilight = calibration("TwilightFlatFrame", required=False)
    sky = calibration("NightSkyFlatFrame", required=False, when="night-sky")
    night_sky = calibration(
        "NightSkyFlatFrame", required=False, unless=("dome", "twilight", "sky")
    )
    hot = calibration("HotPixelMap")
    cold = calibration("ColdPixelMap")
    imstat = imstat("")
    combine_type = attribute(
        int,
        "made of: 1 dome and twilight, 2 dome only, 3 twilight only, 4 dome and night sky, "
        "5 night sky only",
        ucd="meta.code",
    )
    flatness = FLATNESS

    @dataclass(frozen=True, slots=True)
    class Parameters(Flatness):
        """Astro-WISE's names.

        COMBINE_TYPE 0, the default, makes the best of what there is: 1 where there are both
        flats, else 3, 4 or 2, else 5. Twilight comes before night sky, since its frames are
        brighter and show hardly a star. MAXIMUM_SUBWIN_FLATNESS is that of the flats that it is
        made of: no lens shades so much, and their product may be worse than either.
        """

        COMBINE_TYPE: int = parameter(
            0,
            "which flats: 1 dome and twilight, 2 dome, 3 twilight, 4 dome and night "
            "sky, 5 night sky, 0 the best of what there is",
            choices=(0, *CombineType),
        )
        MEDIAN_FILTER_SIZE: int = parameter(
            9,
            "side of the square whose median fills a bad pixel",
            unit="pixel",
            at_least=3,
            at_most=999,
            odd=True,
        )
        DIG_FILTER_SIZE: float = parameter(
            9.0,
            "standard deviation of the Gaussian between large and small scales",
            unit="pixel",
            above=0.0,
            at_most=10_000.0,
        )
        MIRROR_XPIX: int = parameter(
            75,
            "pixels mirrored beyond the left and right edge",
            unit="pixel",
            at_least=0,
            at_most=10_000,
        )
        MIRROR_YPIX: int = parameter(
            75,
            "pixels mirrored beyond the lower and upper edge",
            unit="pixel",
            at_least=0,
            at_most=10_000,
        )

    class Flags(QualityFlags):
        """What can be wrong with a master flat."""

        FLATNESS_DIFFERS_FROM_PREVIOUS = 1, FLATNESS_DIFFERS
        NOT_FLAT = 2, NOT_FLAT

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Join the flats."""
        bad = (inputs.hot.images["MAP"] == 0) | (inputs.cold.images["MAP"] == 0)
        kind = parameters.COMBINE_TYPE or _best(inputs)
        sky = inputs.sky or inputs.night_sky
        flat = master_flat(
            *(
                None if flat is None else flat.images["FLAT"]
                for flat in (inputs.dome, inputs.twilight)
            ),
            night_sky=None if sky is None else sky.images["FLAT"],
            combine_type=kind,
            bad=bad,
            median_filter_size=parameters.MEDIAN_FILTER_SIZE,
            filter_size=parameters.DIG_FILTER_SIZE,
            mirror=(parameters.MIRROR_YPIX, parameters.MIRROR_XPIX),
        )
        return Made(
            images={"FLAT": flat},
            attributes={
                "imstat": image_statistics(flat, bad=bad),
                "combine_type": int(kind),
                "flatness": sub_window_statistics(flat, bad=bad).flatness,
            },
        )

    def plot(self, figure: FigureBase) -> None:
        """Pixels, and without hot and cold ones sub-windows, profiles and values."""
        from reduction.layouts import plot_calibration

        flat = self.images["FLAT"]
        bad = np.zeros(flat.shape, dtype=bool)
        for found in (self.hot, self.cold):
            if found is not None:
                bad |= found.images["MAP"] == 0
        plot_calibration(figure, flat, title="master flat", bad=bad)


def _best(inputs: Inputs) -> CombineType:
    dome, twilight = inputs.dome is not None, inputs.twilight is not None
    sky = inputs.sky is not None or inputs.night_sky is not None
    if twilight:
        return CombineType.DOME_AND_TWILIGHT if dome else CombineType.TWILIGHT
    if dome:
        return CombineType.DOME_AND_NIGHT_SKY if sky else CombineType.DOME
    if sky:
        return CombineType.NIGHT_SKY
    message = "MasterFlatFrame needs a DomeFlatFrame, TwilightFlatFrame or NightSkyFlatFrame"
    raise ProgenitorMissingError(message)
