"""Zero points of a day that cannot be made, as one thing to rest on instead of as many.

A frame without a zero point of its own takes the nearest of its filter. On a night without
standards each frame passes over those of all others: each would rest on each. It rests on the
*pool* of its day instead, and the pool on what was passed over; dirt flows through it, and its
count of events says whether anything happened to one of them, or another came.
"""

from __future__ import annotations

__all__ = ["Pool", "find_pool", "hold_pools", "members_of", "note_pools", "stir"]

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from sqlalchemy.orm import Session

    from schemas.tables import Target

#: Class, instrument, chip, filter and day (whole MJD) of the calibrations.
_Key: TypeAlias = tuple[str, str, str, str, int]

_IS_KEY: Final = (
    "p.class_name = :class_name AND p.instrument = :instrument AND p.chip = :chip"
    " AND p.filter = :filter AND p.day = :day"
)
_FIND: Final = text(f"SELECT p.epoch FROM vo.pool p WHERE {_IS_KEY}")  # noqa: S608  # constant
_BE_THERE: Final = text(
    "INSERT INTO vo.pool (class_name, instrument, chip, filter, day)"
    " VALUES (:class_name, :instrument, :chip, :filter, :day) ON CONFLICT DO NOTHING"
)
_HOLD: Final = text(
    f"SELECT p.pool_id, p.epoch FROM vo.pool p WHERE {_IS_KEY} FOR SHARE"  # noqa: S608  # constant
)
_STIR: Final = text(
    """
    INSERT INTO vo.pool AS p (class_name, instrument, chip, filter, day, epoch)
    SELECT :class_name, :instrument, :chip, :filter, day, 1
    FROM generate_series(CAST(:first AS int), CAST(:last AS int)) AS days (day) ORDER BY day
    ON CONFLICT (class_name, instrument, chip, filter, day) DO UPDATE SET epoch = p.epoch + 1
    """
)
_ADD: Final = text(
    """
    INSERT INTO vo.pool_member (pool_id, target_id)
    SELECT :pool, n FROM unnest(CAST(:members AS bigint[])) AS new (n) ORDER BY n
    ON CONFLICT DO NOTHING
    """
)
_NOTE: Final = text(
    """
    INSERT INTO vo.pool_user (target_id, pool_id)
    SELECT DISTINCT n.own, n.pool
    FROM unnest(CAST(:users AS bigint[]), CAST(:pools AS bigint[])) AS n (own, pool)
    ORDER BY 1, 2 ON CONFLICT DO NOTHING
    """
)


@dataclass(slots=True)
class Pool:
    """Calibrations of a day that some verdicts passed over, as they were in a snapshot.

    Attributes
    ----------
    key
        Class, instrument, chip, filter and day.
    epoch
        Its count of events; 0 for one that is not there yet.
    passed
        Targets that were passed over and are not noted to be of it, each with its own count of
        events. Grows while verdicts are reached.
    pool_id
        Its number, once it is held.
    """

    key: _Key
    epoch: int
    passed: dict[int, int] = field(default_factory=dict)
    pool_id: int = 0


def _named(key: _Key) -> dict[str, str | int]:
    return dict(zip(("class_name", "instrument", "chip", "filter", "day"), key, strict=True))


def find_pool(session: Session, key: _Key) -> Pool:
    """The pool of a day as a snapshot sees it."""
    return Pool(key, session.scalar(_FIND, _named(key)) or 0)


def members_of(pools: Iterable[Pool]) -> dict[int, int]:
    """Counts of events of what was passed over and is not noted yet, by target."""
    distinct = {id(pool): pool for pool in pools}
    return {n: epoch for pool in distinct.values() for n, epoch in pool.passed.items()}


def hold_pools(session: Session, pools: Iterable[Pool]) -> bool:
    """Lock pools against events, after what they rest on is held.

    Returns
    -------
    bool
        Whether each stands as it was seen.
    """
    stands = True
    for pool in sorted({p.key: p for p in pools}.values(), key=lambda pool: pool.key):
        session.execute(_BE_THERE, _named(pool.key))
        pool.pool_id, epoch = session.execute(_HOLD, _named(pool.key)).one()
        stands &= epoch == pool.epoch
    return stands


def note_pools(session: Session, rests_on: Mapping[int, Collection[Pool]]) -> None:
    """Note on which pools, which are held, the verdicts on some targets rested."""
    distinct = {pool.key: pool for pools in rests_on.values() for pool in pools}
    for key in sorted(distinct):
        if passed := sorted(distinct[key].passed):
            session.execute(_ADD, {"pool": distinct[key].pool_id, "members": passed})
    pairs = [
        (own, distinct[pool.key].pool_id) for own, pools in rests_on.items() for pool in pools
    ]
    values = {
        "users": [own for own, _ in pairs],
        "pools": [pool for _, pool in pairs],
    }
    if pairs:
        session.execute(_NOTE, values)


def stir(session: Session, new: Target, within: tuple[float, float]) -> None:
    """A calibration came: whatever rests on the pools of its days has to be looked at again.

    Parameters
    ----------
    new
        The calibration.
    within
        Its validity, MJD.
    """
    first, last = math.floor(within[0]), math.floor(within[1])
    key = (new.class_name, new.instrument, new.chip, new.filter, first)
    session.execute(_STIR, {**_named(key), "first": first, "last": last})
