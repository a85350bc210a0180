"""What there is instead, where words that people have for targets find none."""

from __future__ import annotations

__all__ = ["Asked", "is_named", "none_yet", "others_said", "said_instead"]

import datetime as dt
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sqlalchemy import and_, func, literal, or_, select

from reduction.frame_keys import SUFFIX, file_stem
from schemas.tables import Field, Product, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.orm import Session

    from reduction.archive import Archive

Asked: TypeAlias = "Callable[[ColumnElement[Any], Mapping[str, str]], Select[Any]]"
"""The query for something of the objects, of some kind, that words describe.

Columns of words are those of :data:`_COLUMNS`, or others that say the same.
"""

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
    of = partial(_of, class_name)
    with archive.transaction() as session:
        number = session.scalar(of(func.count(), {})) or 0
        if number == 0:
            return none_yet(archive, session, class_name)
        words = {("night" if word == "date" else word): value for word, value in asked.items()}
        return f"there are {number}{others_said(session, of, words, f'a {class_name}')}"


def others_said(
    session: Session,
    of: Asked,
    words: Mapping[str, str],
    thing: str,
    columns: Mapping[str, ColumnElement[str]] | None = None,
) -> str:
    """Say which values there are for each word that is to blame for finding nothing.

    Parameters
    ----------
    of
        The query for what is looked at, of which there is some.
    words
        Values by word, as in :func:`said_instead`; empty where nothing is to blame.
    thing
        What is asked for, as "a BiasFrame".
    columns
        Of the words, where they are no targets'.

    Returns
    -------
    str
        End of a sentence that begins with ", of "; empty without words.
    """
    known = {w: v for w, v in words.items() if _is_there(session, of, {w: v})}
    blamed = [word for word in words if word not in known] or list(words)
    said = []
    for word in blamed:
        others = {w: v for w, v in known.items() if w != word}
        alike = others if _is_there(session, of, others) else {}
        column = (columns or _COLUMNS)[word]
        said.append(_values(session, of(column, alike), column, (word, words[word], thing)))
    return f", of {'; '.join(said)}" if said else ""


def _of(class_name: str, what: ColumnElement[Any], words: Mapping[str, str]) -> Select[Any]:
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


def _is_there(session: Session, of: Asked, words: Mapping[str, str]) -> bool:
    return session.scalar(of(literal(1), words).limit(1)) is not None


def _values(
    session: Session, query: Select[Any], column: ColumnElement[str], said: tuple[str, str, str]
) -> str:
    """What there is for a word, such as ``chip ccd50, ccd51``."""
    word, asked, thing = said
    found = query.where(column != "").distinct()
    number = session.scalar(select(func.count()).select_from(found.subquery())) or 0
    if number == 0:
        what = "raw frame" if word == "raw" else word
        return f"no {what}: {thing} is not made for each {what}"
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


def none_yet(archive: Archive, session: Session, class_name: str) -> str:
    """What would bring the first object of a class into being, and what raw frames there are."""
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
    frames = ", ".join(f"{number} {name}" for name, number in counted) or "no raw frames"
    cls: Any = archive.registry.classes[class_name]
    if not hasattr(cls, "ANCHOR"):
        return f"there are {frames}"
    if cls.ANCHOR.per_field and any(name in there for name in cls.ANCHOR_CLASSES):
        return "there is none yet: it is made for fields, `vo-service field add` declares one"
    wanted = " or ".join(cls.ANCHOR_CLASSES)
    return f"there is none yet: it is made where there is a {wanted}, and there are {frames}"
