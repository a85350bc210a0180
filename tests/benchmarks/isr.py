"""Seconds of a CCD's signature's removal (overscan, trim, bias, flat), beside ccdproc's.

``python -m tests.benchmarks.isr [REPEATS]``

A raw frame of 2144 x 4200 16-bit pixels in memory becomes a corrected one of 2048 x 4100 in
float32, by our step and by ccdproc's four functions without uncertainties, in turn; the least
times count. ccdproc is given the same float32 calibrations, and the raw pixels as float32, its
faster way, and as they are; the target is 0.6 of either. ccdproc divides a flat by its mean, we by
nothing: its result is scaled by that.
"""

from __future__ import annotations

__all__: list[str] = []

import sys
import time
import warnings
from typing import Final

import ccdproc
import numpy as np
from astropy.nddata import CCDData

from reduction.instruments.base import Section
from reduction.steps.isr import correct_frame

TARGET: Final = 0.6
SHAPE: Final = (4200, 2144)
SCIENCE: Final = Section(0, 4100, 48, 2096)
OVERSCAN: Final = Section(0, 4100, 2096, 2144)


def frames():
    """A raw frame, a bias and a flat; no overscan pixel so far off that we would leave it out."""
    rng = np.random.default_rng(1)
    raw = rng.normal(1000.0, 5.0, SHAPE).clip(980, 1020).round().astype(np.uint16)
    bias = rng.normal(0.0, 1.0, SCIENCE.shape).astype(np.float32)
    flat = rng.normal(1.0, 0.02, SCIENCE.shape).astype(np.float32)
    return raw, bias, flat


def theirs(raw, bias, flat, kind):
    """The same by ccdproc; each row's overscan by its mean."""
    frame = CCDData(raw if kind is None else raw.astype(kind), unit="adu")
    strip = frame[:, OVERSCAN.x0 : OVERSCAN.x1]
    frame = ccdproc.subtract_overscan(frame, overscan=strip, overscan_axis=1)
    frame = ccdproc.trim_image(frame[SCIENCE.slices])
    frame = ccdproc.subtract_bias(frame, bias)
    return ccdproc.flat_correct(frame, flat)


def main():
    """Measure and print."""
    warnings.simplefilter("ignore")
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    raw, bias, flat = frames()
    packed = CCDData(bias, unit="adu"), CCDData(flat, unit="")
    ways = {
        "ours": lambda: correct_frame(raw, SCIENCE, bias=bias, flat=flat, overscan=OVERSCAN),
        "ccdproc, float32": lambda: theirs(raw, *packed, np.float32).data,
        "ccdproc, as read": lambda: theirs(raw, *packed, None).data,
    }
    taken = dict.fromkeys(ways, np.inf)
    results = {}
    for _ in range(repeats):
        for name, way in ways.items():
            begun = time.perf_counter()
            results[name] = way()
            taken[name] = min(taken[name], time.perf_counter() - begun)
    scale = flat.mean(dtype=np.float64)
    for name, seconds in taken.items():
        other = results[name] if name == "ours" else results[name] / scale
        differs = np.abs(results["ours"] - other).max() / np.abs(results["ours"]).max()
        ratio = taken["ours"] / seconds
        print(f"{name:>17}: {seconds * 1e3:6.1f} ms, differs by {differs:.1e} of the largest")
        if name != "ours":
            verdict = "ok" if ratio <= TARGET else "TOO SLOW"
            print(f"{'':>17}  ours takes {ratio:.2f} of it (target {TARGET}: {verdict})")


if __name__ == "__main__":
    main()
