"""Results as streamed HTTP answers."""

from __future__ import annotations

__all__ = ["file_response", "table_response"]

from itertools import chain
from typing import TYPE_CHECKING

from flask import Response, request
from werkzeug.exceptions import ClientDisconnected
from werkzeug.wsgi import ClosingIterator

from vo_service.connection import client_left

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.dali import FileResult, TableResult
    from vo_service.formats.base import Format


def table_response(
    result: TableResult, form: Format, *, mime: str, base_url: str, name: str
) -> Response:
    """Send a table as it comes; what fails before its first bytes is raised.

    Parameters
    ----------
    result
        The table; closed when it is sent or the client is gone.
    form, mime
        What :func:`vo_service.formats.choice.choose` gave.
    base_url
        Of the service, for the addresses in service descriptors.
    name
        Of the file, without its suffix, for people who save it.
    """
    pieces = form.write(result, base_url)
    try:
        # a form that must know all rows first (FITS) fails here, and the failure has its status
        first = _first(pieces)
    except BaseException:
        result.close()
        raise
    body = ClosingIterator(chain([first], pieces), [pieces.close, result.close])
    answer = Response(body, content_type=mime)
    answer.headers["Content-Disposition"] = f'inline; filename="{name}.{form.suffix}"'
    return answer


def _first(pieces: Iterator[bytes]) -> bytes:
    """The first bytes; while a form awaits rows it gives none, and it is seen who still waits.

    Raises
    ------
    ClientDisconnected
        If nobody does.
    """
    for piece in pieces:
        if piece:
            return piece
        if client_left(request):
            raise ClientDisconnected
    return b""


def file_response(result: FileResult) -> Response:
    """Send a document as it comes; 204 where there is nothing to send (SODA-1.0 5.1)."""
    if result.length == 0:
        result.close()
        return Response(status=204)
    answer = Response(ClosingIterator(result.blocks, result.close), content_type=result.media_type)
    if result.length is not None:
        answer.content_length = result.length
    if result.filename:
        answer.headers.set("Content-Disposition", "attachment", filename=result.filename)
    return answer
