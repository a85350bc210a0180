"""Values written as text, as TABLEDATA holds them: a column of texts to one of numbers."""

from __future__ import annotations

__all__ = ["field_of_texts"]

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from schemas.blocks import Fixed, Layout, Ragged, packed
from schemas.errors import UploadError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from schemas.columns import Column

_BOOLEANS: Final = {
    **dict.fromkeys(("true", "t", "1"), True),
    **dict.fromkeys(("false", "f", "0"), False),
}
_HEXADECIMAL: Final = re.compile(r"0[xX][0-9a-fA-F]+", re.ASCII)
_WHOLE: Final = re.compile(r"[+-]?[0-9]+", re.ASCII)
_UNUSUAL: Final = re.compile(r"[_xX]")
_REAL: Final = re.compile(
    r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?inf(?:inity)?|[+-]?nan",
    re.ASCII | re.IGNORECASE,
)


def field_of_texts(
    column: Column, texts: Sequence[str | None], *, first: int, null: str | None = None
) -> Fixed | Ragged:
    """Read a column's cells.

    Parameters
    ----------
    column
        Its declaration.
    texts
        Cells of consecutive rows; None where there is no value.
    first
        Number of the first of these rows, from 1.
    null
        The text that stands for no value (VOTable's VALUES null), None if none does. Of truth
        values it is ``?``.

    Raises
    ------
    UploadError
        Naming row, column, what was found and what was expected.

    Notes
    -----
    Standard: VOTable-1.4 5.1 and 6: an empty cell is a null, and so is NaN.
    """
    layout = Layout.of(column)
    if layout.dtype is None:
        nulls = np.fromiter((t is None for t in texts), np.bool_, len(texts))
        return packed([b"" if t is None else t.encode("utf-8", "replace") for t in texts], nulls)
    if layout.dtype.kind == "b":
        null = "?"
    if null is not None:
        texts = [None if text is None or text.strip() == null else text for text in texts]
    if layout.scalar:
        return _scalars(column, layout.dtype, texts, first)
    nulls = np.fromiter((t is None for t in texts), np.bool_, len(texts))
    pieces = []
    for row, text in enumerate(texts, first):
        piece = b"" if text is None else _array(column, layout.dtype, layout.count, text, row)
        nulls[row - first] |= piece is None
        pieces.append(piece or b"")
    return packed(pieces, nulls)


def _scalars(
    column: Column, dtype: np.dtype[Any], texts: Sequence[str | None], first: int
) -> Fixed:
    values = _numbers(column, dtype, texts, first, _nothing(dtype))
    nulls = np.fromiter((text is None for text in texts), np.bool_, len(texts))
    if dtype.kind == "f":
        nulls |= np.isnan(values)
    return Fixed(values, nulls)


def _nothing(dtype: np.dtype[Any]) -> float:
    return float("nan") if dtype.kind == "f" else 0


def _array(
    column: Column, dtype: np.dtype[Any], count: int | None, text: str, row: int
) -> bytes | None:
    """Items of one cell; None where all of an array of fixed size are NaN (DALI-1.1 3.3)."""
    words = text.split()
    if dtype.kind == "b" and len(words) == 1 and set(text.strip()) <= {"0", "1"}:
        words = list(words[0])  # bits may stand without blanks between
    if count is not None and len(words) != count:
        raise UploadError(
            f"row {row}, column {column.name}: found {len(words)} values, expected {count}"
        )
    items = _numbers(column, dtype, words, row, 0, same_row=True)
    if count and dtype.kind == "f" and np.isnan(items).all():
        return None
    return items.tobytes()


def _numbers(
    column: Column,
    dtype: np.dtype[Any],
    texts: Sequence[str | None],
    first: int,
    nothing: float,
    *,
    same_row: bool = False,
) -> np.ndarray[Any, Any]:
    convert = _converter(dtype, texts)
    try:
        values = [nothing if text is None else convert(text) for text in texts]
        if dtype.kind in "iu":
            limits = np.iinfo(dtype)
            if values and not limits.min <= min(values) <= max(values) <= limits.max:
                raise ValueError  # noqa: TRY301  # which one is found below
        with np.errstate(over="ignore"):
            return np.array(values, dtype)
    except (ValueError, KeyError):
        for place, text in enumerate(texts):
            if text is not None and not _fits(convert, dtype, text):
                row = first if same_row else first + place
                raise UploadError(
                    f"row {row}, column {column.name}: found {_shown(text)}, expected "
                    f"{_expected(column, dtype)}"
                ) from None
        raise


def _fits(convert: Callable[[str], Any], dtype: np.dtype[Any], text: str) -> bool:
    try:
        value = convert(text)
    except (ValueError, KeyError):
        return False
    return dtype.kind not in "iu" or np.iinfo(dtype).min <= value <= np.iinfo(dtype).max


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "...")


def _expected(column: Column, dtype: np.dtype[Any]) -> str:
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return f"a whole number of {limits.min} to {limits.max} ({column.datatype})"
    return "true or false" if dtype.kind == "b" else f"a number ({column.datatype})"


def _converter(dtype: np.dtype[Any], texts: Sequence[str | None]) -> Callable[[str], Any]:
    if dtype.kind == "b":
        return lambda text: _BOOLEANS[text.strip().lower()]
    whole = dtype.kind in "iu"
    everything = "".join([text for text in texts if text])
    if everything.isascii() and not _UNUSUAL.search(everything):
        return int if whole else float  # which read more than they should elsewhere
    return _whole if whole else _real


def _whole(text: str) -> int:
    text = text.strip()
    if _WHOLE.fullmatch(text):
        return int(text)
    if _HEXADECIMAL.fullmatch(text):
        return int(text, 16)
    raise ValueError(text)


def _real(text: str) -> float:
    text = text.strip()
    if not _REAL.fullmatch(text):
        raise ValueError(text)
    return float(text)
