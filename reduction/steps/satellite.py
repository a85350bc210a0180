"""Find the trails of satellites and aeroplanes: straight, narrow, and long."""

from __future__ import annotations

__all__ = ["find_satellites"]

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.hough import HoughTransform, Line
from reduction.steps.points import Frame, standing_out
from reduction.steps.run import crosses, is_long, run_of
from reduction.steps.sight import Sight, known_median, ridge
from reduction.steps.strip import REACH, Strip, row_medians
from reduction.steps.trail import Trail, draw, measured, moved, shifted
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

#: Half the width that a line is first looked at in, pixels, and standard deviations that it, or
#: one near it, must show there.
_FIRST: Final = 2.0
_HARDLY: Final = 6.0

#: How often a line is moved onto its light at most, and pixels by which it does not matter.
_TURNS: Final = 3
_CLOSE: Final = 0.3

#: Fall of a spike's light from its star: nearest to farthest third of what is farther than a
#: piece. The same of a spike that comes from outside, and from third to third of it.
_FADES: Final = 1.5
_OUTSIDE: Final = 3.0
_FALLS: Final = 1.3

#: How much brighter a trail that ends may be in one third than at its ends.
_UNEVEN: Final = 2.0

#: Light of a galaxy's middle third over that of the others, where it goes through the frame: what
#: tumbles by a factor of seven has 4.4 at most. And by how much light from one peak may rise
#: towards its sides, a part of it.
_BULGE: Final = 4.5
_RISE: Final = 0.2

#: Part of a line's pixels which, saturated, tells a bleeding column.
_BLEED: Final = 0.1

#: Lines within this angle of the image's axes, radians, may be columns.
_AXIS: Final = 0.05

#: Pixels by which a column may seem to lean, and part of its light by which it falls from a pixel
#: to the next: a trail's is spread by the air (0.64 at most where its width is 1.8 pixels).
_UPRIGHT: Final = 6.0
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


def _look(frame: Frame, line: Line, noise: float, shortest: float) -> Trail | None:
    """The trail on a line, if there is one."""
    shape = frame.image.shape
    strip = Strip.along(line, shape, most_steps=_STEPS)
    if strip is None or strip.length < shortest:
        return None
    sight = Sight.of(frame, strip, noise, half=_FIRST)
    seen, shift, part = ridge(sight, shortest)
    if seen < _HARDLY:
        return None
    for _ in range(_TURNS):
        sight = Sight.of(frame, moved(sight, shift, shape), noise)
        run = run_of(sight, part)
        closer = shifted(sight, *run)
        if closer is None or np.abs(closer).max() < _CLOSE:
            break
        part, shift = run, closer
    if not is_long(sight, run, shortest) or _is_column(frame, sight, run):
        return None
    if any(_fades(sight, run, star) for star in _stars(frame, sight, run)) or _swells(sight, run):
        return None
    return measured(noise, sight, run)


def _is_column(frame: Frame, sight: Sight, run: tuple[int, int]) -> bool:
    """Whether a line is a bleeding or a bad column or row, or the glow of an edge."""
    strip = sight.strip
    lean = math.sqrt(max(1.0 - strip.scale**2, 0.0))
    if lean > _AXIS:
        return False
    core = np.s_[:, REACH - 8 : REACH + 9]
    full = frame.full(strip.y[core], strip.x[core]).any(axis=1)
    if full.mean() > _BLEED:
        return True
    part = slice(*run)
    if lean * (run[1] - run[0]) * sight.piece > _UPRIGHT:
        return False
    if 2 * sight.both[part].sum() < sight.known[part].sum():
        return True
    light = _upright_profile(frame, sight, run)
    peak = 2 + int(light[2:-2].argmax())  # beyond that an edge may glow
    height = light[peak] - max(light[:peak].min(), light[peak + 1 :].min())
    return bool(np.abs(np.diff(light[1:-1])).max() > _COLUMN * height)


def _upright_profile(frame: Frame, sight: Sight, run: tuple[int, int]) -> Image:
    """Light across a run, added up along the image's axis: a column stays as sharp as it is.

    From four pixels on one side of all that the line comes by to as many on the other.
    """
    strip, steps = sight.strip, sight.pieces.shape[1]
    part = slice(run[0] * steps, run[1] * steps)
    across = (strip.x if strip.is_steep else strip.y)[part, REACH]
    away = int(np.ptp(across)) // 2 + 4
    middle = (int(across.min()) + int(across.max())) // 2
    columns = slice(max(middle - away, 0), middle + away + 1)
    along = strip.steps[part]
    image, bad = (
        (frame.image, frame.bad)
        if strip.is_steep
        else (frame.image.T, None if frame.bad is None else frame.bad.T)
    )
    values = image[along, columns].astype(np.float32).T
    if bad is not None:
        values[bad[along, columns].T] = np.nan
    light = row_medians(values)
    return np.nan_to_num(light - np.nanmin(light))


def _stars(frame: Frame, sight: Sight, run: tuple[int, int]) -> list[int]:
    """Numbers of the pieces of a run with most saturated pixels: one of each group."""
    strip, pieces = sight.strip, len(sight.pieces)
    core = np.s_[:, REACH - 4 : REACH + 5]
    full = (frame.full(strip.y[core], strip.x[core]) & strip.inside[core]).sum(axis=1)
    steps = sight.pieces.shape[1]
    by_piece = full[: pieces * steps].reshape(pieces, steps).sum(axis=1)
    labels, number = ndimage.label(by_piece > 0)
    most = ndimage.maximum_position(by_piece, labels, np.arange(1, number + 1))
    return [int(at) for (at,) in most if run[0] <= at < run[1]]


def _fades(sight: Sight, run: tuple[int, int], star: int) -> bool:
    """Whether light falls with the distance from a star, as a diffraction spike's does."""
    places = np.flatnonzero(sight.known)
    places = places[(np.abs(places - star) > 1) & (places >= run[0]) & (places < run[1])]
    if places.size < 3:
        return True
    order = places[np.argsort(np.abs(places - star), kind="stable")]
    third = max(order.size // 3, 1)
    near, far = (np.median(sight.signal[part]) for part in (order[:third], order[-third:]))
    if near <= _FADES * far:
        return False
    light = sight.signal[run[0] : run[1]].copy()
    place = star - run[0]
    light[max(place - 1, 0) : place + 2] = light[np.abs(np.arange(light.size) - place) > 1].max()
    return _falls_from(light, place)


def _swells(sight: Sight, run: tuple[int, int]) -> bool:
    """Whether light falls towards an end, as that of a galaxy or a spike does.

    From edge to edge it may, but not steadily and much, as that of a star outside does, nor from
    the middle to both sides and never rise again, as it may where something tumbles.
    """
    first, last = run
    known = sight.known[first:last]
    light, error = sight.signal[first:last][known], sight.error[first:last][known]
    third = max(light.size // 3, 1)
    parts = light[:third], light[third:-third], light[-third:]
    begin, middle, end = (known_median(part) for part in parts)
    if crosses(sight, run):
        high, low = max(begin, end), min(begin, end)
        steep = (
            middle > _BULGE * high
            or high > _OUTSIDE * max(middle, low)
            or (high > max(_FALLS * middle, _OUTSIDE * low) and middle > _FALLS * low)
        )
        return steep and _falls_from(light, None)
    doubt = 1.25 * known_median(error) / math.sqrt(third)
    return max(begin, middle, end) > _UNEVEN * (min(begin, end) + doubt)


def _falls_from(light: Image, peak: int | None) -> bool:
    """Whether light falls to both sides of a piece or of its peak, but for noise."""
    light = ndimage.median_filter(np.nan_to_num(light), 3, mode="nearest")  # without stars
    peak = int(light.argmax()) if peak is None else peak
    change = np.diff(light)
    wrong = np.maximum(-change[:peak], 0.0).sum() + np.maximum(change[peak:], 0.0).sum()
    return bool(wrong < _RISE * light.max())
