"""VOSI documents are valid and say what the declarations say."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lxml import etree

from schemas.columns import Column, ForeignKey, Schema, Table
from schemas.documents import (
    Availability,
    Feature,
    Limits,
    Mount,
    OutputFormat,
    TableAccess,
    availability_document,
    capabilities_document,
    table_document,
    tables_document,
)
from schemas.tap_schema import TAP_SCHEMA

TABLE = Table(
    "a",
    "t",
    (
        Column("size", "int", description="smaller < than & more", indexed=True),
        Column("point", "double", "2", xtype="point", unit="deg", ucd="pos", utype="x:y"),
    ),
    description="a < b & c",
    kind="view",
    keys=(ForeignKey("tap_schema.tables", (("size", "table_name"),), "how < why"),),
)
SCHEMAS = (Schema("a", (TABLE,), description="<&>"), TAP_SCHEMA)
ACCESS = TableAccess(
    Mount("ivo://ivoa.net/std/TAP", "http://x.test/tap", "1.1", "base"),
    (("2.1", "ivo://ivoa.net/std/ADQL#v2.1"),),
    (
        Feature("ivo://ivoa.net/std/TAPRegExt#features-udf", "f(a INTEGER) -> INTEGER", "a < b"),
        Feature("ivo://ivoa.net/std/TAPRegExt#features-adqlgeo", "CONTAINS"),
    ),
    (OutputFormat("text/csv", ("csv",)),),
    Limits((60, 3600), 1000, 20_000_000),
    (("ObsCore-1.1", "ivo://ivoa.net/std/ObsCore#core-1.1"),),
)


def quoted(name: str) -> str:
    return f'"{name}"' if name == "size" else name


def documents() -> dict[str, bytes]:
    soda = Mount("ivo://ivoa.net/std/SODA#sync-1.0", "http://x.test/soda/sync", "1.0")
    vosi = {"capabilities_url": "http://x.test/c", "availability_url": "http://x.test/a"}
    return {
        "tap": capabilities_document(own=[ACCESS], tables_url="http://x.test/tables", **vosi),
        "soda": capabilities_document(own=[soda], **vosi),
        "tables": tables_document(SCHEMAS, quoted=quoted),
        "min": tables_document(SCHEMAS, quoted=quoted, columns=False),
        "table": table_document(TABLE, quoted=quoted),
        "up": availability_document(Availability(True, datetime.now(UTC))),
        "down": availability_document(Availability(False, datetime.now(UTC), ("no < database",))),
    }


@pytest.mark.parametrize("name", list(documents()))
def test_documents_are_valid_against_the_schemas(name, tmp_path):
    script = Path(__file__).parents[3] / "shared" / "xsd" / "validate.sh"
    if not script.exists() or shutil.which("xmllint") is None:
        pytest.skip("needs ../shared/xsd and xmllint")
    file = tmp_path / f"{name}.xml"
    file.write_bytes(documents()[name])
    ran = subprocess.run(["/bin/sh", script, file], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + file.read_text()[:3000]


def test_texts_are_escaped_once():
    root = etree.fromstring(documents()["tables"])
    assert root.xpath("string(schema/description)") == "<&>"
    assert root.xpath("string(schema/table/description)") == "a < b & c"
    assert root.xpath("string(schema/table/column/description)") == "smaller < than & more"
    assert root.xpath("string(schema/table/foreignKey/description)") == "how < why"


def test_reserved_names_are_said_with_their_quotes():
    root = etree.fromstring(documents()["table"])
    assert root.xpath("column/name/text()") == ['"size"', "point"]
    assert root.xpath("foreignKey/fkColumn/fromColumn/text()") == ['"size"']


def test_a_column_says_its_xtype():
    root = etree.fromstring(documents()["tables"])
    kind = root.xpath("//column[name='point']/dataType")[0]
    assert (kind.text, kind.get("arraysize"), kind.get("extendedType")) == ("double", "2", "point")


def test_detail_min_leaves_the_columns_out():
    root = etree.fromstring(documents()["min"])
    assert root.xpath("count(//column)") == 0
    assert root.xpath("count(//table)") == 1 + len(TAP_SCHEMA.tables)
