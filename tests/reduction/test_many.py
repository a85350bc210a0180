"""Many targets at once: what is asked of the database does not grow with their number."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from reduction.archive import Archive
from reduction.causes import causes_of
from reduction.chain import Examiner
from reduction.costs import expected_s
from reduction.fetch import fetch
from reduction.fields import FieldSpec, declare_field
from reduction.freshness import Fresh
from reduction.instruments.base import FrameKind
from reduction.listing import listed
from reduction.operate import edit, find_target, targets_matching
from reduction.recipe_edits import mark_class
from reduction.scope import Scope
from schemas.settings import ReductionSettings
from schemas.tables import Target
from tests.support.archives import opened_archive
from tests.support.toy import write_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from schemas.settings import DatabaseSettings

FIELD = FieldSpec("deep", 10.0, 20.0, 0.05, pixel_scale=0.5)
CHAIN = ("ToyBias", "ToyFlat", "ToyMap", "ToyImage", "ToyRegridded", "ToyCoadd")
FEW, MANY = 10, 100


@pytest.fixture
def archive(fresh_database: DatabaseSettings, tmp_path: Path) -> Iterator[Archive]:
    """An empty archive that knows the toy camera and its classes of fields."""
    plugins = ("tests.support.toy", "tests.support.toy_field")
    toy = ReductionSettings(plugins=plugins)
    with opened_archive(fresh_database, tmp_path / "files", reduction=toy) as made:
        yield made


@contextmanager
def statements(archive: Archive) -> Iterator[list[str]]:
    said: list[str] = []

    def note(*words: object) -> None:
        said.append(str(words[2]))

    event.listen(archive.database.service, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(archive.database.service, "before_cursor_execute", note)


def mark(archive: Archive, *classes: str) -> None:
    for name in classes:
        archive.transact(lambda session, name=name: mark_class(session, name, None))


def fetched(archive: Archive, target: Target) -> Callable[[], Any]:
    """Fetch what a target is made from, all of it."""
    mark(archive, *CHAIN)
    with archive.examining() as session:
        verdict = Examiner(session, archive.registry).verdict(
            session.get_one(Target, target.target_id)
        )
        session.expunge_all()
    cls = archive.registry.target(target.class_name)

    def work() -> None:
        with archive.transaction() as session:
            inputs = fetch(archive, session, verdict, cls)
        assert len(inputs.regridded) == len(targets_matching(archive, "ToyRegridded"))
        assert all(one.raw["name"] for one in inputs.regridded)

    return work


def questions(archive: Archive) -> Iterator[tuple[str, Callable[[], Any]]]:
    """What people and services ask, each of the archive as it is left by the one before."""
    coadd = find_target(archive, "ToyCoadd")
    images = [target.target_id for target in targets_matching(archive, "ToyImage")]
    scope = Scope(classes=frozenset(("ToyImage", "ToyRegridded")))

    def answer() -> None:
        with archive.snapshot(scope, fresh=Fresh.REQUIRE, timeout_s=60) as found:
            assert found.report.failed == found.report.stale == 0

    yield "fetch", fetched(archive, coadd)
    yield "plan of suspects", lambda: archive.plan([coadd.target_id])
    yield "plan of what is right", lambda: archive.plan([coadd.target_id])
    mark(archive, *CHAIN)
    yield "answer from suspects", answer
    yield "answer", answer
    yield "why", lambda: causes_of(archive, [coadd.target_id])
    yield "why of many", lambda: causes_of(archive, images)
    yield "list", lambda: listed(archive, "ToyImage")
    yield "cost", lambda: expected_s(archive, images)
    raw = listed(archive, "RawBiasFrame")[0].product
    edit(archive, raw.product_id, "is_valid", 0, why="light leak")
    yield "plan of what is stale", lambda: archive.plan([coadd.target_id])
    yield "why it is stale", lambda: causes_of(archive, [coadd.target_id])
    archive.make([find_target(archive, name).target_id for name in ("ToyMap", "ToyFlat")])
    yield "plan of what has to be made", lambda: archive.plan([coadd.target_id])
    edit(archive, raw.product_id, "is_valid", 1, why="it was the moon")
    archive.make([find_target(archive, name).target_id for name in ("ToyMap", "ToyFlat")])
    yield "plan of what is right again", lambda: archive.plan([coadd.target_id])
    for item in listed(archive, "RawScienceFrame"):
        edit(archive, item.product.product_id, "is_valid", 0, why="clouds")
    yield "plan of what cannot be made", lambda: archive.plan([coadd.target_id])
    yield "why it cannot be made", lambda: causes_of(archive, [coadd.target_id])
    for item in listed(archive, "RawScienceFrame", is_valid=0):
        edit(archive, item.product.product_id, "is_valid", 1, why="thin ones")


@pytest.mark.slow
def test_a_field_of_many_frames_asks_the_database_as_often_as_one_of_few(
    archive: Archive, night: Path, work_log: Path
) -> None:
    declare_field(archive, FIELD)
    asked: dict[str, list[int]] = {}
    for number in range(1, MANY):
        level, hour = 310 + 2 * number, 3 + number / 9
        write_frame(night, f"s{number}", FrameKind.SCIENCE, level, hour=hour)
        if number + 1 in (FEW, MANY):
            archive.ingest([night])
            archive.make([find_target(archive, "ToyCoadd").target_id])
            for name, ask in questions(archive):
                with statements(archive) as said:
                    ask()
                asked.setdefault(name, []).append(len(said))
    # verdicts are written down in parts of 200 targets, each in some six statements
    grown = {name: counts for name, counts in asked.items() if counts[1] - counts[0] > 8}
    assert grown == {}
