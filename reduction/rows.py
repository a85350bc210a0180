"""Catalogue rows of products: out of a structured array into their table, and back."""

from __future__ import annotations

__all__ = ["insert_rows", "read_rows"]

from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import BigInteger, Integer, SmallInteger, Text, insert, select

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session

    from reduction.archive import Archive
    from schemas.tables import Base, Product

Array = np.ndarray[Any, Any]


def insert_rows(session: Session, table: type[Base], product: Product, rows: Array) -> None:
    """Enter the rows of a product.

    Parameters
    ----------
    table
        Its first two columns are ``product_id`` and a running number from 0.
    rows
        Structured array with the table's other columns; NaN becomes NULL.
    """
    if len(rows):
        session.execute(insert(table), list(_as_rows(table, product, rows)))


def read_rows(archive: Archive, table: type[Base], product_id: int) -> Array:
    """Rows of a product in their order: all columns but ``product_id``; NULL numbers are NaN."""
    columns = list(table.__table__.columns)[1:]
    query = select(*columns).where(table.__table__.columns["product_id"] == product_id)
    with archive.transaction() as session:
        found = session.execute(query.order_by(columns[0])).all()
    kinds = [(column.name, _dtype(column.type)) for column in columns]
    filled = [tuple(np.nan if value is None else value for value in row) for row in found]
    return np.array(filled, dtype=kinds)


def _dtype(kind: Any) -> str:  # noqa: ANN401  # an SQLAlchemy type
    if isinstance(kind, (BigInteger, Integer, SmallInteger)):
        return "i8"
    return "U64" if isinstance(kind, Text) else "f8"


def _as_rows(table: type[Base], product: Product, rows: Array) -> Iterator[dict[str, Any]]:
    names = [column.name for column in table.__table__.columns]
    values = {name: rows[name].tolist() for name in names[2:]}
    for number, row in enumerate(zip(*values.values(), strict=True)):
        known = {
            name: None if value != value else value  # noqa: PLR0124  # NaN is "no value"
            for name, value in zip(values, row, strict=True)
        }
        yield {names[0]: product.product_id, names[1]: number, **known}
