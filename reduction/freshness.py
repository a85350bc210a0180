"""Questions pull making backward: the policy of a question, and what its answer says of itself."""

from __future__ import annotations

__all__ = ["Answering", "Fresh", "FreshnessReport", "last_moment", "targets_in_scope"]

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from psycopg2 import sql

from reduction.moments import MOMENT
from schemas.dali import Info

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg2.extensions

    from reduction.outcomes import Outcome
    from reduction.scope import Scope


class Fresh(StrEnum):
    """Policy of a question: the request parameter FRESH."""

    MAKE = "make"
    ANY = "any"
    REQUIRE = "require"


@dataclass(slots=True)
class FreshnessReport:
    """What was done for an answer, and what it rests on.

    Attributes
    ----------
    policy, asof
        As asked; for the present, the moment of the last change before the answer (ISO 8601).
    outcomes
        What became of each target that was made or looked at for this answer.
    stale
        Targets in scope that are not verified (FRESH=any only).
    failed
        Targets in scope that cannot be made: their rows are not in the answer.
    """

    policy: Fresh
    asof: str = ""
    outcomes: list[Outcome] = field(default_factory=list)
    stale: int = 0
    failed: int = 0

    @property
    def remade(self) -> int:
        """Number of targets that were made, or published again, for this answer."""
        return sum(outcome.kind in ("made", "reused") for outcome in self.outcomes)

    def infos(self) -> tuple[Info, ...]:
        """INFO elements of the answer (design invariant 9)."""
        names = ", ".join(o.name for o in self.outcomes if o.kind in ("made", "reused"))
        said = [
            Info("FRESH", self.policy, "policy under which the answer is fresh"),
            Info("ASOF", self.asof, "the archive as of this moment; ask with it to repeat"),
            Info("TARGETS_REMADE", str(self.remade), names or "nothing was remade"),
        ]
        if self.stale:
            said.append(Info("TARGETS_STALE", str(self.stale), "targets that may be out of date"))
        if self.failed:
            text = "targets in scope that cannot be made; archive.targets says why"
            said.append(Info("TARGETS_FAILED", str(self.failed), text))
        return tuple(said)


@dataclass(slots=True)
class Answering:
    """A snapshot in which a question may be answered.

    Attributes
    ----------
    connection
        Of the reader role, in a read-only repeatable-read transaction.
    report
        What was done before.
    """

    connection: psycopg2.extensions.connection
    report: FreshnessReport


def last_moment(connection: psycopg2.extensions.connection) -> str:
    """The moment of the last change that a snapshot sees: ASOF with it answers the same again.

    Returns
    -------
    str
        ISO 8601 with zone; stays the same while nothing changes.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT vo.fact(%s)", (MOMENT,))
        return str((cursor.fetchone() or ("",))[0])


#: An image that is asked for by its identifier counts, also where its class is published no more.
_OR_NAMED: Final = sql.SQL("({} OR dataset_id = ANY(%(dids)s))")
_OF_DATASETS: Final = sql.SQL(
    "(dataset_id = ANY(%(dids)s)"
    " OR raw_id IN (SELECT d.raw_id FROM vo.target d WHERE d.dataset_id = ANY(%(dids)s))"
    " OR (field_id, filter) IN (SELECT d.field_id, f FROM vo.target d"
    " CROSS JOIN LATERAL (VALUES (d.filter), ('')) AS its (f)"
    " WHERE d.dataset_id = ANY(%(dids)s) AND d.raw_id IS NULL))"
)
#: The frames of a field are of any time.
_AT_TIME: Final = sql.SQL(
    "(field_id IS NOT NULL OR moment BETWEEN %(t_min)s - 1 AND %(t_max)s + 1)"
)
_NEAR: Final = sql.SQL(
    "(ra IS NULL OR 2 * asind(least(1, sqrt(sind((dec - %(dec)s) / 2) ^ 2"
    " + cosd(dec) * cosd(%(dec)s) * sind((ra - %(ra)s) / 2) ^ 2)))"
    " <= radius + %(radius)s)"
)


#: Targets of a closed field are withdrawn, once their publications have ended.
_NOT_WITHDRAWN: Final = sql.SQL(
    "NOT (state = 'failed' AND field_id IS NOT NULL AND field_id IN"
    " (SELECT field_id FROM vo.field WHERE is_valid < 1))"
)


def _conditions(scope: Scope) -> Iterator[tuple[sql.Composable, dict[str, Any]]]:
    """What is true of a target in scope that is not known to be right, and values for it."""
    of_class: sql.Composable = sql.SQL("class_name = ANY(%(classes)s)")
    if scope.datasets is not None:
        of_class = _OR_NAMED.format(of_class)
    yield of_class, {"classes": sorted(scope.classes)}
    yield sql.SQL("state <> 'fresh'"), {}
    yield _NOT_WITHDRAWN, {}
    for column, wanted in (
        ("instrument", scope.instruments),
        ("chip", scope.chips),
        ("filter", scope.filters),
    ):
        if wanted is not None:
            names = sql.Identifier(column), sql.Placeholder(column)
            yield sql.SQL("{} = ANY({})").format(*names), {column: sorted(wanted)}
    if scope.datasets is not None:
        yield _OF_DATASETS, {"dids": sorted(scope.datasets)}
    if scope.time is not None:
        yield _AT_TIME, {"t_min": scope.time[0], "t_max": scope.time[1]}
    if scope.region is not None:
        place = scope.region
        yield _NEAR, {"ra": place.ra, "dec": place.dec, "radius": place.radius}


def targets_in_scope(
    connection: psycopg2.extensions.connection, scope: Scope
) -> list[tuple[int, str]]:
    """Targets that could contribute to an answer and are not known to be right.

    Parameters
    ----------
    connection
        Any connection; the answer is of its snapshot.
    scope
        What the question touches.

    Returns
    -------
    list of (int, str)
        Number and state. One indexed look-up where everything is fresh.
    """
    if not scope.classes:
        return []
    where: list[sql.Composable] = []
    values: dict[str, Any] = {}
    for condition, of_it in _conditions(scope):
        where.append(condition)
        values |= of_it
    query = sql.SQL("SELECT target_id, state FROM vo.target WHERE {}").format(
        sql.SQL(" AND ").join(where)
    )
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())
