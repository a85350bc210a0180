"""Colour term of a camera's filter."""

from __future__ import annotations

__all__ = ["PhotTransformation"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reduction.attributes import attribute
from reduction.depends import frames_of_night
from reduction.parameters import parameter
from reduction.quality import QualityFlags
from reduction.steps.transformation import PIVOT, fit_color_term
from reduction.target import Anchor, CalibrationTarget, Inputs, Made
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import FigureBase


class PhotTransformation(CalibrationTarget):
    """By how much a standard magnitude is greater than the camera's, for each mag of colour.

    Fitted to the standard stars of a night, each frame with a zero point of its own. Made only
    where the instrument's (or filter's) corrections have the word ``color_terms``; without it the
    colour term is the filter's constant.
    """

    VERSION = 2
    ANCHOR = Anchor.MOSAIC_NIGHT_AND_FILTER
    ANCHOR_CLASSES = ("RawScienceFrame",)

    source_catalogues = frames_of_night("PhotSrcCatalog", when="color_terms")

    primary_band = attribute(str, "band of the zero points", ucd="meta.id;instr.bandpass")
    color = attribute(str, "colour, as B-V", ucd="meta.id;instr.bandpass")
    color_term = attribute(float, "mag per mag of colour", ucd="arith.factor;phot.color")
    color_term_err = attribute(float, "its error", ucd="stat.error")
    n_stars = attribute(int, "measurements of standard stars used", ucd="meta.number")

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Clipping and limits."""

        SIGMA_CLIPPING_LEVEL: float = parameter(
            3.0, "stars further than this from the fit are left out", unit="sigma", above=0.0
        )
        MAX_ERROR: float = parameter(0.05, "largest error of the colour term", at_least=0.0)
        MAX_COLOR_TERM: float = parameter(0.5, "largest colour term, either sign", at_least=0.0)

    class Flags(QualityFlags):
        """What can be wrong with a colour term."""

        ERROR_TOO_LARGE = 1, "the error is above MAX_ERROR"
        TERM_TOO_LARGE = 2, "the colour term is above MAX_COLOR_TERM"
        CHANGED = 4, "it differs from that before by more than five errors"

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Fit the slope over colour."""
        band = inputs.band
        if band.color is None:
            message = f"the filter {band.name} has no colour to fit a term of"
            raise UnprocessableError(message)
        stars = [frame.tables["STANDARDS"] for frame in inputs.source_catalogues]
        stars = [table[table["used"] > 0] for table in stars]
        together = np.concatenate(stars)
        term, error, count = fit_color_term(
            together["zero_point"],
            together["zero_point_err"],
            together["color"],
            np.repeat(np.arange(len(stars)), [len(table) for table in stars]),
            star=np.unique(together["name"], return_inverse=True)[1],
            clip=parameters.SIGMA_CLIPPING_LEVEL,
        )
        if not math.isfinite(term):
            message = f"found {count} standard stars of known colour, expected at least 10"
            raise UnprocessableError(message)
        return Made(
            attributes={
                "primary_band": band.standard,
                "color": "-".join(band.color),
                "color_term": term,
                "color_term_err": error,
                "n_stars": count,
            }
        )

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Compare with absolute limits."""
        flags = self.Flags(0)
        if not made.attributes["color_term_err"] <= parameters.MAX_ERROR:
            flags |= self.Flags.ERROR_TOO_LARGE
        if abs(made.attributes["color_term"]) > parameters.MAX_COLOR_TERM:
            flags |= self.Flags.TERM_TOO_LARGE
        return int(flags)

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: Parameters) -> int:
        """Look for a change that errors do not explain."""
        del parameters
        old, old_error = previous.get("color_term"), previous.get("color_term_err") or 0.0
        if old is None:
            return 0
        error = math.hypot(made.attributes["color_term_err"], old_error)
        far = abs(made.attributes["color_term"] - old) > 5.0 * error
        return int(self.Flags.CHANGED) if far else 0

    def plot(self, figure: FigureBase) -> None:
        """Draw the stars' zero points, less their frame's median, over colour."""
        axes = figure.subplots()
        frames: Any = self.source_catalogues
        for frame in frames:
            table = frame.tables["STANDARDS"]
            table = table[table["used"] > 0]
            axes.plot(table["color"], table["zero_point"] - frame.raw_zero_point, ".", ms=3)
        axes.axline((PIVOT, 0.0), slope=self.color_term, color="k", lw=0.7)
        axes.set(xlabel=f"{self.color} [mag]", ylabel="zero point above the frame's [mag]")
