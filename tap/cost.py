"""What a statement is expected to cost, as the database's planner counts."""

from __future__ import annotations

__all__ = ["planned", "shorten"]

from typing import TYPE_CHECKING, Any

from tap.execute import voiced

if TYPE_CHECKING:
    from schemas.database import Connection


def planned(connection: Connection, sql: str, *, timeout_s: float) -> tuple[float, int]:
    """Ask the planner; nothing is run.

    Parameters
    ----------
    connection
        Of the reader role, within the transaction that the answer comes from.
    sql
        One SELECT statement.
    timeout_s
        Seconds that statements may run there; for what is said where planning takes longer.

    Returns
    -------
    cost : float
        In the planner's units: one is about the time to read a page in sequence.
    rows : int
        That it expects.

    Raises
    ------
    QueryError, BusyError, FatalError
        As :func:`tap.execute.voiced`.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}")
            row: Any = cursor.fetchone()
    except connection.Error as error:
        voiced(error, timeout_s=timeout_s)
    plan = row[0][0]["Plan"]
    return float(plan["Total Cost"]), int(plan["Plan Rows"])


def shorten(connection: Connection, seconds: float) -> None:
    """Let the statements of this transaction run no longer than that."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('statement_timeout', %s, true)", (str(int(seconds * 1000)),)
        )
