"""Electrons that the values of frames stand for, where flats differ and reading makes noise."""

from __future__ import annotations

__all__ = ["Photons"]

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Photons:
    """Photons of a frame: what of a flux's variance is a source's own follows from them.

    Attributes
    ----------
    gain
        Electrons a unit where the flat is 1; NaN where not known.
    unit_weight
        Inverse variance of a pixel of sky where the flat is 1.
    share
        Part of that variance which is of the sky's photons; the rest is of reading the frame.

    Notes
    -----
    Where the flat is f, a unit is of ``gain f`` electrons, and the weight is
    ``w = unit_weight f^2 / (share f + 1 - share)`` (:func:`reduction.steps.weight.sky_weight`).
    So w tells f, and f the electrons. In a weighted mean of frames a flux F has the variance
    ``F sum(w^2 / (gain f)) / sum(w)^2`` of its own photons: F over the electrons a unit of the
    mean. Where the sky is all noise that is F over the sum of ``gain w / unit_weight``; where
    reading is, that would be too few electrons where flats are low and too many where high.
    Where an illumination of c multiplied the values, ``w c^2`` tells f, and a unit is of
    ``gain f / c`` electrons.
    """

    gain: float = math.nan
    unit_weight: float = 1.0
    share: float = 1.0

    def terms(self, scale: float) -> tuple[float, float, float]:
        """Of frames whose values are multiplied by a scale, as :mod:`reduction.steps.stack` needs.

        Numbers a, b and c: the flat is ``a w + sqrt((a w)^2 + b w)``, the electrons of a unit
        are the flat over c. c is infinite where nothing is known.
        """
        weight = self.unit_weight / scale**2
        if not (self.gain > 0.0 and weight > 0.0):
            return 0.0, 0.0, math.inf
        return 0.5 * self.share / weight, (1.0 - self.share) / weight, scale / self.gain
