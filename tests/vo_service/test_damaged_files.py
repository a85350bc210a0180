"""Damaged files of a running service: what it gives is right, or it says what is wrong."""

from __future__ import annotations

__all__: list[str] = []

import csv
import io
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest
from astropy.io import fits
from sqlalchemy import text

from reduction.archive import Archive
from reduction.damaged_files import damaged_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.serving import Observatory

pytestmark = pytest.mark.timeout(300)


def get(url: str, **values: str) -> tuple[int, bytes]:
    """Status and body."""
    try:
        answer = urllib.request.urlopen(f"{url}?{urllib.parse.urlencode(values)}", timeout=120)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return answer.status, answer.read()


@contextmanager
def opened(observatory: Observatory) -> Iterator[Archive]:
    archive = Archive(observatory.settings)
    try:
        yield archive
    finally:
        archive.close()


def path_of(observatory: Observatory, object_id: int) -> Path:
    """Where an object's file is now."""
    sql = "SELECT location FROM vo.file JOIN vo.product USING (file_id) WHERE product_id = :n"
    with opened(observatory) as archive, archive.transaction() as session:
        return archive.storage.path(str(session.scalar(text(sql), {"n": object_id})))


def harm(path: Path, at: float, *, length: int = 1) -> bytes:
    """Change bytes somewhere in a file; what it was."""
    whole = path.read_bytes()
    data = bytearray(whole)
    start = int(len(data) * at)
    data[start : start + length] = bytes(b ^ 0xFF for b in data[start : start + length])
    path.chmod(0o644)
    path.write_bytes(data)
    return whole


@pytest.fixture(scope="module")
def image(observatory: Observatory) -> dict[str, str]:
    """A published image."""
    query = (
        "SELECT TOP 1 obs_publisher_did, s_ra, s_dec FROM ivoa.obscore "
        "WHERE dataproduct_subtype = 'CalibratedScienceFrame' ORDER BY t_min"
    )
    status, body = get(
        observatory.url + "/tap/sync", LANG="ADQL", QUERY=query, RESPONSEFORMAT="csv"
    )
    assert status == 200, body
    return next(csv.DictReader(io.StringIO(body.decode())))


def test_cutouts_and_downloads_of_a_damaged_image_are_right(
    observatory: Observatory, image: dict[str, str]
) -> None:
    soda, did = observatory.url + "/soda/sync", image["obs_publisher_did"]
    circle = f"{image['s_ra']} {image['s_dec']} 0.005"
    status, body = get(soda, ID=did, CIRCLE=circle)
    assert status == 200
    with fits.open(io.BytesIO(body)) as hdus:
        right, number = hdus[0].data.copy(), int(hdus[0].header["PIXELSID"])
    for length in (1, 4000):  # one that its decoder takes, and what it cannot read
        harm(path_of(observatory, number), 0.4, length=length)
        for word in ("any", "require"):  # nothing may be made
            status, body = get(soda, ID=did, CIRCLE=circle, FRESH=word)
            assert status == 500
            assert f"object {number} (" in body.decode()
            assert f"`vo-service restore {number}` makes it again" in body.decode()
        status, body = get(soda, ID=did, CIRCLE=circle)
        assert status == 200, body
        with fits.open(io.BytesIO(body)) as hdus:
            assert np.array_equal(hdus[0].data, right, equal_nan=True)
        harm(path_of(observatory, number), 0.4, length=length)
        status, body = get(f"{observatory.url}/files/{number}")
        assert status == 200
        assert body == path_of(observatory, number).read_bytes()
    with opened(observatory) as archive:
        assert list(damaged_files(archive)) == []


def test_a_damaged_raw_frame_is_not_sent(observatory: Observatory, image: dict[str, str]) -> None:
    status, body = get(
        observatory.url + "/tap/sync",
        LANG="ADQL",
        QUERY="SELECT TOP 1 object_id FROM archive.raw_frames ORDER BY object_id",
        RESPONSEFORMAT="csv",
    )
    number = int(next(csv.DictReader(io.StringIO(body.decode())))["object_id"])
    path = path_of(observatory, number)
    whole = harm(path, 0.5)
    status, body = get(f"{observatory.url}/files/{number}")
    assert status == 500
    assert f"object {number} (" in body.decode()
    assert f"`vo-service restore {number} --file COPY` brings it back" in body.decode()
    path.write_bytes(whole)
    assert get(f"{observatory.url}/files/{number}") == (200, whole)
