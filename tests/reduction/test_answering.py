"""Which targets a question of many stale ones makes first, and what it says of their number."""

from __future__ import annotations

__all__: list[str] = []

from typing import TYPE_CHECKING

import pytest

from reduction import answering
from reduction.freshness import Fresh, targets_in_scope
from reduction.instruments.base import FrameKind
from reduction.operate import find_target
from reduction.published import dataset_classes
from reduction.scope import Scope
from schemas.errors import StaleError
from schemas.tables import Target
from sia.resolve import scope_of
from tests.support.toy import write_frame

if TYPE_CHECKING:
    from pathlib import Path

    from reduction.archive import Archive


def test_all_that_is_stale_is_counted_where_nothing_may_be_made(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for night in ("2020-03-01", "2020-03-02", "2020-03-03"):
        for number in range(2):
            name = f"{night}-{number}"
            write_frame(tmp_path, name, FrameKind.BIAS, 100, night=night, hour=number / 10)
    archive.ingest(sorted(tmp_path.glob("2020-03*.fits")))
    monkeypatch.setattr(answering, "_AT_ONCE", 2)
    scope = Scope(classes=frozenset(("ToyBias",)))
    with (
        pytest.raises(StaleError, match=r"stale targets: 3 \("),
        archive.snapshot(scope, fresh=Fresh.REQUIRE, timeout_s=5),
    ):
        pass


def test_an_image_that_is_asked_for_by_name_is_looked_at_though_its_class_is_published_no_more(
    archive: Archive, night: Path
) -> None:
    image = find_target(archive, "ToyImage")
    with archive.transaction() as session:
        session.get_one(Target, image.target_id).dataset_id = "ivo://toy/image"
    assert "ToyImage" not in dataset_classes(archive.registry)
    scope = scope_of(archive, ["ivo://toy/image"])
    with archive.snapshot(scope, fresh=Fresh.ANY, timeout_s=5) as answering:
        found = dict(targets_in_scope(answering.connection, scope))
    assert found[image.target_id] == "missing"


def test_a_retry_asks_for_a_part_of_what_was_asked_for_before() -> None:
    stale = list(range(9000, 3000, -1))
    first = answering._first_block(stale)
    assert first == list(range(3001, 4096))
    left = [number for number in stale if number not in first[:500]]
    assert answering._first_block(left) == first[500:]


def test_what_may_be_made_at_once_is_made_at_once_however_far_apart_its_numbers() -> None:
    few = [5, 70_000, 1_000_000_007]
    assert answering._first_block(few) == few
    many = list(range(7, 10_000_000, 1000))
    assert 1000 < len(answering._first_block(many)) <= 2000
    dense = [*range(3000), 10_000_000]
    assert 1000 < len(answering._first_block(dense)) <= 2000
