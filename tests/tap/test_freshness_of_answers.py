"""A question that makes only what is in its scope is answered as if everything had been remade."""

from __future__ import annotations

__all__: list[str] = []

import random
from typing import TYPE_CHECKING

import pytest

from reduction.archive import Archive
from reduction.freshness import Fresh
from reduction.operate import edit, targets_matching
from reduction.simulate import SimulationConfig, simulate
from schemas.dali import parse_params
from schemas.settings import LimitSettings, Settings, StorageSettings
from tap.adql.catalogue import Catalogue
from tap.protocol import PARAMS
from tap.service import Context, run
from tests.support.asking import texts_of
from vo_service.opening import prepare_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.settings import DatabaseSettings

pytestmark = pytest.mark.slow

NIGHTS = ("2026-01-10", "2026-01-12")


@pytest.fixture(scope="module")
def context(
    database: DatabaseSettings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Context]:
    """Two nights of two chips."""
    folder = tmp_path_factory.mktemp("scope")
    settings = Settings(
        database=database,
        storage=StorageSettings(root=folder / "files"),
        limits=LimitSettings(make_budget_s=300),
    )
    prepare_database(settings)
    config = SimulationConfig(chips=2, shape=(128, 128), nights=NIGHTS, n_bias=4, n_science=2)
    simulate(folder / "s", config=config)
    archive = Archive(settings)
    Archive.use(archive)
    archive.ingest([folder / "s" / "raw"])
    archive.load_references(folder / "s" / "reference.csv", "simulated")
    tables = [table for schema in archive.schemas for table in schema.tables]
    yield Context(archive, Catalogue(tables), settings.limits)
    archive.close()


def answer(context: Context, query: str, fresh: Fresh) -> tuple[list[tuple], int]:
    pairs = [("LANG", "ADQL"), ("QUERY", query), ("FRESH", fresh.value), ("MAXREC", "100000")]
    result = run(parse_params(PARAMS, pairs), context)
    try:
        rows = texts_of(result)
        infos = {info.name: info.value for info in result.infos}
        return sorted(rows, key=repr), int(infos["TARGETS_REMADE"])
    finally:
        result.close()


def some_query(dice: random.Random, ra: float, dec: float) -> str:
    moment = 61050.5 + 2 * dice.randint(0, 1)
    cone = (
        f"CONTAINS(POINT(ra, dec), CIRCLE({ra + dice.uniform(-0.01, 0.01)}, "
        f"{dec + dice.uniform(-0.01, 0.01)}, {dice.choice((0.002, 0.01, 0.1))}))"
    )
    conditions = [
        f"chip = '{dice.choice(('ccd50', 'ccd51', 'ccd99'))}'",
        f"1 = {cone}",
        f"{cone} = 0",
        f"t_mid BETWEEN {moment - 1} AND {moment + 1}",
        f"t_mid < {moment}",
        f"(chip = 'ccd50' OR mag < {dice.uniform(15, 20):.2f})",
        "NOT chip = 'ccd50'",
        f"mag > {dice.uniform(15, 20):.2f}",
        "instrument_name IN ('simulated', 'nickel')",
        "chip LIKE '%1'",
    ]
    where = " AND ".join(dice.sample(conditions, dice.randint(1, 3)))
    return "SELECT x, y, flux, ra, dec FROM archive.sources" + (f" WHERE {where}" if where else "")


def test_narrow_making_answers_as_remaking_everything_would(context: Context) -> None:
    dice = random.Random(20260110)
    archive = context.archive
    everything = [t.target_id for t in targets_matching(archive, "SourceList")]
    archive.make(everything)
    rows, _ = answer(context, "SELECT AVG(ra), AVG(dec) FROM archive.sources", Fresh.ANY)
    ra, dec = map(float, rows[0])
    biases = list(archive.registry.classes["RawBiasFrame"].chip.name != "none")
    narrow = 0
    rejected: list[int] = []
    for _ in range(12):
        for number in rejected:
            edit(archive, number, "is_valid", 1, why="the test's dice")
        by_chip = [[b for b in biases if b.chip.name == c] for c in ("ccd50", "ccd51")]
        rejected = [dice.choice(frames).object_id for frames in by_chip]
        for number in rejected:
            edit(archive, number, "is_valid", 0, why="the test's dice")
        query = some_query(dice, ra, dec)
        made, remade = answer(context, query, Fresh.MAKE)
        rest = archive.make(everything)
        narrow += any(outcome.kind in ("made", "reused") for outcome in rest)
        expected, _ = answer(context, query, Fresh.REQUIRE)
        assert made == expected, (query, remade)
    assert narrow > 0
