"""Objects as people look them over: what there is, and how it was judged."""

from __future__ import annotations

__all__ = ["Listed", "listed"]

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, or_, select, text
from sqlalchemy.orm import aliased

from reduction.fields import find_field
from reduction.frame_keys import SUFFIX, file_stem
from reduction.parameters import near_names
from reduction.quality import QualityFlags, describe_flags
from schemas.errors import NotFoundError, ParameterError
from schemas.recipe_tables import Edit
from schemas.tables import Field, Product, Publication, Target

if TYPE_CHECKING:
    from sqlalchemy import Select

    from reduction.archive import Archive


_RAW = aliased(Product)
_NAME = func.coalesce(_RAW.attributes["name"].astext, Product.attributes["name"].astext)
_PUBLISHED = select(Publication.product_id).where(Publication.published_to == text("'infinity'"))

_WORDS: Final = frozenset(("instrument", "chip", "filter", "night", "raw", "field"))

_LAST_EDIT = (
    select(func.max(Edit.edit_id))
    .where(Edit.product_id == Product.product_id, Edit.field == "is_valid")
    .correlate(Product)
    .scalar_subquery()
)
_EVERYTHING: Select[Any] = (
    select(Product, _NAME, Field.name, Edit.who, Edit.why)
    .outerjoin(Target, Target.target_id == Product.target_id)
    .outerjoin(_RAW, _RAW.product_id == Target.raw_id)
    .outerjoin(Field, Field.field_id == Target.field_id)
    .outerjoin(Edit, Edit.edit_id == _LAST_EDIT)
    .order_by(Product.moment, Product.product_id)
)


@dataclass(frozen=True, slots=True)
class Listed:
    """One object, and who said what of it.

    Attributes
    ----------
    product
        Its row.
    name
        File of the raw frame that it is or belongs to; empty where there is none.
    field
        Name of its field; empty where it belongs to none.
    flags
        Names of its quality flags; empty for none.
    who, why
        Of the last change of ``is_valid``; empty where nobody changed it.
    """

    product: Product
    name: str
    field: str
    flags: str
    who: str
    why: str


def listed(
    archive: Archive,
    class_name: str | None = None,
    *,
    is_valid: int | None = None,
    flagged: bool = False,
    limit: int | None = None,
    **words: str | None,
) -> list[Listed]:
    """Raw frames and products, oldest observation first.

    Parameters
    ----------
    class_name
        Of which class; of all where None.
    is_valid
        0, 1 or 2: all that are so, published or not. None for raw frames and what is published.
    flagged
        Only those with quality flags.
    limit
        So many of the first at most; all where None.
    words
        ``instrument``, ``chip``, ``filter``, ``night`` (a date), ``raw`` (a file's name),
        ``field``: those of these.

    Raises
    ------
    NotFoundError
        If there is no such class or field.
    ParameterError
        If there is no such word, or the night is no date.
    """
    if class_name is not None and class_name not in archive.registry.classes:
        known = near_names(class_name, archive.registry.classes)
        raise NotFoundError(f"there is no class {class_name!r}, expected {known}")
    query = _EVERYTHING
    asked: dict[str, Any] = {"class_name": class_name, "is_valid": is_valid, **words}
    raw, field = asked.pop("raw", None), asked.pop("field", None)
    if unknown := sorted(words.keys() - _WORDS):
        raise ParameterError(unknown[0], words[unknown[0]], near_names(unknown[0], _WORDS))
    if asked.get("night") is not None:
        asked["night"] = _date(asked["night"])
    for name, value in asked.items():
        if value is not None:
            query = query.where(getattr(Product, name) == value)
    if flagged:
        query = query.where(Product.quality_flags != 0)
    if is_valid is None:
        query = query.where(or_(Product.target_id.is_(None), Product.product_id.in_(_PUBLISHED)))
    if raw is not None:
        stem = func.regexp_replace(_NAME, SUFFIX, "", "i")
        query = query.where(or_(raw == _NAME, stem == file_stem(raw)))
    with archive.transaction() as session:
        if field is not None:
            query = query.where(Target.field_id == find_field(session, field).field_id)
        rows = session.execute(query.limit(limit)).all()
    return [
        Listed(product, name or "", place or "", _flags(archive, product), who or "", why or "")
        for product, name, place, who, why in rows
    ]


def _date(said: str | dt.date) -> dt.date:
    try:
        return dt.date.fromisoformat(str(said))
    except ValueError as error:
        raise ParameterError("night", said, "a date such as 2025-03-01") from error


def _flags(archive: Archive, product: Product) -> str:
    known = getattr(archive.registry.classes.get(product.class_name), "Flags", QualityFlags)
    return describe_flags(known, product.quality_flags)
