"""The simulated chips: what they add to the light that falls on them."""

from __future__ import annotations

__all__ = ["FRINGED", "cosmic_rays", "dome_lamp", "expose", "simulate_chip"]

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import ndimage

from reduction.simulation.config import stream
from reduction.simulation.geometry import chip_layout
from reduction.simulation.truth import ChipTruth

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reduction.simulation.config import SimulationConfig
    from reduction.simulation.geometry import Layout

#: Raw level of the overscan, adu.
_LEVEL: Final = 300.0

#: Light lost at the mosaic's corner.
_VIGNETTING: Final = 0.15

#: Difference between pixels' sensitivities, one standard deviation.
_PIXEL_RESPONSE: Final = 0.008

_FULL: Final = 65535

#: Pixels along a side above which smooth patterns are drawn on every eighth pixel.
_COARSE: Final = 1024

#: Band in which chips show fringes: their scatter, a part of the sky's level, and by how many
#: wavelengths a chip's thickness varies.
FRINGED: Final = "I"
_FRINGES: Final = 0.03
_WAVES: Final = 5.0


def simulate_chip(config: SimulationConfig, index: int) -> ChipTruth:
    """Draw the properties of a chip."""
    rng = stream(config, "chip", index)
    ny, nx = config.shape
    hot = rng.random((ny, nx)) < config.hot_fraction
    cold = (rng.random((ny, nx)) < config.cold_fraction) & ~hot
    columns = ndimage.gaussian_filter1d(rng.normal(0.0, 6.0, nx), 12.0)
    rows = np.linspace(0.0, 1.5, ny)[:, None]
    glow = 4.0 * np.exp(-np.arange(nx) / 12.0)
    bias = columns[None, :] + rows + glow[None, :]
    bias[hot] += 10.0 ** rng.uniform(1.5, 3.5, int(hot.sum()))
    response = 1.0 + rng.normal(0.0, _PIXEL_RESPONSE, (ny, nx))
    response *= 1.0 + 0.03 * _structure(rng, (ny, nx), 40.0)
    response[cold] *= rng.uniform(0.1, 0.85, int(cold.sum()))
    light = _illumination(config, index)
    gain, read_noise = float(rng.uniform(2.0, 3.0)), float(rng.uniform(1.8, 3.0))
    first, second = rng.normal(0.0, 0.05, 2)
    flats = {}
    for name in ("V", "B"):
        flat = response * light * (1.0 + 0.01 * _structure(rng, (ny, nx), 60.0))
        flats[name] = (flat / np.median(flat)).astype(np.float32)
    zero_points = {"V": float(24.5 + first), "B": float(24.2 + second)}
    fringe = {}
    if FRINGED in config.filters:
        own = stream(config, "fringed", index)
        flat = response * light * (1.0 + 0.01 * _structure(own, (ny, nx), 60.0))
        flats[FRINGED] = (flat / np.median(flat)).astype(np.float32)
        zero_points[FRINGED] = float(24.0 + own.normal(0.0, 0.05))
        fringe[FRINGED] = _fringes(own, (ny, nx))
    return ChipTruth(
        gain=gain,
        read_noise=read_noise,
        saturation=64000.0,
        zero_point=zero_points,
        bias=bias.astype(np.float32),
        flat=flats,
        hot=hot,
        cold=cold,
        fringe=fringe,
    )


def _fringes(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Interference in a layer of uneven thickness, of median 0, as a part of the sky's level."""
    pattern = np.sin(2.0 * np.pi * _WAVES * _structure(rng, shape, 60.0))
    pattern -= np.median(pattern)
    return np.asarray(_FRINGES / pattern.std() * pattern, dtype=np.float32)


def _structure(
    rng: np.random.Generator, shape: tuple[int, int], scale: float
) -> NDArray[np.float64]:
    """Smooth random field, about within -1 to 1; on large chips drawn on a coarser grid."""
    step = 1 if max(shape) < _COARSE else 8
    coarse = tuple(-(-n // step) + 1 for n in shape) if step > 1 else shape
    field = ndimage.gaussian_filter(rng.normal(size=coarse), scale / step, mode="wrap")
    if step > 1:
        field = ndimage.zoom(field, step, order=1)[: shape[0], : shape[1]]
    return np.asarray(field / np.abs(field).max(), dtype=np.float64)


def _focal_plane(
    config: SimulationConfig, index: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Pixels' focal-plane x (1, nx) and y (ny, 1), and the mosaic's corner's radius."""
    ny, nx = config.shape
    layouts = [chip_layout(config, i) for i in range(config.chips)]
    corner = max(np.hypot(*layout.centre) for layout in layouts) + np.hypot(ny, nx) / 2
    x = layouts[index].centre[0] + np.arange(nx)[None, :] - (nx - 1) / 2
    y = layouts[index].centre[1] + np.arange(ny)[:, None] - (ny - 1) / 2
    return x.astype(np.float64), y.astype(np.float64), float(corner)


def _illumination(config: SimulationConfig, index: int) -> NDArray[np.float64]:
    """The sky's light on a chip: vignetting, 1 on the optical axis."""
    x, y, corner = _focal_plane(config, index)
    return np.asarray(1.0 - _VIGNETTING * (x * x + y * y) / corner**2, dtype=np.float64)


def dome_lamp(config: SimulationConfig, index: int) -> NDArray[np.float64]:
    """Light of the dome screen divided by that of the sky: a slope over the mosaic."""
    x, y, corner = _focal_plane(config, index)
    return np.asarray(1.0 + 0.04 * x / corner - 0.025 * y / corner, dtype=np.float64)


def cosmic_rays(config: SimulationConfig, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw the hits of one exposure on one chip.

    Returns
    -------
    ndarray
        Rows (y, x, electrons), shape (n, 3), each pixel once: straight tracks of 1 to 12 pixels.
    """
    ny, nx = config.shape
    hits = np.zeros((ny, nx))
    for _ in range(rng.poisson(config.cosmics * ny * nx / 256**2)):
        length = float(rng.exponential(3.0))
        angle = float(rng.uniform(0.0, 2.0 * np.pi))
        along = np.arange(0.0, min(length, 12.0) + 0.5, 0.5)
        y = np.rint(rng.uniform(0, ny - 1) + along * np.sin(angle)).astype(int)
        x = np.rint(rng.uniform(0, nx - 1) + along * np.cos(angle)).astype(int)
        inside = (y >= 0) & (y < ny) & (x >= 0) & (x < nx)
        pixels = np.unique(np.stack([y[inside], x[inside]]), axis=1)
        hits[pixels[0], pixels[1]] += 10.0 ** rng.uniform(2.6, 4.0)
    y, x = np.nonzero(hits)
    return np.stack([y, x, hits[y, x]], axis=1).astype(np.float64)


def expose(
    chip: ChipTruth,
    layout: Layout,
    light: NDArray[np.float64] | None,
    rng: np.random.Generator,
    *,
    cosmics: NDArray[np.float64] | None = None,
) -> NDArray[np.uint16]:
    """Read out a chip.

    Parameters
    ----------
    chip, layout
        The chip.
    light
        Expected electrons in the science pixels, shape ``layout.science.shape``, the pixels'
        response included; None for a bias.
    rng
        Of this exposure and chip.
    cosmics
        Rows (y, x, electrons).

    Returns
    -------
    ndarray
        Raw frame, shape ``layout.raw_shape``, adu.
    """
    ny, nx = layout.raw_shape
    drift = _LEVEL + rng.normal(0.0, 2.0) + ndimage.gaussian_filter1d(rng.normal(0, 3.0, ny), 8.0)
    raw = np.repeat(drift[:, None], nx, axis=1)
    raw += rng.normal(0.0, chip.read_noise, (ny, nx))
    raw[layout.science.slices] += chip.bias
    if light is not None:
        electrons = rng.poisson(np.maximum(light, 0.0)).astype(np.float64)
        if cosmics is not None and cosmics.size:
            y, x = cosmics[:, 0].astype(int), cosmics[:, 1].astype(int)
            electrons[y, x] += cosmics[:, 2]
        raw[layout.science.slices] += electrons / chip.gain
    frame: NDArray[np.uint16] = np.clip(np.rint(raw), 0, _FULL).astype(np.uint16)
    return frame
