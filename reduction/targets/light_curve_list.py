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
from reduction.light_curves import Curves, FluxKind, gathered, levelled
from reduction.parameters import parameter
from reduction.quality import QualityFlags
from reduction.source_lists import BLEMISHED
from reduction.steps.associate import mean_position
from reduction.steps.ensemble_terms import Orders
from reduction.steps.groups import group_mean
from reduction.steps.sources import SourceFlag
from reduction.target import Anchor, FieldTarget, Inputs, Made
from reduction.zero_points import is_tied
from schemas.errors import UnprocessableError
from schemas.list_tables import LightCurvePoint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import FigureBase
    from numpy.typing import NDArray

    from reduction.progenitor import Progenitor

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
_STAR: Final = np.dtype(
    [("association", "i8"), ("ra", "f8"), ("dec", "f8"), ("constant", "i8"), ("by_psf", "i8")]
)


class LightCurveList(FieldTarget):
    """Magnitudes of the stars of a field in one band, each frame brought to the level of all.

    What the constant stars of a frame have in common - clouds, extinction, a zero point that is
    wrong or not there - is taken off, as a surface over the field where stars ask for it; and
    what they have in common that pass the same place on a chip, where no flat divides it out. A
    star has no part in what is taken off it. Fluxes are those in the aperture, and by the psf
    from the brightness on where constant stars scatter less so.

    Where frames have zero points the level is theirs on
    average: those of the field's GPhotometric, as for coadds, or of the night where it does not
    tie a frame. Where none has, magnitudes are instrumental: only differences mean something.

    Chips or nights without constant stars in common are parts, with a level each, that of their
    own frames' zero points; a part without one has no magnitudes where another has.
    """

    VERSION = 5
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
    field_order = attribute(
        int, "order of the frames' surfaces over the field", ucd="meta.number;arith"
    )
    chip_order = attribute(
        int, "order of the surface over a chip; 0: none", ucd="meta.number;arith"
    )
    psf_from = attribute(
        float,
        "magnitude from which on fluxes are by the psf; none: all in the aperture",
        unit="mag",
        ucd="phot.mag",
    )

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Which magnitudes take part, how frames are compared, and limits."""

        FLAG_MASK: int = parameter(
            int(BLEMISHED),
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
        FLUX: str = parameter(
            FluxKind.BEST.value,
            "fluxes in the aperture, by the psf, or of each star those that scatter less for "
            "stars of its brightness",
            choices=FluxKind,
        )
        SPATIAL_ORDER: int = parameter(
            1,
            "highest order of the polynomial across the field that a frame's offset may "
            "follow; 10 constant stars a term",
            at_least=0,
            at_most=3,
        )
        RESPONSE_ORDER: int = parameter(
            5,
            "highest order of the polynomial across a chip that its frames may share",
            at_least=0,
            at_most=7,
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
        curves = levelled(
            gathered(lists, inputs.associations, scale, mask=parameters.FLAG_MASK),
            FluxKind(parameters.FLUX),
            highest=Orders(parameters.SPATIAL_ORDER, parameters.RESPONSE_ORDER),
            floor=parameters.ERROR_FLOOR,
            sigma_clip=parameters.SIGMA_CLIP,
            min_epochs=parameters.MIN_EPOCHS,
        )
        if curves is None:
            message = f"no star of field {own_field(inputs).name} was seen on two frames"
            raise UnprocessableError(message)
        return Made(
            attributes={"n_tied": sum(is_tied(scale, one) for one in lists), **_facts(curves)},
            rows=_rows(curves),
            tables={"EPOCHS": _epochs(lists, curves), "STARS": _stars(curves)},
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


def _facts(curves: Curves) -> dict[str, Any]:
    found = curves.found
    known = np.isfinite(found.offset)
    zero = 0.0 if np.isnan(curves.zero_point) else curves.zero_point
    return {
        "n_stars": len(curves.stars),
        "n_epochs": int(known.sum()),
        "n_constant": int(found.constant.sum()),
        "error_floor": found.floor,
        "error_scale": found.scale,
        "offset_scatter": float(np.std(found.offset[known])) if known.any() else np.nan,
        "n_parts": len(np.unique(found.part[known])),
        "zero_point": curves.zero_point,
        "field_order": found.orders.field,
        "chip_order": found.orders.chip,
        "psf_from": curves.psf_from + zero,
    }


def _rows(curves: Curves) -> NDArray[Any]:
    """Points of the light curves, star by star and in the order of time."""
    seen, found = curves.seen, curves.found
    rows = np.zeros(len(seen), _ROW)
    for name in ("association", "list", "source_number", "mjd"):
        rows[name] = seen[name]
    rows["mag"] = found.mag + curves.level[found.part][seen["list"]]
    rows["mag_err"] = np.where(np.isfinite(rows["mag"]), found.mag_err, np.nan)
    rows["flag"] = seen["flags"]
    ordered: NDArray[Any] = rows[np.lexsort((rows["mjd"], rows["association"]))]
    return ordered


def _epochs(lists: Sequence[Progenitor], curves: Curves) -> NDArray[Any]:
    epochs, found = np.zeros(len(lists), _EPOCH), curves.found
    for name in ("offset", "offset_err"):
        epochs[name] = np.nan
        epochs[name][: len(found.offset)] = getattr(found, name)
    epochs["n_constant"][: len(found.offset)] = found.n_constant
    for epoch, one in zip(epochs, lists, strict=True):
        epoch["instrument"], epoch["chip"], epoch["name"], epoch["mjd_obs"] = frame_key(one)
        epoch["mjd"] = np.nan if one.moment is None else one.moment
    return epochs


def _stars(curves: Curves) -> NDArray[Any]:
    table, seen = np.zeros(len(curves.stars), _STAR), curves.seen
    table["association"] = curves.stars
    table["ra"], table["dec"] = mean_position(seen["ra"], seen["dec"], curves.star)
    table["constant"], table["by_psf"] = curves.found.constant, curves.by_psf
    return table
