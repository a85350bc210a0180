"""Fluxes of sources by the point spread function, neighbours taken into account."""

from __future__ import annotations

__all__ = ["PsfFluxes", "psf_fluxes"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from reduction.steps.psf import stamps, usable_pixels
from schemas.deferred import deferred

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import sparse, spatial
    from scipy.sparse import linalg

    from reduction.steps.correlated_noise import SkyNoise
    from reduction.steps.psf import PsfModel

    Array = NDArray[np.float64]
else:
    sparse = deferred("scipy.sparse")
    linalg = deferred("scipy.sparse.linalg")
    spatial = deferred("scipy.spatial")

#: Neighbours nearer than this part of the width are one source: no fit can part them.
_INSEPARABLE: Final = 0.5

#: How much wider the light is that a source's extent is measured with.
_WIDER: Final = 1.3

#: Part of the function's weight that has to lie on usable pixels.
_ENOUGH: Final = 0.5

_CHUNK: Final = 2000


@dataclass(frozen=True, slots=True)
class PsfFluxes:
    """What the point spread function gives for each source, all of shape (n,).

    Attributes
    ----------
    flux, flux_err
        adu; NaN where fewer than half of the pixels that count are usable.
    spread, spread_err
        How much more light a source has in a wider function than a star: 0 for stars, positive
        for galaxies, negative for cosmic rays; NaN where the flux is not positive.
    """

    flux: Array
    flux_err: Array
    spread: Array
    spread_err: Array


@dataclass(slots=True)
class _Sums:
    """Sums over the stamps of sources, each of shape (n,)."""

    light: Array
    square: Array
    area: Array
    photons: Array
    sky: Array
    lost: NDArray[np.bool_]

    @classmethod
    def of(cls, count: int) -> Self:
        """All zero."""
        light, square, area, photons, sky = np.zeros((5, count))
        return cls(light, square, area, photons, sky, np.zeros(count, np.bool_))


def psf_fluxes(  # noqa: PLR0913  # a frame, its noise, and the places
    pixels: NDArray[np.float32],
    bad: NDArray[np.bool_],
    noise: NDArray[np.float32],
    x: Array,
    y: Array,
    *,
    psf: PsfModel,
    gain: float | Array,
    sky_error: float = 0.0,
    sky: SkyNoise | None = None,
) -> PsfFluxes:
    """Fit the point spread function at given places, all sources together.

    Parameters
    ----------
    pixels, bad, noise
        Frame without sky, adu; where it must not be used; noise of the sky in each pixel, adu.
        Shape (ny, nx).
    x, y
        Places of all sources, 0-based pixels, shape (n,).
    psf
        The function.
    gain
        e-/adu, one number or one a source.
    sky_error
        Error of the sky's level, adu: the same under all pixels of a source.
    sky
        Between the sources, for how pixels share noise; None: they do not.

    Notes
    -----
    Pixels have equal weights: the fit of a faint source is optimal, and a wrong function is wrong
    by the same factor for all brightnesses (as in SDSS: Stoughton et al. 2002, AJ 123, 485,
    4.4.5), which the aperture correction then takes out. Errors are those of the weights used.
    ``spread`` follows the idea of SExtractor's SPREAD_MODEL (Desai et al. 2012, ApJ 757, 83).
    """
    count = len(x)
    sums, wide = _Sums.of(count), _Sums.of(count)
    cross = np.zeros((2, count))
    for start in range(0, count, _CHUNK):
        part = slice(start, start + _CHUNK)
        _gather(pixels, bad, noise, (x[part], y[part]), psf, part, sums, wide, cross)
    shared, shared_spread, typical = _shared(sky, psf)
    for each, (level, _) in zip((sums, wide), typical, strict=True):
        each.light -= level * np.sqrt(each.sky)
    flux, leverage = _together(bad, x, y, psf, sums)
    flux[sums.lost] = np.nan
    dark = sums.sky * (shared + typical[0][1] ** 2) + (sky_error * sums.area) ** 2
    variance = (dark + np.maximum(sums.photons, 0.0) / gain) / np.maximum(sums.square, 1e-30) ** 2
    flux_err = np.where(sums.lost, np.nan, np.sqrt(variance * leverage))
    spread, spread_err = _spread(flux, sums, wide, cross, gain, shared_spread)
    return PsfFluxes(flux, flux_err, spread, spread_err)


def _shared(
    sky: SkyNoise | None, psf: PsfModel
) -> tuple[float, float, tuple[tuple[float, float], tuple[float, float]]]:
    """Factors on the sky's variance in fluxes and in ``spread``, as in the frame's middle.

    And what most places without a source have in the function and in the wider one, and how well
    that is known, in units of its noise: ``spread`` is a ratio of the two.
    """
    if sky is None:
        return 1.0, 1.0, ((0.0, 0.0), (0.0, 0.0))
    place = np.array([psf.xx.x0]), np.array([psf.xx.y0])
    offsets = np.arange(-psf.half, psf.half + 1, dtype=np.float32)
    apart = offsets[None, None, :], offsets[None, :, None]
    (star,), (broad,) = psf.at(*place, *apart), psf.at(*place, *apart, wider=_WIDER)
    ratio = float((star * broad).sum() / (star * star).sum())
    most = sky.typical(star), sky.typical(broad)
    return sky.factor(star), sky.factor(broad - np.float32(ratio) * star), most


def _gather(  # noqa: PLR0913, PLR0917  # one chunk's share of everything
    pixels: NDArray[np.float32],
    bad: NDArray[np.bool_],
    noise: NDArray[np.float32],
    place: tuple[Array, Array],
    psf: PsfModel,
    part: slice,
    sums: _Sums,
    wide: _Sums,
    cross: Array,
) -> None:
    values, good, dx, dy = stamps(pixels, bad, *place, psf.half)
    level = stamps(noise, bad, *place, 0)[0].reshape(-1)
    inside = np.where(level > 0, level, np.median(noise[:: max(len(noise) // 16, 1)]))
    star = psf.at(*place, dx, dy)
    whole = np.einsum("nij,nij->n", star, star)
    star *= good
    broad = psf.at(*place, dx, dy, wider=_WIDER) * good
    for into, model in ((sums, star), (wide, broad)):
        squares = model * model
        into.light[part] = np.einsum("nij,nij->n", model, values)
        into.square[part] = squares.sum(axis=(1, 2), dtype=np.float64)
        into.area[part] = model.sum(axis=(1, 2), dtype=np.float64)
        into.photons[part] = np.einsum("nij,nij->n", squares, values)
        into.sky[part] = into.square[part] * inside**2
    sums.lost[part] = sums.square[part] < _ENOUGH * whole
    cross[0, part] = np.einsum("nij,nij->n", star, broad)
    cross[1, part] = np.einsum("nij,nij,nij->n", star, broad, values)


def _together(
    bad: NDArray[np.bool_], x: Array, y: Array, psf: PsfModel, sums: _Sums
) -> tuple[Array, Array]:
    """Solve for all fluxes at once; and by how much neighbours raise each one's variance."""
    square = np.where(sums.lost, 1.0, sums.square)
    alone = np.where(sums.lost, 0.0, sums.light) / square
    count = len(x)
    if count < 2:
        return alone, np.ones(count)
    tree = spatial.cKDTree(np.column_stack((x, y)))
    pairs = tree.query_pairs(2.0 * psf.half, output_type="ndarray")
    apart = np.hypot(x[pairs[:, 0]] - x[pairs[:, 1]], y[pairs[:, 0]] - y[pairs[:, 1]])
    pairs = pairs[apart > _INSEPARABLE * psf.fwhm(x[pairs[:, 0]], y[pairs[:, 0]])]
    pairs = pairs[~sums.lost[pairs].any(axis=1)]
    if len(pairs) == 0:
        return alone, np.ones(count)
    here = np.concatenate((pairs[:, 0], pairs[:, 1]))
    there = np.concatenate((pairs[:, 1], pairs[:, 0]))
    overlap = np.empty(len(here))
    for start in range(0, len(here), _CHUNK):
        part = slice(start, start + _CHUNK)
        overlap[part] = _overlap(bad, x, y, psf, here[part], there[part])
    overlap /= square[here]
    diagonal = np.arange(count)
    matrix = sparse.coo_array(
        (
            np.concatenate((np.ones(count), overlap)),
            (np.concatenate((diagonal, here)), np.concatenate((diagonal, there))),
        ),
        shape=(count, count),
    )
    flux = np.asarray(linalg.spsolve(matrix.tocsc(), alone), dtype=np.float64)
    shared = np.bincount(here, weights=overlap**2, minlength=count)
    return flux, 1.0 / np.maximum(1.0 - shared, 0.1)


def _overlap(
    bad: NDArray[np.bool_],
    x: Array,
    y: Array,
    psf: PsfModel,
    here: NDArray[np.intp],
    there: NDArray[np.intp],
) -> Array:
    """Sum of the products of two sources' functions over the first one's stamp."""
    place = x[here], y[here]
    good, _, dx, dy = usable_pixels(bad, *place, psf.half)
    first = psf.at(*place, dx, dy)
    away_x = (x[there] - x[here]).astype(np.float32)[:, None, None]
    away_y = (y[there] - y[here]).astype(np.float32)[:, None, None]
    second = psf.at(x[there], y[there], dx - away_x, dy - away_y)
    return np.asarray(np.einsum("nij,nij->n", first * good, second), dtype=np.float64)


def _spread(  # sums of a frame
    flux: Array, sums: _Sums, wide: _Sums, cross: Array, gain: float | Array, correlation: float
) -> tuple[Array, Array]:
    """Ratio of light in the wider to that in the star's function, less that of a star."""
    bright = (sums.light > 0) & ~sums.lost & np.isfinite(flux)
    light = np.where(bright, sums.light, 1.0)
    square = np.where(bright, sums.square, 1.0)
    ratio = wide.light / light
    spread = ratio - cross[0] / square
    # var(G.D - ratio P.D) over (P.D)^2, with sky noise sigma and photons of the source
    sigma2 = np.where(sums.square > 0, sums.sky / np.maximum(sums.square, 1e-30), 0.0)
    sigma2 = sigma2 * correlation
    noise = sigma2 * (wide.square - 2.0 * ratio * cross[0] + ratio**2 * sums.square)
    photons = wide.photons - 2.0 * ratio * cross[1] + ratio**2 * sums.photons
    noise += np.maximum(photons, 0.0) / gain
    error = np.sqrt(np.maximum(noise, 0.0)) / light
    return np.where(bright, spread, np.nan), np.where(bright, error, np.nan)
