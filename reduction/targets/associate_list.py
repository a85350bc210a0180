"""Which sources of a field's lists are the same star."""

from __future__ import annotations

__all__ = ["AssociateList", "list_numbers"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from reduction.attributes import attribute
from reduction.depends import frames_of_field
from reduction.field_grids import own_field
from reduction.frame_keys import FRAME_KEY_FIELDS, by_frame, keys_of
from reduction.parameters import parameter
from reduction.quality import QualityFlags
from reduction.steps.associate import AssociationType, associate
from reduction.steps.friends import unit_vectors
from reduction.steps.sources import SourceFlag
from reduction.target import FieldTarget, Inputs, Made
from schemas.errors import UnprocessableError
from schemas.list_tables import Associate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import FigureBase
    from numpy.typing import NDArray

    from reduction.fields import FieldSpec
    from reduction.frame_keys import FrameKey
    from reduction.progenitor import Progenitor

_FRAME: Final = np.dtype([*FRAME_KEY_FIELDS])
_ROW: Final = np.dtype(
    [(name, "i8") for name in ("association", "list", "source_number")]
    + [("distance", "f8"), ("flag", "i8")]
)
#: Of the sources, while all lists of a field are held together.
_TAKEN: Final = np.dtype(
    [(name, "f8") for name in ("ra", "dec", "pos_err")] + [("source_number", "i8")]
)
_NONE: Final = np.empty(0, _TAKEN)
_OF_SEEING: Final = 0.5
#: Arcsec that the search distance may be whatever the seeing, where positions need it.
_FOR_POSITIONS: Final = 3.0


class AssociateList(FieldTarget):
    """Sources of all source lists of a field that are the same star.

    Only sources within the field's circle take part, and only of lists whose frame has its place
    from recognised stars: a telescope's pointing is too uncertain. Members name their source by
    the number of its list among the inputs, in the order of the exposures, and its number there.
    """

    VERSION = 1
    ROWS = Associate

    source_lists = frames_of_field("SourceList")

    n_lists = attribute(int, "source lists that took part", ucd="meta.number")
    n_sources = attribute(int, "sources that took part", ucd="meta.number")
    n_associations = attribute(int, "associations", ucd="meta.number")
    n_repeated = attribute(int, "associations of two sources and more", ucd="meta.number")
    search_distance = attribute(
        float, "largest distance between neighbours", unit="arcsec", ucd="pos.angDistance"
    )
    rms_distance = attribute(
        float, "rms distance from the mean position", unit="arcsec", ucd="stat.stdev"
    )

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Astro-WISE's parameters."""

        SEARCH_DISTANCE: float = parameter(
            0.0,
            "sources within it are one star; 0 takes half of the lists' median "
            "seeing, or what their positions need where that is more, up to the "
            "seeing or 3 arcsec",
            unit="arcsec",
            at_least=0.0,
            at_most=3600.0,
        )
        FLAG_MASK: int = parameter(
            int(SourceFlag.TRUNCATED),
            "bits of SourceFlag with which a source takes no part; those at the edge "
            "have wrong positions",
            at_least=0,
            at_most=int(~SourceFlag(0)),
        )
        SINGLE_OUT_CLOSEST_PAIRS: bool = parameter(
            True, "whether a source belongs to the nearest star alone"
        )
        ASSOCIATION_TYPE: str = parameter(
            AssociationType.CHAIN.value,
            "how sources of many lists become stars",
            choices=AssociationType,
        )
        MIN_REPEATED: float = parameter(
            0.1,
            "least part of the associations that more than one list sees",
            at_least=0.0,
            at_most=1.0,
        )

    class Flags(QualityFlags):
        """What can be wrong with an association."""

        FEW_REPEATED = 1, "fewer than MIN_REPEATED of the associations have two sources"

    def compute(self, inputs: Inputs, parameters: Parameters) -> Made:
        """Take the sources within the field together, associate, and name the lists."""
        lists: Sequence[Progenitor] = inputs.source_lists
        frames = by_frame(lists)
        field = own_field(inputs)
        parts = [
            _in_field(one.rows, field, parameters.FLAG_MASK) if one["n_ref"] else _NONE
            for one in lists
        ]
        of_list = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        rows = np.concatenate(parts)
        if len(rows) == 0:
            message = (
                f"no source of {len(lists)} source lists, with places from recognised stars, is "
                f"in field {field.name}"
            )
            raise UnprocessableError(message)
        placed = [one for one in lists if one["n_ref"]]
        distance = parameters.SEARCH_DISTANCE or _distance(placed, rows)
        found = associate(
            rows["ra"],
            rows["dec"],
            of_list,
            search_distance=distance,
            kind=AssociationType(parameters.ASSOCIATION_TYPE),
            single_out_closest=parameters.SINGLE_OUT_CLOSEST_PAIRS,
        )
        members = np.bincount(found["association"])
        repeated = members[found["association"]] > 1
        return Made(
            attributes={
                "n_lists": len(placed),
                "n_sources": len(rows),
                "n_associations": len(members),
                "n_repeated": int((members > 1).sum()),
                "search_distance": distance,
                "rms_distance": _rms(found["distance"][repeated]),
            },
            rows=_members(found, of_list, rows),
            tables={"FRAMES": np.array(list(frames), _FRAME)},
        )

    def verify(self, made: Made, parameters: Parameters) -> int:
        """See whether the lists have stars in common."""
        found = made.attributes
        few = found["n_repeated"] < parameters.MIN_REPEATED * found["n_associations"]
        return int(self.Flags.FEW_REPEATED) if few and found["n_lists"] > 1 else 0

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: Parameters) -> int:
        """See whether much fewer stars were found again than before."""
        del parameters
        before = previous["n_repeated"]
        return int(self.Flags.FEW_REPEATED) if made.attributes["n_repeated"] < before / 2 else 0

    def plot(self, figure: FigureBase) -> None:
        """Draw how far members are from their star, and how many there are of each."""
        rows = self.rows
        left, right = figure.subplots(1, 2)
        left.hist(rows["distance"], bins=50, histtype="step")
        left.set(xlabel="distance from the mean position [arcsec]", ylabel="sources")
        members = np.bincount(np.bincount(rows["association"]))
        right.step(np.arange(len(members)), members, where="mid")
        right.set(xlabel="sources of an association", ylabel="associations", yscale="log")


def _members(
    found: NDArray[np.void], of_list: NDArray[np.intp], rows: NDArray[np.void]
) -> NDArray[np.void]:
    """Rows of the associations' members, each source named by its list and number."""
    made = np.zeros(len(found), _ROW)
    for name in ("association", "distance", "flag"):
        made[name] = found[name]
    made["list"] = of_list[found["source"]]
    made["source_number"] = rows["source_number"][found["source"]]
    return made


def list_numbers(associations: Progenitor) -> dict[FrameKey, int]:
    """Number of each frame's source list in an association list."""
    return {key: number for number, key in enumerate(keys_of(associations.tables["FRAMES"]))}


def _in_field(rows: NDArray[np.void], field: FieldSpec, mask: int) -> NDArray[np.void]:
    """What is needed of the sources in the circle whose flags are none of the mask's."""
    centre = unit_vectors(np.array([field.ra]), np.array([field.dec]))[0]
    chord = np.linalg.norm(unit_vectors(rows["ra"], rows["dec"]) - centre, axis=1)
    near = chord <= 2.0 * np.sin(np.radians(field.radius) / 2.0)
    kept = near & ((rows["flags"] & mask) == 0)
    taken = np.empty(int(kept.sum()), _TAKEN)
    for name in _TAKEN.names or ():
        taken[name] = rows[name][kept]
    return taken


def _distance(lists: Sequence[Progenitor], rows: NDArray[np.void]) -> float:
    """Half of the median seeing, or five errors of a position where that is more, arcsec.

    Errors count up to the seeing, or :data:`_FOR_POSITIONS`: wider, neighbours become one star.
    """
    known = [one["seeing"] for one in lists if one["seeing"] is not None]
    seeing = float(np.median(known)) if known else 1.0 / _OF_SEEING
    error = np.nanmedian(rows["pos_err"]) if np.isfinite(rows["pos_err"]).any() else 0.0
    least = min(5.0 * float(error) * 3600.0, max(seeing, _FOR_POSITIONS))
    return max(_OF_SEEING * seeing, least, 0.05)


def _rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(values**2))) if len(values) else float("nan")
