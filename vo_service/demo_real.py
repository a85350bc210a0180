"""What the demonstration tells of real frames: figures that others measured on the same data."""

from __future__ import annotations

__all__ = ["REAL_FRAMES", "REAL_REFERENCES", "tell_of_real_frames"]

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from vo_service.demo_story import Story, Teller

REAL_FRAMES: Final = ("nickel_2024-05-13", "cafos_ngc2420_2021-03")
"""Folders with raw frames."""
REAL_REFERENCES: Final = {
    "landolt": "landolt_all.csv",
    "sdss-ngc2420": "sdss_daophot_NGC2420.csv.gz",
}
"""Reference catalogues that cover them, by name."""

_READ_NOISE: Final = {"nickel": 5.8, "cafos": 10.5}
_ZERO_POINTS: Final = {"PG1323": 22.74, "PG1530": 22.82}


def tell_of_real_frames(story: Story, teller: Teller) -> None:
    """Ask for what was measured on them, and compare."""
    for instrument, expected in _READ_NOISE.items():
        table = story.ask(
            f"SELECT read_noise FROM archive.read_noise WHERE instrument = '{instrument}'"
        ).content
        if not len(table):
            teller.say(f"       no frames of {instrument}")
            continue
        found = float(np.mean(table["read_noise"]))
        teller.verify(
            f"{instrument}: read noise {found:.2f} adu (others: {expected})",
            holds=abs(found / expected - 1) <= 0.05,
        )
    _zero_points(story, teller)
    _astrometry(story, teller)


def _zero_points(story: Story, teller: Teller) -> None:
    for field, expected in _ZERO_POINTS.items():
        table = story.ask(
            "SELECT p.zero_point - p.extinction * p.airmass AS ground "
            "FROM archive.photometric_parameters AS p "
            "JOIN archive.lineage AS l ON l.object_id = p.object_id "
            "JOIN archive.raw_frames AS r ON r.object_id = l.progenitor_id "
            f"WHERE p.instrument = 'nickel' AND r.object LIKE '%{field}%'"
        ).content
        if not len(table):
            teller.say(f"       no zero point from {field}")
            continue
        found = float(table["ground"][0])
        teller.verify(
            f"nickel: V zero point at the ground, {field}: {found:.3f} mag (others: {expected})",
            holds=abs(found - expected) <= 0.08,
        )


def _astrometry(story: Story, teller: Teller) -> None:
    table = story.ask(
        "SELECT rms, n_ref FROM archive.astrometric_parameters WHERE instrument = 'cafos'"
    ).content
    if not len(table):
        teller.say("       no astrometry of cafos")
        return
    worst = float(np.max(table["rms"]))
    teller.verify(
        f"cafos: {len(table)} frames placed on the sky, rms at most {worst:.2f} arcsec a "
        f"coordinate from {int(np.min(table['n_ref']))} to {int(np.max(table['n_ref']))} stars",
        holds=worst <= 0.25,
    )
