"""How often a field is recognised in frames of another one: the promise is 1 in 1000.

``python -m tests.benchmarks.recognition [--fields 2000]`` tries random sources against random
stars, with the rotation known and not, and prints the wrong recognitions.
"""

from __future__ import annotations

__all__ = ["main"]

import argparse

import numpy as np

from reduction.steps.astrometry import SolutionModel, solve
from reduction.steps.wcs import deproject

SHAPE = (1024, 1024)
SCALE = 0.526
CENTRE = (114.6, 21.57)
SIZES = ((5, 3), (8, 8), (20, 15), (40, 40))


def main() -> None:
    """Try and count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fields", type=int, default=2000)
    options = parser.parse_args()
    for sources, stars in SIZES:
        for known in (True, False):
            rng = np.random.default_rng(sources)
            wrong = sum(_wrong(rng, sources, stars, known=known) for _ in range(options.fields))
            words = f"{sources} sources, {stars} stars, rotation known: {known}"
            print(f"{words}: {wrong} wrong of {options.fields}")


def _wrong(rng: np.random.Generator, sources: int, stars: int, *, known: bool) -> bool:
    ra, dec = deproject(*rng.uniform(-0.25, 0.25, (2, stars)), *CENTRE)
    found = solve(
        *(*rng.uniform(0, SHAPE[0], (2, sources)), rng.pareto(1.5, sources), SHAPE),
        ra=ra,
        dec=dec,
        mag=rng.uniform(10, 18, stars),
        pointing=CENTRE,
        pixel_scale=SCALE,
        pointing_error=0.1,
        rotation_known=known,
    )
    return found.model is not SolutionModel.NOMINAL


if __name__ == "__main__":
    main()
