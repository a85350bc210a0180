"""Raw frames are judged when they come in: what is bad is seen, left out, and can be overruled."""

from __future__ import annotations

__all__: list[str] = []

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from astropy.io import fits
from sqlalchemy import text

from reduction.archive import Archive
from reduction.edits import edit
from reduction.instruments.base import Section
from reduction.instruments.simulated import INSTRUMENT
from reduction.simulate import SimulationConfig, simulate
from reduction.steps.raw_statistics import raw_statistics
from reduction.targets.bias import BiasFrame
from reduction.targets.raw import RawFrame
from reduction.targets.raw_bias import RawBiasFrame
from reduction.targets.raw_dark import RawDarkFrame
from reduction.targets.raw_flat import RawDomeFlatFrame, RawTwilightFlatFrame
from reduction.targets.raw_science import RawScienceFrame
from reduction.targets.reduced import ReducedScienceFrame
from schemas.errors import ReductionError
from tests.support.archives import opened_archive
from tests.support.recipes import resolved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.clusters import Databases

SHAPE = (128, 128)
SCIENCE = Section(0, *SHAPE[:1], 0, SHAPE[1])
CONFIG = SimulationConfig(
    chips=1, shape=SHAPE, nights=("2025-03-01",), n_bias=6, n_dome=3, n_twilight=2, n_science=4
)


def judged(cls: type[RawFrame], pixels: Any, **limits: Any) -> Any:
    measured = raw_statistics(np.asarray(pixels), SCIENCE, saturation=60000.0)
    parameters = resolved(cls, INSTRUMENT, "ccd50", **limits)  # type: ignore[arg-type]  # has Parameters, too
    return cls.Flags(cls.verify(measured, parameters))


def frame(level: float, scatter: float = 5.0, slope: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(1)
    x = np.linspace(-0.5, 0.5, SHAPE[1])
    return (rng.normal(level, scatter, SHAPE) + slope * x).astype(np.float32)


def test_a_bias_is_flagged_for_its_level_its_scatter_and_its_slope():
    flags = RawBiasFrame.Flags
    assert judged(RawBiasFrame, frame(300)) == 0
    assert judged(RawBiasFrame, frame(9000)) == flags.LEVEL_TOO_HIGH
    assert judged(RawBiasFrame, frame(300, scatter=80)) == flags.STDEV_TOO_LARGE
    assert judged(RawBiasFrame, frame(300, slope=160)) == flags.NOT_FLAT
    assert judged(RawBiasFrame, frame(9000), MAX_BIAS_LEVEL=1e4) == 0
    column = frame(300)
    column[:, 40] = 64000.0  # a hot column is the map's matter
    assert judged(RawBiasFrame, column) == 0


def test_a_dark_is_flagged_where_light_got_in():
    assert judged(RawDarkFrame, frame(1100)) == 0
    assert judged(RawDarkFrame, frame(25000)) == RawDarkFrame.Flags.LEVEL_TOO_HIGH
    assert judged(RawDarkFrame, frame(5000, slope=4000)) == RawDarkFrame.Flags.NOT_FLAT


@pytest.mark.parametrize("cls", [RawDomeFlatFrame, RawTwilightFlatFrame])
def test_a_flat_is_flagged_for_too_little_and_too_much_light(cls):
    assert judged(cls, frame(25000, scatter=200)) == 0
    assert judged(cls, frame(600)) == cls.Flags.TOO_FAINT
    assert judged(cls, frame(64000, scatter=20)) == cls.Flags.TOO_BRIGHT | cls.Flags.SATURATED


def test_empty_saturated_and_numberless_frames_are_flagged():
    flags = RawScienceFrame.Flags
    assert judged(RawScienceFrame, np.full(SHAPE, 300, dtype=np.uint16)) == flags.EMPTY
    full = np.full(SHAPE, 65535, dtype=np.uint16)
    assert judged(RawScienceFrame, full) == flags.EMPTY | flags.SATURATED
    nothing = np.full(SHAPE, np.nan, dtype=np.float32)
    assert judged(RawScienceFrame, nothing) == flags.NO_NUMBERS
    partly = frame(300)
    partly[:80] = np.nan
    assert judged(RawScienceFrame, partly) == flags.NO_NUMBERS


def test_a_calibration_of_another_shape_than_its_chip_is_flagged():
    flag = RawBiasFrame.Flags.OTHER_SHAPE
    assert judged(RawBiasFrame, frame(300), SHAPE=[128, 128]) == 0
    assert judged(RawBiasFrame, frame(300), SHAPE=[1024, 1024]) == flag


@pytest.fixture(scope="module")
def archive(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Archive, dict[str, list[str]]]]:
    """A night in which one frame of each kind is bad; and the names of all by kind."""
    folder = tmp_path_factory.mktemp("night")
    simulate(folder, config=CONFIG)
    names: dict[str, list[str]] = {}
    for path in sorted((folder / "raw").iterdir()):
        names.setdefault(fits.getheader(path)["ESO DPR TYPE"], []).append(path.name)

    def spoil(name: str, change: Callable[[np.ndarray], Any]) -> None:
        with fits.open(folder / "raw" / name, mode="update", memmap=False) as hdus:
            hdus[1].data = np.asarray(change(hdus[1].data), dtype=np.uint16)

    spoil(names["BIAS"][2], lambda pixels: pixels + np.uint16(20000))
    spoil(names["FLAT,DOME"][1], lambda pixels: np.full_like(pixels, 65535))
    spoil(names["FLAT,SKY"][0], lambda pixels: pixels // 60)
    spoil(names["OBJECT"][1], lambda pixels: np.full_like(pixels, 300))
    with databases.fresh() as database, opened_archive(database, folder / "files") as made:
        assert made.ingest([folder / "raw"]).refused == []
        yield made, names


def rows(archive: Archive, sql: str) -> list[Any]:
    with archive.transaction() as session:
        return list(session.execute(text(sql)).all())


def test_everybody_can_see_which_frames_are_bad_and_what_was_measured(archive):
    opened, names = archive
    found = rows(
        opened,
        "SELECT file_name, quality_flags, level, scatter, flatness, saturated "
        "FROM archive.raw_frames WHERE quality_flags > 0 ORDER BY class_name",
    )
    bad = [names[kind][at] for kind, at in (("BIAS", 2), ("FLAT,DOME", 1), ("OBJECT", 1))]
    assert [row.file_name for row in found] == [*bad, names["FLAT,SKY"][0]]
    assert found[0].quality_flags == RawBiasFrame.Flags.LEVEL_TOO_HIGH
    assert found[0].level == pytest.approx(20300, abs=50)
    assert found[1].saturated == 1.0
    assert found[2].quality_flags == RawScienceFrame.Flags.EMPTY


def test_the_rest_of_the_night_goes_on_without_them(archive):
    opened, names = archive
    Archive.use(opened)
    for at in (0, 2):
        reduced = ReducedScienceFrame.get(raw=names["OBJECT"][at])
        assert reduced.good_fraction > 0.9
    used = {raw.name for raw in reduced.bias.raw_bias_frames}
    assert used == set(names["BIAS"]) - {names["BIAS"][2]}
    assert len(reduced.flat.dome.raw_dome_flats) == 2
    assert reduced.flat.combine_type == 1


def test_a_bad_science_frame_says_what_is_wrong_with_it(archive):
    opened, names = archive
    Archive.use(opened)
    with pytest.raises(ReductionError, match=r"is flagged EMPTY \(the pixels differ by less"):
        ReducedScienceFrame.get(raw=names["OBJECT"][1])


def test_a_person_can_overrule_a_flag_and_the_archive_takes_the_frame_up(archive):
    opened, names = archive
    Archive.use(opened)
    dome = names["FLAT,SKY"][0]  # too faint for the limit, but not for a person
    sql = f"SELECT object_id FROM archive.raw_frames WHERE file_name = '{dome}'"
    before = ReducedScienceFrame.get(raw=names["OBJECT"][0])
    assert dome not in {raw.name for raw in before.flat.twilight.raw_twilight_flats}
    marked = edit(opened, rows(opened, sql)[0].object_id, "is_valid", 2, why="it will do")
    assert marked > 0
    after = ReducedScienceFrame.get(raw=names["OBJECT"][0])
    assert dome in {raw.name for raw in after.flat.twilight.raw_twilight_flats}
    bias = BiasFrame.get(date="2025-03-01", chip="ccd50", instrument="simulated")
    assert bias.object_id == after.bias.object_id  # nothing else was touched
