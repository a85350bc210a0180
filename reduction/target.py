"""What every class of the archive is: its declarations, its making, and what a person sees of it.

A class declares slots (what it is made from), attributes (what is kept and can be searched by),
process parameters and quality flags; ``compute`` sees arrays and values of what was declared and
nothing else. Planning, fetching, storing and publishing belong to the archive.
"""

from __future__ import annotations

__all__ = [
    "Anchor",
    "CalibrationTarget",
    "DBObject",
    "FieldTarget",
    "FrameInFieldTarget",
    "FrameTarget",
    "Inputs",
    "Made",
    "ProcessTarget",
    "Progenitor",
    "ReferenceStars",
]

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from reduction.anchors import Anchor
from reduction.attributes import Attribute, AttributePath, ImStat, expand
from reduction.depends import Slot
from reduction.making import Inputs, Made
from reduction.progenitor import Progenitor, ReferenceStars
from reduction.quality import QualityFlags
from reduction.rows import read_rows
from schemas.tables import Base, Source

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from matplotlib.figure import Figure

    from reduction.declared import ClassParameters
    from schemas.tables import Product

Array = np.ndarray[Any, Any]


class _Declarations(type):
    """Metaclass: turns a class's declarations into SLOTS and ATTRIBUTES, and into query paths."""

    SLOTS: Mapping[str, Slot]
    ATTRIBUTES: tuple[Attribute, ...]
    _paths: frozenset[str]

    def __new__(
        cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]
    ) -> _Declarations:
        slots: dict[str, Slot] = {}
        attributes: list[Attribute] = []
        for base in reversed(bases):
            slots |= getattr(base, "SLOTS", {})
            attributes += [a for a in getattr(base, "ATTRIBUTES", ()) if a not in attributes]
        for key, value in list(namespace.items()):
            if isinstance(value, Slot):
                slots[key] = replace(value, name=key)
                del namespace[key]
            elif expanded := expand(key, value):
                attributes += expanded
                del namespace[key]
        namespace["SLOTS"] = slots
        namespace["ATTRIBUTES"] = tuple(attributes)
        made = super().__new__(cls, name, bases, namespace)
        made._paths = frozenset(a.name.split(".")[0] for a in attributes)
        return made

    def __getattr__(cls, name: str) -> AttributePath:
        """``Class.attribute`` starts a query."""
        if name.startswith("_") or name not in cls._paths:
            message = f"{cls.__name__} has no attribute {name!r}"
            raise AttributeError(message)
        return AttributePath(cls, name)  # type: ignore[arg-type]  # the metaclass's instances are the DBObject classes


class _Standard:
    """An attribute that every object has: a value on an object, a query path on a class."""

    def __init__(self, column: str, *, named: bool = False) -> None:
        self._column, self._named = column, named

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: DBObject | None, owner: type[DBObject]) -> Any:  # noqa: ANN401  # path or value
        if instance is None:
            return AttributePath(owner, self._name)
        value = getattr(instance._record, self._column)  # noqa: SLF001  # the descriptor is part of the class
        return SimpleNamespace(name=value) if self._named else value


class DBObject(metaclass=_Declarations):
    """An object of the archive as a person sees it in Python; read-only.

    ``k.imstat.stdev``, ``k.chip.name``, ``k.flat.imstat.median``: attributes by name, progenitors
    by the name of their slot.

    Attributes
    ----------
    object_id
        Number in the archive.
    instrument, chip, filter
        Each with ``.name``; the filter's is empty where none applies.
    is_valid
        0 rejected by a person, 1 valid, 2 proposed for promotion (Astro-WISE).
    quality_flags
        Bits set by ``verify``; 0 means no problem.
    process_params, recipe_version
        What it was made with.
    creation_date
        UTC.
    timestamp_start, timestamp_end, moment
        Validity, and the moment of observation, MJD UTC.
    """

    SLOTS: ClassVar[Mapping[str, Slot]]
    ATTRIBUTES: ClassVar[tuple[Attribute, ...]]
    #: Name of its table, where the class's own would be a reserved word of ADQL.
    TABLE: ClassVar[str] = ""

    def __init__(self, record: Product, archive: Any) -> None:  # noqa: ANN401  # the Archive, imported above this layer
        self._record, self._archive = record, archive

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # attribute, statistics or progenitor
        """Attribute, group of attributes, or progenitor(s) in a slot."""
        if name.startswith("_"):
            raise AttributeError(name)
        cls = type(self)
        if name in cls.SLOTS:
            found = self._archive.progenitors(self._record.product_id, name)
            return found if cls.SLOTS[name].many else next(iter(found), None)
        values = self._record.attributes
        names = {a.name for a in cls.ATTRIBUTES}
        if name in names:
            return values.get(name)
        below = {n.partition(".")[2]: values.get(n) for n in names if n.startswith(name + ".")}
        if below.keys() == {"min", "max", "mean", "median", "stdev", "npix"}:
            return ImStat(**below)  # type: ignore[arg-type]  # the six values by name
        if below:
            return SimpleNamespace(**below)
        message = f"{cls.__name__} has no attribute or input {name!r}"
        raise AttributeError(message)

    object_id = _Standard("product_id")
    instrument = _Standard("instrument", named=True)
    chip = _Standard("chip", named=True)
    filter = _Standard("filter", named=True)
    is_valid = _Standard("is_valid")
    quality_flags = _Standard("quality_flags")
    process_params = _Standard("process_params")
    creation_date = _Standard("creation_date")
    timestamp_start = _Standard("timestamp_start")
    timestamp_end = _Standard("timestamp_end")
    recipe_version = _Standard("recipe_version")
    moment = _Standard("moment")

    def set_valid(self, value: int, *, why: str, who: str = "") -> int:
        """Set ``is_valid``: 0 rejected, 1 valid, 2 proposed; recorded for ever with who and why.

        Returns
        -------
        int
            Number of targets that this made suspect.

        Raises
        ------
        ParameterError
            If it is another number, or the reason is blank.
        """
        from reduction.edits import edit  # noqa: PLC0415  # needs the archive, above this layer

        marked = edit(self._archive, self.object_id, "is_valid", value, why=why, who=who)
        self._record.is_valid = value
        return marked

    @property
    def images(self) -> dict[str, Array]:
        """Pixels by extension name, read from the storage."""
        images: dict[str, Array] = self._archive.images(self._record.product_id)
        return images

    @property
    def tables(self) -> dict[str, Array]:
        """Tables of its file, read from the storage."""
        tables: dict[str, Array] = self._archive.tables(self._record.product_id)
        return tables

    @property
    def rows(self) -> Array:
        """Catalogue rows as a structured array, read from the database; NaN is "no value"."""
        from reduction.rows import read_rows  # noqa: PLC0415  # needs the archive, above this layer

        table = getattr(type(self), "ROWS", None)
        if table is None:
            message = f"a {type(self).__name__} has no catalogue rows"
            raise AttributeError(message)
        return read_rows(self._archive, table, self._record.product_id)

    def inspect(self) -> Figure:
        """Draw what a person should look at; see :mod:`reduction.inspection`."""
        from reduction.inspection import draw  # noqa: PLC0415  # matplotlib is slow to import

        return draw(self)

    def plot(self, figure: Any) -> None:  # noqa: ANN401  # a Figure, or a part of one
        """Draw the object into an empty figure: images and attributes; classes may do better."""
        from reduction.inspection import plot_default  # noqa: PLC0415  # as above

        plot_default(self, figure)

    def __repr__(self) -> str:
        """Class, chip, filter and number."""
        r = self._record
        words = " ".join(w for w in (r.instrument, r.chip, r.filter, str(r.night or "")) if w)
        return f"<{type(self).__name__} {words} object_id={r.product_id}>"


class ProcessTarget(DBObject):
    """A class that is made. Subclasses declare; ``compute``, ``verify``, ``compare`` are theirs.

    Attributes
    ----------
    VERSION
        Version of the recipe: raise it when the result changes.
    ANCHOR, ANCHOR_CLASSES
        What one target stands for, and the raw classes whose frames bring it into being.
    PUBLISHED
        Whether its products are datasets: those whose ``compute`` says what ObsCore has of them
        are found by searches, from the next start on also those of before. Where it is taken back
        they are found no more; their identifiers hold.
    ROWS
        Table that ``Made.rows`` goes to: ``product_id``, a running number, and the rows' columns.
    COST_S
        Seconds per million pixels that making one is expected to take on one core, until the
        archive has made some and knows better.
    """

    VERSION: ClassVar[int] = 1
    ANCHOR: ClassVar[Anchor]
    ANCHOR_CLASSES: ClassVar[tuple[str, ...]]
    PUBLISHED: ClassVar[bool] = False
    ROWS: ClassVar[type[Base]] = Source
    COST_S: ClassVar[float] = 0.1

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """Process parameters: Astro-WISE's names and defaults."""

    class Flags(QualityFlags):
        """No flags."""

    def __init__(self, record: Product | None = None, archive: Any = None) -> None:  # noqa: ANN401  # see DBObject
        super().__init__(record, archive)  # type: ignore[arg-type]  # a recipe object has no record

    def compute(self, inputs: Inputs, parameters: ClassParameters) -> Made:
        """Make the product from its inputs: arrays in, arrays out.

        Raises
        ------
        ProgenitorMissingError
            If the optional inputs that are there do not suffice.
        UnprocessableError
            If the pixels do not allow the computation; names the frame and why.
        """
        raise NotImplementedError

    def verify(self, made: Made, parameters: ClassParameters) -> int:
        """Compare a product with absolute limits.

        Returns
        -------
        int
            Bits of the class's ``Flags``: ``quality_flags`` of the product, which is no
            progenitor of others then.
        """
        del made, parameters
        return 0

    def compare(self, made: Made, previous: Mapping[str, Any], parameters: ClassParameters) -> int:
        """Compare a product with the attributes of the version before.

        Returns
        -------
        int
            Bits of the class's ``Flags``: ``compare_flags`` of the product, for people to look
            at. They do not make it unfit, because the same inputs have to give the same product
            whatever was there before.
        """
        del made, previous, parameters
        return 0

    @property
    def rows(self) -> Array:
        """Its catalogue rows as a structured array; NaN is "no value"."""
        return read_rows(self._archive, type(self).ROWS, self._record.product_id)

    @classmethod
    def get(
        cls,
        *,
        date: str | None = None,
        chip: str | None = None,
        instrument: str | None = None,
        filter: str | None = None,
        raw: str | None = None,
        field: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        script: str | Path | None = None,
    ) -> Any:  # noqa: ANN401  # an instance of the class
        """Exists and up to date? else make, recursively.

        Parameters
        ----------
        date
            A UT day ``YYYY-MM-DD``, or a moment ``YYYY-MM-DDThh:mm:ss``: the object observed on
            that day, else the one whose validity covers it.
        chip, instrument, filter
            Names; may be left out where only one is possible.
        raw
            File name of the raw frame, for classes made per frame.
        field
            Name of the field, for classes made per field; their filter is the standard band.
        parameters
            Process parameters of this call, of the class and of what it is made from:
            ``{"BiasFrame.process_params.SIGMA_CLIP": 5.0}``; :class:`reduction.pars.Pars` has
            the keys. What they touch is made (or found) for the caller and not published.
        script
            Hash of a script, or its file: its classes and steps take the place of the archive's,
            likewise for the caller alone.

        Raises
        ------
        NotFoundError
            If no such target exists, or several do; lists what there is.
        ParameterError
            If a parameter has an unknown name or another type.
        AuthorizationError
            If the script may not run.
        ReductionError
            If it cannot be made; says why.
        """
        from reduction.archive import Archive  # noqa: PLC0415  # the archive knows the classes

        words = {"date": date, "chip": chip, "instrument": instrument, "filter": filter}
        return Archive.current().get(
            cls.__name__, parameters=parameters, script=script, **words, raw=raw, field=field
        )


class CalibrationTarget(ProcessTarget):
    """A calibration: made per chip and night, valid over a range of time."""

    ANCHOR = Anchor.NIGHT


class FrameTarget(ProcessTarget):
    """A product of one raw science frame."""

    ANCHOR = Anchor.FRAME
    ANCHOR_CLASSES = ("RawScienceFrame",)


class FieldTarget(ProcessTarget):
    """A product of all frames of a field (of one band, with ``Anchor.FIELD_AND_FILTER``)."""

    ANCHOR = Anchor.FIELD
    ANCHOR_CLASSES = ("RawScienceFrame",)


class FrameInFieldTarget(ProcessTarget):
    """A product of one raw science frame for one field."""

    ANCHOR = Anchor.FRAME_AND_FIELD
    ANCHOR_CLASSES = ("RawScienceFrame",)
