"""Published images are found under the identifier that they are published by."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg2
import pytest
from sqlalchemy import text

from reduction.archive import Archive
from reduction.datasets import find_product
from reduction.fields import FieldSpec, close_field, declare_field
from reduction.instruments.base import FrameKind
from reduction.operate import find_target
from schemas.database import migrate
from schemas.errors import NotFoundError
from tests.support.toy import ToyImage, write_frame
from tests.support.toy_field import ToyCoadd

if TYPE_CHECKING:
    from pathlib import Path

    from reduction.datasets import Dataset

FIELD = FieldSpec("deep", 10.0, 20.0, 0.05, pixel_scale=0.5)


@pytest.fixture
def plugins() -> tuple[str, ...]:
    """The toy camera and its classes of fields."""
    return ("tests.support.toy", "tests.support.toy_field")


def found(archive: Archive, dataset_id: str) -> Dataset:
    with archive.database.snapshot(timeout_s=10) as connection:
        return archive.dataset(connection, dataset_id)


def test_an_image_that_is_published_for_another_target_is_found_under_that_ones_identifier(
    archive: Archive, night: Path, work_log: Path
) -> None:
    archive.ingest([write_frame(night, "second", FrameKind.SCIENCE, 402, hour=3)])
    products = [ToyImage.get(raw=f"{name}.fits").object_id for name in ("science", "second")]
    targets = [find_target(archive, "ToyImage", raw=f"{n}.fits") for n in ("science", "second")]
    with archive.transaction() as session:
        for target, name in zip(targets, ("ivo://a", "ivo://b"), strict=True):
            session.execute(
                text("UPDATE vo.target SET dataset_id = :name WHERE target_id = :number"),
                {"name": name, "number": target.target_id},
            )
        session.execute(text("UPDATE vo.publication SET published_to = clock_timestamp()"))
        session.execute(
            text("INSERT INTO vo.publication (target_id, product_id) VALUES (:target, :product)"),
            {"target": targets[1].target_id, "product": products[0]},
        )
    shown = found(archive, "ivo://b")
    assert (shown.dataset_id, shown.product_id) == ("ivo://b", products[0])
    with pytest.raises(NotFoundError, match="no published dataset has the identifier 'ivo://a'"):
        found(archive, "ivo://a")
    with archive.database.snapshot(timeout_s=10) as connection:
        shown = find_product(connection, archive.storage, products[0])
        assert (shown.dataset_id, shown.product_id) == ("ivo://b", products[0])
        superseded = find_product(connection, archive.storage, products[1])
        assert (superseded.dataset_id, superseded.product_id) == ("ivo://b", products[1])


def test_a_field_that_was_given_the_products_of_another_has_its_own_after_an_upgrade(
    archive: Archive, night: Path, work_log: Path
) -> None:
    declare_field(archive, FIELD)
    first = ToyCoadd.get(field="deep")
    close_field(archive, "deep", why="another clipping")
    declare_field(archive, replace(FIELD, name="deep-2"))
    ToyCoadd.get(field="deep-2")
    number = find_target(archive, "ToyCoadd", field="deep-2").target_id
    with (
        psycopg2.connect(archive.settings.database.owner_url) as owner,
        owner.cursor() as cursor,
    ):
        cursor.execute(
            "UPDATE vo.target SET product_id = %s WHERE target_id = %s", (first.object_id, number)
        )
        cursor.execute("UPDATE vo.alembic_version SET version_num = '0013'")
    migrate(archive.settings.database.owner_url)
    assert find_target(archive, "ToyCoadd", field="deep-2").state == "suspect"
    assert ToyCoadd.get(field="deep-2").object_id != first.object_id
