"""Skies full of what is easily taken for a trail: galaxies, spikes, bleeding columns."""

from __future__ import annotations

__all__ = ["add_bleeding_star", "add_source", "add_trail", "crowded_sky"]

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    Image = np.ndarray[Any, np.dtype[np.float32]]


def crowded_sky(rng: np.random.Generator, shape: tuple[int, int], noise: float) -> Image:
    """Stars (FWHM 4.2 pixels) and galaxies of all sizes and flattenings on a sky of 400 adu."""
    image = rng.normal(400.0, noise, shape).astype(np.float32)
    for _ in range(300):
        place = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        add_source(image, *place, flux=10 ** rng.uniform(2.5, 6.3), axes=(1.8, 1.8))
    for _ in range(20):
        place = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        long = rng.uniform(3.0, 25.0)
        axes = (long, long * rng.uniform(0.15, 1.0))
        flux, turn = 10 ** rng.uniform(3.5, 6.0), rng.uniform(0.0, np.pi)
        add_source(image, *place, flux=flux, axes=axes, turn=turn)
    return image


def add_source(
    image: Image,
    y: float,
    x: float,
    *,
    flux: float,
    axes: tuple[float, float],
    turn: float = 0.0,
) -> None:
    """Add a Gaussian of two axes (pixels, standard deviations) turned from x towards y."""
    reach = int(6 * axes[0]) + 2
    rows = slice(max(int(y) - reach, 0), min(int(y) + reach, image.shape[0]))
    columns = slice(max(int(x) - reach, 0), min(int(x) + reach, image.shape[1]))
    yy, xx = np.mgrid[rows, columns]
    u = (xx - x) * np.cos(turn) + (yy - y) * np.sin(turn)
    v = (yy - y) * np.cos(turn) - (xx - x) * np.sin(turn)
    shape = np.exp(-0.5 * ((u / axes[0]) ** 2 + (v / axes[1]) ** 2))
    image[rows, columns] += (flux / (2 * np.pi * axes[0] * axes[1]) * shape).astype(np.float32)


def add_bleeding_star(image: Image, rng: np.random.Generator) -> None:
    """Add a star with a halo, four diffraction spikes, and a saturated column that bleeds."""
    ny, nx = image.shape
    y, x = rng.uniform(0.1 * ny, 0.9 * ny), rng.uniform(0.1 * nx, 0.9 * nx)
    yy, xx = np.mgrid[:ny, :nx].astype(np.float32)
    brightness, reach = 10 ** rng.uniform(2.0, 4.5), rng.uniform(10.0, 60.0)
    turn = float(rng.choice([0.0, np.pi / 4, rng.uniform(0.0, np.pi / 2)]))
    for angle in (turn, turn + np.pi / 2):
        u = (xx - x) * np.cos(angle) + (yy - y) * np.sin(angle)
        v = (yy - y) * np.cos(angle) - (xx - x) * np.sin(angle)
        image += brightness / (1 + (u / reach) ** 2) * np.exp(-0.5 * (v / 1.8) ** 2)
    add_source(image, y, x, flux=3e7, axes=(3.0, 3.0))
    add_source(image, y, x, flux=1e6, axes=(20.0, 20.0))
    half = int(rng.uniform(25, 450))
    rows = slice(max(int(y) - half, 0), int(y) + half)
    for offset, level in ((-2, 8000), (2, 3000)):
        image[rows, int(x) + offset] += level
    image[rows, int(x) - 1 : int(x) + 2] = 65000


def add_trail(image: Image, rng: np.random.Generator, *, peak: float, sigma: float) -> Image:
    """Add a trail across the frame in any direction; its light, adu, shape of the image."""
    ny, nx = image.shape
    angle = rng.uniform(0.0, np.pi)
    x, y = rng.uniform(0.1 * nx, 0.9 * nx), rng.uniform(0.1 * ny, 0.9 * ny)
    yy, xx = np.mgrid[:ny, :nx].astype(np.float32)
    offset = (xx - x) * np.cos(angle) + (yy - y) * np.sin(angle)
    light: Image = (peak * np.exp(-0.5 * (offset / sigma) ** 2)).astype(np.float32)
    image += rng.poisson(2.0 * light).astype(np.float32) / 2.0
    return light
