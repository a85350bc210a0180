"""Extinction of a night in one filter: four ways to know it."""

from __future__ import annotations

__all__ = [
    "AtmosphericExtinctionCoefficient",
    "AtmosphericExtinctionCurve",
    "AtmosphericExtinctionFrames",
    "AtmosphericExtinctionZeropoint",
]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reduction.atmosphere import AtmosphericExtinction, MeasuredExtinction, night_zero_points
from reduction.parameters import from_band
from reduction.steps.extinction import (
    Site,
    band_extinction,
    extinction_curve,
    extinction_from_frames,
    extinction_from_zero_points,
)
from reduction.target import Inputs, Made
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase


class AtmosphericExtinctionCoefficient(AtmosphericExtinction):
    """A constant: the filter's extinction at the site, as the instrument's module has it."""

    VERSION = 1
    ANCHOR_CLASSES = ("RawScienceFrame",)

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """EXTINCTION of the filter (None: not known) and its night-to-night error, mag."""

        EXTINCTION: float | None = from_band("extinction")
        EXTINCTION_ERROR: float = 0.03

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Hand on."""
        del inputs
        value = parameters.EXTINCTION
        error = None if value is None else parameters.EXTINCTION_ERROR
        return Made(attributes={"extinction": value, "extinction_err": error})

    def plot(self, figure: FigureBase) -> None:
        """Draw the constant of all nights: where it changes, the instrument's module did."""
        from reduction.layouts import plot_trend

        axes = figure.subplots()
        plot_trend(axes, self, "extinction", error="extinction_err", unit="mag/airmass")


class AtmosphericExtinctionCurve(AtmosphericExtinction):
    """The clear sky's extinction curve at the site, integrated over the filter."""

    VERSION = 1
    ANCHOR_CLASSES = ("RawScienceFrame",)

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """ALTITUDE of the site, m (None: not known), and what is in its air.

        AEROSOL is in mag per airmass at 550 nm at sea level, OZONE in Dobson units.
        """

        ALTITUDE: float | None = None
        AEROSOL: float = 0.12
        AEROSOL_EXPONENT: float = 1.3
        OZONE: float = 300.0
        EXTINCTION_ERROR: float = 0.03

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Integrate."""
        if parameters.ALTITUDE is None:
            return Made(attributes={"extinction": None, "extinction_err": None})
        value = band_extinction(inputs.band.em_min, inputs.band.em_max, _site(parameters))
        return Made(
            attributes={"extinction": value, "extinction_err": parameters.EXTINCTION_ERROR}
        )

    def plot(self, figure: FigureBase) -> None:
        """Draw the curve."""
        parameters = self.Parameters(**self.process_params)
        axes = figure.subplots()
        if parameters.ALTITUDE is None:
            return
        wavelength = np.linspace(350e-9, 1000e-9, 300)
        axes.plot(wavelength * 1e9, extinction_curve(wavelength, _site(parameters)))
        axes.axhline(self.extinction, color="k", lw=0.5)
        axes.set(xlabel="wavelength [nm]", ylabel="extinction [mag/airmass]")


def _site(parameters: AtmosphericExtinctionCurve.Parameters) -> Site:
    return Site(
        float(parameters.ALTITUDE or 0.0),
        parameters.AEROSOL,
        parameters.AEROSOL_EXPONENT,
        parameters.OZONE,
    )


class AtmosphericExtinctionFrames(MeasuredExtinction):
    """Slope of the night's zero points over airmass: standard fields high and low.

    Made only where the instrument's (or filter's) corrections have the word
    ``extinction_frames``: a frame that joins such a night changes its extinction, and with it all
    its zero points.
    """

    VERSION = 2
    ANCHOR_CLASSES = ("RawScienceFrame",)

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """SIGCLIP_LEVEL, MAX_ERROR (a fraction), and how far apart the airmasses have to be."""

        SIGCLIP_LEVEL: float = 3.0
        MAX_ERROR: float = 0.25
        MAX_EXTINCTION: float = 1.5
        MIN_AIRMASS_RANGE: float = 0.3
        MIN_SOURCE_COUNT: int = 3

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Fit."""
        night = night_zero_points(inputs.source_catalogues, parameters.MIN_SOURCE_COUNT)
        airmass = night.airmass
        if len(airmass) < 2 or np.ptp(airmass) < parameters.MIN_AIRMASS_RANGE:
            span = float(np.ptp(airmass)) if len(airmass) else 0.0
            message = (
                f"the standard stars of the night span {span:.2f} in airmass, expected at least "
                f"{parameters.MIN_AIRMASS_RANGE:g}"
            )
            raise UnprocessableError(message)
        found = extinction_from_frames(
            night.zero_points,
            night.errors,
            airmass,
            group=night.group,
            clip=parameters.SIGCLIP_LEVEL,
        )
        return self.made(found, night.airmass)


class AtmosphericExtinctionZeropoint(MeasuredExtinction):
    """From a zero point known otherwise, of another night for instance: ``k = (ZP - z) / X``.

    Made only where the corrections have the word ``extinction_frames`` and ZERO_POINT is set.
    """

    VERSION = 2
    ANCHOR_CLASSES = ("RawScienceFrame",)

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """ZERO_POINT above the atmosphere (None: not known) and its error, mag.

        It is the mean of the zero points of the chips that have standards, as ``zero_point`` of
        an AtmosphericExtinctionFrames is.
        """

        ZERO_POINT: float | None = None
        ZERO_POINT_ERROR: float = 0.02
        SIGCLIP_LEVEL: float = 3.0
        MAX_ERROR: float = 0.25
        MAX_EXTINCTION: float = 1.5
        MIN_SOURCE_COUNT: int = 3

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Average."""
        night = night_zero_points(inputs.source_catalogues, parameters.MIN_SOURCE_COUNT)
        known = parameters.ZERO_POINT
        found = extinction_from_zero_points(
            math.nan if known is None else known,
            parameters.ZERO_POINT_ERROR,
            night.zero_points if known is not None else np.full(len(night.airmass), np.nan),
            night.errors,
            night.airmass,
            clip=parameters.SIGCLIP_LEVEL,
        )
        return self.made(found, night.airmass)
