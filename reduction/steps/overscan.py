"""Overscan correction and trimming of a raw CCD frame."""

from __future__ import annotations

__all__ = ["OverscanMethod", "correct_overscan", "overscan_level", "trim"]

from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from reduction.instruments.base import Section
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Overscan pixels further than this many standard deviations from their row are left out.
_CLIP = 5.0

#: Median absolute deviation of a normal distribution of unit standard deviation.
_MAD_OF_UNIT_NORMAL = 0.6744897501960817


class OverscanMethod(IntEnum):
    """How the bias level is taken from pixels that see no light; Astro-WISE's numbers.

    "Pre" pixels come before the science pixels in the frame, "over" pixels after them; X strips
    lie beside the science pixels, Y strips below or above.
    """

    NONE = 0
    PRESCAN_X_MEDIAN = 1
    OVERSCAN_X_MEDIAN = 2
    PRESCAN_Y_MEDIAN = 3
    OVERSCAN_Y_MEDIAN = 4
    PRESCAN_X_PER_ROW = 5
    OVERSCAN_X_PER_ROW = 6
    PRESCAN_Y_PER_COLUMN = 7
    OVERSCAN_Y_PER_COLUMN = 8


_PER_LINE = frozenset(
    {
        OverscanMethod.PRESCAN_X_PER_ROW,
        OverscanMethod.OVERSCAN_X_PER_ROW,
        OverscanMethod.PRESCAN_Y_PER_COLUMN,
        OverscanMethod.OVERSCAN_Y_PER_COLUMN,
    }
)


def trim(raw: NDArray[np.generic], science: Section) -> NDArray[np.float32]:
    """Cut the science pixels out of a raw frame.

    Parameters
    ----------
    raw
        Whole CCD frame, shape (ny, nx), adu.
    science
        The pixels that see light.

    Returns
    -------
    ndarray
        Copy, shape ``science.shape``, adu, float32.

    Raises
    ------
    UnprocessableError
        If the section reaches outside the frame or is empty.
    """
    _check_inside(raw.shape, science)
    return raw[science.slices].astype(np.float32)


def correct_overscan(
    raw: NDArray[np.generic],
    science: Section,
    *,
    overscan: Section | None = None,
    method: int = OverscanMethod.OVERSCAN_X_PER_ROW,
) -> NDArray[np.float32]:
    """Trim a raw frame and subtract the bias level seen in its overscan.

    Parameters
    ----------
    raw
        Whole CCD frame, shape (ny, nx), adu.
    science
        The pixels that see light.
    overscan
        The overscan strip, where the instrument knows one. Methods whose side it is not on take
        all the pixels between the science section and the edge of the frame. Lines of the science
        section that it does not reach have the level of the nearest one that it does.
    method
        One of :class:`OverscanMethod`. Methods "per row" and "per column" take the clipped mean
        of each line of the strip, "median" that of all its pixels.

    Returns
    -------
    ndarray
        Shape ``science.shape``, adu, float32.

    Raises
    ------
    UnprocessableError
        If the method is unknown or the frame has no pixels for it.

    Notes
    -----
    Astro-WISE ``OverscanCorrection``; 6, per row, is its default since 2006. A mean without far
    outliers, not a median, for the methods that are called so too, because raw values are
    integers: the median of however many is a whole number or a half. Pixels that are no numbers
    do not count.
    """
    image = trim(raw, science)
    image -= overscan_level(raw, science, overscan=overscan, method=method)
    return image


def overscan_level(
    raw: NDArray[np.generic],
    science: Section,
    *,
    overscan: Section | None = None,
    method: int = OverscanMethod.OVERSCAN_X_PER_ROW,
) -> NDArray[np.float32]:
    """Bias level of a raw frame as its overscan shows it.

    Parameters
    ----------
    raw, science, overscan, method
        As in :func:`correct_overscan`.

    Returns
    -------
    ndarray
        adu, shape (ny, 1) for methods per row, (1, nx) per column, else (1, 1), of the science
        section's ny and nx; 0 for method 0. NaN where no pixel looked at is a number.

    Raises
    ------
    UnprocessableError
        If the method is unknown or the frame has no pixels for it.
    """
    try:
        chosen = OverscanMethod(method)
    except ValueError as error:
        message = f"overscan method {method}: expected 0 to {max(OverscanMethod)}"
        raise UnprocessableError(message) from error
    _check_inside(raw.shape, science)
    if chosen is OverscanMethod.NONE:
        return np.zeros((1, 1), dtype=np.float32)
    strip = _strip(chosen, raw.shape, science, overscan)
    pixels = raw[strip.slices].astype(np.float32)
    if chosen not in _PER_LINE:
        return _clipped_means(pixels.reshape(1, -1))[:, np.newaxis]
    if _is_x(chosen):
        rows = _clipped_means(pixels)
        return rows[_nearest(science.y0, science.y1, strip.y0, strip.y1), np.newaxis]
    columns = _clipped_means(np.ascontiguousarray(pixels.T))
    return columns[np.newaxis, _nearest(science.x0, science.x1, strip.x0, strip.x1)]


def _nearest(first: int, last: int, begin: int, end: int) -> NDArray[np.intp]:
    """Which line from begin to end is nearest to each from first to last, counted from begin."""
    return np.clip(np.arange(first, last), begin, end - 1) - begin


def _is_x(method: OverscanMethod) -> bool:
    return "_X_" in method.name


def _check_inside(shape: tuple[int, ...], section: Section) -> None:
    inside = 0 <= section.y0 < section.y1 <= shape[0] and 0 <= section.x0 < section.x1 <= shape[1]
    if not inside:
        message = f"section {section} does not lie in a frame of shape {shape}"
        raise UnprocessableError(message)


def _strip(
    method: OverscanMethod, shape: tuple[int, ...], science: Section, overscan: Section | None
) -> Section:
    """Pixels the method looks at, cut to the science section's rows (X) or columns (Y)."""
    before = method.name.startswith("PRESCAN")
    y0, y1, x0, x1 = science.y0, science.y1, science.x0, science.x1
    if _is_x(method):
        strip = Section(y0, y1, 0, x0) if before else Section(y0, y1, x1, shape[1])
    else:
        strip = Section(0, y0, x0, x1) if before else Section(y1, shape[0], x0, x1)
    if overscan is not None:
        common = Section(
            max(strip.y0, overscan.y0),
            min(strip.y1, overscan.y1),
            max(strip.x0, overscan.x0),
            min(strip.x1, overscan.x1),
        )
        if common.shape[0] > 0 and common.shape[1] > 0:
            strip = common
    if strip.shape[0] <= 0 or strip.shape[1] <= 0:
        message = (
            f"overscan method {method.value} ({method.name}) needs pixels that the frame of shape "
            f"{shape} with science section {science} does not have: expected method 0 or another"
        )
        raise UnprocessableError(message)
    return strip


def _clipped_means(lines: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of each row without far outliers; NaN where a row has no number."""
    known = np.isfinite(lines)
    if not known.all():
        lines = np.where(known, lines, np.float32(np.nan))
    centre = _medians(lines, known.sum(axis=1)[:, np.newaxis])
    deviation = np.abs(lines - centre)
    typical = float(np.median(deviation[known])) if known.any() else 0.0
    sigma = np.float32(typical / _MAD_OF_UNIT_NORMAL)
    keep = deviation <= _CLIP * np.maximum(sigma, np.float32(1.0))
    total = np.where(keep, lines, np.float32(0.0)).sum(axis=1, dtype=np.float64)
    mean = np.full(len(lines), np.nan)
    number = keep.sum(axis=1)
    np.divide(total, number, out=mean, where=number > 0)
    return mean.astype(np.float32)


def _medians(lines: NDArray[np.float32], count: NDArray[np.intp]) -> NDArray[np.float32]:
    """Median of each row over its numbers, shape (rows, 1); ``count`` says how many there are."""
    ordered = np.sort(lines, axis=1)  # NaN last
    low = np.take_along_axis(ordered, np.maximum(count - 1, 0) // 2, axis=1)
    high = np.take_along_axis(ordered, np.minimum(count // 2, lines.shape[1] - 1), axis=1)
    return np.asarray((low + high) * np.float32(0.5))
