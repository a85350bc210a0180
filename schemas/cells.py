"""Values as text, for the forms that hold text."""

from __future__ import annotations

__all__ = ["text_cells"]

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.blocks import Fixed, Layout, Ragged

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from schemas.columns import Column


def text_cells(
    column: Column, field: Fixed | Ragged, *, infinity: str = "Infinity"
) -> list[str | None]:
    """Say each value of a column.

    Parameters
    ----------
    column
        Its declaration.
    field
        Its values.
    infinity
        The word for it: ``Infinity``, which programs and languages read, or ``Inf``, which is
        VOTable's; then with a sign, always.

    Returns
    -------
    list of str or None
        One for each row: whole numbers in decimal; the shortest decimal that reads back as the
        same number for float and double, ``NaN``, ``+Inf``, ``-Inf``; ``true`` and ``false``;
        the items of an array with blanks between; texts as they are, not escaped. None where
        there is no value.

    Notes
    -----
    Standard: VOTable-1.4 2.1 and 5.1.
    """
    nulls = field.nulls.tolist()
    if isinstance(field, Fixed):
        said = _numbers(field.values, infinity)
    else:
        layout = Layout.of(column)
        pieces = field.pieces()
        if layout.dtype is None:
            said = [piece.decode() for piece in pieces]
        else:
            items = (np.frombuffer(piece, layout.dtype) for piece in pieces)
            said = [" ".join(_numbers(each, infinity)) for each in items]
    return [None if null else text for null, text in zip(nulls, said, strict=True)]


def _numbers(values: NDArray[Any], infinity: str) -> list[str]:
    if values.dtype.kind == "b":
        return ["true" if value else "false" for value in values.tolist()]
    if values.dtype.kind in "iu":
        return list(map(str, values.tolist()))
    single = values.dtype.itemsize == 4
    said = list(map(str, values.astype("f4") if single else values.tolist()))
    if np.isfinite(values).all():
        return said
    return [
        text if math.isfinite(value) else _special(value, infinity)
        for text, value in zip(said, values.tolist(), strict=True)
    ]


def _special(value: float, infinity: str) -> str:
    if math.isnan(value):
        return "NaN"
    if value < 0:
        return "-" + infinity
    return "+Inf" if infinity == "Inf" else infinity
