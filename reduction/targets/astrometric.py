"""Where a science frame looks."""

from __future__ import annotations

__all__ = [
    "RESIDUAL_DTYPE",
    "AstrometricParameters",
    "is_starlike",
    "joined",
    "wcs_attributes",
    "wcs_from_attributes",
]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from reduction.attributes import attribute
from reduction.depends import of_frame, raw_frame, references
from reduction.detection import is_clean, signal_to_noise, star_fwhm, star_half_light
from reduction.parameters import parameter
from reduction.quality import QualityFlags
from reduction.seeing import SEEING
from reduction.steps.astrometry import Solution, SolutionModel, solve
from reduction.steps.overlaps import first_of_each
from reduction.steps.reference import ReferenceTable
from reduction.steps.wcs import TanWcs
from reduction.target import FrameTarget, Inputs, Made, Progenitor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import FigureBase
    from numpy.typing import NDArray

    from reduction.target import ReferenceStars

_ENOUGH: Final = 20
_STARS_ALONE: Final = 30
_ROUND: Final = 1.5
_WIDE: Final = 1.5
_WORSE: Final = 1.5
_HALF: Final = 0.5

#: Arcsec within which a star of one catalogue is that of another.
_SAME_STAR: Final = 1.0

#: Columns of the table RESIDUALS: measured minus reference.
RESIDUAL_DTYPE: Final = np.dtype(
    [
        *(("source", "i4"), ("x", "f8"), ("y", "f8"), ("ra", "f8"), ("dec", "f8")),
        *(("mag", "f8"), ("dra", "f8"), ("ddec", "f8"), ("snr", "f8")),
    ]
)


class AstrometricParameters(FrameTarget):
    """Projection of a reduced frame with its distortion, fitted to stars of the catalogues.

    Stars of known proper motion are taken where they are when the frame is exposed.

    Where no star is recognised the telescope's own pointing stands, ``model`` is ``nominal`` and
    ``pos_err`` what the instrument's pointing is good for. Where no stars were to be expected such
    a frame is published, with a flag of its CalibratedScienceFrame, and has no part in a
    GAstrometric; where many were, the frame looks elsewhere than it says, and is no use.

    Table: "RESIDUALS", :data:`RESIDUAL_DTYPE`: a row for each star used, ``source`` its row in
    the Catalog, ``ra``, ``dec`` where the catalogue has it, ``dra``, ``ddec`` in arcsec.
    """

    VERSION = 4
    COST_S = 0.03

    raw = raw_frame("RawScienceFrame")
    catalog = of_frame("Catalog")
    reference_catalogues = references()

    model = attribute(
        str,
        "what was fitted: cubic, quadratic, affine, similarity, shift, or nominal",
        ucd="meta.code",
    )
    catalogue = attribute(str, "reference catalogue, empty for none", ucd="meta.ref")
    n_ref = attribute(int, "reference stars used", ucd="meta.number")
    n_expected = attribute(
        int,
        "stars to be recognised if the frame looks where it says: of catalogue or clean sources, "
        "the fewer",
        ucd="meta.number",
    )
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
    seeing = SEEING
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
    distortion = attribute(
        str, "TPV terms as PVi_j=value, separated by blanks; empty for none", ucd="pos.wcs"
    )

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Matching, fitting, and Astro-WISE's limits.

        MIN_NREF is 0, where Astro-WISE discussed 20 to 2000 for chips of a degree: a small
        telescope's field of standards has five stars. Whether so few are that field is asked by
        the recognition itself, and NOT_RECOGNISED is where there should have been more. There is
        no MaxNref: a deep catalogue has thousands of stars on a chip, and each makes the fit
        better. Residuals have no limit of 3 RMS either, as the fit itself leaves out what is
        further off: MAX_RMS judges what it kept.
        """

        MIN_SIGNAL_TO_NOISE: float = parameter(
            10.0, "sources take part above this signal-to-noise ratio", at_least=0.0
        )
        TOLERANCE: float = parameter(
            2.0,
            "a source and a star within it are the same",
            unit="arcsec",
            above=0.0,
            at_most=3600.0,
        )
        PDEG: int = parameter(
            3,
            "highest degree of the distortion's polynomial: taken is the highest that "
            "fits better than chance lets it",
            at_least=1,
            at_most=3,
        )
        SCALE_ERROR: float = parameter(
            0.1,
            "part by which the pixel scale may be wrong, looked for where the nominal "
            "one finds nothing",
            at_least=0.0,
            at_most=0.5,
        )
        EXPECTED_NREF: int = parameter(
            20, "so many stars must be expected for a frame without any to be wrong", at_least=1
        )
        MIN_NREF: int = parameter(0, "fewest reference stars", at_least=0)
        MAX_RMS: float = parameter(
            0.5, "largest rms residual against the catalogue", unit="arcsec", at_least=0.0
        )
        MAX_SIGMA: float = parameter(
            0.5, "largest scatter of one coordinate's residuals", unit="arcsec", at_least=0.0
        )

    class Flags(QualityFlags):
        """What can be wrong with a solution."""

        RMS_TOO_LARGE = 1, "the rms residual is above MAX_RMS"
        ORIENTATION_UNKNOWN = 2, "no star is recognised and the camera's orientation is not known"
        TOO_FEW_STARS = 4, "fewer reference stars than MIN_NREF"
        SIGMA_TOO_LARGE = 8, "the scatter of a coordinate's residuals is above MAX_SIGMA"
        RMS_WORSE = 16, "the rms residual is more than 1.5 times that of the version before"
        NOT_RECOGNISED = 64, "none of at least EXPECTED_NREF expected stars is recognised"
        FEWER_STARS = 32, "less than half of the reference stars of the version before"

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Recognise the field in each catalogue and in all, keep what matches most."""
        sources = inputs.catalog.tables["SOURCES"]
        clean = is_clean(sources, masked=True)
        clean &= signal_to_noise(sources) > parameters.MIN_SIGNAL_TO_NOISE
        stars_alone = clean & is_starlike(sources)
        clean = stars_alone if stars_alone.sum() >= _STARS_ALONE else clean
        name, solution, stars = _best(inputs, parameters, sources, clean)
        solved = solution.model is not SolutionModel.NOMINAL
        return Made(
            attributes={
                "model": solution.model.value,
                "catalogue": name,
                "n_ref": solution.n_ref,
                "n_expected": min(_on_frame(solution, stars, inputs.catalog), int(clean.sum())),
                "rms": solution.rms,
                "pos_err": _position_error(solution, inputs.instrument.pointing_error),
                "mean_dra": solution.mean_dra,
                "mean_ddec": solution.mean_ddec,
                "sigma_dra": solution.sigma_dra,
                "sigma_ddec": solution.sigma_ddec,
                "seeing": star_fwhm(sources) * solution.wcs.pixel_scale,
                "oriented": solved or inputs.instrument.rotation_known,
                **wcs_attributes(solution.wcs),
            },
            tables={"RESIDUALS": _residuals(sources, solution, stars)},
            cards={keyword: (value, "") for keyword, value in solution.wcs.to_cards().items()},
        )

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Compare with limits; a frame of unknown orientation is no use."""
        flags, found = self.Flags(0), made.attributes
        if found["rms"] > parameters.MAX_RMS:
            flags |= self.Flags.RMS_TOO_LARGE
        if max(found["sigma_dra"], found["sigma_ddec"]) > parameters.MAX_SIGMA:
            flags |= self.Flags.SIGMA_TOO_LARGE
        if found["n_ref"] < parameters.MIN_NREF:
            flags |= self.Flags.TOO_FEW_STARS
        nominal = found["model"] == SolutionModel.NOMINAL.value
        if nominal and found["n_expected"] >= parameters.EXPECTED_NREF:
            flags |= self.Flags.NOT_RECOGNISED
        if not found["oriented"]:
            flags |= self.Flags.ORIENTATION_UNKNOWN
        return int(flags)

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: Parameters) -> int:
        """Compare residuals and number of stars with those before."""
        del parameters
        flags, found = self.Flags(0), made.attributes
        if previous.get("rms") is not None and found["rms"] > _WORSE * previous["rms"]:
            flags |= self.Flags.RMS_WORSE
        if found["n_ref"] < _HALF * (previous.get("n_ref") or 0):
            flags |= self.Flags.FEWER_STARS
        return int(flags)

    def plot(self, figure: FigureBase) -> None:
        """Draw the residuals in five panels."""
        from reduction.residual_plots import show_residuals

        (part,) = np.ravel(figure.subfigures(1, 1, squeeze=False))
        show_residuals(part, self.tables["RESIDUALS"], title="measured minus reference")


_NAMES: Final = ("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CD1_1", "CD1_2", "CD2_1", "CD2_2")


def wcs_attributes(wcs: TanWcs) -> dict[str, float | str]:
    """Attributes that keep a projection."""
    cards = wcs.to_cards()
    terms = {name: value for name, value in cards.items() if name.startswith("PV")}
    found: dict[str, float | str] = {name.lower(): float(cards[name]) for name in _NAMES}
    return found | {"distortion": " ".join(f"{name}={value!r}" for name, value in terms.items())}


def wcs_from_attributes(attributes: Mapping[str, Any]) -> TanWcs:
    """Projection that an AstrometricParameters object keeps."""
    terms = dict(term.split("=") for term in (attributes.get("distortion") or "").split())
    kind = "TPV" if terms else "TAN"
    cards: dict[str, float | str] = {"CTYPE1": f"RA---{kind}", "CTYPE2": f"DEC--{kind}"}
    cards |= {name: float(attributes[name.lower()]) for name in _NAMES}
    return TanWcs.from_cards(cards | {name: float(value) for name, value in terms.items()})


def is_starlike(sources: NDArray[np.void]) -> NDArray[np.bool_]:
    """Neither much wider nor longer than stars: the middle of a blend is no star's place."""
    width = star_half_light(sources)
    round_ = sources["elongation"] < _ROUND
    return np.asarray(round_ & ~(sources["half_light_radius"] > _WIDE * width))


def _best(
    inputs: Inputs,
    parameters: AstrometricParameters.Parameters,
    sources: NDArray[np.void],
    clean: NDArray[np.bool_],
) -> tuple[str, Solution, ReferenceTable]:
    """Catalogue, solution and stars with most stars; the largest catalogues are tried first."""
    known = [stars.at(inputs.raw["mjd_obs"]) for stars in inputs.reference_catalogues]
    catalogues = sorted(known, key=lambda stars: (-len(stars.ra), stars.catalogue))
    name, stars = "", joined([])
    best = _solution(inputs, parameters, sources, clean, stars)
    tries = [(stars.catalogue, [stars]) for stars in catalogues]
    if len(catalogues) > 1:
        tries.append((" + ".join(stars.catalogue for stars in catalogues), catalogues))
    for title, used in tries:
        table = joined(used)
        found = _solution(inputs, parameters, sources, clean, table)
        if found.n_ref > best.n_ref:
            name, best, stars = title, found, table
        if best.n_ref >= _ENOUGH:
            break
    return name, best, joined(catalogues) if best.n_ref == 0 else stars


def _solution(
    inputs: Inputs,
    parameters: AstrometricParameters.Parameters,
    sources: NDArray[np.void],
    clean: NDArray[np.bool_],
    stars: ReferenceTable,
) -> Solution:
    """The frame's place by the stars of one table."""
    raw, instrument = inputs.raw, inputs.instrument
    return solve(
        sources["x"],
        sources["y"],
        sources["flux"],
        (inputs.catalog["naxis2"], inputs.catalog["naxis1"]),
        ra=stars.ra,
        dec=stars.dec,
        mag=stars.brightness(),
        pointing=(raw["ra"], raw["dec"]),
        pixel_scale=instrument.pixel_scale,
        pointing_error=instrument.pointing_error,
        nominal=TanWcs.from_cards(raw["wcs"]) if raw["wcs"] else None,
        rotation_known=instrument.rotation_known,
        usable=clean,
        errors=sources["pos_err"],
        tolerance=parameters.TOLERANCE,
        degree=parameters.PDEG,
        scale_errors=(0.01, parameters.SCALE_ERROR),
    )


def joined(catalogues: Sequence[ReferenceStars]) -> ReferenceTable:
    """Stars of several catalogues as one table, those that an earlier one has left out."""
    bands = sorted({band for stars in catalogues for band in stars.mags})
    nothing = np.empty(0)

    def band(name: str) -> NDArray[np.float64]:
        """Magnitudes of all in one band, NaN where a catalogue has none."""
        parts = [
            np.asarray(stars.mags.get(name, np.full(len(stars.ra), np.nan)))
            for stars in catalogues
        ]
        return np.concatenate([nothing, *parts])

    ra, dec = (
        np.concatenate([nothing, *(getattr(stars, axis) for stars in catalogues)])
        for axis in ("ra", "dec")
    )
    names = np.array([name for stars in catalogues for name in stars.name], dtype=np.str_)
    of = np.repeat(np.arange(len(catalogues)), [len(stars.ra) for stars in catalogues])
    kept = first_of_each(ra, dec, of, radius=_SAME_STAR)
    mags = {name: band(name)[kept] for name in bands}
    return ReferenceTable(names[kept], ra[kept], dec[kept], mags, {})


def _on_frame(solution: Solution, stars: ReferenceTable, catalog: Progenitor) -> int:
    """Number of catalogue stars on the frame."""
    x, y = solution.wcs.to_pixel(stars.ra, stars.dec)
    inside = (x > 0) & (x < catalog["naxis1"]) & (y > 0) & (y < catalog["naxis2"])
    return int(inside.sum())


def _residuals(
    sources: NDArray[np.void], solution: Solution, stars: ReferenceTable
) -> NDArray[np.void]:
    table = np.zeros(solution.n_ref, RESIDUAL_DTYPE)
    here, there = solution.sources, solution.references
    table["source"], table["x"], table["y"] = here, sources["x"][here], sources["y"][here]
    table["ra"], table["dec"] = stars.ra[there], stars.dec[there]
    table["mag"] = stars.brightness()[there]
    table["dra"], table["ddec"] = solution.dra, solution.ddec
    table["snr"] = signal_to_noise(sources)[here]
    return table


def _position_error(solution: Solution, pointing_error: float) -> float:
    """Arcsec of one axis, mean over the frame: of the fit with stars, of the pointing without."""
    if solution.n_ref == 0:
        return 3600.0 * pointing_error / math.sqrt(2.0)
    free, stars = solution.model.free, solution.n_ref
    rms = solution.rms * math.sqrt(stars / max(stars - free, 1))
    rms = max(rms, 0.5 * solution.wcs.pixel_scale if stars < 3 else 0.0)
    return rms * math.sqrt(free / stars)
