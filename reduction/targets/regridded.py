"""A reduced frame on the grid of a field."""

from __future__ import annotations

__all__ = ["RegriddedFrame"]

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from reduction.attributes import attribute
from reduction.coadd_facts import regridded_cards
from reduction.comparison import changed, differs, differs_in_part
from reduction.depends import calibration, in_field, of_frame, raw_frame
from reduction.field_grids import grid_of, own_field
from reduction.focal_plane import factor_image, light_of
from reduction.parameters import parameter
from reduction.placed import GRID_X, GRID_Y
from reduction.quality import QualityFlags
from reduction.regridded_stars import bright_stars
from reduction.seeing import SEEING
from reduction.solutions import pos_err_of, wcs_of
from reduction.steps.grid import covered, part_of
from reduction.steps.kernels import Kernel
from reduction.steps.resample import Resampled, resample
from reduction.steps.sky_subtraction import BackgroundSubtractionType, SkySubtracted, subtract_sky
from reduction.target import FrameInFieldTarget, Inputs, Made
from reduction.targets.astrometric import wcs_from_attributes
from reduction.zero_points import zero_point_of
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from reduction.instruments.base import Section
    from reduction.steps.wcs import TanWcs


class RegriddedFrame(FrameInFieldTarget):
    """One chip of one exposure on the grid of a field, without sky: what coadds are made of.

    Images: "IMAGE" (adu in a grid pixel; NaN beyond the frame), "WEIGHT" (inverse of the variance
    that a pixel adds to a large aperture, adu^-2; 0 is "do not use"), "MASK" (sum of
    :class:`reduction.steps.weight.MaskBit`, not 0 exactly where the weight is 0). They are the
    part of the grid that the frame covers, whose first pixel is (``grid_x``, ``grid_y``).
    Tables: "STARS" (:data:`reduction.regridded_stars.STAR_DTYPE`), bright stars and their widths;
    "ILLUMINATION" (:data:`reduction.focal_plane.LIGHT_DTYPE`), what the values were multiplied by.
    """

    VERSION = 4

    raw = raw_frame("RawScienceFrame")
    reduced = of_frame("ReducedScienceFrame")
    catalog = of_frame("Catalog")
    astrometric = of_frame("AstrometricParameters")
    gastrometric = in_field("GAstrometric", required=False)
    photometric = calibration("PhotometricParameters", required=False, prefer_own=True)
    gphotometric = in_field("GPhotometric", required=False)
    illumination = calibration("IlluminationCorrectionFrame", required=False, when="illumination")

    grid_x = GRID_X
    grid_y = GRID_Y
    grid_nx = attribute(int, "columns that it covers", ucd="meta.number;instr.pixel")
    grid_ny = attribute(int, "rows that it covers", ucd="meta.number;instr.pixel")
    band = attribute(str, "band of the photometric system", ucd="meta.id;instr.bandpass")
    exptime = attribute(float, "exposure time", unit="s", ucd="time.duration;obs.exposure")
    astrometry = attribute(str, "class that the projection comes from", ucd="meta.code.class")
    pos_err = attribute(
        float, "error of its positions, one axis", unit="arcsec", ucd="stat.error;pos"
    )
    photometry = attribute(
        str, "class that the zero point comes from, empty for none", ucd="meta.code.class"
    )
    zero_point = attribute(
        float, "magnitude of 1 adu/s, at the ground", unit="mag", ucd="phot.mag;arith.zp"
    )
    zero_point_err = attribute(float, "its error", unit="mag", ucd="stat.error;phot.mag;arith.zp")
    flux_scale = attribute(
        float, "1 adu in units of 1/s at magnitude REFERENCE_ZERO_POINT", ucd="arith.factor"
    )
    aperture = attribute(
        float, "radius of the zero point's aperture", unit="arcsec", ucd="phys.size.radius"
    )
    effective_gain = attribute(
        float, "electrons per adu", unit="adu**-1", ucd="arith.factor;instr.det"
    )
    sky = attribute(float, "level of the sky", unit="adu", ucd="instr.skyLevel")
    sky_rms = attribute(float, "its noise in a frame pixel", unit="adu", ucd="stat.stdev")
    seeing = SEEING
    psf_difference = attribute(
        float,
        "change of the stars' width by the regridding, relative",
        ucd="instr.obsty.seeing;arith.diff",
    )
    psf_stars = attribute(int, "stars that this was measured with", ucd="meta.number")
    noise_factor = attribute(
        float,
        "pixel rms over what the weights say, for neighbours share noise",
        ucd="stat.stdev;arith.ratio",
    )
    weight = attribute(
        float, "median inverse variance of a grid pixel", unit="adu**-2", ucd="stat.weight"
    )
    unit_weight = attribute(
        float,
        "inverse variance of a grid pixel where the flat is 1",
        unit="adu**-2",
        ucd="stat.weight",
    )
    photon_fraction = attribute(
        float,
        "part of the sky's variance there that photons make, not reading the frame",
        ucd="stat.variance;arith.ratio",
    )
    good_fraction = attribute(
        float, "part of the pixels with weight", ucd="meta.number;arith.ratio;instr.pixel"
    )

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Sky, interpolation, and Astro-WISE's limit on the point spread function."""

        BACKGROUND_SUBTRACTION_TYPE: int = parameter(
            int(BackgroundSubtractionType.MESH),
            "sky taken off: 0 none, 1 constant, 2 meshes",
            choices=BackgroundSubtractionType,
        )
        BACKGROUND_SIZE: int = parameter(
            128, "side of a mesh", unit="pixel", at_least=4, at_most=10_000
        )
        BACKGROUND_FILTER_SIZE: int = parameter(
            3, "meshes a median is of, along a side", at_least=1, at_most=99, odd=True
        )
        RESAMPLING_TYPE: str = parameter(
            str(Kernel.SPLINE3), "how pixels are interpolated", choices=Kernel
        )
        MAXIMUM_BAD_SHARE: float = parameter(
            0.05, "largest share of bad pixels in one", at_least=0.0, at_most=1.0
        )
        REFERENCE_ZERO_POINT: float = parameter(
            25.0, "zero point that fluxes are scaled to", unit="mag", at_least=0.0, at_most=50.0
        )
        MAXIMUM_PSF_DIFFERENCE: float = parameter(
            0.1, "largest change of stars' width, a part of it", at_least=0.0
        )
        MAXIMUM_GOOD_FRACTION_DIFFERENCE: float = parameter(
            0.1, "largest change of the good part", at_least=0.0, at_most=1.0
        )
        MAXIMUM_ZERO_POINT_DIFFERENCE: float = parameter(
            0.05, "largest change of the zero point", unit="mag", at_least=0.0
        )
        MAXIMUM_SEEING_CHANGE: float = parameter(
            0.2, "largest change of the seeing, a part of it", at_least=0.0
        )

    class Flags(QualityFlags):
        """What can be wrong with a regridded frame."""

        NOT_SOLVED = 1, "no star of a reference catalogue says where the frame looks"
        PSF_DIFFERENCE_TOO_LARGE = (
            2,
            "the stars' width changed by more than MAXIMUM_PSF_DIFFERENCE",
        )
        FRACTION_DIFFERS_FROM_PREVIOUS = (
            4,
            "good_fraction differs from before by more than MAXIMUM_GOOD_FRACTION_DIFFERENCE",
        )
        ZERO_POINT_CHANGED = (
            8,
            "the zero point is gone, or another by more than MAXIMUM_ZERO_POINT_DIFFERENCE",
        )
        SEEING_CHANGED = (
            16,
            "the seeing differs from before by more than MAXIMUM_SEEING_CHANGE, a part of it",
        )

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Take the sky off, interpolate, and say how the result's scale and stars are."""
        exptime = _exposure_time(inputs)
        frame, origin = self._projection(inputs)
        grid, box = self._part(inputs, frame)
        sky = self._without_sky(inputs, parameters)
        made = self._resampled(inputs, sky, frame, (grid, box), parameters)
        covers = made.weight > 0
        part = part_of(grid, x0=box.x0, y0=box.y0)
        stars = bright_stars(inputs.catalog.tables["SOURCES"], sky, made, (frame, part))
        return Made(
            images={"IMAGE": made.image, "WEIGHT": made.weight, "MASK": made.mask},
            attributes={
                "grid_x": box.x0,
                "grid_y": box.y0,
                "grid_nx": box.shape[1],
                "grid_ny": box.shape[0],
                "band": inputs.band.standard,
                "exptime": exptime,
                "astrometry": origin,
                "pos_err": self._position_error(inputs),
                **self._scale(inputs, frame, parameters),
                "effective_gain": inputs.reduced["effective_gain"],
                "sky": sky.level,
                "sky_rms": sky.rms,
                "seeing": _seeing(inputs.catalog["fwhm"], frame.pixel_scale),
                "psf_difference": _median(stars["width"] / stars["width_before"]) - 1.0,
                "psf_stars": len(stars),
                "noise_factor": made.noise_factor,
                "weight": float(np.median(made.weight[covers])),
                "unit_weight": sky.unit_weight * (frame.pixel_scale / grid.pixel_scale) ** 2,
                "photon_fraction": sky.photon_fraction,
                "good_fraction": float(covers.mean()),
            },
            tables={
                "STARS": stars,
                "ILLUMINATION": light_of(inputs.illumination, frame, part, box.shape),
            },
            cards=regridded_cards(inputs, part, box),
        )

    @staticmethod
    def _resampled(
        inputs: Inputs,
        sky: SkySubtracted,
        frame: TanWcs,
        place: tuple[TanWcs, Section],
        parameters: RegriddedFrame.Parameters,
    ) -> Resampled:
        """The frame on its part of the grid."""
        grid, box = place
        made = resample(
            sky.image,
            sky.weight,
            inputs.reduced.images["MASK"],
            frame=frame,
            grid=grid,
            box=box,
            kernel=Kernel(parameters.RESAMPLING_TYPE),
            limit=parameters.MAXIMUM_BAD_SHARE,
        )
        if not (made.weight > 0).any():
            where = f"{inputs.raw['name']}: no pixel of the grid of {own_field(inputs).name}"
            raise UnprocessableError(f"{where} gets a value")
        return made

    @staticmethod
    def _part(inputs: Inputs, frame: TanWcs) -> tuple[TanWcs, Section]:
        """The field's grid, and the part of it that the frame covers."""
        field = own_field(inputs)
        grid, shape = grid_of(field)
        box = covered(frame, inputs.reduced.images["IMAGE"].shape, grid, shape)
        if box is None:
            name = inputs.raw["name"]
            message = f"{name}: the frame does not touch the grid of {field.name}"
            raise UnprocessableError(message)
        return grid, box

    @staticmethod
    def _projection(inputs: Inputs) -> tuple[TanWcs, str]:
        """Where the frame looks, and which class says so; empty where none does."""
        found = wcs_of(inputs.gastrometric, inputs.raw)
        if found is not None:
            return found, "GAstrometric"
        solved = (inputs.astrometric["n_ref"] or 0) > 0
        own = wcs_from_attributes(inputs.astrometric.attributes)
        return own, "AstrometricParameters" if solved else ""

    @staticmethod
    def _position_error(inputs: Inputs) -> float | None:
        found = pos_err_of(inputs.gastrometric, inputs.raw)
        own: float | None = inputs.astrometric["pos_err"]
        return own if found is None else found

    @staticmethod
    def _without_sky(inputs: Inputs, parameters: RegriddedFrame.Parameters) -> SkySubtracted:
        reduced = inputs.reduced
        sky = subtract_sky(
            reduced.images["IMAGE"],
            reduced.images["WEIGHT"],
            gain=reduced["effective_gain"],
            read_noise=reduced["noise"],
            method=BackgroundSubtractionType(parameters.BACKGROUND_SUBTRACTION_TYPE),
            box=parameters.BACKGROUND_SIZE,
            filter_size=parameters.BACKGROUND_FILTER_SIZE,
        )
        if inputs.illumination is None:
            return sky
        factor = factor_image(inputs.illumination, sky.image.shape, inputs.raw["name"])
        with np.errstate(divide="ignore", invalid="ignore"):
            weight = np.where(factor > 0, sky.weight / factor**2, np.float32(0))
        return replace(sky, image=sky.image * factor, weight=weight)

    @staticmethod
    def _scale(
        inputs: Inputs, frame: TanWcs, parameters: RegriddedFrame.Parameters
    ) -> dict[str, Any]:
        """Zero point, and the factor that brings the frame to the reference zero point."""
        raw = inputs.raw
        zero = zero_point_of(
            inputs.gphotometric,
            inputs.photometric,
            raw,
            airmass=raw["airmass"],
        )
        if zero is None:
            return {
                "photometry": "",
                "zero_point": None,
                "zero_point_err": None,
                "flux_scale": None,
                "aperture": None,
            }
        return {
            "photometry": zero.origin,
            "zero_point": zero.value,
            "zero_point_err": zero.error,
            "flux_scale": zero.flux_scale(parameters.REFERENCE_ZERO_POINT, raw["exptime"]),
            "aperture": zero.aperture_radius * frame.pixel_scale,
        }

    def plot(self, figure: Figure) -> None:
        """Draw image and mask, and the stars' widths before and after."""
        from reduction.plots import show_image, show_mask, show_points

        axes = figure.subplots(1, 3)
        show_image(axes[0], self.images["IMAGE"], title="image", unit="adu")
        show_mask(axes[1], self.images["MASK"], title="mask")
        stars = self.tables["STARS"]
        width = "width" if "width" in (stars.dtype.names or ()) else "fwhm"  # of version 1
        before = stars[f"{width}_before"]
        show_points(
            axes[2],
            before,
            stars[width] - before,
            title="widths of stars",
            x_label="on the frame / arcsec",
            y_label="change / arcsec",
            zero=True,
        )

    def verify(self, made: Made, parameters: Parameters) -> int:
        """See that the frame's place is known and its stars are still what they were."""
        flags = self.Flags(0)
        if not made.attributes["astrometry"]:
            flags |= self.Flags.NOT_SOLVED
        if abs(made.attributes["psf_difference"]) > parameters.MAXIMUM_PSF_DIFFERENCE:
            flags |= self.Flags.PSF_DIFFERENCE_TOO_LARGE
        return int(flags)

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: Parameters) -> int:
        """See whether pixels went missing, or zero point or seeing are others."""
        found, flags = made.attributes, self.Flags(0)
        limit = parameters.MAXIMUM_GOOD_FRACTION_DIFFERENCE
        if differs(previous, "good_fraction", found["good_fraction"], limit):
            flags |= self.Flags.FRACTION_DIFFERS_FROM_PREVIOUS
        zero, limit = found["zero_point"], parameters.MAXIMUM_ZERO_POINT_DIFFERENCE
        if changed(previous, "zero_point", zero, limit):
            flags |= self.Flags.ZERO_POINT_CHANGED
        if differs_in_part(previous, "seeing", found["seeing"], parameters.MAXIMUM_SEEING_CHANGE):
            flags |= self.Flags.SEEING_CHANGED
        return int(flags)


def _exposure_time(inputs: Inputs) -> float:
    exptime: float = inputs.raw["exptime"]
    if not exptime > 0:
        name = inputs.raw["name"]
        message = f"{name}: found an exposure time of {exptime:g} s, expected more than 0"
        raise UnprocessableError(message)
    return exptime


def _seeing(fwhm: float | None, pixel_scale: float) -> float:
    """Arcsec of the Catalog's width in pixels; NaN where it has none."""
    return math.nan if fwhm is None else fwhm * pixel_scale


def _median(values: NDArray[np.float64]) -> float:
    return float(np.median(values)) if len(values) else math.nan
