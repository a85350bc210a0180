"""Which calibrations a target may take, and in which order."""

from __future__ import annotations

__all__: list[str] = []

from itertools import permutations

from reduction.depends import calibration
from reduction.select import eligible
from schemas.tables import Target


def zero_point(raw_id: int, moment: float) -> Target:
    return Target(
        class_name="PhotometricParameters",
        raw_id=raw_id,
        moment=moment,
        validity_start=moment - 0.5,
        validity_end=moment + 0.5,
    )


def test_a_borrowed_zero_point_is_that_nearest_in_time_in_any_order_of_ingest() -> None:
    known = [zero_point(1, 60000.1), zero_point(2, 60000.25), zero_point(3, 60000.4)]
    slot = calibration("PhotometricParameters", required=False, prefer_own=True)
    for newest_first in permutations(known):
        frame = Target(class_name="SourceList", raw_id=7, moment=60000.3)
        assert [c.raw_id for c in eligible(newest_first, frame, slot)] == [2, 3, 1]
        own = Target(class_name="SourceList", raw_id=1, moment=60000.1)
        assert [c.raw_id for c in eligible(newest_first, own, slot)] == [1, 2, 3]


def test_other_calibrations_eclipse_each_other_by_the_order_of_their_arrival() -> None:
    known = [zero_point(1, 60000.1), zero_point(2, 60000.3)]
    frame = Target(class_name="ReducedScienceFrame", raw_id=7, moment=60000.3)
    slot = calibration("MasterFlatFrame")
    assert eligible(known, frame, slot) == known
    assert eligible(known[::-1], frame, slot) == known[::-1]
