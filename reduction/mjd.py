"""Moments as FITS and people write them, from modified Julian dates."""

from __future__ import annotations

__all__ = ["utc_of"]

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1858, 11, 17, tzinfo=UTC)


def utc_of(mjd: float) -> datetime:
    """UTC without the zone, as FITS writes it, to the millisecond that an MJD holds."""
    since = timedelta(milliseconds=round(mjd * 86_400_000))
    return (_EPOCH + since).replace(tzinfo=None)
