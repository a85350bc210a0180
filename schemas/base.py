"""What all tables of the archive have in common: their schema, types and names of constraints."""

from __future__ import annotations

__all__ = ["Base"]

import datetime as dt
from typing import Any

from sqlalchemy import BigInteger, Date, DateTime, Double, MetaData, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase

_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Base of all tables; everything is in schema ``vo``."""

    metadata = MetaData(schema="vo", naming_convention=_NAMES)
    type_annotation_map = {  # noqa: RUF012  # SQLAlchemy reads it as declared
        str: Text,
        int: BigInteger,
        float: Double,
        dt.datetime: DateTime(timezone=True),
        dt.date: Date,
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
    }
