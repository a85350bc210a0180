"""How long the global solution of a mosaic's field takes, and how good it is.

``python -m tests.benchmarks.astrometry [--chips 32] [--exposures 30] [--stars 24000]`` simulates
the detections of a mosaic (2048 x 4100 pixels of 0.2 arcsec a chip; a fifth of the stars have
references), solves, and prints seconds, microseconds a detection, memory, and the error made
beside the error stated.
"""

from __future__ import annotations

__all__ = ["main"]

import argparse
import resource
import time

import numpy as np

from reduction.steps.global_solution import solve_field
from tests.support.mosaic import Camera, Sky, separation


def main() -> None:
    """Simulate, solve, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chips", type=int, default=32)
    parser.add_argument("--exposures", type=int, default=30)
    parser.add_argument("--stars", type=int, default=24000)
    options = parser.parse_args()
    camera = Camera(chips=options.chips, columns=min(options.chips, 8), shape=(4100, 2048))
    sky = Sky(half=0.55, stars=options.stars, known=0.2)
    frames, truth, _ = sky.observe(camera, options.exposures, dither=60.0)
    start = time.perf_counter()
    found = solve_field(frames, ra=sky.cat_ra, dec=sky.cat_dec)
    seconds = time.perf_counter() - start
    parts = [separation(w, t, camera.shape) for w, t in zip(found.wcs, truth, strict=True)]
    made = 1e3 * float(np.sqrt(np.mean(np.square(parts))))
    stated = 1e3 * float(np.nanmean(found.pos_err))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    number = len(found.frame)
    print(f"{number} detections on {len(frames)} frames: {seconds:.1f} s")
    print(f"{1e6 * seconds / number:.0f} us a detection, {memory:.2f} GB at most")
    print(f"error made {made:.1f} mas, stated {stated:.1f} mas")


if __name__ == "__main__":
    main()
