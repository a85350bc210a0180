"""Whether a database was made ready by just this code with just these settings.

Making a database ready (tables, views, rights, recipes, TAP_SCHEMA) takes seconds, and changes
nothing where it was done before. What it depends on is noted in the database itself, so that a
command need not do it again.
"""

from __future__ import annotations

__all__ = ["code_beside", "fingerprint", "is_prepared", "note_prepared"]

import hashlib
import importlib.util
import json
import os
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import ProgrammingError

from schemas.rights import readable
from schemas.tables import ServiceFact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Engine

    from schemas.settings import Settings

_PACKAGES: Final = ("schemas", "reduction", "tap", "sia", "vo_service")
_FACT: Final = "prepared_by"
_INSTALLED: Final = frozenset(("site-packages", "dist-packages"))


def is_prepared(service: Engine, settings: Settings) -> bool:
    """Whether nothing that making ready depends on changed since it was done last.

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
            noted, rights = (
                connection.scalar(query),
                readable(connection, settings.database.reader_url),
            )
    except ProgrammingError:  # an empty database, or one without rights
        return False
    try:
        known = json.loads(noted or "{}")
    except ValueError:  # noted by an earlier version
        return False
    if known.get("rights") != rights or known.get("code") != fingerprint(settings):
        return False
    return all(_digest(Path(file)) == digest for file, digest in known["beside"].items())


def note_prepared(
    service: Engine, settings: Settings, code: str, beside: Mapping[str, str]
) -> None:
    """Note that the database is ready.

    Parameters
    ----------
    service, settings
        As :func:`is_prepared` takes them.
    code, beside
        From :func:`fingerprint` and :func:`code_beside`, asked before the work was begun: what
        changes during the work was not worked with.
    """
    with service.begin() as connection:
        known = {
            "code": code,
            "beside": beside,
            "rights": readable(connection, settings.database.reader_url),
        }
        statement = insert(ServiceFact).values(name=_FACT, value=json.dumps(known))
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["name"], set_={"value": statement.excluded.value}
            )
        )


def fingerprint(settings: Settings) -> str:
    """Hash of the service's code, of that of its plugins, and of what settings say of both."""
    digest = hashlib.sha256()
    for file in (*_files_of(_PACKAGES), *_files_of(settings.reduction.plugins)):
        if found := _digest(file):
            digest.update(f"{file} {found}\n".encode())
    for section in (settings.publisher, settings.reduction, settings.database):
        digest.update(section.model_dump_json().encode())
    digest.update(settings.web.url.encode())
    return digest.hexdigest()


def code_beside(plugins: Sequence[str]) -> dict[str, str]:
    """Hashes of the modules that this process has from the folders of its plugins, by file.

    Asked when the plugins are loaded: what they import from beside themselves is known then, and
    cannot become more without a change of one of these files.

    Parameters
    ----------
    plugins
        Names of their modules. What is installed with a package manager is left out.
    """
    folders = {folder for name in plugins if (folder := _folder_of(name)) is not None}
    if not folders:
        return {}
    library = Path(sysconfig.get_path("stdlib")).resolve()
    found = {}
    for module in list(sys.modules.values()):
        file = Path(getattr(module, "__file__", None) or "").resolve()
        if (
            file.suffix == ".py"
            and not folders.isdisjoint(file.parents)
            and _INSTALLED.isdisjoint(file.parts)
            and library not in file.parents
        ):
            found[str(file)] = _digest(file)
    return dict(sorted(found.items()))


def _folder_of(name: str) -> Path | None:
    """Folder from which a loaded module, or the outermost package that it is in, was imported."""
    module = sys.modules.get(name.partition(".")[0])
    if module is None:
        return None
    paths = list(getattr(module, "__path__", ())) or [getattr(module, "__file__", None)]
    return Path(paths[0]).resolve().parent if paths[0] else None


def _digest(file: Path) -> str:
    """Hash of a file's bytes; empty for one that is gone, as an editor's lock is."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""


def _files_of(names: Sequence[str]) -> Iterator[Path]:
    """Files of code of packages and modules, in a stable order."""
    for name in names:
        try:
            spec = importlib.util.find_spec(name)
        except ModuleNotFoundError:  # said where plugins are loaded
            continue
        if spec is None or spec.origin is None:
            continue
        origin = Path(spec.origin)
        if origin.name != "__init__.py":
            yield origin
            continue
        for folder, folders, files in os.walk(origin.parent):
            folders[:] = sorted(set(folders) - {"__pycache__"})
            yield from (Path(folder, file) for file in sorted(files) if file.endswith(".py"))
