"""Where the simulated chips are in the focal plane, in their raw frames, and on the sky."""

from __future__ import annotations

__all__ = ["PIXEL_SCALE", "Layout", "chip_layout", "project", "wcs_cards"]

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.simulation.cameras.base import Layout
from reduction.simulation.config import stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reduction.simulation.config import SimulationConfig

#: arcsec/pixel, as OmegaCAM's.
PIXEL_SCALE: Final = 0.214


def chip_layout(config: SimulationConfig, index: int) -> Layout:
    """Geometry of a chip: its place in the camera, and a rotation of its own."""
    rotation = float(np.radians(stream(config, "rotation", index).normal(0.0, 0.1)))
    place = config.camera.place(config.shape, config.chips, index)
    return replace(place, rotation=rotation)


def _cd_matrix(layout: Layout) -> NDArray[np.float64]:
    """Degrees (towards east, towards north) per pixel (x, y)."""
    cosine, sine = np.cos(layout.rotation), np.sin(layout.rotation)
    flip = np.array([[1.0 if layout.mirrored else -1.0, 0.0], [0.0, 1.0]])
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
