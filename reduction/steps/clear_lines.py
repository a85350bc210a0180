"""How much brighter lines are than both their sides, and which of them stand for one another."""

from __future__ import annotations

__all__ = ["ClearLines", "clear_lines"]

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.line import Line
from reduction.steps.radon import STEP, line_sums, padded_height

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    Array = NDArray[np.float32]

#: A line is three pixels wide, each of its sides five, so far from its middle.
_APART: Final = 5
_EDGE: Final = _APART + 2

#: What the brighter side counts for: of wide light there has to be a rim.
_BRIGHTER: Final = np.float32(0.6)

#: Part of a side's pixels that have to be in the image for it to count.
_KNOWN: Final = 0.4

#: Whether x and y of an image are exchanged, and its columns mirrored, so that lines lean to the
#: right whose normal is in each eighth of a turn. Those that differ by so little, radians, run
#: side by side.
_TURNS: Final = ((False, True), (True, True), (True, False), (False, False))
_LITTLE: Final = 0.02

#: Leans that are looked at together.
_CHUNK: Final = 16

#: Of how many lines one counts for the scatter of all, and fewest that tell it.
_SAMPLE: Final = 101
_FEWEST: Final = 50

#: Part of a line that lies on another which is the same.
_SAME: Final = 0.5

#: Lines that are kept, at most: the clearest.
_MOST: Final = 20_000


@dataclass(slots=True)
class ClearLines:
    """Lines of an image, and how clear they are.

    Attributes
    ----------
    clear
        By how much each is brighter than its sides, in units of what lines scatter by, shape (n,).
    ends
        Where each enters and leaves the image, (x, y), 0-based pixels, shape (2, 2, n).
    """

    clear: Array
    ends: Array

    def best(self) -> tuple[Line, float] | None:
        """The clearest line, and how clear it is; None where none is left."""
        if self.clear.size == 0:
            return None
        at = int(self.clear.argmax())
        (x0, y0), (x1, y1) = self.ends[:, :, at].tolist()
        return Line.through((x0, y0), (x1, y1)), float(self.clear[at])

    def take_out(self, line: Line, reach: float, least: float) -> None:
        """Take from each what it shares with the clearest, and forget what is not clear then.

        Parameters
        ----------
        line
            Where the clearest is.
        reach
            Half its width, pixels.
        least
            How clear those have to be that are kept.
        """
        length = np.hypot(*(self.ends[1] - self.ends[0]))
        best = int(self.clear.argmax())
        share = self._shared(line, reach)
        share[best] = 1.0
        light = float(self.clear[best]) * np.sqrt(length / length[best])
        clear = self.clear - (share * light).astype(np.float32)
        keep = clear > least
        self.clear, self.ends = clear[keep], self.ends[:, :, keep]

    def leave_out(self, line: Line, reach: float) -> None:
        """Forget lines that are within reach of another over most of their length."""
        keep = self._shared(line, reach) < _SAME
        self.clear, self.ends = self.clear[keep], self.ends[:, :, keep]

    def _shared(self, line: Line, reach: float) -> NDArray[np.float64]:
        """Part of each that is within reach of a line."""
        begin, end = (line.offset(x, y) for x, y in self.ends)
        step = (end - begin).astype(np.float64)
        step[np.abs(step) < 1e-6] = 1e-6
        enter, leave = np.sort([(-reach - begin) / step, (reach - begin) / step], axis=0)
        return np.asarray(np.clip(leave, 0.0, 1.0) - np.clip(enter, 0.0, 1.0))


def clear_lines(
    image: Array, shortest: float, least: float, *, beside: Iterable[Line] | None = None
) -> ClearLines:
    """The lines of an image that are brighter than both their sides.

    Parameters
    ----------
    image
        Shape (ny, nx); 0 where nothing is known. No pixel should count for much.
    shortest
        Shortest line that is looked for, pixels.
    least
        By how much they are brighter, in units of what the lines of this image scatter by: among
        stars by more than the noise.
    beside
        Only those that run about as these do; without it at all angles.
    """
    turns = (
        _TURNS
        if beside is None
        else sorted({_turn(line, by) for line in beside for by in (-1, 1)})
    )
    tables = [_contrast(_seen_from(image, *turn), shortest) for turn in turns]
    values = np.concatenate([table.reshape(-1)[::_SAMPLE] for table in tables])
    values = values[np.isfinite(values)]
    if values.size < _FEWEST:
        return ClearLines(np.zeros(0, np.float32), np.zeros((2, 2, 0), np.float32))
    usual = np.median(values)
    scatter = max(1.4826 * np.median(np.abs(values - usual)), np.float32(1e-6))
    kept = []
    for table, (turned, mirrored) in zip(tables, turns, strict=True):
        shape = image.T.shape if turned else image.shape
        t, at = np.divmod(np.flatnonzero(table > usual + least * scatter), table.shape[1])
        ends = _ends(t, at, shape)
        if mirrored:
            ends[:, 0] = shape[1] - 1 - ends[:, 0]
        kept.append(((table[t, at] - usual) / scatter, ends[:, ::-1] if turned else ends))
    clear = np.concatenate([one for one, _ in kept])
    ends = np.concatenate([one for _, one in kept], axis=2)
    if clear.size > _MOST:
        most = np.argpartition(clear, -_MOST)[-_MOST:]
        clear, ends = clear[most], ends[:, :, most]
    return ClearLines(clear, ends)


def _turn(line: Line, by: float) -> tuple[bool, bool]:
    """How an image is turned where a line, turned by a little, leans to the right."""
    return _TURNS[int((line.angle + by * _LITTLE) % math.pi / (math.pi / 4.0)) % 4]


def _seen_from(image: Array, turned: bool, mirrored: bool) -> Array:  # noqa: FBT001
    """The image with x and y exchanged, and the other way round: all lines lean to the right."""
    image = image.T if turned else image
    return image[:, ::-1] if mirrored else image


def _ends(t: NDArray[np.intp], at: NDArray[np.intp], shape: tuple[int, ...]) -> Array:
    """Where lines of the sums enter and leave an image, shape (2, 2, n)."""
    ny, nx = shape
    height = padded_height(ny)
    x, lean = (at - height).astype(np.float64), float(STEP) * t / (height - 1)
    lean = np.maximum(lean, 1e-9)
    begin = np.maximum(np.ceil((-0.5 - x) / lean), 0.0)
    end = np.minimum(np.floor((nx - 0.5 - x) / lean), ny - 1.0)
    return np.asarray([[x + lean * y, y] for y in (begin, end)], dtype=np.float32)


def _contrast(image: Array, shortest: float) -> Array:
    """Mean of lines above that of the brighter side, times the root of their pixels' number.

    Returns
    -------
    ndarray
        Of the shape of the sums; NaN where a line is short or both sides are outside.
    """
    sums = _sums(image)
    middle, side, root = _weights(image.shape, shortest)
    for rows, first in _leans(sums, image.shape):
        here = np.s_[rows, first + _EDGE : -_EDGE]
        lines, beside = _boxes(sums[rows, first:])
        lines *= middle[here]
        beside *= side[rows, first + 2 : -2]
        left, right = beside[:, : -2 * _APART], beside[:, 2 * _APART :]
        lines -= _BRIGHTER * np.fmax(left, right)
        lines -= (1 - _BRIGHTER) * np.fmin(left, right)
        np.multiply(lines, root[here], out=sums[here])
        sums[rows, : first + _EDGE] = np.nan
    sums[:, -_EDGE:] = np.nan
    return sums


def _sums(image: Array) -> Array:
    """Sums along lines of an image with some dark columns on its right: sides may lie there."""
    return line_sums(np.pad(image, ((0, 0), (0, _EDGE))))


def _leans(sums: Array, shape: tuple[int, ...]) -> Iterator[tuple[slice, int]]:
    """Some rows of the sums at a time, and the first place of which a line is in the image."""
    left = sums.shape[1] - shape[1] - _EDGE
    for start in range(0, len(sums), _CHUNK):
        rows = slice(start, start + _CHUNK)
        yield rows, max(left - STEP * (start + _CHUNK) - _EDGE, 0)


def _boxes(sums: Array) -> tuple[Array, Array]:
    """Sums over three neighbours, without ``_EDGE`` places at each end, and five, without two."""
    two = sums[:, :-1] + sums[:, 1:]
    three = two[:, :-1] + sums[:, 2:]
    five = three[:, :-2] + two[:, 3:]
    return three[:, _EDGE - 1 : 1 - _EDGE], five


@lru_cache(maxsize=4)
def _weights(shape: tuple[int, int], shortest: float) -> tuple[Array, Array, Array]:
    """What sums over lines, sums over sides, and the contrast are multiplied with.

    Not to be changed. NaN where a line is too short or leans too much, or a side is outside.
    """
    pixels = _sums(np.ones(shape, np.float32))
    number, beside = np.zeros_like(pixels), np.zeros_like(pixels)
    number[:, _EDGE:-_EDGE], beside[:, 2:-2] = _boxes(pixels)
    lean = float(STEP) * np.arange(len(pixels)) / (padded_height(shape[0]) - 1)
    length = pixels * np.hypot(1.0, lean)[:, None].astype(np.float32)
    number[(length < shortest) | (lean > 1.0)[:, None]] = np.nan
    least = np.zeros_like(pixels)
    least[:, _APART:] = pixels[:, :-_APART]
    least[:, :-_APART] = np.maximum(least[:, :-_APART], pixels[:, _APART:])
    beside[beside <= 5 * _KNOWN * least] = np.nan
    return 1.0 / number, 1.0 / beside, np.sqrt(number)
