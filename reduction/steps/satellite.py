"""Find the trails of satellites and aeroplanes: straight, narrow, and across the frame."""

from __future__ import annotations

__all__ = ["Trail", "find_satellites"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.hough import HoughTransform, Line
from reduction.steps.points import Frame, standing_out
from reduction.steps.strip import REACH, Strip
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

#: Part of a line's pieces that shows a trail: of one that crosses the frame, and of one that
#: begins at an edge of it.
_CROSSING: Final = 0.6
_ENTERING: Final = 0.4

#: Part of the pieces between its ends that shows a trail which does not cross.
_WHOLE: Final = 0.9

#: Fewest pieces that show a trail, and one that does not cross; their excess altogether, in
#: standard deviations.
_FEWEST: Final = 6
_FEWEST_ENTERING: Final = 12
_SURE: Final = 12.0

#: Fall of a spike's light from its star: nearest to farthest third.
_SPIKE: Final = 2.0

#: Part of a line's pixels which, saturated, tells a bleeding column.
_BLEED: Final = 0.1

#: A trail ends, across, where it is fainter than this part of the noise of a pixel.
_EDGE: Final = 0.25

#: A trail has fallen to half its brightness at this distance from its middle, pixels.
_NARROW: Final = 6.0

#: Lines within this angle of the image's axes, radians, may be columns.
_AXIS: Final = 0.05


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
        Shortest line through the frame that is looked at, pixels.

    Returns
    -------
    tuple
        True where a trail is, same shape; and the trails, brightest line first.

    Notes
    -----
    Astro-WISE ``SatelliteMap``: DetectionThreshold, HoughThreshold. Points of the binned image
    that stand out and are no compact source vote for lines. A line is a trail if pieces of the
    frame along it show a narrow excess in their medians (so that a star in a piece does not
    count) over most of its way, or from an edge of the frame inwards: a galaxy, a spike or a
    bleeding column ends before.
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
    hough = HoughTransform(x, y, shape)
    for _ in range(_LOOKS):
        line, excess = hough.best()
        if excess < _WORTH:
            break
        line = _through(line, x, y)
        trail = _look(frame, line.scaled(binning), noise, hough_threshold)
        if trail is not None:
            trails.append(trail)
            _draw(found, trail)
        near = np.abs(line.offset(x, y)) < 4.0
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
    strip = Strip.along(line, frame.image.shape, most_steps=_STEPS)
    if strip is None or strip.length < shortest or _is_column(frame, strip):
        return None
    pieces = strip.pieces(frame.image, frame.bad)
    signal, error = strip.excess(pieces, noise)
    first, last = _longest_run(signal > _SIGNIFICANT * error, np.isfinite(signal))
    if last - first < 2:
        return None
    strip = _aligned(strip, pieces, first, last, frame.image.shape)
    pieces = strip.pieces(frame.image, frame.bad)
    signal, error = strip.excess(pieces, noise)
    shows = signal > _SIGNIFICANT * error
    first, last = _longest_run(shows, np.isfinite(signal))
    star = _star(frame, strip, len(pieces), first, last)
    known = np.isfinite(signal)
    crosses = shows.sum() >= _CROSSING * known.sum()
    enters = (first == 0 or last == len(pieces)) and last - first >= _ENTERING * len(pieces)
    enters = enters and shows[first:last].sum() >= _FEWEST_ENTERING
    whole = shows[first:last].sum() >= _WHOLE * known[first:last].sum()
    if not crosses and not (enters and whole and star is None):
        return None
    if _is_column(frame, strip):  # seen from aside before
        return None
    if star is not None and _fades(signal, shows, star):
        return None
    if _sum_of(signal[first:last] / error[first:last]) < _SURE or shows.sum() < _FEWEST:
        return None
    return _measure(noise, strip, pieces[first:last], signal[first:last], (first, last))


def _longest_run(shows: NDArray[np.bool_], known: NDArray[np.bool_]) -> tuple[int, int]:
    """First and last (excluded) piece of the longest stretch that mostly shows a trail.

    Pieces of which nothing is known are bridged, as is one that does not show it; what is left
    of two pieces at an end of the line is taken along.
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
    first, last = int(places[0]), int(places[-1]) + 1
    first = 0 if first <= 2 else first
    last = shows.size if shows.size - last <= 2 else last
    return first, last


def _is_column(frame: Frame, strip: Strip) -> bool:
    """Whether a line is a bleeding or a bad column or row."""
    lean = math.sqrt(max(1.0 - strip.scale**2, 0.0))
    if lean > _AXIS:
        return False
    core = np.s_[:, REACH - 8 : REACH + 9]
    full = frame.full(strip.y[core], strip.x[core])
    return bool(full.any(axis=1).mean() > _BLEED or lean * strip.length < 1.0)


def _aligned(strip: Strip, pieces: Image, first: int, last: int, shape: tuple[int, ...]) -> Strip:
    """The strip moved and turned onto the light of its pieces."""
    at = np.arange(first, last) + 0.5
    middles = strip.centroids(pieces[first:last])
    good = np.abs(middles - np.median(middles)) < 4.0
    if np.count_nonzero(good) < 3:
        return strip
    slope, shift = np.polyfit(at[good], middles[good], 1)
    steps = pieces.shape[1]
    ends = np.array([0.5, len(pieces) - 0.5])
    moved = slope * ends + shift
    along = (ends * steps).astype(np.intp)
    x, y = strip.x[along, REACH].astype(float), strip.y[along, REACH].astype(float)
    x, y = (x + moved, y) if strip.is_steep else (x, y + moved)
    along_x, along_y = x[1] - x[0], y[1] - y[0]
    angle = math.atan2(along_x, -along_y) % math.pi
    line = Line(angle, x[0] * math.cos(angle) + y[0] * math.sin(angle))
    return Strip.along(line, shape, most_steps=_STEPS) or strip


def _star(frame: Frame, strip: Strip, pieces: int, first: int, last: int) -> int | None:
    """Number of the piece with most saturated pixels; None where there are none in the run."""
    core = np.s_[:, REACH - 4 : REACH + 5]
    full = (frame.full(strip.y[core], strip.x[core]) & strip.inside[core]).sum(axis=1)
    steps = max(len(full) // pieces, 1)
    by_piece = full[: pieces * steps].reshape(pieces, steps).sum(axis=1)
    at = int(by_piece.argmax())
    return at if by_piece[at] > 0 and first <= at < last else None


def _sum_of(significance: Image) -> float:
    """Significance of pieces taken together."""
    known = significance[np.isfinite(significance)]
    return float(known.sum()) / math.sqrt(max(known.size, 1))


def _fades(signal: Image, shows: NDArray[np.bool_], star: int) -> bool:
    """Whether light falls with the distance from a star, as a diffraction spike's does."""
    places = np.flatnonzero(shows)
    places = places[np.abs(places - star) > 1]
    if places.size < 3:
        return True
    order = places[np.argsort(np.abs(places - star), kind="stable")]
    third = max(order.size // 3, 1)
    near, far = np.median(signal[order[:third]]), np.median(signal[order[-third:]])
    return bool(near > _SPIKE * far)


def _measure(
    noise: float, strip: Strip, pieces: Image, signal: Image, run: tuple[int, int]
) -> Trail | None:
    """Width and brightness of a trail; None where it is as wide as a galaxy."""
    profile = np.nan_to_num(strip.profile(pieces))
    offset = np.arange(-REACH, REACH + 1) * strip.scale
    peak = float(np.median(profile[np.abs(offset) <= 1.0]))
    rim = np.abs(np.abs(offset) - _NARROW) <= 1.0
    if not peak > max(_EDGE * noise, 2.0 * float(np.median(profile[rim]))):
        return None
    error = 1.25 * noise / math.sqrt(pieces.shape[0] * pieces.shape[1])
    limit = max(_EDGE * noise, 2.0 * error)
    dark = np.abs(offset)[profile < limit]
    half = float(min(dark.min() if dark.size else np.inf, REACH * strip.scale - 1.0))
    steps = pieces.shape[1]
    first, last = run[0] * steps, run[1] * steps
    to_edge = last > len(strip.y) - steps
    return Trail(
        line=strip.line,
        brightness=float(np.nanmedian(signal)),
        length=(last - first) * strip.stride / strip.scale,
        half_width=max(half, 1.5),
        part=(
            float(strip.steps[first]) if first else -math.inf,
            math.inf if to_edge else float(strip.steps[last]),
        ),
    )


def _draw(mask: Mask, trail: Trail) -> None:
    """Set the pixels of a trail."""
    strip = Strip.along(trail.line, mask.shape, margin=2.0 * trail.half_width)
    if strip is None:
        return
    x, y = (index.astype(np.float32) for index in (strip.x, strip.y))
    take = strip.inside & (np.abs(trail.line.offset(x, y)) <= trail.half_width)
    take &= ((strip.steps >= trail.part[0]) & (strip.steps < trail.part[1]))[:, None]
    mask[strip.y[take], strip.x[take]] = True
