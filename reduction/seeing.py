"""The seeing as the classes that have it declare it."""

from __future__ import annotations

__all__ = ["SEEING"]

from typing import Final

from reduction.attributes import Attribute

SEEING: Final = Attribute(
    float,
    "arcsec",
    "instr.obsty.seeing",
    description="full width at half maximum of the point spread function fitted to stars",
)
"""See :func:`reduction.detection.star_fwhm`."""
