"""What looks like a trail and is none: columns, edges, spikes of stars, and galaxies."""

from __future__ import annotations

__all__ = ["is_no_trail"]

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.run import crosses
from reduction.steps.sight import known_median
from reduction.steps.strip import REACH, row_medians
from schemas.deferred import deferred

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import ndimage

    from reduction.steps.points import Frame
    from reduction.steps.sight import Sight

    Image = NDArray[np.float32]
else:
    ndimage = deferred("scipy.ndimage")

#: Fall of a spike's light from its star: nearest to farthest third of what is farther than a
#: piece. The same of a spike that comes from outside, and from third to third of it.
_FADES: Final = 1.5
_OUTSIDE: Final = 3.0
_FALLS: Final = 1.3

#: How much brighter a trail that ends may be in one third than at its ends.
_UNEVEN: Final = 2.0

#: Brightest over faintest light of what may be a spike or a galaxy from edge to edge: more than
#: the factor of seven by which things tumble.
_STEEP: Final = 10.0

#: Light of a galaxy's middle third over that of the others, where it goes through the frame: what
#: tumbles by a factor of seven has 4.4 at most. And by how much light from one peak may rise
#: towards its sides, a part of it.
_BULGE: Final = 4.5
_RISE: Final = 0.2

#: What pure noise rises by from a piece to the next, on average, in errors of a piece: medians of
#: three scatter by 0.67, their differences by 0.6, and of a normal one 0.4 is a rise.
_NOISE: Final = 0.25

#: Part of a line's pixels which, saturated, tells a bleeding column.
_BLEED: Final = 0.1

#: Lines within this angle of the image's axes, radians, may be columns.
_AXIS: Final = 0.05

#: Pixels by which a column may seem to lean, and part of its light by which it falls from a pixel
#: to the next: a trail's is spread by the air (0.64 at most where its width is 1.8 pixels).
_UPRIGHT: Final = 6.0
_COLUMN: Final = 0.8

#: Part of its light by which a trail falls towards an edge so near that no sky is seen there: an
#: edge glows towards itself.
_FALLEN: Final = 0.5


def is_no_trail(frame: Frame, sight: Sight, run: tuple[int, int]) -> bool:
    """Whether what shows on a line is something else.

    Parameters
    ----------
    frame
        The frame, with its saturated pixels.
    sight
        The line as it is seen.
    run
        First and last (excluded) piece that show.
    """
    return (
        _is_column(frame, sight, run)
        or any(_fades(sight, run, star) for star in _stars(frame, sight, run))
        or _swells(sight, run)
    )


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
    if 2 * sight.both[part].sum() < sight.known[part].sum() and _glows(frame, sight, run):
        return True
    light, _ = _upright_profile(frame, sight, run, 4)
    peak = 2 + int(light[2:-2].argmax())  # beyond that an edge may glow
    height = light[peak] - max(light[:peak].min(), light[peak + 1 :].min())
    return bool(np.abs(np.diff(light[1:-1])).max() > _COLUMN * height)


def _glows(frame: Frame, sight: Sight, run: tuple[int, int]) -> bool:
    """Whether light beside an edge hardly falls towards it, as an edge's own does not."""
    light, middle = _upright_profile(frame, sight, run, REACH)
    near = round(sight.half) + 1
    peak = light[max(middle - near, 0) : middle + near + 1].max()
    sides = light[: middle + 1].min(), light[middle:].min()
    return bool(peak - max(sides) < _FALLEN * peak)


def _upright_profile(
    frame: Frame, sight: Sight, run: tuple[int, int], reach: int
) -> tuple[Image, int]:
    """Light across a run, added up along the image's axis: a column stays as sharp as it is.

    From so many pixels on one side of all that the line comes by to as many on the other; and
    where in that the middle is.
    """
    strip, steps = sight.strip, sight.pieces.shape[1]
    part = slice(run[0] * steps, run[1] * steps)
    across = (strip.x if strip.is_steep else strip.y)[part, REACH]
    away = int(np.ptp(across)) // 2 + reach
    middle = (int(across.min()) + int(across.max())) // 2
    first = max(middle - away, 0)
    columns = slice(first, middle + away + 1)
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
    return np.nan_to_num(light - np.nanmin(light)).astype(np.float32), middle - first


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
    """Whether light falls with the distance from a star, as a diffraction spike's does.

    Of what goes through the frame all is looked at: the ends, which are darkest, may be too dark
    to be of the run.
    """
    first, last = (0, len(sight.signal)) if crosses(sight, run) else run
    places = np.flatnonzero(sight.known)
    places = places[(np.abs(places - star) > 1) & (places >= first) & (places < last)]
    if places.size < 3:
        return True
    order = places[np.argsort(np.abs(places - star), kind="stable")]
    third = max(order.size // 3, 1)
    near, far = (np.median(sight.signal[part]) for part in (order[:third], order[-third:]))
    if near <= _FADES * far:
        return False
    # of a piece that nothing is known of: what those beside it have, not none
    shown = np.arange(*run)
    there = shown[sight.known[shown]]
    light = np.interp(shown, there, sight.signal[there]).astype(np.float32)
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
        calm = ndimage.median_filter(light, 3, mode="mirror")
        # a star on the line makes what is even elsewhere look steep
        uneven = float(np.quantile(light, 0.75)) > _FADES * known_median(light)
        steep = (
            (uneven and calm.max() > _STEEP * max(float(calm.min()), known_median(error)))
            or middle > _BULGE * high
            or high > _OUTSIDE * max(middle, low)
            or (high > max(_FALLS * middle, _OUTSIDE * low) and middle > _FALLS * low)
        )
        return steep and _falls_from(light, None, known_median(error))
    doubt = 1.25 * known_median(error) / math.sqrt(third)
    return max(begin, middle, end) > _UNEVEN * (min(begin, end) + doubt)


def _falls_from(light: Image, peak: int | None, error: float = 0.0) -> bool:
    """Whether light of such an error falls to both sides of a piece or of its peak."""
    light = ndimage.median_filter(np.nan_to_num(light), 3, mode="mirror")  # without stars
    peak = int(light.argmax()) if peak is None else peak
    change = np.diff(light)
    wrong = np.maximum(-change[:peak], 0.0).sum() + np.maximum(change[peak:], 0.0).sum()
    return bool(wrong < _RISE * light.max() + _NOISE * error * light.size)
