"""Find cosmic rays by their sharp edges, with medians taken at candidates only."""

from __future__ import annotations

__all__ = ["find_cosmics"]

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from reduction.steps.windows import Windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Radius in pixels around saturated ones inside which nothing is a cosmic ray.
_SATURATION_MARGIN = 2

#: Smallest fine structure, in standard deviations of the noise, that a candidate is compared to.
_FLOOR = 0.01

#: Part of its Laplacian signal by which a hit stands above the 3 x 3 median around it: a pixel
#: on a star's steep flank, where the fine structure changes sign, does not.
_PEAK = 0.5

_SQUARE = np.ones((3, 3), dtype=np.bool_)


def find_cosmics(  # noqa: PLR0913 - the method's limits, each with its default
    image: NDArray[np.float32],
    *,
    gain: float,
    read_noise: float,
    bad: NDArray[np.bool_] | None = None,
    saturated: NDArray[np.bool_] | None = None,
    threshold: float = 4.5,
    contrast: float = 5.0,
    neighbour_fraction: float = 0.3,
    iterations: int = 4,
) -> NDArray[np.bool_]:
    """Find the pixels that cosmic rays have hit.

    Parameters
    ----------
    image
        Flat-fielded image with its sky, shape (ny, nx), adu. NaN is bad.
    gain
        e-/adu.
    read_noise
        adu.
    bad
        Pixels to look over (hot, cold), same shape: replaced by the median of their neighbours.
    saturated
        Pixels near which nothing is looked for, same shape.
    threshold
        Laplacian signal in standard deviations of the noise.
    contrast
        Laplacian signal relative to the fine structure, which stars have and cosmic rays do not.
    neighbour_fraction
        Neighbours of a cosmic ray belong to it above this fraction of threshold and contrast. The
        original asks for no contrast there, and so a hit near a star eats the star.
    iterations
        Passes at most: what was found is replaced by its surroundings, which uncovers the rest
        of large hits.

    Returns
    -------
    ndarray
        True where a cosmic ray is, same shape.

    Notes
    -----
    van Dokkum 2001, PASP 113, 1420. The Laplacian of the twice sub-sampled image is computed
    without sub-sampling (a sub-pixel has two neighbours in its own pixel, which cancel), and the
    medians of noise and fine structure only at pixels whose Laplacian could pass, with the
    centre's noise for the window of the 5 x 5 median. Compared with astroscrappy in
    tests/science/test_detector.py.
    """
    work = image.copy()
    excluded = ~np.isfinite(work)
    if bad is not None:
        excluded |= bad
    untouchable = excluded.copy()
    if saturated is not None and saturated.any():
        size = 2 * _SATURATION_MARGIN + 1
        untouchable |= ndimage.binary_dilation(saturated, np.ones((size, size), dtype=np.bool_))
        if (excluded & saturated).any():
            excluded &= ~saturated
            work[saturated & ~np.isfinite(work)] = np.nanmax(image)
    _replace(work, excluded, excluded)
    lowest = np.asarray(np.percentile(work[::4, ::4], 1.0), dtype=np.float32)
    noise_floor = _noise(lowest, gain, read_noise)
    found = np.zeros(image.shape, dtype=np.bool_)
    search: NDArray[np.bool_] | None = None
    for _ in range(iterations):
        new = _one_pass(
            work,
            _Limits(gain, read_noise, float(noise_floor), threshold, contrast, neighbour_fraction),
            search,
        )
        new &= ~found & ~untouchable
        if not new.any():
            break
        found |= new
        _replace(work, new, found | excluded)
        search = ndimage.binary_dilation(new, _SQUARE, iterations=2)
    return found


class _Limits:
    """What decides in one pass."""

    def __init__(
        self,
        gain: float,
        read_noise: float,
        noise_floor: float,
        threshold: float,
        contrast: float,
        neighbour_fraction: float,
    ) -> None:
        self.gain, self.read_noise, self.noise_floor = gain, read_noise, noise_floor
        self.threshold, self.contrast = threshold, contrast
        self.neighbour_threshold = neighbour_fraction * threshold
        self.neighbour_contrast = neighbour_fraction * contrast


def _noise(level: NDArray[np.float32], gain: float, read_noise: float) -> NDArray[np.float32]:
    return np.sqrt(np.maximum(level, 0.0) / gain + read_noise**2).astype(np.float32)


def _laplacian(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Half the positive Laplacian of the twice sub-sampled image, averaged back to pixels.

    Half, so that a single hot pixel of height h gives h (van Dokkum's L+ / f_s).
    """
    padded = np.pad(image, 1, mode="edge")
    centre = padded[1:-1, 1:-1]
    left, right = centre - padded[1:-1, :-2], centre - padded[1:-1, 2:]
    total = np.zeros_like(image)
    term = np.empty_like(image)
    for vertical in (padded[:-2, 1:-1], padded[2:, 1:-1]):
        difference = centre - vertical
        for horizontal in (left, right):
            np.add(horizontal, difference, out=term)
            np.maximum(term, 0.0, out=term)
            total += term
    total *= np.float32(0.125)
    return total


def _significance(
    image: Windows, laplacian: Windows, y: NDArray[np.intp], x: NDArray[np.intp], limits: _Limits
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Laplacian signal without what smooth structure gives, in sigmas; and the sigma, adu."""
    sigma = _noise(image.median(y, x, 2), limits.gain, limits.read_noise)
    here = laplacian.values(y, x, 0)[:, 0, 0]
    return (here - laplacian.median(y, x, 2)) / sigma, sigma


def _fine_structure(
    image: Windows, y: NDArray[np.intp], x: NDArray[np.intp]
) -> NDArray[np.float32]:
    """3 x 3 median minus its own 7 x 7 median, adu, shape (n,)."""
    offsets = np.arange(-3, 4)
    size = offsets.size
    rows = (y[:, None, None] + offsets[None, :, None]).repeat(size, axis=2).ravel()
    columns = (x[:, None, None] + offsets[None, None, :]).repeat(size, axis=1).ravel()
    small = image.median(rows, columns, 1).reshape(y.size, size * size)
    return np.subtract(small[:, small.shape[1] // 2], np.median(small, axis=1))


def _one_pass(
    image: NDArray[np.float32], limits: _Limits, search: NDArray[np.bool_] | None
) -> NDArray[np.bool_]:
    laplacian = _laplacian(image)
    found = np.zeros(image.shape, dtype=np.bool_)
    candidates = laplacian > np.float32(limits.threshold * limits.noise_floor)
    if search is not None:
        candidates &= search
    y, x = np.nonzero(candidates)
    if y.size == 0:
        return found
    pixels, edges = Windows(image, 4), Windows(laplacian, 2)
    signal, sigma = _significance(pixels, edges, y, x, limits)
    strong = signal > limits.threshold
    y, x, signal, sigma = y[strong], x[strong], signal[strong], sigma[strong]
    fine = np.maximum(_fine_structure(pixels, y, x) / sigma, _FLOOR)
    height = (pixels.values(y, x, 0)[:, 0, 0] - pixels.median(y, x, 1)) / sigma
    sharp = (signal > limits.contrast * fine) & (height > _PEAK * signal)
    found[y[sharp], x[sharp]] = True
    for level in (limits.threshold, limits.neighbour_threshold):
        y, x = np.nonzero(ndimage.binary_dilation(found, _SQUARE) & ~found)
        if y.size == 0:
            break
        signal, sigma = _significance(pixels, edges, y, x, limits)
        above = signal > level
        y, x, signal, sigma = y[above], x[above], signal[above], sigma[above]
        fine = np.maximum(_fine_structure(pixels, y, x) / sigma, _FLOOR)
        belongs = signal > limits.neighbour_contrast * fine
        found[y[belongs], x[belongs]] = True
    return found


def _replace(
    image: NDArray[np.float32], where: NDArray[np.bool_], invalid: NDArray[np.bool_]
) -> None:
    """Put the median of the 5 x 5 valid neighbours at some pixels, in place."""
    y, x = np.nonzero(where)
    if y.size == 0:
        return
    values = np.where(invalid, np.float32(np.nan), image)
    around = Windows(values, 2).median(y, x, 2)
    alone = ~np.isfinite(around)
    if alone.any():
        rest = values[np.isfinite(values)]
        around[alone] = np.median(rest) if rest.size else 0.0
    image[y, x] = around
