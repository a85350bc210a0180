"""What makes sums over pixels noisier, or quieter, than the pixels' own noise says."""

from __future__ import annotations

__all__ = ["SkyNoise", "circle", "noise_above_zero", "sky_level_error"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from reduction.steps.background import Background

    Kernel = NDArray[np.float32]

#: Rows in a frame's middle that are looked at.
_ROWS: Final = 1024

#: Part of a kernel's squares that has to lie on sky; places that a variance needs.
_COVERED: Final = 0.6
_FEWEST: Final = 40

#: Places from which on no more are looked for, between those side by side.
_PLENTY: Final = 1000

#: Clipping of sums in units of their scatter, and the part of a normal variance that it keeps.
_CLIP: Final = 3.0
_KEPT_VARIANCE: Final = 0.9733

#: Largest part of a sum that its level has drawn to itself: a mesh is larger than its sources.
_MOST_DRAWN: Final = 0.5

#: Error of a median, in units of a mean's.
_MEDIAN_ERROR: Final = math.sqrt(math.pi / 2.0)

_LEAST: Final = 0.1

#: Smallest noise of a pixel, in units of the frame's.
_LEAST_NOISE: Final = 1e-6
_SMALLEST_RADIUS: Final = 2.0


@dataclass(frozen=True, slots=True)
class SkyNoise:
    """Sky of a frame between the sources, for the noise of weighted sums over it.

    Pixels share noise where frames were interpolated, where a flat field or a sky was not smooth,
    and where an amplifier picks up a hum: sums over many pixels are then noisier than independent
    pixels' would be, or, where the hum's waves cancel in a star, quieter.

    Attributes
    ----------
    scaled
        Pixels without sky in units of their noise, 0 where there is no sky; shape (ny, nx).
    good
        Where there is, same shape.
    share
        As :class:`reduction.steps.background.Background`: a source has no part in the level taken
        off at its place, but the sky had.
    level_variance
        As there.
    """

    scaled: NDArray[np.float32]
    good: NDArray[np.bool_]
    share: float = 0.0
    level_variance: float = 0.0

    @classmethod
    def of(
        cls,
        pixels: NDArray[np.float32],
        noise: NDArray[np.float32],
        unused: NDArray[np.bool_],
        *,
        share: float = 0.0,
        level_variance: float = 0.0,
    ) -> Self:
        """Look at a frame's middle.

        Parameters
        ----------
        pixels
            Frame without sky, adu, shape (ny, nx).
        noise
            Of each pixel, adu, same shape.
        unused
            True where there is a source or a bad pixel, same shape.
        share, level_variance
            As the class.
        """
        start = max(0, (len(pixels) - _ROWS) // 2)
        rows = slice(start, start + _ROWS)
        good = ~unused[rows]
        scaled = np.zeros(good.shape, np.float32)
        np.divide(pixels[rows], np.maximum(noise[rows], np.float32(1e-30)), out=scaled, where=good)
        return cls(scaled, good, share, level_variance)

    @classmethod
    def behind(
        cls,
        pixels: NDArray[np.float32],
        noise: NDArray[np.float32],
        unused: NDArray[np.bool_],
        sky: Background,
    ) -> Self:
        """The same of a frame whose sky was taken off; parameters as of :meth:`of`."""
        return cls.of(pixels, noise, unused, share=sky.share, level_variance=sky.level_variance)

    def factor(self, kernel: ArrayLike) -> float:
        """Variance of sums weighted with a kernel, over that of independent pixels.

        The error of the sky's level, common to all pixels of a sum, is not in it.

        Parameters
        ----------
        kernel
            Weights, a square of an odd number of pixels a side.

        Returns
        -------
        float
            1 where there are too few places to tell.

        Notes
        -----
        Scatter of the sums at places without sources, as with empty apertures (Labbe et al. 2003,
        AJ 125, 1107), side by side over the frame; on small frames between those, too. Each has
        drawn its level to itself by ``share`` for each of its pixels, whatever noise they have in
        common; a source has not, since its pixels are left out. What a sum of n pixels differs by
        from a level without them is 1 / (1 - n share) of what is seen.
        """
        weights = np.asarray(kernel, dtype=np.float32)
        whole = float((weights * weights).sum(dtype=np.float64))
        sums = self._places(weights, whole)
        if len(sums) < _FEWEST:
            return 1.0
        sums -= np.median(sums)
        limit = _CLIP * 1.4826 * float(np.median(np.abs(sums)))
        kept = sums[np.abs(sums) <= limit]
        area = float(weights.sum(dtype=np.float64)) ** 2 / whole
        seen = 1.0 - min(self.share * area, _MOST_DRAWN)
        found = float(kept.var()) / _KEPT_VARIANCE / seen**2 - self.level_variance * area
        return max(found, _LEAST)

    def typical(self, kernel: ArrayLike) -> tuple[float, float]:
        """Sum weighted with a kernel where there is no source, in units of a sum's noise.

        Stars too faint to be detected raise the mean of the sky more than they raise most places:
        they are few, and each is under few sources.

        Parameters
        ----------
        kernel
            As :meth:`factor`.

        Returns
        -------
        tuple of float
            The median, and how well it is known, in the same units; 0 where there are too few
            places to tell.
        """
        weights = np.asarray(kernel, dtype=np.float32)
        sums = self._places(weights, float((weights * weights).sum(dtype=np.float64)))
        if len(sums) < _FEWEST:
            return 0.0, 0.0
        middle = float(np.median(sums))
        scatter = 1.4826 * float(np.median(np.abs(sums - middle)))
        return middle, _MEDIAN_ERROR * scatter / math.sqrt(len(sums))

    def _places(self, weights: Kernel, whole: float) -> NDArray[np.float64]:
        """Sums over the frame, from as many pixels on as it takes to have plenty."""
        half = weights.shape[0] // 2
        found: list[NDArray[np.float64]] = []
        for start in ((0, 0), (half, half), (0, half), (half, 0)):
            found.append(self._sums(weights, whole, start))
            if sum(map(len, found)) > _PLENTY:
                break
        return np.concatenate(found)

    def _sums(self, weights: Kernel, whole: float, start: tuple[int, int]) -> NDArray[np.float64]:
        """Sums side by side from a pixel on, over the root of their squared weights on sky."""
        size = weights.shape[0]
        values, good = self.scaled[start[0] :, start[1] :], self.good[start[0] :, start[1] :]
        ny, nx = (length // size * size for length in good.shape)
        if ny == 0 or nx == 0:
            return np.zeros(0)
        shape = ny // size, size, nx // size, size
        total = np.einsum("iajb,ab->ij", values[:ny, :nx].reshape(shape), weights)
        sky = good[:ny, :nx].reshape(shape).astype(np.float32)
        squares = np.einsum("iajb,ab->ij", sky, weights * weights)
        there = squares > _COVERED * whole
        return np.asarray(total[there] / np.sqrt(squares[there]), dtype=np.float64)

    def factor_of_circle(self, radius: float) -> float:
        """The same for a circle (radius in pixels); a smaller one where the sky is in pieces."""
        while radius >= _SMALLEST_RADIUS:
            kernel = circle(radius)
            found = self.factor(kernel)
            if found != 1.0:
                return found
            radius /= 2.0
        return 1.0


def circle(radius: float) -> Kernel:
    """1 within a radius (pixels) of the middle of a square, 0 beyond."""
    half = math.ceil(radius)
    offsets = np.arange(-half, half + 1)
    return (np.hypot(offsets[:, None], offsets) <= radius).astype(np.float32)


def sky_level_error(rms: float, *, box: int) -> float:
    """Error of a sky level that is the mean over nine meshes, in the pixels' unit.

    Parameters
    ----------
    rms
        Noise of a pixel.
    box
        As :func:`reduction.steps.background.estimate_background`.
    """
    return rms / (3.0 * box)


def noise_above_zero(sky: Background, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Noise to divide by, in any unit: where there is none, a millionth of what there is to see.

    Parameters
    ----------
    sky
        Of the frame.
    pixels
        The frame less its sky, shape (ny, nx).
    """
    scale = sky.global_rms or float(np.abs(pixels).max(initial=0.0)) or 1.0
    return np.ascontiguousarray(np.maximum(sky.rms, np.float32(_LEAST_NOISE * scale)), np.float32)
