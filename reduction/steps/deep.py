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
    gains
        Electrons per unit of each pixel, 0 is "not known"; None where ``gain`` is that of all.
    """

    image: NDArray[np.float32]
    weight: NDArray[np.float32]
    mask: NDArray[np.uint8]
    gain: float
    gains: NDArray[np.float32] | None = None

    def part(self, section: Section) -> Deep:
        """A rectangle of it, in memory."""
        image, weight, mask = (
            copied(plane, *section.slices) for plane in (self.image, self.weight, self.mask)
        )
        gains = None if self.gains is None else copied(self.gains, *section.slices)
        return Deep(image, weight, mask, self.gain, gains)

    @property
    def response(self) -> NDArray[np.float32] | None:
        """Electrons per unit over ``gain``, 0 where not known; None where it is 1 everywhere."""
        if self.gains is None:
            return None
        return np.asarray(self.gains / np.float32(self.gain))

    @property
    def saturated(self) -> NDArray[np.bool_]:
        """Pixels that were saturated on all frames: they have a value, and it is too small."""
        marked = (self.mask & np.uint8(MaskBit.SATURATED)) != 0
        return np.asarray(marked & np.isfinite(self.image))

    @property
    def bad(self) -> NDArray[np.bool_]:
        """Pixels without a value of their own."""
        return np.asarray(~(self.weight > 0) & ~self.saturated)
