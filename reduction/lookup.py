"""Targets by the words that people have for them."""

from __future__ import annotations

__all__ = ["find_target", "targets_matching"]

import datetime as dt
import re
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select

from reduction.fields import find_field
from reduction.instead import is_named, said_instead
from schemas.errors import NotFoundError, ParameterError
from schemas.tables import Product, Target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Select
    from sqlalchemy.orm import Session

    from reduction.archive import Archive

_MJD_EPOCH: Final = dt.datetime(1858, 11, 17, tzinfo=dt.UTC)
_SHOWN: Final = 8


def find_target(
    archive: Archive,
    class_name: str,
    *,
    date: str | None = None,
    chip: str | None = None,
    instrument: str | None = None,
    filter: str | None = None,
    raw: str | None = None,
    field: str | None = None,
) -> Target:
    """Find the one target that the words describe; see :meth:`ProcessTarget.get`.

    Raises
    ------
    NotFoundError
        If there is none, or more than one; lists what there is.
    ParameterError
        If a name or the date is no text.
    """
    _see_texts({"date": date})
    names = {"chip": chip, "instrument": instrument, "filter": filter, "raw": raw, "field": field}
    with archive.transaction() as session:
        query = _matching(archive, session, class_name, names)
        if date is not None:
            query = _of_day(session, query, date)
        found = session.scalars(query.limit(_SHOWN)).all()
        number = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    if number == 1:
        return found[0]
    words = {"date": date} | names
    asked = {word: value for word, value in words.items() if value is not None}
    said = ", ".join(f"{word}={value!r}" for word, value in asked.items()) or "no restriction"
    if not found:
        instead = said_instead(archive, class_name, asked)
        raise NotFoundError(f"no {class_name} for {said}: {instead}")
    known = ", ".join(target.identity for target in found)
    more = f" and {number - len(found)} more" if number > len(found) else ""
    raise NotFoundError(f"{number} {class_name} for {said}: there are {known}{more}")


def _of_day(session: Session, query: Select[Target], date: str) -> Select[Target]:
    """Those observed on a day or at a moment; else the newest whose validity covers it."""
    start, end = _day(date)
    observed = query.where(Target.moment >= start, Target.moment < end)
    if session.scalars(observed.limit(1)).one_or_none() is not None:
        return observed
    middle = (start + end) / 2
    covering = query.where(Target.validity_start <= middle, Target.validity_end >= middle)
    return (
        covering.order_by(None).order_by(Target.created.desc(), Target.target_id.desc()).limit(1)
    )


def targets_matching(
    archive: Archive,
    class_name: str,
    *,
    chip: str | None = None,
    instrument: str | None = None,
    filter: str | None = None,
    night: str | None = None,
    raw: str | None = None,
    field: str | None = None,
) -> Sequence[Target]:
    """All targets of a class that the names describe, oldest observation first.

    Parameters
    ----------
    night
        Date on which the night began, ``YYYY-MM-DD``.

    Raises
    ------
    NotFoundError
        If there is no such class or field.
    ParameterError
        If the night is no date, or a name is no text.
    """
    names = {"chip": chip, "instrument": instrument, "filter": filter, "raw": raw, "field": field}
    with archive.transaction() as session:
        query = _matching(archive, session, class_name, names)
        if night is not None:
            query = query.where(Target.night == _night(night))
        return session.scalars(query).all()


def _matching(
    archive: Archive, session: Session, class_name: str, names: Mapping[str, str | None]
) -> Select[Target]:
    """The query for the targets of a class that names describe, oldest observation first."""
    archive.registry.target(class_name)
    _see_texts(names)
    query = select(Target).where(Target.class_name == class_name)
    for column in (Target.chip, Target.instrument, Target.filter):
        if (value := names[column.key]) is not None:
            query = query.where(column == value)
    if (raw := names["raw"]) is not None:
        query = query.join(Product, Product.product_id == Target.raw_id).where(is_named(raw))
    if (field := names["field"]) is not None:
        query = query.where(Target.field_id == find_field(session, field).field_id)
    return query.order_by(Target.moment, Target.target_id)


def _see_texts(said: Mapping[str, object]) -> None:
    """See that what is said of a target at the prompt are texts, as they all are."""
    for word, value in said.items():
        if value is not None and not isinstance(value, str):
            raise ParameterError(word, value, f"a text: {word}={str(value)!r}")


def _night(said: str) -> dt.date:
    """The date that a word for a night says."""
    try:
        return dt.date.fromisoformat(said.strip())
    except ValueError as error:
        raise ParameterError("night", said, "a date such as 2025-03-01") from error


def _day(date: str) -> tuple[float, float]:
    """Beginning and end, MJD, of a UT day or of a moment."""
    try:
        moment = dt.datetime.fromisoformat(date.strip())
    except ValueError as error:
        expected = "YYYY-MM-DD or YYYY-MM-DDThh:mm:ss (UTC)"
        raise ParameterError("date", date, expected) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    start = (moment - _MJD_EPOCH) / dt.timedelta(days=1)
    whole_day = re.fullmatch(r"\s*\d{4}-?\d{2}-?\d{2}\s*", date) is not None
    return start, start + (1.0 if whole_day else 1e-9)
