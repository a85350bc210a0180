"""Frames hit by cosmic rays, under any seeing, and how well the hits are told from stars.

Nothing is shared with :mod:`reduction.simulation`: tracks cross pixels anywhere and their charge
spreads, stars have wings and are integrated over pixels.
"""

from __future__ import annotations

__all__ = ["SEEINGS", "CosmicScene", "Hits", "cosmic_scene", "judge"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Callable

    Array = np.ndarray[Any, np.dtype[np.float64]]
    Mask = np.ndarray[Any, np.dtype[np.bool_]]

#: Full widths at half maximum of stars that are looked at, pixels: undersampled to blurred.
SEEINGS: Final = (1.8, 2.2, 2.8, 3.5, 5.0)

_SHAPE: Final = (500, 500)
_FULL: Final = 60000.0

#: Parts of a pixel that stars are sampled at.
_FINE: Final = 5

#: Wings of a Moffat profile.
_BETA: Final = 3.5


@dataclass(frozen=True)
class CosmicScene:
    """A flat-fielded frame.

    Attributes
    ----------
    image
        adu, sky included, float32.
    gain, read_noise
        e-/adu and adu.
    saturated
        True where a pixel is full.
    noise
        Of each pixel without hits, adu.
    charge
        What cosmic rays left, adu.
    stars
        Pixels (y, x) of the peaks of stars of S/N 20 and more that are not saturated and whose
        5 x 5 pixels no ray has hit, shape (n, 2).
    """

    image: np.ndarray[Any, np.dtype[np.float32]]
    gain: float
    read_noise: float
    saturated: Mask
    noise: Array
    charge: Array
    stars: np.ndarray[Any, np.dtype[np.intp]]


def cosmic_scene(fwhm: float, number: int, *, seed: int) -> CosmicScene:
    """Draw a frame of stars and galaxies, and what has hit it."""
    rng = np.random.default_rng([seed, round(10 * fwhm), number])
    gain, read_noise = rng.uniform(1.0, 3.0), rng.uniform(2.0, 6.0)
    level = 10 ** rng.uniform(1.0, 3.3)
    expected = np.full(_SHAPE, level)
    noise = math.sqrt(level / gain + read_noise**2)
    count = int(rng.uniform(100, 600))
    x, y = (rng.uniform(4, n - 5, count) for n in _SHAPE)
    flux = 15.0 * noise * fwhm * rng.uniform(3e-5, 1.0, count) ** (-1 / 0.9)
    _stars(expected, x, y, flux, fwhm)
    _galaxies(expected, rng, noise, fwhm)
    charge = _tracks(rng, 120, noise)
    electrons = rng.poisson(np.minimum(expected, 1e6) * gain)
    image = electrons / gain + charge + rng.normal(0.0, read_noise, _SHAPE)
    saturated = image > _FULL
    image[saturated] = _FULL
    local = np.sqrt(expected / gain + read_noise**2)
    peaks = np.column_stack([np.rint(y).astype(int), np.rint(x).astype(int)])
    struck = ndimage.binary_dilation((charge > 0.5 * local) | saturated, np.ones((5, 5)))
    clear = ~struck[peaks[:, 0], peaks[:, 1]]
    # The noise of a circle of one full width around the star.
    area = math.pi * fwhm**2
    sure = flux / np.sqrt(flux / gain + area * noise**2) > 20.0
    return CosmicScene(
        image.astype(np.float32), gain, read_noise, saturated, local, charge, peaks[clear & sure]
    )


def _stars(image: Array, x: Array, y: Array, flux: Array, fwhm: float) -> None:
    """Moffat stars, integrated over pixels, in place."""
    half = int(5 * fwhm) + 3
    fine = (np.arange((2 * half + 1) * _FINE) + 0.5) / _FINE - 0.5 - half
    alpha2 = fwhm**2 / (4.0 * (2 ** (1 / _BETA) - 1.0))
    ny, nx = image.shape
    for column, row, light in zip(x, y, flux, strict=True):
        i, j = round(column), round(row)
        dx, dy = fine - (column - i), fine - (row - j)
        stamp = (1 + (dx[None, :] ** 2 + dy[:, None] ** 2) / alpha2) ** -_BETA
        stamp = stamp.reshape(2 * half + 1, _FINE, 2 * half + 1, _FINE).sum(axis=(1, 3))
        stamp *= light * (_BETA - 1) / (math.pi * alpha2 * _FINE**2)
        rows = slice(max(j - half, 0), min(j + half + 1, ny))
        columns = slice(max(i - half, 0), min(i + half + 1, nx))
        image[rows, columns] += stamp[
            rows.start - j + half : rows.stop - j + half,
            columns.start - i + half : columns.stop - i + half,
        ]


def _galaxies(image: Array, rng: np.random.Generator, noise: float, fwhm: float) -> None:
    """Discs with cores of the seeing's size, in place."""
    y, x = np.mgrid[: _SHAPE[0], : _SHAPE[1]]
    for _ in range(8):
        scale, ratio, turn = rng.uniform(2, 12), rng.uniform(0.2, 1.0), rng.uniform(0, math.pi)
        dx, dy = x - rng.uniform(0, _SHAPE[1]), y - rng.uniform(0, _SHAPE[0])
        u = dx * math.cos(turn) + dy * math.sin(turn)
        v = dy * math.cos(turn) - dx * math.sin(turn)
        radius = np.sqrt(u**2 + (v / ratio) ** 2 + fwhm**2)
        image += noise * 10 ** rng.uniform(0.0, 2.0) * np.exp((fwhm - radius) / scale)


def _tracks(rng: np.random.Generator, number: int, noise: float) -> Array:
    """Charge of straight tracks and of worms that turn, spread by a fifth to two of a pixel."""
    charge = np.zeros(_SHAPE)
    for _ in range(number):
        length = float(rng.choice([rng.exponential(2.0), rng.uniform(5.0, 40.0)], p=[0.8, 0.2]))
        steps = int(length * 10) + 1
        turn = rng.uniform(0, 2 * math.pi) + np.cumsum(rng.normal(0, rng.choice([0, 0.05]), steps))
        x = rng.uniform(0, _SHAPE[1] - 1) + np.cumsum(np.cos(turn)) / 10
        y = rng.uniform(0, _SHAPE[0] - 1) + np.cumsum(np.sin(turn)) / 10
        sigma = rng.uniform(0.1, 0.4)
        spread = rng.normal(0.0, sigma, (2, 40, steps))
        each = noise * 10 ** rng.uniform(1.0, 2.5) / 10 / 40  # of a pixel's way: 10 to 300 sigma
        j, i = np.rint(y + spread[0]).astype(int), np.rint(x + spread[1]).astype(int)
        inside = (i >= 0) & (i < _SHAPE[1]) & (j >= 0) & (j < _SHAPE[0])
        np.add.at(charge, (j[inside], i[inside]), each * max(10 / steps, 1.0))
    return charge


@dataclass
class Hits:
    """Pixels of some frames together.

    Attributes
    ----------
    true, hit
        Pixels with five sigmas and more of charge, and those of them that were found.
    found, false
        Pixels found, and those of them that lie beside no pixel with half a sigma of charge.
    stars, lost
        Clear stars, and those of them with a pixel of the 3 x 3 at their peak found.
    """

    true: int = 0
    hit: int = 0
    found: int = 0
    false: int = 0
    stars: int = 0
    lost: int = 0

    @property
    def completeness(self) -> float:
        """Part of the hit pixels that is found."""
        return self.hit / max(self.true, 1)

    @property
    def purity(self) -> float:
        """Part of the found pixels that is hit, or beside one that is."""
        return 1.0 - self.false / max(self.found, 1)

    @property
    def stars_lost(self) -> float:
        """Part of the stars whose core is masked."""
        return self.lost / max(self.stars, 1)


def judge(find: Callable[[CosmicScene], Mask], fwhm: float, number: int, *, seed: int) -> Hits:
    """Compare what a method finds in frames of one seeing with what hit them."""
    total = Hits()
    for index in range(number):
        scene = cosmic_scene(fwhm, index, seed=seed)
        found = find(scene) & ~scene.saturated
        true = (scene.charge > 5.0 * scene.noise) & ~scene.saturated
        near = ndimage.binary_dilation(scene.charge > 0.5 * scene.noise, np.ones((3, 3)))
        total.true += int(true.sum())
        total.hit += int((found & true).sum())
        total.found += int(found.sum())
        total.false += int((found & ~near).sum())
        core = ndimage.binary_dilation(found, np.ones((3, 3)))
        total.stars += len(scene.stars)
        total.lost += int(core[scene.stars[:, 0], scene.stars[:, 1]].sum())
    return total
