"""A combined image as its sources are detected and measured on it."""

from __future__ import annotations

__all__ = ["Deep"]

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reduction.steps.blocks import copied
from reduction.steps.weight import MaskBit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reduction.instruments.base import Section


@dataclass(frozen=True, slots=True)
class Deep:
    """A combined image, shape (ny, nx) each.

    Attributes
    ----------
    image
        Any unit; NaN is "no value".
    weight
        Inverse variance, 0 is "do not use".
    mask
        Sum of :class:`MaskBit` where the weight is 0.
    gain
        Electrons per unit; of the median pixel where they differ.
    origin
        Which set of frames each pixel is of, a number; None where ``gain`` is that of all pixels.
    gains
        Electrons per unit of each set where the frames' flats are 1, by its number; 0 is "not
        known".
    weights
        Weight of each set's pixels there; None where flats are 1 all over.
    """

    image: NDArray[np.float32]
    weight: NDArray[np.float32]
    mask: NDArray[np.uint8]
    gain: float
    origin: NDArray[np.int32] | None = None
    gains: NDArray[np.float64] | None = None
    weights: NDArray[np.float64] | None = None

    def part(self, section: Section) -> Deep:
        """A rectangle of it, in memory."""
        image, weight, mask = (
            copied(plane, *section.slices) for plane in (self.image, self.weight, self.mask)
        )
        origin = None if self.origin is None else copied(self.origin, *section.slices)
        return Deep(image, weight, mask, self.gain, origin, self.gains, self.weights)

    @property
    def response(self) -> NDArray[np.float32] | None:
        """Electrons per unit over ``gain``, 0 where not known; None where it is 1 everywhere.

        Weights of pixels of the same frames differ as their flats do, and so do the electrons of a
        unit. That holds where the sky's photons are the noise. Where reading the frames is,
        weights go as the flats' squares (:func:`reduction.steps.weight.sky_weight`): where a
        flat is 0.8 and half of the variance is of reading, the electrons told are a ninth too few,
        and the photons' part of a flux's variance is an eighth too large.
        """
        if self.origin is None or self.gains is None:
            return None
        factor = self.gains / self.gain
        if self.weights is None:
            return factor.astype(np.float32)[self.origin]
        known = self.weights > 0
        factor = np.where(known, factor / np.where(known, self.weights, 1.0), 0.0)
        return np.asarray(factor.astype(np.float32)[self.origin] * self.weight)

    @property
    def saturated(self) -> NDArray[np.bool_]:
        """Pixels that were saturated on all frames: they have a value, and it is too small."""
        marked = (self.mask & np.uint8(MaskBit.SATURATED)) != 0
        return np.asarray(marked & np.isfinite(self.image))

    @property
    def bad(self) -> NDArray[np.bool_]:
        """Pixels without a value of their own."""
        return np.asarray(~(self.weight > 0) & ~self.saturated)
