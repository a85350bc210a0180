from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from schemas.errors import SettingsError, StorageError
from schemas.settings import load_settings
from vo_service.home import Home, environment, said_plainly


@pytest.fixture
def folder():
    path = Path(tempfile.mkdtemp(prefix="vo-home-"))
    path.chmod(0o711)
    yield path
    cluster = Home(path / "data").cluster
    if cluster is not None:
        cluster.stop()
    shutil.rmtree(path)


def test_a_new_folder_gets_a_private_database_and_its_own_files(folder, monkeypatch):
    settings = Home(folder / "data").settings()
    assert settings.database.reader_url.startswith("postgresql://vo_reader@/vo?host=")
    assert settings.storage.root == folder / "data" / "files"
    for name, text in environment(settings).items():
        monkeypatch.setenv(name, text)
    assert load_settings() == settings


def test_a_database_of_the_settings_is_used_instead(folder, monkeypatch):
    monkeypatch.setenv("VO_DATABASE__SERVICE_URL", "postgresql://elsewhere/vo")
    home = Home(folder / "data")
    assert home.cluster is None
    with pytest.raises(SettingsError, match="VO_DATABASE__OWNER_URL"):
        home.settings()
    monkeypatch.setenv("VO_DATABASE__OWNER_URL", "postgresql://elsewhere/vo")
    assert Home(folder / "data").settings().database.owner_url == "postgresql://elsewhere/vo"


def test_a_folder_that_cannot_be_made_is_refused_with_a_sentence():
    with pytest.raises(StorageError, match="/proc/data"):
        Home(Path("/proc/data")).prepare()


def test_a_full_disk_is_said_so():
    words = (errno.ENOSPC, os.strerror(errno.ENOSPC))
    said = said_plainly(OSError(*words, "/d/files/x"), Path("/d"))
    assert said.startswith("no space left in /d: make room, or name another folder with --data")
    assert said_plainly(OSError(*words), Path("/d")) == "no space left on the disk: make room"


def test_only_what_fails_in_the_data_folder_is_blamed_on_it():
    error = PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/d/run/x")
    assert "--data" in said_plainly(error, Path("/d"))
    assert said_plainly(error, Path("/elsewhere")) == "/d/run/x: Permission denied"
    assert said_plainly(OSError("not a gzip file"), Path("/d")) == "not a gzip file"
