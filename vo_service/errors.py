"""Failures as answers: the only place that turns an error into HTTP."""

from __future__ import annotations

__all__ = ["Failure", "error_response", "failure_of"]

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flask import Response
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from schemas.dali import ErrorForm, Info
from schemas.errors import AuthenticationError, TransientError, UsageError, VOError
from schemas.votable import error_document

if TYPE_CHECKING:
    from collections.abc import Sequence

_log = logging.getLogger(__name__)
_VOTABLE: Final = "application/x-votable+xml"
_TEXT: Final = "text/plain;charset=utf-8"
_TOO_LONG: Final = 4000


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure in words.

    Attributes
    ----------
    status
        Of the HTTP answer.
    fault, word
        That begin a VOTable's message, and a text.
    message
        What the user can act on.
    """

    status: int
    fault: str
    word: str
    message: str

    @property
    def sentence(self) -> str:
        """What a VOTable says."""
        return f"{self.fault}: {self.message}"


def error_response(
    error: Exception, form: ErrorForm, *, request_id: str, infos: Sequence[Info] = ()
) -> Response:
    """Say a failure in the words of a protocol.

    Parameters
    ----------
    error
        Ours, Flask's, or a bug. Of the last the user learns an incident's number alone; the log
        has the traceback under the same number.
    form
        VOTable (TAP, SIA, DataLink) or text (SODA).
    request_id
        Number of the request, which is the incident's.
    infos
        Said in VOTables beside the failure.

    Notes
    -----
    Standard: DALI-1.1 4.2; SIA-2.0 3.2; SODA-1.0 5.2; DataLink-1.1 3.4.
    """
    failure = failure_of(error, request_id)
    if form is ErrorForm.TEXT:
        text = f"{failure.word}: {failure.message}\n"
        answer = Response(text, failure.status, content_type=_TEXT)
    else:
        document = error_document(failure.sentence, infos)
        answer = Response(document, failure.status, content_type=_VOTABLE)
    if isinstance(error, HTTPException):
        # what a status asks for: Allow (405), Content-Range (416)
        for name, value in error.get_headers():
            if name.lower() != "content-type":
                answer.headers.add(name, value)
    if isinstance(error, AuthenticationError):
        answer.headers.add("WWW-Authenticate", 'Basic realm="vo-service", charset="UTF-8"')
        answer.headers.add("WWW-Authenticate", 'Bearer realm="vo-service"')
    if isinstance(error, TransientError):
        answer.headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    return answer


def failure_of(error: Exception, incident: str) -> Failure:
    """Say a failure; what is ours goes to the log with its traceback, under the incident."""
    status, fault, word, message = _words(error, incident)
    if len(message) > _TOO_LONG:
        message = message[:_TOO_LONG] + " ..."
    return Failure(status, fault, word, message)


def _words(error: Exception, request_id: str) -> tuple[int, str, str, str]:
    """HTTP status, fault, SODA's word and the sentence."""
    if isinstance(error, RequestEntityTooLarge):
        message = "the request is larger than this service takes: send less in one request"
        return 413, UsageError.fault, UsageError.soda_word, message
    if isinstance(error, HTTPException) and error.code is not None and error.code < 500:
        sentence = error.description or error.name
        return error.code, UsageError.fault, UsageError.soda_word, sentence
    if isinstance(error, VOError):
        if error.http_status >= 500 and not error.transient:
            _log.error("failed", exc_info=error, extra={"incident": request_id})
            message = f"{error} (incident {request_id})"
        else:
            message = str(error)
        return error.http_status, error.fault, error.soda_word, message
    _log.error("unexpected error", exc_info=error, extra={"incident": request_id})
    message = f"the service failed; its log has the reason under incident {request_id}"
    return 500, VOError.fault, VOError.soda_word, message
