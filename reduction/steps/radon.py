"""Sums of an image along straight lines: the fast Radon transform."""

from __future__ import annotations

__all__ = ["STEP", "line_sums", "padded_height"]

import math
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

#: Pixels by which a line leans more than the one before.
STEP: Final = 4

#: Blocks of rows that are put together at last, at most, and pairs of them before, at least.
_BLOCKS: Final = 8
_LEAST: Final = 3


def padded_height(ny: int) -> int:
    """Rows that the transform takes an image of ``ny`` for: as few more as it can have."""
    depth = _depth(ny)
    return math.ceil(ny / (1 << depth)) << depth


def _depth(ny: int) -> int:
    """How often blocks of rows are paired before the last step."""
    depths = [k for k in range(_LEAST, 16) if ny > 2 << k or k == _LEAST]
    depths = [k for k in depths if ny <= _BLOCKS << k] or depths[-1:]
    return min(depths, key=lambda k: (math.ceil(ny / (1 << k)) << k, -k))


def line_sums(image: Array) -> Array:
    """Sums along all lines that run up an image and lean to the right by 45 degrees at most.

    Parameters
    ----------
    image
        Shape (ny, nx), of more than 8 rows: lower ones have too few places for what leans.

    Returns
    -------
    ndarray
        Shape (height / STEP, height + nx), with the padded height: at [t, height + x] the sum of
        the pixels, one of each row, from x in row 0 to x + STEP t in row height - 1.

    Notes
    -----
    Brady 1998, SIAM J. Comput. 27, 107; for trails, Nir, Zackay & Ofek 2018, AJ 156, 229. Lines
    through two blocks of rows are sums of lines through each, so that log2(ny) additions make one
    instead of ny. A line is a pixel or two off a straight one at most. The last blocks, whose
    number need not be a power of two, are put together at once, and of every ``STEP``-th lean:
    its neighbours are a pixel or two off it at their ends.
    """
    ny, nx = image.shape
    depth = _depth(ny)
    blocks = padded_height(ny) >> depth
    shape = (blocks << depth, 1, nx + 2)
    last = (blocks, 1 << depth, nx + (2 << depth))
    # The first and the next sums of the pairs, in turn in the same memory. What leans reads on
    # into the places on the left of the next row, and beyond the last.
    flat, other = (np.zeros(max(_size(shape), _size(last)), np.float32) for _ in range(2))
    flat[: math.prod(shape)].reshape(shape)[:ny, 0, 2:] = image
    for _ in range(depth):
        shape = _paired(flat, shape, other)
        flat, other = other, flat
    return _together(flat, shape, nx)


def _size(shape: tuple[int, int, int]) -> int:
    """Values of sums by block, lean and place, and some beyond them."""
    return math.prod(shape) + shape[1] + shape[2]


def _view(flat: Array, first: int, shape: tuple[int, ...], steps: tuple[int, ...]) -> Array:
    """What lies in an array from one of its values on, in such steps."""
    size = flat.itemsize
    return np.ndarray(
        shape, flat.dtype, flat, offset=first * size, strides=[step * size for step in steps]
    )


def _paired(flat: Array, shape: tuple[int, int, int], made: Array) -> tuple[int, int, int]:
    """Sums through pairs of blocks: leans j and j make 2 j, and 2 j + 1 with one pixel between.

    Two places for each lean are on the left of the image, the farther half of them dark.
    """
    blocks, leans, width = shape
    new = blocks // 2, 2 * leans, width + 2 * leans
    made[math.prod(new) : _size(new)] = 0.0
    all_ = made[: math.prod(new)].reshape(new)
    all_[:, :, : 2 * leans] = 0.0
    below = _view(flat, 0, (blocks // 2, leans, width), (2 * leans * width, width, 1))
    for odd in (0, 1):
        above = _view(flat, leans * width + odd, below.shape, (2 * leans * width, width + 1, 1))
        np.add(below, above, out=all_[:, odd::2, 2 * leans :])
    return new


def _together(flat: Array, shape: tuple[int, int, int], nx: int) -> Array:
    """Sums through all blocks, of every ``STEP``-th lean: as :func:`line_sums`."""
    blocks, leans, width = shape
    height = blocks * leans
    row = height + nx
    sums = np.zeros((height // STEP, row), np.float32)
    flat_sums = sums.reshape(-1)
    for rest in range(blocks):  # t = blocks j + rest: a block leans by STEP j and what is left
        number = len(range(rest, len(sums), blocks))
        lean = STEP * rest // blocks
        for block in range(blocks):
            first = (block * leans + lean) * width
            part = _view(flat, first, (number, width), (STEP * width, 1))
            before = (2 * STEP * rest * block + blocks) // (2 * blocks)
            at = rest * row + row - width - before
            _view(flat_sums, at, part.shape, (blocks * row - STEP * block, 1))[...] += part
    return sums
