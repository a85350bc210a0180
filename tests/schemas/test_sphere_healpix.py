"""HEALPix in SQL gives the cells and centres that healpy gives."""

from __future__ import annotations

import healpy
import numpy as np
import psycopg2
import pytest

from schemas.sphere import FUNCTIONS


@pytest.fixture(scope="module")
def cursor(database):
    connection = psycopg2.connect(database.owner_url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        for statement in FUNCTIONS:
            cursor.execute(statement)
        yield cursor
    connection.close()


@pytest.mark.parametrize("order", [0, 1, 6, 13, 29])
def test_cells_of_positions_are_those_of_healpy(cursor, order):
    random = np.random.default_rng(order)
    ra = np.concatenate([random.uniform(0, 360, 2000), random.uniform(0, 360, 50), [0, 359.999]])
    dec = np.concatenate(
        [
            np.degrees(np.arcsin(random.uniform(-1, 1, 2000))),
            90 - random.uniform(0, 1, 50),
            [90, -90],
        ]
    )
    cursor.execute(
        "SELECT vo.healpix_index(%s, x, y) FROM unnest(%s::float8[], %s::float8[]) AS t(x, y)",
        (order, ra.tolist(), dec.tolist()),
    )
    ours = np.array([row[0] for row in cursor.fetchall()])
    theirs = healpy.ang2pix(2**order, ra, dec, nest=True, lonlat=True)
    if order < 29:
        assert (ours == theirs).all()
    else:  # cells of 0.4 mas: rounding of the two differs at their borders
        assert np.mean(ours == theirs) > 0.9


@pytest.mark.parametrize("order", [0, 1, 6, 13, 29])
def test_centres_of_cells_are_those_of_healpy(cursor, order):
    random = np.random.default_rng(order)
    cells = random.integers(0, 12 * 4**order, 1000)
    cursor.execute(
        "SELECT c[1], c[2] FROM unnest(%s::int8[]) AS i, vo.healpix_center(%s, i) AS c",
        (cells.tolist(), order),
    )
    ours = np.array(cursor.fetchall())
    theirs = np.column_stack(healpy.pix2ang(2**order, cells, nest=True, lonlat=True))
    assert ours == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize(
    "call", ["index(30, 1, 2)", "index(5, 1, 91)", "center(0, 12)", "center(-1, 0)"]
)
def test_orders_and_cells_that_do_not_exist_are_refused_with_a_sentence(cursor, call):
    with pytest.raises(psycopg2.DataError, match="order of 0 to 29"):
        cursor.execute(f"SELECT vo.healpix_{call}")
