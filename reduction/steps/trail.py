"""The trail on a line: where exactly it runs, how wide and bright it is, where it ends."""

from __future__ import annotations

__all__ = ["Trail", "aligned", "draw", "measured"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.strip import REACH, Strip, row_medians

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reduction.steps.hough import Line

    Image = NDArray[np.float32]
    Mask = NDArray[np.bool_]

#: A trail ends, across, where it is fainter than this part of the noise of a pixel.
_EDGE: Final = 0.25

#: A trail has fallen to half its brightness at this distance from its middle, pixels.
_NARROW: Final = 8.0

#: By how many pixels its sides differ before its middle lies elsewhere: with another beside it.
_LOPSIDED: Final = 3.0

#: Largest distance of a trail from the line that was found for it, pixels, and of the light that
#: its middle is measured in.
_AWAY: Final = 12.0
_NEAR: Final = 4.0


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


def aligned(strip: Strip, pieces: Image, first: int, last: int, shape: tuple[int, ...]) -> Strip:
    """The strip turned and moved onto the brightest light of its pieces ``first`` to ``last``."""
    offset = np.arange(-REACH, REACH + 1) * strip.scale
    profile = np.nan_to_num(strip.profile(pieces[first:last]))
    smooth = np.convolve(profile, np.full(3, 1 / 3), mode="same")
    smooth[np.abs(offset) > _AWAY] = -np.inf
    peak = int(smooth.argmax())
    at = np.arange(first, last) + 0.5
    middles = strip.centroids(pieces[first:last], peak - REACH, _NEAR / strip.scale)
    good = np.abs(middles - np.median(middles)) < _NEAR / strip.scale
    if np.count_nonzero(good) < 3:
        return strip
    slope, shift = np.polyfit(at[good], middles[good], 1)
    steps = pieces.shape[1]
    ends = np.array([0.5, len(pieces) - 0.5])
    return strip.moved(slope * ends + shift, (ends * steps).astype(np.intp), shape)


def measured(
    noise: float, strip: Strip, pieces: Image, signal: Image, run: tuple[int, int]
) -> Trail | None:
    """Width, brightness and ends of a trail; None where it is as wide as a galaxy.

    Parameters
    ----------
    noise
        Of the frame's pixels, adu.
    strip, pieces, signal
        All of the line, cut into pieces, and what each has above its sky.
    run
        First and last (excluded) piece of the trail.
    """
    first, last = run
    profile = np.nan_to_num(strip.profile(pieces[first:last]))
    offset = np.arange(-REACH, REACH + 1) * strip.scale
    peak = float(np.median(profile[np.abs(offset) <= 1.0]))
    rim = min(float(np.median(profile[np.abs(offset - at) <= 1.0])) for at in (-_NARROW, _NARROW))
    if not peak > max(_EDGE * noise, 2.0 * rim):
        return None
    error = 1.25 * noise / math.sqrt((last - first) * pieces.shape[1])
    limit = max(_EDGE * noise, 2.0 * error)
    dark = offset[profile < limit]
    if not ((dark < 0).any() and (dark > 0).any()):
        return None
    left = float(-dark[dark < 0].max()) - strip.scale / 2.0
    right = float(dark[dark > 0].min()) - strip.scale / 2.0
    aside = (right - left) / 2.0 if abs(right - left) > _LOPSIDED else 0.0
    steps = pieces.shape[1]
    begin = _end(pieces, first, strip, inwards=1)
    end = _end(pieces, last, strip, inwards=-1)
    from_edge, to_edge = begin < steps // 4, end > len(pieces) * steps - steps // 4
    return Trail(
        line=strip.aside(aside),
        brightness=float(np.nanmedian(signal[first:last])),
        length=(end - begin) * strip.stride / strip.scale,
        half_width=max((left + right) / 2.0, 1.5),
        part=(
            -math.inf if from_edge else float(strip.steps[begin]),
            math.inf if to_edge else float(strip.steps[end]),
        ),
    )


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
    above = np.nan_to_num(np.clip(light / brightness, -1.0, 2.0) - 0.5, nan=0.0)
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
