"""The selection rule, and every other way in which progenitors are found: the only place.

A calibration is eligible where instrument, chip (and filter) agree and its validity covers the
moment; of those the newest eclipses the others. *Newest* is the calibration that entered the
archive last: a remake supersedes its own earlier version, not its neighbours, so that an answer
does not depend on the order in which things were remade. Zero points are measured on single
frames: a frame without one of its own takes that of the frame nearest in time, whatever the order
of ingest, remakes and questions. Whether the product is good enough (``is_valid >= 1``,
``quality_flags = 0``) is asked when it is there, and the next one is tried where it is not.
"""

from __future__ import annotations

__all__ = [
    "VOUCHED",
    "angle",
    "calibrations_of_day",
    "eligible",
    "field_target",
    "frames_of_field",
    "frames_of_night",
    "in_box",
    "left_out_raws",
    "made_alike",
    "not_passed_over",
    "place_of",
    "raw_products",
    "reference_catalogues",
    "targets_of_raws",
    "usable",
]

import math
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, literal_column, not_, or_, select, text, tuple_

from reduction.superseded import NOT_SUPERSEDED
from schemas.pool_tables import Pool, PoolMember
from schemas.sphere import Cap, ra_ranges, zone_expression, zones
from schemas.tables import Product, Target, TargetState

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.orm import Session

    from reduction.depends import Slot
    from reduction.fields import FieldSpec
    from reduction.verdicts import Verdict

    #: Right ascension, declination and radius of a circle, degrees.
    Place = tuple[float, float, float]


VOUCHED: Final = 2
"""``is_valid`` of a raw frame that is used in spite of its quality flags."""

#: Right ascensions of a circle with a pole in it, degrees.
_ALL_AROUND: Final = (0.0, 360.0)

#: Raw classes whose frames are of no filter, whatever is in the beam.
_DARK: Final = frozenset(("RawBiasFrame", "RawDarkFrame"))

#: :func:`usable`, of raw frames, as SQL.
_FIT: Final = (Product.is_valid >= 1) & (
    (Product.quality_flags == 0) | (Product.is_valid == VOUCHED)
)


def usable(product: Product) -> bool:
    """Whether a product may be a progenitor: valid, and without quality flags.

    A raw frame cannot be made better: one with flags is used where a person has looked at it and
    vouches for it with ``is_valid`` 2.
    """
    vouched = product.target_id is None and product.is_valid == VOUCHED
    return product.is_valid >= 1 and (product.quality_flags == 0 or vouched)


def angle(ra1: Any, dec1: Any, ra2: Any, dec2: Any) -> Any:  # noqa: ANN401  # columns or numbers
    """SQL of the angle between two places on the sky, all in degrees."""
    half: Any = func.power(func.sind((dec1 - dec2) / 2), 2)
    half += func.cosd(dec1) * func.cosd(dec2) * func.power(func.sind((ra1 - ra2) / 2), 2)
    return 2 * func.asind(func.least(1, func.sqrt(half)))


def in_box(cap: Cap) -> list[ColumnElement[bool]]:
    """Conditions for targets in the box around a circle, as the index of places can use them."""
    first, last = zones(cap)
    conditions: list[ColumnElement[bool]] = [
        literal_column(zone_expression("dec")).in_(range(first, last + 1))
    ]
    if ranges := ra_ranges(cap):
        conditions.append(or_(*(Target.ra.between(low, high) for low, high in ranges)))
    return conditions


def calibrations_of_day(
    session: Session, target: Target, class_name: str, *, by_filter: bool
) -> Sequence[Target]:
    """Calibrations of a class that hold at any moment of a target's day (whole MJD), newest first.

    Parameters
    ----------
    target
        Whose instrument, chip and day count.
    by_filter
        Whether the filter has to agree.
    """
    return session.scalars(_of_day(target, class_name, by_filter=by_filter)).all()


def _of_day(target: Target, class_name: str, *, by_filter: bool) -> Select[Target]:
    day = math.floor(target.moment)
    query = select(Target).where(
        Target.class_name == class_name,
        Target.instrument == target.instrument,
        Target.chip.in_((target.chip, "")),
        Target.validity_start <= day + 1,
        Target.validity_end >= day,
    )
    if by_filter:
        query = query.where(Target.filter == target.filter)
    return query.order_by(Target.created.desc(), Target.target_id.desc())


def not_passed_over(
    session: Session, target: Target, class_name: str, *, by_filter: bool
) -> Sequence[Target]:
    """Those of :func:`calibrations_of_day` that are not known to be unmakeable.

    Left out are those that failed and are noted to be of their day's pool: a word of the pool's
    is one for all of them.
    """
    of_pool = (
        select(PoolMember.target_id)
        .join(Pool, Pool.pool_id == PoolMember.pool_id)
        .where(
            PoolMember.target_id == Target.target_id,
            Pool.class_name == class_name,
            Pool.instrument == target.instrument,
            Pool.chip == target.chip,
            Pool.filter == (target.filter if by_filter else ""),
            Pool.day == math.floor(target.moment),
        )
        .exists()
    )
    query = _of_day(target, class_name, by_filter=by_filter)
    return session.scalars(query.where(or_(Target.state != TargetState.FAILED, ~of_pool))).all()


def eligible(of_day: Sequence[Target], target: Target, slot: Slot) -> list[Target]:
    """Those of a day's calibrations that a target may take for a slot, best first.

    Parameters
    ----------
    of_day
        From :func:`calibrations_of_day`.
    target
        Whose moment counts, and, where the slot prefers its own, whose raw frame: that comes
        first, then the others by their distance in time.
    """
    found = [
        c
        for c in of_day
        if c.validity_start is not None
        and c.validity_end is not None
        and c.validity_start <= target.moment <= c.validity_end
    ]
    if slot.prefer_own:  # stable: newest first among those of one moment
        found.sort(key=lambda c: (not _is_own(c, target), abs(c.moment - target.moment)))
    return found


def _is_own(calibration: Target, target: Target) -> bool:
    """Whether a calibration was made of a target's raw frame."""
    return target.raw_id is not None and calibration.raw_id == target.raw_id


def targets_of_raws(session: Session, raw_ids: Collection[int]) -> Sequence[Target]:
    """All targets made per frame (not per field) of some raw frames."""
    return session.scalars(
        select(Target).where(Target.raw_id.in_(raw_ids), Target.field_id.is_(None))
    ).all()


def raw_products(session: Session, target: Target, slot: Slot) -> Sequence[Product]:
    """Valid raw frames of a target's night, in the order in which they were taken."""
    return session.scalars(_raws(target, slot).where(_FIT)).all()


def left_out_raws(session: Session, target: Target, slot: Slot) -> Sequence[Product]:
    """Raw frames of a target's night that :func:`raw_products` leaves out: rejected or flagged.

    Those that were described again are none of its night's any more.
    """
    return session.scalars(_raws(target, slot).where(not_(_FIT), NOT_SUPERSEDED)).all()


def _raws(target: Target, slot: Slot) -> Select[Product]:
    query = select(Product).where(
        Product.class_name.in_(slot.classes),
        Product.instrument == target.instrument,
        Product.chip == target.chip,
        Product.night == target.night,
    )
    if target.filter and slot.classes[0] not in _DARK:
        query = query.where(Product.filter == target.filter)
    return query.order_by(Product.moment, Product.product_id)


def frames_of_night(session: Session, target: Target, slot: Slot) -> Sequence[Target]:
    """Targets of a class made per frame of a target's night, in the order of their exposures."""
    query = select(Target).where(
        Target.class_name.in_(slot.classes),
        Target.instrument == target.instrument,
        Target.night == target.night,
    )
    if target.chip:
        query = query.where(Target.chip == target.chip)
    if target.filter:
        query = query.where(Target.filter == target.filter)
    return session.scalars(query.order_by(Target.moment, Target.target_id)).all()


def frames_of_field(
    session: Session,
    target: Target,
    slot: Slot,
    spec: FieldSpec,
    *,
    reach: float | None,
    filters: Sequence[tuple[str, str]] | None,
) -> Sequence[Target]:
    """Targets of a class made per frame whose frames reach into a field, oldest first.

    Parameters
    ----------
    target
        A target of the field.
    spec
        The field.
    reach
        Degrees from a frame's pointing that none of the field's cameras reaches beyond; None for
        a class that is made per frame *and field*.
    filters
        Instruments and filters that count; None for all.
    """
    query = select(Target).where(Target.class_name.in_(slot.classes))
    if reach is None:
        query = query.where(Target.field_id == target.field_id)
    else:
        query = query.where(
            Target.instrument.in_(spec.instruments),
            Target.raw_id.is_not(None),
            Target.moment.between(spec.start, spec.end),
            angle(Target.ra, Target.dec, spec.ra, spec.dec) <= spec.radius + Target.radius,
            *in_box(Cap(spec.ra, spec.dec, min(spec.radius + reach, 180.0))),
        )
    if filters is not None:
        query = query.where(tuple_(Target.instrument, Target.filter).in_(filters))
    return session.scalars(query.order_by(Target.moment, Target.chip, Target.target_id)).all()


def field_target(session: Session, target: Target, slot: Slot, filter: str) -> Target | None:
    """The target of the slot's class of the same field and band; ``filter`` is empty for none."""
    return session.scalars(
        select(Target).where(
            Target.class_name.in_(slot.classes),
            Target.field_id == target.field_id,
            Target.filter == filter,
        )
    ).first()


def place_of(target: Target) -> Place | None:
    """Circle on the sky that a target is of; None where it has none."""
    if target.ra is None or target.dec is None or target.radius is None:
        return None
    return target.ra, target.dec, target.radius


_CATALOGUES_AT = text(
    """
    SELECT DISTINCT arm.number, r.product_id
    FROM unnest(CAST(:number AS int[]), CAST(:ra AS float8[]), CAST(:dec AS float8[]),
                CAST(:radius AS float8[]), CAST(:first AS int[]), CAST(:last AS int[]),
                CAST(:low AS float8[]), CAST(:high AS float8[]))
         AS arm (number, ra, dec, radius, first, last, low, high)
    CROSS JOIN LATERAL generate_series(arm.first, arm.last) AS of (zone)
    CROSS JOIN LATERAL (
        SELECT DISTINCT s.product_id FROM vo.reference_source s
        WHERE floor((s.dec + 90) * 20)::int = of.zone
          AND s.ra BETWEEN arm.low AND arm.high
          AND 2 * asind(least(1, sqrt(sind((s.dec - arm.dec) / 2) ^ 2
              + cosd(s.dec) * cosd(arm.dec) * sind((s.ra - arm.ra) / 2) ^ 2))) <= arm.radius
    ) AS r
    """
)


def reference_catalogues(session: Session, places: Sequence[Place]) -> dict[Place, list[Product]]:
    """Valid reference catalogues with at least one star in each of some circles, newest first."""
    arms = [
        {"number": number, "ra": ra, "dec": dec, "radius": radius, "low": low, "high": high}
        | dict(zip(("first", "last"), zones(Cap(ra, dec, radius)), strict=True))
        for number, (ra, dec, radius) in enumerate(places)
        for low, high in ra_ranges(Cap(ra, dec, radius)) or (_ALL_AROUND,)
    ]
    columns = ("number", "ra", "dec", "radius", "first", "last", "low", "high")
    asked = {name: [arm[name] for arm in arms] for name in columns}
    found = session.execute(_CATALOGUES_AT, asked).all()
    reached: dict[int, set[Place]] = {}
    for number, product_id in found:
        reached.setdefault(product_id, set()).add(places[number])
    by_place: dict[Place, list[Product]] = {place: [] for place in places}
    newest_first = session.scalars(
        select(Product)
        .where(Product.product_id.in_(reached), Product.is_valid >= 1)
        .order_by(Product.creation_date.desc(), Product.product_id.desc())
    )
    for catalogue in newest_first if reached else ():
        for place in reached[catalogue.product_id]:
            by_place[place].append(catalogue)
    return by_place


def made_alike(session: Session, verdicts: Sequence[Verdict]) -> list[list[Product]]:
    """For each of some verdicts the products that were made in the same way.

    Returns
    -------
    list of list of Product
        In the order of the verdicts: that of the same key first, then those of the same inputs by
        content, the newest first.
    """
    rows = session.scalars(
        select(Product)
        .where(
            Product.key.in_([v.key for v in verdicts])
            | Product.input_hash.in_([v.input_hash for v in verdicts]),
            Product.class_name.in_({v.target.class_name for v in verdicts}),
        )
        .order_by(Product.product_id.desc())
    ).all()
    by_key = {row.key: row for row in rows}
    by_inputs: dict[str | None, list[Product]] = {}
    for row in rows:
        by_inputs.setdefault(row.input_hash, []).append(row)
    found = []
    for verdict in verdicts:
        same = [by_key[verdict.key]] if verdict.key in by_key else []
        same += [p for p in by_inputs.get(verdict.input_hash, []) if p.key != verdict.key]
        found.append([p for p in same if p.class_name == verdict.target.class_name])
    return found
