"""Targets by the words that people have for them."""

from __future__ import annotations

__all__ = ["find_target", "targets_matching"]

import datetime as dt
import re
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select

from reduction.fields import find_field
from reduction.frame_keys import SUFFIX, file_stem
from reduction.instead import said_instead
from schemas.errors import NotFoundError, ParameterError
from schemas.tables import Product, Target

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    """
    names = {"chip": chip, "instrument": instrument, "filter": filter, "raw": raw, "field": field}
    everything = targets_matching(archive, class_name, **names)
    found = everything if date is None else _of_day(everything, date)
    if len(found) == 1:
        return found[0]
    words = {"date": date} | names
    asked = {word: value for word, value in words.items() if value is not None}
    said = ", ".join(f"{word}={value!r}" for word, value in asked.items()) or "no restriction"
    if not found:
        instead = said_instead(archive, class_name, asked)
        raise NotFoundError(f"no {class_name} for {said}: {instead}")
    known = ", ".join(target.identity for target in found[:_SHOWN])
    raise NotFoundError(f"{len(found)} {class_name} for {said}: there are {known}")


def _of_day(targets: Sequence[Target], date: str) -> Sequence[Target]:
    """Those observed on a day or at a moment; else the newest whose validity covers it."""
    start, end = _day(date)
    observed = [t for t in targets if start <= t.moment < end]
    if observed:
        return observed
    middle = (start + end) / 2
    covering = [
        t
        for t in targets
        if t.validity_start is not None
        and t.validity_end is not None
        and t.validity_start <= middle <= t.validity_end
    ]
    return sorted(covering, key=lambda t: (t.created, t.target_id))[-1:]


def targets_matching(
    archive: Archive,
    class_name: str,
    *,
    chip: str | None = None,
    instrument: str | None = None,
    filter: str | None = None,
    raw: str | None = None,
    field: str | None = None,
) -> Sequence[Target]:
    """All targets of a class that the names describe, oldest observation first.

    Raises
    ------
    NotFoundError
        If there is no such class or field.
    """
    archive.registry.target(class_name)
    query = select(Target).where(Target.class_name == class_name)
    for column, value in (
        (Target.chip, chip),
        (Target.instrument, instrument),
        (Target.filter, filter),
    ):
        if value is not None:
            query = query.where(column == value)
    if raw is not None:
        name = Product.attributes["name"].astext
        query = query.join(Product, Product.product_id == Target.raw_id).where(
            (name == raw) | (func.regexp_replace(name, SUFFIX, "", "i") == file_stem(raw))
        )
    with archive.transaction() as session:
        if field is not None:
            query = query.where(Target.field_id == find_field(session, field).field_id)
        return session.scalars(query.order_by(Target.moment, Target.target_id)).all()


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
