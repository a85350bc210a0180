"""Frames of a known sky through any projection, for tests of what is resampled and combined."""

from __future__ import annotations

__all__ = ["Frame", "Stars", "draw", "frame_of", "scatter_stars", "turned"]

from dataclasses import dataclass

import numpy as np
from scipy.special import erf

from reduction.steps.wcs import TanWcs

SIGMA_PER_FWHM = 1.0 / 2.3548200450309493


@dataclass(frozen=True)
class Stars:
    """A sky: positions in degrees, fluxes on the common scale."""

    ra: np.ndarray
    dec: np.ndarray
    flux: np.ndarray


@dataclass(frozen=True)
class Frame:
    """A frame with its weight (inverse variance), mask and projection."""

    image: np.ndarray
    weight: np.ndarray
    mask: np.ndarray
    wcs: TanWcs
    scale: float
    noise: float


def turned(
    ra: float, dec: float, shape: tuple[int, int], *, scale: float, angle: float = 0.0
) -> TanWcs:
    """A TAN system around the middle of a frame, east left, turned by ``angle`` degrees."""
    c, s = np.cos(np.radians(angle)) * scale / 3600, np.sin(np.radians(angle)) * scale / 3600
    return TanWcs(ra, dec, (shape[1] - 1) / 2, (shape[0] - 1) / 2, ((-c, s), (s, c)))


def scatter_stars(
    rng: np.random.Generator, centre: tuple[float, float], half: float, separation: float, flux
) -> Stars:
    """Stars on a jittered mesh, none nearer to another than half the mesh; arcsec, degrees."""
    steps = np.arange(-half + separation / 2, half, separation)
    xi, eta = (a.ravel() for a in np.meshgrid(steps, steps))
    xi = xi + rng.uniform(-0.25, 0.25, xi.size) * separation
    eta = eta + rng.uniform(-0.25, 0.25, xi.size) * separation
    ra, dec = TanWcs(*centre, 0.0, 0.0, ((1 / 3600, 0.0), (0.0, 1 / 3600))).to_sky(xi, eta)
    fluxes = np.broadcast_to(np.asarray(flux, float), xi.shape) if np.ndim(flux) else flux
    return Stars(ra, dec, np.resize(fluxes, xi.size).astype(float))


def draw(
    image: np.ndarray, x: np.ndarray, y: np.ndarray, flux: np.ndarray, *, fwhm: float
) -> None:
    """Add round Gaussian stars, integrated over pixels, in place."""
    sigma = fwhm * SIGMA_PER_FWHM
    half = int(np.ceil(7 * sigma)) + 1
    for px, py, f in zip(x, y, flux, strict=True):
        cx, cy = round(float(px)), round(float(py))
        x0, x1 = max(cx - half, 0), min(cx + half + 1, image.shape[1])
        y0, y1 = max(cy - half, 0), min(cy + half + 1, image.shape[0])
        if x0 >= x1 or y0 >= y1:
            continue
        edges_x = (np.arange(x0, x1 + 1) - 0.5 - px) / (np.sqrt(2) * sigma)
        edges_y = (np.arange(y0, y1 + 1) - 0.5 - py) / (np.sqrt(2) * sigma)
        image[y0:y1, x0:x1] += f * np.outer(np.diff(erf(edges_y)), np.diff(erf(edges_x))) / 4


def frame_of(
    stars: Stars,
    wcs: TanWcs,
    shape: tuple[int, int],
    rng: np.random.Generator,
    *,
    fwhm: float,
    noise: float,
    scale: float = 1.0,
    bad: float = 0.0,
    sky: float = 0.0,
) -> Frame:
    """Expose: ``fwhm`` in pixels; adu times ``scale`` is flux; a part ``bad`` of them is junk."""
    image = np.full(shape, sky)
    x, y = wcs.to_pixel(stars.ra, stars.dec)
    draw(image, x, y, stars.flux / scale, fwhm=fwhm)
    image += rng.normal(0.0, noise, shape) if noise else 0.0
    weight = np.full(shape, 1.0 / noise**2 if noise else 1.0, np.float32)
    mask = np.zeros(shape, np.uint8)
    junk = rng.random(shape) < bad
    image[junk] = rng.uniform(1e3, 6e4, int(junk.sum()))
    weight[junk], mask[junk] = 0.0, 32
    return Frame(image.astype(np.float32), weight, mask, wcs, scale, noise)
