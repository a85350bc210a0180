"""Which columns of an uploaded table are its position."""

from __future__ import annotations

__all__ = ["position_of"]

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.columns import Column


def position_of(columns: Sequence[Column]) -> tuple[int, int] | None:
    """Find right ascension and declination: by their UCDs, or where no UCD is given, by name.

    Parameters
    ----------
    columns
        Of the table.

    Returns
    -------
    tuple of int or None
        Their numbers from 0; None if the table has no such two columns of doubles in degrees.
    """
    pair = [_only(columns, f"pos.eq.{word};meta.main") for word in ("ra", "dec")]
    if None in pair:
        pair = [_named(columns, word) for word in ("ra", "dec")]
    ra, dec = pair
    return None if ra is None or dec is None else (ra, dec)


def _usable(column: Column) -> bool:
    return column.datatype == "double" and column.arraysize is None and column.unit in {"", "deg"}


def _only(columns: Sequence[Column], ucd: str) -> int | None:
    found = [n for n, one in enumerate(columns) if one.ucd.lower() == ucd and _usable(one)]
    return found[0] if len(found) == 1 else None


def _named(columns: Sequence[Column], name: str) -> int | None:
    found = [n for n, one in enumerate(columns) if one.name.lower() == name and _usable(one)]
    return found[0] if len(found) == 1 else None
