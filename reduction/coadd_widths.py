"""Widths of stars on a coadd, against what its frames promise."""

from __future__ import annotations

__all__ = ["Widths", "stars_of_frames", "widths_of_stars"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.blocks import copied
from reduction.steps.psf import HALF_LIGHT, fit_psf
from reduction.steps.star_widths import star_widths, summed_width
from reduction.steps.tiles import tiles_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from reduction.steps.wcs import TanWcs
    from reduction.target import Progenitor

_STAR_DTYPE: Final = np.dtype([("frame", "i4"), ("ra", "f8"), ("dec", "f8"), ("width", "f8")])

#: Stars that are measured at most, and of one frame at least.
_MOST_STARS: Final = 20_000
_FEWEST_STARS: Final = 10
#: Percentile of widths that is a star's.
_NARROW: Final = 20.0
#: Stars of a tile that the point spread function is fitted to at most.
_FITTED: Final = 120


@dataclass(frozen=True, slots=True)
class Widths:
    """Widths of stars (full at half maximum) on a coadd, arcsec, NaN where not known.

    Attributes
    ----------
    measured
        Of the point spread function fitted to the frames' stars on the coadd. Where none can be
        fitted: what the frames promise, times what combining them did to the diameter of half of
        the light of their stars, each frame's taken relative to the coadd's on the same stars.
    predicted
        What the frames promise: the width of the sum of their stars.
    stars
        How many were measured.
    """

    measured: float
    predicted: float
    stars: int


def stars_of_frames(frames: Sequence[Progenitor], chosen: Sequence[int]) -> NDArray[np.void]:
    """Bright stars of some frames: number of the frame, places (degrees), widths (arcsec).

    Widths are diameters of half of a star's light.
    """
    most = max(_FEWEST_STARS, _MOST_STARS // len(chosen))
    tables = [frames[i].tables["STARS"][:most] for i in chosen]
    stars = np.zeros(sum(map(len, tables)), _STAR_DTYPE)
    stars["frame"] = np.repeat(chosen, [len(table) for table in tables])
    for name in ("ra", "dec", "width"):
        stars[name] = np.concatenate([table[name] for table in tables])
    return stars


def widths_of_stars(
    planes: tuple[NDArray[np.float32], NDArray[np.float32]],
    wcs: TanWcs,
    stars: NDArray[np.void],
    table: NDArray[np.void],
) -> Widths:
    """Measure the frames' stars on the coadd.

    Parameters
    ----------
    planes
        Its image and weight, shape (ny, nx).
    wcs
        Its projection.
    stars
        From :func:`stars_of_frames`.
    table
        One row a frame, as the coadd's FRAMES: "seeing" and "weight" are used.
    """
    if not len(stars):
        return Widths(math.nan, math.nan, 0)
    x, y = wcs.to_pixel(stars["ra"], stars["dec"])
    expected = float(np.median(stars["width"])) / wcs.pixel_scale
    widths, fitted = np.full(len(x), np.nan), []
    for tile in tiles_of(planes[0].shape):
        own, part = tile.owns(x, y), tile.outer
        if own.any():
            image, weight = (copied(plane, *part.slices) for plane in planes)
            places = x[own] - part.x0, y[own] - part.y0
            widths[own] = star_widths(image, weight, *places, expected=expected) * wcs.pixel_scale
            fitted.append(_fitted(image, weight, *places, expected=expected))
    known = np.isfinite(widths)
    if not known.any():
        return Widths(math.nan, math.nan, 0)
    usual = float(np.percentile(widths[known], _NARROW, method="nearest"))
    single, chosen = [], np.unique(stars["frame"][known])
    for frame in chosen:
        same = known & (stars["frame"] == frame)
        single.append(usual * float(np.median(stars["width"][same] / widths[same])))
    shares = table["weight"][chosen].tolist()
    predicted = summed_width(table["seeing"][chosen].tolist(), shares)
    fwhm, count = np.array(fitted).T
    if count.any():
        measured = float(np.average(fwhm, weights=count)) * wcs.pixel_scale
    else:
        measured = predicted * usual / summed_width(single, shares)
    return Widths(measured, predicted, int(known.sum()))


def _fitted(
    image: NDArray[np.float32],
    weight: NDArray[np.float32],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    *,
    expected: float,
) -> tuple[float, int]:
    """Full width at half maximum (pixels) of the function fitted to stars; and their number.

    Places of stars that several frames have come several times; each is taken once.
    """
    unused = ~(weight > 0) | ~np.isfinite(image)
    pixels = np.ascontiguousarray(np.where(unused, np.float32(0), image), np.float32)
    cell = np.rint(np.column_stack((x, y)) / max(expected, 1.0))
    _, once = np.unique(cell, axis=0, return_index=True)
    once = np.sort(once)  # by frame: some of each
    once = once[np.linspace(0, len(once) - 1, min(len(once), _FITTED)).astype(int)]
    psf = fit_psf(pixels, unused, x[once], y[once], fwhm=max(expected / HALF_LIGHT, 1.0))
    return float(np.median(psf.fwhm(x, y))), psf.n_stars
