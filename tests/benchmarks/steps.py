"""Seconds of single steps on a chip of 2048 x 4100 pixels, beside the packages that do the same.

``python -m tests.benchmarks.steps [REPEATS]``

The least of several times of each counts, ours and theirs in turn. "numpy" and "scipy" are the
functions that one would write down first.
"""

from __future__ import annotations

__all__: list[str] = []

import sys
import time
from typing import Final

import astroscrappy
import numpy as np
from scipy import ndimage

from reduction.steps.combine import combine
from reduction.steps.cosmic import find_cosmics
from reduction.steps.gaussian import gaussian
from reduction.steps.statistics import image_statistics

SHAPE: Final = (4100, 2048)
GAIN: Final = 2.0
NOISE: Final = 3.0


def sky():
    """Stars, cosmic rays and noise."""
    rng = np.random.default_rng(3)
    image = np.zeros(SHAPE)
    y, x = (rng.uniform(0, n - 1, 3000).astype(int) for n in SHAPE)
    image[y, x] = 10.0 ** rng.uniform(3.0, 6.0, y.size)
    image = ndimage.gaussian_filter(image, 1.6) + 500.0
    image += rng.normal(0.0, np.sqrt(image / GAIN + NOISE**2))
    y, x = (rng.uniform(0, n - 4, 2000).astype(int) for n in SHAPE)
    for step in range(3):
        image[y + step, x + step] += 800.0
    return image.astype(np.float32)


def plain_statistics(image):
    """As numpy has it."""
    values = image[np.isfinite(image)]
    middle, scatter = np.median(values), values.std(dtype=np.float64)
    return values.min(), values.max(), values.mean(dtype=np.float64), middle, scatter


def plain_combine(stack):
    """Median, clipped mean about it."""
    middle = np.median(stack, axis=0)
    keep = np.abs(stack - middle) <= 3 * NOISE
    return stack.mean(axis=0, where=keep)


def ways(image, stack):
    """Ours and another for each step."""
    found = {"gain": GAIN, "sigclip": 4.5, "sigfrac": 0.3, "objlim": 5.0, "satlevel": 1e9}
    return {
        "statistics, numpy": (lambda: image_statistics(image), lambda: plain_statistics(image)),
        "clipped mean of 5, numpy": (
            lambda: combine(list(stack), [NOISE] * len(stack), sigma_clip=3.0),
            lambda: plain_combine(stack),
        ),
        "Gaussian of 9 pixels, scipy": (
            lambda: gaussian(image, 9.0),
            lambda: ndimage.gaussian_filter(image, 9.0),
        ),
        "cosmic rays, astroscrappy": (
            lambda: find_cosmics(image, gain=GAIN, read_noise=NOISE),
            lambda: astroscrappy.detect_cosmics(
                image, readnoise=NOISE * GAIN, fsmode="median", **found
            ),
        ),
    }


def main():
    """Measure and print."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    stack = np.random.default_rng(4).normal(0.0, NOISE, (5, *SHAPE)).astype(np.float32)
    for name, pair in ways(sky(), stack).items():
        taken = [np.inf, np.inf]
        for _ in range(repeats):
            for number, way in enumerate(pair):
                begun = time.perf_counter()
                way()
                taken[number] = min(taken[number], time.perf_counter() - begun)
        ours, theirs = taken
        print(f"{name:>28}: ours {ours:.3f} s, theirs {theirs:.3f} s, ratio {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
