"""SIA-2.0: the parameters of a search become one SELECT on ``ivoa.obscore``."""

from __future__ import annotations

__all__ = ["DESCRIPTOR", "PARAMS", "PATH", "STANDARD_ID", "Rows", "run", "scope_of", "statement"]

import math
from contextlib import ExitStack
from functools import singledispatch
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy import ColumnElement
from sqlalchemy.dialects.postgresql import ARRAY, psycopg2

from reduction.published import dataset_classes
from reduction.scope import Circle as ScopeCircle
from reduction.scope import Scope
from schemas import footprints, sphere
from schemas.dali import InputParam, ServiceDescriptor, TableResult
from schemas.errors import BusyError, FatalError, TimeLimitError
from schemas.maxrec import NO_ROWS, overflow_text, row_limit
from schemas.obscore import OBSCORE, OBSCORE_COLUMNS
from schemas.values import Circle, Interval, Polygon, Range, Shape
from sia.datalink import links_descriptor, soda_descriptor
from sia.protocol import PARAMS, STANDARD_ID, snapshot
from sia.regions import bounding_cap
from sia.resolve import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reduction.archive import Archive
    from schemas.dali import Params
    from schemas.database import Connection

_FLOATS: Final[ARRAY[Any]] = ARRAY(sa.Double())
_VIEW: Final = sa.table(
    OBSCORE.name, *(sa.column(column.name) for column in OBSCORE_COLUMNS), schema=OBSCORE.schema
)
_OVERLAPS: Final = {"BAND": ("em_min", "em_max"), "TIME": ("t_min", "t_max")}
_WITHIN: Final = {
    "FOV": "s_fov",
    "SPATRES": "s_resolution",
    "SPECRP": "em_res_power",
    "EXPTIME": "t_exptime",
    "TIMERES": "t_resolution",
}
_EQUALS: Final = {
    "ID": "obs_publisher_did",
    "COLLECTION": "obs_collection",
    "FACILITY": "facility_name",
    "INSTRUMENT": "instrument_name",
    "DPTYPE": "dataproduct_type",
    "CALIB": "calib_level",
    "TARGET": "target_name",
    "FORMAT": "access_format",
}


PATH: Final = "/sia2/query"
_BLOCK_ROWS: Final = 2000
_LARGE: Final = 45.0  # degrees: from there on most images are looked at anyway
_CANCELLED: Final = "57014"
_BUSY: Final = ("08", "40", "53", "55", "57")

DESCRIPTOR: Final = ServiceDescriptor(
    "this",
    PATH,
    STANDARD_ID,
    tuple(InputParam(param) for param in PARAMS),
    description="This search of images",
    content_type="application/x-votable+xml",
)
"""The search describes itself (SIA-2.0 3.1.2)."""


def run(params: Params, archive: Archive) -> TableResult:
    """Search images; what the answer needs is made fresh before.

    Parameters
    ----------
    params
        Values of :data:`sia.protocol.PARAMS`.
    archive
        Makes fresh what the search touches, and opens the snapshot.

    Returns
    -------
    TableResult
        Every ObsCore column, ordered by dataset identifier. Must be closed: it holds a snapshot.

    Raises
    ------
    TransientError
        If what it needs cannot be made, or answered, in time.

    Notes
    -----
    Standard: SIA-2.0 3; DALI-1.1 3.4.4 (with MAXREC=0 nothing is searched or made).
    """
    limits = archive.settings.limits
    described = (links_descriptor(), soda_descriptor(), DESCRIPTOR)
    if params["MAXREC"] == 0:
        return TableResult(
            OBSCORE_COLUMNS, iter(()), (), described, overflowed=lambda: True, overflow=NO_ROWS
        )
    limit = row_limit(params["MAXREC"], limits)
    prefix = archive.dataset_id("")
    text, values = statement(params, limit=limit + 1, prefix=prefix)
    scope = scope_of(params, prefix, dataset_classes(archive.registry))
    with ExitStack() as stack:
        answering = stack.enter_context(snapshot(archive, scope, params))
        rows = Rows(answering.connection, text, values, limit=limit)
        return TableResult(
            OBSCORE_COLUMNS,
            rows.blocks(),
            answering.report.infos(),
            described,
            overflowed=rows.overflowed,
            overflow=overflow_text(params["MAXREC"], limits),
            close=stack.pop_all().close,
        )


def scope_of(params: Params, prefix: str, classes: frozenset[str]) -> Scope:
    """Targets that could contribute to the answer of a search.

    Parameters
    ----------
    params
        Values of :data:`sia.protocol.PARAMS`.
    prefix
        What identifiers of the archive's datasets begin with.
    classes
        Those whose images are datasets.

    Returns
    -------
    Scope
        Restricted by one region, one time interval, cameras and identifiers.
    """
    time = params["TIME"]
    finite = len(time) == 1 and math.isfinite(time[0].lower) and math.isfinite(time[0].upper)
    return Scope(
        classes=classes,
        instruments=frozenset(params["INSTRUMENT"]) or None,
        region=_one_region(params["POS"]),
        time=(time[0].lower, time[0].upper) if finite else None,
        datasets=frozenset(canonical(text, prefix) for text in params["ID"]) or None,
    )


def _one_region(shapes: tuple[Shape, ...]) -> ScopeCircle | None:
    cap = bounding_cap(shapes[0]) if len(shapes) == 1 else None
    if cap is None:
        return None
    return ScopeCircle(cap.circle.ra, cap.circle.dec, cap.circle.radius + 1e-9)


def statement(params: Params, *, limit: int, prefix: str) -> tuple[str, dict[str, Any]]:
    """Write the search as SQL.

    Parameters
    ----------
    params
        Values of :data:`sia.protocol.PARAMS`.
    limit
        Rows at most.
    prefix
        What identifiers of the archive's datasets begin with.

    Returns
    -------
    str, dict
        A statement in the driver's paramstyle, and the values of its parameters: no text of the
        request is ever part of the statement.
    """
    query = (
        sa.select(*map(_sent, _VIEW.columns))
        .where(*_conditions(params, prefix))
        .order_by(_VIEW.c.obs_publisher_did)
        .limit(limit)
    )
    compiled = query.compile(
        dialect=psycopg2.dialect(),  # type: ignore[no-untyped-call]  # untyped in SQLAlchemy
    )
    return str(compiled), dict(compiled.params)


def _sent(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A column as the answer has it: outlines are stored as arrays and sent as STC-S."""
    if column.key != "s_region":
        return column
    return sa.func.vo.stcs(column, type_=sa.Text).label(column.key)


def _conditions(params: Params, prefix: str) -> list[ColumnElement[bool]]:
    """Conditions on the view's rows; a row that does not know a column meets none on it.

    Notes
    -----
    Standard: SIA-2.0 2.1.1 to 2.1.17.
    """
    c = _VIEW.c
    alternatives: list[list[ColumnElement[bool]]] = [
        [_meets(shape) for shape in params["POS"]],
        [c.pol_states.contains(f"/{state}/", autoescape=True) for state in params["POL"]],
    ]
    for name, (low, high) in _OVERLAPS.items():
        alternatives.append([_overlaps(c[low], c[high], value) for value in params[name]])
    for name, column in _WITHIN.items():
        alternatives.append([_overlaps(c[column], c[column], value) for value in params[name]])
    for name, column in _EQUALS.items():
        values = params[name]
        if name == "ID":
            values = [canonical(text, prefix) for text in values]
        kind: Any = sa.Integer() if name == "CALIB" else sa.Text()
        given = sa.any_(sa.literal(list(values), ARRAY(kind)))
        alternatives.append([c[column] == given] if values else [])
    return [sa.or_(*given) for given in alternatives if given]


def _overlaps(
    low: ColumnElement[Any], high: ColumnElement[Any], value: Interval
) -> ColumnElement[bool]:
    """Whether ``[low, high]`` and the interval share a value; null bounds share none."""
    return sa.and_(high >= _number(value.lower), low <= _number(value.upper))


@singledispatch
def _meets(shape: Shape) -> ColumnElement[bool]:
    """Whether the image's outline meets a shape; an image without outline meets none."""
    raise TypeError(f"no such shape: {shape!r}")


@_meets.register
def _(shape: Circle) -> ColumnElement[bool]:
    return _near(shape) & _intersects([shape.ra, shape.dec, shape.radius])


@_meets.register
def _(shape: Polygon) -> ColumnElement[bool]:
    return _near(shape) & _intersects(shape.flat)


@_meets.register
def _(shape: Range) -> ColumnElement[bool]:
    width = shape.ra2 - shape.ra1
    numbers = (shape.ra1, width if width >= 0 else width + 360, shape.dec1, shape.dec2)
    met = sa.func.vo.meets_range(_VIEW.c.s_region, *map(_number, numbers), type_=sa.Boolean)
    low, high = _VIEW.c.s_dec - _reach(), _VIEW.c.s_dec + _reach()
    return _overlaps(low, high, Interval(shape.dec1, shape.dec2)) & _near(shape) & met


def _intersects(numbers: list[float]) -> ColumnElement[bool]:
    given = sa.cast(sa.literal(numbers, _FLOATS), _FLOATS)
    return sa.func.vo.intersects(_VIEW.c.s_region, given, type_=sa.Boolean)


def _near(shape: Shape) -> ColumnElement[bool]:
    """Whether the circles around image and shape meet: by the index, and never too few."""
    cap = bounding_cap(shape)
    if cap is None:
        return sa.true()
    c, circle = _VIEW.c, cap.circle
    within = (_number(circle.ra), _number(circle.dec), _number(circle.radius) + _reach())
    meet = sa.func.vo.within(c.s_ra, c.s_dec, *within, type_=sa.Boolean)
    if circle.radius >= _LARGE:
        return meet
    arms = footprints.reaches(sphere.Cap(circle.ra, circle.dec, circle.radius + 1e-6))
    return sa.or_(*map(_centred, arms)) & meet


def _centred(reach: footprints.Reach) -> ColumnElement[bool]:
    """Whether an image's centre is where those of some classes of size can be."""
    first, last = reach.zones
    zone: ColumnElement[Any] = sa.literal_column(sphere.zone_expression("s_dec"))
    size: ColumnElement[Any] = sa.literal_column(footprints.size_expression("s_fov"))
    within: ColumnElement[bool] = zone.between(first, last)
    if reach.listed:
        within = zone == sa.any_(sa.literal(list(range(first, last + 1)), ARRAY(sa.Integer)))
    place = (size == sa.any_(sa.literal(list(reach.sizes), ARRAY(sa.Integer)))) & within
    if not reach.ranges:
        return place
    return sa.or_(*(place & _VIEW.c.s_ra.between(low, high) for low, high in reach.ranges))


def _reach() -> ColumnElement[float]:
    """Degrees around its centre that an image stays within; ``s_fov`` is never NULL."""
    return _VIEW.c.s_fov * _number(footprints.MARGIN / 2) + _number(1e-6)


def _number(value: float) -> ColumnElement[float]:
    return sa.literal(value, sa.Double())


class Rows:
    """Rows of a statement in blocks; the first block is there when the object is.

    Parameters
    ----------
    connection
        Of the reader role, within the snapshot.
    text, values
        As :func:`statement` gives them.
    limit
        Rows handed over at most; the statement should ask for one more.

    Raises
    ------
    TimeLimitError, BusyError, FatalError
        If the statement fails.
    """

    def __init__(
        self,
        connection: Connection,
        text: str,
        values: dict[str, Any],
        *,
        limit: int,
    ) -> None:
        self._connection = connection
        self._cursor = connection.cursor(name="images")
        self._left = limit
        self._more = False
        self._first = self._fetch(text, values)

    def blocks(self) -> Iterator[list[tuple[Any, ...]]]:
        """All rows, block after block."""
        block = self._first
        while block:
            if len(block) > self._left:
                self._more = True
                block = block[: self._left]
            self._left -= len(block)
            if block:
                yield block
            block = [] if self._more else self._fetch()

    def overflowed(self) -> bool:
        """Whether there were more rows than the limit; known after the last block."""
        return self._more

    def _fetch(
        self, text: str = "", values: dict[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        try:
            if text:
                self._cursor.execute(text, values)
            found: list[tuple[Any, ...]] = self._cursor.fetchmany(_BLOCK_ROWS)
        except self._connection.Error as error:
            raise _voiced(error.pgcode or "") from error
        return found


def _voiced(code: str) -> Exception:
    """What a code of PostgreSQL's (SQLSTATE) means to who asked."""
    if code == _CANCELLED:
        return TimeLimitError("the search took longer than its limit: ask for a smaller region")
    if code[:2] in _BUSY:
        return BusyError("the database cannot answer at this moment")
    return FatalError("the database refused the search")
