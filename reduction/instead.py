"""What there is instead, where words that people have for targets find none."""

from __future__ import annotations

__all__ = ["is_named", "said_instead"]

import datetime as dt
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import and_, func, literal, or_, select

from reduction.frame_keys import SUFFIX, file_stem
from schemas.tables import Field, Product, Target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.orm import Session

    from reduction.archive import Archive

_T = TypeVar("_T")

_SHOWN: Final = 12
_NIGHTS_SHOWN: Final = 5
_LIKE: Final = 0.6

#: Values before and behind the one that was asked for, in the order of the alphabet, that are
#: looked at: names of a million frames are no sentence.
_NEAR: Final = 500

_NAME: Final = Product.attributes["name"].astext
_COLUMNS: Final[dict[str, ColumnElement[str]]] = {
    "instrument": Target.instrument.expression,
    "chip": Target.chip.expression,
    "filter": Target.filter.expression,
    "night": func.to_char(Target.night, "YYYY-MM-DD"),
    "raw": _NAME,
    "field": Field.name.expression,
}


def is_named(raw: str) -> ColumnElement[bool]:
    """Whether a raw frame's file has a name, with or without its suffix, as SQL on Product.

    As the index of raw frames' names can use it.
    """
    stem = file_stem(raw)
    bare = func.regexp_replace(_NAME, SUFFIX, "", "i")
    named = or_(raw == _NAME, and_(func.starts_with(_NAME, stem), bare == stem))
    return and_(Product.target_id.is_(None), named)


def said_instead(archive: Archive, class_name: str, asked: Mapping[str, str]) -> str:
    """Say what targets of a class there are, for each word that is to blame for finding none.

    Parameters
    ----------
    asked
        Values by word: instrument, chip, filter, night (or date), raw, field.

    Returns
    -------
    str
        End of a sentence: names that look alike first, the nearest nights, or, where there is
        no target of the class at all, what would bring one into being.
    """
    with archive.transaction() as session:
        number = session.scalar(_of(class_name, func.count(), {})) or 0
        if number == 0:
            return _none_yet(archive, session, class_name)
        words = {("night" if word == "date" else word): value for word, value in asked.items()}
        known = {w: v for w, v in words.items() if _is_there(session, class_name, {w: v})}
        blamed = [word for word in words if word not in known] or list(words)
        said = []
        for word in blamed:
            others = {w: v for w, v in known.items() if w != word}
            alike = others if _is_there(session, class_name, others) else {}
            said.append(_values(session, class_name, word, words[word], alike))
    return f"there are {number}" + (f", of {'; '.join(said)}" if said else "")


def _of(class_name: str, what: ColumnElement[_T], words: Mapping[str, str]) -> Select[_T]:
    """Something of the targets of a class that words describe."""
    query = (
        select(what)
        .select_from(Target)
        .outerjoin(Product, Product.product_id == Target.raw_id)
        .outerjoin(Field, Field.field_id == Target.field_id)
        .where(Target.class_name == class_name)
    )
    for word, value in words.items():
        if word == "raw":
            query = query.where(is_named(value))
        else:
            query = query.where(_COLUMNS[word] == (value[:10] if word == "night" else value))
    return query


def _is_there(session: Session, class_name: str, words: Mapping[str, str]) -> bool:
    return session.scalar(_of(class_name, literal(1), words).limit(1)) is not None


def _values(
    session: Session, class_name: str, word: str, asked: str, others: Mapping[str, str]
) -> str:
    """What there is for a word, such as ``chip ccd50, ccd51``."""
    column = _COLUMNS[word]
    found = _of(class_name, column, others).where(column != "").distinct()
    number = session.scalar(select(func.count()).select_from(found.subquery())) or 0
    if number == 0:
        what = "raw frame" if word == "raw" else word
        return f"no {what}: a {class_name} is not made for each {what}"
    before = found.where(column <= asked).order_by(column.desc()).limit(_NEAR)
    after = found.where(column > asked).order_by(column).limit(_NEAR)
    values = {value for query in (before, after) for value in session.scalars(query)}
    if word == "night":
        return f"night {_cut(_by_distance(asked, values), number, _NIGHTS_SHOWN)}"
    folded = {value.upper(): value for value in sorted(values)}
    near = get_close_matches(asked.upper(), folded, n=3, cutoff=_LIKE)
    likely = [folded[name] for name in near]
    return f"{word} {_cut([*likely, *sorted(values - set(likely))], number, _SHOWN)}"


def _by_distance(asked: str, nights: set[str]) -> list[str]:
    try:
        wanted = dt.date.fromisoformat(asked[:10])
    except ValueError:
        return sorted(nights)
    return sorted(nights, key=lambda n: (abs(dt.date.fromisoformat(n) - wanted), n))


def _cut(values: Sequence[str], number: int, most: int) -> str:
    """The first of so many values, and how many there are beside them."""
    shown = values[:most]
    more = number - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _none_yet(archive: Archive, session: Session, class_name: str) -> str:
    """What would bring the first target of a class into being, and what raw frames there are."""
    cls = archive.registry.target(class_name)
    counted: list[tuple[str, int]] = [
        (name, number)
        for name, number in session.execute(
            select(Product.class_name, func.count())
            .where(Product.target_id.is_(None), Product.instrument != "")
            .group_by(Product.class_name)
            .order_by(Product.class_name)
        )
    ]
    there: Any = dict(counted)
    if cls.ANCHOR.per_field and any(name in there for name in cls.ANCHOR_CLASSES):
        return "there is none yet: it is made for fields, `vo-service field add` declares one"
    frames = ", ".join(f"{number} {name}" for name, number in counted) or "no raw frames"
    wanted = " or ".join(cls.ANCHOR_CLASSES)
    return f"there is none yet: it is made where there is a {wanted}, and there are {frames}"
