"""Products and raw frames as the archive's Python objects ask for them."""

from __future__ import annotations

__all__ = [
    "brought_back",
    "called",
    "count",
    "held",
    "inputs_of",
    "product",
    "progenitors",
    "search",
    "with_file",
]

from typing import TYPE_CHECKING, Any

from sqlalchemy import column, func, select, table, text

from reduction.damage import Held
from schemas.errors import NotFoundError
from schemas.tables import File, Product, Publication

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

    from reduction.target import DBObject

_LINEAGE = table(
    "current_lineage",
    column("product_id"),
    column("role"),
    column("position"),
    column("progenitor_id"),
    schema="vo",
)


def search(
    session: Session, cls: type[DBObject], condition: ColumnElement[bool]
) -> Sequence[Product]:
    """Published products of a class that meet a condition, oldest observation first."""
    query = _published(select(Product), cls).where(condition)
    return session.scalars(query.order_by(Product.moment, Product.product_id)).all()


def count(session: Session, cls: type[DBObject], condition: ColumnElement[bool]) -> int:
    """Number of published products of a class that meet a condition."""
    query = _published(select(func.count()).select_from(Product), cls)
    return int(session.scalar(query.where(condition)) or 0)


def _published(query: Any, cls: type[DBObject]) -> Any:  # noqa: ANN401  # a Select of any shape
    current = select(Publication.product_id).where(Publication.published_to == text("'infinity'"))
    return query.where(
        Product.class_name == cls.__name__,
        Product.target_id.is_(None) | Product.product_id.in_(current),
    )


def product(session: Session, object_id: int) -> Product:
    """A product or raw frame by its number.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    row = session.get(Product, object_id)
    if row is None:
        raise NotFoundError(f"there is no object {object_id}; see archive.products")
    return row


def called(product: Product) -> str:
    """What to call a product or raw frame in a sentence: its class, number, and what it is of."""
    night = "" if product.night is None else product.night.isoformat()
    of = [product.attributes.get("name") if product.target_id is None else None]
    of += [product.instrument, product.chip, product.filter, night]
    words = ", ".join(str(word) for word in of if word)
    return f"{product.class_name} object {product.product_id} ({words})"


def held(product: Product, path: Path) -> Held:
    """What to call the file of a product or raw frame, and what brings it back."""
    number, file = product.product_id, "/".join(path.parts[-3:])  # as the storage places it
    advice = brought_back(number, raw=product.target_id is None)
    return Held(f"{called(product)}: its file {file}", advice, number)


def brought_back(object_id: int, *, raw: bool) -> str:
    """What brings an object's file back, as the end of a sentence; of a raw frame a copy alone."""
    if raw:
        return f"`vo-service restore {object_id} --file COPY` brings it back from a copy"
    return f"`vo-service restore {object_id}` makes it again"


def with_file(session: Session, object_id: int) -> tuple[Product, File | None]:
    """A product or raw frame by its number, and its file if it has one.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    row = product(session, object_id)
    return row, None if row.file_id is None else session.get_one(File, row.file_id)


def inputs_of(session: Session, object_id: int) -> list[tuple[str, int]]:
    """Role and place of everything that a product was made from."""
    query = select(_LINEAGE.c.role, _LINEAGE.c.position).where(_LINEAGE.c.product_id == object_id)
    return [(role, position) for role, position in session.execute(query)]


def progenitors(session: Session, object_id: int, role: str) -> Sequence[Product]:
    """What a product was made from in one role, in order, as it stands today."""
    return session.scalars(
        select(Product)
        .join(_LINEAGE, _LINEAGE.c.progenitor_id == Product.product_id)
        .where(_LINEAGE.c.product_id == object_id, _LINEAGE.c.role == role)
        .order_by(_LINEAGE.c.position)
    ).all()
