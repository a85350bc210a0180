"""What a request says: its name-value pairs, the same for GET and POST, its files, its number."""

from __future__ import annotations

__all__ = ["file_parts", "mend_boundary", "new_request_id", "pairs", "texts", "uploads"]

import io
import os
import re
import secrets
import shutil
import tempfile
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from flask import current_app
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import RequestEntityTooLarge

from schemas.dali import Upload
from schemas.errors import ParameterError, TooLargeError
from schemas.spools import opener_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask import Request

_BOUNDARY: Final = re.compile(
    r'(multipart/form-data;\s*boundary=)([^";\s\\]*=[^";\s\\]*)', re.IGNORECASE
)

_PARAM_PART: Final = re.compile(r"\bparam:([^;]*?)\s*(?:;|$)", re.IGNORECASE)


def pairs(request: Request) -> list[tuple[str, str]]:
    """Name-value pairs of the address and of the form, in order.

    Raises
    ------
    ParameterError
        If a value has a NUL character, which neither XML nor the database can hold.
    TooLargeError
        If the request has more bytes than the service takes; no more than those are read.

    Notes
    -----
    Standard: DALI-1.1 3: GET and POST (both form encodings) mean the same.
    """
    address = [(name, value) for name, value in request.args.items(multi=True)]
    try:
        form = [(name, value) for name, value in request.form.items(multi=True)]
    except RequestEntityTooLarge as error:
        raise _too_large(request) from error
    for name, value in address + form:
        if "\0" in value:
            raise ParameterError(name, value, "a text without NUL characters")
    return address + form


def mend_boundary(environ: dict[str, Any]) -> None:
    """Put quotes around a multipart boundary that needs them and has none.

    Notes
    -----
    RFC 2045 5.1: a value with ``=`` is quoted. The clients of TapPlus (astroquery) do not do that.
    """
    found = _BOUNDARY.fullmatch(environ.get("CONTENT_TYPE", ""))
    if found is not None:
        environ["CONTENT_TYPE"] = f'{found[1]}"{found[2]}"'


def _too_large(request: Request) -> TooLargeError:
    limit, length = request.max_content_length, request.content_length
    if limit is not None and length is not None and length <= limit:
        return TooLargeError(
            f"the texts of the request have more than {request.max_form_memory_size} bytes: "
            "expected long ones, such as tables, as files of a multipart form"
        )
    found = "a longer request" if length is None else f"a request of {length} bytes"
    return TooLargeError(
        f"found {found}, this service takes at most {limit} bytes (limits.upload_bytes): send "
        "less in one request"
    )


def file_parts(request: Request) -> list[tuple[str, FileStorage]]:
    """Files of a multipart form with the names of their parts, the same for sync and jobs.

    A text of the form is one as well if UPLOAD names it: not every client says a file's name.

    Raises
    ------
    ParameterError
        If a name or a MIME type has a control character.
    TooLargeError
        If they have more bytes than may be uploaded.

    Notes
    -----
    Standard: DALI-1.1 3.4.5.
    """
    named = _named_parts(request)
    found = [
        (name, FileStorage(io.BytesIO(text.encode()), name=name))
        for name, text in request.form.items()
        if name in named
    ]
    found += request.files.items(multi=True)
    for name, part in found:
        for text in (name, part.mimetype or ""):
            if not text.isprintable():
                expected = "names and MIME types of files without control characters"
                raise ParameterError("(file)", text[:200], expected)
    _check_size([part for _, part in found])
    return found


def _check_size(parts: Sequence[FileStorage]) -> None:
    """See that files are within the limit also where the whole request may have more."""
    limit = current_app.config["UPLOAD_BYTES"]
    size = sum(part.stream.seek(0, os.SEEK_END) for part in parts)
    for part in parts:
        part.stream.seek(0)
    if size > limit:
        raise TooLargeError(
            f"found files of {size} bytes, this service takes at most {limit} bytes in a request "
            "(limits.upload_bytes): send less"
        )


def texts(request: Request) -> list[tuple[str, str]]:
    """Name-value pairs as :func:`pairs`, without those that are files to :func:`file_parts`."""
    named = _named_parts(request)
    address = len(list(request.args.items(multi=True)))
    given = pairs(request)
    return given[:address] + [pair for pair in given[address:] if pair[0] not in named]


def _named_parts(request: Request) -> set[str]:
    """Names of the form's texts that UPLOAD says are files."""
    said = ";".join(value for name, value in pairs(request) if name.upper() == "UPLOAD")
    wanted = set(_PARAM_PART.findall(said))
    return {name for name in request.form if name in wanted and name.upper() != "UPLOAD"}


def uploads(request: Request) -> dict[str, Upload]:
    """Files of a request by the name of their part; they are gone with the request."""
    return {name: _upload(name, part) for name, part in file_parts(request)}


def _upload(name: str, part: FileStorage) -> Upload:
    return Upload(name, part.mimetype or "", opener_of(_file_of(part)))


def _file_of(part: FileStorage) -> BinaryIO:
    """A file of the system with a part's bytes: what Werkzeug keeps may be in memory."""
    spooled = part.stream
    if isinstance(spooled, tempfile.SpooledTemporaryFile):
        spooled.rollover()
        return cast("BinaryIO", spooled)
    file = tempfile.TemporaryFile()  # noqa: SIM115  # open as long as the request's own
    shutil.copyfileobj(spooled, file)
    return file


def new_request_id() -> str:
    """Make the number under which a request is found in the log."""
    return secrets.token_hex(8)
