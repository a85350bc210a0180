"""Where a science frame looks."""

from __future__ import annotations

__all__ = ["AstrometricParameters", "wcs_attributes", "wcs_from_attributes"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reduction.attributes import attribute
from reduction.depends import of_frame, raw_frame, references
from reduction.detection import is_clean, signal_to_noise, star_width
from reduction.quality import QualityFlags
from reduction.steps.astrometry import Solution, SolutionModel, solve
from reduction.steps.reference import ReferenceTable
from reduction.steps.wcs import TanWcs
from reduction.target import FrameTarget, Inputs, Made

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from reduction.target import ReferenceStars

_ENOUGH = 20

_FREE = {
    SolutionModel.AFFINE: 3,
    SolutionModel.SIMILARITY: 2,
    SolutionModel.SHIFT: 1,
}


class AstrometricParameters(FrameTarget):
    """TAN projection of a reduced frame, fitted to the stars of the reference catalogues.

    Where no star is recognised the telescope's own pointing stands, ``model`` is ``nominal`` and
    ``pos_err`` what the instrument's pointing is good for.
    """

    VERSION = 2

    raw = raw_frame("RawScienceFrame")
    catalog = of_frame("Catalog")
    reference_catalogues = references()

    model = attribute(
        str, "what was fitted: affine, similarity, shift, or nominal", ucd="meta.code"
    )
    catalogue = attribute(str, "reference catalogue, empty for none", ucd="meta.ref")
    n_ref = attribute(int, "reference stars used", ucd="meta.number")
    rms = attribute(float, "rms residual of one coordinate", unit="arcsec", ucd="stat.rms")
    pos_err = attribute(
        float, "error of the frame's position, one axis", unit="arcsec", ucd="stat.error;pos"
    )
    mean_dra = attribute(
        float,
        "mean of measured minus reference, east",
        unit="arcsec",
        ucd="pos.eq.ra;arith.diff;stat.mean",
    )
    mean_ddec = attribute(
        float,
        "mean of measured minus reference, north",
        unit="arcsec",
        ucd="pos.eq.dec;arith.diff;stat.mean",
    )
    sigma_dra = attribute(float, "scatter of the same", unit="arcsec", ucd="stat.stdev")
    sigma_ddec = attribute(float, "scatter of the same", unit="arcsec", ucd="stat.stdev")
    seeing = attribute(float, "width (fwhm) of stars", unit="arcsec", ucd="instr.obsty.seeing")
    oriented = attribute(
        bool, "whether the sky's orientation on the chip is known", ucd="meta.code"
    )
    crval1 = attribute(
        float, "right ascension of the reference pixel", unit="deg", ucd="pos.eq.ra"
    )
    crval2 = attribute(float, "declination of the reference pixel", unit="deg", ucd="pos.eq.dec")
    crpix1 = attribute(float, "reference pixel, 1-based", unit="pixel", ucd="pos.wcs.crpix")
    crpix2 = attribute(float, "reference pixel, 1-based", unit="pixel", ucd="pos.wcs.crpix")
    cd1_1 = attribute(float, "CD matrix", unit="deg/pixel", ucd="pos.wcs.cdmatrix")
    cd1_2 = attribute(float, "CD matrix", unit="deg/pixel", ucd="pos.wcs.cdmatrix")
    cd2_1 = attribute(float, "CD matrix", unit="deg/pixel", ucd="pos.wcs.cdmatrix")
    cd2_2 = attribute(float, "CD matrix", unit="deg/pixel", ucd="pos.wcs.cdmatrix")

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Matching, and Astro-WISE's limits."""

        MIN_SIGNAL_TO_NOISE: float = 10.0
        TOLERANCE: float = 2.0
        MAX_RMS: float = 0.5

    class Flags(QualityFlags):
        """What can be wrong with a solution."""

        RMS_TOO_LARGE = 1
        ORIENTATION_UNKNOWN = 2

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Recognise the field in each catalogue and in all, keep what matches most."""
        sources = inputs.catalog.tables["SOURCES"]
        clean = is_clean(sources, masked=True)
        clean &= signal_to_noise(sources) > parameters.MIN_SIGNAL_TO_NOISE
        name, solution = _best(inputs, parameters, sources, clean)
        solved = solution.model is not SolutionModel.NOMINAL
        return Made(
            attributes={
                "model": solution.model.value,
                "catalogue": name,
                "n_ref": solution.n_ref,
                "rms": solution.rms,
                "pos_err": _position_error(solution, inputs.instrument.pointing_error),
                "mean_dra": solution.mean_dra,
                "mean_ddec": solution.mean_ddec,
                "sigma_dra": solution.sigma_dra,
                "sigma_ddec": solution.sigma_ddec,
                "seeing": star_width(sources) * solution.wcs.pixel_scale,
                "oriented": solved or inputs.instrument.rotation_known,
                **wcs_attributes(solution.wcs),
            },
            cards={keyword: (value, "") for keyword, value in solution.wcs.to_cards().items()},
        )

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Compare the residuals with their limit; a frame of unknown orientation is no use."""
        flags = self.Flags(0)
        if made.attributes["rms"] > parameters.MAX_RMS:
            flags |= self.Flags.RMS_TOO_LARGE
        if not made.attributes["oriented"]:
            flags |= self.Flags.ORIENTATION_UNKNOWN
        return int(flags)


def wcs_attributes(wcs: TanWcs) -> dict[str, float]:
    """Attributes that keep a projection."""
    cards = wcs.to_cards()
    names = ("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CD1_1", "CD1_2", "CD2_1", "CD2_2")
    return {name.lower(): float(cards[name]) for name in names}


def wcs_from_attributes(attributes: Mapping[str, Any]) -> TanWcs:
    """Projection that an AstrometricParameters object keeps."""
    names = ("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CD1_1", "CD1_2", "CD2_1", "CD2_2")
    cards: dict[str, float | str] = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"}
    return TanWcs.from_cards(cards | {name: float(attributes[name.lower()]) for name in names})


def _best(
    inputs: Inputs,
    parameters: AstrometricParameters.Parameters,
    sources: NDArray[np.void],
    clean: NDArray[np.bool_],
) -> tuple[str, Solution]:
    """Catalogue and solution with most stars; the largest catalogues are tried first."""
    raw, instrument = inputs.raw, inputs.instrument
    wcs = raw["wcs"]
    shape = (inputs.catalog["naxis2"], inputs.catalog["naxis1"])

    def solution(stars: ReferenceTable) -> Solution:
        return solve(
            sources["x"],
            sources["y"],
            sources["flux"],
            shape,
            ra=stars.ra,
            dec=stars.dec,
            mag=stars.brightness(),
            pointing=(raw["ra"], raw["dec"]),
            pixel_scale=instrument.pixel_scale,
            pointing_error=instrument.pointing_error,
            nominal=TanWcs.from_cards(wcs) if wcs else None,
            rotation_known=instrument.rotation_known,
            usable=clean,
            tolerance=parameters.TOLERANCE,
        )

    catalogues = sorted(
        inputs.reference_catalogues, key=lambda stars: (-len(stars.ra), stars.catalogue)
    )
    name, best = "", solution(_joined([]))
    tries = [(stars.catalogue, [stars]) for stars in catalogues]
    if len(catalogues) > 1:
        tries.append((" + ".join(stars.catalogue for stars in catalogues), catalogues))
    for title, used in tries:
        found = solution(_joined(used))
        if found.n_ref > best.n_ref:
            name, best = title, found
        if best.n_ref >= _ENOUGH:
            break
    return name, best


def _joined(catalogues: Sequence[ReferenceStars]) -> ReferenceTable:
    """Stars of several catalogues as one table."""
    bands = sorted({band for stars in catalogues for band in stars.mags})
    nothing = np.empty(0)

    def band(name: str) -> NDArray[np.float64]:
        parts = [
            np.asarray(stars.mags.get(name, np.full(len(stars.ra), np.nan)))
            for stars in catalogues
        ]
        return np.concatenate([nothing, *parts])

    mags = {name: band(name) for name in bands}
    return ReferenceTable(
        np.array([name for stars in catalogues for name in stars.name], dtype=np.str_),
        np.concatenate([nothing, *(stars.ra for stars in catalogues)]),
        np.concatenate([nothing, *(stars.dec for stars in catalogues)]),
        mags,
        {},
    )


def _position_error(solution: Solution, pointing_error: float) -> float:
    """Arcsec of one axis, mean over the frame: of the fit with stars, of the pointing without."""
    if solution.n_ref == 0:
        return 3600.0 * pointing_error / math.sqrt(2.0)
    rms = max(solution.rms, 0.5 * solution.wcs.pixel_scale if solution.n_ref < 3 else 0.0)
    return rms * math.sqrt(_FREE[solution.model] / solution.n_ref)
