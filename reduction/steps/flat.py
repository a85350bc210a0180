"""Flat fields: combine dome or twilight flats, and join both into a master flat."""

from __future__ import annotations

__all__ = ["CombineType", "FlatField", "combine_flats", "master_flat"]

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from reduction.steps.blocks import release
from reduction.steps.combine import combine
from reduction.steps.order import median
from reduction.steps.smooth import fill_bad_pixels, low_pass
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class CombineType(IntEnum):
    """What a master flat is made of; 1 to 3 are Astro-WISE's numbers."""

    DOME_AND_TWILIGHT = 1
    DOME = 2
    TWILIGHT = 3
    DOME_AND_NIGHT_SKY = 4
    NIGHT_SKY = 5


#: Flats that the small and the large scales of a master flat are taken from.
_MADE_OF = {
    CombineType.DOME_AND_TWILIGHT: ("dome", "twilight"),
    CombineType.DOME: ("dome", "dome"),
    CombineType.TWILIGHT: ("twilight", "twilight"),
    CombineType.DOME_AND_NIGHT_SKY: ("dome", "night-sky"),
    CombineType.NIGHT_SKY: ("night-sky", "night-sky"),
}


@dataclass(frozen=True, slots=True)
class FlatField:
    """A combined flat.

    Attributes
    ----------
    image
        Shape (ny, nx), float32, median 1 over the good pixels; NaN where there is no value.
    levels
        Median of each frame before normalisation, adu.
    outliers
        Number of values rejected in all frames.
    """

    image: NDArray[np.float32]
    levels: tuple[float, ...]
    outliers: int


@dataclass(frozen=True, slots=True)
class _Normalised:
    """A raw flat without its bias, over its level: computed for the rows that are asked for."""

    base: NDArray[np.float32]
    bias: NDArray[np.float32]
    level: float

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return self.base.shape

    def __getitem__(self, rows: slice, /) -> NDArray[np.float32]:
        part = np.subtract(self.base[rows], self.bias[rows], dtype=np.float32)
        part /= np.float32(self.level)
        return part


def _level(image: NDArray[np.float32], good: NDArray[np.bool_]) -> float:
    """Median over good pixels."""
    level = median(image[good & np.isfinite(image)])
    if not level > 0.0:
        message = f"a flat of median level {level} adu above the bias: expected light"
        raise UnprocessableError(message)
    return level


def combine_flats(
    frames: Sequence[NDArray[np.float32]],
    *,
    bias: NDArray[np.float32],
    gain: float,
    read_noise: float,
    good: NDArray[np.bool_] | None = None,
    sigma_clip: float = 5.0,
) -> FlatField:
    """Combine dome or twilight flats of one chip and filter.

    Parameters
    ----------
    frames
        Trimmed, overscan corrected flats, each of shape (ny, nx), adu; may be in files.
    bias
        Master bias made with the same overscan method, same shape, adu.
    gain
        e-/adu.
    read_noise
        adu.
    good
        Pixels that levels are measured on, same shape; None for all.
    sigma_clip
        A normalised value is left out if it deviates from its pixel's median by more than this
        times the photon and read noise expected there.

    Returns
    -------
    FlatField
        Of median 1.

    Raises
    ------
    UnprocessableError
        If there is no frame, shapes differ, or a frame has no light.

    Notes
    -----
    Astro-WISE ``DomeFlatFrame`` and ``TwilightFlatFrame``: debias, divide each by its median,
    clip with photon noise scaled by the gain, mean, divide by the median. The mean is weighted by
    what each frame's noise is at its level, which is nearly by the level, as of photons: a plain
    mean of twilight flats of 1000 and twice 30 000 adu is 2.7 times as noisy as without the faint
    one. Weights are one number a frame: such of each pixel's own value would favour low ones.
    """
    if any(frame.shape != bias.shape for frame in frames):
        shapes = sorted({frame.shape for frame in frames})
        message = f"flats of shapes {shapes} and a bias of {bias.shape}: expected equal shapes"
        raise UnprocessableError(message)
    measured = np.ones(bias.shape, dtype=np.bool_) if good is None else good
    levels = []
    for frame in frames:
        levels.append(_level(np.subtract(frame, bias, dtype=np.float32), measured))
        release(frame)
    sigma = [read_noise / level for level in levels]
    photon = [1.0 / (gain * level) for level in levels]
    image, count = combine(
        [_Normalised(frame, bias, level) for frame, level in zip(frames, levels, strict=True)],
        sigma,
        sigma_clip=sigma_clip,
        photon=photon,
        weights=[1.0 / (own**2 + light) for own, light in zip(sigma, photon, strict=True)],
    )
    valid = np.isfinite(image)
    outliers = len(frames) * int(valid.sum()) - int(count[valid].sum(dtype=np.int64))
    image /= np.float32(_level(image, measured))
    return FlatField(image=image, levels=tuple(levels), outliers=outliers)


def master_flat(
    dome: NDArray[np.float32] | None,
    twilight: NDArray[np.float32] | None,
    *,
    night_sky: NDArray[np.float32] | None = None,
    combine_type: int = CombineType.DOME_AND_TWILIGHT,
    bad: NDArray[np.bool_] | None = None,
    median_filter_size: int = 9,
    filter_size: float = 9.0,
    mirror: tuple[int, int] = (75, 75),
) -> NDArray[np.float32]:
    """Join the small scales of one flat with the large scales of another.

    Parameters
    ----------
    dome, twilight, night_sky
        Flats of median 1, shape (ny, nx). Those that a combine type does not use may be None.
    combine_type
        One of :class:`CombineType`.
    bad
        Pixels that must not reach the large scales, same shape.
    median_filter_size
        Side of the square whose median replaces a bad pixel before filtering, pixels.
    filter_size
        Standard deviation of the Gaussian between "large" and "small", pixels.
    mirror
        Pixels (y, x) mirrored at each edge before filtering.

    Returns
    -------
    ndarray
        Master flat, shape (ny, nx), float32, median 1 over the good pixels; bad pixels keep
        their own response; NaN where a flat has no value.

    Raises
    ------
    UnprocessableError
        If a flat that the combine type needs is missing, or the type is unknown.

    Notes
    -----
    Astro-WISE ``MasterFlatFrame``: dome / LP(dome) x LP(twilight), where LP is a Gaussian low
    pass after cleaning bad pixels and mirroring the edges.
    """
    chosen = _chosen(combine_type)
    flats = {"dome": dome, "twilight": twilight, "night-sky": night_sky}
    small, large = (_given(flats, name, chosen) for name in _MADE_OF[chosen])
    if small is large:
        master = np.array(small, dtype=np.float32)
    else:
        if small.shape != large.shape:
            message = f"flats of shapes {small.shape} and {large.shape}: expected equal shapes"
            raise UnprocessableError(message)
        holes = ~np.isfinite(small) | ~np.isfinite(large)
        if bad is not None:
            holes |= bad
        filled = (fill_bad_pixels(flat, holes, size=median_filter_size) for flat in (small, large))
        own, other = (low_pass(flat, sigma=filter_size, mirror=mirror) for flat in filled)
        master = small / own * other
    good = np.ones(master.shape, dtype=np.bool_) if bad is None else ~bad
    master /= np.float32(_level(master, good))
    return master


def _chosen(combine_type: int) -> CombineType:
    try:
        return CombineType(combine_type)
    except ValueError as error:
        kinds = ", ".join(f"{kind.value} ({kind.name})" for kind in CombineType)
        message = f"combine type {combine_type}: expected one of {kinds}"
        raise UnprocessableError(message) from error


def _given(
    flats: dict[str, NDArray[np.float32] | None], name: str, chosen: CombineType
) -> NDArray[np.float32]:
    flat = flats[name]
    if flat is None:
        message = f"combine type {chosen.value} ({chosen.name}) needs a {name} flat"
        raise UnprocessableError(message)
    return flat
