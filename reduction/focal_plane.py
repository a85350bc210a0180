"""Where the chips of a camera are on its focal plane, from where they see the sky."""

from __future__ import annotations

__all__ = [
    "LIGHT_DTYPE",
    "ChipMap",
    "chip_maps",
    "factor_image",
    "factors_at",
    "light_of",
    "nodes_of",
]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.nodes import Nodes, places_of_nodes
from reduction.steps.wcs import project
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from reduction.frame_keys import ExposureKey
    from reduction.steps.wcs import TanWcs
    from reduction.target import Progenitor

    Array = NDArray[np.float64]

_STEP: Final = 64

#: What an illumination multiplied the values of a regridded frame by, at nodes: pixels of the
#: frame's part of the grid, from 0, row by row.
LIGHT_DTYPE: Final = np.dtype([("x", "i4"), ("y", "i4"), ("factor", "f4")])


@dataclass(frozen=True, slots=True)
class ChipMap:
    """Linear map of a chip's pixels to the focal plane.

    Attributes
    ----------
    u, v
        ``u = u[0] + u[1] x + u[2] y``, and v likewise: arcsec from the middle of the first chip,
        along its sky, of 0-based pixels.
    shape
        (ny, nx) of the chip.
    """

    u: tuple[float, float, float]
    v: tuple[float, float, float]
    shape: tuple[int, int]

    def at(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Places on the focal plane of places on the chip."""
        (a, b, c), (d, e, f) = self.u, self.v
        return a + b * x + c * y, d + e * x + f * y

    @property
    def corners(self) -> tuple[Array, Array]:
        """Places of the chip's corners, shape (4,) each, in turn."""
        ny, nx = self.shape
        return self.at(np.array([0.0, nx, nx, 0.0]), np.array([0.0, 0.0, ny, ny]))


def chip_maps(
    solutions: Mapping[tuple[ExposureKey, str], TanWcs], shapes: Mapping[str, tuple[int, int]]
) -> dict[str, ChipMap]:
    """Maps of chips from the projections of their exposures.

    Parameters
    ----------
    solutions
        By exposure (:func:`reduction.frame_keys.exposure_key`) and chip. Chips are placed by
        exposures that they share with others; a chip that shares none is left out.
    shapes
        (ny, nx) by chip.

    Notes
    -----
    Linear: the distortion of a camera moves a star by much less than illumination varies over.
    """
    by_exposure: dict[ExposureKey, dict[str, TanWcs]] = {}
    for (exposure, chip), wcs in sorted(solutions.items()):
        by_exposure.setdefault(exposure, {})[chip] = wcs
    if not by_exposure:
        return {}
    first = max(by_exposure.values(), key=len)
    anchor = min(first)
    maps = {anchor: _map(first[anchor], shapes[anchor], _middle(first[anchor], shapes[anchor]))}
    found = True
    while found:
        found = False
        for chips in by_exposure.values():
            known = sorted(set(chips) & set(maps))
            for chip in sorted(set(chips) - set(maps)) if known else ():
                centre = _middle(chips[known[0]], shapes[known[0]])
                other = _map(chips[chip], shapes[chip], centre)
                ny, nx = shapes[known[0]]
                there = maps[known[0]].at(np.array((nx - 1) / 2.0), np.array((ny - 1) / 2.0))
                maps[chip] = ChipMap(
                    (other.u[0] + float(there[0]), *other.u[1:]),
                    (other.v[0] + float(there[1]), *other.v[1:]),
                    other.shape,
                )
                found = True
    return maps


def factor_image(
    illumination: Progenitor, shape: tuple[int, int], name: str
) -> NDArray[np.float32]:
    """Factors for the pixels of a frame, from an IlluminationCorrectionFrame.

    Parameters
    ----------
    illumination
        Of the whole chip.
    shape
        (ny, nx) of the frame.
    name
        Its file, for the error.

    Raises
    ------
    UnprocessableError
        If the frame is not the whole chip.
    """
    image: NDArray[np.float32] = illumination.images["IMAGE"]
    if image.shape != shape:
        message = (
            f"{name} has {shape[1]} x {shape[0]} pixels, the illumination of its chip "
            f"{image.shape[1]} x {image.shape[0]}: expected a frame of the whole chip, since "
            "where a window lies on it is not known"
        )
        raise UnprocessableError(message)
    return image


def factors_at(illumination: Progenitor | None, x: Array, y: Array) -> Array:
    """Factors for fluxes at places on a chip, from an IlluminationCorrectionFrame; 1 without."""
    if illumination is None:
        return np.ones(len(x))
    image = illumination.images["IMAGE"]
    ny, nx = image.shape
    rows = np.clip(np.rint(y).astype(np.intp), 0, ny - 1)
    columns = np.clip(np.rint(x).astype(np.intp), 0, nx - 1)
    return np.asarray(image[rows, columns], dtype=np.float64)


def _middle(wcs: TanWcs, shape: tuple[int, int]) -> tuple[float, float]:
    ra, dec = wcs.to_sky((shape[1] - 1) / 2.0, (shape[0] - 1) / 2.0)
    return float(ra), float(dec)


def _map(wcs: TanWcs, shape: tuple[int, int], centre: tuple[float, float]) -> ChipMap:
    ny, nx = shape
    x, y = np.array([0.0, nx - 1.0, 0.0]), np.array([0.0, 0.0, ny - 1.0])
    xi, eta = (3600.0 * part for part in project(*wcs.to_sky(x, y), *centre))
    u, v = (
        (
            float(part[0]),
            float(part[1] - part[0]) / (nx - 1),
            float(part[2] - part[0]) / (ny - 1),
        )
        for part in (xi, eta)
    )
    return ChipMap(u, v, shape)


def light_of(
    illumination: Progenitor | None, frame: TanWcs, grid: TanWcs, shape: tuple[int, int]
) -> NDArray[np.void]:
    """Factors at nodes of a frame's part of a grid, :data:`LIGHT_DTYPE`; no rows without any.

    Parameters
    ----------
    illumination
        The IlluminationCorrectionFrame of its chip.
    frame, grid
        Projections of the frame, and of the part of the grid.
    shape
        (ny, nx) of the part.
    """
    if illumination is None:
        return np.zeros(0, LIGHT_DTYPE)
    y, x = (
        places.ravel() for places in np.meshgrid(*places_of_nodes(shape, _STEP), indexing="ij")
    )
    found = np.zeros(len(x), LIGHT_DTYPE)
    found["x"], found["y"] = x, y
    ra, dec = grid.to_sky(x.astype(float), y.astype(float))
    found["factor"] = factors_at(illumination, *frame.to_pixel(ra, dec))
    return found


def nodes_of(light: NDArray[np.void]) -> Nodes | None:
    """The plane of factors that :func:`light_of` gives; None where there is none."""
    if not len(light):
        return None
    columns = int(np.count_nonzero(light["y"] == 0))
    return Nodes(light["factor"].astype(np.float64).reshape(-1, columns), _STEP)
