"""DataLink lists image, cutout service and raw frame of every identifier, each failing alone."""

from __future__ import annotations

import pytest

from schemas.dali import parse_params
from schemas.values import Circle, Polygon
from sia import soda
from sia.datalink import COLUMNS, MOST_IDS, PARAMS, run
from sia.regions import contains, to_vectors
from tests.sia.conftest import ask, table

NAMES = [column.name for column in COLUMNS]


@pytest.mark.standard("DataLink-1.1", "3.2")
def test_columns_are_those_of_the_standard() -> None:
    required = "ID access_url service_def error_message description semantics content_type"
    assert NAMES[:8] == [*required.split(), "content_length"]
    length = COLUMNS[7]
    assert (length.datatype, length.unit) == ("long", "byte")


def test_a_dataset_has_its_file_its_cutouts_and_its_raw_frame(archive, images) -> None:
    image = images["plain"]
    result = run(ask(PARAMS, ID=image.did), archive)
    rows = table(result)
    assert [row["semantics"] for row in rows] == ["#this", "#cutout", "#progenitor"]
    assert {row["ID"] for row in rows} == {image.did}
    base = archive.settings.web.url
    assert rows[0]["access_url"] == f"{base}/files/{image.product_id}"
    assert rows[2]["access_url"] == f"{base}/files/{image.raw_id}"
    (descriptor,) = result.descriptors
    assert rows[1]["service_def"] == descriptor.name
    for row in rows:
        filled = [row[name] for name in ("access_url", "service_def", "error_message")]
        assert sum(value is not None for value in filled) == 1
    assert {info.name: info.value for info in result.infos}["standardID"].endswith("links-1.1")


def test_the_descriptor_says_what_can_be_cut_out(archive, images) -> None:
    image = images["wrap"]
    (descriptor,) = run(ask(PARAMS, ID=image.did), archive).descriptors
    inputs = {given.param.name: given for given in descriptor.inputs}
    assert descriptor.path == "/soda/sync"
    assert descriptor.standard_id == "ivo://ivoa.net/std/SODA#sync-1.0"
    assert inputs["ID"].value == image.did
    assert (inputs["BAND"].minimum, inputs["BAND"].maximum) == ("5.07e-07", "5.95e-07")
    assert float(inputs["TIME"].minimum) < float(inputs["TIME"].maximum)
    assert inputs["POL"].options == ("I",)
    circle, polygon = (
        Circle.parse(inputs["CIRCLE"].maximum),
        Polygon.parse(inputs["POLYGON"].maximum),
    )
    assert contains(polygon, to_vectors([image.ra], [image.dec])).all()
    lon, lat = zip(*polygon.vertices, strict=True)
    wider = Circle(circle.ra, circle.dec, circle.radius + 1e-9)
    assert contains(wider, to_vectors(lon, lat)).all()
    assert circle.radius < 0.08


def test_what_a_descriptor_offers_is_what_soda_takes(archive, images) -> None:
    """A client that sends the descriptor's own limits gets the whole image."""
    (descriptor,) = run(ask(PARAMS, ID=images["north"].did), archive).descriptors
    fixed = [(given.param.name, given.value) for given in descriptor.inputs if given.value]
    for name in ("CIRCLE", "POLYGON"):
        (largest,) = [g.maximum for g in descriptor.inputs if g.param.name == name]
        result = soda.run(parse_params(soda.PARAMS, [*fixed, (name, largest)]), archive)
        assert result.length
        assert result.length > 4 * 295 * 395


def test_identifiers_fail_each_for_itself(archive, images) -> None:
    asked = [images["far"].did, "ivo://else/where?x", images["pole"].did]
    result = run(ask(PARAMS, ID=asked), archive)
    rows = table(result)
    assert [row["ID"] for row in rows] == [asked[0]] * 3 + [asked[1]] + [asked[2]] * 3
    fault = rows[3]
    assert fault["error_message"].startswith("NotFoundFault: ")
    assert fault["semantics"] == "#this"
    assert fault["access_url"] is None
    names = [descriptor.name for descriptor in result.descriptors]
    assert len(set(names)) == 2
    assert {row["service_def"] for row in rows} - {None} == set(names)


def test_without_identifiers_the_table_is_empty_and_described(archive, images) -> None:
    result = run(ask(PARAMS), archive)
    assert table(result) == []
    assert not result.overflowed()
    assert [column.name for column in result.columns] == NAMES
    assert result.descriptors


def test_too_many_identifiers_overflow(archive, images) -> None:
    asked = [f"ivo://else/where?{number}" for number in range(MOST_IDS + 1)]
    result = run(ask(PARAMS, ID=asked), archive)
    assert len(table(result)) == MOST_IDS
    assert result.overflowed()


def test_the_past_has_the_links_of_then(archive, images) -> None:
    (row,) = table(run(ask(PARAMS, ID=images["plain"].did, ASOF="2020-01-01"), archive))
    assert row["error_message"].startswith("NotFoundFault")
