"""Trails of every kind are found on skies that no limit was chosen on, and nothing else is."""

from __future__ import annotations

__all__: list[str] = []

import pytest

from tests.support.trail_scenes import EMPTY, KINDS
from tests.support.trail_scores import Score, score

pytestmark = [pytest.mark.science, pytest.mark.slow]

SCENES, SEED = 3, 58


def test_trails_of_every_kind_are_complete_and_pure():
    # Peaks from 1.2 times the sky's noise (crossing), 2 (partial), 3 (double), 4 (tumbling, whose
    # light falls to a seventh) to 60; a full table: python -m tests.benchmarks.trails.
    scores = {kind: score(kind, SCENES, seed=SEED) for kind in KINDS}
    total = Score(
        harmed=sum(one.harmed for one in scores.values()),
        hit=sum(one.hit for one in scores.values()),
        masked=sum(one.masked for one in scores.values()),
        lit=sum(one.lit for one in scores.values()),
    )
    assert total.harmed > 100_000
    assert total.completeness >= 0.95, scores
    assert total.purity >= 0.95, scores
    # One faint trail in a crowd of stars may be lost: a third of a kind's scenes, and less of its
    # pixels.
    assert sum(len(one.missed) for one in scores.values()) <= 2, scores


def test_what_is_no_trail_is_left_alone():
    scores = {kind: score(kind, SCENES, seed=SEED) for kind in EMPTY}
    # One frame of twenty may have a false trail, as one of a purity of 0.95 may.
    assert sum(one.found for one in scores.values()) <= 1, scores
