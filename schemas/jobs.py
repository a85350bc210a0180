"""Tables of jobs and of accounts, in schema ``uws``: of the service role alone."""

from __future__ import annotations

__all__ = ["JOBS", "QUEUE_SCHEMA", "Account", "Job"]

import datetime as dt
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    Double,
    Identity,
    Index,
    Integer,
    MetaData,
    Text,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

QUEUE_SCHEMA: Final = "queue"
"""Schema of the tables and functions of the queue library."""


class _Base(DeclarativeBase):
    metadata = MetaData(
        schema="uws",
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        },
    )
    type_annotation_map = {  # noqa: RUF012  # SQLAlchemy reads it as declared
        str: Text,
        int: BigInteger,
        float: Double,
        bool: Boolean,
        dt.datetime: DateTime(timezone=True),
        list[Any]: JSONB,
        dict[str, Any]: JSONB,
    }


JOBS: Final = _Base.metadata
"""All tables of this module."""


class Job(_Base):
    """A job of a protocol (UWS-1.1 2.1.2).

    ``number`` names its advisory lock: who runs it holds that lock as long as he lives.
    ``owner`` is who sees it in his list, ``client`` whose limits it counts against. ``queue_id``
    is its place in the queue, None where it has none. ``attempts`` counts how often it was begun,
    and fences off whoever began it before. ``parameters`` are pairs in their order, ``uploads``
    ``{"name", "media_type", "file", "size"}``, ``upload_bytes`` the sum of their sizes. Of the
    result, ``result_file`` is set if and only if the phase is COMPLETED. Durations
    are seconds.
    """

    __tablename__ = "job"
    __table_args__ = (
        Index("ix_job_owner_created", "owner", "created"),
        Index("ix_job_phase", "phase"),
        Index("ix_job_destruction", "destruction"),
        Index("ix_job_client_phase", "client", "phase"),
    )

    job_id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(Identity(), unique=True)
    protocol: Mapped[str]
    owner: Mapped[str]
    client: Mapped[str]
    run_id: Mapped[str] = mapped_column(server_default="")
    phase: Mapped[str] = mapped_column(server_default="PENDING")
    created: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    queued: Mapped[dt.datetime | None]
    started: Mapped[dt.datetime | None]
    ended: Mapped[dt.datetime | None]
    destruction: Mapped[dt.datetime]
    execution_duration: Mapped[int]
    parameters: Mapped[list[Any]]
    uploads: Mapped[list[Any]] = mapped_column(server_default="[]")
    upload_bytes: Mapped[int] = mapped_column(server_default="0")
    queue: Mapped[str] = mapped_column(server_default="short")
    queue_id: Mapped[int | None]
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    worker: Mapped[str] = mapped_column(server_default="")
    estimated_s: Mapped[float | None]
    estimated_cost: Mapped[float | None]
    estimated_rows: Mapped[int | None]
    targets_to_make: Mapped[int | None]
    result_file: Mapped[str | None]
    result_media_type: Mapped[str | None]
    result_bytes: Mapped[int | None]
    result_rows: Mapped[int | None]
    overflowed: Mapped[bool | None]
    error_message: Mapped[str] = mapped_column(server_default="")
    error_transient: Mapped[bool] = mapped_column(server_default="false")


class Account(_Base):
    """Somebody with a name; of his token there is the SHA-256 alone."""

    __tablename__ = "account"

    name: Mapped[str] = mapped_column(primary_key=True)
    token_hash: Mapped[str] = mapped_column(unique=True)
    created: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
