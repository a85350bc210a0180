"""Two small telescopes asked over TAP: nights that change, and a field that drifts."""

from __future__ import annotations

__all__: list[str] = []

from typing import TYPE_CHECKING

import numpy as np
import pytest

from reduction.archive import Archive
from reduction.scope import Scope
from tests.support.asking import records
from tests.support.serving import served_archive

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.science, pytest.mark.slow]

#: Raw calibrations of the two nights of MIT's camera, by night and class.
CALIBRATIONS = {
    ("2018-10-12", "RawBiasFrame"): 10,
    ("2018-10-12", "RawDarkFrame"): 5,
    ("2018-10-17", "RawBiasFrame"): 10,
    ("2018-10-17", "RawDarkFrame"): 8,
}


@pytest.fixture(scope="module")
def url(small_telescopes: Archive, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Base URL of a server in front of both."""
    Archive.use(small_telescopes)
    for name, instrument in (
        ("ReducedScienceFrame", "mit_wallace"),
        ("SourceList", "microobservatory"),
    ):
        scope = Scope(classes=frozenset({name}), instruments=frozenset({instrument}))
        with small_telescopes.snapshot(scope, timeout_s=60.0) as answering:
            assert answering.report.failed == 0
    with served_archive(small_telescopes, tmp_path_factory.mktemp("web")) as base:
        yield base


def test_each_night_of_mit_is_reduced_with_its_own_raw_calibrations(url: str) -> None:
    rows = records(
        url,
        "SELECT p.night AS light, r.night AS calibration, r.class_name, r.object_id "
        "FROM archive.products AS p JOIN archive.ancestors AS a ON a.object_id = p.object_id "
        "JOIN archive.raw_frames AS r ON r.object_id = a.ancestor_id "
        "WHERE p.class_name = 'ReducedScienceFrame' AND p.instrument = 'mit_wallace' "
        "AND p.is_current = 1 AND r.class_name IN ('RawBiasFrame', 'RawDarkFrame')",
    )
    assert all(row["light"] == row["calibration"] for row in rows)
    used: dict[tuple[str, str], set[int]] = {}
    for row in rows:
        used.setdefault((row["light"], row["class_name"]), set()).add(int(row["object_id"]))
    assert {key: len(numbers) for key, numbers in used.items()} == CALIBRATIONS


def test_bias_dark_and_hot_pixels_that_were_chosen_are_the_nights(url: str) -> None:
    rows = records(
        url,
        "SELECT p.night AS light, q.night AS made_of, l.role, l.progenitor_id "
        "FROM archive.products AS p JOIN archive.lineage AS l ON l.object_id = p.object_id "
        "JOIN archive.products AS q ON q.object_id = l.progenitor_id "
        "WHERE p.class_name = 'ReducedScienceFrame' AND p.instrument = 'mit_wallace' "
        "AND p.is_current = 1 AND l.role IN ('bias', 'dark', 'hot', 'flat')",
    )
    assert all(row["light"] == row["made_of"] for row in rows)
    for role in ("bias", "dark", "hot", "flat"):
        chosen = {(row["light"], int(row["progenitor_id"])) for row in rows if row["role"] == role}
        assert len(chosen) == 2
        assert len({night for night, _ in chosen}) == 2


def test_hot_pixels_of_mit_are_as_many_as_were_counted(url: str) -> None:
    rows = records(
        url,
        "SELECT night, \"count\" FROM archive.hot_pixel_map WHERE instrument = 'mit_wallace'",
    )
    assert len(rows) == 2
    for row in rows:
        # 900 to 2100 above 200 adu by other people's count, of the darks alone
        assert 700 < row["count"] < 12000


def test_a_drifting_wide_field_is_placed_on_every_frame(url: str) -> None:
    rows = records(
        url,
        "SELECT rms, n_ref, quality_flags FROM archive.astrometric_parameters "
        "WHERE instrument = 'microobservatory'",
    )
    assert len(rows) == 8
    assert all(row["quality_flags"] == 0 for row in rows)
    # 0.5 arcsec, a tenth of a pixel, is what others reach with 44 stars
    assert max(row["rms"] for row in rows) < 0.5
    assert min(row["n_ref"] for row in rows) >= 7


def test_bright_stars_of_the_wide_field_keep_their_brightness_through_the_night(url: str) -> None:
    rows = records(
        url,
        "SELECT r.name, s.t_mid, s.mag FROM archive.reference_stars AS r "
        "JOIN archive.sources AS s ON DISTANCE(s.ra, s.dec, r.ra, r.dec) < 2.5 / 3600 "
        "WHERE s.instrument_name = 'microobservatory' AND s.flags IN (0, 1) "
        "AND s.mag_err < 0.02",
    )
    moments = sorted({row["t_mid"] for row in rows})
    stars = sorted({row["name"] for row in rows})
    assert len(moments) == 8
    table = np.full((len(stars), len(moments)), np.nan)
    for row in rows:
        table[stars.index(row["name"]), moments.index(row["t_mid"])] = row["mag"]
    table = table[np.isfinite(table).sum(axis=1) >= 6]
    assert len(table) >= 10
    table -= np.nanmedian(table, axis=1, keepdims=True)
    table -= np.nanmedian(table, axis=0, keepdims=True)
    scatter = 1.4826 * np.nanmedian(np.abs(table), axis=1)
    # no flat, and a drift of 270 pixels over its structure: 1 % is what is left
    assert np.median(scatter) < 0.015
