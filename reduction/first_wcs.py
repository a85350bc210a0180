"""The WCS that a raw header brings along, refused where it cannot be the camera's."""

from __future__ import annotations

__all__ = ["first_wcs", "middle_of"]

import math
from typing import TYPE_CHECKING, Final

from reduction.cards import card_number, card_text, refuse
from schemas.deferred import deferred

if TYPE_CHECKING:
    from collections.abc import Mapping

    from astropy import wcs
    from astropy.io.fits import Header

    from reduction.instruments.base import Section
else:
    wcs = deferred("astropy.wcs")

_TYPES: Final = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"}
_MATRIX: Final = ("CD1_1", "CD1_2", "CD2_1", "CD2_2")

#: By how much a header's scale may differ from the camera's, and its pointings from each other.
_SCALES_AGREE: Final = 0.05
_POINTINGS_AGREE_DEG: Final = 1.0

#: Degrees from a chip's corner within which the reference pixel of any camera is.
_LARGEST_FIELD_DEG: Final = 3.0


def first_wcs(
    header: Header,
    science: Section,
    *,
    pixel_scale: float,
    pointing: tuple[float, float] | None = None,
) -> Mapping[str, float | str]:
    """Read TAN cards that count from the raw frame's corner.

    Parameters
    ----------
    header
        With CTYPEi, CRVALi, CRPIXi, CDi_j.
    science
        The pixels that see light.
    pixel_scale
        The camera's, arcsec.
    pointing
        Where the header says elsewhere that the telescope looked, degrees.

    Returns
    -------
    Mapping
        The cards in 1-based pixels of the trimmed frame.

    Raises
    ------
    IngestError
        If a card is missing or no number, the projection is not TAN in degrees with north up, the
        position is not on the sky or a degree from the pointing, or the scale is not the camera's.
    """
    cards: dict[str, float | str] = {"CUNIT1": "deg", "CUNIT2": "deg"}
    for keyword, usual in {**cards, "LONPOLE": 180.0}.items():
        found = header.get(keyword, usual)
        if (found.strip() if isinstance(found, str) else found) != usual:
            refuse(keyword, found, f"{usual}, or none")
    for keyword, projection in _TYPES.items():
        if card_text(header, keyword, projection) != projection:
            refuse(keyword, header[keyword], projection)
        cards[keyword] = projection
    ra = card_number(header, "CRVAL1", low=0.0, high=360.0)
    dec = card_number(header, "CRVAL2", low=-90.0, high=90.0)
    if pointing is not None:
        _check_pointing(ra, dec, pointing)
    reach = _LARGEST_FIELD_DEG * 3600.0 / pixel_scale
    x = card_number(header, "CRPIX1", low=-reach, high=reach)
    y = card_number(header, "CRPIX2", low=-reach, high=reach)
    matrix = {keyword: card_number(header, keyword) for keyword in _MATRIX}
    _check_scale(matrix, pixel_scale)
    cards |= {"CRVAL1": ra, "CRVAL2": dec, "CRPIX1": x - science.x0, "CRPIX2": y - science.y0}
    return cards | matrix


def _check_pointing(ra: float, dec: float, pointing: tuple[float, float]) -> None:
    east = ((ra - pointing[0] + 180.0) % 360.0 - 180.0) * math.cos(math.radians(dec))
    if math.hypot(east, dec - pointing[1]) > _POINTINGS_AGREE_DEG:
        expected = f"within {_POINTINGS_AGREE_DEG:g} degree of RA {pointing[0]:g}, "
        refuse("CRVAL1, CRVAL2", [ra, dec], expected + f"DEC {pointing[1]:g}")


def _check_scale(matrix: Mapping[str, float], pixel_scale: float) -> None:
    determinant = matrix["CD1_1"] * matrix["CD2_2"] - matrix["CD1_2"] * matrix["CD2_1"]
    scale = math.sqrt(abs(determinant)) * 3600.0
    if not abs(scale / pixel_scale - 1.0) <= _SCALES_AGREE:
        expected = f"a scale of {pixel_scale:g} arcsec/pixel"
        refuse("CD1_1 to CD2_2", list(matrix.values()), expected)


def middle_of(cards: Mapping[str, float | str], shape: tuple[int, int]) -> tuple[float, float]:
    """Sky position (ra, dec) of a chip's middle: in a mosaic, not that of the optical axis.

    Parameters
    ----------
    cards
        As :func:`first_wcs` gives them.
    shape
        Of the science pixels, (ny, nx).
    """
    ny, nx = shape
    ra, dec = wcs.WCS(dict(cards)).all_pix2world((nx - 1) / 2, (ny - 1) / 2, 0)
    return float(ra), float(dec)
