"""An owner's share of those who run jobs."""

from __future__ import annotations

import pytest

from schemas.settings import JobSettings
from vo_service.uws.queue import Share


@pytest.mark.parametrize("workers", range(5))
@pytest.mark.parametrize("slots", range(1, 4))
@pytest.mark.parametrize("short_slots", range(1, 4))
@pytest.mark.parametrize("running", [1, 2, 3, 100])
def test_nobody_may_hold_all_slots_nor_all_that_take_long_jobs(
    workers, slots, short_slots, running
):
    share = Share.of(
        JobSettings(
            workers=workers, slots=slots, short_slots=short_slots, running_per_owner=running
        )
    )
    of_any_length = workers * slots
    everything = of_any_length + workers * short_slots
    assert 1 <= share.long <= share.running <= running
    if everything > 2:
        assert share.running < everything
    if of_any_length > 1:
        assert share.long < of_any_length
    if running > 1:
        assert share.long < share.running  # his own long jobs leave him a place for a short one
