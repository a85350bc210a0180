"""Every example runs as it stands, gives rows, and is found by clients."""

from __future__ import annotations

import shutil
import subprocess
import urllib.request

import pytest
import pyvo
from lxml import etree

from schemas.published import FIXED_SCHEMAS
from tap.adql import Catalogue, check, parse
from tap.examples import EXAMPLES, SOMEWHERE, Place, offered
from vo_service.examples import examples_document

TABLES = [table for schema in FIXED_SCHEMAS for table in schema.tables]
XHTML = {"h": "http://www.w3.org/1999/xhtml"}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_reads_the_tables_that_it_names(example):
    with_its_own = Catalogue([table for table in TABLES if table.qualified_name in example.tables])
    assert check(parse(example.at(SOMEWHERE)), with_its_own).columns


def test_an_example_is_offered_where_all_its_tables_are():
    assert offered(table.qualified_name for table in TABLES) == EXAMPLES
    some = offered(["archive.targets", "archive.sources"])
    assert {example.name for example in some} >= {"cone", "freshness"}
    assert "lineage" not in {example.name for example in some}


@pytest.mark.standard("DALI-1.1", "2.3")
def test_the_document_says_each_example_so_that_machines_find_it():
    queries = [(e, e.at(Place(10.0, -5.0)), "http://x/run") for e in EXAMPLES]
    page = etree.fromstring(examples_document(queries))
    marked = page.xpath("//*[@typeof='example']")
    assert [each.get("id") for each in marked] == [
        example.name for example in EXAMPLES if example.language == "2.0"
    ]
    for each in marked:
        assert each.get("resource") == "#" + each.get("id")
        assert len(each.xpath(".//*[@property='name']")) == 1
        assert each.xpath(".//*[@property='capability']/text()") == ["ivo://ivoa.net/std/TAP"]
    cone = page.xpath("//*[@id='cone']//*[@property='query']/text()", namespaces=XHTML)
    assert cone == [EXAMPLES[0].at(Place(10.0, -5.0))]
    assert len({example.name for example in EXAMPLES}) == len(EXAMPLES)


def test_every_example_gives_rows(observatory):
    service = pyvo.dal.TAPService(observatory.url + "/tap")
    with urllib.request.urlopen(observatory.url + "/tap/examples", timeout=60) as answer:
        assert answer.headers["Content-Type"].startswith("application/xhtml+xml")
        page = etree.fromstring(answer.read())
    queries = page.xpath("//h:pre/text()", namespaces=XHTML)
    assert len(queries) == len(EXAMPLES)
    empty = [query for query in queries if len(service.search(query)) == 0]
    assert empty == []


def test_an_example_runs_by_its_link(observatory):
    with urllib.request.urlopen(observatory.url + "/", timeout=60) as answer:
        page = etree.HTML(answer.read())
    links = page.xpath("//a[. = 'Run it']/@href")
    assert len(links) == len(EXAMPLES)
    with urllib.request.urlopen(links[0], timeout=60) as answer:
        assert answer.status == 200


@pytest.mark.skipif(shutil.which("stilts") is None, reason="needs stilts")
def test_taplint_runs_the_examples_without_a_complaint(observatory):
    ran = subprocess.run(
        [
            *("stilts", "taplint", f"tapurl={observatory.url}/tap"),
            *("stages=TME CAP EXA", "report=EWF", "maxrepeat=5"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not [line for line in ran.stdout.splitlines() if line[:2] in {"E-", "W-", "F-"}]
