"""What looking for satellites costs beside the rest of a reduction.

``python -m tests.benchmarks.satellites``

Processor seconds of one frame of 2144 x 4200 pixels with 2000 stars, 100 galaxies and a trail; the
smallest of some rounds, interleaved, so that other work on the machine does not count.
"""

from __future__ import annotations

__all__ = ["main"]

import time
from typing import TYPE_CHECKING

import numpy as np

from reduction.instruments.base import Section
from reduction.steps.reduce import Limits, reduce_frame
from reduction.steps.satellite import find_satellites
from tests.support.scenes import add_trail, crowded_sky

if TYPE_CHECKING:
    from collections.abc import Callable

SHAPE = (4200, 2144)
ROUNDS = 5


def main() -> None:
    """Print the seconds and their ratio."""
    rng = np.random.default_rng(1)
    sky = crowded_sky(rng, SHAPE, 12.0)
    add_trail(sky, rng, peak=40.0, sigma=2.0)
    raw = np.clip(np.pad(sky, ((0, 0), (0, 40))) + 300.0, 0, 65535).astype(np.uint16)
    good = np.ones(SHAPE, dtype=np.uint8)
    full, none = sky > 60000.0, np.zeros(SHAPE, dtype=np.bool_)  # a reduction has them anyway
    zero, one = np.zeros(SHAPE, dtype=np.float32), np.ones(SHAPE, dtype=np.float32)

    def reduce() -> object:
        return reduce_frame(
            raw,
            Section(0, SHAPE[0], 0, SHAPE[1]),
            bias=zero,
            flat=one,
            hot=good,
            cold=good,
            gain=2.5,
            read_noise=5.0,
            limits=Limits(60000.0, trail=0.0),
        )

    def look() -> object:
        return find_satellites(sky, bad=none, saturated=full)

    both = {"ISR and cosmic rays": reduce, "satellites": look}
    best = dict.fromkeys(both, np.inf)
    for _ in range(ROUNDS):
        for name, work in both.items():
            best[name] = min(best[name], _seconds(work))
    for name, seconds in best.items():
        print(f"{name}: {seconds:.3f} s")
    rest, satellites = best.values()
    print(f"satellites / (ISR and cosmic rays): {satellites / rest:.3f} (goal: 0.15)")


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    main()
