"""All that was seen of each star of a field, as one source."""

from __future__ import annotations

__all__ = ["CombinedList"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from reduction.attributes import attribute
from reduction.comparison import changed, fell
from reduction.depends import frames_of_field, in_field
from reduction.frame_keys import by_frame, frame_key
from reduction.parameters import parameter
from reduction.quality import QualityFlags
from reduction.solutions import pos_err_of, wcs_of
from reduction.source_lists import BLEMISHED
from reduction.steps.combine_sources import CombineMethod, combine_magnitudes, combine_positions
from reduction.steps.sources import SourceFlag
from reduction.target import FieldTarget, Inputs, Made
from reduction.targets.associate_list import list_numbers
from reduction.zero_points import field_magnitudes, is_tied, zero_point_of
from schemas.list_tables import BAND_COLUMNS, CombinedSource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import FigureBase
    from numpy.typing import NDArray

    from reduction.progenitor import Progenitor

_TAKEN: Final = ("ra", "dec", "pos_err", "flags", "x", "y")
_SEEN: Final = np.dtype(
    [(name, "f8") for name in ("ra", "dec", "pos_err", "frame_err", "x", "y")]
    + [(name, "f8") for name in ("mag", "mag_err", "zero_err")]
    + [(name, "i8") for name in ("flags", "association", "band", "solution", "catalogue")]
)
_ROW: Final = np.dtype(
    [("association", "i8"), ("ra", "f8"), ("dec", "f8"), ("pos_err", "f8"), ("n_sources", "i8")]
    + [(f"{name}{end}", "f8") for name in BAND_COLUMNS.values() for end in ("", "_err")]
    + [("flags", "i8")]
)


class CombinedList(FieldTarget):
    """One source for each association of a field: mean position, magnitude in each band.

    Magnitudes are on the scale of the field's GPhotometric of their band, as those of coadds and
    light curves; of frames that it does not tie, by their night's zero point.

    Frames are averaged with the errors of their zero points, and the errors hold them: the least
    of one solution's, or of one night's zero point, is common to all its frames, and is not
    lessened by their number (:func:`reduction.steps.combine_sources.combine_magnitudes`).

    Positions are by the field's GAstrometric, as those of coadds; of frames that have no part in
    it, by their own solutions. Their errors are combined in the same way: the least of the frames'
    errors is that of the reference stars, which all frames share.

    A magnitude with one of the flags of FLAG_MASK is used only where the star has no better one
    in its band.
    """

    VERSION = 4
    ROWS = CombinedSource

    associations = in_field("AssociateList")
    source_lists = frames_of_field("SourceList")
    gphotometric = frames_of_field("GPhotometric", at_least=0)
    astrometric = frames_of_field("AstrometricParameters", at_least=0)
    gastrometric = in_field("GAstrometric", required=False)

    n_tied = attribute(
        int, "source lists by the zero points of the field's GPhotometric", ucd="meta.number;obs"
    )
    n_placed = attribute(
        int, "source lists with places by the field's GAstrometric", ucd="meta.number;obs"
    )
    n_sources = attribute(int, "stars", ucd="meta.number")
    bands = attribute(str, "bands with magnitudes", ucd="meta.id;instr.bandpass")
    left_out = attribute(
        str, "bands of frames that no column is for", ucd="meta.id;instr.bandpass"
    )
    faintest = attribute(
        float, "faintest magnitude with an error below 0.1 in any band", unit="mag", ucd="phot.mag"
    )

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """How measurements of a star are combined, and limits.

        MAXIMUM_FAINTEST is the magnitude that nothing on the ground reaches with an error of
        0.1: magnitudes beyond are of no zero point. A field without stars, or without any
        magnitudes, is sound.
        """

        COMBINE_METHOD: str = parameter(
            CombineMethod.WEIGHTED.value, "Astro-WISE's CombineMethod", choices=CombineMethod
        )
        MIN_SOURCES: int = parameter(1, "fewest sources of a star", at_least=1)
        FLAG_MASK: int = parameter(
            int(BLEMISHED),
            "bits of SourceFlag with which a magnitude is poor",
            at_least=0,
            at_most=int(~SourceFlag(0)),
        )
        MAXIMUM_FAINTEST: float = parameter(
            30.0,
            "a magnitude above this, with an error of 0.1, is of no zero point",
            unit="mag",
            at_least=0.0,
            at_most=50.0,
        )
        MINIMUM_KEPT: float = parameter(
            0.5, "least part of the stars of before that is no loss", at_least=0.0, at_most=1.0
        )
        MAXIMUM_DEPTH_DIFFERENCE: float = parameter(
            0.5, "largest loss of depth against before", unit="mag", at_least=0.0
        )

    class Flags(QualityFlags):
        """What can be wrong with the stars of a field."""

        PLACES_UNKNOWN = 1, "stars have no position on the sky"
        DEPTH_IMPOSSIBLE = 2, "the faintest good magnitude is above MAXIMUM_FAINTEST"
        FEWER_SOURCES = 4, "fewer stars than MINIMUM_KEPT of those before"
        BAND_LOST = 8, "a band that had magnitudes before has none"
        DEPTH_CHANGED = (
            16,
            "faintest is gone, or differs from before by more than MAXIMUM_DEPTH_DIFFERENCE",
        )

        BAND_LEFT_OUT = 32, "a band of its frames has no column for magnitudes: see left_out"

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Gather the members of each association and combine them."""
        members, numbers = inputs.associations.rows, list_numbers(inputs.associations)
        bands = sorted({source_list.band for source_list in inputs.source_lists})
        scales = {scale.filter: scale for scale in inputs.gphotometric}
        parts = [
            _seen(
                one,
                members[members["list"] == numbers.get(key, -1)],
                bands,
                scales.get(one.band),
            )
            for key, one in by_frame(inputs.source_lists).items()
        ]
        _name_solutions(parts, inputs.source_lists, scales)
        placed = _place(parts, inputs)
        seen = np.concatenate(parts)
        count = np.bincount(seen["association"])
        kept = np.flatnonzero(count >= max(parameters.MIN_SOURCES, 1))
        place = np.full(len(count), -1)
        place[kept] = np.arange(len(kept))
        star = place[seen["association"]]
        seen, star = seen[star >= 0], star[star >= 0]
        rows = np.zeros(len(kept), _ROW)
        rows["association"], rows["n_sources"] = kept, count[kept]
        rows["ra"], rows["dec"], rows["pos_err"] = combine_positions(
            *(seen["ra"], seen["dec"], seen["pos_err"], star),
            frame_err=seen["frame_err"],
            solution=seen["catalogue"],
        )
        np.bitwise_or.at(rows["flags"], star, seen["flags"])
        _magnitudes(rows, seen, star, bands, parameters)
        tied = sum(is_tied(scales.get(one.band), one) for one in inputs.source_lists)
        counts = {"n_tied": tied, "n_placed": placed}
        return Made(attributes=_attributes(rows, bands) | counts, rows=rows)

    def verify(self, made: Made, parameters: Parameters) -> int:
        """Look whether all stars have a place, and whether their magnitudes can be."""
        flags, rows = self.Flags(0), made.rows
        if rows is not None and not (np.isfinite(rows["ra"]) & np.isfinite(rows["dec"])).all():
            flags |= self.Flags.PLACES_UNKNOWN
        if made.attributes["faintest"] > parameters.MAXIMUM_FAINTEST:
            flags |= self.Flags.DEPTH_IMPOSSIBLE
        if made.attributes.get("left_out"):
            flags |= self.Flags.BAND_LEFT_OUT
        return int(flags)

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: Parameters) -> int:
        """See whether stars or bands went missing, or the depth is another."""
        found, flags = made.attributes, self.Flags(0)
        if fell(previous, "n_sources", found["n_sources"], parameters.MINIMUM_KEPT):
            flags |= self.Flags.FEWER_SOURCES
        if set((previous.get("bands") or "").split()) - set(found["bands"].split()):
            flags |= self.Flags.BAND_LOST
        depth, limit = found["faintest"], parameters.MAXIMUM_DEPTH_DIFFERENCE
        if changed(previous, "faintest", depth, limit):
            flags |= self.Flags.DEPTH_CHANGED
        return int(flags)

    def plot(self, figure: FigureBase) -> None:
        """Places, how often stars were seen, errors by band, and the first two bands' colour."""
        from reduction.source_plots import plot_combined

        plot_combined(figure, self.rows, (self.bands or "").split())


def _seen(
    source_list: Progenitor,
    members: NDArray[Any],
    bands: Sequence[str],
    scale: Progenitor | None,
) -> NDArray[Any]:
    """The members' sources; a list's rows are in the order of their numbers."""
    rows = source_list.rows[members["source_number"]]
    seen = np.zeros(len(rows), _SEEN)
    for name in _TAKEN:
        seen[name] = rows[name]
    seen["mag"], seen["mag_err"] = field_magnitudes(scale, source_list, rows)
    seen["association"] = members["association"]
    seen["band"] = bands.index(source_list.band)
    return seen


def _name_solutions(
    parts: Sequence[NDArray[Any]],
    source_lists: Sequence[Progenitor],
    scales: Mapping[str, Progenitor],
) -> None:
    """Errors of the lists' zero points, and numbers of what these come from."""
    numbers: dict[tuple[Any, ...], int] = {}
    for seen, one in zip(parts, source_lists, strict=True):
        tie = zero_point_of(scales.get(one.band), None, one, airmass=None)
        own = (one.instrument, one.chip, one["zero_point_frame"], one["zero_point"])
        origin = own if tie is None else (tie.origin, one.band)
        seen["zero_err"] = one["zero_point_err"] if tie is None else tie.error
        seen["solution"] = numbers.setdefault(origin, len(numbers))


def _place(parts: Sequence[NDArray[Any]], inputs: Inputs) -> int:
    """Take places by the field's solution; say how well each frame's is known, and by what.

    Returns how many lists are placed so.
    """
    known = by_frame(inputs.astrometric)
    numbers, placed = dict[str, int](), 0
    for seen, one in zip(parts, inputs.source_lists, strict=True):
        own = known.get(frame_key(one))
        wcs, error = wcs_of(inputs.gastrometric, one), pos_err_of(inputs.gastrometric, one)
        name, seen["frame_err"] = "", np.nan
        if own is not None:
            name, seen["frame_err"] = own["catalogue"] or "", own["pos_err"] / 3600.0
        told = error is not None and math.isfinite(error)
        if own is not None and wcs is not None and error is not None and told:
            centroid = seen["pos_err"] ** 2 - seen["frame_err"] ** 2
            name, seen["frame_err"] = "GAstrometric", error / 3600.0
            seen["pos_err"] = np.sqrt(np.maximum(centroid, 0.0) + seen["frame_err"] ** 2)
            seen["ra"], seen["dec"] = wcs.to_sky(seen["x"], seen["y"])
            placed += 1
        seen["catalogue"] = numbers.setdefault(name, len(numbers))
    return placed


def _magnitudes(
    rows: NDArray[Any],
    seen: NDArray[Any],
    star: NDArray[np.intp],
    bands: Sequence[str],
    parameters: CombinedList.Parameters,
) -> None:
    """Fill in the magnitudes of each band, flagged ones where there is no other."""
    method = CombineMethod(parameters.COMBINE_METHOD)
    for name in BAND_COLUMNS.values():
        rows[name] = rows[f"{name}_err"] = np.nan
    clean = (seen["flags"] & parameters.FLAG_MASK) == 0
    for number, band in enumerate(bands):
        column = BAND_COLUMNS.get(band)
        if column is None:
            continue
        for chosen in (clean, ~clean):
            taken = chosen & (seen["band"] == number)
            taken &= np.isnan(rows[column])[star]
            mag, err = combine_magnitudes(
                *(seen["mag"][taken], seen["mag_err"][taken], star[taken]),
                len(rows),
                zero_err=seen["zero_err"][taken],
                solution=seen["solution"][taken],
                method=method,
            )
            known = np.isfinite(mag)
            rows[column][known], rows[f"{column}_err"][known] = mag[known], err[known]


def _attributes(rows: NDArray[Any], bands: Sequence[str]) -> dict[str, Any]:
    columns = {band: BAND_COLUMNS[band] for band in bands if band in BAND_COLUMNS}
    filled = [band for band, name in columns.items() if np.isfinite(rows[name]).any()]
    good = [rows[columns[band]][rows[f"{columns[band]}_err"] < 0.1] for band in filled]
    faintest = max((float(mags.max()) for mags in good if len(mags)), default=float("nan"))
    return {
        "n_sources": len(rows),
        "bands": " ".join(filled),
        "left_out": " ".join(band for band in bands if band and band not in columns),
        "faintest": faintest,
    }
