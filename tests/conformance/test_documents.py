"""Every document the service gives, judged by schemas and STILTS."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

_SCRIPT = Path(__file__).parents[3] / "shared" / "xsd" / "validate.sh"
_ASYNC_IS_NOT_OFFERED = {"QAS", "UPL", "UWS"}
# taplint 3.4.7 knows outlines as STC-S text alone, not as DALI's polygon
_OLDER_THAN_DALI = {("OBS", "TYPX")}

needs_stilts = pytest.mark.skipif(shutil.which("stilts") is None, reason="needs stilts")


def sync(query, **more):
    return "/tap/sync?" + urllib.parse.urlencode({"LANG": "ADQL", "QUERY": query, **more})


DOCUMENTS = {
    "tap capabilities": "/tap/capabilities",
    "tap availability": "/tap/availability",
    "tables": "/tap/tables",
    "tables without columns": "/tap/tables?detail=min",
    "one table": "/tap/tables/ivoa.obscore",
    "sia capabilities": "/sia2/capabilities",
    "sia availability": "/sia2/availability",
    "soda capabilities": "/soda/capabilities",
    "soda availability": "/soda/availability",
    "datalink capabilities": "/datalink/capabilities",
    "datalink availability": "/datalink/availability",
}
VOTABLES = {
    "sources": sync("SELECT TOP 20 * FROM archive.sources"),
    "sources as text": sync("SELECT TOP 20 * FROM archive.sources", RESPONSEFORMAT="votable/td"),
    "overflow": sync("SELECT * FROM tap_schema.columns", MAXREC=2),
    "no rows": sync("SELECT * FROM tap_schema.columns", MAXREC=0),
    "images as text": sync("SELECT * FROM ivoa.obscore", RESPONSEFORMAT="votable/td"),
    "expressions": sync(
        "SELECT table_name, COUNT(*) AS n, MIN(column_index) AS first FROM tap_schema.columns "
        "GROUP BY table_name"
    ),
    "wrong column": sync("SELECT nothing FROM ivoa.obscore"),
    "wrong syntax": sync("SELECT"),
    "images": "/sia2/query?POS=CIRCLE+150+2+10",
    "wrong place": "/sia2/query?POS=CIRCLE+150",
    "unknown links": "/datalink/links?ID=ivo%3A%2F%2Fnobody%2Fnothing",
    "no links": "/datalink/links",
}


def fetched(observatory, path, folder):
    file = folder / "document.xml"
    try:
        with urllib.request.urlopen(observatory.url + path, timeout=60) as answer:
            file.write_bytes(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            file.write_bytes(error.read())
    return file


@pytest.mark.parametrize("name", [*DOCUMENTS, *VOTABLES])
def test_a_document_is_valid_against_both_sets_of_schemas(observatory, name, tmp_path):
    if not _SCRIPT.exists() or shutil.which("xmllint") is None:
        pytest.skip("needs ../shared/xsd and xmllint")
    file = fetched(observatory, {**DOCUMENTS, **VOTABLES}[name], tmp_path)
    ran = subprocess.run(["/bin/sh", _SCRIPT, file], capture_output=True, text=True, check=False)
    assert ran.stdout.count("PASS") == 2, ran.stdout + file.read_text()[:2000]


@needs_stilts
@pytest.mark.parametrize("name", list(VOTABLES))
def test_votlint_has_nothing_to_say(observatory, name, tmp_path):
    file = fetched(observatory, VOTABLES[name], tmp_path)
    ran = subprocess.run(
        ["stilts", "votlint", f"votable={file}", "ucd=true", "unit=true"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout + ran.stderr == ""


@needs_stilts
@pytest.mark.slow
def test_taplint_finds_no_fault(observatory):
    ran = subprocess.run(
        [
            *("stilts", "taplint", f"tapurl={observatory.url}/tap"),
            *("format=json", "report=EWF", "maxrepeat=5"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    faults = [
        (section["code"], report["code"], report["text"])
        for section in json.loads(ran.stdout)["sections"]
        for report in section["reports"]
        if report["level"] in {"ERROR", "WARNING"}
        and section["code"] not in _ASYNC_IS_NOT_OFFERED
        and (section["code"], report["code"]) not in _OLDER_THAN_DALI
    ]
    assert faults == []


@needs_stilts
def test_stilts_asks_and_reads_the_answer(observatory):
    ran = subprocess.run(
        [
            *("stilts", "tapquery", f"tapurl={observatory.url}/tap", "sync=true"),
            "adql=SELECT table_name FROM tap_schema.tables WHERE schema_name = 'tap_schema'",
            "ofmt=csv",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "tap_schema.columns" in ran.stdout


@needs_stilts
def test_datalinklint_finds_no_fault(observatory, tmp_path):
    query = sync("SELECT TOP 1 obs_publisher_did FROM ivoa.obscore", RESPONSEFORMAT="csv")
    did = fetched(observatory, query, tmp_path).read_text().split()[1]
    url = f"{observatory.url}/datalink/links?" + urllib.parse.urlencode({"ID": did})
    ran = subprocess.run(
        ["stilts", "datalinklint", f"votable={url}"], capture_output=True, text=True, check=False
    )
    assert "Errors: 0" in ran.stdout, ran.stdout
