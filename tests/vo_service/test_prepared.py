"""A database is made ready anew where something changed that this depends on, and only there."""

from __future__ import annotations

__all__: list[str] = []

import json
import os
import sys
from dataclasses import asdict
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import psutil
import psycopg2
import pytest
from psycopg2.extensions import parse_dsn
from sqlalchemy.exc import ProgrammingError

from schemas.database import Database
from schemas.errors import BusyError
from schemas.settings import DatabaseSettings, PublisherSettings, ReductionSettings, Settings
from vo_service.cli import main
from vo_service.opening import open_archive, prepare_database
from vo_service.prepared import is_prepared
from vo_service.state import ServiceState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vo_service.home import Home


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Folder of plugins: a module and what it imports from beside itself, and a package."""
    (tmp_path / "rooftop.py").write_text("from roofchips import GAIN\n")
    (tmp_path / "roofchips.py").write_text("GAIN = 1.0\n")
    (tmp_path / "roofs").mkdir()
    (tmp_path / "roofs" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in ("rooftop", "roofchips", "roofs", "passing"):
        sys.modules.pop(name, None)


def changed(settings: Settings, **sections: object) -> Settings:
    return settings.model_copy(update=sections)


def test_what_making_ready_depends_on_is_seen_to_change(
    fresh_database: DatabaseSettings, folder: Path
) -> None:
    plugins = ReductionSettings(plugins=("rooftop", "roofs"))
    settings = Settings(database=fresh_database, reduction=plugins)
    database = Database(settings.database)
    try:
        service = database.service
        assert not is_prepared(service, settings)
        prepare_database(settings)
        assert is_prepared(service, settings)

        for name in ("rooftop.py", "roofchips.py", "roofs/__init__.py"):
            file = folder / name
            held, when = file.read_bytes(), file.stat().st_mtime_ns
            file.write_bytes(held.replace(b"1.0", b"2.0").replace(b"import ", b"import\t") or b"#")
            os.utime(file, ns=(when, when))
            assert not is_prepared(service, settings), name
            file.write_bytes(held)
            assert is_prepared(service, settings), name
        (folder / "roofs" / ".#tiles.py").symlink_to("ann@host.1:2")
        assert is_prepared(service, settings)
        (folder / "roofs" / "tiles.py").write_text("")
        assert not is_prepared(service, settings)
        (folder / "roofs" / "tiles.py").unlink()

        for other in (
            changed(settings, publisher=PublisherSettings(title="another")),
            changed(settings, reduction=ReductionSettings(plugins=("rooftop",))),
            changed(settings, reduction=ReductionSettings(plugins=("no.such", "rooftop"))),
        ):
            assert not is_prepared(service, other)
        assert is_prepared(service, settings)
        (folder / "roofchips.py").unlink()
        assert not is_prepared(service, settings)
    finally:
        database.close()


def test_rights_that_were_lost_are_given_again(fresh_database: DatabaseSettings) -> None:
    settings = Settings(database=fresh_database)
    prepare_database(settings)
    database = Database(settings.database)
    reader = parse_dsn(fresh_database.reader_url)["user"]
    try:
        assert is_prepared(database.service, settings)
        connection = psycopg2.connect(fresh_database.owner_url)
        with connection, connection.cursor() as cursor:
            cursor.execute(f'REVOKE SELECT ON archive.products FROM "{reader}"')
        connection.close()
        assert not is_prepared(database.service, settings)
        prepare_database(settings)
        assert is_prepared(database.service, settings)
    finally:
        database.close()


def test_what_changes_during_the_work_was_not_worked_with(
    fresh_database: DatabaseSettings, folder: Path
) -> None:
    (folder / "passing.py").write_text(
        "from pathlib import Path\nPath(__file__).write_text('# edited meanwhile')\n"
    )
    plugins = ReductionSettings(plugins=("passing",))
    settings = Settings(database=fresh_database, reduction=plugins)
    prepare_database(settings)
    database = Database(settings.database)
    try:
        assert not is_prepared(database.service, settings)
        prepare_database(settings)
        assert is_prepared(database.service, settings)
    finally:
        database.close()


def test_a_command_is_refused_while_the_service_starts_or_where_it_runs_other_code(
    fresh_database: DatabaseSettings, tmp_path: Path
) -> None:
    own = psutil.Process()
    process = (own.pid, own.create_time())
    settings = Settings(database=fresh_database)
    home = cast("Home", SimpleNamespace(run=tmp_path, settings=lambda: settings))
    for children, said in (
        ({}, "is being made ready: ask again"),
        ({"engine": process}, "runs other code"),
    ):
        state = ServiceState(*process, settings.web.url, children)
        (tmp_path / "service.json").write_text(json.dumps(asdict(state)))
        with pytest.raises(BusyError, match=said):
            open_archive(home)
    prepare_database(settings)
    open_archive(home).close()


def test_a_column_that_is_not_there_is_said_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(**_words: object) -> None:
        """As a statement that names a column of tomorrow."""
        error = type("Undefined", (Exception,), {"pgcode": "42703"})()
        raise ProgrammingError("SELECT tomorrow", None, error)

    monkeypatch.setattr("vo_service.cli.cli", fails)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert "the database has not the form" in capsys.readouterr().err
