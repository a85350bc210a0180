"""Seconds and memory from raw pixels to source lists: one frame, and the chips of an exposure.

``python -m tests.benchmarks.chain [--chips 32] [--workers 1 2] [--folder FOLDER]``

One chip of 2144 x 4200 pixels is simulated with its night (5 biases, 4 dome and 3 twilight flats,
an exposure) and copied to as many chips as are asked for. First one chip is made in this process,
class by class; then, for each number of Dask workers in turn, all chips of a fresh archive.
Printed are the seconds of each class, what a further exposure costs, the largest memory of a
worker, and the ratio of the elapsed times (targets: 2 GB, 1.7 from one worker to two).
"""

from __future__ import annotations

__all__: list[str] = []

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from astropy.io import fits
from distributed import Client

from reduction.scope import Scope
from reduction.simulate import simulate
from reduction.simulation.config import SimulationConfig, cameras
from schemas.settings import EngineSettings, LimitSettings
from tests.support.archives import opened_archive
from tests.support.clusters import Databases, throw_away_cluster
from vo_service.supervise import free_port

MEMORY_TARGET: Final = 2.0
SCALING_TARGET: Final = 1.7
NIGHT: Final = SimulationConfig(
    chips=1,
    shape=(4100, 2048),
    nights=("2025-03-01",),
    n_bias=5,
    n_dome=4,
    n_twilight=3,
    n_science=1,
    stars=6.0,
    galaxies=2.0,
)
SOURCES: Final = Scope(classes=frozenset({"SourceList"}))
OF_FRAMES: Final = (
    *("ReducedScienceFrame", "Catalog", "AstrometricParameters", "PhotometricParameters"),
    "SourceList",
)
ENGINE: Final = """
from reduction.cluster import run_cluster
if __name__ == "__main__":
    run_cluster(host="127.0.0.1", port={port}, workers={workers}, threads=1)
"""


def mosaic(single, folder, chips):
    """Raw files of several chips: each extension is the one chip's, under another name."""
    folder.mkdir(exist_ok=True)
    names = cameras()[NIGHT.instrument].chip_names[:chips]
    for path in sorted(single.iterdir()):
        if (folder / path.name).exists():
            continue
        with fits.open(path) as hdus:
            many = fits.HDUList([hdus[0].copy()])
            many[0].header["HIERARCH ESO DET CHIPS"] = chips
            for name in names:
                chip = hdus[1].copy()
                chip.header["HIERARCH ESO DET CHIP NAME"] = name
                chip.name = name
                many.append(chip)
            many.writeto(folder / path.name)
    return folder


@contextmanager
def archive_of(databases, files, address="inline"):
    """An empty archive on a database of its own."""
    sections = {
        "engine": EngineSettings(address=address),
        "limits": LimitSettings(make_budget_s=7200.0),
    }
    with (
        databases.fresh() as database,
        tempfile.TemporaryDirectory(dir=files) as folder,
        opened_archive(database, Path(folder), **sections) as archive,
    ):
        yield archive


@contextmanager
def engine(archive, port, workers, folder):
    """A Dask cluster in processes of its own."""
    script = folder / "engine.py"
    script.write_text(ENGINE.format(port=port, workers=workers))
    database = archive.settings.database
    environment = {
        **os.environ,
        "VO_DATABASE__OWNER_URL": database.owner_url,
        "VO_DATABASE__SERVICE_URL": database.service_url,
        "VO_DATABASE__READER_URL": database.reader_url,
        "VO_STORAGE__ROOT": str(archive.settings.storage.root),
    }
    process = subprocess.Popen(
        [sys.executable, script], env=environment, stderr=subprocess.DEVNULL
    )
    try:
        with Client(f"tcp://127.0.0.1:{port}", timeout=60, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=60)
            yield client
    finally:
        process.terminate()
        process.wait(30)


def make_all(archive, raw, reference):
    """Ingest and make; seconds of both, and the outcomes."""
    begun = time.perf_counter()
    assert archive.ingest([raw]).refused == []
    archive.load_references(reference, "simulated")
    ingested = time.perf_counter()
    with archive.snapshot(SOURCES, timeout_s=600.0) as answering:
        assert answering.report.failed == 0, answering.report.outcomes
        outcomes = list(answering.report.outcomes)
    return ingested - begun, time.perf_counter() - ingested, outcomes


def by_class(outcomes):
    """Seconds and number of each class's products; those made on the way count by themselves."""
    seconds, count = defaultdict(float), defaultdict(int)
    for outcome in outcomes:
        name = outcome.name.partition("/")[0]
        seconds[name] += outcome.seconds - sum(before.seconds for before in outcome.before)
        count[name] += 1
    return {name: (seconds[name], count[name]) for name in seconds}


def show(outcomes):
    """Print a line for each class, and what one exposure of one chip costs beside calibration."""
    table = by_class(outcomes)
    for name, (seconds, count) in table.items():
        print(f"    {name:<24} {seconds:7.2f} s, {count:3d} made, {seconds / count:6.2f} s each")
    frame = sum(table[name][0] / table[name][1] for name in OF_FRAMES)
    print(f"    a further exposure of a chip: {frame:.2f} s")


def used():
    """Largest memory of this process so far, GB, and its seconds of a processor."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, time.process_time()


def measure_engine(databases, folder, raw, reference, workers):
    """Make all chips on so many workers; elapsed seconds."""
    port = free_port("127.0.0.1")
    with (
        archive_of(databases, folder, f"tcp://127.0.0.1:{port}") as archive,
        engine(archive, port, workers, folder) as client,
    ):
        ingest, elapsed, outcomes = make_all(archive, raw, reference)
        memory, busy = zip(*client.run(used).values(), strict=True)
        archive.engine.close()
    verdict = "ok" if max(memory) < MEMORY_TARGET else "TOO MUCH"
    print(f"{workers} workers: {elapsed:.1f} s elapsed, ingest {ingest:.1f} s")
    show(outcomes)
    print(f"    {sum(busy):.1f} s of a processor")
    print(
        f"    largest worker {max(memory):.2f} GB (target {MEMORY_TARGET}: {verdict})", flush=True
    )
    return elapsed


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chips", type=int, default=32)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--folder", type=Path, help="keeps the simulated frames")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vo-chain-") as name:
        folder = asked.folder or Path(name)
        if not (folder / "truth.npz").exists():
            simulate(folder, config=NIGHT)
        with throw_away_cluster() as cluster:
            run(Databases(cluster), folder, asked)


def run(databases, folder, asked):
    """The single chip, then the mosaic on each number of workers."""
    reference = folder / "reference.csv"
    with archive_of(databases, folder) as archive:
        begun = time.process_time()
        ingest, elapsed, outcomes = make_all(archive, folder / "raw", reference)
        print(f"one chip, in this process: {elapsed:.1f} s elapsed, ingest {ingest:.1f} s")
        show(outcomes)
        memory, busy = used()
        print(
            f"    this process: {memory:.2f} GB, {busy - begun:.1f} s of a processor", flush=True
        )
    if not asked.workers:
        return
    raw = mosaic(folder / "raw", folder / f"raw{asked.chips}", asked.chips)
    taken = {n: measure_engine(databases, folder, raw, reference, n) for n in asked.workers}
    if {1, 2} <= taken.keys():
        ratio = taken[1] / taken[2]
        verdict = "ok" if ratio >= SCALING_TARGET else "TOO SMALL"
        print(f"from 1 to 2 workers {ratio:.2f} times faster (target {SCALING_TARGET}: {verdict})")


if __name__ == "__main__":
    main()
