"""Raw frames whose place another description of the same pixels has taken."""

from __future__ import annotations

__all__ = ["DESCRIBED", "SUPERSEDED", "successor"]

from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from schemas.recipe_tables import Edit

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

#: Field of the edit that says it: from the object of before to the one of now.
DESCRIBED: Final = "description"

#: Numbers of the raw frames of before.
SUPERSEDED: Final = select(Edit.product_id).where(
    Edit.field == DESCRIBED, Edit.product_id.is_not(None)
)


def successor(session: Session, object_id: int) -> int | None:
    """Number of the object that took the place of a raw frame; None where none did."""
    query = select(Edit.new).where(Edit.field == DESCRIBED, Edit.product_id == object_id)
    found = session.scalar(query)
    return None if found is None else int(found)
