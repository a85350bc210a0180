"""Frames that borrow a zero point: what they take, what marks them, how much they rest on."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from reduction import examine as examine_module
from reduction.events import mark_suspect
from reduction.instruments.base import FrameKind
from reduction.listing import listed
from reduction.operate import edit, targets_matching
from reduction.recipe_edits import set_parameter
from tests.support.toy import write_frame
from tests.support.toy_zero import ToyTold

if TYPE_CHECKING:
    from pathlib import Path

    from reduction.archive import Archive

NIGHTS = {"2020-01-01": 58849.0, "2020-01-02": 58850.0}
#: Calibrations hold for half a day before and after.
REACH = 0.5


@pytest.fixture
def plugins() -> tuple[str, ...]:
    return ("tests.support.toy", "tests.support.toy_zero")


def counted(archive: Archive, table: str) -> int:
    with archive.transaction() as session:
        return session.scalar(text(f"SELECT count(*) FROM vo.{table}")) or 0


def answers(archive: Archive) -> dict[str, float]:
    """Zero points of all frames that have one, after all is made, by name of the frame."""
    archive.make([target.target_id for target in targets_matching(archive, "ToyMeasured")])
    return levels(archive)


def levels(archive: Archive) -> dict[str, float]:
    """What is published and known to be right."""
    with archive.transaction() as session:
        rows = session.execute(
            text(
                "SELECT r.attributes->>'name', (p.attributes->>'level')::float FROM vo.target t"
                " JOIN vo.product p USING (product_id)"
                " JOIN vo.product r ON r.product_id = t.raw_id"
                " WHERE t.class_name = 'ToyMeasured' AND t.state = 'fresh'"
            )
        )
        return dict(tuple(row) for row in rows)


def truth(
    frames: dict[str, tuple[float, int]], rejected: set[str], least: float
) -> dict[str, float]:
    """The rule itself: its own zero point, else the nearest in time that there is."""
    good = {n: f for n, f in frames.items() if n not in rejected and f[1] >= least}
    found = {}
    for name, (moment, level) in frames.items():
        if name in rejected:
            continue
        near = [(abs(m - moment), v) for m, v in good.values() if abs(m - moment) <= REACH]
        found[name] = float(level if name in good else min(near)[1] if near else 0)
    return found


@pytest.mark.slow
def test_whatever_happens_a_frame_that_is_fresh_has_the_zero_point_that_the_rule_gives(
    archive: Archive, tmp_path: Path
) -> None:
    dice = random.Random(1)
    frames: dict[str, tuple[float, int]] = {}
    rejected: set[str] = set()
    least = 1000.0
    for event in range(20):
        what = dice.choice(("dark", "dark", "bright", "reject", "accept", "least"))
        if what in ("dark", "bright") or len(frames) < 4:
            night, hour = dice.choice(list(NIGHTS)), dice.uniform(0.0, 20.0)
            level = dice.randint(1000, 1999) if what == "bright" else dice.randint(100, 999)
            name = f"s{event}"
            archive.ingest(
                [write_frame(tmp_path, name, FrameKind.SCIENCE, level, night=night, hour=hour)]
            )
            frames[f"{name}.fits"] = (NIGHTS[night] + hour / 24, level)
        elif what == "least":
            least = dice.choice((300.0, 700.0, 1000.0, 5000.0))
            set_parameter(archive, "ToyZero", "LEAST", least, instrument="toy", why="a limit")
        else:
            names = sorted(rejected if what == "accept" else frames.keys() - rejected)
            for name in names[:: max(len(names), 1)]:
                (raw,) = (
                    one
                    for one in listed(archive, "RawScienceFrame", is_valid=None)
                    if one.product.attributes["name"] == name
                )
                edit(archive, raw.product.product_id, "is_valid", int(what == "accept"), why="x")
                rejected ^= {name}
        expected = truth(frames, rejected, least)
        wrong = {n: v for n, v in levels(archive).items() if expected.get(n) != v}
        assert wrong == {}, (event, what)
        if dice.random() < 0.5:  # some alone, so that others are looked at later
            targets = targets_matching(archive, "ToyMeasured")
            archive.make([dice.choice(targets).target_id])
            wrong = {n: v for n, v in levels(archive).items() if expected.get(n) != v}
            assert wrong == {}, (event, what)
        else:
            assert answers(archive) == expected, (event, what)


def test_frames_of_a_night_without_standards_do_not_rest_on_each_other_one_by_one(
    archive: Archive, tmp_path: Path
) -> None:
    grown = []
    for number in range(16):
        hour = number / 10
        write_frame(tmp_path, f"s{number}", FrameKind.SCIENCE, 100 + number, hour=hour)
        if number + 1 in (4, 16):
            archive.ingest([tmp_path])
            assert set(answers(archive).values()) == {0.0}
            tables = ("dependency", "pool_member", "pool_user")
            grown.append(sum(counted(archive, table) for table in tables) / (number + 1))
    assert grown[1] <= grown[0]


def test_a_zero_point_that_comes_while_a_frame_is_made_without_one_is_not_missed(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.ingest(
        [write_frame(tmp_path, f"s{n}", FrameKind.SCIENCE, 100 + n, hour=n) for n in range(3)]
    )
    bright = write_frame(tmp_path, "bright", FrameKind.SCIENCE, 1500, hour=1.1)
    cls = archive.registry.classes["ToyMeasured"]
    compute, came = cls.compute, []

    def interrupted(self: Any, inputs: Any, parameters: Any) -> Any:
        if not came:
            came.append(archive.ingest([bright]))
        return compute(self, inputs, parameters)

    monkeypatch.setattr(cls, "compute", interrupted)
    assert set(answers(archive).values()) == {1500.0}


def test_a_passed_over_zero_point_that_can_be_made_meanwhile_is_not_missed(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.ingest(
        [write_frame(tmp_path, f"s{n}", FrameKind.SCIENCE, 900 - 50 * n, hour=n) for n in range(3)]
    )
    cls = archive.registry.classes["ToyMeasured"]
    compute, done = cls.compute, []

    def interrupted(self: Any, inputs: Any, parameters: Any) -> Any:
        if not done:
            done.append(1)
            set_parameter(archive, "ToyZero", "LEAST", 860.0, instrument="toy", why="a limit")
        return compute(self, inputs, parameters)

    monkeypatch.setattr(cls, "compute", interrupted)
    assert set(answers(archive).values()) == {900.0}


def test_a_zero_point_reaches_all_though_verdicts_were_written_down_in_part(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stop in range(8):
        night = f"2020-02-{stop + 1:02d}"
        dark = [
            write_frame(tmp_path, f"s{stop}.{n}", FrameKind.SCIENCE, 9 + n, night=night, hour=n)
            for n in range(3)
        ]
        archive.ingest(dark)
        told = [t.target_id for t in targets_matching(archive, "ToyTold", night=night)]
        archive.make(told)
        with archive.transaction() as session:
            query = "SELECT target_id FROM vo.target WHERE class_name = :name AND night = :night"
            chosen = {"name": "ToyNeeding", "night": night}
            mark_suspect(session, session.scalars(text(query), chosen).all())
        written = []

        def write(
            verdicts: Any,
            session: Any,
            *,
            way: Any,
            stop: int = stop,
            written: list[int] = written,
        ) -> None:
            if len(written) == stop:
                raise KeyboardInterrupt
            written.append(1)
            way(session, verdicts)

        with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
            for name in ("settle", "settle_fresh"):
                way = getattr(examine_module, name)
                patch.setattr(examine_module, name, lambda s, v, way=way: write(v, s, way=way))
            archive.plan(told)
        bright = write_frame(
            tmp_path, f"bright{stop}", FrameKind.SCIENCE, 1500, night=night, hour=1.1
        )
        archive.ingest([bright])
        archive.make(told)
        products = [ToyTold.get(raw=path.name) for path in dark]
        assert [product.level for product in products] == [1500.0] * 3, stop
        if len(written) < stop:
            break
    else:
        pytest.fail("there are more parts than were tried")
