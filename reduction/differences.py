"""Why what is published is not what would be made today: recipe, parameters, each input."""

from __future__ import annotations

__all__ = ["give_reasons"]

from typing import TYPE_CHECKING

from sqlalchemy import select

from reduction.batches import batched
from reduction.quality import DOUBTED, unfit
from reduction.select import usable
from reduction.unreadable import noted_unreadable
from reduction.verdicts import Reason, ReasonKind
from schemas.tables import Lineage, Product

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy.orm import Session

    from reduction.depends import Slot
    from reduction.registry import Registry
    from reduction.verdicts import Verdict

    _ByRole = dict[str, list[Product]]


def give_reasons(
    session: Session,
    registry: Registry,
    stale: Sequence[tuple[Verdict, Product | None]],
    verdicts: Mapping[int, Verdict],
) -> None:
    """Write into verdicts of STALE why they are, with a few statements for all.

    Parameters
    ----------
    stale
        Verdicts, each with what is published of its target.
    verdicts
        All that were reached, by target: what is needed is named.
    """
    made_from = _made_from(session, (p.product_id for _, p in stale if p is not None))
    for verdict, current in stale:
        before = {} if current is None else made_from[current.product_id]
        found = _differences(registry, verdict, current, before, verdicts)
        verdict.reasons = found + noted_unreadable(verdict.target)


def _made_from(session: Session, numbers: Iterable[int]) -> dict[int, _ByRole]:
    """Recorded progenitors of products by role; nothing for those that have none."""
    wanted = sorted(set(numbers))
    found: dict[int, _ByRole] = {number: {} for number in wanted}
    for part in batched(wanted):
        rows = session.execute(
            select(Lineage.product_id, Lineage.role, Product)
            .join(Product, Product.product_id == Lineage.progenitor_id)
            .where(Lineage.product_id.in_(part))
        )
        for number, role, product in rows:
            found[number].setdefault(role, []).append(product)
    return found


def _differences(
    registry: Registry,
    verdict: Verdict,
    current: Product | None,
    before: _ByRole,
    verdicts: Mapping[int, Verdict],
) -> tuple[Reason, ...]:
    pending = tuple(
        Reason(ReasonKind.PROGENITOR_STALE, "", f"{verdicts[n].target.identity} has to be made")
        for n in verdict.needs
    )
    if current is None:
        kind = ReasonKind.NOT_PUBLISHED if verdict.reuse else ReasonKind.MISSING
        return (Reason(kind, "", f"{verdict.target.identity}: {kind}"), *pending)
    reasons = []
    if current.is_valid == DOUBTED:
        text = f"object {current.product_id} may have been made while a raw frame was altered"
        reasons.append(Reason(ReasonKind.PROGENITOR_DOUBTED, "", text))
    if current.recipe_version != verdict.recipe_version:
        text = f"recipe version {current.recipe_version} -> {verdict.recipe_version}"
        reasons.append(Reason(ReasonKind.OTHER_RECIPE, "", text))
    old, new = current.process_params, verdict.parameters
    reasons += [
        Reason(ReasonKind.OTHER_PARAMETERS, "", f"{n}: {old.get(n)!r} -> {new.get(n)!r}")
        for n in sorted({*old, *new})
        if old.get(n) != new.get(n)
    ]
    for name, slot in registry.target(verdict.target.class_name).SLOTS.items():
        now = verdict.inputs.get(name, [])
        reasons += _compare(registry.classes, slot, before.get(name, []), now)
    reasons += pending
    if not reasons:
        text = "the camera is described in another way"
        reasons.append(Reason(ReasonKind.OTHER_PARAMETERS, "", text))
    return tuple(reasons)


def _newcomer(slot: Slot, product: Product, gone: Sequence[Product]) -> Reason:
    """Why a slot of many has a product that it had not: it is new, or another version."""
    name = f"{product.class_name} object {product.product_id}"
    for before in gone:
        if product.target_id is not None and before.target_id == product.target_id:
            text = f"{name} takes the place of object {before.product_id}"
            return Reason(ReasonKind.PROGENITOR_REMADE, slot.name, text)
    return Reason(ReasonKind.NEW_RAW_DATA, slot.name, f"{name} is new")


def _compare(
    classes: Mapping[str, type], slot: Slot, before: list[Product], now: list[Product]
) -> list[Reason]:
    """Reasons for which an input differs from what the product was made from."""
    old, new = ({p.product_id: p for p in products} for products in (before, now))
    gone = [p for number, p in old.items() if number not in new]
    come = [p for number, p in new.items() if number not in old]
    reasons = [
        Reason(
            ReasonKind.PROGENITOR_INVALIDATED,
            slot.name,
            f"{p.class_name} object {p.product_id} {unfit(classes, p)}",
        )
        for p in gone
        if not usable(p)
    ]
    if slot.many:
        reasons += [_newcomer(slot, p, gone) for p in come]
    elif come:
        p = come[0]
        remade = any(g.target_id == p.target_id for g in gone)
        kind = ReasonKind.PROGENITOR_REMADE if remade else ReasonKind.BETTER_CALIBRATION
        if not remade or gone[0].content_hash != p.content_hash:
            text = f"{p.class_name} object {p.product_id} takes the place of "
            text += f"object {gone[0].product_id}" if gone else "none"
            reasons.append(Reason(kind, slot.name, text))
    return reasons
