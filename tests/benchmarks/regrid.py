"""How long a frame takes onto a grid, beside reproject and SWarp in the same run.

``python -m tests.benchmarks.regrid [--shape NY NX] [--repeats K] [--adaptive]`` brings one frame
of noise with bad pixels, turned by two degrees, onto a grid of its own pixel size. Ours gives
pixels, weights and mask; ``reproject_interp`` the pixels alone (bilinear, and bicubic);
``reproject_adaptive``, which takes minutes, only where asked for; SWarp reads and writes files and
resamples pixels and weights. Printed are the medians of the processors' seconds, so that other
work on the machine counts little, and of the ratios to ours of the same round; then what the
compiled kernel gains, and how long ten such frames take to combine.
"""

from __future__ import annotations

__all__ = ["main"]

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from reproject import reproject_adaptive, reproject_interp

from reduction.instruments.base import Section
from reduction.steps import kernels
from reduction.steps.coadd import CombineType, Contribution, coadd
from reduction.steps.grid import covered, field_grid
from reduction.steps.resample import Resampled, resample
from tests.support.sky_frames import turned

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SCALE = 0.214
CENTRE = (150.0, 20.0)


class Bench:
    """A frame and a grid around it."""

    def __init__(self, shape: tuple[int, int]) -> None:
        rng = np.random.default_rng(1)
        self.wcs = turned(*CENTRE, shape, scale=SCALE, angle=2.0)
        self.image = rng.normal(100.0, 5.0, shape).astype(np.float32)
        self.mask = np.where(rng.random(shape) < 0.003, 32, 0).astype(np.uint8)
        self.weight = np.where(self.mask, 0, 0.04).astype(np.float32)
        radius = max(shape) * SCALE / 7200.0
        self.grid, self.grid_shape = field_grid(*CENTRE, radius=radius, pixel_scale=SCALE)
        box = covered(self.wcs, shape, self.grid, self.grid_shape)
        assert box is not None
        self.box = box
        self._theirs = WCS(fits.Header(self.wcs.to_cards()))
        cards = fits.Header(self.grid.to_cards())
        cards["CRPIX1"] -= box.x0
        cards["CRPIX2"] -= box.y0
        self._header = cards

    def ours(self) -> Resampled:
        """Pixels, weights and mask."""
        return resample(
            *(self.image, self.weight, self.mask), frame=self.wcs, grid=self.grid, box=self.box
        )

    def interp(self, order: str) -> None:
        """Pixels by reproject."""
        reproject_interp(
            (self.image, self._theirs),
            WCS(self._header),
            shape_out=self.box.shape,
            order=order,
            return_footprint=False,
        )

    def adaptive(self) -> None:
        """Pixels by reproject, flux conserved."""
        reproject_adaptive(
            (self.image, self._theirs),
            WCS(self._header),
            shape_out=self.box.shape,
            conserve_flux=True,
            return_footprint=False,
        )

    def swarp(self, program: str, folder: Path) -> None:
        """Pixels and weights, from files to files."""
        cards = fits.Header(self.wcs.to_cards())
        fits.writeto(folder / "a.fits", self.image, cards, overwrite=True)
        fits.writeto(folder / "a.weight.fits", self.weight, cards, overwrite=True)
        head = self._header.copy()
        head["NAXIS1"], head["NAXIS2"] = self.box.shape[1], self.box.shape[0]
        (folder / "coadd.head").write_text(head.tostring("\n") + "\nEND     \n")
        options = "-COMBINE N -SUBTRACT_BACK N -WEIGHT_TYPE MAP_WEIGHT -WRITE_XML N -NTHREADS 1"
        subprocess.run(
            [program, "a.fits", *options.split(), "-VERBOSE_TYPE", "QUIET"],
            cwd=folder,
            check=True,
            capture_output=True,
        )


def timed(work: Callable[[], object]) -> float:
    """Seconds of processors that something takes, programs that it starts included."""
    begun = sum(os.times()[:4])
    work()
    return sum(os.times()[:4]) - begun


def compare(bench: Bench, repeats: int, *, adaptive: bool) -> None:
    """Print seconds and ratios."""
    program = shutil.which("SWarp") or shutil.which("swarp")
    with tempfile.TemporaryDirectory() as name:
        others: dict[str, Callable[[], object]] = {
            "reproject_interp, bilinear": lambda: bench.interp("bilinear"),
            "reproject_interp, bicubic": lambda: bench.interp("bicubic"),
        }
        if adaptive:
            others["reproject_adaptive"] = bench.adaptive
        if program:
            others["SWarp, files"] = lambda: bench.swarp(program, Path(name))
        bench.ours()
        rounds = [
            (timed(bench.ours), {what: timed(work) for what, work in others.items()})
            for _ in range(repeats)
        ]
    print(f"{'ours':28} {statistics.median(own for own, _ in rounds):8.2f} s")
    for what in others:
        seconds = statistics.median(taken[what] for _, taken in rounds)
        ratio = statistics.median(taken[what] / own for own, taken in rounds)
        print(f"{what:28} {seconds:8.2f} s   {ratio:6.1f} x ours")


def gain(bench: Bench) -> None:
    """Print what the compiled kernel saves."""
    if kernels.KERNEL is None:
        print("there is no compiled kernel")
        return
    fast = timed(bench.ours)
    kept, kernels.KERNEL = kernels.KERNEL, None
    slow = timed(bench.ours)
    kernels.KERNEL = kept
    print(f"{'ours by numpy alone':28} {slow:8.2f} s   {slow / fast:6.1f} x ours")


def combine(bench: Bench, n: int) -> None:
    """Print how long frames take to combine."""
    made = bench.ours()
    planes = (made.image, made.weight, made.mask)

    def read(part: Section) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        image, weight, mask = (plane[part.slices] for plane in planes)
        return image, weight, mask

    frames = [Contribution(bench.box, read)] * n
    for how in CombineType:
        seconds = timed(lambda how=how: coadd(frames, bench.box, combine=how))  # type: ignore[misc]
        print(f"{f'{n} frames, {how}':28} {seconds:8.2f} s")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", type=int, nargs=2, default=(4200, 2144))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--adaptive", action="store_true")
    options = parser.parse_args(arguments)
    bench = Bench((options.shape[0], options.shape[1]))
    compare(bench, options.repeats, adaptive=options.adaptive)
    gain(bench)
    combine(bench, 10)


if __name__ == "__main__":
    main()
