"""Memory and time of the coadd of a large field, and of its sources.

``python -m tests.benchmarks.coadd [--side N] [--depth D] [--folder PATH]`` makes up regridded
frames that cover a square of N pixels a side D times (chips of 2048 x 4096 pixels with stars),
runs the classes CoaddedRegriddedFrame, DetectionFrame and CoaddedSourceList on them, each in a
process of its own, and stores what they make as the archive does: written, read back and hashed.
Printed are each process's largest memory (``ru_maxrss``) beside the target of 2 GB for a worker,
and its seconds, with and without storing; where SWarp is installed, its seconds for the same
frames, which are on the grid already (``RESAMPLE N``), and ratios of processors' seconds. SWarp
reads and writes images and weights that are not compressed. Ours reads compressed images, weights
and masks, and compresses, reads back and hashes what it makes: those, numbers and origins.
"""

from __future__ import annotations

__all__ = ["main"]

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits

from reduction.field_grids import grid_of
from reduction.fields import FieldSpec
from reduction.focal_plane import LIGHT_DTYPE
from reduction.frame_writing import write_images
from reduction.frames import StoredImages, StoredTables, read_images, read_tables
from reduction.keys import content_hash
from reduction.progenitor import Progenitor
from reduction.regridded_stars import STAR_DTYPE
from reduction.scratch import Scratch
from reduction.steps.grid import part_of
from reduction.target import Inputs
from reduction.targets.coadded import CoaddedRegriddedFrame
from reduction.targets.coadded_source_list import CoaddedSourceList
from reduction.targets.detection_frame import DetectionFrame
from tests.support.sky_frames import draw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reduction.target import Made

CHIP = (4096, 2048)
SCALE = 0.2
TARGET_GB = 2.0
#: Frames that differ; each lies at many places.
KINDS = 3
#: What is said of each frame.
FACTS = {
    "band": "V",
    "exptime": 60.0,
    "photometry": "GPhotometric",
    "zero_point": 25.0,
    "zero_point_err": 0.01,
    "flux_scale": 1 / 60.0,
    "aperture": 1.6,
    "effective_gain": 2.0,
    "unit_weight": 0.01,
    "photon_fraction": 0.8,
    "seeing": 0.8,
    "pos_err": 0.03,
    "psf_difference": 0.0,
    "noise_factor": 1.0,
    "weight": 0.01,
    "good_fraction": 1.0,
}
STEPS = ("coadd", "detection", "sources")


def places(side: int, depth: int) -> list[tuple[int, int, int]]:
    """First row and column of each frame, and which of the files it is."""
    found: list[tuple[int, int, int]] = []
    for layer in range(depth):
        shift = 37 * layer
        for y in range(0, side - CHIP[0] // 2, CHIP[0] + 40):
            for x in range(0, side - CHIP[1] // 2, CHIP[1] + 40):
                y0, x0 = min(y + shift, side - CHIP[0]), min(x + shift, side - CHIP[1])
                found.append((y0, x0, len(found) % KINDS))
    return found


def prepare(folder: Path) -> None:
    """Write the files that frames are of."""
    for kind in range(KINDS):
        rng = np.random.default_rng(kind)
        image = rng.normal(0.0, 10.0, CHIP).astype(np.float32)
        x, y = rng.uniform(0, CHIP[1], 3000), rng.uniform(0, CHIP[0], 3000)
        draw(image, x, y, 10 ** rng.uniform(2.5, 5.0, 3000), fwhm=4.0)
        bad = rng.random(CHIP) < 0.003
        weight = np.where(bad, 0, 0.01).astype(np.float32)
        images: dict[str, Any] = {"IMAGE": image, "WEIGHT": weight}
        images["MASK"] = np.where(bad, 32, 0).astype(np.uint8)
        tables = {"STARS": np.zeros(1, STAR_DTYPE), "ILLUMINATION": np.zeros(0, LIGHT_DTYPE)}
        write_images(folder / f"{kind}.fits", images, {}, tables)
        fits.writeto(folder / f"{kind}.plain.fits", image)
        fits.writeto(folder / f"{kind}.plain.weight.fits", weight)


def field_of(side: int) -> FieldSpec:
    """The field whose grid has so many pixels a side."""
    return FieldSpec("large", 150.0, 2.0, side * SCALE / 7200.0, SCALE, ("made up",))


def regridded(folder: Path, number: int, place: tuple[int, int, int]) -> Progenitor:
    """A frame as the archive hands it on."""
    y, x, kind = place
    path = folder / f"{kind}.fits"
    values = {"grid_x": x, "grid_y": y, "grid_nx": CHIP[1], "grid_ny": CHIP[0]} | FACTS
    return Progenitor(
        *(number, "RegriddedFrame", "V", values, StoredImages(path)),
        tables=StoredTables(path),
        raw={"name": f"frame{number}", "mjd_obs": 60000.0 + number / 100},
        instrument="made up",
        chip=f"ccd{number % 32}",
    )


def made_before(folder: Path, name: str, side: int, **values: Any) -> Progenitor:
    """What an earlier step has stored."""
    path = folder / f"{name}.fits"
    known: dict[str, Any] = {
        "grid_x": 0,
        "grid_y": 0,
        "aperture": 1.6,
        "zero_point": 25.0,
        "pos_err": 0.03,
    }
    known |= {"effective_gain": 120.0, "bands": "V", "photometry": "GPhotometric"} | values
    images = StoredImages(path, scratch=Scratch(folder))
    return Progenitor(1, name, "V", known, images, tables=StoredTables(path))


def run(step: str, folder: Path, side: int, depth: int) -> None:
    """Make one product and store it; print memory and seconds."""
    band = SimpleNamespace(em_min=5e-7, em_max=6e-7, standard="V")
    camera: Any = SimpleNamespace(bands={"V": band}, facility="none", name="made up")
    frames = [regridded(folder, *pair) for pair in enumerate(places(side, depth))]
    slots: dict[str, Any] = {"regridded": frames}
    recipe = {
        "coadd": CoaddedRegriddedFrame,
        "detection": DetectionFrame,
        "sources": CoaddedSourceList,
    }[step]()
    if step == "sources":
        slots = {
            "frame": made_before(folder, "coadd", side),
            "detection_frame": made_before(folder, "detection", side),
        }
    inputs = Inputs(
        *(type(recipe).__name__, slots),
        instrument=camera,
        chip="",
        filter="V",
        field=field_of(side),
        scratch=Scratch(folder),
    )
    begun, used = time.monotonic(), sum(os.times()[:2])
    made = recipe.compute(inputs, type(recipe).Parameters())
    recipe.verify(made, type(recipe).Parameters())
    computed, combining = peak(), sum(os.times()[:2]) - used
    store(made, folder / f"{step}.fits")
    seconds, cpu = time.monotonic() - begun, sum(os.times()[:2]) - used
    (folder / f"{step}.json").write_text(json.dumps({"combining": combining, "all": cpu}))
    what = f"{made.attributes['n_sources']} sources" if "n_sources" in made.attributes else ""
    size = f"{computed:.2f} GB computing, {peak():.2f} GB in all"
    word = "within" if peak() <= TARGET_GB else "ABOVE"
    took = f"{seconds:7.1f} s, {cpu:7.1f} of processors, {combining:.1f} of them before storing"
    print(f"{step:10} {size} ({word} {TARGET_GB:g} GB)  {took}  {what}")


def store(made: Made, path: Path) -> None:
    """Write images and tables, read them back and hash them."""
    if made.images:
        write_images(path, made.images, {}, made.tables)
        written = read_images(path, Scratch(path.parent)), read_tables(path)
        content_hash(written[0], {}, made.rows, written[1])


def peak() -> float:
    """Largest memory of this process so far, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def swarp(program: str, folder: Path, side: int, depth: int) -> float:
    """Combine the same frames by SWarp; seconds of processors."""
    grid, _ = grid_of(field_of(side))
    names = []
    for number, (y, x, kind) in enumerate(places(side, depth)):
        name = f"f{number}"
        (folder / f"{name}.fits").symlink_to(f"{kind}.plain.fits")
        (folder / f"{name}.weight.fits").symlink_to(f"{kind}.plain.weight.fits")
        cards = fits.Header(part_of(grid, x0=x, y0=y).to_cards())
        cards["FLXSCALE"] = 1 / 60.0
        (folder / f"{name}.head").write_text(cards.tostring("\n") + "\nEND     \n")
        names.append(f"{name}.fits")
    options = (
        "-RESAMPLE N -SUBTRACT_BACK N -WEIGHT_TYPE MAP_WEIGHT -COMBINE_TYPE CLIPPED -WRITE_XML N "
        "-NTHREADS 1 -VERBOSE_TYPE QUIET -MEM_MAX 512 -COMBINE_BUFSIZE 512 -VMEM_MAX 16000"
    )
    begun, used = time.monotonic(), sum(os.times()[2:4])
    subprocess.run([program, *names, *options.split()], cwd=folder, check=True)
    seconds, cpu = time.monotonic() - begun, sum(os.times()[2:4]) - used
    took = f"{seconds:7.1f} s, {cpu:7.1f} of processors"
    print(f"{'SWarp':10} {took}, from and to files that are not compressed", flush=True)
    return cpu


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the steps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=12_000)
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None, help="a disk with room")
    parser.add_argument("--step", choices=(*STEPS, "swarp"), default=None)
    options = parser.parse_args(arguments)
    if options.step in STEPS:
        run(options.step, options.folder, options.side, options.depth)
        return
    program = shutil.which("SWarp") or shutil.which("swarp")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        prepare(folder)
        many = len(places(options.side, options.depth))
        print(f"{options.side} x {options.side} pixels, {many} frames", flush=True)
        here = [sys.executable, "-m", "tests.benchmarks.coadd", "--folder", name]
        sizes = ["--side", str(options.side), "--depth", str(options.depth)]
        for step in STEPS if options.step is None else ():
            subprocess.run([*here, *sizes, "--step", step], check=True)
        if program:
            theirs = swarp(program, folder, options.side, options.depth)
        if program and options.step is None:
            ours = json.loads((folder / "coadd.json").read_text())
            ratios = (f"{what} {seconds / theirs:.2f}" for what, seconds in ours.items())
            print(f"coadd, times SWarp: {', '.join(ratios)}")


if __name__ == "__main__":
    main()
