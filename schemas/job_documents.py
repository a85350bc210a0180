"""UWS documents (job, list of jobs, results, parameters) as vo-models objects, and as XML."""

from __future__ import annotations

__all__ = [
    "job_document",
    "jobs_document",
    "moment_text",
    "owner_name",
    "parameters_document",
    "results_document",
]

import datetime as dt
from typing import TYPE_CHECKING, Any

from lxml import etree
from pydantic_xml import BaseXmlModel, element
from vo_models.uws.models import (
    NSMAP,
    ErrorSummary,
    Jobs,
    JobSummary,
    Parameter,
    ResultReference,
    Results,
    ShortJobDescription,
)
from vo_models.uws.types import ErrorType, ExecutionPhase

from schemas.uws import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lxml.etree import _Element

    from schemas.jobs import Job

_FACTS = ("estimated_s", "estimated_rows", "targets_to_make", "attempts", "result_rows")


class _Parameters(BaseXmlModel, tag="parameters", ns="uws", nsmap=NSMAP):
    """Parameters of any names: vo-models has them for names that are known before."""

    parameter: list[Parameter] = element(tag="parameter", ns="uws", default_factory=list)


def moment_text(moment: dt.datetime | None) -> str:
    """A moment as UWS writes it: ISO 8601 in UTC with a Z; empty for None (UWS-1.1 2.1.2)."""
    if moment is None:
        return ""
    text = moment.astimezone(dt.UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def jobs_document(jobs: Sequence[Job], url: Callable[[Job], str]) -> bytes:
    """List jobs (UWS-1.1 2.2.2.1).

    Parameters
    ----------
    jobs
        In the order of the list.
    url
        Address of a job.
    """
    listed = [
        ShortJobDescription(
            job_id=job.job_id,
            phase=ExecutionPhase(job.phase),
            run_id=job.run_id or None,
            owner_id=owner_name(job) or None,
            creation_time=job.created,
            href=url(job),
        )
        for job in jobs
    ]
    return _xml(_tree(Jobs(jobref=listed)))


def job_document(job: Job, url: str, *, quote: dt.datetime | None) -> bytes:
    """Describe a job (UWS-1.1 2.2.2.2).

    What the standard has no word for is in ``jobInfo``: the estimate (seconds, rows, targets that
    must be made), how often the job was begun, rows of its result.

    Parameters
    ----------
    job
        The job.
    url
        Its address.
    quote
        When it is likely to be over; None for "not known".
    """
    model = JobSummary[_Parameters](
        job_id=job.job_id,
        run_id=job.run_id or None,
        owner_id=owner_name(job) or None,
        phase=ExecutionPhase(job.phase),
        quote=quote,
        creation_time=job.created,
        start_time=job.started,
        end_time=job.ended,
        execution_duration=job.execution_duration,
        destruction=job.destruction,
        parameters=_parameters(job),
        results=_results(job, url),
        error_summary=_error(job),
    )
    root = _tree(model, whole=True)
    _prune(root)
    info = etree.SubElement(root, etree.QName(NSMAP["uws"], "jobInfo"))
    for name in _FACTS:
        if (value := getattr(job, name)) is not None:
            etree.SubElement(info, name).text = str(value)
    return _xml(root)


def results_document(job: Job, url: str) -> bytes:
    """List the results of a job (UWS-1.1 2.2.2.3)."""
    return _xml(_tree(_results(job, url)))


def parameters_document(job: Job) -> bytes:
    """List the parameters of a job (UWS-1.1 2.2.2.4)."""
    return _xml(_tree(_parameters(job)))


def owner_name(job: Job) -> str:
    """Name of the account that owns a job; empty where its owner has none (UWS-1.1 2.1.8)."""
    kind, _, name = job.owner.partition(":")
    return name if kind == "account" else ""


def _parameters(job: Job) -> _Parameters:
    return _Parameters(parameter=[Parameter(id=name, value=text) for name, text in job.parameters])


def _results(job: Job, url: str) -> Results:
    if job.phase != Phase.COMPLETED or job.result_file is None:
        return Results()
    result = ResultReference(
        id="result",
        href=f"{url}/results/result",
        size=job.result_bytes,
        mime_type=job.result_media_type,
    )
    return Results(results=[result])


def _error(job: Job) -> ErrorSummary | None:
    if not job.error_message:
        return None
    kind = ErrorType.TRANSIENT if job.error_transient else ErrorType.FATAL
    return ErrorSummary(message=job.error_message, type=kind, has_detail=True)


def _tree(model: BaseXmlModel, *, whole: bool = False) -> _Element:
    """Elements of a document, as lxml has them; those that are empty only of a ``whole`` one."""
    made: Any = model.to_xml_tree(skip_empty=not whole, exclude_none=not whole)
    root: _Element = made
    return root


def _prune(root: _Element) -> None:
    """Take out the optional elements that are empty, but not those that say "nil"."""
    nil = "{http://www.w3.org/2001/XMLSchema-instance}nil"
    for name in ("runId", "errorSummary", "jobInfo"):
        for found in root.findall(f"uws:{name}", NSMAP):
            if not len(found) and not found.text:
                root.remove(found)
    for found in root.iter():
        if nil in found.attrib and (found.text or found.attrib[nil] != "true"):
            del found.attrib[nil]


def _xml(root: _Element) -> bytes:
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)
