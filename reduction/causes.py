"""From a target to what is wrong with it: which progenitor, which frame, which error.

A verdict's reasons speak of the target and of what it is made from directly. Here they are
followed to their root, and to what was left out: a field or a night goes on without the frames
that cannot be used, so that nothing of its own verdict says why these are not in it.
"""

from __future__ import annotations

__all__ = ["Cause", "causes_of"]

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from reduction.chain import Examiner
from reduction.depends import SlotKind
from reduction.quality import said_flags, unfit
from reduction.select import left_out_raws, usable
from reduction.verdicts import ReasonKind, VerdictKind
from schemas.tables import Dependency, Edit, Product, Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy.orm import Session

    from reduction.archive import Archive
    from reduction.depends import Slot
    from reduction.registry import Registry
    from reduction.verdicts import Reason, Verdict

#: What only repeats that something has not been made yet.
_NOTHING_NEW = frozenset((ReasonKind.MISSING, ReasonKind.PROGENITOR_STALE))


@dataclass(frozen=True, slots=True)
class Cause:
    """A target or a raw frame on the way to the root.

    Attributes
    ----------
    name
        Identity of the target, or the raw frame's file and number.
    role
        Slot in which it would be a progenitor of what stands above; empty at the top.
    said
        What holds for it: "fresh", "stale", "unmakeable", or why it was left out.
    reasons
        Of the verdict on it.
    below
        What these come from, and what was left out.
    """

    name: str
    role: str
    said: str
    reasons: tuple[Reason, ...] = ()
    below: tuple[Cause, ...] = ()

    def everything_below(self) -> Iterator[Cause]:
        """All causes below this one, the nearest first."""
        for cause in self.below:
            yield cause
            yield from cause.everything_below()

    def roots(self) -> frozenset[str]:
        """Names of what nothing lies behind: raw frames, and targets with a fault of their own."""
        deeper = frozenset(name for cause in self.below for name in cause.roots())
        own = any(r.text.startswith(self.name) and not r.role for r in self.reasons)
        return deeper | {self.name} if own or not self.below else deeper


def causes_of(archive: Archive, target_ids: Iterable[int]) -> list[Cause]:
    """Say of targets whether they are right, and follow what is wrong to its roots.

    Parameters
    ----------
    target_ids
        The targets; what needs no making is written down as :meth:`Archive.plan` does.

    Returns
    -------
    list of Cause
        One for each, in their order; without causes below where nothing is wrong.
    """
    wanted = list(target_ids)
    archive.plan(wanted)
    with archive.examining() as session:
        rows = session.scalars(select(Target).where(Target.target_id.in_(wanted)))
        targets = {target.target_id: target for target in rows}
        seeker = _Seeker(session, archive.registry)
        return [seeker.cause(targets[number], "") for number in wanted]


class _Seeker:
    """Follows verdicts down, in one snapshot."""

    def __init__(self, session: Session, registry: Registry) -> None:
        self._session, self._registry = session, registry
        self._examiner = Examiner(session, registry)
        self._known: dict[int, tuple[Cause, ...]] = {}

    def cause(self, target: Target, role: str) -> Cause:
        """A target with all that is wrong below it."""
        verdict = self._examiner.verdict(target)
        if target.target_id not in self._known:
            self._known[target.target_id] = ()  # should it ever lead back to itself
            self._known[target.target_id] = tuple(self._below(target, verdict))
        below = self._known[target.target_id]
        return Cause(target.identity, role, self._said(target, verdict), verdict.reasons, below)

    def _said(self, target: Target, verdict: Verdict) -> str:
        if verdict.kind is not VerdictKind.FRESH or target.product_id is None:
            return verdict.kind.value
        product = self._session.get_one(Product, target.product_id)
        if usable(product):
            return verdict.kind.value
        return f"{verdict.kind}, but object {product.product_id} {self._unfit(product)}"

    def _below(self, target: Target, verdict: Verdict) -> Iterator[Cause]:
        """What is wrong below a target: each root on its shortest way, and each frame left out."""
        slots = self._registry.target(target.class_name).SLOTS
        failed = {reason.role for reason in verdict.reasons if reason.role}
        if verdict.kind is VerdictKind.UNMAKEABLE and failed:
            slots = {name: slot for name, slot in slots.items() if name in failed}
        found = list(self._raws(target, slots.values()))
        for other in self._considered(target, verdict):
            role = next((n for n, s in slots.items() if other.class_name in s.classes), "")
            cause = self._worth_saying(target, verdict, other, role) if role else None
            if cause is not None:
                found.append(cause)
        reached: frozenset[str] = frozenset()
        for cause in sorted(found, key=_depth):
            member = bool(cause.role) and slots[cause.role].many
            left_out = member and cause.said != VerdictKind.FRESH.value
            if left_out or not cause.roots() <= reached:
                reached |= cause.roots()
                yield cause

    def _worth_saying(
        self, target: Target, verdict: Verdict, other: Target, role: str
    ) -> Cause | None:
        """A progenitor's cause, where it says something about the target; None elsewhere."""
        state = self._examiner.verdict(other)
        if state.kind is VerdictKind.UNMAKEABLE:
            return self.cause(other, role)
        if state.kind is VerdictKind.STALE:
            if verdict.kind is not VerdictKind.STALE or other.target_id not in verdict.needs:
                return None
            cause = self.cause(other, role)
            news = any(reason.kind not in _NOTHING_NEW for reason in state.reasons)
            return cause if news or cause.below else None
        if self._said(other, state) != VerdictKind.FRESH.value:
            return self.cause(other, role)
        if target.field_id is None or other.field_id != target.field_id:
            return None
        # what a field's own products left out is missing in what is made of them, too
        cause = self.cause(other, role)
        return cause if cause.below else None

    def _considered(self, target: Target, verdict: Verdict) -> Sequence[Target]:
        """Targets that a verdict rests on, in the order in which they were observed."""
        query = select(Target).order_by(Target.moment, Target.chip, Target.target_id)
        if verdict.looked:
            query = query.where(Target.target_id.in_(verdict.considered))
        else:
            query = query.join(
                Dependency, Dependency.progenitor_target_id == Target.target_id
            ).where(Dependency.target_id == target.target_id)
        return self._session.scalars(query).all()

    def _raws(self, target: Target, slots: Iterable[Slot]) -> Iterator[Cause]:
        """Raw frames that would be progenitors, were they not rejected or flagged."""
        for slot in slots:
            raws: Sequence[Product] = ()
            if slot.kind is SlotKind.RAW_FRAMES:
                raws = left_out_raws(self._session, target, slot)
            elif slot.kind is SlotKind.RAW_FRAME and target.raw_id is not None:
                own = self._session.get_one(Product, target.raw_id)
                raws = () if usable(own) else (own,)
            for raw in raws:
                name = f"raw frame {raw.attributes.get('name')} (object {raw.product_id})"
                yield Cause(name, slot.name, self._unfit(raw))

    def _unfit(self, product: Product) -> str:
        """Why a product is no progenitor, with who rejected it and why."""
        said = unfit(self._registry.classes, product)
        if product.is_valid >= 1:
            return said
        edit = self._session.scalars(
            select(Edit)
            .where(Edit.product_id == product.product_id, Edit.field == "is_valid")
            .order_by(Edit.edit_id.desc())
            .limit(1)
        ).first()
        if edit is not None:
            said += f" by {edit.who}: {edit.why}"
        if product.quality_flags:
            flags = getattr(self._registry.classes.get(product.class_name), "Flags", None)
            if flags is not None:
                said += f"; flagged {said_flags(flags, product.quality_flags)}"
        return said


def _depth(cause: Cause) -> int:
    """Steps to the nearest root."""
    return min((1 + _depth(below) for below in cause.below), default=0)
