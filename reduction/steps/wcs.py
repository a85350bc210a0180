"""The gnomonic projection between pixels and sky, as arrays and as FITS cards."""

from __future__ import annotations

__all__ = ["TanWcs", "angular_distance", "deproject", "project"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from reduction.steps.distortion import Distortion
from schemas.errors import UnprocessableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]


def project(ra: ArrayLike, dec: ArrayLike, ra0: float, dec0: float) -> tuple[Array, Array]:
    """Sky to tangent plane.

    Parameters
    ----------
    ra, dec
        Positions, degrees ICRS, shape (n,).
    ra0, dec0
        Tangent point, degrees ICRS.

    Returns
    -------
    tuple of ndarray
        Standard coordinates xi (east), eta (north), degrees; NaN for positions 90 degrees or more
        from the tangent point.

    Notes
    -----
    Standard: FITS-WCS paper II (Calabretta & Greisen 2002, A&A 395, 1077) 5.1.3.
    """
    alpha = np.radians(np.asarray(ra, np.float64) - ra0)
    delta, delta0 = np.radians(np.asarray(dec, np.float64)), np.radians(dec0)
    depth = np.sin(delta) * np.sin(delta0) + np.cos(delta) * np.cos(delta0) * np.cos(alpha)
    depth = np.where(depth > 0, depth, np.nan)
    xi = np.cos(delta) * np.sin(alpha) / depth
    eta = np.sin(delta) * np.cos(delta0) - np.cos(delta) * np.sin(delta0) * np.cos(alpha)
    return np.degrees(xi), np.degrees(eta / depth)


def deproject(xi: ArrayLike, eta: ArrayLike, ra0: float, dec0: float) -> tuple[Array, Array]:
    """Tangent plane to sky: the inverse of :func:`project`.

    Returns
    -------
    tuple of ndarray
        ra in [0, 360), dec; degrees ICRS.
    """
    x, y = np.radians(np.asarray(xi, np.float64)), np.radians(np.asarray(eta, np.float64))
    delta0 = np.radians(dec0)
    across = np.cos(delta0) - y * np.sin(delta0)
    ra = ra0 + np.degrees(np.arctan2(x, across))
    dec = np.arctan2(np.sin(delta0) + y * np.cos(delta0), np.hypot(x, across))
    return np.mod(ra, 360.0), np.degrees(dec)


def angular_distance(ra: ArrayLike, dec: ArrayLike, ra0: ArrayLike, dec0: ArrayLike) -> Array:
    """Great-circle distance, degrees; exact for small ones too (haversine)."""
    d1, d2 = np.radians(np.asarray(dec, np.float64)), np.radians(np.asarray(dec0, np.float64))
    half = np.radians(np.asarray(ra, np.float64) - np.asarray(ra0, np.float64)) / 2.0
    h = np.sin((d1 - d2) / 2.0) ** 2 + np.cos(d1) * np.cos(d2) * np.sin(half) ** 2
    return np.asarray(np.degrees(2.0 * np.arcsin(np.sqrt(np.clip(h, 0.0, 1.0)))))


_REFERENCE: Final = ("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2")
_MATRIX: Final = ("CD1_1", "CD1_2", "CD2_1", "CD2_2")

#: What cards have that may be left out (FITS-WCS papers I and II).
_USUAL: Final = {"CUNIT1": "deg", "CUNIT2": "deg", "LONPOLE": 180.0}


def _check_units(cards: Mapping[str, float | str]) -> None:
    """Refuse a system in another unit, or turned about its pole."""
    for name, usual in _USUAL.items():
        found = cards.get(name, usual)
        same = found.strip() == usual if isinstance(found, str) else found == usual
        if not same:
            message = f"{name} is {found!r}: expected {usual!r}, or none"
            raise UnprocessableError(message)


@dataclass(frozen=True, slots=True)
class TanWcs:
    """A TAN world coordinate system, with the camera's distortion where one is known (TPV).

    Attributes
    ----------
    ra0, dec0
        Sky position of the reference pixel, degrees ICRS (CRVAL).
    x0, y0
        Reference pixel, 0-based (CRPIX - 1).
    cd
        ((CD1_1, CD1_2), (CD2_1, CD2_2)), degrees per pixel.
    distortion
        Polynomial from the plane of ``cd`` to the tangent plane; None for a plain TAN.
    """

    ra0: float
    dec0: float
    x0: float
    y0: float
    cd: tuple[tuple[float, float], tuple[float, float]]
    distortion: Distortion | None = None

    @classmethod
    def from_cards(cls, cards: Mapping[str, float | str]) -> Self:
        """Read FITS cards with 1-based pixels.

        PV cards beside TAN are read as TPV's: so did SCAMP write them before TPV had its name.

        Raises
        ------
        UnprocessableError
            If the cards are no TAN or TPV system in degrees, north up in its own plane, with a CD
            matrix that can be inverted, or have terms of higher degree than 3 or a plane that is
            none.
        """
        _check_units(cards)
        types = (cards.get("CTYPE1"), cards.get("CTYPE2"))
        if types not in (("RA---TAN", "DEC--TAN"), ("RA---TPV", "DEC--TPV")):
            message = f"CTYPE1, CTYPE2 are {types}: expected ('RA---TAN', 'DEC--TAN') or TPV"
            raise UnprocessableError(message)
        try:
            distortion = Distortion.from_pv(cards)
        except ValueError as error:
            message = f"the WCS has the term {error}: expected PVi_0 to PVi_10 without PVi_3"
            raise UnprocessableError(message) from error
        try:
            ra0, dec0, x, y = (float(cards[name]) for name in _REFERENCE)
        except KeyError as error:
            message = f"the WCS has no card {error.args[0]}: expected CRVAL, CRPIX and CD"
            raise UnprocessableError(message) from error
        if not any(name in cards for name in _MATRIX):
            message = f"the WCS has none of the cards {', '.join(_MATRIX)}: expected CD"
            raise UnprocessableError(message)
        c11, c12, c21, c22 = (float(cards.get(name, 0.0)) for name in _MATRIX)
        if c11 * c22 == c12 * c21:
            message = "the CD matrix has the determinant 0: expected one that can be inverted"
            raise UnprocessableError(message)
        if distortion is not None and not distortion.flat:
            message = "PV1_1 and PV2_1 make a line of the plane: expected 1, or about it"
            raise UnprocessableError(message)
        return cls(ra0, dec0, x - 1.0, y - 1.0, ((c11, c12), (c21, c22)), distortion)

    def to_cards(self) -> dict[str, float | str]:
        """FITS cards with 1-based pixels (FITS-WCS paper II; TPV for a distortion)."""
        kind = "TAN" if self.distortion is None else "TPV"
        cards: dict[str, float | str] = {"WCSAXES": 2, "RADESYS": "ICRS"}
        cards |= {"CTYPE1": f"RA---{kind}", "CTYPE2": f"DEC--{kind}"}
        cards |= {"CUNIT1": "deg", "CUNIT2": "deg"}
        cards |= {"CRVAL1": self.ra0, "CRVAL2": self.dec0}
        cards |= {"CRPIX1": self.x0 + 1.0, "CRPIX2": self.y0 + 1.0}
        (c11, c12), (c21, c22) = self.cd
        cards |= {"CD1_1": c11, "CD1_2": c12, "CD2_1": c21, "CD2_2": c22}
        if self.distortion is not None:
            cards.update(self.distortion.to_pv())
        return cards

    def to_sky(self, x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
        """Pixels (0-based) to degrees ICRS."""
        dx, dy = np.asarray(x, np.float64) - self.x0, np.asarray(y, np.float64) - self.y0
        (c11, c12), (c21, c22) = self.cd
        plane = c11 * dx + c12 * dy, c21 * dx + c22 * dy
        if self.distortion is not None:
            plane = self.distortion.apply(*plane)
        return deproject(*plane, self.ra0, self.dec0)

    def to_pixel(self, ra: ArrayLike, dec: ArrayLike) -> tuple[Array, Array]:
        """Degrees ICRS to pixels (0-based).

        NaN where not on this half of the sky, or where the distortion's polynomial has no inverse
        (see :meth:`Distortion.invert`).
        """
        xi, eta = project(ra, dec, self.ra0, self.dec0)
        if self.distortion is not None:
            xi, eta = self.distortion.invert(xi, eta)
        (c11, c12), (c21, c22) = self.cd
        determinant = c11 * c22 - c12 * c21
        dx = (c22 * xi - c12 * eta) / determinant
        dy = (c11 * eta - c21 * xi) / determinant
        return self.x0 + dx, self.y0 + dy

    @property
    def pixel_scale(self) -> float:
        """Side of a square as large as a pixel, arcsec."""
        (c11, c12), (c21, c22) = self.cd
        return 3600.0 * math.sqrt(abs(c11 * c22 - c12 * c21))

    def footprint(self, shape: tuple[int, int]) -> list[float]:
        """Outline of a frame as a DALI polygon.

        Parameters
        ----------
        shape
            (ny, nx).

        Returns
        -------
        list of float
            ra1 dec1 ra2 dec2 ... of the four outer corners of the corner pixels, degrees,
            counter-clockwise as seen from inside the sphere (east left; DALI-1.1 3.3.7).
        """
        ny, nx = shape
        x = np.array([-0.5, nx - 0.5, nx - 0.5, -0.5])
        y = np.array([-0.5, -0.5, ny - 0.5, ny - 0.5])
        (c11, c12), (c21, c22) = self.cd
        if c11 * c22 - c12 * c21 > 0:
            x, y = x[::-1], y[::-1]
        ra, dec = self.to_sky(x, y)
        return [float(value) for pair in zip(ra, dec, strict=True) for value in pair]

    def circle(self, shape: tuple[int, int]) -> tuple[float, float, float]:
        """Centre of a frame and the radius of the circle around its corners, degrees."""
        ny, nx = shape
        ra, dec = self.to_sky((nx - 1) / 2.0, (ny - 1) / 2.0)
        corners = np.array(self.footprint(shape)).reshape(4, 2)
        radius = angular_distance(corners[:, 0], corners[:, 1], ra, dec).max()
        return float(ra), float(dec), float(radius)
