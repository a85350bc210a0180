"""A private PostgreSQL cluster under a folder: made, started and stopped without root.

Only the operating system's user who runs the service (and the server's own) may connect, by
``peer`` authentication through a Unix socket: there are no passwords to lose and no TCP port.
PostgreSQL refuses to run as root, so root's server runs as ``postgres`` or ``nobody``.
"""

from __future__ import annotations

__all__ = ["OWNER", "READER", "SERVICE", "Cluster"]

import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import psutil
import sqlalchemy

from schemas.errors import StorageError
from schemas.settings import DatabaseSettings
from vo_service.postgres_home import Place, find_place
from vo_service.postgres_programs import find_programs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OWNER: Final = "vo_owner"
"""Role that owns the tables."""
SERVICE: Final = "vo_service"
"""Role that writes products."""
READER: Final = "vo_reader"
"""Role that runs users' queries."""

_ADMIN: Final = "postgres"
_PORT: Final = 5432
_START_S: Final = 120
_STOP_S: Final = 60
_LOG_LINES: Final = 12
_CONNECTIONS: Final = 200


class Cluster:
    """A PostgreSQL cluster that belongs to this service alone.

    Parameters
    ----------
    data
        Folder that holds it; made where it is not there.
    programs
        Folder of the server's programs; found where None (:func:`find_programs`).
    durable
        False for throw-away clusters: faster, but a crash of the machine may lose them.
    connections
        That it takes at a time at least.
    """

    def __init__(
        self,
        data: Path,
        *,
        programs: Path | None = None,
        durable: bool = True,
        connections: int = _CONNECTIONS,
    ) -> None:
        self.data = data.absolute()
        self._programs = None if programs is None else programs.absolute()
        self._durable = durable
        self._connections = max(connections, _CONNECTIONS)

    def start(self) -> DatabaseSettings:
        """Start the server, having made the cluster first where there is none.

        Does nothing where it runs already; mends what a killed server left behind.

        Returns
        -------
        DatabaseSettings
            How each role reaches the database ``vo``.

        Raises
        ------
        StorageError
            If the cluster cannot be made or the server does not start; says why.
        SettingsError
            If there is no server to run.
        """
        with self._alone():
            place = find_place(self.data, self._find_programs())
            self._await_ready()
            if not self.is_running():
                if not (place.cluster / "PG_VERSION").is_file():
                    _make(place)
                self._clear(place)
                _configure(place, durable=self._durable, connections=self._connections)
                self._launch(place)
            self._bootstrap()
        return self.settings()

    def stop(self) -> None:
        """Stop the server; does nothing where it does not run."""
        if not self.data.is_dir():
            return
        with self._alone():
            if not self.is_running():
                return
            place = find_place(self.data, self._find_programs())
            for mode in ("fast", "immediate"):
                options = ["-m", mode, "-w", "-t", str(_STOP_S), "stop"]
                if place.run("pg_ctl", ["-D", str(place.cluster), *options]).returncode == 0:
                    break
            shutil.rmtree(place.socket, ignore_errors=True)

    def is_running(self) -> bool:
        """Whether this cluster's server runs and takes connections."""
        process = self._postmaster()
        return process is not None and self._pid_lines()[7:8] == ["ready"]

    @property
    def pid(self) -> int | None:
        """Process id of the server, or None where it does not run."""
        process = self._postmaster()
        return None if process is None else process.pid

    def url(self, role: str, database: str = "vo") -> str:
        """Libpq URL of a role ("postgres" is the superuser) and a database."""
        host = quote(str(self._place_known().socket), safe="")
        return f"postgresql://{role}@/{quote(database)}?host={host}&port={_PORT}"

    def settings(self, database: str = "vo") -> DatabaseSettings:
        """How each role reaches a database."""
        return DatabaseSettings(
            owner_url=self.url(OWNER, database),
            service_url=self.url(SERVICE, database),
            reader_url=self.url(READER, database),
        )

    def create_database(self, name: str, *, template: str = "template0") -> DatabaseSettings:
        """Make a database that the owner owns and only the three roles may enter.

        Parameters
        ----------
        name, template
            Plain SQL names; the template must have no connections.
        """
        form = "ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'" if template == "template0" else ""
        self._admin(
            [
                f"CREATE DATABASE {name} OWNER {OWNER} TEMPLATE {template} {form}",
                f"REVOKE ALL ON DATABASE {name} FROM PUBLIC",
                f"GRANT CONNECT, TEMPORARY ON DATABASE {name} TO {SERVICE}",
                f"GRANT CONNECT ON DATABASE {name} TO {READER}",
            ]
        )
        return self.settings(name)

    def drop_database(self, name: str) -> None:
        """Remove a database and end its connections."""
        self._admin([f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"])

    # -- parts ---------------------------------------------------------------------------------

    def _find_programs(self) -> Path:
        version = self._place_known().cluster / "PG_VERSION"
        major = int(version.read_text()) if version.is_file() else None
        return find_programs(major=major, folder=self._programs).folder

    def _place_known(self) -> Place:
        return find_place(self.data, None)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from starting or stopping the same cluster meanwhile."""
        try:
            self.data.mkdir(parents=True, exist_ok=True)
            handle = (self.data / "lock").open("w")
        except OSError as error:
            message = f"cannot write in {self.data}: {error.strerror}; name another data folder"
            raise StorageError(message) from error
        with handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _pid_lines(self) -> list[str]:
        try:
            text = (self._place_known().cluster / "postmaster.pid").read_text()
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [line.strip() for line in text.splitlines()]

    def _postmaster(self) -> psutil.Process | None:
        """The server's process; None where the file that names it is stale."""
        lines = self._pid_lines()
        try:
            process = psutil.Process(int(lines[0]))
            command = process.cmdline()
        except (IndexError, ValueError, psutil.Error):
            return None
        return process if str(self._place_known().cluster) in command else None

    def _await_ready(self) -> None:
        """Let a server that starts, or recovers, or stops, come to an end of that."""
        limit = time.monotonic() + _START_S
        while self._postmaster() is not None and not self.is_running():
            if time.monotonic() > limit:
                message = f"PostgreSQL (process {self.pid}) in {self.data} does not become ready"
                raise StorageError(message)
            time.sleep(0.05)

    def _clear(self, place: Place) -> None:
        """Remove what a server that was killed left behind.

        Lock files would keep the next one from starting where the process id lives on, as a
        zombie or as another program.
        """
        for process in _orphans(place.cluster):
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGQUIT)
        alive = psutil.wait_procs(_orphans(place.cluster), timeout=5)[1]
        for process in alive:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(alive, timeout=5)
        (place.cluster / "postmaster.pid").unlink(missing_ok=True)
        shutil.rmtree(place.socket, ignore_errors=True)

    def _launch(self, place: Place) -> None:
        place.make_socket_folder()
        log = place.home / "server.log"
        if log.is_file() and log.stat().st_size > 10_000_000:
            log.replace(log.with_suffix(".log.1"))
        options = ["-D", str(place.cluster), "-w", "-t", str(_START_S), "-l", str(log), "start"]
        if place.run("pg_ctl", options).returncode == 0:
            return
        last = log.read_text(errors="replace").splitlines()[-_LOG_LINES:] if log.is_file() else []
        message = f"PostgreSQL did not start in {place.cluster}; it said: " + " | ".join(last)
        raise StorageError(message)

    def _bootstrap(self) -> None:
        """Roles and the database, where they are not there yet."""
        known = self._admin_names("SELECT rolname FROM pg_roles")
        missing = [role for role in (OWNER, SERVICE, READER) if role not in known]
        self._admin([f"CREATE ROLE {role} LOGIN" for role in missing])
        self._admin(
            [f"ALTER ROLE {READER} SET default_transaction_read_only = on"] if missing else []
        )
        if "vo" not in self._admin_names("SELECT datname FROM pg_database"):
            self.create_database("vo")

    def _admin(self, statements: Sequence[str]) -> None:
        with self._admin_connection() as connection:
            for statement in statements:
                connection.execute(sqlalchemy.text(statement))

    def _admin_names(self, query: str) -> set[str]:
        with self._admin_connection() as connection:
            return {str(row[0]) for row in connection.execute(sqlalchemy.text(query))}

    @contextlib.contextmanager
    def _admin_connection(self) -> Iterator[sqlalchemy.Connection]:
        engine = sqlalchemy.create_engine(
            self.url(_ADMIN, "postgres").replace("postgresql:", "postgresql+psycopg2:"),
            poolclass=sqlalchemy.NullPool,
            isolation_level="AUTOCOMMIT",
        )
        with engine.connect() as connection:
            yield connection
        engine.dispose()


def _make(place: Place) -> None:
    """Make a cluster aside and rename it into place."""
    aside = place.cluster.with_name("cluster.new")
    shutil.rmtree(aside, ignore_errors=True)
    options = ["-D", str(aside), "-U", _ADMIN, "-E", "UTF8", "--locale=C", "-A", "peer"]
    done = place.run("initdb", [*options, "--no-instructions"])
    if done.returncode != 0:
        shutil.rmtree(aside, ignore_errors=True)
        message = f"cannot make a PostgreSQL cluster in {place.home}: {done.stderr.strip()}"
        raise StorageError(message)
    with (aside / "postgresql.conf").open("a") as file:
        file.write("include 'vo-service.conf'\n")
    aside.replace(place.cluster)


def _configure(place: Place, *, durable: bool, connections: int) -> None:
    """Write who may connect and how the server is tuned; done before each start."""
    users = {pwd.getpwuid(os.geteuid()).pw_name, place.user_name}
    roles = (_ADMIN, OWNER, SERVICE, READER)
    ident = [f'vo "{user}" {role}' for user in sorted(users) for role in roles]
    memory = psutil.virtual_memory().total // 2**20
    shared = shutil.disk_usage("/dev/shm").total if Path("/dev/shm").is_dir() else 0  # noqa: S108  # shared memory, no names made
    settings = {
        "listen_addresses": "''",
        "port": str(_PORT),
        "unix_socket_directories": "'" + str(place.socket).replace("'", "''") + "'",
        "unix_socket_permissions": "0700",
        "max_connections": str(connections),
        "shared_buffers": f"{max(32, min(memory // 8, 512))}MB",
        "effective_cache_size": f"{max(64, memory // 2)}MB",
        "work_mem": "32MB",
        "maintenance_work_mem": "128MB",
        "random_page_cost": "1.1",
        "jit": "off",
        "timezone": "'UTC'",
        "log_timezone": "'UTC'",
        "dynamic_shared_memory_type": "posix" if shared >= 2**28 else "mmap",
    }
    if not durable:
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        settings |= {"shared_buffers": "64MB"}
    files = {
        "vo-service.conf": [f"{name} = {value}" for name, value in settings.items()],
        "pg_hba.conf": ["local all all peer map=vo"],
        "pg_ident.conf": ident,
    }
    for name, lines in files.items():
        place.write(place.cluster / name, "\n".join(lines) + "\n")


def _orphans(cluster: Path) -> list[psutil.Process]:
    """Server processes of this cluster that outlived their postmaster."""
    found = []
    for process in psutil.process_iter(["name"]):
        with contextlib.suppress(psutil.Error, OSError):
            if process.info["name"] == "postgres" and process.cwd() == str(cluster):
                found.append(process)
    return found
