"""What a query is expected to take: the database's own plan, and what must be made before."""

from __future__ import annotations

__all__ = ["estimate"]

from typing import TYPE_CHECKING, Final

from reduction.costs import expected_s
from reduction.freshness import Fresh, targets_in_scope
from schemas.errors import QueryError
from schemas.estimates import Estimate
from schemas.maxrec import row_limit
from tap.adql.checker import check
from tap.adql.parser import parse
from tap.adql.translator import translate
from tap.cost import planned
from tap.scope import scope_of

if TYPE_CHECKING:
    from schemas.dali import Params
    from tap.service import Context

_TIMEOUT_S: Final = 3.0
_PLANNED: Final = 100


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
        If the query is wrong, or about uploaded tables, which are not there before it is run.
    TransientError
        If the database does not say in time.
    """
    if any(params["UPLOAD"]):
        message = "a query about uploaded tables has no plan before they are there"
        raise QueryError(message)
    checked = check(parse(params["QUERY"]), context.catalogue)
    if params["MAXREC"] == 0:
        return Estimate(0.0, 0)
    limit = row_limit(params["MAXREC"], context.limits)
    statement = translate(checked, limit=limit + 1)
    with context.archive.database.snapshot(timeout_s=_TIMEOUT_S) as connection:
        cost, rows = planned(connection, statement.text, timeout_s=_TIMEOUT_S)
        stale: list[tuple[int, str]] = []
        if params["ASOF"] is None and params["FRESH"] == Fresh.MAKE:
            stale = targets_in_scope(connection, scope_of(checked))
    wanted_targets = [number for number, state in stale if state != "failed"]
    if not wanted_targets:
        return Estimate(cost, rows)
    if len(wanted_targets) > _PLANNED:
        seconds = expected_s(context.archive, wanted_targets)
        return Estimate(cost, rows, len(wanted_targets), seconds)
    plan = context.archive.plan(wanted_targets)
    return Estimate(cost, rows, len(plan.steps), plan.cost_s)
