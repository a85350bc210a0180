"""What it costs to measure a frame's sources: sky, detection, apertures, point spread function.

``python -m tests.benchmarks.photometry [--rows 4200 --columns 2144 --stars 3000]`` prints seconds
of processor time (other work on the machine does not count) and the ratio to photutils fitting the
same stars, in one run; and the global solution of a thousand frames.
"""

from __future__ import annotations

__all__ = ["make_frame"]

import argparse
import time
from typing import TYPE_CHECKING

import numpy as np
from astropy.table import Table
from photutils.psf import MoffatPSF, PSFPhotometry

from reduction.steps.global_photometry import solve_zero_points
from reduction.steps.source_fluxes import Frame, aperture_fluxes, point_source_fluxes
from reduction.steps.sources import extract

if TYPE_CHECKING:
    from collections.abc import Callable

_GAIN, _SKY, _READ_NOISE, _FWHM, _BETA = 2.0, 300.0, 4.0, 3.7, 4.0
_COMPARED = 150


def make_frame(shape: tuple[int, int], stars: int) -> np.ndarray:
    """Moffat stars of S/N 10 to 400 on a flat sky."""
    rng = np.random.default_rng(1)
    y, x = (rng.uniform(16, size - 16, stars) for size in shape)
    flux = 10 ** rng.uniform(2.9, 5.0, stars)
    alpha = _FWHM / 2 / np.sqrt(2 ** (1 / _BETA) - 1)
    offset = np.arange(-14, 15)
    image = np.full(shape, _SKY, np.float32)
    for x0, y0, f0 in zip(x, y, flux, strict=True):
        rows, columns = round(y0) + offset, round(x0) + offset
        r2 = (rows[:, None] - y0) ** 2 + (columns - x0) ** 2
        light = f0 * (_BETA - 1) / np.pi / alpha**2 * (1 + r2 / alpha**2) ** -_BETA
        image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] += light
    noise = rng.standard_normal(shape, np.float32) * np.sqrt(image / _GAIN + _READ_NOISE**2)
    return (image + noise).astype(np.float32)


def spent(task: Callable[[], object], repeats: int = 3) -> float:
    """Shortest processor time of some runs, s."""
    times = []
    for _ in range(repeats):
        before = time.process_time()
        task()
        times.append(time.process_time() - before)
    return min(times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=4200)
    parser.add_argument("--columns", type=int, default=2144)
    parser.add_argument("--stars", type=int, default=3000)
    given = parser.parse_args()
    image = make_frame((given.rows, given.columns), given.stars)
    sources = extract(image, gain=_GAIN)
    whole = spent(lambda: extract(image, gain=_GAIN))
    light = image - np.float32(_SKY)
    noise = np.full(image.shape, np.sqrt(_SKY / _GAIN + _READ_NOISE**2), np.float32)
    frame = Frame(light, np.zeros(image.shape, bool), noise, _GAIN)
    circles = spent(lambda: aperture_fluxes(frame, sources, aperture_radius=12.0, lost_flag=32))
    functions = spent(
        lambda: point_source_fluxes(frame, sources, aperture_radius=12.0, forgiven=1)
    )
    print(f"{given.rows} x {given.columns} pixels, {len(sources)} sources, processor seconds")
    print(f"    all: sky twice, detection, centroids, fluxes: {whole:.2f}")
    print(f"    of these: apertures and Kron {circles:.2f}, point spread function {functions:.2f}")
    few = sources[:_COMPARED]
    start = Table({"x": few["x"], "y": few["y"], "flux": few["flux"]})
    model = MoffatPSF(alpha=_FWHM / 2 / np.sqrt(2 ** (1 / _BETA) - 1), beta=_BETA)
    model.x_0.fixed = model.y_0.fixed = True
    fit = PSFPhotometry(model, (17, 17))
    theirs = spent(lambda: fit(light, error=noise, init_params=start), 1)
    theirs *= len(sources) / len(few)
    print(f"    photutils, function and places given: {theirs:.1f}")
    print(f"    ratio {functions / theirs:.3f}")
    _global()


def _global(frames: int = 1000, stars: int = 20_000, each: int = 100) -> None:
    """A strip of frames that each see the next hundred of the strip's stars."""
    rng = np.random.default_rng(2)
    mag, zero = rng.uniform(14, 18, stars), 24 + rng.normal(0, 0.1, frames)
    frame = np.repeat(np.arange(frames), each)
    star = (frame * ((stars - each) // frames) + np.tile(np.arange(each), frames)) % stars
    measured = mag[star] - zero[frame] + 0.01 * rng.standard_normal(len(frame))
    standard = np.where(np.arange(stars) % 100 == 0, mag, np.nan)
    seconds = spent(
        lambda: solve_zero_points(
            frame,
            star,
            measured,
            np.full(len(frame), 0.01),
            n_frames=frames,
            standard=standard,
            standard_error=np.full(stars, 0.01),
        ),
        1,
    )
    print(f"global solution, {frames} frames, {len(frame)} measurements: {seconds:.1f}")


if __name__ == "__main__":
    main()
