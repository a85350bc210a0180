"""Scenes with and without trails, of every kind that a camera meets, and what is true of them.

They share nothing with :mod:`tests.support.scenes`, on which the limits of the search were
chosen: other skies, seeings, densities of stars, and trails that begin, end, tumble or come in
pairs.
"""

from __future__ import annotations

__all__ = ["EMPTY", "KINDS", "SHAPE", "Scene", "scene"]

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.special import erf

if TYPE_CHECKING:
    from collections.abc import Callable

    Array = np.ndarray[Any, np.dtype[np.float64]]

#: Pixels (ny, nx) of a scene.
SHAPE: Final = (1000, 900)

#: Raw level from which on a pixel is saturated, adu.
FULL: Final = 60000.0

#: Shortest trail that is drawn, pixels: shorter ones are not looked for.
_SHORTEST: Final = 400.0


@dataclass(frozen=True)
class Scene:
    """A flat-fielded frame.

    Attributes
    ----------
    image
        adu, sky included, float32.
    saturated
        True where the pixel was full.
    noise
        Of the sky, adu.
    light
        Expected light of the trails alone, adu; 0 without any.
    """

    image: np.ndarray[Any, np.dtype[np.float32]]
    saturated: np.ndarray[Any, np.dtype[np.bool_]]
    noise: float
    light: Array


@dataclass
class _Frame:
    """A scene that is being drawn; expected light in adu."""

    rng: np.random.Generator
    gain: float
    level: float
    read_noise: float
    fwhm: float
    light: Array = field(default_factory=lambda: np.zeros(SHAPE))
    trails: Array = field(default_factory=lambda: np.zeros(SHAPE))
    full: np.ndarray[Any, np.dtype[np.bool_]] = field(
        default_factory=lambda: np.zeros(SHAPE, dtype=np.bool_)
    )

    @property
    def noise(self) -> float:
        return math.sqrt(self.level / self.gain + self.read_noise**2)

    def place(self, margin: float = 0.0) -> tuple[float, float]:
        """Random y and x."""
        ny, nx = SHAPE
        rng = self.rng
        return rng.uniform(margin, ny - margin), rng.uniform(margin, nx - margin)

    def done(self) -> Scene:
        """Expose it."""
        expected = np.maximum(self.level + self.light + self.trails, 0.0)
        image = self.rng.poisson(np.minimum(expected, 1e6) * self.gain) / self.gain
        image += self.rng.normal(0.0, self.read_noise, SHAPE)
        image[self.full] = 65535.0
        full = self.full | (image > FULL)
        return Scene(np.minimum(image, 65535.0).astype(np.float32), full, self.noise, self.trails)


@lru_cache(maxsize=1)
def _pixels() -> Array:
    """Row and column of each pixel, shape (2, ny, nx); not to be changed."""
    return np.mgrid[: SHAPE[0], : SHAPE[1]].astype(float)


def _frame(rng: np.random.Generator) -> _Frame:
    """An empty sky, dark or bright, of a slope, under any seeing."""
    frame = _Frame(
        rng,
        gain=rng.uniform(1.0, 3.0),
        level=10 ** rng.uniform(1.7, 3.7),
        read_noise=rng.uniform(2.0, 8.0),
        fwhm=rng.uniform(1.8, 6.0),
    )
    ny, nx = SHAPE
    slope = rng.normal(0.0, 0.03, 2)
    y, x = _pixels()
    frame.light += frame.level * (slope[0] * (y / ny - 0.5) + slope[1] * (x / nx - 0.5))
    return frame


def _stars(frame: _Frame, number: int) -> None:
    """Moffat stars whose number grows as flux^-0.8, up to some that are saturated."""
    rng = frame.rng
    half = int(4 * frame.fwhm) + 4
    offset = np.arange(-half, half + 1)
    alpha = frame.fwhm / (2.0 * math.sqrt(2 ** (1 / 3.0) - 1.0))
    faint = 8.0 * frame.noise * frame.fwhm
    flux = faint * rng.uniform(1e-5, 1.0, number) ** (-1 / 0.8)
    ny, nx = SHAPE
    x, y = rng.uniform(0, nx, number), rng.uniform(0, ny, number)
    for part in np.array_split(np.arange(number), max(number // 500, 1)):
        column, row = np.rint(x[part]).astype(int), np.rint(y[part]).astype(int)
        columns = column[:, None, None] + offset[None, None, :]
        rows = row[:, None, None] + offset[None, :, None]
        radius2 = (columns - x[part, None, None]) ** 2 + (rows - y[part, None, None]) ** 2
        shape = 2.0 / (math.pi * alpha**2) * (1 + radius2 / alpha**2) ** -3.0
        light = shape * flux[part, None, None]
        columns, rows = np.broadcast_arrays(columns, rows)
        inside = (columns >= 0) & (columns < nx) & (rows >= 0) & (rows < ny)
        places = rows[inside] * nx + columns[inside]
        np.add.at(frame.light.reshape(-1), places, light[inside])  # far faster than of two axes


def _galaxy(
    frame: _Frame, *, scale: float, ratio: float, peak: float, at: tuple[float, float]
) -> None:
    """An exponential disc, by its scale length and axis ratio, and its peak in units of noise."""
    turn = frame.rng.uniform(0.0, math.pi)
    y, x = _pixels()
    u = (x - at[1]) * math.cos(turn) + (y - at[0]) * math.sin(turn)
    v = (y - at[0]) * math.cos(turn) - (x - at[1]) * math.sin(turn)
    core = frame.fwhm / 2.0
    radius = np.sqrt(u**2 + (v / ratio) ** 2 + core**2)
    frame.light += peak * frame.noise * np.exp(-(radius - core) / scale)


def _bright_star(frame: _Frame, at: tuple[float, float] | None = None) -> None:
    """A star with a halo, diffraction spikes (four or six) and a column that bleeds."""
    rng = frame.rng
    y0, x0 = frame.place(50.0) if at is None else at
    y, x = _pixels()
    radius2 = (x - x0) ** 2 + (y - y0) ** 2
    frame.light += 10 ** rng.uniform(5.5, 7.0) * (1 + radius2 / frame.fwhm**2) ** -2.2
    frame.light += 10 ** rng.uniform(1.0, 2.5) * np.exp(-np.sqrt(radius2) / rng.uniform(20, 80))
    brightness, reach = 10 ** rng.uniform(1.5, 4.0), rng.uniform(8.0, 80.0)
    turn, number = rng.uniform(0.0, math.pi), int(rng.choice([2, 2, 3]))
    if rng.random() < 0.3:
        turn = 0.0
    for angle in turn + math.pi / number * np.arange(number):
        u = (x - x0) * math.cos(angle) + (y - y0) * math.sin(angle)
        v = (y - y0) * math.cos(angle) - (x - x0) * math.sin(angle)
        width = frame.fwhm / 2.35
        spike = np.exp(-0.5 * (v / width) ** 2)
        frame.light += brightness * spike / (1 + (np.abs(u) / reach) ** rng.uniform(1.6, 2.4))
    if 0 <= y0 < SHAPE[0] and 1 <= x0 < SHAPE[1] - 2:
        half, column = int(rng.uniform(10, 400)), int(x0)
        rows = slice(max(int(y0) - half, 0), int(y0) + int(half * rng.uniform(0.5, 1.5)))
        width = int(rng.integers(0, 3))
        frame.full[rows, column - min(width, column) : column + width + 1] = True
        frame.light[rows, max(column - width - 2, 0) : column + width + 3] += 3000.0


@dataclass(frozen=True)
class _Track:
    """Where a trail runs: through a point, along a direction, from and to (pixels from it)."""

    x: float
    y: float
    angle: float
    start: float = -math.inf
    end: float = math.inf


def _chord(track: _Track) -> tuple[float, float]:
    """From and to where the whole line is inside the frame; equal where it is not."""
    low, high = -math.inf, math.inf
    for at, step, size in (
        (track.x, math.cos(track.angle), SHAPE[1] - 1),
        (track.y, math.sin(track.angle), SHAPE[0] - 1),
    ):
        if abs(step) < 1e-9:
            continue
        ends = sorted((-at / step, (size - at) / step))
        low, high = max(low, ends[0]), min(high, ends[1])
    return (low, high) if high > low else (0.0, 0.0)


def _crossing(frame: _Frame) -> _Track:
    """A line through the frame, long enough, at any angle."""
    while True:
        y, x = frame.place(60.0)
        track = _Track(x, y, frame.rng.uniform(0.0, math.pi))
        low, high = _chord(track)
        if high - low > _SHORTEST:
            return track


def _draw(
    frame: _Frame,
    track: _Track,
    *,
    bright: tuple[float, float] = (1.2, 60.0),
    sigma: float | None = None,
    along: Callable[[Array], Array] | None = None,
) -> None:
    """Add a trail: its peak in units of the noise, its width, its brightness along itself."""
    rng = frame.rng
    own = frame.fwhm / 2.355
    if sigma is None:  # focused, or nearer than infinity
        sigma = math.hypot(own, float(rng.choice([0.0, rng.uniform(0.0, 3.5)])))
    peak = frame.noise * math.exp(rng.uniform(*np.log(bright)))
    y, x = _pixels()
    u = (x - track.x) * math.cos(track.angle) + (y - track.y) * math.sin(track.angle)
    v = (y - track.y) * math.cos(track.angle) - (x - track.x) * math.sin(track.angle)
    light = peak * np.exp(-0.5 * (v / sigma) ** 2)
    for end, sign in ((track.start, 1.0), (track.end, -1.0)):
        if math.isfinite(end):
            light *= 0.5 * (1 + erf(sign * (u - end) / (sigma * math.sqrt(2))))
    frame.trails += light if along is None else light * along(u)


def _tumbling(rng: np.random.Generator) -> Callable[[Array], Array]:
    """Brightness of what turns: 0.15 to 1 of the peak, in a period of 80 to 600 pixels."""
    period, phase = rng.uniform(80.0, 600.0), rng.uniform(0.0, 2 * math.pi)

    def along(u: Array) -> Array:
        return 0.15 + 0.85 * (0.5 + 0.5 * np.cos(2 * math.pi * u / period + phase)) ** 2

    return along


def _whole(frame: _Frame) -> None:
    _draw(frame, _crossing(frame))


def _tumbles(frame: _Frame) -> None:
    _draw(frame, _crossing(frame), bright=(4.0, 60.0), along=_tumbling(frame.rng))


def _two(frame: _Frame) -> None:
    for _ in range(2):
        _draw(frame, _crossing(frame))


def _at_edge(frame: _Frame) -> None:
    """Nearly along an edge, 8 to 40 pixels from it.

    It leans by five pixels and more.
    """
    rng = frame.rng
    ny, nx = SHAPE
    lean, off = rng.choice([-1, 1]) * (0.005 + rng.exponential(0.01)), rng.uniform(8.0, 40.0)
    if rng.random() < 0.5:
        _draw(frame, _Track(off if rng.random() < 0.5 else nx - off, ny / 2, math.pi / 2 + lean))
    else:
        _draw(frame, _Track(nx / 2, off if rng.random() < 0.5 else ny - off, lean))


def _upright(frame: _Frame) -> None:
    """Along a column or a row to three pixels, anywhere from 16 pixels off an edge."""
    rng = frame.rng
    ny, nx = SHAPE
    lean, (y, x) = rng.uniform(-0.003, 0.003), frame.place(16.0)
    if rng.random() < 0.5:  # near an edge
        y, x = (rng.uniform(16.0, 40.0) for _ in range(2))
        y, x = (y if rng.random() < 0.5 else ny - y), (x if rng.random() < 0.5 else nx - x)
    if rng.random() < 0.5:
        _draw(frame, _Track(x, ny / 2, math.pi / 2 + lean), bright=(2.0, 60.0))
    else:
        _draw(frame, _Track(nx / 2, y, lean), bright=(2.0, 60.0))


def _corner(frame: _Frame) -> None:
    """Across a corner, on 400 to 600 pixels."""
    rng = frame.rng
    ny, nx = SHAPE
    length, slant = rng.uniform(_SHORTEST, 600.0), rng.uniform(0.4, 1.1)
    dx, dy = length * math.cos(slant) / 2, length * math.sin(slant) / 2
    right, top = rng.random(2) < 0.5
    angle = slant if right != top else math.pi - slant
    _draw(frame, _Track(nx - 1 - dx if right else dx, ny - 1 - dy if top else dy, angle))


def _begins(frame: _Frame) -> None:
    """From an edge to somewhere in the frame, over 400 pixels and more."""
    track = _crossing(frame)
    low, high = _chord(track)
    end = low + frame.rng.uniform(_SHORTEST, max(high - low - 50.0, _SHORTEST + 1))
    if frame.rng.random() < 0.5:
        _draw(frame, _Track(track.x, track.y, track.angle, end=end), bright=(2.0, 60.0))
    else:
        start = high - (end - low)
        _draw(frame, _Track(track.x, track.y, track.angle, start=start), bright=(2.0, 60.0))


def _inside(frame: _Frame) -> None:
    """Both ends in the frame, 400 pixels and more apart."""
    while True:
        track = _crossing(frame)
        low, high = _chord(track)
        if high - low > _SHORTEST + 120.0:
            break
    length = frame.rng.uniform(_SHORTEST, high - low - 100.0)
    start = frame.rng.uniform(low + 40.0, high - length - 40.0)
    ends = {"start": start, "end": start + length}
    _draw(frame, _Track(track.x, track.y, track.angle, **ends), bright=(2.0, 60.0))


def _aeroplane(frame: _Frame) -> None:
    """Two parallel trails 8 to 40 pixels apart, and lights that flash between them."""
    rng, track = frame.rng, _crossing(frame)
    apart, sigma = rng.uniform(8.0, 40.0), math.hypot(frame.fwhm / 2.355, rng.uniform(0.5, 2.5))
    for side in (-0.5, 0.5):
        x = track.x - side * apart * math.sin(track.angle)
        y = track.y + side * apart * math.cos(track.angle)
        _draw(frame, _Track(x, y, track.angle), bright=(3.0, 60.0), sigma=sigma)
    low, high = _chord(track)
    step = rng.uniform(100.0, 300.0)
    for at in np.arange(low + rng.uniform(0, step), high, step):
        y, x = _pixels()
        x0, y0 = track.x + at * math.cos(track.angle), track.y + at * math.sin(track.angle)
        flash = np.exp(-0.5 * ((x - x0) ** 2 + (y - y0) ** 2) / sigma**2)
        frame.light += 20.0 * frame.noise * flash


def _beside_star(frame: _Frame) -> None:
    """A trail, and a bright star with all that belongs to it."""
    _bright_star(frame)
    _draw(frame, _crossing(frame), bright=(2.0, 60.0))


def _on_galaxy(frame: _Frame) -> None:
    """A trail on a galaxy that fills a third of the frame."""
    scale, ratio = frame.rng.uniform(40, 100), frame.rng.uniform(0.3, 1)
    _galaxy(frame, scale=scale, ratio=ratio, peak=frame.rng.uniform(5, 60), at=frame.place(200.0))
    _draw(frame, _crossing(frame), bright=(2.0, 60.0))


def _nothing(frame: _Frame) -> None:
    """Stars and small galaxies alone."""


def _spikes(frame: _Frame) -> None:
    for _ in range(int(frame.rng.integers(1, 3))):
        _bright_star(frame)


def _star_outside(frame: _Frame) -> None:
    """Spikes of a star beside the frame that reach into it."""
    rng = frame.rng
    ny, nx = SHAPE
    off = rng.uniform(5.0, 60.0)
    side = int(rng.integers(4))
    y, x = frame.place()
    at = ((y, -off), (y, nx + off), (-off, x), (ny + off, x))[side]
    _bright_star(frame, at)


def _edge_on(frame: _Frame) -> None:
    """Thin discs seen from their edge."""
    rng = frame.rng
    for _ in range(3):
        scale, peak = rng.uniform(15.0, 70.0), math.exp(rng.uniform(*np.log((3.0, 200.0))))
        _galaxy(frame, scale=scale, ratio=rng.uniform(0.08, 0.2), peak=peak, at=frame.place())


def _large_galaxy(frame: _Frame) -> None:
    rng = frame.rng
    scale, ratio = rng.uniform(40, 120), rng.uniform(0.2, 1.0)
    _galaxy(frame, scale=scale, ratio=ratio, peak=rng.uniform(20, 500), at=frame.place(200.0))


def _columns(frame: _Frame) -> None:
    """What a detector leaves: bright and dark columns, parts of them, a step between halves."""
    rng = frame.rng
    ny, nx = SHAPE
    for _ in range(6):
        column, start = int(rng.integers(5, nx - 5)), int(rng.uniform(-0.5 * ny, 0.8 * ny))
        value = frame.noise * rng.uniform(-4, 8)
        frame.light[max(start, 0) :, column : column + int(rng.integers(1, 3))] += value
    row = int(rng.integers(5, ny - 5))
    frame.light[row, int(rng.uniform(0, 0.5 * nx)) :] += frame.noise * rng.uniform(1, 5)
    frame.light[:, nx // 2 :] += frame.noise * rng.normal(0.0, 0.7)


def _edges(frame: _Frame) -> None:
    """What edges of a detector do: they glow, or are dark, or end in a brighter band."""
    rng = frame.rng
    y, x = _pixels()
    for off in (x, SHAPE[1] - 1 - x, y, SHAPE[0] - 1 - y):
        reach, value = math.exp(rng.uniform(0.0, 4.0)), frame.noise * rng.uniform(-5.0, 20.0)
        if rng.random() < 0.7:
            frame.light += value * np.exp(-off / reach)
        else:
            frame.light += np.where(off < reach, value, 0.0)
        column = int(rng.integers(3, 40))
        frame.light[off == column] += frame.noise * rng.uniform(2.0, 20.0)


#: What may be in a frame, by name: trails, and what is taken for one.
KINDS: Final[dict[str, Callable[[_Frame], None]]] = {
    "crossing": _whole,
    "tumbling": _tumbles,
    "two": _two,
    "along an edge": _at_edge,
    "across a corner": _corner,
    "from an edge": _begins,
    "inside": _inside,
    "aeroplane": _aeroplane,
    "beside a bright star": _beside_star,
    "on a galaxy": _on_galaxy,
    "upright": _upright,
}
EMPTY: Final[dict[str, Callable[[_Frame], None]]] = {
    "stars": _nothing,
    "spikes and bleeding": _spikes,
    "spikes from outside": _star_outside,
    "edge-on galaxies": _edge_on,
    "large galaxy": _large_galaxy,
    "columns and steps": _columns,
    "edges": _edges,
}


def scene(kind: str, number: int, *, seed: int) -> Scene:
    """Draw a scene of a kind; every third is crowded, every third nearly empty."""
    kinds = list(KINDS | EMPTY)
    rng = np.random.default_rng([seed, kinds.index(kind), number])
    frame = _frame(rng)
    _stars(frame, (int(rng.uniform(20, 100)), 400, int(rng.uniform(1500, 4000)))[number % 3])
    for _ in range(10):
        scale, peak = rng.uniform(2.0, 8.0), rng.uniform(1.0, 50.0)
        _galaxy_stamp(frame, scale, rng.uniform(0.2, 1.0), peak)
    (KINDS | EMPTY)[kind](frame)
    return frame.done()


def _galaxy_stamp(frame: _Frame, scale: float, ratio: float, peak: float) -> None:
    """A small galaxy, drawn where it is only."""
    y0, x0 = frame.place()
    reach = int(10 * scale)
    rows = slice(max(int(y0) - reach, 0), min(int(y0) + reach, SHAPE[0]))
    columns = slice(max(int(x0) - reach, 0), min(int(x0) + reach, SHAPE[1]))
    y, x = np.mgrid[rows, columns]
    turn = frame.rng.uniform(0.0, math.pi)
    u = (x - x0) * math.cos(turn) + (y - y0) * math.sin(turn)
    v = (y - y0) * math.cos(turn) - (x - x0) * math.sin(turn)
    core = frame.fwhm / 2.0
    radius = np.sqrt(u**2 + (v / ratio) ** 2 + core**2)
    frame.light[rows, columns] += peak * frame.noise * np.exp(-(radius - core) / scale)
