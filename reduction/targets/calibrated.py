"""The published image: reduced pixels with their place on the sky and their zero point."""

from __future__ import annotations

__all__ = ["CalibratedScienceFrame"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reduction.attributes import attribute
from reduction.comparison import changed, differs_in_part, fell
from reduction.depends import calibration, of_frame, raw_frame
from reduction.mjd import utc_of
from reduction.parameters import parameter
from reduction.quality import QualityFlags
from reduction.seeing import SEEING
from reduction.steps.astrometry import SolutionModel
from reduction.target import FrameTarget, Inputs, Made
from reduction.targets.astrometric import wcs_from_attributes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import FigureBase

_BYTES_PER_PIXEL = 4
_SCIENCE_READY = 2


class CalibratedScienceFrame(FrameTarget):
    """A reduced frame with the projection and zero point that belong to it: no new pixels.

    ``PHOTZP`` is above the atmosphere: the magnitude of a flux in adu is
    ``PHOTZP - PHOTEXT * AIRMASS - 2.5 log10(flux / EXPTIME)``. ``PHOTILL`` says that there is an
    illumination correction: it is in the magnitudes of the SourceList, not in these pixels.

    It is what ``ivoa.obscore`` lists and what image searches and cutouts answer with.
    """

    VERSION = 4
    PUBLISHED = True

    raw = raw_frame("RawScienceFrame")
    reduced = of_frame("ReducedScienceFrame")
    astrometric = of_frame("AstrometricParameters")
    photometric = calibration("PhotometricParameters", required=False, prefer_own=True)
    illumination = calibration("IlluminationCorrectionFrame", required=False, when="illumination")

    object = attribute(str, "target as the observer named it", ucd="meta.id;src")
    exptime = attribute(float, "exposure time", unit="s", ucd="time.duration;obs.exposure")
    n_ref = attribute(int, "reference stars of the projection", ucd="meta.number")
    astrometric_rms = attribute(float, "its rms residual", unit="arcsec", ucd="stat.rms")
    seeing = SEEING
    zero_point = attribute(
        float,
        "magnitude of a source of 1 adu/s above the atmosphere",
        unit="mag",
        ucd="phot.mag;arith.zp",
    )
    zero_point_err = attribute(float, "its error", unit="mag", ucd="stat.error;phot.mag;arith.zp")

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Limits of what changes from one version to the next; the rest is the progenitors'."""

        MINIMUM_KEPT: float = parameter(
            0.5,
            "least part of the reference stars of before that is no loss",
            at_least=0.0,
            at_most=1.0,
        )
        MAXIMUM_ZERO_POINT_DIFFERENCE: float = parameter(
            0.05, "largest change of the zero point from before", unit="mag", at_least=0.0
        )
        MAXIMUM_SEEING_CHANGE: float = parameter(
            0.2, "largest change of the seeing, a part of that of before", at_least=0.0
        )

    class Flags(QualityFlags):
        """What to mind about a published image."""

        PLACE_UNCERTAIN = 1, "no star is recognised: the WCS is the telescope's own pointing"
        FEWER_STARS = 2, "fewer reference stars place it than MINIMUM_KEPT of those before"
        ZERO_POINT_CHANGED = (
            4,
            "the zero point is gone, or another by more than MAXIMUM_ZERO_POINT_DIFFERENCE",
        )
        SEEING_CHANGED = (
            8,
            "the seeing differs from before by more than MAXIMUM_SEEING_CHANGE, a part of it",
        )

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Bring together what is known of the frame."""
        del parameters
        astrometric, photometric = inputs.astrometric, inputs.photometric
        zero, error = (None, None)
        if photometric is not None:
            zero, error = photometric["zero_point"], photometric["zero_point_err"]
        return Made(
            attributes={
                "object": inputs.raw["object"],
                "exptime": inputs.raw["exptime"],
                "n_ref": astrometric["n_ref"],
                "astrometric_rms": astrometric["rms"],
                "seeing": astrometric["seeing"],
                "zero_point": zero,
                "zero_point_err": error,
            },
            cards=_cards(inputs),
            obscore=_obscore(inputs),
        )

    def verify(self, made: Made, parameters: Parameters) -> int:
        """An image that no star places stays visible, with a flag."""
        del parameters
        placed = made.cards["ASTMODEL"][0] != SolutionModel.NOMINAL.value
        return 0 if placed else int(self.Flags.PLACE_UNCERTAIN)

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: Parameters) -> int:
        """See whether place, zero point and seeing are as good as before."""
        found, flags = made.attributes, self.Flags(0)
        if fell(previous, "n_ref", found["n_ref"], parameters.MINIMUM_KEPT):
            flags |= self.Flags.FEWER_STARS
        zero, limit = found["zero_point"], parameters.MAXIMUM_ZERO_POINT_DIFFERENCE
        if changed(previous, "zero_point", zero, limit):
            flags |= self.Flags.ZERO_POINT_CHANGED
        if differs_in_part(previous, "seeing", found["seeing"], parameters.MAXIMUM_SEEING_CHANGE):
            flags |= self.Flags.SEEING_CHANGED
        return int(flags)

    def plot(self, figure: FigureBase) -> None:
        """The image with the sky's directions, what the mask says, weights, and pixel values."""
        from reduction.layouts import plot_reduced
        from reduction.source_plots import show_directions

        images = self.reduced.images
        shown = plot_reduced(figure, images)
        wcs = wcs_from_attributes(self.astrometric._record.attributes)  # noqa: SLF001  # kept, by name
        show_directions(shown, wcs, images["IMAGE"].shape)


def _cards(inputs: Inputs) -> dict[str, tuple[Any, str]]:
    """What the header of the image says, WCS in 1-based pixels."""
    raw, astrometric, photometric = inputs.raw, inputs.astrometric, inputs.photometric
    cards: dict[str, tuple[Any, str]] = {
        "OBJECT": (raw["object"], "target as the observer named it"),
        "DATE-OBS": (utc_of(raw["mjd_obs"]).isoformat(timespec="milliseconds"), "start (UTC)"),
        "MJD-OBS": (raw["mjd_obs"], "[d] start (UTC)"),
        "EXPTIME": (raw["exptime"], "[s] exposure time"),
        "BUNIT": ("adu", "unit of the pixels"),
        "TIMESYS": ("UTC", "time scale"),
    }
    if raw["airmass"] is not None:
        cards["AIRMASS"] = (raw["airmass"], "airmass")
    wcs = wcs_from_attributes(astrometric.attributes)
    cards |= {keyword: (value, "") for keyword, value in wcs.to_cards().items()}
    cards["ASTMODEL"] = (astrometric["model"], "what the WCS was fitted with")
    cards["ASTNREF"] = (astrometric["n_ref"], "reference stars")
    if astrometric["rms"] is not None:
        cards["ASTRMS"] = (astrometric["rms"], "[arcsec] rms residual of one coordinate")
    cards["ASTPERR"] = (astrometric["pos_err"], "[arcsec] error of the WCS, one axis")
    if astrometric["seeing"] is not None:
        cards["SEEING"] = (
            astrometric["seeing"],
            "[arcsec] FWHM of the point spread function",
        )
    if photometric is not None:
        cards["PHOTZP"] = (photometric["zero_point"], "[mag] of 1 adu/s ABOVE THE ATMOSPHERE")
        cards["PHOTZPE"] = (photometric["zero_point_err"], "[mag] its error")
        cards["PHOTEXT"] = (
            photometric["extinction"],
            "[mag/airmass] ground: PHOTZP-PHOTEXT*AIRMASS",
        )
        if raw["airmass"] is None:
            cards["AIRMASS"] = (photometric["airmass"], "not known: what PHOTZP was made with")
        cards["PHOTBAND"] = (photometric["band"], "band of the zero point")
        cards["PHOTAPER"] = (photometric["aperture_radius"], "[pixel] its aperture's radius")
        if inputs.illumination is not None:
            cards["PHOTILL"] = (True, "mag of sources is illum. corrected, pixels not")
    return cards


def _obscore(inputs: Inputs) -> dict[str, Any]:
    """Columns of the frame's ObsCore row (ObsCore-1.1 3)."""
    raw, instrument, band = inputs.raw, inputs.instrument, inputs.band
    ny, nx = raw["science"].shape
    wcs = wcs_from_attributes(inputs.astrometric.attributes)
    ra, dec, radius = wcs.circle((ny, nx))
    start = raw["mjd_obs"]
    return {
        "obs_id": f"{instrument.name}-{utc_of(start):%Y%m%dT%H%M%S}",
        "obs_title": f"{raw['object']} {inputs.filter} {raw['exptime']:g} s, {instrument.title}",
        "calib_level": _SCIENCE_READY,
        "dataproduct_subtype": "CalibratedScienceFrame",
        "access_estsize": max(1, ny * nx * _BYTES_PER_PIXEL // 1000),
        "target_name": raw["object"],
        "s_ra": ra,
        "s_dec": dec,
        "s_fov": 2.0 * radius,
        "s_region": wcs.footprint((ny, nx)),
        "s_resolution": inputs.astrometric["seeing"],
        "s_pixel_scale": wcs.pixel_scale,
        "s_xel1": nx,
        "s_xel2": ny,
        "t_min": start,
        "t_max": start + raw["exptime"] / 86400.0,
        "t_exptime": raw["exptime"],
        "em_min": band.em_min,
        "em_max": band.em_max,
        "facility_name": instrument.facility,
        "instrument_name": instrument.name,
    }
