"""Catalogue rows go into the database and come back as they were, in bulk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DataError, IntegrityError

from reduction.rows import copy_in, copy_out, read_rows, row_dtype
from schemas.errors import FatalError
from schemas.tables import ReferenceSource, Source
from tests.support.catalogued import kept_product, some_sources

if TYPE_CHECKING:
    from reduction.archive import Archive


def test_rows_come_back_as_they_were_and_nan_is_null(archive: Archive) -> None:
    rows = some_sources(70_000)  # more than one piece
    with archive.transaction() as session:
        number = kept_product(session, "one", rows)
    found = read_rows(archive, Source, number)
    assert found.dtype.names == row_dtype(Source).names[1:]
    assert found["source_number"].tolist() == list(range(70_000))
    for name in found.dtype.names[1:]:
        np.testing.assert_array_equal(found[name], rows[name], err_msg=name)
    with archive.transaction() as session:
        nulls = session.scalar(select(func.count()).where(Source.mag.is_(None)))
        known = session.scalar(select(func.count()).where(Source.mag == "NaN"))
    assert (nulls, known) == (np.isnan(rows["mag"]).sum(), 0)


def test_rows_of_several_products_come_in_order_and_only_the_columns_asked_for(
    archive: Archive,
) -> None:
    with archive.transaction() as session:
        numbers = [kept_product(session, f"{n}", some_sources(n, seed=n)) for n in (3, 0, 5)]
        found = copy_out(session, Source, numbers[::-1], ["product_id", "dec"])
        nothing = copy_out(session, Source, [])
    assert found.dtype.names == ("product_id", "dec")
    assert found["product_id"].tolist() == [numbers[0]] * 3 + [numbers[2]] * 5
    expected = [*some_sources(3, seed=3)["dec"], *some_sources(5, seed=5)["dec"]]
    assert found["dec"].tolist() == expected
    assert (len(nothing), nothing.dtype) == (0, row_dtype(Source))


def test_rows_are_part_of_the_transaction_that_they_are_entered_in(archive: Archive) -> None:
    with archive.transaction() as session:
        number = kept_product(session, "undone", some_sources(10))
        session.rollback()
    assert len(read_rows(archive, Source, number)) == 0


def test_rows_that_do_not_fit_their_table_are_refused(archive: Archive) -> None:
    rows = some_sources(4)
    rows["ra"][2] = np.nan
    with pytest.raises(IntegrityError, match="ra"), archive.transaction() as session:
        kept_product(session, "no position", rows)
    rows = some_sources(4)
    rows["flags"][1] = 1 << 40
    with pytest.raises(DataError, match="flags"), archive.transaction() as session:
        kept_product(session, "wide", rows)
    rows = some_sources(4)
    rows["flux"][1] = 1e300
    with pytest.raises(DataError, match="flux"), archive.transaction() as session:
        kept_product(session, "bright", rows)
    with archive.transaction() as session:
        with pytest.raises(FatalError, match="no column"):
            copy_in(session, Source, {"product_id": np.arange(3)})
        with pytest.raises(FatalError, match="numbers"):
            copy_out(session, ReferenceSource, [1])
