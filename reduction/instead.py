"""What there is instead, where words that people have for targets find none."""

from __future__ import annotations

__all__ = ["said_instead"]

import datetime as dt
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select

from reduction.frame_keys import file_stem
from schemas.tables import Field, Product, Target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reduction.archive import Archive

    _Row = Mapping[str, str]

_SHOWN: Final = 12
_NIGHTS_SHOWN: Final = 5
_LIKE: Final = 0.6


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
    rows = _rows(archive, class_name)
    if not rows:
        return _none_yet(archive, class_name)
    words = {("night" if word == "date" else word): value for word, value in asked.items()}
    known = {w: v for w, v in words.items() if any(_is(row, w, v) for row in rows)}
    blamed = [word for word in words if word not in known] or list(words)
    said = []
    for word in blamed:
        others = {w: v for w, v in known.items() if w != word}
        alike = [row for row in rows if all(_is(row, w, v) for w, v in others.items())]
        values = {row[word] for row in alike or rows} - {""}
        said.append(_values(class_name, word, words[word], values))
    return f"there are {len(rows)}" + (f", of {'; '.join(said)}" if said else "")


def _rows(archive: Archive, class_name: str) -> list[_Row]:
    """Every target of a class, by the words that people have for it; empty where one has none."""
    query = (
        select(
            Target.instrument,
            Target.chip,
            Target.filter,
            Target.night,
            Product.attributes["name"].astext,
            Field.name,
        )
        .outerjoin(Product, Product.product_id == Target.raw_id)
        .outerjoin(Field, Field.field_id == Target.field_id)
        .where(Target.class_name == class_name)
    )
    words = ("instrument", "chip", "filter", "night", "raw", "field")
    with archive.transaction() as session:
        return [
            {word: str(value or "") for word, value in zip(words, row, strict=True)}
            for row in session.execute(query)
        ]


def _is(row: _Row, word: str, value: str) -> bool:
    if word == "night":
        return row[word] == value[:10]
    if word == "raw":
        return row[word] == value or file_stem(row[word]) == file_stem(value)
    return row[word] == value


def _values(class_name: str, word: str, asked: str, values: set[str]) -> str:
    """What there is for a word, such as ``chip ccd50, ccd51``."""
    if not values:
        what = "raw frame" if word == "raw" else word
        return f"no {what}: a {class_name} is not made for each {what}"
    if word == "night":
        return f"night {_cut(_by_distance(asked, values), _NIGHTS_SHOWN)}"
    folded = {value.upper(): value for value in sorted(values)}
    near = get_close_matches(asked.upper(), folded, n=3, cutoff=_LIKE)
    likely = [folded[name] for name in near]
    return f"{word} {_cut([*likely, *sorted(values - set(likely))], _SHOWN)}"


def _by_distance(asked: str, nights: set[str]) -> list[str]:
    try:
        wanted = dt.date.fromisoformat(asked[:10])
    except ValueError:
        return sorted(nights)
    return sorted(nights, key=lambda n: (abs(dt.date.fromisoformat(n) - wanted), n))


def _cut(values: Sequence[str], most: int) -> str:
    more = len(values) - most
    return ", ".join(values[:most]) + (f" and {more} more" if more > 0 else "")


def _none_yet(archive: Archive, class_name: str) -> str:
    """What would bring the first target of a class into being, and what raw frames there are."""
    cls = archive.registry.target(class_name)
    with archive.transaction() as session:
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
