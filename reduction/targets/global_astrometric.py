"""Where all frames of a field look, solved at once."""

from __future__ import annotations

__all__ = ["FIELD_RESIDUAL_DTYPE", "GAstrometric"]

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from reduction.attributes import attribute
from reduction.depends import frames_of_field, references
from reduction.detection import is_clean, signal_to_noise
from reduction.frame_keys import by_frame, frame_key
from reduction.parameters import parameter
from reduction.quality import QualityFlags
from reduction.solutions import SOLUTION_DTYPE, solution_row
from reduction.steps.astrometry import SolutionModel
from reduction.steps.global_solution import GlobalSolution, solve_field
from reduction.steps.mosaic import FrameSources
from reduction.target import FieldTarget, Inputs, Made, Progenitor
from reduction.targets.astrometric import is_starlike, joined, wcs_from_attributes
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import FigureBase
    from numpy.typing import NDArray

_WORSE: Final = 1.5

#: Columns of RESIDUALS_REF and RESIDUALS_OVERLAP; ``frame`` is a row of SOLUTIONS.
FIELD_RESIDUAL_DTYPE: Final = np.dtype(
    [
        *(("frame", "i4"), ("source", "i4"), ("star", "i4"), ("x", "f8"), ("y", "f8")),
        *(("ra", "f8"), ("dec", "f8"), ("dra", "f8"), ("ddec", "f8")),
    ]
)


class GAstrometric(FieldTarget):
    """One astrometric solution of all chips, dithers and nights of a field.

    Chips' distortions are shared by the exposures of a run in the same filter, each exposure has a
    shift and a small linear map of its own, and a star seen on several exposures is one star,
    whether or not a catalogue has it. Frames whose own AstrometricParameters recognised no star
    are left out. Stars of known proper motion are taken where they are at the mean moment of the
    frames.

    Tables: "SOLUTIONS" (see :mod:`reduction.solutions`); "RESIDUALS_REF", measured minus
    catalogue, and "RESIDUALS_OVERLAP", measured minus the star's mean over its exposures (arcsec).
    """

    VERSION = 3

    catalogs = frames_of_field("Catalog")
    astrometric = frames_of_field("AstrometricParameters")
    reference_catalogues = references()

    n_frames = attribute(int, "frames (CCDs) solved", ucd="meta.number")
    n_exposures = attribute(int, "exposures solved", ucd="meta.number")
    n_setups = attribute(int, "camera setups with a distortion of their own", ucd="meta.number")
    catalogue = attribute(str, "reference catalogue, empty for none", ucd="meta.ref")
    n_ref = attribute(int, "reference stars used", ucd="meta.number")
    n_overlap = attribute(int, "stars used that several exposures see", ucd="meta.number")
    rms = attribute(
        float, "rms of measured minus reference, one coordinate", unit="arcsec", ucd="stat.rms"
    )
    mean_dra = attribute(
        float, "its mean, east", unit="arcsec", ucd="pos.eq.ra;arith.diff;stat.mean"
    )
    mean_ddec = attribute(
        float, "its mean, north", unit="arcsec", ucd="pos.eq.dec;arith.diff;stat.mean"
    )
    rms_overlap = attribute(
        float,
        "rms of measured minus the star's mean over its exposures, one coordinate",
        unit="arcsec",
        ucd="stat.rms",
    )
    sigma_overlap = attribute(
        float, "largest such rms of a frame", unit="arcsec", ucd="stat.rms;stat.max"
    )
    reference_error = attribute(
        float, "error of the catalogue's positions as found", unit="arcsec", ucd="stat.error;pos"
    )
    centroid_floor = attribute(
        float,
        "scatter of positions beyond their stated errors",
        unit="arcsec",
        ucd="stat.error;pos",
    )
    pos_err = attribute(
        float, "error of a frame's place, one axis, median", unit="arcsec", ucd="stat.error;pos"
    )

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Which stars, how they are matched, and Astro-WISE's limits.

        MIN_NOVERLAP is 0: frames that do not overlap, or one alone, are solved together by the
        catalogue. Where a mosaic shall hold together by its overlaps, set it for its field. There
        is no MaxNOverlap, nor MaxNref: more stars are no fault, and MAX_SOURCES bounds the work.
        """

        MIN_SIGNAL_TO_NOISE: float = parameter(
            10.0, "sources take part above this signal-to-noise ratio", at_least=0.0
        )
        MAX_SOURCES: int = parameter(
            500, "the brightest so many of each frame are used", at_least=1
        )
        TOLERANCE: float = parameter(
            0.0,
            "the frames' own solutions agree within it; 0: a pixel, at least 1.5 arcsec",
            unit="arcsec",
            at_least=0.0,
            at_most=3600.0,
        )
        PDEG: int = parameter(3, "highest degree of the chips' polynomials", at_least=1, at_most=3)
        RUN_GAP: float = parameter(
            15.0, "after such a pause a camera may have changed", unit="d", above=0.0
        )
        MAX_RMS: float = parameter(
            0.5, "largest rms residual against the catalogue", unit="arcsec", at_least=0.0
        )
        MAX_RMS_OVERLAP: float = parameter(
            0.3, "largest rms residual between frames", unit="arcsec", at_least=0.0
        )
        MAX_SIGMA_OVERLAP: float = parameter(
            0.5, "largest scatter of one coordinate between frames", unit="arcsec", at_least=0.0
        )
        MIN_NOVERLAP: int = parameter(0, "fewest stars on several exposures", at_least=0)

    class Flags(QualityFlags):
        """What can be wrong with a solution."""

        RMS_TOO_LARGE = 1, "the rms residual against the catalogue is above MAX_RMS"
        RMS_OVERLAP_TOO_LARGE = 2, "the rms residual of overlaps is above MAX_RMS_OVERLAP"
        SIGMA_OVERLAP_TOO_LARGE = 4, "a frame's overlaps scatter by more than MAX_SIGMA_OVERLAP"
        TOO_FEW_OVERLAPS = 8, "fewer stars on several exposures than MIN_NOVERLAP"
        RMS_WORSE = 16, "the overlaps' rms is more than 1.5 times that of the version before"
        FEWER_FRAMES = 32, "fewer frames than the version before"

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Bring the frames' sources and solutions together, and solve."""
        pairs = _pairs(inputs)
        if not pairs:
            name = "the field" if inputs.field is None else f"field {inputs.field.name}"
            message = f"{name} has no frame on which a star of a catalogue was recognised"
            raise UnprocessableError(message)
        runs = _runs([catalog for catalog, _ in pairs], parameters.RUN_GAP)
        rows = [_best(catalog, parameters) for catalog, _ in pairs]
        _check_sources(inputs, rows, parameters.MIN_SIGNAL_TO_NOISE)
        frames = [
            _sources(catalog, own, run, used)
            for (catalog, own), run, used in zip(pairs, runs, rows, strict=True)
        ]
        catalogue = _catalogue([own for _, own in pairs])
        names = catalogue.split(" + ")
        moment = float(np.mean([catalog.raw["mjd_obs"] for catalog, _ in pairs]))
        stars = joined([s.at(moment) for s in inputs.reference_catalogues if s.catalogue in names])
        radius = parameters.TOLERANCE or None
        found = solve_field(
            frames, ra=stars.ra, dec=stars.dec, radius=radius, degree=parameters.PDEG
        )
        tables = {
            "SOLUTIONS": _solutions([catalog for catalog, _ in pairs], found),
            "RESIDUALS_REF": _residuals(frames, rows, found, found.ref_dra, found.ref_ddec),
            "RESIDUALS_OVERLAP": _residuals(frames, rows, found, found.dra, found.ddec),
        }
        return Made(tables=tables, attributes=_attributes(found, tables, catalogue))

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Compare with limits."""
        flags, found = self.Flags(0), made.attributes
        if found["rms"] > parameters.MAX_RMS:
            flags |= self.Flags.RMS_TOO_LARGE
        if found["rms_overlap"] > parameters.MAX_RMS_OVERLAP:
            flags |= self.Flags.RMS_OVERLAP_TOO_LARGE
        if found["sigma_overlap"] > parameters.MAX_SIGMA_OVERLAP:
            flags |= self.Flags.SIGMA_OVERLAP_TOO_LARGE
        if found["n_overlap"] < parameters.MIN_NOVERLAP:
            flags |= self.Flags.TOO_FEW_OVERLAPS
        return int(flags)

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: Parameters) -> int:
        """Compare the overlaps' residuals and the number of frames with those before."""
        del parameters
        flags, found = self.Flags(0), made.attributes
        before = previous.get("rms_overlap")
        if before is not None and found["rms_overlap"] > _WORSE * before:
            flags |= self.Flags.RMS_WORSE
        if found["n_frames"] < (previous.get("n_frames") or 0):
            flags |= self.Flags.FEWER_FRAMES
        return int(flags)

    def plot(self, figure: FigureBase) -> None:
        """Draw the residuals against the catalogue, and below those of overlaps."""
        from reduction.residual_plots import show_residuals

        upper, lower = np.ravel(figure.subfigures(2, 1, squeeze=False))
        show_residuals(upper, self.tables["RESIDUALS_REF"], title="measured minus reference")
        show_residuals(
            lower, self.tables["RESIDUALS_OVERLAP"], title="measured minus mean of exposures"
        )


def _pairs(inputs: Inputs) -> list[tuple[Progenitor, Progenitor]]:
    """Catalogs and own solutions of the frames that have both, with recognised stars."""
    own = by_frame(inputs.astrometric)
    pairs = [(c, own[frame_key(c)]) for c in inputs.catalogs if frame_key(c) in own]
    return [(c, a) for c, a in pairs if a["model"] != SolutionModel.NOMINAL.value]


def _check_sources(
    inputs: Inputs, rows: Sequence[NDArray[np.intp]], signal_to_noise: float
) -> None:
    """See that there is something to solve with.

    Raises
    ------
    UnprocessableError
        If no frame has a source that is good enough.
    """
    if not any(len(chosen) for chosen in rows):
        name = "the field" if inputs.field is None else f"field {inputs.field.name}"
        message = (
            f"{name} has {len(rows)} frames with recognised stars, but no clean source above "
            f"MIN_SIGNAL_TO_NOISE, which is {signal_to_noise:g}"
        )
        raise UnprocessableError(message)


def _runs(catalogs: Sequence[Progenitor], gap: float) -> list[str]:
    """Camera setup of each frame: instrument, filter, and the run, pauses of which are shorter."""
    found: dict[int, str] = {}
    last: dict[tuple[str, str], tuple[float, int]] = {}
    for index in sorted(range(len(catalogs)), key=lambda i: float(catalogs[i].raw["mjd_obs"])):
        frame = catalogs[index]
        camera, moment = (frame.instrument, frame.filter), float(frame.raw["mjd_obs"])
        before, number = last.get(camera, (moment, 0))
        number += int(moment - before > gap)
        last[camera] = moment, number
        found[index] = f"{camera[0]} {camera[1]} run {number}"
    return [found[index] for index in range(len(catalogs))]


def _best(catalog: Progenitor, parameters: GAstrometric.Parameters) -> NDArray[np.intp]:
    """Rows of a frame's catalog that are good enough, the brightest of them."""
    sources = catalog.tables["SOURCES"]
    noise = signal_to_noise(sources)
    good = is_clean(sources, masked=True) & is_starlike(sources)
    good &= (noise > parameters.MIN_SIGNAL_TO_NOISE) & np.isfinite(sources["pos_err"])
    rows = np.flatnonzero(good)
    brightest = np.argsort(-sources["flux"][rows], kind="stable")[: parameters.MAX_SOURCES]
    return rows[np.sort(brightest)]


def _sources(
    catalog: Progenitor, own: Progenitor, run: str, rows: NDArray[np.intp]
) -> FrameSources:
    sources = catalog.tables["SOURCES"][rows]
    return FrameSources(
        np.asarray(sources["x"], np.float64),
        np.asarray(sources["y"], np.float64),
        np.asarray(sources["pos_err"], np.float64),
        (int(catalog["naxis2"]), int(catalog["naxis1"])),
        wcs_from_attributes(own.attributes),
        exposure=f"{catalog.instrument} {catalog.filter} {float(catalog.raw['mjd_obs']):.6f}",
        camera=run,
        chip=catalog.chip,
    )


def _catalogue(own: Sequence[Progenitor]) -> str:
    """The catalogue that gave most stars to the frames' own solutions."""
    count: Counter[str] = Counter()
    for found in own:
        count[found["catalogue"] or ""] += int(found["n_ref"])
    return min(count, key=lambda name: (-count[name], name))


def _solutions(catalogs: Sequence[Progenitor], found: GlobalSolution) -> NDArray[np.void]:
    table = np.zeros(len(catalogs), SOLUTION_DTYPE)
    known, seen = np.isfinite(found.ref_dra), np.isfinite(found.dra)
    for index, catalog in enumerate(catalogs):
        row = table[index]
        row["instrument"], row["chip"], row["name"], row["mjd_obs"] = frame_key(catalog)
        row["filter"] = catalog.filter
        row["exposure"], row["setup"] = found.exposure[index], found.setup[index]
        for column, value in solution_row(found.wcs[index]).items():
            row[column] = value
        mine = (found.frame == index) & found.used
        row["n_ref"], row["n_overlap"] = (mine & known).sum(), (mine & seen).sum()
        row["rms_ref"] = _rms(found.ref_dra[mine & known], found.ref_ddec[mine & known])
        row["rms_overlap"] = _rms(found.dra[mine & seen], found.ddec[mine & seen])
        row["pos_err"] = found.pos_err[index]
    return np.asarray(table[np.isfinite(table["pos_err"])])


def _residuals(
    frames: Sequence[FrameSources],
    rows: Sequence[NDArray[np.intp]],
    found: GlobalSolution,
    dra: NDArray[np.float64],
    ddec: NDArray[np.float64],
) -> NDArray[np.void]:
    shown = found.used & np.isfinite(dra)
    table = np.zeros(int(shown.sum()), FIELD_RESIDUAL_DTYPE)
    there = np.cumsum(np.isfinite(found.pos_err)) - 1  # rows of SOLUTIONS
    table["frame"], table["star"] = there[found.frame[shown]], found.star[shown]
    if frames:
        table["source"] = np.concatenate(rows)[shown]
        table["x"] = np.concatenate([frame.x for frame in frames])[shown]
        table["y"] = np.concatenate([frame.y for frame in frames])[shown]
    table["ra"], table["dec"] = found.ra[shown], found.dec[shown]
    table["dra"], table["ddec"] = dra[shown], ddec[shown]
    return table


def _attributes(
    found: GlobalSolution, tables: Mapping[str, NDArray[np.void]], catalogue: str
) -> dict[str, Any]:
    solutions, reference = tables["SOLUTIONS"], tables["RESIDUALS_REF"]
    overlap = tables["RESIDUALS_OVERLAP"]
    scatter = solutions["rms_overlap"][np.isfinite(solutions["rms_overlap"])]
    matched = len(reference) > 0
    return {
        "n_frames": len(solutions),
        "n_exposures": len(np.unique(solutions["exposure"])),
        "n_setups": len(np.unique(solutions["setup"])),
        "catalogue": catalogue,
        "n_ref": len(np.unique(reference["star"])),
        "n_overlap": len(np.unique(overlap["star"])),
        "rms": _rms(reference["dra"], reference["ddec"]),
        "mean_dra": float(reference["dra"].mean()) if matched else np.nan,
        "mean_ddec": float(reference["ddec"].mean()) if matched else np.nan,
        "rms_overlap": _rms(overlap["dra"], overlap["ddec"]),
        "sigma_overlap": float(scatter.max()) if len(scatter) else np.nan,
        "reference_error": found.reference_error,
        "centroid_floor": found.centroid_floor,
        "pos_err": float(np.median(solutions["pos_err"])) if len(solutions) else np.nan,
    }


def _rms(dra: NDArray[np.float64], ddec: NDArray[np.float64]) -> float:
    """Of one coordinate, arcsec; NaN for none."""
    if len(dra) == 0:
        return float("nan")
    return float(np.sqrt(np.mean(np.square(dra) + np.square(ddec)) / 2.0))
