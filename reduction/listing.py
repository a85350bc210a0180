"""Objects as people look them over: what there is, and how it was judged."""

from __future__ import annotations

__all__ = ["Listed", "listed", "said_of_none"]

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, or_, select, text
from sqlalchemy.orm import aliased

from reduction.fields import find_field
from reduction.frame_keys import SUFFIX, file_stem
from reduction.instead import none_yet, others_said
from reduction.parameters import near_names
from reduction.quality import QualityFlags, describe_flags
from schemas.errors import NotFoundError, ParameterError
from schemas.recipe_tables import Edit
from schemas.tables import Field, Product, Publication, Target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Select

    from reduction.archive import Archive


_RAW = aliased(Product)
_NAME = func.coalesce(_RAW.attributes["name"].astext, Product.attributes["name"].astext)
_PUBLISHED = select(Publication.product_id).where(Publication.published_to == text("'infinity'"))

_COLUMNS: Final[dict[str, ColumnElement[str]]] = {
    "instrument": Product.instrument.expression,
    "chip": Product.chip.expression,
    "filter": Product.filter.expression,
    "night": func.to_char(Product.night, "YYYY-MM-DD"),
    "raw": _NAME,
    "field": Field.name.expression,
}

_LAST_EDIT = (
    select(func.max(Edit.edit_id))
    .where(Edit.product_id == Product.product_id, Edit.field == "is_valid")
    .correlate(Product)
    .scalar_subquery()
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
    if unknown := sorted(words.keys() - _COLUMNS.keys()):
        raise ParameterError(unknown[0], words[unknown[0]], near_names(unknown[0], _COLUMNS))
    what = (Product, _NAME, Field.name, Edit.who, Edit.why)
    with archive.transaction() as session:
        if words.get("field") is not None:
            words["field"] = find_field(session, words["field"] or "").name
        query = (
            _of(_kind(class_name, is_valid, flagged=flagged), what, _said(words))
            .outerjoin(Edit, Edit.edit_id == _LAST_EDIT)
            .order_by(Product.moment, Product.product_id)
        )
        rows = session.execute(query.limit(limit)).all()
    return [
        Listed(product, name or "", place or "", _flags(archive, product), who or "", why or "")
        for product, name, place, who, why in rows
    ]


def said_of_none(
    archive: Archive,
    class_name: str | None = None,
    *,
    is_valid: int | None = None,
    flagged: bool = False,
    **words: str | None,
) -> str:
    """What there is where :func:`listed` finds nothing, as a sentence; empty for nothing at all.

    Parameters are those of :func:`listed`.
    """
    kind, asked = _kind(class_name, is_valid, flagged=flagged), _said(words)

    def of(what: ColumnElement[Any], words: Mapping[str, str]) -> Select[Any]:
        """Something of what there is of that kind."""
        return _of(kind, (what,), words)

    with archive.transaction() as session:
        number = session.scalar(of(func.count(), {})) or 0
        if number:
            thing = f"a {class_name}" if class_name else "what there is"
            said = others_said(session, of, asked, thing, _COLUMNS)
            return f"there {'is' if number == 1 else 'are'} {number}{said}"
        if class_name is None or is_valid is not None or flagged:
            return ""
        of_class = select(func.count()).where(Target.class_name == class_name)
        if targets := session.scalar(of_class) or 0:
            return (
                f"{targets} of them can be asked for and none is made: `vo-service make "
                f"{class_name}` makes them, `vo-service why {class_name}` says how they are"
            )
        return none_yet(archive, session, class_name)


def _kind(
    class_name: str | None, is_valid: int | None, *, flagged: bool
) -> list[ColumnElement[bool]]:
    """Conditions on class, judgement and flags."""
    found: list[ColumnElement[bool]] = []
    if class_name is not None:
        found.append(Product.class_name == class_name)
    if is_valid is None:
        found.append(or_(Product.target_id.is_(None), Product.product_id.in_(_PUBLISHED)))
    else:
        found.append(Product.is_valid == is_valid)
    if flagged:
        found.append(Product.quality_flags != 0)
    return found


def _said(words: Mapping[str, str | None]) -> dict[str, str]:
    """The words that were said, a night as a date."""
    said = {word: value for word, value in words.items() if value is not None}
    return said | {word: _date(said[word]).isoformat() for word in said if word == "night"}


def _of(
    kind: list[ColumnElement[bool]], what: Sequence[Any], words: Mapping[str, Any]
) -> Select[Any]:
    """Columns of objects of a kind that words describe."""
    query: Select[Any] = (
        select(*what)
        .select_from(Product)
        .outerjoin(Target, Target.target_id == Product.target_id)
        .outerjoin(_RAW, _RAW.product_id == Target.raw_id)
        .outerjoin(Field, Field.field_id == Target.field_id)
        .where(*kind)
    )
    for word, value in words.items():
        if word == "raw":
            stem = func.regexp_replace(_NAME, SUFFIX, "", "i")
            query = query.where(or_(value == _NAME, stem == file_stem(value)))
        elif word == "night":
            query = query.where(Product.night == dt.date.fromisoformat(value))
        else:
            query = query.where(_COLUMNS[word] == value)
    return query


def _date(said: str | dt.date) -> dt.date:
    try:
        return dt.date.fromisoformat(str(said))
    except ValueError as error:
        raise ParameterError("night", said, "a date such as 2025-03-01") from error


def _flags(archive: Archive, product: Product) -> str:
    known = getattr(archive.registry.classes.get(product.class_name), "Flags", QualityFlags)
    return describe_flags(known, product.quality_flags)
