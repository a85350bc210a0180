"""Whether a database was made ready by just this code with just these settings.

Making a database ready (tables, views, rights, recipes, TAP_SCHEMA) takes seconds, and changes
nothing where it was done before. What it depends on is noted in the database itself, so that a
command need not do it again.
"""

from __future__ import annotations

__all__ = ["is_prepared", "note_prepared"]

import hashlib
import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import ProgrammingError

from schemas.tables import ServiceFact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from schemas.settings import Settings

_PACKAGES: Final = ("schemas", "reduction", "tap", "sia", "vo_service")
_FACT: Final = "prepared_by"


def is_prepared(service: Engine, settings: Settings) -> bool:
    """Whether nothing that making ready depends on changed since it was done last.

    Files of code are compared by size and time of change.

    Parameters
    ----------
    service
        Connections of the service role.
    settings
        As they are now.
    """
    query = select(ServiceFact.value).where(ServiceFact.name == _FACT)
    try:
        with service.connect() as connection:
            return connection.scalar(query) == _fingerprint(settings)
    except ProgrammingError:  # an empty database
        return False


def note_prepared(service: Engine, settings: Settings) -> None:
    """Note that the database is ready for this code and these settings."""
    value = _fingerprint(settings)
    statement = insert(ServiceFact).values(name=_FACT, value=value)
    with service.begin() as connection:
        connection.execute(
            statement.on_conflict_do_update(index_elements=["name"], set_={"value": value})
        )


def _fingerprint(settings: Settings) -> str:
    digest = hashlib.sha256()
    for file in (*_files_of(_PACKAGES), *_files_of(settings.reduction.plugins)):
        state = file.stat()
        digest.update(f"{file} {state.st_size} {state.st_mtime_ns}\n".encode())
    for section in (settings.publisher, settings.reduction, settings.database):
        digest.update(section.model_dump_json().encode())
    digest.update(settings.web.url.encode())
    return digest.hexdigest()


def _files_of(names: tuple[str, ...]) -> Iterator[Path]:
    """Files of code of packages and modules, in a stable order."""
    for name in names:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            continue
        origin = Path(spec.origin)
        if origin.name != "__init__.py":
            yield origin
            continue
        for folder, folders, files in os.walk(origin.parent):
            folders[:] = sorted(set(folders) - {"__pycache__"})
            yield from (Path(folder, file) for file in sorted(files))
