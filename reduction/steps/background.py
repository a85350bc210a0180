"""The sky behind the sources, and its noise, on a mesh."""

from __future__ import annotations

__all__ = ["Background", "background_behind", "covered", "estimate_background", "unusable"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reduction.steps.digitised import less_noise, smoothed_out, step_of
from schemas.deferred import deferred
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import sep
    from numpy.typing import NDArray

    Index = NDArray[np.intp]
    Mesh = NDArray[np.float64]
else:
    sep = deferred("sep")

#: Ellipses that count as covered by a source, in units of its area above the threshold.
_COVER = 2.0

#: Part of a frame under sources from which on too little sky is left between them.
_CROWDED = 0.9

#: Clipping of sky pixels in units of the noise, and the part of a normal variance that it keeps.
_CLIP = 5.0
_KEPT_VARIANCE = 0.99998

#: Part of the pixels of nine meshes that has to be sky; of a mesh, for it to count by itself.
_FEWEST = 0.05
_ENOUGH = 0.3

#: Between the middles of meshes a level is of four: mean weight that a pixel's own mesh has at its
#: place, and mean sum of the squared weights.
_OWN = (3.0 / 4.0) ** 2
_OF_FOUR = (2.0 / 3.0) ** 2

#: Side of the blocks whose sums tell how much of their noise pixels share, pairs of them that this
#: needs, and the median of a squared deviate.
_BLOCK = 8
_PAIRS = 40
_MEDIAN_SQUARE = 0.45494
_LEAST_SHARED = 0.1

#: Squared deviation of a mesh, in units of its noise, beyond which it counts no more.
_OUTLIER = 100.0

#: Standard deviations of chance from which on meshes differ: few of them always do a little.
_CERTAIN = 3.0

#: Steps from the mode within which whole numbers are sky: the next one is never an outlier.
_NEXT = 1.5


@dataclass(frozen=True, slots=True)
class Background:
    """Sky of a frame.

    Attributes
    ----------
    level, rms
        Sky and its noise in each pixel, shape (ny, nx), adu.
    global_level, global_rms
        The same for the whole frame, adu.
    share
        Part that a pixel of sky has in the level at its place.
    level_variance
        Variance of the level, in units of a pixel's: as large as sums over many pixels tell.
    """

    level: NDArray[np.float32]
    rms: NDArray[np.float32]
    global_level: float
    global_rms: float
    share: float = 0.0
    level_variance: float = 0.0

    @property
    def level_error(self) -> float:
        """Error of the level at a place, adu: the same for all pixels of a source there."""
        return self.global_rms * math.sqrt(self.level_variance)


def estimate_background(
    image: NDArray[np.floating],
    *,
    mask: NDArray[np.bool_] | None = None,
    box: int = 64,
    filter_size: int = 3,
) -> Background:
    """Sky level and noise by clipped modes on a mesh, median filtered, splines between.

    Parameters
    ----------
    image
        Shape (ny, nx), adu. NaN is "no value".
    mask
        True where a pixel is not to be used, same shape.
    box
        Mesh size, pixels.
    filter_size
        Width of the median filter, in meshes.

    Raises
    ------
    UnprocessableError
        If no pixel can be used.

    Notes
    -----
    Bertin & Arnouts 1996, A&AS 117, 393, section 3, as SEP (Barbary 2016, JOSS 1, 58) does it. The
    mode is 2.5 times the median less 1.5 times the mean: of whole numbers it would be wrong by as
    much as one, so that they are made continuous before. Where the noise is less than their step
    that does not do: the mean of the pixels near the mode is taken, over nine meshes each.
    """
    bad = unusable(image, mask)
    if bad.all():
        message = "the frame has no usable pixel: expected some that are finite and not masked"
        raise UnprocessableError(message)
    ny, nx = image.shape
    pixels = np.ascontiguousarray(np.where(bad, 0, image), dtype=np.float32)
    step = step_of(pixels, bad)
    if step:
        pixels = smoothed_out(pixels, step)
    sky = sep.Background(
        pixels,
        mask=bad,
        bw=min(box, nx),
        bh=min(box, ny),
        fw=filter_size,
        fh=filter_size,
    )
    level = np.asarray(sky.back(dtype=np.float32))
    rms, noise = np.asarray(sky.rms(dtype=np.float32)), float(sky.globalrms)
    if step:
        side = min(box, nx, ny)
        rms, noise = less_noise(rms, step, side=side), float(less_noise(noise, step, side=side))
        if noise < step:
            limit = max(_CLIP * float(sky.globalrms), _NEXT * step)
            level = _by_means(pixels, level, bad, limit, side)
            return Background(level, rms, float(np.median(level)), noise)
    return Background(level, rms, float(sky.globalback), noise)


def _by_means(
    pixels: NDArray[np.float32],
    level: NDArray[np.float32],
    bad: NDArray[np.bool_],
    limit: float,
    mesh: int,
) -> NDArray[np.float32]:
    """A level drawn to the mean of what is near it, shape (ny, nx).

    Parameters
    ----------
    pixels, level, bad
        The frame, its mode, and where there is no value; shape (ny, nx).
    limit
        Distance from the mode, the pixels' unit, from which on they are no sky.
    mesh
        Side, pixels.
    """
    rest = pixels - level
    near = bad | ~(np.abs(rest) < np.float32(limit))
    if near.all():
        return level
    rest[near] = 0
    starts = [np.arange(0, max(size - mesh // 2, 1), mesh) for size in pixels.shape]
    sky = _Meshes.of(rest, near, starts)
    offset = np.where(sky.few(mesh), sky.whole[0], sky.offset)
    return np.add(level, _between(offset, starts, pixels.shape), dtype=np.float32)


def covered(found: NDArray[np.void], bad: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels that are bad or near a source, shape (ny, nx).

    Parameters
    ----------
    found
        As ``sep.extract`` gives it: ellipses twice as large as the area above the threshold are
        covered, where the light of stars has fallen to some hundredths of the noise.
    bad
        Shape (ny, nx).
    """
    near = bad.astype(np.uint8)
    size = np.sqrt(found["npix"] / (np.pi * found["a"] * found["b"]))
    theta = np.clip(found["theta"], -np.pi / 2, np.pi / 2)
    sep.mask_ellipse(
        near, found["x"], found["y"], found["a"], found["b"], theta, r=_COVER * size + 1.0
    )
    return near.astype(np.bool_)


def background_behind(
    image: NDArray[np.floating],
    found: NDArray[np.void],
    first: Background,
    *,
    mask: NDArray[np.bool_],
    box: int = 64,
) -> Background:
    """Sky level and noise with the sources left out, by plain means on meshes.

    The mode among the sources is off by some hundredths of the noise, because their wings raise
    it and the skewness of Poisson's distribution lowers it: nothing for a pixel, but several
    percent of a faint flux in a wide circle. Stars too faint to be detected are part of the sky,
    and of its noise: as much of their light is under a star or in a circle, on the average, as
    between the sources. Without it a flux in a circle would be too large.

    Parameters
    ----------
    image, mask, box
        As :func:`estimate_background`; the meshes are half as large, since what the first sky did
        not follow is structure of a mesh's size and less.
    found
        Sources that were detected above ``first``.
    first
        The sky estimated among the sources; kept where they cover most of the frame.

    Notes
    -----
    Each mesh's mean is drawn to that of the nine meshes around it, by as much of their difference
    as noise explains over the whole frame: an even sky has the small error of nine meshes, one
    with moonlight's ghosts is followed. How much noise sums have, of pixels that were interpolated
    for instance, differences of blocks near each other tell. James & Stein 1961, Proc. 4th
    Berkeley Symp. 1, 361.
    """
    near = covered(found, mask)
    if near.mean() > _CROWDED:
        return first
    mesh = max(box // 2, 1)
    rest = (image - first.level).astype(np.float32, copy=False)
    near |= ~(np.abs(rest) < np.float32(_CLIP) * first.rms)
    rest[near] = 0
    starts = [np.arange(0, max(size - mesh // 2, 1), mesh) for size in image.shape]
    sky, shared = _Meshes.of(rest, near, starts), _shared(rest, near)
    few = sky.few(mesh)
    noise = np.sqrt(np.where(few, sky.whole[1], sky.variance))
    own = ~few & (sky.count >= _ENOUGH * mesh**2)
    kept = _kept(own, sky, shared)
    offset = np.where(own, sky.offset + kept * (sky.mean - sky.offset), sky.offset)
    offset = np.where(few, sky.whole[0], offset)
    level = np.add(first.level, _between(offset, starts, image.shape), dtype=np.float32)
    rms = _between(noise, starts, image.shape)
    alone, together = (
        float(np.median(1.0 / part[own])) if own.any() else 0.0 for part in (sky.count, sky.around)
    )
    return Background(
        level,
        rms,
        float(np.median(level)),
        float(np.median(noise)),
        share=kept * _OWN * alone + (1.0 - kept) * together,
        level_variance=shared * (together + kept**2 * (_OF_FOUR * alone - together)),
    )


@dataclass(frozen=True, slots=True)
class _Meshes:
    """Sky on meshes.

    ``count`` and ``mean`` are each mesh's number of pixels and mean; ``around``, ``offset`` and
    ``variance`` number, mean and variance of the pixels of it and its neighbours; ``whole`` has
    mean and mean square of all pixels.
    """

    count: Mesh
    mean: Mesh
    around: Mesh
    offset: Mesh
    variance: Mesh
    whole: tuple[float, float]

    @classmethod
    def of(
        cls, rest: NDArray[np.float32], near: NDArray[np.bool_], starts: Sequence[Index]
    ) -> _Meshes:
        """Sums of the sky, which is 0 where it is ``near``."""
        count = _mesh_sums((~near).astype(np.float32), starts)
        total, square = _mesh_sums(rest, starts), _mesh_sums(rest * rest, starts)
        around = np.maximum(_around(count), 1.0)
        offset = _around(total) / around
        variance = np.maximum(_around(square) / around - offset**2, 0.0) / _KEPT_VARIANCE
        pixels = max(count.sum(), 1.0)
        whole = float(total.sum() / pixels), float(square.sum() / pixels)
        return cls(count, total / np.maximum(count, 1.0), around, offset, variance, whole)

    def few(self, mesh: int) -> NDArray[np.bool_]:
        """Where nine meshes of a size have too little sky."""
        return np.asarray(_around(self.count) < _FEWEST * 9 * mesh**2)


def _shared(rest: NDArray[np.float32], near: NDArray[np.bool_]) -> float:
    """Variance of sums over blocks of sky, over that of independent pixels; 1 where few are whole.

    Of two blocks with one between them: what the sky's structure adds is nearly the same in both.
    """
    ny, nx = (length // _BLOCK for length in rest.shape)
    blocks = slice(ny * _BLOCK), slice(nx * _BLOCK)
    shape = ny, _BLOCK, nx, _BLOCK
    values = rest[blocks].reshape(shape)
    total = values.sum(axis=(1, 3), dtype=np.float64)
    square = np.einsum("iajb,iajb->ij", values, values)
    whole = ~near[blocks].reshape(shape).any(axis=(1, 3)) & (square > 0)
    found = []
    for one, two in ((np.s_[:, :-2], np.s_[:, 2:]), (np.s_[:-2], np.s_[2:])):
        both = whole[one] & whole[two]
        found.append((total[one] - total[two])[both] ** 2 / (square[one] + square[two])[both])
    ratio = np.concatenate(found)
    if len(ratio) < _PAIRS:
        return 1.0
    return max(float(np.median(ratio)) / _MEDIAN_SQUARE, _LEAST_SHARED)


def _kept(own: NDArray[np.bool_], sky: _Meshes, shared: float) -> float:
    """Part of the meshes' differences from those around them that is structure, not noise."""
    share = np.maximum(sky.count, 1.0)
    noise = shared * sky.variance * np.maximum(1.0 / share - 1.0 / sky.around, 0.0)
    own = own & (noise > 0)
    if not own.any():
        return 0.0
    chi2 = np.minimum((sky.mean - sky.offset)[own] ** 2 / noise[own], _OUTLIER)
    ratio = float(np.mean(chi2))
    by_chance = 1.0 + _CERTAIN * math.sqrt(2.0 / len(chi2))
    return 1.0 - 1.0 / ratio if ratio > by_chance else 0.0


def _mesh_sums(values: NDArray[np.float32], starts: Sequence[Index]) -> Mesh:
    """Sums over meshes that begin at rows and columns."""
    rows = np.add.reduceat(values, starts[0], axis=0)
    return np.add.reduceat(rows.astype(np.float64), starts[1], axis=1)


def _around(mesh: Mesh) -> Mesh:
    """Sums over each mesh and its eight neighbours."""
    padded = np.pad(mesh, 1)
    across = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    return np.asarray(across[:-2] + across[1:-1] + across[2:])


def _between(mesh: Mesh, starts: Sequence[Index], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Linear between the middles of meshes, constant beyond the outermost."""
    weights = []
    for begin, size in zip(starts, shape, strict=True):
        middle = (begin + np.append(begin[1:], size) - 1) / 2.0
        identity = np.eye(len(begin))
        at = np.arange(size)
        weights.append(np.stack([np.interp(at, middle, row) for row in identity], axis=1))
    return np.asarray(
        (weights[0] @ mesh).astype(np.float32) @ weights[1].T.astype(np.float32), np.float32
    )


def unusable(
    image: NDArray[np.floating], mask: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Whether a pixel is masked or has no finite value, shape (ny, nx)."""
    bad: NDArray[np.bool_] = ~np.isfinite(image)
    if mask is not None:
        bad |= mask
    return bad
