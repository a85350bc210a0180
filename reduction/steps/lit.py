"""Which pixels of a flat saw its light."""

from __future__ import annotations

__all__ = ["lit_pixels"]

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Part of the pixels that may be brighter than the light: hot, saturated.
_TOP: Final = 0.05

#: Values that the level is found from at most.
_SAMPLE: Final = 1 << 20


def lit_pixels(light: NDArray[np.float32], *, part: float = 0.1) -> NDArray[np.bool_]:
    """Find the pixels that have their part of the light.

    Parameters
    ----------
    light
        Flat above the bias, any shape and unit. NaN is "no value".
    part
        Smallest part of the light's level that counts as light.

    Returns
    -------
    ndarray
        Same shape: at least that part of the level, and positive; nowhere if there is no light.

    Notes
    -----
    The level is the median of the pixels that have a part of the brightest but 5 %: that of all
    pixels would be read noise, or vignetting, where most of a chip is without light.
    """
    known = light[np.isfinite(light)]
    known = known[:: -(-known.size // _SAMPLE) or 1]
    if known.size == 0:
        return np.zeros(light.shape, dtype=np.bool_)
    top = float(np.quantile(known, 1.0 - _TOP))
    if not top > 0.0:  # light in less than 5 %, if anywhere
        return np.asarray(light > 0.0)
    level = float(np.median(known[known >= part * top]))
    return np.asarray((light > 0.0) & (light >= part * level))
