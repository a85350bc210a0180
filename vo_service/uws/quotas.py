"""What the jobs of one client may have together: their number, those going on, their bytes.

Looked at within the transaction that would add to them, after :func:`alone`.
"""

from __future__ import annotations

__all__ = ["UNFINISHED", "alone", "check_bytes", "check_going_on", "check_kept"]

from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select, text

from schemas.errors import QuotaError
from schemas.jobs import Job
from schemas.uws import Phase

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from schemas.settings import JobSettings

UNFINISHED: Final = (Phase.QUEUED, Phase.EXECUTING)
"""Phases of jobs that are going on."""

_BYTES: Final = Job.upload_bytes + func.coalesce(Job.result_bytes, 0)


def alone(session: Session, client: str) -> None:
    """Let no other request of the same client be counted at the same time."""
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:c))"), {"c": "uws" + client})


def check_kept(session: Session, client: str, settings: JobSettings) -> None:
    """See that a client may have one job more.

    Raises
    ------
    QuotaError
        If he has as many as one may have.
    """
    kept = session.scalar(select(func.count()).where(Job.client == client)) or 0
    if kept >= settings.kept_per_owner:
        message = (
            f"you have {kept} jobs, as many as one may have: delete some of them (DELETE on their "
            "addresses) and ask again"
        )
        raise QuotaError(message, retry_after_s=60)


def check_going_on(session: Session, client: str, settings: JobSettings) -> None:
    """See that one more of a client's jobs may run or wait.

    Raises
    ------
    QuotaError
        If as many do as may.
    """
    going_on = session.scalar(
        select(func.count()).where(Job.client == client, Job.phase.in_(UNFINISHED))
    )
    if (going_on or 0) >= settings.queued_per_owner:
        message = (
            f"{going_on} of your jobs run or wait, as many as one may have: ask again when some "
            "of them are over, or abort some"
        )
        raise QuotaError(message, retry_after_s=30)


def check_bytes(session: Session, client: str, settings: JobSettings, *, more: int = 0) -> None:
    """See that uploads and results of a client's jobs, and so many bytes more, may be.

    Raises
    ------
    QuotaError
        If that is more than one may have.
    """
    has = int(session.scalar(select(func.sum(_BYTES)).where(Job.client == client)) or 0)
    if has + more > settings.bytes_per_owner:
        message = (
            f"uploads and results of your jobs have {(has + more) / 1e6:.6g} MB, one may have "
            f"{settings.bytes_per_owner / 1e6:.6g} MB: delete some of your jobs and ask again"
        )
        raise QuotaError(message, retry_after_s=60)
