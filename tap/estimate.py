"""What a query is expected to take: the database's own plan, and what must be made before."""

from __future__ import annotations

__all__ = ["estimate"]

from typing import TYPE_CHECKING, Any, Final

import psycopg2
import psycopg2.errors
import psycopg2.extensions

from reduction.freshness import Fresh, targets_in_scope
from schemas.errors import QueryError
from schemas.estimates import Estimate
from tap.adql.checker import check
from tap.adql.parser import parse
from tap.adql.translator import translate
from tap.scope import scope_of

if TYPE_CHECKING:
    from schemas.dali import Params
    from tap.service import Context

_TIMEOUT_S: Final = 3.0
_PLANNED: Final = 100
_TARGET_S: Final = 1.0


def estimate(params: Params, context: Context) -> Estimate:
    """Ask the database for its plan; nothing is run or made.

    Parameters
    ----------
    params
        Values of :data:`tap.protocol.PARAMS`.
    context
        What the query would be answered from.

    Returns
    -------
    Estimate
        What is to be made is planned where it is little, and guessed from its number otherwise.

    Raises
    ------
    QueryError
        If the query is wrong.
    TransientError
        If the database does not say in time.
    """
    checked = check(parse(params["QUERY"]), context.catalogue)
    if params["MAXREC"] == 0:
        return Estimate(0.0, 0)
    wanted = params["MAXREC"]
    limit = context.limits.maxrec_default if wanted is None else wanted
    statement = translate(checked, limit=min(limit, context.limits.maxrec_hard) + 1)
    with context.archive.database.snapshot(timeout_s=_TIMEOUT_S) as connection:
        cost, rows = _planned(connection, statement.text)
        stale: list[tuple[int, str]] = []
        if params["ASOF"] is None and params["FRESH"] == Fresh.MAKE:
            stale = targets_in_scope(connection, scope_of(checked))
    wanted_targets = [number for number, state in stale if state != "failed"]
    if not wanted_targets:
        return Estimate(cost, rows)
    if len(wanted_targets) > _PLANNED:
        return Estimate(cost, rows, len(wanted_targets), _TARGET_S * len(wanted_targets))
    plan = context.archive.plan(wanted_targets)
    return Estimate(cost, rows, len(plan.steps), plan.cost_s)


def _planned(connection: psycopg2.extensions.connection, sql: str) -> tuple[float, int]:
    """Cost and rows of a statement by its plan.

    Raises
    ------
    QueryError
        If it cannot be planned, as where a constant expression fails.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}")
            row: Any = cursor.fetchone()
    except psycopg2.Error as error:
        if connection.closed or isinstance(error, psycopg2.errors.QueryCanceled):
            raise  # the snapshot has the words
        message = "the query cannot be planned"
        raise QueryError(message) from error
    plan = row[0][0]["Plan"]
    return float(plan["Total Cost"]), int(plan["Plan Rows"])
