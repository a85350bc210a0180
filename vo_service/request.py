"""What a request says: its name-value pairs, the same for GET and POST, and its number."""

from __future__ import annotations

__all__ = ["new_request_id", "pairs"]

import secrets
from typing import TYPE_CHECKING

from schemas.errors import ParameterError

if TYPE_CHECKING:
    from flask import Request


def pairs(request: Request) -> list[tuple[str, str]]:
    """Name-value pairs of the address and of the form, in order.

    Raises
    ------
    ParameterError
        If a value has a NUL character, which neither XML nor the database can hold.

    Notes
    -----
    Standard: DALI-1.1 3: GET and POST (both form encodings) mean the same.
    """
    address = [(name, value) for name, value in request.args.items(multi=True)]
    form = [(name, value) for name, value in request.form.items(multi=True)]
    for name, value in address + form:
        if "\0" in value:
            raise ParameterError(name, value, "a text without NUL characters")
    return address + form


def new_request_id() -> str:
    """Make the number under which a request is found in the log."""
    return secrets.token_hex(8)
