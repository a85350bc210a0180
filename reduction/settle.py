"""Verdicts that ask for no making, written down."""

from __future__ import annotations

__all__ = ["note_reasons", "settle", "settle_fresh"]

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, text, update

from reduction.moments import stamp
from reduction.publish import Superseded, confirm, depend, end_publication, hold
from schemas.tables import Confirmation, Dependency, Lineage, Target, TargetState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from reduction.verdicts import Verdict


def settle(session: Session, verdict: Verdict) -> None:
    """Write down that a target cannot be made, and why.

    Its publication ends: nobody is answered with what is known to be wrong.

    Raises
    ------
    Superseded
        If the target or one of its progenitors changed since the verdict.
    """
    target = hold(session, verdict)
    if target.state == TargetState.FAILED:
        return
    published = target.product_id is not None
    reasons = [reason.as_json() for reason in verdict.reasons]
    session.execute(
        update(Target)
        .where(Target.target_id == target.target_id)
        .values(state=TargetState.FAILED, reasons=reasons, product_id=None)
    )
    depend(session, verdict)
    if published:
        end_publication(session, target.target_id, stamp(session))


def note_reasons(session: Session, verdict: Verdict) -> None:
    """Write down why a target is stale, where nothing happened since; ADQL prints it."""
    session.execute(
        update(Target)
        .where(
            Target.target_id == verdict.target.target_id,
            Target.epoch == verdict.epoch,
            Target.state.in_((TargetState.MISSING, TargetState.SUSPECT)),
        )
        .values(reasons=[reason.as_json() for reason in verdict.reasons])
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
    for verdict in _with_other_progenitors(session, settled):
        if verdict.reuse is not None:
            confirm(session, verdict.reuse, verdict)
    numbers = [verdict.target.target_id for verdict in settled]
    session.execute(
        update(Target)
        .where(Target.target_id.in_(numbers))
        .values(state=TargetState.FRESH, reasons=[])
        .execution_options(synchronize_session=False)
    )
    session.execute(delete(Dependency).where(Dependency.target_id.in_(numbers)))
    rows = [
        {"target_id": verdict.target.target_id, "progenitor_target_id": number}
        for verdict in settled
        for number in sorted(verdict.considered)
    ]
    if rows:
        session.execute(insert(Dependency), rows)


def _hold_all(session: Session, verdicts: Sequence[Verdict]) -> dict[int, Target]:
    """Lock the targets and all that they rest on, lowest number first, and see that they stand.

    One order for all who lock keeps them from waiting for each other in a circle.
    """
    expected = {n: epoch for verdict in verdicts for n, epoch in verdict.considered.items()}
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
    if happened or moved:
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
