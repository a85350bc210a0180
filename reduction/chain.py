"""Backward chaining: whether a target is right, why it is not, and what has to be made first.

Nothing is made here. A verdict is reached from the archive's tables alone; the same plan can be
printed, run in this process, or sent to the engine.
"""

from __future__ import annotations

__all__ = ["Examiner"]

from typing import TYPE_CHECKING, Any, Final

from reduction.batches import batched
from reduction.costs import Costs
from reduction.depends import SlotKind
from reduction.differences import give_reasons
from reduction.doubtful import without_doubted
from reduction.fill import Filler, is_composite
from reduction.fingerprints import is_current
from reduction.instruments.composite import whole
from reduction.keys import hash_of
from reduction.parameters import BY_NAME, resolve_parameters, stored_values
from reduction.quality import DOUBTED
from reduction.select import made_alike
from reduction.verdicts import Plan, Reason, ReasonKind, Step, Verdict, VerdictKind
from schemas.errors import BusyError, ParameterError
from schemas.recipe_tables import Recipe
from schemas.tables import TargetState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy.orm import Session

    from reduction.instruments.base import Chip, Instrument
    from reduction.registry import Registry
    from reduction.target import ProcessTarget
    from schemas.tables import Product, Target

_OF_FIELD: Final = " (set for the field: close it, and declare it anew under another name)"


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
        self._filler = Filler(session, registry, self._reach)
        self._costs = Costs(session, registry)
        self._recipes: dict[tuple[str, str], Recipe] = {}
        self._alike: dict[int, Sequence[Product]] = {}
        self._unexplained: list[tuple[Verdict, Product | None]] = []
        self.verdicts: dict[int, Verdict] = {}

    def verdict(self, target: Target) -> Verdict:
        """Say of one target whether it is right, by looking at its progenitors first."""
        return self.all_verdicts([target])[0]

    def all_verdicts(self, targets: Sequence[Target]) -> list[Verdict]:
        """Say of each of some targets whether it is right; what they share is asked for once."""
        found = self._reach(targets)
        give_reasons(self._session, self._registry, self._unexplained, self.verdicts)
        self._unexplained.clear()
        return found

    def plan(self, targets: Iterable[Target]) -> Plan:
        """Steps that make the given targets right, progenitors before what is made of them."""
        order: dict[int, Step] = {}
        for verdict in self.all_verdicts(list(targets)):
            self._visit(verdict, order)
        return Plan(tuple(order.values()))

    def product(self, number: int) -> Product:
        """A product of the snapshot, remembered."""
        return self._filler.product(number)

    def _reach(self, targets: Sequence[Target]) -> list[Verdict]:
        """Verdicts on targets, reached class by class; those of STALE have no reasons yet.

        All of a class are prepared before the first is judged, so that the database is asked
        once what was made in the same way.
        """
        new = [target for target in targets if target.target_id not in self.verdicts]
        for level in self._filler.levels(new, self._is_open) if new else ():
            prepared: list[Verdict] = []
            for target in level:
                if target.target_id in self.verdicts:
                    continue
                trusted = self._trusted(target)
                if trusted is None:
                    prepared.append(self._prepare(target))
                else:
                    self.verdicts[target.target_id] = trusted
            stale = [v for v in prepared if v.kind is VerdictKind.STALE]
            self._look_for_alike(stale)
            for verdict in stale:
                self._judge(verdict)
            self.verdicts |= {v.target.target_id: v for v in prepared}
        return [self.verdicts[target.target_id] for target in targets]

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

    def _is_open(self, target: Target) -> bool:
        """Whether a target has to be examined."""
        return target.target_id not in self.verdicts and self._trusted(target) is None

    def _trusted(self, target: Target) -> Verdict | None:
        if target.state == TargetState.FRESH:
            return Verdict(target, VerdictKind.FRESH, looked=False)
        if target.state == TargetState.FAILED:
            reasons = tuple(
                Reason(ReasonKind(r["kind"]), r["role"], r["text"]) for r in target.reasons
            )
            return Verdict(target, VerdictKind.UNMAKEABLE, reasons, looked=False)
        return None

    def _prepare(self, target: Target) -> Verdict:
        """What a target would be made from and by: STALE until it is judged, or UNMAKEABLE."""
        cls = self._registry.target(target.class_name)
        if hopeless := self._hopeless(target):
            return Verdict(target, VerdictKind.UNMAKEABLE, (hopeless,))
        filled = self._filler.fill_all(target, cls.SLOTS)
        considered = {t: epoch for f in filled.values() for t, epoch in f.considered.items()}
        pools = tuple({p.key: p for f in filled.values() for p in f.pools}.values())
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
                target,
                VerdictKind.UNMAKEABLE,
                failures,
                inputs=inputs,
                considered=considered,
                pools=pools,
            )
        verdict = Verdict(
            target,
            VerdictKind.STALE,
            inputs=inputs,
            parameters=values,
            needs=tuple(dict.fromkeys(n for f in filled.values() for n in f.pending)),
            considered=considered,
            pools=pools,
            providers={t: p for f in filled.values() for t, p in f.providers.items()},
        )
        self._identify(verdict)
        return verdict

    def _hopeless(self, target: Target) -> Reason | None:
        """Why a target cannot be made, whatever there is to make it from; None for others."""
        if gone := self._registry.missing(target.instrument):
            text = f"{target.identity}: this installation has no camera {' and '.join(gone)}"
            return Reason(ReasonKind.NO_CAMERA, "", text)
        field = self._filler.field_of(target)
        if field is None:
            return None
        if not field.is_open:
            return Reason(ReasonKind.CANNOT_BE_MADE, "", f"the field {field.name} was closed")
        if field.own(target.class_name) is None:
            by_class = stored_values(field.parameters)
            found = field.parameters if by_class is None else by_class[target.class_name]
            error = ParameterError(target.class_name, found, BY_NAME)
            text = f"{target.identity}: {error}{_OF_FIELD}"
            return Reason(ReasonKind.WRONG_PARAMETER, "", text)
        return None

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
        mosaic = not target.chip and not is_composite(target)
        made_for += [
            camera.facts(one, target.filter)
            for one in (camera.chips.values() if mosaic else (chip,))
        ]
        if field is not None:
            made_for.append(field.as_json())
        if any(slot.kind is SlotKind.REFERENCES for slot in cls.SLOTS.values()):
            made_for.append(target.radius)  # as far as reference stars are taken
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
            raise ParameterError(target.class_name, recipe.overrides, BY_NAME)
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
        return {} if field is None else field.own(target.class_name) or {}

    def _set_by(self, target: Target, error: ParameterError) -> str:
        """Who said what cannot be used, as the end of a sentence; empty for others."""
        name = error.name.rpartition(".")[2]
        if name in self._own(target):
            return _OF_FIELD
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
        if not is_current(self._registry, cls, recipe):
            message = (
                f"this process describes {cls.__name__} for {recipe.instrument or 'several'} in "
                "another way than the archive: its code or its plugins are not those that the "
                "service was started with; restart the older one of the two"
            )
            raise BusyError(message)
        return f"{recipe.version}.{recipe.revision}" if recipe.revision else str(recipe.version)

    def _asked(self, target: Target) -> Mapping[str, Any]:
        """Process parameters of the call; those of the archive's own products have none."""
        del target
        return {}

    def _judge(self, verdict: Verdict) -> None:
        """Say of a target, prepared to be made, whether it is right as it is."""
        target = verdict.target
        current = self._current(target)
        if verdict.needs:
            self._unexplained.append((verdict, current))
            return
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
            self._unexplained.append((verdict, current))

    def _look_for_alike(self, verdicts: Sequence[Verdict]) -> None:
        """Find what is there and was made in the same way, in one statement for many targets."""
        wanted = []
        for verdict in verdicts:
            current = self._current(verdict.target)
            right = current is not None and current.is_valid != DOUBTED
            if current is not None and right and current.key == verdict.key:
                self._alike[verdict.target.target_id] = [current]
            elif verdict.key:
                wanted.append(verdict)
        for part in batched(wanted):
            found = made_alike(self._session, part)
            for verdict, alike in zip(part, found, strict=True):
                self._alike[verdict.target.target_id] = without_doubted(verdict, alike)

    def _made_alike(self, verdict: Verdict) -> Sequence[Product]:
        """Products that are there and were made in the same way, the best answer first."""
        return self._alike[verdict.target.target_id]

    def _current(self, target: Target) -> Product | None:
        """What is published of a target."""
        return None if target.product_id is None else self._filler.product(target.product_id)
