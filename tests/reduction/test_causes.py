"""What is wrong is followed to its root, and what was left out is named with the reason."""

from __future__ import annotations

__all__: list[str] = []

from typing import TYPE_CHECKING

import pytest

from reduction.archive import Archive
from reduction.causes import causes_of
from reduction.fields import FieldSpec, close_field, declare_field
from reduction.freshness import targets_in_scope
from reduction.instruments.base import FrameKind
from reduction.operate import edit, find_target, initialise, status, sync_recipes
from reduction.scope import Scope
from schemas.settings import ReductionSettings, Settings, StorageSettings
from tests.support.toy import ToyBias, ToyCatalogue, write_frame
from tests.support.toy_field import ToyCoadd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reduction.causes import Cause
    from schemas.settings import DatabaseSettings

FIELD = FieldSpec("deep", 10.0, 20.0, 0.05, pixel_scale=0.5)


@pytest.fixture
def archive(fresh_database: DatabaseSettings, tmp_path: Path) -> Iterator[Archive]:
    """An empty archive that knows the toy camera and its classes of fields."""
    settings = Settings(
        database=fresh_database,
        storage=StorageSettings(root=tmp_path / "files"),
        reduction=ReductionSettings(plugins=("tests.support.toy", "tests.support.toy_field")),
    )
    opened = Archive(settings)
    initialise(settings, opened.registry)
    sync_recipes(opened)
    Archive.use(opened)
    yield opened
    opened.close()


def cause_of(archive: Archive, class_name: str, **words: str) -> Cause:
    (cause,) = causes_of(archive, [find_target(archive, class_name, **words).target_id])
    return cause


def test_a_catalogue_that_cannot_be_made_leads_to_the_frames_that_people_rejected(
    archive: Archive, night: Path, work_log: Path
) -> None:
    raws = ToyCatalogue.get(raw="science.fits").pixel_map.bias.raw_bias_frames
    for raw in raws[:2]:
        edit(archive, raw.object_id, "is_valid", 0, why="light leak", who="ann")
    cause = cause_of(archive, "ToyCatalogue")
    assert cause.said == "unmakeable"
    names = [below.name for below in cause.everything_below()]
    assert "ToyBias/toy/t1/2020-01-01" in names
    roots = [below for below in cause.everything_below() if not below.below]
    assert {root.said for root in roots} == {"was rejected by ann: light leak"}
    for raw in raws[:2]:
        assert f"raw frame {raw.name} (object {raw.object_id})" in names


def test_a_copy_that_is_left_out_says_what_is_used_of_its_exposure(
    archive: Archive, night: Path, tmp_path: Path, work_log: Path
) -> None:
    first, *others = ToyBias.get().raw_bias_frames
    again = tmp_path / "again"
    again.mkdir()
    archive.ingest([write_frame(again, "bias0", FrameKind.BIAS, 101)])
    for raw in others:
        edit(archive, raw.object_id, "is_valid", 0, why="light leak")

    def said() -> str:
        below = cause_of(archive, "ToyBias").below
        return next(cause.said for cause in below if "DUPLICATE" in cause.said)

    assert said().endswith(f"which is used); that is object {first.object_id}")
    edit(archive, first.object_id, "is_valid", 0, why="light leak")
    assert "nothing of its exposure is used any more: `vo-service set-valid" in said()


def test_a_frame_that_a_field_left_out_is_named_with_its_error(
    archive: Archive, night: Path, work_log: Path
) -> None:
    declare_field(archive, FIELD)
    archive.ingest([write_frame(night, "empty", FrameKind.SCIENCE, 0, hour=3.0)])
    assert ToyCoadd.get(field="deep").frames == 1
    cause = cause_of(archive, "ToyCoadd", field="deep")
    assert cause.said == "fresh"
    (left_out,) = cause.below
    assert (left_out.role, left_out.said) == ("regridded", "unmakeable")
    assert left_out.name.startswith("ToyRegridded/toy/t1/empty")
    (image,) = left_out.below
    assert image.name.startswith("ToyImage/toy/t1/empty")
    assert image.reasons[0].text.endswith(": empty.fits is empty")


def test_a_product_with_flags_is_named_with_their_words_where_it_is_passed_over(
    archive: Archive, night: Path, work_log: Path
) -> None:
    folder = night
    hot = [
        write_frame(folder, f"hot{n}", FrameKind.BIAS, 2000, night="2020-01-03", hour=n / 100)
        for n in range(2)
    ]
    flat = write_frame(folder, "late", FrameKind.DOME_FLAT, 602, night="2020-01-03", hour=1)
    archive.ingest([*hot, flat])
    cause = cause_of(archive, "ToyFlat", date="2020-01-03")
    bias = ToyBias.get(date="2020-01-03")
    cause = cause_of(archive, "ToyFlat", date="2020-01-03")
    words = f"object {bias.object_id}) is flagged LEVEL_TOO_HIGH (the level is above"
    assert words in cause.reasons[0].text
    (below,) = cause.below
    assert "is flagged LEVEL_TOO_HIGH (the level is above MAXIMUM_LEVEL)" in below.said


def test_where_nothing_is_wrong_nothing_stands_below(
    archive: Archive, night: Path, work_log: Path
) -> None:
    ToyCatalogue.get(raw="science.fits")
    cause = cause_of(archive, "ToyCatalogue")
    assert (cause.said, cause.reasons, cause.below) == ("fresh", (), ())


def test_a_target_that_is_stale_leads_to_the_frame_that_made_it_so(
    archive: Archive, night: Path, work_log: Path
) -> None:
    raw = ToyCatalogue.get(raw="science.fits").pixel_map.bias.raw_bias_frames[0]
    edit(archive, raw.object_id, "is_valid", 0, why="light leak")
    cause = cause_of(archive, "ToyCatalogue")
    assert cause.said == "stale"
    texts = [r.text for below in cause.everything_below() for r in below.reasons]
    assert f"RawBiasFrame object {raw.object_id} was rejected" in texts


def test_the_targets_of_a_closed_field_are_withdrawn_and_count_as_nothing_else(
    archive: Archive, night: Path, work_log: Path
) -> None:
    declare_field(archive, FIELD)
    coadd = ToyCoadd.get(field="deep")
    archive.ingest([write_frame(night, "empty", FrameKind.SCIENCE, 0, hour=3.0)])
    close_field(archive, "deep", why="superseded")
    scope = Scope(classes=frozenset({"ToyCoadd", "ToyRegridded"}))
    with archive.snapshot(scope, timeout_s=60) as answering:
        assert answering.report.failed == 0
        assert targets_in_scope(answering.connection, scope) == []
    assert len(ToyCoadd.filter.name == "V") == 0
    assert coadd.is_valid == 1
    assert status(archive)["ToyCoadd"] == {"withdrawn": 1}
    assert status(archive)["ToyRegridded"] == {"withdrawn": 2}
    assert "withdrawn" not in status(archive)["ToyImage"]
