"""Light curves of a field's stars in one band, freed from what frames do to all of them."""

from __future__ import annotations

__all__ = ["LightCurveList"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from reduction.attributes import attribute
from reduction.comparison import changed, differs, fell
from reduction.depends import frames_of_field, in_field
from reduction.field_grids import own_field
from reduction.frame_keys import FRAME_KEY_FIELDS, frame_key
from reduction.parameters import parameter
from reduction.quality import QualityFlags
from reduction.steps.associate import AssociateFlag, mean_position
from reduction.steps.ensemble import Ensemble, relative_photometry
from reduction.steps.groups import group_mean, group_quantile
from reduction.steps.sources import SourceFlag
from reduction.target import Anchor, FieldTarget, Inputs, Made
from reduction.targets.associate_list import list_numbers
from reduction.zero_points import field_magnitudes, is_tied
from schemas.errors import UnprocessableError
from schemas.list_tables import LightCurvePoint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import FigureBase
    from numpy.typing import NDArray

    from reduction.progenitor import Progenitor

    Array = NDArray[np.float64]

_SEEN: Final = np.dtype(
    [(name, "f8") for name in ("ra", "dec", "mag", "instrumental", "err", "mjd")]
    + [(name, "i8") for name in ("association", "list", "source_number", "flags")]
)
_ROW: Final = np.dtype(
    [(name, "i8") for name in ("association", "list", "source_number")]
    + [(name, "f8") for name in ("mjd", "mag", "mag_err")]
    + [("flag", "i8")]
)
_EPOCH: Final = np.dtype(
    [*FRAME_KEY_FIELDS]
    + [(name, "f8") for name in ("mjd", "offset", "offset_err")]
    + [("n_constant", "i8")]
)
_STAR: Final = np.dtype([("association", "i8"), ("ra", "f8"), ("dec", "f8"), ("constant", "i8")])
_BLEMISHED: Final = (
    SourceFlag.TRUNCATED | SourceFlag.SATURATED | SourceFlag.MASKED | SourceFlag.NO_FLUX
)
#: Constant stars on a frame that a plane across it needs.
_FOR_A_PLANE: Final = 30
_MAG: Final = 2.5 / np.log(10.0)


class LightCurveList(FieldTarget):
    """Magnitudes of the stars of a field in one band, each frame brought to the level of all.

    What the constant stars of a frame have in common - clouds, extinction, a zero point that is
    wrong or not there - is taken off. Where frames have zero points the level is theirs on
    average: those of the field's GPhotometric, as for coadds, or of the night where it does not
    tie a frame. Where none has, magnitudes are instrumental: only differences mean something.

    Chips or nights without constant stars in common are parts, with a level each, that of their
    own frames' zero points; a part without one has no magnitudes where another has.
    """

    VERSION = 3
    ANCHOR = Anchor.FIELD_AND_FILTER
    ROWS = LightCurvePoint

    associations = in_field("AssociateList")
    source_lists = frames_of_field("SourceList", at_least=2)
    gphotometric = in_field("GPhotometric", required=False)

    n_tied = attribute(
        int, "source lists by the zero points of the field's GPhotometric", ucd="meta.number;obs"
    )
    n_stars = attribute(int, "light curves", ucd="meta.number")
    n_epochs = attribute(int, "frames with an offset", ucd="meta.number")
    n_constant = attribute(int, "stars that served as constant ones", ucd="meta.number")
    error_floor = attribute(
        float, "error that all magnitudes have besides their own", unit="mag", ucd="stat.error"
    )
    error_scale = attribute(float, "factor of the errors, at least 1", ucd="stat.error;arith")
    offset_scatter = attribute(
        float, "standard deviation of the frames' offsets", unit="mag", ucd="stat.stdev;phot.mag"
    )
    n_parts = attribute(int, "sets of frames without constant stars in common", ucd="meta.number")
    zero_point = attribute(
        float,
        "added to instrumental magnitudes, median of the frames; none: relative",
        unit="mag",
        ucd="arith.zp",
    )

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Which magnitudes take part, how frames are compared, and limits."""

        FLAG_MASK: int = parameter(
            int(_BLEMISHED),
            "bits of SourceFlag with which a source takes no part",
            at_least=0,
            at_most=int(~SourceFlag(0)),
        )
        MIN_EPOCHS: int = parameter(2, "fewest frames of a star", at_least=2)
        SIGMA_CLIP: float = parameter(
            4.0,
            "magnitudes further than this from a star's mean are left out",
            unit="sigma",
            above=0.0,
        )
        ERROR_FLOOR: float | None = parameter(
            None,
            "added to each error, squared; none finds it, and a factor of the errors, "
            "from the stars",
            unit="mag",
            at_least=0.0,
            at_most=1.0,
        )
        SPATIAL_ORDER: int = parameter(
            1,
            "1 lets the offset slope across the field where a frame has 30 constant "
            "stars, 0 does not",
            at_least=0,
            at_most=1,
        )
        MIN_CONSTANT: int = parameter(5, "fewest constant stars", at_least=1)
        MINIMUM_KEPT: float = parameter(
            0.5,
            "least part of the stars and frames of before that is no loss",
            at_least=0.0,
            at_most=1.0,
        )
        MAXIMUM_FLOOR_DIFFERENCE: float = parameter(
            0.01, "largest change of the floor from before", unit="mag", at_least=0.0
        )
        MAXIMUM_ZERO_POINT_DIFFERENCE: float = parameter(
            0.05, "largest change of the zero point from before", unit="mag", at_least=0.0
        )

    class Flags(QualityFlags):
        """What can be wrong with light curves."""

        FEW_CONSTANT = 1, "fewer than MIN_CONSTANT constant stars tie the frames together"
        FEWER_STARS = 2, "fewer light curves than MINIMUM_KEPT of those before"
        FEWER_EPOCHS = 4, "fewer frames than MINIMUM_KEPT of those before"
        FLOOR_CHANGED = (
            8,
            "error_floor differs from before by more than MAXIMUM_FLOOR_DIFFERENCE",
        )
        ZERO_POINT_CHANGED = (
            16,
            "the zero point is gone, or another by more than MAXIMUM_ZERO_POINT_DIFFERENCE",
        )

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Gather each star's magnitudes, find the frames' offsets, take them off."""
        lists: Sequence[Progenitor] = inputs.source_lists
        scale: Progenitor | None = inputs.gphotometric
        seen = _gathered(lists, inputs.associations, scale, parameters)
        if len(seen) == 0:
            message = f"no star of field {own_field(inputs).name} was seen on two frames"
            raise UnprocessableError(message)
        stars, star = np.unique(seen["association"], return_inverse=True)
        found = _ensemble(seen, star, parameters)
        zero = _zero_points(seen, found)
        level = zero[found.part]
        rows = np.zeros(len(seen), _ROW)
        for name in ("association", "list", "source_number", "mjd"):
            rows[name] = seen[name]
        rows["mag"] = found.mag + (level[seen["list"]] if np.isfinite(zero).any() else 0.0)
        rows["mag_err"] = np.where(np.isfinite(rows["mag"]), found.mag_err, np.nan)
        rows["flag"] = seen["flags"]
        order = np.lexsort((rows["mjd"], rows["association"]))
        known = np.isfinite(found.offset)
        return Made(
            attributes={
                "n_tied": sum(is_tied(scale, one) for one in lists),
                "n_stars": len(stars),
                "n_epochs": int(known.sum()),
                "n_constant": int(found.constant.sum()),
                "error_floor": found.floor,
                "error_scale": found.scale,
                "offset_scatter": float(np.std(found.offset[known])) if known.any() else np.nan,
                "n_parts": len(np.unique(found.part[known])),
                "zero_point": _median(level[known]),
            },
            rows=rows[order],
            tables={
                "EPOCHS": _epochs(lists, found),
                "STARS": _stars(seen, star, stars, found),
            },
        )

    def verify(self, made: Made, parameters: Parameters) -> int:
        """See whether there are enough constant stars."""
        few = made.attributes["n_constant"] < parameters.MIN_CONSTANT
        return int(self.Flags.FEW_CONSTANT) if few else 0

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: Parameters) -> int:
        """See whether stars or frames went missing, or the magnitudes are others."""
        found, flags = made.attributes, self.Flags(0)
        if fell(previous, "n_stars", found["n_stars"], parameters.MINIMUM_KEPT):
            flags |= self.Flags.FEWER_STARS
        if fell(previous, "n_epochs", found["n_epochs"], parameters.MINIMUM_KEPT):
            flags |= self.Flags.FEWER_EPOCHS
        floor, limit = found["error_floor"], parameters.MAXIMUM_FLOOR_DIFFERENCE
        if differs(previous, "error_floor", floor, limit):
            flags |= self.Flags.FLOOR_CHANGED
        zero, limit = found["zero_point"], parameters.MAXIMUM_ZERO_POINT_DIFFERENCE
        if changed(previous, "zero_point", zero, limit):
            flags |= self.Flags.ZERO_POINT_CHANGED
        return int(flags)

    def plot(self, figure: FigureBase) -> None:
        """Draw the offsets of the frames, and the scatter of each star against its brightness."""
        epochs, rows = self.tables["EPOCHS"], self.rows
        upper, lower = figure.subplots(2, 1)
        upper.errorbar(epochs["mjd"], epochs["offset"], epochs["offset_err"], fmt=".")
        upper.set(xlabel="MJD", ylabel="offset [mag]")
        _, star = np.unique(rows["association"], return_inverse=True)
        count = int(star.max(initial=-1)) + 1
        weight = np.isfinite(rows["mag"]).astype(float)
        mean = group_mean(rows["mag"], weight, star, count)
        square = group_mean((rows["mag"] - mean[star]) ** 2, weight, star, count)
        lower.plot(mean, np.sqrt(square), ".", markersize=2)
        lower.set(xlabel="mean magnitude", ylabel="scatter [mag]", yscale="log")


def _gathered(
    lists: Sequence[Progenitor],
    associations: Progenitor,
    scale: Progenitor | None,
    parameters: LightCurveList.Parameters,
) -> NDArray[Any]:
    """All good magnitudes of the stars that have enough of them."""
    members, numbers = associations.rows, list_numbers(associations)
    members = members[(members["flag"] & AssociateFlag.REPEATED) == 0]
    parts = []
    for number, one in enumerate(lists):
        mine = members[members["list"] == numbers.get(frame_key(one), -1)]
        parts.append(_seen(number, one, mine, scale))
    seen = np.concatenate(parts)
    good = (seen["flags"] & parameters.FLAG_MASK) == 0
    good &= np.isfinite(seen["instrumental"]) & (seen["err"] > 0)
    seen = seen[good]
    often = np.bincount(seen["association"], minlength=1) >= parameters.MIN_EPOCHS
    kept: NDArray[Any] = seen[often[seen["association"]]]
    return kept


def _seen(
    number: int, one: Progenitor, members: NDArray[Any], scale: Progenitor | None
) -> NDArray[Any]:
    rows = one.rows[members["source_number"]]
    seen = np.zeros(len(rows), _SEEN)
    for name in ("ra", "dec", "flags"):
        seen[name] = rows[name]
    seen["mag"], _ = field_magnitudes(scale, one, rows)
    with np.errstate(invalid="ignore", divide="ignore"):
        seen["instrumental"] = np.where(rows["flux"] > 0, -2.5 * np.log10(rows["flux"]), np.nan)
        seen["err"] = np.where(rows["flux"] > 0, _MAG * rows["flux_err"] / rows["flux"], np.nan)
    seen["mjd"] = np.nan if one.moment is None else one.moment
    seen["list"] = number
    for name in ("association", "source_number"):
        seen[name] = members[name]
    return seen


def _ensemble(
    seen: NDArray[Any], star: NDArray[np.intp], parameters: LightCurveList.Parameters
) -> Ensemble:
    """Offsets of the frames; with a plane in the stars' positions where there are enough."""

    def solve(along: Array | None) -> Ensemble:
        """Offsets of the frames, with slopes along these quantities."""
        return relative_photometry(
            *(star, seen["list"], seen["instrumental"], seen["err"]),
            along=along,
            floor=parameters.ERROR_FLOOR,
            sigma_clip=parameters.SIGMA_CLIP,
            min_epochs=parameters.MIN_EPOCHS,
        )

    flat = solve(None)
    used = flat.n_constant[flat.n_constant > 0]
    if parameters.SPATIAL_ORDER < 1 or len(used) == 0 or used.min() < _FOR_A_PLANE:
        return flat
    return solve(_places(seen["ra"], seen["dec"], star))


def _places(ra: Array, dec: Array, star: NDArray[np.intp]) -> Array:
    """Where each observation's star is in the field: two coordinates of mean 0 and unit scatter.

    A star's place is the same on all frames: then the frames' slopes have a mean to be measured
    from, also where the field drifts over the chip.
    """
    right, declination = mean_position(ra, dec, star)
    middle = mean_position(right, declination, np.zeros(len(right), np.intp))
    x = ((right - middle[0][0] + 180.0) % 360.0 - 180.0) * np.cos(np.radians(declination))
    places = np.stack((x, declination - middle[1][0]), axis=1)
    places = (places - places.mean(axis=0)) / np.maximum(places.std(axis=0), 1e-12)
    return np.asarray(places[star])


def _zero_points(seen: NDArray[Any], found: Ensemble) -> Array:
    """Median of calibrated less relative magnitudes in each part; NaN where none is calibrated."""
    part = found.part[seen["list"]]
    count = int(found.part.max(initial=-1)) + 1
    return group_quantile(seen["mag"] - found.mag, part, count, 0.5)


def _median(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")


def _epochs(lists: Sequence[Progenitor], found: Ensemble) -> NDArray[Any]:
    epochs = np.zeros(len(lists), _EPOCH)
    for name in ("offset", "offset_err"):
        epochs[name] = np.nan
        epochs[name][: len(found.offset)] = getattr(found, name)
    epochs["n_constant"][: len(found.offset)] = found.n_constant
    for epoch, one in zip(epochs, lists, strict=True):
        epoch["instrument"], epoch["chip"], epoch["name"], epoch["mjd_obs"] = frame_key(one)
        epoch["mjd"] = np.nan if one.moment is None else one.moment
    return epochs


def _stars(
    seen: NDArray[Any], star: NDArray[np.intp], stars: NDArray[np.int64], found: Ensemble
) -> NDArray[Any]:
    table = np.zeros(len(stars), _STAR)
    table["association"] = stars
    table["ra"], table["dec"] = mean_position(seen["ra"], seen["dec"], star)
    table["constant"] = found.constant
    return table
