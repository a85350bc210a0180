"""Where the simulated chips are in the focal plane, in their raw frames, and on the sky."""

from __future__ import annotations

__all__ = ["PIXEL_SCALE", "Layout", "chip_layout", "project", "wcs_cards"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.instruments.base import Section
from reduction.simulation.config import stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reduction.simulation.config import SimulationConfig

#: arcsec/pixel, as OmegaCAM's.
PIXEL_SCALE: Final = 0.214

#: Pixels of the raw frame that see no light.
PRESCAN_X: Final = 16
OVERSCAN_X: Final = 32
OVERSCAN_Y: Final = 8

#: Pixels between neighbouring chips.
_GAP: Final = 24

#: Chips in a row of the mosaic at most.
_COLUMNS: Final = 8


@dataclass(frozen=True, slots=True)
class Layout:
    """One chip's geometry.

    Attributes
    ----------
    raw_shape
        Of the whole raw frame, (ny, nx).
    science, overscan
        Sections of the raw frame.
    centre
        Focal-plane position (x, y) of the chip's middle, pixels from the optical axis.
    rotation
        Of the chip against the mosaic, radians.
    """

    raw_shape: tuple[int, int]
    science: Section
    overscan: Section
    centre: tuple[float, float]
    rotation: float


def chip_layout(config: SimulationConfig, index: int) -> Layout:
    """Geometry of a chip; chips of the second half have their dark rows below, not above."""
    ny, nx = config.shape
    y0 = OVERSCAN_Y if index >= (config.chips + 1) // 2 else 0
    science = Section(y0, y0 + ny, PRESCAN_X, PRESCAN_X + nx)
    raw_shape = (ny + OVERSCAN_Y, PRESCAN_X + nx + OVERSCAN_X)
    overscan = Section(science.y0, science.y1, science.x1, raw_shape[1])
    columns = min(config.chips, _COLUMNS)
    rows = -(-config.chips // columns)
    column, row = index % columns, index // columns
    centre = (
        (column - (columns - 1) / 2) * (nx + _GAP),
        (row - (rows - 1) / 2) * (ny + _GAP),
    )
    rotation = float(np.radians(stream(config, "rotation", index).normal(0.0, 0.1)))
    return Layout(raw_shape, science, overscan, centre, rotation)


def _cd_matrix(layout: Layout) -> NDArray[np.float64]:
    """Degrees (towards east, towards north) per pixel (x, y)."""
    cosine, sine = np.cos(layout.rotation), np.sin(layout.rotation)
    flip = np.array([[-1.0, 0.0], [0.0, 1.0]])
    turn = np.array([[cosine, -sine], [sine, cosine]])
    return np.asarray(PIXEL_SCALE / 3600.0 * (flip @ turn), dtype=np.float64)


def _reference_pixel(layout: Layout) -> NDArray[np.float64]:
    """0-based science pixel (x, y) on the optical axis."""
    cosine, sine = np.cos(layout.rotation), np.sin(layout.rotation)
    turn = np.array([[cosine, -sine], [sine, cosine]])
    middle = np.array([(layout.science.shape[1] - 1) / 2, (layout.science.shape[0] - 1) / 2])
    return np.asarray(middle - turn.T @ np.array(layout.centre), dtype=np.float64)


def wcs_cards(layout: Layout, ra: float, dec: float, *, trimmed: bool) -> dict[str, float | str]:
    """TAN WCS of a chip whose optical axis points at (ra, dec).

    Parameters
    ----------
    layout
        The chip.
    ra, dec
        ICRS degrees.
    trimmed
        Whether CRPIX counts from the first science pixel or from the raw frame's corner.

    Returns
    -------
    dict
        CTYPEi, CRVALi, CRPIXi (1-based), CDi_j (degrees/pixel).
    """
    cd = _cd_matrix(layout)
    x, y = _reference_pixel(layout) + 1.0
    if not trimmed:
        x, y = x + layout.science.x0, y + layout.science.y0
    return {
        "CTYPE1": "RA---TAN",
        "CTYPE2": "DEC--TAN",
        "CRVAL1": ra,
        "CRVAL2": dec,
        "CRPIX1": float(x),
        "CRPIX2": float(y),
        "CD1_1": float(cd[0, 0]),
        "CD1_2": float(cd[0, 1]),
        "CD2_1": float(cd[1, 0]),
        "CD2_2": float(cd[1, 1]),
    }


def project(
    layout: Layout,
    pointing: tuple[float, float],
    ra: NDArray[np.float64],
    dec: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Science pixels (0-based x, y) of sky positions; gnomonic projection.

    Parameters
    ----------
    layout
        The chip.
    pointing
        Optical axis (ra, dec), degrees.
    ra, dec
        ICRS degrees, shape (n,), within 90 degrees of the axis.

    Returns
    -------
    tuple of ndarray
        x and y, shape (n,).

    Notes
    -----
    Calabretta & Greisen 2002, A&A 395, 1077, section 5.1.3.
    """
    a0, d0 = np.radians(pointing)
    a, d = np.radians(ra) - a0, np.radians(dec)
    cosine = np.sin(d0) * np.sin(d) + np.cos(d0) * np.cos(d) * np.cos(a)
    xi = np.degrees(np.cos(d) * np.sin(a) / cosine)
    eta = np.degrees((np.cos(d0) * np.sin(d) - np.sin(d0) * np.cos(d) * np.cos(a)) / cosine)
    inverse = np.linalg.inv(_cd_matrix(layout))
    x0, y0 = _reference_pixel(layout)
    return x0 + inverse[0, 0] * xi + inverse[0, 1] * eta, y0 + inverse[1, 0] * xi + inverse[
        1, 1
    ] * eta
