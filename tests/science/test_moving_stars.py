"""A catalogue of 2000 whose stars move by an arcsec a year, and frames of 2025."""

from __future__ import annotations

__all__: list[str] = []

import csv
from typing import TYPE_CHECKING

import numpy as np
import pytest

from reduction.simulate import simulate
from reduction.simulation.config import SimulationConfig
from reduction.steps.proper_motion import julian_year, moved
from reduction.targets.astrometric import AstrometricParameters
from reduction.targets.phot_src_catalog import PhotSrcCatalog
from tests.support.archives import opened_archive

if TYPE_CHECKING:
    from pathlib import Path

    from schemas.settings import DatabaseSettings

pytestmark = [pytest.mark.science, pytest.mark.slow]

CONFIG = SimulationConfig(
    chips=1, shape=(400, 400), nights=("2025-03-01",), n_science=1, stars=60.0, galaxies=0.0
)
#: Of the night.
MOMENT = julian_year(60736.0)


def as_of_2000(path: Path) -> None:
    """Take the stars of a catalogue back to where they were, each on its own way."""
    with path.open(newline="") as file:
        heading, *rows = csv.reader(file)
    ra, dec = (np.array([float(row[n]) for row in rows]) for n in (1, 2))
    way = np.random.default_rng(2).uniform(0.0, 2.0 * np.pi, len(rows))
    motion = 1000.0 * np.cos(way), 1000.0 * np.sin(way)
    places = moved(ra, dec, *motion, np.full(len(rows), 2000.0 - MOMENT))
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*heading, "pmra", "pmdec", "epoch"])
        for row, *now in zip(rows, *places, *motion, strict=True):
            values = [f"{value:.9f}" for value in now]
            writer.writerow([row[0], *values[:2], *row[3:], *values[2:], "2000.0"])


def test_stars_are_matched_where_they_are_and_astrometry_is_not_biased(
    database: DatabaseSettings, tmp_path: Path
) -> None:
    truth = simulate(tmp_path, config=CONFIG)
    as_of_2000(tmp_path / truth.reference)
    with opened_archive(database, tmp_path / "files") as archive:
        assert archive.ingest([tmp_path / "raw"]).refused == []
        assert archive.load_references(tmp_path / truth.reference, "moving") > 0
        (raw,) = list(archive.registry.classes["RawScienceFrame"].chip.name == "ccd50")
        made = AstrometricParameters.get(raw=raw.name)
        assert made.quality_flags == 0
        assert made.n_ref > 20
        # the catalogue's places are good to 0.03 arcsec, those of stars to 0.02
        assert made.rms < 0.06
        table = made.tables["RESIDUALS"]
        scale = np.cos(np.radians(CONFIG.dec)) * 3600.0
        apart = np.hypot(
            (table["ra"][:, None] - truth.sky.ra) * scale,
            (table["dec"][:, None] - truth.sky.dec) * 3600.0,
        )
        # where the catalogue has them, moved on, is where they are: not 25 arcsec off
        assert apart.min(axis=1).max() < 0.2
        assert abs(made.mean_dra) < 0.02
        assert abs(made.mean_ddec) < 0.02
        standards = PhotSrcCatalog.get(raw=raw.name).tables["STANDARDS"]
        assert (standards["used"] > 0).sum() > 15
