"""Zero points of other frames that may be borrowed, without those that cannot be made."""

from __future__ import annotations

__all__ = ["Borrowable", "OfDay"]

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reduction.pools import Pool, find_pool
from reduction.select import not_passed_over

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from reduction.registry import Registry
    from schemas.tables import Target


@dataclass(frozen=True, slots=True)
class OfDay:
    """Calibrations of a day that may be taken, by number, and those that were passed over."""

    pool: Pool
    left: dict[int, Target]

    def pass_over(self, calibration: Target) -> None:
        """Leave one out that cannot be made."""
        if self.left.pop(calibration.target_id, None) is not None:
            self.pool.passed[calibration.target_id] = calibration.epoch


class Borrowable:
    """Looks up once what the frames of a day may borrow.

    Parameters
    ----------
    session, registry
        As the examiner's.
    """

    def __init__(self, session: Session, registry: Registry) -> None:
        self._session, self._registry = session, registry
        self._found: dict[tuple[str, str, str, str, int], OfDay] = {}

    def of_day(self, target: Target, name: str) -> OfDay:
        """Calibrations of a class for a target's day; the same for all targets of the day."""
        by_filter = self._registry.by_filter(name)
        band = target.filter if by_filter else ""
        key = (name, target.instrument, target.chip, band, math.floor(target.moment))
        if key not in self._found:
            found = not_passed_over(self._session, target, name, by_filter=by_filter)
            pool = find_pool(self._session, key)
            self._found[key] = OfDay(pool, {c.target_id: c for c in found})
        return self._found[key]
