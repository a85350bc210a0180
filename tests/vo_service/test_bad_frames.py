"""A night with every kind of bad frame: each is named, and the rest goes on as without it."""

from __future__ import annotations

__all__: list[str] = []

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from astropy.io import fits

from reduction.archive import Archive
from reduction.scope import Scope
from reduction.simulate import SimulationConfig, simulate
from schemas.settings import (
    EngineSettings,
    LimitSettings,
    Settings,
    StorageSettings,
    WebSettings,
)
from tests.support.asking import records
from tests.support.bad_frames import REFUSED, SPOILED, spoil_calibrations, spoil_science
from tests.support.serving import served
from vo_service.opening import prepare_database
from vo_service.supervise import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reduction.ingest import IngestReport
    from tests.support.clusters import Databases

pytestmark = pytest.mark.slow

CONFIG = SimulationConfig(chips=1, nights=("2025-03-01",), n_science=2)

#: Nothing can be made of these, and why.
USELESS = {
    "empty": "EMPTY",
    "saturated": "SATURATED",
    "half_saturated": "SATURATED",
    "mostly_nan": "NO_NUMBERS",
    "nan_overscan": "NO_NUMBERS",
    "huge": "SATURATED",
    "other_size": "shape",
    "other_filter": "needs a DomeFlatFrame",
}


@dataclass(frozen=True)
class Night:
    """A served archive, and what its ingest said."""

    url: str
    report: IngestReport
    good: tuple[str, ...]
    settings: Settings

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Rows of an ADQL answer."""
        return records(self.url, query)


def kinds(raw: Path) -> dict[str, Path]:
    """First file of each kind of exposure."""
    found: dict[str, Path] = {}
    for path in sorted(raw.iterdir()):
        found.setdefault(fits.getheader(path)["ESO DPR TYPE"], path)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good night in raw/, bad frames of all kinds in bad/."""
    made = tmp_path_factory.mktemp("night")
    simulate(made, config=CONFIG)
    first = kinds(made / "raw")
    bad = made / "bad"
    bad.mkdir()
    spoil_science(first["OBJECT"], first["BIAS"], bad)
    spoil_calibrations(first["BIAS"], first["FLAT,DOME"], first["FLAT,SKY"], bad)
    return made


@pytest.fixture(scope="module")
def night(
    databases: Databases, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Night]:
    """The night with its bad frames, ingested and served; nothing is made yet."""
    files = tmp_path_factory.mktemp("mixed")
    with databases.fresh() as database:
        settings = Settings(
            database=database,
            storage=StorageSettings(root=files),
            limits=LimitSettings(make_budget_s=250.0),
            web=WebSettings(port=free_port("127.0.0.1"), workers=1),
            engine=EngineSettings(address="inline"),
        )
        prepare_database(settings)
        archive = Archive(settings)
        report = archive.ingest([folder / "bad", folder / "raw"])
        archive.load_references(folder / "reference.csv", "simulated")
        archive.close()
        good = tuple(
            sorted(
                path.name
                for path in (folder / "raw").iterdir()
                if fits.getheader(path)["ESO DPR TYPE"] == "OBJECT"
            )
        )
        with served(settings, files / "server.log") as url:
            yield Night(url, report, good, settings)


def test_what_headers_and_files_show_is_refused_at_ingest_with_a_sentence(night: Night) -> None:
    expected = {f"{name}.fits": words for name, (_, words) in REFUSED.items()}
    expected |= {
        "truncated.fits": "File may have been truncated",
        "no_fits.fits": "not a whole FITS file",
        "nothing.fits": "not a whole FITS file",
    }
    assert {name for name, _ in night.report.refused} == set(expected)
    for name, sentence in night.report.refused:
        assert expected[name] in sentence


def test_a_question_makes_the_night_and_answers_with_the_good_frames(night: Night) -> None:
    rows = night.ask(
        "SELECT r.file_name, s.quality_flags, s.n_clean FROM archive.source_list AS s "
        "JOIN archive.ancestors AS a ON a.object_id = s.object_id "
        "JOIN archive.raw_frames AS r ON r.object_id = a.ancestor_id "
        "WHERE r.class_name = 'RawScienceFrame'"
    )
    lists = {row["file_name"]: row for row in rows}
    for name in night.good:
        assert lists[name]["quality_flags"] == 0
        assert lists[name]["n_clean"] > 10
    assert not {f"{name}.fits" for name in USELESS} & set(lists)


def test_each_frame_of_which_nothing_can_be_made_is_named_with_the_reason(night: Night) -> None:
    rows = night.ask(
        "SELECT r.file_name, t.state, t.reasons FROM archive.targets AS t "
        "JOIN archive.raw_frames AS r ON r.object_id = t.raw_object_id "
        "WHERE t.class_name = 'SourceList'"
    )
    lists = {row["file_name"]: row for row in rows}
    for name, words in USELESS.items():
        row = lists[f"{name}.fits"]
        assert row["state"] == "failed"
        assert name in row["reasons"] or name == "other_filter"  # named by what it lacks
        assert words in row["reasons"]
    for name in night.good:
        assert lists[name]["state"] == "fresh"


def test_no_recipe_fell_over_any_frame(night: Night) -> None:
    rows = night.ask("SELECT state, reasons FROM archive.targets WHERE state <> 'missing'")
    for row in rows:
        assert "recipe failed" not in str(row["reasons"])


def test_bad_raw_frames_are_flagged_in_the_archive(night: Night) -> None:
    rows = night.ask(
        "SELECT r.file_name, p.quality_flags FROM archive.raw_frames AS r "
        "JOIN archive.products AS p ON p.object_id = r.object_id"
    )
    flags = {row["file_name"].removesuffix(".fits"): int(row["quality_flags"]) for row in rows}
    for kind in ("bias", "dome", "twilight"):
        assert flags[f"{kind}_mostly_nan"] & flags[f"{kind}_nan_overscan"] & 1
        assert flags[f"{kind}_empty"] & 2
        assert flags[f"{kind}_saturated"] & 4
    assert flags["dome_lamp_off"] & 8
    assert flags["bias_with_light"] & 8
    flagged = {name for name, value in flags.items() if value}
    good = {path for path in flags if path.startswith("VOSIM.")}
    assert not flagged & (good | set(SPOILED) - set(USELESS))


def test_a_frame_without_stars_has_a_list_without_stars_and_no_zero_point(night: Night) -> None:
    (row,) = night.ask(
        "SELECT s.n_clean FROM archive.source_list AS s "
        "JOIN archive.ancestors AS a ON a.object_id = s.object_id "
        "JOIN archive.raw_frames AS r ON r.object_id = a.ancestor_id "
        "WHERE r.file_name = 'blank_sky.fits'"
    )
    # of 6000 independent patches of the seeing's size none is above 4 sigma, one may be
    assert row["n_clean"] <= 1
    (row,) = night.ask(
        "SELECT t.state, t.reasons FROM archive.targets AS t "
        "JOIN archive.raw_frames AS r ON r.object_id = t.raw_object_id "
        "WHERE t.class_name = 'PhotometricParameters' AND r.file_name = 'blank_sky.fits'"
    )
    assert row["state"] == "failed"
    assert "blank_sky.fits" in row["reasons"]


def test_some_pixels_without_number_cost_those_pixels_alone(night: Night) -> None:
    rows = night.ask(
        "SELECT r.file_name, p.zero_point, p.zero_point_err FROM archive.photometric_parameters "
        "AS p JOIN archive.ancestors AS a ON a.object_id = p.object_id "
        "JOIN archive.raw_frames AS r ON r.object_id = a.ancestor_id "
        "WHERE r.class_name = 'RawScienceFrame'"
    )
    zero_points = {row["file_name"]: row for row in rows}
    whole, holed = zero_points[night.good[0]], zero_points["some_nan.fits"]
    error = np.hypot(whole["zero_point_err"], holed["zero_point_err"])
    # the same light but for a hole: they may differ by the stars in it
    assert abs(whole["zero_point"] - holed["zero_point"]) < 3 * error


def test_a_mirrored_wcs_is_put_right_and_a_wrong_pointing_is_no_solution(night: Night) -> None:
    rows = night.ask(
        "SELECT r.file_name, p.n_ref, p.rms, p.cd1_1 FROM archive.astrometric_parameters AS p "
        "JOIN archive.ancestors AS a ON a.object_id = p.object_id "
        "JOIN archive.raw_frames AS r ON r.object_id = a.ancestor_id "
        "WHERE r.class_name = 'RawScienceFrame' AND p.quality_flags = 0"
    )
    found = {row["file_name"]: row for row in rows}
    good, mirrored = found[night.good[0]], found["wrong_scale_sign.fits"]
    assert mirrored["cd1_1"] == pytest.approx(good["cd1_1"], rel=1e-3)
    for name in ("other_sky.fits", "at_the_pole.fits", "blank_sky.fits"):
        assert name not in found or found[name]["n_ref"] == 0


def test_the_good_frames_come_out_bit_for_bit_as_without_the_bad_ones(
    night: Night, databases: Databases, folder: Path, tmp_path: Path
) -> None:
    scope = Scope(classes=frozenset({"ReducedScienceFrame"}))
    hashes: list[dict[str, bytes]] = []
    with databases.fresh() as database:
        clean = Settings(database=database, storage=StorageSettings(root=tmp_path))
        prepare_database(clean)
        for settings in (clean, night.settings):
            archive = Archive(settings)
            if settings is clean:
                archive.ingest([folder / "raw"])
            with archive.snapshot(scope, timeout_s=60.0):
                pass
            Archive.use(archive)
            frames = archive.registry.classes["ReducedScienceFrame"].instrument.name == "simulated"
            hashes.append(
                {f.raw.name: archive.images(f.object_id)["IMAGE"].tobytes() for f in frames}
            )
            archive.close()
    for name in night.good:
        assert hashes[0][name] == hashes[1][name]
