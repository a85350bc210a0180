"""Image search, links and cutouts as pyvo, STILTS and a browser get them from a real server."""

from __future__ import annotations

import io
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import pyvo
from astropy import units
from astropy.io import fits
from astropy.io.votable import parse
from astropy.time import Time
from pyvo.dal.adhoc import DatalinkResults

from tests.sia.conftest import SHAPE

pytestmark = pytest.mark.timeout(120)


def fetch(url: str, *, post: bool = False, **values: object) -> tuple[int, str, bytes]:
    """Status, media type and body."""
    query = urllib.parse.urlencode(values, doseq=True)
    try:
        if post:
            answer = urllib.request.urlopen(url, query.encode(), timeout=60)
        else:
            answer = urllib.request.urlopen(f"{url}?{query}", timeout=60)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return answer.status, answer.headers.get("Content-Type", ""), answer.read()


def stilts(command: str, *words: str) -> str:
    """What a STILTS command says."""
    program = shutil.which("stilts")
    if program is None:
        pytest.skip("needs stilts")
    done = subprocess.run(
        [program, command, *words], check=False, capture_output=True, text=True, timeout=100
    )
    return done.stdout + done.stderr


def test_pyvo_finds_images_around_a_position(service, images) -> None:
    found = pyvo.dal.SIA2Service(f"{service}/sia2").search(
        pos=(10.1 * units.deg, 20 * units.deg, 0.05 * units.deg)
    )
    assert {str(row["target_name"]) for row in found} == {"plain", "beside"}
    record = found[0]
    assert record.instrument_name == "nickel"
    assert record.getdataurl().startswith(service)


def test_pyvo_searches_by_band_time_and_word(service, images) -> None:
    sia = pyvo.dal.SIA2Service(f"{service}/sia2")
    night = (Time(60002.9, format="mjd"), Time(60004.1, format="mjd"))
    found = sia.search(band=(5e-7, 6e-7), time=night, instrument="nickel")
    assert {str(row["target_name"]) for row in found} == {"wrap", "north"}
    assert len(sia.search(maxrec=0).to_table()) == 0


def test_pyvo_goes_from_search_over_links_to_a_cutout(service, images) -> None:
    found = pyvo.dal.SIA2Service(f"{service}/sia2").search(target_name="wrap")
    (links,) = found.iter_datalinks()
    assert {link.semantics for link in links} == {"#this", "#cutout", "#progenitor"}
    stream = links.get_first_proc().process(circle=(0.01, -5, 10 / 3600))
    with fits.open(io.BytesIO(stream.read())) as hdus:
        assert hdus[0].data.shape == pytest.approx((20, 20), abs=2)
        assert hdus[0].header["PUBDID"] == images["wrap"].did


@pytest.mark.parametrize(
    "region",
    [
        {"circle": (0.01, -5, 0.003) * units.deg},
        {"range": (0.007, 0.013, -5.003, -4.997) * units.deg},
        {"polygon": (0.007, -5.003, 0.013, -5.003, 0.010, -4.997) * units.deg},
    ],
)
def test_pyvo_cuts_out_straight_from_a_search(service, images, region) -> None:
    (record,) = pyvo.dal.SIA2Service(f"{service}/sia2").search(target_name="wrap")
    with fits.open(io.BytesIO(record.processed(**region).read())) as hdus:
        assert hdus[0].data.shape == pytest.approx((24, 24), abs=4)


def test_the_file_of_a_link_is_the_image(service, images) -> None:
    links = DatalinkResults.from_result_url(
        f"{service}/datalink/links?{urllib.parse.urlencode({'ID': images['pole'].did})}"
    )
    (this,) = links.bysemantics("#this", include_narrower=False)
    with urllib.request.urlopen(this.access_url) as answer:
        assert answer.headers["Content-Type"] == "image/fits"
        document = answer.read()
    with fits.open(io.BytesIO(document), checksum=True) as hdus:
        assert hdus[0].data.shape == SHAPE


def test_get_and_post_give_the_same_bytes(service, images) -> None:
    asked = {"ID": images["plain"].did, "circle": "10 20 0.002"}
    status, kind, document = fetch(f"{service}/soda/sync", **asked)
    assert (status, kind) == (200, "image/fits")
    assert fetch(f"{service}/soda/sync", post=True, **asked)[2] == document
    with fits.open(io.BytesIO(document), checksum=True) as hdus:
        assert np.isfinite(hdus[0].data).all()


@pytest.mark.standard("SODA-1.0", "5.2")
@pytest.mark.parametrize(
    ("values", "status", "word"),
    [
        ({"CIRCLE": "10 20 0.1"}, 400, "UsageError: parameter ID is missing"),
        ({"ID": "ivo://else/where?x"}, 404, "UsageError: no published dataset"),
        ({"ID": "plain", "CIRCLE": "10 20"}, 400, "UsageError: parameter CIRCLE"),
        ({"ID": "plain", "CIRCLE": ["1 2 3", "4 5 6"]}, 400, "MultiValuedParamNotSupported"),
        ({"ID": "plain", "POLYGON": "12 34 14 36 14 34 12 36"}, 400, "UsageError: parameter POL"),
        ({"ID": "plain", "FRESH": "soon"}, 400, "UsageError: parameter FRESH"),
        ({"ID": "plain", "CIRCLE": "10 25 0.1"}, 204, ""),
    ],
)
def test_soda_answers_what_is_wrong_in_the_words_of_the_standard(
    service, images, values, status, word
) -> None:
    asked = {**values}
    if asked.get("ID") in images:
        asked["ID"] = images[asked["ID"]].did
    found, kind, body = fetch(f"{service}/soda/sync", **asked)
    assert found == status
    assert body.decode().startswith(word)
    assert b"Traceback" not in body
    if status != 204:
        assert kind.startswith("text/plain")
    else:
        assert body == b""


@pytest.mark.standard("SIA-2.0", "3.2")
@pytest.mark.parametrize("values", [{"POS": "BOX 1 2 3 4"}, {"BAND": "red"}, {"CALIB": "9"}])
def test_sia_answers_what_is_wrong_as_votable(service, images, values) -> None:
    status, kind, body = fetch(f"{service}/sia2/query", **values)
    assert status == 400
    assert kind.startswith("application/x-votable+xml")
    infos = {info.name: info for info in parse(io.BytesIO(body)).resources[0].infos}
    assert infos["QUERY_STATUS"].value == "ERROR"
    assert infos["QUERY_STATUS"].content.startswith("UsageFault: ")


def test_votlint_has_nothing_to_say_of_searches(service, images, tmp_path) -> None:
    for number, values in enumerate(
        ({}, {"MAXREC": "0"}, {"MAXREC": "2"}, {"POS": "CIRCLE 9 9 1"})
    ):
        _, _, body = fetch(f"{service}/sia2/query", **values)
        path = tmp_path / f"{number}.vot"
        path.write_bytes(body)
        said = stilts("votlint", f"votable={path}", "ucd=true", "unit=true")
        assert said.strip() == "", (values, said)


def test_stilts_finds_images_in_a_cone(service, images) -> None:
    said = stilts(
        "cone",
        f"serviceurl={service}/sia2/query",
        "servicetype=sia2",
        *("lon=10.1", "lat=20", "radius=0.05", "ofmt=csv"),
    )
    lines = said.strip().splitlines()
    column = lines[0].split(",").index("target_name")
    assert {line.split(",")[column] for line in lines[1:]} == {"plain", "beside"}


def test_documents_are_valid(service, images, tmp_path) -> None:
    script = Path(__file__).parents[3] / "shared" / "xsd" / "validate.sh"
    if not script.is_file() or shutil.which("xmllint") is None:
        pytest.skip("needs ../shared/xsd and xmllint")
    asked = [
        ("sia2/query", {}),
        ("sia2/query", {"MAXREC": "0"}),
        ("sia2/query", {"POS": "BOX 1"}),
        ("datalink/links", {}),
        ("datalink/links", {"ID": [images["plain"].did, "ivo://else/where?x"]}),
        *((f"{name}/capabilities", {}) for name in ("sia2", "soda", "datalink")),
        *((f"{name}/availability", {}) for name in ("sia2", "soda", "datalink")),
    ]
    for number, (path, values) in enumerate(asked):
        file = tmp_path / f"{number}.xml"
        file.write_bytes(fetch(f"{service}/{path}", **values)[2])
        done = subprocess.run([script, file], check=False, capture_output=True, text=True)
        assert done.returncode == 0, (path, values, done.stdout)


def test_datalinklint_finds_no_error(service, images) -> None:
    did = urllib.parse.quote(images["plain"].did)
    for query in (f"ID={did}", f"ID={did}&ID=ivo%3A%2F%2Felse%2Fx", ""):
        said = stilts("datalinklint", f"votable={service}/datalink/links?{query}")
        assert "ERROR" not in said, said
        assert "WARNING" not in said, said


def test_the_links_table_says_what_it_is(service, images) -> None:
    status, kind, body = fetch(f"{service}/datalink/links", ID=images["far"].did)
    assert status == 200
    assert kind == "application/x-votable+xml;content=datalink"
    assert b"<TABLEDATA>" in body
    infos = {info.name: info.value for info in parse(io.BytesIO(body)).resources[0].infos}
    assert infos["standardID"] == "ivo://ivoa.net/std/DataLink#links-1.1"
