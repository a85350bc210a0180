"""Products with parameters or code of one call: made, kept, and never what the archive publishes.

A variant is a product like any other: its key says what it was made by and from, so that the same
call finds it again, and its lineage is complete. What the call does not touch is the archive's own
and shared. Targets, publications and what hangs on them stay as they are.
"""

from __future__ import annotations

__all__ = ["Variant", "VariantExaminer", "make_variant", "stand_in", "variant_of"]

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.exc import StatementError

from reduction.chain import Examiner
from reduction.fill import is_composite
from reduction.make import RecipeFailedError, compute_bundle, is_conflict, run_recipe
from reduction.parameters import near_names, stored_values
from reduction.pars import chain_of, check_overrides
from reduction.publish import is_made_already, keep, misfit
from reduction.script_run import run_apart, script_label
from reduction.scripts import find_script, load_script
from reduction.verdicts import Reason, ReasonKind, Verdict, VerdictKind
from schemas.errors import BusyError, ParameterError, ReductionError
from schemas.recipe_tables import Recipe
from schemas.tables import Product, Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sqlalchemy.orm import Session

    from reduction.archive import Archive
    from reduction.registry import Registry
    from reduction.scripts import LoadedScript
    from reduction.target import ProcessTarget
    from schemas.recipe_tables import Script

_ROUNDS: Final = 200


@dataclass(frozen=True, slots=True)
class Variant:
    """What a call wants otherwise.

    Attributes
    ----------
    class_name
        Class that is asked for.
    host
        The archive's class whose targets stand for the same things; itself, unless the class is
        one of the script alone.
    registry
        Classes, those of the script among them.
    parameters
        Process parameters of the call: ``{"BiasFrame": {"SIGMA_CLIP": 5.0}}``.
    script, loaded
        The script's row and what it declares, or None.
    affected
        Classes whose products come out otherwise: those that parameters or script name, and what
        is made of them.
    failed
        Why targets cannot be made in this way, found on the way.
    """

    class_name: str
    host: str
    registry: Registry
    parameters: Mapping[str, Mapping[str, Any]]
    script: Script | None = None
    loaded: LoadedScript | None = None
    affected: frozenset[str] = frozenset()
    failed: dict[int, str] = field(default_factory=dict)

    @property
    def touched(self) -> frozenset[str]:
        """Classes that are made by the script's code."""
        return frozenset() if self.loaded is None else self.loaded.touched


def variant_of(
    archive: Archive,
    class_name: str,
    *,
    parameters: Mapping[str, Any],
    script: str | Path | None = None,
) -> Variant:
    """Say what a call wants, after looking whether it can be had.

    Raises
    ------
    NotFoundError, ParameterError
        If there is no such class, script or parameter, or a value is of another type.
    AuthorizationError
        If the script may not run.
    """
    registry, row, loaded = archive.registry, None, None
    if script is not None:
        row = find_script(archive, script)
        loaded = load_script(archive, row.sha256)
        registry = replace(registry, classes={**registry.classes, **loaded.classes})
    host = _host(archive.registry, registry.target(class_name))
    asked = check_overrides(registry, class_name, parameters)
    chain = chain_of(registry, class_name)
    named = {*asked, *(() if loaded is None else loaded.touched)}
    if not named & chain.keys():
        expected = f"{near_names('', chain)}: the script declares {', '.join(sorted(named))}"
        raise ParameterError("class", class_name, expected)
    affected = frozenset(_reached(chain, named))
    return Variant(class_name, host, registry, asked, row, loaded, affected)


def _host(registry: Registry, cls: type[ProcessTarget]) -> str:
    """The archive's class whose targets a class of a script is made for."""
    if cls.__name__ in registry.classes:
        return cls.__name__
    published = {other.__name__: other for other in registry.targets()}
    for base in cls.__mro__:
        if base.__name__ in published:
            return base.__name__
    stands_for = (getattr(cls, "ANCHOR", None), getattr(cls, "ANCHOR_CLASSES", None))
    for name, other in sorted(published.items()):
        if stands_for == (other.ANCHOR, other.ANCHOR_CLASSES):
            return name
    found = f"ANCHOR {stands_for[0]} and ANCHOR_CLASSES {stands_for[1]}"
    raise ParameterError(cls.__name__, found, "those of a class of the archive")


def _reached(chain: Mapping[str, type[ProcessTarget]], named: set[str]) -> set[str]:
    """Classes of a chain that are named, or made of such."""
    reached = named & chain.keys()
    while True:
        more = {
            name
            for name, cls in chain.items()
            if name not in reached
            and any(reached.intersection(slot.classes) for slot in cls.SLOTS.values())
        }
        if not more:
            return reached
        reached |= more


class VariantExaminer(Examiner):
    """Reaches verdicts on targets as a call wants them; nothing is settled by it.

    FRESH means here that the product exists: it is in the verdict's ``answer``.

    Parameters
    ----------
    session
        A session in a repeatable-read transaction.
    variant
        What the call wants.
    """

    def __init__(self, session: Session, variant: Variant) -> None:
        super().__init__(session, variant.registry)
        self._variant = variant

    def _trusted(self, target: Target) -> Verdict | None:
        if target.class_name not in self._variant.affected:
            return super()._trusted(target)
        if said := self._variant.failed.get(target.target_id):
            reason = Reason(ReasonKind.CANNOT_BE_MADE, "", said)
            return Verdict(target, VerdictKind.UNMAKEABLE, (reason,))
        return None

    def _recipe(self, class_name: str, instrument: str) -> Recipe:
        if class_name not in self._variant.touched:
            return super()._recipe(class_name, instrument)
        cls = self._registry.target(class_name)
        published = self._variant.host if class_name == self._variant.class_name else class_name
        row = super()._recipe(published, instrument)
        known = cls.Parameters.__dataclass_fields__
        return Recipe(
            class_name=class_name,
            version=cls.VERSION,
            revision=row.revision,
            parameters={n: v for n, v in row.parameters.items() if n in known},
            overrides=row.overrides
            if (said := stored_values(row.overrides)) is None
            else {n: v for n, v in said.items() if n in known},
        )

    def _version(self, cls: type[ProcessTarget], recipe: Recipe) -> str:
        script = self._variant.script
        if script is None or cls.__name__ not in self._variant.touched:
            return super()._version(cls, recipe)
        revision = f".{recipe.revision}" if recipe.revision else ""
        return f"{cls.VERSION}{revision}+{script.sha256}"

    def _asked(self, target: Target) -> Mapping[str, Any]:
        return self._variant.parameters.get(target.class_name, {})

    def _judge(self, verdict: Verdict) -> None:
        target = verdict.target
        if target.class_name not in self._variant.affected:
            super()._judge(verdict)
            return
        same = None if verdict.needs else next(iter(self._made_alike(verdict)), None)
        if same is None:
            return
        if same.is_valid < 1:
            text = f"object {same.product_id}, made from the same inputs, was rejected"
            verdict.kind = VerdictKind.UNMAKEABLE
            verdict.reasons = (Reason(ReasonKind.CANNOT_BE_MADE, "", text),)
        else:
            verdict.kind, verdict.answer = VerdictKind.FRESH, same

    def ready(self, verdict: Verdict) -> Iterator[Verdict]:
        """What can be made now of all that a verdict needs, itself included."""
        if verdict.kind is VerdictKind.STALE and not verdict.needs:
            yield verdict
        for need in verdict.needs:
            yield from self.ready(self.verdicts[need])


def make_variant(archive: Archive, target: Target, variant: Variant) -> Product:
    """Make a target as a call wants it, or find it made.

    Parameters
    ----------
    target
        Of the variant's host.

    Returns
    -------
    Product
        Not published, unless it is what the archive publishes anyway.

    Raises
    ------
    ReductionError
        If it cannot be made; says why.
    BusyError
        If the archive keeps changing.
    """
    wanted = stand_in(target, variant.class_name)
    for _ in range(_ROUNDS):
        with archive.examining() as session:
            examiner = VariantExaminer(session, variant)
            verdict = examiner.verdict(wanted)
            ready = {v.target.target_id: v for v in examiner.ready(verdict)}
            session.expunge_all()
        if verdict.answer is not None:
            return verdict.answer
        if verdict.kind is VerdictKind.UNMAKEABLE:
            said = "; ".join(reason.text for reason in verdict.reasons)
            raise ReductionError(f"{wanted.identity} cannot be made: {said}")
        own = [v for v in ready.values() if v.target.class_name in variant.affected]
        others = [n for n, v in ready.items() if v.target.class_name not in variant.affected]
        if others:
            archive.make(others)
        for step in own:
            _make(archive, step, variant)
    raise BusyError("the archive changes too fast; ask again", retry_after_s=2)


def stand_in(target: Target, class_name: str) -> Target:
    """A target as one of a class that a script alone has; itself where it is of that class.

    Its number is the negative of the target's.
    """
    if class_name == target.class_name:
        return target
    names = [column.key for column in Target.__table__.columns]
    values = {name: getattr(target, name) for name in names}
    values |= {
        "class_name": class_name,
        "identity": target.identity.replace(target.class_name, class_name, 1),
        "target_id": -target.target_id,
        "product_id": None,
        "dataset_id": None,
    }
    return Target(**values)


def _make(archive: Archive, verdict: Verdict, variant: Variant) -> None:
    """Make and keep one product; what cannot be made is noted in the variant."""
    target = verdict.target
    recipe = variant.registry.target(target.class_name)()
    run: Any = run_recipe
    if variant.script is not None and target.class_name in variant.touched:
        settings = archive.settings.reduction
        run = run_apart(variant.script, settings, composite=is_composite(target))
    try:
        bundle = compute_bundle(archive, verdict, recipe, run)
    except (ReductionError, RecipeFailedError) as error:
        _fail(variant, target, str(error))
        return
    try:
        with archive.transaction() as session:
            keep(session, bundle)
    except StatementError as error:
        if is_made_already(error) or is_conflict(error):
            return  # it will be found, or made at the next look
        if not (said := misfit(error)):
            raise
        _fail(variant, target, said)
    except ReductionError as error:
        _fail(variant, target, misfit(error))


def _fail(variant: Variant, target: Target, said: str) -> None:
    """Note in the variant that a target cannot be made; a script is named where it made it."""
    script = variant.script
    if script is not None and target.class_name in variant.touched:
        name = script_label(script)
        said = said if said.startswith(name) else f"{name}: {said}"
    variant.failed[target.target_id] = f"{target.identity}: {said}"
