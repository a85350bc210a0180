"""Progenitors for the slots of a target: which there are, and which have to be made first."""

from __future__ import annotations

__all__ = ["Filler", "is_composite"]

import math
from typing import TYPE_CHECKING

from sqlalchemy import select

from reduction.batches import batched
from reduction.borrowable import Borrowable
from reduction.depends import SlotKind
from reduction.fields import band_filters, field_spec
from reduction.filled import Filled
from reduction.quality import unfit
from reduction.reach import farthest
from reduction.select import (
    calibrations_of_day,
    eligible,
    field_target,
    frames_of_field,
    frames_of_night,
    place_of,
    raw_products,
    reference_catalogues,
    targets_of_raws,
    usable,
)
from reduction.verdicts import VerdictKind
from schemas.tables import Product, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy.orm import Session

    from reduction.borrowable import OfDay
    from reduction.depends import Slot
    from reduction.fields import FieldSpec
    from reduction.registry import Registry
    from reduction.select import Place
    from reduction.verdicts import Verdict


class Filler:
    """Fills slots; asks for the verdicts on candidates.

    What many targets have in common is looked up once: the calibrations of a day, the catalogues
    of a place, the targets and products of frames that are looked at together.

    Parameters
    ----------
    session, registry
        As the examiner's.
    reach
        Gives the verdicts on some targets, in their order.
    """

    def __init__(
        self,
        session: Session,
        registry: Registry,
        reach: Callable[[Sequence[Target]], Sequence[Verdict]],
    ) -> None:
        self._session, self._registry, self._reach = session, registry, reach
        self._order = _in_order(registry)
        self._products: dict[int, Product] = {}
        self._of_raw: dict[int, dict[str, Target]] = {}
        self._of_day: dict[tuple[str, str, str, str | None, int], Sequence[Target]] = {}
        self._borrowable = Borrowable(session, registry)
        self._catalogues: dict[Place, list[Product]] = {}
        self._in_fields: dict[tuple[tuple[str, ...], int | None, str], Target | None] = {}
        self._fields: dict[int, FieldSpec] = {}
        self._ways = {
            SlotKind.RAW_FRAMES: self._raw_frames,
            SlotKind.RAW_FRAME: self._raw_frame,
            SlotKind.OF_FRAME: self._of_frame,
            SlotKind.REFERENCES: self._references,
            SlotKind.CALIBRATION: self._calibration,
            SlotKind.FRAMES_OF_NIGHT: self._frames_of_night,
            SlotKind.FRAMES_OF_FIELD: self._frames_of_field,
            SlotKind.IN_FIELD: self._in_field,
        }

    def look_up(self, targets: Sequence[Target]) -> None:
        """Fetch in few statements what the verdicts on some targets will ask for."""
        raws = {t.raw_id for t in targets if t.raw_id is not None}
        for part in batched(sorted(raws - self._of_raw.keys())):
            self._of_raw |= {raw_id: {} for raw_id in part}
            for target in targets_of_raws(self._session, part):
                self._of_raw[target.raw_id or 0][target.class_name] = target
        frames = [t for raw_id in raws for t in self._of_raw[raw_id].values()]
        wanted = {t.product_id for t in (*targets, *frames)} | raws
        missing = sorted(n for n in wanted if n is not None and n not in self._products)
        for part in batched(missing):
            found = self._session.scalars(select(Product).where(Product.product_id.in_(part)))
            self._products |= {product.product_id: product for product in found}

    def levels(
        self, targets: Sequence[Target], is_open: Callable[[Target], bool]
    ) -> Iterator[list[Target]]:
        """Some targets, and before them those of the same frames that they are made of.

        Each class by itself, what is made of others after them; what all targets of a class ask
        for is fetched in a few statements.

        Parameters
        ----------
        targets
            That are looked at together.
        is_open
            Whether a target has to be examined; what others are made of counts for these alone.

        Raises
        ------
        NotFoundError
            If the class of one is no longer there.
        """
        self.look_up(targets)
        by_class: dict[str, dict[int, Target]] = {}
        for target in targets:
            self._registry.target(target.class_name)
            by_class.setdefault(target.class_name, {})[target.target_id] = target
        for name in reversed(self._order):
            for target in filter(is_open, list(by_class.get(name, {}).values())):
                for own in self._same_frame(target):
                    by_class.setdefault(own.class_name, {})[own.target_id] = own
        for name in self._order:
            if name in by_class:
                level = list(by_class[name].values())
                self._look_up_catalogues([target for target in level if is_open(target)])
                yield level

    def _same_frame(self, target: Target) -> Iterator[Target]:
        """Targets of a target's raw frame that it is made of."""
        if target.raw_id is None or self._registry.missing(target.instrument):
            return
        for slot in self._registry.target(target.class_name).SLOTS.values():
            wanted = not slot.when or self._wants(target, slot.when)
            if slot.kind is SlotKind.OF_FRAME and wanted and not slot.unless:
                found = self._own(target, slot)
                if found is not None:
                    yield found

    def _look_up_catalogues(self, targets: Sequence[Target]) -> None:
        """Fetch the reference catalogues of the places of targets that take them."""
        places = {
            place
            for target in targets
            for slot in self._registry.target(target.class_name).SLOTS.values()
            if slot.kind is SlotKind.REFERENCES and (place := place_of(target)) is not None
        }
        for part in batched(sorted(places - self._catalogues.keys())):
            self._catalogues |= reference_catalogues(self._session, part)

    def product(self, number: int | None) -> Product:
        """A product, remembered."""
        if number is None:
            message = "a target without a product was asked for one"
            raise ValueError(message)
        if number not in self._products:
            self._products[number] = self._session.get_one(Product, number)
        return self._products[number]

    def field_of(self, target: Target) -> FieldSpec | None:
        """Field of a target, remembered; None where it belongs to none."""
        number = target.field_id
        if number is None:
            return None
        if number not in self._fields:
            self._fields[number] = field_spec(self._session, number)
        return self._fields[number]

    def fill_all(self, target: Target, slots: Mapping[str, Slot]) -> dict[str, Filled]:
        """Progenitors of all slots that are looked at, in the order of their declaration."""
        filled: dict[str, Filled] = {}
        for name, slot in slots.items():
            wanted = not slot.when or self._wants(target, slot.when)
            filled_before = [filled[other] for other in slot.unless]
            if wanted and not any(f.products or f.pending for f in filled_before):
                filled[name] = self._fill(target, slot)
            else:
                filled[name] = Filled()
        return filled

    def _wants(self, target: Target, word: str) -> bool:
        camera = self._registry.camera(target.instrument, composite=is_composite(target))
        return camera.wants(word, target.filter)

    def _fill(self, target: Target, slot: Slot) -> Filled:
        filled = self._ways[slot.kind](target, slot)
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

    def _raw_frames(self, target: Target, slot: Slot) -> Filled:
        return Filled(list(raw_products(self._session, target, slot)))

    def _references(self, target: Target, slot: Slot) -> Filled:
        del slot
        place = place_of(target)
        if place is None:
            return Filled()
        self._look_up_catalogues([target])
        return Filled(list(self._catalogues[place]))

    def _frames_of_night(self, target: Target, slot: Slot) -> Filled:
        return self._all_good(frames_of_night(self._session, target, slot))

    def _raw_frame(self, target: Target, slot: Slot) -> Filled:
        del slot
        raw = self.product(target.raw_id)
        if usable(raw):
            return Filled([raw])
        name, said = raw.attributes.get("name"), unfit(self._registry.classes, raw)
        return Filled(failure=f"raw frame {name} (object {raw.product_id}) {said}")

    def _of_frame(self, target: Target, slot: Slot) -> Filled:
        if target.raw_id not in self._of_raw:
            self.look_up([target])
        found = self._own(target, slot)
        if found is None:
            return Filled(failure=f"there is no {' or '.join(slot.classes)} of this raw frame")
        return self._first_good([found], slot)

    def _own(self, target: Target, slot: Slot) -> Target | None:
        """The target of a slot's class that belongs to a target's raw frame, of those known."""
        own = self._of_raw.get(target.raw_id or 0, {})
        return next((own[name] for name in slot.classes if name in own), None)

    def _calibration(self, target: Target, slot: Slot) -> Filled:
        if slot.prefer_own:
            return self._borrowed(target, slot)
        candidates: list[Target] = []
        for name in slot.classes:
            candidates += eligible(self._calibrations(target, name), target, slot)
        return self._first_good([c for c in candidates if c.target_id != target.target_id], slot)

    def _calibrations(self, target: Target, name: str) -> Sequence[Target]:
        """Calibrations of a class for a target's day."""
        by_filter = self._registry.by_filter(name)
        band = target.filter if by_filter else None
        key = (name, target.instrument, target.chip, band, math.floor(target.moment))
        if key not in self._of_day:
            self._of_day[key] = calibrations_of_day(
                self._session, target, name, by_filter=by_filter
            )
        return self._of_day[key]

    def _borrowed(self, target: Target, slot: Slot) -> Filled:
        """The calibration of a target's own frame, else the nearest that can be made.

        Those that cannot are passed over by all frames of the day, and rested on together.
        """
        if target.raw_id not in self._of_raw:
            self.look_up([target])
        own = self._own(target, slot)
        filled = Filled()
        if own is not None and eligible([own], target, slot):
            filled = self._first_good([own], slot)
            if filled.products or filled.pending:
                return filled
        for name in slot.classes:
            of_day = self._borrowable.of_day(target, name)
            filled.pools.append(of_day.pool)
            others = eligible(list(of_day.left.values()), target, slot)
            others = [c for c in others if c.target_id != target.target_id and c is not own]
            self._nearest(others, of_day, slot, filled)
            if filled.products or filled.pending:
                break
        return filled

    def _nearest(
        self, candidates: Sequence[Target], of_day: OfDay, slot: Slot, filled: Filled
    ) -> None:
        """Take the first of some candidates that can be made and is fit to be used."""
        start = 0
        while start < len(candidates):
            part = candidates[start : 2 * start + 1]
            start += len(part)
            for candidate, verdict in zip(part, self._reach(part), strict=True):
                if verdict.kind is VerdictKind.UNMAKEABLE:
                    of_day.pass_over(candidate)
                    continue
                found = self._first_good([candidate], slot)
                filled.considered |= found.considered
                if found.products or found.pending:
                    filled.products, filled.pending = found.products, found.pending
                    filled.providers |= found.providers
                    return

    def _frames_of_field(self, target: Target, slot: Slot) -> Filled:
        spec = self.field_of(target)
        if spec is None:
            return Filled(failure=f"{target.identity} belongs to no field")
        per_field = self._registry.target(slot.classes[0]).ANCHOR.per_field
        found = frames_of_field(
            self._session,
            target,
            slot,
            spec,
            reach=None if per_field else farthest(self._registry, spec),
            filters=band_filters(self._registry, spec, target.filter) if target.filter else None,
        )
        return self._all_good(found)

    def _in_field(self, target: Target, slot: Slot) -> Filled:
        anchor = self._registry.target(slot.classes[0]).ANCHOR
        band = target.filter
        if target.raw_id is not None:
            known = self._registry.camera(target.instrument).bands.get(target.filter)
            band = target.filter if known is None else known.standard
        key = (slot.classes, target.field_id, band if anchor.by_filter else "")
        if key not in self._in_fields:
            self._in_fields[key] = field_target(self._session, target, slot, key[-1])
        found = self._in_fields[key]
        if found is None:
            return Filled(failure=f"there is no {' or '.join(slot.classes)} of this field")
        return self._first_good([found], slot)

    def _all_good(self, candidates: Sequence[Target]) -> Filled:
        """All that can be made and are fit to be used; the others are left out."""
        filled = Filled()
        for candidate, verdict in zip(candidates, self._reach(candidates), strict=True):
            filled.considered[candidate.target_id] = candidate.epoch
            if verdict.kind is VerdictKind.STALE:
                filled.pending.append(candidate.target_id)
            elif verdict.kind is VerdictKind.FRESH:
                product = self._answer(candidate, verdict)
                if usable(product):
                    filled.products.append(product)
                    filled.providers[candidate.target_id] = product.product_id
        return filled

    def _answer(self, target: Target, verdict: Verdict) -> Product:
        return verdict.answer or self.product(target.product_id)

    def _first_good(self, candidates: Sequence[Target], slot: Slot) -> Filled:
        filled = Filled()
        refusals = []
        for candidate in candidates:
            filled.considered[candidate.target_id] = candidate.epoch
            (verdict,) = self._reach([candidate])
            if verdict.kind is VerdictKind.STALE:
                filled.pending.append(candidate.target_id)
                return filled
            if verdict.kind is VerdictKind.FRESH:
                product = self._answer(candidate, verdict)
                if usable(product):
                    filled.products.append(product)
                    filled.providers[candidate.target_id] = product.product_id
                    return filled
                said = unfit(self._registry.classes, product)
                refusals.append(f"{candidate.identity} (object {product.product_id}) {said}")
            else:
                refusals.append(verdict.reasons[0].text)
        if refusals and slot.at_least:
            filled.failure = "; ".join(dict.fromkeys(refusals[:3]))
        return filled


def is_composite(target: Target) -> bool:
    """Whether a target is of a whole field: its filters are those of the photometric system."""
    return target.field_id is not None and target.raw_id is None


def _in_order(registry: Registry) -> list[str]:
    """Names of all classes of targets, what is made of others after them."""
    slots = {cls.__name__: cls.SLOTS.values() for cls in registry.targets()}
    ordered: dict[str, None] = {}

    def visit(name: str) -> None:
        """Enter a class after what it is made of."""
        for slot in slots.pop(name, ()):
            for below in slot.classes:
                visit(below)
        ordered.setdefault(name)

    for name in list(slots):
        visit(name)
    return list(ordered)
