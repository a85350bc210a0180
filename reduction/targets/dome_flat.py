"""Dome flat of one chip, night and filter."""

from __future__ import annotations

__all__ = ["DomeFlatFrame"]

from typing import TYPE_CHECKING

from reduction.combined_flat import CombinedFlat, combined_flat
from reduction.depends import raw_frames

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase

    from reduction.target import Inputs, Made


class DomeFlatFrame(CombinedFlat):
    """Mean of a night's dome flats of one filter, weighted by their noise, of median 1."""

    VERSION = 4
    COST_S = 0.15
    ANCHOR_CLASSES = ("RawDomeFlatFrame",)

    raw_dome_flats = raw_frames("RawDomeFlatFrame", at_least=1)

    def compute(self, inputs: Inputs, parameters: CombinedFlat.Parameters) -> Made:
        """Subtract bias and dark current, normalise, reject, average."""
        return combined_flat(inputs, inputs.raw_dome_flats, parameters)

    def plot(self, figure: FigureBase) -> None:
        """Pixels, sub-windows, profiles, and how often each value occurs."""
        from reduction.layouts import plot_calibration

        plot_calibration(figure, self.images["FLAT"], title="dome flat")
