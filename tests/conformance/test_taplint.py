"""The whole of STILTS taplint against a served archive, as strict as it can be."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

#: Stages of tables that this archive does not publish (ObsLocTAP).
NOT_PUBLISHED = {"LOC"}
STAGES = {
    *("TMV", "TME", "TMS", "TMC"),  # metadata of tables
    *("CPV", "CAP", "AVV"),  # capabilities and availability
    *("QGE", "QPO", "QAS", "UWS"),  # queries by GET, by POST, as jobs; the jobs
    *("MDQ", "OBS", "LOC"),  # every table asked, and what standard tables hold
    *("UPL", "EXA"),  # uploads, examples
}
#: What taplint tells without finding anything in it: what it asks, reads, and goes by.
TOLD = {"QSUB", "QGET", "QPOS", "DUFF", "VURL", "CURL", "TURL", "EURL", "EXMP"} | {
    *("TAPV", "SCHM", "DMID"),  # versions and tables that it goes by
    *("QJOB", "CJOB", "POPA", "VUWS"),  # jobs that it makes, and the version it sees
    "SVRI",  # the Server header
    "EXVT",  # the vocabulary that DALI-1.1 demands was unknown to TOPCAT 4.3 and 4.4
    "TSNS",  # columns of TAP_SCHEMA beyond the standard, which it allows
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("stilts") is None, reason="needs stilts"),
]


@pytest.fixture(scope="module")
def reports(observatory):
    """Reports by stage."""
    ran = subprocess.run(
        [
            *("stilts", "taplint", f"tapurl={observatory.url}/tap"),
            *("format=json", "report=EWISF", "maxrepeat=5"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    sections = json.loads(ran.stdout)["sections"]
    assert {section["code"] for section in sections} >= STAGES
    return {
        section["code"]: section["reports"]
        for section in sections
        if section["code"] not in NOT_PUBLISHED
    }


def found(reports, *levels):
    return [
        (stage, report["code"], report.get("text"))
        for stage, said in reports.items()
        for report in said
        if report["level"] in levels
    ]


def test_no_errors(reports):
    assert found(reports, "ERROR") == []


def test_no_warnings(reports):
    assert found(reports, "WARNING") == []


def test_no_stage_gives_up(reports):
    assert found(reports, "FAILURE") == []


def test_nothing_else_to_remark(reports):
    assert [each for each in found(reports, "INFO") if each[1] not in TOLD] == []


def test_every_query_is_answered(reports):
    for stage, code, text in found(reports, "SUMMARY"):
        if code == "QNUM":
            answered, asked = text.rpartition(" ")[2].split("/")
            assert answered == asked, (stage, text)
