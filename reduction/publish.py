"""Publication: a made product, its rows, its lineage and its ObsCore row, in one transaction."""

from __future__ import annotations

__all__ = [
    "Bundle",
    "Superseded",
    "confirm",
    "depend",
    "end_publications",
    "hold",
    "is_made_already",
    "keep",
    "misfit",
    "publish",
    "publish_again",
]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    ProgrammingError,
    StatementError,
)

from reduction.dependencies import note_dependencies
from reduction.moments import stamp
from reduction.pools import hold_pools, members_of, note_pools
from reduction.rows import insert_rows
from reduction.validity import say_validity
from reduction.verdicts import ReasonKind
from schemas.errors import ReductionError
from schemas.tables import (
    Confirmation,
    File,
    Lineage,
    ObsCore,
    Product,
    Publication,
    Target,
    TargetState,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from sqlalchemy.orm import Session

    from reduction.storage import StoredFile
    from reduction.target import Made
    from reduction.verdicts import Verdict
    from schemas.tables import Base

    #: Role and number of a progenitor.
    _Place = tuple[str, int]

_MISFIT: Final = "what it made does not fit the archive's tables"
_WRONG_TYPE: Final = "42804"


class Superseded(Exception):  # noqa: N818  # not an error: look again
    """An event happened since the verdict; it has to be reached anew."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A computed product that is ready to be published.

    Attributes
    ----------
    verdict
        What it was made by and from.
    made
        What the computation gave.
    attributes
        Its attributes as JSON values by flat name.
    content_hash
        Hash of pixels as stored, attributes and rows.
    quality_flags
        What ``verify`` found of the product alone: the same inputs give the same flags.
    compare_flags
        What it found besides by comparing with the version before: for people to look at.
    stored
        Its file, or None for a product without pixels.
    seconds
        What making took.
    table
        Where its rows go.
    """

    verdict: Verdict
    made: Made
    attributes: dict[str, Any]
    content_hash: str
    quality_flags: int
    compare_flags: int
    stored: StoredFile | None
    seconds: float
    table: type[Base]


def publish(session: Session, bundle: Bundle) -> Product:
    """Write a product and make it what the archive answers with.

    Raises
    ------
    Superseded
        If the target or one of its progenitors changed since the verdict.
    ReductionError, sqlalchemy.exc.StatementError
        If it does not fit the archive's tables; see :func:`misfit`.
    """
    verdict = bundle.verdict
    product = _enter(session, bundle, hold(session, verdict))
    _make_current(session, verdict, product, bundle.seconds)
    return product


def keep(session: Session, bundle: Bundle) -> Product:
    """Write a product that the archive does not answer with: a variant, for who asked for it.

    Its target, what is published and what hangs on it stay as they are.

    Raises
    ------
    ReductionError, sqlalchemy.exc.StatementError
        As :func:`publish`.
    """
    return _enter(session, bundle, bundle.verdict.target)


def misfit(error: ReductionError | StatementError) -> str:
    """What of a product the archive's tables refused; empty where it is not at fault."""
    if isinstance(error, ReductionError):
        return f"{_MISFIT}: {error}"
    code = getattr(error.orig, "pgcode", None)
    of_its_values = (
        isinstance(error, (IntegrityError, DataError))
        or not isinstance(error, DBAPIError)
        or (isinstance(error, ProgrammingError) and code in {None, _WRONG_TYPE})
    )
    if not of_its_values:
        return ""
    said = getattr(getattr(error.orig, "diag", None), "message_primary", None)
    return f"{_MISFIT}: {said or error.orig}"


def is_made_already(error: StatementError) -> bool:
    """Whether a product was refused because somebody else has made it meanwhile."""
    said = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
    return said == "uq_product_key"


def _enter(session: Session, bundle: Bundle, target: Target) -> Product:
    verdict = bundle.verdict
    product = Product(
        class_name=target.class_name,
        target_id=abs(target.target_id),  # a stand-in has its host's number, negative
        key=verdict.key,
        input_hash=verdict.input_hash,
        content_hash=bundle.content_hash,
        recipe_version=verdict.recipe_version,
        process_params=verdict.parameters,
        attributes=bundle.attributes,
        cards={k: list(v) for k, v in bundle.made.cards.items()},
        instrument=target.instrument,
        chip=target.chip,
        filter=target.filter,
        night=target.night,
        moment=target.moment,
        quality_flags=bundle.quality_flags,
        compare_flags=bundle.compare_flags,
        timestamp_start=target.validity_start,
        timestamp_end=target.validity_end,
        file_id=None if bundle.stored is None else file_id(session, bundle.stored, target),
    )
    session.add(product)
    session.flush()
    session.add_all(
        Lineage(
            product_id=product.product_id,
            role=role,
            position=number,
            progenitor_id=progenitor.product_id,
        )
        for role, progenitors in verdict.inputs.items()
        for number, progenitor in enumerate(progenitors)
    )
    if bundle.made.rows is not None:
        insert_rows(session, bundle.table, product, bundle.made.rows)
    if bundle.made.obscore:
        session.add(_obscore(product, bundle.made.obscore))
    session.flush()
    return product


def _obscore(product: Product, facts: Mapping[str, Any]) -> ObsCore:
    columns = ObsCore.__mapper__.column_attrs.keys()
    if unknown := sorted(facts.keys() - set(columns)):
        raise ReductionError(f"obscore has no {', '.join(unknown)}")
    own = {"product_id": product.product_id, "dataproduct_subtype": product.class_name}
    return ObsCore(**{**facts, **own})


def publish_again(session: Session, verdict: Verdict) -> Product:
    """Make a product of before, with the same inputs, what the archive answers with.

    It holds for the time that its target holds for now.

    Raises
    ------
    Superseded
        As :func:`publish`.
    """
    if verdict.reuse is None:
        message = "there is no product to publish again"
        raise ValueError(message)
    # before the targets, as who edits it
    product = session.get_one(
        Product, verdict.reuse.product_id, with_for_update={"key_share": True}
    )
    hold(session, verdict)
    if product.is_valid < 1:  # somebody rejected it since
        raise Superseded
    _make_current(session, verdict, product, None)
    confirm(session, product, verdict)
    why = f"made current again, and {verdict.target.identity} holds for another time since"
    say_validity(session, [verdict.target.target_id], why=why)
    return product


def file_id(session: Session, stored: StoredFile, target: Target) -> int:
    """Number of a stored product file, entered where it is new."""
    name = target.identity.replace("/", "_") + ".fits"
    statement = (
        upsert(File)
        .values(
            sha256=stored.sha256,
            size=stored.size,
            location=stored.location,
            name=name,
            media_type="image/fits",
        )
        .on_conflict_do_update(index_elements=[File.sha256], set_={"size": stored.size})
        .returning(File.file_id)
    )
    return session.scalars(statement).one()


def hold(session: Session, verdict: Verdict) -> Target:
    """Lock the target and what it rests on, in one order, and see that nothing happened.

    What it rests on is locked against events only: the targets of a night that share a bias are
    published side by side.
    """
    own = verdict.target.target_id
    held: dict[int, Target] = {}
    rests_on = {**members_of(verdict.pools), **verdict.considered}
    for numbers, share in (
        ([n for n in rests_on if n < own], True),
        ([own], False),
        ([n for n in rests_on if n > own], True),
    ):
        if numbers:
            rows = session.scalars(
                select(Target)
                .where(Target.target_id.in_(numbers))
                .order_by(Target.target_id)
                .with_for_update(read=share, key_share=not share)
                .execution_options(populate_existing=True)
            )
            held |= {row.target_id: row for row in rows}
    expected = {**rests_on, own: verdict.epoch}
    happened = any(held[number].epoch != epoch for number, epoch in expected.items())
    moved = any(
        held[number].state != TargetState.FRESH or held[number].product_id != product_id
        for number, product_id in verdict.providers.items()
    )
    if happened or moved or not hold_pools(session, verdict.pools):
        raise Superseded
    return held[own]


def _make_current(
    session: Session, verdict: Verdict, product: Product, seconds: float | None
) -> None:
    target_id = verdict.target.target_id
    values: dict[str, Any] = {
        "state": TargetState.FRESH,
        "reasons": [],
        "product_id": product.product_id,
    }
    if seconds is not None:
        values["cost_s"] = seconds
    session.execute(update(Target).where(Target.target_id == target_id).values(**values))
    depend(session, verdict)
    moment = stamp(session)
    end_publications(session, [target_id], moment)
    session.add(
        Publication(
            target_id=target_id,
            product_id=product.product_id,
            published_from=moment,
            # what could not be read before is none: it could
            reasons=[r.as_json() for r in verdict.reasons if r.kind is not ReasonKind.UNREADABLE],
        )
    )


def end_publications(session: Session, target_ids: Sequence[int], moment: dt.datetime) -> None:
    """End what the archive answers with for some targets."""
    session.execute(
        update(Publication)
        .where(
            Publication.target_id.in_(target_ids), Publication.published_to == text("'infinity'")
        )
        .values(published_to=moment)
    )


def depend(session: Session, verdict: Verdict) -> None:
    """Note which targets a verdict rested on."""
    pools = [pool.pool_id for pool in verdict.pools]
    note_dependencies(session, {verdict.target.target_id: verdict.considered}, pools)
    note_pools(session, {verdict.target.target_id: verdict.pools})


def confirm(session: Session, product: Product, verdict: Verdict) -> None:
    """Note progenitors that took the place of recorded ones with the same content.

    Targets may share a product: what stands is looked at again once the stamp is held, as another
    may have noted something meanwhile.
    """
    now = {
        (role, number): progenitor.product_id
        for role, progenitors in verdict.inputs.items()
        for number, progenitor in enumerate(progenitors)
    }
    recorded = {
        (row.role, row.position): row.progenitor_id
        for row in session.scalars(select(Lineage).where(Lineage.product_id == product.product_id))
    }
    if not _others(now, recorded, _standing(session, product)):
        return
    moment = stamp(session)
    standing = _standing(session, product)
    changed = _others(now, recorded, standing)
    for place in changed:
        if place in standing:
            standing[place].valid_to = moment
    session.flush()
    session.add_all(
        Confirmation(
            product_id=product.product_id,
            role=role,
            position=number,
            progenitor_id=now[role, number],
            valid_from=moment,
        )
        for role, number in changed
        if recorded.get((role, number)) != now[role, number]
    )
    session.flush()


def _standing(session: Session, product: Product) -> dict[_Place, Confirmation]:
    """What was confirmed of a product and holds, by role and number."""
    rows = session.scalars(
        select(Confirmation).where(
            Confirmation.product_id == product.product_id,
            Confirmation.valid_to == text("'infinity'"),
        )
    )
    return {(row.role, row.position): row for row in rows}


def _others(
    now: Mapping[_Place, int],
    recorded: Mapping[_Place, int],
    standing: Mapping[_Place, Confirmation],
) -> list[_Place]:
    """Places whose progenitor is another than what was recorded or confirmed last."""
    current = {**recorded, **{place: row.progenitor_id for place, row in standing.items()}}
    return [place for place in now if current.get(place) != now[place]]
