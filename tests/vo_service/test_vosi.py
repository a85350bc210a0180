"""What the service says of itself, also when the database is gone."""

from __future__ import annotations

import pytest
from lxml import etree

from reduction.archive import Archive
from schemas.settings import DatabaseSettings, Settings
from tap.adql.functions import USER_DEFINED
from vo_service.app import create_app
from vo_service.formats.choice import FORMATS

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


@pytest.fixture(scope="module")
def client():
    """The application in front of a database that does not answer."""
    database = DatabaseSettings(owner_url=NOWHERE, service_url=NOWHERE, reader_url=NOWHERE)
    archive = Archive(Settings(database=database))
    yield create_app(archive).test_client()
    archive.close()


def test_availability_tells_which_role_is_not_answered(client):
    document = etree.fromstring(client.get("/tap/availability").data)
    assert document.findtext("{*}available") == "false"
    notes = [note.text for note in document.iterfind("{*}note")]
    assert [role for role in ("reader", "service") for note in notes if role in note]
    assert client.get("/health").status_code == 503


def test_a_query_without_a_database_is_a_transient_error(client):
    answer = client.get(
        "/tap/sync",
        query_string={"LANG": "ADQL", "QUERY": "SELECT table_name FROM tap_schema.tables"},
    )
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers
    assert "TransientFault" in answer.text
    assert "postgresql" not in answer.text


def test_the_first_page_still_says_what_this_is(client):
    page = client.get("/")
    assert page.status_code == 200
    assert "At this moment" in page.text


def test_capabilities_name_every_form_function_and_limit(client):
    document = etree.fromstring(client.get("/tap/capabilities").data)
    assert document.xpath("//outputFormat/mime/text()") == [form.mime for form in FORMATS]
    forms = document.xpath("//languageFeatures[contains(@type, 'udf')]/feature/form/text()")
    assert forms == [function.signature for function in USER_DEFINED]
    assert document.xpath("//outputLimit/default/text()") == ["20000"]
    assert document.xpath("//outputLimit/hard/text()") == ["20000000"]
    assert document.xpath("//executionDuration/default/text()") == ["3600"]
    assert document.xpath("//executionDuration/hard/text()") == ["86400"]
    assert document.xpath("//uploadLimit/hard[@unit='byte']/text()") == ["50000000"]
    assert document.xpath("//version/text()") == ["2.0", "2.1"]
    examples = document.xpath("//capability[@standardID='ivo://ivoa.net/std/DALI#examples']")
    assert [one.findtext(".//accessURL") for one in examples] == [
        "http://127.0.0.1:8080/tap/examples"
    ]


def test_an_interface_is_said_where_it_is(client):
    base = "http://127.0.0.1:8080"
    for path, resource in (("sia2", "query"), ("soda", "sync"), ("datalink", "links")):
        document = etree.fromstring(client.get(f"/{path}/capabilities").data)
        urls = document.xpath("//accessURL/text()")
        assert urls[0] == f"{base}/{path}/{resource}"
        assert urls[1:] == [f"{base}/{path}/capabilities", f"{base}/{path}/availability"]


def test_tables_are_described_though_their_rows_cannot_be_counted(client):
    document = etree.fromstring(client.get("/tap/tables").data)
    assert document.xpath("//table/name[. = 'ivoa.obscore']")
    assert not document.xpath("//nrows")


def test_a_table_that_is_not_there_is_404(client):
    assert client.get("/tap/tables/ivoa.obscore").status_code == 200
    assert client.get("/tap/tables/IVOA.ObsCore").status_code == 200
    assert client.get("/tap/tables/nothing").status_code == 404


def test_a_request_that_is_too_large_is_refused_before_it_is_read(client):
    answer = client.post(
        "/tap/sync",
        environ_overrides={"CONTENT_LENGTH": "999999999"},
        content_type="application/x-www-form-urlencoded",
    )
    assert answer.status_code == 413


def test_an_address_that_anybody_can_claim_is_not_believed(client, caplog):
    caplog.set_level("INFO")
    client.get("/tap/capabilities", headers={"X-Forwarded-For": "198.51.100.7"}).close()
    assert [record.address for record in caplog.records if record.message == "request"] == [
        "127.0.0.1"
    ]


def test_the_first_page_tells_the_limits(client):
    page = client.get("/").text
    for limit in ("20,000", "20,000,000", "60 s", "50,000,000 bytes", "Retry-After"):
        assert limit in page
