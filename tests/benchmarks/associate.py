"""Seconds that the association of a million sources takes, beside looking at all their pairs.

``python -m tests.benchmarks.associate [STARS [FRAMES [REPEATS]]]``

The yardstick is what scipy offers: all pairs within the distance from a k-d tree, and the
connected components of their graph. The target is half of its time, also with the closest pairs
singled out.
"""

from __future__ import annotations

__all__: list[str] = []

import sys
import time
from statistics import median

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from reduction.steps.associate import associate
from reduction.steps.friends import unit_vectors

TARGET = 0.5
DISTANCE = 1.0


def seen(stars, frames):
    """Positions of stars on frames, 95 % of them on each, with 0.1 arcsec of scatter."""
    random = np.random.default_rng(1)
    place = random.uniform(-0.5, 0.5, (2, stars))
    parts = []
    for frame in range(frames):
        found = random.random(stars) < 0.95
        there = (place + random.normal(0.0, 0.1 / 3600.0, place.shape))[:, found]
        parts.append((there[0] % 360.0, there[1], np.full(found.sum(), frame)))
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def all_pairs(ra, dec):
    """Number of groups that all pairs within the distance connect."""
    points = unit_vectors(ra, dec)
    reach = 2.0 * np.sin(np.radians(DISTANCE / 3600.0) / 2.0)
    pairs = cKDTree(points).query_pairs(reach, output_type="ndarray")
    one = np.ones(len(pairs), np.int8)
    graph = coo_array((one, (pairs[:, 0], pairs[:, 1])), (len(points), len(points)))
    return connected_components(graph, directed=False)[0]


def seconds(work, repeats):
    """Median seconds of some work, and what it gave."""
    taken = []
    for _ in range(repeats):
        begun = time.perf_counter()
        given = work()
        taken.append(time.perf_counter() - begun)
    return median(taken), given


def main():
    """Print both ways."""
    given = (*sys.argv[1:], *("35000", "29", "3")[len(sys.argv) - 1 :])
    stars, frames, repeats = (int(float(word)) for word in given)
    ra, dec, lists = seen(stars, frames)
    bare, groups = seconds(lambda: all_pairs(ra, dec), repeats)
    print(f"{len(ra)} sources of {frames} lists; all pairs: {bare:.2f} s, {groups} groups")
    for single in (False, True):
        taken, rows = seconds(
            lambda single=single: associate(
                ra, dec, lists, search_distance=DISTANCE, single_out_closest=single
            ),
            repeats,
        )
        found = rows["association"].max() + 1
        assert single or found == groups
        verdict = "ok" if taken <= TARGET * bare else "TOO SLOW"
        what = "singled out" if single else "whole groups"
        print(f"{what}: {taken:.2f} s, {taken / bare:.2f} x all pairs, {found} groups  {verdict}")


if __name__ == "__main__":
    main()
