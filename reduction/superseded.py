"""Raw frames whose place another description of the same pixels has taken."""

from __future__ import annotations

__all__ = ["DESCRIBED", "NOT_SUPERSEDED", "successor"]

from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from schemas.recipe_tables import Edit
from schemas.tables import Product

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

#: Field of the edit that says it: from the object of before to the one of now.
DESCRIBED: Final = "description"

#: Of the products that a query is about, those whose place nothing took. Looked up product by
#: product by the index of edits, so that it costs the same however many were described again.
NOT_SUPERSEDED: Final = ~(
    select(Edit.edit_id)
    .where(Edit.field == DESCRIBED, Edit.product_id == Product.product_id)
    .correlate(Product)
    .exists()
)


def successor(session: Session, object_id: int) -> int | None:
    """Number of the object that took the place of a raw frame; None where none did."""
    query = select(Edit.new).where(Edit.field == DESCRIBED, Edit.product_id == object_id)
    found = session.scalar(query)
    return None if found is None else int(found)
