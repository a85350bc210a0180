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

from reduction.batches import batched
from reduction.chain import Examiner
from reduction.depends import SlotKind
from reduction.duplicates import used_twin
from reduction.quality import said_flags, unfit
from reduction.select import left_out_raws, usable
from reduction.verdicts import ReasonKind, VerdictKind
from schemas.recipe_tables import Edit
from schemas.tables import Dependency, Product, Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

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
    twin
        Of a raw frame that is left out as a duplicate, the object that is used; else None.
    """

    name: str
    role: str
    said: str
    reasons: tuple[Reason, ...] = ()
    below: tuple[Cause, ...] = ()
    twin: int | None = None

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
        seeker.look_up(list(targets.values()))
        return [seeker.cause(targets[number], "") for number in wanted]


class _Seeker:
    """Follows verdicts down, in one snapshot; what is looked at together is fetched together."""

    def __init__(self, session: Session, registry: Registry) -> None:
        self._session, self._registry = session, registry
        self._examiner = Examiner(session, registry)
        self._known: dict[int, tuple[Cause, ...]] = {}
        self._rested_on: dict[int, list[Target]] = {}
        self._edits: dict[int, Edit | None] = {}
        self._twins: dict[int, int | None] = {}

    def look_up(self, targets: Sequence[Target]) -> None:
        """Fetch what saying why some targets are as they are will ask for, level by level."""
        level = list(targets)
        while level := [t for t in level if t.target_id not in self._rested_on]:
            verdicts = self._examiner.all_verdicts(level)
            for part in batched(verdicts):
                self._rested_on |= {verdict.target.target_id: [] for verdict in part}
                for number, other in self._resting(part):
                    self._rested_on[number].append(other)
            numbers = {n for t in level for n in (t.raw_id, t.product_id) if n is not None}
            self._look_up_edits([self._examiner.product(number) for number in sorted(numbers)])
            others = {o.target_id: o for t in level for o in self._rested_on[t.target_id]}
            self._examiner.all_verdicts(list(others.values()))
            below = (other for verdict in verdicts for other, _, _ in self._leading(verdict))
            level = list({other.target_id: other for other in below}.values())

    def _resting(self, verdicts: Sequence[Verdict]) -> Iterator[tuple[int, Target]]:
        """Numbers of the verdicts' targets and what each rests on, oldest observation first."""
        users: dict[int, list[int]] = {}
        for verdict in verdicts:
            for number in verdict.considered if verdict.looked else ():
                users.setdefault(number, []).append(verdict.target.target_id)
        trusted = [v.target.target_id for v in verdicts if not v.looked]
        order = (Target.moment, Target.chip, Target.target_id)
        if users:
            considered = select(Target).where(Target.target_id.in_(users)).order_by(*order)
            for other in self._session.scalars(considered):
                yield from ((number, other) for number in users[other.target_id])
        if trusted:
            rested_on = (
                select(Dependency.target_id, Target)
                .join(Target, Dependency.progenitor_target_id == Target.target_id)
                .where(Dependency.target_id.in_(trusted))
                .order_by(*order)
            )
            for row in self._session.execute(rested_on):
                yield row.target_id, row.Target

    def _look_up_edits(self, products: Iterable[Product]) -> None:
        """Fetch who rejected some products last, and why."""
        rejected = [p.product_id for p in products if p.is_valid < 1]
        for part in batched(number for number in rejected if number not in self._edits):
            self._edits |= dict.fromkeys(part)
            said = select(Edit).where(Edit.product_id.in_(part), Edit.field == "is_valid")
            for edit in self._session.scalars(said.order_by(Edit.edit_id)):
                self._edits[edit.product_id or 0] = edit

    def cause(self, target: Target, role: str) -> Cause:
        """A target with all that is wrong below it."""
        self.look_up([target])
        verdict = self._examiner.verdict(target)
        if target.target_id not in self._known:
            self._known[target.target_id] = ()  # should it ever lead back to itself
            self._known[target.target_id] = tuple(self._below(target, verdict))
        below = self._known[target.target_id]
        return Cause(target.identity, role, self._said(target, verdict), verdict.reasons, below)

    def _said(self, target: Target, verdict: Verdict) -> str:
        if verdict.kind is not VerdictKind.FRESH or target.product_id is None:
            return verdict.kind.value
        product = self._examiner.product(target.product_id)
        if usable(product):
            return verdict.kind.value
        return f"{verdict.kind}, but object {product.product_id} {self._unfit(product)}"

    def _below(self, target: Target, verdict: Verdict) -> Iterator[Cause]:
        """What is wrong below a target: each root on its shortest way, and each frame left out."""
        slots = self._slots(verdict)
        found = list(self._raws(target, slots.values()))
        found += self._progenitors(verdict)
        reached: frozenset[str] = frozenset()
        for cause in sorted(found, key=_depth):
            member = bool(cause.role) and slots[cause.role].many
            left_out = member and cause.said != VerdictKind.FRESH.value
            if left_out or not cause.roots() <= reached:
                reached |= cause.roots()
                yield cause

    def _progenitors(self, verdict: Verdict) -> Iterator[Cause]:
        """Causes of the progenitors that say something about a target."""
        for other, state, role in self._leading(verdict):
            cause = self.cause(other, role)
            if state.kind is VerdictKind.STALE:
                news = any(reason.kind not in _NOTHING_NEW for reason in state.reasons)
            else:  # a field's own product that is right says what it left out, and nothing else
                news = cause.said != VerdictKind.FRESH.value
            if news or cause.below:
                yield cause

    def _slots(self, verdict: Verdict) -> Mapping[str, Slot]:
        """Slots by which what is wrong may have come: those that failed, or all."""
        slots = self._registry.target(verdict.target.class_name).SLOTS
        failed = {reason.role for reason in verdict.reasons if reason.role}
        if verdict.kind is VerdictKind.UNMAKEABLE and failed:
            return {name: slot for name, slot in slots.items() if name in failed}
        return slots

    def _leading(self, verdict: Verdict) -> list[tuple[Target, Verdict, str]]:
        """Progenitors below which something may be wrong, with their verdicts and roles."""
        others, slots = self._rested_on[verdict.target.target_id], self._slots(verdict)
        return [
            (other, state, role)
            for other, state in zip(others, self._examiner.all_verdicts(others), strict=True)
            for role in [n for n, s in slots.items() if other.class_name in s.classes][:1]
            if self._leads_on(verdict, other, state)
        ]

    def _leads_on(self, verdict: Verdict, other: Target, state: Verdict) -> bool:
        """Whether what is wrong with a progenitor, or below it, may be wrong with a target."""
        if state.kind is VerdictKind.STALE:
            return verdict.kind is VerdictKind.STALE and other.target_id in verdict.needs
        if self._said(other, state) != VerdictKind.FRESH.value:
            return True
        # what a field's own products left out is missing in what is made of them, too
        own = verdict.target.field_id
        return own is not None and other.field_id == own

    def _raws(self, target: Target, slots: Iterable[Slot]) -> Iterator[Cause]:
        """Raw frames that would be progenitors, were they not rejected or flagged."""
        for slot in slots:
            raws: Sequence[Product] = ()
            if slot.kind is SlotKind.RAW_FRAMES:
                raws = left_out_raws(self._session, target, slot)
            elif slot.kind is SlotKind.RAW_FRAME and target.raw_id is not None:
                own = self._examiner.product(target.raw_id)
                raws = () if usable(own) else (own,)
            self._look_up_edits(raws)
            for raw in raws:
                name = f"raw frame {raw.attributes.get('name')} (object {raw.product_id})"
                yield Cause(name, slot.name, self._unfit(raw), twin=self._twin(raw))

    def _unfit(self, product: Product) -> str:
        """Why a product is no progenitor, with who rejected it and why."""
        said = unfit(self._registry.classes, product)
        if product.is_valid >= 1:
            return said + self._of_two(product)
        self._look_up_edits([product])
        edit = self._edits[product.product_id]
        if edit is not None:
            said += f" by {edit.who}: {edit.why}"
        if product.quality_flags:
            flags = getattr(self._registry.classes.get(product.class_name), "Flags", None)
            if flags is not None:
                said += f"; flagged {said_flags(flags, product.quality_flags)}"
        return said

    def _of_two(self, product: Product) -> str:
        """Of a frame that is flagged as a duplicate, what is used of its exposure."""
        if not product.attributes.get("duplicate_of"):
            return ""
        used = self._twin(product)
        if used is not None:
            return f"; that is object {used}"
        number = product.product_id
        return (
            "; nothing of its exposure is used any more: "
            f"`vo-service set-valid {number} proposed` uses this one"
        )

    def _twin(self, product: Product) -> int | None:
        """What is used of the exposure of a frame that is flagged as a duplicate."""
        number = product.product_id
        if product.is_valid < 1 or not product.attributes.get("duplicate_of"):
            return None
        if number not in self._twins:
            used = used_twin(self._session, product)
            self._twins[number] = None if used is None else used.product_id
        return self._twins[number]


def _depth(cause: Cause) -> int:
    """Steps to the nearest root."""
    return min((1 + _depth(below) for below in cause.below), default=0)
