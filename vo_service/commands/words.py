"""Words that commands take: nights, moments, reasons, and the options that choose targets."""

from __future__ import annotations

__all__ = [
    "WHO",
    "WHY",
    "choosing",
    "chosen",
    "moment",
    "narrowing",
    "night",
    "object_id",
    "parameters",
    "reason",
    "value_of",
]

import datetime as dt
import json
import math
import re
from typing import TYPE_CHECKING, Any, Final

import click

from schemas.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reduction.archive import Archive
    from schemas.tables import Target

_MJD_EPOCH: Final = dt.datetime(1858, 11, 17, tzinfo=dt.UTC)
_DAY_S: Final = 86400.0
_FIRST_MJD: Final = 15000.0
_LAST_MJD: Final = 500_000.0
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")


def night(text: str) -> str:
    """A date on which a night begins, ``YYYY-MM-DD``.

    Raises
    ------
    click.BadParameter
        If it is in another form, or no day.
    """
    try:
        if _DATE.fullmatch(text):
            return dt.date.fromisoformat(text).isoformat()
    except ValueError:
        pass  # said as any other wrong form
    message = f"found {text!r}, expected a date YYYY-MM-DD such as 2025-03-01"
    raise click.BadParameter(message)


def moment(text: str) -> float:
    """MJD (UTC) of a moment: an MJD itself, or an ISO date with or without a time.

    A date alone is its first instant. Numbers that are no MJD of the last hundred years or the
    next thousand are refused: they are years, Julian Dates or dates without dashes.

    Raises
    ------
    click.BadParameter
        If it is none of these.
    """
    try:
        number = float(text)
    except ValueError:
        number = _mjd(text)
    if not _FIRST_MJD <= number <= _LAST_MJD:
        message = (
            f"found {text!r}, expected a moment in UTC: YYYY-MM-DD (its first instant), "
            "YYYY-MM-DDThh:mm:ss, or an MJD such as 60735.5"
        )
        raise click.BadParameter(message)
    return number


def _mjd(text: str) -> float:
    """MJD of an ISO date; NaN if it is none."""
    try:
        when = dt.datetime.fromisoformat(text.strip())
    except ValueError:
        return math.nan
    if when.tzinfo is None:
        when = when.replace(tzinfo=dt.UTC)
    return (when - _MJD_EPOCH).total_seconds() / _DAY_S


def reason(context: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """The reason of an option, without blanks around it; None where none is given.

    Raises
    ------
    click.BadParameter
        If it is blank.
    """
    if value is None:
        return None
    if not value.strip():
        message = "it is blank: expected the reason, in words for those who read it years later"
        raise click.BadParameter(message, context, param)
    return value.strip()


WHY: Final = click.option(
    "--why", required=True, callback=reason, help="The reason, kept with the change."
)
WHO: Final = click.option("--who", default="", help="Who changes it; you, by default.")


def _settings(
    context: click.Context, param: click.Parameter, texts: tuple[str, ...]
) -> dict[str, Any]:
    """``Class.NAME=VALUE`` as a dictionary; what is no number, true, false or null is text."""
    found: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            message = f"found {text!r}, expected CLASS.NAME=VALUE such as BiasFrame.SIGMA_CLIP=5"
            raise click.BadParameter(message, context, param)
        if key.strip() in found:
            message = f"{key.strip()} is set twice, expected one value of it"
            raise click.BadParameter(message, context, param)
        found[key.strip()] = value_of(value)
    return found


def value_of(text: str) -> Any:  # noqa: ANN401  # any JSON value
    """Value that a text says; what is no number, true, false or null is text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text.strip()


def _number(text: str) -> int:
    """The number of a raw frame or a product."""
    try:
        return int(text)
    except ValueError:
        expected = "the number of an object: `vo-service list CLASS` begins its lines with it"
        message = f"found {text!r}, expected {expected}"
        raise click.BadParameter(message) from None


object_id: Final = click.argument("object_id", type=_number)
"""The raw frame or product that a command is about."""

parameters: Final = click.option(
    "--set",
    "settings",
    multiple=True,
    callback=_settings,
    metavar="CLASS.NAME=VALUE",
    help="A process parameter for this call alone, such as BiasFrame.SIGMA_CLIP=5. Repeatable.",
)


def choosing(command: Callable[..., Any]) -> Callable[..., Any]:
    """Class and options that choose targets."""
    return click.argument("class_name", metavar="CLASS")(narrowing(command))


def narrowing(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that choose among the targets or objects of a class."""
    options = (
        click.option("--instrument", help="Name of the instrument, such as nickel."),
        click.option("--chip", help="Name of the chip."),
        click.option("--filter", help="Name of the filter."),
        click.option(
            "--night", type=night, metavar="YYYY-MM-DD", help="Date on which the night began."
        ),
        click.option("--raw", help="File name of the raw frame, for classes made per frame."),
        click.option("--field", help="Name of the field, for classes made per field."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def chosen(archive: Archive, class_name: str, words: dict[str, str | None]) -> Sequence[Target]:
    """Targets that the options of :func:`choosing` choose.

    Raises
    ------
    NotFoundError
        If there is none; says what was asked, and what there is.
    """
    from reduction.instead import said_instead
    from reduction.lookup import targets_matching

    found = targets_matching(archive, class_name, **words)
    if found:
        return found
    asked = {name: value for name, value in words.items() if value is not None}
    said = ", ".join(f"{name} {value}" for name, value in asked.items())
    instead = said_instead(archive, class_name, asked)
    raise NotFoundError(f"there is no {class_name}{said and f' of {said}'}: {instead}")
