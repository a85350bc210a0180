"""Verdicts that ask for no making, written down."""

from __future__ import annotations

__all__ = ["note_reasons", "settle", "settle_fresh"]

import json
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, Text, cast, column, select, text, update, values
from sqlalchemy.dialects.postgresql import JSONB

from reduction.dependencies import note_dependencies
from reduction.moments import stamp
from reduction.pools import hold_pools, members_of, note_pools
from reduction.publish import Superseded, confirm, end_publications
from schemas.tables import Confirmation, Lineage, Target, TargetState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Values
    from sqlalchemy.orm import Session

    from reduction.verdicts import Verdict

_UNMADE: Final = (TargetState.MISSING, TargetState.SUSPECT)


def settle(session: Session, verdicts: Sequence[Verdict]) -> None:
    """Write down of targets that they cannot be made, and why, in a few statements.

    Their publications end: nobody is answered with what is known to be wrong.

    Raises
    ------
    Superseded
        If one of the targets, or what they rest on, changed since: nothing is written then.
    """
    held = _hold_all(session, verdicts)
    failed = [v for v in verdicts if held[v.target.target_id].state != TargetState.FAILED]
    if not failed:
        return
    numbers = [verdict.target.target_id for verdict in failed]
    published = [n for n in numbers if held[n].product_id is not None]
    said = _reasons_of(failed)
    session.execute(
        update(Target)
        .where(Target.target_id == said.c.target_id)
        .values(state=TargetState.FAILED, reasons=cast(said.c.reasons, JSONB), product_id=None)
        .execution_options(synchronize_session=False)
    )
    _note(session, failed)
    if published:
        end_publications(session, published, stamp(session))


def note_reasons(session: Session, verdicts: Sequence[Verdict]) -> None:
    """Write down why targets are stale, where nothing happened since; ADQL prints it."""
    news = [v for v in verdicts if v.target.reasons != _as_json(v)]
    if not news:
        return
    # one order for all who lock, as in :func:`_hold_all`
    numbers = [verdict.target.target_id for verdict in news]
    session.execute(
        select(Target.target_id)
        .where(Target.target_id.in_(numbers))
        .order_by(Target.target_id)
        .with_for_update(key_share=True)
    )
    said = _reasons_of(news)
    session.execute(
        update(Target)
        .where(
            Target.target_id == said.c.target_id,
            Target.epoch == said.c.epoch,
            Target.state.in_(_UNMADE),
        )
        .values(reasons=cast(said.c.reasons, JSONB))
        .execution_options(synchronize_session=False)
    )


def _as_json(verdict: Verdict) -> list[Any]:
    return [reason.as_json() for reason in verdict.reasons]


def _reasons_of(verdicts: Sequence[Verdict]) -> Values:
    """Numbers of targets, what they knew of events, and reasons: a table to update others from."""
    columns = (column("target_id", BigInteger), column("epoch", BigInteger))
    return values(*columns, column("reasons", Text), name="said").data(
        [(v.target.target_id, v.epoch, json.dumps(_as_json(v))) for v in verdicts]
    )


def settle_fresh(session: Session, verdicts: Sequence[Verdict]) -> None:
    """Write down many verdicts of FRESH in a few statements.

    Raises
    ------
    Superseded
        If one of the targets, or what they rest on, changed since: nothing is written then.
    """
    held = _hold_all(session, verdicts)
    settled = [v for v in verdicts if held[v.target.target_id].state != TargetState.FRESH]
    if not settled:
        return
    numbers = [verdict.target.target_id for verdict in settled]
    session.execute(
        update(Target)
        .where(Target.target_id.in_(numbers))
        .values(state=TargetState.FRESH, reasons=[])
        .execution_options(synchronize_session=False)
    )
    _note(session, settled)
    for verdict in _with_other_progenitors(session, settled):
        if verdict.reuse is not None:
            confirm(session, verdict.reuse, verdict)


def _note(session: Session, verdicts: Sequence[Verdict]) -> None:
    """Note what verdicts rest on."""
    pools = {pool.pool_id for v in verdicts for pool in v.pools}
    note_dependencies(session, {v.target.target_id: v.considered for v in verdicts}, pools)
    note_pools(session, {v.target.target_id: v.pools for v in verdicts})


def _hold_all(session: Session, verdicts: Sequence[Verdict]) -> dict[int, Target]:
    """Lock the targets and all that they rest on, lowest number first, and see that they stand.

    One order for all who lock keeps them from waiting for each other in a circle.
    """
    pools = [pool for verdict in verdicts for pool in verdict.pools]
    expected = members_of(pools)
    expected |= {n: epoch for verdict in verdicts for n, epoch in verdict.considered.items()}
    expected |= {verdict.target.target_id: verdict.epoch for verdict in verdicts}
    providers = {n: p for verdict in verdicts for n, p in verdict.providers.items()}
    rows = session.scalars(
        select(Target)
        .where(Target.target_id.in_(expected))
        .order_by(Target.target_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    held = {row.target_id: row for row in rows}
    own = {verdict.target.target_id for verdict in verdicts}
    happened = any(held[number].epoch != epoch for number, epoch in expected.items())
    moved = any(
        held[number].product_id != product_id
        or (number not in own and held[number].state != TargetState.FRESH)
        for number, product_id in providers.items()
    )
    if happened or moved or not hold_pools(session, pools):
        raise Superseded
    return held


def _with_other_progenitors(session: Session, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Those whose product has other progenitors now than were noted, with the same content."""
    products = [verdict.reuse.product_id for verdict in verdicts if verdict.reuse is not None]
    noted: dict[tuple[int, str, int], int] = {}
    for table, standing in (
        (Lineage, None),
        (Confirmation, Confirmation.valid_to == text("'infinity'")),
    ):
        query = select(table.product_id, table.role, table.position, table.progenitor_id).where(
            table.product_id.in_(products)
        )
        if standing is not None:
            query = query.where(standing)
        noted |= {(row[0], row[1], row[2]): row[3] for row in session.execute(query)}
    return [
        verdict
        for verdict in verdicts
        if verdict.reuse is not None
        and any(
            noted.get((verdict.reuse.product_id, role, number)) != progenitor.product_id
            for role, progenitors in verdict.inputs.items()
            for number, progenitor in enumerate(progenitors)
        )
    ]
