from __future__ import annotations

import os
import pwd
import shutil
import signal
import tempfile
import time
from pathlib import Path

import psycopg2
import pytest

from schemas.errors import SettingsError, StorageError
from vo_service.postgres import OWNER, READER, SERVICE, Cluster
from vo_service.postgres_programs import NEWEST, OLDEST, find_programs, wheel_folder


def every_server() -> list[Path]:
    system = find_programs().folder
    return sorted({system, wheel_folder()})


@pytest.fixture
def folder():
    """A folder that the server's user can reach, and a short one."""
    path = Path(tempfile.mkdtemp(prefix="vo-pg-"))
    path.chmod(0o755)
    yield path
    for home in (*path.glob("*"), *path.glob("*/*/data")):
        Cluster(home).stop()
    shutil.rmtree(path, ignore_errors=True)


def ask(url: str, query: str) -> object:
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchone()[0]
    finally:
        connection.close()


@pytest.mark.parametrize("programs", every_server(), ids=lambda p: p.parent.name)
def test_each_role_reaches_the_database_under_its_own_name(folder, programs):
    settings = Cluster(folder / "data", programs=programs, durable=False).start()
    assert ask(settings.owner_url, "SELECT current_user") == OWNER
    assert ask(settings.service_url, "SELECT current_user") == SERVICE
    assert ask(settings.reader_url, "SELECT current_user") == READER
    assert ask(settings.reader_url, "SHOW transaction_read_only") == "on"
    assert ask(settings.reader_url, "SHOW server_encoding") == "UTF8"
    version = int(ask(settings.reader_url, "SHOW server_version_num"))
    assert OLDEST <= version // 10000 <= NEWEST


@pytest.mark.parametrize("programs", every_server(), ids=lambda p: p.parent.name)
def test_a_killed_server_starts_again_with_what_was_committed(folder, programs):
    cluster = Cluster(folder / "data", programs=programs)
    settings = cluster.start()
    owner = psycopg2.connect(settings.owner_url)
    owner.autocommit = True
    owner.cursor().execute("CREATE SCHEMA s; CREATE TABLE s.t AS SELECT 7 AS x")
    killed = cluster.pid
    os.kill(killed, signal.SIGKILL)
    while cluster.is_running():
        time.sleep(0.01)
    settings = cluster.start()
    assert cluster.pid != killed
    assert ask(settings.owner_url, "SELECT x FROM s.t") == 7
    owner.close()


def test_starting_and_stopping_twice_does_nothing_more(folder):
    cluster = Cluster(folder / "data", durable=False)
    cluster.stop()
    first = cluster.start()
    pid = cluster.pid
    assert Cluster(folder / "data").start() == first
    assert cluster.pid == pid
    cluster.stop()
    assert not cluster.is_running()
    cluster.stop()
    cluster.start()
    assert cluster.is_running()


def test_a_pid_file_that_names_another_program_is_stale(folder):
    cluster = Cluster(folder / "data", durable=False)
    cluster.start()
    cluster.stop()
    stale = folder / "data" / "server" / "cluster" / "postmaster.pid"
    stale.write_text(f"{os.getpid()}\n{stale.parent}\n0\n5432\n/nowhere\n\n  1 1\nready   \n")
    assert not cluster.is_running()
    cluster.start()
    assert cluster.is_running()


def test_a_path_too_long_for_a_socket_gets_a_short_one_elsewhere(folder):
    cluster = Cluster(folder / ("long" * 30) / "data", durable=False)
    settings = cluster.start()
    assert ask(settings.service_url, "SELECT 1") == 1
    cluster.stop()


def test_the_server_listens_to_no_tcp_port_and_lets_no_other_user_in(folder):
    settings = Cluster(folder / "data", durable=False).start()
    assert ask(settings.reader_url, "SHOW listen_addresses") == ""
    socket = folder / "data" / "server" / "run"
    assert socket.stat().st_mode & 0o077 == 0


def test_the_roles_cannot_enter_other_databases_or_make_any(folder):
    settings = Cluster(folder / "data", durable=False).start()
    for url in (settings.service_url, settings.reader_url):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            ask(url, "SET TRANSACTION READ WRITE; CREATE SCHEMA mine")
    with pytest.raises(psycopg2.OperationalError):
        ask(settings.reader_url.replace("vo_reader", "stranger"), "SELECT 1")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has folders closed to the server's user")
def test_root_may_keep_its_data_where_the_server_cannot_reach(folder):
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    cluster = Cluster(closed / "data", durable=False)
    settings = cluster.start()
    assert ask(settings.service_url, "SELECT 1") == 1
    home = Path((closed / "data" / "location").read_text().strip())
    assert home.is_relative_to("/var/lib/vo-service")
    assert Cluster(closed / "data").start() == settings
    cluster.stop()
    shutil.rmtree(home)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("programs", every_server(), ids=lambda p: p.parent.name)
def test_an_ordinary_user_runs_a_cluster_too(folder, programs):
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    child = os.fork()
    if child == 0:  # everything is imported already: the interpreter may be out of reach
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)
        code = 1
        try:
            cluster = Cluster(folder / "data", programs=programs, durable=False)
            code = 0 if ask(cluster.start().reader_url, "SELECT 5") == 5 else 2
            cluster.stop()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (folder / "data" / "server").stat().st_uid == nobody.pw_uid
    with pytest.raises(StorageError, match="belongs to user nobody"):
        Cluster(folder / "data", programs=programs).start()


def test_a_folder_without_a_server_is_refused_with_a_sentence(folder, monkeypatch):
    with pytest.raises(SettingsError, match=r"no PostgreSQL server to run.*expected 15 to 18"):
        Cluster(folder / "data", programs=folder).start()
    monkeypatch.setenv("VO_POSTGRES_BIN", str(folder))
    with pytest.raises(SettingsError, match="looked in that folder"):
        find_programs()


def test_a_folder_that_cannot_be_written_is_refused_with_a_sentence():
    with pytest.raises(StorageError, match="cannot write in /proc/nothing"):
        Cluster(Path("/proc/nothing")).start()


def test_another_database_can_be_made_from_a_template(cluster):
    cluster.create_database("vo_first")
    owner = psycopg2.connect(cluster.url(OWNER, "vo_first"))
    with owner, owner.cursor() as cursor:
        cursor.execute("CREATE SCHEMA s; CREATE TABLE s.t AS SELECT 3 AS x")
    owner.close()
    settings = cluster.create_database("vo_second", template="vo_first")
    assert ask(settings.owner_url, "SELECT x FROM s.t") == 3
    for name in ("vo_first", "vo_second"):
        cluster.drop_database(name)
