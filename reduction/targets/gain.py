"""Gain and linearity of one chip and night."""

from __future__ import annotations

__all__ = ["GainLinearity"]

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from reduction.attributes import attribute
from reduction.comparison import differs
from reduction.corrected import corrected, dark_signal
from reduction.depends import calibration, raw_frames
from reduction.parameters import from_chip, parameter
from reduction.quality import QualityFlags
from reduction.steps.gain import PairGain, linearity, mean_gain, pair_gain
from reduction.steps.isr import saturated_pixels
from reduction.target import CalibrationTarget, Inputs, Made, Progenitor
from schemas.errors import ProgenitorMissingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import FigureBase
    from numpy.typing import NDArray


class GainLinearity(CalibrationTarget):
    """Gain from pairs of flats: dome flats of equal exposure time, else twilight flats."""

    VERSION = 4
    COST_S = 0.2
    ANCHOR_CLASSES = ("RawDomeFlatFrame", "RawTwilightFlatFrame")

    raw_dome_flats = raw_frames("RawDomeFlatFrame", at_least=0)
    raw_twilight_flats = raw_frames("RawTwilightFlatFrame", at_least=0)
    bias = calibration("BiasFrame")
    read_noise = calibration("ReadNoise")
    hot = calibration("HotPixelMap")
    dark = calibration("DarkCurrent", required=False, when="dark")
    gain = attribute(float, "electrons per adu", unit="adu**-1", ucd="arith.factor;instr.det")
    gain_error = attribute(
        float, "its standard error", unit="adu**-1", ucd="stat.error;instr.param"
    )
    pairs = attribute(int, "number of pairs of flats", ucd="meta.number")
    median_sum = attribute(
        float, "mean of the pairs' medians of the sum", unit="adu", ucd="phot.count;stat.median"
    )
    rms_diff = attribute(
        float, "mean of the pairs' rms of the difference", unit="adu", ucd="stat.rms"
    )
    nonlinearity = attribute(
        float,
        "largest fractional deviation of dome flats' levels from exposure time",
        ucd="phot.count;arith.ratio;stat.max",
    )

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Astro-WISE's names; levels are of one flat above the bias."""

        SATURATION: float = parameter(
            from_chip("saturation"),
            "raw level from which a pixel is left out: it does not scatter",
            unit="adu",
            above=0.0,
        )
        REJECTION_THRESHOLD: float = parameter(
            5.0, "values further than this from the middle are left out", unit="sigma", above=0.0
        )
        MAXIMUM_ITERATIONS: int = parameter(
            5, "rounds of leaving out at most", at_least=1, at_most=1000
        )
        MIN_FLAT_MEAN: float = parameter(
            1000.0, "flats with a lower level are left out", unit="adu", at_least=0.0
        )
        MAX_FLAT_MEAN: float = parameter(
            50000.0, "flats with a higher level are left out", unit="adu", above=0.0
        )
        MINIMUM_GAIN: float = parameter(
            0.2, "least gain that is believed", unit="electron/adu", at_least=0.0
        )
        MAXIMUM_GAIN: float = parameter(
            20.0, "largest gain that is believed", unit="electron/adu", above=0.0
        )
        MAXIMUM_GAIN_DIFFERENCE: float = parameter(
            0.5, "largest change of the gain from before", unit="electron/adu", at_least=0.0
        )

    class Flags(QualityFlags):
        """What can be wrong with a gain."""

        GAIN_TOO_SMALL = 1, "the gain is below MINIMUM_GAIN"
        GAIN_TOO_LARGE = 2, "the gain is above MAXIMUM_GAIN"
        GAIN_DIFFERS_FROM_PREVIOUS = (
            4,
            "the gain differs from the previous one by more than MAXIMUM_GAIN_DIFFERENCE",
        )

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Pair the flats, measure each pair, average."""
        dome = _flats(inputs, inputs.raw_dome_flats, parameters, same_time=True)
        found, twilight = dome, _Flats()
        if not dome.pairs:
            twilight = _flats(inputs, inputs.raw_twilight_flats, parameters, same_time=False)
            found = twilight
        measured = found.pairs
        if not measured:
            message = (
                "GainLinearity needs two dome flats of equal filter and exposure time, or two "
                f"twilight flats of equal filter, between {parameters.MIN_FLAT_MEAN:g} and "
                f"{parameters.MAX_FLAT_MEAN:g} adu: found {len(dome.levels)} dome and "
                f"{len(twilight.levels)} twilight flats"
            )
            raise ProgenitorMissingError(message)
        gain, error = mean_gain(measured)
        return Made(
            attributes={
                "gain": gain,
                "gain_error": error,
                "pairs": len(measured),
                "median_sum": float(np.mean([pair.median_sum for pair in measured])),
                "rms_diff": float(np.mean([pair.rms_diff for pair in measured])),
                "nonlinearity": _nonlinearity(dome.levels),
            }
        )

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Compare the gain with its limits."""
        gain = made.attributes["gain"]
        flags = self.Flags(0)
        if gain < parameters.MINIMUM_GAIN:
            flags |= self.Flags.GAIN_TOO_SMALL
        if gain > parameters.MAXIMUM_GAIN:
            flags |= self.Flags.GAIN_TOO_LARGE
        return int(flags)

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: Parameters) -> int:
        """Compare with the previous version."""
        gain = made.attributes["gain"]
        flags = self.Flags(0)
        if differs(previous, "gain", gain, parameters.MAXIMUM_GAIN_DIFFERENCE):
            flags |= self.Flags.GAIN_DIFFERS_FROM_PREVIOUS
        return int(flags)

    def plot(self, figure: FigureBase) -> None:
        """Levels of the flats over exposure time, and the gain over time."""
        from reduction.layouts import plot_exposures, plot_trend, science_pixels

        levels, trend = figure.subplots(1, 2)
        raws = self.raw_dome_flats or self.raw_twilight_flats
        plot_exposures(
            levels, raws, level=float(np.median(science_pixels(self.bias.raw_bias_frames[0])))
        )
        plot_trend(trend, self, "gain", error="gain_error", unit="e-/adu")


@dataclass(frozen=True, slots=True)
class _Flats:
    """What flats of one kind say.

    Attributes
    ----------
    levels
        Those of a usable level, with that level (adu), by filter and time of exposure.
    pairs
        Of neighbours among them of the same filter (and exposure time).
    """

    levels: list[tuple[Progenitor, float]] = field(default_factory=list)
    pairs: list[PairGain] = field(default_factory=list)


def _flats(
    inputs: Inputs,
    frames: Sequence[Progenitor],
    parameters: GainLinearity.Parameters,
    *,
    same_time: bool,
) -> _Flats:
    """Measure flats, two of them at a time in memory: a night has any number, of all filters."""
    found, before = _Flats(), None
    bad = inputs.hot.images["MAP"] == 0
    for raw in sorted(frames, key=lambda frame: frame.filter):  # stable: keeps the order of time
        flat, level = _debiased(inputs, raw, parameters)
        if not parameters.MIN_FLAT_MEAN <= level <= parameters.MAX_FLAT_MEAN:
            continue
        other = found.levels[-1][0] if found.levels else None
        found.levels.append((raw, level))
        if before is not None and other is not None and _alike(other, raw, same_time=same_time):
            pair = pair_gain(
                before,
                flat,
                read_noise=inputs.read_noise["read_noise"],
                threshold=parameters.REJECTION_THRESHOLD,
                iterations=parameters.MAXIMUM_ITERATIONS,
                bad=bad,
            )
            found.pairs.append(pair)
        before = flat
    return found


def _debiased(
    inputs: Inputs, raw: Progenitor, parameters: GainLinearity.Parameters
) -> tuple[NDArray[np.float32], float]:
    """A flat without bias and dark current, NaN where it is saturated, and its level, adu."""
    full = saturated_pixels(raw.images["RAW"], raw["science"], saturation=parameters.SATURATION)
    flat = corrected(raw, method=inputs.bias["overscan_correction"])
    flat -= inputs.bias.images["BIAS"]
    signal = dark_signal(inputs.dark, raw)
    if signal is not None:
        flat -= signal
    level = float(np.nanmedian(flat))
    flat[full] = np.nan
    return flat, level


def _alike(first: Progenitor, second: Progenitor, *, same_time: bool) -> bool:
    """Whether two flats are of one filter (and exposure time)."""
    if same_time and first["exptime"] != second["exptime"]:
        return False
    return first.filter == second.filter


def _nonlinearity(dome: Sequence[tuple[Progenitor, float]]) -> float:
    """Of the filter with most dome flats; NaN where exposure times do not differ."""
    groups = [list(group) for _, group in groupby(dome, key=lambda flat: flat[0].filter)]
    if not groups:
        return float("nan")
    flats = max(groups, key=len)
    return linearity([level for _, level in flats], [raw["exptime"] for raw, _ in flats])
