"""Bit masks and weights of a reduced frame."""

from __future__ import annotations

__all__ = ["MaskBit", "bit_mask", "photon_fraction", "plane", "sky_weight", "weight_image"]

from enum import IntFlag
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class MaskBit(IntFlag):
    """Why a pixel is not good; the bit codes of Astro-WISE's DARMA."""

    NON_NUMBER = 1
    SATURATED = 2
    HOT = 4
    COLD = 8
    SATELLITE = 16
    COSMIC = 32
    LINEARITY = 64


#: Bits that take all weight from a pixel.
_REJECTED = ~MaskBit.LINEARITY & sum(MaskBit)


def bit_mask(
    image: NDArray[np.float32],
    *,
    hot: NDArray[np.uint8],
    cold: NDArray[np.uint8],
    saturated: NDArray[np.bool_],
    cosmic: NDArray[np.bool_] | None = None,
    satellite: NDArray[np.bool_] | None = None,
) -> NDArray[np.uint8]:
    """Say of every pixel what is wrong with it.

    Parameters
    ----------
    image
        Reduced image, shape (ny, nx). NaN and infinities get NON_NUMBER.
    hot, cold
        Pixel maps, 1 good, 0 bad, same shape.
    saturated, cosmic, satellite
        True where the pixel is, same shape.

    Returns
    -------
    ndarray
        Sum of :class:`MaskBit`, uint8; 0 is good.
    """
    mask = np.zeros(image.shape, dtype=np.uint8)
    mask[~np.isfinite(image)] |= np.uint8(MaskBit.NON_NUMBER)
    mask[saturated] |= np.uint8(MaskBit.SATURATED)
    mask[hot == 0] |= np.uint8(MaskBit.HOT)
    mask[cold == 0] |= np.uint8(MaskBit.COLD)
    if cosmic is not None:
        mask[cosmic] |= np.uint8(MaskBit.COSMIC)
    if satellite is not None:
        mask[satellite] |= np.uint8(MaskBit.SATELLITE)
    return mask


def plane(mask: NDArray[np.uint8], bit: MaskBit) -> NDArray[np.uint8]:
    """One reason of a mask as a map of its own, 1 good, 0 bad, same shape (Astro-WISE)."""
    return np.asarray((mask & np.uint8(bit)) == 0, dtype=np.uint8)


def weight_image(flat: NDArray[np.float32], mask: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Relative weight of every pixel: proportional to the inverse variance under the sky's noise.

    Where reading the frame makes noise too, :func:`sky_weight` has the inverse variance.

    Parameters
    ----------
    flat
        Master flat, median 1, shape (ny, nx).
    mask
        From :func:`bit_mask`, same shape.

    Returns
    -------
    ndarray
        Flat where the pixel is good, 0 elsewhere, float32.

    Notes
    -----
    Astro-WISE ``WeightFrame`` = flat x hot x cold x saturated x cosmic x satellite.
    """
    good = (mask & int(_REJECTED)) == 0
    good &= np.isfinite(flat)
    return np.where(good, flat, np.float32(0.0)).astype(np.float32, copy=False)


def photon_fraction(*, level: float, gain: float, read_noise: float) -> float:
    """Part of the variance of the sky's pixels that photons make, where the flat is 1.

    Parameters
    ----------
    level, gain, read_noise
        As :func:`sky_weight` takes them.
    """
    photons, read = max(level, 0.0) / gain, read_noise**2
    return photons / (photons + read) if read > 0.0 else 1.0


def sky_weight(
    weight: NDArray[np.float32], *, level: float, gain: float, read_noise: float
) -> NDArray[np.float32]:
    """Inverse variance of the sky's pixels, relative to that where the flat is 1.

    Parameters
    ----------
    weight
        From :func:`weight_image`, shape (ny, nx).
    level
        Of the flat-fielded sky, adu; below 0 it counts as 0.
    gain
        e-/adu where the flat is 1.
    read_noise
        adu, before the flat field.

    Returns
    -------
    ndarray
        Float32, same shape; 0 where the weight is.

    Notes
    -----
    Where the flat is f, ``L / (gain f) + (read_noise / f)^2`` is the variance: the weight goes
    as f where the sky is the noise, as f^2 where reading it is.
    """
    photons, read = max(level, 0.0) / gain, read_noise**2
    if not read > 0.0:
        return weight
    enough = np.float32(photons + read)
    noise = np.float32(photons) * weight + np.float32(read)
    return np.asarray(weight * weight * enough / noise, np.float32)
