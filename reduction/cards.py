"""Reading header cards so that a wrong one is refused with a sentence; used by instruments."""

from __future__ import annotations

__all__ = [
    "card_number",
    "card_text",
    "card_word",
    "check_distinct",
    "check_size",
    "check_unbinned",
    "declination",
    "exposure_time",
    "image_size",
    "mean_airmass",
    "mjd_of",
    "night_of",
    "own_header",
    "refuse",
    "right_ascension",
    "see_date_obs",
    "sexagesimal",
]

import math
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NoReturn

from reduction.instruments.base import FrameKind
from schemas.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from astropy.io.fits import Header

_MJD_EPOCH: Final = datetime(1858, 11, 17, tzinfo=UTC)
#: The sixtieth second, which only a leap second is.
_LEAP_SECOND: Final = re.compile(r"(T\d\d:\d\d):60")
#: A date without a time, as DATE-OBS was before 1999 and is of some cameras still.
_DATE_ALONE: Final = re.compile(r"\s*\d{4}-\d\d-\d\d\s*")
#: Seconds that two clocks of one beginning may differ: MJDs with four decimals are 9 s wide, and
#: what is nearest in time, or a night, is another one by minutes at least.
_CLOCKS_AGREE_S: Final = 60.0
_SEXAGESIMAL: Final = re.compile(r"\s*([+-]?)(\d+)[: ](\d{1,2})[: ](\d{1,2}(?:\.\d*)?)\s*")


def refuse(keyword: str, found: object, expected: str) -> NoReturn:
    """Refuse a frame for one keyword.

    Raises
    ------
    IngestError
        Always; the file's name is left empty for the caller who knows it.
    """
    raise IngestError("", f"keyword {keyword}: found {found!r}, expected {expected}")


def own_header(
    headers: Sequence[Header], recognises: Callable[[Header], bool], keyword: str, expected: str
) -> tuple[int, Header]:
    """First header that a camera knows as its own, and its number.

    Raises
    ------
    IngestError
        If there is none; names the keyword that the camera is known by.
    """
    for index, header in enumerate(headers):
        if recognises(header):
            return index, header
    refuse(keyword, None, expected)


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


def card_word(header: Header, keyword: str, known: Collection[str], expected: str = "") -> str:
    """Text of a card that is one of some words.

    Parameters
    ----------
    header, keyword
        The card.
    known
        The words.
    expected
        What to say is right; empty names them all.

    Raises
    ------
    IngestError
        If the card is missing or has another text.
    """
    expected = expected or "one of " + ", ".join(known)
    text = card_text(header, keyword, expected)
    if text not in known:
        refuse(keyword, text, expected)
    return text


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


def check_size(header: Header, shape: tuple[int, int], expected: str) -> None:
    """See that a header announces an image of a shape (ny, nx).

    Raises
    ------
    IngestError
        If it does not; names the axis that is off.
    """
    found = image_size(header)
    if found != shape:
        keyword = "NAXIS1" if found[1] != shape[1] else "NAXIS2"
        refuse(keyword, header[keyword], expected)


def check_unbinned(header: Header, *keywords: str) -> None:
    """See that pixels were not binned.

    Raises
    ------
    IngestError
        If one of the cards is missing or is not 1.
    """
    for keyword in keywords:
        if card_number(header, keyword) != 1:
            refuse(keyword, header[keyword], "1 (no binning)")


def check_distinct(keyword: str, chips: Sequence[str]) -> None:
    """See that each extension of a file is of another chip.

    Raises
    ------
    IngestError
        If a chip is there twice.
    """
    for name in chips:
        if chips.count(name) > 1:
            refuse(keyword, name, "a different chip in each extension")


def exposure_time(header: Header, kind: FrameKind, since: str) -> float:
    """EXPTIME, s: 0 for a bias, more for all else.

    Parameters
    ----------
    header
        With the card.
    kind
        What the frame was taken for.
    since
        Which card says so, and how: "IMAGETYP says Bias Frame".

    Raises
    ------
    IngestError
        If the card is missing, out of range, or contradicts the kind.
    """
    exptime = card_number(header, "EXPTIME", low=0.0, high=1e5)
    if kind is FrameKind.BIAS and exptime > 0:
        refuse("EXPTIME", exptime, f"0, since {since}")
    if kind is not FrameKind.BIAS and exptime == 0:
        refuse("EXPTIME", exptime, f"more than 0, since {since}")
    return exptime


def mean_airmass(header: Header, *keywords: str) -> float:
    """Airmass: of several cards (start, end) the mean.

    Raises
    ------
    IngestError
        If one is missing, below 1, or above the horizon's 40.
    """
    values = [card_number(header, keyword, low=1.0, high=40.0) for keyword in keywords]
    return sum(values) / len(values)


def mjd_of(header: Header, keyword: str) -> float:
    """Moment of an ISO 8601 card, as MJD UTC; without an offset from UTC the card is UTC.

    Raises
    ------
    IngestError
        If the card is missing or is no moment between the years 1980 and 2100.
    """
    expected = "a UTC moment like 2024-05-13T01:59:58.11"
    text = card_text(header, keyword, expected)
    leap = _LEAP_SECOND.search(text)
    try:
        moment = datetime.fromisoformat(_LEAP_SECOND.sub(r"\1:59", text))
        moment += timedelta(seconds=leap is not None)
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        refuse(keyword, text, expected)
    if "T" not in text or not 1980 <= moment.year < 2100:  # the age of CCDs
        refuse(keyword, text, expected)
    return (moment - _MJD_EPOCH) / timedelta(days=1)


def see_date_obs(header: Header, mjd: float, keyword: str) -> None:
    """See that DATE-OBS, where it is there, says the moment that another card does.

    Parameters
    ----------
    header
        With the card, or without: the other one is taken.
    mjd
        Beginning of the exposure, MJD UTC, as the other card says.
    keyword
        That card.

    Raises
    ------
    IngestError
        If it is no moment, or differs by more than a minute; a date without a time, which may be
        that of the evening before, by more than a day from that date.
    """
    if "DATE-OBS" not in header:
        return
    said, alone = header["DATE-OBS"], False
    taken = (_MJD_EPOCH + timedelta(days=mjd)).isoformat(timespec="seconds")[:19]
    expected = f"{taken}, the moment of {keyword} ({header.get(keyword)}), within a minute"
    if isinstance(said, str) and (alone := _DATE_ALONE.fullmatch(said) is not None):
        header = header.copy()
        header["DATE-OBS"] = f"{said.strip()}T00:00:00"
        expected = f"the date of {keyword} ({header.get(keyword)}), {taken}"
    try:
        other = mjd_of(header, "DATE-OBS")
    except IngestError:
        refuse("DATE-OBS", said, expected)
    low, high = (-1.0, 2.0) if alone else (-_CLOCKS_AGREE_S / 86400, _CLOCKS_AGREE_S / 86400)
    if not low <= mjd - other <= high:
        refuse("DATE-OBS", said, expected)


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


def right_ascension(header: Header, keyword: str) -> float:
    """Degrees of a sexagesimal card in hours.

    Raises
    ------
    IngestError
        If the card is missing, has another form, or is no hour of a day.
    """
    hours = sexagesimal(header, keyword)
    if not 0.0 <= hours < 24.0:  # hours of a day
        refuse(keyword, header[keyword], "0 to 24 hours")
    return hours * 15.0


def declination(header: Header, keyword: str) -> float:
    """Degrees of a sexagesimal card in degrees.

    Raises
    ------
    IngestError
        If the card is missing, has another form, or lies beyond the poles.
    """
    degrees = sexagesimal(header, keyword)
    if not -90.0 <= degrees <= 90.0:  # the poles
        refuse(keyword, header[keyword], "-90 to 90 degrees")
    return degrees
