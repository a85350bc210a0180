"""What people change and bring in, recorded for ever: who, when, from, to, why."""

from __future__ import annotations

__all__ = ["account", "enter_edit", "reason"]

import getpass
import os
from typing import TYPE_CHECKING

from schemas.errors import ParameterError
from schemas.recipe_tables import Edit

if TYPE_CHECKING:
    import datetime as dt

    from sqlalchemy.orm import Session


def reason(why: str) -> str:
    """See that a reason is one, and give it without the white space around it.

    Raises
    ------
    ParameterError
        If it is blank.
    """
    if not why.strip():
        raise ParameterError("why", why, "the reason, in words for those who read it years later")
    return why.strip()


def account() -> str:
    """Name of the account that this process runs under; its number where it has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user that no file knows
        return f"uid {os.getuid()}"


def enter_edit(
    session: Session,
    subject: str,
    field: str,
    values: tuple[str | None, str],
    *,
    who: str,
    why: str,
    product_id: int | None = None,
    at: dt.datetime | None = None,
) -> None:
    """Record a change for ever.

    Parameters
    ----------
    subject, field
        What was changed, and what of it.
    values
        Before and after.
    who, why
        A name, empty for the account that this process runs under; and a sentence.
    product_id
        The product, where it is one.
    at
        When it counts; the database's moment where not given.

    Raises
    ------
    ParameterError
        If the reason is blank.
    """
    old, new = values
    entry = Edit(product_id=product_id, subject=subject, field=field, old=old, new=new)
    entry.why = reason(why)
    entry.who = who or account()
    if at is not None:
        entry.at = at
    session.add(entry)
