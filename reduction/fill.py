"""Progenitors for the slots of a target: which there are, and which have to be made first."""

from __future__ import annotations

__all__ = ["Filled", "Filler", "batched", "is_composite"]

import math
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from sqlalchemy import select

from reduction.depends import Slot, SlotKind
from reduction.fields import band_filters, field_spec
from reduction.quality import unfit
from reduction.select import (
    calibrations_of_day,
    eligible,
    field_target,
    frames_of_field,
    frames_of_night,
    raw_products,
    reference_catalogues,
    targets_of_raws,
    usable,
)
from reduction.verdicts import VerdictKind
from schemas.tables import Product, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy.orm import Session

    from reduction.fields import FieldSpec
    from reduction.registry import Registry
    from reduction.verdicts import Verdict


@dataclass(slots=True)
class Filled:
    """What was found for one slot.

    Attributes
    ----------
    products
        Progenitors, in order.
    pending
        Targets that have to be made before more can be said.
    considered
        Targets that this rests on, passed-over candidates included, and their counts of events.
    providers
        Product that each target gave.
    failure
        Why the slot cannot be filled; empty where it is.
    """

    products: list[Product] = field(default_factory=list)
    pending: list[int] = field(default_factory=list)
    considered: dict[int, int] = field(default_factory=dict)
    providers: dict[int, int] = field(default_factory=dict)
    failure: str = ""


class Filler:
    """Fills slots; asks for the verdict on each candidate.

    What many targets have in common is looked up once: the calibrations of a day, the catalogues
    of a place, the targets and products of frames that are looked at together.

    Parameters
    ----------
    session, registry
        As the examiner's.
    verdict
        Of a target.
    """

    def __init__(
        self, session: Session, registry: Registry, verdict: Callable[[Target], Verdict]
    ) -> None:
        self._session, self._registry, self._verdict = session, registry, verdict
        self._products: dict[int, Product] = {}
        self._of_raw: dict[int, dict[str, Target]] = {}
        self._of_day: dict[tuple[str, str, str, str | None, int], Sequence[Target]] = {}
        self._catalogues: dict[tuple[float | None, ...], list[Product]] = {}
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
        place = (target.ra, target.dec, target.radius)
        if place not in self._catalogues:
            self._catalogues[place] = list(reference_catalogues(self._session, target))
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
        own = self._of_raw.get(target.raw_id or 0, {})
        found = next((own[name] for name in slot.classes if name in own), None)
        if found is None:
            return Filled(failure=f"there is no {' or '.join(slot.classes)} of this raw frame")
        return self._first_good([found], slot)

    def _calibration(self, target: Target, slot: Slot) -> Filled:
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

    def _frames_of_field(self, target: Target, slot: Slot) -> Filled:
        spec = self.field_of(target)
        if spec is None:
            return Filled(failure=f"{target.identity} belongs to no field")
        found = frames_of_field(
            self._session,
            target,
            slot,
            spec,
            per_field=self._registry.target(slot.classes[0]).ANCHOR.per_field,
            filters=band_filters(self._registry, spec, target.filter) if target.filter else None,
        )
        return self._all_good(found)

    def _in_field(self, target: Target, slot: Slot) -> Filled:
        anchor = self._registry.target(slot.classes[0]).ANCHOR
        band = target.filter
        if target.raw_id is not None:
            known = self._registry.camera(target.instrument).bands.get(target.filter)
            band = target.filter if known is None else known.standard
        found = field_target(self._session, target, slot, band if anchor.by_filter else "")
        if found is None:
            return Filled(failure=f"there is no {' or '.join(slot.classes)} of this field")
        return self._first_good([found], slot)

    def _all_good(self, candidates: Sequence[Target]) -> Filled:
        """All that can be made and are fit to be used; the others are left out."""
        filled = Filled()
        self.look_up(candidates)
        for candidate in candidates:
            filled.considered[candidate.target_id] = candidate.epoch
            verdict = self._verdict(candidate)
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
            verdict = self._verdict(candidate)
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


def batched(numbers: Iterable[int], size: int = 1000) -> Iterator[tuple[int, ...]]:
    """Parts of a set of numbers, small enough for one statement each."""
    rest = iter(numbers)
    while part := tuple(islice(rest, size)):
        yield part


def is_composite(target: Target) -> bool:
    """Whether a target is of a whole field: its filters are those of the photometric system."""
    return target.field_id is not None and target.raw_id is None
