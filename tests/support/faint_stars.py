"""Fields of stars with known counts, most of them too faint to be detected."""

from __future__ import annotations

__all__ = ["BRIGHT", "Counts", "Field", "draw"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import fft

if TYPE_CHECKING:
    from collections.abc import Callable

#: Parts of a pixel's side that stars are placed and integrated on.
_PARTS: Final = 3

#: Signal to noise of the faintest and brightest stars that are drawn; of those that show the
#: point spread function, and how many there are in 256 x 256 pixels.
_FAINTEST: Final = 0.3
_BRIGHTEST: Final = 3000.0
BRIGHT: Final = (300.0, 2000.0)
_SHOWN: Final = 2.0


@dataclass(frozen=True, slots=True)
class Counts:
    """A field.

    ``density`` stars in 256 x 256 pixels have a signal-to-noise ratio above 5, and their number
    grows by ``slope`` in log10 a magnitude; ``fwhm`` is that of a Moffat function of ``beta``,
    pixels; ``level`` (adu), ``gain`` (e-/adu) and ``read_noise`` (adu) are the sky's.
    """

    slope: float = 0.3
    density: float = 20.0
    fwhm: float = 3.8
    beta: float = 3.5
    level: float = 400.0
    gain: float = 2.5
    read_noise: float = 2.5
    side: int = 1024

    @property
    def noise(self) -> float:
        """Of a pixel of sky, adu."""
        return math.hypot(math.sqrt(self.level / self.gain), self.read_noise)

    @property
    def area(self) -> float:
        """Pixels of sky that the best estimate of a star's flux is made from."""
        core2 = (self.fwhm / 2.0) ** 2 / (2.0 ** (1.0 / self.beta) - 1.0)
        return float(math.pi * core2 * (2.0 * self.beta - 1.0) / (self.beta - 1.0) ** 2)

    @property
    def one(self) -> float:
        """Flux of a signal-to-noise ratio of 1, adu."""
        return self.noise * math.sqrt(self.area)

    def inside(self, radius: float) -> float:
        """Part of a star's light in a circle (radius in pixels)."""
        core2 = (self.fwhm / 2.0) ** 2 / (2.0 ** (1.0 / self.beta) - 1.0)
        return float(1.0 - (1.0 + radius**2 / core2) ** (1.0 - self.beta))


@dataclass(frozen=True, slots=True)
class Field:
    """A frame of it, and its truth.

    ``image`` (adu), the ``noise`` in it and the ``light`` of all stars, shape (ny, nx); ``x``,
    ``y`` (0-based pixels) and ``flux`` (adu) of all stars; of those, which are ``probes``: put
    where they are without regard to the others.
    """

    counts: Counts
    image: np.ndarray
    noise: np.ndarray
    light: np.ndarray
    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray
    probes: np.ndarray

    def in_circles(self, radius: float) -> np.ndarray:
        """What noise adds to the flux of each probe in a circle, adu."""
        return self._sums(lambda square: square <= radius**2, math.ceil(radius) + 1)

    def by_function(self) -> np.ndarray:
        """What noise adds to the flux of each probe by the point spread function, adu."""
        counts = self.counts
        core2 = (counts.fwhm / 2.0) ** 2 / (2.0 ** (1.0 / counts.beta) - 1.0)

        def weights(square: np.ndarray) -> np.ndarray:
            light = (1.0 + square / core2) ** -counts.beta
            return np.asarray(light * light.sum() / (light * light).sum())

        return self._sums(weights, math.ceil(2.2 * counts.fwhm))

    def _sums(self, weights: Callable[[np.ndarray], np.ndarray], half: int) -> np.ndarray:
        offsets = np.arange(-half, half + 1)
        padded = np.pad(self.noise, half)
        found = []
        for x, y in zip(self.x[self.probes], self.y[self.probes], strict=True):
            column, row = round(x), round(y)
            square = (row + offsets[:, None] - y) ** 2 + (column + offsets - x) ** 2
            cut = padded[row : row + 2 * half + 1, column : column + 2 * half + 1]
            found.append(float((weights(square) * cut).sum()))
        return np.array(found)


def draw(
    counts: Counts,
    *,
    seed: int,
    probes: float,
    pitch: int = 96,
    background: np.ndarray | float = 0.0,
) -> Field:
    """A frame of a field, with probes of one signal-to-noise ratio about a pitch apart.

    ``background`` is light beside the level, adu, shape (side, side) or one number.
    """
    rng, side = np.random.default_rng(seed), counts.side
    power, tiles = counts.slope / 0.4, (side / 256) ** 2
    number = rng.poisson(counts.density * tiles * (5.0 / _FAINTEST) ** power)
    part = rng.uniform((_FAINTEST / _BRIGHTEST) ** power, 1.0, number)
    shown = 10.0 ** rng.uniform(
        math.log10(BRIGHT[0]), math.log10(BRIGHT[1]), round(_SHOWN * tiles)
    )
    stars = np.append(_FAINTEST * part ** (-1.0 / power), shown)
    x, y = rng.uniform(-0.5, side - 0.5, (2, len(stars)))
    grid = np.arange(pitch // 2, side - pitch // 4, pitch)
    places = [
        part.ravel() + rng.uniform(-pitch / 4, pitch / 4, part.size)
        for part in np.meshgrid(grid, grid)
    ]
    x, y = np.append(x, places[0]), np.append(y, places[1])
    flux = counts.one * np.append(stars, np.full(len(places[0]), probes))
    light, x, y = _rendered(counts, x, y, flux)
    sky = counts.level + light + background
    image = rng.poisson(sky * counts.gain) / counts.gain
    image = (image + rng.normal(0.0, counts.read_noise, image.shape)).astype(np.float32)
    return Field(counts, image, image - sky, light, x, y, flux, np.arange(len(x)) >= len(stars))


def _rendered(
    counts: Counts, x: np.ndarray, y: np.ndarray, flux: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Light of stars that lie in the middles of parts of pixels, and where; wings do not end."""
    size = counts.side * _PARTS
    column, row = (np.floor((part + 0.5) * _PARTS).astype(int) % size for part in (x, y))
    points = np.bincount(row * size + column, weights=flux, minlength=size * size)
    away = (np.fft.fftfreq(size) * size) ** 2
    core2 = (counts.fwhm * _PARTS / 2.0) ** 2 / (2.0 ** (1.0 / counts.beta) - 1.0)
    function = (1.0 + (away[:, None] + away) / core2) ** -counts.beta
    spectrum = fft.rfft2(points.reshape(size, size)) * fft.rfft2(function / function.sum())
    fine = fft.irfft2(spectrum, s=(size, size))
    light = fine.reshape(counts.side, _PARTS, counts.side, _PARTS).sum(axis=(1, 3))
    middle = [(part + 0.5) / _PARTS - 0.5 for part in (column, row)]
    return np.maximum(light, 0.0), *middle
