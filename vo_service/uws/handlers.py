"""The resources of jobs at their addresses (UWS-1.1 2.2)."""

from __future__ import annotations

__all__ = ["jobs_blueprint"]

from functools import partial
from typing import IO, TYPE_CHECKING, Final, cast

from flask import Blueprint, Response, g, request
from werkzeug.utils import send_file
from werkzeug.wsgi import FileWrapper

from schemas.dali import ErrorForm, Param, parse_params
from schemas.errors import AuthorizationError, NotFoundError, ParameterError, StorageError
from schemas.job_documents import (
    job_document,
    jobs_document,
    moment_text,
    owner_name,
    parameters_document,
    results_document,
)
from schemas.uws import Phase
from schemas.values import parse_count, parse_timestamp
from schemas.votable import error_document
from vo_service.clients import client_of
from vo_service.connection import client_left
from vo_service.errors import error_response
from vo_service.request import file_parts, pairs, texts
from vo_service.uws.asked import Asked
from vo_service.uws.files import JobFiles
from vo_service.uws.owners import COOKIE, Accounts, check_may_use
from vo_service.uws.service import JobService
from vo_service.uws.store import JobStore
from vo_service.uws.waiting import Wait, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from reduction.archive import Archive
    from schemas.jobs import Job
    from vo_service.admission import Admission
    from vo_service.mount import Mounted
    from vo_service.uws.owners import Caller

_XML: Final = "text/xml;charset=utf-8"
_TEXT: Final = "text/plain;charset=utf-8"
_YEAR_S: Final = 365 * 86_400
_PIECE: Final = 1 << 18
_LISTED: Final = 1000


def _wait(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = float("nan")
    if not (seconds == -1 or seconds >= 0):
        message = "seconds, or -1 for as long as the service allows"
        raise ValueError(message)
    return seconds


def _phase(text: str) -> Phase:
    return Phase(text.strip().upper())


_PHASES: Final = tuple(str(phase) for phase in Phase)
_FILTERS: Final = (
    Param("PHASE", _phase, values=_PHASES, multiple=True),
    Param("AFTER", parse_timestamp),
    Param("LAST", parse_count),
)
_WAITS: Final = (Param("WAIT", _wait), Param("PHASE", _phase, values=_PHASES))


class _Resources:
    """What the views of a protocol's jobs share."""

    def __init__(self, mounted: Mounted, archive: Archive, admission: Admission) -> None:
        settings = archive.settings
        self.protocol = mounted.protocol
        self.url = f"{settings.web.url}{mounted.protocol.path}/async"
        self.files = JobFiles(settings.jobs.folder, free_bytes=settings.jobs.free_bytes)
        self.accounts = Accounts(archive)
        store = JobStore(archive, settings.jobs)
        self.service = JobService(
            mounted.protocol,
            store,
            self.files,
            settings.jobs,
            mounted.estimate,
            upload_bytes=settings.limits.upload_bytes,
        )
        self.waiting = Waiting(admission, settings.jobs.wait_s)

    def url_of(self, job: Job) -> str:
        return f"{self.url}/{job.job_id}"

    def job(self, job_id: str, *, whole: bool = False) -> Job:
        """A job that the caller may use; without its parameters where they are not asked for."""
        job = self.service.get(job_id, whole=whole)
        check_may_use(self.accounts.caller(request), job)
        return job

    def document(self, job: Job) -> Response:
        quote = self.service.quote(job)
        return Response(job_document(job, self.url_of(job), quote=quote), content_type=_XML)

    def asked(self) -> Asked:
        return Asked.of(texts(request), file_parts(request))

    def post(self, job: Job, asked: Asked) -> Response:
        after = self.service.post(job, asked)
        return _see_other(self.url if after is None else self.url_of(after))


def jobs_blueprint(mounted: Mounted, archive: Archive, admission: Admission) -> Blueprint:
    """Make the views of a protocol's jobs.

    Parameters
    ----------
    mounted
        The protocol, what answers it and what estimates it.
    archive
        Where jobs are kept, and what they may use.
    admission
        Gives places to those who wait.

    Notes
    -----
    Standard: UWS-1.1 2.2; TAP-1.1 2.3. What goes wrong is said in plain text; the failure of a
    job itself in the form of its protocol, at ``/error``.
    """
    shared = _Resources(mounted, archive, admission)
    path = f"{mounted.protocol.path}/async"
    views = Blueprint(f"{mounted.protocol.name}-jobs", __name__, url_prefix=path)
    _add_list(views, shared)
    _add_job(views, shared)
    _add_parts(views, shared)
    _add_results(views, shared)

    views.before_request(_refuse_strange_pages)
    views.after_request(_keep_private)

    @views.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        return error_response(error, ErrorForm.TEXT, request_id=g.request_id)

    return views


def _refuse_strange_pages() -> None:
    """See that no page elsewhere acts with the name and token that a browser has kept.

    Raises
    ------
    AuthorizationError
        If one does. The cookie of anonymous callers is not sent from there (SameSite).

    Notes
    -----
    Standard: W3C Fetch Metadata Request Headers 2.3.
    """
    given = request.authorization
    if (
        request.method not in {"GET", "HEAD", "OPTIONS"}
        and request.headers.get("Sec-Fetch-Site") == "cross-site"
        and given is not None
        and given.type == "basic"
    ):
        message = "a page of another site may not change jobs with a name and token of yours"
        raise AuthorizationError(message)


def _keep_private(answer: Response) -> Response:
    """Let nobody keep what is said of a job; it is its owner's, and changes."""
    answer.headers.setdefault("Cache-Control", "private, no-store")
    return answer


def _add_list(views: Blueprint, shared: _Resources) -> None:
    @views.get("")
    def jobs() -> Response:
        given = parse_params(_FILTERS, pairs(request))
        if given["LAST"] == 0:
            raise ParameterError("LAST", 0, "a number of jobs >= 1")
        caller = shared.accounts.caller(request)
        last = _LISTED + 1 if given["LAST"] is None else given["LAST"]
        found = shared.service.listed(caller, given["PHASE"], given["AFTER"], last)
        if given["LAST"] is None and len(found) > _LISTED:
            # whoever wants them all says so; that there are more is seen from the address
            said = request.query_string.decode("latin-1")
            return _see_other(f"{shared.url}?{said}{'&' if said else ''}LAST={_LISTED}")
        return Response(jobs_document(found, shared.url_of), content_type=_XML)

    @views.post("")
    def create() -> Response:
        caller = shared.accounts.caller(request)
        job = shared.service.create(shared.asked(), caller)
        answer = _see_other(shared.url_of(job))
        _remember(answer, caller, shared)
        return answer


def _add_job(views: Blueprint, shared: _Resources) -> None:
    @views.get("/<job_id>")
    def job(job_id: str) -> Response:
        given = parse_params(_WAITS, pairs(request))
        found = shared.job(job_id)
        if given["WAIT"] is not None:
            client = client_of(request.remote_addr)
            asked = Wait(client, given["WAIT"], given["PHASE"], partial(client_left, request))
            shared.waiting.until_changed(lambda: shared.service.get(job_id), asked)
        return shared.document(shared.service.get(found.job_id, whole=True))

    @views.post("/<job_id>")
    def change(job_id: str) -> Response:
        return shared.post(shared.job(job_id), shared.asked())

    @views.delete("/<job_id>")
    def forget(job_id: str) -> Response:
        shared.service.delete(shared.job(job_id))
        return _see_other(shared.url)


def _add_parts(views: Blueprint, shared: _Resources) -> None:
    """Single facts as text, the list of parameters as a document."""

    def quote(job: Job) -> str:
        return moment_text(shared.service.quote(job))

    parts: dict[str, Callable[[Job], str]] = {
        "phase": lambda job: job.phase,
        "executionduration": lambda job: str(job.execution_duration),
        "destruction": lambda job: moment_text(job.destruction),
        "quote": quote,
        "owner": owner_name,
    }
    needed = {"phase": "PHASE", "executionduration": "EXECUTIONDURATION"}
    needed["destruction"] = "DESTRUCTION"

    @views.get("/<job_id>/<any(phase, executionduration, destruction, quote, owner):part>")
    def fact(job_id: str, part: str) -> Response:
        return Response(parts[part](shared.job(job_id)), content_type=_TEXT)

    @views.post("/<job_id>/<any(phase, executionduration, destruction):part>")
    def set_fact(job_id: str, part: str) -> Response:
        job, asked = shared.job(job_id), shared.asked()
        name = needed[part]
        if asked.controls[name] is None:
            raise ParameterError(name, None, f"a value, in a POST to /{part}")
        return shared.post(job, asked)

    @views.get("/<job_id>/parameters")
    def parameters(job_id: str) -> Response:
        return Response(parameters_document(shared.job(job_id, whole=True)), content_type=_XML)

    @views.post("/<job_id>/parameters")
    def set_parameters(job_id: str) -> Response:
        return shared.post(shared.job(job_id), shared.asked())


def _add_results(views: Blueprint, shared: _Resources) -> None:
    @views.get("/<job_id>/error")
    def error(job_id: str) -> Response:
        job = shared.job(job_id)
        if not job.error_message:
            message = f"the job has no error: it is {job.phase}"
            raise NotFoundError(message)
        if shared.protocol.errors is ErrorForm.TEXT:
            return Response(job.error_message + "\n", content_type=_TEXT)
        document = error_document(job.error_message, ())
        return Response(document, content_type="application/x-votable+xml")

    @views.get("/<job_id>/results")
    def results(job_id: str) -> Response:
        job = shared.job(job_id)
        return Response(results_document(job, shared.url_of(job)), content_type=_XML)

    @views.get("/<job_id>/results/<name>")
    def result(job_id: str, name: str) -> Response:
        job = shared.job(job_id)
        if name != "result" or job.phase != Phase.COMPLETED or not job.result_file:
            message = f"the job has no result {name!r}: it is {job.phase}"
            raise NotFoundError(message)
        return _file(job, shared)


def _file(job: Job, shared: _Resources) -> Response:
    """A result, or the range of it that is asked for."""
    path = shared.files.path(job.job_id, str(job.result_file))
    try:
        sent = send_file(
            path,
            # the server's own wrapper cannot seek: a range would be looked for from the beginning
            {**request.environ, "wsgi.file_wrapper": _pieces},
            mimetype="application/octet-stream",
            response_class=Response,
            download_name=f"{shared.protocol.name}{path.suffix}",
            conditional=True,
            etag=f"{job.job_id}-{job.attempts}",
            last_modified=job.ended,
        )
    except FileNotFoundError as error:
        shared.service.get(job.job_id)  # says so where it was destroyed just now
        message = f"the result of the job {job.job_id!r} is lost: run it again as a new job"
        raise StorageError(message) from error
    answer = cast("Response", sent)  # it is of the class that was asked for
    answer.headers["Content-Type"] = str(job.result_media_type)
    answer.headers["Cache-Control"] = "private, no-cache"
    return answer


def _pieces(file: IO[bytes], _size: int) -> FileWrapper:
    return FileWrapper(file, _PIECE)


def _see_other(url: str) -> Response:
    return Response(url + "\n", 303, {"Location": url}, content_type=_TEXT)


def _remember(answer: Response, caller: Caller, shared: _Resources) -> None:
    """Give an anonymous caller what he finds his jobs by."""
    if caller.new_cookie:
        answer.set_cookie(
            COOKIE,
            caller.new_cookie,
            max_age=_YEAR_S,
            httponly=True,
            samesite="Lax",
            secure=shared.url.startswith("https:"),
        )
