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
from reduction.parameters import from_band, parameter
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

    VERSION = 2
    COST_S = 0.001
    ANCHOR_CLASSES = ("RawScienceFrame",)

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Of the site in the filter."""

        EXTINCTION: float | None = parameter(
            from_band("extinction"),
            "of the filter for each airmass; none: not known",
            unit="mag",
            at_least=0.0,
            at_most=5.0,
        )
        EXTINCTION_ERROR: float = parameter(
            0.03, "error of the extinction from night to night", unit="mag", at_least=0.0
        )

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
    COST_S = 0.001
    ANCHOR_CLASSES = ("RawScienceFrame",)

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Of the site, and what is in its air."""

        ALTITUDE: float | None = parameter(
            None, "of the site; none: not known", unit="m", at_least=-500.0, at_most=10_000.0
        )
        AEROSOL: float = parameter(
            0.12,
            "extinction by aerosols at 550 nm at sea level, for each airmass",
            unit="mag",
            at_least=0.0,
            at_most=5.0,
        )
        AEROSOL_EXPONENT: float = parameter(
            1.3, "power of the wavelength that it falls with", at_least=-5.0, at_most=5.0
        )
        OZONE: float = parameter(
            300.0, "column of ozone, Dobson units", unit="DU", at_least=0.0, at_most=1000.0
        )
        EXTINCTION_ERROR: float = parameter(
            0.03, "error of the extinction from night to night", unit="mag", at_least=0.0
        )

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

    VERSION = 3
    ANCHOR_CLASSES = ("RawScienceFrame",)

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Clipping and limits."""

        SIGCLIP_LEVEL: float = parameter(
            3.0, "stars further than this from the fit are left out", unit="sigma", above=0.0
        )
        MAX_ERROR: float = parameter(0.25, "largest error, a part of the extinction", at_least=0.0)
        MAX_EXTINCTION: float = parameter(
            1.5, "largest extinction for each airmass", unit="mag", at_least=0.0
        )
        MIN_AIRMASS_RANGE: float = parameter(
            0.3, "airmasses have to be as far apart", at_least=0.0
        )
        MIN_SOURCE_COUNT: int = parameter(3, "fewest standard stars of a frame", at_least=1)

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Fit."""
        night = night_zero_points(
            inputs.source_catalogues, parameters.MIN_SOURCE_COUNT, inputs.transformation
        )
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

    VERSION = 3
    ANCHOR_CLASSES = ("RawScienceFrame",)

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """The zero point that is known, clipping and limits.

        ZERO_POINT is the mean of those of the chips that have standards, as ``zero_point`` of an
        AtmosphericExtinctionFrames is.
        """

        ZERO_POINT: float | None = parameter(
            None, "above the atmosphere; none: not known", unit="mag", at_least=0.0, at_most=50.0
        )
        ZERO_POINT_ERROR: float = parameter(
            0.02, "error of the known zero point", unit="mag", at_least=0.0, at_most=10.0
        )
        SIGCLIP_LEVEL: float = parameter(
            3.0, "stars further than this from the fit are left out", unit="sigma", above=0.0
        )
        MAX_ERROR: float = parameter(0.25, "largest error, a part of the extinction", at_least=0.0)
        MAX_EXTINCTION: float = parameter(
            1.5, "largest extinction for each airmass", unit="mag", at_least=0.0
        )
        MIN_SOURCE_COUNT: int = parameter(3, "fewest standard stars of a frame", at_least=1)

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Average."""
        night = night_zero_points(
            inputs.source_catalogues, parameters.MIN_SOURCE_COUNT, inputs.transformation
        )
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
