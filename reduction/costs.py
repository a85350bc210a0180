"""What making a target is expected to take: what it took before, or what others of its class took.

A target that was made takes what it took. One that never was takes the mean of its class for its
instrument, and where that was never made either, the mean of the class for other instruments, both
in proportion to the pixels. Of a class that this archive never made, ``COST_S`` of the class is
expected: seconds per million pixels, as measured on one core.
"""

from __future__ import annotations

__all__ = ["Costs", "expected_s"]

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from reduction.batches import batched
from reduction.fields import field_spec
from reduction.instruments.composite import whole
from schemas.tables import Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from reduction.archive import Archive
    from reduction.registry import Registry

_MILLION = 1e6
#: Looking, fetching, storing and publishing take that long, however small the product.
_LEAST_S = 0.05


@dataclass(frozen=True, slots=True)
class _Past:
    """What was made of a class for one instrument, chip and field."""

    instrument: str
    seconds: float
    pixels: float


class Costs:
    """Expected seconds, from what one snapshot of the archive knows; each class looked up once.

    Parameters
    ----------
    session, registry
        As the examiner's.
    """

    def __init__(self, session: Session, registry: Registry) -> None:
        self._session, self._registry = session, registry
        self._past: dict[str, list[_Past]] = {}
        self._grids: dict[int, float] = {}

    def of(self, target: Target) -> float:
        """Seconds that making a target is expected to take in one process."""
        if target.cost_s is not None:
            return max(target.cost_s, _LEAST_S)
        pixels = self._pixels(target.instrument, target.chip, target.field_id)
        past = self._known(target.class_name)
        alike = [made for made in past if made.instrument == target.instrument] or past
        if not alike:
            per_million = self._registry.target(target.class_name).COST_S
            return _LEAST_S + per_million * pixels / _MILLION
        scaled = pixels / sum(made.pixels for made in alike)
        return max(sum(made.seconds for made in alike) * scaled, _LEAST_S)

    def _known(self, class_name: str) -> list[_Past]:
        """What was made of a class, by instrument, chip and field."""
        if class_name not in self._past:
            place = (Target.instrument, Target.chip, Target.field_id)
            rows = self._session.execute(
                select(*place, func.count(), func.sum(Target.cost_s))
                .where(Target.class_name == class_name, Target.cost_s.is_not(None))
                .group_by(*place)
            ).all()
            self._past[class_name] = [
                _Past(name, seconds or 0.0, number * self._pixels(name, chip, field_id))
                for name, chip, field_id, number, seconds in rows
            ]
        return self._past[class_name]

    def _pixels(self, instrument: str, chip: str, field_id: int | None) -> float:
        """Pixels of a chip, of a field's grid, or of a whole camera."""
        if field_id is not None:
            if field_id not in self._grids:
                ny, nx = field_spec(self._session, field_id).shape
                self._grids[field_id] = float(ny * nx)
            return self._grids[field_id]
        camera = self._registry.instruments.get(instrument)
        if camera is None:  # one that this installation no longer knows
            return _MILLION
        ny, nx = (camera.chips.get(chip) or whole(camera)).shape
        return float(ny * nx)


def expected_s(archive: Archive, target_ids: Sequence[int]) -> float:
    """Seconds that making some targets is expected to take, without what they need before."""
    with archive.transaction() as session:
        costs, total = Costs(session, archive.registry), 0.0
        for part in batched(target_ids):
            rows = session.scalars(select(Target).where(Target.target_id.in_(part)))
            total += sum(costs.of(target) for target in rows)
    return total
