"""Illumination of a camera's focal plane in one filter."""

from __future__ import annotations

__all__ = ["IlluminationCorrection", "IlluminationCorrectionFrame"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from reduction.attributes import attribute, imstat
from reduction.color_terms import what_colors_add
from reduction.comparison import differs
from reduction.depends import calibration, frames_of_night
from reduction.focal_plane import ChipMap, chip_maps
from reduction.frame_keys import exposure_key
from reduction.parameters import parameter
from reduction.quality import QualityFlags
from reduction.steps.illumination import fit_illumination, illumination_frame
from reduction.steps.statistics import image_statistics
from reduction.steps.surface import Surface
from reduction.target import Anchor, CalibrationTarget, Inputs, Made
from reduction.targets.astrometric import wcs_from_attributes
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import FigureBase
    from numpy.typing import NDArray

    from reduction.steps.illumination import Illumination

_CHIPS: Final = np.dtype(
    [
        ("chip", "U64"),
        *((name, "f8") for name in ("u0", "u_x", "u_y", "v0", "v_x", "v_y")),
        *((name, "i4") for name in ("naxis1", "naxis2", "n_stars")),
        *((name, "f8") for name in ("x_min", "x_max", "y_min", "y_max")),
    ]
)
_BOX: Final = ("x0", "y0", "half_x", "half_y")
_CHANGED_MAG: Final = 0.01


class IlluminationCorrection(CalibrationTarget):
    """How zero points vary over the focal plane: a polynomial, all chips of a night together.

    Tables: "COEFFICIENTS" (value, of the terms in order), "BOX" (x0, y0, half_x, half_y that the
    coordinates are scaled with, arcsec), "CHIPS" (each chip's linear map to the focal plane, how
    many stars it has, each once, and their ranges).
    """

    VERSION = 5
    ANCHOR = Anchor.MOSAIC_NIGHT_AND_FILTER
    ANCHOR_CLASSES = ("RawScienceFrame",)

    source_catalogues = frames_of_night("PhotSrcCatalog", when="illumination")
    astrometric = frames_of_night("AstrometricParameters", when="illumination")
    transformation = calibration("PhotTransformation", required=False, when="color_terms")

    degree = attribute(int, "total degree that the stars support", ucd="meta.number")
    n_stars = attribute(int, "stars used, each once", ucd="meta.number")
    n_frames = attribute(int, "frames (CCDs) that they are on", ucd="meta.number")
    scatter = attribute(float, "of the stars about the fit", unit="mag", ucd="stat.stdev")
    scatter_before = attribute(
        float, "of the same about their frames' medians", unit="mag", ucd="stat.stdev"
    )
    surface_err = attribute(
        float,
        "formal error of the correction, rms over the worst chip",
        unit="mag",
        ucd="stat.error;phot.mag",
    )
    amplitude = attribute(
        float, "largest minus smallest correction on any chip", unit="mag", ucd="phot.mag;stat"
    )

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """The polynomial, clipping and limits."""

        DEGREE: int = parameter(3, "highest degree of the polynomial", at_least=1, at_most=8)
        ROUND_DEGREE: int = parameter(
            0,
            "highest even power of the distance from the middle, beside the polynomial's",
            at_least=0,
            at_most=8,
        )
        SIGMA_CLIPPING_LEVEL: float = parameter(
            3.0, "stars further than this from the fit are left out", unit="sigma", above=0.0
        )
        MIN_SOURCE_COUNT: int = parameter(
            50, "fewest stars, however often each was seen", at_least=1
        )
        MAX_SCATTER: float = parameter(
            0.1, "largest scatter of the stars", unit="mag", at_least=0.0
        )
        MAX_AMPLITUDE: float = parameter(
            0.5, "largest amplitude at the stars", unit="mag", at_least=0.0
        )
        MAX_SURFACE_ERROR: float = parameter(
            0.01, "largest formal error, rms over a chip", unit="mag", at_least=0.0
        )

    class Flags(QualityFlags):
        """What can be wrong with an illumination correction."""

        TOO_FEW_STARS = 1, "fewer stars than MIN_SOURCE_COUNT were used"
        SCATTER_TOO_LARGE = 2, "the scatter about the fit is above MAX_SCATTER"
        AMPLITUDE_TOO_LARGE = 4, "the correction varies by more than MAX_AMPLITUDE"
        NO_IMPROVEMENT = 8, "no polynomial fits the stars better than chance lets it"
        CHANGED = 16, "its amplitude differs from that before by more than 0.01 mag"
        SURFACE_TOO_UNCERTAIN = 32, "the correction's formal error is above MAX_SURFACE_ERROR"

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Place the chips, fit the stars' zero points."""
        maps = _maps(inputs)
        frames = [frame for frame in inputs.source_catalogues if frame.chip in maps]
        stars = [frame.tables["STANDARDS"] for frame in frames]
        stars = [table[table["used"] > 0] for table in stars]
        if sum(map(len, stars)) == 0:
            message = "no frame of the night has standard stars on a chip whose place is known"
            raise UnprocessableError(message)
        places = [
            maps[frame.chip].at(table["x"], table["y"])
            for frame, table in zip(frames, stars, strict=True)
        ]
        u, v = (np.concatenate([place[axis] for place in places]) for axis in (0, 1))
        group = np.repeat(np.arange(len(frames)), [len(table) for table in stars])
        together = np.concatenate(stars)
        term = None if inputs.transformation is None else inputs.transformation["color_term"]
        added = np.concatenate([what_colors_add(table, term) for table in stars])
        seen = {frame.chip for frame in frames}
        try:
            found = fit_illumination(
                u,
                v,
                together["zero_point"] - added,
                group,
                errors=_own_errors(together),
                star_errors=np.nan_to_num(together["mag_err"]),
                star=np.unique(together["name"], return_inverse=True)[1],
                chips={name: maps[name].corners for name in sorted(seen)},
                degree=parameters.DEGREE,
                round_degree=parameters.ROUND_DEGREE,
                clip=parameters.SIGMA_CLIPPING_LEVEL,
            )
        except ValueError as error:
            raise UnprocessableError(str(error)) from error
        chip_of = np.array([frame.chip for frame in frames])[group]
        table = _chips(maps, chip_of, together, found.used)
        return _made(found, table, maps, len(frames))

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Compare with absolute limits, and with no correction at all."""
        values, flags = made.attributes, self.Flags(0)
        if values["n_stars"] < parameters.MIN_SOURCE_COUNT:
            flags |= self.Flags.TOO_FEW_STARS
        if not values["scatter"] <= parameters.MAX_SCATTER:
            flags |= self.Flags.SCATTER_TOO_LARGE
        if not values["amplitude"] <= parameters.MAX_AMPLITUDE:
            flags |= self.Flags.AMPLITUDE_TOO_LARGE
        if values["degree"] == 0:
            flags |= self.Flags.NO_IMPROVEMENT
        if not values["surface_err"] <= parameters.MAX_SURFACE_ERROR:
            flags |= self.Flags.SURFACE_TOO_UNCERTAIN
        return int(flags)

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: Parameters) -> int:
        """Look for a change."""
        del parameters
        change = made.attributes["amplitude"] - (previous.get("amplitude") or 0.0)
        return int(self.Flags.CHANGED) if abs(change) > _CHANGED_MAG else 0

    def plot(self, figure: FigureBase) -> None:
        """Draw the correction over the focal plane."""
        axes = figure.subplots()
        surface = _surface(self.tables)
        shown = None
        for row in self.tables["CHIPS"]:
            chip = _chip_map(row)
            x, y = np.meshgrid(
                np.linspace(0, chip.shape[1], 20), np.linspace(0, chip.shape[0], 20)
            )
            u, v = chip.at(x, y)
            half = max(float(self.amplitude) / 2.0, 1e-3)
            shown = axes.pcolormesh(u, v, surface.at(u, v), vmin=-half, vmax=half, cmap="RdBu")
        if shown is not None:
            figure.colorbar(shown, ax=axes, label="zero point above the mean [mag]")
        axes.set(xlabel="arcsec", ylabel="arcsec", aspect="equal")


class IlluminationCorrectionFrame(CalibrationTarget):
    """Factor that a chip's fluxes (or pixels without sky) are multiplied with, by place.

    Image: "IMAGE", ``10^(-0.4 dm(x, y))``, dm being the zero point there above the mean.
    """

    VERSION = 1
    ANCHOR = Anchor.NIGHT_AND_FILTER
    ANCHOR_CLASSES = ("RawScienceFrame",)

    correction = calibration("IlluminationCorrection")

    imstat = imstat("")
    mean_correction = attribute(
        float, "mean of dm over the chip", unit="mag", ucd="phot.mag;arith.diff;stat.mean"
    )

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Limits; everything else is in the correction."""

        MAXIMUM_CORRECTION: float = parameter(
            0.5,
            "the correction's MAX_AMPLITUDE, here of any pixel and not only of those "
            "that it was sampled at: beyond its stars a polynomial may run away",
            unit="mag",
            at_least=0.0,
        )
        MAXIMUM_CORRECTION_DIFFERENCE: float = parameter(
            0.01, "largest change of the mean correction from before", unit="mag", at_least=0.0
        )

    class Flags(QualityFlags):
        """What can be wrong with a chip's illumination."""

        CORRECTION_TOO_LARGE = 1, "a pixel is corrected by more than MAXIMUM_CORRECTION"
        CORRECTION_DIFFERS_FROM_PREVIOUS = (
            2,
            "the mean differs from before by more than MAXIMUM_CORRECTION_DIFFERENCE",
        )

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Evaluate the polynomial on the chip's pixels."""
        del parameters
        table = inputs.correction.tables["CHIPS"]
        rows = table[table["chip"] == inputs.chip]
        if len(rows) == 0:
            message = (
                f"chip {inputs.chip} had no standard stars: its place in the illumination is "
                f"not known, only those of {', '.join(table['chip'].tolist())}"
            )
            raise UnprocessableError(message)
        chip = _chip_map(rows[0])
        surface = _surface(inputs.correction.tables)
        image = illumination_frame(surface, chip.shape, (chip.u, chip.v))
        return Made(
            images={"IMAGE": image},
            attributes={
                "imstat": image_statistics(image),
                "mean_correction": float(-2.5 * np.log10(image).mean(dtype=np.float64)),
            },
        )

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Compare the largest correction with its limit; NaN is larger than any."""
        factors = made.images["IMAGE"]
        limit = 10.0 ** (0.4 * parameters.MAXIMUM_CORRECTION)
        within = float(factors.min()) >= 1.0 / limit and float(factors.max()) <= limit
        return 0 if within else int(self.Flags.CORRECTION_TOO_LARGE)

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: Parameters) -> int:
        """Compare with the previous version."""
        mean, limit = made.attributes["mean_correction"], parameters.MAXIMUM_CORRECTION_DIFFERENCE
        differ = differs(previous, "mean_correction", mean, limit)
        return int(self.Flags.CORRECTION_DIFFERS_FROM_PREVIOUS) if differ else 0

    def plot(self, figure: FigureBase) -> None:
        """Factors, sub-windows, profiles, and how often each factor occurs."""
        from reduction.layouts import plot_calibration

        plot_calibration(figure, self.images["IMAGE"], title="illumination", unit="factor")


def _maps(inputs: Inputs) -> dict[str, ChipMap]:
    """Places of the chips on the focal plane, by frames on which stars were recognised."""
    return chip_maps(
        {
            (exposure_key(frame), frame.chip): wcs_from_attributes(frame.attributes)
            for frame in inputs.astrometric
            if frame["n_ref"]
        },
        {name: chip.shape for name, chip in inputs.instrument.chips.items()},
    )


def _own_errors(stars: NDArray[np.void]) -> NDArray[np.float64]:
    """Errors of zero points without that of the star's magnitude, which its repeats share; mag."""
    given = np.nan_to_num(stars["mag_err"])
    own = stars["zero_point_err"] ** 2 - given**2
    return np.asarray(np.sqrt(np.maximum(own, 0.0)), np.float64)


def _made(
    found: Illumination,
    table: NDArray[np.void],
    maps: Mapping[str, ChipMap],
    n_frames: int,
) -> Made:
    surface = found.surface
    coefficients = np.array([(value,) for value in surface.coefficients], dtype=[("value", "f8")])
    box = np.array(
        [tuple(getattr(surface, name) for name in _BOX)], dtype=[(name, "f8") for name in _BOX]
    )
    values = [
        surface.at(*maps[name].at(*np.meshgrid(np.linspace(0, nx, 20), np.linspace(0, ny, 20))))
        for name in table["chip"].tolist()
        for ny, nx in [maps[name].shape]
    ]
    return Made(
        tables={"COEFFICIENTS": coefficients, "BOX": box, "CHIPS": table},
        attributes={
            "degree": surface.degree,
            "n_stars": found.n_stars,
            "n_frames": n_frames,
            "scatter": found.scatter,
            "scatter_before": found.rms_before,
            "surface_err": found.error,
            "amplitude": float(np.max(values) - np.min(values)),
        },
    )


def _chips(
    maps: Mapping[str, ChipMap],
    chip_of: NDArray[np.str_],
    stars: NDArray[np.void],
    used: NDArray[np.bool_],
) -> NDArray[np.void]:
    """Record of each chip that has stars."""
    rows = []
    for name in sorted(set(chip_of.tolist())):
        mine = stars[used & (chip_of == name)]
        chip = maps[name]
        ranges = [
            float(end(mine[axis])) if len(mine) else np.nan
            for axis in ("x", "y")
            for end in (np.min, np.max)
        ]
        ny, nx = chip.shape
        number = len(np.unique(mine["name"]))
        rows.append((name, *chip.u, *chip.v, nx, ny, number, *ranges))
    return np.array(rows, dtype=_CHIPS)


def _chip_map(row: np.void) -> ChipMap:
    return ChipMap(
        (float(row["u0"]), float(row["u_x"]), float(row["u_y"])),
        (float(row["v0"]), float(row["v_x"]), float(row["v_y"])),
        (int(row["naxis2"]), int(row["naxis1"])),
    )


def _surface(tables: Mapping[str, NDArray[np.void]]) -> Surface:
    box = tables["BOX"][0]
    return Surface(
        tuple(float(value) for value in tables["COEFFICIENTS"]["value"]),
        *(float(box[name]) for name in _BOX),
    )
