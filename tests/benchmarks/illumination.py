"""What the illumination of a mosaic's night costs, beside one least-squares fit of its columns.

``python -m tests.benchmarks.illumination [--stars 16000 --exposures 4 --chips 32]`` prints seconds
of processor time (other work on the machine does not count) and their ratio, in one run. The
yardstick is numpy's ``lstsq`` of the whole design, a column for each frame's zero point and nine
of a cubic, once; the illumination clips, finds two variances in each round, and tests its degree.
"""

from __future__ import annotations

__all__ = ["night"]

import argparse
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from reduction.steps.illumination import fit_illumination
from reduction.steps.surface import Surface

if TYPE_CHECKING:
    from collections.abc import Callable

#: Columns of chips on the focal plane, and the sides of one, arcsec.
_COLUMNS, _SIDES = 8, (430.0, 870.0)

TARGET = 3.0


def night(stars: int, exposures: int, chips: int) -> dict[str, Any]:
    """Standards of 0.03 mag on all exposures, measured to 0.005 to 0.05 mag, one in 100 wrong."""
    rng = np.random.default_rng(1)
    exposure, star = (which.ravel() for which in np.mgrid[:exposures, :stars])
    rows = -(-chips // _COLUMNS)
    half = np.array([_COLUMNS * _SIDES[0], rows * _SIDES[1]]) / 2.0
    place = rng.uniform(-half, half, (stars, 2))[star]
    u, v = np.clip(place + rng.uniform(-30.0, 30.0, (exposures, 2))[exposure], -half, half).T
    column, row = (
        np.minimum(((where + side) // size).astype(int), number - 1)
        for where, side, size, number in zip((u, v), half, _SIDES, (_COLUMNS, rows), strict=True)
    )
    chip = np.minimum(row * _COLUMNS + column, chips - 1)
    errors = 10.0 ** rng.uniform(-2.3, -1.3, stars)[star]
    z = 24.0 + rng.normal(0.0, 0.1, chips)[chip] - 0.1 * ((u / half[0]) ** 2 + (v / half[1]) ** 2)
    z += 0.02 * (u / half[0]) ** 3
    z += rng.normal(0.0, 0.03, stars)[star] + errors * rng.standard_normal(len(star))
    wild = rng.random(len(star)) < 0.01
    z[wild] += rng.normal(0.0, 1.0, int(wild.sum()))
    corner = {
        f"ccd{n}": (
            (n % _COLUMNS) * _SIDES[0] - half[0] + np.array([0.0, 1.0, 1.0, 0.0]) * _SIDES[0],
            (n // _COLUMNS) * _SIDES[1] - half[1] + np.array([0.0, 0.0, 1.0, 1.0]) * _SIDES[1],
        )
        for n in range(chips)
    }
    return {
        "u": u,
        "v": v,
        "zero_points": z,
        "group": exposure * chips + chip,
        "star": star,
        "errors": errors,
        "star_errors": np.full(len(star), 0.02),
        "chips": corner,
    }


def whole(made: dict[str, Any]) -> np.ndarray:
    """The design, a column for each frame and each term of a cubic."""
    groups = np.eye(int(made["group"].max()) + 1)[made["group"]]
    terms = Surface((0.0,) * 10, 0.0, 0.0, 1700.0, 1700.0).design(made["u"], made["v"])
    return np.hstack((groups, terms[:, 1:]))


def spent(task: Callable[[], object], repeats: int = 3) -> tuple[float, object]:
    """Shortest processor time of some runs, s, and what the last gave."""
    times, found = [], None
    for _ in range(repeats):
        before = time.process_time()
        found = task()
        times.append(time.process_time() - before)
    return min(times), found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stars", type=int, default=16_000)
    parser.add_argument("--exposures", type=int, default=4)
    parser.add_argument("--chips", type=int, default=32)
    given = parser.parse_args()
    made = night(given.stars, given.exposures, given.chips)
    columns = whole(made)
    fit, _ = spent(lambda: np.linalg.lstsq(columns, made["zero_points"], rcond=1e-10), 1)
    ours, found = spent(lambda: fit_illumination(**made))
    print(f"{len(columns)} zero points of {given.stars} stars, {columns.shape[1]} columns")
    print(f"    one fit of all columns {fit:.2f} s, the illumination {ours:.2f} s")
    print(f"    degree {found.surface.degree}, error {found.error:.5f} mag, {found.n_stars} stars")
    print(f"    ratio {ours / fit:.2f} (at most {TARGET:g})")


if __name__ == "__main__":
    main()
