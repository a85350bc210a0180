"""The standard stars of a frame's field."""

from __future__ import annotations

__all__ = ["PhotRefCatalog"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from reduction.attributes import attribute
from reduction.comparison import fell
from reduction.depends import raw_frame, references
from reduction.parameters import parameter
from reduction.quality import QualityFlags
from reduction.steps.matching import match_nearest
from reduction.steps.transformation import with_transformations
from reduction.steps.wcs import project
from reduction.target import FrameTarget, Inputs, Made
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import FigureBase
    from numpy.typing import NDArray

    from reduction.instruments.base import Band
    from reduction.target import ReferenceStars

_ARCSEC: Final = 1.0 / 3600.0

_COLUMNS: Final = ("ra", "dec", "mag", "mag_err", "color", "color_err")
STANDARD_DTYPE: Final = np.dtype([("name", "U64"), *((name, "f8") for name in _COLUMNS)])


class PhotRefCatalog(FrameTarget):
    """Standard stars in a frame's field: magnitude in the band of its filter, and a colour.

    Table: "STANDARDS", name, ra, dec (degrees ICRS), mag, mag_err, color, color_err (NaN where the
    colour is not known). Of a star that several catalogues have, the newest catalogue counts.
    Bands that a catalogue lacks are transformed from those of SDSS where it has them.
    """

    VERSION = 1
    COST_S = 0.003

    raw = raw_frame("RawScienceFrame")
    reference_catalogues = references(at_least=1)

    n_standards = attribute(int, "standard stars in the field", ucd="meta.number")
    n_color = attribute(int, "standard stars of known colour", ucd="meta.number")
    band = attribute(str, "band of the standard magnitudes", ucd="meta.id;instr.bandpass")
    color = attribute(str, "colour, as B-V; empty where the filter has none", ucd="meta.id")
    catalogues = attribute(str, "catalogues that the stars are of", ucd="meta.ref")

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Which stars are standards, and limits.

        MINIMUM_MAG and MAXIMUM_MAG bound the middle standard star: brighter than Sirius or
        fainter than any survey are no magnitudes, but fluxes, or numbers that mean "none". Some
        such among good stars do no harm: no source is matched with them, or it is an outlier.
        """

        MAX_REFERENCE_ERROR: float = parameter(
            0.1, "largest error of a standard magnitude", unit="mag", above=0.0
        )
        MATCH_RADIUS: float = parameter(
            1.0, "entries within it are one star", unit="arcsec", at_least=0.0, at_most=3600.0
        )
        MINIMUM_MAG: float = parameter(
            -2.0, "the middle star is no brighter", unit="mag", at_least=-50.0, at_most=50.0
        )
        MAXIMUM_MAG: float = parameter(
            30.0, "the middle star is no fainter", unit="mag", at_least=-50.0, at_most=50.0
        )
        MINIMUM_KEPT: float = parameter(
            0.5, "least part of the standards of before that is no loss", at_least=0.0, at_most=1.0
        )

    class Flags(QualityFlags):
        """What can be wrong with standard stars."""

        NO_MAGNITUDES = 1, "the middle magnitude is not between MINIMUM_MAG and MAXIMUM_MAG"
        FEWER_STANDARDS = 2, "fewer standard stars than MINIMUM_KEPT of those before"
        FEWER_COLORS = 4, "fewer stars with a colour than MINIMUM_KEPT of those before"

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Choose, transform, and bring together."""
        band = inputs.band
        parts: list[NDArray[np.void]] = []
        used: list[str] = []
        for stars in inputs.reference_catalogues:
            there = stars.at(inputs.raw["mjd_obs"])
            found = _standards(there, band, parameters.MAX_REFERENCE_ERROR)
            if parts:
                found = _others(found, np.concatenate(parts), parameters.MATCH_RADIUS)
            if len(found):
                parts.append(found)
                used.append(stars.catalogue)
        if not parts:
            names = ", ".join(stars.catalogue for stars in inputs.reference_catalogues)
            message = (
                f"{inputs.raw['name']}: no star in its field has a magnitude in {band.standard} "
                f"better than {parameters.MAX_REFERENCE_ERROR:g} mag ({names})"
            )
            raise UnprocessableError(message)
        table = np.concatenate(parts)
        return Made(
            tables={"STANDARDS": table},
            attributes={
                "n_standards": len(table),
                "n_color": int(np.isfinite(table["color"]).sum()),
                "band": band.standard,
                "color": "-".join(band.color) if band.color else "",
                "catalogues": " + ".join(used),
            },
        )

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Look whether magnitudes are such."""
        middle = float(np.median(made.tables["STANDARDS"]["mag"]))
        sound = parameters.MINIMUM_MAG <= middle <= parameters.MAXIMUM_MAG
        return 0 if sound else int(self.Flags.NO_MAGNITUDES)

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: Parameters) -> int:
        """See whether standards or their colours went missing."""
        flags, part = self.Flags(0), parameters.MINIMUM_KEPT
        if fell(previous, "n_standards", made.attributes["n_standards"], part):
            flags |= self.Flags.FEWER_STANDARDS
        if fell(previous, "n_color", made.attributes["n_color"], part):
            flags |= self.Flags.FEWER_COLORS
        return int(flags)

    def plot(self, figure: FigureBase) -> None:
        """Draw where the standards are, and their colours."""
        table = self.tables["STANDARDS"]
        left, right = figure.subplots(1, 2)
        left.scatter(table["ra"], table["dec"], s=np.clip(20.0 - table["mag"], 1.0, 15.0) ** 1.5)
        left.set(xlabel="ra [deg]", ylabel="dec [deg]", title="standard stars")
        left.invert_xaxis()
        right.scatter(table["color"], table["mag"], s=4)
        right.set(xlabel=f"{self.color or 'colour'} [mag]", ylabel=f"{self.band} [mag]")
        right.invert_yaxis()


def _standards(stars: ReferenceStars, band: Band, max_error: float) -> NDArray[np.void]:
    """Stars of one catalogue that have the band."""
    mags, errors = with_transformations(stars.mags, stars.mag_errs)
    nothing = np.full(len(stars.ra), np.nan)
    mag = np.asarray(mags.get(band.standard, nothing))
    err = np.asarray(errors.get(band.standard, nothing))
    known = np.isfinite(mag) & ~(err > max_error)
    table = np.zeros(int(known.sum()), STANDARD_DTYPE)
    table["name"] = np.asarray(stars.name, dtype="U64")[known]
    table["ra"], table["dec"] = stars.ra[known], stars.dec[known]
    table["mag"], table["mag_err"] = mag[known], err[known]
    table["color"] = table["color_err"] = np.nan
    if band.color is not None:
        one, two = band.color
        color = mags.get(one, nothing) - mags.get(two, nothing)
        table["color"] = color[known]
        table["color_err"] = np.hypot(errors.get(one, nothing), errors.get(two, nothing))[known]
    return table


def _others(found: NDArray[np.void], there: NDArray[np.void], radius: float) -> NDArray[np.void]:
    """Stars that are not among those of newer catalogues."""
    if len(found) == 0:
        return found
    centre = float(found["ra"][0]), float(found["dec"][0])
    points, others = (
        np.column_stack(project(table["ra"], table["dec"], *centre)) for table in (found, there)
    )
    same, _ = match_nearest(points, others, radius * _ARCSEC)
    left = np.ones(len(found), np.bool_)
    left[same] = False
    return found[left]
