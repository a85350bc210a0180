"""Backward chaining: whether a target is right, why it is not, and what has to be made first.

Nothing is made here. A verdict is reached from the archive's tables alone; the same plan can be
printed, run in this process, or sent to the engine.
"""

from __future__ import annotations

__all__ = ["Examiner"]

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from reduction.costs import Costs
from reduction.fill import Filler, is_composite
from reduction.instruments.composite import whole
from reduction.keys import hash_of
from reduction.parameters import resolve_parameters, stored_values
from reduction.quality import unfit
from reduction.select import usable
from reduction.verdicts import Plan, Reason, ReasonKind, Step, Verdict, VerdictKind
from schemas.errors import BusyError, ParameterError
from schemas.tables import Lineage, Product, Recipe, Target, TargetState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy.orm import Session

    from reduction.depends import Slot
    from reduction.instruments.base import Chip, Instrument
    from reduction.registry import Registry
    from reduction.target import ProcessTarget


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
        self._filler = Filler(session, registry, self.verdict)
        self._costs = Costs(session, registry)
        self._recipes: dict[tuple[str, str], Recipe] = {}
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
        wanted = list(targets)
        self._filler.look_up(wanted)
        for target in wanted:
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
            self._costs.of(target),
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
        field = self._filler.field_of(target)
        if field is not None and not field.is_open:
            text = f"the field {field.name} was closed"
            reason = Reason(ReasonKind.CANNOT_BE_MADE, "", text)
            return Verdict(target, VerdictKind.UNMAKEABLE, (reason,))
        filled = self._filler.fill_all(target, cls.SLOTS)
        considered = {t: epoch for f in filled.values() for t, epoch in f.considered.items()}
        failures = tuple(
            Reason(ReasonKind.CANNOT_BE_MADE, name, f.failure)
            for name, f in filled.items()
            if f.failure
        )
        inputs = {name: f.products for name, f in filled.items()}
        values: dict[str, Any] = {}
        if not failures:
            try:
                values = self._parameters(target)
            except ParameterError as error:
                text = f"{target.identity}: {error}{self._set_by(target, error)}"
                failures = (Reason(ReasonKind.WRONG_PARAMETER, "", text),)
        if failures:
            return Verdict(
                target, VerdictKind.UNMAKEABLE, failures, inputs=inputs, considered=considered
            )
        verdict = Verdict(
            target,
            VerdictKind.STALE,
            inputs=inputs,
            parameters=values,
            needs=tuple(dict.fromkeys(n for f in filled.values() for n in f.pending)),
            considered=considered,
            providers={t: p for f in filled.values() for t, p in f.providers.items()},
        )
        self._identify(verdict)
        return self._judge(verdict)

    def _recipe(self, class_name: str, instrument: str) -> Recipe:
        """Recipe of a class for an instrument, or for several instruments together."""
        key = (class_name, instrument)
        if key not in self._recipes:
            self._recipes[key] = self._session.get(Recipe, key) or self._session.get_one(
                Recipe, (class_name, "")
            )
        return self._recipes[key]

    def _identify(self, verdict: Verdict) -> None:
        target = verdict.target
        cls = self._registry.target(target.class_name)
        recipe = self._recipe(target.class_name, target.instrument)
        verdict.recipe_version = self._version(cls, recipe)
        field = self._filler.field_of(target)
        camera, chip = self._made_with(target)
        if verdict.needs:
            return
        made_by: list[Any] = [target.class_name, verdict.recipe_version, verdict.parameters]
        made_for: list[Any] = [target.instrument, target.chip, target.filter]
        made_for.append(camera.facts(chip, target.filter))
        if field is not None:
            made_for.append(field.as_json())
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

    def _made_with(self, target: Target) -> tuple[Instrument, Chip]:
        camera = self._registry.camera(target.instrument, composite=is_composite(target))
        return camera, camera.chips.get(target.chip) or whole(camera)

    def _parameters(self, target: Target) -> dict[str, Any]:
        """Value of each process parameter.

        Raises
        ------
        ParameterError
            If what was said of one before cannot be used by the class as it is now.
        BusyError
            If the archive knows another version of the class than this process.
        """
        cls = self._registry.target(target.class_name)
        recipe = self._recipe(target.class_name, target.instrument)
        self._version(cls, recipe)
        if (said := stored_values(recipe.overrides)) is None:
            raise ParameterError(
                target.class_name, recipe.overrides, "values by the names of parameters"
            )
        camera, chip = self._made_with(target)
        return resolve_parameters(
            target.class_name,
            cls.Parameters,
            {**recipe.parameters, **said, **self._own(target), **self._asked(target)},
            chip,
            camera.bands.get(target.filter),
        )

    def _own(self, target: Target) -> Mapping[str, Any]:
        """Process parameters that a target's field has of its own."""
        field = self._filler.field_of(target)
        return {} if field is None else field.parameters.get(target.class_name, {})

    def _set_by(self, target: Target, error: ParameterError) -> str:
        """Who said what cannot be used, as the end of a sentence; empty for others."""
        name = error.name.rpartition(".")[2]
        if name in self._own(target):
            return " (set for the field: close it, and declare it anew under another name)"
        said = stored_values(self._recipe(target.class_name, target.instrument).overrides)
        if said is None or name in said:
            return f" (set by an operator for {target.instrument})"
        return ""

    def _version(self, cls: type[ProcessTarget], recipe: Recipe) -> str:
        if recipe.version != cls.VERSION:
            message = (
                f"this process has version {cls.VERSION} of the recipe of {cls.__name__}, "
                f"the archive knows version {recipe.version}: restart the service after an upgrade"
            )
            raise BusyError(message)
        return f"{recipe.version}.{recipe.revision}" if recipe.revision else str(recipe.version)

    def _asked(self, target: Target) -> Mapping[str, Any]:
        """Process parameters of the call; those of the archive's own products have none."""
        del target
        return {}

    def _judge(self, verdict: Verdict) -> Verdict:
        target = verdict.target
        current = None if target.product_id is None else self._filler.product(target.product_id)
        if verdict.needs:
            verdict.reasons = self._differences(verdict, current)
            return verdict
        same = self._made_alike(verdict)
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

    def _made_alike(self, verdict: Verdict) -> Sequence[Product]:
        """Products that are there and were made in the same way, the best answer first."""
        return self._session.scalars(
            select(Product)
            .where(
                (Product.key == verdict.key) | (Product.input_hash == verdict.input_hash),
                Product.class_name == verdict.target.class_name,
            )
            .order_by((Product.key == verdict.key).desc(), Product.product_id.desc())
        ).all()

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
        reasons += [*self._input_differences(verdict, current), *pending]
        if not reasons:
            text = "the camera is described in another way"
            reasons.append(Reason(ReasonKind.OTHER_PARAMETERS, "", text))
        return tuple(reasons)

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
            now = verdict.inputs.get(name, [])
            reasons += _compare(self._registry.classes, slot, before.get(name, []), now)
        return reasons


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
