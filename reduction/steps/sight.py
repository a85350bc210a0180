"""What is seen along a straight line: narrow light above both its sides, piece by piece."""

from __future__ import annotations

__all__ = ["Sight", "known_median", "ridge"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from reduction.steps.strip import LOW_ERROR, REACH, Strip, low_levels, row_medians

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reduction.steps.points import Frame

    Image = NDArray[np.float32]

#: Half widths of what is added up across a trail, pixels.
_HALVES: Final = (1.0, 2.0, 3.5)

#: Where the sky beside a trail begins: so many half widths and pixels from its middle, but not
#: farther than this part of what is seen; nearer beside an edge of the frame.
_AWAY: Final = (4.0, 2.0)
_MOST_AWAY: Final = 0.8
_CLOSER: Final = (2.5, 1.0)

#: Columns of a side with which it says something, and beside an edge of the frame.
_HARDLY: Final = 3

#: Pieces whose sides are compared together: a step or a slope goes on, a star does not.
_TOGETHER: Final = 5

#: Times that what lies beside a piece scatters more than elsewhere before it counts for itself.
_WILD: Final = 3.0

#: Largest distance of a trail from the line that was found for it, pixels, and by how much more
#: at its ends.
_ASIDE: Final = 12.0
_TURN: Final = 6

#: Pixels beside an edge of the frame that no trail is looked for in.
_GLOW: Final = 5.0

#: Standard deviations from which on a piece shows light.
_SHOWS: Final = 2.5

#: Standard deviations of a piece, at most, that count for a line: a star is no trail.
_CLIP: Final = 5.0


@dataclass(frozen=True, slots=True)
class Sight:
    """A line as it is seen.

    Attributes
    ----------
    strip
        The line.
    pieces
        Pixels by piece, shape (pieces, steps, 2 REACH + 1); NaN where bad or outside.
    light
        Low level of each column of each piece above the piece's sky, adu, shape (pieces, 2 REACH +
        1); NaN where hardly a pixel is valid.
    half
        Half the width that the signal is taken from, pixels.
    signal, error
        Mean light of each piece in that width and its error, adu, shape (pieces,). NaN where too
        little is valid.
    both
        Whether the sky on both sides of a piece is known, shape (pieces,).
    """

    strip: Strip
    pieces: Image
    light: Image
    half: float
    signal: Image
    error: Image
    both: NDArray[np.bool_]

    @classmethod
    def of(cls, frame: Frame, strip: Strip, noise: float, *, half: float | None = None) -> Self:
        """Look along a line.

        Parameters
        ----------
        frame
            The frame.
        strip
            The line in it.
        noise
            Of the frame's pixels, adu.
        half
            Half the width that is added up, pixels; without it that with most signal to noise.
        """
        pieces = strip.pieces(frame.image, frame.bad)
        levels, count = low_levels(pieces)
        column = (LOW_ERROR * noise / np.sqrt(np.maximum(count, 1))).astype(np.float32)
        halves = _HALVES if half is None else (half,)
        seen = [_light(levels, column, strip.scale, one) for one in halves]
        best = max(range(len(seen)), key=lambda k: known_median(seen[k][1] / seen[k][2]))
        return cls(strip, pieces, seen[best][0], halves[best], *seen[best][1:])

    @property
    def known(self) -> NDArray[np.bool_]:
        """Whether anything is known of each piece, shape (pieces,)."""
        return np.isfinite(self.signal)

    @property
    def shows(self) -> NDArray[np.bool_]:
        """Whether a piece shows light, shape (pieces,)."""
        return self.signal > _SHOWS * self.error

    @property
    def piece(self) -> float:
        """Length of a piece along the line, pixels."""
        return float(self.pieces.shape[1] * self.strip.stride / self.strip.scale)

    def total(self, first: int, last: int) -> float:
        """Significance of some pieces together, none of which counts for much by itself."""
        return _total(self.signal[first:last], self.error[first:last])


def _total(signal: Image, error: Image) -> float:
    """Significance of pieces together, in standard deviations; a bright one counts as a few."""
    each = np.clip(signal / error, -_CLIP, _CLIP)
    known = np.isfinite(each)
    number = int(known.sum())
    return float(each[known].sum() / math.sqrt(number)) if number else 0.0


def known_median(values: Image) -> float:
    """Median of what is known, 0 where nothing is."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else 0.0


def _light(
    levels: Image, column: Image, scale: float, half: float
) -> tuple[Image, Image, Image, NDArray[np.bool_]]:
    """As the attributes of a sight: light, signal, error, both."""
    offset = np.arange(-REACH, REACH + 1, dtype=np.float64) * scale
    sky, sky_error, both = _sky(levels, column, offset, half)
    light = levels - sky[:, None]
    signal, error = _mean(light, column, np.abs(offset) <= half)
    centres = np.arange(_away(half, offset) + half, offset[-1] - half + 0.5, 2.0 * half + 1.0)
    pairs = np.stack([-centres, centres], axis=1).ravel()
    least = _scatter(_windows(light, offset, pairs, half)) if pairs.size else np.float32(0.0)
    return light, signal, np.maximum(np.hypot(error, sky_error), least).astype(np.float32), both


def _windows(
    light: Image, offset: NDArray[np.float64], centres: NDArray[np.float64], half: float
) -> Image:
    """Mean light about some places by piece, shape (pieces, n); NaN where half is not known."""
    first = np.searchsorted(offset, centres - half - 1e-9)
    last = np.searchsorted(offset, centres + half + 1e-9)
    good = np.isfinite(light)
    sums, number = (
        np.pad(np.cumsum(values, axis=1, dtype=np.float64), ((0, 0), (1, 0)))
        for values in (np.where(good, light, 0), good)
    )
    number = number[:, last] - number[:, first]
    mean = (sums[:, last] - sums[:, first]) / np.maximum(number, 1)
    return np.where(2 * number >= last - first, mean, np.nan).astype(np.float32)


def _sky(
    levels: Image, column: Image, offset: NDArray[np.float64], half: float
) -> tuple[Image, Image, NDArray[np.bool_]]:
    """Level beside the line by piece, its error, and whether both sides are known.

    It is the mean of both sides, or that of the brighter one where one is brighter for some way.
    """
    away = _away(half, offset)
    sides = []
    for side in (-1.0, 1.0):
        far, near = side * offset >= away, side * offset >= _CLOSER[0] * half + _CLOSER[1]
        level = row_medians(levels[:, far])
        few = 2 * np.isfinite(levels[:, far]).sum(axis=1) < np.count_nonzero(far)
        if few.any():
            level[few] = _beside_edge(levels[few][:, near])
        sides.append(level)
    left, right = sides
    both = np.isfinite(left) & np.isfinite(right)
    reach = _TOGETHER // 2
    steps = np.pad(np.where(both, left - right, np.nan), reach, constant_values=np.nan)
    step = row_medians(np.lib.stride_tricks.sliding_window_view(steps, _TOGETHER))
    sky = np.where(
        both, (left + right + np.abs(step)) / 2, np.where(both | np.isnan(right), left, right)
    )
    number = np.isfinite(levels[:, np.abs(offset) >= away]).sum(axis=1)
    error = 1.2533 * column.min() / np.sqrt(np.maximum(number, _HARDLY))
    return sky.astype(np.float32), error.astype(np.float32), both


def _beside_edge(levels: Image) -> Image:
    """Level of a few columns between a line and an edge of the frame, which may glow."""
    ordered = np.sort(levels, axis=1)  # NaN last
    number = np.isfinite(levels).sum(axis=1)
    level = ordered[np.arange(len(levels)), number // 4] if levels.shape[1] else np.float32(np.nan)
    return np.where(number < _HARDLY, np.float32(np.nan), level)


def _away(half: float, offset: NDArray[np.float64]) -> float:
    """Where the sky beside a trail begins, pixels."""
    return float(min(_AWAY[0] * half + _AWAY[1], _MOST_AWAY * offset[-1]))


def _mean(light: Image, column: Image, part: NDArray[np.bool_]) -> tuple[Image, Image]:
    """Mean of some columns of each piece and its error; NaN where half are not known."""
    values = light[:, part]
    good = np.isfinite(values)
    number = good.sum(axis=1)
    sums = np.where(good, values, 0).sum(axis=1)
    mean = np.where(2 * number >= values.shape[1], sums / np.maximum(number, 1), np.nan)
    error = np.sqrt(np.where(good, column[:, part] ** 2, 0).sum(axis=1)) / np.maximum(number, 1)
    return mean.astype(np.float32), error.astype(np.float32)


def _scatter(beside: Image) -> Image:
    """By how much lines beside one scatter from piece to piece, for each piece.

    Parameters
    ----------
    beside
        Their light by piece, in pairs of both sides, shape (pieces, 2 n).
    """
    change = beside[:-2] - 2.0 * beside[1:-1] + beside[2:]  # without what a galaxy rises by
    change = np.abs(change[np.isfinite(change)])
    usual = 1.4826 / math.sqrt(6.0) * float(np.median(change)) if change.size >= 5 else 0.0
    pairs = (beside[:, ::2] + beside[:, 1::2]) / math.sqrt(2.0)  # without a slope
    pairs -= row_medians(pairs.T)  # nor what an edge glows by
    here = 1.4826 * np.nan_to_num(row_medians(np.abs(pairs)))
    return np.where(here > _WILD * usual, here, usual).astype(np.float32)


def ridge(sight: Sight, shortest: float) -> tuple[float, NDArray[np.float64], tuple[int, int]]:
    """Where light is brightest along a line near this one, on all of it or on a part.

    Returns
    -------
    tuple
        Its significance in standard deviations; its distance from the line at the first and the
        last piece, pixels along the crossing axis; first and last (excluded) piece of the part.
    """
    light = np.nan_to_num(sight.light)
    kernel = 2 * max(round(sight.half / sight.strip.scale), 1) + 1
    sums = np.cumsum(np.pad(light, ((0, 0), (kernel // 2 + 1, kernel // 2))), axis=1)
    smooth = (sums[:, kernel:] - sums[:, :-kernel]) / kernel
    each = np.nan_to_num(smooth / sight.error[:, None])
    each[_at_edge(sight)] = 0.0
    aside = int(min(_ASIDE / sight.strip.scale, REACH - _TURN - 1))
    turned = np.linspace(-_TURN, _TURN, 2 * _TURN + 1)[:, None] * np.linspace(-1, 1, len(light))
    columns = (REACH + np.rint(turned)).astype(np.intp)[:, :, None] + np.arange(-aside, aside + 1)
    sheared = each[np.arange(len(light))[None, :, None], columns]
    short = min(max(math.ceil(shortest / sight.piece), 3), len(light))
    lengths = {short, len(light)}
    seen, shift, part, usual = _brightest(sheared, _CLIP, lengths)
    if usual > _CLIP:  # bright: two trails side by side are told apart
        shift, part = _brightest(sheared, 1.5 * usual, lengths)[1:3]
    return seen, shift, part


def _brightest(
    sheared: Image, most: float, lengths: set[int]
) -> tuple[float, NDArray[np.float64], tuple[int, int], float]:
    """As :func:`ridge`, and the median of the part's pieces, of their significance by line.

    Parameters
    ----------
    sheared
        Shape (turns, pieces, distances).
    most
        Standard deviations of a piece that count, about.
    lengths
        Of parts, pieces.
    """
    clipped = sheared / np.sqrt(1.0 + (sheared / most) ** 2)  # highest in the middle nevertheless
    turns, number, places = clipped.shape
    sums = np.zeros((turns, number + 1, places))
    np.cumsum(clipped, axis=1, out=sums[:, 1:])
    best = (0.0, np.zeros(2), (0, number), 0.0)
    for length in sorted(lengths):
        runs = (sums[:, length:] - sums[:, :-length]) / math.sqrt(length)
        turn, first, place = (int(n) for n in np.unravel_index(int(runs.argmax()), runs.shape))
        if runs[turn, first, place] > best[0]:
            shift = np.array([-1.0, 1.0]) * (turn - turns // 2) + place - places // 2
            usual = float(np.median(sheared[turn, first : first + length, place]))
            part = (first, first + length)
            best = (float(runs[turn, first, place]), shift, part, usual)
    return best


def _at_edge(sight: Sight) -> NDArray[np.bool_]:
    """Columns of pieces so near an edge of the frame that what is there may be the edge's glow."""
    steps = sight.pieces.shape[1]
    outside = ~sight.strip.inside[: len(sight.pieces) * steps : steps]
    if not outside.any():
        return outside
    reach = round(_GLOW / sight.strip.scale)
    padded = np.pad(outside, ((0, 0), (reach, reach)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=1)
    return np.asarray(windows.any(axis=2))
