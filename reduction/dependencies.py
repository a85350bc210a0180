"""Which targets the last verdicts on others rested on, written down as far as that is new."""

from __future__ import annotations

__all__ = ["note_dependencies"]

from typing import TYPE_CHECKING, Final

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy.orm import Session

_FORGET: Final = text(
    """
    WITH gone AS (
      DELETE FROM vo.pool_user u WHERE u.target_id = ANY (CAST(:targets AS bigint[]))
        AND NOT u.pool_id = ANY (CAST(:pools AS bigint[])))
    DELETE FROM vo.dependency d
    WHERE d.target_id = ANY (CAST(:targets AS bigint[])) AND NOT EXISTS (
      SELECT FROM unnest(CAST(:users AS bigint[]), CAST(:others AS bigint[])) AS n (own, other)
      WHERE n.own = d.target_id AND n.other = d.progenitor_target_id)
    """
)
_NOTE: Final = text(
    """
    INSERT INTO vo.dependency (target_id, progenitor_target_id)
    SELECT n.own, n.other
    FROM unnest(CAST(:users AS bigint[]), CAST(:others AS bigint[])) AS n (own, other)
    WHERE NOT EXISTS (
      SELECT FROM vo.dependency d WHERE d.target_id = n.own AND d.progenitor_target_id = n.other)
    ORDER BY 1, 2 ON CONFLICT DO NOTHING
    """
)


def note_dependencies(
    session: Session, rests_on: Mapping[int, Iterable[int]], pools: Iterable[int] = ()
) -> None:
    """Note what the verdicts on some targets, which are held, rested on.

    What is as it was is not written again.

    Parameters
    ----------
    rests_on
        Numbers of targets by that of the one that rests on them.
    pools
        Numbers of the pools that any of them rests on: they rest on no others any more.
    """
    pairs = [(own, other) for own, others in rests_on.items() for other in others]
    values = {
        "targets": sorted(rests_on),
        "pools": sorted(pools),
        "users": [own for own, _ in pairs],
        "others": [other for _, other in pairs],
    }
    session.execute(_FORGET, values)
    if pairs:
        session.execute(_NOTE, values)
