"""Tables of how targets are made, and of what people said of it: recipes, scripts, edits."""

from __future__ import annotations

__all__ = ["Edit", "Recipe", "Script"]

import datetime as dt
from typing import Any

from sqlalchemy import ForeignKey, Identity, Integer, func
from sqlalchemy.orm import Mapped, mapped_column

from schemas.base import Base


class Recipe(Base):
    """Version and parameters of a class for one instrument, as the archive last knew them."""

    __tablename__ = "recipe"

    class_name: Mapped[str] = mapped_column(primary_key=True)
    instrument: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(Integer)
    revision: Mapped[int] = mapped_column(Integer, server_default="0")
    fingerprint: Mapped[str]
    parameters: Mapped[dict[str, Any]]
    overrides: Mapped[dict[str, Any]] = mapped_column(server_default="{}")


class Script(Base):
    """Python code of a user's own that makes targets, by the SHA-256 of its text.

    ``declares`` names the classes and steps that its text declares, as far as that can be read
    without running it; ``allowed`` says whether an operator lets it run.
    """

    __tablename__ = "script"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    source: Mapped[str]
    declares: Mapped[list[Any]] = mapped_column(server_default="[]")
    who: Mapped[str]
    why: Mapped[str]
    added: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    allowed: Mapped[bool] = mapped_column(server_default="false")


class Edit(Base):
    """One change by a person of what may be changed: who, when, from, to, why."""

    __tablename__ = "edit"

    edit_id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    product_id: Mapped[int | None] = mapped_column(ForeignKey("vo.product.product_id"), index=True)
    subject: Mapped[str]
    field: Mapped[str]
    old: Mapped[str | None]
    new: Mapped[str | None]
    who: Mapped[str]
    why: Mapped[str]
    at: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
