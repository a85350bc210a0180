"""The compiled part of the way from the database to an answer, where there is one.

Everything works without it, by numpy and ``bytes``, only slower. ``VO_KERNEL=off`` in the
environment leaves it aside: for tests, and for whoever doubts it.
"""

from __future__ import annotations

__all__ = ["KERNEL", "spec_of"]

from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.blocks import WIRE, Layout
from schemas.compiled import compiled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.columns import Column


#: The module ``schemas._frames``, or None; asked for at every use.
KERNEL: Any = compiled("schemas._frames", abi=1)

_FLAG, _WHOLE, _REAL, _TEXT, _WHOLES, _REALS = range(6)


def spec_of(columns: Sequence[Column]) -> bytes:
    """Say in the compiled part's words how values come and go.

    Returns
    -------
    bytes
        For each column four int32: kind, bytes of an item on the wire, bytes of an item in the
        answer, items of a value (-1 where it varies).
    """
    return np.array([_words(column) for column in columns], np.int32).tobytes()


def _words(column: Column) -> tuple[int, int, int, int]:
    layout = Layout.of(column)
    count = -1 if layout.count is None else layout.count
    if layout.dtype is None:
        return _TEXT, 1, 1, count
    wire = WIRE.get(column.datatype, layout.dtype).itemsize
    size = layout.dtype.itemsize
    real = layout.dtype.kind == "f"
    if layout.scalar:
        flag = layout.dtype.kind == "b"
        return _FLAG if flag else _REAL if real else _WHOLE, wire, size, 1
    return _REALS if real else _WHOLES, wire, size, count
