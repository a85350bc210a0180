"""Find the trails of satellites and aeroplanes: straight, narrow, and long."""

from __future__ import annotations

__all__ = ["find_satellites"]

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.clear_lines import clear_lines
from reduction.steps.line import Line
from reduction.steps.lookalikes import is_no_trail
from reduction.steps.points import Frame, heights
from reduction.steps.run import is_long, run_of
from reduction.steps.sight import Sight, ridge
from reduction.steps.strip import REACH, Strip
from reduction.steps.trail import Trail, draw, measured, moved, shifted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[np.float32]
    Mask = NDArray[np.bool_]

#: Pixels a side of the image that lines are looked for in, at least, and how many pixels of the
#: frame make one of it, from and to: wide trails are narrow there, if they are in a small frame.
_SMALLEST: Final = 256
_BINNING: Final = (3, 8)

#: By how much more than others a line is brighter than its sides that is worth a look, in standard
#: deviations: the clearest of stars reach 5, of galaxies 6. Lines looked at; how often all are
#: added up.
_WORTH: Final = 6.0
_LOOKS: Final = 10
_PASSES: Final = 3

#: Half the width of a line on which no trail was seen, pixels of the binned image.
_REFUSED: Final = 4.0

#: Height of pixels that a line is drawn through.
_POINT: Final = 1.0

#: Steps along a line that are looked at, about: of longer lines not every pixel.
_STEPS: Final = 1200

#: Standard deviations that a line, or one near it, must show at first.
_HARDLY: Final = 6.0

#: Cosine of the angle between lines that run side by side; how near one is seen along the other,
#: pixels, and up to where it is the same.
_SIDE_BY_SIDE: Final = 0.999
_NEAR: Final = 2.0 * REACH
_SAME: Final = 3.0

#: How often a line is moved onto its light at most, and pixels by which it does not matter.
_TURNS: Final = 3
_CLOSE: Final = 0.3


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
        What a pixel of the binned image counts for at most, in standard deviations of its noise.
    hough_threshold
        Shortest trail that is looked for, pixels.

    Returns
    -------
    tuple
        True where a trail is, same shape; and the trails, brightest line first.

    Notes
    -----
    Astro-WISE ``SatelliteMap``: DetectionThreshold, HoughThreshold. The binned image is
    added up along all lines, no pixel counting for much, and lines that are brighter than what
    lies beside them are looked at. A line is a trail if pieces of the frame along it show narrow
    light between the stars: in low levels of their columns, above both sides, by more than the
    crowd beside it scatters, over most of its way; or without a gap over ``hough_threshold``
    pixels, with ends as bright as the rest, which a galaxy and a spike do not have. Once a trail
    is out of the image, lines that run as it does are added up again: it was beside them.
    """
    search = _Search(Frame(image, bad, saturated), hough_threshold)
    if min(image.shape) < 2 * REACH or not search.noise > 0.0:
        return search.found, search.trails
    binning = int(np.clip(min(image.shape) // _SMALLEST, *_BINNING))
    binned = heights(search.frame, binning, detection_threshold)
    looks, beside = _LOOKS, None
    for _ in range(_PASSES):
        before = len(search.trails)
        looks = _look_at_lines(search, binned, binning, looks, beside)
        beside = [trail.line for trail in search.trails[before:]]
        if not beside or looks == 0:
            break
    search.look_again()
    return search.found, search.trails


class _Search:
    """Trails found on a frame so far, and lines on which none was seen.

    Parameters
    ----------
    frame
        The frame.
    shortest
        Shortest trail that is looked for, pixels.

    Attributes
    ----------
    noise
        Of the frame's pixels, adu.
    found, trails
        Pixels of trails, shape of the frame, and the trails.
    refused
        Lines on which none was seen.
    """

    def __init__(self, frame: Frame, shortest: float) -> None:
        self.frame = frame
        self.noise = frame.noise() if frame.image.size else math.nan
        self.found = np.zeros(frame.image.shape, dtype=np.bool_)
        self.trails: list[Trail] = []
        self.shortest = shortest
        self._rest = frame
        self.refused: list[Line] = []

    def look(self, line: Line) -> Trail | None:
        """The trail on a line, if there is one; it is drawn, and looked over from then on."""
        trail = _look(self._rest, line, self.noise, self.shortest)
        if trail is None:
            self.refused.append(line)
            return None
        self.trails.append(trail)
        draw(self.found, trail)
        self._rest = self.frame.without(self.found)
        return trail

    def look_again(self) -> None:
        """Look at lines beside those of trails, and at trails: another hid the sky beside them."""
        refused, self.refused = self.refused, []
        for line in refused:
            if any(_apart(line, trail.line) < _NEAR for trail in self.trails):
                self.look(line)
        for number, trail in enumerate(self.trails):
            beside = [
                other
                for other in self.trails
                if other is not trail and _apart(trail.line, other.line) < _NEAR
            ]
            if beside:
                self.trails[number] = self._without(beside, trail)
        if len(self.trails) > 1:
            self.found[:] = False
            for trail in self.trails:
                draw(self.found, trail)

    def _without(self, others: list[Trail], trail: Trail) -> Trail:
        """A trail as it is seen where others beside it are looked over."""
        hidden = np.zeros_like(self.found)
        for other in others:
            draw(hidden, other)
        again = _look(self.frame.without(hidden), trail.line, self.noise, self.shortest)
        return trail if again is None or _apart(again.line, trail.line) > _SAME else again


def _look_at_lines(
    search: _Search, image: Image, binning: int, looks: int, beside: list[Line] | None
) -> int:
    """Look at the clear lines of a binned image, and take them out of it, in place.

    Parameters
    ----------
    search
        What is found, and what was seen not to be there.
    image
        Heights, shape (ny, nx).
    binning
        Pixels of the frame a side of one of the image.
    looks
        How many are left.
    beside
        Only lines that run as these do; all without them.

    Returns
    -------
    int
        Looks that are left then.
    """
    lines = clear_lines(image, search.shortest / binning, _WORTH, beside=beside)
    for line in search.refused:
        lines.leave_out(line.scaled(1 / binning), _REFUSED)
    y, x = (at.astype(np.float32) for at in np.nonzero(image > _POINT))
    while looks and (best := lines.best()) is not None:
        looks -= 1
        line, reach = _through(best[0], x, y), _REFUSED
        trail = search.look(line.scaled(binning))
        if trail is not None:
            line = trail.line.scaled(1 / binning)
            reach = max(trail.half_width / binning, 1.0) + 1.0
        lines.take_out(line, reach, _WORTH)
        near = np.abs(line.offset(x, y)) < reach
        image[y[near].astype(np.intp), x[near].astype(np.intp)] = 0
        x, y = x[~near], y[~near]
    return looks


def _apart(line: Line, other: Line) -> float:
    """Distance of lines that run side by side, pixels; infinite for others."""
    turn = math.cos(line.angle - other.angle)
    apart = abs(line.distance - math.copysign(other.distance, other.distance * turn))
    return apart if abs(turn) > _SIDE_BY_SIDE else math.inf


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
    sight = Sight.of(frame, strip, noise)
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
    if not is_long(sight, run, shortest) or is_no_trail(frame, sight, run):
        return None
    trail = measured(noise, sight, run)
    if trail is None or (trail.length if trail.ends else sight.strip.length) < shortest:
        return None
    return trail
