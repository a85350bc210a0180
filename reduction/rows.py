"""Catalogue rows of products: out of a structured array into their table, and back, in bulk.

Both ways are PostgreSQL's COPY (FORMAT binary), packed and unpacked by numpy as a whole: the rows
of a catalogue have numbers of fixed width, and "no value" is a matter of which bytes are sent.
"""

from __future__ import annotations

__all__ = ["copy_in", "copy_out", "copy_query", "insert_rows", "read_rows", "row_dtype"]

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import psycopg2
from psycopg2 import sql
from sqlalchemy import REAL, BigInteger, Boolean, Double, Integer, SmallInteger
from sqlalchemy.exc import DataError, DBAPIError

from schemas.errors import FatalError, ReductionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from sqlalchemy import Column
    from sqlalchemy.orm import Session

    from reduction.archive import Archive
    from schemas.tables import Base, Product

Array = np.ndarray[Any, Any]

_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER: Final = b"\xff\xff"
#: SQL type -> how the wire has it, how an array has it, and its PostgreSQL name. The narrower
#: types come first: they are kinds of the wider ones.
_KINDS: Final[tuple[tuple[type[Any], str, str, str], ...]] = (
    (SmallInteger, ">i2", "i8", "int2"),
    (BigInteger, ">i8", "i8", "int8"),
    (Integer, ">i4", "i8", "int4"),
    (REAL, ">f4", "f8", "float4"),
    (Double, ">f8", "f8", "float8"),
    (Boolean, "?", "?", "bool"),
)
_PIECE: Final = 1 << 16
_COUNT: Final = "number of values"  # no column has blanks in its name


def insert_rows(session: Session, table: type[Base], product: Product, rows: Array) -> None:
    """Enter the rows of a product.

    Parameters
    ----------
    table
        Its first two columns are ``product_id`` and a running number from 0.
    rows
        Structured array with the table's other columns; NaN becomes NULL.

    Raises
    ------
    ReductionError
        If a column is missing, or is not of numbers.
    """
    columns = _columns(table)
    given = {
        columns[0].name: np.broadcast_to(product.product_id, len(rows)),
        columns[1].name: np.arange(len(rows)),
    }
    values = {**{name: rows[name] for name in rows.dtype.names or ()}, **given}
    try:
        copy_in(session, table, values)
    except (FatalError, ValueError, TypeError) as error:
        raise ReductionError(str(error)) from error


def read_rows(archive: Archive, table: type[Base], product_id: int) -> Array:
    """Rows of a product in their order: all columns but ``product_id``; NULL numbers are NaN."""
    with archive.transaction() as session:
        return copy_out(session, table, [product_id])[list(row_dtype(table).names or ())[1:]]


def copy_in(session: Session, table: type[Base], values: dict[str, NDArray[Any]]) -> None:
    """Enter rows that are given column by column, in the session's transaction.

    Parameters
    ----------
    values
        Arrays of one length by column name; all columns of the table, others are left aside. NaN
        becomes NULL.

    Raises
    ------
    FatalError
        If a column is missing, or is not of numbers.
    sqlalchemy.exc.DBAPIError
        If the database refuses them; a DataError where a value is out of its column's range.
    """
    columns = _columns(table)
    missing = [column.name for column in columns if column.name not in values]
    if missing:
        message = f"rows for {table.__tablename__} have no column {', '.join(missing)}"
        raise FatalError(message)
    length = len(values[columns[0].name])
    if length == 0:
        return
    session.flush()
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(
        _name(table), sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)
    )
    pieces = (
        _packed(columns, {n: a[first : first + _PIECE] for n, a in values.items()})
        for first in range(0, length, _PIECE)
    )
    data = io.BytesIO(b"".join((_HEADER, *pieces, _TRAILER)))
    with _cursor(session) as cursor:
        cursor.copy_expert(statement, data)


def copy_out(
    session: Session,
    table: type[Base],
    product_ids: Sequence[int],
    names: Sequence[str] | None = None,
) -> Array:
    """Rows of some products, in the order of product and number.

    Parameters
    ----------
    names
        Columns wanted, in order; all where not given.

    Returns
    -------
    ndarray
        Structured; real numbers as float64 with NaN for NULL, whole ones as int64 with 0 for it.
    """
    columns = _columns(table)
    known = {column.name: column for column in columns}
    wanted = columns if names is None else [known[name] for name in names]
    query = sql.SQL("SELECT {} FROM {} WHERE {} = ANY({}) ORDER BY {}, {}").format(
        sql.SQL(", ").join(_known(column) for column in wanted),
        _name(table),
        sql.Identifier(columns[0].name),
        sql.Literal([int(number) for number in product_ids]),
        *(sql.Identifier(column.name) for column in columns[:2]),
    )
    data = io.BytesIO()
    with _cursor(session) as cursor:
        if product_ids:
            statement = sql.SQL("COPY ({}) TO STDOUT (FORMAT binary)").format(query)
            cursor.copy_expert(statement, data)
    wire = _wire(wanted)
    size = max(len(data.getbuffer()) - len(_HEADER) - len(_TRAILER), 0)
    sent = np.frombuffer(
        data.getbuffer(), wire, size // wire.itemsize, len(_HEADER) if size else 0
    )
    rows = np.empty(len(sent), _dtype(wanted))
    for column in wanted:
        rows[column.name] = sent[column.name]
    return rows


def copy_query(session: Session, query: str, names: Sequence[str]) -> Array:
    """Rows of a query whose first two columns are a product's number and a source's.

    Parameters
    ----------
    query
        SQL with all its values in it, as :mod:`sqlalchemy` writes them.
    names
        Of its other columns, which are numbers.

    Returns
    -------
    ndarray
        Structured: ``object_id`` and ``source_number`` (int64), by which they are ordered, and
        the names as float64 with NaN for NULL.
    """
    places = [f"c{number}" for number in range(len(names) + 2)]
    parts: list[sql.Composable] = [sql.SQL("c0::int8"), sql.SQL("c1::int4")]
    parts += [sql.SQL("coalesce({}::float8, 'NaN')").format(sql.Identifier(p)) for p in places[2:]]
    statement = sql.SQL(
        "COPY (SELECT {} FROM ({}) AS asked ({}) ORDER BY c0, c1) TO STDOUT (FORMAT binary)"
    ).format(
        sql.SQL(", ").join(parts),
        sql.SQL(query),
        sql.SQL(", ").join(map(sql.Identifier, places)),
    )
    data = io.BytesIO()
    with _cursor(session) as cursor:
        cursor.copy_expert(statement, data)
    fields = [("", ">i2"), ("n0", ">i4"), ("c0", ">i8"), ("n1", ">i4"), ("c1", ">i4")]
    for place in places[2:]:
        fields += [(f"{place} bytes", ">i4"), (place, ">f8")]
    sent = np.frombuffer(data.getvalue()[len(_HEADER) : -len(_TRAILER)], np.dtype(fields))
    kinds = [("object_id", "i8"), ("source_number", "i8"), *((name, "f8") for name in names)]
    rows = np.empty(len(sent), kinds)
    for place, (name, _) in zip(places, kinds, strict=True):
        rows[name] = sent[place]
    return rows


def row_dtype(table: type[Base]) -> np.dtype[Any]:
    """How an array has the rows of a table, all columns."""
    return _dtype(_columns(table))


def _dtype(columns: Sequence[Column[Any]]) -> np.dtype[Any]:
    return np.dtype([(column.name, _kind(column)[1]) for column in columns])


def _wire(columns: Sequence[Column[Any]]) -> np.dtype[Any]:
    """A row without nulls as COPY has it: number of fields, then length and value of each."""
    fields = [(_COUNT, ">i2")]
    for column in columns:
        fields += [(f"{column.name} bytes", ">i4"), (column.name, _kind(column)[0])]
    return np.dtype(fields)


def _kind(column: Column[Any]) -> tuple[str, str, str]:
    for kind, *words in _KINDS:
        if isinstance(column.type, kind):
            return words[0], words[1], words[2]
    message = f"column {column.name} is {column.type}: catalogue rows are of numbers"
    raise FatalError(message)


def _packed(columns: Sequence[Column[Any]], values: dict[str, NDArray[Any]]) -> bytes:
    """Rows as bytes; those of a value that is none are left out, and its length is -1."""
    wire = _wire(columns)
    rows = np.zeros(len(values[columns[0].name]), wire)
    rows[_COUNT] = len(columns)
    missing = []
    for column in columns:
        given = values[column.name]
        with np.errstate(over="ignore", invalid="ignore"):
            rows[column.name] = given
        _check(column, given, rows[column.name])
        length = np.full(len(rows), wire[column.name].itemsize)
        none = np.isnan(given) if given.dtype.kind == "f" else np.zeros(len(rows), np.bool_)
        if none.any():
            length[none] = -1
            missing.append((column.name, none))
        rows[f"{column.name} bytes"] = length
    if not missing:
        return rows.tobytes()
    kept = np.ones((len(rows), wire.itemsize), np.bool_)
    places: Mapping[str, tuple[Any, ...]] = wire.fields or {}
    for name, none in missing:
        offset = places[name][1]
        kept[none, offset : offset + wire[name].itemsize] = False
    return rows.view(np.uint8).reshape(len(rows), wire.itemsize)[kept].tobytes()


def _check(column: Column[Any], given: NDArray[Any], sent: NDArray[Any]) -> None:
    """See that numbers are in the range of their column.

    Raises
    ------
    sqlalchemy.exc.DataError
        As the database does, which sees only what is sent.
    """
    wrong = np.isinf(sent) & ~np.isinf(given) if sent.dtype.kind == "f" else sent != given
    if given.dtype.kind == "f":
        wrong &= ~np.isnan(given)
    if wrong.any():
        value = given[int(wrong.argmax())]
        message = f"column {column.name}: {value} is out of the range of {column.type}"
        raise DataError("COPY", None, ValueError(message))


def _known(column: Column[Any]) -> sql.Composable:
    """A column as rows of one width need it: never null."""
    if not column.nullable:
        return sql.Identifier(column.name)
    kind = _kind(column)
    nothing = "NaN" if kind[1] == "f8" else "0"
    return sql.SQL("coalesce({}, {}::{})").format(
        sql.Identifier(column.name), sql.Literal(nothing), sql.SQL(kind[2])
    )


def _name(table: type[Base]) -> sql.Composable:
    return sql.Identifier(str(table.__table__.schema), table.__tablename__)


@contextmanager
def _cursor(session: Session) -> Iterator[Any]:
    """The driver's cursor; its errors are SQLAlchemy's, as everywhere."""
    try:
        driver: Any = session.connection().connection
        with driver.cursor() as cursor:
            yield cursor
    except psycopg2.Error as error:
        raise DBAPIError.instance("COPY", None, error, psycopg2.Error) from error


def _columns(table: type[Base]) -> list[Column[Any]]:
    return cast("list[Column[Any]]", list(table.__table__.columns))
