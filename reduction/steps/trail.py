"""The trail on a line: where exactly it runs, how wide and bright it is, where it ends."""

from __future__ import annotations

__all__ = ["Trail", "draw", "measured", "moved", "shifted"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.run import crosses
from reduction.steps.strip import REACH, Strip, row_medians

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reduction.steps.line import Line
    from reduction.steps.sight import Sight

    Image = NDArray[np.float32]
    Mask = NDArray[np.bool_]

#: A trail ends, across, where it is fainter than this part of the noise of a pixel.
_EDGE: Final = 0.5

#: A trail has fallen to half its brightness at this distance from its middle, pixels.
_NARROW: Final = 8.0

#: Pixels by which its light seems nearer than it is: a column's pixels lie up to half a pixel
#: beside it, and the level below which three in ten are is that of those which lie so far out.
_LOWER: Final = 0.2

#: By how many pixels its sides differ before its middle lies elsewhere: with another beside it.
_LOPSIDED: Final = 3.0

#: Largest distance from a line of the light that its middle is measured in, half widths and one
#: pixel more; standard deviations of a piece that says where its middle is.
_NEAR: Final = 2.5
_BRIGHT: Final = 5.0


@dataclass(frozen=True, slots=True)
class Trail:
    """A trail, in pixels of the frame.

    Attributes
    ----------
    line
        Its middle.
    brightness
        Median of its middle above the sky, adu.
    length, half_width
        Of what is masked, pixels.
    part
        From where to where (excluded) along the image's axis that the line follows, pixels;
        infinite where it goes on to the edge.
    """

    line: Line
    brightness: float
    length: float
    half_width: float
    part: tuple[float, float]

    @property
    def ends(self) -> bool:
        """Whether an end of it is in the frame."""
        return math.isfinite(self.part[0]) or math.isfinite(self.part[1])


def shifted(sight: Sight, first: int, last: int) -> NDArray[np.float64] | None:
    """Distance of the light of some pieces from the line, at the first and the last piece.

    Returns
    -------
    ndarray
        Pixels along the crossing axis, shape (2,); None where fewer than four pieces show light
        enough to tell.
    """
    offset = np.arange(-REACH, REACH + 1)
    reach = _NEAR * sight.half + 1.0
    near = np.abs(offset) * sight.strip.scale <= reach
    light = np.maximum(np.nan_to_num(sight.light[first:last][:, near]), 0.0)
    light[light < 0.3 * light.max(axis=1, keepdims=True)] = 0.0
    sums = light.sum(axis=1)
    bright = (sight.signal > _BRIGHT * sight.error)[first:last] & (sums > 0.0)
    if np.count_nonzero(bright) < 4:
        return None
    at = np.arange(first, last)[bright] + 0.5
    middles = (light[bright] @ offset[near]) / sums[bright] + _rounding(sight)[first:last][bright]
    good = np.abs(middles - np.median(middles)) * sight.strip.scale < reach / 2.0
    if np.count_nonzero(good) < 4:
        return None
    slope, shift = np.polyfit(at[good], middles[good], 1)
    return np.asarray(slope * np.array([0.5, len(sight.light) - 0.5]) + shift)


def _rounding(sight: Sight) -> NDArray[np.float64]:
    """How far the middle columns of pieces are from the line, which lies between pixels."""
    number, steps = sight.pieces.shape[:2]
    middle = sight.strip.middle[: number * steps]
    return np.asarray((np.rint(middle) - middle).reshape(number, steps).mean(axis=1))


def moved(sight: Sight, shift: NDArray[np.float64], shape: tuple[int, ...]) -> Strip:
    """The strip of the line that lies so far beside a seen one at its first and last piece."""
    ends = np.array([0.5, len(sight.pieces) - 0.5]) * sight.pieces.shape[1]
    return sight.strip.moved(shift, ends.astype(np.intp), shape)


def measured(noise: float, sight: Sight, run: tuple[int, int]) -> Trail | None:
    """Width, brightness and ends of a trail; None where it is as wide as a galaxy.

    Parameters
    ----------
    noise
        Of the frame's pixels, adu.
    sight
        All of the line.
    run
        First and last (excluded) piece of the trail.
    """
    first, last = run
    strip, steps = sight.strip, sight.pieces.shape[1]
    signal = np.nan_to_num(sight.signal[first:last])
    # what goes through the frame may tumble; what ends in it is even, so all of it has to show
    bright = signal >= (np.median(signal) if crosses(sight, run) else -np.inf)
    light = sight.light[first:last][bright]
    profile = np.nan_to_num(row_medians(light.T))
    width = _width(profile, strip.scale, noise, noise / math.sqrt(light.shape[0] * steps))
    if width is None:
        return None
    left, right = width
    aside = (right - left) / 2.0 if abs(right - left) > _LOPSIDED else 0.0
    pieces = sight.pieces
    begin = _end(pieces, first, strip, inwards=1) if first > 0 else 0
    end = _end(pieces, last, strip, inwards=-1) if last < len(pieces) else len(pieces) * steps
    from_edge, to_edge = begin < steps // 4, end > len(pieces) * steps - steps // 4
    return Trail(
        line=strip.aside(aside),
        brightness=float(np.median(signal)),
        length=(end - begin) * strip.stride / strip.scale,
        half_width=max((left + right) / 2.0, 1.5),
        part=(
            -math.inf if from_edge else float(strip.steps[begin]),
            math.inf if to_edge else float(strip.steps[end]),
        ),
    )


def _width(profile: Image, scale: float, noise: float, error: float) -> tuple[float, float] | None:
    """How far light reaches to both sides, pixels; None where it is as wide as a galaxy's.

    Where it is lost in what it is measured with, it is followed down as a Gaussian.
    """
    offset = np.arange(-REACH, REACH + 1) * scale
    peak = float(profile[np.abs(offset) <= 1.0].mean())
    rim = min(float(np.median(profile[np.abs(offset - at) <= 1.0])) for at in (-_NARROW, _NARROW))
    if not peak > max(_EDGE * noise, 2.0 * rim):
        return None
    beside = profile[np.abs(offset) > _NARROW]
    error = max(1.3 * error, 1.4826 * float(np.median(np.abs(beside))))
    edge = _EDGE * noise
    limit = min(max(edge, 2.0 * error), 0.6 * peak)
    longer = math.sqrt(math.log(peak / edge) / math.log(peak / limit)) if limit > edge else 1.0
    sides = [_reach(half, limit) for half in (profile[REACH::-1], profile[REACH:])]
    if not all(sides):
        return None
    left, right = ((side + _LOWER) * scale * longer for side in sides)
    return left, right


def _reach(light: Image, limit: float) -> float:
    """Columns to where light from a trail's middle outwards falls to a limit; 0 if it does not."""
    dark = np.flatnonzero(light < limit)
    if not dark.size or dark[0] == 0:
        return 0.0
    before, after = float(light[dark[0] - 1]), float(light[dark[0]])
    return float(dark[0] - (limit - after) / max(before - after, 1e-6))


def _end(pieces: Image, piece: int, strip: Strip, *, inwards: int) -> int:
    """Step at which a trail ends near the begin of a piece: the likeliest place of a fall by half.

    Parameters
    ----------
    pieces
        Of all of the line.
    piece
        Before which (or from which on, ``inwards`` 1) the trail was seen.
    strip
        The line.
    inwards
        1 where the trail lies behind the end, -1 where before.
    """
    low, high = max(piece - 2, 0), min(piece + 2, len(pieces))
    steps = pieces.shape[1]
    around = pieces[low:high].reshape(-1, pieces.shape[2])
    offset = np.abs(np.arange(-REACH, REACH + 1)) * strip.scale
    core, flank = around[:, offset <= 2.0], around[:, offset >= 0.5 * REACH * strip.scale]
    light = row_medians(core) - np.nanmedian(flank)
    inside = light[steps * (piece - low) :] if inwards > 0 else light[: steps * (piece - low)]
    brightness = max(float(np.nanmedian(inside)), 1e-6)
    above = np.nan_to_num(np.clip(light / brightness, 0.0, 1.0) - 0.5, nan=0.0)
    if inwards > 0:
        tail = np.append(np.cumsum(above[::-1])[::-1], 0.0)
        return int(low * steps + tail.argmax())
    head = np.append(0.0, np.cumsum(above))
    return int(low * steps + head.argmax())


def draw(mask: Mask, trail: Trail) -> None:
    """Set the pixels of a trail."""
    strip = Strip.along(trail.line, mask.shape, margin=2.0 * trail.half_width)
    if strip is None:
        return
    x, y = (index.astype(np.float32) for index in (strip.x, strip.y))
    take = strip.inside & (np.abs(trail.line.offset(x, y)) <= trail.half_width)
    take &= ((strip.steps >= trail.part[0]) & (strip.steps < trail.part[1]))[:, None]
    mask[strip.y[take], strip.x[take]] = True
