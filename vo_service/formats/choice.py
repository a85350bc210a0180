"""The forms that are offered, and which of them a request means."""

from __future__ import annotations

__all__ = ["FORMATS", "choose", "same_type"]

from typing import TYPE_CHECKING, Final

from schemas.errors import ParameterError
from vo_service.formats.arrow import ARROW
from vo_service.formats.fits import FITS
from vo_service.formats.html import HTML
from vo_service.formats.json import JSON
from vo_service.formats.parquet import PARQUET
from vo_service.formats.separated import CSV, TSV
from vo_service.formats.votable import BINARY, BINARY2, TABLEDATA

if TYPE_CHECKING:
    from vo_service.formats.base import Format

FORMATS: Final[tuple[Format, ...]] = (
    BINARY2,
    BINARY,
    TABLEDATA,
    CSV,
    TSV,
    FITS,
    PARQUET,
    ARROW,
    JSON,
    HTML,
)
"""In the order of preference; the first one is the default."""


_UNSAYING: Final = ("charset=", "version=")


def _key(text: str) -> str:
    """MIME types compare without regard to case, blanks, quotes and the order of parameters.

    Character set and version say nothing of the form: there is one of each.
    """
    bare = "".join(text.lower().split()).replace('"', "").replace("'", "")
    kind, *parameters = bare.split(";")
    telling = sorted(one for one in parameters if one and not one.startswith(_UNSAYING))
    return ";".join([kind, *telling])


_BY_NAME: Final = {_key(name): form for form in FORMATS for name in (form.mime, *form.aliases)}


def same_type(one: str, other: str) -> bool:
    """Whether two texts are the same MIME type."""
    return _key(one) == _key(other)


def choose(text: str | None) -> tuple[Format, str]:
    """Find the form that RESPONSEFORMAT names, and the MIME type that the answer carries.

    Parameters
    ----------
    text
        MIME type or short name; None or empty for the default.

    Raises
    ------
    ParameterError
        If there is no such form; names those that there are.

    Notes
    -----
    Standard: DALI-1.1 3.4.3: an answer carries the MIME type that was asked for.
    """
    if not text:
        return FORMATS[0], FORMATS[0].mime
    form = _BY_NAME.get(_key(text))
    if form is None:
        names = ", ".join(name for form in FORMATS for name in (form.aliases[0], form.mime))
        raise ParameterError("RESPONSEFORMAT", text, f"one of {names}")
    asked = _key(text)
    known_types = {"text/xml", "application/x-votable+xml"}
    return form, asked if asked in known_types else form.mime
