"""How the time of a frame grows with the frames of its night, where none has standards.

``python -m tests.benchmarks.zero_points [frames]`` takes a night of so many frames of one chip
and filter, and one of four times as many, and prints for both the milliseconds of a frame and
their ratio: of its ingest, of a plan for all source lists, and of one frame that comes after the
plan; and how many rows the archive keeps of what rests on what. It makes no products.
"""

from __future__ import annotations

__all__ = ["main"]

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from reduction.instruments.base import FrameKind
from schemas.settings import ReductionSettings
from tests.support.archives import opened_archive
from tests.support.clusters import Databases, throw_away_cluster
from tests.support.toy import write_frame

if TYPE_CHECKING:
    from schemas.settings import DatabaseSettings

_FRAMES = 200
_TABLES = (
    "SELECT tablename FROM pg_tables WHERE schemaname = 'vo'"
    " AND tablename IN ('dependency', 'pool_member', 'pool_user')"
)


def measure(database: DatabaseSettings, folder: Path, frames: int) -> dict[str, float]:
    """Milliseconds of a frame of a night of so many, and rows of what rests on what."""
    toy = ReductionSettings(plugins=("tests.support.toy",))
    with opened_archive(database, folder / "files", reduction=toy) as archive:
        raw = folder / "raw"
        raw.mkdir(parents=True)
        for number in range(frames):
            hour = 8.0 * number / frames
            write_frame(raw, f"s{number}", FrameKind.SCIENCE, 300 + number, hour=hour)
        ingest = _seconds(archive.ingest, [raw])
        with archive.transaction() as session:
            lists = "SELECT target_id FROM vo.target WHERE class_name = 'SourceList'"
            numbers = list(session.scalars(text(lists)))
        plan = _seconds(archive.plan, numbers)
        later = _seconds(archive.ingest, [write_frame(raw, "l", FrameKind.SCIENCE, 9, hour=7.99)])
        with archive.transaction() as session:
            there = [name for (name,) in session.execute(text(_TABLES))]
            rows = sum(session.scalar(text(f"SELECT count(*) FROM vo.{n}")) or 0 for n in there)
    return {
        "ingest": 1e3 * ingest / frames,
        "plan": 1e3 * plan / frames,
        "one frame more": 1e3 * later,
        "rows": rows / frames,
    }


def _seconds(work: Any, what: Any) -> float:
    start = time.perf_counter()
    work(what)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    frames = int(sys.argv[1]) if len(sys.argv) > 1 else _FRAMES
    found = []
    with throw_away_cluster() as cluster, tempfile.TemporaryDirectory() as folder:
        os.environ["VO_TOY_LOG"] = str(Path(folder) / "log")
        databases = Databases(cluster)
        for number in (frames, 4 * frames):
            with databases.fresh() as database:
                found.append(measure(database, Path(folder) / str(number), number))
    few, many = found
    for name in few:
        unit = "a frame" if name == "rows" else "ms a frame"
        ratio = many[name] / max(few[name], 1e-9)
        print(f"{name}: {few[name]:.2f} {unit} of {frames}, ", end="")
        print(f"{many[name]:.2f} of {4 * frames}: ratio {ratio:.2f}", flush=True)


if __name__ == "__main__":
    main()
