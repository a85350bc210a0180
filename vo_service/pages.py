"""Pages for people, and the address that tells machines whether the service works."""

from __future__ import annotations

__all__ = ["pages_blueprint"]

from typing import TYPE_CHECKING

import sqlalchemy as sa
from flask import Blueprint, Response, jsonify, render_template

from schemas.errors import BusyError
from schemas.tables import Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reduction.archive import Archive
    from schemas.columns import Schema
    from vo_service.examples import ExamplesPage
    from vo_service.vosi import Health


def pages_blueprint(
    archive: Archive, schemas: Sequence[Schema], health: Health, examples: ExamplesPage
) -> Blueprint:
    """Views of the first page and of ``/health``.

    Parameters
    ----------
    archive
        What the page tells of.
    schemas
        What is published.
    health
        Asked on both pages.
    examples
        Shown on the first page.
    """
    views = Blueprint("pages", __name__, template_folder="templates")
    settings = archive.settings

    @views.get("/")
    def index() -> str:
        faults = health.faults()
        return render_template(
            "index.html",
            publisher=settings.publisher,
            base_url=settings.web.url,
            limits=settings.limits,
            processes=settings.web.workers,
            schemas=schemas,
            examples=examples.queries(),
            states=[] if faults else _states(archive),
            faults=faults,
        )

    @views.get("/health")
    def healthy() -> tuple[Response, int]:
        faults = health.faults()
        return jsonify(healthy=not faults, faults=faults), 503 if faults else 200

    return views


def _states(archive: Archive) -> list[tuple[str, dict[str, int]]]:
    """Number of targets of each class by state, classes in alphabetical order."""
    query = (
        sa.select(Target.class_name, Target.state, sa.func.count())
        .group_by(Target.class_name, Target.state)
        .order_by(Target.class_name)
    )
    counted: dict[str, dict[str, int]] = {}
    try:
        with archive.database.service.connect() as connection:
            for class_name, state, count in connection.execute(query):
                counted.setdefault(class_name, {})[str(state)] = count
    except sa.exc.SQLAlchemyError as error:
        message = "the database does not answer at this moment"
        raise BusyError(message) from error
    return list(counted.items())
