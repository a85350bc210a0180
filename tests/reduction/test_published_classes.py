"""Classes that are published from one start on, and no longer from another: what is found."""

from __future__ import annotations

__all__: list[str] = []

from typing import TYPE_CHECKING, Any

import psycopg2
import pytest
from sqlalchemy import text

import reduction.redeclare
from reduction.attributes import attribute
from reduction.depends import of_frame, raw_frame
from reduction.fields import FieldSpec, declare_field
from reduction.instruments.base import FrameKind
from reduction.operate import find_target, sync_recipes
from reduction.published import dataset_classes, published_schemas
from reduction.target import FrameInFieldTarget, FrameTarget, Inputs, Made
from schemas.database import migrate
from schemas.errors import NotFoundError
from sia.resolve import find, scope_of
from tests.support.toy import ToyImage, write_frame

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reduction.archive import Archive

FIELD = FieldSpec("deep", 10.0, 20.0, 0.05, pixel_scale=0.5)
#: What ObsCore says of an image of the toy camera.
FACTS = {
    "obs_id": "toy",
    "calib_level": 2,
    "dataproduct_subtype": "ToyShown",
    "s_ra": 10.0,
    "s_dec": 20.0,
    "s_fov": 0.003,
    "s_region": [9.99, 19.99, 10.01, 19.99, 10.01, 20.01, 9.99, 20.01],
    "s_xel1": 8,
    "s_xel2": 8,
    "t_min": 58849.0,
    "t_max": 58849.0,
    "t_exptime": 0.0,
    "facility_name": "Desk",
    "instrument_name": "toy",
}


class ToyShown(FrameTarget):
    """An image as ObsCore has it, whether it is published or not."""

    raw = raw_frame("RawScienceFrame")
    level = attribute(float, "level", unit="adu", ucd="stat.mean")

    def compute(self, inputs: Inputs, parameters: object) -> Made:
        """Hand on."""
        image = inputs.raw.images["RAW"]
        level = float(image.mean())
        return Made(images={"IMAGE": image}, attributes={"level": level}, obscore=dict(FACTS))


class ToyPlaced(FrameInFieldTarget):
    """The same for a field."""

    image = of_frame("ToyImage")
    level = attribute(float, "level", unit="adu", ucd="stat.mean")

    def compute(self, inputs: Inputs, parameters: object) -> Made:
        """Hand on."""
        image, level = inputs.image.images["IMAGE"], inputs.image["level"]
        return Made(images={"IMAGE": image}, attributes={"level": level}, obscore=dict(FACTS))


@pytest.fixture
def shown(archive: Archive, night: Path, work_log: Path) -> Iterator[type[ToyShown]]:
    """The class, known and not published, with a product."""
    archive.registry.classes.update({"ToyShown": ToyShown, "ToyPlaced": ToyPlaced})
    sync_recipes(archive)
    ToyShown.get(raw="science.fits")
    yield ToyShown
    ToyShown.PUBLISHED = ToyPlaced.PUBLISHED = False


def publish(archive: Archive, *classes: type[Any], yes: bool = True) -> None:
    """Start with code that publishes some classes, or does not."""
    for cls in classes:
        cls.PUBLISHED = yes
    sync_recipes(archive)


def searched(archive: Archive, asof: str = "") -> list[str]:
    """Identifiers that searches find, now or as of a moment."""
    with archive.transaction() as session:
        session.execute(text("SELECT set_config('vo.asof', :asof, true)"), {"asof": asof})
        query = "SELECT obs_publisher_did FROM ivoa.obscore ORDER BY 1"
        return list(session.scalars(text(query)))


def now(archive: Archive) -> str:
    with archive.transaction() as session:
        return str(session.scalar(text("SELECT value FROM vo.service_fact WHERE name = 'moment'")))


def linked(archive: Archive, did: str) -> int:
    """Product that links and cutouts of an identifier are of."""
    with archive.snapshot(scope_of(archive, [did]), timeout_s=10) as answering:
        dataset, covered = find(archive, answering, did)
    assert covered.obs_publisher_did == did
    return dataset.product_id


def test_a_class_that_is_published_now_is_found_with_all_that_it_made(
    archive: Archive, shown: type[ToyShown]
) -> None:
    made = ToyShown.get(raw="science.fits")
    assert find_target(archive, "ToyShown").dataset_id is None
    assert searched(archive) == []
    before = now(archive)
    publish(archive, ToyShown)
    did = archive.dataset_id(find_target(archive, "ToyShown").identity)
    assert searched(archive) == [did]
    assert searched(archive, before) == []
    assert linked(archive, did) == made.object_id == ToyShown.get(raw="science.fits").object_id
    assert "ToyShown" in dataset_classes(archive.registry)
    tables = [t for s in published_schemas(archive.registry) for t in s.tables]
    assert "ToyShown" in next(t.freshness for t in tables if t.qualified_name == "ivoa.obscore")


def test_a_class_that_is_published_no_longer_keeps_its_identifiers_for_who_knows_them(
    archive: Archive, shown: type[ToyShown], night: Path
) -> None:
    made = ToyShown.get(raw="science.fits")
    publish(archive, ToyShown)
    (did,) = searched(archive)
    then = now(archive)
    publish(archive, ToyShown, yes=False)
    assert searched(archive) == []
    assert searched(archive, then) == [did]
    assert linked(archive, did) == made.object_id
    assert ToyShown.get(raw="science.fits").raw.object_id == made.raw.object_id
    archive.ingest([write_frame(night, "late", FrameKind.SCIENCE, 402, hour=3)])
    ToyShown.get(raw="late.fits")
    with pytest.raises(NotFoundError, match="no published dataset"):
        linked(archive, archive.dataset_id(find_target(archive, "ToyShown", raw="late").identity))
    hidden = now(archive)
    publish(archive, ToyShown)
    assert len(searched(archive)) == 2
    assert did in searched(archive)
    assert searched(archive, hidden) == []


def test_what_a_killed_start_has_named_is_found_when_all_is(
    archive: Archive, shown: type[ToyShown], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(reduction.redeclare, "_end", killed)
    with pytest.raises(KeyboardInterrupt):
        publish(archive, ToyShown)
    assert find_target(archive, "ToyShown").dataset_id is not None
    assert searched(archive) == []
    monkeypatch.undo()
    publish(archive, ToyShown)
    assert len(searched(archive)) == 1


def test_targets_of_a_field_get_their_identifiers_as_well(
    archive: Archive, shown: type[ToyShown]
) -> None:
    declare_field(archive, FIELD)
    ToyPlaced.get(field="deep")
    publish(archive, ToyPlaced)
    assert searched(archive) == [archive.dataset_id(find_target(archive, "ToyPlaced").identity)]


def test_sources_of_a_frame_are_there_once_however_many_of_its_images_are_published(
    archive: Archive, shown: type[ToyShown]
) -> None:
    publish(archive, ToyShown)
    image = ToyImage.get(raw="science.fits")
    with archive.transaction() as session:
        session.execute(
            text(
                "INSERT INTO vo.source (product_id, source_number, ra, dec, flags) "
                "VALUES (:product, 0, 10, 20, 0)"
            ),
            {"product": image.object_id},
        )
        found = session.execute(text("SELECT obs_publisher_did FROM archive.sources")).all()
    assert [did for (did,) in found] == [find_target(archive, "CalibratedScienceFrame").dataset_id]


def test_an_archive_of_before_names_what_it_had_left_out_and_says_one_range(
    archive: Archive, shown: type[ToyShown], night: Path
) -> None:
    archive.ingest([write_frame(night, "second", FrameKind.SCIENCE, 402, hour=3)])
    publish(archive, ToyShown)
    ToyShown.get(raw="second.fits")
    then = now(archive)
    bias = ToyImage.get(raw="science.fits").bias
    with (
        psycopg2.connect(archive.settings.database.owner_url) as owner,
        owner.cursor() as cursor,
    ):
        cursor.execute(
            "UPDATE vo.target SET dataset_id = NULL WHERE identity ~ 'ToyShown.*second'"
        )
        cursor.execute(
            "UPDATE vo.product SET timestamp_start = timestamp_start + 1 WHERE product_id = %s",
            (bias.object_id,),
        )
        cursor.execute("UPDATE vo.alembic_version SET version_num = '0015'")
    owner.close()
    assert None in searched(archive)
    migrate(archive.settings.database.owner_url)
    sync_recipes(archive)
    assert len(searched(archive)) == 2
    assert None not in searched(archive)
    target = find_target(archive, "ToyBias")
    query = text("SELECT timestamp_start FROM archive.products WHERE object_id = :number")
    with archive.transaction() as session:
        assert session.scalar(query, {"number": bias.object_id}) == target.validity_start
        session.execute(text("SELECT set_config('vo.asof', :asof, true)"), {"asof": then})
        assert session.scalar(query, {"number": bias.object_id}) == target.validity_start + 1
    assert now(archive) > then
