"""What a query will take is said before it is run: a guess, but of the right order."""

from __future__ import annotations

import pytest

from reduction.archive import Archive
from schemas.dali import parse_params
from schemas.errors import QueryError, UnknownNameError
from tap.adql.catalogue import Catalogue
from tap.estimate import estimate
from tap.protocol import PARAMS
from tap.service import Context
from tests.support.jobs import LONG, QUICK
from vo_service.opening import prepare_database


@pytest.fixture(scope="module")
def expected(settings):
    """Ask for an estimate about an archive without frames."""
    prepare_database(settings)
    archive = Archive(settings)
    tables = [table for schema in archive.schemas for table in schema.tables]
    context = Context(archive, Catalogue(tables), settings.limits)

    def ask(query, **more):
        pairs = {"LANG": "ADQL", "QUERY": query, **more}
        return estimate(parse_params(PARAMS, pairs.items()), context)

    yield ask
    archive.close()


def test_what_takes_hours_costs_a_million_times_what_is_there_at_once(expected):
    assert expected(LONG).cost > 1e6 * expected(QUICK).cost > 0
    assert expected(LONG).rows == 1


def test_rows_are_no_more_than_asked_for(expected):
    assert expected("SELECT * FROM tap_schema.columns", MAXREC="3").rows <= 4
    assert expected(LONG, MAXREC="0").cost == 0


def test_where_nothing_is_stale_nothing_is_to_be_made(expected):
    found = expected("SELECT * FROM archive.sources")
    assert (found.targets, found.making_s) == (0, 0)


@pytest.mark.parametrize(
    ("query", "kind"),
    [("SELECT nothing FROM tap_schema.tables", UnknownNameError), ("SELECT", QueryError)],
)
def test_a_wrong_query_has_no_estimate(expected, query, kind):
    with pytest.raises(kind):
        expected(query)


def test_what_fails_while_it_is_planned_is_the_query_s_fault(expected):
    with pytest.raises(QueryError, match="division by zero"):
        expected("SELECT 1 / (1 - 1) AS x FROM tap_schema.tables")


def test_a_query_about_uploads_has_no_estimate(expected):
    with pytest.raises(QueryError, match="uploaded tables"):
        expected("SELECT * FROM TAP_UPLOAD.mine", UPLOAD="mine,param:mine")
