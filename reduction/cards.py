"""Reading header cards so that a wrong one is refused with a sentence; used by instruments."""

from __future__ import annotations

__all__ = ["card_number", "card_text", "image_size", "mjd_of", "night_of", "refuse", "sexagesimal"]

import math
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NoReturn

from schemas.errors import IngestError

if TYPE_CHECKING:
    from astropy.io.fits import Header

_MJD_EPOCH: Final = datetime(1858, 11, 17, tzinfo=UTC)
_SEXAGESIMAL: Final = re.compile(r"\s*([+-]?)(\d+)[: ](\d{1,2})[: ](\d{1,2}(?:\.\d*)?)\s*")


def refuse(keyword: str, found: object, expected: str) -> NoReturn:
    """Refuse a frame for one keyword.

    Raises
    ------
    IngestError
        Always; the file's name is left empty for the caller who knows it.
    """
    raise IngestError("", f"keyword {keyword}: found {found!r}, expected {expected}")


def card_text(header: Header, keyword: str, expected: str = "a text") -> str:
    """Text of a card without surrounding blanks.

    Raises
    ------
    IngestError
        If the card is missing, empty or no text.
    """
    value = header.get(keyword)
    if not isinstance(value, str) or not value.strip():
        refuse(keyword, value, expected)
    return value.strip()


def card_number(
    header: Header, keyword: str, *, low: float = -math.inf, high: float = math.inf
) -> float:
    """Number of a card, which must lie in ``low <= number <= high``.

    Raises
    ------
    IngestError
        If the card is missing, no finite number, or outside the range.
    """
    value = header.get(keyword)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not low <= value <= high:
        refuse(keyword, value, f"a number from {low:g} to {high:g}")
    return float(value)


def image_size(header: Header) -> tuple[int, int]:
    """Shape (ny, nx) of the pixels a header announces.

    Raises
    ------
    IngestError
        If they are no two-dimensional image.
    """
    if header.get("NAXIS") != 2:  # an image has two axes
        refuse("NAXIS", header.get("NAXIS"), "2 (an image)")
    return int(card_number(header, "NAXIS2", low=1)), int(card_number(header, "NAXIS1", low=1))


def mjd_of(header: Header, keyword: str) -> float:
    """Moment of an ISO 8601 card, as MJD UTC; without an offset from UTC the card is UTC.

    Raises
    ------
    IngestError
        If the card is missing or is no moment between the years 1980 and 2100.
    """
    expected = "a UTC moment like 2024-05-13T01:59:58.11"
    text = card_text(header, keyword, expected)
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        refuse(keyword, text, expected)
    if "T" not in text or not 1980 <= moment.year < 2100:  # the age of CCDs
        refuse(keyword, text, expected)
    return (moment - _MJD_EPOCH) / timedelta(days=1)


def night_of(mjd: float, longitude: float) -> str:
    """ISO date on which the night began: from local mean noon to noon.

    Parameters
    ----------
    mjd
        Moment, MJD UTC.
    longitude
        Of the telescope, degrees east.
    """
    day = math.floor(mjd + longitude / 360.0 - 0.5)
    return (_MJD_EPOCH + timedelta(days=day)).date().isoformat()


def sexagesimal(header: Header, keyword: str) -> float:
    """Value of a card like ``-8:49:28.5`` or ``-8 49 28.5``, in units of its first field.

    Raises
    ------
    IngestError
        If the card is missing or is not of this form.
    """
    text = card_text(header, keyword, "a text like -8:49:28.5")
    match = _SEXAGESIMAL.fullmatch(text)
    if match is None:
        refuse(keyword, text, "a text like -8:49:28.5")
    sign, whole, minutes, seconds = match.groups()
    value = int(whole) + int(minutes) / 60.0 + float(seconds) / 3600.0
    return -value if sign == "-" else value
