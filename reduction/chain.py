"""Backward chaining: whether a target is right, why it is not, and what has to be made first.

Nothing is made here. A verdict is reached from the archive's tables alone; the same plan can be
printed, run in this process, or sent to the engine.
"""

from __future__ import annotations

__all__ = ["Examiner", "Plan", "Reason", "ReasonKind", "Step", "Verdict", "VerdictKind"]

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from reduction.depends import Slot, SlotKind
from reduction.keys import hash_of
from reduction.parameters import resolve_parameters
from reduction.select import (
    calibration_targets,
    frame_target,
    raw_products,
    reference_catalogues,
    usable,
)
from schemas.errors import BusyError
from schemas.tables import Lineage, Product, Recipe, Target, TargetState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy.orm import Session

    from reduction.registry import Registry


class ReasonKind(StrEnum):
    """Why a target is stale (design invariant 7)."""

    MISSING = "missing"
    NEW_RAW_DATA = "new raw data"
    OTHER_PARAMETERS = "other parameters"
    OTHER_RECIPE = "other recipe version"
    PROGENITOR_STALE = "progenitor stale"
    PROGENITOR_INVALIDATED = "progenitor invalidated"
    PROGENITOR_REMADE = "progenitor remade with other content"
    BETTER_CALIBRATION = "better calibration available"
    NOT_PUBLISHED = "made before, not published now"
    CANNOT_BE_MADE = "cannot be made"
    RECIPE_FAILED = "recipe failed"


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason, the input it is about (empty for the target itself), and a sentence."""

    kind: ReasonKind
    role: str
    text: str

    def as_json(self) -> dict[str, str]:
        """Words for the archive's tables."""
        return {"kind": self.kind.value, "role": self.role, "text": self.text}


class VerdictKind(StrEnum):
    """What can be said of a target."""

    FRESH = "fresh"
    STALE = "stale"
    UNMAKEABLE = "unmakeable"


@dataclass(slots=True)
class Verdict:
    """What is known of one target after looking.

    Attributes
    ----------
    target
        The target's row as it was.
    kind, reasons
        The verdict and why; no reasons for FRESH.
    inputs
        Progenitor products by slot, in order; complete only where ``needs`` is empty.
    needs
        Targets that have to be made first.
    considered
        Targets the verdict rests on, candidates that were passed over included, and each one's
        count of events at the time.
    providers
        Product that each target gave; two targets made from the same inputs share one.
    recipe_version, parameters, key, input_hash
        What the product would be made by, and its identity (empty while ``needs`` is not).
    reuse
        A product made before with the same key or the same input contents.
    looked
        False where the target's state was trusted without looking.
    epoch
        The target's count of events when the verdict was reached.
    """

    target: Target
    kind: VerdictKind
    reasons: tuple[Reason, ...] = ()
    inputs: dict[str, list[Product]] = field(default_factory=dict)
    needs: tuple[int, ...] = ()
    considered: dict[int, int] = field(default_factory=dict)
    providers: dict[int, int] = field(default_factory=dict)
    recipe_version: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    key: str = ""
    input_hash: str = ""
    reuse: Product | None = None
    looked: bool = True
    epoch: int = field(init=False)

    def __post_init__(self) -> None:
        """Remember which events the verdict knows of."""
        self.epoch = self.target.epoch


@dataclass(frozen=True, slots=True)
class Step:
    """One target to be made: which, why, after which others, and in about how many seconds."""

    target_id: int
    epoch: int
    name: str
    reasons: tuple[Reason, ...]
    needs: tuple[int, ...]
    cost_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in an order in which they can be run."""

    steps: tuple[Step, ...]

    @property
    def cost_s(self) -> float:
        """Estimated seconds of one process for all steps."""
        return sum(step.cost_s for step in self.steps)


@dataclass(slots=True)
class _Filled:
    products: list[Product] = field(default_factory=list)
    pending: list[int] = field(default_factory=list)
    considered: dict[int, int] = field(default_factory=dict)
    providers: dict[int, int] = field(default_factory=dict)
    failure: str = ""


class Examiner:
    """Reaches verdicts in one database snapshot; remembers those it has reached.

    Parameters
    ----------
    session
        A session in a repeatable-read transaction.
    registry
        The classes and instruments.
    """

    def __init__(self, session: Session, registry: Registry) -> None:
        self._session, self._registry = session, registry
        self.verdicts: dict[int, Verdict] = {}

    def verdict(self, target: Target) -> Verdict:
        """Say of one target whether it is right, by looking at its progenitors first."""
        known = self.verdicts.get(target.target_id)
        if known is None:
            known = self._trusted(target) or self._examine(target)
            self.verdicts[target.target_id] = known
        return known

    def plan(self, targets: Iterable[Target]) -> Plan:
        """Steps that make the given targets right, progenitors before what is made of them."""
        order: dict[int, Step] = {}
        for target in targets:
            self._visit(self.verdict(target), order)
        return Plan(tuple(order.values()))

    def _visit(self, verdict: Verdict, order: dict[int, Step]) -> None:
        target = verdict.target
        if verdict.kind is not VerdictKind.STALE or target.target_id in order:
            return
        for need in verdict.needs:
            self._visit(self.verdicts[need], order)
        order[target.target_id] = Step(
            target.target_id,
            target.epoch,
            target.identity,
            verdict.reasons,
            verdict.needs,
            target.cost_s or 1.0,
        )

    def _trusted(self, target: Target) -> Verdict | None:
        if target.state == TargetState.FRESH:
            return Verdict(target, VerdictKind.FRESH, looked=False)
        if target.state == TargetState.FAILED:
            reasons = tuple(
                Reason(ReasonKind(r["kind"]), r["role"], r["text"]) for r in target.reasons
            )
            return Verdict(target, VerdictKind.UNMAKEABLE, reasons, looked=False)
        return None

    def _examine(self, target: Target) -> Verdict:
        cls = self._registry.target(target.class_name)
        filled = {name: self._fill(target, slot) for name, slot in cls.SLOTS.items()}
        considered = {t: epoch for f in filled.values() for t, epoch in f.considered.items()}
        failures = tuple(
            Reason(ReasonKind.CANNOT_BE_MADE, name, f.failure)
            for name, f in filled.items()
            if f.failure
        )
        if failures:
            inputs = {name: f.products for name, f in filled.items()}
            return Verdict(
                target, VerdictKind.UNMAKEABLE, failures, inputs=inputs, considered=considered
            )
        verdict = Verdict(
            target,
            VerdictKind.STALE,
            inputs={name: f.products for name, f in filled.items()},
            needs=tuple(dict.fromkeys(n for f in filled.values() for n in f.pending)),
            considered=considered,
            providers={t: p for f in filled.values() for t, p in f.providers.items()},
        )
        self._identify(verdict)
        return self._judge(verdict)

    def _identify(self, verdict: Verdict) -> None:
        target = verdict.target
        cls = self._registry.target(target.class_name)
        recipe = self._session.get_one(Recipe, (target.class_name, target.instrument))
        if recipe.version != cls.VERSION:
            message = (
                f"this process has version {cls.VERSION} of the recipe of {target.class_name}, "
                f"the archive knows version {recipe.version}: restart the service after an upgrade"
            )
            raise BusyError(message)
        chip = self._registry.instruments[target.instrument].chips[target.chip]
        verdict.parameters = resolve_parameters(
            target.class_name, cls.Parameters, {**recipe.parameters, **recipe.overrides}, chip
        )
        verdict.recipe_version = (
            f"{recipe.version}.{recipe.revision}" if recipe.revision else str(recipe.version)
        )
        if verdict.needs:
            return
        made_by: list[Any] = [target.class_name, verdict.recipe_version, verdict.parameters]
        made_for = [target.instrument, target.chip, target.filter]
        roles = [
            (name, number, product)
            for name, products in sorted(verdict.inputs.items())
            for number, product in enumerate(products)
        ]
        verdict.key = hash_of(
            [*made_by, *made_for, [[r, n, p.key, p.content_hash] for r, n, p in roles]]
        )
        verdict.input_hash = hash_of(
            [*made_by, *made_for, [[r, n, p.content_hash] for r, n, p in roles]]
        )

    def _judge(self, verdict: Verdict) -> Verdict:
        target = verdict.target
        current = (
            None if target.product_id is None else self._session.get(Product, target.product_id)
        )
        if verdict.needs:
            verdict.reasons = self._differences(verdict, current)
            return verdict
        same = self._session.scalars(
            select(Product)
            .where(
                (Product.key == verdict.key) | (Product.input_hash == verdict.input_hash),
                Product.class_name == target.class_name,
            )
            .order_by((Product.key == verdict.key).desc(), Product.product_id.desc())
        ).all()
        if current is not None and any(p.product_id == current.product_id for p in same):
            same = [current]
        if same and same[0].is_valid < 1:
            text = f"{target.identity}: object {same[0].product_id}, made from the same inputs, "
            text += "was rejected"
            verdict.kind = VerdictKind.UNMAKEABLE
            verdict.reasons = (Reason(ReasonKind.CANNOT_BE_MADE, "", text),)
        elif same and current is not None and same[0].product_id == current.product_id:
            verdict.kind = VerdictKind.FRESH
            verdict.reuse = current
        else:
            verdict.reuse = same[0] if same else None
            verdict.reasons = self._differences(verdict, current)
        return verdict

    def _differences(self, verdict: Verdict, current: Product | None) -> tuple[Reason, ...]:
        pending = tuple(
            Reason(
                ReasonKind.PROGENITOR_STALE,
                "",
                f"{self.verdicts[n].target.identity} has to be made",
            )
            for n in verdict.needs
        )
        if current is None:
            kind = ReasonKind.NOT_PUBLISHED if verdict.reuse else ReasonKind.MISSING
            return (Reason(kind, "", f"{verdict.target.identity}: {kind}"), *pending)
        reasons = []
        if current.recipe_version != verdict.recipe_version:
            text = f"recipe version {current.recipe_version} -> {verdict.recipe_version}"
            reasons.append(Reason(ReasonKind.OTHER_RECIPE, "", text))
        old, new = current.process_params, verdict.parameters
        reasons += [
            Reason(ReasonKind.OTHER_PARAMETERS, "", f"{n}: {old.get(n)!r} -> {new.get(n)!r}")
            for n in sorted({*old, *new})
            if old.get(n) != new.get(n)
        ]
        return (*reasons, *self._input_differences(verdict, current), *pending)

    def _input_differences(self, verdict: Verdict, current: Product) -> list[Reason]:
        rows = self._session.execute(
            select(Lineage.role, Product)
            .join(Product, Product.product_id == Lineage.progenitor_id)
            .where(Lineage.product_id == current.product_id)
        ).all()
        before: dict[str, list[Product]] = {}
        for role, product in rows:
            before.setdefault(role, []).append(product)
        cls = self._registry.target(verdict.target.class_name)
        reasons: list[Reason] = []
        for name, slot in cls.SLOTS.items():
            reasons += _compare(slot, before.get(name, []), verdict.inputs.get(name, []))
        return reasons

    def _fill(self, target: Target, slot: Slot) -> _Filled:
        match slot.kind:
            case SlotKind.RAW_FRAMES:
                filled = self._raw_frames(target, slot)
            case SlotKind.RAW_FRAME:
                filled = self._raw_frame(target)
            case SlotKind.OF_FRAME:
                filled = self._of_frame(target, slot)
            case SlotKind.REFERENCES:
                filled = _Filled(list(reference_catalogues(self._session, target)))
            case SlotKind.CALIBRATION:
                filled = self._calibration(target, slot)
        found = len(filled.products) + len(filled.pending)
        if found >= slot.at_least:
            filled.failure = ""
        elif not filled.failure:
            wanted = " or ".join(slot.classes)
            filled.failure = (
                f"{target.identity} needs {slot.at_least} valid {wanted} ({slot.name}), "
                f"there {'is' if found == 1 else 'are'} {found}"
            )
        return filled

    def _raw_frames(self, target: Target, slot: Slot) -> _Filled:
        by_filter = bool(target.filter) and slot.classes[0] not in ("RawBiasFrame", "RawDarkFrame")
        return _Filled(list(raw_products(self._session, target, slot, by_filter=by_filter)))

    def _raw_frame(self, target: Target) -> _Filled:
        raw = self._session.get_one(Product, target.raw_id)
        if usable(raw):
            return _Filled([raw])
        name = raw.attributes.get("name")
        return _Filled(failure=f"raw frame {name} (object {raw.product_id}) was rejected")

    def _of_frame(self, target: Target, slot: Slot) -> _Filled:
        found = frame_target(self._session, target, slot)
        if found is None:
            return _Filled(failure=f"there is no {' or '.join(slot.classes)} of this raw frame")
        return self._first_good([found], slot)

    def _calibration(self, target: Target, slot: Slot) -> _Filled:
        by_filter = self._registry.by_filter(slot.classes[0])
        candidates = calibration_targets(self._session, target, slot, by_filter=by_filter)
        return self._first_good([c for c in candidates if c.target_id != target.target_id], slot)

    def _first_good(self, candidates: Sequence[Target], slot: Slot) -> _Filled:
        filled = _Filled()
        refusals = []
        for candidate in candidates:
            filled.considered[candidate.target_id] = candidate.epoch
            verdict = self.verdict(candidate)
            if verdict.kind is VerdictKind.STALE:
                filled.pending.append(candidate.target_id)
                return filled
            if verdict.kind is VerdictKind.FRESH:
                product = self._session.get_one(Product, candidate.product_id)
                if usable(product):
                    filled.products.append(product)
                    filled.providers[candidate.target_id] = product.product_id
                    return filled
                refusals.append(f"{candidate.identity} has quality_flags={product.quality_flags}")
            else:
                refusals.append(verdict.reasons[0].text)
        if refusals and slot.at_least:
            filled.failure = "; ".join(dict.fromkeys(refusals[:3]))
        return filled


def _compare(slot: Slot, before: list[Product], now: list[Product]) -> list[Reason]:
    """Reasons for which an input differs from what the product was made from."""
    old, new = ({p.product_id: p for p in products} for products in (before, now))
    gone = [p for number, p in old.items() if number not in new]
    come = [p for number, p in new.items() if number not in old]
    reasons = [
        Reason(
            ReasonKind.PROGENITOR_INVALIDATED,
            slot.name,
            f"{p.class_name} object {p.product_id} was rejected",
        )
        for p in gone
        if not usable(p)
    ]
    if slot.many:
        reasons += [
            Reason(
                ReasonKind.NEW_RAW_DATA, slot.name, f"{p.class_name} object {p.product_id} is new"
            )
            for p in come
        ]
    elif come:
        p = come[0]
        remade = any(g.target_id == p.target_id for g in gone)
        kind = ReasonKind.PROGENITOR_REMADE if remade else ReasonKind.BETTER_CALIBRATION
        if not remade or gone[0].content_hash != p.content_hash:
            text = f"{p.class_name} object {p.product_id} takes the place of "
            text += f"object {gone[0].product_id}" if gone else "none"
            reasons.append(Reason(kind, slot.name, text))
    return reasons
