"""The simulated sky: stars and galaxies, and their light on a chip."""

from __future__ import annotations

__all__ = ["render", "simulate_sky"]

from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.simulation.config import stream
from reduction.simulation.geometry import PIXEL_SCALE, chip_layout
from reduction.simulation.truth import SkyTruth

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reduction.simulation.config import SimulationConfig

#: Full width at half maximum of a Gaussian of unit standard deviation.
FWHM: Final = 2.3548200450309493

#: Half side of a source's stamp in standard deviations of the seeing, and pixels at most.
_REACH: Final = 6.0
_LARGEST: Final = 40

#: Slope of log10(number of stars) with magnitude.
_SLOPE: Final = 0.18

#: V-I of a star over its B-V.
_RED: Final = 1.2

#: Stamp pixels computed at a time.
_CHUNK: Final = 2_000_000


def _magnitudes(
    rng: np.random.Generator, number: int, bright: float, faint: float
) -> NDArray[np.float64]:
    """Magnitudes whose counts grow tenfold in 1 / _SLOPE magnitudes."""
    low, high = 10.0 ** (_SLOPE * bright), 10.0 ** (_SLOPE * faint)
    return np.asarray(np.log10(rng.uniform(low, high, number)) / _SLOPE, dtype=np.float64)


def simulate_sky(config: SimulationConfig) -> SkyTruth:
    """Scatter stars and galaxies over the field of the mosaic and its dithers."""
    centres = np.array([chip_layout(config, i).centre for i in range(config.chips)])
    margin = config.dither / PIXEL_SCALE + 64
    low = centres.min(axis=0) - np.array(config.shape[::-1]) / 2 - margin
    high = centres.max(axis=0) + np.array(config.shape[::-1]) / 2 + margin
    area = float(np.prod(high - low)) / 256**2
    rng = stream(config, "sky")
    n_stars, n_galaxies = round(config.stars * area), round(config.galaxies * area)
    number = n_stars + n_galaxies
    x, y = rng.uniform(low[0], high[0], number), rng.uniform(low[1], high[1], number)
    galaxy = np.arange(number) >= n_stars
    dec = config.dec + y * PIXEL_SCALE / 3600
    ra = (config.ra + x * PIXEL_SCALE / 3600 / np.cos(np.radians(dec))) % 360.0
    visual = np.concatenate(
        [
            _magnitudes(rng, n_stars, config.bright, config.faint),
            _magnitudes(rng, n_galaxies, 17.5, 21.0),
        ]
    )
    colour = rng.normal(0.75, 0.25, number)
    mags = {"V": visual, "B": visual + colour}
    if "I" in config.filters:
        mags["I"] = visual - _RED * colour
    return SkyTruth(
        name=np.array(
            [f"{'G' if g else 'S'}{i + 1:04d}" for i, g in enumerate(galaxy)], dtype=np.str_
        ),
        ra=ra,
        dec=dec,
        mags=mags,
        galaxy=galaxy,
        scale=np.where(galaxy, rng.uniform(2.0, 4.0, number), 0.0),
        axis_ratio=np.where(galaxy, rng.uniform(0.3, 1.0, number), 1.0),
        angle=np.where(galaxy, rng.uniform(0.0, np.pi, number), 0.0),
    )


def render(
    image: NDArray[np.float64],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    flux: NDArray[np.float64],
    sky: SkyTruth,
    *,
    seeing: float,
) -> None:
    """Add the light of all sources to an image, in place.

    Parameters
    ----------
    image
        Shape (ny, nx), any unit of light.
    x, y
        0-based pixel positions of the sources, shape (n,).
    flux
        Total light of each, shape (n,).
    sky
        Shapes of the galaxies.
    seeing
        Full width at half maximum, pixels.
    """
    sigma = seeing / FWHM
    half = round(_REACH * sigma)
    ny, nx = image.shape
    reach = max(half, _LARGEST) + 1
    near = (x > -reach) & (x < nx + reach) & (y > -reach) & (y < ny + reach)
    star = ~sky.galaxy & near
    _add(image, x[star], y[star], flux[star], half, _Gaussian(sigma))
    galaxy = sky.galaxy & near
    profile = _Exponential(sigma, sky.scale[galaxy], sky.axis_ratio[galaxy], sky.angle[galaxy])
    _add(image, x[galaxy], y[galaxy], flux[galaxy], _LARGEST, profile)


class _Gaussian:
    def __init__(self, sigma: float) -> None:
        self._sigma = sigma

    def __call__(
        self, dx: NDArray[np.float64], dy: NDArray[np.float64], part: slice
    ) -> NDArray[np.float64]:
        del part
        value = np.exp(-0.5 * (dx * dx + dy * dy) / self._sigma**2)
        return np.asarray(value / (2.0 * np.pi * self._sigma**2), dtype=np.float64)


class _Exponential:
    """Elliptical exponential disc with a core of the seeing's size; sums to 1."""

    def __init__(
        self,
        sigma: float,
        scale: NDArray[np.float64],
        axis_ratio: NDArray[np.float64],
        angle: NDArray[np.float64],
    ) -> None:
        self._sigma, self._scale = sigma, scale
        self._axis_ratio, self._angle = axis_ratio, angle

    def __call__(
        self, dx: NDArray[np.float64], dy: NDArray[np.float64], part: slice
    ) -> NDArray[np.float64]:
        cosine = np.cos(self._angle[part])[:, None, None]
        sine = np.sin(self._angle[part])[:, None, None]
        along = dx * cosine + dy * sine
        across = (dy * cosine - dx * sine) / self._axis_ratio[part][:, None, None]
        radius = np.sqrt(along**2 + across**2 + self._sigma**2)
        value = np.exp(-radius / self._scale[part][:, None, None])
        return np.asarray(value / value.sum(axis=(1, 2), keepdims=True), dtype=np.float64)


def _add(
    image: NDArray[np.float64],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    flux: NDArray[np.float64],
    half: int,
    profile: _Gaussian | _Exponential,
) -> None:
    """Add stamps of side 2 half + 1 pixels; sources may lie outside the image."""
    ny, nx = image.shape
    offsets = np.arange(-half, half + 1)
    step = max(_CHUNK // offsets.size**2, 1)
    for start in range(0, x.size, step):
        part = slice(start, start + step)
        column, row = np.rint(x[part]).astype(int), np.rint(y[part]).astype(int)
        columns = column[:, None, None] + offsets[None, None, :]
        rows = row[:, None, None] + offsets[None, :, None]
        dx, dy = columns - x[part][:, None, None], rows - y[part][:, None, None]
        light = profile(dx, dy, part) * flux[part][:, None, None]
        columns, rows, light = np.broadcast_arrays(columns, rows, light)
        inside = (columns >= 0) & (columns < nx) & (rows >= 0) & (rows < ny)
        index = rows[inside] * nx + columns[inside]
        image += np.bincount(index, weights=light[inside], minlength=ny * nx).reshape(ny, nx)
