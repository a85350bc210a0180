"""Asking a served archive as its users do: pyvo's TAP and SODA, plain HTTP."""

from __future__ import annotations

__all__ = [
    "CATALOGUE",
    "ask",
    "catalogue",
    "cutout",
    "get",
    "half_published",
    "records",
    "rows_of",
    "texts_of",
    "until_answered",
]

import hashlib
import io
import time
import urllib.error
import urllib.parse
import urllib.request

import numpy as np
import pyvo
from astropy.io import fits
from pyvo.dal.adhoc import SodaQuery
from sqlalchemy import text

from schemas.cells import text_cells

CATALOGUE = "SELECT ra, dec, flux FROM archive.sources ORDER BY ra, dec, flux"
_PATIENCE_S = 120


def get(url, **query):
    """Status, headers and body."""
    try:
        with urllib.request.urlopen(f"{url}?{urllib.parse.urlencode(query)}", timeout=120) as said:
            return said.status, said.headers, said.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def ask(stage, query, **more):
    """Rows and INFO values by name."""
    result = pyvo.dal.TAPService(stage.url + "/tap").search(query, maxrec=100_000, **more)
    resource = result.votable.resources[0]
    return result.to_table(), {info.name: info.value for info in resource.infos}


def records(url, query):
    """Rows of an ADQL answer, each by the names of its columns."""
    table = pyvo.dal.TAPService(f"{url}/tap").search(query).to_table()
    return [dict(zip(table.colnames, row, strict=True)) for row in table]


def rows_of(stage):
    """Ask by ADQL for rows of plain Python values."""

    def rows(query):
        table, _ = ask(stage, query)
        return [
            tuple(None if v is np.ma.masked else v.item() if hasattr(v, "item") else v for v in r)
            for r in table
        ]

    return rows


def texts_of(result):
    """Rows of an answer that was had without a server, as texts."""
    return [
        row
        for block in result.rows
        for row in zip(
            *(
                text_cells(column, cells)
                for column, cells in zip(
                    result.columns, block.block(result.columns).fields, strict=True
                )
            ),
            strict=True,
        )
    ]


def catalogue(rows):
    """The catalogue in the precision in which it is kept, shape (n, 3)."""
    found = np.array(rows(CATALOGUE), dtype=np.float64)
    found[:, 2] = found[:, 2].astype(np.float32)
    return found


def cutout(stage, dataset, circle):
    """Pixels and header of a cutout."""
    query = SodaQuery(stage.url + "/soda/sync", circle=circle, ID=dataset)
    with fits.open(io.BytesIO(query.execute_stream().read())) as hdus:
        return np.array(hdus[0].data), dict(hdus[0].header)


def until_answered(question):
    """Ask again while the service is away, or says that it has too much to do."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            status, headers, body = question()
        except OSError:
            status, headers, body = 503, {"Retry-After": "1"}, b""
        if status not in {429, 503}:
            return status, headers, body
        assert time.monotonic() < deadline, body
        time.sleep(min(float(headers["Retry-After"]), 2))


def made_since(archive, newest):
    """Number of products made after one of them."""
    with archive.transaction() as session:
        return (
            session.connection()
            .exec_driver_sql(
                "SELECT count(*) FROM vo.product WHERE target_id IS NOT NULL AND product_id > %s",
                (newest,),
            )
            .scalar_one()
        )


def half_published(archive):
    """Made products without lineage, publication or whole file; targets that point nowhere.

    Constants are made of nothing: of classes without slots no lineage is expected.
    """
    constants = [cls.__name__ for cls in archive.registry.targets() if not cls.SLOTS]
    with archive.transaction() as session:
        found = session.scalars(
            text(
                "SELECT p.product_id FROM vo.product p WHERE p.target_id IS NOT NULL AND ("
                "(NOT EXISTS (SELECT 1 FROM vo.lineage l WHERE l.product_id = p.product_id) "
                "AND NOT p.class_name = ANY(:constants)) OR "
                "NOT EXISTS (SELECT 1 FROM vo.publication u WHERE u.product_id = p.product_id))"
            ),
            {"constants": constants},
        ).all()
        found += session.scalars(
            text(
                "SELECT t.target_id FROM vo.target t WHERE t.state = 'fresh' AND NOT EXISTS ("
                "SELECT 1 FROM vo.publication u WHERE u.target_id = t.target_id "
                "AND u.product_id = t.product_id AND u.published_to = 'infinity')"
            )
        ).all()
        files = session.execute(text("SELECT location, sha256 FROM vo.file")).all()
    for location, digest in files:
        content = archive.storage.path(location).read_bytes()
        if hashlib.sha256(content).hexdigest() != digest:
            found.append(location)
    return found
