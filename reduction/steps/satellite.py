"""Find the trails of satellites and aeroplanes: straight, narrow, and long."""

from __future__ import annotations

__all__ = ["find_satellites"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.hough import HoughTransform, Line
from reduction.steps.points import Frame, standing_out
from reduction.steps.strip import REACH, Strip
from reduction.steps.trail import Trail, aligned, draw, measured
from schemas.deferred import deferred

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import ndimage

    Image = NDArray[np.float32]
    Mask = NDArray[np.bool_]
else:
    ndimage = deferred("scipy.ndimage")

#: Pixels a side of the image that lines are looked for in, at least, and how many pixels of the
#: frame make one of it, at most.
_SMALLEST: Final = 256
_BINNING: Final = 8

#: Points of a line above chance, in standard deviations, that are worth a look; lines looked at.
_WORTH: Final = 6.0
_LOOKS: Final = 10

#: Steps along a line that are looked at, about: of longer lines not every pixel.
_STEPS: Final = 1200

#: What a piece of a line must show: standard deviations of its median.
_SIGNIFICANT: Final = 2.5

#: Part of a line's pieces that shows a trail which crosses the frame; how many, but for two, of
#: a short one.
_CROSSING: Final = 0.6
_ENOUGH: Final = 9

#: Part of the pieces between its ends that shows a trail which does not cross.
_WHOLE: Final = 0.9

#: Fewest pieces that show a trail; their excess altogether, in standard deviations.
_FEWEST: Final = 6
_SURE: Final = 12.0

#: Fall of a spike's light from its star: nearest to farthest third; the same of a spike that
#: comes from outside, and from third to third of it.
_SPIKE: Final = 2.0
_OUTSIDE: Final = 3.0
_FALLS: Final = 1.3

#: Light of a galaxy's middle third over that of the others, where it goes through the frame; and
#: by how much light from one peak may rise towards its sides, a part of it.
_BULGE: Final = 3.0
_RISE: Final = 0.2

#: Part of a line's pixels which, saturated, tells a bleeding column.
_BLEED: Final = 0.1

#: Lines within this angle of the image's axes, radians, may be columns.
_AXIS: Final = 0.05

#: Pixels by which a column may seem to lean from edge to edge, and part of its light that lies in
#: three pixels: that of a trail is spread by the air.
_UPRIGHT: Final = 3.0
_COLUMN: Final = 0.8


def find_satellites(
    image: Image,
    *,
    bad: Mask | None = None,
    saturated: Mask | None = None,
    detection_threshold: float = 2.5,
    hough_threshold: float = 350.0,
) -> tuple[Mask, list[Trail]]:
    """Find the pixels that satellites have crossed.

    Parameters
    ----------
    image
        Flat-fielded image with its sky, shape (ny, nx), adu. NaN is bad.
    bad
        Pixels to look over, same shape.
    saturated
        Saturated pixels, same shape: looked over, and what shines out from them is no trail.
    detection_threshold
        Signal of a point of a trail in standard deviations of the binned image's noise.
    hough_threshold
        Shortest trail that is looked for, pixels.

    Returns
    -------
    tuple
        True where a trail is, same shape; and the trails, brightest line first.

    Notes
    -----
    Astro-WISE ``SatelliteMap``: DetectionThreshold, HoughThreshold. Points of the binned image
    that stand out and are no compact source vote for lines. A line is a trail if pieces of the
    frame along it show a narrow excess in their medians (so that a star in a piece does not
    count) over most of its way; or without a gap over ``hough_threshold`` pixels, with ends as
    bright as the rest, which a galaxy and a spike do not have.
    """
    found = np.zeros(image.shape, dtype=np.bool_)
    trails: list[Trail] = []
    if min(image.shape) < 2 * REACH:
        return found, trails
    frame = Frame(image, bad, saturated)
    noise = frame.noise()
    if not noise > 0.0:
        return found, trails
    binning = int(np.clip(min(image.shape) // _SMALLEST, 1, _BINNING))
    x, y, shape = standing_out(frame, binning, detection_threshold)
    hough, rest = HoughTransform(x, y, shape), frame
    for _ in range(_LOOKS):
        line, excess = hough.best()
        if excess < _WORTH:
            break
        line = _through(line, x, y)
        trail = _look(rest, line.scaled(binning), noise, hough_threshold)
        if trail is not None:
            trails.append(trail)
            draw(found, trail)
            rest = frame.without(found)
            line = trail.line.scaled(1 / binning)
        reach = 4.0 if trail is None else max(trail.half_width / binning, 1.0) + 1.0
        near = np.abs(line.offset(x, y)) < reach
        hough.take_out(x[near], y[near])
        x, y = x[~near], y[~near]
    return found, trails


def _through(line: Line, x: Image, y: Image) -> Line:
    """The line through the points near a line."""
    for reach in (3.0, 2.0, 1.5):
        near = np.abs(line.offset(x, y)) < reach
        if np.count_nonzero(near) < 5:
            break
        mx, my = float(x[near].mean()), float(y[near].mean())
        dx, dy = x[near] - mx, y[near] - my
        along = 0.5 * math.atan2(2.0 * float(dx @ dy), float(dx @ dx) - float(dy @ dy))
        angle = (along + math.pi / 2) % math.pi
        line = Line(angle, mx * math.cos(angle) + my * math.sin(angle))
    return line


@dataclass(frozen=True, slots=True)
class _Sight:
    """A line as it is seen: its strip and pieces, what each shows, and where the trail may be."""

    strip: Strip
    pieces: Image
    signal: Image
    error: Image
    run: tuple[int, int]
    crosses: bool

    @property
    def shows(self) -> NDArray[np.bool_]:
        """Whether a piece shows light."""
        return self.signal > _SIGNIFICANT * self.error

    @property
    def length(self) -> float:
        """Of the run, pixels."""
        first, last = self.run
        steps = (last - first) * self.pieces.shape[1] * self.strip.stride
        return float(steps / self.strip.scale)


def _look(frame: Frame, line: Line, noise: float, shortest: float) -> Trail | None:
    """The trail on a line, if there is one."""
    strip = Strip.along(line, frame.image.shape, most_steps=_STEPS)
    if strip is None or strip.length < shortest:
        return None
    for _ in range(2):  # onto the line, and onto the part of it that shows light
        sight = _seen(frame, strip, noise)
        first, last = sight.run if sight.length > 0 else (0, len(sight.pieces))
        before, strip = strip.line, aligned(strip, sight.pieces, first, last, frame.image.shape)
        if strip.line == before:
            break
    sight = _seen(frame, strip, noise)
    if not _is_long(sight, shortest) or _is_column(frame, sight):
        return None
    stars = _stars(frame, sight)
    if any(_fades(sight, star) for star in stars) or (stars and not sight.crosses):
        return None
    if not stars and _swells(sight):
        return None
    return measured(noise, sight.strip, sight.pieces, sight.signal, sight.run)


def _seen(frame: Frame, strip: Strip, noise: float) -> _Sight:
    """What a line shows, and on which part of it."""
    pieces = strip.pieces(frame.image, frame.bad)
    signal, error = strip.excess(pieces, noise)
    shows, known = signal > _SIGNIFICANT * error, np.isfinite(signal)
    number = int(known.sum())
    crosses = bool(shows.sum() >= max(_CROSSING * number, min(number - 2, _ENOUGH)))
    run = _whole_run(shows) if crosses else _longest_run(shows, known)
    return _Sight(strip, pieces, signal, error, run, crosses)


def _is_long(sight: _Sight, shortest: float) -> bool:
    """Whether a run is long and bright enough for a trail, and without a gap if it ends."""
    part = slice(*sight.run)
    shows, known = sight.shows[part], np.isfinite(sight.signal[part])
    if shows.sum() < _FEWEST:
        return False
    if not sight.crosses and (sight.length < shortest or shows.sum() < _WHOLE * known.sum()):
        return False
    significance = float(np.nanmedian(sight.signal[part] / sight.error[part]))
    return significance * math.sqrt(known.sum()) >= _SURE


def _longest_run(shows: NDArray[np.bool_], known: NDArray[np.bool_]) -> tuple[int, int]:
    """First and last (excluded) piece of the longest stretch that mostly shows a trail.

    Pieces of which nothing is known are bridged, as is one that does not show it.
    """
    bridged = ndimage.binary_closing(np.pad(shows | ~known, 2), np.ones(4))[2:-2] & (
        ndimage.uniform_filter1d(shows.astype(float), 9, mode="nearest") > 0.4
    )
    labels, number = ndimage.label(bridged)
    if number == 0:
        return 0, 0
    lengths = np.bincount(labels, weights=shows, minlength=number + 1)
    lengths[0] = 0
    places = np.flatnonzero(labels == lengths.argmax())
    return int(places[0]), int(places[-1]) + 1


def _whole_run(shows: NDArray[np.bool_]) -> tuple[int, int]:
    """First and last (excluded) piece that shows a trail beside another that does."""
    pairs = np.flatnonzero(shows[:-1] & shows[1:])
    return (int(pairs[0]), int(pairs[-1]) + 2) if pairs.size else (0, 0)


def _is_column(frame: Frame, sight: _Sight) -> bool:
    """Whether a line is a bleeding or a bad column or row."""
    strip = sight.strip
    lean = math.sqrt(max(1.0 - strip.scale**2, 0.0))
    if lean > _AXIS:
        return False
    core = np.s_[:, REACH - 8 : REACH + 9]
    full = frame.full(strip.y[core], strip.x[core]).any(axis=1)
    if full.mean() > _BLEED:
        return True
    if lean * strip.length > _UPRIGHT:
        return False
    if not (strip.inside[:, 0].all() and strip.inside[:, -1].all()):  # an edge glows as well
        return True
    profile = np.nan_to_num(strip.profile(sight.pieces[slice(*sight.run)]))
    light = np.maximum(profile[REACH - 8 : REACH + 9], 0.0)
    return bool(full.any() or light[7:10].sum() > _COLUMN * light.sum())


def _stars(frame: Frame, sight: _Sight) -> list[int]:
    """Numbers of the pieces of a run with most saturated pixels: one of each group."""
    strip, pieces = sight.strip, len(sight.pieces)
    core = np.s_[:, REACH - 4 : REACH + 5]
    full = (frame.full(strip.y[core], strip.x[core]) & strip.inside[core]).sum(axis=1)
    steps = sight.pieces.shape[1]
    by_piece = full[: pieces * steps].reshape(pieces, steps).sum(axis=1)
    labels, number = ndimage.label(by_piece > 0)
    most = ndimage.maximum_position(by_piece, labels, np.arange(1, number + 1))
    return [int(at) for (at,) in most if sight.run[0] <= at < sight.run[1]]


def _fades(sight: _Sight, star: int) -> bool:
    """Whether light falls with the distance from a star, as a diffraction spike's does."""
    places = np.flatnonzero(sight.shows)
    places = places[np.abs(places - star) > 1]
    if places.size < 3:
        return True
    order = places[np.argsort(np.abs(places - star), kind="stable")]
    third = max(order.size // 3, 1)
    near, far = (np.median(sight.signal[part]) for part in (order[:third], order[-third:]))
    return bool(near > _SPIKE * far)


def _swells(sight: _Sight) -> bool:
    """Whether light falls towards an end in the frame, as that of a galaxy or a spike does.

    From edge to edge it may, but not steadily and much, as that of a star outside does, nor from
    the middle to both sides and never rise again, as it may where something tumbles.
    """
    first, last = sight.run
    run = sight.signal[first:last]
    third = run.size // 3
    begin, middle, end = (
        float(np.nanmedian(part)) for part in (run[:third], run[third:-third], run[-third:])
    )
    if sight.crosses:
        high, low = max(begin, end), min(begin, end)
        if middle > _BULGE * high and _has_one_peak(np.nan_to_num(run)):
            return True
        return high > max(_FALLS * middle, _OUTSIDE * low) and middle > _FALLS * low
    ends = [begin] if first > 0 else []
    ends += [end] if last < sight.signal.size else []
    return any(max(begin, middle, end) > _SPIKE * light for light in ends)


def _has_one_peak(light: Image) -> bool:
    """Whether light falls to both sides of its peak, but for noise."""
    peak, change = int(light.argmax()), np.diff(light)
    wrong = np.maximum(-change[:peak], 0.0).sum() + np.maximum(change[peak:], 0.0).sum()
    return bool(wrong < _RISE * light[peak])
