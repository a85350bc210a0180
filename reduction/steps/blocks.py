"""Planes that may be larger than memory, some rows at a time."""

from __future__ import annotations

__all__ = ["copied", "count_positive", "positive_median", "release", "row_blocks"]

import mmap
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Array = NDArray[Any]

#: Values looked at together.
_VALUES: Final = 1 << 22

#: Values of a plane up to which numpy's own median is the quicker one.
_FEW: Final = 1 << 22

#: A positive number's bits rise with it: the upper and the lower half of them are counted.
_HALF: Final = 16


def release(*planes: Any) -> None:  # noqa: ANN401  # arrays, and what has one as its base
    """Let go of the memory that planes in files take; what was written stays.

    Planes in memory are left alone.
    """
    mapped: dict[int, mmap.mmap] = {}
    for plane in planes:
        base = plane
        while base is not None and not isinstance(base, (memoryview, mmap.mmap)):
            base = getattr(base, "base", None)
        held = base.obj if isinstance(base, memoryview) else base
        if isinstance(held, mmap.mmap):
            mapped[id(held)] = held
    for held in mapped.values():
        held.madvise(mmap.MADV_DONTNEED)


def row_blocks(*planes: Array, values: int = _VALUES) -> Iterator[slice]:
    """Rows of planes of one shape, one block after the other; each is let go of after its turn.

    Parameters
    ----------
    planes
        Shape (ny, ...), one or more.
    values
        Of one plane in a block, about.
    """
    first = planes[0]
    rows = max(values // max(first[:1].size, 1), 1)
    for start in range(0, len(first), rows):
        yield slice(start, min(start + rows, len(first)))
        release(*planes)


def copied(plane: Array, rows: slice, columns: slice) -> Array:
    """A rectangle of a plane in memory of its own."""
    part = np.array(plane[rows, columns])
    release(plane)
    return part


def count_positive(plane: Array) -> int:
    """How many values are above 0."""
    return sum(int(np.count_nonzero(plane[rows] > 0)) for rows in row_blocks(plane))


def positive_median(plane: NDArray[np.float32]) -> float:
    """Median of the values above 0, the very number that ``numpy.median`` gives.

    Returns
    -------
    float
        NaN if there are none.
    """
    if plane.size <= _FEW:
        found = plane[plane > 0]
        return float(np.median(found)) if found.size else float("nan")
    upper = _counts(plane, None)
    total = int(upper.sum())
    if total == 0:
        return float("nan")
    ranks = (total - 1) // 2, total // 2
    sums = np.cumsum(upper)
    halves = [int(np.searchsorted(sums, rank, side="right")) for rank in ranks]
    counts = {half: _counts(plane, half) for half in set(halves)}
    pair = [
        _ranked(counts[half], half, rank - int(sums[half] - upper[half]))
        for half, rank in zip(halves, ranks, strict=True)
    ]
    return float(np.median(np.array(pair, np.float32)))


def _counts(plane: NDArray[np.float32], upper: int | None) -> NDArray[np.int64]:
    """How often each upper half of the bits comes, or each lower half below an upper one."""
    counts = np.zeros(1 << _HALF, np.int64)
    for rows in row_blocks(plane):
        block = plane[rows]
        bits = np.ascontiguousarray(block[block > 0]).view(np.uint32)
        if upper is not None:
            bits = bits[bits >> _HALF == upper] & np.uint32((1 << _HALF) - 1)
        else:
            bits >>= _HALF
        counts += np.bincount(bits, minlength=1 << _HALF)
    return counts


def _ranked(lower: NDArray[np.int64], upper: int, rank: int) -> np.float32:
    """The value of a rank, from 0, among those of one upper half of the bits."""
    half = int(np.searchsorted(np.cumsum(lower), rank, side="right"))
    return np.array([(upper << _HALF) + half], np.uint32).view(np.float32)[0]  # type: ignore[no-any-return]  # a float32
