"""Find cosmic rays by their sharp edges, with medians taken at candidates only."""

from __future__ import annotations

__all__ = ["find_cosmics"]

from typing import TYPE_CHECKING

import numpy as np

from reduction.steps.windows import Windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Index = NDArray[np.intp]

#: Radius in pixels around saturated ones inside which nothing is a cosmic ray.
_SATURATION_MARGIN = 2

#: Smallest fine structure, in standard deviations of the noise, that a candidate is compared to.
_FLOOR = 0.01

#: Part of its Laplacian signal by which a hit stands above the 3 x 3 median around it: a pixel
#: on a star's steep flank, where the fine structure changes sign, does not.
_PEAK = 0.5

#: Pixels whose Laplacian is computed at a time: what is computed on the way stays in the cache.
_BLOCK = 1 << 16


def find_cosmics(  # noqa: PLR0913 - the method's limits, each with its default
    image: NDArray[np.float32],
    *,
    gain: float,
    read_noise: float,
    response: NDArray[np.float32] | None = None,
    bad: NDArray[np.bool_] | None = None,
    saturated: NDArray[np.bool_] | None = None,
    threshold: float = 4.5,
    contrast: float = 2.5,
    neighbour_fraction: float = 0.3,
    iterations: int = 30,
) -> NDArray[np.bool_]:
    """Find the pixels that cosmic rays have hit.

    Parameters
    ----------
    image
        Flat-fielded image with its sky, shape (ny, nx), adu. NaN is bad.
    gain
        e-/adu where the response is 1.
    read_noise
        adu, before the flat field.
    response
        What the image was divided by (the flat), same shape; None for nothing. Pixels of little
        response are noisy: light of level L has the variance ``L / (gain f) + (read_noise / f)^2``
        where it is f.
    bad
        Pixels to look over (hot, cold), same shape: replaced by the median of their neighbours.
    saturated
        Pixels near which nothing is looked for, same shape.
    threshold
        Laplacian signal in standard deviations of the noise.
    contrast
        Laplacian signal relative to the fine structure, which stars have and cosmic rays do not.
        With 5, thick tracks, which raise the median of their surroundings, are lost: a third of
        the pixels; with 2, the cores of stars of 1.8 pixels begin to be.
    neighbour_fraction
        Neighbours of a cosmic ray belong to it above this fraction of threshold and contrast. The
        original asks for no contrast there, and so a hit near a star eats the star.
    iterations
        Passes at most: what was found is replaced by its surroundings, which uncovers the rest
        of large hits. It ends when nothing new is found; after the first, passes cost little.

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
    frame, untouchable = _prepared(image, bad, saturated)
    noise = _Noise(gain, read_noise, response, frame.lowest)
    limits = _Limits(noise, threshold, contrast, neighbour_fraction)
    found = np.zeros(image.shape, dtype=np.bool_)
    left = ~untouchable.ravel()
    search: Index | None = None
    for _ in range(iterations):
        new = frame.hits(limits, search)
        new = new[left[new]]
        if new.size == 0:
            break
        found.ravel()[new] = True
        left[new] = False
        frame.replace(new)
        search = _around(new, image.shape, 2)
    return found


def _prepared(
    image: NDArray[np.float32],
    bad: NDArray[np.bool_] | None,
    saturated: NDArray[np.bool_] | None,
) -> tuple[_Frame, NDArray[np.bool_]]:
    """A frame to search, and where nothing is looked for: bad pixels, and around saturated ones.

    Saturated pixels are as bright as the brightest where they have no value, lest a star's edge
    look like a hit.
    """
    bad_pixels = ~np.isfinite(image)
    if bad is not None:
        bad_pixels |= bad
    untouchable, work = bad_pixels, image.copy()
    if saturated is not None and saturated.any():
        untouchable = bad_pixels.copy()
        near = _around(np.flatnonzero(saturated), image.shape, _SATURATION_MARGIN)
        untouchable.ravel()[near] = True
        if (bad_pixels & saturated).any():
            bad_pixels &= ~saturated
            work[saturated & ~np.isfinite(work)] = np.nanmax(image)
    return _Frame(work, bad_pixels), untouchable


class _Noise:
    """Noise of a flat-fielded pixel, by its level and response."""

    def __init__(
        self,
        gain: float,
        read_noise: float,
        response: NDArray[np.float32] | None,
        lowest: NDArray[np.float32],
    ) -> None:
        self._gain, self._read_noise, self._lowest = gain, read_noise, lowest
        self._response = None if response is None else response.ravel()
        most = np.float32(1.0)
        if response is not None:
            seen = response[::4, ::4]
            seen = seen[np.isfinite(seen) & (seen > 0)]
            most = np.percentile(seen, 99.0) if seen.size else most
        self.floor = float(self._of(lowest, most))

    def at(self, pixels: Index, level: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of pixels whose surroundings have some level, adu, shape (n,)."""
        if self._response is None:
            return self._of(level, np.float32(1.0))
        here = self._response[pixels]
        known = np.isfinite(here) & (here > 0)
        return self._of(level, np.where(known, here, np.float32(1.0)))

    def exceeding(
        self, signal: NDArray[np.float32], pixels: Index, sigmas: float
    ) -> NDArray[np.bool_]:
        """Whether signals are more than so many sigmas of the darkest level."""
        if self._response is None:
            return np.ones(pixels.shape, np.bool_)
        return np.asarray(signal > sigmas * self.at(pixels, self._lowest))

    def _of(
        self, level: NDArray[np.float32], response: NDArray[np.float32] | np.float32
    ) -> NDArray[np.float32]:
        photons = np.maximum(level, 0.0) / (self._gain * response)
        return np.sqrt(photons + (self._read_noise / response) ** 2).astype(np.float32)


class _Limits:
    """What decides in one pass."""

    def __init__(
        self, noise: _Noise, threshold: float, contrast: float, neighbour_fraction: float
    ) -> None:
        self.noise = noise
        self.threshold, self.contrast = threshold, contrast
        self.neighbour_threshold = neighbour_fraction * threshold
        self.neighbour_contrast = neighbour_fraction * contrast


class _Frame:
    """A frame that is cleaned step by step, with its Laplacian; pixels are flat indices.

    After the first pass only what a replaced pixel touches is computed anew.
    """

    def __init__(self, image: NDArray[np.float32], bad: NDArray[np.bool_]) -> None:
        self._shape = image.shape
        self._known = Windows(np.where(bad, np.float32(np.nan), image), 2)
        self._pixels = Windows(image, 4)
        self._fill(np.flatnonzero(bad))
        clean = self._pixels.image
        self.lowest = np.asarray(np.percentile(clean[::4, ::4], 1.0), dtype=np.float32)
        self._laplacian = _laplacian(clean)
        self._edges = Windows(self._laplacian, 2)

    def replace(self, pixels: Index) -> None:
        """Put the median of what is known around them at some pixels."""
        y, x = np.divmod(pixels, self._shape[1])
        self._known.put(y, x, np.float32(np.nan))
        self._fill(pixels)
        touched = _around(pixels, self._shape, 1)
        y, x = np.divmod(touched, self._shape[1])
        around = self._pixels.values(y, x, 1)
        centre = around[:, 1, 1]
        values = _positive_part(
            centre, (around[:, 1, 0], around[:, 1, 2]), (around[:, 0, 1], around[:, 2, 1])
        )
        self._laplacian.ravel()[touched] = values
        self._edges.put(y, x, values)

    def _fill(self, pixels: Index) -> None:
        if pixels.size == 0:
            return
        y, x = np.divmod(pixels, self._shape[1])
        around = self._known.median(y, x, 2)
        alone = ~np.isfinite(around)
        if alone.any():
            values = self._known.image
            rest = values[np.isfinite(values)]
            around[alone] = np.median(rest) if rest.size else 0.0
        self._pixels.put(y, x, around)

    def hits(self, limits: _Limits, search: Index | None) -> Index:
        """Pixels that are hit, among those to be searched (all where None), in order."""
        least = np.float32(limits.threshold * limits.noise.floor)
        laplacian = self._laplacian.ravel()
        if search is None:
            candidates = np.flatnonzero(laplacian > least)
        else:
            candidates = search[laplacian[search] > least]
        strong = limits.noise.exceeding(laplacian[candidates], candidates, limits.threshold)
        found = self._sharp(candidates[strong], limits)
        for level in (limits.threshold, limits.neighbour_threshold):
            if found.size == 0:
                break
            beside = np.setdiff1d(_around(found, self._shape, 1), found, assume_unique=True)
            found = np.union1d(found, self._belonging(beside, level, limits))
        return found

    def _sharp(self, pixels: Index, limits: _Limits) -> Index:
        """Those that are hits by themselves."""
        signal, sigma = self._significance(pixels, limits)
        strong = signal > limits.threshold
        pixels, signal, sigma = pixels[strong], signal[strong], sigma[strong]
        y, x = np.divmod(pixels, self._shape[1])
        fine = self._fine_structure(y, x, sigma)
        height = (self._pixels.values(y, x, 0)[:, 0, 0] - self._pixels.median(y, x, 1)) / sigma
        return pixels[(signal > limits.contrast * fine) & (height > _PEAK * signal)]

    def _belonging(self, pixels: Index, level: float, limits: _Limits) -> Index:
        """Those that are part of a hit beside them."""
        signal, sigma = self._significance(pixels, limits)
        above = signal > level
        pixels, signal, sigma = pixels[above], signal[above], sigma[above]
        y, x = np.divmod(pixels, self._shape[1])
        return pixels[signal > limits.neighbour_contrast * self._fine_structure(y, x, sigma)]

    def _significance(
        self, pixels: Index, limits: _Limits
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Laplacian signal without what smooth structure gives, in sigmas; and the sigma, adu."""
        y, x = np.divmod(pixels, self._shape[1])
        sigma = limits.noise.at(pixels, self._pixels.median(y, x, 2))
        here = self._laplacian.ravel()[pixels]
        return (here - self._edges.median(y, x, 2)) / sigma, sigma

    def _fine_structure(
        self, y: Index, x: Index, sigma: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """3 x 3 median minus its own 7 x 7 median, in sigmas, shape (n,)."""
        offsets = np.arange(-3, 4)
        size = offsets.size
        rows = (y[:, None, None] + offsets[None, :, None]).repeat(size, axis=2).ravel()
        columns = (x[:, None, None] + offsets[None, None, :]).repeat(size, axis=1).ravel()
        small = self._pixels.median(rows, columns, 1).reshape(y.size, size * size)
        fine = (small[:, small.shape[1] // 2] - np.median(small, axis=1)) / sigma
        return np.maximum(fine, np.float32(_FLOOR))


def _around(pixels: Index, shape: tuple[int, ...], reach: int) -> Index:
    """Pixels of the squares about some, each once, in order."""
    ny, nx = shape
    offsets = np.arange(-reach, reach + 1)
    y, x = np.divmod(pixels, nx)
    rows, columns = y[:, None] + offsets, x[:, None] + offsets
    inside = ((rows >= 0) & (rows < ny))[:, :, None] & ((columns >= 0) & (columns < nx))[:, None]
    return np.unique((rows[:, :, None] * nx + columns[:, None, :])[inside])


def _positive_part(
    centre: NDArray[np.float32],
    beside: tuple[NDArray[np.float32], NDArray[np.float32]],
    above: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Half the positive Laplacian of the twice sub-sampled image, averaged back to pixels.

    Half, so that a single hot pixel of height h gives h (van Dokkum's L+ / f_s).
    """
    total = np.zeros_like(centre)
    for vertical in above:
        difference = centre - vertical
        for horizontal in beside:
            term = centre - horizontal
            term += difference
            np.maximum(term, np.float32(0.0), out=term)
            total += term
    total *= np.float32(0.125)
    return total


def _laplacian(image: NDArray[np.float32]) -> NDArray[np.float32]:
    padded = np.pad(image, 1, mode="edge")
    result = np.empty_like(image)
    step = max(_BLOCK // image.shape[1], 1)
    for start in range(0, len(image), step):
        rows = padded[start : start + step + 2]
        middle = rows[1:-1]
        result[start : start + step] = _positive_part(
            middle[:, 1:-1], (middle[:, :-2], middle[:, 2:]), (rows[:-2, 1:-1], rows[2:, 1:-1])
        )
    return result
