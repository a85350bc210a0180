"""Fixtures of the tests of making: an archive with the toy camera, a night in it."""

from __future__ import annotations

__all__: list[str] = []

from typing import TYPE_CHECKING

import pytest

from reduction.archive import Archive
from reduction.instruments.base import FrameKind
from schemas.settings import ReductionSettings
from tests.support.archives import opened_archive
from tests.support.toy import write_frame

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from schemas.settings import DatabaseSettings

PLUGIN = "tests.support.toy"


@pytest.fixture
def work_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """File to which the toy recipes write each computation."""
    path = tmp_path / "work.log"
    monkeypatch.setenv("VO_TOY_LOG", str(path))
    return path


@pytest.fixture
def plugins() -> tuple[str, ...]:
    """Modules that the archive knows; of a test's own if it needs others."""
    return (PLUGIN,)


@pytest.fixture
def archive(
    fresh_database: DatabaseSettings, tmp_path: Path, plugins: tuple[str, ...]
) -> Iterator[Archive]:
    """An empty archive that knows the toy camera."""
    toy = ReductionSettings(plugins=plugins)
    with opened_archive(fresh_database, tmp_path / "files", reduction=toy) as made:
        yield made


@pytest.fixture
def night(archive: Archive, tmp_path: Path) -> Path:
    """Folder of an ingested night: three biases, two flats, one science frame."""
    folder = tmp_path / "raw"
    folder.mkdir()
    for number, level in enumerate((100, 102, 104)):
        write_frame(folder, f"bias{number}", FrameKind.BIAS, level, hour=number / 100)
    for number in range(2):
        write_frame(folder, f"flat{number}", FrameKind.DOME_FLAT, 1102, hour=1 + number / 100)
    write_frame(folder, "science", FrameKind.SCIENCE, 302, hour=2)
    report = archive.ingest([folder])
    assert (report.ingested, report.refused) == (6, [])
    return folder
