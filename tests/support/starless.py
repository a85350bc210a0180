"""What is left of an undersampled, crowded frame between its stars."""

from __future__ import annotations

__all__ = ["empty_apertures", "empty_apertures_of_one", "smooth", "starless"]

import numpy as np
import sep
from scipy import ndimage

from reduction.steps.local_sky import ring_sky


def starless(frame: np.ndarray) -> np.ndarray:
    """Pixels far from any star."""
    sky = sep.Background(np.ascontiguousarray(frame), bw=32, bh=32)
    above = frame - sky.back()
    stars = (ndimage.uniform_filter(above, 3) > 1.2 * sky.globalrms) | (above > 3 * sky.globalrms)
    near = ndimage.binary_dilation(stars, iterations=2)
    near |= ndimage.binary_dilation(above > 30 * sky.globalrms, iterations=8)
    return ~near


def smooth(values: np.ndarray, good: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Means of good pixels in rectangles."""
    share = ndimage.uniform_filter(good.astype(np.float32), size)
    total = ndimage.uniform_filter(np.where(good, values, 0.0).astype(np.float32), size)
    return total / np.maximum(share, 1e-3)


def empty_apertures(frames: np.ndarray, radius: float) -> float:
    """Noise of sums over a circle of sky on one frame, from differences of consecutive ones."""
    ny, nx = frames.shape[1:]
    edge = int(radius) + 2
    rows, columns = np.mgrid[edge : ny - edge : 3, edge : nx - edge : 3]
    x, y = columns.ravel().astype(float), rows.ravel().astype(float)
    masks = [starless(frame) for frame in frames]
    noise = []
    for number in range(len(frames) - 1):
        good = masks[number] & masks[number + 1]
        rest = frames[number] - frames[number + 1]
        rest = np.ascontiguousarray(rest - smooth(rest, good, (41, 41)), np.float32)
        bad, _, _ = sep.sum_circle((~good).astype(np.float32), x, y, radius, subpix=5)
        total, _, _ = sep.sum_circle(rest, x, y, radius, subpix=5)
        empty = total[bad < 0.5]
        noise.append(1.4826 * np.median(np.abs(empty - np.median(empty))) / np.sqrt(2.0))
    return float(np.median(noise))


def empty_apertures_of_one(frames: np.ndarray, radius: float, inner: float) -> float:
    """Noise of sums over a circle less the sky of a ring, with what is fixed on the chip."""
    ny, nx = frames.shape[1:]
    edge = int(radius) + 2
    rows, columns = np.mgrid[edge : ny - edge : 3, edge : nx - edge : 3]
    x, y = columns.ravel().astype(float), rows.ravel().astype(float)
    noise = []
    for frame in frames[::4]:
        good = starless(frame)
        bad, _, _ = sep.sum_circle((~good).astype(np.float32), x, y, radius, subpix=5)
        empty = bad < 0.5
        level, _ = ring_sky(frame, ~good, x[empty], y[empty], inner=inner)
        total, _, _ = sep.sum_circle(frame, x[empty], y[empty], radius, subpix=5)
        rest = total - np.pi * radius**2 * level
        rest = rest[np.isfinite(rest)]
        noise.append(1.4826 * np.median(np.abs(rest - np.median(rest))))
    return float(np.median(noise))
