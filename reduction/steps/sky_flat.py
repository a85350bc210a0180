"""The sky's light as a flat: frames of the sky with their sources masked, combined."""

from __future__ import annotations

__all__ = ["SkyFlat", "mask_sources", "sky_flat"]

from dataclasses import dataclass
from functools import partial
from itertools import pairwise, repeat
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.polynomial import chebyshev

from reduction.steps.background import estimate_background
from reduction.steps.combine import combine
from reduction.steps.correlated_noise import noise_above_zero
from reduction.steps.lit import lit_pixels
from reduction.steps.smooth import low_pass
from schemas.deferred import deferred
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from scipy import ndimage
else:
    ndimage = deferred("scipy.ndimage")

#: Standard deviation of the Gaussian that sources are looked for with, pixels, and what is left
#: of the noise after it: 1 / (2 sqrt(pi) sigma).
_KERNEL: Final = 1.5
_NOISE_LEFT: Final = 0.188

#: Connected pixels that make a source.
_AREA: Final = 8

#: Parts of a frame a side whose medians give its large-scale light, and the polynomial's degree.
_PARTS: Final = 16
_DEGREE: Final = 4

#: Fewest frames, besides a third of them, that have to show the sky in a pixel: a pixel that one
#: frame alone shows would make that frame even, and be as noisy in the others.
_FEWEST: Final = 2

#: Standard deviation of the Gaussian that fills what no frame shows, pixels.
_FILLING: Final = 16.0


@dataclass(frozen=True, slots=True)
class SkyFlat:
    """Combined frames of the sky.

    Attributes
    ----------
    image
        Shape (ny, nx), float32, median 1 over the good pixels.
    levels
        Sky of each frame, adu.
    filled
        Number of pixels that hardly a frame showed: there the image is what surrounds them.
    """

    image: NDArray[np.float32]
    levels: tuple[float, ...]
    filled: int


def mask_sources(
    image: NDArray[np.float32],
    *,
    bad: NDArray[np.bool_] | None = None,
    threshold: float = 4.0,
    growth: int = 6,
    box: int = 64,
) -> NDArray[np.bool_]:
    """Find the pixels whose light is not the sky's alone.

    Parameters
    ----------
    image
        Shape (ny, nx), any unit. NaN is bad.
    bad
        Pixels to leave out, same shape.
    threshold
        Smallest surface brightness of a source, in the noise of the smoothed sky.
    growth
        Pixels by which a source is widened at its faint end.
    box
        Mesh of the background, pixels.

    Returns
    -------
    ndarray
        True on sources and on bad pixels, same shape.

    Raises
    ------
    UnprocessableError
        If no pixel can be used.
    """
    invalid = ~np.isfinite(image)
    if bad is not None:
        invalid |= bad
    sky = estimate_background(image, mask=invalid, box=box)
    rest = np.where(invalid, np.float32(0.0), image - sky.level)
    signal = rest / noise_above_zero(sky, rest)
    smooth = ndimage.gaussian_filter(signal, _KERNEL)
    labels, number = ndimage.label(smooth > threshold * _NOISE_LEFT, np.ones((3, 3)))
    area = np.bincount(labels.ravel(), minlength=number + 1)
    area[0] = 0
    sources = (area >= _AREA)[labels]
    if sources.any():
        sources = ndimage.distance_transform_edt(~sources) <= growth
    return np.asarray(sources | invalid)


def sky_flat(
    frames: Sequence[NDArray[np.float32]],
    *,
    gain: float,
    read_noise: float,
    good: NDArray[np.bool_] | None = None,
    sigma_clip: float = 3.0,
    threshold: float = 4.0,
    growth: int = 6,
) -> SkyFlat:
    """Combine frames of different fields, their sources masked, into a flat.

    Parameters
    ----------
    frames
        Frames without overscan, bias and dark current, each of shape (ny, nx), adu.
    gain
        e-/adu.
    read_noise
        adu.
    good
        Pixels that levels are measured on, same shape; None for all.
    sigma_clip
        A normalised value is left out if it deviates from its pixel's median by more than this
        times the photon and read noise expected there.
    threshold, growth
        As in :func:`mask_sources`.

    Returns
    -------
    SkyFlat
        Of median 1.

    Raises
    ------
    UnprocessableError
        If there is no frame, shapes differ, or a frame has no light.

    Notes
    -----
    Astro-WISE ``NightSkyFlatFrame``. Sources are masked twice: in the frames divided by their
    own large-scale light, and in the frames divided by the first flat, whose even sky shows
    fainter ones. Levels are the second time those of frame over flat, so that it does not matter
    where a frame is masked. What most frames say has no light keeps its own response: neither
    does it shape the large-scale light of a frame, nor is it filled from what surrounds it.

    Frames count alike, unlike those of :func:`reduction.steps.flat.combine_flats`, which weighs by
    noise: levels of one night's sky differ by less than those of twilight.
    """
    measured = _lit(frames)
    if good is not None:
        measured &= good
    if not measured.any():
        message = "no pixel has light above the bias: expected light between the sources"
        raise UnprocessableError(message)
    masking = partial(mask_sources, bad=~measured, threshold=threshold, growth=growth)
    combining = partial(_combined, gain=gain, read_noise=read_noise, sigma_clip=sigma_clip)
    own = (_illumination(frame, measured) for frame in frames)
    first = combining(_normalised(frames, own, measured, masking), measured)
    common = repeat(first.image, len(frames))
    return combining(_normalised(frames, common, measured, masking), measured)


def _normalised(
    frames: Sequence[NDArray[np.float32]],
    light: Iterable[NDArray[np.float32]],
    measured: NDArray[np.bool_],
    masking: Callable[[NDArray[np.float32]], NDArray[np.bool_]],
) -> Iterator[tuple[NDArray[np.float32], float]]:
    """Each frame over its level, NaN where it has sources, and the level (adu).

    Sources and level are those of the frame over its ``light``.
    """
    for frame, falling in zip(frames, light, strict=True):
        even = frame / falling
        mask = masking(even)
        level = _level(even[~mask])
        seen = np.where(mask & measured, np.float32(np.nan), frame)
        seen /= np.float32(level)
        yield seen, level


def _combined(
    normalised: Iterable[tuple[NDArray[np.float32], float]],
    measured: NDArray[np.bool_],
    *,
    gain: float,
    read_noise: float,
    sigma_clip: float,
) -> SkyFlat:
    """Mean of frames over their levels, holes filled, of median 1."""
    seen, levels = zip(*normalised, strict=True)
    flat, count = combine(
        seen,
        [read_noise / level for level in levels],
        sigma_clip=sigma_clip,
        photon=[1.0 / (gain * level) for level in levels],
    )
    flat[count < max(_FEWEST, len(seen) // 3)] = np.nan
    filled = _fill(flat, measured)
    flat /= np.float32(_level(flat[measured & np.isfinite(flat)]))
    return SkyFlat(flat, levels, filled)


def _lit(frames: Sequence[NDArray[np.float32]]) -> NDArray[np.bool_]:
    """Pixels that have light in half of the frames or more."""
    shapes = {frame.shape for frame in frames}
    if len(shapes) != 1:
        message = f"{len(frames)} frames of shapes {sorted(shapes)}: expected one common shape"
        raise UnprocessableError(message)
    votes = np.zeros(frames[0].shape, dtype=np.int32)
    for frame in frames:
        votes += lit_pixels(frame)
    return np.asarray(2 * votes >= len(frames))


def _illumination(frame: NDArray[np.float32], good: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Large-scale light of a frame: a polynomial through medians of its parts, median 1."""
    ny, nx = frame.shape
    rows = np.array_split(np.arange(ny), min(_PARTS, ny))
    columns = np.array_split(np.arange(nx), min(_PARTS, nx))
    seen = np.where(good & np.isfinite(frame), frame, np.float32(np.nan))[::2, ::2]
    edges_y, edges_x = ([part[0] // 2 for part in parts] + [None] for parts in (rows, columns))
    medians = np.array(
        [
            [_median(seen[y0:y1, x0:x1]) for x0, x1 in pairwise(edges_x)]
            for y0, y1 in pairwise(edges_y)
        ]
    )
    y, x = (
        np.array([part.mean() for part in parts]) / (size - 1) * 2 - 1
        for parts, size in ((rows, ny), (columns, nx))
    )
    yy, xx = np.meshgrid(y, x, indexing="ij")
    design = chebyshev.chebvander2d(yy, xx, [_DEGREE, _DEGREE])
    design = design.reshape(medians.size, -1)
    values = medians.ravel()
    keep = np.isfinite(values)
    coefficients = np.zeros(design.shape[1])
    for _ in range(4):
        coefficients, *_ = np.linalg.lstsq(design[keep], values[keep], rcond=None)
        residual = values - design @ coefficients
        spread = 1.4826 * np.nanmedian(np.abs(residual[keep]))
        keep = np.isfinite(values) & (residual < 3.0 * spread) & (residual > -5.0 * spread)
    grid = chebyshev.chebgrid2d(
        np.linspace(-1, 1, ny), np.linspace(-1, 1, nx), coefficients.reshape([_DEGREE + 1] * 2)
    )
    light = np.asarray(grid / np.median(values[keep]), dtype=np.float32)
    return np.asarray(np.maximum(light, np.float32(0.05)))


def _median(values: NDArray[np.float32]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")


def _level(values: NDArray[np.float32]) -> float:
    level = float(np.median(values)) if values.size else float("nan")
    if not level > 0.0:
        message = f"a sky of {level} adu above the bias: expected light between the sources"
        raise UnprocessableError(message)
    return level


def _fill(flat: NDArray[np.float32], good: NDArray[np.bool_]) -> int:
    """Put the surroundings where no frame had a value, in place; how many pixels that were."""
    empty = ~np.isfinite(flat)
    if empty.any() and not empty.all():
        sigma = _FILLING
        while np.isnan(flat).any() and sigma < 4 * max(flat.shape):
            smooth = low_pass(flat, sigma=sigma, bad=~good)
            flat[np.isnan(flat)] = smooth[np.isnan(flat)]
            sigma *= 2.0
    return int(empty.sum())
